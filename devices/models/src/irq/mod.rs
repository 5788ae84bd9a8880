//! Interrupt controllers.

pub mod plic;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[plic::MODEL];
