"""Another user and group: found out before the listeners are opened, taken on after that."""

from __future__ import annotations

import os
from typing import NamedTuple

from pagi.server.config import Process
from pagi.server.errors import EXIT_CONFIGURATION, StartError

try:
    import grp
    import pwd
except ImportError:  # Windows; nobody is root there either
    pass

__all__ = ["Identity", "wanted_identity"]


class Identity(NamedTuple):
    """Who the process shall be.

    Attributes:
        uid: number of the user.
        gid: number of the group.
        name: of the user, for the other groups that it is in; empty for none of them.
    """

    uid: int
    gid: int
    name: str

    def take_on(self) -> None:
        """Become this user and this group, for good.

        Raises:
            StartError: the system does not let us, or could be made to let us back.
        """
        try:
            if self.name:
                os.initgroups(self.name, self.gid)
            else:
                os.setgroups([self.gid])
            os.setgid(self.gid)
            os.setuid(self.uid)
        except OSError as error:
            who = f"user {self.uid}, group {self.gid}"
            raise _fault(f"cannot become {who}: {error.strerror}") from None
        if self.uid and _could_return():
            raise _fault(
                f"the process could become root again after it became user {self.uid}; "
                "take the capability CAP_SETUID away from it"
            )


def wanted_identity(process: Process) -> Identity | None:
    """Return the user and group that the configuration names; ``None`` if we are them already.

    Raises:
        StartError: there is none of that name, or only root could become them.
    """
    if process.user is None and process.group is None:
        return None
    uid, gid, name = _user(process.user)
    if process.group is not None:
        gid = _group(process.group)
    elif gid is None:
        raise _fault(f"user: {process.user} is not known here; name its group as well (--group)")
    if os.geteuid() == 0:
        return Identity(uid, gid, name)
    if uid == os.geteuid() and gid == os.getegid():
        return None
    raise _fault(
        f"only root can become {_words(process)}, and this is user {os.geteuid()}; "
        "start the server as root, or leave user and group away"
    )


def _user(text: str | None) -> tuple[int, int | None, str]:
    """Return number, group and name of a user; by default of this process."""
    if text is None:
        return os.geteuid(), os.getegid(), ""
    try:
        found = pwd.getpwuid(int(text)) if text.isdigit() else pwd.getpwnam(text)
    except KeyError:
        if text.isdigit():
            return int(text), None, ""
        raise _fault(f"user: there is no user {text!r} on this machine") from None
    return found.pw_uid, found.pw_gid, found.pw_name


def _group(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise _fault(f"group: there is no group {text!r} on this machine") from None


def _words(process: Process) -> str:
    parts = (("user", process.user), ("group", process.group))
    return " and ".join(f"{what} {name}" for what, name in parts if name is not None)


def _could_return() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


def _fault(text: str) -> StartError:
    return StartError(text, EXIT_CONFIGURATION)
