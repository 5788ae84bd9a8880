//! SPI controllers and chips.

pub mod nor;
pub mod sifive;

use devices_core::children::Children;
use devices_core::spi::SpiTarget;
use devices_core::{BuildArgs, BuildError, Component, Ctx, Model, RestoreError};

/// The models of this folder.
pub static MODELS: &[Model] = &[sifive::MODEL];

/// A chip that there is no model for: it keeps its place among the children, and leaves the data line alone.
struct Absent;

impl Component for Absent {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _state: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl SpiTarget for Absent {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn select(&mut self, _ctx: &mut Ctx, _selected: bool) {}

    fn transfer(&mut self, _ctx: &mut Ctx, _byte: u8) -> u8 {
        0xff
    }
}

/// Builds the chips on a controller's bus. A flash chip at chip select 0 is what the controller's window shows.
pub(crate) fn attach(
    args: &mut BuildArgs,
    children: &mut Children<dyn SpiTarget>,
    window: Option<(u64, u64)>,
) -> Result<(), BuildError> {
    let node = args.node;
    for child in node.children() {
        let key = child.regs().first().map_or(u32::MAX, |(select, _)| *select as u32);
        let compatible = child.compatible();
        let chip: Box<dyn SpiTarget> = if compatible.iter().any(|name| nor::MODEL.compatible.contains(name)) {
            let window = window.filter(|_| key == 0).map(|(base, size)| (args.memory.clone(), base, size));
            let disk = args.resources.disk(child);
            Box::new(nor::Nor::of(child, window, disk)?)
        } else if let Some(model) = crate::spi_chip_for(&compatible) {
            (model.build)(child, args.seed)?
        } else {
            Box::new(Absent)
        };
        children.attach(key, child.name(), chip);
    }
    Ok(())
}
