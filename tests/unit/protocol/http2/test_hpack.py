"""HPACK (RFC 7541) against the library `hpack`: each decodes what the other makes."""

from __future__ import annotations

import tracemalloc
from typing import Any

import hpack
import pytest
from hpack.hpack import decode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman as their_huffman
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from pagi.protocol.http2.faults import DecodingError, HuffmanError, TooLargeError
from tests.unit.protocol.http2.driving import twins

Field = tuple[bytes, bytes]

SECRETS = [b"set-cookie", b"authorization", b"proxy-authorization", b"cookie"]
PSEUDO = [
    *((b":method", b"GET"), (b":method", b"PATCH"), (b":scheme", b"https"), (b":scheme", b"ws")),
    *((b":path", b"/"), (b":path", b"/a?b=c"), (b":authority", b"h.example"), (b":authority", b"")),
]
#: Names that are in the static table, with values or without, and others.
NAMES = st.sampled_from(
    [b"accept-encoding", b"cache-control", b"content-type", b"date", b"etag", b"x-a", b"x-b"]
) | st.text("abc-0", max_size=20).map(lambda text: b"x" + text.encode())
#: Texts that are right in a field.
VALUES = (
    st.sampled_from([b"", b"gzip, deflate", b"no-store", b"1"])
    | st.text([chr(code) for code in (*range(0x21, 0x7F), *range(0x80, 0x100))], max_size=60).map(
        lambda text: text.encode("latin-1")
    )
    | st.integers(0, 5000).map(lambda size: b"v" * size)
)
PLAIN = st.lists(st.tuples(NAMES, VALUES), max_size=8)
FIELDS = st.builds(
    lambda first, then: first + then,
    st.lists(st.sampled_from(PSEUDO), max_size=4, unique_by=lambda field: field[0]),
    PLAIN,
)

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
EOS = 0x3FFFFFFF, 30

of_decoders = pytest.mark.parametrize("new_decoder", twins("decoder", "HeaderDecoder"))
of_encoders = pytest.mark.parametrize("new_encoder", twins("encoder", "HeaderEncoder"))
of_huffman = pytest.mark.parametrize("decode_huffman", twins("huffman", "decode_huffman"))
quick = with_settings(max_examples=150, deadline=None)


