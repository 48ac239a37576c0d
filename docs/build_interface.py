"""Write ``reference/interface.md`` from the docstrings of ``pagi.interface``.

python docs/build_interface.py            write the page
python docs/build_interface.py --check    fail if the page is not what would be written
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PAGE = HERE / "reference" / "interface.md"
SOURCE = HERE.parent / "src" / "pagi" / "interface"

INTRODUCTION = """\
# Interface

<!-- Made by docs/build_interface.py from the docstrings of pagi.interface; do not edit. -->

The shapes of what passes between server and application. The [specification](../spec/index.md) says
how they behave. For type checkers they are `TypedDict` classes in `pagi.interface.scopes` and
`pagi.interface.messages`; at run time they are plain dicts.

An application is `async def app(scope, receive, send)`.

WebSocket and event-stream scopes belong to the interface, but this version of the server does not
offer them yet: it calls applications with scopes of type `http` and `lifespan`.
"""

HANDLES = {
    "ConnectionHandle": 'scope["pagi.connection"]',
    "TransportHandle": 'scope["pagi.transport"]',
}


class Key(NamedTuple):
    """One key of a scope or message."""

    name: str
    type: str
    optional: bool
    text: str


def parse(module: str) -> list[ast.stmt]:
    """Read the statements of a module of the interface."""
    return ast.parse((SOURCE / f"{module}.py").read_text(encoding="utf-8")).body


def sentences(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into its text and the texts of its keys."""
    text, _, keys = docstring.partition("Keys:")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in keys.splitlines():
        if match := re.match(r" +([a-z_0-9.]+(?:, [a-z_0-9.]+)*): (.*)", line):
            names = match[1].split(", ")
            found.update(dict.fromkeys(names, match[2]))
        elif line.strip():
            for name in names:
                found[name] += " " + line.strip()
    return as_markdown(text), {name: as_markdown(said) for name, said in found.items()}


def as_markdown(text: str) -> str:
    """Turn the markup of docstrings into Markdown."""
    text = re.sub(r"`?``(.+?)``", r"`\1`", " ".join(text.split()))
    return text.replace("|", "\\|")


def keys_of(node: ast.ClassDef, bases: dict[str, ast.ClassDef]) -> Iterator[Key]:
    """Yield the keys of a class, those of its documented base first."""
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in bases:
            yield from keys_of(bases[base.id], bases)
    _, texts = sentences(ast.get_docstring(node, clean=False) or "")
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = ast.unparse(statement.annotation)
            bare = kind.removeprefix("NotRequired[")
            optional = bare != kind
            name = statement.target.id
            yield Key(name, bare[:-1] if optional else bare, optional, texts.get(name, ""))
    if node.name == "_RequestScope":
        for name in ("pagi.connection", "pagi.transport"):
            yield Key(
                name,
                "ConnectionHandle" if "conn" in name else "TransportHandle",
                False,
                texts[name],
            )


def table(keys: list[Key]) -> str:
    """Lay keys out as a table."""
    rows = ["| Key | Type | Meaning |", "| --- | --- | --- |"]
    for key in keys:
        mark = " (optional)" if key.optional else ""
        kind = key.type.replace("|", "\\|").replace("'", '"')
        rows.append(f"| `{key.name}`{mark} | `{kind}` | {key.text} |")
    return "\n".join(rows)


def classes(module: str) -> dict[str, ast.ClassDef]:
    """Find the classes of a module by name."""
    return {node.name: node for node in parse(module) if isinstance(node, ast.ClassDef)}


def type_of(node: ast.ClassDef) -> str:
    """Find the value of the key ``type``, or an empty text."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "type":
            return str(ast.literal_eval(ast.unparse(statement.annotation)[len("Literal[") : -1]))
    return ""


def scope_sections() -> Iterator[str]:
    """Describe each scope."""
    found = classes("scopes")
    for node in found.values():
        if kind := type_of(node):
            text, _ = sentences(ast.get_docstring(node, clean=False) or "")
            keys = [key for key in keys_of(node, found) if key.name != "type"]
            yield f"### Scope `{kind}`\n\n{text}\n\nTyped as `{node.name}`.\n\n{table(keys)}"
    for name, title in (("ASGIInfo", "asgi"), ("LifespanInfo", "pagi"), ("TLSInfo", "tls")):
        node = found[name]
        text, _ = sentences(ast.get_docstring(node, clean=False) or "")
        yield f"### `{title}`\n\n{text}\n\n{table(list(keys_of(node, found)))}"


def message_sections() -> Iterator[str]:
    """Describe each message, with headings from the comments that divide the module."""
    source = (SOURCE / "messages.py").read_text(encoding="utf-8")
    headings = [
        (source[: match.start()].count("\n"), match[1])
        for match in re.finditer(r"^# --- (.+?) -+$", source, re.MULTILINE)
    ]
    found = classes("messages")
    for node in found.values():
        while headings and headings[0][0] < node.lineno:
            yield f"## Messages: {headings.pop(0)[1]}"
        text, _ = sentences(ast.get_docstring(node, clean=False) or "")
        keys = [key for key in keys_of(node, found) if key.name != "type"]
        body = f"\n\n{table(keys)}" if keys else ""
        yield f"### `{type_of(node)}`\n\n{text}\n\nTyped as `{node.name}`.{body}"


def handle_sections() -> Iterator[str]:
    """Describe the two objects of a scope."""
    for node in classes("handles").values():
        text, _ = sentences(ast.get_docstring(node, clean=False) or "")
        rows = ["| Member | Meaning |", "| --- | --- |"]
        for member in node.body:
            if isinstance(member, ast.FunctionDef):
                said = as_markdown(ast.get_docstring(member) or "")
                rows.append(f"| `{signature(member)}` | {said} |")
        said_text = text.partition(": ")[2]
        yield (
            f"## `{HANDLES[node.name]}`\n\n{said_text[:1].upper()}{said_text[1:]}\n\n"
            + "\n".join(rows)
        )


def signature(member: ast.FunctionDef) -> str:
    """Write a member as it is used."""
    returns = ast.unparse(member.returns) if member.returns else "None"
    returns = returns.replace("|", "\\|")
    if any(ast.unparse(decorator) == "property" for decorator in member.decorator_list):
        return f"{member.name}: {returns}"
    del member.args.args[0]
    arguments = ast.unparse(member.args).replace("|", "\\|")
    return f"{member.name}({arguments}) -> {returns}"


def page() -> str:
    """Make the whole page."""
    sections = [INTRODUCTION.rstrip(), "## Scopes", *scope_sections(), *handle_sections()]
    return "\n\n".join([*sections, *message_sections()]) + "\n"


def main() -> int:
    """Write or check the page."""
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"{PAGE} is not up to date; run: python docs/build_interface.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
