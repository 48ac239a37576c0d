"""RFC 9113 §8 and RFC 7541: requests, and how their fields are encoded."""

from __future__ import annotations

from typing import Final

from tests.server.attacks.http2 import END_HEADERS, END_STREAM, GET, Fields, Peer, frame
from tests.server.conformance.cases import POST, Case, answered, block, connection, stream

__all__ = ["CASES"]

WHOLE: Final = END_HEADERS | END_STREAM
MALFORMED: Final = stream("PROTOCOL_ERROR")
UNDECODABLE: Final = connection("COMPRESSION_ERROR")
TEST: Final = (("x-test", "ok"),)


def head(says: str, section: str, fields: Fields) -> Case:
    """Return the case of a request whose head is malformed."""
    return Case(section, says, lambda c: [c.headers(1, fields)], MALFORMED)


def body(client: Peer, length: int, *pieces: bytes) -> list[bytes]:
    """Return a POST that declares a length."""
    frames = [client.headers(1, (*POST, ("content-length", str(length))), END_HEADERS)]
    frames += [frame("DATA", 1, 0, piece) for piece in pieces[:-1]]
    return [*frames, frame("DATA", 1, END_STREAM, pieces[-1])]


def trailers(client: Peer, fields: Fields, flags: int) -> list[bytes]:
    """Return a POST with trailers."""
    return [
        client.headers(1, POST, END_HEADERS),
        frame("DATA", 1, 0, b"test"),
        frame("HEADERS", 1, flags, block(client, fields)),
    ]


def encoded(section: str, says: str, behind: bytes, good: bool, before: bytes = b"") -> Case:
    """Return the case of a field that is encoded by hand, behind or before those of a request."""
    return Case(
        section,
        says,
        lambda c: [frame("HEADERS", 1, WHOLE, before + block(c) + behind)],
        answered if good else UNDECODABLE,
    )


AGENT: Final = b"\x0auser-agent\x06h2spec"
AGENT_HUFFMAN: Final = b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93\x84\x9c\x48\xac\xa4"
NEW: Final = b"\x06x-test\x06h2spec"
NEW_HUFFMAN: Final = b"\x85\xf2\xb2\x4a\x84\xff\x84\x9c\x48\xac\xa4"
TOO_LARGE_TABLE: Final = b"\x3f\xe2\x1f"  # 4097

CASES: Final = [
    Case("8.1/1", "GET", lambda c: [c.headers(1)], answered),
    Case("8.1/2", "HEAD", lambda c: [c.headers(1, ((":method", "HEAD"), *GET[1:]))], answered),
    Case(
        "8.1/3",
        "POST",
        lambda c: [c.headers(1, POST, END_HEADERS), frame("DATA", 1, END_STREAM, b"test")],
        answered,
    ),
    Case("8.1/4", "POST with trailers", lambda c: trailers(c, TEST, WHOLE), answered),
    Case(
        "8.1/5", "trailers that do not end it", lambda c: trailers(c, TEST, END_HEADERS), MALFORMED
    ),
    head("a name in capitals", "8.2.1/1", (*GET, ("X-TEST", "ok"))),
    head("a pseudo-field that is unknown", "8.3/1", (*GET, (":test", "ok"))),
    head("a pseudo-field of responses", "8.3/2", (*GET, (":status", "200"))),
    Case(
        "8.3/3",
        "a pseudo-field in trailers",
        lambda c: trailers(c, ((":method", "POST"),), WHOLE),
        MALFORMED,
    ),
    head("a pseudo-field behind others", "8.3/4", (*TEST, *GET)),
    head("a field of the connection", "8.2.2/1", (*GET, ("connection", "keep-alive"))),
    head("TE that is not trailers", "8.2.2/2", (*GET, ("te", "trailers, deflate"))),
    head("an empty path", "8.3.1/1", (*GET[:3], (":path", ""))),
    head("no method", "8.3.1/2", GET[1:]),
    head("no scheme", "8.3.1/3", (GET[0], *GET[2:])),
    head("no path", "8.3.1/4", GET[:3]),
    head("two methods", "8.3.1/5", (*GET, (":method", "GET"))),
    head("two schemes", "8.3.1/6", (*GET, (":scheme", "http"))),
    head("two paths", "8.3.1/7", (*GET, (":path", "/"))),
    Case("8.1.1/1", "a body longer than declared", lambda c: body(c, 1, b"test"), MALFORMED),
    Case(
        "8.1.1/2",
        "the same in several frames",
        lambda c: body(c, 5, b"test", b"test"),
        MALFORMED,
    ),
    Case(
        "8.4/1",
        "PUSH_PROMISE",
        lambda c: [frame("PUSH_PROMISE", 1, END_HEADERS, b"\0\0\0\x03" + block(c))],
        connection("PROTOCOL_ERROR"),
    ),
    Case(
        "7541 6.1/1",
        "a field that was indexed before",
        lambda c: [frame("HEADERS", 1, WHOLE, block(c) + b"\x40" + NEW + b"\xbe")],
        answered,
    ),
    encoded("7541 6.2.1/1", "literal, indexed from now on", b"\x40" + AGENT, True),
    encoded("7541 6.2.1/2", "the same by Huffman", b"\x40" + AGENT_HUFFMAN, True),
    encoded("7541 6.2.1/3", "a new name", b"\x40" + NEW, True),
    encoded("7541 6.2.1/4", "a new name by Huffman", b"\x40" + NEW_HUFFMAN, True),
    encoded("7541 6.2.2/1", "literal, not indexed", b"\x00" + AGENT, True),
    encoded("7541 6.2.2/2", "the same by Huffman", b"\x00" + AGENT_HUFFMAN, True),
    encoded("7541 6.2.2/3", "a new name", b"\x00" + NEW, True),
    encoded("7541 6.2.2/4", "a new name by Huffman", b"\x00" + NEW_HUFFMAN, True),
    encoded("7541 6.2.3/1", "literal, never indexed", b"\x10" + AGENT, True),
    encoded("7541 6.2.3/2", "the same by Huffman", b"\x10" + AGENT_HUFFMAN, True),
    encoded("7541 6.2.3/3", "a new name", b"\x10" + NEW, True),
    encoded("7541 6.2.3/4", "a new name by Huffman", b"\x10" + NEW_HUFFMAN, True),
    encoded("7541 6.3/1", "another size of the table", b"", True, b"\x3f\x61"),
    encoded("7541 6.3/2", "two sizes of the table", b"", True, b"\x20\x3f\xe1\x1f"),
    encoded("7541 6.3/3", "a table larger than allowed", b"", False, TOO_LARGE_TABLE),
    encoded("7541 4.2/1", "a size of the table at the end", b"\x20", False),
    encoded("7541 2.3.3/1", "an index that is nobody's", b"\xc6", False),
    encoded("7541 2.3.3/2", "a literal with such an index", b"\x7f\x07\x00", False),
    encoded("7541 6.1/2", "index 0", b"\x80", False),
    encoded(
        "7541 5.2/1",
        "padding of more than 7 bits",
        b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
        False,
    ),
    encoded(
        "7541 5.2/2", "padding of zeros", b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90", False
    ),
    encoded(
        "7541 5.2/3",
        "the symbol of the end",
        b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f",
        False,
    ),
]
