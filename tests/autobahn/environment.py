"""The suite's own Python 2.7: found, or made once in the folder for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["EnvironmentFailure", "find_python", "is_python_2", "make_suite"]

#: The last one that can make an environment for Python 2.7.
VIRTUALENV = "virtualenv<20.22"
#: Together they work. The suite was written for these, and newer ones know no Python 2.7.
REQUIREMENTS = (
    "setuptools==44.0.0",
    "txaio==2.1.0",
    "incremental==16.10.1",
    "pyOpenSSL==19.1.0",
    "cryptography==3.3.2",
    "Twisted==19.10.0",
    "zope.interface==4.6.0",
    "Jinja2==2.11.3",
    "MarkupSafe==1.1.1",
    "Werkzeug==1.0.1",
    "klein==17.10.0",
    "service_identity==18.1.0",
    "unittest2==1.1.0",
    "six==1.16.0",
    "wsaccel==0.6.6",
    "ujson==2.0.3",
)
#: Installed without what they require, which does not fit together.
SUITE = ("autobahn==0.10.9", "autobahntestsuite==25.10.1")

_MARK = "\n".join((VIRTUALENV, *REQUIREMENTS, *SUITE))
#: Lines of a failed command that are shown.
_TAIL = 15


class EnvironmentFailure(Exception):
    """The environment could not be made; the text says which command failed, and how."""


def find_python() -> Path | None:
    """Return a Python 2.7 of this machine, or ``None``."""
    return next((one for one in _candidates() if is_python_2(one)), None)


def _candidates() -> Iterator[Path]:
    for name in ("python2.7", "python2"):
        found = shutil.which(name)
        if found is not None:
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/2.7*/bin/python2.7"), reverse=True)


def is_python_2(python: Path) -> bool:
    """Tell whether it runs, is a CPython 2.7, and can install over TLS."""
    check = "import platform, ssl, sys; print platform.python_implementation(), sys.version[:4]"
    try:
        done = subprocess.run([python, "-c", check], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == "CPython 2.7."


def make_suite(python: Path, folder: Path, say: Callable[[str], None]) -> Path:
    """Return the suite's program ``wstest``; make its environment in ``folder`` if need be.

    Args:
        python: a Python 2.7.
        folder: where all of it is, and stays.
        say: told what takes long.

    Raises:
        EnvironmentFailure: a package could not be had or built.
    """
    environment, tool = folder / "python2.7", folder / "virtualenv"
    wstest, mark = environment / "bin" / "wstest", folder / "made"
    if wstest.exists() and mark.exists() and mark.read_text("utf-8") == _MARK:
        return wstest
    for old in (environment, tool):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    say(f"making an environment for the suite with {python}; that takes a minute …")
    _run([sys.executable, "-m", "pip", "install", "--target", tool, VIRTUALENV])
    _run([sys.executable, "-m", "virtualenv", "--python", python, environment], PYTHONPATH=tool)
    install = [environment / "bin" / "python", "-m", "pip", "install"]
    _run([*install, *REQUIREMENTS])
    _run([*install, "--no-deps", *SUITE])
    mark.write_text(_MARK, "utf-8")
    return wstest


def _run(command: list[str | Path], **extra: str | Path) -> None:
    environment = {**os.environ, **{name: str(value) for name, value in extra.items()}}
    done = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL:])
        raise EnvironmentFailure(f"{' '.join(map(str, command))}\n{tail}")
