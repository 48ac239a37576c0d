"""`Watched`: which files are watched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pagi.server.config.development import Development
from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.supervisor.watched import Watched

TREE = (
    "main.py",
    "notes.txt",
    "pagi.toml",
    "package/views.py",
    "package/templates/index.html",
    "package/locale/de.po",
    "package/made/made.py",
    "package/__pycache__/views.py",
    ".git/hooks/hook.py",
    ".hidden.py",
    ".env",
    ".venv/lib/module.py",
    "node_modules/left/pad.py",
    "surroundings/pyvenv.cfg",
    "surroundings/lib/module.py",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(watched: Watched, tree: Path) -> set[str]:
    """Return what is watched by a walk; asked about names it must say the same."""
    paths = {entry.path for entry in watched.files()}
    every = {os.path.join(where, name) for where, _, names in os.walk(tree) for name in names}
    assert {path for path in every if watched.takes(path)} == paths
    return {os.path.relpath(path, tree) for path in paths}


USUAL = {"main.py", "pagi.toml", "package/views.py", "package/templates/index.html"}


@pytest.mark.parametrize(
    ("include", "exclude", "more", "less"),
    [
        ((), (), {"package/made/made.py"}, set()),
        (("*.txt",), (), {"package/made/made.py", "notes.txt"}, set()),
        (("package/locale/*.po",), (), {"package/made/made.py", "package/locale/de.po"}, set()),
        (("locale/*.po",), (), {"package/made/made.py"}, set()),
        ((), ("made",), set(), set()),
        ((), ("package/made/",), set(), set()),
        ((), ("made.py",), set(), set()),
        ((), ("package",), set(), {"package/views.py", "package/templates/index.html"}),
        ((".env",), (), {"package/made/made.py", ".env"}, set()),
        (("*.txt",), ("notes.*", "made"), set(), set()),
    ],
)
def test_patterns(
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    more: set[str],
    less: set[str],
    tree: Path,
) -> None:
    watched = Watched([str(tree)], include, exclude)
    assert found(watched, tree) == (USUAL | more) - less


def test_several_directories_one_in_another(tree: Path) -> None:
    directories = [str(tree / "package"), str(tree), str(tree / ".git" / "hooks")]
    watched = Watched(directories)
    assert found(watched, tree) == USUAL | {"package/made/made.py", ".git/hooks/hook.py"}
    paths = [entry.path for entry in watched.files()]
    assert len(paths) == len(set(paths))


def test_what_is_outside_is_not_watched(tree: Path) -> None:
    watched = Watched([str(tree / "package")])
    assert not watched.takes(str(tree / "main.py"))
    assert not watched.takes("/main.py")


def test_links_to_directories_are_not_followed(tree: Path) -> None:
    (tree / "package" / "round").symlink_to(tree)
    assert found(Watched([str(tree)]), tree) == USUAL | {"package/made/made.py"}


def test_a_directory_that_is_itself_a_link_is_watched(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree / "package")
    watched = Watched([str(link)])
    assert watched.directories == (str(tree / "package"),)
    assert watched.takes(str(tree / "package" / "views.py"))


def test_the_configuration(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert Watched.of(Development()).directories == (str(tree),)
    watched = Watched.of(Development(True, ("package",), ("*.po",), ("made",)))
    assert found(watched, tree) == {
        "package/views.py",
        "package/templates/index.html",
        "package/locale/de.po",
    }


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="reload_dir: '.*hay' is not a directory") as caught:
        Watched([str(tmp_path / "hay")])
    assert caught.value.exit_status == EXIT_CONFIGURATION
