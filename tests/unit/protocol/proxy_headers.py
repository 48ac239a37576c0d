"""Headers of the PROXY protocol as proxies make them."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from pagi.protocol.proxy_protocol import SIGNATURE, crc32c

__all__ = ["LOCAL", "TLVs", "line", "tlv", "version_2"]

TLVs = Iterable[tuple[int, bytes]]

LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def line(
    client: tuple[str, int] = ("192.0.2.1", 56324), server: tuple[str, int] = ("198.51.100.1", 443)
) -> bytes:
    """Make a header of version 1."""
    family = "TCP6" if ":" in client[0] else "TCP4"
    return f"PROXY {family} {client[0]} {server[0]} {client[1]} {server[1]}\r\n".encode()


def tlv(kind: int, value: bytes) -> bytes:
    """Make a TLV."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def version_2(
    client: tuple[str, int] | str = ("192.0.2.1", 56324),
    server: tuple[str, int] | str = ("198.51.100.1", 443),
    tlvs: TLVs = (),
    *,
    checksum: bool = False,
    command: int = 0x21,
) -> bytes:
    """Make a header of version 2; texts are paths."""
    if isinstance(client, str) or isinstance(server, str):
        family = 0x31
        body = b"".join(str(path).encode().ljust(108, b"\0") for path in (client, server))
    else:
        version = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
        family = 0x21 if version == socket.AF_INET6 else 0x11
        body = b"".join(socket.inet_pton(version, host) for host, _ in (client, server))
        body += b"".join(port.to_bytes(2, "big") for _, port in (client, server))
    body += b"".join(tlv(kind, value) for kind, value in tlvs)
    place = len(body) + 3
    if checksum:
        body += tlv(0x03, bytes(4))
    head = SIGNATURE + bytes([command, family]) + len(body).to_bytes(2, "big")
    if checksum:
        value = crc32c(head + body).to_bytes(4, "big")
        body = body[:place] + value + body[place + 4 :]
    return head + body
