"""The function that makes access-log lines of a format: Python twin."""

from __future__ import annotations

from typing import Any

from pagi.server.worker.access_pieces import Piece, link_pieces

__all__ = ["make_render"]


def make_render(pieces: list[Piece], clock: Any) -> Any:
    """Make the function for requests that were given to the application."""
    return link_pieces(pieces, "client, scope, status, sent, duration, reason", clock)
