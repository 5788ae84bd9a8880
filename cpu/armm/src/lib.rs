//! Arm cores of the M profile: ARMv6-M, ARMv7-M, ARMv7E-M.
//!
//! [`ArmCore`] is a core for a machine: `ArmCore::new(config, memory)`, then [`cpu_core::Core`] drives it. [`ArmConfig`] says
//! what the core has.
//!
//! * [`isa`]: decoder, encoder, disassembler, random instructions; generated from `isa/*.insn`.
//! * [`semantics`]: what instruction meanings need; the meanings themselves are in `sem`, and
//!   [`isa::dispatch`] leads to them, for any consumer that implements [`semantics::Arm`].
//! * `state`, `access`, `exec`: the consumer that runs them: state in cells ([`slot`]s), memory through the TLB, predecoded
//!   blocks.
//! * [`lift`]: the same meanings recorded in the compiler's representation, and run from there.
//! * `compile`, `quick`: which blocks are compiled, and what compiled code asks of the core.
//! * `special`: the special-purpose registers, by MRS, MSR and CPS.
//! * [`sys`]: exceptions, NVIC, system control space, MPU.
//!
//! References are to the ARMv7-M Architecture Reference Manual (DDI 0403E) and, for ARMv6-M, DDI 0419.

mod access;
pub mod cause;
mod compile;
pub mod config;
mod core;
mod exec;
pub mod isa;
pub mod lift;
mod quick;
mod registers;
mod saved;
mod sem;
pub mod semantics;
pub mod slot;
mod special;
mod state;
pub mod sys;

pub use config::{Architecture, ArmConfig};
pub use core::ArmCore;
