#include "checksum.h"

#include <pthread.h>

/* The polynomial 0x1EDC6F41 with its bits in reverse, as the CRC takes the lowest bit of a byte first. */
static const uint32_t polynomial = 0x82F63B78;

/* tables[k][b] is the CRC register after the byte b and k zero bytes, begun with a register of zero. */
static uint32_t tables[8][256];
/* powers[k] is x^(8 * 2^k) modulo the polynomial: what a register is multiplied by for 2^k zero bytes. */
static uint32_t powers[64];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

/* Modulo the polynomial. The highest bit of each is that of x^0. */
static uint32_t product(uint32_t left, uint32_t right) {
    uint32_t sum = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if (left & bit) sum ^= right;
        right = (right >> 1) ^ (right & 1 ? polynomial : 0);
    }
    return sum;
}

static void make_tables(void) {
    powers[0] = UINT32_C(1) << (31 - 8);
    for (size_t power = 1; power < sizeof(powers) / sizeof(powers[0]); power++)
        powers[power] = product(powers[power - 1], powers[power - 1]);
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (value & 1 ? polynomial : 0);
        tables[0][byte] = value;
    }
    for (int zeros = 1; zeros < 8; zeros++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t value = tables[zeros - 1][byte];
            tables[zeros][byte] = (value >> 8) ^ tables[0][value & 0xFF];
        }
    }
}

uint32_t checksum_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&tables_once, make_tables);
    const uint8_t *next = bytes;
    uint32_t value = ~crc;
    for (; count >= 8; count -= 8, next += 8) {
        value ^= (uint32_t)next[0] | (uint32_t)next[1] << 8 | (uint32_t)next[2] << 16 | (uint32_t)next[3] << 24;
        value = tables[7][value & 0xFF] ^ tables[6][value >> 8 & 0xFF] ^ tables[5][value >> 16 & 0xFF] ^
                tables[4][value >> 24] ^ tables[3][next[4]] ^ tables[2][next[5]] ^ tables[1][next[6]] ^
                tables[0][next[7]];
    }
    for (; count > 0; count--, next++) value = (value >> 8) ^ tables[0][(value ^ *next) & 0xFF];
    return ~value;
}

uint32_t checksum_crc32c_combine(uint32_t first, uint32_t second, uint64_t count) {
    pthread_once(&tables_once, make_tables);
    for (const uint32_t *power = powers; count != 0; count >>= 1, power++)
        if (count & 1) first = product(*power, first);
    return first ^ second;
}
