// What every kernel gives, and what it may use.
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

struct kernel {
    const char *name;
    // Makes the input, outside the measured time; may be null.
    void (*prepare)(void);
    // Does the work so many times and returns a checksum that depends on all of it.
    uint64_t (*run)(uint64_t iterations);
};

extern const struct kernel chase_32k, chase_1m, chase_64m, core, exec_, fault, fib, filter, fork_, interp, libm, matmul,
    memcpy_, nbody, pipe_, qsort_, sha256, sieve, single, syscall_;

// The next value of a linear congruential generator (Knuth's MMIX constants), the good upper half of it.
static inline uint32_t random_next(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

// The value of a double as the bits that make it.
static inline uint64_t bits(double value) {
    union {
        double value;
        uint64_t bits;
    } both = {value};
    return both.bits;
}

// Makes the compiler believe that all memory is read and written here.
#define BARRIER() __asm__ volatile("" ::: "memory")

// Ends the program with a message when a system call failed.
void check(int good, const char *what);

#endif
