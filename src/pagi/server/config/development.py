"""The slice `Development`: when the application is loaded anew."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pagi.server.config.kinds import NOTHING, Kind, Switch, text_of
from pagi.server.config.option import option

__all__ = ["Development", "Words"]


class Words(Kind["tuple[str, ...]"]):
    """Paths or patterns, one or several."""

    metavar = "TEXT"
    repeatable = True

    def __init__(self, unit: str, metavar: str) -> None:
        """Remember what the words are."""
        self.unit = f"list of {unit}"
        self.metavar = metavar
        self.expected = f"write {unit}, separated by commas"

    def read(self, text: str) -> tuple[str, ...]:
        """Read words separated by commas, or ``none``."""
        if text.lower() in NOTHING:
            return ()
        return tuple(self._one(part.strip()) for part in text.split(",") if part.strip())

    def accept(self, value: object) -> tuple[str, ...]:
        """Take text or a sequence of texts."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self._one(text_of(self, item)) for item in value)
        return self.read(text_of(self, value))

    def _one(self, text: str) -> str:
        if not text or any(c < " " or c == "\x7f" for c in text):
            raise self.refusal(text)
        return text

    def show(self, value: tuple[str, ...]) -> str:
        """Return the words, separated by commas, or ``none``."""
        return ",".join(value) or "none"

    def native(self, value: tuple[str, ...]) -> object:
        """Return a list."""
        return list(value)


@dataclass(frozen=True, slots=True)
class Development:
    """What ``pagi dev`` does: the application is loaded anew when its files change."""

    reload: bool = option(
        False, Switch(), "Load the application anew when its files change; for development."
    )
    reload_dir: tuple[str, ...] = option(
        (),
        Words("directories", "PATH"),
        "Directory whose files are watched; by default the current one, or that of --app-dir. "
        "Repeatable.",
    )
    reload_include: tuple[str, ...] = option(
        (),
        Words("patterns", "PATTERN"),
        "Pattern of files to watch, too, beside Python's and templates. Repeatable.",
    )
    reload_exclude: tuple[str, ...] = option(
        (),
        Words("patterns", "PATTERN"),
        "Pattern of files and directories not to watch, beside hidden ones, virtual environments "
        "and what tools make. Repeatable.",
    )
