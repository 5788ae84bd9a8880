//! Comparison, conversion and rounding against SoftFloat; what it lacks, against definitions.

mod common;

use common::{Gen, Oracle, ROUNDS, boundary, narrow_f32, oracle, ours, soft_round};
use cpu_fp::{Bf16, Env, F16, F32, F64, Flags, Format, NanRule, Round, Rules, Tininess};
use softfloat_wrapper::{self as sf, Float};

const RANDOM: usize = 300_000;

/// Boundary values, or all there are, then random ones.
fn operands<F: Format>(seed: u64, random: usize) -> Vec<F::Bits> {
    let mut g = Gen(seed);
    let mut v = if F::SIGN == 0x8000 { (0..=0xffff).map(F::from_u64).collect() } else { boundary::<F>() };
    v.extend((0..random).map(|_| g.bits::<F>()));
    v
}

fn pairs<F: Format>(seed: u64) -> Vec<(F::Bits, F::Bits)> {
    let all = boundary::<F>();
    let mut v: Vec<_> = all.iter().flat_map(|&a| all.iter().map(move |&b| (a, b))).collect();
    let mut g = Gen(seed);
    for _ in 0..RANDOM {
        let a = g.bits::<F>();
        let near = F::from_u64(a.into() ^ g.below(4) ^ (g.below(2) * F::SIGN));
        v.push((a, if g.below(3) == 0 { near } else { g.bits::<F>() }));
    }
    v
}

fn comparisons<F: Oracle>() {
    type Ours<F> = fn(&mut Env, <F as Format>::Bits, <F as Format>::Bits) -> bool;
    type Theirs<F> = fn(<F as Oracle>::Soft, <F as Oracle>::Soft) -> bool;
    let ops: [(Ours<F>, Theirs<F>); 6] = [
        (cpu_fp::eq::<F>, |a, b| a.eq(b)),
        (cpu_fp::lt::<F>, |a, b| a.lt(b)),
        (cpu_fp::le::<F>, |a, b| a.le(b)),
        (cpu_fp::eq_signaling::<F>, |a, b| a.eq_signaling(b)),
        (cpu_fp::lt_quiet::<F>, |a, b| a.lt_quiet(b)),
        (cpu_fp::le_quiet::<F>, |a, b| a.le_quiet(b)),
    ];
    for (a, b) in pairs::<F>(10) {
        for (n, (f, g)) in ops.iter().enumerate() {
            let expected = oracle(|| g(F::soft(a), F::soft(b)));
            assert_eq!(ours(Round::Down, Flags::empty(), |e| f(e, a, b)), expected, "{n} {a:x} {b:x}");
        }
    }
}

#[test]
fn compare() {
    comparisons::<F16>();
    comparisons::<F32>();
    comparisons::<F64>();
}

/// Minimum and maximum by their definition on top of SoftFloat's comparison.
fn min_max<F: Oracle>() {
    type Fun<F> = fn(&mut Env, <F as Format>::Bits, <F as Format>::Bits) -> <F as Format>::Bits;
    // Operation, wants the lesser, prefers numbers to NaNs.
    let ops: [(Fun<F>, bool, bool); 4] = [
        (cpu_fp::min_num::<F>, true, true),
        (cpu_fp::max_num::<F>, false, true),
        (cpu_fp::minimum::<F>, true, false),
        (cpu_fp::maximum::<F>, false, false),
    ];
    let default = F::from_u64(F::DEFAULT_NAN);
    for (a, b) in pairs::<F>(11) {
        let (x, y) = (F::soft(a), F::soft(b));
        let mut flags = Flags::empty();
        flags.set(Flags::NV, x.is_signaling_nan() || y.is_signaling_nan());
        for (n, &(f, lesser, number)) in ops.iter().enumerate() {
            let negative_zero = F::from_u64(F::SIGN);
            let expected = match (x.is_nan(), y.is_nan()) {
                (true, true) => default,
                (true, _) => {
                    if number {
                        b
                    } else {
                        default
                    }
                }
                (_, true) => {
                    if number {
                        a
                    } else {
                        default
                    }
                }
                _ if x.eq(y) => {
                    if (a == negative_zero) == lesser {
                        a
                    } else {
                        b
                    }
                }
                _ => {
                    if x.lt(y) == lesser {
                        a
                    } else {
                        b
                    }
                }
            };
            assert_eq!(ours(Round::Up, Flags::empty(), |e| f(e, a, b)), (expected, flags), "{n} {a:x} {b:x}");
        }
    }
}

