//! Serial ports.

pub mod ns16550a;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[ns16550a::MODEL];
