"""`Listen`: one place where connections are accepted.

Grammar of a specification, as text:

    specification = [ role ":" ] place
    role          = "plain" | "redirect" | "admin"
    place         = path | "unix:" path | "fd:" number | host ":" port
    path          = text that begins with "/" or ".", or holds a "/", or ends in ".sock"
    host          = name | IPv4 address | "[" IPv6 address "]"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, get_args

from pagi.server.config.kinds import Switch
from pagi.server.config.tls import read_tls_changes, show_tls_changes

__all__ = ["Listen", "ListenKind", "ListenRole", "parse_host", "parse_mode", "parse_port"]

ListenKind: TypeAlias = Literal["tcp", "unix", "fd"]
ListenRole: TypeAlias = Literal["serve", "plain", "redirect", "admin"]

#: ``sockaddr_un.sun_path`` without its closing NUL: 108 bytes on Linux, 104 on BSD and macOS.
_PATH_BYTES: Final = 103
_MODE_DIGITS: Final = 4
_OWN_KEYS: Final = frozenset({"role", "proxy_protocol"})
_PLACE_KEYS: Final = frozenset({"host", "port", "socket", "socket_mode", "fd"})
_ROLES: Final[Mapping[str, ListenRole]] = {role: role for role in get_args(ListenRole)}


@dataclass(frozen=True, slots=True)
class Listen:
    """A TCP address, a Unix stream socket or an inherited descriptor.

    Attributes:
        kind: which of the three; only the fields of that kind have a meaning.
        host: name or address, IPv6 without brackets.
        port: 0 lets the operating system choose.
        path: of the Unix socket.
        mode: permission bits of the Unix socket; ``None``: those of ``socket_mode``.
        fd: number of the descriptor, which is a listening (or at least bound) socket.
        role: ``serve`` with TLS if there is a certificate, ``plain`` without it in any case,
            ``redirect`` every request to where TLS is spoken, or ``admin`` for health, metrics and
            status of the server itself.
        tls: options of TLS, by field of the slice, that differ from those of the configuration.
        proxy_protocol: trusted proxies begin with the header of the PROXY protocol; ``None``: as
            the option says.
    """

    kind: ListenKind
    host: str = ""
    port: int = 0
    path: str = ""
    mode: int | None = None
    fd: int = -1
    role: ListenRole = "serve"
    tls: tuple[tuple[str, object], ...] = ()
    proxy_protocol: bool | None = None

    @classmethod
    def tcp(cls, host: str, port: int) -> Listen:
        """A TCP address. Raises ValueError when either part is impossible."""
        return cls("tcp", host=parse_host(host), port=parse_port(port))

    @classmethod
    def unix(cls, path: str, mode: int | None = None) -> Listen:
        """A Unix stream socket. Raises ValueError for a path no socket can have."""
        if not path:
            raise ValueError("the path of the Unix socket is missing; write unix:/run/app.sock")
        if "\0" in path:
            raise ValueError("the path of a Unix socket cannot hold a NUL character")
        if len(path.encode("utf-8", "surrogateescape")) > _PATH_BYTES:
            raise ValueError(
                f"{path!r} is too long for a Unix socket (at most {_PATH_BYTES} bytes); "
                "use a shorter path, such as one under /run"
            )
        return cls("unix", path=path, mode=mode)

    @classmethod
    def inherited(cls, fd: int | str) -> Listen:
        """A descriptor that the parent process left open. Raises ValueError."""
        text = str(fd)
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{text!r} is not a descriptor number; write fd:3")
        return cls("fd", fd=int(text))

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Read a specification (grammar above). Raises ValueError with the remedy."""
        word, _, place = text.partition(":")
        role = _ROLES.get(word)
        # A host may have such a name: then only digits follow.
        if role is None or role == "serve" or place.isdigit():
            return cls._parse_place(text)
        return replace(cls._parse_place(place), role=role)

    @classmethod
    def _parse_place(cls, text: str) -> Listen:
        if text.startswith("unix:"):
            return cls.unix(text[5:])
        if text.startswith("fd:"):
            return cls.inherited(text[3:])
        if text.startswith(("/", ".")):
            return cls.unix(text)
        host, colon, port = text.rpartition(":")
        if colon and "/" not in text:
            return cls.tcp(_bracketed(host, port, text), parse_port(port))
        if "/" in text or text.endswith(".sock"):
            return cls.unix(text)
        raise ValueError(_not_a_place(text))

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Listen:
        """Read a place, and in the same table ``role``, ``proxy_protocol`` and options of TLS.

        A place is ``{host, port}``, ``{socket, socket_mode}`` or ``{fd}``. Raises ValueError.
        """
        tls, rest = read_tls_changes(table)
        place = {key: value for key, value in rest.items() if key not in _OWN_KEYS}
        word = rest.get("role", "serve")
        role = _ROLES.get(str(word))
        if role is None:
            raise ValueError(f"{word!r} is no role of a listener; use {' or '.join(_ROLES)}")
        if tls and role != "serve":
            raise ValueError(f"a listener with the role {role} has no options of TLS")
        proxied = Switch().accept(rest["proxy_protocol"]) if "proxy_protocol" in rest else None
        return replace(cls._place_from_table(place), role=role, tls=tls, proxy_protocol=proxied)

    @classmethod
    def _place_from_table(cls, table: Mapping[str, object]) -> Listen:
        unknown = sorted(set(table) - _PLACE_KEYS)
        if unknown:
            raise ValueError(
                f"unknown key {unknown[0]!r}; use host and port, socket, or fd, with role, "
                "proxy_protocol and options of TLS"
            )
        if set(table) == {"host", "port"}:
            return cls.tcp(str(table["host"]), parse_port(table["port"]))
        if set(table) == {"fd"}:
            return cls.inherited(str(table["fd"]))
        if "socket" in table and set(table) <= {"socket", "socket_mode"}:
            mode = table.get("socket_mode")
            return cls.unix(str(table["socket"]), None if mode is None else parse_mode(mode))
        raise ValueError("a listener is {host, port}, {socket, socket_mode} or {fd}")

    def to_table(self) -> dict[str, object]:
        """Return the table that `from_table` reads back."""
        table: dict[str, object]
        if self.kind == "unix":
            table = {"socket": self.path}
            if self.mode is not None:
                table["socket_mode"] = f"{self.mode:04o}"
        elif self.kind == "fd":
            table = {"fd": self.fd}
        else:
            table = {"host": self.host, "port": self.port}
        if self.role != "serve":
            table["role"] = self.role
        if self.proxy_protocol is not None:
            table["proxy_protocol"] = self.proxy_protocol
        return table | show_tls_changes(self.tls)

    @property
    def place(self) -> str:
        """The specification of the place alone."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd:{self.fd}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """The specification that `parse` reads back (without what only a table can say)."""
        return self.place if self.role == "serve" else f"{self.role}:{self.place}"


def parse_host(text: str) -> str:
    """Return a host without brackets. Raises ValueError with the remedy."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not host:
        raise ValueError(
            "the host is empty; write 127.0.0.1 for this machine only, "
            "0.0.0.0 (IPv4) or :: (IPv6) for every interface"
        )
    if host == "*":
        raise ValueError("'*' is not a host; write 0.0.0.0 (IPv4) or :: (IPv6)")
    if "://" in host or "/" in host:
        raise ValueError(f"{host!r} is not a host; write only the name or address")
    if host.count(":") == 1:
        raise ValueError(f"{host!r} is a host with a port; give the port as port (--port)")
    if any(c.isspace() for c in host) or "[" in host or "]" in host:
        raise ValueError(f"{host!r} is not a host name or address")
    return host


