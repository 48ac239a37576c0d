"""`Watched`: which files are watched. Policy only: it is asked about names.

A file is watched if it matches a pattern and lies in no directory that is left out. A pattern
without a slash is compared with names, one with a slash with paths from the watched directory on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from pagi.server.config.development import Development
from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["EXCLUDED", "INCLUDED", "Watched"]

#: Python, templates, and our own configuration.
INCLUDED: Final = (
    "*.py",
    "*.html",
    "*.jinja",
    "*.jinja2",
    "*.j2",
    "*.mako",
    "pagi.toml",
    "pyproject.toml",
)
#: Hidden files and directories such as .git and .venv, and what tools make. Virtual environments
#: of other names are known by what is in them.
EXCLUDED: Final = (".*", "__pycache__", "node_modules")
_ENVIRONMENT: Final = "pyvenv.cfg"


class Watched:
    """Directories, and patterns of the files in them.

    Args:
        directories: with everything below them.
        include: patterns beside `INCLUDED`; they also find hidden files.
        exclude: patterns beside `EXCLUDED`, of files and directories; they go before the others.

    Attributes:
        directories: absolute paths, without symbolic links.

    Raises:
        StartError: a directory is none.
    """

    def __init__(
        self,
        directories: Sequence[str],
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> None:
        for directory in directories:
            if not os.path.isdir(directory):
                raise StartError(
                    f"reload_dir: {directory!r} is not a directory; name one that holds files "
                    "of the application",
                    EXIT_CONFIGURATION,
                )
        self.directories = tuple(dict.fromkeys(map(os.path.realpath, directories)))
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._entered: dict[str, bool] = dict.fromkeys(self.directories, True)

    @classmethod
    def of(cls, settings: Development) -> Watched:
        """Make it as configured."""
        directories = settings.reload_dir or (".",)
        return cls(directories, settings.reload_include, settings.reload_exclude)

    def takes(self, path: str) -> bool:
        """Tell whether a file is watched."""
        name = os.path.basename(path)
        if self._matches(self._exclude, path, name) or not self.enters(os.path.dirname(path)):
            return False
        if self._matches(self._include, path, name):
            return True
        return _is_one_of(INCLUDED, name) and not _is_one_of(EXCLUDED, name)

    def enters(self, directory: str) -> bool:
        """Tell whether files in a directory may be watched."""
        known = self._entered.get(directory)
        if known is None:
            known = self._entered[directory] = self._enters(directory)
        return known

    def _enters(self, directory: str) -> bool:
        above, name = os.path.split(directory)
        if not name or above == directory:  # outside of all that is watched
            return False
        if self._matches((*EXCLUDED, *self._exclude), directory, name):
            return False
        return self.enters(above) and not os.path.exists(os.path.join(directory, _ENVIRONMENT))

    def _matches(self, patterns: Sequence[str], path: str, name: str) -> bool:
        return any(
            fnmatchcase(name, pattern)
            if "/" not in pattern
            else any(fnmatchcase(inside, pattern.strip("/")) for inside in self._inside(path))
            for pattern in patterns
        )

    def _inside(self, path: str) -> Iterator[str]:
        """Yield the path as it is seen from the directories that it is in."""
        for directory in self.directories:
            start = os.path.join(directory, "")
            if path.startswith(start):
                yield path.removeprefix(start).replace(os.sep, "/")

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Yield all files that are watched now. What cannot be read is left out."""
        waiting = list(self.directories)
        seen: set[str] = set()
        while waiting:
            directory = waiting.pop()
            if directory in seen:
                continue
            seen.add(directory)
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            if self.enters(entry.path):
                                waiting.append(entry.path)
                        elif self.takes(entry.path):
                            yield entry
            except OSError:
                continue


def _is_one_of(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
