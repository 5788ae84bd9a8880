//! ECB: encrypts one block with AES-128.
//!
//! Follows the nRF52832 product specification v1.4, chapter 25. ECBDATAPTR points to key, clear text and cipher text of
//! 16 bytes each. Left out: the block shares its AES core with CCM and AAR, which abort it on the hardware.

use super::block::{Block, Nordic, Peripheral};
use super::{base_address, crypto::aes};
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, state,
};
use serde::{Deserialize, Serialize};

crate::nordic_layout! {
    tasks { STARTECB = 0x000, STOPECB = 0x004 }
    events { ENDECB = 0x100, ERRORECB = 0x104 }
    shorts { }
}

/// The ECB of the nRF51 and nRF52 series.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-ecb"],
    summary: "Nordic AES electronic codebook",
    rom: &[],
    ram: &[],
    build,
};

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let base = base_address(args)?;
    Ok(Box::new(Nordic::new(base, &LAYOUT, Ecb::default())))
}

/// tECB: one block.
const DURATION: Time = Time::from_ns(7_200);

const ECBDATAPTR: u64 = 0x504;

/// See the module.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ecb {
    pointer: u32,
    running: bool,
}

impl Component for Ecb {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        vec![Field { name: "ECBDATAPTR".into(), value: format!("{:#010x}", self.pointer) }]
    }
}

impl Peripheral for Ecb {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = Ecb::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::STARTECB if !self.running => {
                self.running = true;
                ctx.schedule_in(0, DURATION);
            }
            task::STOPECB if self.running => {
                self.running = false;
                ctx.cancel(0);
                block.raise(ctx, event::ERRORECB);
            }
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        (at.offset == ECBDATAPTR).then_some(self.pointer)
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        (at.offset == ECBDATAPTR).then(|| self.pointer = value)
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        self.running = false;
        let (mut key, mut text) = ([0; 16], [0; 16]);
        let at = |offset| u64::from(self.pointer.wrapping_add(offset));
        let memory = ctx.memory();
        let done = memory.read(at(0), &mut key).and_then(|()| memory.read(at(16), &mut text));
        let done = done.and_then(|()| memory.write(at(32), &aes(&key, text)));
        block.raise(ctx, if done.is_ok() { event::ENDECB } else { event::ERRORECB });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    #[test]
    fn a_block_takes_its_time() {
        let mut bench = Bench::new(Nordic::new(0x4000_e000, &LAYOUT, Ecb::default()));
        let text: Vec<u8> = (0..16).chain((0..16).map(|n| n * 0x11)).collect();
        bench.services.memory.write(RAM, &text).expect("it is RAM");
        bench.write32(ECBDATAPTR, RAM as u32);
        bench.write32(task::STARTECB.into(), 1);
        bench.advance(Time::from_ns(7_199));
        assert_eq!(bench.read32(event::ENDECB.into()), 0);
        bench.check_save_restore();
        bench.advance(Time::from_ns(1));
        assert_eq!(bench.read32(event::ENDECB.into()), 1);
        assert_eq!(bench.services.memory.read_le(RAM + 32, 4).ok(), Some(0xd8e0_c469));
        bench.write32(task::STARTECB.into(), 1);
        bench.write32(task::STOPECB.into(), 1);
        assert_eq!(bench.read32(event::ERRORECB.into()), 1);
        bench.write32(event::ERRORECB.into(), 0);
        bench.write32(ECBDATAPTR, 0x10);
        bench.write32(task::STARTECB.into(), 1);
        bench.advance(Time::from_us(10));
        assert_eq!(bench.read32(event::ERRORECB.into()), 1, "no memory there");
    }
}
