//! FPGA system control and I/O of the MPS2 boards: LEDs, buttons and counters.
//!
//! Follows Application Note AN386 (ARM DAI 0386), section 4.3. Output lines `pin(0)` and `pin(1)` are the user LEDs,
//! input lines `pin(0)` and `pin(1)` the buttons. The counters run with virtual time; the prescaled one with the node's
//! `clock-frequency`, or 25 MHz.
//!
//! Left out: the signals of `MISC`, which belong to the display and the SPI ports (the bits are kept).

use crate::timer::down_counter::{Clock, DownCounter};
use devices_core::device::floating;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, Width, Widths, pin,
    state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["arm,mps2-fpgaio"],
    summary: "MPS2 LEDs, buttons and counters",
    rom: &[],
    ram: &[],
    build,
};

const LEDS: u32 = 2;
const BUTTONS: u32 = 2;

#[derive(Default, Serialize, Deserialize)]
struct State {
    leds: u32,
    misc: u32,
    /// Held buttons; survive a reset.
    buttons: u32,
    /// What the counters at 1 Hz and at 100 Hz read when time began.
    seconds: u32,
    centiseconds: u32,
    prescaler: DownCounter,
    /// How often the prescaler had wrapped at `since`, the clock's count from which it counts.
    count: u32,
    since: u64,
}

/// The block on the bus.
struct Fpgaio {
    state: State,
    hz: u64,
    /// Of the latest call, for inspection.
    now: Time,
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let hz = args.node.u32("clock-frequency").unwrap_or(25_000_000);
    Ok(Box::new(Fpgaio { state: State::default(), hz: hz.into(), now: Time::ZERO }))
}

impl Fpgaio {
    fn clock(&self) -> Clock {
        Clock { hz: self.hz, divisor: 1 }
    }

    /// How often the prescaler has started over by `now`.
    fn count(&self, now: Time) -> u32 {
        let state = &self.state;
        let passed = now.ticks(self.hz).saturating_sub(state.since);
        let first = u64::from(state.prescaler.base());
        let wraps = match passed.checked_sub(first) {
            None | Some(0) => 0,
            Some(behind) => (behind - 1) / (u64::from(state.prescaler.reload) + 1) + 1,
        };
        state.count.wrapping_add(wraps as u32)
    }

    /// Counts from here on.
    fn settle(&mut self, now: Time) {
        let (clock, count) = (self.clock(), self.count(now));
        self.state.count = count;
        self.state.since = now.ticks(self.hz);
        let value = self.state.prescaler.value(clock, now);
        self.state.prescaler.set(clock, now, value);
    }

    fn read(&self, now: Time, offset: u64) -> Option<u32> {
        let state = &self.state;
        Some(match offset {
            0x00 => state.leds,
            0x08 => state.buttons,
            0x10 => state.seconds.wrapping_add(now.ticks(1) as u32),
            0x14 => state.centiseconds.wrapping_add(now.ticks(100) as u32),
            0x18 => self.count(now),
            0x1c => state.prescaler.reload,
            0x20 => state.prescaler.value(self.clock(), now),
            0x4c => state.misc,
            _ => return None,
        })
    }

    fn update(&mut self, ctx: &mut Ctx) {
        self.now = ctx.now();
        for n in 0..LEDS {
            ctx.set_line(pin(n), self.state.leds >> n & 1 != 0);
            ctx.set_line(floating(n), false);
        }
    }
}

impl Component for Fpgaio {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let names = [("LED0", 0x00), ("BUTTON", 0x08), ("COUNTER", 0x18), ("PRESCALE", 0x1c), ("MISC", 0x4c)];
        let show = |(name, offset): (&str, u64)| {
            let value = self.read(self.now, offset)?;
            Some(Field { name: name.to_string(), value: format!("{value:#010x}") })
        };
        names.into_iter().filter_map(show).collect()
    }
}

impl Device for Fpgaio {
    fn reset(&mut self, ctx: &mut Ctx) {
        let now = ctx.now();
        self.state = State {
            buttons: self.state.buttons,
            seconds: (now.ticks(1) as u32).wrapping_neg(),
            centiseconds: (now.ticks(100) as u32).wrapping_neg(),
            since: now.ticks(self.hz),
            ..State::default()
        };
        self.state.prescaler.run(self.clock(), now, true);
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        Fpgaio::read(self, ctx.now(), at.offset).map_or_else(
            || {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            },
            u64::from,
        )
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let (now, value) = (ctx.now(), value as u32);
        self.settle(now);
        let clock = self.clock();
        match at.offset {
            0x00 => self.state.leds = value & ((1 << LEDS) - 1),
            0x10 => self.state.seconds = value.wrapping_sub(now.ticks(1) as u32),
            0x14 => self.state.centiseconds = value.wrapping_sub(now.ticks(100) as u32),
            0x18 => self.state.count = value,
            0x1c => self.state.prescaler.reload = value,
            0x20 => self.state.prescaler.set(clock, now, value),
            0x4c => self.state.misc = value & 0x3ff,
            0x08 => {}
            _ => ctx.unimplemented(at.offset, true, "no such register"),
        }
        self.update(ctx);
    }

    fn line(&mut self, _ctx: &mut Ctx, input: u32, level: bool) {
        if let Some(n) = input.checked_sub(pin(0)).filter(|n| *n < BUTTONS) {
            self.state.buttons = self.state.buttons & !(1 << n) | u32::from(level) << n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<Fpgaio> {
        Bench::new(Fpgaio { state: State::default(), hz: 1_000_000, now: Time::ZERO })
    }

    #[test]
    fn counters_run() {
        let mut bench = bench();
        bench.advance(Time::from_ms(2_345));
        assert_eq!([0x10, 0x14, 0x18].map(|at| bench.read32(at)), [2, 234, 2_345_000]);
        bench.write32(0x14, 5);
        bench.write32(0x1c, 4);
        bench.write32(0x20, 7);
        bench.write32(0x18, 100);
        let mut seen = Vec::new();
        for _ in 0..14 {
            seen.push((bench.read32(0x20), bench.read32(0x18)));
            bench.advance(Time::from_us(1));
        }
        let values: Vec<u32> = seen.iter().map(|seen| seen.0).collect();
        assert_eq!(values, [7, 6, 5, 4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4]);
        assert_eq!((seen[7].1, seen[8].1, seen[13].1), (100, 101, 102));
        bench.advance(Time::from_ms(10));
        assert_eq!(bench.read32(0x14), 6);
        bench.check_save_restore();
    }

    #[test]
    fn leds_and_buttons() {
        let mut bench = bench();
        bench.write32(0, 0xfe);
        assert_eq!((bench.read32(0), bench.line(pin(0)), bench.line(pin(1))), (2, false, true));
        bench.call(|device, ctx| device.line(ctx, pin(1), true));
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(8), bench.read32(0)), (2, 0), "a finger stays where it is");
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x50);
            bench.check_save_restore();
            Ok(())
        });
    }
}
