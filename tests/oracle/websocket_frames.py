"""Frames for the oracles: right, nearly right and mutilated."""

from __future__ import annotations

import zlib

from hypothesis import strategies as st

from tests.unit.protocol.websocket.driving import masked

_TEXTS = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.sampled_from(["é" * 70, "x" * 126, "\U0001f600" * 40]).map(str.encode),
)
_NEARLY_TEXTS = st.one_of(
    _TEXTS,
    st.sampled_from([b"\xe2\x82", b"\xac", b"\xed\xa0\x80", b"\xed", b"\xa0", b"\xf4\x90\x80\x80"]),
    st.sampled_from([b"\xf0\x9f", b"\x98\x80", b"\xc0\x80", b"\xff", b"ok\x80", b"\xc3", b"\xa9"]),
)
_DATA = st.one_of(st.binary(max_size=20), st.sampled_from([b"", b"x" * 125, b"y" * 126]))
_MASKS = st.one_of(st.just(b"\0\0\0\0"), st.binary(min_size=4, max_size=4))
_CODES = st.one_of(
    st.sampled_from([1000, 1001, 1002, 1007, 1011, 1012, 3000, 4999]),
    st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]),
)


def _deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


@st.composite
def _close(draw: st.DrawFn) -> bytes:
    payload = draw(_CODES).to_bytes(2, "big") + draw(_NEARLY_TEXTS)[:123]
    return masked(0x88, draw(st.sampled_from([payload, payload[:2], payload[:1], b""])))


@st.composite
def _message(draw: st.DrawFn) -> bytes:
    """Return a message in one or more frames, perhaps deflated, with a ping between them."""
    text = draw(st.booleans())
    data = draw(_NEARLY_TEXTS if text and draw(st.booleans()) else _TEXTS if text else _DATA)
    first = 0x01 if text else 0x02
    if draw(st.integers(0, 3)) == 0:
        first |= 0x40
        data = draw(st.sampled_from([_deflated(data)] * 4 + [data, data + b"\0"]))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    wire = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        opcode = 0 if number else first
        wire += masked(opcode | 0x80 * last, part, draw(_MASKS))
        if not last and draw(st.integers(0, 3)) == 0:
            wire += masked(draw(st.sampled_from([0x89, 0x8A])), draw(_DATA)[:125])
    return wire


@st.composite
def _frame(draw: st.DrawFn) -> bytes:
    """Return a frame that is likely wrong."""
    first = draw(st.one_of(st.integers(0, 255), st.sampled_from([0x00, 0x80, 0x01, 0x89, 0x8A])))
    frame = masked(first, draw(_DATA), draw(_MASKS))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return bytes((frame[0], frame[1] & 0x7F)) + frame[2:]
    if kind == 1:
        size = draw(st.sampled_from([0, 125, 126, 65_535, 65_536, 1 << 40, 1 << 63, 2**64 - 1]))
        return bytes((first, 0xFF)) + size.to_bytes(8, "big") + b"\0\0\0\0" + draw(_DATA)
    if kind == 2:
        size = draw(st.sampled_from([0, 1, 125, 126, 200]))
        return bytes((first, 0xFE)) + size.to_bytes(2, "big") + b"\0\0\0\0" + draw(_DATA)
    return frame


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Return what a client might send."""
    kinds = st.one_of(_message(), _message(), _message(), _frame(), _close())
    wire = b"".join(draw(st.lists(kinds, min_size=1, max_size=6)))
    if draw(st.integers(0, 4)) == 0:
        wire = wire[: draw(st.integers(0, len(wire)))]
    return wire
