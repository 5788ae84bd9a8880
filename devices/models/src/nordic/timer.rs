//! Timer and counter (TIMER).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 24, and the nRF51 Series Reference Manual v3.0, chapter 18.
//! The counter follows virtual time in ticks of 16 MHz and only wakes the scheduler for the next compare event. A
//! compare event is generated when the counter becomes equal to a CC register, not while it stays so.
//!
//! The node's `cc-num` gives the number of CC registers (4 or 6), `max-bit-width` the widest counter (16 or 32).
//!
//! Left out: the request for the high-frequency clock, which is always there, and low-power counter mode, which is the
//! same as counter mode.

use super::block::{Block, Nordic, Peripheral};
use super::{base_address, compare};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-timer"], summary: "nRF timer", rom: &[], ram: &[], build };

const HZ: u64 = 16_000_000;
const MAX_CC: usize = 6;
/// Product anomaly notice 73 of the nRF51 has software keep the clock running by this.
const CLOCK_REQUEST: u64 = 0xc0c;

crate::nordic_layout! {
    tasks {
        START = 0x000, STOP = 0x004, COUNT = 0x008, CLEAR = 0x00c, SHUTDOWN = 0x010,
        CAPTURE0 = 0x040, CAPTURE1 = 0x044, CAPTURE2 = 0x048, CAPTURE3 = 0x04c, CAPTURE4 = 0x050, CAPTURE5 = 0x054,
    }
    events {
        COMPARE0 = 0x140, COMPARE1 = 0x144, COMPARE2 = 0x148, COMPARE3 = 0x14c, COMPARE4 = 0x150, COMPARE5 = 0x154,
    }
    shorts {
        0: COMPARE0 => CLEAR, 1: COMPARE1 => CLEAR, 2: COMPARE2 => CLEAR,
        3: COMPARE3 => CLEAR, 4: COMPARE4 => CLEAR, 5: COMPARE5 => CLEAR,
        8: COMPARE0 => STOP, 9: COMPARE1 => STOP, 10: COMPARE2 => STOP,
        11: COMPARE3 => STOP, 12: COMPARE4 => STOP, 13: COMPARE5 => STOP,
    }
}

register_bank! {
    /// The registers, apart from CC.
    enum Register {
        Mode = 0x504, rw(0x3), reset 0;
        BitMode = 0x508, rw(0x3), reset 0;
        Prescaler = 0x510, rw(0xf), reset 4;
    }
}

/// The block without its common registers; time is in ticks of 16 MHz since reset.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Timer {
    bank: Bank<Register>,
    running: bool,
    /// The counter at `since`.
    base: u32,
    /// When the prescaler last started over.
    since: u64,
    cc: [u32; MAX_CC],
    /// The tick of the next compare event.
    next: Option<u64>,
}

impl Timer {
    fn mask(&self, widest: u32) -> u32 {
        let mask = match self.bank[Register::BitMode] {
            0 => 0xffff,
            1 => 0xff,
            2 => 0xff_ffff,
            _ => u32::MAX,
        };
        mask & widest
    }

    fn prescaler(&self) -> u32 {
        self.bank[Register::Prescaler].min(9)
    }

    /// Whether it counts time.
    fn counts_time(&self) -> bool {
        self.running && self.bank[Register::Mode] == 0
    }

    fn count(&self, now: u64, mask: u32) -> u32 {
        let passed = if self.counts_time() { now.saturating_sub(self.since) >> self.prescaler() } else { 0 };
        self.base.wrapping_add(passed as u32) & mask
    }

    /// Makes `count` the counter's value, with the prescaler starting over.
    fn set(&mut self, now: u64, count: u32) {
        self.base = count;
        self.since = now;
    }

    /// The tick at which the counter next becomes one of `cc`.
    fn next_match(&self, now: u64, mask: u32, cc: &[u32]) -> Option<u64> {
        if !self.counts_time() {
            return None;
        }
        let count = self.count(now, mask);
        let ahead = |cc: &u32| match cc.wrapping_sub(count) & mask {
            0 => u64::from(mask) + 1,
            ahead => ahead.into(),
        };
        // No counter reaches what its width can not hold.
        let first = cc.iter().filter(|cc| **cc & !mask == 0).map(ahead).min()?;
        let passed = now.saturating_sub(self.since) >> self.prescaler();
        Some(self.since + ((passed + first) << self.prescaler()))
    }
}

