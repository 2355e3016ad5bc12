/*
 * CRC-32C, the checksum of iSCSI (RFC 3720) and ext4.
 *
 * Functions here allocate nothing, read no byte outside `bytes[0 ..< count]` and may be called on any thread at once.
 */
#ifndef MEDIA_GATEWAY_CHECKSUM_H
#define MEDIA_GATEWAY_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Returns the CRC-32C of the bytes that `crc` stands for, followed by `bytes`.
 *
 * `crc` is 0 at the start of a message, else the result for what came before, so that a message may come in parts of
 * any length. `bytes` needs no alignment and may be NULL if `count` is 0.
 *
 * Uses the processor's instructions for it where the processor has them, found at run time.
 */
uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t count);

/*
 * Returns the CRC-32C of a message whose beginning has the CRC-32C `first`, and whose rest, of `count` bytes, has `second`:
 * parts of a message may be summed up in any order. Costs about as much as 64 bytes of the message do, for each bit of
 * `count` that is set.
 */
uint32_t checksum_crc32c_combine(uint32_t first, uint32_t second, uint64_t count);

/*
 * The same as checksum_crc32c() without any special instruction: what every processor can do, and what the other one is
 * tested against.
 */
uint32_t checksum_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

#endif
