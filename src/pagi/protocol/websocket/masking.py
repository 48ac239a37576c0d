"""Taking the mask off a payload: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["unmasked"]

if TYPE_CHECKING or not compiled("pagi.protocol.websocket._masking_c"):
    from pagi.protocol.websocket._masking_py import unmasked
else:
    from pagi.protocol.websocket._masking_c import unmasked
