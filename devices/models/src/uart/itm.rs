//! The text that a program writes to stimulus port 0 of its core's ITM, as a channel: what a probe shows of the trace pin.
//!
//! The ITM itself is part of the core; the machine hands over what was written.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Model, Port, RestoreError, Width, state,
};

/// `compatible` of its node.
pub const COMPATIBLE: &str = "arm,coresight-itm";

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &[COMPATIBLE], summary: "text of the core's ITM, port 0", rom: &[], ram: &[], build };

struct Itm;

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Itm))
}

impl Component for Itm {
    fn save(&self) -> Vec<u8> {
        state::encode(&())
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        state::decode(bytes)
    }
}

impl Device for Itm {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, _ctx: &mut Ctx, _at: At, _width: Width, _value: u64) {}

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }
}
