"""What the fields of a request ask of the connection: framing, expectations, persistence.

Every ambiguity is refused: two recipients that read one message differently are what request
smuggling is made of (RFC 9112 §11.2).
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import RemoteProtocolError
from pagi.protocol.events import RequestReceived
from pagi.protocol.fields import MAX_SIZE
from pagi.protocol.grammar import TOKEN, list_members
from pagi.protocol.http1._head_py import Notes
from pagi.protocol.http1.states import CHUNKED

__all__ = ["body_length", "keeps_alive", "read_notes"]

_MAX_LENGTH_DIGITS: Final = 19


def read_notes(event: RequestReceived, notes: Notes, max_body_size: int | None) -> int:
    """Complete ``event`` by what ``notes`` say and return the body length in bytes or `CHUNKED`.

    Raises:
        RemoteProtocolError: the fields contradict themselves, each other or the limits.
    """
    length = body_length(event, notes)
    if length > (MAX_SIZE if max_body_size is None else max_body_size):
        raise RemoteProtocolError("the body is too large", 413, "body_too_large")
    if b"expect" in notes and event.http_version != "1.0":
        # RFC 9110 §10.1.1: an expectation of a 1.0 client is ignored
        _read_expectation(event, notes[b"expect"])
    if b"upgrade" in notes and event.http_version != "1.0":
        event.upgrade = _wanted_protocol(notes)
    if len(notes.get(b"cookie", ())) > 1:
        _join_cookies(event, notes[b"cookie"])
    return length


def body_length(event: RequestReceived, notes: Notes) -> int:
    """Decide the framing of the body (RFC 9112 §6.3) and note it in ``event``."""
    lengths = notes.get(b"content-length")
    codings = notes.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None:
            # RFC 9112 §6.1 lets a server choose; both together have no honest use
            raise RemoteProtocolError("content-length and transfer-encoding exclude each other")
        _check_codings(codings, event.http_version)
        event.end = False
        return CHUNKED
    if lengths is None:
        return 0
    if len(lengths) > 1:
        raise RemoteProtocolError("there is more than one content-length")
    value = lengths[0]
    # Content-Length = 1*DIGIT; RFC 9110 §8.6 allows a list of equal numbers, and a 400
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise RemoteProtocolError("content-length is not a number")
    length = int(value)
    event.content_length = length
    event.end = length == 0
    return length


def _check_codings(values: list[bytes], version: str) -> None:
    if version == "1.0":
        # RFC 9112 §6.1: such a message MUST be treated as if the framing is faulty
        raise RemoteProtocolError("HTTP/1.0 has no transfer-encoding")
    codings = list_members(values)
    if codings == [b"chunked"]:
        return
    if any(TOKEN.fullmatch(coding) is None for coding in codings):
        raise RemoteProtocolError("transfer-encoding is malformed")
    if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        # RFC 9112 §6.3 rule 4: the length cannot be determined; §7.1: never chunked twice
        raise RemoteProtocolError("chunked must be the last transfer coding, and only once")
    raise RemoteProtocolError("only the transfer coding chunked is understood", 501)


def _read_expectation(event: RequestReceived, values: list[bytes]) -> None:
    # RFC 9110 §5.6.1.2: empty members are to be ignored
    members = [member for member in list_members(values) if member]
    if any(member != b"100-continue" for member in members):
        raise RemoteProtocolError("the expectation cannot be met", 417)
    event.expect_continue = bool(members) and not event.end


def _wanted_protocol(notes: Notes) -> bytes | None:
    """Return the first protocol of ``Upgrade`` if ``Connection`` covers it (RFC 9110 §7.8)."""
    if b"upgrade" not in list_members(notes.get(b"connection", [])):
        return None
    return next(filter(None, list_members(notes[b"upgrade"])), None)


def _join_cookies(event: RequestReceived, values: list[bytes]) -> None:
    joined: list[tuple[bytes, bytes]] = []
    first = True
    for field in event.fields:
        if field[0] != b"cookie":
            joined.append(field)
        elif first:
            first = False
            joined.append((b"cookie", b"; ".join(values)))
    event.fields = joined


def keeps_alive(event: RequestReceived, notes: Notes | None) -> bool:
    """Tell whether the peer wants the connection to persist (RFC 9112 §9.3)."""
    if notes is None or b"connection" not in notes:
        return event.http_version != "1.0"
    options = list_members(notes[b"connection"])
    if b"close" in options:
        return False
    return event.http_version != "1.0" or b"keep-alive" in options
