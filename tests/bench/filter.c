// Filters in fixed point, as audio and sensors need them: a finite impulse response in Q15 and second-order sections in
// Q31 with 64-bit accumulators. It needs no library, so that it runs without an operating system too.
#include "bench.h"

enum { TAPS = 32, SAMPLES = 256, SECTIONS = 4 };

static int16_t taps[TAPS], samples[SAMPLES + TAPS], filtered[SAMPLES];
static int32_t section[SECTIONS][5], state[SECTIONS][4];

static void prepare(void) {
    uint64_t seed = 31;
    for (int i = 0; i < TAPS; i++)
        taps[i] = (int16_t)(random_next(&seed) >> 20);
    for (int i = 0; i < SAMPLES + TAPS; i++)
        samples[i] = (int16_t)random_next(&seed);
    for (int i = 0; i < SECTIONS; i++)
        for (int k = 0; k < 5; k++)
            section[i][k] = (int32_t)random_next(&seed) >> 3;
}

static int16_t saturate(int32_t value) {
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

static void convolve(void) {
    for (int i = 0; i < SAMPLES; i++) {
        int32_t sum = 0;
        for (int k = 0; k < TAPS; k++)
            sum += taps[k] * samples[i + k];
        filtered[i] = saturate(sum >> 15);
    }
}

static int32_t cascade(int32_t value) {
    for (int i = 0; i < SECTIONS; i++) {
        int32_t *c = section[i], *s = state[i];
        int64_t sum = (int64_t)c[0] * value + (int64_t)c[1] * s[0] + (int64_t)c[2] * s[1];
        sum += (int64_t)c[3] * s[2] + (int64_t)c[4] * s[3];
        s[1] = s[0];
        s[0] = value;
        s[3] = s[2];
        s[2] = value = (int32_t)(sum >> 31);
    }
    return value;
}

static uint64_t run(uint64_t iterations) {
    uint64_t sum = 0;
    while (iterations--) {
        convolve();
        for (int i = 0; i < SAMPLES; i++)
            sum = sum * 31 + (uint32_t)cascade(filtered[i] << 12);
        samples[iterations % SAMPLES] ^= (int16_t)sum;
    }
    return sum;
}

const struct kernel filter = {"filter", prepare, run};
