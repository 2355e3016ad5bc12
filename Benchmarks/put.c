// put: what LMDB needs for the chunks of a file, without a cache around it.
//
//     put DIRECTORY FILE CHUNK_SIZE [sum]
//
// Deletes what an earlier run left in the database in DIRECTORY, so that pages are used again, and then puts each chunk
// of FILE in a transaction of its own, with the flags that the gateway opens its cache with. With `sum` it also sums up
// each chunk, as the gateway does. Prints `RESULT chunks bytes micros p50us p99us cpu_micros` of the puts alone.

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"

enum { HEADER = 16, BATCH = 64 };

static MDB_env *environment;
static MDB_dbi chunks;

static void check(int code, const char *call) {
    if (code == MDB_SUCCESS) return;
    fprintf(stderr, "put: %s: %s\n", call, mdb_strerror(code));
    exit(1);
}

static MDB_txn *begin(void) {
    MDB_txn *transaction;
    check(mdb_txn_begin(environment, NULL, 0, &transaction), "mdb_txn_begin");
    return transaction;
}

static uint64_t micros(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static void open_database(const char *directory, size_t size) {
    check(mdb_env_create(&environment), "mdb_env_create");
    check(mdb_env_set_mapsize(environment, size), "mdb_env_set_mapsize");
    check(mdb_env_set_maxdbs(environment, 1), "mdb_env_set_maxdbs");
    check(mdb_env_open(environment, directory, MDB_NOTLS | MDB_NOSYNC, 0600), "mdb_env_open");
    MDB_txn *transaction = begin();
    check(mdb_dbi_open(transaction, "chunks", MDB_CREATE, &chunks), "mdb_dbi_open");
    check(mdb_txn_commit(transaction), "mdb_txn_commit");
}

static MDB_val key_of(uint64_t *name, uint64_t index) {
    name[0] = htobe64(1);
    name[1] = htobe64(index);
    return (MDB_val){16, name};
}

static void delete_all(uint64_t count) {
    for (uint64_t index = 0; index < count;) {
        MDB_txn *transaction = begin();
        for (uint64_t end = index + BATCH; index < end && index < count; index++) {
            uint64_t name[2];
            MDB_val key = key_of(name, index);
            int code = mdb_del(transaction, chunks, &key, NULL);
            if (code != MDB_NOTFOUND) check(code, "mdb_del");
        }
        check(mdb_txn_commit(transaction), "mdb_txn_commit");
    }
}

static void put(uint64_t index, const char *bytes, size_t length, bool sums) {
    uint64_t name[2];
    MDB_val key = key_of(name, index), value = {HEADER + length, NULL};
    MDB_txn *transaction = begin();
    check(mdb_put(transaction, chunks, &key, &value, MDB_RESERVE), "mdb_put");
    uint32_t sum = sums ? checksum_crc32c(0, bytes, length) : 0;
    memset(value.mv_data, 0, HEADER);
    memcpy(value.mv_data, &sum, sizeof sum);
    memcpy((char *)value.mv_data + HEADER, bytes, length);
    check(mdb_txn_commit(transaction), "mdb_txn_commit");
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments) {
    bool sums = count == 5 && strcmp(arguments[4], "sum") == 0;
    if (count != 4 && !sums) return fputs("put: DIRECTORY FILE CHUNK_SIZE [sum] are needed\n", stderr), 1;
    size_t chunk = strtoull(arguments[3], NULL, 10);
    struct stat status;
    int file = open(arguments[2], O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size <= 0 || chunk == 0) return perror("put: FILE"), 1;
    size_t size = (size_t)status.st_size;
    const char *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
    if (bytes == MAP_FAILED) return perror("put: mmap"), 1;
    uint64_t number = (size + chunk - 1) / chunk, *took = calloc(number, sizeof *took);
    if (!took) return 1;
    open_database(arguments[1], 4 * size);
    delete_all(number);

    uint64_t began = micros(CLOCK_MONOTONIC), cpu = micros(CLOCK_PROCESS_CPUTIME_ID), last = began;
    for (uint64_t index = 0; index < number; index++) {
        size_t first = index * chunk;
        put(index, bytes + first, size - first < chunk ? size - first : chunk, sums);
        uint64_t now = micros(CLOCK_MONOTONIC);
        took[index] = now - last;
        last = now;
    }
    cpu = micros(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    qsort(took, number, sizeof *took, by_value);
    printf("RESULT %" PRIu64 " %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", number, size, last - began,
           took[(number - 1) / 2], took[(number - 1) * 99 / 100], cpu);
    mdb_env_close(environment);
    free(took);
    return 0;
}
