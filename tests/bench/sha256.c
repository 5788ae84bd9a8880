// SHA-256 (FIPS 180-4) of 64 KiB, without special instructions.
#include "bench.h"

#include <math.h>

#define SIZE 65536

static uint8_t message[SIZE];
static uint32_t constants[64], start[8];

// The first 32 bits of the fraction of a root of each prime, as the standard defines the constants.
static uint32_t fraction(double root) { return (uint32_t)((root - floor(root)) * 0x1p32); }

static void prepare(void) {
    int count = 0;
    for (int n = 2; count < 64; n++) {
        int prime = 1;
        for (int d = 2; d * d <= n; d++)
            prime &= n % d != 0;
        if (!prime)
            continue;
        if (count < 8)
            start[count] = fraction(sqrt(n));
        constants[count++] = fraction(cbrt(n));
    }
    uint64_t state = 5;
    for (size_t i = 0; i < SIZE; i++)
        message[i] = (uint8_t)random_next(&state);
}

static inline uint32_t rotate(uint32_t value, int by) { return value >> by | value << (32 - by); }

static void block(uint32_t hash[8], const uint8_t *bytes) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 | (uint32_t)bytes[4 * i + 2] << 8 |
               bytes[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3];
    uint32_t e = hash[4], f = hash[5], g = hash[6], h = hash[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d;
    hash[4] += e, hash[5] += f, hash[6] += g, hash[7] += h;
}

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--) {
        uint32_t hash[8];
        for (int i = 0; i < 8; i++)
            hash[i] = start[i];
        message[0] = (uint8_t)sum;
        for (size_t at = 0; at < SIZE; at += 64)
            block(hash, message + at);
        // The message's end: one bit, and its length in bits.
        uint8_t end[64] = {0x80};
        for (int i = 0; i < 8; i++)
            end[63 - i] = (uint8_t)((uint64_t)SIZE * 8 >> 8 * i);
        block(hash, end);
        sum = (uint64_t)hash[0] << 32 | hash[7];
    }
    return sum;
}

const struct kernel sha256 = {"sha256", prepare, run};
