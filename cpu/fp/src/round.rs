//! The shared ends of every operation: unpacking, rounding and packing, NaNs.

use crate::{Env, Flags, Format, NanRule, Round, Tininess};

/// A number taken apart. `exp` and `sig` mean something for `Finite` only: its value is
/// `sig / 2^63 * 2^exp`, with the top bit of `sig` set.
#[derive(Clone, Copy)]
pub(crate) struct Unpacked {
    pub class: Class,
    pub sign: bool,
    pub exp: i32,
    pub sig: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Zero,
    /// Nonzero, normal or subnormal.
    Finite,
    Inf,
    Nan,
}

pub(crate) fn is_nan<F: Format>(bits: u64) -> bool {
    bits & !F::SIGN > F::INF
}

pub(crate) fn is_signalling<F: Format>(bits: u64) -> bool {
    is_nan::<F>(bits) && bits & F::QUIET == 0
}

pub(crate) fn is_subnormal<F: Format>(bits: u64) -> bool {
    (bits & !F::SIGN).wrapping_sub(1) < F::MIN_NORMAL - 1
}

/// `bits`, or zero of the same sign where the rules flush a subnormal operand.
#[inline]
pub(crate) fn flush_input<F: Format>(env: &mut Env, bits: u64) -> u64 {
    if env.rules.flush_inputs && is_subnormal::<F>(bits) {
        if F::EXP_BITS > 5 {
            env.raise(Flags::ID);
        }
        return bits & F::SIGN;
    }
    bits
}

#[inline]
pub(crate) fn unpack<F: Format>(env: &mut Env, bits: u64) -> Unpacked {
    let bits = flush_input::<F>(env, bits);
    let sign = bits & F::SIGN != 0;
    let exp = (bits >> F::FRAC_BITS) & F::EXP_MAX;
    let frac = bits & F::FRAC_MASK;
    let (class, exp, sig) = if exp == F::EXP_MAX {
        (if frac == 0 { Class::Inf } else { Class::Nan }, 0, 0)
    } else if exp != 0 {
        (Class::Finite, exp as i32 - F::BIAS, 1 << 63 | frac << (63 - F::FRAC_BITS))
    } else if frac != 0 {
        let lz = frac.leading_zeros();
        (Class::Finite, 64 - F::BIAS - (lz + F::FRAC_BITS) as i32, frac << lz)
    } else {
        (Class::Zero, 0, 0)
    };
    Unpacked { class, sign, exp, sig }
}

/// Shifts right; the last bit tells whether a set bit was lost.
#[inline]
pub(crate) fn shift_right_jam(v: u64, by: u32) -> u64 {
    match by {
        0 => v,
        1..64 => v >> by | u64::from(v << (64 - by) != 0),
        _ => u64::from(v != 0),
    }
}

#[inline]
pub(crate) fn shift_right_jam_wide(v: u128, by: u32) -> u128 {
    match by {
        0 => v,
        1..128 => v >> by | u128::from(v << (128 - by) != 0),
        _ => u128::from(v != 0),
    }
}

/// The upper half, with what the lower half held in the last bit.
#[inline]
pub(crate) fn high_jam(v: u128) -> u64 {
    (v >> 64) as u64 | u64::from(v as u64 != 0)
}

/// Rounds away the low `drop` bits (1 to 63): what is left, and whether that was inexact.
#[inline]
pub(crate) fn drop_bits(round: Round, sign: bool, sig: u64, drop: u32) -> (u64, bool) {
    let mask = (1 << drop) - 1;
    let half = 1 << (drop - 1);
    let rest = sig & mask;
    let increment = match round {
        Round::NearestEven | Round::NearestAway => half,
        Round::Down if sign => mask,
        Round::Up if !sign => mask,
        Round::TowardZero | Round::Odd | Round::Down | Round::Up => 0,
    };
    let mut kept = (sig >> drop) + ((rest + increment) >> drop);
    if round == Round::NearestEven && rest == half {
        kept &= !1;
    } else if round == Round::Odd && rest != 0 {
        kept |= 1;
    }
    (kept, rest != 0)
}

#[inline]
pub(crate) fn signed<F: Format>(sign: bool, magnitude: u64) -> u64 {
    if sign { F::SIGN | magnitude } else { magnitude }
}

/// Rounds `sig / 2^63 * 2^exp` to the format and raises what comes of it. The top bit of `sig` is set, its last bit is sticky.
#[inline]
pub(crate) fn round_pack<F: Format>(env: &mut Env, sign: bool, exp: i32, sig: u64) -> u64 {
    let biased = exp + F::BIAS;
    if biased < 1 {
        return round_pack_tiny::<F>(env, sign, biased, sig);
    }
    if biased >= F::EXP_MAX as i32 {
        return overflow::<F>(env, sign);
    }
    let (kept, inexact) = drop_bits(env.round, sign, sig, 63 - F::FRAC_BITS);
    // The hidden bit adds the one that is missing from the exponent; a carry out of rounding adds another.
    let bits = ((biased as u64 - 1) << F::FRAC_BITS) + kept;
    if bits >= F::INF {
        return overflow::<F>(env, sign);
    }
    if inexact {
        env.raise(Flags::NX);
    }
    signed::<F>(sign, bits)
}

#[cold]
fn round_pack_tiny<F: Format>(env: &mut Env, sign: bool, biased: i32, sig: u64) -> u64 {
    if env.rules.flush_outputs {
        env.raise(Flags::UF);
        return signed::<F>(sign, 0);
    }
    let drop = 63 - F::FRAC_BITS;
    let (bits, inexact) = drop_bits(env.round, sign, shift_right_jam(sig, (1 - biased) as u32), drop);
    let tiny = env.rules.tininess == Tininess::BeforeRounding
        || biased < 0
        || drop_bits(env.round, sign, sig, drop).0 >> F::FRAC_BITS == 1;
    if inexact {
        env.raise(if tiny { Flags::UF | Flags::NX } else { Flags::NX });
    }
    signed::<F>(sign, bits)
}

#[cold]
fn overflow<F: Format>(env: &mut Env, sign: bool) -> u64 {
    env.raise(Flags::OF | Flags::NX);
    let magnitude = match env.round {
        Round::NearestEven | Round::NearestAway => F::INF,
        Round::Down if sign => F::INF,
        Round::Up if !sign => F::INF,
        Round::TowardZero | Round::Odd | Round::Down | Round::Up => F::MAX_FINITE,
    };
    signed::<F>(sign, magnitude)
}

/// The result of an invalid operation.
#[cold]
pub(crate) fn invalid<F: Format>(env: &mut Env) -> u64 {
    env.raise(Flags::NV);
    F::DEFAULT_NAN
}

/// The result of an operation of which some operand is a NaN; `operands` in the order in which they are looked at.
#[cold]
pub(crate) fn nan<F: Format>(env: &mut Env, operands: &[u64]) -> u64 {
    let signalling = operands.iter().find(|&&v| is_signalling::<F>(v));
    if signalling.is_some() {
        env.raise(Flags::NV);
    }
    match env.rules.nan {
        NanRule::Default => F::DEFAULT_NAN,
        NanRule::FirstSignalling => signalling
            .or_else(|| operands.iter().find(|&&v| is_nan::<F>(v)))
            .map_or(F::DEFAULT_NAN, |v| v | F::QUIET),
    }
}
