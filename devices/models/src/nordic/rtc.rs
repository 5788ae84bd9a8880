//! Real-time counter (RTC).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 25, and the nRF51 Series Reference Manual v3.0, chapter 19:
//! 24 bits at 32768 Hz through a 12-bit prescaler. Ticks fall on the edges of the low-frequency clock, which are
//! multiples of 1/32768 s of virtual time. An event is generated only if EVTEN or INTEN enables it, and reaches the
//! PPI only by EVTEN. The node's `cc-num` gives the number of CC registers, 3 or 4.
//!
//! Left out: the jitter and delay of tasks of up to two ticks, and that the counter stands still while the
//! low-frequency clock does.

use super::block::{Block, Nordic, Peripheral};
use super::{base_address, compare};
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-rtc"], summary: "nRF real-time counter", rom: &[], ram: &[], build };

const HZ: u64 = 32_768;
const MASK: u32 = 0xff_ffff;
const MAX_CC: usize = 4;
/// TICK, OVRFLW, COMPARE.
const EVENTS: u32 = 0x000f_0003;

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004, CLEAR = 0x008, TRIGOVRFLW = 0x00c }
    events {
        TICK = 0x100, OVRFLW = 0x104,
        COMPARE0 = 0x140, COMPARE1 = 0x144, COMPARE2 = 0x148, COMPARE3 = 0x14c,
    }
    shorts {}
}

/// The block without its common registers; time is in ticks of 32768 Hz since reset.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rtc {
    running: bool,
    prescaler: u32,
    evten: u32,
    /// The counter at `since`.
    base: u32,
    /// When the prescaler last started over.
    since: u64,
    cc: [u32; MAX_CC],
    /// The tick of the next event.
    next: Option<u64>,
}

impl Rtc {
    fn period(&self) -> u64 {
        u64::from(self.prescaler) + 1
    }

    fn passed(&self, now: u64) -> u64 {
        if self.running { now.saturating_sub(self.since) / self.period() } else { 0 }
    }

    fn count(&self, now: u64) -> u32 {
        self.base.wrapping_add(self.passed(now) as u32) & MASK
    }

    fn set(&mut self, now: u64, count: u32) {
        self.base = count;
        self.since = now;
    }
}

/// An RTC with what its node says.
pub struct RtcModel {
    rtc: Rtc,
    channels: usize,
}

impl RtcModel {
    /// With so many CC registers.
    pub fn new(channels: usize) -> RtcModel {
        RtcModel { rtc: Rtc::default(), channels: channels.min(MAX_CC) }
    }

    fn now(ctx: &Ctx) -> u64 {
        ctx.now().ticks(HZ)
    }

    fn enabled(&self, block: &Block, event: u32) -> bool {
        let bit = 1u32 << (((event - event::TICK) / 4) & 31);
        self.rtc.evten & bit != 0 || block.interrupt_enabled(event)
    }

    /// Asks to be called at the next count that generates an event.
    fn plan(&mut self, block: &Block, ctx: &mut Ctx) {
        let now = RtcModel::now(ctx);
        let count = self.rtc.count(now);
        let ahead = |target: u32| match target.wrapping_sub(count) & MASK {
            0 => MASK + 1,
            ahead => ahead,
        };
        let compares = (event::COMPARE0..).step_by(4).zip(&self.rtc.cc[..self.channels]);
        let targets = compares
            .map(|(event, cc)| (event, ahead(*cc)))
            .chain([(event::TICK, 1), (event::OVRFLW, ahead(0))]);
        let first = targets.filter(|(event, _)| self.enabled(block, *event)).map(|(_, ahead)| ahead).min();
        self.rtc.next = first
            .filter(|_| self.rtc.running)
            .map(|ahead| self.rtc.since + (self.rtc.passed(now) + u64::from(ahead)) * self.rtc.period());
        ctx.schedule(0, self.rtc.next.map_or(Time::NEVER, |tick| Time::of_tick(tick, HZ)));
    }

    fn generate(&self, block: &mut Block, ctx: &mut Ctx, event: u32) {
        if self.rtc.evten >> (((event - event::TICK) / 4) & 31) & 1 != 0 {
            block.raise(ctx, event);
        } else if block.interrupt_enabled(event) {
            block.set(ctx, event);
        }
    }

    fn cc(&mut self, offset: u64) -> Option<&mut u32> {
        compare::at(&mut self.rtc.cc[..self.channels], offset)
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let channels = compare::count(args, MAX_CC)?;
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, RtcModel::new(channels))))
}

impl Component for RtcModel {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.rtc)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let rtc: Rtc = state::decode(bytes)?;
        self.rtc = Rtc { prescaler: rtc.prescaler & 0xfff, ..rtc };
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let Rtc { running, prescaler, evten, base, since, cc, next: _ } = &self.rtc;
        let mut fields = vec![
            Field { name: "running".into(), value: running.to_string() },
            Field { name: "counter".into(), value: format!("{base:#x} at tick {since}") },
            Field { name: "PRESCALER".into(), value: prescaler.to_string() },
            Field { name: "EVTEN".into(), value: format!("{evten:#x}") },
        ];
        for (index, cc) in cc[..self.channels].iter().enumerate() {
            fields.push(Field { name: format!("CC[{index}]"), value: format!("{cc:#x}") });
        }
        fields
    }
}

