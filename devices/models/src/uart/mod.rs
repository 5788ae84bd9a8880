//! Serial ports.

pub mod cmsdk;
pub mod ns16550a;
pub mod sifive;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[cmsdk::MODEL, ns16550a::MODEL, sifive::MODEL];
