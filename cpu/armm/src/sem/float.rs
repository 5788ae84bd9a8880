//! FPv4-SP: A7.7 (VABS to VSUB). A NaN, a flushed subnormal and a rounding are what FPSCR says they are
//! ([`cpu_fp::Rules::arm`]).
//!
//! That the unit is enabled, and that its registers are the running code's own, has been seen to before.

use cpu_core::FloatFormat::{F16, F32, F64};
use cpu_core::{FloatOp, Flow, Rounding, SemanticsExt, Width};
use cpu_fp::Round;

use super::int::literal;
use super::memory::{check_aligned, offset};
use crate::semantics::{Arm, System};
use crate::{cause, slot};

const NEAREST: Rounding = Rounding::Static(Round::NearestEven);
const TRUNCATE: Rounding = Rounding::Static(Round::TowardZero);
const SIGN: u64 = 1 << 31;

/// `s[r]`.
#[inline(always)]
fn single<S: Arm>(s: &S, r: u8) -> S::Value {
    s.slot(slot::FLOAT + r as u16)
}

#[inline(always)]
fn set_single<S: Arm>(s: &S, r: u8, value: S::Value) {
    s.set_slot(slot::FLOAT + r as u16, value);
}

/// FPNeg: a NaN's sign too.
#[inline(always)]
fn negate<S: Arm>(s: &S, value: S::Value) -> S::Value {
    s.xor(value, s.imm(SIGN))
}

#[inline(always)]
fn op1<S: Arm>(s: &S, op: FloatOp, rounding: Rounding, a: S::Value) -> S::Value {
    let zero = s.imm(0);
    s.float(op, F32, rounding, [a, zero, zero])
}

#[inline(always)]
fn op2<S: Arm>(s: &S, op: FloatOp, a: S::Value, b: S::Value) -> S::Value {
    s.float(op, F32, Rounding::Dynamic, [a, b, s.imm(0)])
}

