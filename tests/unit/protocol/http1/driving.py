"""Driving a machine by hand: what the tests of the machine, the oracles and the fuzzers share."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterable
from typing import Any

from pagi.protocol.connection import DefaultFields
from pagi.protocol.events import BodyReceived, Event, MessageComplete, RequestReceived
from pagi.protocol.http1.limits import HTTP1Limits

DEFAULTS = DefaultFields(b"Tue, 15 Nov 1994 08:12:31 GMT", b"test")
DATED = b"date: Tue, 15 Nov 1994 08:12:31 GMT\r\nserver: test\r\n"
_COMPILED = "pagi.protocol.http1._connection_c"


def compiled_is_built() -> bool:
    """Tell whether the compiled machine can be tested."""
    pure = os.environ.get("PAGI_PURE_PYTHON", "") not in ("", "0")
    return not pure and importlib.util.find_spec(_COMPILED) is not None


def machine_class(name: str) -> Any:
    """Return the class of the implementation ``py`` or ``c``."""
    return importlib.import_module(f"pagi.protocol.http1._connection_{name}").HTTP1Connection


def implementations() -> list[str]:
    """Return the names of the implementations that are there."""
    return ["py", "c"] if compiled_is_built() else ["py"]


def new(implementation: Any, **limits: Any) -> Any:
    """Make a connection with ``limits``."""
    return implementation(HTTP1Limits(**limits), DEFAULTS)


def output(connection: Any) -> bytes:
    """Pull all that is queued."""
    return b"".join(connection.data_to_send())


def joined(events: Iterable[Event]) -> list[Event]:
    """Join neighbouring body events: how a body is cut is not part of its meaning."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, BodyReceived) and isinstance(last, BodyReceived):
            result[-1] = BodyReceived(event.stream_id, last.data + event.data)
        else:
            result.append(event)
    return result


def answer(connection: Any, events: Iterable[Event]) -> bool:
    """Answer the request that the events complete, if they do; tell whether they did."""
    for event in events:
        whole = isinstance(event, MessageComplete) or (
            isinstance(event, RequestReceived) and event.end
        )
        if whole and not connection.finished and connection.write_state == 1:
            connection.send_head(event.stream_id, 200, [(b"a", b"b")], size=2)
            connection.send_body(event.stream_id, b"ok", end=True)
            return True
    return False


def serve(connection: Any, pieces: Iterable[bytes]) -> tuple[list[Event], bytes]:
    """Feed the pieces, answer every whole request by 200, and return all that happened."""
    seen: list[Event] = []
    sent = []
    for piece in pieces:
        events = connection.receive_data(piece, 0.0)
        seen += events
        while answer(connection, events):
            sent.append(output(connection))
            events = connection.receive_data(b"", 0.0)
            seen += events
        sent.append(output(connection))
    return joined(seen), b"".join(sent)
