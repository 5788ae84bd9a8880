//! The fast path: the host's own operation, where result and flags provably equal the software's.
//!
//! It takes round to nearest even only. A result inside the normal range (strictly above its lower end, where tininess is
//! decided) or an exact zero can raise nothing but NX, and a NaN or infinite operand never leads to one of those
//! without being recognised. NX is known if it is set already; else exactness is decided by what rounding left over:
//! - a sum: the error term of Knuth's two-sum, itself exact;
//! - a product, quotient or root: the difference between the operation's inverse applied to the result, and the operand. In
//!   integers it is less than 2^63 in magnitude, so that the low 64 bits of both tell.

use crate::format::{Bf16, F16, F32, F64};
use crate::{Env, Flags, Format, Round};

/// Host operations on a format; `None` sends the caller to software. Arguments and results are patterns of the format.
pub trait Host {
    #[inline(always)]
    fn host_add(_: &mut Env, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[inline(always)]
    fn host_mul(_: &mut Env, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[inline(always)]
    fn host_mul_add(_: &mut Env, _: u64, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[inline(always)]
    fn host_div(_: &mut Env, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[inline(always)]
    fn host_sqrt(_: &mut Env, _: u64) -> Option<u64> {
        None
    }
}

impl Host for F16 {}
impl Host for Bf16 {}

/// Biased exponent and significand with its hidden bit, of a normal number; else `None`.
#[inline(always)]
fn normal<F: Format>(bits: u64) -> Option<(i32, u64)> {
    let magnitude = bits & !F::SIGN;
    let in_range = magnitude.wrapping_sub(F::MIN_NORMAL) < F::INF - F::MIN_NORMAL;
    in_range.then_some(((magnitude >> F::FRAC_BITS) as i32, (magnitude & F::FRAC_MASK) | F::MIN_NORMAL))
}

/// Whether `bits` is finite and above the smallest normal number in magnitude.
#[inline(always)]
fn above_tiny<F: Format>(bits: u64) -> bool {
    (bits & !F::SIGN).wrapping_sub(F::MIN_NORMAL + 1) < F::INF - F::MIN_NORMAL - 1
}

/// Whether the host's operation may stand in at all.
#[inline(always)]
fn applies<F: Format>(env: &Env, operands: &[u64]) -> bool {
    let subnormal = |&v: &u64| (v & !F::SIGN).wrapping_sub(1) < F::MIN_NORMAL - 1;
    let exact_types = cfg!(not(target_arch = "x86")); // the x87 has excess precision
    exact_types
        && env.round == Round::NearestEven
        && !(env.rules.flush_inputs && operands.iter().any(subnormal))
}

#[inline(always)]
fn inexact_if(env: &mut Env, inexact: bool) {
    if inexact {
        env.raise(Flags::NX);
    }
}

macro_rules! host {
    ($format:ident, $float:ident, $bits:ident, $mul_add:ident) => {
        impl Host for $format {
            #[inline(always)]
            fn host_add(env: &mut Env, a: u64, b: u64) -> Option<u64> {
                type F = $format;
                if !applies::<F>(env, &[a, b]) {
                    return None;
                }
                let (x, y) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let r = x + y;
                let bits = u64::from(r.to_bits());
                let magnitude = bits & !F::SIGN;
                if magnitude >= F::INF || (env.rules.flush_outputs && magnitude < F::MIN_NORMAL) {
                    return None;
                }
                if !env.flags.contains(Flags::NX) {
                    let from_y = r - x;
                    let error = (x - (r - from_y)) + (y - from_y);
                    // Overflow on the way (error is then NaN) needs an inexact sum, too.
                    inexact_if(env, error != 0.0);
                }
                Some(bits)
            }

            #[inline(always)]
            fn host_mul(env: &mut Env, a: u64, b: u64) -> Option<u64> {
                type F = $format;
                if !applies::<F>(env, &[a, b]) {
                    return None;
                }
                let (x, y) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let r = u64::from((x * y).to_bits());
                if !above_tiny::<F>(r) {
                    let exact_zero = r & !F::SIGN == 0 && (x == 0.0 || y == 0.0);
                    return exact_zero.then_some(r);
                }
                if !env.flags.contains(Flags::NX) {
                    let ((ea, sa), (eb, sb)) = (normal::<F>(a)?, normal::<F>(b)?);
                    let (er, sr) = normal::<F>(r)?;
                    let shift = er - ea - eb + F::BIAS + F::FRAC_BITS as i32;
                    inexact_if(env, sa.wrapping_mul(sb) != sr << shift);
                }
                Some(r)
            }

            #[inline(always)]
            fn host_div(env: &mut Env, a: u64, b: u64) -> Option<u64> {
                type F = $format;
                if !applies::<F>(env, &[a, b]) {
                    return None;
                }
                let (x, y) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let r = u64::from((x / y).to_bits());
                if !above_tiny::<F>(r) {
                    let exact_zero = r & !F::SIGN == 0 && x == 0.0;
                    return exact_zero.then_some(r);
                }
                if !env.flags.contains(Flags::NX) {
                    let ((ea, sa), (eb, sb)) = (normal::<F>(a)?, normal::<F>(b)?);
                    let (er, sr) = normal::<F>(r)?;
                    let shift = ea - eb - er + F::BIAS + F::FRAC_BITS as i32;
                    inexact_if(env, sr.wrapping_mul(sb) != sa << shift);
                }
                Some(r)
            }

            #[cfg(feature = "std")]
            #[inline(always)]
            fn host_sqrt(env: &mut Env, a: u64) -> Option<u64> {
                type F = $format;
                if !applies::<F>(env, &[a]) || a.wrapping_sub(1) >= F::INF - 1 {
                    return None; // zero, negative, infinite or NaN
                }
                let r = u64::from($float::from_bits(a as $bits).sqrt().to_bits());
                if !env.flags.contains(Flags::NX) {
                    let ((ea, sa), (er, sr)) = (normal::<F>(a)?, normal::<F>(r)?);
                    let shift = ea + F::BIAS - 2 * er + F::FRAC_BITS as i32;
                    inexact_if(env, sr.wrapping_mul(sr) != sa << shift);
                }
                Some(r)
            }

            #[inline(always)]
            fn host_mul_add(env: &mut Env, a: u64, b: u64, c: u64) -> Option<u64> {
                type F = $format;
                if !applies::<F>(env, &[a, b, c]) {
                    return None;
                }
                let value = |bits| $float::from_bits(bits as $bits);
                let (r, inexact) = $mul_add(env.flags, value(a), value(b), value(c))?;
                let r = u64::from(r.to_bits());
                if !above_tiny::<F>(r) {
                    return None;
                }
                inexact_if(env, inexact);
                Some(r)
            }
        }
    };
}

host!(F32, f32, u32, mul_add_f32);
host!(F64, f64, u64, mul_add_f64);

/// In `f64`, where the product is exact: the sum rounded to odd there rounds to `f32` as the exact one would.
/// Of use only where the result is normal.
#[inline(always)]
fn mul_add_f32(_: Flags, a: f32, b: f32, c: f32) -> Option<(f32, bool)> {
    let (product, addend) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + addend;
    let from_addend = sum - product;
    let error = (product - (sum - from_addend)) + (addend - from_addend);
    let mut odd = sum;
    if error != 0.0 && sum.to_bits() & 1 == 0 {
        let away = (error > 0.0) == (sum > 0.0);
        odd = f64::from_bits(if away { sum.to_bits() + 1 } else { sum.to_bits().wrapping_sub(1) });
    }
    let r = odd as f32;
    Some((r, error != 0.0 || f64::from(r) != sum))
}

/// With the host's fused operation, once exactness no longer matters.
#[cfg(feature = "std")]
#[inline(always)]
fn mul_add_f64(flags: Flags, a: f64, b: f64, c: f64) -> Option<(f64, bool)> {
    if !flags.contains(Flags::NX) {
        return None;
    }
    // Without the instruction, `f64::mul_add` is slower than our own.
    #[cfg(target_arch = "x86_64")]
    let fused = cfg!(target_feature = "fma") || std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let fused = cfg!(target_arch = "aarch64");
    fused.then(|| (a.mul_add(b, c), false))
}

#[cfg(not(feature = "std"))]
fn mul_add_f64(_: Flags, _: f64, _: f64, _: f64) -> Option<(f64, bool)> {
    None
}

#[cfg(all(test, feature = "std", target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn env(round: Round, flags: Flags) -> Env {
        Env::riscv(round, flags)
    }

    /// That results agree is tested elsewhere; here, that the common case is not left to software.
    #[test]
    fn common_operands_take_the_host_path() {
        for flags in [Flags::empty(), Flags::NX] {
            let e = &mut env(Round::NearestEven, flags);
            let (a, b, c) = (1.5f64.to_bits(), 3f64.to_bits(), 0f64.to_bits());
            assert_eq!(F64::host_add(e, a, b), Some(4.5f64.to_bits()));
            assert_eq!(F64::host_mul(e, a, b), Some(4.5f64.to_bits()));
            assert_eq!(F64::host_mul(e, a, c), Some(0));
            assert_eq!(F64::host_div(e, a, b), Some(0.5f64.to_bits()));
            assert_eq!(F64::host_sqrt(e, 2.25f64.to_bits()), Some(a));
            assert_eq!(e.flags, flags);
            let (a, b, c) = (1.5f32.to_bits().into(), 3f32.to_bits().into(), 7f32.to_bits().into());
            assert_eq!(F32::host_mul_add(e, a, b, c), Some(11.5f32.to_bits().into()));
            assert_eq!(e.flags, flags);
            assert_eq!(F32::host_div(e, a, c), Some((1.5f32 / 7.0).to_bits().into()));
            assert_eq!(e.flags, Flags::NX);
        }
        let e = &mut env(Round::NearestEven, Flags::NX);
        let (a, b) = (1.5f64.to_bits(), 3f64.to_bits());
        let fused = std::arch::is_x86_feature_detected!("fma");
        assert_eq!(F64::host_mul_add(e, a, b, a).is_some(), fused);
    }

    #[test]
    fn corners_are_left_to_software() {
        let (one, tiny, max, nan) = (1f64.to_bits(), F64::MIN_NORMAL, F64::MAX_FINITE, F64::DEFAULT_NAN);
        for round in [Round::TowardZero, Round::Down, Round::Up, Round::NearestAway, Round::Odd] {
            assert_eq!(F64::host_add(&mut env(round, Flags::NX), one, one), None);
        }
        let e = &mut env(Round::NearestEven, Flags::NX);
        assert_eq!(F64::host_add(e, max, max), None);
        assert_eq!(F64::host_add(e, one, nan), None);
        assert_eq!(F64::host_mul(e, one, tiny), None);
        assert_eq!(F64::host_mul(e, tiny, tiny), None);
        assert_eq!(F64::host_div(e, one, 0), None);
        assert_eq!(F64::host_div(e, one, F64::INF), None);
        assert_eq!(F64::host_sqrt(e, F64::SIGN | one), None);
        assert_eq!(F64::host_mul_add(e, one, one, nan), None);
        assert_eq!(F32::host_mul_add(e, 1, 1, 0), None);
        assert_eq!(e.flags, Flags::NX);
    }
}
