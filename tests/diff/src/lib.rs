//! Differential tests against other implementations: disassemblers and user-mode emulators.

pub mod arm;
pub mod elf;
pub mod objdump;
pub mod peer;
pub mod rng;
pub mod stream;
pub mod tool;
pub mod user;
