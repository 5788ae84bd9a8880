//! Addition, multiplication, fused multiply-add, division and square root in integers: the reference that the fast path
//! must equal, and the path of whatever it does not take.

use crate::round::{
    Class, Unpacked, high_jam, invalid, nan, round_pack, shift_right_jam, shift_right_jam_wide, signed,
    unpack,
};
use crate::{Env, Flags, Format, Round};

/// The sign of an exact zero sum of operands of opposite sign.
fn zero_sum<F: Format>(env: &Env) -> u64 {
    signed::<F>(env.round == Round::Down, 0)
}

/// A finite value, rounded again only for the rules that flush results.
fn repack<F: Format>(env: &mut Env, v: Unpacked) -> u64 {
    round_pack::<F>(env, v.sign, v.exp, v.sig)
}

/// `a + b`.
#[inline(never)]
pub fn add<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    F::from_u64(sum::<F>(env, a.into(), b.into(), false))
}

/// `a - b`.
#[inline(never)]
pub fn sub<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    F::from_u64(sum::<F>(env, a.into(), b.into(), true))
}

fn sum<F: Format>(env: &mut Env, a: u64, b: u64, negate: bool) -> u64 {
    let x = unpack::<F>(env, a);
    let mut y = unpack::<F>(env, b);
    if x.class == Class::Nan || y.class == Class::Nan {
        return nan::<F>(env, &[a, b]);
    }
    y.sign ^= negate;
    match (x.class, y.class) {
        (Class::Inf, Class::Inf) if x.sign != y.sign => invalid::<F>(env),
        (Class::Inf, _) => signed::<F>(x.sign, F::INF),
        (_, Class::Inf) => signed::<F>(y.sign, F::INF),
        (Class::Zero, Class::Zero) if x.sign == y.sign => signed::<F>(x.sign, 0),
        (Class::Zero, Class::Zero) => zero_sum::<F>(env),
        (Class::Zero, _) => repack::<F>(env, y),
        (_, Class::Zero) => repack::<F>(env, x),
        _ => {
            // 11 spare bits below the longest significand: enough for guard, round and sticky.
            let (big, small) = if (x.exp, x.sig) >= (y.exp, y.sig) { (x, y) } else { (y, x) };
            let aligned = shift_right_jam(small.sig, (big.exp - small.exp) as u32);
            if x.sign == y.sign {
                let (sig, carry) = big.sig.overflowing_add(aligned);
                if carry {
                    return round_pack::<F>(env, x.sign, big.exp + 1, 1 << 63 | sig >> 1 | sig & 1);
                }
                return round_pack::<F>(env, x.sign, big.exp, sig);
            }
            let sig = big.sig - aligned;
            if sig == 0 {
                return zero_sum::<F>(env);
            }
            let lz = sig.leading_zeros();
            round_pack::<F>(env, big.sign, big.exp - lz as i32, sig << lz)
        }
    }
}

/// The exact product of two finite values: exponent and normalised 128-bit significand.
fn product(x: Unpacked, y: Unpacked) -> (i32, u128) {
    let wide = u128::from(x.sig) * u128::from(y.sig);
    if wide >> 127 != 0 { (x.exp + y.exp + 1, wide) } else { (x.exp + y.exp, wide << 1) }
}

/// `a * b`.
#[inline(never)]
pub fn mul<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (a, b) = (a.into(), b.into());
    let x = unpack::<F>(env, a);
    let y = unpack::<F>(env, b);
    let sign = x.sign ^ y.sign;
    F::from_u64(match (x.class, y.class) {
        (Class::Finite, Class::Finite) => {
            let (exp, wide) = product(x, y);
            round_pack::<F>(env, sign, exp, high_jam(wide))
        }
        (Class::Nan, _) | (_, Class::Nan) => nan::<F>(env, &[a, b]),
        (Class::Inf, Class::Zero) | (Class::Zero, Class::Inf) => invalid::<F>(env),
        (Class::Inf, _) | (_, Class::Inf) => signed::<F>(sign, F::INF),
        _ => signed::<F>(sign, 0),
    })
}

