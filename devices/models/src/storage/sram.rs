//! Memory with no registers: static RAM and mask ROM beside the main memory.
//!
//! Follows the devicetree bindings `sram/sram.yaml` and `mtd/mtd-physmap.yaml` (`mtd-rom`). A write to ROM is dropped
//! and told.

use devices_core::{At, BuildArgs, BuildError, Component, Ctx, Device, Model, RestoreError, Width, state};

/// Registry entry of RAM.
pub const SRAM: Model =
    Model { compatible: &["mmio-sram"], summary: "static RAM", rom: &[], ram: &[0], build };

/// Registry entry of ROM.
pub const ROM: Model = Model {
    compatible: &["mtd-rom", "sifive,maskrom0", "sifive,otp-memory0"],
    summary: "read-only memory",
    rom: &[0],
    ram: &[],
    build,
};

/// Plain memory: nothing but what the machine maps.
struct Memory;

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Memory))
}

impl Component for Memory {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        state::decode::<()>(bytes)
    }
}

impl Device for Memory {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, _value: u64) {
        ctx.complain(format!("a write to read-only memory, at offset {:#x}", at.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn a_write_to_rom_is_told() {
        let mut bench = Bench::new(Memory);
        bench.write32(8, 1);
        assert_eq!((bench.read32(8), bench.services.complaints.len()), (0, 1));
        bench.check_save_restore();
    }
}
