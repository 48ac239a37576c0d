"""Close codes and close frames (RFC 6455 §5.5.1, §7.4)."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.websocket.close import (
    MAX_REASON_SIZE,
    NO_CODE,
    PeerError,
    close_payload,
    is_on_the_wire,
    read_close,
)

GOOD = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
BAD = [-1, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]


@pytest.mark.parametrize("code", GOOD)
def test_codes_that_may_be_sent(code: int) -> None:
    assert is_on_the_wire(code)
    assert close_payload(code, "why €") == code.to_bytes(2, "big") + "why €".encode()
    assert read_close(close_payload(code, "why €")) == (code, "why €")


@pytest.mark.parametrize("code", BAD)
def test_codes_that_may_not(code: int) -> None:
    assert not is_on_the_wire(code)
    with pytest.raises(LocalProtocolError, match=f"close code {code} may not be sent"):
        close_payload(code, "why")
    if 0 <= code < 65_536:
        with pytest.raises(PeerError, match="a code that must not be sent") as caught:
            read_close(code.to_bytes(2, "big"))
        assert caught.value.code == 1002


def test_no_code_is_an_empty_frame() -> None:
    assert close_payload(NO_CODE, "") == b""
    assert read_close(b"") == (NO_CODE, "")


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (1000.0, "", "must be an int, not float"),
        (True, "", "must be an int, not bool"),
        ("1000", "", "must be an int, not str"),
        (1000, b"bytes", "must be a str, not bytes"),
        (1000, "\ud800", "lone surrogate"),
        (1000, "x" * 124, "has 124 bytes; 123 are allowed"),
        (1000, "é" * 62, "has 124 bytes"),
    ],
)
def test_what_cannot_be_a_close(code: Any, reason: Any, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        close_payload(code, reason)


def test_the_longest_reason() -> None:
    payload = close_payload(1000, "x" * MAX_REASON_SIZE)

    assert len(payload) == 125
    assert read_close(payload) == (1000, "x" * MAX_REASON_SIZE)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (b"\x03\xe8\xff", 1007),
        (b"\x03\xe8\xed\xa0\x80", 1007),
        (b"\x03\xe8\xe2\x82", 1007),
        (b"\x00\x00\xff", 1002),
    ],
)
def test_broken_closes(payload: bytes, code: int) -> None:
    with pytest.raises(PeerError) as caught:
        read_close(payload)
    assert caught.value.code == code
