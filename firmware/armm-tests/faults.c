// Each fault, enabled and escalated.
#include "base.h"

extern void fault_undefined(u32), fault_undefined_wide(u32), fault_state(u32), fault_coprocessor(u32), fault_float(u32),
    fault_load(u32), fault_store(u32), fault_load_many(u32), fault_divide(u32), fault_jump(u32), fault_in_it(u32);

#define NOWHERE 0x80000000u

static void try(const char *name, void (*fault)(u32), u32 argument)
{
    for (u32 enabled = 0; enabled < 2; enabled++) {
        put(name);
        line(enabled ? ", enabled" : ", disabled");
        SHCSR = enabled ? 7 << 16 : 0;
        actions[HARD_FAULT] = actions[MEM_MANAGE] = actions[BUS_FAULT] = actions[USAGE_FAULT] = skip;
        BARRIER();
        fault(argument);
    }
    SHCSR = 0;
}

static u32 fault_inside(struct frame *f, u32 r)
{
    fault_undefined(0);
    line("   after the fault");
    return 0;
}

void faults(void)
{
    section("usage faults");
    try("udf", fault_undefined, 0);
    try("udf.w", fault_undefined_wide, 0);
    try("arm state", fault_state, 0);
    try("coprocessor 7", fault_coprocessor, 0);
    CPACR = 0;
    BARRIER();
    try("fpu off", fault_float, 0);
    CPACR = 0xf << 20;
    BARRIER();
    try("ldm unaligned", fault_load_many, 0x20000002);
    try("ldr unaligned", fault_load, 0x20000002);
    CCR = 0x208;
    try("ldr unaligned, trapped", fault_load, 0x20000002);
    CCR = 0x200;
    try("divide", fault_divide, 0);
    CCR = 0x210;
    try("divide, trapped", fault_divide, 0);
    CCR = 0x200;

    section("bus faults");
    try("load", fault_load, NOWHERE);
    try("store", fault_store, NOWHERE);
    try("fetch", fault_jump, NOWHERE);
    try("in an it block", fault_in_it, NOWHERE);

    section("memory faults");
    try("execute never", fault_jump, 0x40000000);
    try("execute system space", fault_jump, 0xe0000000);
    region(0, 0, 32, 3 << 24);
    region(1, 0x20010000, 12, 6 << 24);
    region(2, 0x20011000, 12, 0 << 24);
    region(3, 0x20012000, 12, 3 << 24 | 1 << 28);
    region(4, 0x20018000, 15, 0 << 24 | 0x55 << 8);
    MPU_CTRL = 1;
    BARRIER();
    try("store to what is read-only", fault_store, 0x20010ffc);
    try("load of what is read-only", fault_load, 0x20010ffc);
    try("load", fault_load, 0x20011000);
    try("fetch", fault_jump, 0x20012000);
    try("subregion off", fault_load, 0x20018010);
    try("subregion on", fault_load, 0x20019010);
    try("in an it block", fault_in_it, 0x20011004);

    section("background");
    region(0, 0x20010000, 12, 6 << 24);
    for (int i = 1; i < 8; i++) MPU_RBAR = 0x10 | i, MPU_RASR = 0;
    MPU_CTRL = 5;
    BARRIER();
    try("store inside", fault_store, 0x20010000);
    try("store outside", fault_store, 0x20011000);

    section("a fault in an exception");
    for (u32 level = 0x20; level <= 0x60; level += 0x20) {
        show("priority", level);
        put("\n");
        SHCSR = 7 << 16;
        priority(USAGE_FAULT, 0x40);
        actions[HARD_FAULT] = actions[USAGE_FAULT] = skip;
        interrupt(0, level, fault_inside);
        pend(0);
    }

    section("a fault in a fault");
    SHCSR = 7 << 16;
    priority(BUS_FAULT, 0x20);
    priority(USAGE_FAULT, 0x20);
    actions[BUS_FAULT] = fault_inside;
    actions[HARD_FAULT] = skip;
    // Pended by software; the UsageFault inside it can not preempt.
    SHCSR |= 1 << 14;
    BARRIER();
}
