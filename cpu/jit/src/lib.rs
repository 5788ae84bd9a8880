//! The compiler, apart from instruction sets and hosts: from instruction meanings to host code that runs.
//!
//! ```text
//! predecoded blocks -> lift -> ir -> passes -> backend (a host's) -> engine: kept, linked, run, dropped
//!                                     `-> interp: the same without a host's code, as a reference
//! ```
//!
//! * [`ir`]: blocks of nodes in single assignment; guest state as numbered slots.
//! * [`lift`]: a [`cpu_core::Semantics`] that records instead of running, for any ISA.
//! * [`passes`]: what makes a block smaller without changing what it does.
//! * [`interp`]: runs a block, node by node: the definition of what nodes mean, which a back end has to match.
//! * [`engine`]: compiled blocks by physical address, their links and invalidation.
//! * [`backend`]: what a host architecture has to offer for that; [`helpers`]: what compiled code calls.
//! * [`tier`]: which blocks of a core are compiled, and running them; `trace`: which of them as one; [`site`]: where in them help is needed.
//! * [`listing`]: compiled blocks as text. `words`: what is known of 32-bit values.
//!
//! No instruction set and no host architecture is named here. An ISA says what its slots are and which operations it
//! calls rather than lifts ([`Isa`]); its crate implements its own sub-trait of `Semantics` for [`lift::Lifter`].
//!
//! Compiled code does what the interpreter does, to the instruction: it counts instructions and stops before a block
//! that holds more than may still run, and an instruction that would trap or change code is left to the interpreter, with the
//! state as it is before it. So is one that reaches a device, unless that access is all that it does, and nothing comes of it for the core.
//!
//! What it leaves out: what is compiled as one is straight code with ways out, and a loop is a link between such units or
//! back to a unit's own head; nothing is kept from one to the next but the slots in host registers. They are compiled
//! where the guest would run them, on the same thread.

pub mod backend;
pub mod engine;
pub mod helpers;
pub mod interp;
pub mod ir;
pub mod lift;
pub mod listing;
pub mod passes;
mod patience;
mod print;
pub mod site;
pub mod tier;
mod trace;
mod words;

pub use backend::{Backend, Code, Exit, FloatRules, Layout, Unit};
pub use engine::{Costs, Engine, Stats};
pub use helpers::Quick;
pub use interp::{Guest, run};
pub use ir::{Block, Node, Ref, Slot};
pub use lift::{Ended, Lifter};
pub use listing::{GuestLine, Listing};
pub use words::is_word;

/// What the representation has to know of an instruction set.
pub trait Isa {
    /// An operation that is called, not lifted: CSR access, reservations.
    type Call: Copy + std::fmt::Debug;
    /// The slot that floating-point operations add their flags to.
    const FLOAT_FLAGS: Option<Slot> = None;
    /// Slots with lower numbers hold nothing above their low 32 bits.
    const WORDS: u16 = 0;

    /// A slot that is zero wherever a block starts.
    const CLEAR: Option<Slot> = None;

    /// What a rounding comes to where it is recorded.
    fn rounding(&self, rounding: cpu_core::Rounding) -> cpu_core::Rounding {
        rounding
    }
}
