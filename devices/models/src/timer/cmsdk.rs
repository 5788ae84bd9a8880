//! The timer, dual timer and watchdog of the Cortex-M System Design Kit.
//!
//! Follows sections 4.1 (timer), 4.4 (dual timer) and 4.5 (watchdog) of the Cortex-M System Design Kit Technical
//! Reference Manual (ARM DDI 0479D). The clock is the node's `clock-frequency`, or 25 MHz as on the MPS2 boards.
//! Interrupt output 0 is the combined interrupt of a dual timer; the watchdog's leads to the NMI.
//!
//! Left out: the timer's external input as enable and clock, the clock enable inputs of the dual timer, and the
//! integration test registers. A reload value of 0 stops a timer, as QEMU has it; the manual does not say.

use super::down_counter::{Clock, DownCounter};
use crate::power::cmsdk_id;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, Request, RestoreError, Time, Width,
    Widths, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry of the timer.
pub const TIMER: Model = Model {
    compatible: &["arm,cmsdk-timer"],
    summary: "CMSDK timer",
    rom: &[],
    ram: &[],
    build: |args| build::<Timer>(args),
};

/// Registry entry of the dual timer.
pub const DUAL: Model = Model {
    compatible: &["arm,cmsdk-dtimer"],
    summary: "CMSDK dual timer",
    rom: &[],
    ram: &[],
    build: |args| build::<[Counter; 2]>(args),
};

/// Registry entry of the watchdog.
pub const WATCHDOG: Model = Model {
    compatible: &["arm,cmsdk-watchdog"],
    summary: "CMSDK watchdog",
    rom: &[],
    ram: &[],
    build: |args| build::<Watchdog>(args),
};

/// What the three differ in.
trait Block: Default + Serialize + for<'de> Deserialize<'de> + 'static {
    /// The part number in its identification.
    const PART: u8;

    /// A read; `None` where there is no register.
    fn read(&self, hz: u64, now: Time, offset: u64) -> Option<u32>;

    /// A write; false where there is no register.
    fn write(&mut self, hz: u64, now: Time, offset: u64, value: u32) -> bool;

    /// Its counters, each with its clock.
    fn counters(&self, hz: u64) -> Vec<(Clock, DownCounter)>;

    /// Counter `index` is at 0, now. True asks for a reset of the machine.
    fn zero(&mut self, hz: u64, now: Time, index: usize) -> bool;

    /// Level of the interrupt output.
    fn interrupt(&self) -> bool;

    /// Names of the registers for the monitor.
    fn registers() -> &'static [(&'static str, u64)];
}

/// The timer.
#[derive(Default, Serialize, Deserialize)]
struct Timer {
    control: u32,
    pending: bool,
    counter: DownCounter,
}

const ENABLE: u32 = 1;
const TIMER_INTERRUPT: u32 = 1 << 3;

impl Block for Timer {
    const PART: u8 = 0x22;

    fn read(&self, hz: u64, now: Time, offset: u64) -> Option<u32> {
        Some(match offset {
            0x0 => self.control,
            0x4 => self.counter.value(plain(hz), now),
            0x8 => self.counter.reload,
            0xc => self.pending.into(),
            _ => return None,
        })
    }

    fn write(&mut self, hz: u64, now: Time, offset: u64, value: u32) -> bool {
        match offset {
            0x0 => {
                self.control = value & 0xf;
                self.counter.run(plain(hz), now, value & ENABLE != 0);
            }
            0x4 => self.counter.set(plain(hz), now, value),
            0x8 => {
                // A timer that stands at 0 starts with its first reload value.
                let fresh = self.counter.value(plain(hz), now) == 0;
                self.counter.set_reload(plain(hz), now, value);
                if fresh {
                    self.counter.set(plain(hz), now, value);
                }
            }
            0xc => self.pending &= value & 1 == 0,
            _ => return false,
        }
        true
    }

    fn counters(&self, hz: u64) -> Vec<(Clock, DownCounter)> {
        vec![(plain(hz), self.counter)]
    }

    fn zero(&mut self, _hz: u64, _now: Time, _index: usize) -> bool {
        self.pending |= self.control & TIMER_INTERRUPT != 0;
        false
    }

