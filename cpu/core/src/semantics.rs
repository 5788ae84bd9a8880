//! How an instruction's meaning is written, once, for every consumer.
//!
//! A meaning is a generic function `fn addi<S: Semantics>(s: &S, rd: u8, rs1: u8, imm: i32) -> Flow<S>`. The
//! interpreter instantiates it with `Value = u64` and runs it; a lifter instantiates it with a reference into its
//! IR and records it. `Value` is only `Copy`: Rust's `if` on guest data does not compile, so a meaning branches on
//! data by [`Semantics::select`] or [`Semantics::branch_if`], and on decoded fields by plain Rust.
//!
//! All values are 64 bits wide. Narrower arithmetic is composed with [`Unary::Sext32`] and its like, so that an IR
//! stays small; every operation is total (no operand makes it panic or trap). An ISA adds a sub-trait with its
//! registers and the operations that only it has.

use crate::bus::Width;
use crate::float::{FloatFormat, FloatOp, Rounding};

/// What the instruction did to control.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next instruction follows.
    Fall,
    /// The program counter was set.
    Jump,
    /// The next instruction follows, but state that decoding depends on (mode, address space, interrupt enables)
    /// may have changed: look it up anew.
    Leave,
}

/// What a meaning returns: where control goes, or that the instruction trapped.
pub type Flow<S> = Result<Next, <S as Semantics>::Stop>;

/// Operations with two operands. The meaning of each is [`Binary::eval`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    And,
    Or,
    Xor,
    /// Shifts and rotates take the amount modulo 64.
    Shl,
    Shr,
    Sar,
    Ror,
    /// Rotates the low half, by the amount modulo 32; the high half is zero.
    Ror32,
    Mul,
    /// High halves of the 128-bit product.
    MulHu,
    MulHs,
    /// First operand signed, second unsigned.
    MulHsu,
    /// Division by zero gives zero.
    Divu,
    /// Division by zero gives zero; the most negative by -1 gives the most negative.
    Divs,
    /// Remainder by zero gives the dividend.
    Remu,
    /// Remainder by zero gives the dividend; the most negative by -1 gives zero.
    Rems,
    /// Comparisons give 0 or 1.
    Eq,
    Ne,
    Ltu,
    Lts,
    /// Whether the sum, or the difference, of the low halves is no signed number of 32 bits: 0 or 1.
    AddOverflows32,
    SubOverflows32,
    /// Low half of the carry-less product.
    Clmul,
    /// High half of the carry-less product.
    Clmulh,
}

impl Binary {
    /// The result for `a` and `b`.
    #[inline(always)]
    pub fn eval(self, a: u64, b: u64) -> u64 {
        match self {
            Binary::Add => a.wrapping_add(b),
            Binary::Sub => a.wrapping_sub(b),
            Binary::And => a & b,
            Binary::Or => a | b,
            Binary::Xor => a ^ b,
            Binary::Shl => a.wrapping_shl(b as u32),
            Binary::Shr => a.wrapping_shr(b as u32),
            Binary::Sar => (a as i64).wrapping_shr(b as u32) as u64,
            Binary::Ror => a.rotate_right((b & 63) as u32),
            Binary::Ror32 => (a as u32).rotate_right((b & 31) as u32) as u64,
            Binary::Mul => a.wrapping_mul(b),
            Binary::MulHu => ((a as u128 * b as u128) >> 64) as u64,
            Binary::MulHs => ((a as i64 as i128 * b as i64 as i128) >> 64) as u64,
            Binary::MulHsu => ((a as i64 as i128).wrapping_mul(b as i128) >> 64) as u64,
            Binary::Divu => a.checked_div(b).unwrap_or(0),
            Binary::Divs if b == 0 => 0,
            Binary::Divs => (a as i64).wrapping_div(b as i64) as u64,
            Binary::Remu => a.checked_rem(b).unwrap_or(a),
            Binary::Rems if b == 0 => a,
            Binary::Rems => (a as i64).wrapping_rem(b as i64) as u64,
            Binary::Eq => (a == b) as u64,
            Binary::Ne => (a != b) as u64,
            Binary::Ltu => (a < b) as u64,
            Binary::Lts => ((a as i64) < b as i64) as u64,
            Binary::AddOverflows32 => (a as i32).overflowing_add(b as i32).1 as u64,
            Binary::SubOverflows32 => (a as i32).overflowing_sub(b as i32).1 as u64,
            Binary::Clmul => clmul(a, b) as u64,
            Binary::Clmulh => (clmul(a, b) >> 64) as u64,
        }
    }
}

