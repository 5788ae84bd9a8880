/* Local interrupts of a RISC-V hart: the causes of the privileged specification. */
#ifndef _DT_BINDINGS_INTERRUPT_CONTROLLER_RISCV_HART_H
#define _DT_BINDINGS_INTERRUPT_CONTROLLER_RISCV_HART_H

#define HART_SOFT_S 1
#define HART_SOFT_M 3
#define HART_TIMER_S 5
#define HART_TIMER_M 7
#define HART_EXT_S 9
#define HART_EXT_M 11

#endif
