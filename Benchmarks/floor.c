// floor: about the least a server can need that sends bytes of memory and copies them once.
//
//     floor --log ACCESS_LOG FILE
//
// One thread serves FILE, whatever the path, on a free port of 127.0.0.1, which it prints. It understands
// `GET` with `Range: bytes=a-b`, answers anything else with 400, and keeps connections. Head and body leave by one
// sendmsg(2) from a populated mapping; a connection that the socket buffer stops goes on at EPOLLOUT, one that has sent
// 4 MiB lets the others have their turn. Each request is a line in ACCESS_LOG, written through 64 KiB.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TURN = 4 << 20, REQUEST_LIMIT = 4 << 10, HEAD_ROOM = 512, LOG_ROOM = 64 << 10, LINE_LIMIT = 512, EVENTS = 256 };

struct connection {
    int fd;            // -1: closed, freed when it leaves the list of those that wait for their turn
    bool readable;     // there may be bytes to read
    bool waits;        // in the list
    bool last;         // to be closed after this answer
    size_t received;   // bytes in request
    size_t head_sent, head_length;
    uint64_t position; // of the next byte of the body
    uint64_t left;     // bytes of the body to send
    struct connection *next;
    char request[REQUEST_LIMIT + 1];
    char head[HEAD_ROOM];
};

static const char *file;
static uint64_t file_size;
static int poller, log_fd;
static char log_buffer[LOG_ROOM];
static size_t log_used;
static char http_date[40], log_date[40], fixed_fields[160];
static struct connection *waiting, **waiting_end = &waiting;
static volatile sig_atomic_t ended;

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_clock(void) {
    static time_t known;
    struct timespec time;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    if (time.tv_sec == known) return;
    known = time.tv_sec;
    gmtime_r(&known, &parts);
    strftime(http_date, sizeof http_date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    strftime(log_date, sizeof log_date, "%d/%b/%Y:%H:%M:%S +0000", &parts);
}

static void flush_log(void) {
    for (size_t done = 0; done < log_used;) {
        ssize_t count = write(log_fd, log_buffer + done, log_used - done);
        if (count < 0) give_up("access log");
        done += (size_t)count;
    }
    log_used = 0;
}

static void log_request(const struct connection *c, int status, uint64_t bytes) {
    if (log_used > LOG_ROOM - LINE_LIMIT) flush_log();
    int line = (int)strcspn(c->request, "\r");
    log_used += (size_t)snprintf(log_buffer + log_used, LINE_LIMIT, "127.0.0.1 - - [%s] \"%.*s\" %d %" PRIu64 "\n",
                                 log_date, line < 300 ? line : 300, c->request, status, bytes);
}

static void drop(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    if (!c->waits) free(c);
}

static void wait_for_turn(struct connection *c) {
    if (c->waits) return;
    c->waits = true;
    c->next = NULL;
    *waiting_end = c;
    waiting_end = &c->next;
}

static bool range_of(const char *request, uint64_t *first, uint64_t *last) {
    const char *field = strcasestr(request, "\r\nRange: bytes=");
    return strncmp(request, "GET ", 4) == 0 && field
        && sscanf(field + 15, "%20" SCNu64 "-%20" SCNu64, first, last) == 2 && *first <= *last && *last < file_size;
}

static void answer(struct connection *c) {
    uint64_t first = 0, last = 0;
    c->head_sent = 0;
    if (range_of(c->request, &first, &last)) {
        c->position = first;
        c->left = last - first + 1;
        c->head_length = (size_t)snprintf(
            c->head, HEAD_ROOM,
            "HTTP/1.1 206 Partial Content\r\nDate: %s\r\nContent-Length: %" PRIu64 "\r\nContent-Range: bytes %" PRIu64
            "-%" PRIu64 "/%" PRIu64 "\r\n%s\r\n", http_date, c->left, first, last, file_size, fixed_fields);
        log_request(c, 206, c->left);
    } else {
        c->last = true;
        c->head_length = (size_t)snprintf(
            c->head, HEAD_ROOM, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        log_request(c, 400, 0);
    }
}

enum progress { GOES_ON, MUST_WAIT, IS_OVER };

// Reads and, once there is a whole request, prepares the answer.
static enum progress next_request(struct connection *c) {
    for (;;) {
        c->request[c->received] = 0;
        char *end = strstr(c->request, "\r\n\r\n");
        if (end) {
            end[2] = 0; // what follows is the next request's
            answer(c);
            size_t length = (size_t)(end + 4 - c->request);
            memmove(c->request, c->request + length, c->received - length);
            c->received -= length;
            return GOES_ON;
        }
        size_t room = REQUEST_LIMIT - c->received;
        if (room == 0) return IS_OVER;
        if (!c->readable) return MUST_WAIT;
        ssize_t count = read(c->fd, c->request + c->received, room);
        if (count == 0 || (count < 0 && errno != EAGAIN)) return IS_OVER;
        // Fewer bytes than asked for: the socket is empty, and the poller tells when it is not.
        c->readable = count == (ssize_t)room;
        if (count > 0) c->received += (size_t)count;
    }
}

static enum progress send_some(struct connection *c, size_t *budget) {
    size_t head = c->head_length - c->head_sent;
    size_t body = c->left < *budget ? (size_t)c->left : *budget;
    struct iovec parts[2] = {{c->head + c->head_sent, head}, {(char *)file + c->position, body}};
    struct msghdr message = {.msg_iov = head ? parts : parts + 1, .msg_iovlen = head ? 2 : 1};
    ssize_t count = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN ? MUST_WAIT : IS_OVER;
    size_t of_head = (size_t)count < head ? (size_t)count : head;
    size_t of_body = (size_t)count - of_head;
    c->head_sent += of_head;
    c->position += of_body;
    c->left -= of_body;
    *budget -= of_body;
    // Fewer bytes than given: the socket is full, and the poller tells when it is not.
    return (size_t)count == head + body ? GOES_ON : MUST_WAIT;
}

static void turn(struct connection *c) {
    size_t budget = TURN;
    for (;;) {
        enum progress progress = GOES_ON;
        if (c->head_sent < c->head_length || c->left > 0) progress = send_some(c, &budget);
        else if (c->last) progress = IS_OVER;
        else progress = next_request(c);
        if (progress == IS_OVER) return drop(c);
        if (progress == MUST_WAIT) return;
        if (budget == 0) return wait_for_turn(c);
    }
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c) give_up("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // Told once of each change, so that waiting for room costs no further system calls.
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) give_up("epoll_ctl");
    }
}

