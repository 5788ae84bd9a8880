//! Memory that answers at a second place, as where an address decoder looks at few bits.
//!
//! The node's `mirrors` is the address of the memory; what is written there is there at both places. Left out: running
//! code at the second place, which is a bus fault, and access by DMA.

use devices_core::{At, BuildArgs, BuildError, Component, Ctx, Device, Model, RestoreError, Width, state};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["hyperemu,mirror"],
    summary: "memory at a second place",
    rom: &[],
    ram: &[],
    build,
};

struct Mirror {
    base: u64,
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    match args.node.u32("mirrors") {
        Some(base) => Ok(Box::new(Mirror { base: base.into() })),
        None => Err(BuildError::property("mirrors", "`mirrors` must be the address of the memory")),
    }
}

impl Component for Mirror {
    fn save(&self) -> Vec<u8> {
        state::encode(&())
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        state::decode(bytes)
    }
}

impl Device for Mirror {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64 {
        let value = ctx.memory().read_le(self.base.wrapping_add(at.offset), width.bytes() as usize);
        value.unwrap_or_else(|error| {
            ctx.complain(error.to_string());
            0
        })
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64) {
        let bytes = value.to_le_bytes();
        let bytes = bytes.get(..width.bytes() as usize).unwrap_or_default();
        if let Err(error) = ctx.memory().write(self.base.wrapping_add(at.offset), bytes) {
            ctx.complain(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    #[test]
    fn both_places_hold_the_same() {
        let mut bench = Bench::new(Mirror { base: RAM });
        bench.write32(8, 0x1234_5678);
        assert_eq!(bench.services.memory.read_le(RAM + 8, 4).ok(), Some(0x1234_5678));
        assert_eq!(bench.read(10, Width::B2), 0x1234);
        bench.write32(0x10_0000, 1);
        assert_eq!((bench.read32(0x10_0000), bench.services.complaints.len()), (0, 2), "behind the memory");
        bench.check_save_restore();
    }
}
