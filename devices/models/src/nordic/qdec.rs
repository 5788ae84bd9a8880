//! Quadrature decoder (QDEC).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 36, and the nRF51 Series Reference Manual v3.0, chapter 27.
//! The phases are GPIO pins, 0 to 31 of the first controller in `hyperemu,pins` and 32 to 63 of the second; they are
//! sampled every 128 us or a multiple of that.
//!
//! Left out: the debounce filter (the pins do not bounce) and the LED's pin, which is not driven.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, pin, register_bank,
    state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-qdec"], summary: "nRF quadrature decoder", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004, READCLRACC = 0x008, RDCLRACC = 0x00c, RDCLRDBL = 0x010 }
    events { SAMPLERDY = 0x100, REPORTRDY = 0x104, ACCOF = 0x108, DBLRDY = 0x10c, STOPPED = 0x110 }
    shorts {
        0: REPORTRDY => READCLRACC, 1: SAMPLERDY => STOP, 2: REPORTRDY => RDCLRACC, 3: REPORTRDY => STOP,
        4: DBLRDY => RDCLRDBL, 5: DBLRDY => STOP, 6: SAMPLERDY => READCLRACC,
    }
}

register_bank! {
    /// The registers.
    enum Register {
        Enable = 0x500, rw(0x1), reset 0;
        LedPol = 0x504, rw(0x1), reset 0;
        SamplePer = 0x508, rw(0xf), reset 0;
        Sample = 0x50c, ro, reset 0;
        ReportPer = 0x510, rw(0xf), reset 0;
        Acc = 0x514, ro, reset 0;
        AccRead = 0x518, ro, reset 0;
        PselLed = 0x51c, rw(u32::MAX), reset 0xffff_ffff;
        PselA = 0x520, rw(u32::MAX), reset 0xffff_ffff;
        PselB = 0x524, rw(u32::MAX), reset 0xffff_ffff;
        Dbfen = 0x528, rw(0x1), reset 0;
        LedPre = 0x540, rw(0x1ff), reset 0x10;
        AccDbl = 0x544, ro, reset 0;
        AccDblRead = 0x548, ro, reset 0;
    }
}

use Register::*;

/// Samples of a report, by REPORTPER.
const REPORT: [u32; 9] = [10, 40, 80, 120, 160, 200, 240, 280, 1];
const ACC_MAX: i32 = 1023;
const DOUBLE: u32 = 2;

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Qdec {
    bank: Bank<Register>,
    /// One bit per pin: its level. Survives a reset.
    pads: u64,
    running: bool,
    /// The previous sample of A (bit 1) and B (bit 0).
    phases: Option<u32>,
    /// Samples in this report.
    samples: u32,
}

impl Qdec {
    fn period(&self) -> Time {
        Time::from_us(128 << self.bank[SamplePer].min(10))
    }

    fn level(&self, register: Register) -> u32 {
        let psel = self.bank[register];
        if psel >> 31 != 0 { 0 } else { (self.pads >> (psel & 0x3f) & 1) as u32 }
    }

    /// What a step from one pair of phases to another means: SAMPLE.
    fn step(before: u32, now: u32) -> u32 {
        // The order of the phases forwards, by pair.
        let place = |phases: u32| [0, 1, 3, 2][(phases & 3) as usize];
        match (place(now) + 4 - place(before)) & 3 {
            0 => 0,
            1 => 1,
            2 => DOUBLE,
            _ => u32::MAX,
        }
    }

