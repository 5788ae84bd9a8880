//! Random number generator (RNG).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 26, and the nRF51 Series Reference Manual v3.0, chapter 21.
//! The numbers come from the machine's seed. A byte takes 30 us, or 120 us with bias correction (DERCEN); the first
//! one takes 128 us more.
//!
//! Left out: the longer times of the nRF51, and that uncorrected bits are biased.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Rng, Time, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-rng"], summary: "nRF random numbers", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004 }
    events { VALRDY = 0x100 }
    shorts { 0: VALRDY => STOP }
}

const START_UP: Time = Time::from_us(128);

/// The block without its common registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Generator {
    rng: Rng,
    running: bool,
    corrected: bool,
    value: u8,
}

impl Generator {
    /// Of a machine with this seed.
    pub fn new(seed: u64, name: &str) -> Generator {
        Generator { rng: Rng::new(seed, name), running: false, corrected: false, value: 0 }
    }

    fn period(&self) -> Time {
        Time::from_us(if self.corrected { 120 } else { 30 })
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Generator::new(args.seed, args.name))))
}

impl Component for Generator {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        vec![Field { name: "running".into(), value: self.running.to_string() }]
    }
}

impl Peripheral for Generator {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        // Noise does not start over.
        (self.running, self.corrected, self.value) = (false, false, 0);
    }

    fn task(&mut self, _block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::START if !self.running => {
                self.running = true;
                ctx.schedule_in(0, START_UP.saturating_add(self.period()));
            }
            task::STOP => {
                self.running = false;
                ctx.cancel(0);
            }
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        match at.offset {
            0x504 => Some(self.corrected.into()),
            0x508 => Some(self.value.into()),
            _ => None,
        }
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            0x504 => self.corrected = value & 1 != 0,
            0x508 => {}
            _ => return None,
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        self.value = self.rng.next_u64() as u8;
        ctx.schedule_in(0, self.period());
        block.raise(ctx, event::VALRDY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench(seed: u64) -> Bench<Nordic<Generator>> {
        Bench::new(Nordic::new(0x4000_d000, &LAYOUT, Generator::new(seed, "rng")))
    }

    fn bytes(bench: &mut Bench<Nordic<Generator>>, count: usize, period: u64) -> Vec<u32> {
        let byte = |_| {
            bench.advance(Time::from_us(period - 1));
            assert_eq!(bench.read32(0x100), 0);
            bench.advance(Time::from_us(1));
            assert_eq!(bench.read32(0x100), 1);
            bench.write32(0x100, 0);
            bench.read32(0x508)
        };
        (0..count).map(byte).collect()
    }

    #[test]
    fn a_byte_in_its_time() {
        let mut bench = bench(1);
        bench.write32(0x000, 1);
        bench.advance(START_UP);
        let first = bytes(&mut bench, 8, 30);
        bench.write32(0x504, 1);
        bench.advance(Time::from_us(30));
        bench.write32(0x100, 0);
        let second = bytes(&mut bench, 8, 120);
        assert_ne!(first, second);
        bench.check_save_restore();
        bench.write32(0x200, 1);
        bench.advance(Time::from_ms(10));
        let last = bench.read32(0x508);
        bench.advance(Time::from_ms(10));
        assert_eq!(bench.read32(0x508), last, "the short stops it");
    }

    #[test]
    fn the_seed_decides() {
        let stream = |seed| {
            let mut bench = bench(seed);
            bench.write32(0x000, 1);
            bench.advance(START_UP);
            bytes(&mut bench, 16, 30)
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
    }
}
