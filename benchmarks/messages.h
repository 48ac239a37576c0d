/* How the load generator takes messages apart and checks them: WebSocket frames, event streams.
 *
 * All messages are alike but for a number in them, which counts the messages of the connection, so
 * that one which is missing, doubled or out of order has wrong bytes.
 */
#ifndef BENCHMARKS_MESSAGES_H
#define BENCHMARKS_MESSAGES_H

#include "chunked.h"
#include "inflate.h"

#define HEAD_SIZE 8192
#define DIGITS 8
#define MOST_IN_FLIGHT 64
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* the answer to the key in RFC 6455, 1.3 */
#define EXTENSION "permessage-deflate"

enum phase { CLOSED, SENDING, ANSWER, HEAD, FRAMES, CHUNKED, UNTIL_CLOSE, RESTING };
enum mode { TEXT, BINARY, DEFLATE, BROADCAST, EVENTS };
enum opcode { CONTINUATION = 0, TEXT_FRAME = 1, BINARY_FRAME = 2, CLOSE = 8, PING = 9 };

/* The frame that is being read. */
struct frame {
    unsigned char header[10];
    size_t header_used;
    int begun; /* the header is complete */
    uint64_t remaining;
};

struct connection {
    int descriptor;
    enum phase phase;
    size_t sent;      /* bytes of what is being sent: the request, or a message */
    unsigned due;     /* messages to send */
    unsigned arrived; /* messages that were completed by the last read */
    uint64_t next;    /* number of the message to send next */
    uint64_t awaited; /* number of the message that comes next */
    size_t seen;      /* bytes of it so far */
    int within;       /* it has begun with a frame that was not its last */
    int packed;       /* it is compressed */
    struct frame frame;
    struct chunks chunks;
    uint64_t started[MOST_IN_FLIGHT];
    size_t head_used, control_used;
    char control[125];        /* what a ping or a close frame holds */
    char head[HEAD_SIZE + 4]; /* of the answer, then of each compressed message all there is */
};

static enum mode mode;
static char *message; /* what every message has to be, but for the number */
static char *unpacked; /* behind a window full of former messages, the one that was compressed */
static size_t message_size, number_place;
static uint64_t published; /* number of the last message that all connections get */

static void opened(struct connection *connection);
static void complete_message(struct connection *connection);
static void send_pong(struct connection *connection);

/* Writes the number into a message that begins at `text`, masked if there is a mask. */
static void write_number(char *text, uint64_t number, const char *mask)
{
    static const char zero[4];
    mask = mask ? mask : zero;
    if (mode == DEFLATE)
        return;
    for (int digit = DIGITS - 1; digit >= 0; digit--, number >>= 4) {
        size_t place = number_place + (size_t)digit;
        text[place] = "0123456789abcdef"[number & 15] ^ mask[place & 3];
    }
}

/* Compares the next bytes of the message; returns 0 after a difference. */
static int take_part(struct connection *connection, const char *data, size_t size)
{
    uint64_t sent = mode < BROADCAST ? connection->next : published + 1;
    if (size > message_size - connection->seen) {
        give_up(connection, LENGTH);
        return 0;
    }
    write_number(message, connection->awaited, NULL);
    if (connection->awaited >= sent || memcmp(message + connection->seen, data, size)) {
        give_up(connection, CONTENT);
        return 0;
    }
    connection->seen += size;
    return 1;
}

/* The body of an event stream: one message after the other. */
static int take_body(struct connection *connection, const char *data, size_t size)
{
    while (size) {
        size_t left = message_size - connection->seen;
        size_t part = size < left ? size : left;
        if (!take_part(connection, data, part))
            return 0;
        if (connection->seen == message_size)
            complete_message(connection);
        data += part;
        size -= part;
    }
    return 1;
}

static void complete(struct connection *connection)
{
    give_up(connection, BROKEN); /* event streams have no end */
}

/* Unpacks a compressed message in the sight of those before it, which were all the same. */
static int unpack_message(struct connection *connection)
{
    uint64_t before = connection->awaited * message_size;
    size_t window = before < WINDOW ? (size_t)before : WINDOW;
    long size = unpack(connection->head, connection->head_used, unpacked + WINDOW - window, window,
                       window + message_size);
    connection->head_used = 0;
    if (size < 0) {
        give_up(connection, LENGTH);
        return 0;
    }
    return take_part(connection, unpacked + WINDOW, (size_t)size);
}

static void end_frame(struct connection *connection)
{
    struct frame *frame = &connection->frame;
    int opcode = frame->header[0] & 15, final = frame->header[0] & 0x80;
    frame->begun = 0;
    frame->header_used = 0;
    if (opcode == CLOSE) {
        unsigned char *code = (unsigned char *)connection->control;
        const char *text = connection->control_used < 2 ? "closed" : "closed with %d";
        connection->head_used = (size_t)sprintf(connection->head, text, code[0] << 8 | code[1]);
        give_up(connection, BROKEN);
    } else if (opcode == PING) {
        send_pong(connection);
    } else if (opcode < CLOSE) {
        connection->within = !final;
        if (!final || (connection->packed && !unpack_message(connection)))
            return;
        if (connection->seen != message_size)
            give_up(connection, LENGTH);
        else
            complete_message(connection);
    }
}

