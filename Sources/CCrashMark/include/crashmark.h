/*
 * Notes in a file that the process crashed, so that the next start knows.
 *
 * A crash is SIGSEGV, SIGBUS, SIGABRT, SIGILL or SIGTRAP, whoever sent it. SIGKILL is none.
 */
#ifndef MEDIA_GATEWAY_CRASHMARK_H
#define MEDIA_GATEWAY_CRASHMARK_H

/* How many files there can be at a time. */
#define CRASH_MARK_FILES 64

/*
 * Has one byte written to `file`, a descriptor that is open for writing, should the process crash.
 *
 * What handled the signal before does so afterwards: its handlers are put back and the signal comes again, from where
 * the fault was, so that a backtrace or a core shows what it would have shown. A handler that somebody installs
 * between the first begin and the last end is not replaced, and finds ours in its place if it puts back what was before.
 *
 * Returns a number for crash_mark_end, not negative; -1 if there are as many files as there can be, or the handlers
 * could not be installed. May be called on any thread.
 */
int crash_mark_begin(int file);

/*
 * The end of crash_mark_begin, whose result `mark` is; then the descriptor may be closed. With the last one the handlers
 * are taken out. Anything that is not such a result is ignored. May be called on any thread.
 */
void crash_mark_end(int mark);

#endif
