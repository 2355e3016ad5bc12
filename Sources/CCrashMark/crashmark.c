#define _GNU_SOURCE
#include "crashmark.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGTRAP};
#define SIGNALS (sizeof signals / sizeof signals[0])

/* The descriptors plus one; 0 is a free place. The handler reads them, so they are lock-free atomics. */
static atomic_int files[CRASH_MARK_FILES];

/* Of everything below, except that the handler reads `previous`, which does not change while it is installed. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int used;
static struct sigaction previous[SIGNALS];

/* Calls nothing but what is async-signal-safe: write, sigaction and raise. */
static void note(int number, siginfo_t *info, void *context) {
    (void)context;
    int error = errno;
    for (size_t place = 0; place < CRASH_MARK_FILES; place++) {
        int file = atomic_load(&files[place]) - 1;
        if (file >= 0 && write(file, "x", 1) < 0) { /* There is nobody left to tell. */ }
    }
    for (size_t index = 0; index < SIGNALS; index++) {
        if (signals[index] == number) sigaction(number, &previous[index], NULL);
    }
    /* A fault comes again by itself when its instruction is run again; a signal that was sent does not. Until this
     * handler returns it is blocked. */
    if (info->si_code <= 0) raise(number);
    errno = error;
}

static int is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == note;
}

static void restore(size_t count) {
    for (size_t index = 0; index < count; index++) {
        struct sigaction current;
        if (sigaction(signals[index], NULL, &current) == 0 && is_ours(&current)) {
            sigaction(signals[index], &previous[index], NULL);
        }
    }
}

static int install(void) {
    struct sigaction action = {0};
    action.sa_sigaction = note;
    /* On the alternative stack, if the thread has one: a stack overflow is a crash too. */
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t index = 0; index < SIGNALS; index++) {
        struct sigaction before;
        if (sigaction(signals[index], NULL, &before) != 0) {
            restore(index);
            return -1;
        }
        /* Ours can still be there, put back by somebody who came between. */
        if (is_ours(&before)) continue;
        previous[index] = before;
        if (sigaction(signals[index], &action, NULL) != 0) {
            restore(index);
            return -1;
        }
    }
    return 0;
}

int crash_mark_begin(int file) {
    if (file < 0) return -1;
    int mark = -1;
    pthread_mutex_lock(&lock);
    if (used > 0 || install() == 0) {
        for (int place = 0; place < CRASH_MARK_FILES && mark < 0; place++) {
            if (atomic_load(&files[place]) == 0) mark = place;
        }
        if (mark >= 0) {
            atomic_store(&files[mark], file + 1);
            used++;
        }
    }
    pthread_mutex_unlock(&lock);
    return mark;
}

void crash_mark_end(int mark) {
    if (mark < 0 || mark >= CRASH_MARK_FILES) return;
    pthread_mutex_lock(&lock);
    if (atomic_exchange(&files[mark], 0) != 0 && --used == 0) restore(SIGNALS);
    pthread_mutex_unlock(&lock);
}
