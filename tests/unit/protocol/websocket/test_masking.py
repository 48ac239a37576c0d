"""Taking the mask off (RFC 6455 §5.3)."""

from __future__ import annotations

import random

import pytest

from pagi.protocol.websocket import masking
from tests.unit.protocol.websocket.driving import Implementation, compiled_is_built, xor

MASKS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04", b"\x80\x00\x7f\xfe"]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("size", [*range(33), 125, 126, 511, 512, 513, 514, 515, 516, 70_001])
def test_every_size(implementation: Implementation, size: int, mask: bytes) -> None:
    payload = random.Random(size).randbytes(size)

    assert implementation.unmasked(xor(payload, mask), 0, size, mask, 0) == payload


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 9, 100, 600])
@pytest.mark.parametrize("phase", range(4))
def test_in_the_middle_of_a_frame(implementation: Implementation, size: int, phase: int) -> None:
    payload = random.Random(size).randbytes(size)
    wire = xor(bytes(phase) + payload, b"\x11\x22\x33\x44")[phase:]

    found = implementation.unmasked(
        b"head" + wire + b"tail", 4, 4 + size, b"\x11\x22\x33\x44", phase
    )

    assert found == payload
    assert type(found) is bytes


def test_the_facade_has_one_implementation() -> None:
    name = "c" if compiled_is_built() else "py"
    assert masking.unmasked is Implementation(name).unmasked