macro_rules! arithmetic {
    ($($name:ident($s:ident, $d:ident, $n:ident, $m:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Arm>($s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
            let ($d, $n, $m) = (single($s, rd), single($s, rn), single($s, rm));
            set_single($s, rd, $value);
            $s.fall()
        }
    )*};
}

#[inline(always)]
fn fused<S: Arm>(s: &S, addend: S::Value, n: S::Value, m: S::Value) -> S::Value {
    s.float(FloatOp::MulAdd, F32, Rounding::Dynamic, [n, m, addend])
}

arithmetic! {
    vadd(s, _d, n, m) = op2(s, FloatOp::Add, n, m);
    vsub(s, _d, n, m) = op2(s, FloatOp::Sub, n, m);
    vmul(s, _d, n, m) = op2(s, FloatOp::Mul, n, m);
    vnmul(s, _d, n, m) = negate(s, op2(s, FloatOp::Mul, n, m));
    vdiv(s, _d, n, m) = op2(s, FloatOp::Div, n, m);
    // Rounded twice.
    vmla(s, d, n, m) = op2(s, FloatOp::Add, d, op2(s, FloatOp::Mul, n, m));
    vmls(s, d, n, m) = op2(s, FloatOp::Add, d, negate(s, op2(s, FloatOp::Mul, n, m)));
    vnmla(s, d, n, m) = op2(s, FloatOp::Add, negate(s, d), negate(s, op2(s, FloatOp::Mul, n, m)));
    vnmls(s, d, n, m) = op2(s, FloatOp::Add, negate(s, d), op2(s, FloatOp::Mul, n, m));
    // Rounded once.
    vfma(s, d, n, m) = fused(s, d, n, m);
    vfms(s, d, n, m) = fused(s, d, negate(s, n), m);
    vfnma(s, d, n, m) = fused(s, negate(s, d), negate(s, n), m);
    vfnms(s, d, n, m) = fused(s, negate(s, d), n, m);
}

macro_rules! unary {
    ($($name:ident($s:ident, $m:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Arm>($s: &S, rd: u8, rm: u8) -> Flow<S> {
            let $m = single($s, rm);
            set_single($s, rd, $value);
            $s.fall()
        }
    )*};
}

unary! {
    vmov(s, m) = m;
    vabs(s, m) = s.and_imm(m, SIGN - 1);
    vneg(s, m) = negate(s, m);
    vsqrt(s, m) = op1(s, FloatOp::Sqrt, Rounding::Dynamic, m);
    vcvt_s32(s, m) = s.zext32(op1(s, FloatOp::ToI32, TRUNCATE, m));
    vcvt_u32(s, m) = s.zext32(op1(s, FloatOp::ToU32, TRUNCATE, m));
    vcvtr_s32(s, m) = s.zext32(op1(s, FloatOp::ToI32, Rounding::Dynamic, m));
    vcvtr_u32(s, m) = s.zext32(op1(s, FloatOp::ToU32, Rounding::Dynamic, m));
    vcvt_from_s32(s, m) = op1(s, FloatOp::FromI32, Rounding::Dynamic, m);
    vcvt_from_u32(s, m) = op1(s, FloatOp::FromU32, Rounding::Dynamic, m);
}

/// VFPExpandImm: sign, three bits of exponent and four of fraction.
pub fn expand(imm8: u32) -> u32 {
    let exponent = if imm8 & 0x40 != 0 { 0x1f << 25 } else { 1 << 30 };
    (imm8 & 0x80) << 24 | exponent | (imm8 & 0x3f) << 19
}

pub fn vmov_imm<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    set_single(s, rd, s.imm(expand(imm as u32).into()));
    s.fall()
}

/// FPCompare's result, into FPSCR's flags.
#[inline(always)]
fn compare<S: Arm>(s: &S, op: FloatOp, a: S::Value, b: S::Value) -> Flow<S> {
    let le = s.float(op, F32, NEAREST, [a, b, s.imm(0)]);
    let ge = s.float(op, F32, NEAREST, [b, a, s.imm(0)]);
    // One nibble each for less (8), equal (6), greater (2) and unordered (3).
    const RESULTS: u64 = 0x6823;
    let at = s.or(s.shl(le, s.imm(3)), s.shl(ge, s.imm(2)));
    let flags = s.and_imm(s.shr(s.imm(RESULTS), at), 15);
    s.set_slot(slot::FLOAT_NZCV, s.shl(flags, s.imm(28)));
    s.fall()
}

/// VCMP, or VCMPE where `signalling`.
#[inline(always)]
pub fn vcmp<S: Arm>(s: &S, rd: u8, rm: u8, signalling: i64) -> Flow<S> {
    compare(s, less_or_equal(signalling), single(s, rd), single(s, rm))
}

#[inline(always)]
pub fn vcmp_zero<S: Arm>(s: &S, rd: u8, signalling: i64) -> Flow<S> {
    compare(s, less_or_equal(signalling), single(s, rd), s.imm(0))
}

#[inline(always)]
fn less_or_equal(signalling: i64) -> FloatOp {
    if signalling != 0 { FloatOp::Le } else { FloatOp::LeQuiet }
}

/// The half `top` of `s[rm]` to single precision.
#[inline(always)]
pub fn vcvt_from_half<S: Arm>(s: &S, rd: u8, rm: u8, top: i64) -> Flow<S> {
    let half = s.and_imm(s.shr(single(s, rm), s.imm(top as u64 * 16)), 0xffff);
    let zero = s.imm(0);
    set_single(s, rd, s.float(FloatOp::Convert(F32), F16, Rounding::Dynamic, [half, zero, zero]));
    s.fall()
}

/// `s[rm]` to half precision, into the half `top` of `s[rd]`.
#[inline(always)]
pub fn vcvt_to_half<S: Arm>(s: &S, rd: u8, rm: u8, top: i64) -> Flow<S> {
    let half = op1(s, FloatOp::Convert(F16), Rounding::Dynamic, single(s, rm));
    let shift = top as u64 * 16;
    let kept = s.and_imm(single(s, rd), 0xffff_0000 >> shift);
    set_single(s, rd, s.or(kept, s.shl(half, s.imm(shift))));
    s.fall()
}

/// FPToFixed, truncating. In double precision the scaling is exact and can not overflow.
#[inline(always)]
fn to_fixed<S: Arm>(s: &S, rd: u8, fraction: i64, op: FloatOp) -> Flow<S> {
    let zero = s.imm(0);
    let wide = op1(s, FloatOp::Convert(F64), NEAREST, single(s, rd));
    let scale = s.imm((1023 + fraction as u64) << 52);
    let scaled = s.float(FloatOp::Mul, F64, NEAREST, [wide, scale, zero]);
    set_single(s, rd, s.zext32(s.float(op, F64, TRUNCATE, [scaled, zero, zero])));
    s.fall()
}

/// FixedToFP, rounded to nearest. The result is 0 or at least 2^-32, so that scaling it is exact.
#[inline(always)]
fn from_fixed<S: Arm>(s: &S, rd: u8, fraction: i64, integer: S::Value, op: FloatOp) -> Flow<S> {
    let value = op1(s, op, NEAREST, integer);
    let scale = s.imm((127 - fraction as u64) << 23);
    set_single(s, rd, s.float(FloatOp::Mul, F32, NEAREST, [value, scale, s.imm(0)]));
    s.fall()
}

macro_rules! fixed {
    ($($to:ident $to_op:ident $from:ident $from_op:ident $extend:ident;)*) => {$(
        #[inline(always)]
        pub fn $to<S: Arm>(s: &S, rd: u8, fraction: i64) -> Flow<S> {
            to_fixed(s, rd, fraction, FloatOp::$to_op)
        }
        #[inline(always)]
        pub fn $from<S: Arm>(s: &S, rd: u8, fraction: i64) -> Flow<S> {
            from_fixed(s, rd, fraction, s.$extend(single(s, rd)), FloatOp::$from_op)
        }
    )*};
}

fixed! {
    vcvt_to_fixed_s16 ToI16 vcvt_from_fixed_s16 FromI32 sext16;
    vcvt_to_fixed_u16 ToU16 vcvt_from_fixed_u16 FromI32 zext16;
    vcvt_to_fixed_s32 ToI32 vcvt_from_fixed_s32 FromI32 sext32;
    vcvt_to_fixed_u32 ToU32 vcvt_from_fixed_u32 FromU32 zext32;
}

/// `r[rd] = s[rn]`.
#[inline(always)]
pub fn vmov_from_single<S: Arm>(s: &S, rd: u8, rn: u8) -> Flow<S> {
    s.set_r(rd, single(s, rn));
    s.fall()
}

/// `s[rd] = r[rn]`.
#[inline(always)]
pub fn vmov_to_single<S: Arm>(s: &S, rd: u8, rn: u8) -> Flow<S> {
    set_single(s, rd, s.r(rn));
    s.fall()
}

/// `r[rd], r[ra] = s[rm], s[rm + 1]`.
#[inline(always)]
pub fn vmov_from_pair<S: Arm>(s: &S, rd: u8, ra: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, single(s, rm));
    s.set_r(ra, single(s, rm + 1));
    s.fall()
}

