//! What firmware reads from the emulator.

pub mod fw_cfg;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[fw_cfg::MODEL];
