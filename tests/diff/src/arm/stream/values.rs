//! Register values that find mistakes.

use super::*;

/// Registers and memory with values at which implementations differ.
pub(super) fn state(rng: &mut Rng) -> State {
    let mut state = State { r: [0; 15], s: [0; 32], apsr: 0, fpscr: 0, scratch: Vec::new() };
    state.r.iter_mut().for_each(|r| *r = integer(rng));
    state.s.iter_mut().for_each(|s| *s = float(rng));
    state.apsr = rng.next() as u32 & 0xf80f_0000;
    // Compiled code is made for no mode at all.
    let modes = if rng.below(2) == 0 { 0 } else { 0x07c0_0000 };
    state.fpscr = rng.next() as u32 & (0xf000_009f | modes);
    while state.scratch.len() < SCRATCH as usize {
        let value = if rng.below(2) == 0 { integer(rng) } else { float(rng) };
        state.scratch.extend(value.to_le_bytes());
    }
    state
}

pub(super) fn integer(rng: &mut Rng) -> u32 {
    const CORNERS: [u32; 14] = [
        0,
        1,
        u32::MAX,
        0x7fff_ffff,
        0x8000_0000,
        0x7fff,
        0x8000,
        0x7fff_7fff,
        0x8000_8000,
        0xff,
        0x7f80_807f,
        0x0123_4567,
        0x8080_8080,
        31,
    ];
    match rng.below(4) {
        0 => rng.pick(&CORNERS),
        1 => (rng.next() as u32) >> rng.below(32),
        2 => float(rng),
        _ => rng.next() as u32,
    }
}

/// A single, at times two halves.
pub(super) fn float(rng: &mut Rng) -> u32 {
    // Their product is the smallest normal number but for 46 bits behind it: tiny before rounding, not after.
    const PAIR: [u32; 2] = [0x2000_0001, 0x1fff_fffe];
    // The ends of the range, one, NaNs of both kinds, and the ends of integers and half precision.
    const CORNERS: [u32; 24] = [
        0x0000_0000,
        0x0000_0001,
        0x007f_ffff,
        0x0080_0000,
        0x0080_0001,
        0x3f00_0000,
        0x3f7f_ffff,
        0x3f80_0000,
        0x3f80_0001,
        0x7f7f_ffff,
        0x7f80_0000,
        0x7f80_1234,
        0x7fa0_0001,
        0x7fc0_0000,
        0x7fd2_3456,
        0x46ff_fe00,
        0x4700_0000,
        0x4780_0000,
        0x477f_e000,
        0x477f_f000,
        0x4eff_ffff,
        0x4f00_0000,
        0x4f7f_ffff,
        0x387f_e001,
    ];
    let sign = (rng.next() as u32 & 1) << 31;
    let half = |rng: &mut Rng| crate::stream::float_of(rng, 5, 10) as u32;
    match rng.below(16) {
        0 | 1 => half(rng) << 16 | half(rng),
        2 => rng.next() as u32,
        3 => sign | rng.pick(&PAIR),
        4..=6 => sign | rng.pick(&CORNERS),
        _ => crate::stream::float_of(rng, 8, 23) as u32,
    }
}
