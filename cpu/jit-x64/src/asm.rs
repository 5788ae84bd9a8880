//! Host instructions, by the operands that the emitter has: registers, slots of the frame, numbers.
//!
//! `rbp` points into the frame, [`BIAS`] bytes from its start, so that the first 32 slots are in reach of short displacements.

use dynasm::dynasm;
use dynasmrt::DynasmApi;

use crate::sink::{Bytes, Cc};

/// Where `rbp` points in the frame.
pub const BIAS: usize = 128;

/// General registers by number.
#[allow(missing_docs)]
pub mod reg {
    pub const RAX: u8 = 0;
    pub const RCX: u8 = 1;
    pub const RDX: u8 = 2;
    /// `rbp`.
    pub const FRAME: u8 = 5;
    pub const RSI: u8 = 6;
    pub const R15: u8 = 15;
}

/// The right operand of an instruction.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// A general register.
    Reg(u8),
    /// Memory at this distance from `rbp`.
    Home(i32),
    /// A number that fits.
    Imm(i32),
}

/// Floating-point arithmetic.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
}

/// The size of an operation.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Size {
    /// 32 bits; the upper half of a register becomes zero.
    D,
    /// 64 bits.
    Q,
}

/// An instruction with operands at `[rbp + disp]`, in the shorter form where possible.
macro_rules! home {
    ($s:expr, $disp:expr, |$d:ident| short $short:tt long $long:tt) => {{
        let disp: i32 = $disp;
        if let Ok($d) = i8::try_from(disp) {
            home!(@ $s, $short);
        } else {
            let $d = disp;
            home!(@ $s, $long);
        }
    }};
    (@ $s:expr, {$($code:tt)*}) => { dynasm!($s ; .arch x64 ; $($code)*) };
}

/// An instruction with an operand at `[a + b + disp]`, given in two halves, in the shorter form where possible.
macro_rules! sum {
    ($s:expr, $disp:expr, |$m:ident| match $what:tt {
        $($case:pat => {$($before:tt)*} {$($behind:tt)*})*
    } $a:ident $b:ident) => {
        match i8::try_from($disp) {
            Ok($m) => match $what {
                $($case => dynasm!($s ; .arch x64 ; $($before)* [BYTE Rq($a) + Rq($b) + $m] $($behind)*),)*
            },
            Err(_) => match $what {
                $($case => dynasm!($s ; .arch x64 ; $($before)* [DWORD Rq($a) + Rq($b) + $disp] $($behind)*),)*
            },
        }
    };
}

macro_rules! alu {
    ($($name:ident)*) => {$(
        /// `d op= b`
        pub fn $name(&mut self, size: Size, d: u8, b: Op) {
            match (size, b) {
                (Size::Q, Op::Reg(b)) => dynasm!(self ; .arch x64 ; $name Rq(d), Rq(b)),
                (Size::D, Op::Reg(b)) => dynasm!(self ; .arch x64 ; $name Rd(d), Rd(b)),
                (Size::Q, Op::Home(disp)) => home!(self, disp, |m|
                    short { $name Rq(d), [BYTE rbp + m] } long { $name Rq(d), [DWORD rbp + m] }),
                (Size::D, Op::Home(disp)) => home!(self, disp, |m|
                    short { $name Rd(d), [BYTE rbp + m] } long { $name Rd(d), [DWORD rbp + m] }),
                (Size::Q, Op::Imm(imm)) => match i8::try_from(imm) {
                    Ok(imm) => dynasm!(self ; .arch x64 ; $name Rq(d), BYTE imm as _),
                    Err(_) => dynasm!(self ; .arch x64 ; $name Rq(d), DWORD imm),
                },
                (Size::D, Op::Imm(imm)) => match i8::try_from(imm) {
                    Ok(imm) => dynasm!(self ; .arch x64 ; $name Rd(d), BYTE imm as _),
                    Err(_) => dynasm!(self ; .arch x64 ; $name Rd(d), DWORD imm),
                },
            }
        }
    )*};
}

