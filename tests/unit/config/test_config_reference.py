"""The reference page is what the declarations say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pagi.server.config import OPTIONS

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_settings", DOCS / "build_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(builder: ModuleType) -> None:
    assert builder.main(["--check"]) == 0, "run: python docs/build_settings.py"


def test_the_page_has_every_option_with_all_its_names(builder: ModuleType) -> None:
    page = builder.page()
    for option in OPTIONS.values():
        assert f"### {option.name}\n" in page
        for word in (*option.flags, *option.variables):
            assert f"`{word}`" in page


def test_an_old_page_is_noticed_and_written_anew(
    builder: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(builder, "PAGE", tmp_path / "settings.md")
    assert builder.main(["--check"]) == 1
    assert "is out of date" in capsys.readouterr().err
    assert builder.main([]) == 0
    assert builder.main(["--check"]) == 0
