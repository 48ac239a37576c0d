"""Spans of OpenTelemetry around exchanges."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pagi.interface.native import is_native, native
from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.telemetry import traced

trace = pytest.importorskip("opentelemetry.trace")
sdk = pytest.importorskip("opentelemetry.sdk.trace")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/x",
    "scheme": "http",
    "http_version": "1.1",
    "query_string": b"a=1",
    "headers": [(b"user-agent", b"test"), (b"traceparent", PARENT.encode())],
    "client": ("10.0.0.1", 5),
    "server": ("10.0.0.2", 80),
}


@pytest.fixture(scope="module")
def spans() -> Any:
    exporter = memory.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(autouse=True)
def _cleared(spans: Any) -> None:
    spans.clear()


async def nothing(message: Any = None) -> None:
    """Take a message."""


async def call(app: Any, **scope: Any) -> None:
    wrapped: Any = traced(app)[0]
    await wrapped({**SCOPE, **scope}, nothing, nothing)


async def answers(scope: Any, receive: Any, send: Any) -> None:
    with trace.get_tracer("app").start_as_current_span("inner"):
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body", "body": b""})


async def test_a_request(spans: Any) -> None:
    await call(answers)
    inner, outer = spans.get_finished_spans()
    assert inner.parent.span_id == outer.context.span_id
    assert f"{outer.context.trace_id:032x}" in PARENT
    assert f"{outer.parent.span_id:016x}" in PARENT
    assert (outer.name, outer.kind) == ("GET", trace.SpanKind.SERVER)
    assert dict(outer.attributes) == {
        "http.request.method": "GET",
        "url.path": "/x",
        "url.scheme": "http",
        "url.query": "a=1",
        "network.protocol.version": "1.1",
        "client.address": "10.0.0.1",
        "server.address": "10.0.0.2",
        "server.port": 80,
        "user_agent.original": "test",
        "http.response.status_code": 404,
    }
    assert outer.status.status_code is trace.StatusCode.UNSET


@pytest.mark.parametrize(
    ("kind", "message", "status"),
    [
        ("sse", {"type": "sse.start"}, 200),
        ("sse", {"type": "sse.http.response.start", "status": 403}, 403),
        ("websocket", {"type": "websocket.accept"}, 101),
        ("websocket", {"type": "websocket.http.response.start", "status": 503}, 503),
    ],
)
async def test_other_kinds(kind: str, message: dict[str, Any], status: int, spans: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(message)

    await call(app, type=kind, client=None, server=("/run/app.sock", None), headers=[])
    (span,) = spans.get_finished_spans()
    assert span.attributes["http.response.status_code"] == status
    assert span.parent is None
    wrong = span.status.status_code is trace.StatusCode.ERROR
    assert wrong == (status >= 500)


async def test_an_application_that_fails(spans: Any) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await call(fails)
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_the_lifespan_has_none(spans: Any) -> None:
    called = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["type"])

    wrapped: Any = traced(app)[0]
    await wrapped({"type": "lifespan"}, nothing, nothing)
    assert called == ["lifespan"]
    assert spans.get_finished_spans() == ()


def test_what_is_native_stays_so() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Do nothing."""

    assert not is_native(traced(app)[0])
    assert is_native(traced(native(app))[0])


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(StartError, match=r"pip install pagi-web\[otel\]") as raised:
        traced(answers)
    assert raised.value.exit_status == EXIT_CONFIGURATION
