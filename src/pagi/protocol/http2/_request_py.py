"""Request heads of HTTP/2: from decoded fields to `RequestReceived`.

One source, two builds: compiled as ``_request_c`` (see ``_request_c.pxd``).

`Head` has seen to what RFC 9113 §8.2 and §8.3 say of a head by itself: known pseudo-fields, all
of them, before the others, none twice; names in lower case; no control characters; nothing that
belongs to a connection. Here are the contents.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import StreamError
from pagi.protocol.events import RequestReceived
from pagi.protocol.grammar import ORIGIN_FORM, TOKEN, is_authority, is_host
from pagi.protocol.http2._head_py import Head
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.limits import HTTP2Limits

__all__ = ["read_request"]

_MAX_METHOD: Final = 32
_MAX_REMEMBERED: Final = 1024
_MAX_REMEMBERED_SIZE: Final = 128

_methods: dict[bytes, str] = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}
_hosts: dict[bytes, tuple[bytes, bytes]] = {}  # authorities that are right, as fields
_targets: dict[bytes, tuple[bytes, bytes]] = {}  # paths and queries, by targets that are right


def read_request(state: StreamState, head: Head, limits: HTTP2Limits) -> RequestReceived:
    """Make the event of a request head, and note in ``state`` what the answer depends on.

    ``:authority`` becomes the first field, ``host``.

    Args:
        state: of the new stream.
        head: all fields; it is a request's.
        limits: how large it may be.

    Raises:
        StreamError: it is malformed (``status`` 400), or more than is served.
    """
    if head.size > limits.max_header_list_size or len(head.fields) > limits.max_header_count:
        raise StreamError("the fields are too large or too many", 431)
    event = _new_event(state, head)
    state.method = event.method
    if head.hosts > 1:
        raise StreamError("there is more than one host field")
    _take_authority(event, head.authority, head.host)
    if event.method == "CONNECT":
        if not _is_extended(event, head.protocol, head.authority):
            return event
        state.extended = True
    elif head.protocol is not None:
        raise StreamError(":protocol without CONNECT (RFC 8441 §4)")
    if head.path is None or head.scheme is None:
        raise StreamError(":path or :scheme is missing")
    _read_target(event, head.path, head.scheme, limits.max_target_size)
    if head.cookies > 1:
        _join_cookies(event)
    if head.length is not None:
        _read_length(event, head.length, limits.max_body_size)
    if head.expect is not None:
        if head.expect.lower() != b"100-continue":
            raise StreamError("the expectation cannot be met", 417)
        event.expect_continue = not event.end
    return event


def _new_event(state: StreamState, head: Head) -> RequestReceived:
    """Make the event without its ``__init__``, whose arguments cost more than all the rest."""
    event = RequestReceived.__new__(RequestReceived)
    event.stream_id = state.stream_id
    event.method = _method(head.method)
    event.raw_path = event.query_string = b""
    event.fields = head.fields
    event.http_version = "2"
    event.end = state.peer_done
    event.content_length = None
    event.expect_continue = False
    event.upgrade = None
    event.scheme = None
    event.authority = None
    return event


def _method(name: bytes | None) -> str:
    assert name is not None
    method = _methods.get(name)
    if method is not None:
        return method
    if TOKEN.fullmatch(name) is None:
        raise StreamError("the method is not a token")
    if len(name) > _MAX_METHOD:
        raise StreamError("the method is too long", 501)
    return name.decode("ascii")


def _take_authority(event: RequestReceived, authority: bytes | None, host: bytes | None) -> None:
    """Make ``host`` of what names the site (RFC 9113 §8.3.1)."""
    if authority is None:
        authority = host
    elif host is not None and host.lower() != authority.lower():
        raise StreamError(":authority and host disagree")
    if authority is None:
        raise StreamError("nothing names the site")
    field = _hosts.get(authority)
    if field is None:
        if not authority or not is_host(authority):  # neither empty nor with userinfo
            raise StreamError("the name of the site is malformed")
        field = (b"host", authority)
        if len(authority) <= _MAX_REMEMBERED_SIZE:
            if len(_hosts) >= _MAX_REMEMBERED:
                _hosts.clear()
            _hosts[authority] = field
    event.fields.insert(0, field)


def _is_extended(event: RequestReceived, protocol: bytes | None, authority: bytes | None) -> bool:
    """Tell a CONNECT for a protocol (RFC 8441 §4) from one for a tunnel (RFC 9113 §8.5)."""
    if protocol is not None:
        event.upgrade = protocol.lower()
        return True
    if authority is None or not is_authority(authority):
        raise StreamError("the target of CONNECT must be host and port")
    event.authority = authority
    return False


def _read_target(event: RequestReceived, path: bytes, scheme: bytes, max_size: int) -> None:
    target = _targets.get(path)
    if target is None or len(path) > max_size:
        target = _take_apart(event.method, path, max_size)
    event.raw_path, event.query_string = target
    if scheme == b"https":
        event.scheme = "https"
    elif scheme == b"http":
        event.scheme = "http"
    else:
        raise StreamError(":scheme is neither http nor https")


def _take_apart(method: str, path: bytes, max_size: int) -> tuple[bytes, bytes]:
    """Return path and query of a target."""
    if len(path) > max_size:
        raise StreamError("the target is too long", 414)
    match = ORIGIN_FORM.fullmatch(path)
    if match is None:
        if path == b"*" and method == "OPTIONS":
            return path, b""
        raise StreamError(":path is malformed")
    raw_path, query = match.groups(b"")
    target = (raw_path, query)
    if len(path) <= _MAX_REMEMBERED_SIZE:
        if len(_targets) >= _MAX_REMEMBERED:
            _targets.clear()
        _targets[path] = target
    return target


def _join_cookies(event: RequestReceived) -> None:
    """RFC 9113 §8.2.3: crumbs are joined before anybody else sees them."""
    crumbs = [value for name, value in event.fields if name == b"cookie"]
    joined = []
    for field in event.fields:
        if field[0] != b"cookie":
            joined.append(field)
        elif crumbs:
            joined.append((b"cookie", b"; ".join(crumbs)))
            crumbs = []
    event.fields = joined


def _read_length(event: RequestReceived, value: bytes, max_body_size: int | None) -> None:
    """Note the declared length; that the body has it is seen when it comes."""
    if not value.isdigit() or len(value) > 19:
        raise StreamError("content-length is not a number")
    length = int(value)
    if max_body_size is not None and length > max_body_size:
        raise StreamError("the body is too large", 413, "body_too_large")
    event.content_length = length
