"""The Huffman code of HPACK (RFC 7541 §5.2).

One source, two builds: compiled as ``_huffman_c`` (see ``_huffman_c.pxd``).

The code is canonical: the lengths of the codes, in the order of the symbols, are all there is to
know. Codes of up to eight bits, which are those of letters and digits, are found by one look-up.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.http2.faults import HuffmanError

__all__ = ["decode_huffman"]

#: Lengths of the codes of all bytes and of EOS (RFC 7541, Appendix B).
_LENGTHS: Final = bytes(
    (
        *(13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28),
        *(28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28),
        *(6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6),
        *(5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10),
        *(13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7),
        *(7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6),
        *(15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5),
        *(6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28),
        *(20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23),
        *(24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24),
        *(22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23),
        *(21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23),
        *(26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25),
        *(19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27),
        *(20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23),
        *(26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26),
        30,
    )
)
_EOS: Final = 256
_LONGEST: Final = 30


def _short_codes() -> tuple[bytes, bytes]:
    """Return symbol and length of the code that each byte begins with; length 0 for longer ones."""
    symbols, lengths = bytearray(256), bytearray(256)
    code = 0
    for length in range(5, 9):
        code <<= 1
        for symbol in range(256):
            if _LENGTHS[symbol] == length:
                first = code << (8 - length)
                for index in range(first, first + (1 << (8 - length))):
                    symbols[index], lengths[index] = symbol, length
                code += 1
    return bytes(symbols), bytes(lengths)


def _long_codes() -> dict[int, int]:
    """Return the symbols of the longer codes, by code with a one in front."""
    found = {}
    code = before = 0
    for symbol in sorted(range(257), key=_LENGTHS.__getitem__):
        length = _LENGTHS[symbol]
        code <<= length - before
        before = length
        if length > 8:
            found[1 << length | code] = symbol
        code += 1
    return found


_SHORT_SYMBOLS, _SHORT_LENGTHS = _short_codes()
_LONG: Final = _long_codes()


def decode_huffman(data: bytes, start: int, stop: int) -> bytes:
    """Return the text whose code is ``data[start:stop]``.

    Raises:
        HuffmanError: it holds EOS, or is not filled up by less than eight ones (RFC 7541 §5.2).
    """
    text = bytearray()
    bits = count = 0  # what is not decoded yet, and how much of it
    position = start
    while True:
        while count <= 32 and position < stop:
            bits = (bits & 0xFFFFFFFF) << 8 | data[position]
            count += 8
            position += 1
        if count < 8:
            break
        index = bits >> (count - 8) & 0xFF
        length = _SHORT_LENGTHS[index]
        if length:
            text.append(_SHORT_SYMBOLS[index])
        else:
            length, symbol = _long_code(bits, count)
            text.append(symbol)
        count -= length
    while count > 0:
        # Filled up with ones, as the encoder must have done.
        index = (bits << (8 - count) | 0xFF >> count) & 0xFF
        length = _SHORT_LENGTHS[index]
        if not length or length > count:
            break
        text.append(_SHORT_SYMBOLS[index])
        count -= length
    padding = (1 << count) - 1
    if bits & padding != padding:
        raise HuffmanError
    return bytes(text)


def _long_code(bits: int, count: int) -> tuple[int, int]:
    """Return length and symbol of a code of more than eight bits."""
    length = 9
    while length <= _LONGEST and length <= count:
        symbol = _LONG.get(1 << length | (bits >> (count - length) & ((1 << length) - 1)))
        if symbol is not None:
            if symbol == _EOS:
                break
            return length, symbol
        length += 1
    raise HuffmanError
