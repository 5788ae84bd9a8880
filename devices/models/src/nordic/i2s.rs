//! Inter-IC sound interface (I2S).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 45. As master it takes and gives words at the rate of its
//! clock: pointers are latched and told at the start and whenever MAXCNT words are through.
//!
//! Left out: slave mode, which waits for a clock that nobody gives; what it sends is heard by nobody, and what it
//! receives is silence.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::easydma;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-i2s"], summary: "nRF sound interface", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004 }
    events { RXPTRUPD = 0x104, STOPPED = 0x108, TXPTRUPD = 0x114 }
    shorts {}
}

register_bank! {
    /// The registers.
    enum Register {
        Enable = 0x500, rw(0x1), reset 0;
        Mode = 0x504, rw(0x1), reset 0;
        RxEn = 0x508, rw(0x1), reset 0;
        TxEn = 0x50c, rw(0x1), reset 1;
        MckEn = 0x510, rw(0x1), reset 1;
        MckFreq = 0x514, rw(u32::MAX), reset 0x2000_0000;
        Ratio = 0x518, rw(0xf), reset 6;
        SWidth = 0x51c, rw(0x3), reset 1;
        Align = 0x520, rw(0x1), reset 0;
        Format = 0x524, rw(0x1), reset 0;
        Channels = 0x528, rw(0x3), reset 0;
        RxdPtr = 0x538, rw(u32::MAX), reset 0;
        TxdPtr = 0x540, rw(u32::MAX), reset 0;
        Maxcnt = 0x550, rw(0x3fff), reset 0;
        PselMck = 0x560, rw(u32::MAX), reset 0xffff_ffff;
        PselSck = 0x564, rw(u32::MAX), reset 0xffff_ffff;
        PselLrck = 0x568, rw(u32::MAX), reset 0xffff_ffff;
        PselSdin = 0x56c, rw(u32::MAX), reset 0xffff_ffff;
        PselSdout = 0x570, rw(u32::MAX), reset 0xffff_ffff;
    }
}

use Register::*;

/// Master clock by frame clock, by RATIO.
const RATIOS: [u64; 9] = [32, 48, 64, 96, 128, 192, 256, 384, 512];

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct I2s {
    bank: Bank<Register>,
    running: bool,
    /// Where what is received now goes.
    receiving: u32,
}

impl I2s {
    /// How long MAXCNT words take.
    fn span(&self) -> Time {
        let samples = u64::from(self.bank[Maxcnt].max(1)) * [4, 2, 1, 1][self.bank[SWidth] as usize];
        let channels = if self.bank[Channels] == 0 { 2 } else { 1 };
        let ratio = RATIOS[(self.bank[Ratio] as usize).min(RATIOS.len() - 1)];
        // The master clock is MCKFREQ * 32 MHz / 2^32.
        let clocks = u128::from(samples * ratio) << 32;
        let ps = clocks * u128::from(Time::PER_SECOND)
            / (u128::from(self.bank[MckFreq].max(1)) * 32_000_000 * channels);
        Time(ps.clamp(1, u128::from(Time::PER_SECOND) * 3600) as u64)
    }

    fn begin(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.receiving = self.bank[RxdPtr];
        ctx.schedule_in(0, self.span());
        if self.bank[RxEn] != 0 {
            block.raise(ctx, event::RXPTRUPD);
        }
        if self.bank[TxEn] != 0 {
            block.raise(ctx, event::TXPTRUPD);
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, I2s::default())))
}

impl Component for I2s {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.bank.inspect()
    }
}

impl Peripheral for I2s {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = I2s::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::START if self.bank[Enable] != 0 && !self.running => {
                self.running = true;
                if self.bank[Mode] == 0 {
                    self.begin(block, ctx);
                }
            }
            task::STOP if self.running => {
                self.running = false;
                ctx.cancel(0);
                block.raise(ctx, event::STOPPED);
            }
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        self.bank.at(at.offset).map(|register| self.bank.read(register))
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let register = self.bank.at(at.offset)?;
        self.bank.write(register, value);
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        if self.bank[RxEn] != 0 {
            easydma::store(ctx, self.receiving, &vec![0; 4 * self.bank[Maxcnt] as usize]);
        }
        self.begin(block, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    #[test]
    fn takes_buffers_at_the_rate_of_its_clock() {
        let mut bench = Bench::new(Nordic::new(0x4002_5000, &LAYOUT, I2s::default()));
        bench.services.memory.write(RAM, &[0xff; 0x100]).expect("RAM");
        // 4 MHz by 256: 15625 frames of 2 x 16 bits a second.
        for (offset, value) in [(0x500, 1), (0x508, 1), (0x538, RAM as u32), (0x550, 0x20)] {
            bench.write32(offset, value);
        }
        bench.write32(0x000, 1);
        let told = |bench: &mut Bench<Nordic<I2s>>| {
            [0x104, 0x114].map(|offset| {
                let told = bench.read32(offset);
                bench.write32(offset, 0);
                told
            })
        };
        assert_eq!(told(&mut bench), [1, 1]);
        bench.write32(0x538, RAM as u32 + 0x80);
        bench.advance(Time::from_us(2047));
        assert_eq!(
            (told(&mut bench), bench.services.memory.read_le(RAM, 4).ok()),
            ([0, 0], Some(0xffff_ffff))
        );
        bench.advance(Time::from_us(1));
        assert_eq!(told(&mut bench), [1, 1]);
        let words = [RAM, RAM + 0x7c, RAM + 0x80].map(|at| bench.services.memory.read_le(at, 4).ok());
        assert_eq!(words, [Some(0), Some(0), Some(0xffff_ffff)]);
        bench.check_save_restore();
        bench.write32(0x004, 1);
        assert_eq!(bench.read32(0x108), 1);
    }
}