#[test]
fn minimum_and_maximum() {
    min_max::<F16>();
    min_max::<F32>();
    min_max::<F64>();
}

fn classes<F: Oracle>() {
    for a in operands::<F>(12, RANDOM) {
        let x = F::soft(a);
        let classes = [
            x.is_negative_infinity(),
            x.is_negative_normal(),
            x.is_negative_subnormal() && !x.is_zero(),
            x.is_negative_zero(),
            x.is_positive_zero(),
            x.is_positive_subnormal() && !x.is_zero(),
            x.is_positive_normal(),
            x.is_positive_infinity(),
            x.is_signaling_nan(),
            x.is_nan() && !x.is_signaling_nan(),
        ];
        let expected = classes.iter().enumerate().map(|(bit, &is)| u32::from(is) << bit).sum::<u32>();
        assert_eq!(cpu_fp::classify::<F>(a), expected, "{a:x}");
    }
}

#[test]
fn classify() {
    classes::<F16>();
    classes::<F32>();
    classes::<F64>();
}

/// The value cut to an integer, where that fits: the part of `fcvtmod` that is not flags.
fn modular(bits: u64) -> i32 {
    let x = f64::from_bits(bits);
    if x.abs() < 2f64.powi(100) { x as i128 as i32 } else { 0 }
}

fn to_integers<F: Oracle>() {
    for (n, a) in operands::<F>(13, RANDOM).into_iter().enumerate() {
        let x = F::soft(a);
        for round in ROUNDS {
            let r = soft_round(round);
            let flags = if n % 2 == 0 { Flags::empty() } else { Flags::NX };
            let with = |(v, f): (i64, Flags)| (v, f | flags);
            let about = || format!("{a:x} {round:?}");
            assert_eq!(
                ours(round, flags, |e| cpu_fp::to_i32::<F>(e, a).into()),
                with(oracle(|| x.to_i32(r, true).into())),
                "i32 {}",
                about()
            );
            assert_eq!(
                ours(round, flags, |e| cpu_fp::to_u32::<F>(e, a).into()),
                with(oracle(|| x.to_u32(r, true).into())),
                "u32 {}",
                about()
            );
            assert_eq!(
                ours(round, flags, |e| cpu_fp::to_i64::<F>(e, a)),
                with(oracle(|| x.to_i64(r, true))),
                "i64 {}",
                about()
            );
            assert_eq!(
                ours(round, flags, |e| cpu_fp::to_u64::<F>(e, a) as i64),
                with(oracle(|| x.to_u64(r, true) as i64)),
                "u64 {}",
                about()
            );
            let (integral, quiet) = oracle(|| x.round_to_integral(r).to_bits());
            assert_eq!(
                ours(round, flags, |e| cpu_fp::round_to_integral::<F>(e, a, false)),
                (integral, quiet | flags),
                "round {}",
                about()
            );
            let mut loud = quiet;
            loud.set(Flags::NX, !x.is_nan() && integral != a);
            assert_eq!(
                ours(round, flags, |e| cpu_fp::round_to_integral::<F>(e, a, true)),
                (integral, loud | flags),
                "round with NX {}",
                about()
            );
        }
        let wide = x.to_f64(sf::RoundingMode::TiesToEven).to_bits();
        let (_, flags) = oracle(|| x.to_i32(sf::RoundingMode::TowardZero, true));
        assert_eq!(
            ours(Round::Up, Flags::empty(), |e| cpu_fp::to_i32_modular::<F>(e, a)),
            (modular(wide), flags),
            "modular {a:x}"
        );
    }
}

#[test]
fn f16_to_integers() {
    to_integers::<F16>();
}
#[test]
fn f32_to_integers() {
    to_integers::<F32>();
}
#[test]
fn f64_to_integers() {
    to_integers::<F64>();
}

