//! Which slots of the frame stay in host registers, and where everything else in the frame is.

use std::mem::offset_of;

use cpu_core::Frame;
use cpu_core::frame::SLOTS;
use cpu_jit::{Layout, Slot};

use crate::asm::BIAS;

/// General registers for pinned slots. The others: `rax`, `rcx`, `rdx` are temporaries, `rsp` the host's stack, `rbp` the
/// frame, `r15` the instructions that remain.
pub const PINS: [u8; 10] = [3, 6, 7, 8, 9, 10, 11, 12, 13, 14];
/// Vector registers for pinned slots; `xmm0` to `xmm3` are temporaries.
pub const FLOAT_PINS: [u8; 12] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Where a slot is while compiled code runs.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A general register.
    Reg(u8),
    /// A vector register.
    X(u8),
    /// The frame.
    Memory,
}

impl Place {
    /// The name of the register; empty for the frame.
    pub fn name(self) -> String {
        const NAMES: [&str; 16] = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15",
        ];
        match self {
            Place::Reg(r) => NAMES[r as usize & 15].to_string(),
            Place::X(x) => format!("xmm{x}"),
            Place::Memory => String::new(),
        }
    }
}

/// Where all slots are.
pub struct Places {
    /// What they follow from.
    pub layout: Layout,
    of: [Place; SLOTS],
}

impl Places {
    /// For a layout.
    pub fn new(layout: Layout) -> Places {
        let mut of = [Place::Memory; SLOTS];
        let mut put = |slot: &Slot, place| {
            if let Some(entry) = of.get_mut(slot.0 as usize) {
                *entry = place;
            }
        };
        layout.pins.iter().zip(PINS).for_each(|(slot, r)| put(slot, Place::Reg(r)));
        layout.float_pins.iter().zip(FLOAT_PINS).for_each(|(slot, x)| put(slot, Place::X(x)));
        Places { layout, of }
    }

    /// Where a slot is.
    pub fn of(&self, slot: u16) -> Place {
        self.of.get(slot as usize).copied().unwrap_or(Place::Memory)
    }

    /// The pinned slots, with their registers.
    pub fn pinned(&self) -> impl Iterator<Item = (u16, Place)> + '_ {
        self.of
            .iter()
            .enumerate()
            .map(|(slot, place)| (slot as u16, *place))
            .filter(|(_, p)| *p != Place::Memory)
    }
}

/// Distance of a byte of the frame from `rbp`.
const fn from_rbp(offset: usize) -> i32 {
    offset as i32 - BIAS as i32
}

/// A slot's place in the frame.
pub fn home(slot: u16) -> i32 {
    from_rbp(offset_of!(Frame, slots)) + 8 * slot as i32
}

/// A spilled value's place in the frame.
pub fn spill(number: u8) -> i32 {
    from_rbp(offset_of!(Frame, spill)) + 8 * number as i32
}

/// Spill places for values; those above hold what trampolines save.
pub const SPILLS: u8 = 56;
/// Where trampolines save temporaries.
pub const SAVED: [u8; 3] = [56, 57, 58];
/// Where the number of a helper's operation is.
pub const CODE: u8 = 59;
/// Where trampolines save vector temporaries.
pub const SAVED_X: [u8; 4] = [60, 61, 62, 63];

/// The words of [`Frame::exit`].
pub const fn exit(number: i32) -> i32 {
    from_rbp(offset_of!(Frame, exit)) + 8 * number
}

/// Why code leaves, or what the interpreter has to run.
pub const WHY: i32 = exit(0);
/// Operands of helpers; the first also takes their result.
pub const ARG0: i32 = exit(1);
/// See [`ARG0`].
pub const ARG1: i32 = exit(2);
/// See [`ARG0`].
pub const ARG2: i32 = exit(3);
/// [`Frame::pc`].
pub const PC: i32 = from_rbp(offset_of!(Frame, pc));
/// [`Frame::page`].
pub const PAGE: i32 = from_rbp(offset_of!(Frame, page));
/// [`Frame::remaining`].
pub const REMAINING: i32 = from_rbp(offset_of!(Frame, remaining));
/// [`Frame::data_context`].
pub const DATA_CONTEXT: i32 = from_rbp(offset_of!(Frame, data_context));
/// [`Frame::fetch_context`].
pub const FETCH_CONTEXT: i32 = from_rbp(offset_of!(Frame, fetch_context));
/// The words of [`Frame::host`]: the stack pointer at entry.
pub const STACK: i32 = from_rbp(offset_of!(Frame, host));
/// The lowest that calls may take it to.
pub const STACK_END: i32 = STACK + 8;
/// What helpers are given.
pub const GUEST: i32 = STACK + 16;
/// [`Frame::jumps`].
pub const JUMPS: i32 = from_rbp(offset_of!(Frame, jumps));
/// Guest address 0 in the [`cpu_core::Window`], or in the mirror.
pub const WINDOW: i32 = from_rbp(cpu_core::Window::DISTANCE);
/// The TLB's table of loads.
pub const TLB_READ: i32 = from_rbp(cpu_core::Tlb::READ);
/// The TLB's tags for the mirror.
pub const TLB_NEAR: i32 = from_rbp(cpu_core::Tlb::NEAR);
/// The TLB's table of stores.
pub const TLB_WRITE: i32 = from_rbp(cpu_core::Tlb::WRITE);
