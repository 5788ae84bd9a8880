// Eratosthenes' sieve up to 2^19, a byte for each number.
#include "bench.h"

#include <string.h>

#define LIMIT (1 << 19)

static uint8_t composite[LIMIT];

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--) {
        memset(composite, 0, sizeof composite);
        for (uint32_t i = 2; i * i < LIMIT; i++)
            if (!composite[i])
                for (uint32_t j = i * i; j < LIMIT; j += i)
                    composite[j] = 1;
        for (uint32_t i = 2; i < LIMIT; i++)
            if (!composite[i])
                sum = sum * 31 + i;
    }
    return sum;
}

const struct kernel sieve = {"sieve", NULL, run};
