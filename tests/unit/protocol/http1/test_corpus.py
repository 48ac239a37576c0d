"""The corpus, replayed whole, byte by byte and cut at random, on both implementations."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pagi.protocol.events import BodyReceived, ConnectionFailed, MessageComplete, RequestReceived
from tests.unit.protocol.http1.driving import new, serve

CORPUS = Path(__file__).parents[3] / "corpus" / "http1"
CASES = sorted(path.stem for path in CORPUS.glob("*.http"))


def _load(name: str) -> tuple[bytes, dict[str, Any]]:
    expected = tomllib.loads((CORPUS / f"{name}.toml").read_text("utf-8"))
    return (CORPUS / f"{name}.http").read_bytes(), expected


def _bytes(value: Any) -> Any:
    """Turn the texts of an expectation into the bytes they stand for."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, list):
        return [tuple(_bytes(part) for part in pair) for pair in value]
    return value


def _check_request(event: RequestReceived, expected: dict[str, Any]) -> None:
    assert event.method == expected["method"]
    assert event.raw_path == _bytes(expected["target"])
    assert event.query_string == _bytes(expected.get("query", ""))
    assert event.http_version == expected.get("version", "1.1")
    assert event.content_length == expected.get("length")
    assert event.end == (not expected.get("chunked") and not expected.get("length"))
    assert event.expect_continue == expected.get("expect_continue", False)
    assert event.upgrade == _bytes(expected.get("upgrade"))
    assert event.scheme == expected.get("scheme")
    assert event.authority == _bytes(expected.get("authority"))
    if "fields" in expected:
        assert event.fields == _bytes(expected["fields"])


def _check(events: list[Any], sent: bytes, expected: dict[str, Any]) -> None:
    """Compare all that happened with the expectation."""
    queue = list(events)
    answered = 0
    for number, request in enumerate(expected.get("request", []), 1):
        event = queue.pop(0)
        assert event.stream_id == number
        _check_request(event, request)
        if request.get("body"):
            assert queue.pop(0) == BodyReceived(number, _bytes(request["body"]))
        if request.get("complete", True):
            answered += 1
            if not event.end:
                trailers = _bytes(request.get("trailers", []))
                assert queue.pop(0) == MessageComplete(number, trailers)
    assert sent.count(b"HTTP/1.1 200 OK") == answered
    if "status" in expected:
        failure = queue.pop(0)
        assert isinstance(failure, ConnectionFailed)
        assert failure.status == expected["status"]
        assert failure.reason == ("body_too_large" if failure.status == 413 else "protocol_error")
        assert b"HTTP/1.1 %d " % failure.status in sent
        assert sent.count(b"HTTP/1.1 ") == answered + 1
        assert b"\r\nconnection: close\r\n" in sent
    assert queue == []


@pytest.mark.parametrize("name", CASES)
def test_replay(name: str, implementation: Any) -> None:
    data, expected = _load(name)
    connection = new(implementation)
    events, sent = serve(connection, [data])
    _check(events, sent, expected)
    failed = "status" in expected
    persistent = all(request.get("keep_alive", True) for request in expected.get("request", []))
    assert connection.finished == (failed or not persistent)
    assert connection.idle == (not failed and persistent and not expected.get("waits", False))

    assert serve(new(implementation), [data[i : i + 1] for i in range(len(data))]) == (events, sent)
    source = random.Random(name)
    for _ in range(5):
        cuts = sorted(source.randrange(len(data) + 1) for _ in range(source.randrange(1, 8)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert serve(new(implementation), pieces) == (events, sent)


def test_corpus_is_large() -> None:
    assert len(CASES) > 200
    assert sum(name.startswith("good-") for name in CASES) > 40