macro_rules! alu_home {
    ($($name:ident $base:ident)*) => {$(
        /// `[rbp + disp] op= b`; `b` is no memory.
        pub fn $name(&mut self, disp: i32, b: Op) {
            match b {
                Op::Reg(b) => home!(self, disp, |m|
                    short { $base QWORD [BYTE rbp + m], Rq(b) } long { $base QWORD [DWORD rbp + m], Rq(b) }),
                Op::Imm(imm) => home!(self, disp, |m|
                    short { $base QWORD [BYTE rbp + m], DWORD imm } long { $base QWORD [DWORD rbp + m], DWORD imm }),
                Op::Home(_) => debug_assert!(false, "two operands in memory"),
            }
        }
    )*};
}

macro_rules! unary {
    ($($name:ident)*) => {$(
        /// `d = op(a)`
        pub fn $name(&mut self, d: u8, a: Op) {
            match a {
                Op::Reg(a) => dynasm!(self ; .arch x64 ; $name Rq(d), Rq(a)),
                Op::Home(disp) => home!(self, disp, |m|
                    short { $name Rq(d), [BYTE rbp + m] } long { $name Rq(d), [DWORD rbp + m] }),
                Op::Imm(_) => debug_assert!(false, "a constant operand"),
            }
        }
    )*};
}

macro_rules! shift {
    ($($name:ident $by:ident)*) => {$(
        /// `d op= amount`
        pub fn $name(&mut self, size: Size, d: u8, amount: u8) {
            match size {
                Size::Q => dynasm!(self ; .arch x64 ; $name Rq(d), BYTE amount as i8),
                Size::D => dynasm!(self ; .arch x64 ; $name Rd(d), BYTE amount as i8),
            }
        }
        /// `d = a op amount`, all registers.
        pub fn $by(&mut self, size: Size, d: u8, a: u8, amount: u8) {
            match size {
                Size::Q => dynasm!(self ; .arch x64 ; $by Rq(d), Rq(a), Rq(amount)),
                Size::D => dynasm!(self ; .arch x64 ; $by Rd(d), Rd(a), Rd(amount)),
            }
        }
    )*};
}

#[allow(clippy::useless_conversion)] // `dynasm!` writes them
impl Bytes {
    alu! { add sub and or xor cmp }
    alu_home! { mov_home mov cmp_home cmp }
    unary! { lzcnt tzcnt popcnt }
    shift! { shl shlx shr shrx sar sarx }

    /// `d = b`, all 64 bits.
    pub fn mov(&mut self, d: u8, b: Op) {
        match b {
            Op::Reg(b) if b == d => {}
            Op::Reg(b) => dynasm!(self ; .arch x64 ; mov Rq(d), Rq(b)),
            Op::Home(disp) => home!(self, disp, |m|
                short { mov Rq(d), [BYTE rbp + m] } long { mov Rq(d), [DWORD rbp + m] }),
            Op::Imm(imm) => self.set(d, imm as u64),
        }
    }

    /// `d = value`. Keeps the flags.
    pub fn set(&mut self, d: u8, value: u64) {
        if let Ok(small) = u32::try_from(value) {
            dynasm!(self ; .arch x64 ; mov Rd(d), DWORD small as i32);
        } else if let Ok(small) = i32::try_from(value as i64) {
            dynasm!(self ; .arch x64 ; mov Rq(d), DWORD small);
        } else {
            dynasm!(self ; .arch x64 ; mov Rq(d), QWORD value as i64);
        }
    }

    /// `d = low 32 bits of b`, zero-extended.
    pub fn mov32(&mut self, d: u8, b: Op) {
        match b {
            Op::Reg(b) => dynasm!(self ; .arch x64 ; mov Rd(d), Rd(b)),
            Op::Home(disp) => home!(self, disp, |m|
                short { mov Rd(d), [BYTE rbp + m] } long { mov Rd(d), [DWORD rbp + m] }),
            Op::Imm(imm) => self.set(d, imm as u32 as u64),
        }
    }

