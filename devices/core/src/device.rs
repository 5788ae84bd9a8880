//! The trait of a device on the bus, and how one is built.

use crate::control::{ControlError, ControlSpec, ControlValue};
use crate::ctx::Ctx;
use crate::host::{BlockBackend, Display, HostInput, Port};
use cpu_core::{GuestMemory, RestoreError, Width};
use std::path::PathBuf;
use thiserror::Error;

/// Where an access falls.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct At {
    /// Index in the node's `reg`.
    pub region: usize,
    /// Bytes from the start of that region; aligned to the access.
    pub offset: u64,
}

/// The access sizes that a device decodes. The bus splits a wider access into pieces, lowest address first,
/// serves a narrower read from a wider one, and faults a narrower write.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Widths {
    /// Narrowest.
    pub min: Width,
    /// Widest.
    pub max: Width,
}

impl Widths {
    /// Bytes only.
    pub const B1: Widths = Widths { min: Width::B1, max: Width::B1 };
    /// 32 bits only.
    pub const B4: Widths = Widths { min: Width::B4, max: Width::B4 };
    /// 32 or 64 bits.
    pub const B4_B8: Widths = Widths { min: Width::B4, max: Width::B8 };
    /// 8, 16 or 32 bits.
    pub const UP_TO_B4: Widths = Widths { min: Width::B1, max: Width::B4 };
    /// Any.
    pub const ANY: Widths = Widths { min: Width::B1, max: Width::B8 };
}

/// A named value for the monitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Register or state name.
    pub name: String,
    /// As the document would write it.
    pub value: String,
}

/// What devices and bus targets have in common: state, controls, inspection.
pub trait Component {
    /// All guest-visible state, as bytes (see [`crate::state::encode`]). Events and lines are saved by the machine.
    fn save(&self) -> Vec<u8>;

    /// Replaces the state by one from [`Component::save`] of an equal component.
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError>;

    /// The values of the physical world here.
    fn controls(&self) -> Vec<ControlSpec> {
        Vec::new()
    }

    /// The value of a control.
    fn control(&self, _name: &str) -> Option<ControlValue> {
        None
    }

    /// Sets a control to a value that its spec accepts.
    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, _value: &ControlValue) -> Result<(), ControlError> {
        Err(ControlError::Unknown(name.to_string()))
    }

    /// Registers and state, for a human. Has no effect on the guest.
    fn inspect(&self) -> Vec<Field> {
        Vec::new()
    }
}

/// A device on the memory bus.
pub trait Device: Component {
    /// Back to the state at power-on; lines are set, events scheduled or cancelled accordingly.
    /// The machine has cancelled all events of the device before.
    fn reset(&mut self, ctx: &mut Ctx);

    /// The chip that it is part of enters its deepest sleep, which a reset ends: what has no power then is as after a
    /// reset, what may wake the chip watches on.
    fn power_down(&mut self, _ctx: &mut Ctx) {}

    /// The access sizes of `region`.
    fn widths(&self, _region: usize) -> Widths {
        Widths::ANY
    }

    /// A read. What is not modelled is told by [`Ctx::unimplemented`] and reads as zero.
    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64;

    /// A write of the low `width` of `value`.
    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64);

    /// An input line changed to `level`.
    fn line(&mut self, _ctx: &mut Ctx, _input: u32, _level: bool) {}

    /// An event asked for by [`Ctx::schedule`] is due, now.
    fn event(&mut self, _ctx: &mut Ctx, _token: u32) {}

    /// Whether it wants [`Device::published`]. Asked once, when the machine is built.
    fn listens(&self) -> bool {
        false
    }

    /// Another device's event register at this bus address fired (see [`Ctx::publish`]).
    fn published(&mut self, _ctx: &mut Ctx, _address: u32) {}

    /// The input line that an interrupt specifier of this controller means.
    fn interrupt_input(&self, cells: &[u32]) -> Option<u32> {
        cells.first().copied()
    }

    /// What it exchanges with the host.
    fn port(&self) -> Option<Port> {
        None
    }

    /// All that it exchanges with the host: a controller, what its chips do.
    fn ports(&self) -> Vec<Port> {
        self.port().into_iter().collect()
    }

    /// Something from the host; only of the kinds of [`Device::ports`].
    fn host_input(&mut self, _ctx: &mut Ctx, _input: &HostInput) {}

    /// The screen of a [`Port::Display`].
    fn display(&self) -> Option<&dyn Display> {
        None
    }
}

