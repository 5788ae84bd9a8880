//! Conversion between formats, ARM's alternative half precision among them.

use crate::round::{Class, Unpacked, drop_bits, is_signalling, round_pack, signed, unpack};
use crate::{Env, F16, Flags, Format, NanRule};

/// binary16 is the one format with five exponent bits.
const fn half<F: Format>() -> bool {
    F::EXP_BITS == F16::EXP_BITS
}

/// `a` of format `A` in format `B`. A NaN becomes the default one or, where NaNs propagate, keeps its
/// sign and the upper bits of its payload.
///
/// Half precision is never flushed here, and with [`Rules::alternative_half`](crate::Rules::alternative_half) it
/// has neither infinities nor NaNs.
#[inline]
pub fn convert<A: Format, B: Format>(env: &mut Env, a: A::Bits) -> B::Bits {
    let rules = env.rules;
    env.rules.flush_inputs &= !half::<A>();
    env.rules.flush_outputs &= !half::<B>();
    let a = a.into();
    let x = if half::<A>() && rules.alternative_half && a & A::INF == A::INF {
        unpack_large::<A>(a)
    } else {
        unpack::<A>(env, a)
    };
    let bits = if half::<B>() && rules.alternative_half {
        pack_alternative::<B>(env, x)
    } else {
        match x.class {
            Class::Finite => round_pack::<B>(env, x.sign, x.exp, x.sig),
            Class::Zero => signed::<B>(x.sign, 0),
            Class::Inf => signed::<B>(x.sign, B::INF),
            Class::Nan => {
                if is_signalling::<A>(a) {
                    env.raise(Flags::NV);
                }
                let payload = (a & A::FRAC_MASK) << (63 - A::FRAC_BITS) >> (63 - B::FRAC_BITS);
                match rules.nan {
                    NanRule::Default => B::DEFAULT_NAN,
                    NanRule::FirstSignalling => signed::<B>(x.sign, B::DEFAULT_NAN | payload),
                }
            }
        }
    };
    env.rules = rules;
    B::from_u64(bits)
}

/// The largest exponent as one like the others.
fn unpack_large<F: Format>(bits: u64) -> Unpacked {
    Unpacked {
        class: Class::Finite,
        sign: bits & F::SIGN != 0,
        exp: F::EXP_MAX as i32 - F::BIAS,
        sig: 1 << 63 | (bits & F::FRAC_MASK) << (63 - F::FRAC_BITS),
    }
}

/// To a format whose largest exponent is one like the others: what it can not represent is invalid; NaNs become
/// zero and the rest the largest number.
fn pack_alternative<F: Format>(env: &mut Env, x: Unpacked) -> u64 {
    let largest = F::SIGN - 1;
    let biased = x.exp + F::BIAS;
    let magnitude = match x.class {
        Class::Zero => 0,
        Class::Finite if biased < 1 => return round_pack::<F>(env, x.sign, x.exp, x.sig),
        Class::Finite if biased <= F::EXP_MAX as i32 => {
            let (kept, inexact) = drop_bits(env.round, x.sign, x.sig, 63 - F::FRAC_BITS);
            let bits = ((biased as u64 - 1) << F::FRAC_BITS) + kept;
            if bits > largest {
                env.raise(Flags::NV);
            } else if inexact {
                env.raise(Flags::NX);
            }
            bits.min(largest)
        }
        Class::Finite | Class::Inf => {
            env.raise(Flags::NV);
            largest
        }
        Class::Nan => {
            env.raise(Flags::NV);
            0
        }
    };
    signed::<F>(x.sign, magnitude)
}
