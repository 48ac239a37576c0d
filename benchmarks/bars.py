"""The bars that the server has to meet, judged against the same run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS, Role

PEERS = tuple(server.name for server in SERVERS if server.role is Role.PEER)
CONNECTIONS = {scenario.name: scenario.connections for scenario in SCENARIOS}
GROWTH_PER_CONNECTION = 1024
"""KiB: what "bounded by the water marks" is taken to mean, while 10 MiB pass through."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar: the figure, the limit, and whether it is met; None if it was not measured."""

    bar: str
    figure: str
    limit: str
    met: bool | None


Bar = Callable[[Results], Verdict]


def _compare(
    title: str, figure: float | None, limit: float | None, basis: str, unit: str
) -> Verdict:
    shown = "-" if figure is None else f"{figure:,.2f} {unit}"
    if limit is None:
        return Verdict(title, shown, f"{basis}: not measured", None)
    met = None if figure is None else figure <= limit
    return Verdict(title, shown, f"{limit:,.2f} {unit} ({basis})", met)


def _figure(results: Results, scenario: str, server: str) -> float | None:
    line = results.line(scenario, server)
    return line.figure if line else None


def ratio(
    title: str,
    scenario: str,
    factor: float,
    reference: str,
    *,
    server: str = "pagi",
    basis: str = "",
    unit: str = "µs",
) -> Bar:
    """A bar relative to another server, or to ourselves in the scenario `basis`."""

    def bar(results: Results) -> Verdict:
        other = _figure(results, basis or scenario, reference)
        limit = None if other is None else factor * other
        text = f"{factor:g} x {reference}" + (f" in {basis}" if basis else "")
        return _compare(title, _figure(results, scenario, server), limit, text, unit)

    return bar


def best_peer(title: str, scenario: str, factor: float = 1.0) -> Bar:
    """A bar that asks for less than every ASGI peer that was measured, or for a share of that."""

    def bar(results: Results) -> Verdict:
        peers = [line for line in results.lines(scenario) if line.server in PEERS]
        good = [line for line in peers if not line.failure]
        best = min(good, key=lambda line: line.figure, default=None)
        limit = factor * best.figure if best else None
        basis = f"best peer, {best.server}" if best else "best peer"
        basis = basis if factor == 1.0 else f"{factor:g} x {basis}"
        return _compare(title, _figure(results, scenario, "pagi"), limit, basis, "µs")

    return bar


def at_most(title: str, scenario: str, limit: float, unit: str) -> Bar:
    """A bar with a limit of its own."""

    def bar(results: Results) -> Verdict:
        return _compare(title, _figure(results, scenario, "pagi"), limit, "fixed", unit)

    return bar


def bounded_memory(title: str, scenario: str) -> Bar:
    """A bar on the growth of the peak memory under the load of large bodies."""

    def bar(results: Results) -> Verdict:
        line = results.line(scenario, "pagi")
        grown = line.grown / CONNECTIONS[scenario] if line else None
        limit = float(GROWTH_PER_CONNECTION)
        return _compare(title, grown, limit, "per connection", "KiB")

    return bar


HELLO = "hello, 12 browser headers"
BARS: tuple[Bar, ...] = (
    best_peer(f"{HELLO}: below every ASGI peer", "browser"),
    ratio(HELLO, "browser", 0.45, "granian"),
    ratio(HELLO, "browser", 0.40, "uvicorn"),
    ratio(HELLO, "browser", 0.75, "peregrine"),
    ratio(HELLO, "browser", 1.6, "floor"),
    ratio(f"{HELLO}, pure Python", "browser", 0.85, "granian", server="pagi-pure"),
    ratio("access log on", "access-log", 1.15, "pagi", basis="browser"),
    best_peer("upload of 10 MiB", "upload"),
    bounded_memory("upload of 10 MiB: growth of peak memory", "upload"),
    best_peer("download of 10 MiB", "download"),
    bounded_memory("download of 10 MiB: growth of peak memory", "download"),
    best_peer("file of 100 KiB", "file-100k"),
    ratio("JSON POST of 1 KiB (orjson)", "json", 0.6, "uvicorn"),
    ratio("answer of 10 KiB, browser headers", "body-10k", 0.6, "uvicorn"),
    ratio("answer in 100 chunks of 1 KiB", "stream", 0.5, "uvicorn"),
    best_peer("WebSocket echo, 32 bytes", "websocket", 0.75),
    best_peer("WebSocket echo, 16 in flight", "websocket-pipelined", 0.9),
    ratio("WebSocket echo, 64 KiB", "websocket-64k", 1.0, "uvicorn"),
    best_peer("WebSocket broadcast to 1,000", "broadcast", 0.65),
    best_peer("event to 200 clients", "sse-200", 0.65),
    best_peer("event to 1,000 clients", "sse-1000", 0.65),
    at_most("idle kept connection", "idle", 5.0, "KiB"),
    ratio("idle WebSocket", "websocket-idle", 1.0, "uvicorn", unit="KiB"),
    ratio("idle WebSocket, compressing", "websocket-idle-deflate", 1.0, "uvicorn", unit="KiB"),
    ratio("a new TCP connection per request", "connect", 0.6, "uvicorn"),
    best_peer("hello over HTTP/2", "h2c", 0.5),
    best_peer("hello over HTTP/2 and TLS", "h2", 0.5),
    best_peer("hello over TLS, kept", "https", 0.7),
    ratio("hello over TLS, kept", "https", 0.7, "nginx"),
    ratio("a TLS handshake per request", "handshake", 1.1, "granian"),
    best_peer("download of 10 MiB over HTTP/2", "h2-download"),
    ratio("start to first answer", "start", 1.0, "uvicorn", unit="ms"),
)


def judge(results: Results) -> list[Verdict]:
    """Returns the verdict on every bar."""
    return [bar(results) for bar in BARS]
