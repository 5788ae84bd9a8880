//! The M profile on the compiler's intermediate representation: what a recorder needs to record, and what a core needs to run
//! what was recorded.

use cpu_core::{Flow, Next, Rounding, Semantics, SemanticsExt, Width};
use cpu_jit::{Ended, Guest, Isa, Lifter, Ref, Slot};

use crate::exec::ALWAYS;
use crate::isa::flags::{BRANCH, JUMP, SYSTEM};
use crate::isa::{Id, Operands};
use crate::semantics::{Arm, System};
use crate::state::{State, Trapped};
use crate::{cause, slot};

/// The instruction set of a core.
#[derive(Copy, Clone, Debug)]
pub struct Thumb {
    /// No unaligned access is allowed for as long as the block is valid.
    pub strict: bool,
}

/// What is called, not lifted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Operand: address.
    LoadExclusive(Width),
    /// Operands: address, value.
    StoreExclusive(Width),
    /// Releases the monitor.
    ClearExclusive,
    /// Reads a special register.
    Special(u8),
    /// Reads FPSCR.
    Fpscr,
    /// Operand: address. With sign extension or without.
    LoadUnprivileged(Width, bool),
    /// Operands: address, value.
    StoreUnprivileged(Width),
    /// Acts on the core as a whole. Operand: its value.
    System(System),
}

impl Isa for Thumb {
    type Call = Call;
    const FLOAT_FLAGS: Option<Slot> = Some(Slot(slot::FLOAT_FLAGS));
    const WORDS: u16 = slot::WORDS;
    const CLEAR: Option<Slot> = Some(Slot(slot::ITSTATE));

    /// Blocks with floating point are recorded only while FPSCR asks for what it asks for at reset.
    fn rounding(&self, rounding: Rounding) -> Rounding {
        match rounding {
            Rounding::Dynamic => Rounding::Static(cpu_fp::Round::NearestEven),
            rounding => rounding,
        }
    }
}

impl Arm for Lifter<Thumb> {
    fn slot(&self, number: u16) -> Ref {
        self.get(Slot(number))
    }

    fn set_slot(&self, number: u16, value: Ref) {
        self.set(Slot(number), value);
    }

    fn strict(&self) -> bool {
        self.isa().strict
    }

    fn load_exclusive(&self, addr: Ref, width: Width) -> Result<Ref, Ended> {
        Ok(self.call(Call::LoadExclusive(width), [addr, addr]))
    }

    fn store_exclusive(&self, addr: Ref, width: Width, value: Ref) -> Result<Ref, Ended> {
        Ok(self.call(Call::StoreExclusive(width), [addr, value]))
    }

    fn clear_exclusive(&self) {
        let zero = self.imm(0);
        self.call(Call::ClearExclusive, [zero, zero]);
    }

    fn special(&self, sysm: u8) -> Ref {
        let zero = self.imm(0);
        self.call(Call::Special(sysm), [zero, zero])
    }

    fn fpscr(&self) -> Ref {
        let zero = self.imm(0);
        self.call(Call::Fpscr, [zero, zero])
    }

    fn load_unprivileged(&self, addr: Ref, width: Width, signed: bool) -> Result<Ref, Ended> {
        Ok(self.call(Call::LoadUnprivileged(width, signed), [addr, addr]))
    }

    fn store_unprivileged(&self, addr: Ref, width: Width, value: Ref) -> Result<(), Ended> {
        self.call(Call::StoreUnprivileged(width), [addr, value]);
        Ok(())
    }

    fn may_exchange(&self, target: Ref) -> Result<(), Ended> {
        // One comparison for a clear bit 0, which becomes the highest one and is turned, and for 0xf0000000 and above.
        let turned = self.xor(self.ror32(target, self.imm(1)), self.imm(0x8000_0000));
        let unusual = self.ltu(self.imm(0x77ff_ffff), turned);
        self.raise_if(unusual, cause::INTERPRET, target)
    }

