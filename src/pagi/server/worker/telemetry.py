"""A span of OpenTelemetry for each exchange; takes the extra ``otel``.

The application runs inside of it: spans that it makes are its children, and it is itself a child of
what the client's ``traceparent`` names. Attributes follow the semantic conventions for HTTP.

Where spans go is OpenTelemetry's to know: what the application or ``opentelemetry-instrument`` set
up is used; otherwise they are exported by OTLP, as the variables ``OTEL_…`` say.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from pagi.interface.callables import App
from pagi.interface.native import is_native, native
from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["traced"]

_KINDS: Final = frozenset({"http", "sse", "websocket"})
_STARTS: Final = frozenset(
    {
        "http.response.start",
        "sse.http.response.start",
        "websocket.http.response.start",
    }
)
_SERVER_ERROR: Final = 500
_WAIT: Final = 3000  # for the last spans to leave, in milliseconds


def traced(app: App) -> tuple[App, Callable[[], None]]:
    """Return the application with a span around each exchange, and what to call at the end.

    Raises:
        StartError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import context, propagate, trace
    except ImportError:
        raise StartError(
            "otel: OpenTelemetry is not installed; run 'pip install pagi-web[otel]'",
            EXIT_CONFIGURATION,
        ) from None
    flush = _provide(trace)
    tracer = trace.get_tracer("pagi")

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in _KINDS:
            await app(scope, receive, send)
            return
        fields = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        outer = propagate.extract(fields)
        span = tracer.start_span(
            scope.get("method", "GET"),
            context=outer,
            kind=trace.SpanKind.SERVER,
            attributes=_attributes(scope, fields),
        )
        token = context.attach(trace.set_span_in_context(span, outer))
        try:
            await app(scope, receive, _noting(send, span, trace))
        except Exception as error:
            span.record_exception(error)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
            raise
        finally:
            context.detach(token)
            span.end()

    return (native(serve) if is_native(app) else serve), flush


def _attributes(scope: Any, fields: dict[str, str]) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "http.request.method": scope.get("method", "GET"),
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if scope["query_string"]:
        found["url.query"] = scope["query_string"].decode("latin-1")
    if scope.get("client"):
        found["client.address"] = scope["client"][0]
    if scope["server"] and scope["server"][1]:
        found["server.address"], found["server.port"] = scope["server"]
    if "user-agent" in fields:
        found["user_agent.original"] = fields["user-agent"]
    return found


def _noting(send: Any, span: Any, trace: Any) -> Any:
    """Return a ``send`` that notes the status; it does nothing else with messages."""

    def noting(message: Any) -> Any:
        kind = message["type"]
        if kind in _STARTS:
            _note(span, trace, message.get("status", 200))
        elif kind == "websocket.accept":
            _note(span, trace, 101)
        elif kind == "sse.start":
            _note(span, trace, message.get("status", 200))
        return send(message)

    return noting


def _note(span: Any, trace: Any, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.set_status(trace.Status(trace.StatusCode.ERROR))


def _provide(trace: Any) -> Callable[[], None]:
    """See that there is a provider; return what sends the last spans of this process."""
    found = trace.get_tracer_provider()
    if not isinstance(found, trace.ProxyTracerProvider):
        return getattr(found, "force_flush", _nothing)
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return _nothing
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise StartError(
            "otel: the SDK or the exporter of OpenTelemetry is not installed; "
            "run 'pip install pagi-web[otel]', or set a tracer provider in the application",
            EXIT_CONFIGURATION,
        ) from None
    named = "OTEL_SERVICE_NAME" in os.environ
    made = TracerProvider(resource=Resource.create({} if named else {"service.name": "pagi"}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(made)

    def flush() -> None:
        made.force_flush(_WAIT)

    return flush


def _nothing() -> None:
    """There is nobody to send spans."""
