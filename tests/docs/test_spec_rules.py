"""Every rule of the specification is tied to a test, and every tie leads to a rule.

A rule stands in ``docs/spec/*.md`` as a paragraph that begins with ``**HTTP-12**``. A test is tied
to it by ``@pytest.mark.spec("HTTP-12")`` or by a comment ``# spec: HTTP-12, CORE-3``.

Every rule that binds this server has one; ``python tests/docs/test_spec_rules.py`` prints those
that have none.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "spec").glob("*.md"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

#: What a rule may be conditional on, and whether it then binds this server.
FEATURES = {"application": False, "proxies": True, "sse": True, "tls": False}
PREFIXES = {
    "core": "CORE",
    "extensions": "EXT",
    "http": "HTTP",
    "lifespan": "LIFE",
    "sse": "SSE",
    "tls": "TLS",
    "websocket": "WS",
}

_RULE = re.compile(r"^\*\*([A-Z]+-\d+)\*\*(?: \*\((\w+)\)\*)?(.*)", re.MULTILINE)
_IDENTIFIER = re.compile(r"\b(?:CORE|HTTP|LIFE|EXT|TLS|SSE|WS)-\d+\b")
_COMMENT = re.compile(r"#\s*spec:(.*)")


def rules() -> dict[str, str | None]:
    """Map the number of each rule to the feature it depends on, or ``None``."""
    return {
        number: feature or None
        for page in PAGES
        for number, feature, _ in _RULE.findall(page.read_text(encoding="utf-8"))
    }


def marked(tree: ast.AST) -> Iterator[str]:
    """Yield the rules named by ``pytest.mark.spec(...)`` in a module."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr != "spec" or not ast.unparse(node.func).endswith("mark.spec"):
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant):
                yield str(argument.value)


def ties() -> dict[str, list[str]]:
    """Map each rule that a test names to the test modules that do."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in TESTS:
        if path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8")
        if "spec" not in text:
            continue
        named = set(marked(ast.parse(text)))
        for comment in _COMMENT.findall(text):
            named.update(part for part in re.split(r"[,\s]+", comment) if part)
        for number in named:
            found[number].append(str(path.relative_to(ROOT)))
    return found


def untied() -> list[str]:
    """List the rules that bind this server and have no test."""
    tied = ties()
    due = [rule for rule, feature in rules().items() if feature is None or FEATURES[feature]]
    return [rule for rule in due if rule not in tied]


def test_there_are_rules() -> None:
    assert len(rules()) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_numbers_of_a_page_have_its_prefix_and_rise(page: Path) -> None:
    numbers = [rule for rule, _, _ in _RULE.findall(page.read_text(encoding="utf-8"))]

    assert {number.partition("-")[0] for number in numbers} <= {PREFIXES.get(page.stem, "")}
    counts = [int(number.partition("-")[2]) for number in numbers]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_rule_says_something(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert [number for number, _, words in _RULE.findall(text) if not words.strip()] == []


def test_features_are_known() -> None:
    assert {feature for feature in rules().values() if feature} <= set(FEATURES)


def test_pages_refer_to_rules_that_exist() -> None:
    known = rules()
    named = {n for page in PAGES for n in _IDENTIFIER.findall(page.read_text(encoding="utf-8"))}

    assert named - set(known) == set()


def test_tests_name_rules_that_exist() -> None:
    known = rules()
    unknown = {number: paths for number, paths in ties().items() if number not in known}

    assert unknown == {}, "tests name rules that docs/spec does not have"


def test_every_rule_has_a_test() -> None:
    assert untied() == []


if __name__ == "__main__":
    for identifier in untied():
        print(identifier)
