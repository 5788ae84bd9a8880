@ As start.S, for ARMv6-M: with 16-bit instructions.
        .syntax unified
        .cpu cortex-m0
        .thumb

        .section .vectors, "a"
        .global vectors
vectors:
        .word main_stack
        .word reset + 1
        .rept 46
        .word handler + 1
        .endr

        .text
        .thumb_func
        .global reset
reset:
        ldr r0, =bss_start
        ldr r1, =bss_end
        movs r2, #0
1:      cmp r0, r1
        beq 2f
        stmia r0!, {r2}
        b 1b
2:      bl main
        b .

@ u32 dispatch(u32 exc_return, u32 frame): where the frame is, and where to return to.
        .thumb_func
handler:
        mov r0, lr
        movs r1, #4
        tst r0, r1
        bne 1f
        mrs r1, msp
        b 2f
1:      mrs r1, psp
2:      push {r4, lr}
        bl dispatch
        pop {r4}
        pop {r1}
        bx r0

@ void call_on_process_stack(void (*function)(void), u32 sp, u32 control)
        .thumb_func
        .global call_on_process_stack
call_on_process_stack:
        push {r4, lr}
        mov r4, sp
        msr psp, r1
        msr control, r2
        isb
        blx r0
        movs r0, #0
        msr control, r0
        isb
        mov sp, r4
        pop {r4, pc}

@ Instructions that fault. The handler goes on at r12.
        .macro site name
        .balign 4
        .thumb_func
        .global \name
\name:
        .endm
        .macro resume label
        adr r3, \label
        mov r12, r3
        .endm

        site fault_undefined
        resume 1f
        udf #1
        .balign 4
1:      bx lr
        site fault_state
        mov r2, lr
        resume 1f
        ldr r1, =vectors
        blx r1
        .balign 4
1:      bx r2
        site fault_load         @ (address)
        resume 1f
        ldr r1, [r0]
        .balign 4
1:      bx lr
        site fault_load_half    @ (address)
        resume 1f
        ldrh r1, [r0]
        .balign 4
1:      bx lr
        site fault_store        @ (address)
        resume 1f
        str r1, [r0]
        .balign 4
1:      bx lr
        site fault_load_many    @ (address)
        resume 1f
        ldmia r0!, {r1, r2}
        .balign 4
1:      bx lr
        site fault_jump         @ (address)
        mov r2, lr
        resume 1f
        movs r1, #1
        orrs r0, r1
        blx r0
        .balign 4
1:      bx r2
        site svc_0
        svc #0
        bx lr
        site unmask_by_cps
        cpsie i
        nop
        bx lr

@ void semihost(u32 operation, const void *argument)
        site semihost
        bkpt #0xab
        bx lr
        .pool
