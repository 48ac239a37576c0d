"""The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first byte.

``https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt``; its sections are quoted as "§2.1".

    version 1     PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CR LF     a line of text
    version 2     signature, command, family, length, addresses, TLVs   binary

`ProxyReader` takes the bytes in any pieces and takes no byte behind the header. Whether a header is
due is for others to say: §2 forbids to guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import unpack_from
from typing import Final, NamedTuple, TypeAlias

__all__ = ["MAX_HEADER_SIZE", "SIGNATURE", "ProxyHeader", "ProxyReader", "begins_proxy_header"]

#: Longest header that is taken, in bytes. The length of version 2 could say 65,551; headers with
#: addresses and TLVs have a few hundred.
MAX_HEADER_SIZE: Final = 4096
#: What version 2 begins with (§2.2): no beginning of a request of any protocol.
SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

_FIRST_WORD: Final = b"PROXY "
#: "107 chars", CR LF included (§2.1).
_MAX_LINE: Final = 107
#: Signature, command, family and length (§2.2).
_FIXED: Final = 16
_MAX_PORT: Final = 65_535
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
#: Bytes of the addresses of each family (§2.2); a path of a Unix socket has 108.
_ADDRESS_SIZES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
_PATH_SIZE: Final = 108

#: Types of TLVs (§2.2.1 to §2.2.7).
_ALPN, _AUTHORITY, _CHECKSUM, _UNIQUE_ID, _TLS = 0x01, 0x02, 0x03, 0x05, 0x20
_MAX_UNIQUE_ID: Final = 128
_CLIENT_TLS: Final = 0x01

#: Host and port, or path and ``None``.
Endpoint: TypeAlias = tuple[str, int | None]


class ProxyHeader(NamedTuple):
    """What a header states.

    Attributes:
        version: 1 or 2.
        client: address and port of who connected to the proxy; ``None`` if it is not stated, or
            came by a Unix socket.
        server: what it connected to: address and port, or path and ``None``; ``None`` if it is
            not stated. Then the addresses are those of the connection itself: it is the proxy's
            own, for a look whether we live, or of a family that has no addresses.
        tls: the client speaks TLS with the proxy.
        authority: the host name that the client asked for, by SNI for example.
        alpn: the protocol that was agreed upon with the client.
        unique_id: the proxy's name for the connection.
        tlvs: types and values of all TLVs, in order.
    """

    version: int
    client: tuple[str, int] | None = None
    server: Endpoint | None = None
    tls: bool = False
    authority: bytes | None = None
    alpn: bytes | None = None
    unique_id: bytes | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()


class _Malformed(Exception):
    """The text says what is wrong."""


def begins_proxy_header(data: bytes) -> bool:
    """Tell whether bytes begin as a header of either version does."""
    return data.startswith((_FIRST_WORD, SIGNATURE))


class ProxyReader:
    """Reads one header. Never raises on what the peer sends.

    Attributes:
        header: once it is whole.
        error: what is wrong with it, in words. No more is taken then.
    """

    __slots__ = ("_data", "_searched", "error", "header")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self.header: ProxyHeader | None = None
        self.error: str | None = None

    def receive_data(self, data: bytes) -> int:
        """Take the next bytes; return how many of them belong to the header.

        As long as there is neither `header` nor `error`, all of them do.
        """
        if self.header is not None or self.error is not None:
            return 0
        before = len(self._data)
        self._data += data[: MAX_HEADER_SIZE - before]
        try:
            size = self._read()
        except _Malformed as fault:
            self.error = str(fault)
            size = 0
        return size - before if size else len(data)

    def _read(self) -> int:
        """Read what is there; return the size of the header if it is whole, else 0."""
        data = self._data
        if data.startswith(SIGNATURE[:1]):
            if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
                raise _Malformed("it is no header of the PROXY protocol")
            return self._read_binary()
        if not _FIRST_WORD.startswith(data[: len(_FIRST_WORD)]):
            raise _Malformed("it is no header of the PROXY protocol")
        return self._read_line()

    def _read_line(self) -> int:
        data = self._data
        end = data.find(b"\n", self._searched, _MAX_LINE)
        if end < 0:
            if len(data) >= _MAX_LINE:
                raise _Malformed("the line is longer than 107 bytes")
            self._searched = len(data)
            return 0
        if data[end - 1 : end] != b"\r":
            raise _Malformed("the line does not end with CR LF")
        self.header = _parse_line(bytes(data[: end - 1]))
        return end + 1

    def _read_binary(self) -> int:
        data = self._data
        if len(data) < _FIXED:
            return 0
        (size,) = unpack_from("!H", data, 14)
        size += _FIXED
        if size > MAX_HEADER_SIZE:
            raise _Malformed(f"it is longer than {MAX_HEADER_SIZE} bytes")
        if len(data) < size:
            return 0
        self.header = _parse_binary(bytes(data[:size]))
        return int(size)


# --- version 1 --------------------------------------------------------------------------------


def _parse_line(line: bytes) -> ProxyHeader:
    """Read a line without its CR LF (§2.1)."""
    try:
        words = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise _Malformed("the line is not ASCII") from None
    if words[1] == "UNKNOWN":
        # "The receiver must ignore anything presented before the CRLF."
        return ProxyHeader(1)
    if words[1] not in ("TCP4", "TCP6"):
        raise _Malformed("the family is none of TCP4, TCP6 and UNKNOWN")
    try:
        _, family, source, destination, source_port, destination_port = words
    except ValueError:
        raise _Malformed("the line has not six words") from None
    return ProxyHeader(
        1,
        (_address(family, source), _port(source_port)),
        (_address(family, destination), _port(destination_port)),
    )


def _address(family: str, text: str) -> str:
    try:
        if family == "TCP4":
            return str(IPv4Address(text))
        if "%" not in text:  # a zone means something on the proxy's machine only
            return _plain(IPv6Address(text))
    except ValueError:
        pass
    raise _Malformed("an address is none of its family")


def _plain(address: IPv6Address) -> str:
    """Return the text of an address, of IPv4 where it stands for such a one."""
    return str(address.ipv4_mapped or address)


def _port(text: str) -> int:
    # "exactly one integer in the range [0..65535] inclusive", without leading zeros
    if text.isdigit() and (text == "0" or text[0] != "0") and int(text) <= _MAX_PORT:
        return int(text)
    raise _Malformed("a port is no number from 0 to 65535")


# --- version 2 --------------------------------------------------------------------------------


def _parse_binary(data: bytes) -> ProxyHeader:
    """Read a whole header (§2.2)."""
    command, family = data[12], data[13]
    if command == _LOCAL:
        # "must use the real connection endpoints and discard the protocol block including the
        # family which is ignored"
        return ProxyHeader(2)
    if command != _PROXY:
        raise _Malformed("the version is not 2, or the command neither LOCAL nor PROXY")
    if family == _UNSPECIFIED:
        return ProxyHeader(2)
    size = _ADDRESS_SIZES.get(family)
    if size is None:
        raise _Malformed("the family is none that a stream has")
    if len(data) < _FIXED + size:
        raise _Malformed("it is too short for its addresses")
    client, server = _endpoints(family, data)
    return _with_tlvs(ProxyHeader(2, client, server), data, _FIXED + size)


def _endpoints(family: int, data: bytes) -> tuple[tuple[str, int] | None, Endpoint]:
    if family == _UNIX:
        path = data[_FIXED + _PATH_SIZE : _FIXED + 2 * _PATH_SIZE].rstrip(b"\0")
        return None, (path.decode("utf-8", "surrogateescape"), None)
    if family == _TCP4:
        source, destination, *ports = unpack_from("!4s4sHH", data, _FIXED)
        return (str(IPv4Address(source)), ports[0]), (str(IPv4Address(destination)), ports[1])
    source, destination, *ports = unpack_from("!16s16sHH", data, _FIXED)
    return (_plain(IPv6Address(source)), ports[0]), (_plain(IPv6Address(destination)), ports[1])


def _with_tlvs(header: ProxyHeader, data: bytes, start: int) -> ProxyHeader:
    """Add what the TLVs say; those that are not known are kept and not looked into."""
    found: dict[int, bytes] = {}
    tlvs = []
    for kind, offset, value in _tlvs(data, start):
        tlvs.append((kind, value))
        if kind in (_ALPN, _AUTHORITY, _CHECKSUM, _UNIQUE_ID, _TLS):
            if kind in found:
                raise _Malformed("a TLV is there twice")
            found[kind] = value
        if kind == _CHECKSUM:
            _check(data, offset, value)
    if len(found.get(_UNIQUE_ID, b"")) > _MAX_UNIQUE_ID:
        raise _Malformed("the unique id is longer than 128 bytes")
    return header._replace(
        tls=_TLS in found and _speaks_tls(found[_TLS]),
        authority=found.get(_AUTHORITY),
        alpn=found.get(_ALPN),
        unique_id=found.get(_UNIQUE_ID),
        tlvs=tuple(tlvs),
    )


def _tlvs(data: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, offset of the value, and value of each."""
    while start < len(data):
        if len(data) - start < 3:
            raise _Malformed("a TLV is cut")
        kind, size = unpack_from("!BH", data, start)
        start += 3
        if len(data) - start < size:
            raise _Malformed("a TLV is cut")
        yield kind, start, data[start : start + size]
        start += size


def _speaks_tls(value: bytes) -> bool:
    """Read flags, verification and further TLVs (§2.2.6)."""
    if len(value) < 5:
        raise _Malformed("a TLV is cut")
    for _ in _tlvs(value, 5):
        pass
    return bool(value[0] & _CLIENT_TLS)


def _check(data: bytes, offset: int, value: bytes) -> None:
    """Compare the checksum, which is made with zeros in its own place (§2.2.3)."""
    if len(value) != 4:
        raise _Malformed("the checksum has not four bytes")
    zeroed = data[:offset] + bytes(4) + data[offset + 4 :]
    if crc32c(zeroed) != int.from_bytes(value, "big"):
        raise _Malformed("the checksum does not fit")


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC: Final = _table()


def crc32c(data: bytes) -> int:
    """Return the checksum of RFC 4960 appendix B (Castagnoli's polynomial)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
