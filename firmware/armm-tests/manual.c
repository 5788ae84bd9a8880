// What the manual says and QEMU 10.0 does not do; the section of DDI 0403E is named with each.
#include "base.h"

extern void fault_load(u32), fault_store(u32), fault_breakpoint(void), float_touch(u32), svc_0(void);

#define NOWHERE 0x80000000u

// B3.2.8.
static void ignored(void)
{
    section("faults ignored at a negative priority");
    CCR = 0x300;
    WRITE(faultmask, 1);
    fault_load(NOWHERE + 4);
    fault_store(NOWHERE + 8);
    WRITE(faultmask, 0);
    status();
    put("\n");
}

// B3.5.3: subregions smaller than what QEMU keeps translated.
static void small_subregions(void)
{
    section("subregions of 512 bytes");
    actions[HARD_FAULT] = skip;
    region(0, 0, 32, 3 << 24);
    region(4, 0x20013000, 12, 0 << 24 | 0x55 << 8);
    MPU_CTRL = 1;
    BARRIER();
    for (u32 at = 0; at < 0x1000; at += 0x200) fault_load(0x20013000 + at);
}

// B3.2.4: VECTPENDING regards BASEPRI and FAULTMASK, and not PRIMASK.
static void pending_under_masks(void)
{
    section("vectpending under masks");
    WRITE(primask, 1);
    interrupt(0, 0x60, 0);
    interrupt(1, 0x80, 0);
    ISPR = 3;
    BARRIER();
    for (u32 base = 0; base < 0xa0; base += 0x20) {
        WRITE(basepri, base);
        show("basepri", base);
        show("icsr", ICSR);
        put("\n");
    }
    WRITE(basepri, 0);
    ICPR = 1;
    show("icsr", ICSR);
    WRITE(faultmask, 1);
    show("icsr", ICSR);
    put("\n");
}

static u32 try_faultmask(struct frame *f, u32 r)
{
    WRITE(faultmask, 1);
    show("   faultmask", READ(faultmask));
    put("\n");
    return 0;
}

// B5.2.3: FAULTMASK can not be set at a negative priority.
static void faultmask_in_nmi(void)
{
    section("faultmask in nmi");
    actions[NMI] = try_faultmask;
    ICSR = 1u << 31;
    BARRIER();
}

// C1.6.4 and B3.2.16: a BKPT that DebugMonitor does not take is a HardFault with HFSR.DEBUGEVT.
static void breakpoint(void)
{
    section("breakpoint");
    actions[DEBUG_MONITOR] = actions[HARD_FAULT] = skip;
    fault_breakpoint();
    show("dfsr", DFSR);
    DFSR = 2;
    DEMCR = 1 << 16;
    fault_breakpoint();
    show("dfsr", DFSR);
    DFSR = 2;
    show("dfsr", DFSR);
    put("\n");
}

static volatile u32 ticks;

static u32 last_tick(struct frame *f, u32 r)
{
    if (++ticks == 3) {
        SYST_CSR = 0;
        ICSR = 1 << 25;
        SCR = 0;
    }
    return 0;
}

static u32 show_frame(struct frame *f, u32 r)
{
    put("   ");
    show("aligned", f->xpsr >> 9 & 1);
    show("at", (u32)f & 0xfff);
    show("fpcar", FPCAR & 0xfff);
    put("\n");
    return 0;
}

static void call_with_float(void)
{
    float_touch(1);
    svc_0();
}

// B1.5.7: a frame with floating-point registers is aligned whatever CCR.STKALIGN says.
static void float_frames(void)
{
    section("frames with floating point");
    actions[SV_CALL] = show_frame;
    CCR = 0;
    for (u32 sp = 0; sp <= 4; sp += 4) {
        call_on_process_stack(call_with_float, (u32)process_stack - 0x40 - sp, 2);
        show("psp", READ(psp) & 0xfff);
        put("\n");
    }
}

// B1.5.18.
static void sleep_on_exit(void)
{
    section("sleep on exit");
    quiet = 1;
    actions[SYS_TICK] = last_tick;
    ticks = 0;
    SYST_RVR = 5000;
    SYST_CVR = 0;
    SYST_CSR = 7;
    SCR = 2;
    BARRIER();
    __asm volatile("wfi");
    show("ticks", ticks);
    put("\n");
}

// B3.2.7, and the Cortex-M4 Technical Reference Manual, 4.1.
static void registers_of_the_m4(void)
{
    section("registers");
    keeps("scr", 0xe000ed10);
    show("cpuid", REG(0xe000ed00));
    for (u32 at = 0xe000ed40; at <= 0xe000ed70; at += 4) show("id", REG(at));
    put("\n");
}

// C1.8 and C1.6.5: the cycle counter counts where both enables are set.
static void cycles(void)
{
    section("cycle counter");
    REG(0xe0001000) = 1;
    REG(0xe0001004) = 100;
    show("off", REG(0xe0001004));
    DEMCR = 1 << 24;
    REG(0xe0001004) = 0;
    u32 first = REG(0xe0001004), second = REG(0xe0001004);
    show("counts", second > first);
    REG(0xe0001000) = 0;
    first = REG(0xe0001004);
    show("stands", REG(0xe0001004) == first);
    put("\n");
}

int main(void)
{
    start_log("manual");
    ignored();
    small_subregions();
    pending_under_masks();
    faultmask_in_nmi();
    breakpoint();
    float_frames();
    sleep_on_exit();
    registers_of_the_m4();
    cycles();
    end_log();
}
