"""`ConnectionDriver`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._driver_c"):
    from pagi.server.connection._driver_py import (
        GROUP,
        RESOLUTION,
        ConnectionDriver,
        ReadBatch,
        batch_of,
    )
else:
    from pagi.server.connection._driver_c import (
        GROUP,
        RESOLUTION,
        ConnectionDriver,
        ReadBatch,
        batch_of,
    )

__all__ = ["GROUP", "RESOLUTION", "ConnectionDriver", "ReadBatch", "batch_of"]
