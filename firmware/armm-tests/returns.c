// The integrity checks of exception return.
#include "base.h"

static u32 bad_value;
static u32 good_value;

static u32 return_badly(struct frame *f, u32 r)
{
    good_value = r;
    return bad_value;
}

static u32 return_well(struct frame *f, u32 r)
{
    return good_value;
}

static u32 pend_next(struct frame *f, u32 r)
{
    pend(1);
    line("   back in the first");
    return 0;
}

static u32 change_mode(struct frame *f, u32 r)
{
    good_value = r;
    f->xpsr |= 17;
    return 0;
}

static u32 mend_mode(struct frame *f, u32 r)
{
    f->xpsr &= ~0x1ffu;
    return 0;
}

static u32 clear_active(struct frame *f, u32 r)
{
    good_value = r;
    SHCSR &= ~(1u << 7);
    BARRIER();
    return 0;
}

extern void svc_0(void);

void returns(void)
{
    static const u32 values[] = {0xfffffff1, 0xfffffff0, 0xfffffff5, 0xfffffff7, 0xffffffff, 0xfffffff3};
    for (u32 enabled = 0; enabled < 2; enabled++) {
        section("values that are no return");
        for (u32 i = 0; i < sizeof values / sizeof *values; i++) {
            quiesce();
            SHCSR = enabled ? 7 << 16 : 0;
            bad_value = values[i];
            actions[USAGE_FAULT] = actions[HARD_FAULT] = return_well;
            interrupt(0, 0x40, return_badly);
            pend(0);
        }
    }

    section("to thread mode with another active");
    SHCSR = 7 << 16;
    actions[USAGE_FAULT] = return_well;
    interrupt(0, 0x80, pend_next);
    interrupt(1, 0x40, return_badly);
    bad_value = 0xfffffff9;
    pend(0);

    section("a frame of another mode");
    SHCSR = 7 << 16;
    interrupt(0, 0x40, change_mode);
    actions[USAGE_FAULT] = mend_mode;
    pend(0);

    section("out of an exception that is not active");
    SHCSR = 7 << 16;
    actions[SV_CALL] = clear_active;
    actions[USAGE_FAULT] = return_well;
    svc_0();
}