/// `s[rd], s[rd + 1] = r[rn], r[rm]`.
#[inline(always)]
pub fn vmov_to_pair<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    set_single(s, rd, s.r(rn));
    set_single(s, rd + 1, s.r(rm));
    s.fall()
}

#[inline(always)]
pub fn vmov_from_double<S: Arm>(s: &S, rd: u8, ra: u8, rm: u8) -> Flow<S> {
    vmov_from_pair(s, rd, ra, 2 * rm)
}

#[inline(always)]
pub fn vmov_to_double<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    vmov_to_pair(s, 2 * rd, rn, rm)
}

#[inline(always)]
pub fn vmrs<S: Arm>(s: &S, rd: u8) -> Flow<S> {
    s.set_r(rd, s.fpscr());
    s.fall()
}

#[inline(always)]
pub fn vmrs_apsr<S: Arm>(s: &S) -> Flow<S> {
    let flags = s.slot(slot::FLOAT_NZCV);
    let bit = |n: u64| s.and_imm(s.shr(flags, s.imm(n)), 1);
    // As `slot::nz`.
    let (n, z) = (bit(31), bit(30));
    let apart = s.or(s.shl(n, s.imm(31)), s.eq(n, s.imm(0)));
    s.set_slot(slot::NZ, s.select(z, s.shl(n, s.imm(32)), apart));
    s.set_slot(slot::C, bit(29));
    s.set_slot(slot::V, bit(28));
    s.fall()
}

