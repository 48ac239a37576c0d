"""Another user: which one, and that there is no way back."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from pagi.server.config import Process
from pagi.server.errors import StartError
from pagi.server.worker.privileges import Identity, wanted_identity

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
NOBODY = 65534


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.getegid", lambda: 0)


@pytest.fixture
def as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getegid", lambda: 1000)


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("user", "group", "identity"),
    [
        ("root", None, Identity(0, 0, "root")),
        ("0", None, Identity(0, 0, "root")),
        ("root", "12345", Identity(0, 12345, "root")),
        ("4000000", "12345", Identity(4000000, 12345, "")),
        (None, "12345", Identity(0, 12345, "")),
    ],
)
def test_who_is_meant(user: str | None, group: str | None, identity: Identity) -> None:
    assert wanted_identity(Process(user=user, group=group)) == identity


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("user", "group", "words"),
    [
        ("no-such-user", None, "user: there is no user 'no-such-user'"),
        (None, "no-such-group", "group: there is no group 'no-such-group'"),
        ("4000000", None, "name its group as well"),
    ],
)
def test_who_is_unknown(user: str | None, group: str | None, words: str) -> None:
    with pytest.raises(StartError, match=words) as caught:
        wanted_identity(Process(user=user, group=group))
    assert caught.value.exit_status == 3


def test_nobody_is_meant() -> None:
    assert wanted_identity(Process()) is None


@pytest.mark.usefixtures("as_somebody")
def test_it_is_us_already() -> None:
    assert wanted_identity(Process(user="1000", group="1000")) is None


@pytest.mark.usefixtures("as_somebody")
def test_only_root_can() -> None:
    with pytest.raises(StartError, match="only root can become user root and group 5, and this"):
        wanted_identity(Process(user="root", group="5"))
    with pytest.raises(StartError, match="only root can become group 5"):
        wanted_identity(Process(group="5"))


def in_child(work: Callable[[], bool]) -> bool:
    """Return what ``work`` returns in a process of its own."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@root_only
def test_taking_it_on() -> None:
    def work() -> bool:
        Identity(NOBODY, 12345, "").take_on()
        return (
            os.getresuid() == (NOBODY,) * 3
            and os.getresgid() == (12345,) * 3
            and os.getgroups() == [12345]
        )

    assert in_child(work)


@root_only
def test_the_other_groups_of_a_user() -> None:
    def work() -> bool:
        Identity(NOBODY, NOBODY, "nobody").take_on()
        return NOBODY in os.getgroups() and 0 not in os.getgroups()

    assert in_child(work)


@root_only
def test_a_way_back_is_refused() -> None:
    def work() -> bool:
        os.setuid = lambda _: None  # as if a capability were left
        try:
            Identity(NOBODY, NOBODY, "").take_on()
        except StartError as error:
            return "could become root again" in str(error)
        return False

    assert in_child(work)


def test_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def setgroups(_: list[int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.setgroups", setgroups)
    with pytest.raises(StartError, match="cannot become user 5, group 6: Operation not permitted"):
        Identity(5, 6, "").take_on()