impl Peripheral for RtcModel {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        self.rtc = Rtc::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        let now = RtcModel::now(ctx);
        let count = self.rtc.count(now);
        match task {
            task::START if self.rtc.running => return,
            task::START => {
                self.rtc.running = true;
                self.rtc.set(now, count);
            }
            task::STOP => {
                self.rtc.set(now, count);
                self.rtc.running = false;
            }
            task::CLEAR => self.rtc.set(now, 0),
            // So that software need not wait 512 seconds to see it overflow.
            _ => self.rtc.set(now, 0xff_fff0),
        }
        self.plan(block, ctx);
    }

    fn read(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At) -> Option<u32> {
        match at.offset {
            0x340 | 0x344 | 0x348 => Some(self.rtc.evten),
            0x504 => Some(self.rtc.count(RtcModel::now(ctx))),
            0x508 => Some(self.rtc.prescaler),
            offset => self.cc(offset).copied(),
        }
    }

    fn write(&mut self, block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            0x340 => self.rtc.evten = value & EVENTS,
            0x344 => self.rtc.evten |= value & EVENTS,
            0x348 => self.rtc.evten &= !value,
            0x504 => {}
            // It can only be written while the counter is stopped.
            0x508 if self.rtc.running => ctx.complain("PRESCALER is written while the counter runs"),
            0x508 => self.rtc.prescaler = value & 0xfff,
            offset => *self.cc(offset)? = value & MASK,
        }
        self.plan(block, ctx);
        Some(())
    }

    fn enabled_changed(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.plan(block, ctx);
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        let now = RtcModel::now(ctx);
        let count = self.rtc.count(self.rtc.next.unwrap_or(now).min(now));
        self.generate(block, ctx, event::TICK);
        if count == 0 {
            self.generate(block, ctx, event::OVRFLW);
        }
        for index in 0..self.channels {
            if self.rtc.cc[index] == count {
                self.generate(block, ctx, event::COMPARE0 + 4 * index as u32);
            }
        }
        self.plan(block, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::services::Message;

    fn bench() -> Bench<Nordic<RtcModel>> {
        Bench::new(Nordic::new(0x4000_b000, &LAYOUT, RtcModel::new(3)))
    }

    fn ticks(bench: &mut Bench<Nordic<RtcModel>>, count: u64) {
        let end = Time::of_tick(bench.now.ticks(HZ) + count, HZ);
        bench.advance(end.saturating_sub(bench.now));
    }

    #[test]
    fn compare_needs_an_enable_and_the_ppi_its_own() {
        let mut bench = bench();
        bench.write32(0x540, 10);
        bench.write32(0x548, 10);
        bench.write32(0x000, 1);
        ticks(&mut bench, 10);
        assert_eq!((bench.read32(0x504), bench.read32(0x140)), (10, 0));
        bench.write32(0x008, 1);
        bench.write32(0x344, 1 << 16);
        bench.write32(0x304, 1 << 18);
        ticks(&mut bench, 9);
        assert!(!bench.line(0));
        ticks(&mut bench, 1);
        assert_eq!((bench.line(0), bench.read32(0x140), bench.read32(0x148)), (true, 1, 1));
        assert_eq!(bench.messages(), [Message::Published(0x4000_b140)]);
        bench.check_save_restore();
    }

    #[test]
    fn writing_the_present_count_waits_for_a_whole_round() {
        let mut bench = bench();
        bench.write32(0x304, 1 << 16);
        bench.write32(0x000, 1);
        ticks(&mut bench, 5);
        bench.write32(0x540, 5);
        ticks(&mut bench, 1 << 24);
        assert_eq!(bench.read32(0x140), 1);
    }

    #[test]
    fn prescaler_tick_and_overflow() {
        let mut bench = bench();
        bench.write32(0x508, 32);
        bench.write32(0x344, 3);
        bench.write32(0x000, 1);
        bench.write32(0x508, 7);
        assert_eq!((bench.read32(0x508), bench.services.complaints.len()), (32, 1));
        ticks(&mut bench, 33 * 3 + 32);
        assert_eq!(bench.read32(0x504), 3);
        assert_eq!(bench.messages(), [Message::Published(0x4000_b100)].repeat(3));
        bench.write32(0x00c, 1);
        ticks(&mut bench, 33 * 16);
        assert_eq!((bench.read32(0x504), bench.read32(0x104)), (0, 1));
        bench.write32(0x004, 1);
        ticks(&mut bench, 1000);
        assert_eq!(bench.read32(0x504), 0);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x560);
            bench.check_save_restore();
            Ok(())
        });
    }
}
