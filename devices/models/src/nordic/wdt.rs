//! Watchdog timer (WDT).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 28, and the nRF51 Series Reference Manual v3.0, chapter 26.
//! Once started it runs until it resets the chip, two ticks of 32768 Hz after its TIMEOUT event, through resets by
//! software. POWER hears the event and tells the reason.
//!
//! Left out: pausing while the core sleeps or a debugger halts it (CONFIG is kept, without effect).

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, Request, RestoreError, Time, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-wdt"], summary: "nRF watchdog", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000 }
    events { TIMEOUT = 0x100 }
    shorts {}
}

const HZ: u64 = 32_768;
/// What reloads a register.
const RELOAD: u32 = 0x6e52_4635;
/// The shortest time-out.
const MIN_TICKS: u32 = 0xf;

mod token {
    pub const TIMEOUT: u32 = 0;
    pub const RESET: u32 = 1;
}

/// The block without its common registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Watchdog {
    running: bool,
    /// The next reset is its own.
    barked: bool,
    reload: u32,
    enabled: u32,
    config: u32,
    /// Registers that still have to be reloaded.
    requested: u32,
    /// The tick of TIMEOUT.
    deadline: u64,
}

impl Default for Watchdog {
    fn default() -> Watchdog {
        Watchdog {
            running: false,
            barked: false,
            reload: u32::MAX,
            enabled: 1,
            config: 1,
            requested: 1,
            deadline: 0,
        }
    }
}

impl Watchdog {
    fn restart(&mut self, ctx: &mut Ctx) {
        self.requested = self.enabled;
        self.deadline = ctx.now().ticks(HZ) + u64::from(self.reload.max(MIN_TICKS)) + 1;
        ctx.schedule(token::TIMEOUT, Time::of_tick(self.deadline, HZ));
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Watchdog::default())))
}

impl Component for Watchdog {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        [
            ("RUNSTATUS", u32::from(self.running)),
            ("REQSTATUS", self.requested),
            ("CRV", self.reload),
            ("RREN", self.enabled),
        ]
        .map(|(name, value)| Field { name: name.to_string(), value: format!("{value:#x}") })
        .into()
    }
}

impl Peripheral for Watchdog {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        if !self.running || self.barked {
            *self = Watchdog::default();
        } else {
            ctx.schedule(token::TIMEOUT, Time::of_tick(self.deadline, HZ));
        }
    }

    fn power_down(&mut self, block: &mut Block, ctx: &mut Ctx) {
        ctx.cancel_all();
        block.reset(ctx);
        *self = Watchdog::default();
    }

    fn task(&mut self, _block: &mut Block, ctx: &mut Ctx, _task: u32) {
        if !std::mem::replace(&mut self.running, true) {
            self.restart(ctx);
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        Some(match at.offset {
            0x400 => self.running.into(),
            0x404 => self.requested,
            0x504 => self.reload,
            0x508 => self.enabled,
            0x50c => self.config,
            0x600..0x620 => 0,
            _ => return None,
        })
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            0x400 | 0x404 => {}
            // The configuration is locked once it runs.
            0x504..=0x50c if self.running => {}
            0x504 => self.reload = value,
            0x508 => {
                self.enabled = value & 0xff;
                self.requested = self.enabled;
            }
            0x50c => self.config = value & 9,
            0x600..0x620 => {
                if self.running && value == RELOAD {
                    self.requested &= !(1 << ((at.offset - 0x600) / 4));
                    if self.requested == 0 {
                        self.restart(ctx);
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        if token == token::TIMEOUT {
            self.barked = true;
            block.raise(ctx, event::TIMEOUT);
            ctx.schedule(token::RESET, Time::of_tick(self.deadline + 2, HZ));
        } else {
            ctx.complain("the watchdog resets the chip");
            ctx.request(Request::Reset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<Nordic<Watchdog>> {
        Bench::new(Nordic::new(0x4001_0000, &LAYOUT, Watchdog::default()))
    }

    #[test]
    fn barks_then_bites_unless_fed() {
        let mut bench = bench();
        bench.write32(0x504, 32767);
        bench.write32(0x508, 5);
        bench.write32(0x304, 1);
        bench.write32(0x000, 1);
        bench.write32(0x504, 1);
        bench.write32(0x508, 1);
        assert_eq!([0x400, 0x404, 0x504, 0x508].map(|offset| bench.read32(offset)), [1, 5, 32767, 5]);
        bench.advance(Time::from_ms(900));
        bench.write32(0x600, RELOAD);
        bench.write32(0x608, 1);
        assert_eq!(bench.read32(0x404), 4);
        bench.write32(0x608, RELOAD);
        bench.advance(Time::from_ms(999));
        assert!(!bench.line(0));
        bench.advance(Time::from_ms(1));
        assert!(bench.line(0) && bench.requests().is_empty());
        bench.advance(Time::from_us(62));
        assert_eq!(bench.requests(), [Request::Reset]);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!([0x400, 0x508].map(|offset| bench.read32(offset)), [0, 1]);
    }

    #[test]
    fn survives_a_reset_by_software() {
        let mut bench = bench();
        bench.write32(0x504, 100);
        bench.write32(0x000, 1);
        bench.services.events.cancel_all(0);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!([0x400, 0x504].map(|offset| bench.read32(offset)), [1, 100]);
        bench.check_save_restore();
        bench.advance(Time::from_ms(4));
        assert_eq!(bench.requests(), [Request::Reset]);
    }
}
