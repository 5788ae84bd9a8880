//! F, D, Zfh, Zfhmin, Zfa. Volume I, chapters 21, 22, 24, 25.
//!
//! A narrower value stands in the low bits of a register under a prefix of ones (NaN boxing); a value without it
//! reads as the canonical NaN.

use cpu_core::float::FloatFormat::{self, F16, F32, F64};
use cpu_core::{FloatOp, Flow, Rounding, SemanticsExt, Width};
use cpu_fp::Round;

use crate::Riscv;

const NEAREST: Rounding = Rounding::Static(Round::NearestEven);

const fn bits(format: FloatFormat) -> u32 {
    match format {
        FloatFormat::F16 | FloatFormat::Bf16 => 16,
        FloatFormat::F32 => 32,
        FloatFormat::F64 => 64,
    }
}

const fn width(format: FloatFormat) -> Width {
    match format {
        FloatFormat::F16 | FloatFormat::Bf16 => Width::B2,
        FloatFormat::F32 => Width::B4,
        FloatFormat::F64 => Width::B8,
    }
}

const fn canonical_nan(format: FloatFormat) -> u64 {
    match format {
        FloatFormat::F16 => 0x7e00,
        FloatFormat::Bf16 => 0x7fc0,
        FloatFormat::F32 => 0x7fc0_0000,
        FloatFormat::F64 => 0x7ff8 << 48,
    }
}

/// The operand in register `r`, unboxed.
#[inline(always)]
fn read<S: Riscv>(s: &S, format: FloatFormat, r: u8) -> S::Value {
    let raw = s.f(r);
    let bits = bits(format);
    if bits == 64 {
        return raw;
    }
    let boxed = s.eq(s.shr(raw, s.imm(bits as u64)), s.imm(u64::MAX >> bits));
    s.select(boxed, s.and_imm(raw, u64::MAX >> (64 - bits)), s.imm(canonical_nan(format)))
}

/// Sets register `r` to `value`, whose high bits are zero.
#[inline(always)]
fn write<S: Riscv>(s: &S, format: FloatFormat, r: u8, value: S::Value) {
    let bits = bits(format);
    let boxed = if bits == 64 { value } else { s.or(value, s.imm(u64::MAX << bits)) };
    s.set_f(r, boxed);
}

#[inline(always)]
fn flip_sign<S: Riscv>(s: &S, format: FloatFormat, value: S::Value) -> S::Value {
    s.xor(value, s.imm(1 << (bits(format) - 1)))
}

/// `f[rd] = op(f[rs1], f[rs2], f[rs3])`; operands that `op` lacks are register 0.
#[inline(always)]
fn arith<S: Riscv>(
    s: &S,
    op: FloatOp,
    format: FloatFormat,
    rounding: Rounding,
    rd: u8,
    args: [S::Value; 3],
) -> Flow<S> {
    let value = s.float(op, format, rounding, args);
    write(s, format, rd, value);
    s.fall()
}

#[inline(always)]
fn multiply_add<S: Riscv>(
    s: &S,
    format: FloatFormat,
    (rd, rs1, rs2, rs3, rm): (u8, u8, u8, u8, u8),
    negate_product: bool,
    negate_addend: bool,
) -> Flow<S> {
    let rounding = s.rounding(rm)?;
    let (a, b, c) = (read(s, format, rs1), read(s, format, rs2), read(s, format, rs3));
    let a = if negate_product { flip_sign(s, format, a) } else { a };
    let c = if negate_addend { flip_sign(s, format, c) } else { c };
    arith(s, FloatOp::MulAdd, format, rounding, rd, [a, b, c])
}

#[derive(Copy, Clone)]
enum Sign {
    Copy,
    Negate,
    Xor,
}

#[inline(always)]
fn inject_sign<S: Riscv>(s: &S, format: FloatFormat, how: Sign, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    let sign = 1u64 << (bits(format) - 1);
    if rs1 == rs2 {
        // A move, a negation, a magnitude.
        let a = read(s, format, rs1);
        let value = match how {
            Sign::Copy => a,
            Sign::Negate => s.xor(a, s.imm(sign)),
            Sign::Xor => s.and_imm(a, sign - 1),
        };
        write(s, format, rd, value);
        return s.fall();
    }
    let (a, b) = (read(s, format, rs1), read(s, format, rs2));
    let new = match how {
        Sign::Copy => s.and_imm(b, sign),
        Sign::Negate => s.and_imm(s.not(b), sign),
        Sign::Xor => s.and_imm(s.xor(a, b), sign),
    };
    write(s, format, rd, s.or(s.and_imm(a, sign - 1), new));
    s.fall()
}

