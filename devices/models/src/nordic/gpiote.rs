//! GPIO tasks and events (GPIOTE).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 22, and the nRF51 Series Reference Manual v3.0, chapter 15.
//! Eight channels, four on the nRF51, which does not use the others. A channel in event mode generates IN at edges of
//! its pin; one in task mode drives it. PORT is generated when the DETECT of a port rises.
//!
//! Pins 0 to 31 are those of the first controller in `hyperemu,pins`, 32 to 63 those of the second: input line
//! `pin(n)` is a pin's level, output lines `pin(n)` and `taken(n)` drive it.
//!
//! Nothing is left out.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::gpio::{P0_DETECT, P1_DETECT};
use devices_core::device::taken;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, pin, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-gpiote"],
    summary: "nRF GPIO tasks and events",
    rom: &[],
    ram: &[],
    build,
};

const CHANNELS: usize = 8;
const PINS: u32 = 64;

crate::nordic_layout! {
    tasks {
        OUT0 = 0x000, OUT1 = 0x004, OUT2 = 0x008, OUT3 = 0x00c, OUT4 = 0x010, OUT5 = 0x014, OUT6 = 0x018, OUT7 = 0x01c,
        SET0 = 0x030, SET1 = 0x034, SET2 = 0x038, SET3 = 0x03c, SET4 = 0x040, SET5 = 0x044, SET6 = 0x048, SET7 = 0x04c,
        CLR0 = 0x060, CLR1 = 0x064, CLR2 = 0x068, CLR3 = 0x06c, CLR4 = 0x070, CLR5 = 0x074, CLR6 = 0x078, CLR7 = 0x07c,
    }
    events {
        IN0 = 0x100, IN1 = 0x104, IN2 = 0x108, IN3 = 0x10c, IN4 = 0x110, IN5 = 0x114, IN6 = 0x118, IN7 = 0x11c,
        PORT = 0x17c,
    }
    shorts {}
}

const EVENT_MODE: u32 = 1;
const TASK_MODE: u32 = 3;
const LOW_TO_HIGH: u32 = 1;
const HIGH_TO_LOW: u32 = 2;
const TOGGLE: u32 = 3;

/// A CONFIG register.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Config(u32);

impl Config {
    const MASK: u32 = 0x0013_3f03;

    fn mode(self) -> u32 {
        self.0 & 3
    }
    fn pin(self) -> u32 {
        self.0 >> 8 & 0x3f
    }
    fn polarity(self) -> u32 {
        self.0 >> 16 & 3
    }
    fn initial(self) -> bool {
        self.0 >> 20 & 1 != 0
    }
}

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gpiote {
    config: [Config; CHANNELS],
    /// One bit per channel: what it drives in task mode.
    level: u32,
    /// One bit per pin: its level. Survives a reset.
    pads: u64,
}

impl Gpiote {
    /// Drives a pin, or lets it go, as its channels say.
    fn drive(&self, ctx: &mut Ctx, n: u32) {
        let drives = |(index, config): (usize, &Config)| {
            (config.mode() == TASK_MODE && config.pin() == n).then_some(self.level >> index & 1 != 0)
        };
        let level = self.config.iter().enumerate().find_map(drives);
        ctx.set_line(pin(n), level == Some(true));
        ctx.set_line(taken(n), level.is_some());
    }

    fn set(&mut self, ctx: &mut Ctx, channel: usize, level: bool) {
        self.level = self.level & !(1 << channel) | u32::from(level) << channel;
        self.drive(ctx, self.config[channel].pin());
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Gpiote::default())))
}

impl Component for Gpiote {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |(index, config): (usize, &Config)| Field {
            name: format!("CONFIG[{index}]"),
            value: format!("{:#010x}", config.0),
        };
        self.config.iter().enumerate().map(show).collect()
    }
}

