// Five bodies under gravity, in double precision: multiplications, additions, a square root and a division.
#include "bench.h"

#include <math.h>

#define BODIES 5

static struct body {
    double at[3], speed[3], mass;
} bodies[BODIES];

static void prepare(void) {
    // A heavy one in the middle and four on circular orbits, at 1, 2, 3 and 4, each tilted a little.
    bodies[0] = (struct body){{0, 0, 0}, {0, 0, 0}, 40};
    for (int i = 1; i < BODIES; i++) {
        double speed = sqrt(bodies[0].mass / i);
        bodies[i] = (struct body){{i, 0, 0}, {0, speed, 0.05 * i}, 0.01 * i};
    }
}

static void step(double dt) {
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double d[3], squared = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = a->at[k] - b->at[k];
                squared += d[k] * d[k];
            }
            double pull = dt / (squared * sqrt(squared));
            for (int k = 0; k < 3; k++) {
                a->speed[k] -= d[k] * b->mass * pull;
                b->speed[k] += d[k] * a->mass * pull;
            }
        }
    }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            bodies[i].at[k] += dt * bodies[i].speed[k];
}

static double energy(void) {
    double sum = 0;
    for (int i = 0; i < BODIES; i++) {
        const struct body *a = &bodies[i];
        for (int k = 0; k < 3; k++)
            sum += 0.5 * a->mass * a->speed[k] * a->speed[k];
        for (int j = i + 1; j < BODIES; j++) {
            double squared = 0;
            for (int k = 0; k < 3; k++)
                squared += (a->at[k] - bodies[j].at[k]) * (a->at[k] - bodies[j].at[k]);
            sum -= a->mass * bodies[j].mass / sqrt(squared);
        }
    }
    return sum;
}

static uint64_t run(uint64_t iterations) {
    while (iterations--)
        step(0.0001);
    return bits(energy());
}

const struct kernel nbody = {"nbody", prepare, run};
