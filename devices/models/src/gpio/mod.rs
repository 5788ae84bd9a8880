//! General-purpose input and output, and what hangs on its pins.

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[];