    /// `dword [rbp + disp] = value`
    pub fn set_home32(&mut self, disp: i32, value: u32) {
        home!(self, disp, |m| short { mov DWORD [BYTE rbp + m], DWORD value as i32 }
            long { mov DWORD [DWORD rbp + m], DWORD value as i32 });
    }

    /// `d = b` of so many low bits, sign- or zero-extended.
    pub fn widen(&mut self, d: u8, b: Op, bits: u32, signed: bool) {
        match (b, bits, signed) {
            (_, 32, false) => self.mov32(d, b),
            (Op::Reg(b), 32, true) => dynasm!(self ; .arch x64 ; movsxd Rq(d), Rd(b)),
            (Op::Reg(b), 16, true) => dynasm!(self ; .arch x64 ; movsx Rq(d), Rw(b)),
            (Op::Reg(b), 16, false) => dynasm!(self ; .arch x64 ; movzx Rd(d), Rw(b)),
            (Op::Reg(b), 8, true) => dynasm!(self ; .arch x64 ; movsx Rq(d), Rb(b)),
            (Op::Reg(b), 8, false) => dynasm!(self ; .arch x64 ; movzx Rd(d), Rb(b)),
            (Op::Home(disp), 32, true) => home!(self, disp, |m|
                short { movsxd Rq(d), DWORD [BYTE rbp + m] } long { movsxd Rq(d), DWORD [DWORD rbp + m] }),
            (Op::Home(disp), 16, true) => home!(self, disp, |m|
                short { movsx Rq(d), WORD [BYTE rbp + m] } long { movsx Rq(d), WORD [DWORD rbp + m] }),
            (Op::Home(disp), 16, false) => home!(self, disp, |m|
                short { movzx Rd(d), WORD [BYTE rbp + m] } long { movzx Rd(d), WORD [DWORD rbp + m] }),
            (Op::Home(disp), 8, true) => home!(self, disp, |m|
                short { movsx Rq(d), BYTE [BYTE rbp + m] } long { movsx Rq(d), BYTE [DWORD rbp + m] }),
            (Op::Home(disp), 8, false) => home!(self, disp, |m|
                short { movzx Rd(d), BYTE [BYTE rbp + m] } long { movzx Rd(d), BYTE [DWORD rbp + m] }),
            _ => self.mov(d, b),
        }
    }

    /// `d = a + imm`
    pub fn lea(&mut self, size: Size, d: u8, a: u8, imm: i32) {
        match (size, i8::try_from(imm)) {
            (Size::Q, Ok(imm)) => dynasm!(self ; .arch x64 ; lea Rq(d), [BYTE Rq(a) + imm]),
            (Size::Q, Err(_)) => dynasm!(self ; .arch x64 ; lea Rq(d), [DWORD Rq(a) + imm]),
            (Size::D, Ok(imm)) => dynasm!(self ; .arch x64 ; lea Rd(d), [BYTE Rq(a) + imm]),
            (Size::D, Err(_)) => dynasm!(self ; .arch x64 ; lea Rd(d), [DWORD Rq(a) + imm]),
        }
    }

    /// `d = a + (b << scale)`
    pub fn lea_sum(&mut self, size: Size, d: u8, a: u8, b: u8, scale: u8) {
        match (size, scale) {
            (Size::Q, 0) => dynasm!(self ; .arch x64 ; lea Rq(d), [Rq(a) + Rq(b)]),
            (Size::Q, 1) => dynasm!(self ; .arch x64 ; lea Rq(d), [Rq(a) + Rq(b) * 2]),
            (Size::Q, 2) => dynasm!(self ; .arch x64 ; lea Rq(d), [Rq(a) + Rq(b) * 4]),
            (Size::Q, _) => dynasm!(self ; .arch x64 ; lea Rq(d), [Rq(a) + Rq(b) * 8]),
            (Size::D, 0) => dynasm!(self ; .arch x64 ; lea Rd(d), [Rq(a) + Rq(b)]),
            (Size::D, 1) => dynasm!(self ; .arch x64 ; lea Rd(d), [Rq(a) + Rq(b) * 2]),
            (Size::D, 2) => dynasm!(self ; .arch x64 ; lea Rd(d), [Rq(a) + Rq(b) * 4]),
            (Size::D, _) => dynasm!(self ; .arch x64 ; lea Rd(d), [Rq(a) + Rq(b) * 8]),
        }
    }

