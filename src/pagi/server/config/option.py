"""`Option`: everything there is to know about one setting, stated once.

A slice (`pagi.server.config.settings`) states an option as the default of a dataclass field; the
flag, the variable, the key of the file, the keyword, the check and the reference page follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, NamedTuple, TypeVar

from pagi.server.config.kinds import Kind

__all__ = ["Declaration", "Option", "declaration", "option"]

_T = TypeVar("_T")

#: The key under which a dataclass field carries its `Declaration`.
_KEY = "pagi"


class Declaration(NamedTuple):
    """What a field says about its option, beside name, type and default.

    Attributes:
        kind: how a value is read, checked and shown.
        help: one sentence; the first words say what the value is.
        aliases: further names, valid in every place (names of other servers, of the reference).
        short: one-letter flag without the dash.
        flags: the long flags instead of those made from name and aliases.
        off_flag: a flag that switches the option off, such as ``--no-access-log``.
        derive: computes the default from the other values, when it is not a constant.
        derived: says in words what ``derive`` does.
        in_file: whether the configuration file may set it.
    """

    kind: Kind[Any]
    help: str
    aliases: tuple[str, ...] = ()
    short: str = ""
    flags: tuple[str, ...] = ()
    off_flag: str = ""
    derive: Callable[[Mapping[str, Any]], Any] | None = None
    derived: str = ""
    in_file: bool = True


class Option(NamedTuple):
    """One setting with its place in the configuration.

    Attributes:
        name: the name in Python, in the file and, upper case after ``PAGI_``, as a variable.
        slice_name: attribute of `Config` that holds the slice it is in.
        field: its attribute there.
        default: what it is when nobody says anything.
        declared: the rest.
    """

    name: str
    slice_name: str
    field: str
    default: Any
    declared: Declaration

    @property
    def kind(self) -> Kind[Any]:
        """How a value is read, checked and shown."""
        return self.declared.kind

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.declared.aliases)

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that set it, the proper one first."""
        return tuple("PAGI_" + name.upper() for name in self.names)

    @property
    def flags(self) -> tuple[str, ...]:
        """Command-line flags that set it, the proper one first."""
        long = self.declared.flags or tuple("--" + n.replace("_", "-") for n in self.names)
        return (*long, "-" + self.declared.short) if self.declared.short else long

    @property
    def default_text(self) -> str:
        """The default in words, for help and reference."""
        return self.declared.derived or self.kind.show(self.default)


def option(
    default: _T,
    kind: Kind[_T],
    help: str,
    **more: Any,
) -> _T:
    """State a dataclass field that is an option; ``more`` as in `Declaration`."""
    declared = Declaration(kind, help, **more)
    made: _T = field(default=default, metadata={_KEY: declared})
    return made


def declaration(metadata: Mapping[str, Any]) -> Declaration | None:
    """Return what `option` left in the metadata of a dataclass field."""
    return metadata.get(_KEY)
