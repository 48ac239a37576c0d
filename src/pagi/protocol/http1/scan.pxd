# Byte loops that several compiled modules share.
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset


cdef inline void fill_lower(unsigned char* table) noexcept:
    """Make a table that maps bytes of tokens to their lower case, and all else to 0."""
    cdef int byte
    memset(table, 0, 256)
    for byte in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz":
        table[byte] = byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[byte] = byte + 32


cdef inline const unsigned char* end_of_value(
    const unsigned char* text, const unsigned char* stop
) noexcept nogil:
    """Return where the first control character other than HTAB stands, or ``stop``."""
    cdef uint64_t word, low, delete
    while True:
        while stop - text >= 8:
            memcpy(&word, text, 8)
            # the high bit of a byte is set if it is below 0x20, or 0x7f
            low = (word - <uint64_t>0x2020202020202020) & ~word
            delete = word ^ <uint64_t>0x7F7F7F7F7F7F7F7F
            delete = (delete - <uint64_t>0x0101010101010101) & ~delete
            if (low | delete) & <uint64_t>0x8080808080808080:
                break
            text += 8
        while True:
            if text >= stop or (text[0] < 0x20 and text[0] != 9) or text[0] == 0x7F:
                return text
            text += 1
            if (text - 1)[0] == 9:
                break
