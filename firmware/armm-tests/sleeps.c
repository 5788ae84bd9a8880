// WFI, WFE, SLEEPONEXIT, SysTick.
#include "base.h"

extern void wait_for_interrupt(void), wait_for_event(void);

static volatile u32 ticks;

static u32 tick(struct frame *f, u32 r)
{
    ticks++;
    return 0;
}

static u32 last_tick(struct frame *f, u32 r)
{
    if (++ticks == 3) {
        SYST_CSR = 0;
        ICSR = 1 << 25;
        SCR = 0;
    }
    return 0;
}

static void start(u32 reload, u32 control)
{
    ticks = 0;
    SYST_RVR = reload;
    SYST_CVR = 0;
    SYST_CSR = control;
}

void sleeps(void)
{
    section("wfi");
    quiet = 1;
    actions[SYS_TICK] = last_tick;
    start(5000, 7);
    while (ticks < 3) wait_for_interrupt();
    show("ticks", ticks);
    put("\n");

    section("wfi wakes under primask");
    quiet = 1;
    actions[SYS_TICK] = tick;
    WRITE(primask, 1);
    start(5000, 7);
    wait_for_interrupt();
    SYST_CSR = 0;
    show("ticks", ticks);
    show("pending", ICSR >> 26 & 1);
    WRITE(primask, 0);
    show("ticks", ticks);
    put("\n");

    section("wfe");
    __asm volatile("sev");
    wait_for_event();
    line("after an event");
    interrupt(0, 0x40, 0);
    pend(0);
    wait_for_event();
    line("after an exception");
    ICER = 1;
    SCR = 0x10;
    __asm volatile("sev\n wfe");
    pend(0);
    wait_for_event();
    line("after what pends, disabled");
    SCR = 0;
    ICPR = 1;

    section("systick");
    start(0xffffff, 5);
    u32 a, b;
    // It is zero until it is reloaded.
    do a = SYST_CVR;
    while (a == 0);
    do b = SYST_CVR;
    while (a == b);
    show("counts down", a > b);
    show("control", SYST_CSR);
    start(2000, 5);
    u32 flag = 0;
    for (int i = 0; i < 100000 && !flag; i++) flag = SYST_CSR >> 16;
    SYST_CSR = 0;
    show("flag", flag);
    show("cleared", SYST_CSR >> 16);
    SYST_RVR = 0xffffffff;
    show("reload", SYST_RVR);
    SYST_CVR = 0x1234;
    show("current", SYST_CVR);
    put("\n");
}