/// `f[rd] = op(f[rs1])` where `op` makes a value of `to`.
#[inline(always)]
fn convert<S: Riscv>(s: &S, from: FloatFormat, to: FloatFormat, rd: u8, rs1: u8, rm: u8) -> Flow<S> {
    let rounding = s.rounding(rm)?;
    let zero = s.imm(0);
    let value = s.float(FloatOp::Convert(to), from, rounding, [read(s, from, rs1), zero, zero]);
    write(s, to, rd, value);
    s.fall()
}

macro_rules! of_format {
    (load: $($load:ident $store:ident $f:ident;)*) => {$(
        #[inline(always)]
        pub fn $load<S: Riscv>(s: &S, rd: u8, rs1: u8, imm: i64) -> Flow<S> {
            let value = s.load(s.address(rs1, imm), width($f), false)?;
            write(s, $f, rd, value);
            s.fall()
        }
        #[inline(always)]
        pub fn $store<S: Riscv>(s: &S, rs1: u8, rs2: u8, imm: i64) -> Flow<S> {
            s.store(s.address(rs1, imm), width($f), s.f(rs2))?;
            s.fall()
        }
    )*};
    (rounded: $op:ident: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8, rm: u8) -> Flow<S> {
            let rounding = s.rounding(rm)?;
            let args = [read(s, $f, rs1), read(s, $f, rs2), s.imm(0)];
            arith(s, FloatOp::$op, $f, rounding, rd, args)
        }
    )*};
    (rounded1: $op:expr; $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rm: u8) -> Flow<S> {
            let rounding = s.rounding(rm)?;
            let zero = s.imm(0);
            arith(s, $op, $f, rounding, rd, [read(s, $f, rs1), zero, zero])
        }
    )*};
    (exact: $op:ident: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
            let args = [read(s, $f, rs1), read(s, $f, rs2), s.imm(0)];
            arith(s, FloatOp::$op, $f, NEAREST, rd, args)
        }
    )*};
    (fused: $negate_product:literal $negate_addend:literal: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8, rs3: u8, rm: u8) -> Flow<S> {
            multiply_add(s, $f, (rd, rs1, rs2, rs3, rm), $negate_product, $negate_addend)
        }
    )*};
    (sign: $how:ident: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
            inject_sign(s, $f, Sign::$how, rd, rs1, rs2)
        }
    )*};
    (compare: $op:ident: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
            let args = [read(s, $f, rs1), read(s, $f, rs2), s.imm(0)];
            s.set_x(rd, s.float(FloatOp::$op, $f, NEAREST, args));
            s.fall()
        }
    )*};
    (to_int: $op:ident: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rm: u8) -> Flow<S> {
            let rounding = s.rounding(rm)?;
            let zero = s.imm(0);
            s.set_x(rd, s.float(FloatOp::$op, $f, rounding, [read(s, $f, rs1), zero, zero]));
            s.fall()
        }
    )*};
    (from_int: $op:ident: $($name:ident $f:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rm: u8) -> Flow<S> {
            let rounding = s.rounding(rm)?;
            let zero = s.imm(0);
            arith(s, FloatOp::$op, $f, rounding, rd, [s.x(rs1), zero, zero])
        }
    )*};
    (convert: $($name:ident $from:ident $to:ident),*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rm: u8) -> Flow<S> {
            convert(s, $from, $to, rd, rs1, rm)
        }
    )*};
    (class: $($name:ident $f:ident),*) => {$(
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8) -> Flow<S> {
            let zero = s.imm(0);
            s.set_x(rd, s.float(FloatOp::Classify, $f, NEAREST, [read(s, $f, rs1), zero, zero]));
            s.fall()
        }
    )*};
    (constant: $($name:ident $f:ident),*) => {$(
        pub fn $name<S: Riscv>(s: &S, rd: u8, index: u8) -> Flow<S> {
            let value: u64 = cpu_fp::fli::<cpu_fp::$f>(index as u32).into();
            write(s, $f, rd, s.imm(value));
            s.fall()
        }
    )*};
}

