"""permessage-deflate: messages in and out (RFC 7692 §7.2)."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest

from pagi.protocol.websocket.close import PeerError
from pagi.protocol.websocket.deflate import DeflateParameters, Deflater, Inflater
from tests.unit.protocol.websocket.driving import zeros

TAIL = b"\x00\x00\xff\xff"
HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # RFC 7692 §7.2.3.1
ROOM = 1_000_000
TEXTS = [b"Hello", b"Hello", b"a" * 5000, bytes(range(256)) * 20, b"x", b"Hello, Hello"]


def _client(bits: int = 15) -> zlib._Compress:
    return zlib.compressobj(wbits=-bits)


def _deflated(stream: zlib._Compress, data: bytes) -> bytes:
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def _inflated(inflater: Inflater, payload: bytes, step: int = 0, room: int = ROOM) -> bytes:
    """Inflate a message, in pieces of ``step`` bytes; if it is too long, up to there."""
    out = b""
    step = step or len(payload) or 1
    for at in range(0, len(payload), step):
        piece = payload[at : at + step]
        while piece and len(out) <= room:
            out += inflater.inflate(piece, room - len(out))
            piece = inflater.rest
    if len(out) <= room:
        out += inflater.finish(room - len(out))
    return out


@pytest.mark.parametrize("step", [0, 1, 3])
def test_examples_of_the_rfc(step: int) -> None:
    # §7.2.3.1, §7.2.3.2: the second message refers to the first
    inflater = Inflater(DeflateParameters())
    assert _inflated(inflater, HELLO, step) == b"Hello"
    assert _inflated(inflater, b"\xf2\x00\x11\x00\x00", step) == b"Hello"
    # §7.2.3.3: no compression; §7.2.3.4: a last block; §7.2.3.5: two blocks; §7.2.3.6: empty
    assert _inflated(inflater, b"\x00\x05\x00\xfa\xffHello\x00", step) == b"Hello"
    assert _inflated(inflater, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", step) == b"Hello"
    two = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"
    assert _inflated(inflater, two, step) == b"Hello"
    assert _inflated(inflater, b"\x00", step) == b""
    assert _inflated(inflater, HELLO, step) == b"Hello"


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("bits", range(9, 16))
def test_the_context_is_kept(bits: int, step: int) -> None:
    client = _client(bits)
    inflater = Inflater(DeflateParameters(client_max_window_bits=bits))
    for text in TEXTS:
        assert _inflated(inflater, _deflated(client, text), step) == text


@pytest.mark.parametrize("step", [0, 1])
def test_without_context_every_message_begins_anew(step: int) -> None:
    inflater = Inflater(DeflateParameters(client_no_context_takeover=True))
    for text in TEXTS:
        assert _inflated(inflater, _deflated(_client(), text), step) == text
    with pytest.raises(PeerError) as caught:  # it refers to the message before
        _inflated(inflater, b"\xf2\x00\x11\x00\x00", step)
    assert caught.value.code == 1007


def test_a_window_of_256_bytes() -> None:
    # made by hand, for zlib makes none: 250 bytes as they are, then a copy of the first three
    inflater = Inflater(DeflateParameters(client_max_window_bits=8))
    client = zlib.compressobj(wbits=-9)
    data = bytes(range(250)) + bytes(range(3)) * 50

    assert _inflated(inflater, _deflated(client, data)) == data


@pytest.mark.parametrize("step", [0, 1, 5])
def test_last_blocks(step: int) -> None:
    # each stream has its own context (RFC 7692 §7.2.3.4)
    inflater = Inflater(DeflateParameters())
    for text in TEXTS * 3:
        stream = _client()
        payload = stream.compress(text) + stream.flush(zlib.Z_FINISH) + b"\0"
        assert _inflated(inflater, payload, step) == text
    # several in one message, without the octet that would make it end like others
    payload = b"".join(zlib.compress(text, wbits=-15) for text in TEXTS)
    assert _inflated(inflater, payload, step) == b"".join(TEXTS)
    assert _inflated(inflater, HELLO, step) == b"Hello"


@pytest.mark.parametrize("step", [0, 1, 2])
def test_endless_last_blocks_are_refused(step: int) -> None:
    inflater = Inflater(DeflateParameters())
    empty = b"\x03\x00"
    assert _inflated(inflater, empty * 64, step) == b""
    assert _inflated(inflater, empty * 64, step) == b""
    with pytest.raises(PeerError, match="too many deflated streams") as caught:
        _inflated(inflater, empty * 65, step)
    assert caught.value.code == 1008


def test_an_empty_payload_is_an_empty_message() -> None:
    inflater = Inflater(DeflateParameters())
    assert _inflated(inflater, b"") == b""
    assert _inflated(inflater, HELLO) == b"Hello"
    assert _inflated(inflater, b"") == b""
    assert _inflated(inflater, b"\xf2\x00\x11\x00\x00") == b"Hello"


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff", b"\x07", b"\x00\x01\x00\x01\x00", b"\x05\x00\xff"]
)
def test_what_is_not_deflated(payload: bytes, step: int) -> None:
    with pytest.raises(PeerError, match="damaged") as caught:
        _inflated(Inflater(DeflateParameters()), payload, step)
    assert caught.value.code == 1007


@pytest.mark.parametrize("step", [0, 1, 100])
def test_the_limit_is_exact(step: int) -> None:
    payload = _deflated(_client(), b"a" * 5000)
    assert len(_inflated(Inflater(DeflateParameters()), payload, step, 5000)) == 5000
    assert len(_inflated(Inflater(DeflateParameters()), payload, step, 4999)) == 5000
    for room in range(5):
        found = _inflated(Inflater(DeflateParameters()), HELLO, step, room)
        assert found == b"Hello"[: room + 1]


def test_the_limit_holds_across_last_blocks() -> None:
    payload = zlib.compress(b"a" * 600, wbits=-15) * 2
    assert len(_inflated(Inflater(DeflateParameters()), payload, 0, 1200)) == 1200
    assert len(_inflated(Inflater(DeflateParameters()), payload, 0, 1199)) == 1200


def test_a_bomb_is_not_inflated() -> None:
    # a gigabyte of zeros in a megabyte: what is allocated is in proportion to the limit
    bomb = zeros(2**20) * 1024
    inflater = Inflater(DeflateParameters())
    tracemalloc.start()
    try:
        assert len(inflater.inflate(bomb, ROOM)) == ROOM + 1
        assert tracemalloc.get_traced_memory()[1] < 4 * ROOM + len(bomb)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("memory_level", [1, 5, 9])
def test_deflating_keeps_the_context(bits: int, memory_level: int) -> None:
    deflater = Deflater(DeflateParameters(server_max_window_bits=bits), memory_level)
    client = zlib.decompressobj(-bits)  # no larger window than it asked for
    source = random.Random(bits)
    texts = [*TEXTS, *(source.randbytes(source.randrange(1, 5000)) for _ in range(5))]
    for text in texts * 2:
        assert client.decompress(deflater.deflate(text) + TAIL) == text
    first, second = deflater.deflate(b"once and again"), deflater.deflate(b"once and again")
    assert len(second) < len(first)


def test_deflating_without_context() -> None:
    deflater = Deflater(DeflateParameters(server_no_context_takeover=True), 5)
    for text in TEXTS:
        assert zlib.decompressobj(-15).decompress(deflater.deflate(text) + TAIL) == text
    assert deflater.deflate(b"Hello") == deflater.deflate(b"Hello")


def test_the_agreed_values_are_those_of_the_answer() -> None:
    assert DeflateParameters().answer == b"permessage-deflate"
