// The C library's qsort of 16384 numbers, which calls a function for each comparison.
#include "bench.h"

#include <stdlib.h>

#define COUNT 16384

static uint32_t numbers[COUNT];

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static uint64_t run(uint64_t iterations) {
    uint64_t state = 3, sum = 0;
    while (iterations--) {
        for (int i = 0; i < COUNT; i++)
            numbers[i] = random_next(&state);
        qsort(numbers, COUNT, sizeof *numbers, compare);
        for (int i = 0; i < COUNT; i++)
            sum = sum * 31 + numbers[i];
    }
    return sum;
}

const struct kernel qsort_ = {"qsort", NULL, run};