/// `a * b + c`, rounded once. Infinity times zero is invalid even if `c` is a quiet NaN.
#[inline(never)]
pub fn mul_add<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, c: F::Bits) -> F::Bits {
    let (a, b, c) = (a.into(), b.into(), c.into());
    let x = unpack::<F>(env, a);
    let y = unpack::<F>(env, b);
    let z = unpack::<F>(env, c);
    let sign = x.sign ^ y.sign;
    let no_product = matches!((x.class, y.class), (Class::Inf, Class::Zero) | (Class::Zero, Class::Inf));
    if x.class == Class::Nan || y.class == Class::Nan || z.class == Class::Nan {
        if no_product {
            // A signalling addend is still the result where NaNs propagate; a quiet one is not.
            let quiet = c & F::QUIET != 0;
            env.raise(Flags::NV);
            return F::from_u64(if quiet { F::DEFAULT_NAN } else { nan::<F>(env, &[c]) });
        }
        return F::from_u64(nan::<F>(env, &[c, a, b]));
    }
    if no_product {
        return F::from_u64(invalid::<F>(env));
    }
    let product_inf = x.class == Class::Inf || y.class == Class::Inf;
    let product_zero = x.class == Class::Zero || y.class == Class::Zero;
    F::from_u64(if product_inf && z.class == Class::Inf && sign != z.sign {
        invalid::<F>(env)
    } else if product_inf {
        signed::<F>(sign, F::INF)
    } else if z.class == Class::Inf {
        signed::<F>(z.sign, F::INF)
    } else if product_zero && z.class == Class::Zero {
        if sign == z.sign { signed::<F>(sign, 0) } else { zero_sum::<F>(env) }
    } else if product_zero {
        repack::<F>(env, z)
    } else {
        let (exp, wide) = product(x, y);
        if z.class == Class::Zero {
            round_pack::<F>(env, sign, exp, high_jam(wide))
        } else {
            sum_wide::<F>(env, (sign, exp, wide), (z.sign, z.exp, u128::from(z.sig) << 64))
        }
    })
}

/// The sum of two nonzero values with 128-bit significands, of which at most 106 bits are in use.
fn sum_wide<F: Format>(env: &mut Env, x: (bool, i32, u128), y: (bool, i32, u128)) -> u64 {
    let (big, small) = if (x.1, x.2) >= (y.1, y.2) { (x, y) } else { (y, x) };
    let (sign, exp, sig) = big;
    let aligned = shift_right_jam_wide(small.2, (exp - small.1) as u32);
    if sign == small.0 {
        let (total, carry) = sig.overflowing_add(aligned);
        if carry {
            return round_pack::<F>(env, sign, exp + 1, high_jam(1 << 127 | total >> 1 | total & 1));
        }
        return round_pack::<F>(env, sign, exp, high_jam(total));
    }
    let total = sig - aligned;
    if total == 0 {
        return zero_sum::<F>(env);
    }
    let lz = total.leading_zeros();
    round_pack::<F>(env, sign, exp - lz as i32, high_jam(total << lz))
}

/// `a / b`.
#[inline(never)]
pub fn div<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (a, b) = (a.into(), b.into());
    let x = unpack::<F>(env, a);
    let y = unpack::<F>(env, b);
    let sign = x.sign ^ y.sign;
    F::from_u64(match (x.class, y.class) {
        (Class::Finite, Class::Finite) => {
            let less = x.sig < y.sig;
            round_pack::<F>(env, sign, x.exp - y.exp - i32::from(less), quotient::<F>(x.sig, y.sig, less))
        }
        (Class::Nan, _) | (_, Class::Nan) => nan::<F>(env, &[a, b]),
        (Class::Inf, Class::Inf) | (Class::Zero, Class::Zero) => invalid::<F>(env),
        (Class::Inf, _) => signed::<F>(sign, F::INF),
        (_, Class::Inf) | (Class::Zero, _) => signed::<F>(sign, 0),
        (_, Class::Zero) => {
            env.raise(Flags::DZ);
            signed::<F>(sign, F::INF)
        }
    })
}

/// `x / y` normalised, with a sticky last bit; `less` is `x < y`.
fn quotient<F: Format>(x: u64, y: u64, less: bool) -> u64 {
    if F::FRAC_BITS < 31 {
        // Both significands lie in the upper 32 bits, and a quotient of 32 bits is long enough.
        let (x, y) = ((x >> 32) << (31 + u32::from(less)), y >> 32);
        (x / y) << 32 | u64::from(x % y != 0)
    } else {
        let (x, y) = (u128::from(x) << (63 + u32::from(less)), u128::from(y));
        let q = (x / y) as u64;
        q | u64::from(u128::from(q) * y != x)
    }
}

/// The square root of `a`; of -0, -0.
#[inline(never)]
pub fn sqrt<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    let a = a.into();
    let x = unpack::<F>(env, a);
    F::from_u64(match x.class {
        Class::Nan => nan::<F>(env, &[a]),
        Class::Zero => signed::<F>(x.sign, 0),
        _ if x.sign => invalid::<F>(env),
        Class::Inf => F::INF,
        Class::Finite => {
            let odd = (x.exp & 1) as u32;
            let root = if F::FRAC_BITS < 31 {
                let v = (x.sig >> 32) << (31 + odd);
                let root = v.isqrt();
                root << 32 | u64::from(root * root != v)
            } else {
                let v = u128::from(x.sig) << (63 + odd);
                let root = v.isqrt();
                root as u64 | u64::from(root * root != v)
            };
            round_pack::<F>(env, false, x.exp >> 1, root)
        }
    })
}
