//! RISC-V on the compiler's intermediate representation: what a recorder needs to record, and what a hart needs to run
//! what was recorded.

use cpu_core::{Flow, Next, Rounding, Semantics, SemanticsExt, Width};
use cpu_fp::Round;
use cpu_jit::{Ended, Guest, Isa, Lifter, Ref, Slot};

use crate::isa::Decoded;
use crate::semantics::{CsrOp, Riscv, System};
use crate::state::{State, Trapped, slot};
use crate::sys::csr::number::FFLAGS;

/// The instruction set of a hart with XLEN-bit registers.
#[derive(Copy, Clone, Debug)]
pub struct Rv<const XLEN: u32> {
    /// Whether jump targets need only 2-byte alignment.
    pub compressed: bool,
    /// `frm` is 0 for as long as the block is valid.
    pub rounds_to_nearest: bool,
    /// There are floating-point registers, and FS is not off for as long as the block is valid.
    pub float: bool,
}

/// What is called, not lifted.
#[derive(Copy, Clone, Debug)]
pub enum Call {
    /// Operand: address.
    LoadReserved(Width),
    /// Operands: address, value.
    StoreConditional(Width),
    /// Stops where `frm` is invalid.
    CheckRounding,
    /// Access to a CSR that most often changes nothing else. Operand: the value.
    Csr {
        /// How.
        op: CsrOp,
        /// Which.
        csr: u16,
        /// The old value is wanted.
        reads: bool,
        /// It is written.
        writes: bool,
    },
    /// A privileged or heavy instruction.
    System(System),
}

impl<const XLEN: u32> Isa for Rv<XLEN> {
    type Call = Call;
    const FLOAT_FLAGS: Option<Slot> = Some(Slot(slot::FLOAT_FLAGS));
    /// The integer registers of RV32, whose addresses then need no extension.
    const WORDS: u16 = if XLEN == 32 { 32 } else { 0 };
}

impl<const XLEN: u32> Riscv for Lifter<Rv<XLEN>> {
    const XLEN: u32 = XLEN;

    fn x(&self, r: u8) -> Ref {
        if r == 0 { self.imm(0) } else { self.wrap(self.get(Slot(r as u16))) }
    }

    fn set_x(&self, r: u8, value: Ref) {
        if r != 0 {
            self.set(Slot(r as u16), self.unsigned(value));
        }
    }

    fn f(&self, r: u8) -> Ref {
        self.get(Slot(slot::FLOAT + r as u16))
    }

    fn set_f(&self, r: u8, value: Ref) {
        self.set(Slot(slot::FLOAT + r as u16), value);
        self.set(Slot(slot::FLOAT_DIRTY), self.imm(1));
    }

    fn rounding(&self, rm: u8) -> Result<Rounding, Ended> {
        Ok(match Round::from_riscv(rm as u32) {
            Some(round) => Rounding::Static(round),
            None if self.isa().rounds_to_nearest => Rounding::Static(Round::NearestEven),
            None => {
                let zero = self.imm(0);
                self.call(Call::CheckRounding, [zero, zero]);
                Rounding::Dynamic
            }
        })
    }

    fn compressed(&self) -> bool {
        self.isa().compressed
    }

    fn load_reserved(&self, addr: Ref, width: Width) -> Result<Ref, Ended> {
        Ok(self.call(Call::LoadReserved(width), [addr, addr]))
    }

    fn store_conditional(&self, addr: Ref, width: Width, value: Ref) -> Result<Ref, Ended> {
        Ok(self.call(Call::StoreConditional(width), [addr, value]))
    }

    fn system(&self, op: System, a: Ref, b: Ref) -> Flow<Self> {
        if let System::Csr { op, csr: FFLAGS, rd, writes } = op
            && (!writes || op == CsrOp::Write)
            && self.isa().float
        {
            let old = (rd != 0).then(|| self.get(Slot(slot::FLOAT_FLAGS)));
            if writes {
                self.set(Slot(slot::FLOAT_FLAGS), self.and_imm(a, 31));
                self.set(Slot(slot::FLOAT_DIRTY), self.imm(1));
            }
            if let Some(old) = old {
                self.set_x(rd, old);
            }
            return self.fall();
        }
        if let System::Csr { op, csr, rd, writes } = op
            && crate::quick::is_quick(csr, op, writes)
        {
            let reads = rd != 0 || op != CsrOp::Write;
            let old = self.call(Call::Csr { op, csr, reads, writes }, [a, b]);
            self.set_x(rd, old);
            return self.fall();
        }
        self.leave(Call::System(op), [a, b])
    }
}

impl<const XLEN: u32> Guest<Call> for State<XLEN> {
    fn get(&self, slot: Slot) -> u64 {
        self.slot(slot.0).get()
    }

    fn set(&self, slot: Slot, value: u64) {
        // Nothing that is lifted writes `x0`.
        debug_assert_ne!(slot, Slot(0));
        debug_assert!(slot.0 >= Rv::<XLEN>::WORDS || value >> 32 == 0, "{slot:?} is no word: {value:#x}");
        self.slot(slot.0).set(value);
    }

    fn begin(&self, index: u32, address: u64) -> bool {
        if self.leave.get() {
            return false;
        }
        self.frame.pc.set(Self::mask_address(address));
        self.index.set(index);
        true
    }

    fn call(&self, call: &Call, [a, b]: [u64; 2]) -> Result<u64, Trapped> {
        match *call {
            Call::LoadReserved(width) => self.load_reserved(a, width),
            Call::StoreConditional(width) => self.store_conditional(a, width, b),
            // Only the dynamic mode is checked when it runs.
            Call::CheckRounding => self.rounding(7).map(|_| 0),
            Call::Csr { op, csr, reads, writes } => {
                let Some(old) = self.csr_instruction(op, csr, a, reads, writes) else {
                    return Err(self.illegal());
                };
                if writes {
                    self.leave.set(true);
                    self.recheck.set(true);
                }
                Ok(old)
            }
            Call::System(_) => Ok(0),
        }
    }

    fn leave(&self, call: &Call, [a, b]: [u64; 2]) -> Flow<Self> {
        match *call {
            Call::System(op) => self.system(op, a, b),
            _ => Ok(Next::Leave),
        }
    }
}

/// Records instructions, of which only the last may jump. An `Err` is an illegal instruction with its bits and length.
pub(crate) fn record<const XLEN: u32>(
    lifter: &Lifter<Rv<XLEN>>,
    instructions: impl IntoIterator<Item = Result<Decoded, (u32, u8)>>,
) {
    for instruction in instructions {
        let ended = match instruction {
            Ok(decoded) => {
                lifter.start(decoded.len as u32);
                let flow = crate::isa::dispatch::execute(lifter, decoded.id, &decoded.ops);
                flow != Ok(Next::Fall)
            }
            Err((bits, len)) => {
                lifter.start(len as u32);
                let bits = lifter.imm(bits as u64);
                lifter.raise(crate::sys::cause::ILLEGAL_INSTRUCTION, bits);
                true
            }
        };
        if ended {
            break;
        }
    }
}
