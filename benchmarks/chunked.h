/* The chunked coding of HTTP/1.1, decoded byte-wise around the data, which is taken in pieces.
 *
 * Whoever includes this defines take_body, complete and give_up.
 */
#ifndef BENCHMARKS_CHUNKED_H
#define BENCHMARKS_CHUNKED_H

#include "loader.h"

enum chunk_part {
    CHUNK_SIZE, CHUNK_LINE, CHUNK_DATA, CHUNK_END, TRAILER_START, TRAILER_LINE, LAST_FEED,
};

/* How far a body has come; all zero at its start. */
struct chunks {
    enum chunk_part part;
    uint64_t remaining;
};

struct connection;

/* Counts and compares body bytes; returns 0 after a difference. */
static int take_body(struct connection *connection, const char *data, size_t size);

/* Both end the work on the body: afterwards the connection may already be in its next request. */
static void complete(struct connection *connection);
static void give_up(struct connection *connection, enum error kind);

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static void take_chunked(struct connection *connection, struct chunks *chunks, const char *data,
                         const char *end)
{
    while (data < end) {
        size_t left = (size_t)(end - data);
        switch (chunks->part) {
        case CHUNK_SIZE:
            if (hex_digit(*data) >= 0) {
                chunks->remaining = chunks->remaining * 16 + (uint64_t)hex_digit(*data++);
                break;
            }
            chunks->part = CHUNK_LINE;
            break;
        case CHUNK_LINE:
            if (*data++ == '\n')
                chunks->part = chunks->remaining ? CHUNK_DATA : TRAILER_START;
            break;
        case CHUNK_DATA:
            left = left < chunks->remaining ? left : (size_t)chunks->remaining;
            if (!take_body(connection, data, left))
                return;
            data += left;
            chunks->remaining -= left;
            if (!chunks->remaining)
                chunks->part = CHUNK_END;
            break;
        case CHUNK_END:
            if (*data++ == '\n')
                chunks->part = CHUNK_SIZE;
            break;
        case TRAILER_START:
            chunks->part = *data == '\r' ? LAST_FEED : TRAILER_LINE;
            data++;
            break;
        case TRAILER_LINE:
            if (*data++ == '\n')
                chunks->part = TRAILER_START;
            break;
        case LAST_FEED:
            if (left > 1)
                give_up(connection, FRAMING);
            else
                complete(connection);
            return;
        }
    }
}

#endif
