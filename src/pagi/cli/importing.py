"""Importing the application's module, by name or by path, with errors that say what to do."""

from __future__ import annotations

import os
import sys
from importlib import import_module as _import
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from pagi.cli.errors import LoadError, location, one_line, own_frames
from pagi.server.config.kinds import nearest

__all__ = ["import_file", "import_module"]


def import_module(name: str) -> ModuleType:
    """Import the module ``name``.

    Raises:
        LoadError: there is no such module, or its code failed.
    """
    try:
        return _import(name)
    except ModuleNotFoundError as error:
        if _is_absent(name, error):
            raise LoadError(_absent(name, error.name or name)) from None
        raise _failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from error


def import_file(path: str) -> ModuleType:
    """Import the file at ``path``; one inside a package as the module it is there.

    Raises:
        LoadError: there is no such file, or its code failed.
    """
    if os.path.isdir(path):
        raise LoadError(f"{path} is a directory; name the file in it, such as {path}/app.py")
    if not os.path.isfile(path):
        raise LoadError(_no_file(path))
    if not os.access(path, os.R_OK):
        raise LoadError(f"this user may not read {path}; change its mode, or who runs pagi")
    full = os.path.abspath(path)
    directory, name = os.path.dirname(full), os.path.splitext(os.path.basename(full))[0]
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, package = os.path.split(directory)
        name = f"{package}.{name}" if name != "__init__" else package
    if directory not in sys.path:
        sys.path.insert(0, directory)
    if "." in name:
        return import_module(name)
    return _run_file(path, full, name)


def _run_file(path: str, full: str, name: str) -> ModuleType:
    # A file app.py must not take the place of a module of that name which is loaded already.
    if name in sys.modules or not name.isidentifier():
        name = "pagi_application"
    spec = spec_from_file_location(name, full, loader=SourceFileLoader(name, full))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(path, error) from error
    return module


def _is_absent(name: str, error: ModuleNotFoundError) -> bool:
    """Tell whether the module itself is missing, and not one that it imports."""
    missing = error.name or ""
    return own_frames(error) is None and f"{name}.".startswith(f"{missing}.")


def _absent(name: str, missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    if parent and parent in sys.modules:
        package = sys.modules[parent]
        if not hasattr(package, "__path__"):
            return (
                f"the module {parent!r} is no package, so it has no {last!r}; "
                f"write {parent}:{last} for an attribute"
            )
        guess = nearest(last, _modules_in(list(package.__path__)))
        hint = f"did you mean {parent}.{guess}?" if guess else "check the spelling"
        return f"the package {parent!r} has no module {last!r}; {hint}"
    directory = sys.path[0] if sys.path else "."
    guess = nearest(missing, _modules_in([directory]))
    hint = f"did you mean {guess!r}?" if guess else "run from its directory, or use --app-dir"
    return f"there is no module {missing!r} (looked in {directory} and the Python path); {hint}"


def _modules_in(directories: list[str]) -> list[str]:
    names = []
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    stem, extension = os.path.splitext(entry.name)
                    if stem.isidentifier() and (extension == ".py" or entry.is_dir()):
                        names.append(stem)
        except OSError:
            continue
    return names


def _no_file(path: str) -> str:
    if os.path.isfile(path + ".py"):
        dotted = path.removeprefix("./").replace("/", ".")
        return f"there is no file {path}; did you mean {path}.py, or the module {dotted}?"
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        return f"there is no file {path}: no directory {directory}; check the path"
    files = [name + ".py" for name in _modules_in([directory])]
    guess = nearest(os.path.basename(path), files)
    hint = f"did you mean {os.path.join(os.path.dirname(path), guess)}?" if guess else ""
    return f"there is no file {path}; {hint or 'check the path'}"


def _failed(what: str, error: BaseException) -> LoadError:
    if isinstance(error, SyntaxError) and error.filename:
        text = (error.text or "").strip()
        line = f": {text}" if text else ""
        kind = type(error).__name__
        return LoadError(f"{error.filename}:{error.lineno}: {kind}: {error.msg}{line}")
    if isinstance(error, SystemExit):
        return LoadError(
            f"importing {what} ended the process (at {location(error)}: exit {error.code}); "
            'put that under if __name__ == "__main__":'
        )
    at = location(error)
    where = f" (at {at})" if at else ""
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"; install what provides {error.name!r}, or check the import"
    return LoadError(f"importing {what} failed: {one_line(error)}{where}{hint}")