fn clmul(a: u64, b: u64) -> u128 {
    let (mut b, mut shifted, mut product) = (b, a as u128, 0);
    while b != 0 {
        if b & 1 != 0 {
            product ^= shifted;
        }
        shifted <<= 1;
        b >>= 1;
    }
    product
}

/// Operations with one operand. The meaning of each is [`Unary::eval`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Unary {
    Not,
    Sext8,
    Sext16,
    Sext32,
    Zext8,
    Zext16,
    Zext32,
    /// Leading zeros; 64 for zero.
    Clz,
    /// Trailing zeros; 64 for zero.
    Ctz,
    Popcount,
    /// Reverses the order of the bytes.
    Bswap,
    /// Reverses the bits inside each byte.
    BitSwapBytes,
}

impl Unary {
    /// The result for `a`.
    #[inline(always)]
    pub fn eval(self, a: u64) -> u64 {
        match self {
            Unary::Not => !a,
            Unary::Sext8 => a as i8 as u64,
            Unary::Sext16 => a as i16 as u64,
            Unary::Sext32 => a as i32 as u64,
            Unary::Zext8 => a as u8 as u64,
            Unary::Zext16 => a as u16 as u64,
            Unary::Zext32 => a as u32 as u64,
            Unary::Clz => a.leading_zeros() as u64,
            Unary::Ctz => a.trailing_zeros() as u64,
            Unary::Popcount => a.count_ones() as u64,
            Unary::Bswap => a.swap_bytes(),
            Unary::BitSwapBytes => a.swap_bytes().reverse_bits(),
        }
    }
}

/// Read-modify-write operations on memory.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Rmw {
    Swap,
    Add,
    Xor,
    And,
    Or,
    Min,
    Max,
    Minu,
    Maxu,
}

impl Rmw {
    /// What to store, given what is there and the operand; both sign-extended from the access's width.
    #[inline(always)]
    pub fn eval(self, old: u64, operand: u64) -> u64 {
        match self {
            Rmw::Swap => operand,
            Rmw::Add => old.wrapping_add(operand),
            Rmw::Xor => old ^ operand,
            Rmw::And => old & operand,
            Rmw::Or => old | operand,
            Rmw::Min => (old as i64).min(operand as i64) as u64,
            Rmw::Max => (old as i64).max(operand as i64) as u64,
            // Sign extension keeps the unsigned order within a width.
            Rmw::Minu => old.min(operand),
            Rmw::Maxu => old.max(operand),
        }
    }
}

/// A consumer of instruction meanings.
pub trait Semantics: Sized {
    /// A 64-bit guest value, or what stands for one.
    type Value: Copy;
    /// Proof that the instruction stopped with a trap; the consumer has recorded which.
    type Stop;

    /// A constant.
    fn imm(&self, value: u64) -> Self::Value;
    /// `op(a, b)`.
    fn binary(&self, op: Binary, a: Self::Value, b: Self::Value) -> Self::Value;
    /// `op(a)`.
    fn unary(&self, op: Unary, a: Self::Value) -> Self::Value;
    /// `yes` where `cond` is not zero, else `no`. Both are evaluated.
    fn select(&self, cond: Self::Value, yes: Self::Value, no: Self::Value) -> Self::Value;
    /// A pure function of two values (cipher tables and the like): a consumer may call it any number of times.
    fn pure(&self, f: fn(u64, u64) -> u64, a: Self::Value, b: Self::Value) -> Self::Value;

    /// A floating-point operation; its flags are added to the guest's.
    fn float(
        &self,
        op: FloatOp,
        format: FloatFormat,
        rounding: Rounding,
        args: [Self::Value; 3],
    ) -> Self::Value;

    /// The address of this instruction.
    fn pc(&self) -> Self::Value;
    /// The address of the instruction after this one.
    fn next_pc(&self) -> Self::Value;
    /// Continues at `target`.
    fn jump(&self, target: Self::Value) -> Flow<Self>;
    /// Continues at `offset` from this instruction.
    fn jump_by(&self, offset: i64) -> Flow<Self>;
    /// Continues at `offset` from this instruction where `cond` is not zero, else behind it.
    fn branch_if(&self, cond: Self::Value, offset: i64) -> Flow<Self>;
    /// Records an exception with its ISA's cause and value.
    fn raise(&self, cause: u64, value: Self::Value) -> Self::Stop;
    /// Stops with an exception where `cond` is not zero.
    fn raise_if(&self, cond: Self::Value, cause: u64, value: Self::Value) -> Result<(), Self::Stop>;

