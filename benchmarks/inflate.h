/* Unpacks deflated messages (RFC 1951), so that the load generator needs no library for it.
 *
 * It is built to be short, not fast: only memory is measured with compressed messages.
 */
#ifndef BENCHMARKS_INFLATE_H
#define BENCHMARKS_INFLATE_H

#include <stdint.h>
#include <string.h>

#define CODE_BITS 15 /* of the longest code word */
#define WINDOW 32768 /* bytes that a match may reach back */

struct packed {
    const unsigned char *data;
    size_t size, place; /* in bits */
    int broken;         /* read past the end, or met what cannot be */
};

/* A Huffman code in canonical order: how many words have each length, and what they stand for. */
struct code {
    unsigned counts[CODE_BITS + 1];
    unsigned short symbols[288];
};

static unsigned take_bits(struct packed *packed, unsigned count)
{
    unsigned value = 0;
    for (unsigned index = 0; index < count; index++, packed->place++) {
        if (packed->place >= packed->size * 8) {
            packed->broken = 1;
            return 0;
        }
        value |= (packed->data[packed->place / 8] >> packed->place % 8 & 1u) << index;
    }
    return value;
}

static void build_code(struct code *code, const unsigned char *lengths, unsigned count)
{
    unsigned starts[CODE_BITS + 2] = {0};
    memset(code, 0, sizeof *code);
    for (unsigned symbol = 0; symbol < count; symbol++)
        code->counts[lengths[symbol]] += lengths[symbol] > 0;
    for (unsigned length = 1; length <= CODE_BITS; length++)
        starts[length + 1] = starts[length] + code->counts[length];
    for (unsigned symbol = 0; symbol < count; symbol++)
        if (lengths[symbol])
            code->symbols[starts[lengths[symbol]]++] = (unsigned short)symbol;
}

static unsigned take_symbol(struct packed *packed, const struct code *code)
{
    unsigned word = 0, first = 0, before = 0; /* first word of this length, symbols before it */
    for (unsigned length = 1; length <= CODE_BITS && !packed->broken; length++) {
        word |= take_bits(packed, 1);
        if (word - first < code->counts[length])
            return code->symbols[before + word - first];
        before += code->counts[length];
        first = (first + code->counts[length]) << 1;
        word <<= 1;
    }
    packed->broken = 1;
    return 0;
}

static void fixed_codes(struct code *literals, struct code *distances)
{
    unsigned char lengths[288];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    build_code(literals, lengths, 288);
    memset(lengths, 5, 30);
    build_code(distances, lengths, 30);
}

static void dynamic_codes(struct packed *packed, struct code *literals, struct code *distances)
{
    static const unsigned char order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                            11, 4,  12, 3, 13, 2, 14, 1, 15};
    unsigned char lengths[320] = {0};
    unsigned literal_count = take_bits(packed, 5) + 257, total = literal_count;
    total += take_bits(packed, 5) + 1;
    unsigned length_count = take_bits(packed, 4) + 4;
    for (unsigned index = 0; index < length_count; index++)
        lengths[order[index]] = (unsigned char)take_bits(packed, 3);
    build_code(literals, lengths, 19);
    memset(lengths, 0, sizeof lengths);
    for (unsigned index = 0; index < total && !packed->broken;) {
        unsigned symbol = take_symbol(packed, literals), times = 1;
        if (symbol == 16)
            times = take_bits(packed, 2) + 3;
        else if (symbol > 16)
            times = symbol == 17 ? take_bits(packed, 3) + 3 : take_bits(packed, 7) + 11;
        if (index + times > total || (symbol == 16 && !index)) {
            packed->broken = 1;
            return;
        }
        unsigned char length = symbol < 16 ? (unsigned char)symbol : 0;
        memset(lengths + index, symbol == 16 ? lengths[index - 1] : length, times);
        index += times;
    }
    build_code(distances, lengths + literal_count, total - literal_count);
    build_code(literals, lengths, literal_count);
}

/* Reads a length or a distance: a base and more bits, as many for `step` symbols in a row. */
static unsigned take_extended(struct packed *packed, unsigned symbol, unsigned step)
{
    unsigned bits = symbol < 2 * step ? 0 : symbol / step - 1;
    unsigned base = bits ? (step + symbol % step) << bits : symbol;
    return base + take_bits(packed, bits);
}

/* Unpacks a block of code words to out[used] and behind; returns the end of what is there then. */
static size_t unpack_words(struct packed *packed, const struct code *literals,
                           const struct code *distances, char *out, size_t used, size_t room)
{
    while (!packed->broken) {
        unsigned symbol = take_symbol(packed, literals);
        if (symbol == 256)
            return used;
        size_t length = 1, distance = 0;
        if (symbol > 256) {
            length = symbol == 285 ? 258 : take_extended(packed, symbol - 257, 4) + 3;
            distance = take_extended(packed, take_symbol(packed, distances), 2) + 1;
        }
        packed->broken |= used + length > room || distance > used;
        for (; length && !packed->broken; length--, used++)
            out[used] = distance ? out[used - distance] : (char)symbol;
    }
    return used;
}

static size_t unpack_stored(struct packed *packed, char *out, size_t used, size_t room)
{
    packed->place = (packed->place + 7) / 8 * 8;
    unsigned length = take_bits(packed, 16), complement = take_bits(packed, 16);
    packed->broken |= (length ^ complement) != 0xffff || used + length > room;
    for (; length && !packed->broken; length--)
        out[used++] = (char)take_bits(packed, 8);
    return used;
}

/* Unpacks a whole message behind the `used` bytes of `out` that came before it.
 *
 * `data` has to have room for the four bytes that senders leave away (RFC 7692, 7.2.2).
 * Returns the size of the message, or -1 if it is broken or does not fit into `room`. */
static long unpack(char *data, size_t size, char *out, size_t used, size_t room)
{
    struct packed packed = {(unsigned char *)data, size + 4, 0, 0};
    struct code literals, distances;
    size_t before = used;
    memcpy(data + size, "\0\0\xff\xff", 4);
    while (packed.place < packed.size * 8 && !packed.broken) {
        take_bits(&packed, 1); /* whether it is the last block: more may follow all the same */
        unsigned kind = take_bits(&packed, 2);
        if (kind == 0) {
            used = unpack_stored(&packed, out, used, room);
            continue;
        }
        packed.broken |= kind == 3;
        if (kind == 1)
            fixed_codes(&literals, &distances);
        else
            dynamic_codes(&packed, &literals, &distances);
        used = unpack_words(&packed, &literals, &distances, out, used, room);
    }
    return packed.broken ? -1 : (long)(used - before);
}

#endif
