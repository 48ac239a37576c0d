"""Builds the compiled twins; all else about the distribution is in pyproject.toml.

A twin is a module ``_x_c``, used through the facade ``x`` instead of ``_x_py``. Two kinds:

* ``_x_c.pxd`` beside ``_x_py.py``: the same source, typed by the .pxd. A copy is compiled, in
  which names that the .pxd cimports are not imported a second time: they are the typed ones. Its
  private integer constants become the compiler's.
* ``_x_c.pyx``: written for the compiler.

Copies and generated C stay in the build directory. Without a compiler, or without Cython, the
installation succeeds: the extension costs speed, not function. ``PAGI_BUILD_EXTENSION=no`` leaves
it out, ``PAGI_BUILD_EXTENSION=require`` makes its absence an error.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
SOURCE = Path("src")
COPIES = Path("build") / "twins"
WANTED = os.environ.get("PAGI_BUILD_EXTENSION", "yes").lower()

# The signature that a Python function would show costs a slower call; the Python twin shows it.
DIRECTIVES = {
    "annotation_typing": False,
    "auto_pickle": False,
    "binding": False,
    "boundscheck": False,
    "initializedcheck": False,
}

_CIMPORT = re.compile(r"^from +[\w.]+ +cimport +(\([^)]*\)|[^\n(#]+)", re.MULTILINE)


def twin_sources() -> dict[Path, Path]:
    """Map each file that is compiled, relative to the copies, to the source it is made of."""
    found = {}
    for path in sorted((HERE / SOURCE / "pagi").rglob("*_c.pyx")):
        found[path.relative_to(HERE / SOURCE)] = path
    for path in sorted((HERE / SOURCE / "pagi").rglob("*_c.pxd")):
        python = path.with_name(path.stem.removesuffix("_c") + "_py.py")
        if python.exists() and not path.with_suffix(".pyx").exists():
            found[path.relative_to(HERE / SOURCE).with_suffix(".py")] = python
    return found


def cimported_names(pxd: str) -> set[str]:
    """Return the names that a .pxd cimports from elsewhere."""
    return {
        part.split(" as ")[-1].strip()
        for names in _CIMPORT.findall(pxd)
        for part in names.strip("()").split(",")
        if part.strip()
    }


def without_imports(source: str, names: set[str]) -> str:
    """Take ``names`` out of the import statements at module level; lines keep their numbers.

    Imports that are for type checkers only go altogether.
    """
    lines = source.splitlines()
    for node in ast.parse(source).body:
        kept: list[ast.alias] = []
        if isinstance(node, ast.ImportFrom) and names & {alias.name for alias in node.names}:
            kept = [alias for alias in node.names if alias.name not in names]
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            continue
        numbers = range(node.lineno - 1, node.end_lineno or node.lineno)
        for number in numbers:
            lines[number] = ""
        if kept and isinstance(node, ast.ImportFrom):
            node.names = kept
            lines[numbers[0]] = ast.unparse(node)
    return "\n".join(lines) + "\n"


def without_constants(source: str) -> tuple[str, dict[str, int]]:
    """Take private constants that fit a C int out of a source; return it, and what they are."""
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id.startswith("_")
            and ast.unparse(node.annotation) == "Final"
            and isinstance(node.value, ast.Constant)
            and type(node.value.value) is int
            and abs(node.value.value) < 2**31
        ):
            found[node.target.id] = node.value.value
            lines[node.lineno - 1] = ""
    return "\n".join(lines) + "\n", found


def write_if_changed(path: Path, text: str) -> None:
    """Write a file unless it holds ``text``, so that its age means something."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def copy_sources(sources: dict[Path, Path]) -> None:
    """Bring all that Cython reads into the build directory."""
    texts = {
        path.relative_to(HERE / SOURCE): path.read_text("utf-8")
        for path in (HERE / SOURCE / "pagi").rglob("*.pxd")
    }
    for relative, path in sources.items():
        text = path.read_text("utf-8")
        if relative.suffix == ".py":
            typed = relative.with_suffix(".pxd")
            text = without_imports(text, cimported_names(texts[typed]))
            text, constants = without_constants(text)
            if constants:
                lines = [f"    {name} = {value}\n" for name, value in constants.items()]
                texts[typed] = f"{texts[typed].rstrip()}\n\n\ncdef enum:\n{''.join(lines)}"
        texts[relative] = text
    for relative, text in texts.items():
        write_if_changed(HERE / COPIES / relative, text)
        for parent in list(relative.parents)[:-1]:
            write_if_changed(HERE / COPIES / parent / "__init__.py", "")


def extensions() -> list[Extension]:
    """Return one extension per twin, or none if they are not wanted."""
    if WANTED in ("no", "0", "false"):
        return []
    arguments = [] if sys.platform == "win32" else ["-O3", "-fvisibility=hidden", "-g0"]
    return [
        Extension(
            ".".join(relative.with_suffix("").parts),
            [str(COPIES / relative)],
            extra_compile_args=arguments,
            optional=True,
        )
        for relative in twin_sources()
    ]


class BuildTwins(build_ext):
    """Builds all twins or none: they are linked with each other."""

    def run(self) -> None:
        """Translate, compile and put in place; on failure leave nothing behind."""
        twins = [extension.name for extension in self.extensions]
        try:
            self.translate()
            super().run()
        except Exception as error:
            if WANTED == "require":
                raise
            # Why a compiler failed is told above, by itself.
            if self.translated:
                lack = "no C compiler that works"
            elif isinstance(error, ImportError):
                lack = f"no Cython ({error})"
            else:
                lack = f"Cython failed ({error})"
            self.warn_once(lack)
            self.remove(twins)

    translated = False

    def translate(self) -> None:
        """Turn the copies into C."""
        from Cython.Build import cythonize

        copy_sources(twin_sources())
        here = os.getcwd()
        os.chdir(HERE)
        try:
            translated = cythonize(
                self.extensions,
                build_dir=str(Path("build") / "c"),
                include_path=[str(COPIES)],
                language_level=3,
                compiler_directives=DIRECTIVES,
                quiet=True,
            )
        finally:
            os.chdir(here)
        for extension in translated:
            extension._needs_stub = False  # what setuptools sets before it builds
        self.extensions[:] = translated
        self.translated = True
        if not self.parallel:
            self.parallel = os.cpu_count()

    def build_extension(self, ext: Extension) -> None:
        """Build one twin; any failure ends the build of all."""
        ext.optional = False
        super().build_extension(ext)

    def warn_once(self, why: str) -> None:
        """Say in one line what the installation lacks."""
        print(f"pagi: {why}, installed pure Python (slower)", file=sys.stderr)

    def remove(self, twins: list[str]) -> None:
        """Remove the twins that were built before one failed."""
        for name in twins:
            for path in (
                self.get_ext_fullpath(name),
                Path(self.build_lib) / self.get_ext_filename(name),
            ):
                with contextlib.suppress(OSError):
                    Path(path).unlink()
        self.extensions[:] = []


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildTwins},
    include_package_data=False,
)