    /// Reads memory; the value is sign- or zero-extended.
    fn load(&self, addr: Self::Value, width: Width, signed: bool) -> Result<Self::Value, Self::Stop>;
    /// Writes the low `width` of `value`.
    fn store(&self, addr: Self::Value, width: Width, value: Self::Value) -> Result<(), Self::Stop>;
    /// Reads, changes and writes memory at once; gives the old value, sign-extended. `addr` must be aligned.
    fn rmw(
        &self,
        op: Rmw,
        addr: Self::Value,
        width: Width,
        value: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;
    /// Replaces `expected` by `new` if that is what memory holds; gives the old value, sign-extended. `addr` must
    /// be aligned.
    fn compare_exchange(
        &self,
        addr: Self::Value,
        width: Width,
        expected: Self::Value,
        new: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;

    /// Control goes on behind this instruction.
    #[inline(always)]
    fn fall(&self) -> Flow<Self> {
        Ok(Next::Fall)
    }
}

/// Short names for the operations.
macro_rules! short {
    (binary: $($name:ident $op:ident),*; unary: $($uname:ident $uop:ident),*) => {
        /// Every operation as a method, for meanings that read well.
        #[allow(missing_docs)]
        pub trait SemanticsExt: Semantics {
            $(#[inline(always)] fn $name(&self, a: Self::Value, b: Self::Value) -> Self::Value {
                self.binary(Binary::$op, a, b)
            })*
            $(#[inline(always)] fn $uname(&self, a: Self::Value) -> Self::Value {
                self.unary(Unary::$uop, a)
            })*
            #[inline(always)]
            fn add_imm(&self, a: Self::Value, imm: i64) -> Self::Value {
                self.binary(Binary::Add, a, self.imm(imm as u64))
            }
            #[inline(always)]
            fn and_imm(&self, a: Self::Value, imm: u64) -> Self::Value {
                self.binary(Binary::And, a, self.imm(imm))
            }
        }
        impl<S: Semantics> SemanticsExt for S {}
    };
}

short! {
    binary: add Add, sub Sub, and And, or Or, xor Xor, shl Shl, shr Shr, sar Sar, ror Ror, ror32 Ror32, mul Mul, mulhu MulHu,
        mulhs MulHs, mulhsu MulHsu, divu Divu, divs Divs, remu Remu, rems Rems, eq Eq, ne Ne, ltu Ltu, lts Lts,
        add_overflows32 AddOverflows32, sub_overflows32 SubOverflows32,
        clmul Clmul, clmulh Clmulh;
    unary: not Not, sext8 Sext8, sext16 Sext16, sext32 Sext32, zext8 Zext8, zext16 Zext16, zext32 Zext32, clz Clz,
        ctz Ctz, popcount Popcount, bswap Bswap, bit_swap_bytes BitSwapBytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operand_traps() {
        let corners = [0, 1, 2, 63, 64, i64::MAX as u64, i64::MIN as u64, u64::MAX, 0x8000_0000, 0xffff_ffff];
        use Binary::*;
        for op in [
            Add,
            Sub,
            And,
            Or,
            Xor,
            Shl,
            Shr,
            Sar,
            Ror,
            Ror32,
            Mul,
            MulHu,
            MulHs,
            MulHsu,
            Divu,
            Divs,
            Remu,
            Rems,
            Eq,
            Ne,
            Ltu,
            Lts,
            AddOverflows32,
            SubOverflows32,
            Clmul,
            Clmulh,
        ] {
            for a in corners {
                for b in corners {
                    op.eval(a, b);
                }
            }
        }
        assert_eq!(Divs.eval(i64::MIN as u64, u64::MAX), i64::MIN as u64);
        assert_eq!(Rems.eval(i64::MIN as u64, u64::MAX), 0);
        assert_eq!(Rems.eval(7, 0), 7);
        assert_eq!(MulHsu.eval(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(MulHs.eval(u64::MAX, u64::MAX), 0);
        assert_eq!(MulHu.eval(u64::MAX, u64::MAX), u64::MAX - 1);
        assert_eq!(Clmul.eval(0b101, 0b11), 0b1111);
        assert_eq!(Clmulh.eval(1 << 63, 1 << 63), 1 << 62);
    }

    #[test]
    fn bytes_and_bits_are_reversed_where_they_say() {
        assert_eq!(Unary::Bswap.eval(0x0102_0304_0506_0708), 0x0807_0605_0403_0201);
        assert_eq!(Unary::BitSwapBytes.eval(0x01_80), 0x80_01);
    }
}
