// The mathematical functions of the C library.
#include "bench.h"

#include <math.h>

static uint64_t run(uint64_t iterations) {
    double sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        double x = 0.001 * (double)(i % 10000 + 1);
        sum += sin(x) * cos(x + sum * 1e-9) + exp(-x) + log(x) + pow(x, 0.7);
    }
    return bits(sum);
}

const struct kernel libm = {"libm", NULL, run};
