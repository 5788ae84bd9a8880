// Frames: alignment, both stacks, stacks that can not be used.
#include "base.h"

extern void svc_0(void), svc_2(void);
extern u32 it_survives(void);

#define NOWHERE 0x80000000u

static u32 *words;

static u32 show_frame(struct frame *f, u32 r)
{
    put("   ");
    show("aligned", f->xpsr >> 9 & 1);
    show("at", (u32)f & 0xfff);
    put("\n");
    return 0;
}

static void call(void)
{
    svc_0();
}

static u32 privileged_again(struct frame *f, u32 r)
{
    show_frame(f, r);
    WRITE(control, READ(control) & ~1u);
    return 0;
}

// A stack that could not be used: the frame is built where it can.
static u32 on_main_stack(struct frame *f, u32 r)
{
    WRITE(psp, (u32)process_stack - 0x20);
    struct frame *other = (struct frame *)((u32)process_stack - 0x20);
    other->pc = (u32)words & ~1u;
    other->xpsr = 1 << 24;
    WRITE(control, READ(control) & ~1u);
    return 0;
}

u32 saved_sp, saved_lr;
static void come_back(void)
{
    __asm volatile("msr control, %0\n isb\n mov sp, %1\n bx %2" : : "r"(0), "r"(saved_sp), "r"(saved_lr));
}

// Calls from a bad process stack and is come back to.
__attribute__((noinline, naked)) static void on_bad_stack(u32 sp, u32 control)
{
    __asm volatile(
        "push {r4-r11, lr}\n"
        "sub sp, sp, #4\n"
        "ldr r2, =saved_sp\n mov r3, sp\n str r3, [r2]\n"
        "ldr r2, =saved_lr\n adr r3, 1f\n orr r3, r3, #1\n str r3, [r2]\n"
        "msr psp, r0\n msr control, r1\n isb\n"
        "b svc_2\n"
        ".balign 4\n"
        "1: add sp, sp, #4\n pop {r4-r11, pc}\n .pool");
}

static u32 break_stack(struct frame *f, u32 r)
{
    WRITE(psp, NOWHERE);
    return 0;
}

void frames(void)
{
    section("alignment");
    actions[SV_CALL] = show_frame;
    for (u32 align = 0; align < 2; align++)
        for (u32 sp = 0; sp <= 4; sp += 4) {
            CCR = align ? 0x200 : 0;
            call_on_process_stack(call, (u32)process_stack - 0x40 - sp, 2);
            show("psp", READ(psp) & 0xfff);
            put("\n");
        }

    section("unprivileged");
    actions[SV_CALL] = privileged_again;
    call_on_process_stack(call, (u32)process_stack - 0x40, 3);
    show("control", READ(control));
    put("\n");

    section("a process stack that is not there");
    words = (u32 *)come_back;
    for (u32 enabled = 0; enabled < 2; enabled++)
        for (u32 level = 0x20; level <= 0x60; level += 0x20) {
            quiesce();
            show("enabled", enabled);
            show("priority", level);
            put("\n");
            SHCSR = enabled ? 7 << 16 : 0;
            priority(SV_CALL, 0x40);
            priority(BUS_FAULT, level);
            actions[SV_CALL] = actions[BUS_FAULT] = actions[HARD_FAULT] = on_main_stack;
            BARRIER();
            on_bad_stack(NOWHERE, 2);
        }

    section("a process stack that is denied");
    MPU_RBAR = 0x10;
    MPU_RASR = 3 << 24 | 31 << 1 | 1;
    MPU_RBAR = 0x20010000 | 0x11;
    MPU_RASR = 6 << 24 | 15 << 1 | 1;
    for (u32 control = 2; control < 4; control++)
        for (u32 level = 0x20; level <= 0x60; level += 0x20) {
            quiesce();
            MPU_CTRL = 1;
            show("control", control);
            show("priority", level);
            put("\n");
            SHCSR = 7 << 16;
            priority(SV_CALL, 0x40);
            priority(MEM_MANAGE, level);
            actions[SV_CALL] = actions[MEM_MANAGE] = actions[HARD_FAULT] = on_main_stack;
            BARRIER();
            on_bad_stack(0x20010100, control);
        }

    section("unstacking fails");
    for (u32 enabled = 0; enabled < 2; enabled++) {
        quiesce();
        SHCSR = enabled ? 7 << 16 : 0;
        actions[SV_CALL] = break_stack;
        actions[BUS_FAULT] = actions[HARD_FAULT] = on_main_stack;
        BARRIER();
        on_bad_stack((u32)process_stack - 0x100, 2);
    }
}
