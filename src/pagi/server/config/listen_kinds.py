"""Kinds of values that say where to listen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pagi.server.config.kinds import NOTHING, FileOrOff, Kind, Text, Whole, text_of
from pagi.server.config.listen import Listen, parse_host, parse_mode, parse_port

__all__ = ["AdminPlace", "Descriptor", "Host", "Listens", "Mode", "Port", "SocketPath"]


class Host(Text):
    """A host name or address."""

    unit = "host"
    metavar = "HOST"
    expected = "write a name or an address in quotes"

    def read(self, text: str) -> str:
        """Remove the brackets of an IPv6 address."""
        return parse_host(super().read(text))


class Port(Whole):
    """A TCP port."""

    unit = "port"

    def __init__(self) -> None:
        """Bound it to 16 bits."""
        super().__init__(0, 65_535)

    def read(self, text: str) -> int:
        """Read digits."""
        return parse_port(text)


class SocketPath(FileOrOff):
    """The path of a Unix socket, or ``None``."""

    def read(self, text: str) -> str | None:
        """Refuse a path that no Unix socket can have."""
        path = super().read(text)
        return None if path is None else Listen.unix(path.removeprefix("unix:")).path


class Mode(Kind[int]):
    """Permission bits of a file."""

    unit = "octal mode"
    metavar = "MODE"
    expected = "write 0 and three octal digits: 0660"

    def read(self, text: str) -> int:
        """Read octal digits."""
        return parse_mode(text)

    def accept(self, value: object) -> int:
        """Take a number (``0o660``) or octal digits."""
        return parse_mode(value)

    def accept_file(self, value: object) -> int:
        """Take text only: ``socket_mode = 660`` would be read as decimal."""
        if not isinstance(value, str):
            raise ValueError(f'{value!r} is not text; write the mode in quotes: "0660"')
        return parse_mode(value)

    def show(self, value: int) -> str:
        """Return four octal digits."""
        return f"{value:04o}"

    def native(self, value: int) -> object:
        """Return four octal digits as text."""
        return self.show(value)


class Descriptor(Kind["int | None"]):
    """The number of an inherited descriptor, or ``None``."""

    unit = "descriptor number"
    metavar = "N"
    expected = "write its number, such as 3"

    def read(self, text: str) -> int | None:
        """Read digits, or ``none``."""
        return None if text.lower() in NOTHING else Listen.inherited(text).fd

    def accept(self, value: object) -> int | None:
        """Take an int, ``None`` or ``False``."""
        if value is None or value is False:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return self.read(str(value))
        return self.read(text_of(self, value))

    def show(self, value: int | None) -> str:
        """Return the number or ``none``."""
        return "none" if value is None else str(value)

    def native(self, value: int | None) -> object:
        """Return the number or ``False``: TOML has no null."""
        return False if value is None else value


class AdminPlace(Kind["Listen | None"]):
    """Where the admin listener is, or ``None``. A port alone is one of this machine's own."""

    unit = "place to listen"
    metavar = "PLACE"
    expected = "write a port, host:port or unix:PATH"

    def read(self, text: str) -> Listen | None:
        """Read a port, a place, or ``none``."""
        if text.lower() in NOTHING:
            return None
        place = text.removeprefix("admin:")
        listen = Listen.parse(f"127.0.0.1:{place}" if place.isdigit() else place)
        return replace(listen, role="admin")

    def accept(self, value: object) -> Listen | None:
        """Take text, a port, a `Listen`, a table, ``None`` or ``False``."""
        if value is None or value is False:
            return None
        if isinstance(value, Listen):
            return replace(value, role="admin")
        if isinstance(value, Mapping):
            return replace(Listen.from_table(value), role="admin")
        if isinstance(value, int) and not isinstance(value, bool):
            return self.read(str(value))
        return self.read(text_of(self, value))

    def show(self, value: Listen | None) -> str:
        """Return the place or ``none``."""
        return "none" if value is None else value.place

    def native(self, value: Listen | None) -> object:
        """Return the place as text or ``False``: TOML has no null."""
        return False if value is None else self.show(value)


class Listens(Kind["tuple[Listen, ...]"]):
    """Where to listen: one or several specifications."""

    unit = "list of listeners"
    metavar = "SPEC"
    expected = "write host:port, unix:PATH or fd:N, after plain: or redirect: if wanted"
    repeatable = True

    def read(self, text: str) -> tuple[Listen, ...]:
        """Read specifications separated by commas, or ``none``."""
        if text.lower() in NOTHING:
            return ()
        return tuple(Listen.parse(part.strip()) for part in text.split(",") if part.strip())

    def accept(self, value: object) -> tuple[Listen, ...]:
        """Take text, a `Listen`, a table, or a sequence of those."""
        if isinstance(value, str):
            return self.read(value)
        if isinstance(value, Listen):
            return (value,)
        if isinstance(value, Mapping):
            return (Listen.from_table(value),)
        if isinstance(value, Sequence):
            return tuple(listen for item in value for listen in self._one(item))
        raise self.refusal(value)

    def _one(self, item: Any) -> tuple[Listen, ...]:
        # Text inside a list is one specification: a path there may hold a comma.
        return (Listen.parse(item),) if isinstance(item, str) else self.accept(item)

    def show(self, value: tuple[Listen, ...]) -> str:
        """Return the specifications, separated by commas, or ``none``."""
        return ",".join(map(str, value)) or "none"

    def native(self, value: tuple[Listen, ...]) -> object:
        """Return a list of specifications; tables of those that a text cannot say."""
        return [str(item) if Listen.parse(str(item)) == item else item.to_table() for item in value]
