"""Frames on their way out (RFC 6455 §5.2)."""

from __future__ import annotations

import pytest

from tests.unit.protocol.websocket.driving import Frame, Implementation, frames


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (1, b"\x82\x01"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (127, b"\x82\x7e\x00\x7f"),
        (256, b"\x82\x7e\x01\x00"),
        (65_535, b"\x82\x7e\xff\xff"),
        (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        (0x0102030405060708, b"\x82\x7f\x01\x02\x03\x04\x05\x06\x07\x08"),
    ],
)
def test_heads(implementation: Implementation, size: int, head: bytes) -> None:
    assert implementation.frame_head(0x82, size) == head
    if size < 100_000:
        assert implementation.frame(0x82, b"x" * size) == head + b"x" * size
        assert implementation.ascii_frame(0x82, "x" * size) == head + b"x" * size


@pytest.mark.parametrize("text", ["é", "€" * 50, "\U0001f600", "x" * 200 + "é", "\ud800", "\x80"])
def test_text_that_is_not_ascii_needs_encoding(implementation: Implementation, text: str) -> None:
    assert implementation.ascii_frame(0x81, text) is None


def test_bytes_of_ascii(implementation: Implementation) -> None:
    text = "".join(map(chr, range(128)))

    assert frames(implementation.ascii_frame(0x81, text)) == [Frame(0x81, bytes(range(128)))]
