//! Serial ports.

pub mod cmsdk;
pub mod itm;
pub mod ns16550a;
pub mod rtt;
pub mod sifive;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[cmsdk::MODEL, itm::MODEL, ns16550a::MODEL, rtt::MODEL, sifive::MODEL];