static void take_turns(void) {
    struct connection *c = waiting;
    waiting = NULL;
    waiting_end = &waiting;
    while (c) {
        struct connection *next = c->next;
        c->waits = false;
        if (c->fd < 0) free(c);
        else turn(c);
        c = next;
    }
}

static void serve(int listener) {
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0) give_up("epoll_ctl");
    while (!ended) {
        int count = epoll_wait(poller, events, EVENTS, waiting ? 0 : -1);
        read_clock();
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                accept_all(listener);
                continue;
            }
            if (events[i].events & ~(uint32_t)EPOLLOUT) c->readable = true;
            if (!c->waits) turn(c);
        }
        take_turns();
    }
}

static void map_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) give_up(path);
    file_size = (uint64_t)status.st_size;
    void *map = mmap(NULL, file_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED) give_up("mmap");
    file = map;
    struct tm parts;
    char modified[40];
    gmtime_r(&status.st_mtime, &parts);
    strftime(modified, sizeof modified, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    snprintf(fixed_fields, sizeof fixed_fields,
             "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\nLast-Modified: %s\r\n"
             "ETag: \"%" PRIx64 "-%" PRIx64 "\"\r\n", modified, (uint64_t)status.st_mtime, file_size);
}

static int listen_on_a_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 4096) != 0
        || getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        give_up("listen");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void end(int signal) {
    (void)signal;
    ended = 1;
}

int main(int count, char **arguments) {
    if (count != 4 || strcmp(arguments[1], "--log") != 0) {
        fputs("usage: floor --log ACCESS_LOG FILE\n", stderr);
        return 1;
    }
    log_fd = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0) give_up(arguments[2]);
    map_file(arguments[3]);
    read_clock();
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) give_up("epoll");
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    serve(listen_on_a_free_port());
    flush_log();
    return 0;
}