/* Judges a header that is complete. Returns 0 if it is not one that a server may send here. */
static int begin_frame(struct connection *connection)
{
    struct frame *frame = &connection->frame;
    int first = frame->header[0], opcode = first & 15;
    uint64_t length = frame->header[1];
    if (frame->header_used > 2)
        length = 0;
    for (size_t index = 2; index < frame->header_used; index++)
        length = length << 8 | frame->header[index];
    frame->begun = 1;
    frame->remaining = length;
    if (frame->header[1] & 0x80) /* only clients mask */
        return 0;
    if (opcode >= CLOSE) {
        connection->control_used = 0;
        return (first & 0xf0) == 0x80 && length <= sizeof connection->control;
    }
    int expected = mode == BINARY ? BINARY_FRAME : TEXT_FRAME;
    if (!connection->within)
        connection->packed = first & 0x40;
    size_t room = connection->packed ? HEAD_SIZE - connection->head_used
                                     : message_size - connection->seen;
    return opcode == (connection->within ? CONTINUATION : expected) && length <= room
        && !(first & (mode == DEFLATE && !connection->within ? 0x30 : 0x70));
}

/* Returns how many bytes a header has that begins like this one. */
static size_t header_size(const struct frame *frame)
{
    if (frame->header_used < 2 || frame->header[1] < 126)
        return 2;
    return frame->header[1] == 126 ? 4 : 10;
}

static void take_frames(struct connection *connection, const char *data, const char *end)
{
    struct frame *frame = &connection->frame;
    while (data < end && connection->phase == FRAMES) {
        if (!frame->begun) {
            frame->header[frame->header_used++] = (unsigned char)*data++;
            if (frame->header_used < header_size(frame))
                continue;
            if (!begin_frame(connection)) {
                give_up(connection, FRAMING);
                return;
            }
        }
        size_t left = (size_t)(end - data);
        size_t part = left < frame->remaining ? left : (size_t)frame->remaining;
        if ((frame->header[0] & 15) >= CLOSE) {
            memcpy(connection->control + connection->control_used, data, part);
            connection->control_used += part;
        } else if (connection->packed) {
            memcpy(connection->head + connection->head_used, data, part);
            connection->head_used += part;
        } else if (!take_part(connection, data, part)) {
            return;
        }
        data += part;
        frame->remaining -= part;
        if (!frame->remaining)
            end_frame(connection);
    }
}

static void take_bytes(struct connection *connection, const char *data, size_t size)
{
    if (connection->phase == FRAMES)
        take_frames(connection, data, data + size);
    else if (connection->phase == CHUNKED)
        take_chunked(connection, &connection->chunks, data, data + size);
    else
        take_body(connection, data, size);
}

/* Returns what is wrong with the head that opens a WebSocket or a stream; NULL: nothing. */
static const char *refusal(const char *head)
{
    if (mode == EVENTS && !strncmp(head, "HTTP/1.1 200", 12))
        return strcasestr(head, "\r\ncontent-length:") ? "a stream with a Content-Length" : NULL;
    if (mode == EVENTS || strncmp(head, "HTTP/1.1 101", 12))
        return head;
    if (!strstr(head, ACCEPT))
        return "wrong Sec-WebSocket-Accept";
    if ((mode == DEFLATE) == (strstr(head, EXTENSION) != NULL))
        return NULL;
    return mode == DEFLATE ? "no " EXTENSION : "an extension that was not offered";
}

/* Judges the answer that opens a WebSocket or a stream, and takes what follows it. */
static void take_head(struct connection *connection, const char *data, size_t size)
{
    size_t room = HEAD_SIZE - connection->head_used, old = connection->head_used;
    memcpy(connection->head + old, data, size < room ? size : room);
    connection->head_used += size < room ? size : room;
    char *end = memmem(connection->head, connection->head_used, "\r\n\r\n", 4);
    if (!end) {
        if (connection->head_used == HEAD_SIZE)
            give_up(connection, FRAMING);
        return;
    }
    *end = 0;
    const char *wrong = refusal(connection->head);
    if (wrong) {
        connection->head_used = strlen(wrong);
        memmove(connection->head, wrong, connection->head_used);
        give_up(connection, STATUS);
        return;
    }
    connection->phase = mode != EVENTS ? FRAMES : UNTIL_CLOSE;
    if (mode == EVENTS && strcasestr(connection->head, "\r\ntransfer-encoding: chunked"))
        connection->phase = CHUNKED;
    connection->head_used = 0;
    opened(connection);
    size_t used = (size_t)(end + 4 - connection->head) - old;
    take_bytes(connection, data + used, size - used);
}

#endif