    /// `d = a + (b << scale) + disp`
    pub fn lea_all(&mut self, size: Size, d: u8, (a, b, scale): (u8, u8, u8), disp: i32) {
        match (size, scale) {
            (Size::Q, 0) => dynasm!(self ; .arch x64 ; lea Rq(d), [DWORD Rq(a) + Rq(b) + disp]),
            (Size::Q, 1) => dynasm!(self ; .arch x64 ; lea Rq(d), [DWORD Rq(a) + Rq(b) * 2 + disp]),
            (Size::Q, 2) => dynasm!(self ; .arch x64 ; lea Rq(d), [DWORD Rq(a) + Rq(b) * 4 + disp]),
            (Size::Q, _) => dynasm!(self ; .arch x64 ; lea Rq(d), [DWORD Rq(a) + Rq(b) * 8 + disp]),
            (Size::D, 0) => dynasm!(self ; .arch x64 ; lea Rd(d), [DWORD Rq(a) + Rq(b) + disp]),
            (Size::D, 1) => dynasm!(self ; .arch x64 ; lea Rd(d), [DWORD Rq(a) + Rq(b) * 2 + disp]),
            (Size::D, 2) => dynasm!(self ; .arch x64 ; lea Rd(d), [DWORD Rq(a) + Rq(b) * 4 + disp]),
            (Size::D, _) => dynasm!(self ; .arch x64 ; lea Rd(d), [DWORD Rq(a) + Rq(b) * 8 + disp]),
        }
    }

    /// `d = a rotated right`
    pub fn rorx(&mut self, size: Size, d: u8, a: u8, amount: u8) {
        match size {
            Size::Q => dynasm!(self ; .arch x64 ; rorx Rq(d), Rq(a), amount as i8),
            Size::D => dynasm!(self ; .arch x64 ; rorx Rd(d), Rd(a), amount as i8),
        }
    }

    /// `d = d rotated right by cl`
    pub fn ror_cl(&mut self, size: Size, d: u8) {
        match size {
            Size::Q => dynasm!(self ; .arch x64 ; ror Rq(d), cl),
            Size::D => dynasm!(self ; .arch x64 ; ror Rd(d), cl),
        }
    }

    /// Flags of `a & b`.
    pub fn test(&mut self, size: Size, a: u8, b: Op) {
        match (size, b) {
            (Size::Q, Op::Reg(b)) => dynasm!(self ; .arch x64 ; test Rq(a), Rq(b)),
            (Size::D, Op::Reg(b)) => dynasm!(self ; .arch x64 ; test Rd(a), Rd(b)),
            (Size::Q, Op::Imm(imm)) => dynasm!(self ; .arch x64 ; test Rq(a), DWORD imm),
            (Size::D, Op::Imm(imm)) => dynasm!(self ; .arch x64 ; test Rd(a), DWORD imm),
            (_, Op::Home(_)) => debug_assert!(false, "memory in a test"),
        }
    }

    /// `d = cc ? 1 : 0`
    pub fn setcc(&mut self, cc: Cc, d: u8) {
        // REX, so that the low byte of any register is meant.
        self.0.extend([0x40 | d >> 3, 0x0f, 0x90 | cc as u8, 0xc0 | d & 7]);
        dynasm!(self ; .arch x64 ; movzx Rd(d), Rb(d));
    }

    /// The byte at `[rbp + disp]` is 1 where the condition holds, else 0.
    pub fn setcc_home(&mut self, cc: Cc, disp: i32) {
        self.0.extend([0x0f, 0x90 | cc as u8, 0x85]);
        self.push_i32(disp);
    }

