/* The load generator for connections that stay open: WebSockets and event streams.
 *
 * One thread, edge-triggered epoll. Every message is checked, framing and bytes; the first failure
 * ends the work, since a measurement with a failure counts for nothing. Nothing is allocated after
 * start-up, and messages that are due together are sent together, as the server may answer them.
 *
 * usage: load_messages PORT CONNECTIONS REQUEST_FILE MESSAGE_FILE MODE COUNT [FILE]
 *
 * REQUEST_FILE opens a connection. MESSAGE_FILE holds a message with the number 00000000, which
 * grows by one from message to message of a connection. The MODE says whose messages they are:
 *
 * text, binary  each connection sends its own, COUNT in flight, and takes their echoes
 * deflate       the same with permessage-deflate, all numbered zero; FILE is one, compressed
 * broadcast     the first connection sends one, and all connections receive it
 * events        the server sends COUNT to each connection after the request in FILE
 *
 * When every connection is open and has got message 0, which comes by itself in the last two modes,
 * it prints "held N"; from then on each line on stdin is a number of seconds to work, or 0 for one
 * message to each connection, and is answered by a JSON object. At the end of stdin it ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "messages.h"

#define READ_SIZE 262144
#define MAX_EVENTS 256
#define OPENING 64 /* connections being opened at a time: below any backlog */
#define TIMEOUT_NS 10000000000ull

static const char *mode_names[] = {"text", "binary", "deflate", "broadcast", "events", NULL};
static const char mask[4] = {0x37, (char)0xfa, 0x21, 0x3d};

static struct connection *connections;
static struct connection publisher; /* asks for the events */
static char *request, *publication, *frames, scratch[READ_SIZE];
static size_t request_size, publication_size, frame_size, text_place;
static uint64_t held;        /* connections that have got their message 0 */
static uint64_t outstanding; /* messages and answers still to come */
static uint64_t deadline, published_at;
static uint64_t moment, progress; /* the time of the last read, and of the last message */
static unsigned batch;            /* messages in flight, or published at once */
static int port, poller, connection_count, next_connection;

static void give_up(struct connection *connection, enum error kind)
{
    count_error(kind, connection->head, connection->head_used);
    close(connection->descriptor);
    connection->phase = CLOSED;
}

