//! Conversion between formats.

use crate::round::{Class, is_signalling, round_pack, signed, unpack};
use crate::{Env, Flags, Format, NanRule};

/// `a` of format `A` in format `B`. A NaN becomes the default one or, where NaNs propagate, keeps its
/// sign and the upper bits of its payload.
#[inline]
pub fn convert<A: Format, B: Format>(env: &mut Env, a: A::Bits) -> B::Bits {
    let a = a.into();
    let x = unpack::<A>(env, a);
    B::from_u64(match x.class {
        Class::Finite => round_pack::<B>(env, x.sign, x.exp, x.sig),
        Class::Zero => signed::<B>(x.sign, 0),
        Class::Inf => signed::<B>(x.sign, B::INF),
        Class::Nan => {
            if is_signalling::<A>(a) {
                env.raise(Flags::NV);
            }
            let payload = (a & A::FRAC_MASK) << (63 - A::FRAC_BITS) >> (63 - B::FRAC_BITS);
            match env.rules.nan {
                NanRule::Default => B::DEFAULT_NAN,
                NanRule::FirstSignalling => signed::<B>(x.sign, B::DEFAULT_NAN | payload),
            }
        }
    })
}