    /// `d = cc ? b : d`
    pub fn cmov(&mut self, cc: Cc, d: u8, b: u8) {
        self.0.extend([0x48 | (d >> 3) << 2 | b >> 3, 0x0f, 0x40 | cc as u8, 0xc0 | (d & 7) << 3 | b & 7]);
    }

    /// `d *= b`
    pub fn imul(&mut self, size: Size, d: u8, b: Op) {
        match (size, b) {
            (Size::Q, Op::Reg(b)) => dynasm!(self ; .arch x64 ; imul Rq(d), Rq(b)),
            (Size::D, Op::Reg(b)) => dynasm!(self ; .arch x64 ; imul Rd(d), Rd(b)),
            (Size::Q, Op::Home(disp)) => home!(self, disp, |m|
                short { imul Rq(d), [BYTE rbp + m] } long { imul Rq(d), [DWORD rbp + m] }),
            (Size::D, Op::Home(disp)) => home!(self, disp, |m|
                short { imul Rd(d), [BYTE rbp + m] } long { imul Rd(d), [DWORD rbp + m] }),
            (Size::Q, Op::Imm(imm)) => dynasm!(self ; .arch x64 ; imul Rq(d), Rq(d), DWORD imm),
            (Size::D, Op::Imm(imm)) => dynasm!(self ; .arch x64 ; imul Rd(d), Rd(d), DWORD imm),
        }
    }

    /// `rdx:rax = rax * b`, unsigned or signed.
    pub fn mul_wide(&mut self, b: u8, signed: bool) {
        if signed {
            dynasm!(self ; .arch x64 ; imul Rq(b));
        } else {
            dynasm!(self ; .arch x64 ; mul Rq(b));
        }
    }

    /// Quotient in `rax`, remainder in `rdx`, of `rax` by `b`.
    pub fn divide(&mut self, b: u8, signed: bool) {
        if signed {
            dynasm!(self ; .arch x64 ; cqo ; idiv Rq(b));
        } else {
            dynasm!(self ; .arch x64 ; xor edx, edx ; div Rq(b));
        }
    }

    /// `d = -d`
    pub fn neg(&mut self, d: u8) {
        dynasm!(self ; .arch x64 ; neg Rq(d));
    }

    /// `d = !d`
    pub fn not(&mut self, d: u8) {
        dynasm!(self ; .arch x64 ; not Rq(d));
    }

    /// Reverses the bytes of `d`.
    pub fn bswap(&mut self, d: u8) {
        dynasm!(self ; .arch x64 ; bswap Rq(d));
    }

    /// `d = [rbp + index + disp]`
    pub fn load_table(&mut self, d: u8, index: u8, disp: i32) {
        dynasm!(self ; .arch x64 ; mov Rq(d), [DWORD rbp + Rq(index) + disp]);
    }

    /// `[rbp + index + disp] -= imm`
    pub fn sub_table(&mut self, index: u8, disp: i32, imm: i32) {
        dynasm!(self ; .arch x64 ; sub QWORD [DWORD rbp + Rq(index) + disp], DWORD imm);
    }

    /// Flags of `a - [rbp + index + disp]`.
    pub fn cmp_table(&mut self, a: u8, index: u8, disp: i32) {
        dynasm!(self ; .arch x64 ; cmp Rq(a), [DWORD rbp + Rq(index) + disp]);
    }

    /// `d = [a + b + disp]` of so many bytes, extended.
    pub fn load(&mut self, d: u8, (a, b, disp): (u8, u8, i32), bytes: u64, signed: bool) {
        sum!(self, disp, |m| match (bytes, signed) {
            (1, false) => { movzx Rd(d), BYTE } {}
            (1, true) => { movsx Rq(d), BYTE } {}
            (2, false) => { movzx Rd(d), WORD } {}
            (2, true) => { movsx Rq(d), WORD } {}
            (4, false) => { mov Rd(d), } {}
            (4, true) => { movsxd Rq(d), DWORD } {}
            _ => { mov Rq(d), } {}
        } a b);
    }

