//! What is where: the FE310-G002's memory map, the HiFive1 rev B's wiring and our additions to it.

#![allow(unsafe_code, reason = "addresses become registers")]

use mmio::Regs;

/// A device of the FE310-G002 (manual, chapter 4).
const fn device(base: usize) -> Regs {
    // SAFETY: each address below is a device of the chip this image is made for; I2C is probed before use.
    unsafe { Regs::new(base) }
}

pub const CLINT: Regs = device(0x0200_0000);
pub const PLIC: Regs = device(0x0c00_0000);
pub const AON: Regs = device(0x1000_0000);
pub const PRCI: Regs = device(0x1000_8000);
pub const GPIO: Regs = device(0x1001_2000);
pub const UART0: Regs = device(0x1001_3000);
pub const I2C0: Regs = device(0x1001_6000);

/// Interrupt sources of the PLIC (manual, chapter 10).
pub const IRQ_UART0: u32 = 3;
pub const IRQ_BUTTON: u32 = 8 + BUTTON;
pub const IRQ_I2C0: u32 = 52;

/// Pins.
pub const UART0_PINS: u32 = 1 << 16 | 1 << 17;
pub const I2C0_PINS: u32 = 1 << 12 | 1 << 13;
/// Pressed is low.
pub const BUTTON: u32 = 11;
/// Lit is low.
pub const LED_GREEN: u32 = 19;
pub const LED_RED: u32 = 22;

/// The low-frequency crystal, which `mtime` and the watchdog count, in Hz.
pub const LOW_CLOCK: u32 = 32_768;
