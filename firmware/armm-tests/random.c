// Random nesting: thread and handlers do what a generator says, and a hash of all that can be seen is logged.
#include "base.h"

extern void float_touch(u32), svc_0(void), fault_undefined(u32);
extern u32 float_s0(void);

// A run ends after so many exceptions; handlers do nothing then.
#define RUNS 40
#define EXCEPTIONS 600

static u32 seed, hash, taken;

static u32 next(u32 bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (seed >> 8) % bound;
}

static void mix(u32 value)
{
    hash = (hash ^ value) * 0x01000193;
    hash ^= hash >> 15;
}

static void see(void)
{
    u32 icsr = ICSR;
    // VECTPENDING under a mask is one of QEMU's mistakes.
    if (READ(basepri) || READ(faultmask)) icsr &= ~(511u << 12);
    mix(icsr);
    mix(ISPR);
    mix(IABR);
    mix(SHCSR);
    mix(READ(control));
    mix(READ(primask) | READ(faultmask) << 1 | READ(basepri) << 8);
    mix(FPCCR & ~(1u << 10));
}

static void act(void)
{
    u32 number = READ(ipsr), irq = next(16);
    // What would lock up: a synchronous exception, or FAULTMASK, at a negative priority.
    int negative = number == NMI || number == HARD_FAULT || READ(faultmask) || IABR == 0xffffffff;
    switch (next(20)) {
    case 0: case 1: case 2: case 3:
        pend(irq);
        break;
    case 4:
        ICPR = 1 << irq;
        break;
    case 5: case 6:
        priority(IRQ0 + irq, next(8) << 5);
        break;
    case 7:
        ICER = 1 << irq;
        break;
    case 8:
        ISER = next(0x10000);
        break;
    case 9:
        WRITE(basepri, next(2) ? 0 : next(8) << 5);
        break;
    case 10:
        WRITE(basepri_max, next(8) << 5);
        break;
    case 11:
        WRITE(primask, next(3) == 0);
        break;
    case 12:
        ICSR = 1 << 28;
        break;
    case 13:
        if (next(4) == 0) ICSR = 1u << 31;
        break;
    case 14:
        STIR = irq;
        break;
    case 15:
        AIRCR = 0x05fa0000 | next(8) << 8;
        break;
    case 16:
        if (!negative) svc_0();
        break;
    case 17:
        priority(next(2) ? SV_CALL : next(2) ? PEND_SV : USAGE_FAULT, next(8) << 5);
        break;
    case 18:
        if (!negative && next(2)) fault_undefined(0);
        break;
    case 19:
        if (!negative) WRITE(faultmask, next(4) == 0);
        break;
    }
    BARRIER();
    see();
}

static void some(u32 acts)
{
    u32 floats = next(2), value = seed;
    if (floats) float_touch(value);
    for (u32 i = 0; i < acts && taken < EXCEPTIONS; i++) {
        act();
        // Whatever came in between, the register is ours.
        if (floats) mix(float_s0() == value);
    }
}

static void six(void)
{
    some(6);
}

static u32 any(struct frame *f, u32 r)
{
    mix(READ(ipsr));
    mix(r);
    mix((u32)f);
    mix(READ(msp));
    taken++;
    see();
    some(next(4));
    return 0;
}

static u32 fault(struct frame *f, u32 r)
{
    mix(CFSR);
    mix(HFSR);
    CFSR = 0xffffffff;
    HFSR = 0xffffffff;
    if (*(unsigned short *)f->pc == 0xde01) {
        f->pc = f->r12;
        mix(f->xpsr & 0x0700fdff);
    }
    return any(f, r);
}

int main(void)
{
    start_log("random");
    for (u32 run = 1; run <= RUNS; run++) {
        quiesce();
        seed = run * 0x9e3779b9;
        hash = taken = 0;
        for (u32 i = 0; i < 48; i++) actions[i] = any;
        actions[HARD_FAULT] = actions[USAGE_FAULT] = fault;
        SHCSR = next(2) << 18;
        FPCCR = next(4) << 30;
        WRITE(control, 0);
        for (u32 i = 0; i < 16; i++) priority(IRQ0 + i, next(8) << 5);
        ISER = 0xffff;
        quiet = 1;
        u32 rounds = 0;
        for (; rounds < 2000 && taken < EXCEPTIONS; rounds++) {
            if (next(2)) {
                WRITE(primask, 0);
                WRITE(basepri, 0);
                WRITE(faultmask, 0);
                ISER = 0xffff;
                BARRIER();
            }
            // On either stack, aligned or not.
            if (next(2))
                some(6);
            else
                call_on_process_stack(six, (u32)process_stack - 4 * next(4), 2);
        }
        WRITE(primask, 0);
        WRITE(basepri, 0);
        WRITE(faultmask, 0);
        ISER = 0xffff;
        BARRIER();
        show("run", run);
        show("exceptions", taken);
        show("rounds", rounds);
        show("hash", hash);
        put("\n");
    }
    end_log();
}
