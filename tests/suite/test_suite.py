"""The interface suite: every case over every wire."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.client import serving
from tests.server.conftest import Told, told
from tests.suite import http_cases, sse_cases, websocket_cases
from tests.suite.http1 import PATIENCE, HTTP1Wire, HTTPSWire
from tests.suite.http2 import HTTP2Wire, SecureHTTP2Wire
from tests.suite.wire import Case

__all__ = ["told"]

CASES = [*http_cases.CASES, *sse_cases.CASES, *websocket_cases.CASES]
WIRES = [HTTP1Wire, HTTPSWire, HTTP2Wire, SecureHTTP2Wire]

#: What a case means to happen.
EXPECTED_ERRORS = ("the application failed", "the application returned")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case(case: Case, wire: type[HTTP1Wire] | type[HTTP2Wire], told: Told) -> None:
    async with serving(case.app, **wire.options, **case.options) as server:
        async with asyncio.timeout(PATIENCE):
            await case.run(wire(server))
    unexpected = [text for text in told.errors if not text.startswith(EXPECTED_ERRORS)]
    assert unexpected == []
    failed = [
        record
        for record in told.records
        if record.exc_info and isinstance(record.exc_info[1], AssertionError)
    ]
    assert failed == [], failed[0].exc_info


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
