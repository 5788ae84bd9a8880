//! The compiled tier of a core.
//!
//! A block is compiled if it begins and ends outside of IT blocks. Where compiled code leaves an instruction inside of one to
//! the interpreter, [`slot::ITSTATE`] says with which ITSTATE it goes on.

use cpu_core::{Block, BlockCache};
use cpu_jit::lift::Space;
use cpu_jit::tier::{Done, Source, Tier};
use cpu_jit::{GuestLine, Layout, Lifter, Slot};

use crate::exec::Op;
use crate::lift::{Call, Thumb};
use crate::state::{State, mode};
use crate::{isa, slot};

/// Blocks of a core as host code.
pub(crate) type Compiler = Tier<State>;

/// Registers by how much compilers use them: those that 16-bit instructions name, stack pointer and link register, N and Z,
/// the others.
const PINS: [Slot; 10] =
    [Slot(3), Slot(2), Slot(0), Slot(1), Slot(slot::SP), Slot(4), Slot(5), Slot(6), Slot(7), Slot(slot::LR)];

/// Those that compilers take first for temporaries, then arguments.
const FLOAT_PINS: [Slot; 12] = {
    const fn s(r: u16) -> Slot {
        Slot(slot::FLOAT + r)
    }
    [s(15), s(14), s(13), s(12), s(11), s(10), s(9), s(8), s(0), s(1), s(2), s(3)]
};

/// Runs the block at the program counter and what follows it as host code, up to `room` instructions; false if the
/// interpreter has to.
#[inline]
pub(crate) fn run(
    compiler: &mut Compiler,
    state: &State,
    blocks: &BlockCache<Op>,
    block: &Block<Op>,
    room: u64,
) -> bool {
    if state.itstate.get() != 0 {
        return false;
    }
    let Some(Done { executed, interpret }) = compiler.run(state, blocks, block, room) else { return false };
    state.executed.set(state.executed.get().wrapping_add(executed));
    if interpret {
        state.itstate.set(state.cell(slot::ITSTATE).replace(0) as u8);
    }
    true
}

impl Source for State {
    type Op = Op;
    type Isa = Thumb;

    fn layout() -> Layout {
        Layout {
            pins: &PINS,
            float_pins: &FLOAT_PINS,
            float_flags: Slot(slot::FLOAT_FLAGS),
            bits: &[Slot(slot::C), Slot(slot::V)],
            link: Slot(slot::LR),
            address_bits: 32,
            words: slot::WORDS,
            float_rules: cpu_jit::FloatRules::Arm,
        }
    }

    fn mode(&self) -> u32 {
        State::mode(self)
    }

    fn is_flat(&self, mode: u32) -> bool {
        mode & mode::FLAT != 0
    }

    fn lifter(&self, space: &mut Space) -> Lifter<Thumb> {
        Lifter::within(Thumb { strict: self.strict.get() }, space)
    }

    fn record(&self, lifter: &Lifter<Thumb>, block: &Block<Op>) -> bool {
        crate::exec::record(self, lifter, &block.ops)
    }

    fn record_part(&self, lifter: &Lifter<Thumb>, block: &Block<Op>, bytes: u32) -> bool {
        cpu_jit::tier::ops_in(&block.ops, bytes, |op| op.len as u32)
            .is_some_and(|ops| crate::exec::record(self, lifter, ops))
    }

    fn number(call: &Call) -> Option<u64> {
        crate::quick::number(*call)
    }

    fn guest_lines(&self, block: &Block<Op>, start: u64) -> Vec<GuestLine> {
        let (features, mut at) = (self.config.features(), start);
        let line = |op: &Op| {
            let half = |at: u64| self.memory.read_le(at, 2).unwrap_or(0) as u32;
            let bits = half(at) << 16 | if op.len == 4 { half(at + 2) } else { 0 };
            let features = if op.it != 0 { features.with(isa::Features::IT) } else { features };
            let word = if op.len == 4 { format!("{bits:08x}") } else { format!("{:04x}", bits >> 16) };
            let line = GuestLine { address: at, word, text: isa::disassemble(bits, at, &features) };
            at += op.len as u64;
            line
        };
        block.ops.iter().map(line).collect()
    }

    fn slot_name(Slot(number): Slot) -> String {
        match number {
            slot::SP => "sp".into(),
            slot::LR => "lr".into(),
            slot::NZ => "nz".into(),
            slot::C => "c".into(),
            slot::V => "v".into(),
            slot::Q => "q".into(),
            slot::GE => "ge".into(),
            slot::DIVIDE_TRAP => "div_0_trp".into(),
            slot::ITSTATE => "itstate".into(),
            slot::FLOAT_FLAGS => "fpscr.flags".into(),
            slot::FLOAT_NZCV => "fpscr.nzcv".into(),
            0..=12 => format!("r{number}"),
            32..=63 => format!("s{}", number - slot::FLOAT),
            _ => format!("slot{number}"),
        }
    }
}
