"""Requests for the oracles: right, nearly right and mutilated."""

from __future__ import annotations

from hypothesis import strategies as st

_NASTY = [
    *(bytes([byte]) for byte in (*range(33), 34, 35, 44, 47, 58, 59, 64, 92, 127, 128, 133, 255)),
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r",
    b"0",
    b"0x",
    b"chunked",
    b"HTTP/1.1",
    b": ",
]

KNOWN_METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"]
_TARGETS = st.sampled_from(
    [
        b"/",
        b"/a",
        b"/a?b",
        b"/?",
        b"/%20",
        b"//",
        b"*",
        b"http://a/",
        b"http://a",
        b"/a#b",
        b"a",
        b"",
    ]
)
_VERSIONS = st.sampled_from(
    [b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"]
)
_PLAIN = [
    b"Accept: */*",
    b"User-Agent: x",
    b"Accept-Encoding: gzip",
    b"Cookie: a=b",
    b"Cookie: c=d",
    b"X: \ty \t",
    b"X:",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Expect: 100-continue",
    b"Content-Type: text/plain",
    b"sec-fetch-mode: navigate",
    b"Sec-Fetch-Site: same-origin",
    b"Upgrade-Insecure-Requests: 1",
]
_ODD = [
    b"Host: b",
    b"Host: a b",
    b"Host: [::1]:80",
    b"X : y",
    b" folded",
    b"\tfolded",
    b"nocolon",
    b": noname",
    b"X: a\x00b",
    b"X: a\x0bb",
    b"X: \x80\xff",
    b"Content-Length: 5",
    b"Content-Length: 3",
    b"Content-Length: +3",
    b"Content-Length: 3, 3",
    b"Content-Length: 0",
    b"Content-Length: 00003",
    b"Content-Length : 3",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: \tchunked ",
    b"Transfer_Encoding: chunked",
]
_LINES = st.lists(
    st.one_of(st.sampled_from(_PLAIN), st.sampled_from(_PLAIN), st.sampled_from(_ODD)), max_size=6
)
_HOST = st.sampled_from([[b"Host: a"]] * 6 + [[b"host: a:80"], []])
_ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n"])
_SIZE_LINES = st.sampled_from(
    [b"%x"] * 8
    + [b"%X", b"0%x", b"%x;a", b"%x;a=b", b'%x;a="b;"', b"%x ;a", b"%x ", b" %x", b"+%x", b"0x%x"]
    + [b"%x;", b"%x;a\x00", b"%x,"]
)


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    """Chunks, mostly right, and a last chunk with or without trailers."""
    body = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        body += draw(_SIZE_LINES) % len(data) + draw(_ENDS) + data + draw(_ENDS)
    last = draw(st.sampled_from([b"0"] * 6 + [b"00", b"0;a", b"-0", b""]))
    trailers = draw(
        st.sampled_from([b""] * 4 + [b"A: b\r\n", b"A : b\r\n", b"Content-Length: 3\r\n"])
    )
    return body + last + draw(_ENDS) + trailers + draw(_ENDS)


@st.composite
def single_requests(draw: st.DrawFn) -> bytes:
    """One request, whose body may or may not fit its head."""
    line = b" ".join((draw(st.sampled_from(KNOWN_METHODS)), draw(_TARGETS), draw(_VERSIONS)))
    lines = [*draw(_HOST), *draw(_LINES)]
    kind = draw(st.sampled_from(["none", "none", "length", "chunked", "chunked", "odd"]))
    body = b""
    if kind == "length":
        body = draw(st.binary(max_size=30))
        lines.append(b"Content-Length: %d" % len(body))
    elif kind == "chunked":
        body = draw(chunked_bodies())
        lines.append(b"Transfer-Encoding: chunked")
    elif kind == "odd":
        body = draw(st.one_of(st.binary(max_size=12), chunked_bodies()))
    lines = draw(st.permutations(lines))
    return b"".join(part + draw(_ENDS) for part in (line, *lines)) + draw(_ENDS) + body


@st.composite
def mutilated(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> bytes:
    """Change some bytes of ``data``."""
    result = draw(data)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))):
        place = draw(st.integers(0, len(result)))
        removed = draw(st.integers(0, 2))
        result = result[:place] + draw(st.sampled_from([b"", *_NASTY])) + result[place + removed :]
    return result


def requests() -> st.SearchStrategy[bytes]:
    """One to three requests behind each other, some with faults."""
    one = mutilated(single_requests())
    return st.lists(one, min_size=1, max_size=3).map(b"".join)


@st.composite
def pieces(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> list[bytes]:
    """Cut ``data`` as a network might."""
    whole = draw(data)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
