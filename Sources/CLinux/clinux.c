#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>

#ifdef __linux__
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of every architecture; C libraries with headers older than Linux 5.6 do not name it. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* The first version of the kernel's struct open_how; later kernels take it by its size. */
struct open_how_v0 {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how_v0 how = {.flags = flags, .mode = 0, .resolve = resolve};
    long descriptor;
    do {
        descriptor = syscall(SYS_openat2, directory, path, &how, sizeof(how));
    } while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : (int)descriptor;
}

int clinux_file_system_type(int descriptor, uint64_t *type) {
    struct statfs status;
    int result;
    do {
        result = fstatfs(descriptor, &status);
    } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    *type = (uint64_t)status.f_type;
    return 0;
}

int64_t clinux_pread_cached(int descriptor, void *buffer, uint64_t count, int64_t offset) {
    struct iovec vector = {.iov_base = buffer, .iov_len = count};
    ssize_t result;
    do {
        result = preadv2(descriptor, &vector, 1, offset, RWF_NOWAIT);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int clinux_is_cached(int descriptor, int64_t offset, uint64_t count) {
    enum { pages_limit = (4 << 20) / 4096 + 1 };
    unsigned char states[pages_limit];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (offset < 0 || count == 0) return -EINVAL;
    uint64_t before = (uint64_t)offset % page;
    uint64_t pages = (before + count + page - 1) / page;
    if (count > 4 << 20 || pages > pages_limit) return -EINVAL;
    void *map = mmap(NULL, before + count, PROT_READ, MAP_SHARED, descriptor, offset - (int64_t)before);
    if (map == MAP_FAILED) return -errno;
    int result = mincore(map, before + count, states) == 0 ? 1 : -errno;
    munmap(map, before + count);
    for (uint64_t i = 0; result == 1 && i < pages; i++) {
        if (!(states[i] & 1)) result = 0;
    }
    return result;
}

int clinux_punch_hole(int descriptor, int64_t offset, int64_t count) {
    int code;
    do {
        code = fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
    } while (code != 0 && errno == EINTR);
    return code == 0 ? 0 : -errno;
}

void clinux_use_one_heap(void) { mallopt(M_ARENA_MAX, 1); }

void clinux_trim_heaps(void) { malloc_trim(0); }

#else

int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t resolve) {
    (void)directory;
    (void)path;
    (void)flags;
    (void)resolve;
    return -ENOSYS;
}

int clinux_file_system_type(int descriptor, uint64_t *type) {
    (void)descriptor;
    (void)type;
    return -ENOSYS;
}

int64_t clinux_pread_cached(int descriptor, void *buffer, uint64_t count, int64_t offset) {
    (void)descriptor;
    (void)buffer;
    (void)count;
    (void)offset;
    return -ENOSYS;
}

int clinux_is_cached(int descriptor, int64_t offset, uint64_t count) {
    (void)descriptor;
    (void)offset;
    (void)count;
    return -ENOSYS;
}

int clinux_punch_hole(int descriptor, int64_t offset, int64_t count) {
    (void)descriptor;
    (void)offset;
    (void)count;
    return -ENOSYS;
}

void clinux_use_one_heap(void) {}

void clinux_trim_heaps(void) {}

#endif