    /// `[a + b + disp] = v` of so many bytes.
    pub fn store(&mut self, (a, b, disp): (u8, u8, i32), v: Op, bytes: u64) {
        debug_assert!(!matches!(v, Op::Home(_)), "memory to memory");
        sum!(self, disp, |m| match (bytes, v) {
            (1, Op::Reg(v)) => { mov } { , Rb(v) }
            (2, Op::Reg(v)) => { mov } { , Rw(v) }
            (4, Op::Reg(v)) => { mov } { , Rd(v) }
            (_, Op::Reg(v)) => { mov } { , Rq(v) }
            (1, Op::Imm(v)) => { mov BYTE } { , BYTE v as i8 }
            (2, Op::Imm(v)) => { mov WORD } { , WORD v as i16 }
            (4, Op::Imm(v)) => { mov DWORD } { , DWORD v }
            (_, Op::Imm(v) | Op::Home(v)) => { mov QWORD } { , DWORD v }
        } a b);
    }

    /// `x = [a + b + disp]`, a double.
    pub fn load_x(&mut self, x: u8, (a, b, disp): (u8, u8, i32), bytes: u64) {
        sum!(self, disp, |m| match bytes {
            4 => { vmovss Rx(x), DWORD } {}
            _ => { vmovsd Rx(x), QWORD } {}
        } a b);
    }

    /// `[a + b + disp] = x` of 4 or 8 bytes.
    pub fn store_x(&mut self, (a, b, disp): (u8, u8, i32), x: u8, bytes: u64) {
        sum!(self, disp, |m| match bytes {
            4 => { vmovss DWORD } { , Rx(x) }
            _ => { vmovsd QWORD } { , Rx(x) }
        } a b);
    }

    /// `x = [rbp + disp]`
    pub fn load_x_home(&mut self, x: u8, disp: i32) {
        dynasm!(self ; .arch x64 ; vmovsd Rx(x), QWORD [DWORD rbp + disp]);
    }

    /// `[rbp + disp] = x`
    pub fn store_x_home(&mut self, disp: i32, x: u8) {
        dynasm!(self ; .arch x64 ; vmovsd QWORD [DWORD rbp + disp], Rx(x));
    }

    /// `x = general register`
    pub fn movq_to_x(&mut self, x: u8, r: u8) {
        dynasm!(self ; .arch x64 ; vmovq Rx(x), Rq(r));
    }

    /// `general register = x`
    pub fn movq_from_x(&mut self, r: u8, x: u8) {
        dynasm!(self ; .arch x64 ; vmovq Rq(r), Rx(x));
    }

    /// `d = x`, 4 bytes, zero-extended.
    pub fn movd_from_x(&mut self, d: u8, x: u8) {
        dynasm!(self ; .arch x64 ; vmovd Rd(d), Rx(x));
    }

    /// `x = y`
    pub fn mov_x(&mut self, x: u8, y: u8) {
        if x != y {
            dynasm!(self ; .arch x64 ; vmovaps Rx(x), Rx(y));
        }
    }

    /// `jmp [rbp + index + disp]`
    pub fn jmp_table(&mut self, index: u8, disp: i32) {
        dynasm!(self ; .arch x64 ; jmp QWORD [DWORD rbp + Rq(index) + disp]);
    }

    /// As [`Bytes::jmp_table`], with the address behind it pushed.
    pub fn call_table(&mut self, index: u8, disp: i32) {
        dynasm!(self ; .arch x64 ; call QWORD [DWORD rbp + Rq(index) + disp]);
    }

    /// `push a`
    pub fn push_reg(&mut self, a: u8) {
        dynasm!(self ; .arch x64 ; push Rq(a));
    }

    /// `pop d`
    pub fn pop_reg(&mut self, d: u8) {
        dynasm!(self ; .arch x64 ; pop Rq(d));
    }

