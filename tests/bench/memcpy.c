// The C library's memcpy and memset of 8 MB.
#include "bench.h"

#include <string.h>

#define SIZE 8000000

static uint8_t from[SIZE], to[SIZE];

static void prepare(void) {
    uint64_t state = 4;
    for (size_t i = 0; i < SIZE; i++)
        from[i] = (uint8_t)random_next(&state);
    memset(to, 1, SIZE);
}

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--) {
        memcpy(to, from, SIZE);
        sum = sum * 31 + to[(sum ^ iterations) % SIZE];
        memset(to, (int)iterations, SIZE);
        sum = sum * 31 + to[sum % SIZE];
        BARRIER();
    }
    return sum;
}

const struct kernel memcpy_ = {"memcpy", prepare, run};