/// A timer with what its node says.
pub struct TimerModel {
    timer: Timer,
    channels: usize,
    widest: u32,
}

impl TimerModel {
    /// With so many CC registers, and a counter of at most `bits` bits.
    pub fn new(channels: usize, bits: u32) -> TimerModel {
        let widest = u32::MAX >> (32 - bits.clamp(1, 32));
        TimerModel { timer: Timer::default(), channels: channels.min(MAX_CC), widest }
    }

    fn now(ctx: &Ctx) -> u64 {
        ctx.now().ticks(HZ)
    }

    fn plan(&mut self, ctx: &mut Ctx) {
        let (now, mask) = (TimerModel::now(ctx), self.timer.mask(self.widest));
        self.timer.next = self.timer.next_match(now, mask, &self.timer.cc[..self.channels]);
        ctx.schedule(0, self.timer.next.map_or(Time::NEVER, |tick| Time::of_tick(tick, HZ)));
    }

    /// Generates the compare events of a counter that has just become `count`.
    fn compare(&self, block: &mut Block, ctx: &mut Ctx, count: u32) {
        for (event, _) in (event::COMPARE0..)
            .step_by(4)
            .zip(&self.timer.cc[..self.channels])
            .filter(|(_, cc)| **cc == count)
        {
            block.raise(ctx, event);
        }
    }

    fn cc(&mut self, offset: u64) -> Option<&mut u32> {
        compare::at(&mut self.timer.cc[..self.channels], offset)
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let channels = compare::count(args, MAX_CC)?;
    let bits = args.node.u32("max-bit-width").unwrap_or(32);
    if ![8, 16, 24, 32].contains(&bits) {
        return Err(BuildError::property("max-bit-width", format!("{bits}; 8, 16, 24 or 32 is expected")));
    }
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, TimerModel::new(channels, bits))))
}

impl Component for TimerModel {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.timer)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.timer = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.timer.bank.inspect();
        fields.push(Field { name: "running".into(), value: self.timer.running.to_string() });
        for (index, cc) in self.timer.cc[..self.channels].iter().enumerate() {
            fields.push(Field { name: format!("CC[{index}]"), value: format!("{cc:#010x}") });
        }
        fields
    }
}

