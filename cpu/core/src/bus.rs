//! How a core reaches what is not memory.

use crate::time::Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The size of an access.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    B1 = 1,
    /// 16 bits.
    B2 = 2,
    /// 32 bits.
    B4 = 4,
    /// 64 bits.
    B8 = 8,
}

impl Width {
    /// In bytes.
    #[inline(always)]
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// In bits.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        self as u32 * 8
    }

    /// All ones in this width.
    #[inline(always)]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// `value`, whose low bits of this width count, with its sign extended.
    #[inline(always)]
    pub const fn sign_extend(self, value: u64) -> u64 {
        let shift = 64 - self.bits();
        ((value << shift) as i64 >> shift) as u64
    }

    /// The width of `bytes` bytes, if there is one.
    #[inline]
    pub const fn from_bytes(bytes: u64) -> Option<Width> {
        match bytes {
            1 => Some(Width::B1),
            2 => Some(Width::B2),
            4 => Some(Width::B4),
            8 => Some(Width::B8),
            _ => None,
        }
    }
}

/// Who accesses, when and from where.
#[derive(Copy, Clone, Debug)]
pub struct Access {
    /// Index of the core.
    pub core: usize,
    /// The core's own virtual time at the accessing instruction.
    pub now: Time,
    /// Address of the accessing instruction.
    pub pc: u64,
}

/// The bus did not complete an access; the core raises its architectural fault.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
#[error("no device answers at {paddr:#x}")]
pub struct BusFault {
    /// Physical address.
    pub paddr: u64,
}

/// The platform's free-running counter (RISC-V `mtime`, the Arm system counter).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counter {
    /// Ticks a second.
    pub hz: u64,
    /// Added to the ticks since reset: what a guest's write to the counter moves.
    pub offset: u64,
}

impl Counter {
    /// Its value at `now`.
    pub const fn at(self, now: Time) -> u64 {
        now.ticks(self.hz).wrapping_add(self.offset)
    }

    /// The first time, not before `now`, at which the counter (as unsigned) is at least `value`.
    pub const fn reaches(self, value: u64, now: Time) -> Time {
        let current = self.at(now);
        if current >= value {
            return now;
        }
        Time::of_tick(now.ticks(self.hz).saturating_add(value - current), self.hz)
    }
}

/// Everything outside memory, as a core sees it. Addresses are physical.
pub trait Bus {
    /// Reads `width` at `paddr`; the value is zero-extended.
    fn read(&mut self, who: &Access, paddr: u64, width: Width) -> Result<u64, BusFault>;

    /// Writes the low `width` of `value` at `paddr`.
    fn write(&mut self, who: &Access, paddr: u64, width: Width, value: u64) -> Result<(), BusFault>;

    /// Whether an access since the core was entered changed an interrupt line, an event or the
    /// memory map, so that the core has to return right after the current instruction.
    fn attention(&self) -> bool;

    /// The platform counter.
    fn counter(&self) -> Counter;
}

/// A bus with nothing on it: every access fails. Its counter runs at 10 MHz.
#[derive(Copy, Clone, Default, Debug)]
pub struct EmptyBus;

impl Bus for EmptyBus {
    fn read(&mut self, _: &Access, paddr: u64, _: Width) -> Result<u64, BusFault> {
        Err(BusFault { paddr })
    }

    fn write(&mut self, _: &Access, paddr: u64, _: Width, _: u64) -> Result<(), BusFault> {
        Err(BusFault { paddr })
    }

    fn attention(&self) -> bool {
        false
    }

    fn counter(&self) -> Counter {
        Counter { hz: 10_000_000, offset: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_reaches_its_value_at_the_first_possible_time() {
        let counter = Counter { hz: 10_000_000, offset: 77 };
        let now = Time::from_us(3);
        let at = counter.reaches(counter.at(now) + 5, now);
        assert_eq!(counter.at(at), counter.at(now) + 5);
        assert_eq!(counter.at(Time(at.0 - 1)), counter.at(now) + 4);
        assert_eq!(counter.reaches(0, now), now);
        assert_eq!(counter.reaches(u64::MAX, now), Time::NEVER);
    }
}
