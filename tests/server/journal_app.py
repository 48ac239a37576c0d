"""Application of `test_processes` and `test_restarts`: writes down what happens.

Each line of the file that ``JOURNAL`` names is an event and the process it happened in. Nothing of
the tests is imported here, so that the processes start fast.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

#: What ``/grow`` keeps.
KEPT: list[bytes] = []


def note(event: str) -> None:
    """Append a line; lines of several processes do not mix."""
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(f"{event} {os.getpid()}\n")


async def _answer(send: Any, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    note("startup")
    await send({"type": "lifespan.startup.complete", "shutdown_notice": True})
    await receive()
    note("notice")
    await receive()
    note("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the process; ``/echo`` waits for its body, ``/stuck`` for ever.

    ``/exit`` leaves the process by `SystemExit`, ``/exit-later`` in a later turn of the loop,
    ``/sleep`` hangs in a call that blocks, ``/sleep-later`` also in a later turn, ``/grow`` keeps
    200 MiB of memory.
    """
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["path"] == "/echo":
        note("begun")
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await _answer(send, body)
    elif scope["path"] == "/stuck":
        note("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            note("cancelled")
            raise
    elif scope["path"] == "/exit":
        raise SystemExit(7)
    elif scope["path"] == "/exit-later":
        await asyncio.sleep(0)
        raise SystemExit(7)
    elif scope["path"] in ("/sleep", "/sleep-later"):
        if scope["path"] == "/sleep-later":
            await asyncio.sleep(0)
        note("sleeping")
        time.sleep(600)  # noqa: ASYNC251
    elif scope["path"] == "/nap":
        time.sleep(2)  # noqa: ASYNC251
        await _answer(send, b"awake")
    elif scope["path"] == "/grow":
        note("grown")
        KEPT.append(b"x" * (200 << 20))
        await _answer(send, b"grown")
    elif scope["path"] == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        await _answer(send, b"%d" % os.getpid())


async def never_ready(scope: Any, receive: Any, send: Any) -> None:
    """Begin to start and do not get ready."""
    assert scope["type"] == "lifespan"
    await receive()
    note("starting")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        note("cancelled")
        raise


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    """Refuse to start."""
    assert scope["type"] == "lifespan"
    await receive()
    note("starting")
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def dies(scope: Any, receive: Any, send: Any) -> None:
    """Take the process down while it starts."""
    note("dying")
    os._exit(9)
