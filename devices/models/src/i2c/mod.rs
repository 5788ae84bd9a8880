//! I2C controllers.

pub mod ocores;

use devices_core::children::Children;
use devices_core::i2c::I2cTarget;
use devices_core::{BuildArgs, BuildError, Component, Ctx, Model, RestoreError};

/// The models of this folder.
pub static MODELS: &[Model] = &[ocores::MODEL];

/// A chip that there is no model for: it keeps its place among the children, and never answers.
struct Absent;

impl Component for Absent {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _state: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl I2cTarget for Absent {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn start(&mut self, _ctx: &mut Ctx, _read: bool) -> bool {
        false
    }

    fn write(&mut self, _ctx: &mut Ctx, _byte: u8) -> bool {
        false
    }

    fn read(&mut self, _ctx: &mut Ctx) -> u8 {
        0xff
    }
}

/// Builds the chips on a controller's bus.
pub(crate) fn attach(args: &mut BuildArgs, children: &mut Children<dyn I2cTarget>) -> Result<(), BuildError> {
    for node in args.node.children() {
        let address = node.regs().first().map(|(address, _)| *address as u32);
        let key = address.filter(|address| *address < 0x80).unwrap_or(u32::MAX);
        let chip: Box<dyn I2cTarget> = match crate::i2c_chip_for(&node.compatible()) {
            Some(model) => (model.build)(node, args.seed)?,
            None => Box::new(Absent),
        };
        children.attach(key, node.name(), chip);
    }
    Ok(())
}
