// An interpreter of bytecode for a machine of registers, in a loop around a switch. It runs a program that sums the
// lengths of Collatz sequences, hashes, and keeps a table in memory.
#include "bench.h"

enum operation { LOAD, ADD, SUB, MUL, SHIFT_RIGHT, AND, XOR, GET, PUT, JUMP, IF_ZERO, IF_LESS, END };

struct instruction {
    uint8_t operation, a, b, c;
    int32_t value;
};

// Registers: 0 the number, 1 one, 2 the limit, 3 the walking value, 4 the length, 5 scratch, 6 three, 7 the sum,
// 8 the mask of the table, 9 the hash.
static const struct instruction PROGRAM[] = {
    {LOAD, 0, 0, 0, 1},         // 0
    {LOAD, 1, 0, 0, 1},         // 1
    {LOAD, 2, 0, 0, 1000},      // 2
    {LOAD, 6, 0, 0, 3},         // 3
    {LOAD, 8, 0, 0, 255},       // 4
    {LOAD, 4, 0, 0, 0},         // 5: the next number
    {XOR, 3, 0, 4, 0},          // 6
    {SUB, 5, 3, 1, 0},          // 7: a step
    {IF_ZERO, 5, 0, 0, 17},     // 8
    {ADD, 4, 4, 1, 0},          // 9
    {AND, 5, 3, 1, 0},          // 10
    {IF_ZERO, 5, 0, 0, 15},     // 11
    {MUL, 3, 3, 6, 0},          // 12
    {ADD, 3, 3, 1, 0},          // 13
    {JUMP, 0, 0, 0, 7},         // 14
    {SHIFT_RIGHT, 3, 3, 1, 0},  // 15
    {JUMP, 0, 0, 0, 7},         // 16
    {ADD, 7, 7, 4, 0},          // 17: the end of a sequence
    {AND, 5, 7, 8, 0},          // 18
    {GET, 9, 5, 0, 0},          // 19
    {XOR, 9, 9, 4, 0},          // 20
    {ADD, 7, 7, 9, 0},          // 21
    {PUT, 4, 5, 0, 0},          // 22
    {ADD, 0, 0, 1, 0},          // 23
    {IF_LESS, 0, 2, 0, 5},      // 24
    {END, 7, 0, 0, 0},          // 25
};

static uint64_t memory[256];

static __attribute__((noinline)) uint64_t interpret(const struct instruction *program) {
    uint64_t r[16] = {0};
    for (const struct instruction *pc = program;;) {
        struct instruction i = *pc++;
        switch ((enum operation)i.operation) {
        case LOAD: r[i.a & 15] = (uint64_t)i.value; break;
        case ADD: r[i.a & 15] = r[i.b & 15] + r[i.c & 15]; break;
        case SUB: r[i.a & 15] = r[i.b & 15] - r[i.c & 15]; break;
        case MUL: r[i.a & 15] = r[i.b & 15] * r[i.c & 15]; break;
        case SHIFT_RIGHT: r[i.a & 15] = r[i.b & 15] >> (r[i.c & 15] & 63); break;
        case AND: r[i.a & 15] = r[i.b & 15] & r[i.c & 15]; break;
        case XOR: r[i.a & 15] = r[i.b & 15] ^ r[i.c & 15]; break;
        case GET: r[i.a & 15] = memory[r[i.b & 15] & 255]; break;
        case PUT: memory[r[i.b & 15] & 255] = r[i.a & 15]; break;
        case JUMP: pc = program + i.value; break;
        case IF_ZERO:
            if (r[i.a & 15] == 0)
                pc = program + i.value;
            break;
        case IF_LESS:
            if (r[i.a & 15] < r[i.b & 15])
                pc = program + i.value;
            break;
        case END: return r[i.a & 15];
        }
    }
}

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--)
        sum = sum * 31 + interpret(PROGRAM);
    return sum;
}

const struct kernel interp = {"interp", NULL, run};