static void open_connection(struct connection *connection)
{
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->descriptor = descriptor;
    connection->sent = 0;
    connection->phase = SENDING; /* the first EPOLLOUT says that the connection stands */
    int outcome = connect(descriptor, (struct sockaddr *)&address, sizeof address);
    if ((outcome < 0 && errno != EINPROGRESS)
        || epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
        give_up(connection, CONNECT);
}

static void open_next(void)
{
    if (next_connection == connection_count)
        return;
    outstanding++;
    open_connection(&connections[next_connection++]);
}

/* Sends `size` bytes from `sent` on, as far as the socket takes them. Returns what it took. */
static size_t transmit(struct connection *connection, const char *data, size_t size)
{
    ssize_t count = send(connection->descriptor, data + connection->sent, size - connection->sent,
                         MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != ENOTCONN) {
        give_up(connection, connection->sent || connection->awaited ? BROKEN : CONNECT);
        return 0;
    }
    connection->sent += count > 0 ? (size_t)count : 0;
    return count > 0 ? (size_t)count : 0;
}

/* Sends the messages that are due, all at once; the frames differ in their numbers alone. */
static void send_messages(struct connection *connection)
{
    while (connection->due) {
        for (unsigned index = 0; index < connection->due; index++) {
            uint64_t number = connection->next + index;
            write_number(frames + index * frame_size + text_place, number, mask);
        }
        if (!transmit(connection, frames, connection->due * frame_size))
            return;
        for (; connection->sent >= frame_size; connection->sent -= frame_size) {
            connection->started[connection->next++ % MOST_IN_FLIGHT] = moment;
            connection->due--;
        }
    }
}

static void give_messages(struct connection *connection, unsigned count)
{
    int sending = connection->due > 0; /* EPOLLOUT will tell when to go on */
    connection->due += count;
    if (!sending)
        send_messages(connection);
}

static void send_request(struct connection *connection)
{
    int publishes = connection == &publisher;
    size_t size = publishes ? publication_size : request_size;
    while (connection->sent < size)
        if (!transmit(connection, publishes ? publication : request, size))
            return;
    connection->phase = publishes ? ANSWER : HEAD;
    connection->head_used = 0;
    connection->sent = 0;
}

static void publish(void)
{
    published += batch;
    published_at = moment = now();
    outstanding += (uint64_t)connection_count * batch;
    if (mode == BROADCAST) {
        give_messages(&connections[0], 1);
        return;
    }
    outstanding++; /* the answer to the publication */
    if (publisher.phase == CLOSED) {
        open_connection(&publisher);
        return;
    }
    publisher.phase = SENDING;
    publisher.sent = 0;
    send_request(&publisher);
}

/* A connection stands: its message 0 is due, from this side or from the other. */
static void opened(struct connection *connection)
{
    if (mode < BROADCAST)
        give_messages(connection, 1);
    else
        connection->next = 1;
}

static void complete_message(struct connection *connection)
{
    uint64_t number = connection->awaited++;
    uint64_t start = mode < BROADCAST ? connection->started[number % MOST_IN_FLIGHT] : published_at;
    connection->seen = 0;
    outstanding--;
    progress = moment;
    if (number) {
        count_answer(moment - start);
        connection->arrived++;
    } else {
        held++;
        open_next();
    }
}

/* In the midst of a message there is no place for it; no run takes long enough to need a second. */
static void send_pong(struct connection *connection)
{
    char pong[6 + sizeof connection->control] = {(char)0x8a, (char)0x80}; /* a mask of zeros */
    pong[1] = (char)(pong[1] | (char)connection->control_used);
    memcpy(pong + 6, connection->control, connection->control_used);
    if (!connection->sent)
        send(connection->descriptor, pong, 6 + connection->control_used, MSG_NOSIGNAL);
}

/* The answer to a publication: the number of events that it made. */
static void take_answer(struct connection *connection, const char *data, size_t size)
{
    char expected[16];
    size_t room = HEAD_SIZE - connection->head_used;
    memcpy(connection->head + connection->head_used, data, size < room ? size : room);
    connection->head_used += size < room ? size : room;
    connection->head[connection->head_used] = 0;
    const char *end = strstr(connection->head, "\r\n\r\n");
    if (!end || strlen(end + 4) < (size_t)sprintf(expected, "%u", batch))
        return;
    if (strncmp(connection->head, "HTTP/1.1 200", 12)) {
        give_up(connection, STATUS);
    } else if (strcmp(end + 4, expected)) {
        give_up(connection, CONTENT);
    } else {
        connection->phase = RESTING;
        outstanding--;
    }
}

static void end_of_stream(struct connection *connection)
{
    if (connection->phase != RESTING) {
        give_up(connection, BROKEN);
        return;
    }
    close(connection->descriptor);
    connection->phase = CLOSED;
}

/* Reads until nothing can be left: a short read empties the socket, but hides an end of stream. */
static void receive(struct connection *connection, int at_end)
{
    while (connection->phase > SENDING) {
        ssize_t count = recv(connection->descriptor, scratch, sizeof scratch, 0);
        if (count < 0 && errno == EAGAIN)
            break;
        moment = now();
        if (count <= 0)
            end_of_stream(connection);
        else if (connection->phase == HEAD)
            take_head(connection, scratch, (size_t)count);
        else if (connection == &publisher)
            take_answer(connection, scratch, (size_t)count);
        else
            take_bytes(connection, scratch, (size_t)count);
        if ((size_t)count < sizeof scratch && !at_end)
            break;
    }
    if (mode < BROADCAST && moment < deadline && !total_errors) {
        outstanding += connection->arrived;
        give_messages(connection, connection->arrived);
    }
    connection->arrived = 0;
}

static void handle(struct connection *connection, uint32_t events)
{
    if (connection->phase == SENDING)
        send_request(connection);
    else if (connection->due && events & EPOLLOUT)
        send_messages(connection);
    if (events & ~(uint32_t)EPOLLOUT)
        receive(connection, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

static void run(void)
{
    progress = now();
    while (outstanding && !total_errors) {
        struct epoll_event events[MAX_EVENTS];
        int ready = epoll_wait(poller, events, MAX_EVENTS, 100);
        for (int index = 0; index < ready && !total_errors; index++)
            handle(events[index].data.ptr, events[index].events);
        if (!ready && now() - progress > TIMEOUT_NS)
            count_error(TIMEOUT, NULL, 0);
        if (!outstanding && mode >= BROADCAST && moment < deadline)
            publish();
    }
}

static void load(double seconds)
{
    memset(histogram, 0, sizeof histogram);
    answered = 0;
    double processor = processor_seconds();
    uint64_t start = moment = now();
    deadline = start + (uint64_t)(seconds * 1e9);
    if (mode >= BROADCAST && !total_errors)
        publish();
    for (int index = 0; mode < BROADCAST && index < connection_count && !total_errors; index++) {
        unsigned count = seconds > 0 ? batch : 1;
        outstanding += count;
        give_messages(&connections[index], count);
    }
    run();
    report((double)(now() - start) / 1e9, processor_seconds() - processor);
}

/* Makes the frames that are sent together, each with this payload; numbers are put in later. */
static void build_frames(const char *payload, size_t size)
{
    int opcode = mode == BINARY ? BINARY_FRAME : TEXT_FRAME;
    unsigned char header[14] = {(unsigned char)(opcode | (mode == DEFLATE ? 0xc0 : 0x80))};
    size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    header[1] = (unsigned char)(0x80 | (bytes == 0 ? size : bytes == 2 ? 126 : 127));
    for (size_t index = 0; index < bytes; index++)
        header[2 + index] = (unsigned char)(size >> 8 * (bytes - 1 - index));
    memcpy(header + 2 + bytes, mask, sizeof mask);
    text_place = 2 + bytes + sizeof mask;
    frame_size = text_place + size;
    frames = malloc(batch * frame_size);
    for (unsigned index = 0; index < batch; index++) {
        char *frame = frames + index * frame_size;
        memcpy(frame, header, text_place);
        for (size_t place = 0; place < size; place++)
            frame[text_place + place] = payload[place] ^ mask[place & 3];
    }
}

/* Reads the message, finds its number, and fills the window in which compressed ones are seen. */
static void prepare_message(const char *path)
{
    message = load_file(path, &message_size);
    const char *number = memmem(message, message_size, "00000000", DIGITS);
    if (!number) {
        fprintf(stderr, "%s: no number\n", path);
        exit(2);
    }
    number_place = (size_t)(number - message);
    unpacked = malloc(WINDOW + message_size);
    for (size_t back = 0; back < WINDOW; back++)
        unpacked[WINDOW - 1 - back] = message[message_size - 1 - back % message_size];
}

int main(int count, char **arguments)
{
    char line[64];
    while (count > 6 && mode_names[mode] && strcmp(arguments[5], mode_names[mode]))
        mode++;
    if (count < 7 || !mode_names[mode] || count < (mode == DEFLATE || mode == EVENTS ? 8 : 7)) {
        fprintf(stderr, "usage: load_messages PORT CONNECTIONS REQUEST_FILE MESSAGE_FILE "
                        "text|binary|deflate|broadcast|events COUNT [FILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    port = atoi(arguments[1]);
    connection_count = atoi(arguments[2]);
    request = load_file(arguments[3], &request_size);
    prepare_message(arguments[4]);
    batch = (unsigned)atoi(arguments[6]);
    if (count > 7)
        publication = load_file(arguments[7], &publication_size);
    if (mode == DEFLATE)
        build_frames(publication, publication_size);
    else if (mode != EVENTS)
        build_frames(message, message_size);
    connections = calloc((size_t)connection_count, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int index = 0; index < OPENING; index++)
        open_next();
    run();
    printf("held %llu\n", (unsigned long long)held);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        load(atof(line));
    return 0;
}
