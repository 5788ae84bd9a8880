//! Flash and disks.

pub mod cfi_flash;
pub mod mirror;
pub mod sram;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[cfi_flash::MODEL, mirror::MODEL, sram::SRAM, sram::ROM];
