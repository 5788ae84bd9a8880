//! ARM's rules: the pseudocode of the ARMv7-M ARM (DDI 0403E, A2.5 and the FP pseudocode functions) written down once more,
//! on top of SoftFloat's RISC-V results.

mod common;

use common::{Gen, Oracle, ROUNDS, boundary, oracle, soft_round};
use cpu_fp::{Env, F16, F32, F64, Flags, Format, Rules};
use softfloat_wrapper::{Float, RoundingMode};

const DN: u32 = 1 << 25;
const FZ: u32 = 1 << 24;
const AHP: u32 = 1 << 26;

/// Corners, with several NaNs of either kind, then random ones.
fn operands<F: Format>(seed: u64, random: usize) -> Vec<F::Bits> {
    let mut v = boundary::<F>();
    v.extend(
        [F::INF | 5, F::SIGN | F::INF | 6, F::DEFAULT_NAN | 7, F::SIGN | F::DEFAULT_NAN | 8].map(F::from_u64),
    );
    let mut g = Gen(seed);
    v.extend((0..random).map(|_| g.bits::<F>()));
    v
}

/// `FPProcessNaNs` and `FPProcessNaNs3`: `None` without a NaN.
fn process_nans<F: Format>(fpscr: u32, operands: &[F::Bits]) -> Option<u64> {
    let is_nan = |v: &u64| v & !F::SIGN > F::INF;
    let all: Vec<u64> = operands.iter().map(|&v| v.into()).filter(is_nan).collect();
    let chosen = all.iter().find(|&v| v & F::QUIET == 0).or(all.first())?;
    Some(if fpscr & DN != 0 { F::DEFAULT_NAN } else { chosen | F::QUIET })
}

/// Operands, and the function's result and flags, with the RISC-V result in place of `None`.
fn check<F: Oracle>(
    fpscr: u32,
    about: &str,
    ours: impl Fn(&mut Env) -> F::Bits,
    expected: Option<u64>,
    theirs: impl Fn(RoundingMode) -> F::Soft,
) {
    for round in ROUNDS {
        let mut env = Env { round, rules: Rules::arm(fpscr), flags: Flags::empty() };
        let got = ours(&mut env).into();
        let (r, flags) = oracle(|| theirs(soft_round(round)).to_bits());
        assert_eq!(got, expected.unwrap_or(r.into()), "{about} {round:?} {fpscr:x}");
        // When a result is tiny is another test's matter.
        assert_eq!(env.flags - Flags::UF, flags - Flags::UF, "{about} {round:?} {fpscr:x}");
    }
}

fn propagation<F: Oracle>() {
    let all = operands::<F>(20, 30);
    for fpscr in [0, DN] {
        for &a in &all {
            let root = || F::soft(a);
            check::<F>(
                fpscr,
                &format!("sqrt {a:x}"),
                |e| cpu_fp::sqrt::<F>(e, a),
                process_nans::<F>(fpscr, &[a]),
                |r| root().sqrt(r),
            );
            for &b in &all {
                let nan = process_nans::<F>(fpscr, &[a, b]);
                let (x, y) = (F::soft(a), F::soft(b));
                let about = format!("{a:x} {b:x}");
                check::<F>(fpscr, &about, |e| cpu_fp::add::<F>(e, a, b), nan, |r| x.add(y, r));
                check::<F>(fpscr, &about, |e| cpu_fp::sub::<F>(e, a, b), nan, |r| x.sub(y, r));
                check::<F>(fpscr, &about, |e| cpu_fp::mul::<F>(e, a, b), nan, |r| x.mul(y, r));
                check::<F>(fpscr, &about, |e| cpu_fp::div::<F>(e, a, b), nan, |r| x.div(y, r));
            }
        }
        // FPMulAdd looks at the addend first, and infinity times zero overrides a quiet one.
        for &a in &all {
            for &b in all.iter().step_by(3) {
                for &c in all.iter().step_by(2) {
                    let magnitude = |v: F::Bits| v.into() & !F::SIGN;
                    let no_product = magnitude(a) == F::INF && magnitude(b) == 0
                        || magnitude(a) == 0 && magnitude(b) == F::INF;
                    let quiet = magnitude(c) >= F::DEFAULT_NAN;
                    let nan = if no_product && quiet {
                        Some(F::DEFAULT_NAN)
                    } else {
                        process_nans::<F>(fpscr, &[c, a, b])
                    };
                    let (x, y, z) = (F::soft(a), F::soft(b), F::soft(c));
                    let about = format!("{a:x} {b:x} {c:x}");
                    let ours = |e: &mut Env| cpu_fp::mul_add::<F>(e, a, b, c);
                    check::<F>(fpscr, &about, ours, nan, |r| x.fused_mul_add(y, z, r));
                }
            }
        }
    }
}