    fn interrupt(&self) -> bool {
        self.pending
    }

    fn registers() -> &'static [(&'static str, u64)] {
        &[("CTRL", 0), ("VALUE", 4), ("RELOAD", 8), ("INTSTATUS", 0xc)]
    }
}

/// One half of the dual timer.
#[derive(Serialize, Deserialize)]
struct Counter {
    control: u32,
    load: u32,
    pending: bool,
    counter: DownCounter,
}

const ONE_SHOT: u32 = 1;
const SIZE_32: u32 = 1 << 1;
const DUAL_INTERRUPT: u32 = 1 << 5;
const PERIODIC: u32 = 1 << 6;
const DUAL_ENABLE: u32 = 1 << 7;

impl Default for Counter {
    fn default() -> Counter {
        let counter = DownCounter::stopped(0xffff);
        Counter { control: DUAL_INTERRUPT, load: 0, pending: false, counter }
    }
}

impl Counter {
    fn clock(&self, hz: u64) -> Clock {
        // 0b11 is undefined.
        Clock { hz, divisor: [1, 16, 256, 256][(self.control >> 2 & 3) as usize] }
    }

    fn mask(&self) -> u32 {
        if self.control & SIZE_32 != 0 { u32::MAX } else { 0xffff }
    }

    /// Where it starts over, as its mode has it.
    fn reload(&self) -> u32 {
        match self.control & (PERIODIC | ONE_SHOT) {
            mode if mode & ONE_SHOT != 0 => 0,
            PERIODIC => self.load & self.mask(),
            _ => self.mask(),
        }
    }

    fn read(&self, hz: u64, now: Time, offset: u64) -> Option<u32> {
        Some(match offset {
            0x00 | 0x18 => self.load,
            0x04 => self.counter.value(self.clock(hz), now),
            0x08 => self.control,
            0x10 => self.pending.into(),
            0x14 => self.masked().into(),
            _ => return None,
        })
    }

    fn write(&mut self, hz: u64, now: Time, offset: u64, value: u32) -> bool {
        match offset {
            0x00 => {
                self.load = value;
                let (clock, mask) = (self.clock(hz), self.mask());
                self.counter.set_reload(clock, now, self.reload());
                self.counter.set(clock, now, value & mask);
            }
            0x08 => {
                self.counter.run(self.clock(hz), now, false);
                self.control = value & 0xef;
                let (clock, mask) = (self.clock(hz), self.mask());
                self.counter.set(clock, now, self.counter.value(clock, now) & mask);
                self.counter.set_reload(clock, now, self.reload());
                self.counter.run(clock, now, value & DUAL_ENABLE != 0);
            }
            0x0c => self.pending = false,
            0x18 => {
                self.load = value;
                self.counter.set_reload(self.clock(hz), now, self.reload());
            }
            _ => return false,
        }
        true
    }

    fn masked(&self) -> bool {
        self.pending && self.control & DUAL_INTERRUPT != 0
    }
}

impl Block for [Counter; 2] {
    const PART: u8 = 0x23;

    fn read(&self, hz: u64, now: Time, offset: u64) -> Option<u32> {
        self.get(offset as usize >> 5)?.read(hz, now, offset & 0x1f)
    }

    fn write(&mut self, hz: u64, now: Time, offset: u64, value: u32) -> bool {
        self.get_mut(offset as usize >> 5).is_some_and(|half| half.write(hz, now, offset & 0x1f, value))
    }

    fn counters(&self, hz: u64) -> Vec<(Clock, DownCounter)> {
        self.iter().map(|half| (half.clock(hz), half.counter)).collect()
    }

    fn zero(&mut self, _hz: u64, _now: Time, index: usize) -> bool {
        if let Some(half) = self.get_mut(index) {
            half.pending = true;
        }
        false
    }

    fn interrupt(&self) -> bool {
        self.iter().any(Counter::masked)
    }

    fn registers() -> &'static [(&'static str, u64)] {
        &[
            ("TIMER1LOAD", 0x00),
            ("TIMER1VALUE", 0x04),
            ("TIMER1CONTROL", 0x08),
            ("TIMER1RIS", 0x10),
            ("TIMER2LOAD", 0x20),
            ("TIMER2VALUE", 0x24),
            ("TIMER2CONTROL", 0x28),
            ("TIMER2RIS", 0x30),
        ]
    }
}

