//! Calls to the firmware below us: RISC-V Supervisor Binary Interface 2.0.
#![allow(unsafe_code, reason = "ecall")]

use core::arch::asm;

const BASE: usize = 0x10;
const TIME: usize = 0x5449_4d45;
const HSM: usize = 0x48_534d;
const SRST: usize = 0x5352_5354;
const DBCN: usize = 0x4442_434e;

/// The SBI's error code where it is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub isize);

fn call(extension: usize, function: usize, args: [usize; 3]) -> Result<usize, Error> {
    let (error, value): (isize, usize);
    // SAFETY: the SBI preserves all registers but a0 and a1, and touches memory only as the call says.
    unsafe {
        asm!("ecall", inlateout("a0") args[0] => error, inlateout("a1") args[1] => value, in("a2") args[2],
            in("a6") function, in("a7") extension);
    }
    if error == 0 { Ok(value) } else { Err(Error(error)) }
}

/// Version as (major, minor).
pub fn version() -> (usize, usize) {
    let v = call(BASE, 0, [0; 3]).unwrap_or(0);
    (v >> 24 & 0x7f, v & 0xff_ffff)
}

/// Name of the implementation, as far as we know it.
pub fn implementation() -> &'static str {
    match call(BASE, 1, [0; 3]) {
        Ok(0) => "BBL",
        Ok(1) => "OpenSBI",
        Ok(3) => "KVM",
        Ok(4) => "RustSBI",
        Ok(5) => "Diosix",
        // Not registered with the specification: spells "hype".
        Ok(0x6879_7065) => "hyperemu",
        Ok(_) => "unknown firmware",
        Err(_) => "none",
    }
}

/// Raises the supervisor timer interrupt at `at` ticks.
pub fn set_timer(at: u64) {
    let _ = call(TIME, 0, [at as usize, 0, 0]);
}

/// Starts a stopped hart at a physical address, with its id in a0 and `argument` in a1.
pub fn hart_start(hart: usize, at: usize, argument: usize) -> Result<(), Error> {
    call(HSM, 0, [hart, at, argument]).map(drop)
}

/// Writes to the debug console.
pub fn console_write(text: &[u8]) -> Result<usize, Error> {
    call(DBCN, 0, [text.len(), text.as_ptr() as usize, 0])
}

/// What follows a reset.
#[derive(Clone, Copy, Debug)]
pub enum Reset {
    Shutdown = 0,
    ColdReboot = 1,
}

/// Why a reset is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Reason {
    None = 0,
    Failure = 1,
}

/// Ends or restarts the machine.
pub fn system_reset(kind: Reset, reason: Reason) -> ! {
    let _ = call(SRST, 0, [kind as usize, reason as usize, 0]);
    // Only a firmware without SRST gets here.
    loop {
        crate::start::wait();
    }
}
