//! Analog sources: parts inside the converter whose inputs they hang on.

use crate::ctx::Ctx;
use crate::device::{BuildError, Component, Node};

/// Something that has a voltage.
pub trait AnalogSource: Component {
    /// Back to power-on: lines are set again.
    fn reset(&mut self, ctx: &mut Ctx);

    /// The voltage at the converter's input, in volts.
    fn volts(&self) -> f64;
}

/// What building a source gives.
pub type BuiltAnalog = Result<Box<dyn AnalogSource>, BuildError>;

/// Registry entry of an analog source.
pub struct AnalogModel {
    /// Any of these in `compatible`.
    pub compatible: &'static [&'static str],
    /// One line for `machine show`.
    pub summary: &'static str,
    /// Makes one.
    pub build: fn(&dyn Node) -> BuiltAnalog,
}
