// ARMv6-M: one fault, two priority bits, no masks but PRIMASK. Prints by semihosting, for QEMU's microbit.
#include "base.h"

extern void fault_undefined(u32), fault_state(u32), fault_load(u32), fault_load_half(u32), fault_store(u32), fault_load_many(u32),
    fault_jump(u32), svc_0(void), unmask_by_cps(void);

#define NOWHERE 0x80000000u

static u32 pend_high_and_low(struct frame *f, u32 r)
{
    pend(1);
    line("   preempted");
    pend(2);
    line("   not preempted");
    return 0;
}

static u32 pend_two(struct frame *f, u32 r)
{
    pend(6);
    pend(5);
    return 0;
}

static u32 show_frame(struct frame *f, u32 r)
{
    put("   ");
    show("pc", f->pc);
    show("xpsr", f->xpsr & 0x010003ff);
    put("\n");
    return 0;
}

static u32 fault_inside(struct frame *f, u32 r)
{
    fault_undefined(0);
    line("   after the fault");
    return 0;
}

static u32 good_value, bad_value;

static u32 return_badly(struct frame *f, u32 r)
{
    good_value = r;
    return bad_value;
}

static u32 return_well(struct frame *f, u32 r)
{
    return good_value;
}

static u32 pendsv_after(struct frame *f, u32 r)
{
    show_frame(f, r);
    ICSR = 1 << 28;
    BARRIER();
    return 0;
}

static void call(void)
{
    svc_0();
}

static void try(const char *name, void (*fault)(u32), u32 argument)
{
    line(name);
    fault(argument);
}

int main(void)
{
    static const u32 values[] = {0xfffffff1, 0xfffffff0, 0xfffffff5, 0xfffffff7, 0xffffffff};
    start_log("ARMv6-M");

    section("nesting");
    interrupt(0, 0x80, pend_high_and_low);
    interrupt(1, 0x40, 0);
    interrupt(2, 0xc0, 0);
    pend(0);

    section("two priority bits");
    interrupt(4, 0x7f, pend_two);
    interrupt(5, 0x41, 0);
    interrupt(6, 0x3f, 0);
    show("ipr", REG(0xe000e404));
    put("\n");
    pend(4);

    section("late arrival");
    for (u32 i = 0; i < 4; i++) interrupt(i, 0xc0 - 0x40 * i, 0);
    WRITE(primask, 1);
    ISPR = 0xf;
    BARRIER();
    show("icsr", ICSR & ~(1u << 11));
    put("\n");
    actions[IRQ0 + 3] = show_frame;
    unmask_by_cps();

    section("svc and pendsv");
    actions[SV_CALL] = pendsv_after;
    priority(SV_CALL, 0x40);
    priority(PEND_SV, 0xc0);
    svc_0();

    section("svc that can not be taken");
    actions[HARD_FAULT] = show_frame;
    WRITE(primask, 1);
    svc_0();
    WRITE(primask, 0);

    section("faults");
    actions[HARD_FAULT] = skip;
    try("udf", fault_undefined, 0);
    try("arm state", fault_state, 0);
    try("ldr unaligned", fault_load, 0x20000002);
    try("ldrh unaligned", fault_load_half, 0x20000001);
    try("ldm unaligned", fault_load_many, 0x20000002);
    try("load", fault_load, NOWHERE);
    try("store", fault_store, NOWHERE);
    try("fetch", fault_jump, NOWHERE);

    section("a fault in an exception");
    actions[HARD_FAULT] = skip;
    interrupt(0, 0, fault_inside);
    pend(0);

    section("values that are no return");
    for (u32 i = 0; i < sizeof values / sizeof *values; i++) {
        bad_value = values[i];
        actions[HARD_FAULT] = return_well;
        interrupt(0, 0x40, return_badly);
        pend(0);
    }

    section("process stack");
    actions[SV_CALL] = show_frame;
    for (u32 sp = 0; sp <= 4; sp += 4) {
        call_on_process_stack(call, (u32)process_stack - 0x40 - sp, 2);
        show("psp", READ(psp));
        put("\n");
    }

    section("sleep");
    __asm volatile("sev\n wfe");
    WRITE(primask, 1);
    interrupt(7, 0x40, 0);
    pend(7);
    __asm volatile("wfi");
    line("woken");
    WRITE(primask, 0);
    ICER = 1 << 7;
    SCR = 0x10;
    __asm volatile("sev\n wfe");
    pend(7);
    __asm volatile("wfe");
    line("after what pends, disabled");

    section("registers");
    show("cpuid", REG(0xe000ed00) & ~15u);
    show("aircr", AIRCR);
    show("ccr", CCR);
    show("cfsr", CFSR);
    put("\n");
    keeps("shpr1", 0xe000ed18);
    keeps("shpr2", 0xe000ed1c);
    keeps("ccr", 0xe000ed14);
    keeps("cpacr", 0xe000ed88);
    end_log();
}
