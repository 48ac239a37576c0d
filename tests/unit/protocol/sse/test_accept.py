"""Which requests ask for an event stream."""

from __future__ import annotations

import pytest

from pagi.protocol.sse.accept import prefers_event_stream


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["text/event-stream"], True),
        (["TEXT/Event-Stream"], True),
        (["text/event-stream;q=0.1"], True),
        (["text/event-stream ; q=0.5 , text/html;q=0.4"], True),
        (["text/html;q=0.4", "text/event-stream;q=0.5"], True),
        (["text/event-stream, */*"], True),
        (["text/event-stream;charset=utf-8;q=1.000"], True),
        ([], False),
        ([""], False),
        (["*/*"], False),
        (["text/*"], False),
        (["text/html"], False),
        (["text/event-stream;q=0"], False),
        (["text/event-stream;q=0.000"], False),
        (["text/event-stream, text/html"], False),
        (["text/event-stream;q=0.9, application/json"], False),
        (["text/event-stream;q=x"], False),
        (["text/event-stream;q=0.1234"], False),
        (["text/event-stream;q=2"], False),
        (["text/event-streams"], False),
        ([",".join(["a/b;q=0.1"] * 100) + ",text/event-stream"], False),
    ],
)
def test_preference(values: list[str], wanted: bool) -> None:
    fields = [(b"host", b"text/event-stream"), *((b"accept", v.encode()) for v in values)]
    assert prefers_event_stream(fields) is wanted