pub fn vmsr<S: Arm>(s: &S, rn: u8) -> Flow<S> {
    s.system(System::SetFpscr, s.r(rn))
}

/// The address of VLDR and VSTR, which is always a word's.
#[inline(always)]
fn address<S: Arm>(s: &S, rn: u8, imm: i64) -> Result<S::Value, S::Stop> {
    let addr = if rn == 15 { literal(s, imm) } else { offset(s, rn, imm) };
    check_aligned(s, addr, 4)?;
    Ok(addr)
}

/// Loads `count` singles from `first` on, from an aligned address up.
#[inline(always)]
fn load_singles<S: Arm>(s: &S, addr: S::Value, first: u8, count: u8) -> Result<(), S::Stop> {
    for i in 0..count {
        let value = s.load(s.zext32(s.add_imm(addr, 4 * i64::from(i))), Width::B4, false)?;
        set_single(s, first + i, value);
    }
    Ok(())
}

/// Stores `count` singles from `first` on, from an aligned address up.
#[inline(always)]
fn store_singles<S: Arm>(s: &S, addr: S::Value, first: u8, count: u8) -> Result<(), S::Stop> {
    for i in 0..count {
        s.store(s.zext32(s.add_imm(addr, 4 * i64::from(i))), Width::B4, single(s, first + i))?;
    }
    Ok(())
}

macro_rules! one {
    ($($name:ident $singles:ident $scale:literal $count:literal;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64, sign: i64) -> Flow<S> {
            let addr = address(s, rn, sign * imm)?;
            $singles(s, addr, $scale * rd, $count)?;
            s.fall()
        }
    )*};
}

one! {
    vldr_single load_singles 1 1;
    vldr_double load_singles 2 2;
    vstr_single store_singles 1 1;
    vstr_double store_singles 2 2;
}

/// First single, singles and bytes of a list of singles (`first << 8 | words`), and of one of doubles (`first << 7 | doubles`)
/// with `extra` words of memory; `None` for what is UNPREDICTABLE.
fn list(imm: i64, double: i64, extra: i64) -> Option<(u8, u8, i64)> {
    let (first, count) =
        if double != 0 { (imm >> 7 << 1, (imm & 0x7f) << 1) } else { (imm >> 8, imm & 0xff) };
    let fits = count != 0 && count <= 32 && first + count <= 32;
    fits.then_some((first as u8, count as u8, 4 * (count + extra)))
}

macro_rules! many {
    ($($name:ident $singles:ident;)*) => {$(
        /// Up from the base, or up to it where `down`. FLDMX and FSTMX have an extra word.
        #[inline(always)]
        pub fn $name<S: Arm>(
            s: &S,
            rn: u8,
            imm: i64,
            writeback: u8,
            down: i64,
            double: i64,
            extra: i64,
        ) -> Flow<S> {
            let Some((first, count, bytes)) = list(imm, double, extra) else {
                return Err(s.raise(cause::UNDEFINED, s.imm(0)));
            };
            let addr = if down != 0 { offset(s, rn, -bytes) } else { s.r(rn) };
            check_aligned(s, addr, 4)?;
            $singles(s, addr, first, count)?;
            if writeback != 0 {
                let end = if down != 0 { addr } else { offset(s, rn, bytes) };
                s.set_r_or_sp(rn, end);
            }
            s.fall()
        }
    )*};
}

