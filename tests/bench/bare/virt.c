// QEMU's virt machines in machine mode: the 16550A serial port, the CLINT's timer and the SiFive test device.
#include "board.h"

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

void board_send(uint8_t byte) {
    while (!(UART_STATUS & SENT_ALL))
        ;
    UART_DATA = byte;
}

uint8_t board_receive(void) {
    while (!(UART_STATUS & RECEIVED))
        ;
    return UART_DATA;
}

void board_pause(void) {
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

void board_off(void) {
    POWER = OFF;
    for (;;)
        ;
}
