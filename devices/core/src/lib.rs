//! What a device model is made of.
//!
//! A model is a plain struct with its state, and an implementation of [`Device`]: the bus calls
//! [`Device::read`] and [`Device::write`] with checked, typed accesses, the scheduler calls [`Device::event`] at
//! the virtual times asked for, other devices' outputs arrive by [`Device::line`], and the outside world by
//! [`Device::host_input`]. Everything a model may do in return goes through [`Ctx`].
//!
//! Rules: state apart from wiring; interrupt outputs are levels recomputed in one function after every access;
//! reset rebuilds the state from its default; no host clock, no host randomness, no panic on what a guest does.
//!
//! * [`device`]: the trait, and what the registry needs to build one.
//! * [`ctx`]: what a model may do.
//! * [`services`]: the machine's side of it: events, lines, counts.
//! * [`regs`]: registers as data.
//! * [`i2c`], [`spi`]: buses whose targets are models inside their controller.
//! * [`analog`]: what hangs on the inputs of a converter.
//! * [`pins`]: GPIO pins that lead to chips and parts.
//! * [`host`]: serial bytes, keys, frames, pictures, disks.
//! * [`control`]: named values of the physical world.
//! * [`mod@bench`]: drives one model in a test.

pub mod analog;
pub mod bench;
pub mod children;
pub mod control;
pub mod ctx;
pub mod device;
pub mod events;
pub mod host;
pub mod i2c;
pub mod pins;
pub mod regs;
pub mod rng;
pub mod services;
pub mod spi;
pub mod state;
pub mod wires;

pub use control::{ControlError, ControlKind, ControlSpec, ControlValue};
pub use cpu_core::{Counter, GuestMemory, MemoryKind, RestoreError, Time, Width};
pub use ctx::{Ctx, Request};
pub use device::{At, BuildArgs, BuildError, Component, Device, Field, Model, Node, Resources, Widths, pin};
pub use events::DeviceId;
pub use host::{Display, Frame, HostInput, HostOutput, Port};
pub use rng::Rng;
pub use services::Services;
pub use wires::{Target, Wires};
