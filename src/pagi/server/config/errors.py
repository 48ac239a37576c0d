"""The error of this package.

Exception
└── ValueError
    └── ConfigError      one or several options are unknown, impossible or in conflict
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ConfigError"]


class ConfigError(ValueError):
    """The configuration cannot be used.

    Attributes:
        problems: one line for each mistake, all of them, each with its remedy.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
