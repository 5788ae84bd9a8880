//! Floating point on the host's scalar instructions.
//!
//! The host's exceptions, sticky in MXCSR, are the guest's: both detect tininess after rounding. What differs is the NaN
//! that comes out: where a result is a NaN, the cold part replaces it. Only round to nearest even is done here (the
//! host's mode), and conversions that the host has; the rest calls the exact helper.

use cpu_core::{Binary, FloatFormat, FloatOp, Rounding};
use cpu_fp::Round as Toward;
use cpu_jit::FloatRules;
use cpu_jit::ir::{Node, Ref};

use super::{Emitter, Loc, Owner};
use crate::asm::{Arith, Op};
use crate::places::{ARG0, ARG1, ARG2, CODE, Place, WHY, home, spill};
use crate::sink::Cc;
use crate::trampoline::Pool;

const SIGN: u64 = 1 << 63;
/// The upper half that a single in a wider register has.
const BOX: u64 = 0xffff_ffff << 32;

/// Whether `node` is better made by `user`, a floating-point operation: a changed sign, or the low half of a register.
pub(super) fn defers(nodes: &[Node], node: &Node, user: &Node, at: u32, rules: FloatRules) -> bool {
    let Node::Binary(op, _, b) = *node else { return false };
    let Some(Node::Const(constant)) = nodes.get(b.0 as usize) else { return false };
    let Node::Float(what, format, rounding, args) = *user else { return false };
    if rules == FloatRules::Arm || !inline(what, format, rounding) {
        return false;
    }
    match (op, format) {
        (Binary::Xor, FloatFormat::F64) => *constant == SIGN && what == FloatOp::MulAdd && args[1].0 != at,
        (Binary::And, FloatFormat::F32) => {
            *constant == u32::MAX as u64
                && !matches!(what, FloatOp::FromI32 | FloatOp::FromU32 | FloatOp::FromI64)
        }
        _ => false,
    }
}

/// Whether an operation is done here.
fn inline(op: FloatOp, format: FloatFormat, rounding: Rounding) -> bool {
    use FloatOp::*;
    if !matches!(format, FloatFormat::F32 | FloatFormat::F64) {
        return false;
    }
    match op {
        Eq | Lt | Le | LtQuiet | LeQuiet => true,
        ToI32 | ToI64 => {
            matches!(rounding, Rounding::Static(Toward::TowardZero | Toward::NearestEven))
        }
        Add | Sub | Mul | Div | Sqrt | MulAdd | FromI32 | FromU32 | FromI64 => {
            rounding == Rounding::Static(Toward::NearestEven)
        }
        Convert(to) => {
            rounding == Rounding::Static(Toward::NearestEven)
                && matches!(
                    (format, to),
                    (FloatFormat::F32, FloatFormat::F64) | (FloatFormat::F64, FloatFormat::F32)
                )
        }
        _ => false,
    }
}

