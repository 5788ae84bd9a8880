// Runs one kernel without an operating system, on the devices that board.h's functions drive: virt.c or mps2.c.
//
// It says what ../main.c says, except for the processor time, and takes the number of iterations from the line that it
// waits for: @ready, then a line with a number, @start NAME, @end NAME CHECKSUM 0. Then it switches the machine off.
#include "../bench.h"
#include "board.h"

extern const struct kernel KERNEL;

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
    for (; *text; text++)
        board_send((uint8_t)*text);
}

static uint32_t line(void) {
    uint32_t number = 0;
    for (;;) {
        uint8_t byte = board_receive();
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
    board_pause();
    uint64_t sum = KERNEL.run(iterations);
    text("@end ");
    text(KERNEL.name);
    text(" ");
    for (int i = 60; i >= 0; i -= 4) {
        char digit[2] = {"0123456789abcdef"[sum >> i & 15], 0};
        text(digit);
    }
    text(" 0\n");
    board_pause();
    board_off();
}
