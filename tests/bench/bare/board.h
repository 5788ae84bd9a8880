// What a board without an operating system has to offer.
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define REGISTER(type, address) (*(volatile type *)(address))

void board_send(uint8_t byte);
// Waits for a byte.
uint8_t board_receive(void);
// Lets what was sent leave the machine: sleeps for a few milliseconds.
void board_pause(void);
__attribute__((noreturn)) void board_off(void);

// Where the start code goes on.
__attribute__((noreturn)) void run(void);

#endif