of_format!(load: flw fsw F32; fld fsd F64; flh fsh F16;);
of_format!(rounded: Add: fadd_s F32, fadd_d F64, fadd_h F16);
of_format!(rounded: Sub: fsub_s F32, fsub_d F64, fsub_h F16);
of_format!(rounded: Mul: fmul_s F32, fmul_d F64, fmul_h F16);
of_format!(rounded: Div: fdiv_s F32, fdiv_d F64, fdiv_h F16);
of_format!(rounded1: FloatOp::Sqrt; fsqrt_s F32, fsqrt_d F64, fsqrt_h F16);
of_format!(rounded1: FloatOp::Round { signal_inexact: false }; fround_s F32, fround_d F64, fround_h F16);
of_format!(rounded1: FloatOp::Round { signal_inexact: true }; froundnx_s F32, froundnx_d F64, froundnx_h F16);
of_format!(fused: false false: fmadd_s F32, fmadd_d F64, fmadd_h F16);
of_format!(fused: false true: fmsub_s F32, fmsub_d F64, fmsub_h F16);
of_format!(fused: true false: fnmsub_s F32, fnmsub_d F64, fnmsub_h F16);
of_format!(fused: true true: fnmadd_s F32, fnmadd_d F64, fnmadd_h F16);
of_format!(exact: MinNum: fmin_s F32, fmin_d F64, fmin_h F16);
of_format!(exact: MaxNum: fmax_s F32, fmax_d F64, fmax_h F16);
of_format!(exact: Minimum: fminm_s F32, fminm_d F64, fminm_h F16);
of_format!(exact: Maximum: fmaxm_s F32, fmaxm_d F64, fmaxm_h F16);
of_format!(sign: Copy: fsgnj_s F32, fsgnj_d F64, fsgnj_h F16);
of_format!(sign: Negate: fsgnjn_s F32, fsgnjn_d F64, fsgnjn_h F16);
of_format!(sign: Xor: fsgnjx_s F32, fsgnjx_d F64, fsgnjx_h F16);
of_format!(compare: Eq: feq_s F32, feq_d F64, feq_h F16);
of_format!(compare: Lt: flt_s F32, flt_d F64, flt_h F16);
of_format!(compare: Le: fle_s F32, fle_d F64, fle_h F16);
of_format!(compare: LtQuiet: fltq_s F32, fltq_d F64, fltq_h F16);
of_format!(compare: LeQuiet: fleq_s F32, fleq_d F64, fleq_h F16);
of_format!(to_int: ToI32: fcvt_w_s F32, fcvt_w_d F64, fcvt_w_h F16);
of_format!(to_int: ToU32: fcvt_wu_s F32, fcvt_wu_d F64, fcvt_wu_h F16);
of_format!(to_int: ToI64: fcvt_l_s F32, fcvt_l_d F64, fcvt_l_h F16);
of_format!(to_int: ToU64: fcvt_lu_s F32, fcvt_lu_d F64, fcvt_lu_h F16);
of_format!(from_int: FromI32: fcvt_s_w F32, fcvt_d_w F64, fcvt_h_w F16);
of_format!(from_int: FromU32: fcvt_s_wu F32, fcvt_d_wu F64, fcvt_h_wu F16);
of_format!(from_int: FromI64: fcvt_s_l F32, fcvt_d_l F64, fcvt_h_l F16);
of_format!(from_int: FromU64: fcvt_s_lu F32, fcvt_d_lu F64, fcvt_h_lu F16);
of_format!(convert: fcvt_s_d F64 F32, fcvt_d_s F32 F64, fcvt_s_h F16 F32, fcvt_h_s F32 F16, fcvt_d_h F16 F64,
    fcvt_h_d F64 F16);
of_format!(class: fclass_s F32, fclass_d F64, fclass_h F16);
of_format!(constant: fli_s F32, fli_d F64, fli_h F16);

macro_rules! moves {
    (to_x: $($name:ident($s:ident, $raw:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>($s: &S, rd: u8, rs1: u8) -> Flow<S> {
            let $raw = $s.f(rs1);
            $s.set_x(rd, $value);
            $s.fall()
        }
    )*};
    (to_f: $($name:ident $f:ident($s:ident, $x:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>($s: &S, rd: u8, rs1: u8) -> Flow<S> {
            let $x = $s.x(rs1);
            write($s, $f, rd, $value);
            $s.fall()
        }
    )*};
}

moves! { to_x:
    fmv_x_w(s, raw) = s.sext32(raw);
    fmv_x_d(s, raw) = raw;
    fmv_x_h(s, raw) = s.sext16(raw);
    fmvh_x_d(s, raw) = s.sar(raw, s.imm(32));
}

moves! { to_f:
    fmv_w_x F32(s, x) = s.zext32(x);
    fmv_d_x F64(s, x) = x;
    fmv_h_x F16(s, x) = s.zext16(x);
}

pub fn fmvp_d_x<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    s.set_f(rd, s.or(s.zext32(s.x(rs1)), s.shl(s.x(rs2), s.imm(32))));
    s.fall()
}

pub fn fcvtmod_w_d<S: Riscv>(s: &S, rd: u8, rs1: u8) -> Flow<S> {
    let zero = s.imm(0);
    let toward_zero = Rounding::Static(Round::TowardZero);
    s.set_x(rd, s.float(FloatOp::ToI32Modular, F64, toward_zero, [read(s, F64, rs1), zero, zero]));
    s.fall()
}
