"""Close codes and the body of a close frame (RFC 6455 §5.5.1, §7.4; IANA's registry).

ProtocolError
└── RemoteProtocolError
    └── PeerError               raised and caught inside the machine; carries the close code
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "ABNORMAL",
    "BAD_DATA",
    "GOING_AWAY",
    "MAX_REASON_SIZE",
    "NORMAL",
    "NO_CODE",
    "POLICY",
    "PROTOCOL_ERROR",
    "SERVER_ERROR",
    "SERVICE_RESTART",
    "TOO_BIG",
    "TRY_AGAIN_LATER",
    "PeerError",
    "close_payload",
    "is_on_the_wire",
    "read_close",
]

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
#: The close frame had no code. Never on the wire.
NO_CODE: Final = 1005
#: There was no close frame. Never on the wire.
ABNORMAL: Final = 1006
BAD_DATA: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009
SERVER_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013

#: What a control frame leaves for the reason (RFC 6455 §5.5).
MAX_REASON_SIZE: Final = 123


class PeerError(RemoteProtocolError):
    """The peer broke the protocol of frames and messages.

    Attributes:
        code: close code for it.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def is_on_the_wire(code: int) -> bool:
    """Tell whether a close frame may carry ``code``, in either direction.

    RFC 6455 §7.4.1 and the registry define 1000-1003 and 1007-1014; 3000-3999 are registered by
    libraries and frameworks, 4000-4999 are private (§7.4.2). 1004, 1005, 1006 and 1015 must not
    be sent, and what is not defined has no meaning.
    """
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def close_payload(code: int, reason: str) -> bytes:
    """Return the body of a close frame; `NO_CODE` makes an empty one.

    Raises:
        LocalProtocolError: the code may not be sent, there is a reason without a code, or the
            reason is no text or has more than `MAX_REASON_SIZE` bytes in UTF-8.
    """
    if type(code) is not int:
        raise LocalProtocolError(f"a close code must be an int, not {type(code).__name__}")
    if code == NO_CODE and not reason:
        return b""
    if not is_on_the_wire(code):
        raise LocalProtocolError(f"close code {code} may not be sent (RFC 6455 §7.4)")
    if not isinstance(reason, str):
        raise LocalProtocolError(f"a close reason must be a str, not {type(reason).__name__}")
    try:
        text = reason.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("the close reason holds a lone surrogate") from None
    if len(text) > MAX_REASON_SIZE:
        raise LocalProtocolError(
            f"the close reason has {len(text)} bytes; {MAX_REASON_SIZE} are allowed"
        )
    return code.to_bytes(2, "big") + text


def read_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason from the body of a close frame.

    Raises:
        PeerError: the body is none.
    """
    if not payload:
        return NO_CODE, ""
    if len(payload) == 1:
        raise PeerError(PROTOCOL_ERROR, "a close frame has half a code")
    code = int.from_bytes(payload[:2], "big")
    if not is_on_the_wire(code):
        raise PeerError(PROTOCOL_ERROR, "a close frame has a code that must not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise PeerError(BAD_DATA, "the reason of a close frame is not UTF-8") from None
