//! General-purpose input and output, and what hangs on its pins.

pub mod cmsdk;
pub mod duty;
pub mod keys;
pub mod led_matrix;
pub mod leds;
pub mod mps2_fpgaio;
pub mod sifive;
pub mod vibrator;

use devices_core::{Model, Node};

/// The models of this folder.
pub static MODELS: &[Model] = &[
    sifive::MODEL,
    cmsdk::MODEL,
    mps2_fpgaio::MODEL,
    keys::MODEL,
    leds::MODEL,
    led_matrix::MODEL,
    vibrator::MODEL,
];

/// Whether the first GPIO of `property` is active low: the last cell of its specifier holds the flags.
fn active_low(node: &dyn Node, property: &str) -> bool {
    const ACTIVE_LOW: u32 = 1;
    node.cells(property).and_then(|cells| cells.get(2).copied()).is_some_and(|flags| flags & ACTIVE_LOW != 0)
}

/// What a control of a child is called: its `label`, or the name of its node.
fn label(node: &dyn Node) -> String {
    node.string("label").unwrap_or(node.name()).to_lowercase().replace([' ', ':', '.'], "-")
}