impl Peripheral for Gpiote {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        let before = std::mem::take(self);
        self.pads = before.pads;
        for config in before.config {
            self.drive(ctx, config.pin());
        }
    }

    fn task(&mut self, _block: &mut Block, ctx: &mut Ctx, task: u32) {
        let channel = (task % 0x30 / 4) as usize;
        let Some(config) = self.config.get(channel).copied().filter(|config| config.mode() == TASK_MODE)
        else {
            return;
        };
        let level = match (task / 0x30, config.polarity()) {
            (0, LOW_TO_HIGH) | (1, _) => true,
            (0, HIGH_TO_LOW) | (2, _) => false,
            (0, TOGGLE) => self.level >> channel & 1 == 0,
            _ => return,
        };
        self.set(ctx, channel, level);
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        let index = at.offset.checked_sub(0x510)? / 4;
        self.config.get(index as usize).map(|config| config.0)
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let channel = at.offset.checked_sub(0x510)? as usize / 4;
        let config = Config(value & Config::MASK);
        let before = std::mem::replace(self.config.get_mut(channel)?, config);
        if before.pin() != config.pin() {
            self.drive(ctx, before.pin());
        }
        // OUTINIT counts when the channel becomes a task, not when it stays one.
        let level = match before.mode() == TASK_MODE && before.pin() == config.pin() {
            true => self.level >> channel & 1 != 0,
            false => config.initial(),
        };
        self.set(ctx, channel, level);
        Some(())
    }

    fn line(&mut self, block: &mut Block, ctx: &mut Ctx, input: u32, level: bool) {
        let Some(n) = input.checked_sub(pin(0)).filter(|n| *n < PINS) else { return };
        let was = self.pads >> n & 1 != 0;
        self.pads = self.pads & !(1 << n) | u64::from(level) << n;
        if was == level {
            return;
        }
        let edge = if level { LOW_TO_HIGH } else { HIGH_TO_LOW };
        for (event, config) in (event::IN0..).step_by(4).zip(self.config) {
            if config.mode() == EVENT_MODE && config.pin() == n && config.polarity() & edge != 0 {
                block.raise(ctx, event);
            }
        }
    }

    fn listens(&self) -> bool {
        true
    }

    fn published(&mut self, block: &mut Block, ctx: &mut Ctx, address: u32) {
        if matches!(address, P0_DETECT | P1_DETECT) {
            block.raise(ctx, event::PORT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::Device;
    use devices_core::bench::Bench;

    fn bench() -> Bench<Nordic<Gpiote>> {
        Bench::new(Nordic::new(0x4000_6000, &LAYOUT, Gpiote::default()))
    }

    fn pad(bench: &mut Bench<Nordic<Gpiote>>, n: u32, level: bool) {
        bench.call(|device, ctx| device.line(ctx, pin(n), level));
    }

    #[test]
    fn edges_make_events() {
        let mut bench = bench();
        bench.write32(0x510, EVENT_MODE | 13 << 8 | LOW_TO_HIGH << 16);
        bench.write32(0x514, EVENT_MODE | 13 << 8 | HIGH_TO_LOW << 16);
        bench.write32(0x518, EVENT_MODE | 45 << 8 | TOGGLE << 16);
        bench.write32(0x304, 7);
        let seen = |bench: &mut Bench<Nordic<Gpiote>>| {
            [0x100, 0x104, 0x108].map(|offset| {
                let seen = bench.read32(offset);
                bench.write32(offset, 0);
                seen
            })
        };
        pad(&mut bench, 13, true);
        assert!(bench.line(0));
        assert_eq!(seen(&mut bench), [1, 0, 0]);
        pad(&mut bench, 13, false);
        pad(&mut bench, 45, true);
        assert_eq!(seen(&mut bench), [0, 1, 1]);
        pad(&mut bench, 14, true);
        assert_eq!(seen(&mut bench), [0, 0, 0]);
        bench.check_save_restore();
    }

    #[test]
    fn tasks_drive_the_pin() {
        let mut bench = bench();
        let lines = |bench: &Bench<Nordic<Gpiote>>| (bench.line(taken(7)), bench.line(pin(7)));
        bench.write32(0x51c, TASK_MODE | 7 << 8 | TOGGLE << 16 | 1 << 20);
        assert_eq!(lines(&bench), (true, true));
        bench.write32(task::OUT3.into(), 1);
        assert_eq!(lines(&bench), (true, false));
        bench.write32(task::SET3.into(), 1);
        bench.write32(task::CLR2.into(), 1);
        assert_eq!(lines(&bench), (true, true));
        bench.write32(task::CLR3.into(), 1);
        assert_eq!(lines(&bench), (true, false));
        bench.write32(0x51c, TASK_MODE | 7 << 8 | LOW_TO_HIGH << 16 | 1 << 20);
        assert_eq!(lines(&bench), (true, false), "it was a task before");
        bench.write32(task::OUT3.into(), 1);
        assert_eq!(lines(&bench), (true, true));
        bench.write32(0x51c, 0);
        assert_eq!(lines(&bench), (false, false));
    }

    #[test]
    fn a_reset_lets_go() {
        let mut bench = bench();
        bench.write32(0x510, TASK_MODE | 33 << 8 | 1 << 20);
        assert!(bench.line(taken(33)));
        bench.call(|device, ctx| device.reset(ctx));
        assert!(!bench.line(taken(33)) && !bench.line(pin(33)));
        bench.call(|device, ctx| device.published(ctx, P0_DETECT));
        assert_eq!(bench.read32(event::PORT.into()), 1);
    }
}
