//! Operands, and SoftFloat behind one interface.
#![allow(dead_code)] // each test program uses a part

use cpu_fp::{Env, F16, F32, F64, Flags, Format, Round};
use softfloat_wrapper::{self as sf, ExceptionFlags, Float, RoundingMode};

/// A format that SoftFloat has.
pub trait Oracle: Format {
    type Soft: Float<Payload = Self::Bits> + Copy;
    fn soft(bits: Self::Bits) -> Self::Soft {
        Self::Soft::from_bits(bits)
    }
}
impl Oracle for F16 {
    type Soft = sf::F16;
}
impl Oracle for F32 {
    type Soft = sf::F32;
}
impl Oracle for F64 {
    type Soft = sf::F64;
}

pub const ROUNDS: [Round; 5] =
    [Round::NearestEven, Round::TowardZero, Round::Down, Round::Up, Round::NearestAway];

pub fn soft_round(round: Round) -> RoundingMode {
    match round {
        Round::NearestEven => RoundingMode::TiesToEven,
        Round::TowardZero | Round::Odd => RoundingMode::TowardZero,
        Round::Down => RoundingMode::TowardNegative,
        Round::Up => RoundingMode::TowardPositive,
        Round::NearestAway => RoundingMode::TiesToAway,
    }
}

/// Runs a SoftFloat operation: its result and the flags that it raised (the layouts agree).
pub fn oracle<T>(op: impl FnOnce() -> T) -> (T, Flags) {
    let mut flags = ExceptionFlags::default();
    flags.set();
    let result = op();
    flags.get();
    (result, Flags::from_bits(flags.to_bits()).unwrap())
}

/// Runs an operation of ours from `flags`; panics if it cleared one.
pub fn ours<T>(round: Round, flags: Flags, op: impl FnOnce(&mut Env) -> T) -> (T, Flags) {
    let mut env = Env::riscv(round, flags);
    let result = op(&mut env);
    assert!(env.flags.contains(flags));
    (result, env.flags)
}

/// splitmix64.
pub struct Gen(pub u64);

impl Gen {
    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.u64() % n
    }

    /// A fraction with few bits set or clear, so that exact and half-way results are common.
    fn sparse(&mut self) -> u64 {
        let mut v = u64::MAX.checked_shl(self.below(65) as u32).unwrap_or(0);
        for _ in 0..self.below(4) {
            v ^= 1 << self.below(64);
        }
        v
    }

    /// An operand, mostly finite, with exponents often close to another's.
    pub fn bits<F: Format>(&mut self) -> F::Bits {
        let fraction = if self.below(2) == 0 { self.u64() } else { self.sparse() } & F::FRAC_MASK;
        let sign = self.u64() & F::SIGN;
        let exp = match self.below(8) {
            0 => return F::from_u64(self.u64()),
            1 => {
                let all = boundary::<F>();
                return all[self.below(all.len() as u64) as usize];
            }
            2 => self.below(4),
            3 => F::EXP_MAX - 1 - self.below(4),
            4 => self.below(F::EXP_MAX),
            // Around half of the smallest exponent: products and squares that are tiny.
            5 => {
                (F::BIAS as u64 / 2 + self.below(u64::from(F::FRAC_BITS))).saturating_sub(F::FRAC_BITS.into())
            }
            _ => {
                let near = u64::from(F::FRAC_BITS).min(F::BIAS as u64 - 1);
                F::BIAS as u64 - near + self.below(2 * near)
            }
        };
        F::from_u64(sign | exp << F::FRAC_BITS | fraction)
    }
}

/// The corners of a format, of both signs.
pub fn boundary<F: Format>() -> Vec<F::Bits> {
    let one = (F::BIAS as u64) << F::FRAC_BITS;
    let ulp = 1 << F::FRAC_BITS;
    let mut v = vec![
        0,
        1,
        2,
        F::MIN_NORMAL / 2,
        F::MIN_NORMAL - 1,
        F::MIN_NORMAL,
        F::MIN_NORMAL + 1,
        2 * F::MIN_NORMAL - 1,
        2 * F::MIN_NORMAL,
        one - ulp,
        one - 1,
        one,
        one + 1,
        one + ulp / 2,
        one + ulp - 1,
        one + ulp,
        one + ulp + ulp / 2,
        // Half an ulp of one, and its neighbours; the square root of the smallest normal number.
        one - ulp * u64::from(F::FRAC_BITS + 1),
        one - ulp * u64::from(F::FRAC_BITS + 1) + 1,
        one - ulp * u64::from(F::FRAC_BITS + 1) - 1,
        one - ulp * (F::BIAS as u64 / 2),
        one + ulp * (F::BIAS as u64 / 2),
        F::MAX_FINITE - ulp,
        F::MAX_FINITE - 1,
        F::MAX_FINITE,
        F::INF,
        F::INF + 1,
        F::INF + F::QUIET - 1,
        F::DEFAULT_NAN,
        F::DEFAULT_NAN + 1,
    ];
    // The ends of the integer types, where the format reaches.
    for power in [31, 32, 63, 64] {
        if power < F::BIAS as u64 {
            v.extend([one + ulp * power - 1, one + ulp * power, one + ulp * power + 1]);
        }
    }
    v.iter().flat_map(|&m| [F::from_u64(m), F::from_u64(F::SIGN | m)]).collect()
}

/// Rounds a binary32 to bfloat16, its upper half, as integer arithmetic on the magnitude; tininess before rounding.
pub fn narrow_f32(bits: u32, round: Round) -> (u16, Flags) {
    let (sign, magnitude) = (bits >> 31, bits & 0x7fff_ffff);
    if magnitude > 0x7f80_0000 {
        return (0x7fc0, Flags::empty());
    }
    let up = match round {
        Round::NearestEven => 0x7fff + (magnitude >> 16 & 1),
        Round::NearestAway => 0x8000,
        Round::Down if sign == 1 => 0xffff,
        Round::Up if sign == 0 => 0xffff,
        _ => 0,
    };
    let r = (magnitude + up) >> 16;
    let inexact = magnitude & 0xffff != 0;
    let mut flags = Flags::empty();
    flags.set(Flags::NX, inexact);
    flags.set(Flags::UF, inexact && magnitude < 0x0080_0000);
    flags.set(Flags::OF, inexact && r == 0x7f80);
    ((sign << 15 | r) as u16, flags)
}