fn from_integers<F: Oracle>() {
    let mut g = Gen(14);
    let mut values: Vec<u64> = (0..64)
        .flat_map(|n| {
            [(1u64 << n).wrapping_sub(1), 1 << n, (1 << n) + 1, 3u64 << n, (1u64 << n).wrapping_neg()]
        })
        .collect();
    for _ in 0..RANDOM {
        // A run of bits somewhere, and random bits of any length.
        let run = (u64::MAX << g.below(64)) >> g.below(64);
        let short = g.u64() >> g.below(64);
        values.extend([run, run ^ 1 << g.below(64), short, short.wrapping_neg()]);
    }
    for v in values {
        for round in ROUNDS {
            let r = soft_round(round);
            let about = || format!("{v:x} {round:?}");
            for flags in [Flags::empty(), Flags::NX] {
                let with = |(v, f): (F::Soft, Flags)| (v.to_bits(), f | flags);
                assert_eq!(
                    ours(round, flags, |e| cpu_fp::from_i32::<F>(e, v as i32)),
                    with(oracle(|| F::Soft::from_i32(v as i32, r))),
                    "i32 {}",
                    about()
                );
                assert_eq!(
                    ours(round, flags, |e| cpu_fp::from_u32::<F>(e, v as u32)),
                    with(oracle(|| F::Soft::from_u32(v as u32, r))),
                    "u32 {}",
                    about()
                );
                assert_eq!(
                    ours(round, flags, |e| cpu_fp::from_i64::<F>(e, v as i64)),
                    with(oracle(|| F::Soft::from_i64(v as i64, r))),
                    "i64 {}",
                    about()
                );
                assert_eq!(
                    ours(round, flags, |e| cpu_fp::from_u64::<F>(e, v)),
                    with(oracle(|| F::Soft::from_u64(v, r))),
                    "u64 {}",
                    about()
                );
            }
        }
    }
}

#[test]
fn integers_to_f16() {
    from_integers::<F16>();
}
#[test]
fn integers_to_f32() {
    from_integers::<F32>();
}
#[test]
fn integers_to_f64() {
    from_integers::<F64>();
}

fn conversions<A: Oracle, B: Oracle>(oracle_of: fn(A::Soft, sf::RoundingMode) -> B::Soft) {
    for a in operands::<A>(15, RANDOM) {
        for round in ROUNDS {
            let (r, raised) = oracle(|| oracle_of(A::soft(a), soft_round(round)).to_bits());
            for flags in [Flags::empty(), Flags::NX] {
                let got = ours(round, flags, |e| cpu_fp::convert::<A, B>(e, a));
                assert_eq!(got, (r, raised | flags), "{a:x} {round:?}");
            }
        }
        // Narrowed to odd first, a value rounds the same.
        if A::FRAC_BITS > B::FRAC_BITS {
            let (r, raised) = oracle(|| oracle_of(A::soft(a), sf::RoundingMode::TowardZero).to_bits());
            let odd = F64::from_u64(r.into() | u64::from(raised.contains(Flags::NX)));
            let got = ours(Round::Odd, Flags::empty(), |e| cpu_fp::convert::<A, B>(e, a));
            assert_eq!((got.0.into(), got.1), (odd, raised), "{a:x} odd");
        }
    }
}

#[test]
fn between_formats() {
    conversions::<F16, F32>(|a, r| a.to_f32(r));
    conversions::<F16, F64>(|a, r| a.to_f64(r));
    conversions::<F32, F16>(|a, r| a.to_f16(r));
    conversions::<F32, F64>(|a, r| a.to_f64(r));
    conversions::<F64, F16>(|a, r| a.to_f16(r));
    conversions::<F64, F32>(|a, r| a.to_f32(r));
}

#[test]
fn to_and_from_bf16() {
    let rules = Rules { tininess: Tininess::BeforeRounding, ..Rules::RISCV };
    for a in operands::<F32>(16, RANDOM) {
        for round in ROUNDS {
            let (r, mut flags) = narrow_f32(a, round);
            flags.set(Flags::NV, F32::soft(a).is_signaling_nan());
            let mut env = Env { round, rules, flags: Flags::empty() };
            assert_eq!((cpu_fp::convert::<F32, Bf16>(&mut env, a), env.flags), (r, flags), "{a:x} {round:?}");
        }
    }
    for a in 0..=u16::MAX {
        let wide = u32::from(a) << 16;
        let nan = F32::soft(wide).is_nan();
        let mut flags = Flags::empty();
        flags.set(Flags::NV, F32::soft(wide).is_signaling_nan());
        let expected = if nan { 0x7fc0_0000 } else { wide };
        let got = ours(Round::Up, Flags::empty(), |e| cpu_fp::convert::<Bf16, F32>(e, a));
        assert_eq!(got, (expected, flags), "{a:x}");
    }
}