/// The watchdog.
#[derive(Serialize, Deserialize)]
struct Watchdog {
    control: u32,
    pending: bool,
    locked: bool,
    counter: DownCounter,
}

const WATCHDOG_INTERRUPT: u32 = 1;
const WATCHDOG_RESET: u32 = 2;
const UNLOCK: u32 = 0x1acc_e551;

impl Default for Watchdog {
    fn default() -> Watchdog {
        let counter = DownCounter::stopped(u32::MAX);
        Watchdog { control: 0, pending: false, locked: false, counter }
    }
}

impl Block for Watchdog {
    const PART: u8 = 0x24;

    fn read(&self, hz: u64, now: Time, offset: u64) -> Option<u32> {
        Some(match offset {
            0x00 => self.counter.reload,
            0x04 => self.counter.value(plain(hz), now),
            0x08 => self.control,
            0x0c => 0,
            0x10 => self.pending.into(),
            0x14 => self.interrupt().into(),
            0xc00 => self.locked.into(),
            _ => return None,
        })
    }

    fn write(&mut self, hz: u64, now: Time, offset: u64, value: u32) -> bool {
        let clock = plain(hz);
        match offset {
            0xc00 => self.locked = value != UNLOCK,
            0x00 | 0x08 | 0x0c if self.locked => {}
            0x00 => {
                self.counter.set_reload(clock, now, value);
                self.counter.set(clock, now, value);
            }
            0x08 => {
                let started = value & !self.control & WATCHDOG_INTERRUPT != 0;
                self.control = value & 3;
                if started {
                    self.counter.set(clock, now, self.counter.reload);
                }
                self.counter.run(clock, now, value & WATCHDOG_INTERRUPT != 0);
            }
            0x0c => {
                self.pending = false;
                self.counter.set(clock, now, self.counter.reload);
            }
            _ => return false,
        }
        true
    }

    fn counters(&self, hz: u64) -> Vec<(Clock, DownCounter)> {
        vec![(plain(hz), self.counter)]
    }

    fn zero(&mut self, hz: u64, now: Time, _index: usize) -> bool {
        if !std::mem::replace(&mut self.pending, true) {
            return false;
        }
        // The second time: nobody has cleared the interrupt.
        self.counter.run(plain(hz), now, false);
        self.control & WATCHDOG_RESET != 0
    }

    fn interrupt(&self) -> bool {
        self.pending && self.control & WATCHDOG_INTERRUPT != 0
    }

    fn registers() -> &'static [(&'static str, u64)] {
        &[("LOAD", 0), ("VALUE", 4), ("CONTROL", 8), ("RIS", 0x10), ("LOCK", 0xc00)]
    }
}

fn plain(hz: u64) -> Clock {
    Clock { hz, divisor: 1 }
}

/// One of the three on the bus.
struct Cmsdk<B> {
    block: B,
    hz: u64,
    /// Of the latest call, for inspection.
    now: Time,
}

fn build<B: Block>(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let hz = args.node.u32("clock-frequency").unwrap_or(25_000_000);
    Ok(Box::new(Cmsdk { block: B::default(), hz: hz.into(), now: Time::ZERO }))
}

impl<B: Block> Cmsdk<B> {
    fn update(&mut self, ctx: &mut Ctx) {
        self.now = ctx.now();
        for (index, (clock, counter)) in self.block.counters(self.hz).iter().enumerate() {
            ctx.schedule(index as u32, counter.zero(*clock, ctx.now()));
        }
        ctx.set_line(0, self.block.interrupt());
    }
}

impl<B: Block> Component for Cmsdk<B> {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.block)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.block = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |&(name, offset): &(&str, u64)| {
            let value = self.block.read(self.hz, self.now, offset)?;
            Some(Field { name: name.to_string(), value: format!("{value:#010x}") })
        };
        B::registers().iter().filter_map(show).collect()
    }
}

