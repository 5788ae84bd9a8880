//! Core clock by the PRCI (FE310-G002 manual, chapter 6) and time by the CLINT (chapter 9).

use crate::{
    board::{CLINT, LOW_CLOCK, PRCI},
    start,
};

const HFROSCCFG: usize = 0x0;
const HFXOSCCFG: usize = 0x4;
const PLLCFG: usize = 0x8;
const PLLOUTDIV: usize = 0xc;
const ENABLE: u32 = 1 << 30;
const READY: u32 = 1 << 31;

const PLL_SELECT: u32 = 1 << 16;
const PLL_REFERENCE_CRYSTAL: u32 = 1 << 17;
const PLL_BYPASS: u32 = 1 << 18;
/// 16 MHz / 2 = 8 MHz, times 64 = 512 MHz, / 8 = 64 MHz.
const PLL_DIVIDERS: u32 = 1 | 31 << 4 | 3 << 10;

/// What [`init`] sets, in Hz.
pub const CORE: u32 = 64_000_000;

/// Runs the core from the crystal by the PLL.
pub fn init() {
    // Run from the ring oscillator while the PLL changes.
    PRCI.modify32(HFROSCCFG, ENABLE, ENABLE);
    while PRCI.read32(HFROSCCFG) & READY == 0 {}
    PRCI.modify32(PLLCFG, PLL_SELECT, 0);
    PRCI.write32(HFXOSCCFG, ENABLE);
    while PRCI.read32(HFXOSCCFG) & READY == 0 {}
    // Bit 8 of the output divider: do not divide.
    PRCI.write32(PLLOUTDIV, 1 << 8);
    PRCI.write32(PLLCFG, PLL_REFERENCE_CRYSTAL | PLL_BYPASS | PLL_DIVIDERS);
    PRCI.modify32(PLLCFG, PLL_BYPASS, 0);
    // The lock bit may be read after 100 us: four ticks of the slow clock.
    let from = now();
    while now() - from < 4 {}
    while PRCI.read32(PLLCFG) & READY == 0 {}
    PRCI.modify32(PLLCFG, PLL_SELECT, PLL_SELECT);
}

const MTIMECMP: usize = 0x4000;
const MTIME: usize = 0xbff8;

/// Ticks of the slow clock since reset.
pub type Ticks = u64;

pub fn now() -> Ticks {
    loop {
        let high = CLINT.read32(MTIME + 4);
        let low = CLINT.read32(MTIME);
        if CLINT.read32(MTIME + 4) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Ticks in so many milliseconds, rounded up.
pub const fn ms(milliseconds: u32) -> Ticks {
    (milliseconds as u64 * LOW_CLOCK as u64).div_ceil(1000)
}

/// Milliseconds in so many ticks.
pub const fn to_ms(ticks: Ticks) -> u64 {
    ticks * 1000 / LOW_CLOCK as u64
}

/// Sleeps until an interrupt or until `deadline`.
pub fn sleep(deadline: Ticks) {
    // High half first to the maximum, so that no value in between rings.
    CLINT.write32(MTIMECMP + 4, u32::MAX);
    CLINT.write32(MTIMECMP, deadline as u32);
    CLINT.write32(MTIMECMP + 4, (deadline >> 32) as u32);
    start::wait();
}
