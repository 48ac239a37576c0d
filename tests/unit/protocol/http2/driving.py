"""Driving the engine by hand: what its tests share."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import pytest

from tests.unit.protocol.http2.test_machine import GET, Pair, frame

_PACKAGE = "pagi.protocol.http2"

#: Numbers of settings (RFC 9113 §6.5.2).
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 4, 5

Part = tuple[str, int, int, bytes]


def compiled_is_built() -> bool:
    """Tell whether the compiled engine can be tested."""
    pure = os.environ.get("PAGI_PURE_PYTHON", "") not in ("", "0")
    return not pure and importlib.util.find_spec(f"{_PACKAGE}._connection_c") is not None


def twins(module: str, name: str) -> list[Any]:
    """Return what a module calls ``name``, of each implementation that is there."""
    builds = ["py", "c"] if compiled_is_built() else ["py"]
    return [
        pytest.param(getattr(importlib.import_module(f"{_PACKAGE}._{module}_{build}"), name))
        for build in builds
    ]


# --- frames of the client ---


def settings(*values: tuple[int, int]) -> bytes:
    """Make one SETTINGS frame."""
    pairs = (number.to_bytes(2, "big") + value.to_bytes(4, "big") for number, value in values)
    return frame("SETTINGS", 0, 0, b"".join(pairs))


def credit(stream: int, size: int) -> bytes:
    """Make a WINDOW_UPDATE frame."""
    return frame("WINDOW_UPDATE", stream, 0, size.to_bytes(4, "big"))


def priority_update(stream: int, value: bytes) -> bytes:
    """Make a PRIORITY_UPDATE frame (RFC 9218 §7.1)."""
    payload = stream.to_bytes(4, "big") + value
    return len(payload).to_bytes(3, "big") + b"\x10\0\0\0\0\0" + payload


def ask(pair: Pair, stream: int, priority: str = "") -> None:
    """Let a request come."""
    more = [("priority", priority)] if priority else []
    (event,) = pair.receive(pair.headers(stream, [*GET, *more]))
    assert event.stream_id == stream


def answer(pair: Pair, stream: int, size: int) -> None:
    """Answer with a body whose size was not known before."""
    pair.machine.send_head(stream, 200, [])
    pair.machine.send_body(stream, bytes(size), end=True)


# --- frames of the machine ---


def turns(parts: list[Part]) -> list[int]:
    """Return whose turn it was: the streams of the DATA frames, in their order."""
    return [stream for kind, stream, _, _ in parts if kind == "DATA"]


def shapes(parts: list[Part]) -> list[tuple[str, int, int, int]]:
    """Return frames with the sizes of their payloads."""
    return [(kind, stream, flags, len(payload)) for kind, stream, flags, payload in parts]


def body(parts: list[Part], stream: int) -> bytes:
    """Return the body bytes of a stream."""
    return b"".join(part[3] for part in parts if part[0] == "DATA" and part[1] == stream)
