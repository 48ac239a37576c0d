# cython: language_level=3
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint32_t mask_at(const unsigned char* key, Py_ssize_t phase) noexcept nogil:
    """Return the mask as it stands in memory, turned to begin at byte ``phase``."""
    cdef unsigned char turned[4]
    cdef uint32_t mask
    cdef Py_ssize_t index
    for index in range(4):
        turned[index] = key[(phase + index) & 3]
    memcpy(&mask, turned, 4)
    return mask


cdef inline uint64_t xor_into(
    unsigned char* out, const unsigned char* text, Py_ssize_t size, uint32_t mask
) noexcept nogil:
    """Write ``text`` without its mask to ``out``, and return the bits that any word of it has."""
    cdef uint64_t wide = (<uint64_t>mask << 32) | mask
    cdef uint64_t word
    cdef uint64_t seen = 0
    cdef Py_ssize_t index = 0
    cdef Py_ssize_t words = size >> 3
    for index in range(words):
        memcpy(&word, text + (index << 3), 8)
        word ^= wide
        seen |= word
        memcpy(out + (index << 3), &word, 8)
    index = words << 3
    if index < size:
        word = 0
        memcpy(&word, text + index, size - index)
        # what lies behind the end is mask only, and not looked at
        word ^= wide
        memcpy(out + index, &word, size - index)
        while index < size:
            seen |= out[index]
            index += 1
    return seen


cpdef bytes unmasked(bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask, Py_ssize_t phase)
