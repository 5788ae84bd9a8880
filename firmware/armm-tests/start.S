@ Vectors, the one handler behind them, and code whose addresses the log tells.
        .syntax unified
        .cpu cortex-m4
        .fpu fpv4-sp-d16
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
        tst lr, #4
        ite eq
        mrseq r1, msp
        mrsne r1, psp
        push {r4, lr}
        bl dispatch
        @ Both ways of returning, by the number's lowest bit.
        mrs r1, ipsr
        tst r1, #1
        beq 1f
        str r0, [sp, #4]
        pop {r4, pc}
1:      pop {r4, lr}
        bx r0

@ void call_on_process_stack(void (*function)(void), u32 sp, u32 control)
        .thumb_func
        .global call_on_process_stack
call_on_process_stack:
        push {r4, r5, r6, lr}
        mov r4, sp
        msr psp, r1
        msr control, r2
        isb
        blx r0
        @ What was called is privileged again.
        movs r0, #0
        msr control, r0
        isb
        mov sp, r4
        pop {r4, r5, r6, pc}

@ Instructions that fault. The handler goes on at r12 unless it is zero, so each sets it first.
        .macro site name
        .thumb_func
        .global \name
\name:
        .endm
        .macro resume label
        adr r12, \label
        .endm

        .balign 4
        site fault_undefined
        resume 1f
        udf #1
        .balign 4
1:      bx lr
        .balign 4
        site fault_undefined_wide
        resume 1f
        udf.w #1
        .balign 4
1:      bx lr
        .balign 4
        site fault_state
        mov r2, lr
        resume 1f
        ldr r1, =vectors
        blx r1
        .balign 4
1:      bx r2
        .balign 4
        site fault_coprocessor
        resume 1f
        mrc p7, 0, r1, c0, c0, 0
        .balign 4
1:      bx lr
        .balign 4
        site fault_float
        resume 1f
        vmov s0, r1
        .balign 4
1:      bx lr
        .balign 4
        site fault_load         @ (address)
        resume 1f
        ldr r1, [r0]
        .balign 4
1:      bx lr
        .balign 4
        site fault_store        @ (address)
        resume 1f
        str r1, [r0]
        .balign 4
1:      bx lr
        .balign 4
        site fault_load_many    @ (address)
        resume 1f
        ldmia r0, {r1, r2}
        .balign 4
1:      bx lr
        .balign 4
        site fault_divide
        resume 1f
        movs r1, #7
        movs r2, #0
        udiv r1, r1, r2
        .balign 4
1:      bx lr
        .balign 4
        site fault_jump         @ (address)
        mov r2, lr
        resume 1f
        orr r0, r0, #1
        blx r0
        .balign 4
1:      bx r2
        .balign 4
        site fault_in_it        @ (address): the second of four instructions faults
        resume 1f
        movs r1, #0
        cmp r1, #0
        itete eq
        addeq r1, r1, #1
        ldrne r1, [r0]
        ldreq r2, [r0]
        addne r1, r1, #16
        .balign 4
1:      bx lr
        .balign 4
        site fault_svc
        svc #42
        bx lr
        .balign 4
        site fault_breakpoint
        resume 1f
        bkpt #1
        .balign 4
1:      bx lr

@ u32 it_survives(void): an SVC in the middle of an IT block.
        .balign 4
        site it_survives
        movs r0, #0
        cmp r0, #0
        itttt eq
        addeq r0, r0, #1
        svceq #1
        addeq r0, r0, #2
        addeq r0, r0, #4
        it ne
        addne r0, r0, #8
        bx lr

@ void unmask_by_basepri(void), unmask_by_cps(void): the address behind the first instruction is logged.
        .balign 4
        site unmask_by_basepri
        movs r0, #0
        msr basepri, r0
        nop
        bx lr
        .balign 4
        site unmask_by_cps
        cpsie i
        nop
        bx lr

@ Floating point: s0 to s31 become r0 plus their number, FPSCR r1.
        .balign 4
        site float_fill
        vmov s0, r0
        vmov s1, r0
        .irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        adds r2, r0, #\n
        vmov s\n, r2
        .endr
        adds r2, r0, #1
        vmov s1, r2
        vmsr fpscr, r1
        bx lr
@ void float_store(u32 *to): s0 to s31 and FPSCR.
        .balign 4
        site float_store
        vstmia r0!, {s0-s31}
        vmrs r1, fpscr
        str r1, [r0]
        bx lr
        .balign 4
        site float_touch
        vmov s0, r0
        bx lr
        .balign 4
        site float_s0
        vmov r0, s0
        bx lr

        .balign 4
        site svc_0
        svc #0
        bx lr
        .balign 4
        site svc_2
        svc #2
        bx lr
        .balign 4
        site wait_for_interrupt
        wfi
        bx lr
        .balign 4
        site wait_for_event
        wfe
        bx lr

@ Semihosting: the program ends.
        .balign 4
        site leave
        movs r0, #0x18
        ldr r1, =0x20026
        bkpt #0xab
        b .
        .pool
