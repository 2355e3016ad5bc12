#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>

#ifdef __linux__
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

#endif
