//! I2C controllers.

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[];
