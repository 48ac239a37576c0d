/* The floor: what the kernel alone costs.
 *
 * A single-threaded epoll server that parses nothing. It counts bytes until one request of a known
 * size has come in and writes a canned answer, so its CPU time per request is what any server on
 * this machine has to pay for accept, read, write and epoll_wait, and nothing else.
 *
 * usage: floor PORT REQUEST_BYTES ANSWER_FILE keep|close [BODY_FILE]
 *
 * ANSWER_FILE holds the bytes to send; BODY_FILE, if given, follows them by sendfile(2).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 65536
#define MAX_EVENTS 256
#define READ_SIZE 65536 /* small enough to stay in the second-level cache during uploads */

struct connection {
    size_t received; /* bytes of the current request so far */
    size_t sent;     /* bytes of the current answer so far, head and body file together */
    int answering;
};

static struct connection connections[MAX_DESCRIPTORS];
static char scratch[READ_SIZE];
static char *answer;
static size_t answer_size, body_size, request_size;
static int body_descriptor = -1, close_after_answer, poller;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void load_answer(const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0 || fstat(descriptor, &status) < 0)
        fail(path);
    answer_size = (size_t)status.st_size;
    answer = malloc(answer_size + 1);
    for (size_t done = 0; answer && done < answer_size;) {
        ssize_t count = read(descriptor, answer + done, answer_size - done);
        if (count <= 0)
            fail(path);
        done += (size_t)count;
    }
    close(descriptor);
}

static void open_body(const char *path)
{
    struct stat status;
    body_descriptor = open(path, O_RDONLY);
    if (body_descriptor < 0 || fstat(body_descriptor, &status) < 0)
        fail(path);
    body_size = (size_t)status.st_size;
}

static int listen_on(int port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    if (listen(listener, 4096) < 0)
        fail("listen");
    return listener;
}

static void watch(int descriptor, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(poller, operation, descriptor, &event) < 0)
        fail("epoll_ctl");
}

static void accept_all(int listener)
{
    int one = 1, descriptor;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (descriptor >= MAX_DESCRIPTORS) {
            close(descriptor);
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        memset(&connections[descriptor], 0, sizeof connections[descriptor]);
        watch(descriptor, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* One write or sendfile, whichever part of the answer is due. */
static ssize_t send_part(int descriptor, size_t sent)
{
    if (sent < answer_size) {
        int more = body_size ? MSG_MORE : 0;
        return send(descriptor, answer + sent, answer_size - sent, more | MSG_NOSIGNAL);
    }
    off_t offset = (off_t)(sent - answer_size);
    return sendfile(descriptor, body_descriptor, &offset, answer_size + body_size - sent);
}

static void continue_answer(int descriptor)
{
    struct connection *connection = &connections[descriptor];
    while (connection->sent < answer_size + body_size) {
        ssize_t count = send_part(descriptor, connection->sent);
        if (count < 0 && errno == EAGAIN) {
            if (!connection->answering)
                watch(descriptor, EPOLLOUT, EPOLL_CTL_MOD);
            connection->answering = 1;
            return;
        }
        if (count <= 0) {
            close(descriptor);
            return;
        }
        connection->sent += (size_t)count;
    }
    if (close_after_answer) {
        close(descriptor);
        return;
    }
    if (connection->answering)
        watch(descriptor, EPOLLIN, EPOLL_CTL_MOD);
    memset(connection, 0, sizeof *connection);
}

static void receive(int descriptor)
{
    struct connection *connection = &connections[descriptor];
    ssize_t count = recv(descriptor, scratch, sizeof scratch, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        close(descriptor);
        return;
    }
    connection->received += (size_t)count;
    if (connection->received >= request_size)
        continue_answer(descriptor);
}

int main(int count, char **arguments)
{
    if (count < 5) {
        fprintf(stderr, "usage: floor PORT REQUEST_BYTES ANSWER_FILE keep|close [BODY_FILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    request_size = strtoul(arguments[2], NULL, 10);
    load_answer(arguments[3]);
    close_after_answer = strcmp(arguments[4], "close") == 0;
    if (count > 5)
        open_body(arguments[5]);
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
            else if (connections[descriptor].answering)
                continue_answer(descriptor);
            else
                receive(descriptor);
        }
    }
}
