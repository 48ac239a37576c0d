"""The places options are read from: keywords or flags, environment, file.

Each reader returns a `Layer` and adds what is wrong to a list of problems, so that all mistakes
are told at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from pagi.server.config.catalogue import OPTION_NAMES, OPTIONS
from pagi.server.config.kinds import nearest
from pagi.server.config.option import Option

__all__ = ["Entry", "Layer", "find_file", "read_environment", "read_file", "read_given"]

#: ``PAGI_…`` variables that are no options.
_OTHER_VARIABLES = frozenset({"PAGI_PURE_PYTHON"})
#: A variable this like an option's is taken for a misspelling; one less alike may be another's.
_VARIABLE_CUTOFF = 0.8


class Entry(NamedTuple):
    """A checked value and where it came from."""

    value: Any
    source: str


Layer: TypeAlias = dict[str, Entry]


def read_given(
    given: Mapping[str, object], labels: Mapping[str, str], problems: list[str]
) -> Layer:
    """Read keywords, or flags when ``labels`` names the flag for each of them."""
    layer: Layer = {}
    for name, value in given.items():
        option = OPTION_NAMES.get(name)
        if option is None:
            problems.append(_unknown("option", name, tuple(OPTION_NAMES)))
            continue
        label = labels.get(name, "keyword")
        _enter(layer, option, value, label, problems)
    return layer


def read_environment(environ: Mapping[str, str], problems: list[str], notes: list[str]) -> Layer:
    """Read the ``PAGI_…`` variables.

    A name that is nearly an option's is a problem. Any other is only a note: containers and
    orchestrators put variables of their own there.
    """
    layer: Layer = {}
    options = {variable: o for o in OPTIONS.values() for variable in o.variables}
    for variable in sorted(environ):
        option = options.get(variable)
        if option is not None:
            _enter(layer, option, environ[variable], variable, problems)
        elif variable.startswith("PAGI_") and variable not in _OTHER_VARIABLES:
            # Without the prefix, which would make all of them alike.
            guess = nearest(variable[5:], tuple(v[5:] for v in options), _VARIABLE_CUTOFF)
            if guess:
                problems.append(f"unknown variable {variable}; did you mean PAGI_{guess}?")
            else:
                notes.append(f"{variable} is no option of this server and was left alone")
    return layer


def find_file(directory: str) -> str | None:
    """Return ``pagi.toml``, or ``pyproject.toml`` if it has a table ``[tool.pagi]``, or None."""
    path = os.path.join(directory, "pagi.toml")
    if os.path.isfile(path):
        return path
    path = os.path.join(directory, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            # Parsing takes milliseconds that most projects would pay for nothing.
            return path if b"pagi" in file.read() and _has_table(path) else None
    except OSError:
        return None


def read_file(path: str, problems: list[str]) -> Layer:
    """Read a TOML file; of a ``pyproject.toml`` the table ``[tool.pagi]``."""
    label = os.path.relpath(path) if os.path.isabs(path) and _is_below(path) else path
    table = _table(path, label, problems)
    layer: Layer = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        option = OPTION_NAMES.get(name)
        if option is not None and option.declared.in_file:
            _enter(layer, option, value, label, problems, in_file=True)
        elif option is not None:
            problems.append(f"{label}: {key!r} cannot be set in the file; use {option.flags[0]}")
        elif isinstance(value, dict):
            problems.append(f"{label}: [{key}] is unknown; write the options without sections")
        else:
            names = tuple(n for n, o in OPTION_NAMES.items() if o.declared.in_file)
            problems.append(f"{label}: " + _unknown("option", key, names))
    return layer


def _enter(
    layer: Layer,
    option: Option,
    value: object,
    label: str,
    problems: list[str],
    *,
    in_file: bool = False,
) -> None:
    origin = "" if label == "keyword" else f" (from {label})"
    if option.name in layer:
        other = layer[option.name].source
        problems.append(f"{option.name}: given twice, by {other} and by {label}; leave one away")
        return
    try:
        accept = option.kind.accept_file if in_file else option.kind.accept
        layer[option.name] = Entry(accept(value), label)
    except ValueError as error:
        problems.append(f"{option.name}: {error}{origin}")


def _unknown(what: str, name: str, names: tuple[str, ...]) -> str:
    guess = nearest(name.replace("-", "_"), names)
    hint = f"did you mean {guess!r}?" if guess else "'pagi run --help' lists all of them"
    return f"unknown {what} {name!r}; {hint}"


def _table(path: str, label: str, problems: list[str]) -> dict[str, Any]:
    import tomllib  # only where there is a file

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        problems.append(f"{label}: {reason}; name another file, or --no-config for none")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{label}: not valid TOML: {error}")
        return {}
    if os.path.basename(path) != "pyproject.toml":
        return document
    table = document.get("tool", {}).get("pagi")
    if isinstance(table, dict):
        return table
    problems.append(f"{label}: has no table [tool.pagi]; add one, or name another file")
    return {}


def _has_table(path: str) -> bool:
    import tomllib

    try:
        with open(path, "rb") as file:
            return isinstance(tomllib.load(file).get("tool", {}).get("pagi"), dict)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return True  # read_file will say what is wrong with it


def _is_below(path: str) -> bool:
    return path.startswith(os.path.join(os.getcwd(), ""))