#[test]
fn arm_nans() {
    let env = || Env { rules: Rules::ARM, ..Env::default() };
    let (q1, q2, s1, s2) = (0x7fc0_0001, 0xffc0_0002, 0x7f80_0003, 0xff80_0004u32);
    let quiet = |v: u32| v | 0x40_0000;
    let one = 1f32.to_bits();
    let table = [
        // Operands, result, invalid.
        (q1, q2, q1, false),
        (one, q2, q2, false),
        (q1, s2, quiet(s2), true),
        (s1, s2, quiet(s1), true),
        (s1, q2, quiet(s1), true),
    ];
    for (a, b, expected, invalid) in table {
        for op in [cpu_fp::add::<F32>, cpu_fp::sub::<F32>, cpu_fp::mul::<F32>, cpu_fp::div::<F32>] {
            let mut e = env();
            assert_eq!(op(&mut e, a, b), expected, "{a:x} {b:x}");
            assert_eq!(e.flags.contains(Flags::NV), invalid, "{a:x} {b:x}");
        }
    }
    let inf = f32::INFINITY.to_bits();
    // The addend comes first; infinity times zero overrides a quiet addend only.
    for (a, b, c, expected, invalid) in [
        (q1, one, q2, q2, false),
        (q1, s1, q2, quiet(s1), true),
        (s1, q1, s2, quiet(s2), true),
        (inf, 0, q2, 0x7fc0_0000, true),
        (0, inf, s2, quiet(s2), true),
        (inf, 0, one, 0x7fc0_0000, true),
    ] {
        let mut e = env();
        assert_eq!(cpu_fp::mul_add::<F32>(&mut e, a, b, c), expected, "{a:x} {b:x} {c:x}");
        assert_eq!(e.flags.contains(Flags::NV), invalid, "{a:x} {b:x} {c:x}");
    }
    let mut e = env();
    assert_eq!(cpu_fp::convert::<F32, F64>(&mut e, 0xff80_0004), 0xfff8_0000_8000_0000);
    assert_eq!(cpu_fp::convert::<F64, F32>(&mut e, 0x7ff8_1234_5678_9abc), 0x7fc0_91a2);
    assert_eq!(cpu_fp::convert::<F32, F16>(&mut e, 0xffc1_2345), 0xfe09);
    assert_eq!(cpu_fp::to_i32::<F32>(&mut e, q1), 0);
    assert_eq!(e.rules.nan, NanRule::FirstSignalling);
}

#[test]
fn fli_constants() {
    let half: [u16; 32] = [
        0xbc00, 0x0400, 0x0100, 0x0200, 0x1c00, 0x2000, 0x2c00, 0x3000, 0x3400, 0x3500, 0x3600, 0x3700,
        0x3800, 0x3900, 0x3a00, 0x3b00, 0x3c00, 0x3d00, 0x3e00, 0x3f00, 0x4000, 0x4100, 0x4200, 0x4400,
        0x4800, 0x4c00, 0x5800, 0x5c00, 0x7800, 0x7c00, 0x7c00, 0x7e00,
    ];
    for (n, expected) in half.into_iter().enumerate() {
        let n = n as u32;
        assert_eq!(cpu_fp::fli::<F16>(n), expected, "{n}");
        let single = f32::from_bits(cpu_fp::fli::<F32>(n));
        let double = f64::from_bits(cpu_fp::fli::<F64>(n));
        match n {
            1 => assert_eq!((single, double), (f32::MIN_POSITIVE, f64::MIN_POSITIVE)),
            31 => {
                assert_eq!((single.to_bits(), double.to_bits()), (0x7fc0_0000, 0x7ff8_0000_0000_0000));
            }
            29 => assert_eq!((single, double), (65536.0, 65536.0)),
            _ => {
                let v = sf::F16::from_bits(expected).to_f64(sf::RoundingMode::TiesToEven).to_bits();
                assert_eq!((f64::from(single).to_bits(), double.to_bits()), (v, v), "{n}");
            }
        }
    }
}
