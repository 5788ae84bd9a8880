// Runs one kernel without an operating system, in machine mode on the devices of QEMU's virt machines: the 16550A
// serial port, the CLINT's timer and the SiFive test device.
//
// It says what ../main.c says, except for the processor time, and takes the number of iterations from the line that it
// waits for: @ready, then a line with a number, @start NAME, @end NAME CHECKSUM 0. Then it switches the machine off.
#include "../bench.h"

extern const struct kernel KERNEL;

#define REGISTER(type, address) (*(volatile type *)(address))
#define UART_DATA REGISTER(uint8_t, 0x10000000)
#define UART_STATUS REGISTER(uint8_t, 0x10000005)
#define POWER REGISTER(uint32_t, 0x100000)
#define TIME(half) REGISTER(uint32_t, 0x200bff8 + 4 * (half))
#define ALARM(half) REGISTER(uint32_t, 0x2004000 + 4 * (half))

enum { RECEIVED = 0x01, SENT_ALL = 0x40, OFF = 0x5555, TICKS_OF_3_MS = 30000, TIMER_INTERRUPT = 1 << 7 };

__attribute__((naked, used, section(".start"))) void start(void) {
    __asm__("la sp, stack_top\n"
            "j run");
}

// The compiler may put calls of these in.
void *memcpy(void *to, const void *from, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

static void text(const char *text) {
    for (; *text; text++) {
        while (!(UART_STATUS & SENT_ALL))
            ;
        UART_DATA = (uint8_t)*text;
    }
}

// Lets what was sent leave the machine: waits, asleep, for the timer's interrupt to be pending.
static void pause(void) {
    while (!(UART_STATUS & SENT_ALL))
        ;
    uint32_t high = TIME(1), low = TIME(0);
    uint64_t alarm = ((uint64_t)high << 32 | low) + TICKS_OF_3_MS;
    ALARM(1) = UINT32_MAX;
    ALARM(0) = (uint32_t)alarm;
    ALARM(1) = (uint32_t)(alarm >> 32);
    __asm__ volatile("csrs mie, %0" : : "r"(TIMER_INTERRUPT));
    uint32_t pending;
    do
        __asm__ volatile("wfi\n csrr %0, mip" : "=r"(pending) : : "memory");
    while (!(pending & TIMER_INTERRUPT));
}

static uint32_t line(void) {
    uint32_t number = 0;
    for (;;) {
        while (!(UART_STATUS & RECEIVED))
            ;
        uint8_t byte = UART_DATA;
        if (byte == '\n' || byte == '\r')
            return number;
        number = number * 10 + (byte - '0');
    }
}

__attribute__((used, noreturn)) void run(void) {
    if (KERNEL.prepare)
        KERNEL.prepare();
    text("@ready\n");
    uint32_t iterations = line();
    text("@start ");
    text(KERNEL.name);
    text("\n");
    pause();
    uint64_t sum = KERNEL.run(iterations);
    text("@end ");
    text(KERNEL.name);
    text(" ");
    for (int i = 60; i >= 0; i -= 4) {
        char digit[2] = {"0123456789abcdef"[sum >> i & 15], 0};
        text(digit);
    }
    text(" 0\n");
    pause();
    POWER = OFF;
    for (;;)
        ;
}
