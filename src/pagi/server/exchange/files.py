"""`FileBody`, `open_body`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._files_c"):
    from pagi.server.exchange._files_py import PIECE_SIZE, FileBody, open_body
else:
    from pagi.server.exchange._files_c import PIECE_SIZE, FileBody, open_body

__all__ = ["PIECE_SIZE", "FileBody", "open_body"]
