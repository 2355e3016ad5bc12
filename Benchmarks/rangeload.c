// rangeload: a client for range requests that is no slower than a good player or proxy.
//
//     rangeload --connections N --seconds S --length L --size OBJECT_SIZE --seed K
//               [--path P] [--verify FILE] [--once] [--pause MS] [--rate BITS] HOST:PORT
//
// Each connection asks for `bytes=a-b` of LENGTH bytes at a random offset, reads every byte of the answer into one
// buffer (256 KiB a read), and asks again. When the time is up it asks no more and reads to the end what it has asked
// for, so that every byte a server has sent is counted. An answer fails unless it is a 206 with exactly the
// Content-Length and Content-Range asked for and, with --verify, the bytes of FILE. A connection that failed is closed
// and not replaced; the first fault is said on stderr.
//
// With --once the connections read the object once, together: each asks for the next LENGTH bytes that none has asked
// for, until there are none; the time does not matter then. With --pause a connection waits that long between an answer
// and its next request, as a player does.
//
// With --rate a connection plays: it reads on from a random place, asks for a range when so many bits a second have
// used up the one before, and has to have it whole when they have used up as much again. What is not is a stall, and
// puts off all that follows. The connections begin one after another within the time that a range plays. A wait begins
// when the range was due, however late it was asked for.
//
// Prints `RESULT requests bytes micros p50us p99us failed`: finished requests, bytes of bodies, time from the first
// request to the last byte, waits from request to last byte. With --rate also `STALLS count micros`. Exit status 1:
// cannot run; failures are only counted.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
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

enum { READ_SIZE = 256 << 10, HEAD_LIMIT = 8 << 10, EVENTS = 256, PATIENCE_MS = 10000 };

struct connection {
    int fd;
    uint64_t first;     // offset of the range asked for
    uint64_t left;      // bytes of the body still to come
    uint64_t position;  // offset in the object of the next byte
    uint64_t asked;     // when, in ns
    uint64_t due;       // when it asks again, 0 while it waits for an answer
    size_t head_length; // bytes of an incomplete head, else 0
    bool in_body;
    char head[HEAD_LIMIT + 1];
};

static struct {
    uint64_t connections, length, size, seed, pause_ms, rate;
    double seconds;
    bool once;
    const char *path, *verify;
    struct sockaddr_in address;
} options = {.connections = 10, .seconds = 1, .length = 1 << 20, .path = "/"};

static char buffer[READ_SIZE];
static const char *expected; // the mapped file of --verify
static uint64_t random_state, deadline, last_byte;
static uint64_t next_due = UINT64_MAX; // no connection is due before
static uint64_t stalls, stalled;       // with --rate: how many, and how long together, in ns
static uint64_t received, failed, open_connections;
static uint64_t next_first; // with --once: what none has asked for begins here
static uint32_t *waits;
static size_t waits_count, waits_room;
static int poller;

static _Noreturn void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("rangeload: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// splitmix64
static uint64_t random_bits(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void drop(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    open_connections--;
}

static void fail(struct connection *c, const char *why) {
    if (failed++ == 0)
        fprintf(stderr, "rangeload: bytes=%" PRIu64 "-%" PRIu64 ": %s\n", c->first, c->first + options.length - 1, why);
    drop(c);
}

static uint64_t next_place(const struct connection *c) {
    if (options.once) {
        uint64_t place = next_first;
        next_first += options.length;
        return place;
    }
    if (options.rate > 0 && c->position > 0)
        return c->position + options.length <= options.size ? c->position : 0;
    uint64_t places = options.size - options.length + 1;
    return (uint64_t)(((unsigned __int128)random_bits() * places) >> 64);
}

static bool is_over(uint64_t time) {
    return options.once ? next_first >= options.size : time >= deadline;
}

static void ask(struct connection *c) {
    if (options.once && is_over(0)) return drop(c);
    c->first = c->position = next_place(c);
    c->left = options.length;
    c->asked = options.rate > 0 ? c->due : now();
    c->due = 0;
    c->head_length = 0;
    c->in_body = false;
    char request[2048];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=%" PRIu64 "-%" PRIu64 "\r\n\r\n",
                          options.path, c->first, c->first + options.length - 1);
    // The socket is empty: a request this short is taken whole or the connection is broken.
    if (send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length) fail(c, "the request was not taken");
}

// The value of a field that must occur once; NULL if it does not.
static const char *field(const char *head, const char *name, size_t *length) {
    const char *found = NULL;
    size_t name_length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_length) != 0 || line[name_length] != ':') continue;
        if (found) return NULL;
        found = line + name_length + 1;
        found += strspn(found, " \t");
        *length = strcspn(found, "\r");
        while (*length > 0 && strchr(" \t", found[*length - 1])) (*length)--;
    }
    return found;
}

