/*
 * LMDB as the system has it (Debian: liblmdb-dev), 0.9.24 or later of the 0.9 line.
 *
 * The layout of the first two pages of data.mdb, which is checked before LMDB maps the file, is that of 0.9 on a
 * 64-bit machine; 1.0 has another one.
 */
#ifndef MEDIA_GATEWAY_CLMDB_H
#define MEDIA_GATEWAY_CLMDB_H

#include <lmdb.h>

#if MDB_VERSION_MAJOR != 0 || MDB_VERSION_MINOR != 9
#error "media-gateway knows the file format of LMDB 0.9 only"
#endif

#endif
