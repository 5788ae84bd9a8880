//! What the emulator answers in place of machine-mode firmware.

pub mod sbi;
