//! Event generator unit (EGU): sixteen tasks, each with its event.
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 41. Nothing is left out.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::{At, BuildArgs, BuildError, Component, Ctx, Device, Model, RestoreError, state};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-egu"], summary: "nRF event generator", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks {
        TRIGGER0 = 0x000, TRIGGER1 = 0x004, TRIGGER2 = 0x008, TRIGGER3 = 0x00c,
        TRIGGER4 = 0x010, TRIGGER5 = 0x014, TRIGGER6 = 0x018, TRIGGER7 = 0x01c,
        TRIGGER8 = 0x020, TRIGGER9 = 0x024, TRIGGER10 = 0x028, TRIGGER11 = 0x02c,
        TRIGGER12 = 0x030, TRIGGER13 = 0x034, TRIGGER14 = 0x038, TRIGGER15 = 0x03c,
    }
    events {
        TRIGGERED0 = 0x100, TRIGGERED1 = 0x104, TRIGGERED2 = 0x108, TRIGGERED3 = 0x10c,
        TRIGGERED4 = 0x110, TRIGGERED5 = 0x114, TRIGGERED6 = 0x118, TRIGGERED7 = 0x11c,
        TRIGGERED8 = 0x120, TRIGGERED9 = 0x124, TRIGGERED10 = 0x128, TRIGGERED11 = 0x12c,
        TRIGGERED12 = 0x130, TRIGGERED13 = 0x134, TRIGGERED14 = 0x138, TRIGGERED15 = 0x13c,
    }
    shorts {}
}

/// The block without its common registers: nothing.
pub struct Egu;

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Egu)))
}

impl Component for Egu {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        state::decode::<()>(bytes)
    }
}

impl Peripheral for Egu {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {}

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        block.raise(ctx, event::TRIGGERED0 + (task - task::TRIGGER0));
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, _at: At) -> Option<u32> {
        None
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, _at: At, _value: u32) -> Option<()> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::services::Message;

    #[test]
    fn a_task_is_an_event() {
        let mut bench = Bench::new(Nordic::new(0x4001_4000, &LAYOUT, Egu));
        bench.write32(0x304, 1 << 15);
        bench.write32(0x03c, 1);
        assert_eq!((bench.line(0), bench.read32(0x138), bench.read32(0x13c)), (true, 0, 1));
        assert_eq!(bench.messages(), [Message::Published(0x4001_413c)]);
        bench.check_save_restore();
    }
}
