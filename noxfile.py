"""The sessions of the Makefile on several versions of Python, each in its own environment."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def _install(session: nox.Session, *groups: str) -> None:
    session.install("--upgrade", "pip")
    session.install("--editable", ".")
    for group in groups:
        session.run("python", "-m", "pip", "install", "--quiet", "--group", group)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests on both twins and every event loop."""
    _install(session, "dev")
    session.run("python", "-m", "tests.matrix", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and the shape of the code."""
    _install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "-m", "pytest", "-q", "tests/layers")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    _install(session, "dev")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors."""
    _install(session, "docs")
    session.run("python", "docs/build_settings.py", "--check")
    session.run("python", "docs/build_interface.py", "--check")
    session.run("mkdocs", "build", "--strict", "--quiet")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against other servers."""
    _install(session, "dev", "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers."""
    _install(session, "dev")
    session.run("python", "-m", "fuzz.http1", *session.posargs)


@nox.session(python=PYTHONS)
def soak(session: nox.Session) -> None:
    """Serve hard for minutes."""
    _install(session, "dev")
    session.run("python", "-m", "tests.soak", *session.posargs)
