"""How what is wrong comes out of the parsers. Both builds raise these."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["ConnectionFault", "DecodingError", "HuffmanError", "TooLargeError", "fault"]


class ConnectionFault(Exception):
    """The peer has broken a rule that ends the connection.

    Attributes:
        code: of the error.
        detail: what was wrong, in our words.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def fault(code: int, detail: str) -> NoReturn:
    """Raise `ConnectionFault`."""
    raise ConnectionFault(code, detail)


class DecodingError(Exception):
    """A header section cannot be decoded: an error of the connection (RFC 9113 §4.3)."""


class TooLargeError(Exception):
    """A header section is beyond all bounds; it is not decoded to its end."""


class HuffmanError(Exception):
    """A text is not in the code of HPACK (RFC 7541 §5.2)."""
