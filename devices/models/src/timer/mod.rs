//! Timers, clocks and watchdogs.

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[];