def size_of(fields: list[Field]) -> int:
    """Return what fields count (RFC 9113 §6.5.2)."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def check_head(head: Any, fields: list[Field]) -> None:
    """The decoder sorts fields; nothing may be missing or wrong."""
    pseudo = [field for field in fields if field[0].startswith(b":")]
    assert head.fields == [field for field in fields if field not in pseudo]
    for name, value in pseudo:
        assert getattr(head, name[1:].decode()) == value
    assert (head.count, head.size, head.malformed) == (len(fields), size_of(fields), False)


# --- decoding ---


@of_decoders
@quick
@given(
    st.lists(
        st.tuples(FIELDS, st.booleans(), st.none() | st.integers(0, 4096), st.booleans()),
        max_size=8,
    )
)
def test_what_their_encoder_makes_is_decoded(new_decoder: Any, sections: list[Any]) -> None:
    encoder, decoder = hpack.Encoder(), new_decoder(10**6, 1000)
    for fields, huffman, table_size, sensitive in sections:
        if table_size is not None and table_size != encoder.header_table_size:
            encoder.header_table_size = table_size
        last = [(*field, True) for field in fields[-1:] if sensitive]
        block = encoder.encode([*fields[: len(fields) - len(last)], *last], huffman=huffman)
        check_head(decoder.decode(block), fields)


@of_decoders
@pytest.mark.parametrize("index", range(1, 62))
def test_the_static_table(new_decoder: Any, index: int) -> None:
    name, value = HeaderTable.STATIC_TABLE[index - 1]
    head = new_decoder(1000, 10).decode(bytes((0x80 | index,)))
    # :status is none of a request, and transfer-encoding is of a connection of HTTP/1.
    assert head.malformed == (name in (b":status", b"transfer-encoding"))
    if name == b"host":
        assert (head.host, head.hosts) == (value, 1)
    elif not head.malformed:
        check_head(head, [(name, value)])


@of_decoders
def test_a_name_stays_when_its_entry_is_evicted(new_decoder: Any) -> None:
    """RFC 7541 §4.4: a new entry may name the one that it pushes out."""
    decoder, peer = new_decoder(10**6, 10), hpack.Decoder()
    blocks = [b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000, b"\x7e\x7f\xa2\x1e" + b"w" * 4001, b"\xbe"]
    for block, value in zip(blocks, [b"v" * 4000, b"w" * 4001, b"w" * 4001], strict=True):
        assert decoder.decode(block).fields == [(b"x", value)]
        assert list(peer.decode(block, raw=True)) == [(b"x", value)]


@of_decoders
@pytest.mark.parametrize("huffman", [True, False])
def test_a_section_cut_at_every_byte(new_decoder: Any, huffman: bool) -> None:
    fields = [
        *((b":method", b"GET"), (b":path", b"/" + b"p" * 300), (b"x-a", b"1"), (b"x-a", b"1")),
        *((b"cookie", b"a=\xff\xfe"), (b"x-a", b"2"), (b"x-" + b"n" * 200, b"")),
    ]
    encoder = hpack.Encoder()
    pieces = [encoder.encode([field], huffman=huffman) for field in fields]
    pieces.append(encoder.encode([(b"x-secret", b"s", True)], huffman=huffman))
    fields.append((b"x-secret", b"s"))
    block = b"".join(pieces)
    whole = {sum(map(len, pieces[:count])): count for count in range(len(pieces) + 1)}
    for stop in range(len(block) + 1):
        decoder = new_decoder(10**6, 1000)
        if stop in whole:
            check_head(decoder.decode(block[:stop]), fields[: whole[stop]])
        else:
            with pytest.raises(DecodingError):
                decoder.decode(block[:stop])


#: What an integer can follow: the representations, and lengths of names and values.
STARTS = [b"\xff", b"\x7f", b"\x3f\xff", b"\x1f", b"\x0f", b"\x40\x7f", b"\x40\xff", b"\x41\x7f"]


@of_decoders
@pytest.mark.parametrize("start", STARTS)
def test_integers_without_bound_or_end(new_decoder: Any, start: bytes) -> None:
    for count in range(12):
        for byte in (b"\x80", b"\xff"):
            with pytest.raises(DecodingError):
                new_decoder(10**6, 1000).decode(start + byte * count)
        for last in (b"\x00", b"\x7f"):
            if count > 3 or last == b"\x7f":
                with pytest.raises(DecodingError):
                    new_decoder(10**6, 1000).decode(start + b"\xff" * count + last)


@of_decoders
def test_integers_that_are_padded(new_decoder: Any) -> None:
    """RFC 7541 §5.1 allows it; how far is for the implementation to say."""
    for count in range(4):  # the field 62 - 61 - 1: the newest
        decoder = new_decoder(10**6, 1000)
        decoder.decode(b"\x40\x01a\x01b")
        text = b"\x00\x7f" + b"\x80" * count + b"\x00" + b"n" * 127 + b"\x00"
        assert decoder.decode(text).fields == [(b"n" * 127, b"")]
    with pytest.raises(DecodingError, match="too large"):
        new_decoder(10**6, 1000).decode(b"\x00\x7f\x80\x80\x80\x80\x00" + b"n" * 127 + b"\x00")


@of_decoders
@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"\x80", "the index 0"),
        (b"\xbe", "stands for nothing"),
        (b"\x7e\x00", "stands for nothing"),
        (b"\x40\x01a\x00\xbf", "stands for nothing"),
        (b"\x3f\xe2\x1f", "larger than allowed"),
        (b"\x40\x01a\x00\x20", "within a section"),
        (b"\x40\x01a\x00\x20\xbe", "within a section"),
        (b"\x40\x81\xff\x00", "no Huffman code"),
    ],
)
def test_what_is_malformed(new_decoder: Any, block: bytes, reason: str) -> None:
    with pytest.raises(DecodingError, match=reason):
        new_decoder(10**6, 1000).decode(block)
    with pytest.raises(hpack.HPACKError):
        hpack.Decoder().decode(block, raw=True)


def outcome(decoder: Any, block: bytes) -> Any:
    """Return count and size of the fields, or the sort of the error."""
    try:
        head = decoder.decode(block)
    except TooLargeError:
        return "too large"
    except DecodingError as error:
        # They take an integer with a byte more behind its prefix. It could stand for more than
        # 2²⁸, which is none that we could use, or be padded with zeros, which nobody does.
        return None if "an integer that is too large" in str(error) else "malformed"
    return head.count, head.size


def their_outcome(decoder: hpack.Decoder, block: bytes) -> Any:
    try:
        fields = list(decoder.decode(block, raw=True))
    except hpack.OversizedHeaderListError:
        return "too large"
    except hpack.HPACKError:
        return "malformed"
    return len(fields), size_of([(bytes(name), bytes(value)) for name, value in fields])


def damaged(fields: list[Field], huffman: bool, at: int, byte: int) -> bytes:
    """Make a section and change one byte of it."""
    block = bytearray(hpack.Encoder().encode(fields, huffman=huffman))
    if block:
        block[at % len(block)] = byte
    return bytes(block)


@of_decoders
@with_settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.binary(max_size=60)
        | st.builds(damaged, FIELDS, st.booleans(), st.integers(0, 10**4), st.integers(0, 255)),
        max_size=4,
    )
)
def test_noise_is_judged_alike(new_decoder: Any, blocks: list[bytes]) -> None:
    ours, theirs = new_decoder(2000, 10**6), hpack.Decoder(max_header_list_size=2000)
    for block in blocks:
        found = outcome(ours, block)
        if found is not None:
            assert found == their_outcome(theirs, block)
        if found is None or isinstance(found, str):
            break  # neither goes on after an error


@of_decoders
def test_the_bounds_are_exact(new_decoder: Any) -> None:
    fields = [(b"x-a", b"1"), (b"x-b", b"2" * 100), (b":path", b"/")]
    block = hpack.Encoder().encode(fields)
    size = size_of(fields)
    assert new_decoder(size, 3).decode(block).count == 3
    for bounds in ((size - 1, 3), (size, 2)):
        with pytest.raises(TooLargeError):
            new_decoder(*bounds).decode(block)


@of_decoders
def test_a_small_section_does_not_become_a_large_one(new_decoder: Any) -> None:
    # A field of 4,000 bytes, and a million times the byte that stands for it.
    bomb = b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000 + b"\xbe" * 10**6
    decoder = new_decoder(10**7, 1000)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            decoder.decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@of_decoders
def test_long_names_are_not_kept(new_decoder: Any) -> None:
    """What is remembered of names outlives their connections: it must be little."""
    decoder = new_decoder(10**6, 1000)
    tracemalloc.start()
    try:
        for number in range(1100):
            name = b"x-%d-" % number + b"n" * 5000
            decoder.decode(b"\x00\x7f" + more(len(name) - 127) + name + b"\x00")
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def more(value: int) -> bytes:
    """Return the bytes of an integer behind its prefix (RFC 7541 §5.1)."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


