//! Comparison, minimum and maximum, classification.

use core::cmp::Ordering;

use crate::round::{flush_input, is_nan, is_signalling, is_subnormal, nan};
use crate::{Env, Flags, Format};

/// Orders by value, -0 below +0: the key of minimum and maximum. Not for NaNs.
fn total_key<F: Format>(bits: u64) -> i64 {
    let magnitude = (bits & !F::SIGN) as i64;
    if bits & F::SIGN != 0 { !magnitude } else { magnitude }
}

#[inline]
fn compare<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, signalling: bool) -> Option<Ordering> {
    let a = flush_input::<F>(env, a.into());
    let b = flush_input::<F>(env, b.into());
    if is_nan::<F>(a) || is_nan::<F>(b) {
        if signalling || is_signalling::<F>(a) || is_signalling::<F>(b) {
            env.raise(Flags::NV);
        }
        return None;
    }
    if (a | b) & !F::SIGN == 0 {
        return Some(Ordering::Equal);
    }
    Some(total_key::<F>(a).cmp(&total_key::<F>(b)))
}

/// `a == b`, quiet: NV for a signalling NaN only (`feq`).
#[inline]
pub fn eq<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, false) == Some(Ordering::Equal)
}

/// `a < b`, signalling: NV for any NaN (`flt`).
#[inline]
pub fn lt<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, true) == Some(Ordering::Less)
}

/// `a <= b`, signalling: NV for any NaN (`fle`).
#[inline]
pub fn le<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, true).is_some_and(Ordering::is_le)
}

/// `a == b`, NV for any NaN.
#[inline]
pub fn eq_signaling<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, true) == Some(Ordering::Equal)
}

/// `a < b`, NV for a signalling NaN only (Zfa's `fltq`).
#[inline]
pub fn lt_quiet<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, false) == Some(Ordering::Less)
}

/// `a <= b`, NV for a signalling NaN only (Zfa's `fleq`).
#[inline]
pub fn le_quiet<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, false).is_some_and(Ordering::is_le)
}

/// What a NaN operand does to minimum and maximum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnNan {
    /// IEEE 754-2019 minimumNumber and maximumNumber: the other operand is the result.
    Number,
    /// IEEE 754-2019 minimum and maximum: the result is a NaN.
    Nan,
}

#[inline]
fn select<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, wanted: Ordering, on_nan: OnNan) -> F::Bits {
    let a = flush_input::<F>(env, a.into());
    let b = flush_input::<F>(env, b.into());
    let (a_nan, b_nan) = (is_nan::<F>(a), is_nan::<F>(b));
    F::from_u64(if a_nan || b_nan {
        let quiet = nan::<F>(env, &[a, b]);
        if on_nan == OnNan::Nan || a_nan && b_nan {
            quiet
        } else if a_nan {
            b
        } else {
            a
        }
    } else if total_key::<F>(a).cmp(&total_key::<F>(b)) == wanted {
        a
    } else {
        b
    })
}

/// minimumNumber: the lesser, -0 below +0; a NaN loses against a number (`fmin`). NV for a signalling NaN.
#[inline]
pub fn min_num<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F>(env, a, b, Ordering::Less, OnNan::Number)
}

/// maximumNumber: the greater, +0 above -0; a NaN loses against a number (`fmax`). NV for a signalling NaN.
#[inline]
pub fn max_num<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F>(env, a, b, Ordering::Greater, OnNan::Number)
}

/// minimum: the lesser, -0 below +0; a NaN if either is one (Zfa's `fminm`). NV for a signalling NaN.
#[inline]
pub fn minimum<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F>(env, a, b, Ordering::Less, OnNan::Nan)
}

/// maximum: the greater, +0 above -0; a NaN if either is one (Zfa's `fmaxm`). NV for a signalling NaN.
#[inline]
pub fn maximum<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F>(env, a, b, Ordering::Greater, OnNan::Nan)
}

/// RISC-V's `fclass` mask, one bit of ten: 0 -infinity, 1 negative normal, 2 negative subnormal, 3 -0, 4 +0, 5 positive
/// subnormal, 6 positive normal, 7 +infinity, 8 signalling NaN, 9 quiet NaN.
#[inline]
pub fn classify<F: Format>(a: F::Bits) -> u32 {
    let a = a.into();
    let magnitude = a & !F::SIGN;
    let bit = if magnitude > F::INF {
        return if is_signalling::<F>(a) { 1 << 8 } else { 1 << 9 };
    } else if magnitude == 0 {
        4
    } else if is_subnormal::<F>(a) {
        5
    } else if magnitude < F::INF {
        6
    } else {
        7
    };
    1 << if a & F::SIGN != 0 { 7 - bit } else { bit }
}
