"""Conformance to RFC 9113 and RFC 7541, frame by frame.

The cases are those of the program h2spec in its strict mode, and some more.
"""

from __future__ import annotations

import pytest

from tests.server.attacks.http2 import Peer, frame, peer
from tests.server.attacks.site import attacked
from tests.server.conformance import http2_frames, http2_messages, http2_streams
from tests.server.conformance.cases import Case, block

CASES = [*http2_streams.CASES, *http2_frames.CASES, *http2_messages.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case(case: Case) -> None:
    async with attacked() as site:
        if case.raw:
            async with await site.open() as wire:
                client = Peer(wire)
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
