"""The corpus, replayed whole, byte by byte and cut at random, on both implementations."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.events import (
    CloseReceived,
    Failed,
    MessageReceived,
    PingReceived,
    PongReceived,
    WebSocketEvent,
)
from pagi.protocol.websocket.extensions import accept_offer, read_extensions
from pagi.protocol.websocket.limits import WebSocketLimits
from tests.unit.protocol.websocket.driving import Frame, Implementation, frames, receive

CORPUS = Path(__file__).parents[3] / "corpus" / "websocket"
CASES = sorted(path.stem for path in CORPUS.glob("*.ws"))


def _agreed(offer: str | None, limits: dict[str, Any]) -> DeflateParameters | None:
    if offer is None:
        return None
    extensions = read_extensions(offer.encode())
    assert extensions is not None
    return accept_offer(extensions[0][1], WebSocketLimits(**limits))


def _event(expected: dict[str, Any]) -> WebSocketEvent:
    """Make the event that an expectation stands for."""
    if "text" in expected:
        return MessageReceived(expected["text"], len(expected["text"].encode()))
    if "bytes" in expected:
        data = bytes.fromhex(expected["bytes"])
        return MessageReceived(data, len(data))
    if "ping" in expected:
        return PingReceived(bytes.fromhex(expected["ping"]))
    if "pong" in expected:
        return PongReceived(bytes.fromhex(expected["pong"]))
    return CloseReceived(expected["close"], expected.get("reason", ""))


@pytest.mark.parametrize("name", CASES)
def test_replay(name: str, implementation: Implementation) -> None:
    expected = tomllib.loads((CORPUS / f"{name}.toml").read_text("utf-8"))
    limits = expected.get("limits", {})
    wire = (CORPUS / f"{name}.ws").read_bytes()
    events, sent, state = receive(
        implementation, wire, _agreed(expected.get("deflate"), limits), **limits
    )
    answered = frames(sent)
    wanted = expected.get("event", [])
    if wanted and "failed" in wanted[-1]:
        code = wanted[-1]["failed"]
        failure = events.pop()
        assert isinstance(failure, Failed)
        assert failure.code == code
        assert answered.pop() == Frame(0x88, code.to_bytes(2, "big") + failure.detail.encode())
        assert state["closed"]
        assert state["close_sent"]
        assert not state["close_received"]
        wanted = wanted[:-1]
    elif wanted and "close" in wanted[-1]:
        code = wanted[-1]["close"]
        echoed = b"" if code == 1005 else code.to_bytes(2, "big")
        assert answered.pop() == Frame(0x88, echoed)
        assert state == {
            "close_sent": True,
            "close_received": True,
            "close_code": code,
            "close_reason": wanted[-1].get("reason", ""),
            "closed": True,
        }
    else:
        assert not any((state["closed"], state["close_sent"], state["close_received"]))
    assert events == [_event(one) for one in wanted]
    assert answered == [
        Frame(one["first"], bytes.fromhex(one["payload"])) for one in expected.get("frame", [])
    ]


def test_corpus_is_large() -> None:
    assert len(CASES) > 180
    assert sum(name.startswith("good-") for name in CASES) > 80
