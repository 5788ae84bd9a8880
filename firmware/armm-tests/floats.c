// Floating-point state: lazy and eager stacking, nesting, tail-chaining.
#include "base.h"

extern void float_fill(u32 first, u32 fpscr), float_store(u32 *to), float_touch(u32);

static u32 bank[33];

static void show_registers(const char *name)
{
    float_store(bank);
    put("  ");
    put(name);
    show("s0", bank[0]);
    show("s15", bank[15]);
    show("s16", bank[16]);
    show("s31", bank[31]);
    show("fpscr", bank[32]);
    put("\n");
}

static void show_state(struct frame *f)
{
    put("   ");
    // Bit 10 is reserved (B3.2.21); QEMU sets ARMv8-M's UFRDY.
    u32 fpccr = FPCCR & ~(1u << 10);
    show("fpccr", fpccr);
    if (fpccr & 1 << 30) show("fpcar", FPCAR - (u32)f);
    show("control", READ(control));
    put("\n");
}

static void show_stored(struct frame *f)
{
    put("   stored");
    show("s0", f->s[0]);
    show("s1", f->s[1]);
    show("s15", f->s[15]);
    show("fpscr", f->fpscr);
    put("\n");
}

static u32 without(struct frame *f, u32 r)
{
    show_state(f);
    return 0;
}

static u32 with(struct frame *f, u32 r)
{
    show_state(f);
    int room = !(r & 16);
    if (room && FPCCR & 1) f->s[0] = f->s[1] = f->s[15] = f->fpscr = 0xdead;
    float_touch(5);
    show_state(f);
    if (room) show_stored(f);
    // s1 to s15 and the rest of FPSCR are unknown here.
    float_store(bank);
    put("   handler");
    show("s0", bank[0]);
    show("s16", bank[16]);
    show("s31", bank[31]);
    show("modes", bank[32] & 0x07c00000);
    put("\n");
    float_fill(0x5000, 0x90000000);
    return 0;
}

static u32 nested(struct frame *f, u32 r)
{
    float_fill(0x3000, 0x20000010);
    show_state(f);
    pend(1);
    show_registers("outer");
    return 0;
}

static u32 nested_before(struct frame *f, u32 r)
{
    show_state(f);
    pend(1);
    show_state(f);
    show_stored(f);
    return 0;
}

static u32 chain_after(struct frame *f, u32 r)
{
    with(f, r);
    pend(2);
    return 0;
}

static void from_user(void)
{
    float_fill(0x7000, 0);
    pend(0);
    show_registers("thread");
}

static void start(const char *name, u32 fpccr)
{
    section(name);
    FPCCR = fpccr;
    FPDSCR = 0x02000000;
    WRITE(control, 0);
    float_fill(0x1000, 0x80000003);
    show("control", READ(control));
    put("\n");
}

#define NOWHERE 0x80000000u
#define DENIED 0x20010000u

static u32 place;

// Floating point while its registers' place can not be written.
static u32 misplaced(struct frame *f, u32 r)
{
    u32 at = FPCAR;
    show_state(f);
    FPCAR = place;
    float_touch(5);
    line("   after the instruction");
    show("   lspact", FPCCR & 1);
    show("shcsr", SHCSR);
    status();
    put("\n");
    FPCAR = at;
    return 0;
}

static u32 place_again(struct frame *f, u32 r)
{
    FPCAR = (u32)process_stack - 0x100;
    return 0;
}

static void lazy_store_fails(u32 where, u32 level, int enabled)
{
    start("a lazy store that fails", 0xc0000000);
    show("place", where);
    show("priority", level);
    show("enabled", enabled);
    put("\n");
    place = where;
    region(0, 0, 32, 3 << 24);
    region(1, DENIED, 12, 6 << 24);
    for (int i = 2; i < 8; i++) region(i, 0, 32, 0), MPU_RASR = 0;
    MPU_CTRL = 1;
    SHCSR = enabled ? 7 << 16 : 0;
    priority(BUS_FAULT, level);
    priority(MEM_MANAGE, level);
    actions[BUS_FAULT] = actions[MEM_MANAGE] = actions[HARD_FAULT] = place_again;
    interrupt(0, 0x40, misplaced);
    pend(0);
}

void floats(void)
{
    static const u32 modes[] = {0xc0000000, 0x80000000, 0};
    for (int i = 0; i < 3; i++) {
        start("a handler without floating point", modes[i]);
        interrupt(0, 0x80, without);
        pend(0);
        show("fpccr", FPCCR & ~(1u << 10));
        show_registers("thread");

        start("a handler with it", modes[i]);
        interrupt(0, 0x80, with);
        pend(0);
        show_registers("thread");

        start("nested, both with it", modes[i]);
        interrupt(0, 0x80, nested);
        interrupt(1, 0x40, with);
        pend(0);
        show_registers("thread");

        start("nested, the inner with it", modes[i]);
        interrupt(0, 0x80, nested_before);
        interrupt(1, 0x40, with);
        pend(0);
        show_registers("thread");

        start("tail-chained", modes[i]);
        interrupt(0, 0x80, chain_after);
        interrupt(1, 0x80, with);
        interrupt(2, 0x80, with);
        WRITE(primask, 1);
        ISPR = 3;
        BARRIER();
        WRITE(primask, 0);
        show_registers("thread");
    }

    start("on the process stack", 0xc0000000);
    interrupt(0, 0x80, with);
    call_on_process_stack(from_user, (u32)process_stack - 0x40, 2);

    section("a new context has the default modes");
    FPDSCR = 0x07c00000;
    WRITE(control, 0);
    float_touch(1);
    float_store(bank);
    show("fpscr", bank[32] & 0x07c00000);
    FPDSCR = 0;
    WRITE(control, 0);
    float_touch(1);
    float_store(bank);
    show("fpscr", bank[32] & 0x07c00000);
    put("\n");

    for (u32 level = 0x20; level <= 0x60; level += 0x20)
        for (int enabled = 0; enabled < 2; enabled++) {
            lazy_store_fails(NOWHERE, level, enabled);
            lazy_store_fails(DENIED, level, enabled);
        }
    MPU_CTRL = 0;
}
