// What unprivileged code may do.
#include "base.h"

extern void fault_load(u32), fault_store(u32), svc_0(void);

static u32 privileged_again(struct frame *f, u32 r)
{
    WRITE(control, READ(control) & ~1u);
    return 0;
}

static void system_space(void)
{
    fault_load(0xe000ed00);
    fault_load(0xe000e010);
    fault_store(0xe000ef00);
    svc_0();
}

static void special(void)
{
    WRITE(primask, 1);
    WRITE(basepri, 0x40);
    WRITE(faultmask, 1);
    WRITE(msp, 0x20000000);
    u32 control = READ(control), ipsr = READ(ipsr), primask = READ(primask), msp = READ(msp);
    WRITE(control, 2);
    u32 still = READ(control);
    svc_0();
    show("control", control);
    show("ipsr", ipsr);
    show("primask", primask);
    show("msp", msp);
    show("control", still);
    put("\n");
}

static void trigger(void)
{
    STIR = 0;
    BARRIER();
    svc_0();
}

static void protected(void)
{
    fault_load(0x20010000);
    fault_store(0x20010000);
    fault_load(0x20011000);
    fault_store(0x20011000);
    fault_load(0x20012000);
    svc_0();
}

static void unprivileged(const char *name)
{
    section(name);
    actions[SV_CALL] = privileged_again;
    actions[MEM_MANAGE] = actions[BUS_FAULT] = actions[HARD_FAULT] = skip;
    SHCSR = 7 << 16;
}

void rights(void)
{
    unprivileged("system space");
    call_on_process_stack(system_space, (u32)process_stack - 0x40, 3);
    unprivileged("special registers");
    call_on_process_stack(special, (u32)process_stack - 0x40, 3);
    unprivileged("software trigger");
    CCR = 0x202;
    interrupt(0, 0x40, 0);
    call_on_process_stack(trigger, (u32)process_stack - 0x40, 3);
    unprivileged("memory");
    MPU_RBAR = 0x10;
    MPU_RASR = 3 << 24 | 31 << 1 | 1;
    MPU_RBAR = 0x20010000 | 0x11;
    MPU_RASR = 1 << 24 | 11 << 1 | 1;
    MPU_RBAR = 0x20011000 | 0x12;
    MPU_RASR = 2 << 24 | 11 << 1 | 1;
    MPU_RBAR = 0x20012000 | 0x13;
    MPU_RASR = 5 << 24 | 11 << 1 | 1;
    for (int i = 4; i < 8; i++) MPU_RBAR = 0x10 | i, MPU_RASR = 0;
    MPU_CTRL = 1;
    BARRIER();
    call_on_process_stack(protected, (u32)process_stack - 0x40, 3);

    section("at a negative priority");
    for (u32 control = 1; control < 8; control += 2) {
        show("mpu_ctrl", control);
        MPU_CTRL = 0;
        region(0, 0, 28, 3 << 24);
        region(1, 0x20010000, 12, 0);
        region(2, 0x20000000, 16, 3 << 24);
        region(3, 0x40000000, 28, 3 << 24);
        actions[MEM_MANAGE] = skip;
        SHCSR = 7 << 16;
        MPU_CTRL = control;
        BARRIER();
        if (!(control & 2)) {
            // Only here: else it would be the end.
            WRITE(faultmask, 1);
            show("denied", REG(0x20010000) != 1);
            WRITE(faultmask, 0);
        }
        put("\n");
        fault_load(0x20010000);
        fault_load(0x20020000);
        MPU_CTRL = 0;
    }
}
