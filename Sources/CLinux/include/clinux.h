/*
 * System calls that Swift cannot reach by itself: the C library has no wrapper, or Swift's view of it no header.
 *
 * Functions here allocate nothing, keep no state and may be called on any thread. They return a negative error number;
 * what errno holds afterwards means nothing.
 */
#ifndef MEDIA_GATEWAY_CLINUX_H
#define MEDIA_GATEWAY_CLINUX_H

#include <stdint.h>

/* O_PATH of open(2), which <fcntl.h> shows only to those who ask for GNU's extensions. */
#define CLINUX_O_PATH 010000000

/* Values of `resolve`, as in <linux/openat2.h>. */
#define CLINUX_RESOLVE_NO_XDEV 0x01       /* nothing on another file system than `directory`: EXDEV */
#define CLINUX_RESOLVE_NO_MAGICLINKS 0x02 /* no links of /proc/PID/fd and the like: ELOOP */
#define CLINUX_RESOLVE_NO_SYMLINKS 0x04   /* no symbolic links in any component: ELOOP */
#define CLINUX_RESOLVE_BENEATH 0x08       /* nothing outside `directory`, by `..`, link or absolute path: EXDEV */
#define CLINUX_RESOLVE_CACHED 0x20        /* only what is known without waiting for a disk or server: EAGAIN */

/*
 * Opens `path`, relative to the open `directory`, as openat2(2) does. The kernel resolves and opens in one step, so
 * that nobody can swap a component between a check and the opening.
 *
 * `flags` are those of open(2), without O_CREAT and O_TMPFILE. `path` ends with a NUL and is not kept.
 *
 * Returns a descriptor, which the caller closes, or a negative error number; besides those of open(2):
 *   -EXDEV   the path leads outside `directory`
 *   -ELOOP   a link that `resolve` forbids, or too many links
 *   -EAGAIN  something was renamed during the resolution, so that it may have led outside; try again. With
 *            CLINUX_RESOLVE_CACHED: it would have to wait
 *   -ENOSYS  the kernel is older than 5.6
 *   -EPERM   usually a system call filter that does not know openat2
 *   -EINVAL  flags that openat2 does not know; unlike open(2) it does not ignore them
 */
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t resolve);

/*
 * Stores in `type` which kind of file system holds the open file: the f_type of fstatfs(2).
 *
 * Returns 0 or a negative error number; then `type` is untouched.
 */
int clinux_file_system_type(int descriptor, uint64_t *type);

/* The current directory, as `directory` above. */
#define CLINUX_AT_FDCWD (-100)

/*
 * Reads up to `count` bytes at `offset` if that needs no waiting: the bytes are in the page cache. This is preadv2(2)
 * with RWF_NOWAIT.
 *
 * Returns the number of bytes read, which is less than `count` where the cached part ends, 0 at the end of the file, or
 * a negative error number; besides those of pread(2):
 *   -EAGAIN      not even the first byte is cached
 *   -EOPNOTSUPP  the file system cannot tell, as network file systems cannot
 *   -ENOSYS      the kernel is older than 4.6
 */
int64_t clinux_pread_cached(int descriptor, void *buffer, uint64_t count, int64_t offset);

/*
 * Whether the `count` bytes at `offset` are in the page cache, so that reading them waits for no disk. This is mincore(2)
 * on a mapping made for the question; nothing of the file is touched. `count` is at most 4 MiB.
 *
 * The kernel tells this only to the owner of the file and to those who may write to it; to others it says that
 * everything is there.
 *
 * Returns 1 if they are, 0 if not (bytes beyond the end of the file are not), or a negative error number.
 */
int clinux_is_cached(int descriptor, int64_t offset, uint64_t count);

/*
 * Makes a hole of `count` bytes at `offset`, for which the file system takes back the space; they read as zeros, and the
 * file keeps its length. This is fallocate(2) with FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE.
 *
 * Returns 0 or a negative error number, among them:
 *   -EOPNOTSUPP  the file system makes no holes
 */
int clinux_punch_hole(int descriptor, int64_t offset, int64_t count);

/*
 * Has threads that begin later allocate from heaps that there are, one if this is called early, where glibc would give
 * each a heap of its own, up to eight for a processor.
 */
void clinux_use_one_heap(void);

/* Gives what is free in the heaps back to the kernel, page by page. Who allocates meanwhile waits. */
void clinux_trim_heaps(void);

#endif
