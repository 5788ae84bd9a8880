//! Entry from SBI firmware, traps, and the stop of a hart that has nothing to do.
#![allow(unsafe_code, reason = "startup and traps are assembly")]

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::sbi;

// The SBI starts one hart at _start with a0 = hart id and a1 = devicetree, interrupts off, MMU off.
global_asm!(
    r#"
    .section .text.entry, "ax"
    .global _start
_start:
    csrw sie, zero
    csrci sstatus, 2
    la t0, trap_vector
    csrw stvec, t0
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, _stack
    la t0, _bss
    la t1, _bss_end
1:  bgeu t0, t1, 2f
    sd zero, (t0)
    addi t0, t0, 8
    j 1b
2:  tail {main}

    # Nothing here takes interrupts by trap (they only end a wfi), so a trap is a fault of ours.
    .balign 4
trap_vector:
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    la sp, _stack
    tail {trap}

    # Other harts say that they run, then sleep for good: a0 = hart id, no stack needed.
    .global park_hart
park_hart:
    csrw sie, zero
    la t0, {parked}
    li t1, 1
    amoadd.d zero, t1, (t0)
1:  wfi
    j 1b
    "#,
    main = sym crate::start,
    trap = sym trap,
    parked = sym PARKED,
);

unsafe extern "C" {
    fn park_hart();
    static _end: u8;
}

static PARKED: AtomicUsize = AtomicUsize::new(0);

/// How many other harts have come up and sleep.
pub fn parked_harts() -> usize {
    PARKED.load(Ordering::Relaxed)
}

/// Where a started hart begins.
pub fn park_entry() -> usize {
    park_hart as *const () as usize
}

/// First address after the image and its stack.
pub fn image_end() -> usize {
    (&raw const _end) as usize
}

extern "C" fn trap(cause: usize, pc: usize, value: usize) -> ! {
    crate::println!("tv: trap: scause {cause:#x} sepc {pc:#x} stval {value:#x}");
    sbi::system_reset(sbi::Reset::Shutdown, sbi::Reason::Failure)
}

/// Supervisor external interrupts, in `sie` and `sip`.
pub const EXTERNAL: usize = 1 << 9;
/// Supervisor timer interrupts, in `sie` and `sip`.
pub const TIMER: usize = 1 << 5;

/// Lets the given interrupts end a [`wait`]. They never trap: `sstatus.SIE` stays 0.
pub fn enable(interrupts: usize) {
    // SAFETY: with sstatus.SIE clear, sie only decides what ends a wfi.
    unsafe { asm!("csrs sie, {}", in(reg) interrupts) }
}

/// Interrupts that are pending.
pub fn pending() -> usize {
    let value;
    // SAFETY: reads a CSR.
    unsafe { asm!("csrr {}, sip", out(reg) value) }
    value
}

/// Sleeps until an enabled interrupt is pending; returns at once where one already is.
pub fn wait() {
    // SAFETY: waits; memory may have been written by a device meanwhile, which asm! without nomem covers.
    unsafe { asm!("wfi") }
}

/// Ticks of the timer since reset.
pub fn ticks() -> u64 {
    let value: usize;
    // SAFETY: reads a CSR.
    unsafe { asm!("rdtime {}", out(reg) value, options(nomem)) }
    value as u64
}

/// Sets the Sstc timer compare register; only where the devicetree lists the extension.
pub fn set_stimecmp(at: u64) {
    // SAFETY: stimecmp (0x14d) exists by the caller's check and only sets when the timer interrupt becomes pending.
    unsafe { asm!("csrw 0x14d, {}", in(reg) at) }
}

/// Loads from address 0, where no board of ours has memory: shows how a trap is reported.
pub fn fault() {
    // SAFETY: the load traps and does not return.
    unsafe { asm!("ld zero, 0(zero)") }
}
