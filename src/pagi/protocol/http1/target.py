"""The rarer forms of the request target (RFC 9112 §3.2.2 to §3.2.4)."""

from __future__ import annotations

import re
from typing import Final

from pagi.protocol.errors import RemoteProtocolError
from pagi.protocol.grammar import ORIGIN_FORM, TARGET, is_authority, is_host

__all__ = ["other_form"]

_ABSOLUTE: Final = re.compile(rb"([Hh][Tt][Tt][Pp][Ss]?)://([^/?]*)(.*)")


def other_form(method: str, target: bytes) -> tuple[bytes, bytes, str | None, bytes | None]:
    """Take a target apart that is not in origin-form, or that belongs to CONNECT.

    Returns:
        Path, query, scheme and authority; the scheme is ``None`` unless the target is in
        absolute-form, the authority unless it is in absolute-form or authority-form.

    Raises:
        RemoteProtocolError: the method does not allow this form, or it is none.
    """
    if TARGET.fullmatch(target) is None:
        raise RemoteProtocolError("the target holds a byte that no target may hold")
    if method == "CONNECT":
        if not is_authority(target):
            raise RemoteProtocolError("the target of CONNECT must be host and port")
        return b"", b"", None, target
    if target == b"*":
        if method != "OPTIONS":
            raise RemoteProtocolError("only OPTIONS may have the target *")
        return target, b"", None, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise RemoteProtocolError("the target has none of the four forms")
    return _absolute_form(method, match)


def _absolute_form(
    method: str, match: re.Match[bytes]
) -> tuple[bytes, bytes, str | None, bytes | None]:
    scheme, authority, rest = match.groups()
    # RFC 9110 §4.2.1 and §4.2.2: an empty host is invalid; §4.2.4: so is userinfo from a stranger
    if authority[:1] in (b"", b":") or not is_host(authority):
        raise RemoteProtocolError("the authority of the target is malformed")
    if not rest and method == "OPTIONS":
        path, query = b"*", b""  # RFC 9112 §3.2.4
    else:
        parts = ORIGIN_FORM.fullmatch(rest if rest[:1] == b"/" else b"/" + rest)
        assert parts is not None  # TARGET has matched the whole
        path, query = parts.groups(b"")
    return path, query, scheme.decode("ascii").lower(), authority
