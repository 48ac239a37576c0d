"""``pagi version``: what runs here."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

from pagi._build import active_twins
from pagi.interface.tokens import (
    ASGI_SPEC_VERSION,
    ASGI_VERSION,
    PAGI_SPEC_VERSION,
    PAGI_VERSION,
)

__all__ = ["program_version", "version_text"]


def program_version() -> str:
    """Return the version of this distribution."""
    return _installed("pagi-web") or "(not installed as a distribution)"


def version_text(form: str) -> str:
    """Return the versions as ``text`` or ``json``, with the closing newline."""
    facts = {
        "pagi": program_version(),
        "PAGI specification": f"{PAGI_VERSION} (messages {PAGI_SPEC_VERSION})",
        "ASGI specification": f"{ASGI_VERSION} (messages {ASGI_SPEC_VERSION})",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(terse=True),
        "uvloop": _installed("uvloop") or "not installed",
        "aiofastnet": _installed("aiofastnet") or "not installed",
    }
    twins = _twins()
    if form == "json":
        return json.dumps({**facts, "compiled": twins}, indent=2) + "\n"
    lines = {
        **facts,
        "compiled": ", ".join(name for name, active in twins.items() if active) or "nothing",
        "in Python": ", ".join(name for name, active in twins.items() if not active) or "the rest",
    }
    width = max(map(len, lines))
    return "".join(f"{name:<{width}}  {value}\n" for name, value in lines.items())


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _twins() -> dict[str, bool]:
    import pagi.server.api  # noqa: F401 - the facades tell which twin they took when imported

    # pagi.protocol.http1._head_c is the twin of pagi.protocol.http1.head.
    return {
        name.removesuffix("_c").replace("._", ".").removeprefix("pagi."): active
        for name, active in sorted(active_twins().items())
    }
