"""What is handed out: the source distribution, and the wheels that are made of it.

A compiled wheel, one without a compiler, one whose compiler fails in the middle, one without
Cython. They are built from the source distribution, never from this checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 300.0
#: Runs a hook of the build backend, as pip does.
BUILD = """
import sys
from setuptools import build_meta
sys.stdout = sys.stderr
name = getattr(build_meta, sys.argv[1])(sys.argv[2])
print(name, file=sys.__stdout__)
"""
NOTICE = "installed pure Python (slower)"

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="the compilers here are shell scripts"),
]


@dataclass(frozen=True)
class Built:
    """What a build made, and what it said.

    Attributes:
        path: the distribution; None if the build failed.
    """

    path: Path | None
    said: str

    @property
    def names(self) -> list[str]:
        """The files of a wheel, without the folder for those that fit any platform."""
        assert self.path is not None, self.said
        with zipfile.ZipFile(self.path) as wheel:
            return [name.partition(".data/purelib/")[2] or name for name in wheel.namelist()]

    @property
    def twins(self) -> list[str]:
        """The extension modules of a wheel, with dots."""
        extensions = [name for name in self.names if name.endswith(".so")]
        return sorted(name.partition(".")[0].replace("/", ".") for name in extensions)

    @property
    def notices(self) -> list[str]:
        """The lines in which the build speaks to the one who installs."""
        return [line for line in self.said.splitlines() if line.startswith("pagi: ")]


def build(hook: str, source: Path, **environment: str) -> Built:
    """Build a distribution of ``source`` beside it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, hook, str(source.parent)],
        cwd=source,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    path = source.parent / done.stdout.strip() if done.returncode == 0 else None
    return Built(path, done.stderr)


def run(code: str, site: Path, **environment: str) -> str:
    """Run ``code`` where ``site`` has what is installed; return what it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAGI_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=site.parent,
        env=kept | {"PYTHONPATH": str(site)} | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(wheel: Path | None, folder: Path) -> Path:
    """Install a wheel into a folder of its own; return what must be on the path."""
    assert wheel is not None
    site = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(wheel)], check=True, timeout=TIMEOUT)
    return site


def compiler(folder: Path, script: str) -> str:
    """Make a compiler out of a shell script; return its path."""
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def twins_of(tree: Path) -> list[str]:
    """Return the extension modules that the sources are there for."""
    found = {
        ".".join(path.relative_to(tree / "src").with_suffix("").parts)
        for pattern in ("*_c.pyx", "*_c.pxd")
        for path in (tree / "src").rglob(pattern)
    }
    return sorted(found)


# Makes one request to a hello application and prints status and body.
SERVE = """
import asyncio, sys
import pagi
from pagi._build import active_twins

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

async def main():
    async with pagi.serve(app, port=0, access_log=None, lifespan="off") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer

answer = asyncio.run(main())
assert pagi.__file__.startswith(sys.path[1]), pagi.__file__
print(answer[9:12].decode(), answer[-5:].decode(), *sorted(set(active_twins().values())))
"""


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a source distribution of the checkout as it lies there, build products and all."""
    folder = tmp_path_factory.mktemp("sdist")
    unwanted = shutil.ignore_patterns(".git", ".venv*", ".nox", ".*_cache", "build", "dist")
    shutil.copytree(ROOT, folder / "checkout", ignore=unwanted)
    for name in ("stray_c.c", "stray_c.so", "stray.pyc"):
        (folder / "checkout" / "src" / "pagi" / "protocol" / name).write_bytes(b"built")
    built = build("build_sdist", folder / "checkout")
    assert built.path is not None, built.said
    return built.path


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source distribution; return its root."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def without_compiler(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build a wheel where there is no compiler; what Cython made of the sources stays there."""
    tree = unpack(sdist, tmp_path_factory.mktemp("pure"))
    return build("build_wheel", tree, CC="/bin/false")


@pytest.fixture
def tree(sdist: Path, without_compiler: Built, tmp_path: Path) -> Path:
    """Give the sources with what Cython made of them, which takes a while."""
    assert without_compiler.path is not None
    tree = unpack(sdist, tmp_path)
    for name in ("twins", "c"):  # in this order: C is made anew when its source is younger
        source = without_compiler.path.parent / tree.name / "build" / name
        shutil.copytree(source, tree / "build" / name)
    return tree


# --- the source distribution -----------------------------------------------------------------