    fn sample(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let now = self.level(PselA) << 1 | self.level(PselB);
        let sample = self.phases.replace(now).map_or(0, |before| Qdec::step(before, now));
        self.bank[Sample] = sample;
        if sample == DOUBLE {
            self.bank[AccDbl] = (self.bank[AccDbl] + 1).min(15);
        } else {
            let sum = (self.bank[Acc] as i32).wrapping_add(sample as i32);
            if sum.abs() > ACC_MAX {
                block.raise(ctx, event::ACCOF);
            } else {
                self.bank[Acc] = sum as u32;
            }
        }
        block.raise(ctx, event::SAMPLERDY);
        self.samples += 1;
        if self.samples >= REPORT[(self.bank[ReportPer] as usize).min(8)] {
            self.samples = 0;
            if self.bank[Acc] != 0 {
                block.raise(ctx, event::REPORTRDY);
            }
            if self.bank[AccDbl] != 0 {
                block.raise(ctx, event::DBLRDY);
            }
        }
    }

    fn take(&mut self, from: Register, to: Register) {
        self.bank[to] = std::mem::take(&mut self.bank[from]);
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Qdec::default())))
}

impl Component for Qdec {
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

impl Peripheral for Qdec {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = Qdec { pads: self.pads, ..Qdec::default() };
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::START if !self.running && self.bank[Enable] != 0 => {
                self.running = true;
                self.samples = 0;
                ctx.schedule_in(0, self.period());
            }
            task::STOP => {
                self.running = false;
                self.phases = None;
                ctx.cancel(0);
                block.raise(ctx, event::STOPPED);
            }
            task::READCLRACC => {
                self.take(Acc, AccRead);
                self.take(AccDbl, AccDblRead);
            }
            task::RDCLRACC => self.take(Acc, AccRead),
            task::RDCLRDBL => self.take(AccDbl, AccDblRead),
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
        ctx.schedule_in(0, self.period());
        self.sample(block, ctx);
    }

    fn line(&mut self, _block: &mut Block, _ctx: &mut Ctx, input: u32, level: bool) {
        if let Some(n) = input.checked_sub(pin(0)).filter(|n| *n < 64) {
            self.pads = self.pads & !(1 << n) | u64::from(level) << n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<Nordic<Qdec>> {
        let mut bench = Bench::new(Nordic::new(0x4001_2000, &LAYOUT, Qdec::default()));
        for (offset, value) in [(0x520, 4), (0x524, 37), (0x500, 1), (0x000, 1)] {
            bench.write32(offset, value);
        }
        bench
    }

    /// Turns the knob by so many phases, one in each sample.
    fn turn(bench: &mut Bench<Nordic<Qdec>>, phases: &[(bool, bool)]) {
        for &(a, b) in phases {
            bench.call(|device, ctx| device.line(ctx, pin(4), a));
            bench.call(|device, ctx| device.line(ctx, pin(37), b));
            bench.advance(Time::from_us(128));
        }
    }

    const FORWARDS: [(bool, bool); 4] = [(false, true), (true, true), (true, false), (false, false)];

    #[test]
    fn counts_phases_both_ways() {
        let mut bench = bench();
        turn(&mut bench, &[(false, false)]);
        turn(&mut bench, &FORWARDS);
        turn(&mut bench, &FORWARDS);
        assert_eq!((bench.read32(0x514), bench.read32(0x104)), (8, 0));
        turn(&mut bench, &[(true, false)]);
        assert_eq!((bench.read32(0x50c), bench.read32(0x514), bench.read32(0x104)), (u32::MAX, 7, 1));
        bench.write32(0x008, 1);
        assert_eq!((bench.read32(0x514), bench.read32(0x518)), (0, 7));
        turn(&mut bench, &[(false, true)]);
        assert_eq!((bench.read32(0x50c), bench.read32(0x514), bench.read32(0x544)), (2, 0, 1));
        bench.check_save_restore();
        bench.write32(0x004, 1);
        assert_eq!(bench.read32(0x110), 1);
    }

    #[test]
    fn accumulator_does_not_wrap() {
        let mut bench = bench();
        turn(&mut bench, &[(false, false)]);
        for _ in 0..256 {
            turn(&mut bench, &FORWARDS);
        }
        assert_eq!((bench.read32(0x514), bench.read32(0x108)), (1023, 1));
    }
}