static bool field_is(const char *head, const char *name, const char *wanted) {
    size_t length = 0;
    const char *value = field(head, name, &length);
    return value && length == strlen(wanted) && memcmp(value, wanted, length) == 0;
}

// What is wrong with a head that ends in an empty line, NULL if nothing.
static const char *fault(const struct connection *c) {
    char length[24], range[80];
    size_t ignored;
    snprintf(length, sizeof length, "%" PRIu64, options.length);
    snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, c->first, c->first + options.length - 1,
             options.size);
    if (strncmp(c->head, "HTTP/1.1 206 ", 13) != 0) return "not a 206";
    if (field(c->head, "Transfer-Encoding", &ignored)) return "a Transfer-Encoding";
    if (!field_is(c->head, "Content-Length", length)) return "not the Content-Length asked for";
    if (!field_is(c->head, "Content-Range", range)) return "not the Content-Range asked for";
    return NULL;
}

// Takes what of `bytes` belongs to the head. Returns how many, 0 when the connection has failed.
static size_t take_head(struct connection *c, const char *bytes, size_t count) {
    size_t before = c->head_length;
    size_t taken = count < HEAD_LIMIT - before ? count : HEAD_LIMIT - before;
    memcpy(c->head + before, bytes, taken);
    const char *from = c->head + (before > 3 ? before - 3 : 0);
    const char *end = memmem(from, (size_t)(c->head + before + taken - from), "\r\n\r\n", 4);
    if (!end) {
        c->head_length = before + taken;
        if (c->head_length < HEAD_LIMIT) return taken;
        fail(c, "a head without an end");
        return 0;
    }
    size_t length = (size_t)(end + 4 - c->head);
    c->head[length] = 0;
    const char *wrong = fault(c);
    if (wrong) {
        fail(c, wrong);
        return 0;
    }
    c->in_body = true;
    return length - before;
}

// How long a range plays, in ns.
static uint64_t playing_time(void) {
    return (uint64_t)((unsigned __int128)options.length * 8 * 1000000000 / options.rate);
}

static void ask_at(struct connection *c, uint64_t time) {
    c->due = time;
    if (time < next_due) next_due = time;
}

// Asks for the next range when what is there has been played.
static void play(struct connection *c) {
    uint64_t end = c->asked + playing_time();
    if (last_byte > end) {
        stalls++;
        stalled += last_byte - end;
        end = last_byte;
    }
    ask_at(c, end);
}

static void finished(struct connection *c) {
    last_byte = now();
    if (waits_count == waits_room) {
        waits_room = waits_room ? 2 * waits_room : 1 << 16;
        waits = realloc(waits, waits_room * sizeof *waits);
        if (!waits) give_up("out of memory");
    }
    waits[waits_count++] = (uint32_t)((last_byte - c->asked) / 1000);
    if (is_over(last_byte)) drop(c);
    else if (options.rate > 0) play(c);
    else if (options.pause_ms > 0) ask_at(c, last_byte + options.pause_ms * 1000000);
    else ask(c);
}

static void take(struct connection *c) {
    ssize_t count = read(c->fd, buffer, sizeof buffer);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return fail(c, count == 0 ? "the connection was closed" : strerror(errno));
    const char *bytes = buffer;
    size_t left = (size_t)count;
    if (!c->in_body) {
        size_t taken = take_head(c, bytes, left);
        if (taken == 0) return;
        bytes += taken;
        left -= taken;
        if (!c->in_body) return;
    }
    if (left > c->left) return fail(c, "bytes after the body");
    if (expected && memcmp(bytes, expected + c->position, left) != 0) return fail(c, "other bytes than the file's");
    received += left;
    c->position += left;
    c->left -= left;
    if (c->left == 0) finished(c);
}

