/* The load generator: a closed loop of HTTP/1.1 requests over many connections.
 *
 * One thread, edge-triggered epoll, one canned request. Every answer is checked (status, framing,
 * length, and its bytes when they are few); every failure is counted by kind. It has to cost less
 * per request than the servers it measures, so nothing is allocated after start-up, a connection is
 * registered with epoll once, and large bodies are counted and dropped in the kernel (MSG_TRUNC).
 * Uploads are sent by copy: sendfile(2) would be cheaper here, but hands the server single pages,
 * which cost it half as much again to read as what a network card delivers.
 *
 * usage: load PORT REQUEST_FILE CONNECTIONS SECONDS BODY_BYTES keep|close|hold [BODY_FILE]
 *
 * keep   one request after the other on each connection, until SECONDS have passed
 * close  a new connection for each request; the server has to close it after its answer
 * hold   one request on each connection, then "held N" on stdout; when stdin ends, a second
 *        request on each, which shows that the connections were alive all the time
 *
 * The last line on stdout is a JSON object. Only complete answers count as requests.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "answers.h"
#include "loader.h"

#define READ_SIZE 262144
#define MAX_EVENTS 256
#define MAX_ERRORS 1000 /* a server this broken need not be asked any longer */
#define OPENING 64      /* connections being opened at a time in hold mode: below any backlog */
#define TIMEOUT_NS 10000000000ull
#define SOURCES 200 /* loopback source addresses in close mode: no port is reused within its TIME_WAIT */

static struct connection *connections;
static char *request, scratch[READ_SIZE];
static size_t request_size;
static uint64_t deadline;
static uint64_t moment; /* the time of the last finished request */
static int port, poller, connection_count, active, next_connection, second_pass;

static void open_connection(struct connection *connection);
static void send_request(struct connection *connection);

/* Hold mode: the next connection that has not had its request in this pass. */
static void start_next(void)
{
    while (next_connection < connection_count && total_errors < MAX_ERRORS) {
        struct connection *next = &connections[next_connection++];
        if (second_pass && next->phase != RESTING) {
            count_error(BROKEN, NULL, 0); /* the server did not keep this connection */
            continue;
        }
        active++;
        if (second_pass)
            send_request(next);
        else
            open_connection(next);
        return;
    }
}

/* What comes after a finished or failed request on this connection. */
static void proceed(struct connection *connection)
{
    if (mode == HOLD) {
        active--;
        start_next();
    } else if (total_errors >= MAX_ERRORS || moment >= deadline) {
        active--;
    } else if (connection->phase == RESTING) {
        send_request(connection);
    } else {
        open_connection(connection);
    }
}

static void shut(struct connection *connection)
{
    if (connection->descriptor >= 0)
        close(connection->descriptor);
    connection->descriptor = -1;
    connection->phase = CLOSED;
}

static void give_up(struct connection *connection, enum error kind)
{
    count_error(kind, connection->head, connection->head_used);
    moment = now();
    shut(connection);
    proceed(connection);
}

static void complete(struct connection *connection)
{
    if (connection->body_seen != expected_size) {
        give_up(connection, LENGTH);
        return;
    }
    moment = now();
    count_answer(moment - connection->started);
    if (mode == CLOSE) {
        connection->phase = AWAIT_CLOSE;
        return;
    }
    connection->phase = RESTING;
    if (connection->last_answer) {
        reopened++;
        shut(connection);
    }
    proceed(connection);
}

static void open_connection(struct connection *connection)
{
    static unsigned source;
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connection->descriptor = descriptor;
    connection->head_used = 0;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (mode == CLOSE) {
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % SOURCES);
        if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
            give_up(connection, CONNECT);
            return;
        }
    }
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->started = now();
    int outcome = connect(descriptor, (struct sockaddr *)&address, sizeof address);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    if ((outcome < 0 && errno != EINPROGRESS)
        || epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0) {
        give_up(connection, CONNECT);
        return;
    }
    connection->sent = 0;
    connection->phase = SENDING; /* the first EPOLLOUT says that the connection stands */
}

/* Sends what the socket takes; returns 0 once the connection is lost. */
static int send_more(struct connection *connection)
{
    while (connection->sent < request_size) {
        ssize_t count = send(connection->descriptor, request + connection->sent,
                             request_size - connection->sent, MSG_NOSIGNAL);
        if (count < 0 && (errno == EAGAIN || errno == ENOTCONN))
            return 1;
        if (count < 0) {
            give_up(connection, connection->sent ? BROKEN : CONNECT);
            return 0;
        }
        connection->sent += (size_t)count;
    }
    connection->phase = HEAD;
    connection->head_used = 0;
    return 1;
}

