"""The PROXY protocol: every form, every fault, in any pieces."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagi.protocol.proxy_protocol import (
    MAX_HEADER_SIZE,
    SIGNATURE,
    ProxyHeader,
    ProxyReader,
    begins_proxy_header,
    crc32c,
)
from tests.unit.protocol.proxy_headers import LOCAL, line, tlv, version_2

REST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CLIENT, SERVER = ("192.0.2.1", 56324), ("198.51.100.1", 443)
CLIENT6, SERVER6 = ("2001:db8::1", 1), ("2001:db8::2", 65535)
#: The client speaks TLS, its certificate was verified; with a version in it.
TLS = b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3")


def read(data: bytes, step: int | None = None) -> tuple[ProxyHeader | None, str | None, int]:
    """Read a header in pieces; return it, or the error, and how many bytes were taken."""
    reader = ProxyReader()
    taken = 0
    for start in range(0, len(data), step or len(data)):
        piece = data[start : start + (step or len(data))]
        size = reader.receive_data(piece)
        assert 0 <= size <= len(piece)
        taken += size
        if reader.header is not None or reader.error is not None:
            assert reader.receive_data(b"more") == 0
            break
        assert size == len(piece)
    assert reader.header is None or reader.error is None
    return reader.header, reader.error, taken


GOOD = {
    "line": (line(), ProxyHeader(1, CLIENT, SERVER)),
    "line of IPv6": (line(CLIENT6, SERVER6), ProxyHeader(1, CLIENT6, SERVER6)),
    "line, port 0": (line(("1.2.3.4", 0), SERVER), ProxyHeader(1, ("1.2.3.4", 0), SERVER)),
    "IPv4 in IPv6": (
        b"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 9 10\r\n",
        ProxyHeader(1, ("1.2.3.4", 9), ("5.6.7.8", 10)),
    ),
    "the longest line": (
        b"PROXY UNKNOWN " + b" ".join([b"f" * 39] * 2) + b" 65535 65535\r\n",
        ProxyHeader(1),
    ),
    "unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader(1)),
    "unknown, with anything": (b"PROXY UNKNOWN x\0y TCP4\r\n", ProxyHeader(1)),
    "local": (LOCAL, ProxyHeader(2)),
    "local, with a family and rubbish": (SIGNATURE + b"\x20\x77\x00\x03abc", ProxyHeader(2)),
    "unspecified": (SIGNATURE + b"\x21\x00\x00\x03abc", ProxyHeader(2)),
    "IPv4": (version_2(), ProxyHeader(2, CLIENT, SERVER)),
    "IPv6": (version_2(CLIENT6, SERVER6), ProxyHeader(2, CLIENT6, SERVER6)),
    "Unix": (version_2("/client", "/run/server"), ProxyHeader(2, None, ("/run/server", None))),
    "Unix, no names": (version_2("", ""), ProxyHeader(2, None, ("", None))),
    "checksum": (
        version_2(checksum=True),
        ProxyHeader(2, CLIENT, SERVER, tlvs=((3, version_2(checksum=True)[-4:]),)),
    ),
    "names": (
        version_2(tlvs=[(2, b"example.org"), (1, b"h2"), (5, b"\0id"), (4, b"\0\0"), (0xEA, b"x")]),
        ProxyHeader(
            2,
            CLIENT,
            SERVER,
            authority=b"example.org",
            alpn=b"h2",
            unique_id=b"\0id",
            tlvs=((2, b"example.org"), (1, b"h2"), (5, b"\0id"), (4, b"\0\0"), (0xEA, b"x")),
        ),
    ),
    "TLS": (
        version_2(tlvs=[(0x20, TLS)]),
        ProxyHeader(2, CLIENT, SERVER, tls=True, tlvs=((0x20, TLS),)),
    ),
    "no TLS": (
        version_2(tlvs=[(0x20, bytes(5))]),
        ProxyHeader(2, CLIENT, SERVER, tls=False, tlvs=((0x20, bytes(5)),)),
    ),
}
FAULTS = {
    "a request": (REST, "no header"),
    "TLS": (b"\x16\x03\x01\x02\0\x01", "no header"),
    "nearly a request": (b"PROXYING / HTTP/1.1\r\n\r\n", "no header"),
    "small letters": (b"proxy TCP4 1.2.3.4 5.6.7.8 9 10\r\n", "no header"),
    "nearly the signature": (SIGNATURE[:-1] + b"\r" + bytes(4), "no header"),
    "bare LF": (line()[:-2] + b"\n", "CR LF"),
    "CR in the middle": (b"PROXY TCP4 1.2.3.4\r 5.6.7.8 9 10\r\n", "address"),
    "a long line": (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "107"),
    "a line without end": (b"PROXY UNKNOWN " + b"x" * 200, "107"),
    "no family": (b"PROXY \r\n", "family"),
    "another family": (b"PROXY UDP4 1.2.3.4 5.6.7.8 9 10\r\n", "family"),
    "two spaces": (b"PROXY  TCP4 1.2.3.4 5.6.7.8 9 10\r\n", "family"),
    "too few words": (b"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n", "six words"),
    "too many words": (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10 11\r\n", "six words"),
    "a space at the end": (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10 \r\n", "six words"),
    "not ASCII": ("PROXY TCP4 1.2.3.4 5.6.7.8 ９ 10\r\n".encode(), "ASCII"),
    "no address": (b"PROXY TCP4 1.2.3 5.6.7.8 9 10\r\n", "address"),
    "zeros in front": (b"PROXY TCP4 1.2.3.04 5.6.7.8 9 10\r\n", "address"),
    "the other family": (b"PROXY TCP4 ::1 ::2 9 10\r\n", "address"),
    "IPv4 as IPv6": (b"PROXY TCP6 1.2.3.4 5.6.7.8 9 10\r\n", "address"),
    "a zone": (b"PROXY TCP6 fe80::1%eth0 ::2 9 10\r\n", "address"),
    "a name": (b"PROXY TCP4 localhost 5.6.7.8 9 10\r\n", "address"),
    "a port too high": (b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 10\r\n", "port"),
    "a port with zeros": (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 010\r\n", "port"),
    "a port with a sign": (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 +10\r\n", "port"),
    "an empty port": (b"PROXY TCP4 1.2.3.4 5.6.7.8  10\r\n", "port"),
    "version 3": (SIGNATURE + b"\x31\x11\0\0", "version"),
    "version 1 in binary": (SIGNATURE + b"\x11\x11\0\0", "version"),
    "another command": (SIGNATURE + b"\x22\x11\0\0", "command"),
    "datagrams": (SIGNATURE + b"\x21\x12\0\x0c" + bytes(12), "family"),
    "no such family": (SIGNATURE + b"\x21\x41\0\x0c" + bytes(12), "family"),
    "short": (SIGNATURE + b"\x21\x11\0\x0b" + bytes(11), "too short"),
    "short of IPv6": (SIGNATURE + b"\x21\x21\0\x0c" + bytes(12), "too short"),
    "short of Unix": (SIGNATURE + b"\x21\x31\0\xd7" + bytes(215), "too short"),
    "huge": (SIGNATURE + b"\x21\x11\xff\xff" + bytes(70_000), "longer than"),
    "half a TLV": (SIGNATURE + b"\x21\x11\0\x0e" + bytes(14), "cut"),
    "a cut TLV": (SIGNATURE + b"\x21\x11\0\x10" + bytes(12) + b"\x04\0\x02x", "cut"),
    "TLS, cut": (version_2(tlvs=[(0x20, bytes(4))]), "cut"),
    "TLS, a cut TLV in it": (version_2(tlvs=[(0x20, bytes(6))]), "cut"),
    "twice": (version_2(tlvs=[(2, b"a"), (2, b"b")]), "twice"),
    "two checksums": (version_2(tlvs=[(3, bytes(4))], checksum=True), "checksum"),
    "a wrong checksum": (version_2(checksum=True)[:-1] + b"\0", "fit"),
    "a short checksum": (version_2(tlvs=[(3, bytes(3))]), "four bytes"),
    "a long id": (version_2(tlvs=[(5, bytes(129))]), "128"),
}


@pytest.mark.parametrize("step", [None, 1, 2, 7, 100])
@pytest.mark.parametrize("name", GOOD)
def test_good_headers(name: str, step: int | None) -> None:
    data, header = GOOD[name]
    assert read(data + REST, step) == (header, None, len(data))
    assert read(data, step) == (header, None, len(data))
    for size in range(0, len(data), 5):
        assert read(data[:size]) == (None, None, size) if size else True
    assert begins_proxy_header(data)


@pytest.mark.parametrize("step", [None, 1, 2, 7, 100])
@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str, step: int | None) -> None:
    data, words = FAULTS[name]
    header, error, _ = read(data, step)
    assert header is None
    assert error is not None
    assert words in error


def test_what_is_none_is_told_at_its_first_byte() -> None:
    for data in (b"G", b"\x16", b"\n", b"p"):
        assert read(data)[1] is not None
    for data in (b"P", b"PR", b"\r", b"\r\n\r\n"):
        assert read(data) == (None, None, len(data))
        assert not begins_proxy_header(data)
    assert not begins_proxy_header(REST)


def test_the_longest_header() -> None:
    filler = MAX_HEADER_SIZE - 16 - 12 - 3
    data = version_2(tlvs=[(4, bytes(filler))])
    assert len(data) == MAX_HEADER_SIZE
    assert read(data + REST)[2] == len(data)
    assert read(version_2(tlvs=[(4, bytes(filler + 1))]))[1] is not None


def test_time_is_linear() -> None:
    data = version_2(tlvs=[(4, bytes(1))] * 1000, checksum=True)
    begin = perf_counter()
    for _ in range(5):
        assert read(data, 1)[0] is not None
    assert perf_counter() - begin < 2.0


def test_nothing_is_kept_behind_a_fault() -> None:
    reader = ProxyReader()
    reader.receive_data(b"PROXY UNKNOWN " + bytes(1 << 20))
    assert len(reader._data) <= MAX_HEADER_SIZE


def test_the_checksum_is_the_known_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720 appendix B.4 has more
    assert crc32c(bytes(32)) == 0x8A9136AA


hosts4 = st.ip_addresses(v=4).map(str)
hosts6 = st.ip_addresses(v=6).map(str)
ports = st.integers(0, 65_535)


def plain(endpoint: tuple[str, int]) -> tuple[str, int]:
    address = IPv6Address(endpoint[0]) if ":" in endpoint[0] else IPv4Address(endpoint[0])
    return str(getattr(address, "ipv4_mapped", None) or address), endpoint[1]


@given(
    hosts=st.one_of(st.tuples(hosts4, hosts4), st.tuples(hosts6, hosts6)),
    client_port=ports,
    server_port=ports,
    tlvs=st.lists(st.tuples(st.integers(0xE0, 0xFF), st.binary(max_size=40)), max_size=5),
    checksum=st.booleans(),
    rest=st.binary(max_size=20),
    step=st.integers(1, 50),
)
def test_round_trip(
    hosts: tuple[str, str],
    client_port: int,
    server_port: int,
    tlvs: list[tuple[int, bytes]],
    checksum: bool,
    rest: bytes,
    step: int,
) -> None:
    client, server = (hosts[0], client_port), (hosts[1], server_port)
    data = version_2(client, server, tlvs, checksum=checksum)
    header, _, taken = read(data + rest, step)
    assert taken == len(data)
    assert header is not None
    assert (header.client, header.server) == (plain(client), plain(server))
    assert list(header.tlvs[: len(tlvs)]) == tlvs
    data = line(client, server)
    assert read(data + rest, step) == (
        ProxyHeader(1, plain(client), plain(server)),
        None,
        len(data),
    )


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(SIGNATURE.__add__)))
def test_pieces_do_not_matter(data: bytes) -> None:
    whole = read(data) if data else None
    if whole is not None:
        assert read(data, 1)[:2] == whole[:2]
