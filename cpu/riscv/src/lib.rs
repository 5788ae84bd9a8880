//! RISC-V RV32 and RV64 cores.

pub mod isa;
