/* What a compiler at run time does to its code pages: writes functions, runs them often enough to be compiled, and writes
 * others in their place, through the page itself or another mapping of it, beside data that changes all the time.
 * Prints a checksum, or what a function answered instead of what it was written to answer. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 24, PAGE = 4096, SLOTS = 15, SLOT = PAGE / 16, CALLS = 60 };

typedef uint64_t function(uint64_t);

static uint32_t seed = 1;

static uint32_t next(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static uint32_t addi(uint32_t imm)
{
    return 0x13 | 10 << 7 | 10 << 15 | (imm & 0x7ff) << 20;
}

/* Writes `a0 += imm`, some times, and `ret` by `at`, for a function that runs at `code`; returns what it adds. */
static uint64_t write_function(uint32_t *at, char *code)
{
    uint64_t sum = 0;
    uint32_t count = 1 + next(SLOT / 4 - 2);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t imm = next(0x800);
        at[i] = addi(imm);
        sum += imm;
    }
    at[count] = 0x00008067;
    __builtin___clear_cache(code, code + SLOT);
    return sum;
}

static void check(char *code, uint64_t expected, uint64_t *checksum)
{
    uint64_t value = 0;
    for (int i = 0; i < CALLS; i++)
        value = ((function *)code)(value);
    if (value != expected * CALLS) {
        printf("churn: STALE: %p answered %lu, not %lu\n", (void *)code, value, expected * CALLS);
        exit(1);
    }
    *checksum = (*checksum ^ value) * 0x100000001b3;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    int fd = memfd_create("code", 0);
    if (fd < 0 || ftruncate(fd, PAGES * PAGE))
        fail("memfd");
    int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
    char *plain = mmap(0, PAGES * PAGE, rwx, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *writes = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *runs = mmap(0, PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (plain == MAP_FAILED || writes == MAP_FAILED || runs == MAP_FAILED)
        fail("mmap");
    uint64_t checksum = 0xcbf29ce484222325;
    uint64_t sums[2][PAGES][SLOTS] = {};
    for (long round = 0; round < rounds; round++) {
        for (int page = 0; page < PAGES; page++) {
            for (int shared = 0; shared < 2; shared++) {
                char *code = (shared ? runs : plain) + page * PAGE;
                char *at = (shared ? writes : plain) + page * PAGE;
                /* Data in the last slot. */
                volatile uint64_t *data = (uint64_t *)(at + SLOTS * SLOT);
                int slot = (int)next(SLOTS);
                sums[shared][page][slot] = write_function((uint32_t *)(at + slot * SLOT), code + slot * SLOT);
                for (slot = 0; slot < SLOTS; slot++) {
                    if (sums[shared][page][slot])
                        check(code + slot * SLOT, sums[shared][page][slot], &checksum);
                    data[slot] += checksum;
                }
                checksum += data[round % SLOTS];
            }
        }
        /* Fresh pages at the same addresses, now and then. */
        if (round % 8 == 7) {
            if (mmap(plain, PAGES * PAGE, rwx, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != plain)
                fail("mmap");
            for (int page = 0; page < PAGES; page++)
                for (int slot = 0; slot < SLOTS; slot++)
                    sums[0][page][slot] = 0;
        }
    }
    printf("churn: %016lx\n", checksum);
    return 0;
}
