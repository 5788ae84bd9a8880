//! The watchdog of the always-on domain (FE310-G002 manual, chapter 14): resets the chip unless fed.

use crate::board::{AON, LOW_CLOCK};

const CONFIG: usize = 0x00;
const FEED: usize = 0x18;
const KEY: usize = 0x1c;
const COMPARE: usize = 0x20;

/// Each write to a watchdog register must follow a write of this to the key register.
const UNLOCK: u32 = 0x51_f15e;
const FOOD: u32 = 0x0d09_f00d;
/// The count is divided by two to this power before it is compared with 16 bits.
const SCALE: u32 = 4;
const RESET_ENABLE: u32 = 1 << 8;
const ALWAYS: u32 = 1 << 12;

/// Longest time without food.
pub const SECONDS: u32 = 20;

fn write(register: usize, value: u32) {
    AON.write32(KEY, UNLOCK);
    AON.write32(register, value);
}

pub fn init() {
    write(COMPARE, (LOW_CLOCK >> SCALE) * SECONDS);
    feed();
    write(CONFIG, SCALE | RESET_ENABLE | ALWAYS);
}

pub fn feed() {
    write(FEED, FOOD);
}
