// Arm's MPS2 with the Cortex-M4 of AN386: CMSDK UART0, SysTick, and semihosting to end.
#include "board.h"

#define UART_DATA REGISTER(uint32_t, 0x40004000)
#define UART_STATE REGISTER(uint32_t, 0x40004004)
#define UART_CONTROL REGISTER(uint32_t, 0x40004008)
#define UART_DIVIDER REGISTER(uint32_t, 0x40004010)
#define TICK_CONTROL REGISTER(uint32_t, 0xe000e010)
#define TICK_RELOAD REGISTER(uint32_t, 0xe000e014)
#define TICK_VALUE REGISTER(uint32_t, 0xe000e018)
#define COPROCESSORS REGISTER(uint32_t, 0xe000ed88)

enum { FULL = 1, RECEIVED = 2, ENABLE = 3, LEAST_DIVIDER = 16, FPU = 0xf << 20 };
enum { TICKS_OF_3_MS = 75000, TICK_ON = 7, TICKED = 1 << 16, EXIT = 0x18, APPLICATION_EXIT = 0x20026 };

extern char stack_top[];
static volatile uint32_t ticks;

static void tick(void) { ticks++; }

static void stuck(void) {
    for (;;)
        ;
}

__attribute__((used)) static void reset(void) {
    COPROCESSORS |= FPU;
    __asm__ volatile("dsb\n isb");
    UART_DIVIDER = LEAST_DIVIDER;
    UART_CONTROL = ENABLE;
    run();
}

__attribute__((used, section(".start"))) static const void *const vectors[16] = {
    stack_top, reset, stuck, stuck, stuck, stuck, stuck, 0, 0, 0, 0, stuck, stuck, 0, stuck, tick,
};

void board_send(uint8_t byte) {
    while (UART_STATE & FULL)
        ;
    UART_DATA = byte;
}

uint8_t board_receive(void) {
    while (!(UART_STATE & RECEIVED))
        ;
    return (uint8_t)UART_DATA;
}

void board_pause(void) {
    TICK_RELOAD = TICKS_OF_3_MS - 1;
    TICK_VALUE = 0;
    uint32_t before = ticks;
    TICK_CONTROL = TICK_ON;
    while (ticks == before)
        __asm__ volatile("wfi" ::: "memory");
    TICK_CONTROL = 0;
}

void board_off(void) {
    register uint32_t operation __asm__("r0") = EXIT;
    register uint32_t reason __asm__("r1") = APPLICATION_EXIT;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason) : "memory");
    for (;;)
        ;
}
