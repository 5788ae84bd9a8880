//! The binary interchange formats.

use crate::host::Host;

/// A binary format: its shape, and its bit patterns as they pass through a `u64`, in which all of this crate computes.
///
/// Sealed: the host fast path knows each of them.
pub trait Format: Host + Copy + 'static {
    /// The bit pattern: `u16`, `u32` or `u64`.
    type Bits: Copy + Eq + core::fmt::Debug + core::fmt::LowerHex + Into<u64>;
    /// Width of the exponent field.
    const EXP_BITS: u32;
    /// Width of the fraction field.
    const FRAC_BITS: u32;

    /// The low bits of `v` as a pattern.
    fn from_u64(v: u64) -> Self::Bits;

    /// Exponent bias.
    const BIAS: i32 = (1 << (Self::EXP_BITS - 1)) - 1;
    /// The largest biased exponent, that of infinities and NaNs.
    const EXP_MAX: u64 = (1 << Self::EXP_BITS) - 1;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::EXP_BITS + Self::FRAC_BITS);
    /// The fraction field.
    const FRAC_MASK: u64 = (1 << Self::FRAC_BITS) - 1;
    /// Positive infinity.
    const INF: u64 = Self::EXP_MAX << Self::FRAC_BITS;
    /// The largest finite number.
    const MAX_FINITE: u64 = Self::INF - 1;
    /// The smallest positive normal number.
    const MIN_NORMAL: u64 = 1 << Self::FRAC_BITS;
    /// The bit that tells a quiet NaN from a signalling one.
    const QUIET: u64 = 1 << (Self::FRAC_BITS - 1);
    /// The canonical NaN of RISC-V and default NaN of ARM: positive, quiet, no payload.
    const DEFAULT_NAN: u64 = Self::INF | Self::QUIET;
}

/// binary16 (half precision).
#[derive(Clone, Copy, Debug)]
pub struct F16;
/// bfloat16: the upper half of a binary32.
#[derive(Clone, Copy, Debug)]
pub struct Bf16;
/// binary32 (single precision).
#[derive(Clone, Copy, Debug)]
pub struct F32;
/// binary64 (double precision).
#[derive(Clone, Copy, Debug)]
pub struct F64;

macro_rules! format {
    ($name:ty, $bits:ty, $exp:literal, $frac:literal) => {
        impl Format for $name {
            type Bits = $bits;
            const EXP_BITS: u32 = $exp;
            const FRAC_BITS: u32 = $frac;
            #[inline]
            fn from_u64(v: u64) -> $bits {
                v as $bits
            }
        }
    };
}

format!(F16, u16, 5, 10);
format!(Bf16, u16, 8, 7);
format!(F32, u32, 8, 23);
format!(F64, u64, 11, 52);
