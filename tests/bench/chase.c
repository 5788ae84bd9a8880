// Loads that each give the address of the next, in random order over a buffer: 64 bytes a node, 1024 loads an
// iteration.
#include "bench.h"

#include <stdlib.h>
#include <sys/mman.h>

struct node {
    struct node *next;
    uint64_t number, padding[6];
};

static struct node *nodes;

static void prepare(size_t size) {
    size_t count = size / sizeof *nodes;
    nodes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(nodes != MAP_FAILED, "mmap");
    // Sattolo's shuffle makes one cycle of all.
    for (size_t i = 0; i < count; i++)
        nodes[i].number = i;
    uint64_t state = 2;
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = random_next(&state) % i;
        uint64_t other = nodes[j].number;
        nodes[j].number = nodes[i].number;
        nodes[i].number = other;
    }
    for (size_t i = 0; i < count; i++)
        nodes[i].next = &nodes[nodes[i].number];
}

static void prepare_32k(void) { prepare(32 << 10); }
static void prepare_1m(void) { prepare(1 << 20); }
static void prepare_64m(void) { prepare(64 << 20); }

static uint64_t run(uint64_t iterations) {
    const struct node *at = nodes;
    while (iterations--)
        for (int i = 0; i < 1024; i++)
            at = at->next;
    return at->number;
}

const struct kernel chase_32k = {"chase-32k", prepare_32k, run};
const struct kernel chase_1m = {"chase-1m", prepare_1m, run};
const struct kernel chase_64m = {"chase-64m", prepare_64m, run};
