#include "checksum.h"

#include <string.h>

#if defined(__x86_64__)

#include <immintrin.h>

#define ACCELERATED __attribute__((target("sse4.2,pclmul")))

/* Bytes of each of the three streams that are summed at once. */
enum { stream_size = 1024 };

static inline uint64_t load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/*
 * The register after `count` further zero bytes, if `power` is x^(8 count - 33) modulo the polynomial, bits reversed.
 *
 * The product without carries of two reversed 32-bit values is the reversed product times x; the instruction then
 * multiplies it by x^32 and reduces it. That is where the 33 comes from.
 */
ACCELERATED static inline uint32_t advance(uint32_t value, uint32_t power) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)value), _mm_cvtsi32_si128((int)power), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* One instruction takes 8 bytes and has a latency of three cycles: three independent streams keep the unit busy. */
ACCELERATED static uint32_t accelerated(uint32_t crc, const uint8_t *next, size_t count) {
    uint64_t first = (uint32_t)~crc;
    for (; count >= 3 * stream_size; count -= 3 * stream_size, next += 3 * stream_size) {
        uint64_t second = 0, third = 0;
        for (const uint8_t *word = next; word < next + stream_size; word += 8) {
            first = _mm_crc32_u64(first, load(word));
            second = _mm_crc32_u64(second, load(word + stream_size));
            third = _mm_crc32_u64(third, load(word + 2 * stream_size));
        }
        first = advance((uint32_t)first, 0xA51B6135) ^ advance((uint32_t)second, 0x170076FA) ^ (uint32_t)third;
    }
    for (; count >= 8; count -= 8, next += 8) first = _mm_crc32_u64(first, load(next));
    for (; count > 0; count--, next++) first = _mm_crc32_u8((uint32_t)first, *next);
    return ~(uint32_t)first;
}

static int is_accelerated(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

#elif defined(__aarch64__)

#include <arm_acle.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

__attribute__((target("crc"))) static uint32_t accelerated(uint32_t crc, const uint8_t *next, size_t count) {
    uint32_t value = ~crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof(word));
        value = __crc32cd(value, word);
    }
    for (; count > 0; count--, next++) value = __crc32cb(value, *next);
    return ~value;
}

static int is_accelerated(void) {
#ifdef __linux__
    /* HWCAP_CRC32 of <asm/hwcap.h>. */
    return (getauxval(AT_HWCAP) & (1UL << 7)) != 0;
#else
    /* Every 64-bit Apple processor that runs macOS. */
    return 1;
#endif
}

#else

static uint32_t accelerated(uint32_t crc, const uint8_t *next, size_t count) {
    return checksum_crc32c_portable(crc, next, count);
}

static int is_accelerated(void) { return 0; }

#endif

uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return is_accelerated() ? accelerated(crc, bytes, count) : checksum_crc32c_portable(crc, bytes, count);
}