    /// Returns if `a` is what was pushed before the latest call.
    pub fn ret_if_pushed(&mut self, a: u8) {
        dynasm!(self ; .arch x64 ; cmp Rq(a), [rsp + 8]);
        // jne behind the ret
        self.0.extend([0x75, 1, 0xc3]);
    }

    /// Compares the stack pointer with `[rbp + disp]`.
    pub fn cmp_rsp_home(&mut self, disp: i32) {
        dynasm!(self ; .arch x64 ; cmp rsp, [DWORD rbp + disp]);
    }

    /// `rsp = [rbp + disp]`
    pub fn rsp_from_home(&mut self, disp: i32) {
        dynasm!(self ; .arch x64 ; mov rsp, [DWORD rbp + disp]);
    }

    /// `dword [rbp + disp] = MXCSR`
    pub fn store_mxcsr(&mut self, disp: i32) {
        dynasm!(self ; .arch x64 ; stmxcsr [DWORD rbp + disp]);
    }

    /// `MXCSR = dword [rbp + disp]`
    pub fn load_mxcsr(&mut self, disp: i32) {
        dynasm!(self ; .arch x64 ; ldmxcsr [DWORD rbp + disp]);
    }

    /// `x = 0`
    pub fn zero_x(&mut self, x: u8) {
        dynasm!(self ; .arch x64 ; vxorps Rx(x), Rx(x), Rx(x));
    }

    /// `d = x op y`, doubles or singles.
    pub fn arith(&mut self, op: Arith, double: bool, d: u8, x: u8, y: u8) {
        match (op, double) {
            (Arith::Add, true) => dynasm!(self ; .arch x64 ; vaddsd Rx(d), Rx(x), Rx(y)),
            (Arith::Add, false) => dynasm!(self ; .arch x64 ; vaddss Rx(d), Rx(x), Rx(y)),
            (Arith::Sub, true) => dynasm!(self ; .arch x64 ; vsubsd Rx(d), Rx(x), Rx(y)),
            (Arith::Sub, false) => dynasm!(self ; .arch x64 ; vsubss Rx(d), Rx(x), Rx(y)),
            (Arith::Mul, true) => dynasm!(self ; .arch x64 ; vmulsd Rx(d), Rx(x), Rx(y)),
            (Arith::Mul, false) => dynasm!(self ; .arch x64 ; vmulss Rx(d), Rx(x), Rx(y)),
            (Arith::Div, true) => dynasm!(self ; .arch x64 ; vdivsd Rx(d), Rx(x), Rx(y)),
            (Arith::Div, false) => dynasm!(self ; .arch x64 ; vdivss Rx(d), Rx(x), Rx(y)),
        }
    }

    /// `d = square root of x`
    pub fn sqrt(&mut self, double: bool, d: u8, x: u8) {
        if double {
            dynasm!(self ; .arch x64 ; vsqrtsd Rx(d), Rx(x), Rx(x));
        } else {
            dynasm!(self ; .arch x64 ; vsqrtss Rx(d), Rx(x), Rx(x));
        }
    }

    /// `t = +-(x * y) +- t`
    pub fn multiply_add(&mut self, double: bool, product: bool, addend: bool, t: u8, x: u8, y: u8) {
        match (double, product, addend) {
            (true, false, false) => dynasm!(self ; .arch x64 ; vfmadd231sd Rx(t), Rx(x), Rx(y)),
            (true, false, true) => dynasm!(self ; .arch x64 ; vfmsub231sd Rx(t), Rx(x), Rx(y)),
            (true, true, false) => dynasm!(self ; .arch x64 ; vfnmadd231sd Rx(t), Rx(x), Rx(y)),
            (true, true, true) => dynasm!(self ; .arch x64 ; vfnmsub231sd Rx(t), Rx(x), Rx(y)),
            (false, false, false) => dynasm!(self ; .arch x64 ; vfmadd231ss Rx(t), Rx(x), Rx(y)),
            (false, false, true) => dynasm!(self ; .arch x64 ; vfmsub231ss Rx(t), Rx(x), Rx(y)),
            (false, true, false) => dynasm!(self ; .arch x64 ; vfnmadd231ss Rx(t), Rx(x), Rx(y)),
            (false, true, true) => dynasm!(self ; .arch x64 ; vfnmsub231ss Rx(t), Rx(x), Rx(y)),
        }
    }