impl Emitter<'_> {
    pub(super) fn float(&mut self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [Ref; 3]) {
        use FloatOp::*;
        let arm = self.places.layout.float_rules == FloatRules::Arm;
        // Arm's M profile has singles; the few doubles are steps of conversions.
        if !inline(op, format, rounding) || arm && (format != FloatFormat::F32 || matches!(op, Convert(_))) {
            let code = cpu_jit::helpers::float_code(op, format, rounding);
            self.call_helper(self.shared.float, code, args.map(Some));
            return;
        }
        let double = format == FloatFormat::F64;
        let [a, b, c] = args;
        if arm && matches!(op, Add | Sub | Mul | Div | MulAdd | Sqrt) {
            self.arm_single(op, rounding, args);
            return;
        }
        match op {
            Add => self.arithmetic(Arith::Add, double, a, b),
            Sub => self.arithmetic(Arith::Sub, double, a, b),
            Mul => self.arithmetic(Arith::Mul, double, a, b),
            Div => self.arithmetic(Arith::Div, double, a, b),
            MulAdd => self.multiply_add(double, op, rounding, [a, b, c]),
            Sqrt => {
                let x = self.x(a);
                let d = self.define_x();
                self.sink.hot.sqrt(double, d, x);
                self.canonical(double, d);
                self.defined_x(d);
            }
            Convert(to) => {
                let x = self.x(a);
                let d = self.define_x();
                let zero = self.zero();
                self.sink.hot.convert(double, d, zero, x);
                self.canonical(to == FloatFormat::F64, d);
                self.defined_x(d);
            }
            FromI32 | FromU32 | FromI64 => {
                let mut r = self.reg(a);
                if op == FromU32 {
                    let wide = self.scratch();
                    self.sink.hot.mov32(wide, Op::Reg(r));
                    r = wide;
                }
                let d = self.define_x();
                let zero = self.zero();
                self.sink.hot.int_to_float(double, d, zero, r, op != FromI32);
                self.defined_x(d);
            }
            ToI32 | ToI64 => {
                let x = self.x(a);
                let d = self.define();
                let wide = op == ToI64;
                let truncate = rounding == Rounding::Static(Toward::TowardZero);
                self.sink.hot.float_to_int(double, d, x, wide, truncate);
                let size = if wide { crate::asm::Size::Q } else { crate::asm::Size::D };
                // What the host can not convert is its least integer, the only one that overflows here.
                self.sink.hot.cmp(size, d, Op::Imm(1));
                let cold = self.sink.here_cold();
                self.sink.jcc(Cc::O, cold);
                self.sink.cold.store_x_home(ARG0, x);
                self.call_cold(op, format, rounding);
                self.sink.cold.mov(d, Op::Home(ARG0));
                let back = self.sink.here();
                self.sink.jmp_cold(back);
                if !wide {
                    // The helper's is already extended.
                    self.sink.hot.widen(d, Op::Reg(d), 32, true);
                }
                self.defined(d);
            }
            Eq => {
                let (x, y) = (self.x(a), self.x(b));
                let t = self.scratch_x();
                self.sink.hot.compare_equal(double, t, x, y);
                let d = self.define();
                self.sink.hot.movq_from_x(d, t);
                self.sink.hot.and(crate::asm::Size::D, d, Op::Imm(1));
                self.defined(d);
            }
            Lt | Le | LtQuiet | LeQuiet => {
                let (x, y) = (self.x(a), self.x(b));
                let d = self.define();
                // The other way round, so that unordered is false.
                self.sink.hot.compare(double, y, x, matches!(op, Lt | Le));
                self.sink.hot.setcc(if matches!(op, Lt | LtQuiet) { Cc::A } else { Cc::AE }, d);
                self.defined(d);
            }
            _ => {}
        }
    }

    /// All flags: those in the frame, and what MXCSR has on top.
    pub(super) fn float_flags(&mut self) {
        let d = self.define();
        let table = self.scratch();
        let place = spill(CODE);
        let hot = &mut self.sink.hot;
        hot.store_mxcsr(place);
        hot.mov32(d, Op::Home(place));
        hot.and(crate::asm::Size::D, d, Op::Imm(0x3f));
        hot.set(table, self.base);
        hot.load(d, (table, d, 0), 1, false);
        hot.or(crate::asm::Size::Q, d, Op::Home(home(self.places.layout.float_flags.0)));
        self.defined(d);
    }

    /// Replaces all flags.
    pub(super) fn set_float_flags(&mut self, value: Ref) {
        let r = self.reg(value);
        let place = spill(CODE);
        let hot = &mut self.sink.hot;
        hot.mov_home(home(self.places.layout.float_flags.0), Op::Reg(r));
        hot.set_home32(place, crate::trampoline::MXCSR as u32);
        hot.load_mxcsr(place);
    }

    fn arithmetic(&mut self, op: Arith, double: bool, a: Ref, b: Ref) {
        let (x, y) = (self.x(a), self.x(b));
        let d = self.define_x();
        self.sink.hot.arith(op, double, d, x, y);
        self.canonical(double, d);
        self.defined_x(d);
    }

    fn multiply_add(&mut self, double: bool, op: FloatOp, rounding: Rounding, args: [Ref; 3]) {
        let format = if double { FloatFormat::F64 } else { FloatFormat::F32 };
        let [(a, negate_product), (b, _), (c, negate_addend)] = args.map(|arg| self.negated(arg));
        let (x, y, z) = (self.x(a), self.x(b), self.x(c));
        let t = self.scratch_x();
        self.sink.hot.mov_x(t, z);
        self.sink.hot.multiply_add(double, negate_product, negate_addend, t, x, y);
        self.sink.hot.compare(double, t, t, false);
        let cold = self.sink.here_cold();
        self.sink.jcc(Cc::P, cold);
        // Infinity times zero is invalid even where a NaN is added, which the host does not see so.
        for (x, arg, negate) in [(x, ARG0, negate_product), (y, ARG1, false), (z, ARG2, negate_addend)] {
            self.sink.cold.store_x_home(arg, x);
            if negate {
                self.sink.cold.flip_sign(arg);
            }
        }
        self.call_cold(op, format, rounding);
        self.sink.cold.load_x_home(t, ARG0);
        let back = self.sink.here();
        self.sink.jmp_cold(back);
        // There may be no fifth temporary.
        if self.next_slot().is_some_and(|slot| matches!(self.places.of(slot), Place::X(_))) {
            let d = self.define_x();
            self.sink.hot.mov_x(d, t);
            self.defined_x(d);
        } else {
            self.defined_x(t);
        }
    }

    /// A single by Arm's rules. Where a NaN comes out, or the least normal number, which was tiny if it was rounded up, the exact
    /// helper does it again; it adds to the flags what the host did not see.
    fn arm_single(&mut self, op: FloatOp, rounding: Rounding, args: [Ref; 3]) {
        // Bits without sign, minus what makes the cases one range: the least normal number, zero and NaNs are above the limit.
        const SHIFT: i32 = -0x0100_0001;
        const ZERO: i32 = SHIFT;
        const LIMIT: i32 = 0xfdff_ffff_u32 as i32;
        let [a, b, c] = args;
        let count = match op {
            FloatOp::Sqrt => 1,
            FloatOp::MulAdd => 3,
            _ => 2,
        };
        let x = self.x(a);
        let y = if count > 1 { self.x(b) } else { x };
        let z = if count > 2 { self.x(c) } else { y };
        let t = self.scratch_x();
        let hot = &mut self.sink.hot;
        match op {
            FloatOp::Add => hot.arith(Arith::Add, false, t, x, y),
            FloatOp::Sub => hot.arith(Arith::Sub, false, t, x, y),
            FloatOp::Mul => hot.arith(Arith::Mul, false, t, x, y),
            FloatOp::Div => hot.arith(Arith::Div, false, t, x, y),
            FloatOp::Sqrt => hot.sqrt(false, t, x),
            _ => {
                hot.mov_x(t, z);
                hot.multiply_add(false, false, false, t, x, y);
            }
        }
        let r = self.scratch();
        self.sink.hot.movd_from_x(r, t);
        self.sink.hot.lea_all(crate::asm::Size::D, r, (r, r, 0), SHIFT);
        self.sink.hot.cmp(crate::asm::Size::D, r, Op::Imm(LIMIT));
        let cold = self.sink.here_cold();
        self.sink.jcc(Cc::A, cold);
        let back = self.sink.here();
        self.sink.cold.cmp(crate::asm::Size::D, r, Op::Imm(ZERO));
        self.sink.jcc_cold(Cc::E, back);
        for (x, arg) in [(x, ARG0), (y, ARG1), (z, ARG2)].into_iter().take(count) {
            self.sink.cold.store_x_home(arg, x);
        }
        self.call_cold(op, FloatFormat::F32, rounding);
        self.sink.cold.load_x_home(t, ARG0);
        self.sink.jmp_cold(back);
        if self.next_slot().is_some_and(|slot| matches!(self.places.of(slot), Place::X(_))) {
            let d = self.define_x();
            self.sink.hot.mov_x(d, t);
            self.defined_x(d);
        } else {
            self.defined_x(t);
        }
    }

    /// The value without a change of sign that is made here.
    fn negated(&self, value: Ref) -> (Ref, bool) {
        match (self.loc(value), self.unit.nodes.get(value.0 as usize)) {
            (Loc::Deferred, Some(&Node::Binary(Binary::Xor, inner, _))) => (inner, true),
            _ => (value, false),
        }
    }

    /// Calls the exact helper in the cold part, with the operands in the frame.
    fn call_cold(&mut self, op: FloatOp, format: FloatFormat, rounding: Rounding) {
        let code = cpu_jit::helpers::float_code(op, format, rounding);
        let why = self.here();
        let cold = &mut self.sink.cold;
        cold.mov_home(spill(CODE), Op::Imm(code as i32));
        cold.set_home32(WHY, why);
        let target = self.fixed(self.shared.float);
        self.sink.call_cold(target);
    }

    /// Replaces the result in `d` where it is a NaN.
    fn canonical(&mut self, double: bool, d: u8) {
        self.sink.hot.compare(double, d, d, false);
        let cold = self.sink.here_cold();
        self.sink.jcc(Cc::P, cold);
        let nan = self.fixed(self.shared.pool[if double { Pool::Nan64 } else { Pool::Nan32 } as usize]);
        self.sink.load_x_cold(d, nan);
        let back = self.sink.here();
        self.sink.jmp_cold(back);
    }

    /// Bits of a value in a vector register changed by a constant; false if that is better done elsewhere.
    pub(super) fn vector_bits(&mut self, op: Binary, a: Ref, b: Ref) -> bool {
        let Some(constant) = self.constant(b) else { return false };
        let in_vector = match self.loc(a) {
            Loc::X(_) => true,
            Loc::Slot(slot) => matches!(self.places.of(slot), Place::X(_)),
            _ => false,
        };
        let to_vector = matches!(self.next_slot().map(|slot| self.places.of(slot)), Some(Place::X(_)));
        let known = match constant {
            SIGN => Pool::Sign64,
            BOX => Pool::Box32,
            c if c == !SIGN => Pool::Magnitude64,
            _ => return false,
        };
        if !in_vector || !to_vector {
            return false;
        }
        let opcode = match op {
            Binary::And => 0x54,
            Binary::Or => 0x56,
            Binary::Xor => 0x57,
            _ => return false,
        };
        let x = self.x(a);
        let d = self.define_x();
        let at = self.fixed(self.shared.pool[known as usize]);
        self.sink.bits_x(opcode, d, x, at);
        self.defined_x(d);
        true
    }

    /// A vector register that holds the value; it stays so until the end of the node.
    fn x(&mut self, value: Ref) -> u8 {
        if self.loc(value) == Loc::Deferred
            && let Some(&Node::Binary(Binary::And, inner, _)) = self.unit.nodes.get(value.0 as usize)
        {
            // Only the low half is looked at.
            return self.x(inner);
        }
        match self.loc(value) {
            Loc::X(x) => {
                self.xlocked |= 1 << x;
                x
            }
            Loc::Slot(slot) | Loc::Both(_, slot) if matches!(self.places.of(slot), Place::X(_)) => {
                match self.places.of(slot) {
                    Place::X(x) => x,
                    _ => 0,
                }
            }
            _ => {
                let x = self.scratch_x();
                self.move_to_x(x, value);
                x
            }
        }
    }

    fn scratch_x(&mut self) -> u8 {
        let free = (0..4u8).find(|&x| self.xtemps[x as usize] == Owner::Free && self.xlocked >> x & 1 == 0);
        let x = free.unwrap_or_else(|| {
            let victim = (0..4u8)
                .find(|&x| self.xlocked >> x & 1 == 0 && matches!(self.xtemps[x as usize], Owner::Node(_)));
            match victim {
                Some(x) => {
                    self.spill_x(x);
                    x
                }
                None => {
                    self.too_complex = true;
                    0
                }
            }
        });
        self.xtemps[x as usize] = Owner::Scratch;
        self.xlocked |= 1 << x;
        x
    }

    /// A register of zeros.
    fn zero(&mut self) -> u8 {
        let x = self.scratch_x();
        self.sink.hot.zero_x(x);
        x
    }

    /// A vector register for this node's value: that of the slot it is written to next, or a temporary.
    fn define_x(&mut self) -> u8 {
        if let Some(slot) = self.next_slot()
            && let Place::X(x) = self.places.of(slot)
        {
            self.evacuate(slot, None);
            return x;
        }
        self.scratch_x()
    }

    /// This node's value was made in `x`, which [`Emitter::define_x`] gave.
    fn defined_x(&mut self, x: u8) {
        if let Some(slot) = self.next_slot()
            && self.places.of(slot) == Place::X(x)
        {
            self.alias(self.at, slot);
            return;
        }
        self.xtemps[x as usize & 3] = Owner::Node(self.at);
        self.scratch.loc[self.at as usize] = Loc::X(x);
    }
}
