"""The keepalive of event streams: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._pulse_c"):
    from pagi.server.exchange._pulse_py import Pulse
else:
    from pagi.server.exchange._pulse_c import Pulse

__all__ = ["Pulse"]
