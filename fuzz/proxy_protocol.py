"""Fuzzing what proxies say: ``python -m fuzz.proxy_protocol [--seconds N] [--seed N] [SEEDS …]``.

With atheris installed the bytes are found by coverage, otherwise by mutation of headers as proxies
make them, or of the files named. Each input is read as a PROXY header, whole, byte by byte and cut
where the input itself decides: it must not raise, cutting must not matter, and what is stated must
be possible. It is also read as the value of fields: nothing that stands to the left of what a
trusted proxy adds may change who the client is. The first input that breaks a rule is written to
``crash-proxy-protocol`` and named.
"""

from __future__ import annotations

import random
from ipaddress import ip_address
from pathlib import Path

from fuzz.driving import Fuzzer
from pagi.protocol.forwarded import Node, Statement, read_forwarded, read_x_forwarded
from pagi.protocol.proxy_protocol import MAX_HEADER_SIZE, ProxyHeader, ProxyReader
from tests.unit.protocol.proxy_headers import LOCAL, line, tlv, version_2

_TLS = bytes(5) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"name")
SEEDS = [
    line(),
    line(("2001:db8::1", 1), ("2001:db8::2", 2)),
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    LOCAL,
    version_2(),
    version_2(("2001:db8::1", 1), ("2001:db8::2", 2), checksum=True),
    version_2("/client", "/server"),
    version_2(tlvs=[(1, b"h2"), (2, b"example.org"), (4, b""), (5, b"id"), (0x20, _TLS)]),
    version_2(tlvs=[(0xEA, b"\x01vpce-1234"), (0x20, _TLS)], checksum=True),
    b"6.6.6.6, 203.0.113.7:80, [2001:db8::1]:80, unknown, 10.0.0.1",
    b'for=6.6.6.6;by=_x;proto=https;host="a:80", for="[2001:db8::1]:80";x="a, \\"b\\""',
]
_CLIENT = Node("203.0.113.7", 0, ip_address("203.0.113.7"))


def check(data: bytes) -> None:
    """Read one input in all ways.

    Its first byte chooses the cuts, the rest is what the peer sends.

    Raises:
        AssertionError: a rule is broken.
    """
    if len(data) < 2:
        return
    wire = data[1:]
    results = [_read(wire, step) for step in (len(wire), 1, data[0] or 1)]
    for result in results[1:]:
        assert result == results[0], "the ways of reading disagree"
    header, error, taken = results[0]
    assert taken <= min(len(wire), MAX_HEADER_SIZE)
    assert header is None or error is None
    if header is not None:
        _check_header(header)
    _check_fields(wire)


def _read(wire: bytes, step: int) -> tuple[ProxyHeader | None, str | None, int]:
    reader = ProxyReader()
    taken = 0
    for start in range(0, len(wire), step):
        piece = wire[start : start + step]
        size = reader.receive_data(piece)
        if reader.error is not None:
            return None, reader.error, 0
        assert 0 <= size <= len(piece), "more is taken than was given"
        taken += size
        if reader.header is not None:
            break
        assert size == len(piece), "not all is taken of a header that goes on"
    return reader.header, None, taken


def _check_header(header: ProxyHeader) -> None:
    for endpoint in (header.client, header.server):
        if endpoint is not None and endpoint[1] is not None:
            ip_address(endpoint[0])
            assert 0 <= endpoint[1] <= 65_535


def _check_fields(wire: bytes) -> None:
    def trusts(address: object) -> bool:
        return str(address).startswith("10.")

    for name, read in ((b"x-forwarded-for", read_x_forwarded), (b"forwarded", read_forwarded)):
        added = b"203.0.113.7" if read is read_x_forwarded else b"for=203.0.113.7"
        read([(name, wire)], trusts)
        for fields in ([(name, wire), (name, added)], [(name, wire + b", " + added)]):
            said = read(fields, trusts)
            assert said == Statement(_CLIENT), "a client says who it is"
    for name in (b"x-forwarded-proto", b"x-forwarded-host"):
        read_x_forwarded([(name, wire)], trusts)


def _mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """Combine and change seeds as a fuzzer without eyes can."""
    data = bytearray(source.choice(seeds))
    if source.random() < 0.2:
        data += source.choice(seeds)
    for _ in range(source.choice((0, 1, 1, 2, 4))):
        place = source.randrange(len(data) + 1)
        kind = source.randrange(4)
        if kind == 0:
            data[place : place + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            del data[place : place + source.randrange(1, 5)]
        elif kind == 2:
            data[place:place] = source.choice(
                (b"\r\n", b" ", b"\0", b'"', b",", b";", b"for=", b":")
            )
        else:
            data[place:place] = data[place : place + source.randrange(1, 30)]
    return bytes([source.choice((1, 2, 3, 7, 16, 200))]) + bytes(data)


def _seeds(paths: list[str]) -> list[bytes]:
    return [Path(path).read_bytes() for path in paths] or SEEDS


def _begin(found: Path, paths: list[str]) -> list[str]:
    """Put the seeds into the first folder, behind a byte that chooses the cuts."""
    for number, data in enumerate(_seeds(paths)):
        (found / str(number)).write_bytes(b"\x07" + data)
    return []


FUZZER = Fuzzer(
    module="proxy_protocol",
    check=check,
    mutated=_mutated,
    seeds=_seeds,
    max_size=1000,
    about=__doc__,
    begin=_begin,
)

if __name__ == "__main__":
    FUZZER.main()
