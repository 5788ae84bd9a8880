//! Nanoseconds an operation: software, host path with NX clear (cleared before each operation), host path with NX set.
//! `cargo run --release -p cpu-fp --example bench`

use std::hint::black_box;
use std::time::Instant;

use cpu_fp::{Env, F16, F32, F64, Flags, Format, Round, soft};

const OPERANDS: usize = 4096;
const ROUNDS: usize = 400;

/// The best of some runs over the same operands.
fn time<F: Format>(
    v: &[F::Bits],
    flags: Flags,
    op: impl Fn(&mut Env, F::Bits, F::Bits, F::Bits) -> u64,
) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        let mut sum = 0u64;
        for _ in 0..ROUNDS / 10 {
            let mut env = Env::riscv(Round::NearestEven, flags);
            for w in v.windows(3) {
                env.flags = black_box(flags);
                sum = sum.wrapping_add(op(&mut env, w[0], w[1], w[2]));
            }
            black_box(env);
        }
        black_box(sum);
        best = best.min(start.elapsed().as_nanos() as f64 / (ROUNDS / 10 * (v.len() - 2)) as f64);
    }
    best
}

/// Normal operands around one.
fn operands<F: Format>() -> Vec<F::Bits> {
    let mut x = 1u64;
    let mut next = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        x >> 11
    };
    let exp = |n: u64| (F::BIAS as u64 - 2 + n % 5) << F::FRAC_BITS;
    (0..OPERANDS).map(|_| F::from_u64(exp(next()) | (next() & F::FRAC_MASK))).collect()
}

fn bench<F: Format>(name: &str) {
    let v = operands::<F>();
    macro_rules! row {
        ($op:ident $(, $arg:ident)*) => {
            println!(
                "{name} {:18} {:8.2} {:8.2} {:8.2}",
                stringify!($op),
                time::<F>(&v, Flags::empty(), |e, _a, _b, _c| soft::$op::<F>(e $(, $arg!(_a, _b, _c))*).into()),
                time::<F>(&v, Flags::empty(), |e, _a, _b, _c| cpu_fp::$op::<F>(e $(, $arg!(_a, _b, _c))*).into()),
                time::<F>(&v, Flags::NX, |e, _a, _b, _c| cpu_fp::$op::<F>(e $(, $arg!(_a, _b, _c))*).into()),
            )
        };
    }
    macro_rules! a {
        ($a:ident, $b:ident, $c:ident) => {
            $a
        };
    }
    macro_rules! b {
        ($a:ident, $b:ident, $c:ident) => {
            $b
        };
    }
    macro_rules! c {
        ($a:ident, $b:ident, $c:ident) => {
            $c
        };
    }
    row!(add, a, b);
    row!(sub, a, b);
    row!(mul, a, b);
    row!(div, a, b);
    row!(sqrt, a);
    row!(mul_add, a, b, c);
    macro_rules! only {
        ($what:literal, $f:expr) => {
            println!(
                "{name} {:18} {:8} {:8.2} {:8.2}",
                $what,
                "",
                time::<F>(&v, Flags::empty(), $f),
                time::<F>(&v, Flags::NX, $f)
            )
        };
    }
    only!("lt", |e, a, b, _| cpu_fp::lt::<F>(e, a, b).into());
    only!("min_num", |e, a, b, _| cpu_fp::min_num::<F>(e, a, b).into());
    only!("to_i32", |e, a, _, _| cpu_fp::to_i32::<F>(e, a) as u64);
    only!("to_i64", |e, a, _, _| cpu_fp::to_i64::<F>(e, a) as u64);
    only!("from_i32", |e, a, _, _| cpu_fp::from_i32::<F>(e, a.into() as i32).into());
    only!("from_i64", |e, a, _, _| cpu_fp::from_i64::<F>(e, a.into() as i64).into());
    only!("round_to_integral", |e, a, _, _| cpu_fp::round_to_integral::<F>(e, a, true).into());
    only!("to binary32", |e, a, _, _| cpu_fp::convert::<F, F32>(e, a).into());
    only!("to binary64", |e, a, _, _| cpu_fp::convert::<F, F64>(e, a));
}

fn main() {
    println!("    {:18} {:>8} {:>8} {:>8}", "", "software", "NX clear", "NX set");
    bench::<F16>("f16");
    bench::<F32>("f32");
    bench::<F64>("f64");
}
