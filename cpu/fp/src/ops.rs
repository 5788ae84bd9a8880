//! Arithmetic: the host's operation where it gives the same result and flags, else software.

use crate::{Env, Format, soft};

/// `a + b`.
#[inline]
pub fn add<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    match F::host_add(env, a.into(), b.into()) {
        Some(r) => F::from_u64(r),
        None => soft::add::<F>(env, a, b),
    }
}

/// `a - b`.
#[inline]
pub fn sub<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    match F::host_add(env, a.into(), b.into() ^ F::SIGN) {
        Some(r) => F::from_u64(r),
        None => soft::sub::<F>(env, a, b),
    }
}

/// `a * b`.
#[inline]
pub fn mul<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    match F::host_mul(env, a.into(), b.into()) {
        Some(r) => F::from_u64(r),
        None => soft::mul::<F>(env, a, b),
    }
}

/// `a * b + c`, rounded once. Infinity times zero is invalid even if `c` is a quiet NaN.
///
/// The other three of a family are this one with signs flipped (`^ F::SIGN as _`): that of `a` negates
/// the product, that of `c` the addend, and ARM flips a NaN's sign the same way.
#[inline]
pub fn mul_add<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, c: F::Bits) -> F::Bits {
    match F::host_mul_add(env, a.into(), b.into(), c.into()) {
        Some(r) => F::from_u64(r),
        None => soft::mul_add::<F>(env, a, b, c),
    }
}

/// `a / b`.
#[inline]
pub fn div<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    match F::host_div(env, a.into(), b.into()) {
        Some(r) => F::from_u64(r),
        None => soft::div::<F>(env, a, b),
    }
}

/// The square root of `a`; of -0, -0.
#[inline]
pub fn sqrt<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    match F::host_sqrt(env, a.into()) {
        Some(r) => F::from_u64(r),
        None => soft::sqrt::<F>(env, a),
    }
}
