"""Kinds of values: how text is read, what is accepted, how a value is shown.

Every kind reads text (flags and variables), accepts native values (the file and keywords) and
refuses the rest with a `ValueError` whose text says what is wrong and what to write instead.
"""

from __future__ import annotations

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

__all__ = [
    "NOTHING",
    "Choice",
    "FileOrOff",
    "Kind",
    "LogFormat",
    "Mount",
    "Origins",
    "Seconds",
    "Size",
    "SizeOrNone",
    "Switch",
    "Text",
    "Texts",
    "Whole",
    "Workers",
    "available_cores",
    "nearest",
    "text_of",
]

_T = TypeVar("_T")

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})
#: Words for nothing, where nothing is possible.
NOTHING = frozenset({"", "none", "off", "false", "no"})


class Kind(ABC, Generic[_T]):
    """One kind of value.

    Attributes:
        unit: what the value is measured in or made of; a word for the reference page.
        metavar: placeholder in the help text.
        expected: what to write; the second half of a refusal.
        repeatable: the flag may be given several times.
    """

    unit = "text"
    metavar = "TEXT"
    expected = "write text"
    repeatable = False

    @abstractmethod
    def read(self, text: str) -> _T:
        """Turn text from a flag or variable into a value. Raises ValueError."""

    def accept(self, value: object) -> _T:
        """Turn a keyword's value into a proper one. Raises ValueError."""
        if isinstance(value, str):
            return self.read(value)
        raise self.refusal(value)

    def accept_file(self, value: object) -> _T:
        """Turn a value of the configuration file into a proper one. Raises ValueError."""
        return self.accept(value)

    def show(self, value: _T) -> str:
        """Return the text that `read` turns back into ``value``."""
        return str(value)

    def native(self, value: _T) -> object:
        """Return ``value`` as it stands in a TOML or JSON document."""
        return value

    def refusal(self, value: object) -> ValueError:
        """Make the error for a value that is not of this kind."""
        return ValueError(f"{value!r} is not {self.unit}; {self.expected}")


class Text(Kind[str]):
    """Any text of one line, the empty one too."""

    expected = "write text without line breaks"

    def read(self, text: str) -> str:
        """Refuse control characters."""
        if any(c < " " or c == "\x7f" for c in text):
            raise ValueError(f"{text!r} holds a control character; {self.expected}")
        return text


class Mount(Text):
    """A path prefix: empty, or with a slash in front and none at the end."""

    unit = "path prefix"
    metavar = "PREFIX"
    expected = "write it like /app"

    def read(self, text: str) -> str:
        """Refuse what cannot be the start of a path."""
        super().read(text)
        if text and (not text.startswith("/") or text.endswith("/")):
            raise ValueError(f"{text!r} is not a path prefix; begin with / and do not end with it")
        return text


class LogFormat(Text):
    """An access log preset or a format string."""

    unit = "preset or format"
    metavar = "FORMAT"

    def __init__(self, *presets: str) -> None:
        """Remember the names of the presets."""
        self.presets = presets
        self.expected = f"write {', '.join(presets)} or a format with % in it"

    def read(self, text: str) -> str:
        """Refuse a word that is no preset: it would print itself for every request."""
        super().read(text)
        if text not in self.presets and "%" not in text:
            guess = nearest(text, self.presets)
            hint = f"; did you mean {guess!r}?" if guess else f"; {self.expected}"
            raise ValueError(f"{text!r} is no access log preset{hint}")
        return text


class FileOrOff(Kind["str | None"]):
    """A path, or ``None`` when it is switched off."""

    unit = "path"
    metavar = "PATH"
    expected = "write a path, or none"

    def read(self, text: str) -> str | None:
        """Read ``none`` and ``off`` as nothing; such a file is reached as ``./none``."""
        if "\0" in text:
            raise self.refusal(text)
        return None if text.lower() in NOTHING else text

    def accept(self, value: object) -> str | None:
        """Take ``None`` and ``False`` as off, and path objects."""
        if value is None or value is False:
            return None
        return self.read(
            os.fspath(value) if isinstance(value, os.PathLike) else text_of(self, value)
        )

    def show(self, value: str | None) -> str:
        """Return the path or ``none``."""
        return "none" if value is None else value

    def native(self, value: str | None) -> object:
        """Return the path or ``False``: TOML has no null."""
        return False if value is None else value


