"""``-e CODE``: an application written on the command line."""

from __future__ import annotations

import ast
from typing import Any

from pagi.cli.errors import LoadError, one_line
from pagi.cli.importing import import_module

__all__ = ["evaluate"]


def evaluate(code: str, modules: tuple[str, ...] = ()) -> Any:
    """Run ``code`` and return its application.

    That is the value of the last statement if it is an expression (and not None), else what the
    name ``app`` or ``application`` holds. ``modules`` are imported first: ``module``, or
    ``module=name,name`` for names from it.

    Raises:
        LoadError: the code failed, or left no application.
    """
    names: dict[str, Any] = {"__name__": "pagi_command_line"}
    for module in modules:
        _bring(module, names)
    tree = _parsed(code)
    last = ast.Expression(ast.Constant(None))
    if tree.body and isinstance(end := tree.body[-1], ast.Expr):
        last.body = end.value
        del tree.body[-1]
    try:
        exec(compile(tree, "-e", "exec"), names)
        value = eval(compile(ast.fix_missing_locations(last), "-e", "eval"), names)
    except (Exception, SystemExit) as error:
        raise LoadError(f"the code of -e failed: {one_line(error)}{_line(error)}") from error
    if value is None:
        value = names.get("app", names.get("application"))
    if value is None:
        raise LoadError(
            "the code of -e leaves no application; end it with the application, "
            "or give it the name app"
        )
    return value


def _bring(module: str, names: dict[str, Any]) -> None:
    name, equals, wanted = module.partition("=")
    found = import_module(name)
    if not equals:
        top = name.partition(".")[0]
        names[top] = import_module(top)
        return
    for item in filter(None, wanted.split(",")):
        if not hasattr(found, item):
            raise LoadError(f"{name} has no {item!r}, which -M {module} asks for")
        names[item] = getattr(found, item)


def _parsed(code: str) -> ast.Module:
    try:
        return ast.parse(code, "-e")
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        line = f":{error.lineno}" if error.lineno else ""
        raise LoadError(f"-e{line}: SyntaxError: {error.msg}{text}") from None
    except ValueError as error:  # a NUL character, which is a SyntaxError in later versions
        raise LoadError(f"-e: SyntaxError: {error}") from None


def _line(error: BaseException) -> str:
    number = 0
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "-e":
            number = traceback.tb_lineno
        traceback = traceback.tb_next
    return f" (at line {number})" if number else ""
