//! What a host architecture offers: code for a block, and a way into it.
//!
//! Compiled code keeps some slots of the [`Frame`] in host registers ("pinned"), the same ones everywhere, so that any code
//! may go on to any other without moving a value. It never traps and never calls a device: an instruction that
//! would is left to the interpreter, with the guest's state as it is before it.

use cpu_core::Frame;

use crate::helpers::Helpers;
use crate::ir::{Node, Slot};

/// Compiled code: the host address at which a block starts.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Code(pub u64);

/// A jump in compiled code that can be led elsewhere.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Site(pub u32);

/// Why compiled code came back. Where is in [`Frame::pc`], how many instructions were left in [`Frame::remaining`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The next block, in the same page, was not compiled when this one was.
    Follow,
    /// The jump cache does not know the target.
    Lookup,
    /// The next instruction is one for the interpreter.
    Interpret,
    /// Fewer instructions remain than the next block holds.
    Budget,
}

/// Whose rules floating point follows where hosts and guests differ.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FloatRules {
    /// One NaN comes out, tininess is detected after rounding; singles are boxed in 64-bit registers.
    RiscV,
    /// NaNs are passed on by Arm's order, tininess is detected before rounding; singles are zero-extended.
    Arm,
}

/// What a machine of one instruction set looks like to compiled code.
#[derive(Copy, Clone, Debug)]
pub struct Layout {
    /// Slots by how much they gain from a register; the first few get one.
    pub pins: &'static [Slot],
    /// The same for slots that hold floating-point values.
    pub float_pins: &'static [Slot],
    /// The slot of the flags that floating-point operations raise. Compiled code may keep part of them elsewhere while it runs.
    pub float_flags: Slot,
    /// The slot that most calls leave the address to return to in; its bit 0 may be set.
    pub link: Slot,
    /// Slots that only ever hold 0 or 1.
    pub bits: &'static [Slot],
    /// Bits of an address, 32 or 64.
    pub address_bits: u32,
    /// Slots with lower numbers hold nothing above their low 32 bits.
    pub words: u16,
    /// What the guest's floating point is like.
    pub float_rules: FloatRules,
}

/// The most instructions of a [`Unit`]: how many of them are left has a byte in the numbers that name places in code.
pub const MAX_INSTRUCTIONS: u32 = 255;

/// What is compiled as one: a block, or several that follow each other.
#[derive(Copy, Clone, Debug)]
pub struct Unit<'a> {
    /// What it does.
    pub nodes: &'a [Node],
    /// For each call of the block, the number under which [`crate::Quick::quick_call`] runs it; `None`: the interpreter does.
    pub calls: &'a [Option<u64>],
    /// Instructions, at most [`MAX_INSTRUCTIONS`].
    pub instructions: u32,
    /// Where the first one stands in its page.
    pub offset: u32,
    /// Where in the page control goes on behind the last one; it may be outside.
    pub behind: i64,
    /// Data addresses are physical: memory is where the frame's [`cpu_core::Window`] shows it.
    pub flat: bool,
    /// Loads may look at [`cpu_core::Tlb::NEAR`] first.
    pub mirror: bool,
}

/// What became of a block.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Where it starts.
    pub code: Code,
    /// Bytes of host code.
    pub size: usize,
    /// Jumps to other blocks of the page, by the offset of the target; until they are led there they leave.
    pub links: Vec<(u32, Site)>,
    /// For a listing, where [`Backend::annotate`] asked for it.
    pub notes: Option<Box<Notes>>,
}

/// Where the host code of an instruction begins, as offsets in the two parts of a block's code.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Number of the instruction.
    pub instruction: u32,
    /// In what runs.
    pub hot: u32,
    /// In what seldom runs.
    pub cold: u32,
}

/// What a listing of host code needs beside the code.
#[derive(Clone, Default, Debug)]
pub struct Notes {
    /// By instruction, in order.
    pub marks: Vec<Mark>,
    /// Host addresses of functions that the code names.
    pub functions: Vec<u64>,
    /// Host address and bytes of what runs, and of what seldom runs.
    pub parts: [(u64, usize); 2],
}

/// An instruction of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostLine {
    /// Number of the guest instruction that it is for; `None`: what stands before the first.
    pub instruction: Option<u32>,
    /// It seldom runs.
    pub cold: bool,
    /// Where it is.
    pub address: u64,
    /// Its name as the target of jumps; may be empty.
    pub label: String,
    /// Mnemonic and operands.
    pub text: String,
}

/// A block was not compiled.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The code memory is full.
    Full,
    /// The block needs more than the back end has; it will not succeed later.
    TooComplex,
}

/// Compiles for the host's architecture.
pub trait Backend: Send {
    /// To be called once, before anything is compiled. Compiled code calls `helpers`.
    fn install(&mut self, layout: Layout, helpers: Helpers);
    /// Compiles a block.
    fn compile(&mut self, unit: &Unit) -> Result<Compiled, Refused>;
    /// Leads a jump to `code`.
    fn link(&mut self, site: Site, code: Code);
    /// Makes what jumps to `code` by way of the jump cache leave with [`Exit::Lookup`].
    fn retire(&mut self, code: Code);
    /// Forgets all code.
    fn clear(&mut self);
    /// Runs `code` until it leaves. Gives why, and the floating-point flags that it raised (as `cpu_fp::Flags`).
    ///
    /// # Safety
    ///
    /// `code` was compiled by this back end since it was last cleared, for the instructions that [`Frame::page`] leads to;
    /// `guest` is what the helpers were made for; `frame` is its frame.
    #[allow(unsafe_code)]
    unsafe fn enter(&self, frame: &Frame, guest: *const (), code: Code) -> (Exit, u8);
    /// Whether units may be [`Unit::flat`].
    fn can_fault(&self) -> bool;
    /// Whether what is compiled from now on has [`Compiled::notes`].
    fn annotate(&mut self, on: bool);
    /// Host code of a block as text, with slots by their names; `None` without notes, or if the back end was built without
    /// a disassembler.
    fn list(&self, compiled: &Compiled, name: &dyn Fn(Slot) -> String) -> Option<Vec<HostLine>>;
    /// The slots that are in host registers, with the registers' names.
    fn pinned(&self) -> Vec<(String, Slot)>;
    /// Bytes of code memory in use, and in all.
    fn usage(&self) -> (usize, usize);
}
