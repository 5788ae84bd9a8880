// The log by the board's first UART (CMSDK APB UART), and the handler of all exceptions.
#include "base.h"

#if __ARM_ARCH == 6
extern void semihost(u32 operation, const void *argument);

static void character(char c)
{
    semihost(3, &c);
}

static void leave(void)
{
    semihost(0x18, (void *)0x20026);
}
#else
extern __attribute__((noreturn)) void leave(void);

#define UART(offset) REG(0x40004000 + (offset))

static void character(char c)
{
    while (UART(4) & 1) {}
    UART(0) = c;
}
#endif

action *actions[48];
int quiet;

void put(const char *text)
{
    while (*text) character(*text++);
}

void hex(u32 value)
{
    int digits = 1;
    for (u32 rest = value >> 4; rest; rest >>= 4) digits++;
    while (digits--) character("0123456789abcdef"[value >> 4 * digits & 15]);
}

void show(const char *name, u32 value)
{
    put(" ");
    put(name);
    put("=");
    hex(value);
}

void line(const char *text)
{
    put(text);
    put("\n");
}

void section(const char *name)
{
    quiesce();
    put("== ");
    line(name);
}

// What faults left, which it clears.
void status(void)
{
    u32 cfsr = CFSR, hfsr = HFSR;
    show("cfsr", cfsr);
    show("hfsr", hfsr);
    if (cfsr & 0x80) show("mmfar", MMFAR);
    if (cfsr & 0x8000) show("bfar", BFAR);
    CFSR = cfsr;
    HFSR = hfsr;
}

// Synchronous exceptions: where their frame leads to is the same everywhere.
static int synchronous(u32 number)
{
    return number >= HARD_FAULT && number <= DEBUG_MONITOR;
}

u32 dispatch(u32 exc_return, struct frame *frame)
{
    u32 number = READ(ipsr);
    if (!quiet) {
        put("  >");
        show("n", number);
        show("lr", exc_return);
        show(exc_return & 4 ? "psp" : "msp", (u32)frame & 0xffff);
#if __ARM_ARCH == 6
        show("icsr", ICSR & ~(1u << 11));
#else
        // What pends under a mask is told by manual.c.
        show("icsr", READ(basepri) || READ(faultmask) ? ICSR & ~(511u << 12) : ICSR);
#endif
        show("shcsr", SHCSR);
        show("iabr", IABR);
        show("control", READ(control));
        if (synchronous(number)) status();
        put("\n");
    }
    u32 other = actions[number] ? actions[number](frame, exc_return) : 0;
    if (!quiet) {
        put("  <");
        show("n", number);
        put("\n");
    }
    return other ? other : exc_return;
}

// Goes on at r12 of the frame, outside of an IT block and in Thumb state.
u32 skip(struct frame *frame, u32 exc_return)
{
    (void)exc_return;
    put("   ");
    show("pc", frame->pc);
    show("xpsr", frame->xpsr & 0x0700fdff);
    put("\n");
    frame->pc = frame->r12;
    frame->xpsr = (frame->xpsr & ~0x0600fc00) | 1 << 24;
    return 0;
}

void priority(u32 number, u32 value)
{
    // By words, which is all that ARMv6-M has.
    volatile u32 *word = number >= IRQ0 ? &REG(0xe000e400 + (number - IRQ0) / 4 * 4) : &SHPR(number / 4 - 1);
    u32 shift = 8 * (number % 4);
    *word = (*word & ~(255u << shift)) | value << shift;
}

void pend(u32 irq)
{
    ISPR = 1 << irq;
    BARRIER();
}

void interrupt(u32 irq, u32 level, action *act)
{
    priority(IRQ0 + irq, level);
    actions[IRQ0 + irq] = act;
    ISER = 1 << irq;
    BARRIER();
}

void region(u32 number, u32 base, u32 log2, u32 attributes)
{
    MPU_RBAR = base | 0x10 | number;
    MPU_RASR = attributes | (log2 - 1) << 1 | 1;
}

void quiesce(void)
{
    WRITE(primask, 0);
#if __ARM_ARCH != 6
    WRITE(basepri, 0);
    WRITE(faultmask, 0);
#endif
    SYST_CSR = 0;
    ICER = 0xffffffff;
    ICPR = 0xffffffff;
    ICSR = 1 << 27 | 1 << 25;
    MPU_CTRL = 0;
    SHCSR = 0;
    SCR = 0;
    CCR = 0x200;
    DEMCR = 0;
    AIRCR = 0x05fa0000;
    CPACR = 0xf << 20;
    BARRIER();
    FPCCR = 0xc0000000;
    CFSR = 0xffffffff;
    HFSR = 0xffffffff;
    DFSR = 0xffffffff;
    for (int i = 0; i < 32; i += 4) REG(0xe000e400 + i) = 0;
    for (int i = 0; i < 3; i++) SHPR(i) = 0;
    for (int i = 0; i < 48; i++) actions[i] = 0;
    quiet = 0;
    WRITE(control, 0);
}

void keeps(const char *name, u32 address)
{
    u32 old = REG(address);
    put(name);
    show("reads", old);
    REG(address) = 0xffffffff;
    BARRIER();
    show("ones", REG(address));
    REG(address) = 0;
    BARRIER();
    show("zeros", REG(address));
    REG(address) = old;
    BARRIER();
    put("\n");
}

void start_log(const char *name)
{
#if __ARM_ARCH != 6
    UART(16) = 217;
    UART(8) = 1;
#endif
    put("armm-tests: ");
    line(name);
}

void end_log(void)
{
    quiesce();
    line("armm-tests: done");
    // Where there is no semihosting, its call is a fault without end.
    quiet = 1;
    leave();
    for (;;) {}
}
