//! Differential tests against other implementations: disassemblers and user-mode emulators.

pub mod elf;
pub mod objdump;
pub mod rng;
pub mod tool;
