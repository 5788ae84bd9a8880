//! EasyDMA: how peripherals of the nRF52 series read and write RAM by themselves.
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 12. EasyDMA reaches the data RAM only: other addresses read
//! as zeros and take nothing, and the user is told.

use devices_core::{Ctx, MemoryKind};
use serde::{Deserialize, Serialize};

fn is_ram(ctx: &Ctx, address: u32, len: usize) -> bool {
    let region = ctx.memory().region(address.into(), len as u64);
    region.is_some_and(|region| region.spec().kind == MemoryKind::Ram)
}

/// The registers of one direction: PTR, MAXCNT, AMOUNT and LIST, one after the other.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dma {
    /// Where the next transfer starts.
    pub ptr: u32,
    /// How many bytes it has, at most.
    pub maxcnt: u32,
    /// How many the last one had.
    pub amount: u32,
    /// One: the next transfer follows the last.
    pub list: u32,
}

impl Dma {
    /// The register `offset` bytes after PTR.
    pub fn read(&self, offset: u32) -> Option<u32> {
        [self.ptr, self.maxcnt, self.amount, self.list].get((offset / 4) as usize).copied()
    }

    /// A write of the register `offset` bytes after PTR; MAXCNT has so many bits.
    pub fn write(&mut self, offset: u32, value: u32, bits: u32) -> Option<()> {
        match offset {
            0 => self.ptr = value,
            4 => self.maxcnt = value & (u32::MAX >> (32 - bits.clamp(1, 32))),
            8 => {}
            12 => self.list = value & 3,
            _ => return None,
        }
        Some(())
    }

    /// A transfer of `amount` bytes is over.
    pub fn done(&mut self, amount: u32) {
        self.amount = amount;
        if self.list == 1 {
            self.ptr = self.ptr.wrapping_add(self.maxcnt);
        }
    }
}

/// Reads RAM.
pub fn fetch(ctx: &mut Ctx, address: u32, into: &mut [u8]) {
    into.fill(0);
    if into.is_empty() {
        return;
    }
    if !is_ram(ctx, address, into.len()) || ctx.memory().read(address.into(), into).is_err() {
        ctx.complain(format!("EasyDMA reads {} bytes at {address:#010x}, which is not RAM", into.len()));
    }
}

/// Writes RAM.
pub fn store(ctx: &mut Ctx, address: u32, from: &[u8]) {
    if from.is_empty() {
        return;
    }
    if !is_ram(ctx, address, from.len()) || ctx.memory().write(address.into(), from).is_err() {
        ctx.complain(format!("EasyDMA writes {} bytes at {address:#010x}, which is not RAM", from.len()));
    }
}
