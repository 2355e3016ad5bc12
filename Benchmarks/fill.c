// fill: makes a cache large in some seconds, for measurements of its start and its memory.
//
//     fill DIRECTORY CHUNK_SIZE MAP_SIZE [whole]
//
// DIRECTORY is a cache that its gateway has closed. Every object that it knows of gets all of its chunks, as if their
// bytes were zeros: each a whole and right record (Sources/ChunkCache/Records) of its full length. Only the first page
// of a chunk takes room, the others are holes in the file, unless `whole` has the zeros written. Prints
// `RESULT objects chunks`, chunks being those that were missing.

#include <endian.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checksum.h"

enum { HEADER = 16, BATCH = 1000, NUMBER_AT = 6, SIZE_AT = 14 };

struct object {
    uint64_t number, size;
};

static MDB_env *environment;
static MDB_dbi objects, chunks;
static char *zeros;
static size_t chunk_size;
static bool writes_all;

static _Noreturn void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("fill: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void check(int code, const char *call) {
    if (code != MDB_SUCCESS) give_up("%s: %s", call, mdb_strerror(code));
}

static MDB_txn *begin(void) {
    MDB_txn *transaction;
    check(mdb_txn_begin(environment, NULL, 0, &transaction), "mdb_txn_begin");
    return transaction;
}

static uint64_t big_endian(const MDB_val *record, size_t offset) {
    uint64_t value;
    memcpy(&value, (const char *)record->mv_data + offset, sizeof value);
    return be64toh(value);
}

// The objects, by number.
static struct object *known(size_t *count) {
    MDB_txn *transaction = begin();
    MDB_cursor *cursor;
    MDB_val key, record;
    struct object *all = NULL;
    check(mdb_dbi_open(transaction, "objects", 0, &objects), "mdb_dbi_open of objects");
    check(mdb_dbi_open(transaction, "chunks", 0, &chunks), "mdb_dbi_open of chunks");
    check(mdb_cursor_open(transaction, objects, &cursor), "mdb_cursor_open");
    while (mdb_cursor_get(cursor, &key, &record, MDB_NEXT) == MDB_SUCCESS) {
        if (record.mv_size < SIZE_AT + 8 || memcmp(record.mv_data, "MGOB", 4) != 0) give_up("not an object's record");
        all = realloc(all, (*count + 1) * sizeof *all);
        if (!all) give_up("no memory");
        all[(*count)++] = (struct object){big_endian(&record, NUMBER_AT), big_endian(&record, SIZE_AT)};
    }
    mdb_cursor_close(cursor);
    check(mdb_txn_commit(transaction), "mdb_txn_commit");
    return all;
}

static void write_header(char *record, const uint64_t *name, uint32_t length) {
    const uint16_t format = htole16(1), flags = 0;
    const uint32_t stored = htole32(length);
    memcpy(record, "MGCH", 4);
    memcpy(record + 4, &stored, 4);
    memcpy(record + 12, &format, 2);
    memcpy(record + 14, &flags, 2);
    uint32_t sum = checksum_crc32c(0, name, 16);
    sum = checksum_crc32c(sum, record + 4, 4);
    sum = checksum_crc32c(sum, record + 12, 4);
    sum = htole32(checksum_crc32c(sum, zeros, length));
    memcpy(record + 8, &sum, 4);
}

// Returns whether the chunk was missing.
static bool put(MDB_txn *transaction, const struct object *object, uint64_t index) {
    uint64_t name[2] = {htobe64(object->number), htobe64(index)}, left = object->size - index * chunk_size;
    uint32_t length = (uint32_t)(left < chunk_size ? left : chunk_size);
    MDB_val key = {sizeof name, name}, value = {HEADER + length, NULL};
    int code = mdb_put(transaction, chunks, &key, &value, MDB_RESERVE | MDB_NOOVERWRITE);
    if (code == MDB_KEYEXIST) return false;
    check(code, "mdb_put");
    write_header(value.mv_data, name, length);
    if (writes_all) memset((char *)value.mv_data + HEADER, 0, length);
    return true;
}

int main(int count, char **arguments) {
    writes_all = count == 5 && strcmp(arguments[4], "whole") == 0;
    if (count != 4 && !writes_all) give_up("DIRECTORY CHUNK_SIZE MAP_SIZE [whole] are needed");
    chunk_size = strtoull(arguments[2], NULL, 10);
    zeros = calloc(1, chunk_size);
    if (!zeros || chunk_size == 0) give_up("CHUNK_SIZE: %s", arguments[2]);
    check(mdb_env_create(&environment), "mdb_env_create");
    check(mdb_env_set_mapsize(environment, strtoull(arguments[3], NULL, 10)), "mdb_env_set_mapsize");
    check(mdb_env_set_maxdbs(environment, 3), "mdb_env_set_maxdbs");
    // With the map written in place, pages that nothing is written to stay holes.
    check(mdb_env_open(environment, arguments[1], MDB_WRITEMAP | MDB_NOSYNC, 0600), "mdb_env_open");

    size_t number = 0, made = 0, in_batch = 0;
    struct object *all = known(&number);
    MDB_txn *transaction = begin();
    for (size_t i = 0; i < number; i++) {
        for (uint64_t index = 0; index * chunk_size < all[i].size; index++) {
            made += put(transaction, &all[i], index);
            if (++in_batch % BATCH != 0) continue;
            check(mdb_txn_commit(transaction), "mdb_txn_commit");
            transaction = begin();
        }
    }
    check(mdb_txn_commit(transaction), "mdb_txn_commit");
    MDB_envinfo info;
    check(mdb_env_info(environment, &info), "mdb_env_info");
    mdb_env_close(environment);
    // Such a map has made the file as long as itself.
    char path[4096];
    snprintf(path, sizeof path, "%s/data.mdb", arguments[1]);
    if (truncate(path, (off_t)((info.me_last_pgno + 1) * (size_t)sysconf(_SC_PAGESIZE))) != 0) give_up("truncate");
    printf("RESULT %zu %zu\n", number, made);
    free(all);
    free(zeros);
    return 0;
}
