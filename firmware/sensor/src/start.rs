//! Reset, traps and sleep.
#![allow(unsafe_code, reason = "startup and traps are assembly")]

use core::arch::{asm, global_asm};

// The boot loader jumps here in M-mode, interrupts off.
global_asm!(
    r#"
    .section .text.entry, "ax"
    .global _start
_start:
    csrw mie, zero
    csrci mstatus, 8
    la t0, trap_vector
    csrw mtvec, t0
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, _stack
    la t0, _data_source
    la t1, _data
    la t2, _data_end
1:  bgeu t1, t2, 2f
    lw t3, (t0)
    sw t3, (t1)
    addi t0, t0, 4
    addi t1, t1, 4
    j 1b
2:  la t1, _bss
    la t2, _bss_end
3:  bgeu t1, t2, 4f
    sw zero, (t1)
    addi t1, t1, 4
    j 3b
4:  tail {main}

    # Interrupts never trap here, they only end a wfi. A fault of the load in probe_word is its answer, any other is ours.
    .balign 4
trap_vector:
    addi sp, sp, -16
    sw t0, 0(sp)
    sw t1, 4(sp)
    csrr t0, mepc
    la t1, probe_load
    bne t0, t1, 5f
    addi t0, t0, 4
    csrw mepc, t0
    li a1, 1
    lw t0, 0(sp)
    lw t1, 4(sp)
    addi sp, sp, 16
    mret
5:  csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    la sp, _stack
    tail {trap}

    # a0 = address: returns the word there in a0 and whether the load faulted in a1.
    .global probe_word
probe_word:
    li a1, 0
    .option push
    .option norvc
probe_load:
    lw a0, (a0)
    .option pop
    ret
    "#,
    main = sym crate::start,
    trap = sym trap,
);

#[repr(C)]
struct Probe {
    value: u32,
    faulted: u32,
}

unsafe extern "C" {
    fn probe_word(address: usize) -> Probe;
}

/// Whether a load from `address` succeeds: for devices that a board may lack.
pub fn exists(address: usize) -> bool {
    // SAFETY: the trap vector catches the fault of this one load.
    let probe = unsafe { probe_word(address) };
    let _ = probe.value;
    probe.faulted == 0
}

extern "C" fn trap(cause: usize, pc: usize, value: usize) -> ! {
    crate::println!("sensor: trap: mcause {cause:#x} mepc {pc:#x} mtval {value:#x}");
    // The watchdog starts us again.
    loop {
        wait();
    }
}

/// Machine external interrupts, in `mie`.
const EXTERNAL: usize = 1 << 11;
/// Machine timer interrupts, in `mie`.
const TIMER: usize = 1 << 7;

/// Lets the timer and the PLIC end a [`wait`]. They never trap: `mstatus.MIE` stays 0.
pub fn enable_wakeups() {
    // SAFETY: with mstatus.MIE clear, mie only decides what ends a wfi.
    unsafe { asm!("csrs mie, {}", in(reg) EXTERNAL | TIMER) }
}

/// Sleeps until an enabled interrupt is pending.
pub fn wait() {
    // SAFETY: waits.
    unsafe { asm!("wfi") }
}

/// Cycles of the core since reset, modulo 2^32.
pub fn cycles() -> u32 {
    let value;
    // SAFETY: reads a CSR.
    unsafe { asm!("csrr {}, mcycle", out(reg) value, options(nomem)) }
    value
}