    fn exchange(&self, target: Ref, _: bool) -> Flow<Self> {
        self.jump(self.and_imm(target, 0xffff_fffe))
    }

    fn system(&self, op: System, value: Ref) -> Flow<Self> {
        self.leave(Call::System(op), [value, value])
    }
}

impl Guest<Call> for State {
    fn get(&self, slot: Slot) -> u64 {
        self.cell(slot.0).get()
    }

    fn set(&self, slot: Slot, value: u64) {
        debug_assert!(slot.0 >= slot::WORDS || value >> 32 == 0, "{slot:?} is no word: {value:#x}");
        self.set_slot(slot.0, value);
    }

    fn begin(&self, index: u32, address: u64) -> bool {
        if self.leave.get() {
            return false;
        }
        self.frame.pc.set(address & 0xffff_ffff);
        self.index.set(index);
        true
    }

    fn call(&self, call: &Call, [a, b]: [u64; 2]) -> Result<u64, Trapped> {
        match *call {
            Call::LoadExclusive(width) => self.load_exclusive(a, width),
            Call::StoreExclusive(width) => self.store_exclusive(a, width, b),
            Call::ClearExclusive => {
                self.clear_exclusive();
                Ok(0)
            }
            Call::Special(sysm) => Ok(self.special(sysm)),
            Call::Fpscr => Ok(self.fpscr()),
            Call::LoadUnprivileged(width, signed) => self.load_unprivileged(a, width, signed),
            Call::StoreUnprivileged(width) => self.store_unprivileged(a, width, b).map(|()| 0),
            Call::System(_) => Ok(0),
        }
    }

    fn leave(&self, call: &Call, [a, _]: [u64; 2]) -> Flow<Self> {
        match *call {
            Call::System(op) => self.system(op, a),
            _ => Ok(Next::Leave),
        }
    }
}

/// An instruction to record.
pub(crate) struct Instruction<'a> {
    /// `None` for one that raises the cause in the immediate.
    pub id: Option<Id>,
    pub operands: &'a Operands,
    /// In bytes.
    pub len: u8,
    /// Under which condition it runs.
    pub cond: u8,
    /// ITSTATE before it.
    pub it: u8,
}

/// Records instructions, of which only the last may jump. The first is outside of IT blocks, and so is what follows the last.
pub(crate) fn record<'a>(lifter: &Lifter<Thumb>, instructions: impl IntoIterator<Item = Instruction<'a>>) {
    let mut in_it_block = false;
    let state = |it: u8| lifter.set_slot(slot::ITSTATE, lifter.imm(it as u64));
    for instruction in instructions {
        lifter.start(instruction.len as u32);
        if in_it_block && instruction.it == 0 {
            state(0);
        }
        in_it_block = instruction.it != 0;
        let condition = (instruction.cond != ALWAYS).then(|| crate::sem::condition(lifter, instruction.cond));
        let jumps = instruction.id.is_some_and(|id| id.flags() & (JUMP | BRANCH | SYSTEM) != 0);
        let record = || match instruction.id {
            Some(id) => crate::isa::dispatch::execute(lifter, id, instruction.operands) != Ok(Next::Fall),
            None => {
                let zero = lifter.imm(0);
                lifter.raise(instruction.operands.imm as u64, zero);
                true
            }
        };
        let ended = match condition {
            // Where it does not run, the block ends all the same: the last of an IT block.
            Some(condition) if jumps || instruction.id.is_none() => {
                state(0);
                lifter.exit_if(lifter.eq(condition, lifter.imm(0)), instruction.len as i64);
                state(instruction.it);
                record()
            }
            Some(condition) => {
                state(instruction.it);
                // One that stops does so under the condition, and the block goes on.
                lifter.only_if(condition, record);
                false
            }
            None => {
                if in_it_block {
                    state(instruction.it);
                }
                record()
            }
        };
        if ended {
            break;
        }
    }
    if in_it_block {
        lifter.set_before_end(Slot(slot::ITSTATE), 0);
    }
}
