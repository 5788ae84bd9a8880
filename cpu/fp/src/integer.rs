//! Integers: conversion to and from them, and rounding to an integral value.

use crate::round::{Class, Unpacked, drop_bits, nan, round_pack, shift_right_jam, signed, unpack};
use crate::{Env, Flags, Format, NanToInt, Round};

/// The magnitude of a finite value below 2^64 rounded to an integer, and whether that was inexact.
fn round_magnitude(round: Round, v: Unpacked) -> (u64, bool) {
    match 63 - v.exp {
        0 => (v.sig, false),
        drop @ 1..=62 => drop_bits(round, v.sign, v.sig, drop as u32),
        // Below one: a half and more stay apart from less.
        drop => drop_bits(round, v.sign, shift_right_jam(v.sig, drop as u32 - 62), 62),
    }
}

/// To an integer of `width` bits, sign-extended. Out of range: NV (and nothing else), and the nearest end of the range.
#[inline]
fn to_int<F: Format>(env: &mut Env, a: F::Bits, width: u32, is_signed: bool) -> u64 {
    let x = unpack::<F>(env, a.into());
    // The largest magnitude of either sign.
    let all = u64::MAX >> (64 - width);
    let (max, min) = if is_signed { (all >> 1, (all >> 1) + 1) } else { (all, 0) };
    let limit = if x.sign { min } else { max };
    let saturated = match x.class {
        Class::Zero => return 0,
        Class::Finite if x.exp < 64 => {
            let (magnitude, inexact) = round_magnitude(env.round, x);
            if magnitude <= limit {
                if inexact {
                    env.raise(Flags::NX);
                }
                return if x.sign { magnitude.wrapping_neg() } else { magnitude };
            }
            limit
        }
        Class::Finite | Class::Inf => limit,
        Class::Nan => {
            env.raise(Flags::NV);
            return if env.rules.nan_to_int == NanToInt::Max { max } else { 0 };
        }
    };
    env.raise(Flags::NV);
    if x.sign { saturated.wrapping_neg() } else { saturated }
}

/// To `i32`, rounded as `env` says. Out of range saturates with NV alone; NaN gives NV and [`NanToInt`].
#[inline]
pub fn to_i32<F: Format>(env: &mut Env, a: F::Bits) -> i32 {
    to_int::<F>(env, a, 32, true) as i32
}

/// To `u32`; as [`to_i32`]. A negative value that does not round to zero is out of range.
#[inline]
pub fn to_u32<F: Format>(env: &mut Env, a: F::Bits) -> u32 {
    to_int::<F>(env, a, 32, false) as u32
}

/// To `i16`; as [`to_i32`].
#[inline]
pub fn to_i16<F: Format>(env: &mut Env, a: F::Bits) -> i16 {
    to_int::<F>(env, a, 16, true) as i16
}

/// To `u16`; as [`to_u32`].
#[inline]
pub fn to_u16<F: Format>(env: &mut Env, a: F::Bits) -> u16 {
    to_int::<F>(env, a, 16, false) as u16
}

/// To `i64`; as [`to_i32`].
#[inline]
pub fn to_i64<F: Format>(env: &mut Env, a: F::Bits) -> i64 {
    to_int::<F>(env, a, 64, true) as i64
}

/// To `u64`; as [`to_u32`].
#[inline]
pub fn to_u64<F: Format>(env: &mut Env, a: F::Bits) -> u64 {
    to_int::<F>(env, a, 64, false)
}

/// Truncates, then wraps to 32 bits (Zfa's `fcvtmod.w.d`, ARM's `FJCVTZS`). NaN and infinity give zero.
/// The flags are those of [`to_i32`] toward zero.
#[inline]
pub fn to_i32_modular<F: Format>(env: &mut Env, a: F::Bits) -> i32 {
    let x = unpack::<F>(env, a.into());
    if x.class == Class::Zero {
        return 0;
    }
    if x.class != Class::Finite || x.exp >= 63 + 32 {
        env.raise(Flags::NV);
        return 0;
    }
    let (magnitude, inexact) =
        if x.exp < 64 { round_magnitude(Round::TowardZero, x) } else { (x.sig << (x.exp - 63), false) };
    if x.exp >= 64 || magnitude > (1 << 31) - u64::from(!x.sign) {
        env.raise(Flags::NV);
    } else if inexact {
        env.raise(Flags::NX);
    }
    let wrapped = magnitude as i32;
    if x.sign { wrapped.wrapping_neg() } else { wrapped }
}

/// From a magnitude and a sign.
#[inline]
fn from_magnitude<F: Format>(env: &mut Env, sign: bool, magnitude: u64) -> F::Bits {
    if magnitude == 0 {
        return F::from_u64(0);
    }
    let lz = magnitude.leading_zeros();
    F::from_u64(round_pack::<F>(env, sign, 63 - lz as i32, magnitude << lz))
}

/// From `i32`, rounded as `env` says.
#[inline]
pub fn from_i32<F: Format>(env: &mut Env, v: i32) -> F::Bits {
    from_magnitude::<F>(env, v < 0, v.unsigned_abs().into())
}

/// From `u32`, rounded as `env` says.
#[inline]
pub fn from_u32<F: Format>(env: &mut Env, v: u32) -> F::Bits {
    from_magnitude::<F>(env, false, v.into())
}

/// From `i64`, rounded as `env` says.
#[inline]
pub fn from_i64<F: Format>(env: &mut Env, v: i64) -> F::Bits {
    from_magnitude::<F>(env, v < 0, v.unsigned_abs())
}

/// From `u64`, rounded as `env` says.
#[inline]
pub fn from_u64<F: Format>(env: &mut Env, v: u64) -> F::Bits {
    from_magnitude::<F>(env, false, v)
}

/// Rounds to an integral value in the same format, a zero keeping the operand's sign; NX is raised only if `signal_inexact`
/// (Zfa's `froundnx` as opposed to `fround`, ARM's `FRINTX` as opposed to the other `FRINT`s).
#[inline]
pub fn round_to_integral<F: Format>(env: &mut Env, a: F::Bits, signal_inexact: bool) -> F::Bits {
    let x = unpack::<F>(env, a.into());
    match x.class {
        Class::Nan => return F::from_u64(nan::<F>(env, &[a.into()])),
        Class::Zero => return F::from_u64(signed::<F>(x.sign, 0)),
        Class::Finite if x.exp < F::FRAC_BITS as i32 => {}
        Class::Inf | Class::Finite => return a,
    }
    let (magnitude, inexact) = round_magnitude(env.round, x);
    if inexact && signal_inexact {
        env.raise(Flags::NX);
    }
    if magnitude == 0 {
        return F::from_u64(signed::<F>(x.sign, 0));
    }
    let lz = magnitude.leading_zeros();
    F::from_u64(round_pack::<F>(env, x.sign, 63 - lz as i32, magnitude << lz))
}
