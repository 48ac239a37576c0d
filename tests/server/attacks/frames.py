"""A hostile WebSocket client: it sends the frames it is told to send, and reads strictly."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from tests.server.attacks.wire import Wire

__all__ = ["HANDSHAKE", "Socket", "deflated", "frame", "handshake"]

CONTINUATION: Final = 0x00
TEXT: Final = 0x81
BINARY: Final = 0x82
CLOSE: Final = 0x88
PING: Final = 0x89
PONG: Final = 0x8A
RSV1: Final = 0x40

_MASK: Final = b"\x37\xfa\x21\x3d"
#: Key and answer of RFC 6455 §1.3.
_KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT: Final = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_FIELDS: Final = (
    (b"Host", b"h"),
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", _KEY),
)


def handshake(path: bytes = b"/", *more: tuple[bytes, bytes]) -> bytes:
    """Return an opening handshake; ``more`` fields take the place of those of the same name."""
    names = {name.lower() for name, _ in more}
    fields = [field for field in _FIELDS if field[0].lower() not in names]
    lines = [b"%b: %b\r\n" % field for field in (*fields, *more)]
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, b"".join(lines))


HANDSHAKE: Final = handshake()


def frame(
    first: int, payload: bytes = b"", *, mask: bytes | None = _MASK, claims: int | None = None
) -> bytes:
    """Return a frame.

    Args:
        first: its first byte.
        payload: what it carries.
        mask: the masking key; ``None`` for a frame that is not masked.
        claims: the length in its head, if not that of ``payload``.
    """
    size = len(payload) if claims is None else claims
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 1 << 16:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + number.to_bytes(len(payload), "big")


def deflated(data: bytes, level: int = 9) -> bytes:
    """Return the payload of a message that stands for ``data`` (RFC 7692 §7.2.1)."""
    stream = zlib.compressobj(level, wbits=-12)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Socket:
    """A WebSocket that was accepted; a context manager that closes its connection."""

    def __init__(self, wire: Wire, fields: dict[bytes, bytes]) -> None:
        self.wire = wire
        self.fields = fields

    @classmethod
    async def open(
        cls,
        address: int | str,
        path: bytes = b"/",
        *more: tuple[bytes, bytes],
        deflate: bool = False,
        receive_buffer: int | None = None,
    ) -> Socket:
        """Connect and complete the handshake.

        Args:
            address: port or path.
            path: what is asked for.
            more: fields of the request.
            deflate: offer compression, which the server must take.
            receive_buffer: size of the kernel's buffer; small for a slow reader.
        """
        offer: Sequence[tuple[bytes, bytes]] = ()
        if deflate:
            offer = [(b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits")]
        wire = await Wire.open(address, receive_buffer)
        await wire.send(handshake(path, *more, *offer))
        answer = await wire.answer()
        assert answer.status == 101, answer.status
        assert answer.fields[b"sec-websocket-accept"] == _ACCEPT
        assert (b"sec-websocket-extensions" in answer.fields) == deflate
        return cls(wire, answer.fields)

    async def __aenter__(self) -> Socket:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wire.close()

    async def send(self, *frames: bytes) -> bool:
        """Send frames as they are; tell whether the server let us."""
        return await self.wire.send(b"".join(frames))

    async def read(self) -> tuple[int, bytes]:
        """Read one frame: its first byte and its payload. Its head must be a server's."""
        wire = self.wire
        first, size = await wire.exactly(2)
        assert size < 128, "a server does not mask"
        if size > 125:
            assert first & 8 == 0, "a control frame of more than 125 bytes"
            wide = size == 127
            size = int.from_bytes(await wire.exactly(8 if wide else 2), "big")
            assert size > (0xFFFF if wide else 125), "a length that is longer than it needs to be"
        return first, await wire.exactly(size)

    async def echoes(self, text: bytes = b"hello") -> None:
        """Check that the application of the tests answers."""
        await self.send(frame(TEXT, text))
        assert await self.read() == (TEXT, text)

    async def closed(self, skip: Sequence[int] = ()) -> tuple[int, str]:
        """Read the server's close and the end behind it; return its code and reason.

        Args:
            skip: first bytes of frames that may come before it.
        """
        while (found := await self.read())[0] in skip:
            continue
        first, payload = found
        assert first == CLOSE, found
        assert await self.wire.rest() == b"", "bytes behind the close"
        assert not self.wire.was_reset, "the connection was reset instead of closed"
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()
