// Single precision: a product of matrices and a fast Fourier transform. It needs no library, so that it runs without an
// operating system too.
#include "bench.h"

enum { SIZE = 16, POINTS = 64 };

static float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
static float real[POINTS], imaginary[POINTS], cosine[POINTS / 2], sine[POINTS / 2];

static float small(uint64_t *seed) { return (float)(int32_t)random_next(seed) * 0x1p-31f; }

static void prepare(void) {
    uint64_t seed = 57;
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++) {
            a[i][k] = small(&seed);
            b[i][k] = small(&seed);
        }
    // The powers of a root of unity, from cos and sin of a 64th of a turn.
    cosine[0] = 1;
    sine[0] = 0;
    for (int i = 1; i < POINTS / 2; i++) {
        cosine[i] = cosine[i - 1] * 0.99518472667f - sine[i - 1] * 0.09801714033f;
        sine[i] = cosine[i - 1] * 0.09801714033f + sine[i - 1] * 0.99518472667f;
    }
}

static void multiply(void) {
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++) {
            float sum = 0;
            for (int j = 0; j < SIZE; j++)
                sum += a[i][j] * b[j][k];
            c[i][k] = sum;
        }
}

static void transform(void) {
    for (int i = 1, k = 0; i < POINTS; i++) {
        int bit = POINTS / 2;
        for (; k & bit; bit /= 2)
            k ^= bit;
        k ^= bit;
        if (i < k) {
            float swap = real[i];
            real[i] = real[k];
            real[k] = swap;
            swap = imaginary[i];
            imaginary[i] = imaginary[k];
            imaginary[k] = swap;
        }
    }
    for (int half = 1; half < POINTS; half *= 2)
        for (int from = 0; from < POINTS; from += 2 * half)
            for (int i = 0; i < half; i++) {
                float x = cosine[i * (POINTS / 2 / half)], y = -sine[i * (POINTS / 2 / half)];
                int low = from + i, high = low + half;
                float re = real[high] * x - imaginary[high] * y, im = real[high] * y + imaginary[high] * x;
                real[high] = real[low] - re;
                imaginary[high] = imaginary[low] - im;
                real[low] += re;
                imaginary[low] += im;
            }
}

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--) {
        multiply();
        for (int i = 0; i < POINTS; i++) {
            real[i] = c[i % SIZE][i / SIZE];
            imaginary[i] = 0;
        }
        transform();
        for (int i = 0; i < POINTS; i++)
            sum = sum * 31 + (uint32_t)(int32_t)(real[i] * 0x1p16f);
        a[iterations % SIZE][iterations / SIZE % SIZE] *= -0.5f;
    }
    return sum;
}

const struct kernel single = {"single", prepare, run};
