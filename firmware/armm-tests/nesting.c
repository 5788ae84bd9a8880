// Preemption, tail-chaining, late arrival, priority groups.
#include "base.h"

static u32 pend_high_and_low(struct frame *f, u32 r)
{
    pend(1);
    line("   preempted");
    pend(2);
    line("   not preempted");
    return 0;
}

static u32 pend_itself(struct frame *f, u32 r)
{
    static int times;
    if (times++ < 2) pend(3);
    return 0;
}

static u32 pend_two(struct frame *f, u32 r)
{
    pend(6);
    pend(5);
    return 0;
}

static u32 raise_own_priority(struct frame *f, u32 r)
{
    priority(IRQ0 + 4, 0x20);
    pend(1);
    line("   raised");
    priority(IRQ0 + 4, 0xc0);
    BARRIER();
    line("   lowered");
    return 0;
}

static int depth;
static u32 deeper(struct frame *f, u32 r)
{
    if (++depth < 7) {
        u32 next = depth;
        interrupt(next, 0xe0 - 0x20 * next, deeper);
        pend(next);
    }
    return 0;
}

void nesting(void)
{
    section("nesting");
    interrupt(0, 0x80, pend_high_and_low);
    interrupt(1, 0x40, 0);
    interrupt(2, 0xc0, 0);
    pend(0);

    section("seven deep");
    depth = 0;
    interrupt(0, 0xe0, deeper);
    pend(0);

    section("tail-chaining");
    interrupt(3, 0x80, pend_itself);
    pend(3);
    interrupt(4, 0x80, pend_two);
    interrupt(5, 0xa0, 0);
    interrupt(6, 0xa0, 0);
    pend(4);

    section("late arrival");
    interrupt(0, 0xc0, 0);
    interrupt(1, 0x40, 0);
    interrupt(2, 0x40, 0);
    WRITE(primask, 1);
    ISPR = 1 << 0;
    ISPR = 1 << 2;
    ISPR = 1 << 1;
    BARRIER();
    show("icsr", ICSR);
    put("\n");
    WRITE(primask, 0);

    section("priority groups");
    for (u32 group = 0; group < 8; group++) {
        quiesce();
        AIRCR = 0x05fa0000 | group << 8;
        show("prigroup", AIRCR >> 8 & 7);
        put("\n");
        interrupt(4, 0x60, pend_two);
        interrupt(5, 0x40, 0);
        interrupt(6, 0x20, 0);
        pend(4);
    }

    section("a priority changes while it runs");
    interrupt(1, 0x40, 0);
    interrupt(4, 0x80, raise_own_priority);
    pend(4);

    section("clearing what pends");
    WRITE(primask, 1);
    interrupt(7, 0x40, 0);
    pend(7);
    show("pending", ISPR);
    ICPR = 1 << 7;
    show("pending", ISPR);
    pend(7);
    ICER = 1 << 7;
    BARRIER();
    WRITE(primask, 0);
    show("still", ISPR);
    put("\n");
    ISER = 1 << 7;
    BARRIER();
    STIR = 7;
    BARRIER();
}