    /// `d = x` in the other format; the rest of `d` is that of `zero`.
    pub fn convert(&mut self, from_double: bool, d: u8, zero: u8, x: u8) {
        if from_double {
            dynasm!(self ; .arch x64 ; vcvtsd2ss Rx(d), Rx(zero), Rx(x));
        } else {
            dynasm!(self ; .arch x64 ; vcvtss2sd Rx(d), Rx(zero), Rx(x));
        }
    }

    /// `d = integer r`, of 64 bits with `wide`, else 32.
    pub fn int_to_float(&mut self, double: bool, d: u8, zero: u8, r: u8, wide: bool) {
        match (double, wide) {
            (true, true) => dynasm!(self ; .arch x64 ; vcvtsi2sd Rx(d), Rx(zero), Rq(r)),
            (true, false) => dynasm!(self ; .arch x64 ; vcvtsi2sd Rx(d), Rx(zero), Rd(r)),
            (false, true) => dynasm!(self ; .arch x64 ; vcvtsi2ss Rx(d), Rx(zero), Rq(r)),
            (false, false) => dynasm!(self ; .arch x64 ; vcvtsi2ss Rx(d), Rx(zero), Rd(r)),
        }
    }

    /// `r = x as an integer`; the least one where there is none.
    pub fn float_to_int(&mut self, double: bool, r: u8, x: u8, wide: bool, truncate: bool) {
        match (double, wide, truncate) {
            (true, true, true) => dynasm!(self ; .arch x64 ; vcvttsd2si Rq(r), Rx(x)),
            (true, true, false) => dynasm!(self ; .arch x64 ; vcvtsd2si Rq(r), Rx(x)),
            (true, false, true) => dynasm!(self ; .arch x64 ; vcvttsd2si Rd(r), Rx(x)),
            (true, false, false) => dynasm!(self ; .arch x64 ; vcvtsd2si Rd(r), Rx(x)),
            (false, true, true) => dynasm!(self ; .arch x64 ; vcvttss2si Rq(r), Rx(x)),
            (false, true, false) => dynasm!(self ; .arch x64 ; vcvtss2si Rq(r), Rx(x)),
            (false, false, true) => dynasm!(self ; .arch x64 ; vcvttss2si Rd(r), Rx(x)),
            (false, false, false) => dynasm!(self ; .arch x64 ; vcvtss2si Rd(r), Rx(x)),
        }
    }

    /// Flags of comparing `x` with `y`; with `signal`, any NaN is invalid, else only a signalling one.
    pub fn compare(&mut self, double: bool, x: u8, y: u8, signal: bool) {
        match (double, signal) {
            (true, true) => dynasm!(self ; .arch x64 ; vcomisd Rx(x), Rx(y)),
            (true, false) => dynasm!(self ; .arch x64 ; vucomisd Rx(x), Rx(y)),
            (false, true) => dynasm!(self ; .arch x64 ; vcomiss Rx(x), Rx(y)),
            (false, false) => dynasm!(self ; .arch x64 ; vucomiss Rx(x), Rx(y)),
        }
    }

    /// `d = x == y ? all ones : 0`, quiet.
    pub fn compare_equal(&mut self, double: bool, d: u8, x: u8, y: u8) {
        if double {
            dynasm!(self ; .arch x64 ; vcmpeqsd Rx(d), Rx(x), Rx(y));
        } else {
            dynasm!(self ; .arch x64 ; vcmpeqss Rx(d), Rx(x), Rx(y));
        }
    }

    /// Flips the sign of the double at `[rbp + disp]`.
    pub fn flip_sign(&mut self, disp: i32) {
        dynasm!(self ; .arch x64 ; xor BYTE [DWORD rbp + disp + 7], BYTE -128);
    }
}