# --- encoding ---


def changes(block: bytes) -> list[int]:
    """Return the sizes of the table that a section begins with."""
    found = []
    while block and block[0] & 0xE0 == 0x20:
        size, used = decode_integer(block, 5)
        found.append(size)
        block = block[used:]
    return found


@of_encoders
@quick
@given(
    st.lists(
        st.sampled_from([0, 1, 40, 100, 4095, 4096, 4097, 65_536, 2**32 - 1])
        | st.lists(st.tuples(NAMES | st.sampled_from([*SECRETS, b":status"]), VALUES), max_size=8),
        max_size=12,
    )
)
def test_their_decoder_takes_what_we_encode(new_encoder: Any, steps: list[Any]) -> None:
    encoder, decoder = new_encoder(), hpack.Decoder(max_header_list_size=10**6)
    for step in steps:
        if isinstance(step, int):
            encoder.limit(step)
            decoder.max_allowed_table_size = step  # it raises if the encoder does not keep to it
            continue
        found = list(decoder.decode(encoder.encode(step), raw=True))
        assert found == step
        assert [field.indexable for field in found] == [name not in SECRETS for name, _ in step]
        assert decoder.header_table_size <= 4096


@of_encoders
@quick
@given(st.lists(st.integers(0, 6000), min_size=1, max_size=6))
def test_changes_of_the_table_are_said(new_encoder: Any, sizes: list[int]) -> None:
    """RFC 7541 §4.2: the smallest size that came up, and the last."""
    encoder = new_encoder()
    for size in sizes:
        encoder.limit(size)
    said = changes(encoder.encode([]))
    used = [min(size, 4096) for size in sizes]
    if min(used) == 4096:
        assert said == []
    else:
        assert (min(said), said[-1]) == (min(used), used[-1])
    assert encoder.encode([]) == b""


@of_encoders
def test_two_changes_of_the_table_at_most(new_encoder: Any) -> None:
    """RFC 7541 §4.2: "resulting in at most two dynamic table size updates"."""
    encoder = new_encoder()
    for size in (0, 100, 200, 300):
        encoder.limit(size)
    assert changes(encoder.encode([])) == [0, 300]


@of_encoders
@quick
@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=5), st.text("xyz", max_size=40)),
        unique=True,
        min_size=1,
        max_size=30,
    )
)
def test_from_the_third_on_a_field_costs_a_byte(new_encoder: Any, pairs: list[Any]) -> None:
    fields = [(b"x-" + name.encode(), value.encode()) for name, value in pairs]
    encoder, decoder = new_encoder(), hpack.Decoder()
    blocks = [encoder.encode([(b":status", b"200"), *fields]) for _ in range(5)]
    assert len(blocks[0]) >= size_of(fields) - 32 * len(fields)
    assert [len(block) for block in blocks[2:]] == [1 + len(fields)] * 3
    for block in blocks:
        assert list(decoder.decode(block, raw=True)) == [(b":status", b"200"), *fields]


