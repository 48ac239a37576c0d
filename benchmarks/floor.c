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
#include <errno.h>
#include <signal.h>
#include <sys/sendfile.h>

#include "floor.h"

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
static int body_descriptor = -1, close_after_answer;

static void open_body(const char *path)
{
    struct stat status;
    body_descriptor = open(path, O_RDONLY);
    if (body_descriptor < 0 || fstat(body_descriptor, &status) < 0)
        fail(path);
    body_size = (size_t)status.st_size;
}

static void accept_all(int listener)
{
    int descriptor;
    while ((descriptor = accept_next(listener)) >= 0)
        memset(&connections[descriptor], 0, sizeof connections[descriptor]);
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
    answer = load_file(arguments[3], &answer_size);
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
