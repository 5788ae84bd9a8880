//! Blocks that start-up code and errata work-arounds touch and that have no function here.
//!
//! What software writes is kept and read back; nothing else happens. Which registers it touches is from Nordic's MDK
//! (`system_nrf51.c`, `system_nrf52.c`) and product anomaly notices, as these addresses are in no specification. A use
//! of the documented functions of such a block (NFC, QSPI, CryptoCell, the memory watch unit) is told as not modelled.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Model, RestoreError, Width, Widths, state,
};
use std::collections::BTreeMap;

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &[
        "nordic,nrf-nfct",
        "nordic,nrf-mwu",
        "nordic,nrf-fpu",
        "nordic,nrf-qspi",
        "nordic,cryptocell",
        "hyperemu,nrf-trim",
    ],
    summary: "nRF block without function",
    rom: &[],
    ram: &[],
    build,
};

/// Registers that software uses other than for a work-around, by offset: tasks, events, shorts, enables. The rest of
/// these blocks is trim.
const FUNCTION: std::ops::Range<u64> = 0x000..0x600;

/// A register file.
pub struct Hidden {
    words: BTreeMap<(usize, u64), u32>,
    /// It has functions, which it does not do.
    documented: bool,
}

/// More different registers than these are no start-up code.
const LIMIT: usize = 1024;

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let trim =
        args.node.compatible().iter().any(|name| ["hyperemu,nrf-trim", "nordic,nrf-fpu"].contains(name));
    Ok(Box::new(Hidden { words: BTreeMap::new(), documented: !trim }))
}

impl Component for Hidden {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.words)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.words = state::decode(bytes)?;
        Ok(())
    }
}

impl Device for Hidden {
    fn reset(&mut self, _ctx: &mut Ctx) {
        self.words.clear();
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        if self.documented && FUNCTION.contains(&at.offset) {
            ctx.unimplemented(at.offset, false, "a block without function");
        }
        self.words.get(&(at.region, at.offset)).copied().unwrap_or(0).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        if self.documented && FUNCTION.contains(&at.offset) {
            ctx.unimplemented(at.offset, true, "a block without function");
        }
        if self.words.len() < LIMIT || self.words.contains_key(&(at.region, at.offset)) {
            self.words.insert((at.region, at.offset), value as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn keeps_trim_and_tells_functions() {
        let mut bench = Bench::new(Hidden { words: BTreeMap::new(), documented: true });
        bench.write32(0x68c, 0x38148);
        assert_eq!((bench.read32(0x68c), bench.services.unimplemented.len()), (0x38148, 0));
        bench.write32(0x500, 1);
        assert_eq!(bench.services.unimplemented.len(), 1);
        bench.check_save_restore();
    }
}
