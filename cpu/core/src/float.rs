//! Floating-point operations as data, so that a consumer of [`crate::Semantics`] can record them.

use cpu_fp::{self as fp, Bf16, Env, F16, F32, F64};

/// An interchange format.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum FloatFormat {
    F16,
    Bf16,
    F32,
    F64,
}

/// Where the rounding direction comes from.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rounding {
    /// The instruction.
    Static(fp::Round),
    /// The guest's mode register.
    Dynamic,
}

/// An operation on values of one format; operands and results are bit patterns in the low bits.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum FloatOp {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    /// `a * b + c`, rounded once.
    MulAdd,
    MinNum,
    MaxNum,
    Minimum,
    Maximum,
    /// Comparisons give 0 or 1.
    Eq,
    Lt,
    Le,
    LtQuiet,
    LeQuiet,
    /// The class as a one-hot mask, in RISC-V's order.
    Classify,
    /// To an integer; results of 32 bits and less are sign-extended, but for `ToU16`.
    ToI16,
    ToU16,
    ToI32,
    ToU32,
    ToI64,
    ToU64,
    /// JavaScript's conversion, modulo 2^32.
    ToI32Modular,
    FromI32,
    FromU32,
    FromI64,
    FromU64,
    /// To an integral value, in the same format.
    Round {
        signal_inexact: bool,
    },
    /// To another format.
    Convert(FloatFormat),
}

impl FloatOp {
    /// The result on operands of `format`; `env` gives rounding and rules and takes the flags.
    #[inline(always)]
    pub fn eval(self, format: FloatFormat, env: &mut Env, args: [u64; 3]) -> u64 {
        match format {
            FloatFormat::F16 => self.eval_in::<F16>(env, args),
            FloatFormat::Bf16 => self.eval_in::<Bf16>(env, args),
            FloatFormat::F32 => self.eval_in::<F32>(env, args),
            FloatFormat::F64 => self.eval_in::<F64>(env, args),
        }
    }

    #[inline(always)]
    fn eval_in<F: fp::Format>(self, env: &mut Env, [x, y, z]: [u64; 3]) -> u64 {
        let (a, b, c) = (F::from_u64(x), F::from_u64(y), F::from_u64(z));
        match self {
            FloatOp::Add => fp::add::<F>(env, a, b).into(),
            FloatOp::Sub => fp::sub::<F>(env, a, b).into(),
            FloatOp::Mul => fp::mul::<F>(env, a, b).into(),
            FloatOp::Div => fp::div::<F>(env, a, b).into(),
            FloatOp::Sqrt => fp::sqrt::<F>(env, a).into(),
            FloatOp::MulAdd => fp::mul_add::<F>(env, a, b, c).into(),
            FloatOp::MinNum => fp::min_num::<F>(env, a, b).into(),
            FloatOp::MaxNum => fp::max_num::<F>(env, a, b).into(),
            FloatOp::Minimum => fp::minimum::<F>(env, a, b).into(),
            FloatOp::Maximum => fp::maximum::<F>(env, a, b).into(),
            FloatOp::Eq => fp::eq::<F>(env, a, b) as u64,
            FloatOp::Lt => fp::lt::<F>(env, a, b) as u64,
            FloatOp::Le => fp::le::<F>(env, a, b) as u64,
            FloatOp::LtQuiet => fp::lt_quiet::<F>(env, a, b) as u64,
            FloatOp::LeQuiet => fp::le_quiet::<F>(env, a, b) as u64,
            FloatOp::Classify => fp::classify::<F>(a) as u64,
            FloatOp::ToI16 => fp::to_i16::<F>(env, a) as u64,
            FloatOp::ToU16 => fp::to_u16::<F>(env, a) as u64,
            FloatOp::ToI32 => fp::to_i32::<F>(env, a) as u64,
            FloatOp::ToU32 => fp::to_u32::<F>(env, a) as i32 as u64,
            FloatOp::ToI64 => fp::to_i64::<F>(env, a) as u64,
            FloatOp::ToU64 => fp::to_u64::<F>(env, a),
            FloatOp::ToI32Modular => fp::to_i32_modular::<F>(env, a) as u64,
            FloatOp::FromI32 => fp::from_i32::<F>(env, x as i32).into(),
            FloatOp::FromU32 => fp::from_u32::<F>(env, x as u32).into(),
            FloatOp::FromI64 => fp::from_i64::<F>(env, x as i64).into(),
            FloatOp::FromU64 => fp::from_u64::<F>(env, x).into(),
            FloatOp::Round { signal_inexact } => fp::round_to_integral::<F>(env, a, signal_inexact).into(),
            FloatOp::Convert(FloatFormat::F16) => fp::convert::<F, F16>(env, a).into(),
            FloatOp::Convert(FloatFormat::Bf16) => fp::convert::<F, Bf16>(env, a).into(),
            FloatOp::Convert(FloatFormat::F32) => fp::convert::<F, F32>(env, a).into(),
            FloatOp::Convert(FloatFormat::F64) => fp::convert::<F, F64>(env, a),
        }
    }
}