impl Peripheral for TimerModel {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        self.timer = Timer::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        let (now, mask) = (TimerModel::now(ctx), self.timer.mask(self.widest));
        let count = self.timer.count(now, mask);
        match task {
            task::START if self.timer.running => return,
            task::START => {
                self.timer.running = true;
                self.timer.set(now, count);
            }
            task::STOP | task::SHUTDOWN => {
                self.timer.set(now, if task == task::STOP { count } else { 0 });
                self.timer.running = false;
            }
            task::CLEAR => self.timer.set(now, 0),
            task::COUNT if self.timer.running && self.timer.bank[Register::Mode] != 0 => {
                let count = count.wrapping_add(1) & mask;
                self.timer.set(now, count);
                self.compare(block, ctx, count);
            }
            task::COUNT => return,
            _ => {
                if let Some(cc) = self.cc(compare::FIRST_CC + u64::from(task - task::CAPTURE0)) {
                    *cc = count;
                }
            }
        }
        self.plan(ctx);
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        match self.timer.bank.at(at.offset) {
            Some(register) => Some(self.timer.bank.read(register)),
            None => self.cc(at.offset).copied(),
        }
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        if let Some(register) = self.timer.bank.at(at.offset) {
            let (now, mask) = (TimerModel::now(ctx), self.timer.mask(self.widest));
            let count = self.timer.count(now, mask);
            self.timer.set(now, count);
            self.timer.bank.write(register, value);
        } else if at.offset != CLOCK_REQUEST {
            *self.cc(at.offset)? = value;
        }
        self.plan(ctx);
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        let now = TimerModel::now(ctx);
        // At the tick it was due, even if a core ran a little past it.
        let tick = self.timer.next.unwrap_or(now).min(now);
        let count = self.timer.count(tick, self.timer.mask(self.widest));
        self.compare(block, ctx, count);
        self.plan(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::services::Message;

    fn bench() -> Bench<Nordic<TimerModel>> {
        Bench::new(Nordic::new(0x4000_8000, &LAYOUT, TimerModel::new(4, 32)))
    }

    fn run(bench: &mut Bench<Nordic<TimerModel>>, offset: u32) {
        bench.write32(offset.into(), 1);
    }

    fn captured(bench: &mut Bench<Nordic<TimerModel>>) -> u32 {
        run(bench, task::CAPTURE3);
        bench.read32(0x54c)
    }

    #[test]
    fn counts_and_compares_at_the_tick() {
        let mut bench = bench();
        bench.write32(0x508, 3);
        bench.write32(0x540, 150);
        bench.write32(0x304, 1 << 16);
        bench.advance(Time::from_us(3));
        run(&mut bench, task::START);
        bench.advance(Time(Time::from_us(150).0 - 1));
        assert!(!bench.line(0) && captured(&mut bench) == 149, "1 MHz after reset");
        bench.advance(Time(1));
        assert!(bench.line(0) && captured(&mut bench) == 150);
        assert_eq!(bench.messages(), [Message::Published(0x4000_8140)]);
        bench.check_save_restore();
        run(&mut bench, task::STOP);
        bench.advance(Time::from_us(9));
        assert_eq!(captured(&mut bench), 150);
        run(&mut bench, task::START);
        bench.advance(Time::from_us(2));
        assert_eq!(captured(&mut bench), 152);
        run(&mut bench, task::CAPTURE5);
        bench.read32(0x550);
        assert_eq!(bench.services.unimplemented.len(), 1, "there are four");
    }

    #[test]
    fn shorts_give_a_period_and_an_end() {
        let mut bench = bench();
        bench.write32(0x510, 0);
        bench.write32(0x540, 16);
        bench.write32(0x544, 16);
        bench.write32(0x200, 1);
        run(&mut bench, task::START);
        bench.advance(Time(Time::from_us(10).0 + 500_000));
        let both = [Message::Published(0x4000_8140), Message::Published(0x4000_8144)];
        assert_eq!(bench.messages(), both.repeat(10));
        assert_eq!(captured(&mut bench), 8);
        bench.write32(0x200, 0x201);
        bench.advance(Time::from_us(20));
        assert_eq!((captured(&mut bench), bench.messages().len()), (0, 2));
    }

    #[test]
    fn wraps_at_its_width() {
        let mut bench = bench();
        bench.write32(0x508, 1);
        bench.write32(0x540, 4);
        bench.write32(0x544, 0x104);
        run(&mut bench, task::START);
        bench.advance(Time::from_us(600));
        let at = |offset: u32| Message::Published(0x4000_8000 + offset);
        let wraps = [at(0x148), at(0x14c)];
        let expected = [&[at(0x140)][..], &wraps, &[at(0x140)], &wraps, &[at(0x140)]].concat();
        assert_eq!(bench.messages(), expected, "CC[1] is beyond eight bits");
        assert_eq!(captured(&mut bench), 600 - 512);
    }

    #[test]
    fn counter_mode_counts_tasks() {
        let mut bench = bench();
        bench.write32(0x504, 1);
        bench.write32(0x540, 2);
        run(&mut bench, task::COUNT);
        run(&mut bench, task::START);
        run(&mut bench, task::COUNT);
        bench.advance(Time::from_ms(1));
        assert_eq!((captured(&mut bench), bench.read32(0x140)), (1, 0));
        run(&mut bench, task::COUNT);
        assert_eq!((captured(&mut bench), bench.read32(0x140)), (2, 1));
        run(&mut bench, task::CLEAR);
        assert_eq!(captured(&mut bench), 0);
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