impl<B: Block> Device for Cmsdk<B> {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.block = B::default();
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let value = cmsdk_id(B::PART, at.offset).or(self.block.read(self.hz, ctx.now(), at.offset));
        value.map_or_else(
            || {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            },
            u64::from,
        )
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        if !self.block.write(self.hz, ctx.now(), at.offset, value as u32) {
            ctx.unimplemented(at.offset, true, "no such register");
        }
        self.update(ctx);
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        if self.block.zero(self.hz, ctx.now(), token as usize) {
            ctx.request(Request::Reset);
        }
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench<B: Block>() -> Bench<Cmsdk<B>> {
        Bench::new(Cmsdk { block: B::default(), hz: 1_000_000, now: Time::ZERO })
    }

    #[test]
    fn a_timer_interrupts_each_period() {
        let mut bench = bench::<Timer>();
        bench.write32(8, 9);
        bench.write32(0, ENABLE | TIMER_INTERRUPT);
        bench.advance(Time::from_us(8));
        assert_eq!((bench.read32(4), bench.line(0)), (1, false));
        bench.advance(Time::from_us(1));
        assert_eq!((bench.read32(4), bench.line(0), bench.read32(0xc)), (0, true, 1));
        bench.write32(0xc, 1);
        assert!(!bench.line(0));
        bench.advance(Time::from_us(10));
        assert!(bench.line(0), "again after the reload value and one");
        bench.check_save_restore();
        assert_eq!(bench.read32(0xfe0), 0x22);
    }

    #[test]
    fn a_dual_timer_counts_by_its_mode() {
        let mut bench = bench::<[Counter; 2]>();
        assert_eq!((bench.read32(0x04), bench.read32(0x28)), (0xffff, 0x20));
        // Free-running with 16 bits, periodic with a prescaler of 16, interrupts on.
        bench.write32(0x08, DUAL_ENABLE);
        bench.write32(0x28, PERIODIC | SIZE_32 | 1 << 2 | DUAL_ENABLE | DUAL_INTERRUPT);
        bench.write32(0x20, 4);
        bench.advance(Time::from_us(63));
        assert_eq!((bench.read32(0x04), bench.line(0)), (0xffff - 63, false));
        bench.advance(Time::from_us(1));
        assert_eq!((bench.line(0), bench.read32(0x34), bench.read32(0x24)), (true, 1, 0));
        bench.write32(0x2c, 0);
        bench.advance(Time::from_us(80));
        assert!(bench.line(0));
        // One shot: no second interrupt.
        bench.write32(0x28, ONE_SHOT | SIZE_32 | DUAL_ENABLE | DUAL_INTERRUPT);
        bench.write32(0x20, 5);
        bench.write32(0x2c, 0);
        bench.advance(Time::from_us(5));
        assert!(bench.line(0));
        bench.write32(0x2c, 0);
        bench.advance(Time::from_ms(100));
        assert_eq!((bench.line(0), bench.read32(0x24)), (false, 0));
        assert_eq!(bench.read32(0x10), 1, "the other has wrapped without its interrupt enabled");
    }

    #[test]
    fn a_watchdog_barks_and_then_bites() {
        let mut bench = bench::<Watchdog>();
        bench.write32(0, 100);
        bench.write32(8, 3);
        bench.write32(0xc00, 0);
        bench.write32(8, 0);
        assert_eq!((bench.read32(8), bench.read32(0xc00)), (3, 1), "locked");
        bench.write32(0xc00, UNLOCK);
        bench.advance(Time::from_us(100));
        assert!(bench.line(0));
        bench.write32(0xc, 1);
        bench.advance(Time::from_us(100));
        assert_eq!((bench.line(0), bench.requests()), (true, vec![]));
        bench.advance(Time::from_us(101));
        assert_eq!(bench.requests(), [Request::Reset]);
    }

    #[test]
    fn survive_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let (mut timer, mut dual, mut dog) =
                (bench::<Timer>(), bench::<[Counter; 2]>(), bench::<Watchdog>());
            timer.torture(&bytes, 0x10);
            dual.torture(&bytes, 0x40);
            dog.torture(&bytes, 0x20);
            dual.check_save_restore();
            Ok(())
        });
    }
}
