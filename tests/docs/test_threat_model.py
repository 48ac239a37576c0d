"""The threat model names tests that exist, and limits with the defaults that they have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pagi.server.config.catalogue import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
ATTACKS = "".join(
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests" / "server" / "attacks").glob("test_*.py"))
)
TESTS = re.findall(r"^(?:async )?def test_(\w+)", ATTACKS, re.MULTILINE)
UNITS = {"KiB": 1024, "MiB": 1024**2, "s": 1}


def rows(columns: int) -> list[list[str]]:
    """Return the cells of the rows that have so many columns."""
    lines = [line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines if len(line) == columns]


def words(cell: str) -> list[str]:
    """Return what stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


LIMITS = [row for row in rows(4) if words(row[0]) and set(words(row[0])) <= set(OPTIONS)]
ANSWERS = [row for row in rows(4) if row not in LIMITS and row[0] not in ("Attack", "Option")]


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row[0][:40])
def test_every_attack_is_tested(row: list[str]) -> None:
    named = words(row[3])

    assert named
    assert [name for name in named if not any(test.startswith(name) for test in TESTS)] == []


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row[0][:40])
def test_every_limit_of_an_attack_is_in_the_table(row: list[str]) -> None:
    known = {name for limit in LIMITS for name in words(limit[0])}

    assert set(words(row[2])) <= known


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0])
def test_limits_have_these_defaults(row: list[str]) -> None:
    number, _, unit = row[1].partition(" ")
    for name in words(row[0]):
        default = OPTIONS[name].default
        if unit in ("", *UNITS):  # the other one is a share of what the system allows
            assert default == int(number) * UNITS.get(unit, 1)


def test_every_numbered_attack_has_a_row() -> None:
    named = " ".join(word for row in ANSWERS for word in words(row[3]))
    tested = set(re.findall(r"row_\d\d", " ".join(TESTS)))

    assert tested - set(re.findall(r"row_\d\d", named)) == set()
