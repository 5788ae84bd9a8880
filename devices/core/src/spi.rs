//! SPI: targets inside their controller.

use crate::children::Children;
use crate::ctx::Ctx;
use crate::device::{BuildError, Component, Node};
use crate::host::{Display, HostInput, Port};

/// A chip on an SPI bus.
pub trait SpiTarget: Component {
    /// Back to power-on.
    fn reset(&mut self, ctx: &mut Ctx);

    /// Its chip select is asserted, or released.
    fn select(&mut self, ctx: &mut Ctx, selected: bool);

    /// One byte out, one byte in; only while selected.
    fn transfer(&mut self, ctx: &mut Ctx, byte: u8) -> u8;

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
pub type BuiltSpi = Result<Box<dyn SpiTarget>, BuildError>;

/// Registry entry of an SPI chip.
pub struct SpiModel {
    /// Any of these in `compatible`.
    pub compatible: &'static [&'static str],
    /// One line for `machine show`.
    pub summary: &'static str,
    /// Makes one; the seed is the machine's.
    pub build: fn(&dyn Node, u64) -> BuiltSpi,
}

/// The wires and everything on them; a controller's model holds one. Save and restore the chips by
/// [`SpiBus::children`].
#[derive(Default)]
pub struct SpiBus {
    /// The chips, by chip select.
    pub children: Children<dyn SpiTarget>,
    selected: Option<usize>,
}

impl SpiBus {
    /// Asserts the chip select `cs` and releases any other; `None` releases all.
    pub fn select(&mut self, ctx: &mut Ctx, cs: Option<u32>) {
        let found = cs.and_then(|cs| self.children.position(cs));
        if found == self.selected {
            return;
        }
        if let Some(index) = self.selected {
            self.children.with(ctx, index, |target, ctx| target.select(ctx, false));
        }
        self.selected = found;
        if let Some(index) = found {
            self.children.with(ctx, index, |target, ctx| target.select(ctx, true));
        }
    }

    /// One byte out, one byte in; nobody answers with ones.
    pub fn transfer(&mut self, ctx: &mut Ctx, byte: u8) -> u8 {
        let transfer = |index| self.children.with(ctx, index, |target, ctx| target.transfer(ctx, byte));
        self.selected.and_then(transfer).unwrap_or(0xff)
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
