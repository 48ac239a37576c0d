"""The WebSocket machines against each other: one behaviour, whatever comes, however it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.websocket.deflate import DeflateParameters
from tests.oracle.requests import pieces
from tests.oracle.websocket_frames import streams
from tests.unit.protocol.websocket.driving import (
    MASK,
    Implementation,
    compiled_is_built,
    is_up_to_zlib,
    output,
    serve,
    single_bytes,
    state,
    xor,
)

pytestmark = pytest.mark.skipif(
    not compiled_is_built(), reason="the compiled machine is not built, or not wanted"
)

_AGREED = st.sampled_from(
    [
        None,
        DeflateParameters(),
        DeflateParameters(client_no_context_takeover=True, server_no_context_takeover=True),
        DeflateParameters(client_max_window_bits=9, server_max_window_bits=9),
    ]
)


def _both() -> tuple[Implementation, Implementation]:
    return Implementation("py"), Implementation("c")


@given(pieces(streams()), _AGREED)
def test_streams(parts: list[bytes], deflate: DeflateParameters | None) -> None:
    whole = b"".join(parts)
    python, compiled = _both()
    outcomes = []
    for cut in (parts, [whole], single_bytes(whole)):
        outcomes.append(serve(python.new(deflate), cut))
        assert serve(compiled.new(deflate), cut) == outcomes[-1]
    assert is_up_to_zlib(outcomes) or outcomes[1:] == outcomes[:-1]


@given(pieces(st.binary(max_size=200)), _AGREED)
def test_noise(parts: list[bytes], deflate: DeflateParameters | None) -> None:
    python, compiled = _both()
    assert serve(python.new(deflate), parts) == serve(compiled.new(deflate), parts)


@given(
    pieces(streams()),
    _AGREED,
    st.integers(0, 150),
    st.integers(1, 4),
    st.integers(0, 1),
)
def test_narrow_limits(
    parts: list[bytes], deflate: DeflateParameters | None, size: int, fragments: int, rate: int
) -> None:
    limits = {"max_message_size": size, "max_fragments": fragments, "max_control_frames": rate}
    python, compiled = _both()
    outcome = serve(python.new(deflate, **limits), parts)
    assert serve(compiled.new(deflate, **limits), parts) == outcome
    whole = serve(compiled.new(deflate, **limits), [b"".join(parts)])
    assert whole == outcome or is_up_to_zlib([whole, outcome])
    for event in outcome.events:
        assert getattr(event, "size", 0) <= size


_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["x" * 200, "€" * 6000, "x" * 16_383, "x" * 16_384, "\ud800"]),
)
_DATA = st.one_of(st.binary(max_size=30), st.sampled_from([b"x" * 20_000, b"y" * 126, b""]))
_COMPRESS = st.sampled_from([None, True, False])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), _TEXTS, _COMPRESS),
        st.tuples(st.just("bytes"), _DATA, _COMPRESS),
        st.tuples(st.just("ping"), st.binary(max_size=130)),
        st.tuples(st.just("close"), st.sampled_from([1000, 1005, 1006, 4000]), st.text(max_size=5)),
        st.tuples(st.just("fail"), st.sampled_from([1008, 1013]), st.text(max_size=200)),
        st.tuples(st.just("receive"), streams()),
        st.tuples(st.sampled_from(["eof", "pull", "plain"])),
    ),
    max_size=8,
)


def _step(machine: Any, step: tuple[Any, ...]) -> Any:
    """Take one step and return what it gave, or what it raised."""
    name, *rest = step
    try:
        if name == "text":
            machine.send_text(*rest)
        elif name == "bytes":
            machine.send_bytes(*rest)
        elif name == "ping":
            machine.send_ping(*rest)
        elif name == "close":
            machine.send_close(*rest)
        elif name == "fail":
            machine.fail(*rest)
        elif name == "receive":
            return machine.receive_data(*rest, 0.0)
        elif name == "eof":
            machine.receive_eof()
        elif name == "plain":
            machine.compress_default = False
        else:
            return machine.data_to_send()
    except LocalProtocolError as error:
        return str(error)
    return None


@given(_STEPS, _AGREED, st.sampled_from([0, 20, 1024]))
def test_steps(
    steps: list[tuple[Any, ...]], deflate: DeflateParameters | None, min_size: int
) -> None:
    python, compiled = (one.new(deflate, deflate_min_size=min_size) for one in _both())
    for step in steps:
        assert _step(python, step) == _step(compiled, step)
        assert python.buffered() == compiled.buffered()
        assert state(python) == state(compiled)
    assert output(python) == output(compiled)


@given(st.binary(max_size=700), st.integers(0, 3), st.binary(min_size=4, max_size=4))
def test_masking(data: bytes, phase: int, mask: bytes) -> None:
    expected = xor(bytes(phase) + data, mask)[phase:]
    for implementation in _both():
        assert implementation.unmasked(b"." + data, 1, len(data) + 1, mask, phase) == expected


@given(
    pieces(
        st.lists(
            st.one_of(
                st.text(max_size=9).map(lambda text: text.encode("utf-8", "surrogatepass")),
                st.binary(max_size=4),
            ),
            max_size=5,
        ).map(b"".join)
    )
)
def test_utf8(parts: list[bytes]) -> None:
    results = []
    whole = MASK + xor(b"".join(parts), MASK)
    for implementation in _both():
        payload = implementation.Payload(True)
        taken = 0
        while taken < len(parts) and payload.add(parts[taken]):
            taken += 1
        text = payload.finish() if taken == len(parts) else None
        assert implementation.read_text(whole, 4, len(whole)) == text
        results.append((taken, text))
    assert results[0] == results[1]