static void send_request(struct connection *connection)
{
    connection->sent = 0;
    connection->head_used = 0;
    connection->phase = SENDING;
    connection->started = moment;
    send_more(connection);
}

static void end_of_stream(struct connection *connection)
{
    if (connection->phase == UNTIL_CLOSE && connection->body_seen == expected_size) {
        complete(connection);
    } else if (connection->phase != AWAIT_CLOSE) {
        give_up(connection, connection->phase == COUNTED ? LENGTH : BROKEN);
        return;
    }
    shut(connection);
    proceed(connection);
}

/* Large bodies of known length are dropped by the kernel: the copy would only slow this side. */
static int drop_body(const struct connection *connection)
{
    return connection->phase == COUNTED && !expected && connection->remaining > READ_SIZE / 4;
}

/* Reads until nothing can be left: a short read empties the socket, but hides an end of stream. */
static void receive(struct connection *connection, int at_end)
{
    while (connection->phase >= HEAD && connection->phase <= AWAIT_CLOSE) {
        size_t wanted = drop_body(connection) ? (size_t)connection->remaining : sizeof scratch;
        ssize_t count = recv(connection->descriptor, scratch, wanted,
                             drop_body(connection) ? MSG_TRUNC : 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0)
            end_of_stream(connection);
        else if (connection->phase == HEAD)
            take_head(connection, scratch, (size_t)count);
        else
            take_bytes(connection, scratch, (size_t)count);
        if (count > 0 && (size_t)count < wanted && mode != CLOSE && !at_end)
            return;
    }
}

static void handle(struct connection *connection, uint32_t events)
{
    int at_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (connection->phase == SENDING && !send_more(connection))
        return;
    if (connection->phase == SENDING && at_end)
        give_up(connection, connection->sent ? BROKEN : CONNECT);
    else if (connection->phase == RESTING && at_end)
        shut(connection); /* hold mode: the second pass will miss it */
    else if (connection->phase >= HEAD && events & EPOLLIN)
        receive(connection, at_end);
}

static void expire(void)
{
    moment = now();
    for (int index = 0; index < connection_count; index++) {
        struct connection *connection = &connections[index];
        if (connection->phase != CLOSED && connection->phase != RESTING
            && connection->started + TIMEOUT_NS < moment)
            give_up(connection, TIMEOUT);
    }
}

static void run(void)
{
    uint64_t next_check = now() + 1000000000ull;
    while (active > 0) {
        struct epoll_event events[MAX_EVENTS];
        int ready = epoll_wait(poller, events, MAX_EVENTS, 100);
        for (int index = 0; index < ready; index++)
            handle(events[index].data.ptr, events[index].events);
        if (now() >= next_check) {
            expire();
            next_check = now() + 1000000000ull;
        }
    }
}

static void hold(void)
{
    for (int index = 0; index < OPENING; index++)
        start_next();
    run();
    printf("held %llu\n", (unsigned long long)answered);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    next_connection = 0;
    second_pass = 1;
    answered = 0;
    moment = now();
    for (int index = 0; index < OPENING; index++)
        start_next();
    run();
}

int main(int count, char **arguments)
{
    size_t body_size;
    if (count < 7) {
        fprintf(stderr, "usage: load PORT REQUEST_FILE CONNECTIONS SECONDS BODY_BYTES "
                        "keep|close|hold [BODY_FILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    port = atoi(arguments[1]);
    request = load_file(arguments[2], &request_size);
    connection_count = atoi(arguments[3]);
    expected_size = strtoull(arguments[5], NULL, 10);
    mode = arguments[6][0] == 'k' ? KEEP : arguments[6][0] == 'c' ? CLOSE : HOLD;
    if (count > 7)
        expected = load_file(arguments[7], &body_size);
    connections = calloc((size_t)connection_count, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    uint64_t start = now();
    deadline = start + (uint64_t)(atof(arguments[4]) * 1e9);
    for (int index = 0; index < connection_count; index++)
        connections[index].descriptor = -1;
    if (mode == HOLD) {
        hold();
    } else {
        active = connection_count;
        for (int index = 0; index < connection_count; index++)
            open_connection(&connections[index]);
        run();
    }
    report((double)(now() - start) / 1e9, processor_seconds());
    return 0;
}
