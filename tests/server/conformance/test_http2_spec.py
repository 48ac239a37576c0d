"""Conformance to RFC 9113 and RFC 7541, frame by frame.

The cases are those of the program h2spec in its strict mode, and some more.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.attacks.http2 import Peer, frame, peer
from tests.server.attacks.site import attacked
from tests.server.certificates import certificates
from tests.server.conformance import http2_frames, http2_messages, http2_streams
from tests.server.conformance.cases import Case, block

CASES = [*http2_streams.CASES, *http2_frames.CASES, *http2_messages.CASES]


#: Requests that look whether the server lives go to the plain listener.
WIRES: dict[str, dict[str, Any]] = {
    "h2c": {},
    "h2": {"listen": ("plain:127.0.0.1:0", "127.0.0.1:0"), **certificates().options},
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case(case: Case, wire: str) -> None:
    """Over TLS, too: what is read at once depends on records, not on what was sent."""
    async with attacked(**WIRES[wire]) as site:
        if case.raw:
            async with await site.open() as opened:
                client = Peer(opened)
                await client.send(*case.build(client))
                await case.seen(client)
        else:
            async with peer(site) as client:
                await client.send(*case.build(client))
                await case.seen(client)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("DATA", ("STREAM_CLOSED",)),
        ("HEADERS", ("STREAM_CLOSED",)),
        ("CONTINUATION", ("STREAM_CLOSED", "PROTOCOL_ERROR")),
    ],
)
async def test_frames_on_a_stream_that_is_complete(kind: str, codes: tuple[str, ...]) -> None:
    """5.1/11 to 5.1/13: both sides have sent END_STREAM."""
    async with attacked() as site, peer(site) as client:
        await client.send(client.headers(1))
        assert (await client.answer(1))[0] == 200
        payload = b"test" if kind == "DATA" else block(client)
        await client.send(frame(kind, 1, 5, payload))
        assert await client.end() in codes


def test_every_case_has_its_own_section() -> None:
    assert len({case.section for case in CASES}) == len(CASES)
