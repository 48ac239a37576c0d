"""Kinds of values that say what the process is towards the system."""

from __future__ import annotations

from pagi.server.config.kinds import NOTHING, Kind, text_of
from pagi.server.config.listen import parse_mode

__all__ = ["Account", "Umask"]

#: One less than the number that stands for "leave it as it is" in system calls.
_HIGHEST = (1 << 32) - 2


class Account(Kind["str | None"]):
    """A user or a group by name or number, or ``None``."""

    unit = "name or number"
    metavar = "NAME"
    expected = "write a name such as www-data, or a number"

    def read(self, text: str) -> str | None:
        """Refuse what no account is called; whether there is one is found out at the start."""
        if text.lower() in NOTHING:
            return None
        if text.isdigit():
            if not text.isascii() or int(text) > _HIGHEST:
                raise self.refusal(text)
            return str(int(text))
        if text.startswith("-") or any(c.isspace() or c in ":,/\0" for c in text):
            raise self.refusal(text)
        return text

    def accept(self, value: object) -> str | None:
        """Take text, a number, ``None`` or ``False``."""
        if value is None or value is False:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return self.read(str(value))
        return self.read(text_of(self, value))

    def show(self, value: str | None) -> str:
        """Return the name or number, or ``none``."""
        return "none" if value is None else value

    def native(self, value: str | None) -> object:
        """Return the name or number, or ``False``: TOML has no null."""
        return False if value is None else value


class Umask(Kind["int | None"]):
    """Permission bits to take from new files, or ``None``: as inherited."""

    unit = "octal mask"
    metavar = "MASK"
    expected = "write 0 and three octal digits: 0027"

    def read(self, text: str) -> int | None:
        """Read octal digits, or ``none``."""
        return None if text.lower() in NOTHING else self._bits(text)

    def accept(self, value: object) -> int | None:
        """Take a number (``0o027``), octal digits, ``None`` or ``False``."""
        if value is None or value is False:
            return None
        return self.read(value) if isinstance(value, str) else self._bits(value)

    def accept_file(self, value: object) -> int | None:
        """Take text or ``false`` only: ``umask = 27`` would be read as decimal."""
        if value is False or isinstance(value, str):
            return self.accept(value)
        raise ValueError(f'{value!r} is not text; write the mask in quotes: "0027"')

    def _bits(self, value: object) -> int:
        try:
            return parse_mode(value)
        except ValueError:
            raise self.refusal(value) from None

    def show(self, value: int | None) -> str:
        """Return four octal digits, or ``none``."""
        return "none" if value is None else f"{value:04o}"

    def native(self, value: int | None) -> object:
        """Return four octal digits as text, or ``False``."""
        return False if value is None else self.show(value)
