"""Threads that do blocking work for applications, and a stop that gets past those that hang.

A loop that closes waits for the threads of its executor without an end, and so does Python when a
process exits: one call that never returns would turn every stop into a kill.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

__all__ = ["Threads", "leave_behind"]

#: How long threads may go on when all else has ended, in seconds.
THREAD_GRACE: Final = 5.0
_PREFIX: Final = "pagi-thread"


class Threads:
    """The default executor of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._executor = ThreadPoolExecutor(thread_name_prefix=_PREFIX)
        loop.set_default_executor(self._executor)

    async def end(self) -> None:
        """Wait for what its threads are doing, at most the grace; what has not begun never does."""
        # The loop waits for its executor when it closes: that must not be one that hangs.
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix=_PREFIX))
        ended = self._loop.create_future()
        threading.Thread(target=self._wait, args=(ended,), daemon=True).start()
        done, _ = await asyncio.wait({ended}, timeout=THREAD_GRACE)
        if not done:
            logging.getLogger("pagi.server").error(
                "threads of the application do not end: %s", _names(_PREFIX)
            )

    def _wait(self, ended: asyncio.Future[None]) -> None:
        self._executor.shutdown(cancel_futures=True)
        try:
            self._loop.call_soon_threadsafe(ended.set_result, None)
        except RuntimeError:
            return  # it was too late, and the loop is closed


def leave_behind(status: int) -> None:
    """End the process with this status if threads keep it from ending by itself for the grace."""
    if not _running():
        return
    timer = threading.Timer(THREAD_GRACE, _leave, (status,))
    timer.daemon = True
    timer.start()


def _leave(status: int) -> None:
    logging.getLogger("pagi.server").error("leaving, although threads go on: %s", _names())
    logging.shutdown()
    os._exit(status)


def _running() -> list[threading.Thread]:
    """Return the threads that Python waits for before it ends."""
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if not thread.daemon and thread is not main]


def _names(prefix: str = "") -> str:
    return ", ".join(thread.name for thread in _running() if thread.name.startswith(prefix))