class Switch(Kind[bool]):
    """On or off."""

    unit = "on or off"
    metavar = ""
    expected = "write true or false"

    def read(self, text: str) -> bool:
        """Read the usual words for on and off."""
        word = text.lower()
        if word in _ON:
            return True
        if word in _OFF:
            return False
        raise self.refusal(text)

    def accept(self, value: object) -> bool:
        """Take a bool, or its words."""
        return value if isinstance(value, bool) else self.read(text_of(self, value))

    def show(self, value: bool) -> str:
        """Return ``true`` or ``false``."""
        return "true" if value else "false"


class Choice(Kind[_T]):
    """One word of several."""

    unit = "one of the words"

    def __init__(self, *words: _T) -> None:
        """Remember the words."""
        self.words: tuple[_T, ...] = words
        self.metavar = "[" + "|".join(map(str, words)) + "]"
        self.expected = "choose " + ", ".join(map(str, words[:-1])) + f" or {words[-1]}"

    def read(self, text: str) -> _T:
        """Read one of the words, whatever its case."""
        for word in self.words:
            if word == text.lower():
                return word
        raise self.refusal(text)

    def refusal(self, value: object) -> ValueError:
        """Name the words."""
        return ValueError(f"{value!r} is not possible; {self.expected}")


class Whole(Kind[int]):
    """A whole number within bounds."""

    unit = "whole number"
    metavar = "N"

    def __init__(self, minimum: int = 0, maximum: int | None = None) -> None:
        """Remember the bounds, both included."""
        self.minimum, self.maximum = minimum, maximum
        upper = "" if maximum is None else f" and at most {maximum}"
        self.expected = f"write a whole number of at least {minimum}{upper}"

    def read(self, text: str) -> int:
        """Read decimal digits; ``_`` may separate thousands."""
        try:
            return self._bounded(int(text), text)
        except ValueError:
            raise self.refusal(text) from None

    def accept(self, value: object) -> int:
        """Take an int, or its digits."""
        if isinstance(value, int) and not isinstance(value, bool):
            return self._bounded(value, value)
        return self.read(text_of(self, value))

    def _bounded(self, number: int, given: object) -> int:
        if number < self.minimum or (self.maximum is not None and number > self.maximum):
            raise self.refusal(given)
        return number

    def refusal(self, value: object) -> ValueError:
        """Name the bounds."""
        return ValueError(f"{value!r} is not possible; {self.expected}")


class Workers(Whole):
    """A number of worker processes, or ``auto``: one for each core this process may use."""

    unit = "number of workers"
    metavar = "N|auto"

    def __init__(self) -> None:
        """Bound it to what a mistyped port would exceed."""
        super().__init__(0, 1024)
        self.expected = "write a number from 0 to 1024, or auto"

    def read(self, text: str) -> int:
        """Read digits or ``auto``."""
        return available_cores() if text.lower() == "auto" else super().read(text)


class Seconds(Kind["float | None"]):
    """A span of time; 0 switches it off, which is ``None`` inside."""

    unit = "seconds"
    metavar = "SECONDS"
    expected = "write a number of seconds such as 30 or 0.5, or 0 for no limit"

    def __init__(self, at_least: float = 0.0) -> None:
        """Remember the shortest span that makes sense."""
        self._at_least = at_least
        if at_least:
            self.expected = f"write at least {at_least:g} seconds, or 0 for no limit"

    def read(self, text: str) -> float | None:
        """Read a decimal number."""
        if text.lower() in NOTHING - {""}:
            return None
        try:
            number = float(text)
        except ValueError:
            raise self.refusal(text) from None
        return self._span(number, text)

    def accept(self, value: object) -> float | None:
        """Take a number, ``None`` or ``False``."""
        if value is None or value is False:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._span(float(value), value)
        return self.read(text_of(self, value))

    def _span(self, number: float, given: object) -> float | None:
        if not math.isfinite(number) or (number < self._at_least and number != 0):
            raise self.refusal(given)
        return number or None

    def refusal(self, value: object) -> ValueError:
        """Say what a span of time looks like."""
        return ValueError(f"{value!r} is not a time; {self.expected}")

    def show(self, value: float | None) -> str:
        """Return the number, 0 when it is off."""
        return "0" if value is None else f"{value:g}"

    def native(self, value: float | None) -> object:
        """Return the number, 0 when it is off."""
        return 0.0 if value is None else value