def parse_port(value: object) -> int:
    """Return a port from text or number. Raises ValueError with the remedy."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()):
        hint = ""
        if text.startswith(("tcp://", "udp://")):
            hint = " (Kubernetes sets such variables for a service named pagi: enableServiceLinks)"
        raise ValueError(f"{text!r} is not a port; write a number from 0 to 65535{hint}")
    if int(text) > 65_535:
        raise ValueError(f"{text} is not a port; the highest is 65535")
    return int(text)


def parse_mode(value: object) -> int:
    """Return permission bits from ``"0660"`` (text) or from a number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= 0o777:
            return value
        raise ValueError(f"{value} is not a file mode; write it in octal: 0o660")
    text = str(value)
    octal = len(text) == _MODE_DIGITS and text[0] == "0" and set(text) <= set("01234567")
    if not octal:
        raise ValueError(f"{text!r} is not a file mode; write 0 and three octal digits: 0660")
    return int(text, 8)


def _bracketed(host: str, port: str, text: str) -> str:
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{text!r} is ambiguous; write an IPv6 address as [{host}]:{port}")
    return host


def _not_a_place(text: str) -> str:
    if text.isdigit():
        return f"{text!r} lacks a host; write 127.0.0.1:{text} (or 0.0.0.0:{text}, or fd:{text})"
    return f"{text!r} is neither host:port nor a path; write {text}:8000, or unix:{text}"
