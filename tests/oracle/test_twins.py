"""The implementations against each other: one behaviour, whatever comes, however it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pagi.protocol.errors import LocalProtocolError
from tests.oracle.requests import pieces, requests
from tests.unit.protocol.http1.driving import (
    answer,
    compiled_is_built,
    joined,
    machine_class,
    new,
    output,
    serve,
)

pytestmark = pytest.mark.skipif(
    not compiled_is_built(), reason="the compiled machine is not built, or not wanted"
)

_ATTRIBUTES = (
    "read_state",
    "write_state",
    "finished",
    "keep_alive",
    "reading_paused",
    "pending",
    "continue_expected",
    "peer_may_send",
    "idle",
    "reading_body",
)


def _state(connection: Any) -> dict[str, Any]:
    return {name: getattr(connection, name) for name in _ATTRIBUTES}


def _both(**limits: Any) -> tuple[Any, Any]:
    return new(machine_class("py"), **limits), new(machine_class("c"), **limits)


@given(pieces(requests()))
def test_requests(parts: list[bytes]) -> None:
    python, compiled = _both()
    for part in parts:
        results = []
        for connection in (python, compiled):
            seen = events = connection.receive_data(part, 0.0)
            while answer(connection, events):
                events = connection.receive_data(b"", 0.0)
                seen = seen + events
            results.append((seen, output(connection), _state(connection)))
        assert results[0] == results[1]
    assert python.receive_eof(0.0) == compiled.receive_eof(0.0)
    assert _state(python) == _state(compiled)


@given(pieces(st.binary(max_size=300)))
def test_noise(parts: list[bytes]) -> None:
    python, compiled = _both()
    assert serve(python, parts) == serve(compiled, parts)
    assert _state(python) == _state(compiled)


@given(pieces(requests()), st.integers(30, 90), st.integers(1, 20), st.integers(0, 4))
def test_narrow_limits(parts: list[bytes], head: int, body: int, count: int) -> None:
    limits = {
        "max_head_size": head,
        "max_target_size": 4,
        "max_header_count": count,
        "max_body_size": body,
        "max_chunk_line_size": 4,
        "max_trailer_size": 8,
    }
    python, compiled = _both(**limits)
    assert serve(python, parts) == serve(compiled, parts)
    whole = new(machine_class("c"), **limits)
    assert serve(whole, [b"".join(parts)])[0] == serve(new(machine_class("py"), **limits), parts)[0]


@given(pieces(requests()))
def test_packets_do_not_matter(parts: list[bytes]) -> None:
    whole = serve(new(machine_class("c")), [b"".join(parts)])
    single = [bytes([byte]) for byte in b"".join(parts)]
    for implementation in ("py", "c"):
        assert serve(new(machine_class(implementation)), parts) == whole
        assert serve(new(machine_class(implementation)), single) == whole


_TOKENISH = st.sampled_from(
    (
        *(b"x", b"Date", b"server", b"Content-Length", b"content-type", b"connection", b"Upgrade"),
        *(b"transfer-encoding", b"keep-alive", b"vary", b"bad name", b"", b"x\r\n", b"\xe4"),
        *("x", None),
    )
)
_VALUES = st.one_of(
    st.sampled_from([b"5", b"close", b"upgrade", b"", b"a\tb", b"a\nb", b"\x7f", "x", 5, b" 5"]),
    st.binary(max_size=8),
)
_FIELDS = st.lists(
    st.one_of(st.tuples(_TOKENISH, _VALUES), st.tuples(_TOKENISH, _VALUES), st.just((b"x",))),
    max_size=4,
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("head"),
            st.sampled_from([200, 204, 205, 304, 404, 426, 101, 199, 1000]),
            _FIELDS,
            st.sampled_from([None, 0, 5]),
            st.booleans(),
        ),
        st.tuples(st.just("body"), st.binary(max_size=6), st.booleans()),
        st.tuples(
            st.just("whole"), st.sampled_from([200, 204, 404]), _FIELDS, st.binary(max_size=6)
        ),
        st.tuples(st.just("trailers"), _FIELDS),
        st.tuples(st.just("informational"), st.sampled_from([100, 101, 103, 200]), _FIELDS),
        st.tuples(st.just("switch"), _FIELDS),
        st.tuples(st.just("account"), st.integers(0, 6)),
        st.tuples(st.sampled_from(["close", "reset", "eof", "again", "pull", "refuse"])),
    ),
    max_size=7,
)
_HEADS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ]
)


def _step(connection: Any, stream_id: int, step: tuple[Any, ...]) -> Any:
    """Take one step and return what it gave, or what it raised."""
    name, *rest = step
    try:
        if name == "head":
            status, fields, size, trailers = rest
            connection.send_head(stream_id, status, fields, size=size, trailers=trailers)
        elif name == "body":
            connection.send_body(stream_id, rest[0], end=rest[1])
        elif name == "whole":
            connection.send_response(stream_id, *rest)
        elif name == "trailers":
            connection.send_trailers(stream_id, *rest)
        elif name == "informational":
            connection.send_informational(stream_id, *rest)
        elif name == "switch":
            connection.switch(stream_id, *rest)
        elif name == "account":
            connection.account_body(stream_id, *rest)
        elif name == "close":
            connection.close()
        elif name == "reset":
            connection.reset(stream_id, "app_abort")
        elif name == "eof":
            return connection.receive_eof(0.0)
        elif name == "again":
            return connection.receive_data(b"", 0.0)
        elif name == "refuse":
            return connection.refuse(408, "slow", "client_timeout")
        else:
            return output(connection)
    except LocalProtocolError as error:
        return str(error)
    return None


@given(_HEADS, st.sampled_from([b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"G"]), _STEPS)
@example(b"GET / HTTP/1.0\r\n\r\n", b"", [("head", 200, [], None, True), ("trailers", [])])
def test_responses(head: bytes, behind: bytes, steps: list[tuple[Any, ...]]) -> None:
    python, compiled = _both()
    assert python.receive_data(head + behind, 0.0) == compiled.receive_data(head + behind, 0.0)
    for step in steps:
        assert _step(python, 1, step) == _step(compiled, 1, step)
        assert _state(python) == _state(compiled)
        assert python.buffered(1) == compiled.buffered(1)
    assert output(python) == output(compiled)


def test_joined_is_about_bodies_only() -> None:
    events = new(machine_class("c")).receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    assert joined(events) == events
