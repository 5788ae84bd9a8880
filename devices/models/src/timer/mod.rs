//! Timers, clocks and watchdogs.

pub mod clint;
pub mod cmsdk;
pub mod down_counter;
pub mod fe310_aon;
pub mod generic;
pub mod goldfish_rtc;
pub mod sifive_pwm;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[
    clint::MODEL,
    clint::ACLINT_MSWI,
    clint::ACLINT_MTIMER,
    cmsdk::TIMER,
    cmsdk::DUAL,
    cmsdk::WATCHDOG,
    fe310_aon::MODEL,
    goldfish_rtc::MODEL,
    sifive_pwm::MODEL,
];