def test_sdist_holds_all_that_is_needed_and_nothing_built(sdist: Path, tmp_path: Path) -> None:
    tree = unpack(sdist, tmp_path)
    names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    sources = {
        str(path.relative_to(ROOT))
        for suffix in ("py", "pyx", "pxd", "html")
        for path in (ROOT / "src").rglob(f"*.{suffix}")
    }

    assert sources <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"} <= names
    assert {"setup.py", "src/pagi/py.typed", "Makefile", "noxfile.py", "mkdocs.yml"} <= names
    assert {"docs/index.md", "examples/showcase/app.py", "tests/conftest.py"} <= names
    built = [name for name in names if name.endswith((".so", ".pyc", ".o", ".html", ".c"))]
    built.remove("src/pagi/server/worker/admin_page.html")
    assert [name for name in built if not name.startswith(("benchmarks/", "examples/"))] == []
    assert [name for name in built if name.endswith((".so", ".pyc"))] == []


def test_sdist_describes_itself(sdist: Path, tmp_path: Path) -> None:
    text = (unpack(sdist, tmp_path) / "PKG-INFO").read_text(encoding="utf-8")
    fields = Parser().parsestr(text)

    assert fields["Name"] == "pagi-web"
    assert fields["License-Expression"] == "MIT"
    assert fields["Requires-Python"] == ">=3.11"
    assert fields["Description-Content-Type"] == "text/markdown"
    assert fields.get_payload().startswith("# PAGI for Python")


# --- wheels ----------------------------------------------------------------------------------


def test_wheel_with_a_compiler(tree: Path, tmp_path: Path) -> None:
    # What optimizing costs here is not what this is about.
    fast = compiler(tmp_path, f'exec {shutil.which("cc") or "gcc"} "$@" -O0')
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    built = build("build_wheel", tree, CC=fast, PAGI_BUILD_EXTENSION="require")

    assert built.twins == [name for name in twins_of(tree) if name in built.twins]
    assert len(built.twins) > 15
    assert {"pagi/py.typed", "pagi/server/worker/admin_page.html"} <= set(built.names)
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in built.names)
    assert [name for name in built.names if name.endswith((".pyx", ".pxd", ".c"))] == []
    assert {name.split("/")[0] for name in built.names if "dist-info" not in name} == {"pagi"}
    assert built.notices == []
    site = install(built.path, tmp_path)
    assert run(SERVE, site) == "200 hello True\n"
    assert run(SERVE, site, PAGI_PURE_PYTHON="1") == "200 hello False\n"


def test_wheel_without_a_compiler(without_compiler: Built, tmp_path: Path) -> None:
    assert without_compiler.twins == []
    assert without_compiler.notices == [f"pagi: no C compiler that works, {NOTICE}"]
    assert "Traceback" not in without_compiler.said
    site = install(without_compiler.path, tmp_path)
    assert run(SERVE, site) == "200 hello False\n"
    assert (site / "bin" / "pagi").exists()
    version = run("from pagi.cli.main import main; main(['version'])", site)
    assert re.search(r"^compiled +nothing$", version, re.MULTILINE)


def test_a_compiler_that_fails_in_the_middle_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    lazy = compiler(
        tmp_path,
        'case "$*" in *_http_c.o*) exit 1;; esac\n'
        'while [ "$1" != -o ]; do shift; done\n'
        'echo built > "$2"',
    )
    built = build("build_wheel", tree, CC=lazy)

    assert built.twins == []
    assert len(built.notices) == 1
    assert NOTICE in built.notices[0]
    assert list((tree / "build").rglob("*.so")) == []


def test_a_compiler_may_be_required(tree: Path) -> None:
    built = build("build_wheel", tree, CC="/bin/false", PAGI_BUILD_EXTENSION="require")

    assert built.path is None
    assert "/bin/false" in built.said


def test_extensions_may_be_unwanted(sdist: Path, tmp_path: Path) -> None:
    tree = unpack(sdist, tmp_path)
    built = build("build_wheel", tree, CC="/bin/false", PAGI_BUILD_EXTENSION="no")

    assert built.twins == []
    assert built.notices == []
    assert built.path is not None
    assert built.path.name.endswith("-py3-none-any.whl")


def test_wheel_without_cython(sdist: Path, tmp_path: Path) -> None:
    tree = unpack(sdist, tmp_path)
    (tmp_path / "hidden" / "Cython").mkdir(parents=True)
    reason = "raise ImportError('No module named Cython')"
    (tmp_path / "hidden" / "Cython" / "__init__.py").write_text(reason)
    built = build("build_wheel", tree, PYTHONPATH=str(tmp_path / "hidden"))

    assert built.twins == []
    assert built.notices == [f"pagi: no Cython (No module named Cython), {NOTICE}"]