/// Number of the line of GPIO pin `n`, as output and as input; interrupt lines count from zero.
pub const fn pin(n: u32) -> u32 {
    0x1000 + n
}

/// Number of the line that is high while nobody inside drives GPIO pin `n`, as output and as input.
pub const fn floating(n: u32) -> u32 {
    0x2000 + n
}

/// Number of the line that follows the level on the pad of GPIO pin `n`, whoever drives it: an output of a GPIO
/// controller that lends its pins to the nodes whose `hyperemu,pins` refer to it.
pub const fn pad(n: u32) -> u32 {
    0x4000 + n
}

/// Number of the line that is high while a peripheral drives GPIO pin `n` in place of its port, at the level of the
/// peripheral's [`pin`] `n`: output of the peripheral, and input of the GPIO controller.
pub const fn taken(n: u32) -> u32 {
    0x5000 + n
}

/// Number of the input line of a GPIO controller by which a peripheral drives pin `n` that it has [`taken`].
pub const fn lent(n: u32) -> u32 {
    0x6000 + n
}

/// A devicetree node, as far as a model needs it.
pub trait Node {
    /// Name without unit address.
    fn name(&self) -> &str;

    /// Full path.
    fn path(&self) -> &str;

    /// `reg`, translated to the bus of the cores (for a bus target: as written).
    fn regs(&self) -> &[(u64, u64)];

    /// `compatible`, most specific first.
    fn compatible(&self) -> Vec<&str>;

    /// A property of one or more 32-bit cells.
    fn cells(&self, property: &str) -> Option<Vec<u32>>;

    /// The bytes of a property.
    fn bytes(&self, _property: &str) -> Option<Vec<u8>> {
        None
    }

    /// A property of one string, or the first of several.
    fn string(&self, property: &str) -> Option<&str>;

    /// Whether a property is there.
    fn has(&self, property: &str) -> bool;

    /// Children in order.
    fn children(&self) -> Vec<&dyn Node>;

    /// How many interrupts it raises.
    fn interrupts(&self) -> usize;

    /// A property of exactly one cell.
    fn u32(&self, property: &str) -> Option<u32> {
        match self.cells(property)?.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

/// What the host lends to models, by the node that asks.
pub trait Resources {
    /// The next disk for `node`, if the user gave one.
    fn disk(&mut self, node: &dyn Node) -> Option<Box<dyn BlockBackend>>;

    /// The host directory that `node` shares with the guest, if the user gave one.
    fn share(&mut self, node: &dyn Node) -> Option<PathBuf>;

    /// Whether the user wants a network at `node`.
    fn network(&mut self, node: &dyn Node) -> bool;
}

/// What a model is built from.
pub struct BuildArgs<'a> {
    /// Its node.
    pub node: &'a dyn Node,
    /// Its unique name in the machine.
    pub name: &'a str,
    /// The machine's seed; use [`crate::Rng::new`] with the name.
    pub seed: u64,
    /// Guest memory.
    pub memory: &'a GuestMemory,
    /// Size of main memory in bytes.
    pub ram: u64,
    /// How many cores the machine has.
    pub cores: u16,
    /// What the host lends.
    pub resources: &'a mut dyn Resources,
}

/// A node can not be built.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}")]
pub struct BuildError {
    /// The property at fault, for the position; the node itself if `None`.
    pub property: Option<String>,
    /// What is wrong and what was expected.
    pub message: String,
}

impl BuildError {
    /// An error about the whole node.
    pub fn node(message: impl Into<String>) -> BuildError {
        BuildError { property: None, message: message.into() }
    }

    /// An error about one property.
    pub fn property(property: &str, message: impl Into<String>) -> BuildError {
        BuildError { property: Some(property.to_string()), message: message.into() }
    }
}

/// An entry of the registry: which nodes a model serves.
pub struct Model {
    /// Any of these in `compatible`.
    pub compatible: &'static [&'static str],
    /// One line for `machine show`.
    pub summary: &'static str,
    /// Regions of `reg` that are ROM: reads and fetches go straight to memory, writes to the model.
    pub rom: &'static [usize],
    /// Regions of `reg` that are RAM of their own.
    pub ram: &'static [usize],
    /// Makes one, in its state before the first reset.
    pub build: fn(&mut BuildArgs) -> Result<Box<dyn Device>, BuildError>,
}
