"""Application of `test_operations`: tells what its process is towards the system."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from tests.server import journal_app

__all__ = ["app"]

never_ready = journal_app.never_ready
refuses = journal_app.refuses


#: Variables of systemd.
_MEANT = ("LISTEN_", "NOTIFY_", "WATCHDOG_")


def _hang() -> None:
    while True:
        time.sleep(1)


def _who() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "umask": mask,
        "home": os.environ.get("HOME"),
        "variables": [name for name in os.environ if name.startswith(_MEANT)],
        "session": os.getsid(0),
        "terminal": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
    }


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer ``/who`` with facts, block the loop for ever on ``/hang``, or do as `journal_app`."""
    if scope["type"] != "http" or scope["path"] not in ("/who", "/hang"):
        await journal_app.app(scope, receive, send)
        return
    if scope["path"] == "/hang":
        _hang()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(_who()).encode()})