many! {
    vldm load_singles;
    vstm store_singles;
}

#[cfg(test)]
mod tests {
    use cpu_core::{Core, EmptyBus, GuestMemory, MemoryKind, RegionSpec, Time};

    use crate::{ArmConfig, ArmCore};

    const CODE: u32 = 0x100;
    const RAM: u32 = 0x2000_0000;
    const RAM_SIZE: u32 = 0x1000;

    /// Runs one instruction on a core with `r0`; gives the core and CFSR.
    fn run(word: u32, r0: u32) -> (ArmCore, u32) {
        let region = |base, size| RegionSpec { name: String::new(), base, size, kind: MemoryKind::Ram };
        let memory = GuestMemory::new(vec![region(0, 0x1000), region(RAM.into(), RAM_SIZE.into())]).unwrap();
        memory.write(0, &(RAM + 0x800).to_le_bytes()).unwrap();
        memory.write(CODE.into(), &word.rotate_left(16).to_le_bytes()).unwrap();
        for at in (0..RAM_SIZE).step_by(4) {
            memory.write((RAM + at).into(), &(at | 0x3f80_0000).to_le_bytes()).unwrap();
        }
        let mut core = ArmCore::new(ArmConfig::cortex_m4f(), memory);
        core.set_pc(CODE);
        core.enable_fpu();
        core.set_r(0, r0);
        core.run(&mut EmptyBus, Time::ZERO, 1);
        let cfsr = core.fault_status().into_iter().find(|(name, _)| *name == "CFSR");
        (core, cfsr.map_or(0, |(_, value)| value))
    }

    const UNDEFINSTR: u32 = 1 << 16;
    const UNALIGNED: u32 = 1 << 24;
    const PRECISERR: u32 = 1 << 9;

    #[test]
    fn accesses_are_of_aligned_words() {
        // VLDR s0, [r0, #4]; VSTR d0, [r0]; VLDM r0, {s0-s3}; VSTMDB r0!, {d0-d1}
        for word in [0xed90_0a01, 0xed80_0b00, 0xec90_0a04, 0xed20_0b04] {
            assert_eq!(run(word, RAM + 0x102).1, UNALIGNED, "{word:#x}");
            assert_eq!(run(word, RAM + 0x104).1, 0, "{word:#x}");
        }
    }

    #[test]
    fn lists_move_the_base_past_themselves() {
        let (core, _) = run(0xecb0_1a03, RAM + 0x100); // VLDMIA r0!, {s2-s4}
        assert_eq!((core.r(0), core.s(2), core.s(4)), (RAM + 0x10c, 0x3f80_0100, 0x3f80_0108));
        let (core, _) = run(0xed30_1b04, RAM + 0x100); // VLDMDB r0!, {d1-d2}
        assert_eq!((core.r(0), core.s(2), core.s(5)), (RAM + 0xf0, 0x3f80_00f0, 0x3f80_00fc));
        let (core, _) = run(0xecb0_1b05, RAM + 0x100); // FLDMIAX r0!, {d1-d2}
        assert_eq!((core.r(0), core.s(5)), (RAM + 0x114, 0x3f80_010c));
    }

    #[test]
    fn a_list_that_faults_leaves_its_base() {
        let (core, cfsr) = run(0xecb0_0a04, RAM + RAM_SIZE - 8); // VLDMIA r0!, {s0-s3}
        assert_eq!((core.r(0), cfsr & PRECISERR), (RAM + RAM_SIZE - 8, PRECISERR));
    }

    #[test]
    fn lists_end_with_the_last_register() {
        // VLDMIA r0, {s30...} of 3 and of none, {d15...} of 2
        for word in [0xec90_fa03, 0xec90_fa00, 0xec90_fb04] {
            assert_eq!(run(word, RAM).1, UNDEFINSTR, "{word:#x}");
        }
        assert_eq!(run(0xec90_fa02, RAM).1, 0);
    }
}
