//! The constants of RISC-V's Zfa.

use crate::{Env, F32, Format, convert};

/// The values of `fli`, as binary32; 1 and 31 depend on the format.
const VALUES: [f32; 32] = [
    -1.0,
    0.0,
    1.0 / 65536.0,
    1.0 / 32768.0,
    1.0 / 256.0,
    1.0 / 128.0,
    0.0625,
    0.125,
    0.25,
    0.3125,
    0.375,
    0.4375,
    0.5,
    0.625,
    0.75,
    0.875,
    1.0,
    1.25,
    1.5,
    1.75,
    2.0,
    2.5,
    3.0,
    4.0,
    8.0,
    16.0,
    128.0,
    256.0,
    32768.0,
    65536.0,
    f32::INFINITY,
    0.0,
];

/// The constant that `fli` loads for an `rs1` field of `index` (modulo 32). In binary16, 2^16 is infinity.
pub fn fli<F: Format>(index: u32) -> F::Bits {
    match index % 32 {
        1 => F::from_u64(F::MIN_NORMAL),
        31 => F::from_u64(F::DEFAULT_NAN),
        i => convert::<F32, F>(&mut Env::default(), VALUES[i as usize].to_bits()),
    }
}
