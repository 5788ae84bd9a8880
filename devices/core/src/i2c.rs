//! I2C: targets inside their controller.

use crate::children::Children;
use crate::ctx::Ctx;
use crate::device::{BuildError, Component, Node};
use crate::host::{Display, HostInput, Port};

/// A chip on an I2C bus. Calls follow the bus: `start`, then bytes, then `stop` or another `start`.
pub trait I2cTarget: Component {
    /// Back to power-on.
    fn reset(&mut self, ctx: &mut Ctx);

    /// Addressed, to be read or written; false for no acknowledge.
    fn start(&mut self, ctx: &mut Ctx, read: bool) -> bool;

    /// A byte from the controller; false for no acknowledge.
    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool;

    /// A byte for the controller.
    fn read(&mut self, ctx: &mut Ctx) -> u8;

    /// The transfer is over.
    fn stop(&mut self, _ctx: &mut Ctx) {}

    /// An event asked for by the target is due.
    fn event(&mut self, _ctx: &mut Ctx, _token: u32) {}

    /// An input pin of the chip changed.
    fn line(&mut self, _ctx: &mut Ctx, _input: u32, _level: bool) {}

    /// What it exchanges with the host.
    fn port(&self) -> Option<Port> {
        None
    }

    /// Something from the host; only of the kind of its port.
    fn host_input(&mut self, _ctx: &mut Ctx, _input: &HostInput) {}

    /// The screen of a [`Port::Display`].
    fn display(&self) -> Option<&dyn Display> {
        None
    }
}

/// What building a chip gives.
pub type BuiltI2c = Result<Box<dyn I2cTarget>, BuildError>;

/// Registry entry of an I2C chip.
pub struct I2cModel {
    /// Any of these in `compatible`.
    pub compatible: &'static [&'static str],
    /// One line for `machine show`.
    pub summary: &'static str,
    /// Makes one; the seed is the machine's.
    pub build: fn(&dyn Node, u64) -> BuiltI2c,
}

/// The wires and everything on them; a controller's model holds one. Save and restore the chips by
/// [`I2cBus::children`].
#[derive(Default)]
pub struct I2cBus {
    /// The chips, by 7-bit address.
    pub children: Children<dyn I2cTarget>,
    selected: Option<usize>,
}

impl I2cBus {
    /// A (repeated) start with a 7-bit address; whether somebody acknowledges.
    pub fn start(&mut self, ctx: &mut Ctx, address: u8, read: bool) -> bool {
        let found = self.children.position(address.into());
        if self.selected != found {
            self.stop(ctx);
        }
        let mut start =
            |index: &usize| self.children.with(ctx, *index, |target, ctx| target.start(ctx, read));
        self.selected = found.filter(|index| start(index) == Some(true));
        self.selected.is_some()
    }

    /// A byte to the addressed chip; whether it acknowledges.
    pub fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        let write = |index| self.children.with(ctx, index, |target, ctx| target.write(ctx, byte));
        self.selected.and_then(write).unwrap_or(false)
    }

    /// A byte from the addressed chip; the idle bus reads as ones.
    pub fn read(&mut self, ctx: &mut Ctx) -> u8 {
        let read = |index| self.children.with(ctx, index, |target, ctx| target.read(ctx));
        self.selected.and_then(read).unwrap_or(0xff)
    }

    /// A stop.
    pub fn stop(&mut self, ctx: &mut Ctx) {
        if let Some(index) = self.selected.take() {
            self.children.with(ctx, index, |target, ctx| target.stop(ctx));
        }
    }

    /// Resets bus and chips.
    pub fn reset(&mut self, ctx: &mut Ctx) {
        self.selected = None;
        for index in 0..self.children.len() {
            self.children.with(ctx, index, |target, ctx| target.reset(ctx));
        }
    }

    /// Passes an event on to the chip it belongs to; false if it is the controller's own.
    pub fn event(&mut self, ctx: &mut Ctx, token: u32) -> bool {
        let Some((index, token)) = self.children.owner(token) else { return false };
        self.children.with(ctx, index, |target, ctx| target.event(ctx, token)).is_some()
    }

    /// Passes an input line on to the chip it belongs to; false if it is the controller's own.
    pub fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) -> bool {
        let Some((index, input)) = self.children.owner(input) else { return false };
        self.children.with(ctx, index, |target, ctx| target.line(ctx, input, level)).is_some()
    }

    /// What the chips exchange with the host.
    pub fn ports(&self) -> Vec<Port> {
        self.children.targets().filter_map(|target| target.port()).collect()
    }

    /// Passes something from the host on to the chips that want it.
    pub fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        for index in 0..self.children.len() {
            self.children.with(ctx, index, |target, ctx| {
                if target.port().is_some_and(|port| port.takes(input)) {
                    target.host_input(ctx, input);
                }
            });
        }
    }

    /// The screen of the first chip that has one.
    pub fn display(&self) -> Option<&dyn Display> {
        self.children.targets().find_map(|target| target.display())
    }

    /// Which chip is addressed, for the controller's saved state.
    pub fn selected(&self) -> Option<usize> {
        self.selected
    }

    /// Restores which chip is addressed.
    pub fn set_selected(&mut self, selected: Option<usize>) {
        self.selected = selected.filter(|&index| index < self.children.len());
    }
}
