// Calls: Fibonacci's 27th number by its definition.
#include "bench.h"

static __attribute__((noinline)) uint64_t number(unsigned n) { return n < 2 ? n : number(n - 1) + number(n - 2); }

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--) {
        sum = sum * 31 + number(27);
        BARRIER();
    }
    return sum;
}

const struct kernel fib = {"fib", NULL, run};
