"""`StreamState`: one stream on the wire, as far as the machine must know it.

One source, two builds: compiled as ``_stream_c`` (see ``_stream_c.pxd``).

The direction of the response, as RFC 9113 §8.1 has it; that of the request has one bit:

    ┌──────┐ head ┌──────┐ end              ┌──────┐
    │ HEAD ├─────►│ BODY ├─────────────────►│ DONE │
    └──┬───┘      └──┬───┘                  └──────┘
       │ switch      │ end, trailers promised   ▲ ▲
       ▼             ▼                          │ │
    ┌────────┐   ┌──────────┐      trailers     │ │
    │ TUNNEL │   │ TRAILERS ├───────────────────┘ │
    └───┬────┘   └──────────┘                     │
        └───────────────── end ───────────────────┘

    any ── reset by anybody ──► GONE
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.events import Fields
from pagi.protocol.http2.phases import HEAD, UNBOUNDED

__all__ = ["StreamState"]

_USUAL_URGENCY: Final = 3


class StreamState:
    """One request and its response.

    Attributes:
        stream_id: number on the wire.
        method: of the request.
        phase: of the response, see above.
        peer_done: the request is complete.
        swallow: the response has no body, whatever the application sends.
        trailers: trailer fields were promised.
        to_send: bytes of the declared length still to come, or `UNBOUNDED`.
        received: body bytes so far.
        unread: body bytes the application has not taken: the peer has no credit for them yet.
        ranked: the peer has said how urgent the response is (RFC 9218).
        extended: the request is an extended CONNECT (RFC 8441).
        announced: bytes of the declared length of the request still to come, or `UNBOUNDED`.
        credit: body bytes that the peer may send now.
        owed: body bytes that were taken and that the peer has got no credit for yet.
        window: body bytes that we may send now; below 0 after the peer has narrowed it.
        queue: body bytes that wait to become frames.
        offset: bytes of the first of them that already did.
        queued: how many wait.
        parked: body bytes that are in a frame that was not pulled yet.
        ends: what waits ends the stream.
        trailer: trailer fields that wait behind the body.
        urgency: 0 to 7, 0 being the first (RFC 9218 §4.1).
        incremental: takes turns with its like (RFC 9218 §4.2).
        ready: waits for its turn.
    """

    __slots__ = (
        "announced",
        "credit",
        "ends",
        "extended",
        "incremental",
        "method",
        "offset",
        "owed",
        "parked",
        "peer_done",
        "phase",
        "queue",
        "queued",
        "ranked",
        "ready",
        "received",
        "stream_id",
        "swallow",
        "to_send",
        "trailer",
        "trailers",
        "unread",
        "urgency",
        "window",
    )

    def __init__(self) -> None:
        self.stream_id = 0
        self.method = "GET"
        self.phase: int = HEAD
        self.peer_done = False
        self.extended = False
        self.swallow = False
        self.trailers = False
        self.to_send = UNBOUNDED
        self.received = 0
        self.unread = 0
        self.ranked = False
        self.announced: int = UNBOUNDED
        self.credit = 0
        self.owed = 0
        self.window = 0
        self.queue: list[bytes] = []
        self.offset = 0
        self.queued = 0
        self.parked = 0
        self.ends = False
        self.trailer: Fields | None = None
        self.urgency: int = _USUAL_URGENCY
        self.incremental = False
        self.ready = False

    def frame_body(self, status: int, length: int, size: int) -> int:
        """Decide how long the body is; return what to declare, or `UNBOUNDED`.

        Args:
            status: of the response.
            length: declared by the application, or `UNBOUNDED`.
            size: what the body will have, or `UNBOUNDED`.

        Raises:
            LocalProtocolError: the declared length is not the size.
        """
        self.to_send = UNBOUNDED
        self.swallow = True
        if status == 204:
            return UNBOUNDED  # RFC 9110 §15.3.5: never content, and §8.6: no content-length
        if status == 205:
            return 0
        if status == 304:
            return length  # RFC 9110 §15.4.5: the length that 200 would have
        if self.method == "HEAD":
            # RFC 9110 §9.3.2. A size of 0 is the body left out, not the body GET would get.
            return length if length >= 0 else (size if size > 0 else UNBOUNDED)
        self.swallow = False
        if length < 0:
            length = UNBOUNDED if self.trailers else size
        elif size >= 0 and length != size:
            raise LocalProtocolError(f"content-length is {length}, the body has {size} bytes")
        self.to_send = length
        return length

    def check_count(self, size: int) -> None:
        """Make sure that ``size`` more body bytes fit. Raises LocalProtocolError."""
        if size > self.to_send and self.to_send >= 0:
            excess = size - self.to_send
            raise LocalProtocolError(f"the body is {excess} bytes longer than declared")