@of_encoders
def test_what_differs_each_time_pushes_nothing_out(new_encoder: Any) -> None:
    usual = [(b"x-%d" % number, b"same" * 20) for number in range(20)]
    encoder, decoder = new_encoder(), hpack.Decoder()
    for number in range(1000):
        own = (b"x-request-id", b"%d" % number)
        block = encoder.encode([*usual, own])
        assert list(decoder.decode(block, raw=True)) == [*usual, own]
        if number >= 2:
            assert len(block) < len(usual) + 30
    assert len(decoder.header_table.dynamic_entries) == len(usual)


@of_encoders
def test_secrets_and_large_fields_are_not_indexed(new_encoder: Any) -> None:
    encoder, decoder = new_encoder(), hpack.Decoder()
    secrets = [(name, b"secret") for name in SECRETS]
    room = 512 - 32 - len(b"x-large")
    large, fitting = (b"x-large", b"v" * (room + 1)), (b"x-large", b"w" * room)
    for _ in range(4):
        block = encoder.encode([*secrets, large, fitting])
        found = list(decoder.decode(block, raw=True))
        assert found == [*secrets, large, fitting]
        assert [field.indexable for field in found] == [False] * len(secrets) + [True] * 2
        assert all(secret[1] in block for secret in secrets)
    assert list(decoder.header_table.dynamic_entries) == [fitting]


@of_encoders
def test_a_table_that_is_switched_off_and_on(new_encoder: Any) -> None:
    encoder, decoder = new_encoder(), hpack.Decoder()
    field = (b"x-a", b"some value")
    sizes = [len(encoder.encode([field])) for _ in range(3)]
    assert sizes == [16, 16, 1]
    encoder.limit(0)
    assert changes(encoder.encode([field])) == [0]
    assert {len(encoder.encode([field])) for _ in range(5)} == {16}
    encoder.limit(4096)
    blocks = [encoder.encode([field]) for _ in range(3)]
    assert changes(blocks[0]) == [4096]
    assert len(blocks[-1]) == 1
    assert [list(decoder.decode(block, raw=True)) for block in blocks] == [[field]] * 3


# --- the Huffman code ---


def packed(codes: list[tuple[int, int]], padding: int = 1) -> bytes:
    """Join codes, given as numbers and lengths in bits, and fill up the last byte."""
    text = "".join(f"{code:0{length}b}" for code, length in codes)
    text += str(padding) * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def code_of(byte: int) -> tuple[int, int]:
    return REQUEST_CODES[byte], REQUEST_CODES_LENGTH[byte]


@of_huffman
def test_every_byte_next_to_every_other(decode_huffman: Any) -> None:
    for first in range(256):
        one = HUFFMAN.encode(bytes((first,)))
        assert decode_huffman(one, 0, len(one)) == bytes((first,))
        pairs = b"".join(bytes((first, second)) for second in range(256))
        code = HUFFMAN.encode(pairs)
        assert decode_huffman(code, 0, len(code)) == pairs


@of_huffman
@quick
@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode), st.binary(max_size=3))
def test_texts_in_the_middle_of_others(decode_huffman: Any, text: bytes, around: bytes) -> None:
    code = HUFFMAN.encode(text)
    start = len(around)
    assert decode_huffman(around + code + around, start, start + len(code)) == text


def check_like_theirs(decode_huffman: Any, code: bytes) -> None:
    try:
        expected = their_huffman(code)
    except hpack.HPACKDecodingError:
        with pytest.raises(HuffmanError):
            decode_huffman(code, 0, len(code))
    else:
        assert decode_huffman(code, 0, len(code)) == expected


@of_huffman
@with_settings(max_examples=600, deadline=None)
@given(st.binary(max_size=12))
def test_noise_in_the_place_of_a_code(decode_huffman: Any, noise: bytes) -> None:
    check_like_theirs(decode_huffman, noise)


@of_huffman
@pytest.mark.parametrize("byte", range(256))
def test_padding(decode_huffman: Any, byte: int) -> None:
    """RFC 7541 §5.2: less than eight bits, all of them ones."""
    code = packed([code_of(byte)])
    bits = len(code) * 8 - REQUEST_CODES_LENGTH[byte]
    with pytest.raises(HuffmanError):
        decode_huffman(code + b"\xff", 0, len(code) + 1)
    check_like_theirs(decode_huffman, packed([code_of(byte)], padding=0))
    for bit in range(bits):  # what is then at the end may stand for a byte of text
        check_like_theirs(decode_huffman, code[:-1] + bytes((code[-1] ^ 1 << bit,)))


@of_huffman
@pytest.mark.parametrize("before", [b"", b"a", b"abc", b"\x00\xff"])
@pytest.mark.parametrize("after", [b"", b"a", b"abcdefgh"])
def test_eos_is_no_text(decode_huffman: Any, before: bytes, after: bytes) -> None:
    code = packed([*map(code_of, before), EOS, *map(code_of, after)])
    with pytest.raises(HuffmanError):
        decode_huffman(code, 0, len(code))
