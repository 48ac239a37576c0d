"""What the fields of a response head have told, as bits of one integer."""

from __future__ import annotations

from typing import Final

__all__ = ["HAS_DATE", "HAS_SERVER", "HAS_UPGRADE", "WANTS_CLOSE"]

#: The application brought ``date``.
HAS_DATE: Final = 1
#: The application brought ``server``.
HAS_SERVER: Final = 2
#: ``upgrade`` is among the lines.
HAS_UPGRADE: Final = 4
#: The application asked for the end of the connection.
WANTS_CLOSE: Final = 8
