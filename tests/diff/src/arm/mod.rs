//! The M profile against qemu-arm in user mode, and against GNU objdump.

pub mod objdump;
pub mod peer;
pub mod stream;
pub mod user;