#[test]
fn nans_propagate_as_the_operands_stand() {
    propagation::<F32>();
    propagation::<F64>();
}

/// The value of an alternative half precision number.
fn alternative(bits: u16) -> f64 {
    let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
    let (exp, frac) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let magnitude =
        if exp == 0 { frac * 2f64.powi(-24) } else { (1.0 + frac / 1024.0) * 2f64.powi(exp - 15) };
    sign * magnitude
}

#[test]
fn alternative_half_precision_to_single() {
    for a in 0..=u16::MAX {
        for fpscr in [AHP, AHP | FZ | DN] {
            let mut env = Env::arm(fpscr, Flags::empty());
            let got = cpu_fp::convert::<F16, F32>(&mut env, a);
            assert_eq!((got, env.flags), ((alternative(a) as f32).to_bits(), Flags::empty()), "{a:x}");
        }
    }
}

#[test]
fn single_to_alternative_half_precision() {
    for a in operands::<F32>(21, 300_000) {
        for round in ROUNDS {
            let x = f32::from_bits(a);
            let sign = (a >> 16 & 0x8000) as u16;
            // Above the largest binary16, the half of the value, one binade lower.
            let large = x.abs() >= 32768.0;
            let y = if large { x / 2.0 } else { x };
            let (half, raised) = oracle(|| F32::soft(y.to_bits()).to_f16(soft_round(round)).to_bits());
            let expected = if x.is_nan() {
                (sign, Flags::NV)
            } else if raised.contains(Flags::OF) || x.is_infinite() {
                (sign | 0x7fff, Flags::NV)
            } else {
                (half + if large { 0x400 } else { 0 }, raised)
            };
            let mut env = Env { round, rules: Rules::arm(AHP), flags: Flags::empty() };
            let got = cpu_fp::convert::<F32, F16>(&mut env, a);
            let flags = |f: Flags| f - Flags::UF;
            assert_eq!((got, flags(env.flags)), (expected.0, flags(expected.1)), "{a:x} {round:?}");
            let tiny = x.abs() < 2f32.powi(-14) && expected.1.contains(Flags::NX);
            assert_eq!(env.flags.contains(Flags::UF), tiny, "{a:x} {round:?}");
        }
    }
}

/// FPUnpack and FPRound leave half precision alone where FZ is set; a subnormal single is an operand like any other.
#[test]
fn half_precision_is_not_flushed() {
    let mut env = Env::arm(FZ, Flags::empty());
    assert_eq!(cpu_fp::convert::<F16, F32>(&mut env, 0x8001), (-(2f32.powi(-24))).to_bits());
    assert_eq!(cpu_fp::convert::<F32, F16>(&mut env, 2f32.powi(-24).to_bits()), 1);
    assert_eq!(env.flags, Flags::empty());
    assert_eq!(cpu_fp::convert::<F32, F16>(&mut env, 2f32.powi(-30).to_bits()), 0);
    assert_eq!(env.flags, Flags::UF | Flags::NX);
    let mut env = Env::arm(FZ, Flags::empty());
    assert_eq!(cpu_fp::convert::<F32, F16>(&mut env, 0x8000_0001), 0x8000);
    assert_eq!(env.flags, Flags::ID);
    assert_eq!(env.rules, Rules::arm(FZ));
}

#[test]
fn to_sixteen_bits() {
    for a in operands::<F32>(22, 100_000) {
        let x = f32::from_bits(a);
        for round in ROUNDS {
            let (wide, raised) = oracle(|| F32::soft(a).to_i64(soft_round(round), true));
            let expected = |min: i64, max: i64| match wide.clamp(min, max) {
                _ if x.is_nan() => (0, Flags::NV),
                v if v != wide => (v, Flags::NV),
                v => (v, raised),
            };
            let run = |f: fn(&mut Env, u32) -> i64| {
                let mut env = Env { round, rules: Rules::ARM, flags: Flags::empty() };
                (f(&mut env, a), env.flags)
            };
            let signed = run(|e, a| cpu_fp::to_i16::<F32>(e, a).into());
            assert_eq!(signed, expected(i16::MIN.into(), i16::MAX.into()), "{a:x} {round:?}");
            let unsigned = run(|e, a| cpu_fp::to_u16::<F32>(e, a).into());
            assert_eq!(unsigned, expected(0, u16::MAX.into()), "{a:x} {round:?}");
        }
    }
}
