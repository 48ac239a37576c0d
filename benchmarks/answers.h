/* How the load generator checks an answer: its head, its framing, its length and its bytes. */
#ifndef BENCHMARKS_ANSWERS_H
#define BENCHMARKS_ANSWERS_H

#include <strings.h>

#include "chunked.h"

#define HEAD_SIZE 4096

enum phase { CLOSED, SENDING, HEAD, COUNTED, CHUNKED, UNTIL_CLOSE, AWAIT_CLOSE, RESTING };
enum mode { KEEP, CLOSE, HOLD };

struct connection {
    int descriptor;
    enum phase phase;
    struct chunks chunks;
    int last_answer; /* the head said Connection: close */
    size_t sent;
    uint64_t body_seen, remaining, started;
    size_t head_used;
    char head[HEAD_SIZE];
};

static char *expected; /* the body that every answer has to have; NULL: only its length counts */
static uint64_t expected_size;
static enum mode mode;

static int starts_with(const char *line, size_t length, const char *name)
{
    size_t size = strlen(name);
    return length >= size && strncasecmp(line, name, size) == 0;
}

/* Reads the fields that frame the body. Returns 0 if they are missing or of no use. */
static int read_fields(struct connection *connection, const char *end)
{
    const char *line = memchr(connection->head, '\n', (size_t)(end - connection->head));
    connection->phase = UNTIL_CLOSE;
    connection->last_answer = 0;
    while (line && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((next ? next : end) - line);
        if (starts_with(line, length, "content-length:")) {
            connection->phase = COUNTED;
            connection->remaining = strtoull(line + 15, NULL, 10);
        } else if (starts_with(line, length, "transfer-encoding:")) {
            connection->phase = CHUNKED;
            memset(&connection->chunks, 0, sizeof connection->chunks);
        } else if (starts_with(line, length, "connection: close")) {
            connection->last_answer = 1;
        }
        line = next;
    }
    return connection->phase != UNTIL_CLOSE || mode == CLOSE;
}

static int take_body(struct connection *connection, const char *data, size_t size)
{
    uint64_t seen = connection->body_seen;
    connection->body_seen += size;
    if (!expected || seen + size > expected_size || !memcmp(expected + seen, data, size))
        return 1;
    give_up(connection, CONTENT);
    return 0;
}

static void take_bytes(struct connection *connection, const char *data, size_t size)
{
    if (connection->phase == CHUNKED) {
        take_chunked(connection, &connection->chunks, data, data + size);
    } else if (connection->phase == UNTIL_CLOSE) {
        take_body(connection, data, size);
    } else {
        size_t part = size < connection->remaining ? size : (size_t)connection->remaining;
        connection->remaining -= part;
        if (!take_body(connection, data, part))
            return;
        if (part < size)
            give_up(connection, FRAMING);
        else if (!connection->remaining)
            complete(connection);
    }
}

static void take_head(struct connection *connection, const char *data, size_t size)
{
    size_t room = HEAD_SIZE - connection->head_used;
    size_t part = size < room ? size : room;
    size_t old = connection->head_used;
    memcpy(connection->head + old, data, part);
    connection->head_used += part;
    const char *end = memmem(connection->head, connection->head_used, "\r\n\r\n", 4);
    if (!end) {
        if (connection->head_used == HEAD_SIZE)
            give_up(connection, FRAMING);
        return;
    }
    if (memcmp(connection->head, "HTTP/1.1 200", 12)) {
        give_up(connection, STATUS);
        return;
    }
    if (!read_fields(connection, end)) {
        give_up(connection, FRAMING);
        return;
    }
    size_t used = (size_t)(end + 4 - connection->head) - old;
    connection->body_seen = 0;
    take_bytes(connection, data + used, size - used);
}

#endif
