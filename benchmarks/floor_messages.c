/* The floor for connections that stay open: what the kernel and the masks alone cost.
 *
 * A single-threaded epoll server that knows beforehand how long each frame is and what all requests
 * look like. It unmasks, echoes all frames of one read by one write, and sends what is published at
 * once to many connections by one write to each.
 *
 * usage: floor_messages PORT MESSAGE_FILE echo|broadcast|events|singly COUNT
 *
 * MESSAGE_FILE holds a message with the number 00000000; COUNT messages come in one read at most,
 * or are published by one request. `/` is answered with a greeting, to show that the server stands.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "floor.h"

#define HEAD_SIZE 4096
#define MASK_SIZE 4

#define SWITCHING \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define STREAM \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GREETING "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"

enum mode { ECHO, BROADCAST, EVENTS, SINGLY };

static const char *mode_names[] = {"echo", "broadcast", "events", "singly", NULL};

struct connection {
    int open; /* as a WebSocket or as a stream */
    size_t used;
    char *input;
};

static struct connection connections[MAX_DESCRIPTORS];
static int members[MAX_DESCRIPTORS], member_count;
static enum mode mode;
static char *message, *output;
static size_t message_size, header_size, input_size;
static unsigned batch, number;

/* Closed loops read whatever comes, so waiting here can neither last nor lock up. */
static void send_all(int descriptor, const char *data, size_t size)
{
    while (size) {
        ssize_t count = send(descriptor, data, size, MSG_NOSIGNAL);
        struct pollfd writable = {.fd = descriptor, .events = POLLOUT};
        if (count < 0 && errno == EAGAIN)
            poll(&writable, 1, -1);
        else if (count < 0)
            return; /* its end will be read */
        data += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
}

static void send_text(int descriptor, const char *text)
{
    send_all(descriptor, text, strlen(text));
}

static void leave(int descriptor)
{
    for (int index = 0; index < member_count; index++)
        if (members[index] == descriptor)
            members[index--] = members[--member_count];
    close(descriptor);
}

static void send_to_members(const char *data, size_t size)
{
    for (int index = 0; index < member_count; index++)
        send_all(members[index], data, size);
}

/* Writes an event with the current number as a chunk; returns its size. */
static size_t build_event(char *target)
{
    char digits[9], *place = memmem(message, message_size, "00000000", 8);
    size_t size = (size_t)sprintf(target, "%zx\r\n", message_size);
    sprintf(digits, "%08x", number);
    memcpy(target + size, message, message_size);
    memcpy(target + size + (place - message), digits, 8);
    memcpy(target + size + message_size, "\r\n", 2);
    return size + message_size + 2;
}

/* Message 0 goes to whoever comes. */
static void greet(int descriptor)
{
    char frame[2] = {(char)0x81, (char)message_size}; /* no longer than this kind of header has */
    if (mode == BROADCAST) {
        send_all(descriptor, frame, sizeof frame);
        send_all(descriptor, message, message_size);
    } else {
        send_all(descriptor, output, build_event(output));
    }
}

static void join(int descriptor)
{
    connections[descriptor].open = 1;
    send_text(descriptor, mode >= EVENTS ? STREAM : SWITCHING);
    if (mode == ECHO)
        return;
    members[member_count++] = descriptor;
    greet(descriptor);
}

static void publish(int descriptor)
{
    char answer[128];
    size_t size = 0;
    for (unsigned index = 0; index < batch; index++) {
        number++;
        size += build_event(output + size);
        if (mode == EVENTS && index + 1 < batch)
            continue;
        send_to_members(output, size);
        size = 0;
    }
    sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%u",
            (size_t)snprintf(NULL, 0, "%u", batch), batch);
    send_text(descriptor, answer);
}

/* Copies a payload without its mask, eight bytes at a time. */
static void unmask(char *target, const char *source, const char *mask, size_t size)
{
    uint64_t key, word;
    memcpy(&key, mask, MASK_SIZE);
    memcpy((char *)&key + MASK_SIZE, mask, MASK_SIZE);
    size_t place = 0;
    for (; place + sizeof word <= size; place += sizeof word) {
        memcpy(&word, source + place, sizeof word);
        word ^= key;
        memcpy(target + place, &word, sizeof word);
    }
    for (; place < size; place++)
        target[place] = source[place] ^ mask[place % MASK_SIZE];
}

/* Answers all frames that are complete and keeps the rest. */
static void take_frames(int descriptor)
{
    struct connection *connection = &connections[descriptor];
    size_t frame_size = header_size + MASK_SIZE + message_size, place = 0, size = 0;
    for (; place + frame_size <= connection->used; place += frame_size) {
        const char *frame = connection->input + place;
        memcpy(output + size, frame, header_size);
        output[size + 1] &= 0x7f; /* not masked */
        unmask(output + size + header_size, frame + header_size + MASK_SIZE, frame + header_size,
               message_size);
        size += header_size + message_size;
    }
    connection->used -= place;
    memmove(connection->input, connection->input + place, connection->used);
    if (mode == ECHO)
        send_all(descriptor, output, size);
    else
        send_to_members(output, size);
}

/* Requests come in one piece: the load generator sends each by one write. */
static void take_request(int descriptor)
{
    struct connection *connection = &connections[descriptor];
    connection->input[connection->used] = 0;
    connection->used = 0;
    if (!strncmp(connection->input, "GET / ", 6))
        send_text(descriptor, GREETING);
    else if (!strncmp(connection->input, "POST", 4))
        publish(descriptor);
    else
        join(descriptor);
}

static void receive(int descriptor)
{
    struct connection *connection = &connections[descriptor];
    ssize_t count = recv(descriptor, connection->input + connection->used,
                         input_size - connection->used, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        leave(descriptor);
        return;
    }
    connection->used += (size_t)count;
    if (connection->open)
        take_frames(descriptor);
    else
        take_request(descriptor);
}

static void accept_all(int listener)
{
    int descriptor;
    while ((descriptor = accept_next(listener)) >= 0) {
        struct connection *connection = &connections[descriptor];
        connection->open = 0;
        connection->used = 0;
        if (!connection->input)
            connection->input = malloc(input_size + 1);
    }
}

int main(int count, char **arguments)
{
    if (count < 5) {
        fprintf(stderr, "usage: floor_messages PORT MESSAGE_FILE MODE COUNT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    message = load_file(arguments[2], &message_size);
    while (mode_names[mode] && strcmp(arguments[3], mode_names[mode]))
        mode++;
    batch = (unsigned)atoi(arguments[4]);
    header_size = message_size < 126 ? 2 : message_size < 65536 ? 4 : 10;
    input_size = (header_size + MASK_SIZE + message_size) * batch;
    input_size = input_size < HEAD_SIZE ? HEAD_SIZE : input_size;
    output = malloc((message_size + 16) * batch);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(atoi(arguments[1]));
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int ready = epoll_wait(poller, events, MAX_EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            int descriptor = events[index].data.fd;
            if (descriptor == listener)
                accept_all(listener);
            else
                receive(descriptor);
        }
    }
}
