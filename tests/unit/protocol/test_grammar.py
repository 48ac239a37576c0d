"""The grammar: hosts, authorities and lists at their edges."""

from __future__ import annotations

import pytest

from pagi.protocol.grammar import CHUNK_LINE, TOKEN, is_authority, is_host, list_members


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a",
        b"a.b-c_d~",
        b"%7e",
        b"a:",
        b"a:0",
        b"a:65535",
        b"1.2.3.4",
        b"[::]",
        b"[::1]:80",
        b"[1::]",
        b"[1:2:3:4:5:6:7::]",
        b"[::2:3:4:5:6:7:8]",
        b"[1:2:3:4:5:6:1.2.3.4]",
        b"[::255.255.255.255]",
        b"[vF.a:b]",
    ],
)
def test_hosts(host: bytes) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        b" a",
        b"a ",
        b"a/",
        b"a?",
        b"a#",
        b"a@b",
        b"a,b",
        b"%4",
        b"%4g",
        b"a:-1",
        b"a:65536",
        b"a:123456",
        b"a:b",
        b"a:1:2",
        b":",
        b":80",
        b"[",
        b"[]",
        b"[:]",
        b"[:::]",
        b"[1:2:3:4:5:6:7]",
        b"[1:2:3:4:5:6:7:8::]",
        b"[::1::]",
        b"[:1:2:3:4:5:6:7]",
        b"[1:2:3:4:5:6:7:]",
        b"[12345::]",
        b"[::1.2.3]",
        b"[::01.2.3.4]",
        b"[1.2.3.4::]",
        b"[v.a]",
        b"[::1]a",
        b"a\n",
        b"\xff",
    ],
)
def test_no_hosts(host: bytes) -> None:
    assert not is_host(host)


def test_authorities() -> None:
    assert is_authority(b"a:1")
    assert is_authority(b"[::1]:443")
    for authority in (b"", b"a", b"a:", b":1", b"[::1]", b"[::1]:", b"a:x", b"u@a:1", b"a:1:2"):
        assert not is_authority(authority)


def test_lists() -> None:
    assert list_members([b"A, b", b"c"]) == [b"a", b"b", b"c"]
    assert list_members([b",a ,"]) == [b"", b"a", b""]
    assert list_members([]) == []


def test_tokens() -> None:
    assert TOKEN.fullmatch(b"!#$%&'*+-.^_`|~aZ09")
    for text in (b"", b"a b", b"a:", b"a\n", b"(", b"\xe4"):
        assert not TOKEN.fullmatch(text)


def test_a_long_extension_takes_linear_time() -> None:
    # what could make a pattern try all ways: optional white space on both sides of nothing
    assert not CHUNK_LINE.fullmatch(b"1" + b" \t;a" * 60 + b" " * 15 + b"\x00")
    assert CHUNK_LINE.fullmatch(b"1" + b" \t; a\t= " * 1 + b"b" + b';c="' + b"\\\\" * 50 + b'"')