class Texts(Kind["tuple[str, ...]"]):
    """Several texts of one sort; subclasses say which."""

    repeatable = True

    @abstractmethod
    def one(self, text: str) -> str:
        """Check one of them and return it as it is kept. Raises ValueError."""

    def read(self, text: str) -> tuple[str, ...]:
        """Read texts separated by commas, or ``none``."""
        if text.lower() in NOTHING:
            return ()
        return tuple(self.one(part.strip()) for part in text.split(",") if part.strip())

    def accept(self, value: object) -> tuple[str, ...]:
        """Take text or a sequence of texts."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self.one(text_of(self, item)) for item in value)
        return self.read(text_of(self, value))

    def show(self, value: tuple[str, ...]) -> str:
        """Return the texts, separated by commas, or ``none``."""
        return ",".join(value) or "none"

    def native(self, value: tuple[str, ...]) -> object:
        """Return a list."""
        return list(value)


class Origins(Texts):
    """Origins of web pages (RFC 6454 §6.1), one or several."""

    unit = "list of origins"
    metavar = "ORIGIN"
    expected = "write scheme://host or scheme://host:port, without a path"

    def one(self, text: str) -> str:
        """Compare with the form of an origin."""
        if text != "null" and _ORIGIN.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not an origin; {self.expected}")
        return text.lower()


_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@,\s]+")

_POWERS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", 1):
    _POWERS |= dict.fromkeys((_letter, _letter + "b"), 1000**_power)
    _POWERS |= dict.fromkeys((_letter + "i", _letter + "ib"), 1024**_power)


class Size(Kind[int]):
    """A number of bytes; ``k``, ``kB``, ``MB`` count in 1000, ``KiB``, ``MiB`` in 1024."""

    unit = "bytes"
    metavar = "SIZE"
    expected = "write a number of bytes, or one with a unit: 64KiB, 10MB"

    def __init__(self, minimum: int = 0, maximum: int | None = None) -> None:
        """Remember the sizes that make sense."""
        self.minimum, self.maximum = minimum, maximum

    def read(self, text: str) -> int:
        """Read a number with an optional unit, whatever its case."""
        number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        unit = text.strip()[len(number) :].lower()
        try:
            size = float(number) * _POWERS[unit]
        except (KeyError, ValueError):
            raise self.refusal(text) from None
        if not math.isfinite(size) or size != int(size):
            raise self.refusal(text)
        return self._bounded(int(size), text)

    def accept(self, value: object) -> int:
        """Take an int, or text with a unit."""
        if isinstance(value, int) and not isinstance(value, bool):
            return self._bounded(value, value)
        return self.read(text_of(self, value))

    def _bounded(self, size: int, given: object) -> int:
        if size < 0:
            raise self.refusal(given)
        if size < self.minimum:
            raise ValueError(f"{given!r} is too small; the least that works is {self.minimum}")
        if self.maximum is not None and size > self.maximum:
            raise ValueError(f"{given!r} is too large; the most that works is {self.maximum}")
        return size

    def refusal(self, value: object) -> ValueError:
        """Say what a size looks like."""
        return ValueError(f"{value!r} is not a size; {self.expected}")


class SizeOrNone(Kind["int | None"]):
    """A number of bytes; 0 means no limit, which is ``None`` inside."""

    unit = "bytes"
    metavar = "SIZE"
    expected = "write a number of bytes, or one with a unit: 64KiB, 10MB; 0 for no limit"

    def read(self, text: str) -> int | None:
        """Read as `Size` does."""
        return None if text.lower() in NOTHING - {""} else Size().read(text) or None

    def accept(self, value: object) -> int | None:
        """Take an int, ``None``, ``False`` or text."""
        if value is None or value is False:
            return None
        return self.read(value) if isinstance(value, str) else Size().accept(value) or None

    def show(self, value: int | None) -> str:
        """Return the number, 0 when there is no limit."""
        return "0" if value is None else str(value)

    def native(self, value: int | None) -> object:
        """Return the number, 0 when there is no limit."""
        return 0 if value is None else value


def nearest(word: str, words: Sequence[str], cutoff: float = 0.6) -> str | None:
    """Return the one of ``words`` that ``word`` is most likely a misspelling of."""
    from difflib import get_close_matches  # only a mistake pays for the import

    found = get_close_matches(word, words, 1, cutoff)
    return found[0] if found else None


def text_of(kind: Kind[Any], value: object) -> str:
    """Return ``value`` if it is text; else raise the refusal of ``kind``."""
    if isinstance(value, str):
        return value
    raise kind.refusal(value)


def available_cores() -> int:
    """Return how many processor cores this process may use, at least one.

    In a container that is often less than there are: its share of time is limited.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS, not on Windows
        return os.cpu_count() or 1
    return min(cores, _time_share("/sys/fs/cgroup/cpu.max"))


_UNLIMITED = 1 << 20


def _time_share(path: str) -> int:
    """Return how many cores' time the control group gets (cgroup v2), rounded up."""
    try:
        with open(path, encoding="ascii") as file:
            quota, period = file.read().split()
        return _UNLIMITED if quota == "max" else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return _UNLIMITED
