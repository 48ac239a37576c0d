"""The slice `Development`: when the application is loaded anew."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.

from __future__ import annotations

from dataclasses import dataclass

from pagi.server.config.kinds import Switch, Texts
from pagi.server.config.option import option

__all__ = ["Development", "Words"]


class Words(Texts):
    """Paths or patterns, one or several."""

    metavar = "TEXT"

    def __init__(self, unit: str, metavar: str) -> None:
        """Remember what the words are."""
        self.unit = f"list of {unit}"
        self.metavar = metavar
        self.expected = f"write {unit}, separated by commas"

    def one(self, text: str) -> str:
        """Refuse what holds characters that nothing is called by."""
        if not text or any(c < " " or c == "\x7f" for c in text):
            raise self.refusal(text)
        return text


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
