"""The shape of the code: imports go down only, machines do no I/O, functions are short."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

#: From the lowest to the highest; a module may import lower layers and its own.
LAYERS = [
    "pagi._build",
    "pagi.interface",
    "pagi.protocol",
    "pagi.server.errors",
    "pagi.server.config",
    "pagi.server.exchange",
    "pagi.server.connection",
    "pagi.server.worker",
    "pagi.server.supervisor",
    "pagi.server.api",
    "pagi.cli",
    "pagi.__main__",
]
#: Functions that are longer than the rest may be, and why.
LONG_FUNCTIONS = {
    ("pagi.protocol.http1._head_py", "_parse"): "the loop over fields: a call each would cost more",
}
SANS_IO_FORBIDDEN = {"asyncio", "socket", "ssl", "time", "logging", "random", "select", "threading"}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((SOURCE / "pagi").rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Absolute names of all that a file imports, also inside functions and for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names.add(base)
            names.update(
                f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in MODULES
            )
    return names


def layer(name: str) -> int:
    ranks = [
        rank
        for rank, prefix in enumerate(LAYERS)
        if name == prefix or name.startswith(prefix + ".")
    ]
    assert ranks, f"{name} belongs to no layer"
    return ranks[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("pagi", "pagi.server")])
def test_imports_go_down_only(name: str) -> None:
    for imported in imports(MODULES[name]):
        if imported in ("pagi", "pagi.server") or not imported.startswith("pagi"):
            continue
        assert layer(imported) <= layer(name), f"{name} imports {imported}"


def test_no_import_cycle() -> None:
    graph = {
        name: {other for other in imports(path) if other in MODULES and other != name}
        for name, path in MODULES.items()
        if name != "pagi"
    }
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        assert name not in trail, " → ".join([*trail, name])
        if name in done or name not in graph:
            return
        for other in sorted(graph[name]):
            visit(other, [*trail, name])
        done.add(name)

    for name in graph:
        visit(name, [])


def test_protocol_is_sans_io() -> None:
    for name, path in MODULES.items():
        if name.startswith("pagi.protocol"):
            roots = {imported.partition(".")[0] for imported in imports(path)}
            assert not roots & SANS_IO_FORBIDDEN, name


def test_every_module_imports_alone() -> None:
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [key for key in sys.modules if key.startswith('pagi')]:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    names = [name for name in MODULES if name != "pagi.__main__"]
    environment = {"PAGI_PURE_PYTHON": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_importing_pagi_loads_nothing() -> None:
    program = (
        "import sys, pagi\n"
        "print([name for name in sys.modules if name.startswith(('pagi.', 'asyncio'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_files_and_functions_are_short(name: str) -> None:
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= 500, name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            if (name, node.name) in LONG_FUNCTIONS:
                continue
            assert node.end_lineno - node.lineno < 60, f"{name}: {node.name} is too long"


@pytest.mark.parametrize("name", MODULES)
def test_public_things_are_documented(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    assert ast.get_docstring(tree) is not None or MODULES[name].name == "__init__.py", name
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}.{node.name}"
            for member in node.body:
                if isinstance(
                    member, (ast.FunctionDef, ast.AsyncFunctionDef)
                ) and not member.name.startswith("_"):
                    assert ast.get_docstring(member), f"{name}.{node.name}.{member.name}"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.name.startswith("_") or ast.get_docstring(node), f"{name}.{node.name}"


def test_few_ignores_and_no_loose_ends() -> None:
    text = "\n".join(path.read_text() for path in MODULES.values())
    lines = len(text.splitlines())
    assert text.count("type: ignore") <= max(8, lines // 500)
    assert "type: ignore\n" not in text, "an ignore needs a code and a reason"
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in text, word
