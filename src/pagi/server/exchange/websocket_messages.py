"""What the ``websocket.*`` messages say that have fields of their own, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pagi.interface.errors import MessageError

__all__ = ["read_keepalive"]

#: More seconds than any timer takes.
_EVER: Final = 1e9


def read_keepalive(message: Mapping[str, Any]) -> tuple[float, float]:
    """Return interval and timeout of ``websocket.keepalive``; 0 is never. Raises MessageError."""
    interval, timeout = message.get("interval"), message.get("timeout")
    if not isinstance(interval, (int, float)) or not 0 <= interval < _EVER:
        raise MessageError(
            f"websocket.keepalive needs 'interval' in seconds, from 0 up; got {interval!r:.40}"
        )
    if timeout is not None and (not isinstance(timeout, (int, float)) or not 0 < timeout < _EVER):
        raise MessageError(
            f"websocket.keepalive takes 'timeout' in seconds, above 0; got {timeout!r:.40}"
        )
    return float(interval), float(timeout or 0.0)
