//! Peripherals of Nordic Semiconductor's nRF51 and nRF52 series.
//!
//! * [`block`]: tasks, events, shorts and interrupts, which all of them share.

pub mod block;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[];
