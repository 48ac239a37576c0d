"""``pagi run --otel``: spans leave by OTLP, those of the last moments, too."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

import pagi
from tests.server.attacks.wire import get
from tests.server.processes import command
from tests.server.test_restarts import ready

pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")


@pytest.mark.parametrize("workers", [0, 1])
async def test_spans_leave(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        bodies.append(await read(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def read(receive: Any) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        return body

    async with pagi.serve(collector, port=0, lifespan="off", access_log=None) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        async with command("app", "-w", str(workers), "--otel", directory=tmp_path) as site:
            await ready(site, workers)
            assert (await get(site.port, b"/named")).status == 200
            site.tell(signal.SIGTERM)
            assert await site.ended() == 0
            await asyncio.sleep(0)
    sent = b"".join(bodies)
    assert b"/named" in sent
    assert b"http.response.status_code" in sent
