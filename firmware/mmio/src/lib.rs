//! Volatile access to device registers.
#![no_std]
#![allow(unsafe_code)]

use core::ptr;

/// A block of device registers at a fixed physical address.
#[derive(Clone, Copy, Debug)]
pub struct Regs {
    base: usize,
}

impl Regs {
    /// # Safety
    /// `base` must be the address of a device whose registers are mapped and, for the offsets used, safe to access at the width used.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    /// Address of the first register.
    #[must_use]
    pub const fn base(self) -> usize {
        self.base
    }

    /// Reads the byte register at `offset`.
    #[must_use]
    pub fn read8(self, offset: usize) -> u8 {
        // SAFETY: `new` demands that these are device registers; volatile keeps the access.
        unsafe { ptr::read_volatile((self.base + offset) as *const u8) }
    }

    /// Writes the byte register at `offset`.
    pub fn write8(self, offset: usize, value: u8) {
        // SAFETY: as in `read8`.
        unsafe { ptr::write_volatile((self.base + offset) as *mut u8, value) }
    }

    /// Reads the 32-bit register at `offset`.
    #[must_use]
    pub fn read32(self, offset: usize) -> u32 {
        // SAFETY: as in `read8`; callers keep offsets multiples of four.
        unsafe { ptr::read_volatile((self.base + offset) as *const u32) }
    }

    /// Writes the 32-bit register at `offset`.
    pub fn write32(self, offset: usize, value: u32) {
        // SAFETY: as in `read32`.
        unsafe { ptr::write_volatile((self.base + offset) as *mut u32, value) }
    }

    /// Replaces the bits of `mask` in the 32-bit register at `offset` by those of `value`.
    pub fn modify32(self, offset: usize, mask: u32, value: u32) {
        self.write32(offset, self.read32(offset) & !mask | value & mask);
    }
}
