//! The compiler's intermediate representation, and what turns instruction meanings into it.
//!
//! * [`ir`]: blocks of nodes in single assignment; guest state as numbered slots.
//! * [`lift`]: a [`cpu_core::Semantics`] that records instead of running, for any ISA.
//! * [`passes`]: what makes a block smaller without changing what it does.
//! * [`interp`]: runs a block, node by node: the definition of what nodes mean, which a compiler has to match.
//!
//! * [`engine`]: compiled blocks by physical address, their links and invalidation.
//! * [`backend`]: what a host architecture has to offer for that; [`helpers`]: what compiled code calls.
//! * [`listing`]: compiled blocks as text.
//!
//! No instruction set and no host architecture is named here. An ISA says what its slots are and which operations it
//! calls rather than lifts ([`Isa`]); its crate implements its own sub-trait of `Semantics` for [`lift::Lifter`].

pub mod backend;
pub mod engine;
pub mod helpers;
pub mod interp;
pub mod ir;
pub mod lift;
pub mod listing;
pub mod passes;
mod print;

pub use backend::{Backend, Code, Exit, Layout, Unit};
pub use engine::{Costs, Engine, Stats};
pub use helpers::Quick;
pub use interp::{Guest, run};
pub use ir::{Block, Node, Ref, Slot};
pub use lift::{Ended, Lifter};
pub use listing::{GuestLine, Listing};

/// What the representation has to know of an instruction set.
pub trait Isa {
    /// An operation that is called, not lifted: CSR access, reservations, long vector loops.
    type Call: Copy + std::fmt::Debug;
    /// The slot that floating-point operations add their flags to.
    const FLOAT_FLAGS: Option<Slot> = None;
}
