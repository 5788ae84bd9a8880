//! Timers, clocks and watchdogs.

pub mod clint;
pub mod goldfish_rtc;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[clint::MODEL, clint::ACLINT_MSWI, clint::ACLINT_MTIMER, goldfish_rtc::MODEL];
