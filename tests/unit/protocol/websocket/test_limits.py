"""The limits: values that cannot be changed, and defaults that Autobahn's suite needs."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from pagi.protocol.websocket.limits import WebSocketLimits


def test_limits_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        WebSocketLimits().max_message_size = 1  # type: ignore[misc]  # what is tested


def test_defaults() -> None:
    limits = WebSocketLimits()

    assert limits.max_message_size == 16 * 2**20  # case 9.1.6
    assert limits.max_fragments > 4 * 2**20 // 64 + 1  # case 9.3.1
    assert 9 <= limits.deflate_window_bits <= 15
    assert 1 <= limits.deflate_memory_level <= 9
