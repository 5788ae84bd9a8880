// The product of two matrices of doubles, 96 by 96: the innermost loop adds a multiple of one row to another.
#include "bench.h"

#define N 96

static double a[N][N], b[N][N], c[N][N];

static void prepare(void) {
    uint64_t state = 1;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = random_next(&state) * 0x1p-32 - 0.5;
            b[i][j] = random_next(&state) * 0x1p-32 - 0.5;
        }
}

static uint64_t run(uint64_t iterations) {
    while (iterations--) {
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++)
                for (int j = 0; j < N; j++)
                    c[i][j] += a[i][k] * b[k][j];
        BARRIER();
    }
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum = sum * 31 + bits(c[i][j]);
    return sum;
}

const struct kernel matmul = {"matmul", prepare, run};