static void connect_to_server(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) give_up("socket: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&options.address, sizeof options.address) != 0)
        give_up("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0) give_up("epoll_ctl: %s", strerror(errno));
    open_connections++;
}

// Lets those ask, or end, whose pause is over. Returns how long the next of them waits, in ms, at most PATIENCE_MS.
static int end_pauses(struct connection *all) {
    uint64_t time = now(), patience = (uint64_t)PATIENCE_MS * 1000000;
    if (time >= next_due) {
        next_due = UINT64_MAX;
        for (uint64_t i = 0; i < options.connections; i++) {
            struct connection *c = &all[i];
            if (c->fd < 0 || c->due == 0) continue;
            if (is_over(time)) drop(c);
            else if (c->due <= time) ask(c);
            else if (c->due < next_due) next_due = c->due;
        }
    }
    uint64_t wait = next_due > time ? next_due - time : 0;
    return (int)(((wait < patience ? wait : patience) + 999999) / 1000000);
}

static void begin(struct connection *all) {
    uint64_t time = now();
    for (uint64_t i = 0; i < options.connections; i++) {
        if (options.rate > 0) ask_at(&all[i], time + playing_time() * i / options.connections);
        else ask(&all[i]);
    }
}

static void run(struct connection *all) {
    struct epoll_event events[EVENTS];
    begin(all);
    while (open_connections > 0) {
        int patience = options.pause_ms > 0 || options.rate > 0 ? end_pauses(all) : PATIENCE_MS;
        if (open_connections == 0) break;
        int count = epoll_wait(poller, events, EVENTS, patience);
        if (count < 0 && errno != EINTR) give_up("epoll_wait: %s", strerror(errno));
        if (count == 0 && patience == PATIENCE_MS) {
            for (uint64_t i = 0; i < options.connections; i++)
                if (all[i].fd >= 0) fail(&all[i], "no byte for 10 s");
        }
        for (int i = 0; i < count; i++) take(events[i].data.ptr);
    }
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(unsigned percent) {
    return waits_count ? waits[(waits_count - 1) * percent / 100] : 0;
}

static uint64_t number(const char *name, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-') give_up("--%s: not a number: %s", name, text);
    return value;
}

static void parse_address(const char *text) {
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) give_up("not HOST:PORT: %s", text);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    uint64_t port = number("port", colon + 1);
    options.address.sin_family = AF_INET;
    if (port < 1 || port > 65535 || inet_pton(AF_INET, host, &options.address.sin_addr) != 1)
        give_up("not an IPv4 address and port: %s", text);
    options.address.sin_port = htons((uint16_t)port);
}

static void parse(int count, char **arguments) {
    static const struct option known[] = {
        {"connections", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'},
        {"length", required_argument, NULL, 'l'},      {"size", required_argument, NULL, 'z'},
        {"seed", required_argument, NULL, 'k'},        {"path", required_argument, NULL, 'p'},
        {"verify", required_argument, NULL, 'v'},      {"once", no_argument, NULL, 'o'},
        {"pause", required_argument, NULL, 'w'},       {"rate", required_argument, NULL, 'r'},
        {0}};
    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c': options.connections = number("connections", optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'l': options.length = number("length", optarg); break;
        case 'z': options.size = number("size", optarg); break;
        case 'k': options.seed = number("seed", optarg); break;
        case 'p': options.path = optarg; break;
        case 'v': options.verify = optarg; break;
        case 'o': options.once = true; break;
        case 'r': options.rate = number("rate", optarg); break;
        case 'w': options.pause_ms = number("pause", optarg); break;
        default: exit(1);
        }
    }
    if (optind != count - 1) give_up("one HOST:PORT is needed");
    parse_address(arguments[optind]);
    if (options.connections < 1 || options.connections > 100000) give_up("--connections: 1 to 100000");
    if (!(options.seconds > 0 && options.seconds < 86400)) give_up("--seconds: more than 0, less than a day");
    if (options.length < 1 || options.length > options.size) give_up("--length: 1 to --size");
    if (options.once && options.size % options.length != 0) give_up("--once: --size must be a multiple of --length");
    if (options.pause_ms >= PATIENCE_MS) give_up("--pause: less than %d", PATIENCE_MS);
    if (options.rate > 0 && playing_time() >= (uint64_t)PATIENCE_MS * 1000000)
        give_up("--rate: a range plays for %d ms or longer", PATIENCE_MS);
    if (strlen(options.path) > 1500) give_up("--path: too long");
}

static void map_expected(void) {
    int fd = open(options.verify, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) give_up("%s: %s", options.verify, strerror(errno));
    if ((uint64_t)status.st_size != options.size) give_up("%s: not of --size bytes", options.verify);
    void *map = mmap(NULL, options.size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) give_up("mmap: %s", strerror(errno));
    expected = map;
    close(fd);
}

int main(int count, char **arguments) {
    parse(count, arguments);
    if (options.verify) map_expected();
    random_state = options.seed;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc(options.connections, sizeof *all);
    if (poller < 0 || !all) give_up("%s", strerror(errno));
    for (uint64_t i = 0; i < options.connections; i++) connect_to_server(&all[i]);
    uint64_t began = last_byte = now();
    deadline = began + (uint64_t)(options.seconds * 1e9);
    run(all);
    qsort(waits, waits_count, sizeof *waits, by_value);
    printf("RESULT %zu %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", waits_count, received,
           (last_byte - began) / 1000, percentile(50), percentile(99), failed);
    if (options.rate > 0) printf("STALLS %" PRIu64 " %" PRIu64 "\n", stalls, stalled / 1000);
    free(waits);
    free(all);
    return 0;
}
