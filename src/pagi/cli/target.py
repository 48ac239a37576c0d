"""`Target`: which application the command line names, and `Loader`: getting hold of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pagi.cli.errors import LoadError, UsageError, location, one_line
from pagi.cli.evaluate import evaluate
from pagi.cli.importing import import_file, import_module
from pagi.cli.shape import as_application
from pagi.interface.callables import App
from pagi.server.config.kinds import nearest

__all__ = ["Loader", "Target"]

_USUAL_NAMES = ("app", "application")
_USUAL_FACTORIES = ("create_app", "make_app", "build_app", "get_app", "create_application")


@dataclass(frozen=True, slots=True)
class Target:
    """A file or a module, and the attribute in it.

    Attributes:
        where: path of the file or dotted name of the module.
        attribute: dotted name in it; empty: one of the usual names.
        is_file: whether ``where`` is a path.
    """

    where: str
    attribute: str
    is_file: bool

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``module:attr``, ``module``, ``path/to/file.py:attr`` or ``path/to/file.py``.

        Raises:
            UsageError: the text is none of these.
        """
        where, colon, attribute = text.rpartition(":")
        if not colon:
            where, attribute = text, ""
        elif not where or not _is_dotted(attribute):
            raise UsageError(
                f"{text!r} does not name an application; write module:attribute, "
                "such as main:app, or path/to/file.py"
            )
        is_file = where.endswith(".py") or "/" in where or os.sep in where
        if not is_file and not _is_dotted(where):
            if os.path.isfile(where):
                return cls(where, attribute, True)
            raise UsageError(
                f"{where!r} is no module name; write it with dots (package.module:attribute), "
                "or name the file: path/to/file.py"
            )
        return cls(where, attribute, is_file)

    def __str__(self) -> str:
        return f"{self.where}:{self.attribute}" if self.attribute else self.where


@dataclass(slots=True)
class Loader:
    """How to get the application; calling it loads it.

    Attributes:
        target: what to load; ``None`` when ``code`` says it.
        code: source for ``-e``.
        modules: ``module`` or ``module=name,name`` to import before ``code``.
        factory: call the attribute and serve what it returns.
        arguments: keyword arguments for the factory.
        app_dir: directory to import from; ``None`` is the current one, or the file's own.
        libraries: further directories to import from, searched first.
    """

    target: Target | None = None
    code: str | None = None
    modules: tuple[str, ...] = ()
    factory: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict)
    app_dir: str | None = None
    libraries: tuple[str, ...] = ()

    def __call__(self) -> App:
        """Import and return the application.

        Raises:
            LoadError: it cannot be had; the text says why and what to do.
            UsageError: arguments were given and nothing takes them.
        """
        self._prepare_path()
        if self.code is not None:
            name, found = "-e", evaluate(self.code, self.modules)
        else:
            name, found = self._find()
        return as_application(name, self._made(name, found))

    def _prepare_path(self) -> None:
        directory = self.app_dir or "."
        wanted = [*self.libraries, directory]
        for path in wanted:
            if not os.path.isdir(path):
                raise LoadError(f"{path!r} is not a directory; check --app-dir and --lib")
        for path in reversed([os.path.abspath(path) for path in wanted]):
            if path not in sys.path[: len(wanted)]:
                sys.path.insert(0, path)

    def _find(self) -> tuple[str, Any]:
        assert self.target is not None
        target = self.target
        module = import_file(target.where) if target.is_file else import_module(target.where)
        if target.attribute:
            return str(target), _attribute(module, target)
        for name in _USUAL_NAMES:
            if hasattr(module, name):
                return f"{target.where}:{name}", getattr(module, name)
        for name in _USUAL_FACTORIES:
            if callable(getattr(module, name, None)):
                if self.factory:
                    return f"{target.where}:{name}", getattr(module, name)
                raise LoadError(
                    f"{target.where} has no app, but a factory {name}; "
                    f"write {target.where}:{name} --factory"
                )
        raise LoadError(_nothing_usual(module, target))

    def _made(self, name: str, found: Any) -> Any:
        wants_arguments = isinstance(found, type) and hasattr(found, "to_app")
        if not self.factory and not wants_arguments:
            if self.arguments:
                key = next(iter(self.arguments))
                raise UsageError(
                    f"{key}=… is an argument for a factory, but {name} is served as it is; "
                    "add --factory, or leave the argument away"
                )
            return found
        if not callable(found):
            raise LoadError(f"{name} is no factory: it cannot be called; leave --factory away")
        return _call(name, found, self.arguments)


def _call(name: str, factory: Any, arguments: Mapping[str, str]) -> Any:
    try:
        made = factory(**arguments)
    except (Exception, SystemExit) as error:
        where = location(error)
        at = f" (at {where})" if where else ""
        raise LoadError(f"the factory {name} failed: {one_line(error)}{at}") from error
    if hasattr(made, "__await__"):
        getattr(made, "close", lambda: None)()
        raise LoadError(f"the factory {name} is a coroutine function; make it a plain one")
    return made


def _attribute(module: Any, target: Target) -> Any:
    found = module
    seen = target.where
    for name in target.attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise LoadError(f"{seen} has no {name!r}{_similar(found, name)}") from None
        seen = f"{seen}{':' if found is module or ':' not in seen else '.'}{name}"
    return found


def _similar(holder: Any, name: str) -> str:
    names = (
        [n for n in vars(holder) if not n.startswith("_")] if hasattr(holder, "__dict__") else []
    )
    guess = nearest(name, names)
    if guess:
        return f"; did you mean {guess!r}?"
    return _candidates(holder)


def _candidates(module: Any) -> str:
    """Name what in ``module`` looks like an application: callable, and made there."""
    home = getattr(module, "__name__", None)
    apps = [
        name
        for name, value in getattr(module, "__dict__", {}).items()
        if not name.startswith("_")
        and callable(value)
        and not isinstance(value, type)
        and (getattr(value, "__module__", home) == home or not hasattr(value, "__name__"))
    ]
    if not apps:
        return "; nothing in it looks like an application"
    return f"; what could be meant: {', '.join(apps[:5])}"


def _nothing_usual(module: Any, target: Target) -> str:
    usual = " nor ".join(_USUAL_NAMES)
    return f"{target.where} has neither {usual}{_candidates(module)}"


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
