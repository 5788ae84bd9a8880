//! RISC-V RV32 and RV64 cores.
//!
//! [`Hart`] is a core for a machine: `Hart::new(config, memory)`, then [`cpu_core::Core`] drives it. [`HartConfig::new`] takes
//! what a devicetree says. For a board whose firmware is the emulator itself, set [`HartConfig::firmware_calls`] and start
//! harts with [`Hart::start_supervisor`].
//!
//! * [`isa`]: decoder, encoder, disassembler, random instructions; generated from `isa/*.insn`.
//! * [`semantics`]: what instruction meanings need; the meanings themselves are in `sem`, and
//!   [`isa::dispatch`] leads to them, for any consumer that implements [`Semantics`].
//! * `state`, `access`, `exec`: the consumer that runs them: state in cells, memory through the TLB, predecoded blocks.
//! * `compile`, `quick`: which blocks become host code, and what that code asks of a hart.
//! * `listing`: compiled blocks as text.
//! * [`lift`]: the same meanings recorded in the compiler's representation, and run from there.
//! * [`sys`]: CSRs, traps, translation, protection.
//!
//! Every block is interpreted at first; with a back end ([`Hart::set_backend`]) one that has run often ([`HOT`], or as the
//! caller says) becomes host code. The interpreter keeps what compiled code may not do (traps, devices, most CSR writes, fences, changes of
//! privilege), blocks with a breakpoint, those that lie across two pages, and the end of a run where fewer instructions
//! remain than the block has. Where control goes from one to the other can not be seen in the guest's state.

mod access;
mod compile;
pub mod config;
mod exec;
mod hart;
pub mod isa;
pub mod lift;
mod listing;
mod quick;
mod registers;
mod saved;
mod sem;
pub mod semantics;
mod state;
pub mod sys;

pub use compile::HOT;
pub use config::{ConfigError, HartConfig, Mmu, parse_extensions};
pub use cpu_core::Flow;
pub use hart::Hart;
pub use semantics::Riscv;
pub use semantics::Riscv as Semantics;
pub use state::Accesses;
pub use sys::Privilege;
pub use sys::csr::number as csr;
