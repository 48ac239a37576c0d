"""Ours against h11 and llhttp: what is taken here for a message is one there too, and the same.

Being stricter is allowed and wanted; being more lenient is not, except as listed in `LENIENT`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import h11
import httptools
import pytest
from hypothesis import given, note

from pagi.protocol.events import BodyReceived, ConnectionFailed, MessageComplete, RequestReceived
from tests.oracle.requests import KNOWN_METHODS, requests
from tests.unit.protocol.http1.driving import implementations, machine_class, new, serve


class Message(NamedTuple):
    """A complete request as one of the parsers saw it."""

    method: bytes
    target: bytes
    body: bytes


def ours(implementation: str, data: bytes) -> tuple[list[Message], list[Any]]:
    """Return the complete requests, and all events."""
    events, _ = serve(new(machine_class(implementation)), [data])
    messages = []
    head: RequestReceived | None = None
    body = b""
    for event in events:
        if isinstance(event, RequestReceived):
            head, body = event, b""
        elif isinstance(event, BodyReceived):
            body += event.data
        whole = isinstance(event, MessageComplete) or (head is event and head.end)
        if whole and head is not None:
            target = head.raw_path + (b"?" + head.query_string if head.query_string else b"")
            messages.append(Message(head.method.encode(), target, body))
    return messages, events


def by_h11(data: bytes, count: int) -> list[Message]:
    """Return the first ``count`` complete requests that h11 sees."""
    messages: list[Message] = []
    while len(messages) < count:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
        connection.receive_data(data)
        head = None
        body = b""
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                note(f"h11: {error}")
                return messages
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return messages
        assert head is not None
        messages.append(Message(bytes(head.method), bytes(head.target), body))
        data = connection.trailing_data[0]
    return messages


class _Callbacks:
    """What llhttp calls back."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.parser: Any = httptools.HttpRequestParser(self)
        self.url = b""
        self.body = b""

    def on_message_begin(self) -> None:
        self.url = self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages.append(Message(self.parser.get_method(), self.url, self.body))


def by_llhttp(data: bytes) -> list[Message]:
    """Return the complete requests that llhttp sees."""
    callbacks = _Callbacks()
    try:
        callbacks.parser.feed_data(data)
    except httptools.HttpParserError as error:
        note(f"llhttp: {error!r}")
    return callbacks.messages


def same(one: Message, other: Message) -> bool:
    """Compare; targets that are not in origin-form, and empty queries, are spelled differently."""
    targets = one.target == other.target or not other.target.startswith(b"/")
    targets = targets or other.target == one.target + b"?"
    return targets and one.method == other.method and one.body == other.body


#: Where ours is more lenient than h11 or llhttp, and why that is no danger: none of these
#: concerns where a message ends.
LENIENT: dict[str, str] = {
    "empty lines": "RFC 9112 §2.2 asks to ignore one before a request line; h11 does not",
    "version": "RFC 9110 §2.5: a higher minor version is understood as ours; llhttp knows two",
    "white space around a chunk extension": "BWS, RFC 9112 §7.1.1; llhttp refuses it",
    "unknown methods": "a method is any token, RFC 9110 §9.1; llhttp has a list",
    "framing fields as trailers": "RFC 9110 §6.5.1: dropped; llhttp takes them for framing",
}


def is_lenient(data: bytes) -> bool:
    """Tell whether a difference is one of `LENIENT`."""
    marks = (b"\r\n\r\n\r\n", b"HTTP/1.2", b" ;a", b"Content-Length: 3\r\n\r\n")
    return data.startswith(b"\r\n") or any(mark in data for mark in marks)


@pytest.mark.parametrize("implementation", implementations())
@given(data=requests())
def test_h11_agrees(implementation: str, data: bytes) -> None:
    messages, events = ours(implementation, data)
    note(repr(events))
    theirs = by_h11(data, len(messages))
    if is_lenient(data):
        theirs = theirs + messages[len(theirs) :]
    assert len(theirs) >= len(messages)
    assert all(same(a, b) for a, b in zip(messages, theirs, strict=False))


@pytest.mark.parametrize("implementation", implementations())
@given(data=requests())
def test_llhttp_agrees(implementation: str, data: bytes) -> None:
    messages, events = ours(implementation, data)
    note(repr(events))
    theirs = by_llhttp(data)
    if is_lenient(data) or any(message.method not in KNOWN_METHODS for message in messages):
        theirs = theirs + messages[len(theirs) :]
    assert len(theirs) >= len(messages)
    assert all(same(a, b) for a, b in zip(messages, theirs, strict=False))


#: Where ours is stricter: each refusal of what both others take has one of these reasons.
STRICTER: dict[str, str] = {
    "there is more than one content-length": "RFC 9110 §8.6 lets a server refuse equal ones",
    "content-length is not a number": "h11 takes a list of equal numbers",
    "content-length and transfer-encoding exclude each other": "RFC 9112 §6.1, §6.3: suspicious",
    "chunked must be the last transfer coding, and only once": "RFC 9112 §6.3 rule 4",
    "only the transfer coding chunked is understood": "RFC 9112 §6.1",
    "transfer-encoding is malformed": "RFC 9110 §10.1.4",
    "HTTP/1.0 has no transfer-encoding": "RFC 9112 §6.1",
    "the host field is malformed": "RFC 9112 §3.2; the others do not look",
    "the host field is missing": "RFC 9112 §3.2; the others do not look",
    "there is more than one host field": "RFC 9112 §3.2; the others do not look",
    "the target has none of the four forms": "RFC 9112 §3.2; the others do not look",
    "the target holds a byte that no target may hold": "RFC 9112 §3.2: no fragment",
    "only OPTIONS may have the target *": "RFC 9112 §3.2.4",
    "the authority of the target is malformed": "RFC 9110 §4.2.4",
    "a chunk size line is malformed": "the others skip what follows the size",
    "a chunk size line is too long": "RFC 9112 §7.1.1 asks for a limit",
    "the expectation cannot be met": "RFC 9110 §10.1.1",
    "there are too many fields": "a limit of ours",
    "the method is too long": "a limit of ours",
    "a line ends without CR": "h11 takes bare LF",
    "a chunk size line ends without CR": "h11 takes bare LF",
    "a trailer line ends without CR": "h11 takes bare LF",
    "the request line is malformed": "llhttp takes more than one space; empty lines are bounded",
    "a field line is folded": "RFC 9112 §5.2: refused instead of unfolded",
    "a field value holds a control character": "llhttp takes them",
    "this version of HTTP is not spoken here": "RFC 9110 §15.6.6; h11 reads HTTP/2.0 as a version",
    "there is white space before the colon of a field": "RFC 9112 §5.1",
    "the method is not a token": "a blank line with white space",
    "a field name is not a token": "llhttp takes a few more",
}


@pytest.mark.parametrize("implementation", implementations())
@given(data=requests())
def test_reasons_for_being_stricter(implementation: str, data: bytes) -> None:
    messages, events = ours(implementation, data)
    note(repr(events))
    failures = [event for event in events if isinstance(event, ConnectionFailed)]
    wanted = len(messages) + 1
    if failures and len(by_h11(data, wanted)) == wanted and len(by_llhttp(data)) >= wanted:
        assert failures[0].detail in STRICTER
