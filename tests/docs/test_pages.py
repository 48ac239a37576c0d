"""Pages that are made from source are up to date, and the documentation has no dead ends."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PROSE = [
    *PAGES,
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "TENETS.md", "THREAT_MODEL.md")),
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_interface_page_is_what_the_docstrings_say() -> None:
    script: dict[str, Any] = runpy.run_path(str(DOCS / "build_interface.py"))
    written = (DOCS / "reference" / "interface.md").read_text(encoding="utf-8")

    assert script["page"]() == written, "run: python docs/build_interface.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_is_in_the_menu(page: Path) -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    assert f": {page.relative_to(DOCS)}\n" in menu


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]

    assert set(missing) <= {"benchmarks/RESULTS.md"}  # written by make bench


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_python_in_pages_parses(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        # Fragments may await outside of a function, as they do where they will be used.
        ast.parse("async def fragment():\n" + re.sub("^", "    ", code, flags=re.M))


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_prose_has_no_placeholders(page: Path) -> None:
    text = page.read_text(encoding="utf-8").lower()

    assert re.search(r"lorem ipsum|coming soon|\btbd\b|\btodo\b|\bfixme\b", text) is None


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_options_that_are_named_exist(page: Path) -> None:
    anchors = re.findall(r"settings\.md#([a-z_]+)\)", page.read_text(encoding="utf-8"))
    settings = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")

    assert [
        name for name in anchors if f"### {name}\n" not in settings and name != "timeouts"
    ] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_say_how_to_run_them(example: Path) -> None:
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""

    assert re.search(
        rf"Run it:  (pagi run examples\.{example.stem}:app|python examples/)", docstring
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_are_listed(example: Path) -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

    assert f"]({example.name})" in listed
