//! The goldfish real-time clock.
//!
//! Follows `GOLDFISH-VIRTUAL-HARDWARE.TXT` (Android emulator, section "Goldfish timer"), the Linux driver
//! `drivers/rtc/rtc-goldfish.c` and the devicetree binding `google,goldfish-rtc`.
//!
//! The clock counts nanoseconds since 1970. It never looks at the host's clock: it starts at 2026-01-01T00:00:00Z, or
//! at the Unix time in seconds that the node's `hyperemu,epoch` gives (one or two cells), and goes on with virtual
//! time. Reset does not stop or set it, as a battery would have it. As on the original, the high half of the time is
//! latched by a read of the low half, and the alarm is set by a write of its low half; an alarm that is already past
//! goes off at once.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, Width, Widths, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["google,goldfish-rtc"], summary: "real-time clock", rom: &[], ram: &[], build };

/// 2026-01-01T00:00:00Z.
const EPOCH: u64 = 1_767_225_600;

const TIME_LOW: u64 = 0x00;
const TIME_HIGH: u64 = 0x04;
const ALARM_LOW: u64 = 0x08;
const ALARM_HIGH: u64 = 0x0c;
const IRQ_ENABLED: u64 = 0x10;
const CLEAR_ALARM: u64 = 0x14;
const ALARM_STATUS: u64 = 0x18;
const CLEAR_INTERRUPT: u64 = 0x1c;

/// The clock without its surroundings; `now` is nanoseconds of virtual time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clock {
    /// Nanoseconds from reset to 1970, modulo 2^64.
    offset: u64,
    latched_high: u32,
    alarm: u64,
    armed: bool,
    enabled: bool,
    pending: bool,
}

fn with_low(value: u64, low: u32) -> u64 {
    value & !0xffff_ffff | u64::from(low)
}

fn with_high(value: u64, high: u32) -> u64 {
    value & 0xffff_ffff | u64::from(high) << 32
}

impl Clock {
    /// Shows `epoch` seconds since 1970 at reset.
    pub fn new(epoch: u64) -> Clock {
        Clock {
            offset: epoch.wrapping_mul(1_000_000_000),
            latched_high: 0,
            alarm: 0,
            armed: false,
            enabled: false,
            pending: false,
        }
    }

    /// Nanoseconds since 1970.
    pub fn time(&self, now: u64) -> u64 {
        now.wrapping_add(self.offset)
    }

    fn set_time(&mut self, now: u64, time: u64) {
        self.offset = time.wrapping_sub(now);
    }

    /// Lets the alarm go off if it is time, and says how many nanoseconds are left if it is armed.
    pub fn check_alarm(&mut self, now: u64) -> Option<u64> {
        if self.armed && self.alarm <= self.time(now) {
            self.armed = false;
            self.pending = true;
        }
        self.armed.then(|| self.alarm - self.time(now))
    }

    /// Level of the interrupt output.
    pub fn interrupts(&self) -> bool {
        self.pending && self.enabled
    }

    fn read(&mut self, register: u64, now: u64) -> Option<u32> {
        Some(match register {
            TIME_LOW => {
                let time = self.time(now);
                self.latched_high = (time >> 32) as u32;
                time as u32
            }
            TIME_HIGH => self.latched_high,
            ALARM_LOW => self.alarm as u32,
            ALARM_HIGH => (self.alarm >> 32) as u32,
            IRQ_ENABLED => self.enabled.into(),
            ALARM_STATUS => self.armed.into(),
            CLEAR_ALARM | CLEAR_INTERRUPT => 0,
            _ => return None,
        })
    }

    fn write(&mut self, register: u64, now: u64, value: u32) -> Option<()> {
        match register {
            TIME_LOW => self.set_time(now, with_low(self.time(now), value)),
            TIME_HIGH => self.set_time(now, with_high(self.time(now), value)),
            ALARM_LOW => {
                self.alarm = with_low(self.alarm, value);
                self.armed = true;
            }
            ALARM_HIGH => self.alarm = with_high(self.alarm, value),
            IRQ_ENABLED => self.enabled = value & 1 != 0,
            CLEAR_ALARM => self.armed = false,
            CLEAR_INTERRUPT => self.pending = false,
            ALARM_STATUS => {}
            _ => return None,
        }
        Some(())
    }
}

/// A goldfish RTC on the bus.
pub struct GoldfishRtc {
    clock: Clock,
}

impl GoldfishRtc {
    /// See [`Clock::new`].
    pub fn new(epoch: u64) -> GoldfishRtc {
        GoldfishRtc { clock: Clock::new(epoch) }
    }

    fn update(&mut self, ctx: &mut Ctx) {
        match self.clock.check_alarm(ctx.now().as_ns()) {
            // Whole nanoseconds of virtual time have to pass.
            Some(left) => ctx.schedule(0, Time::from_ns(ctx.now().as_ns().saturating_add(left))),
            None => ctx.cancel(0),
        }
        ctx.set_line(0, self.clock.interrupts());
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let name = "hyperemu,epoch";
    let epoch = match args.node.cells(name).as_deref() {
        None => EPOCH,
        Some([seconds]) => (*seconds).into(),
        Some([high, low]) => u64::from(*high) << 32 | u64::from(*low),
        Some(_) => return Err(BuildError::property(name, "a Unix time in seconds is one or two cells")),
    };
    if epoch.checked_mul(1_000_000_000).is_none() {
        return Err(BuildError::property(name, "the clock has no room for a time after the year 2554"));
    }
    Ok(Box::new(GoldfishRtc::new(epoch)))
}

impl Component for GoldfishRtc {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.clock)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.clock = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let Clock { offset, latched_high: _, alarm, armed, enabled, pending } = &self.clock;
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        vec![
            field("time at reset", format!("{offset} ns")),
            field("ALARM", format!("{alarm} ns")),
            field("ALARM_STATUS", u8::from(*armed).to_string()),
            field("IRQ_ENABLED", u8::from(*enabled).to_string()),
            field("pending", u8::from(*pending).to_string()),
        ]
    }
}

impl Device for GoldfishRtc {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.clock = Clock { offset: self.clock.offset, ..Clock::new(0) };
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let value = self.clock.read(at.offset, ctx.now().as_ns());
        value.map_or_else(
            || {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            },
            u64::from,
        )
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        match self.clock.write(at.offset, ctx.now().as_ns(), value as u32) {
            Some(()) => self.update(ctx),
            None => ctx.unimplemented(at.offset, true, "no such register"),
        }
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<GoldfishRtc> {
        Bench::new(GoldfishRtc::new(EPOCH))
    }

    /// As Linux does.
    fn time(bench: &mut Bench<GoldfishRtc>) -> u64 {
        let low = bench.read32(TIME_LOW);
        u64::from(bench.read32(TIME_HIGH)) << 32 | u64::from(low)
    }

    fn set_alarm(bench: &mut Bench<GoldfishRtc>, time: u64) {
        bench.write32(ALARM_HIGH, (time >> 32) as u32);
        bench.write32(ALARM_LOW, time as u32);
        bench.write32(IRQ_ENABLED, 1);
    }

    #[test]
    fn shows_the_epoch_and_runs() {
        let mut bench = bench();
        assert_eq!(time(&mut bench), 1_767_225_600_000_000_000);
        bench.advance(Time::from_ms(1500));
        assert_eq!(time(&mut bench), 1_767_225_601_500_000_000);
    }

    #[test]
    fn the_high_half_belongs_to_the_low_half_read_before() {
        let mut bench = Bench::new(GoldfishRtc::new(0));
        bench.advance(Time::from_ns(0xffff_ffff));
        assert_eq!(bench.read32(TIME_LOW), 0xffff_ffff);
        bench.advance(Time::from_ns(1));
        assert_eq!(bench.read32(TIME_HIGH), 0);
        assert_eq!((bench.read32(TIME_LOW), bench.read32(TIME_HIGH)), (0, 1));
    }

    #[test]
    fn can_be_set() {
        let mut bench = bench();
        bench.advance(Time::from_ms(3));
        bench.write32(TIME_HIGH, 0x0123_4567);
        bench.write32(TIME_LOW, 0x89ab_cdef);
        assert_eq!(time(&mut bench), 0x0123_4567_89ab_cdef);
        bench.call(|device, ctx| device.reset(ctx));
        bench.advance(Time::from_ns(1));
        assert_eq!(time(&mut bench), 0x0123_4567_89ab_cdf0, "goes on over a reset");
    }

    #[test]
    fn alarm() {
        let mut bench = bench();
        let at = time(&mut bench) + 1_000_000;
        set_alarm(&mut bench, at);
        assert_eq!(bench.read32(ALARM_STATUS), 1);
        bench.advance(Time(Time::from_ms(1).0 - 1));
        assert!(!bench.line(0));
        bench.advance(Time(1));
        assert!(bench.line(0));
        assert_eq!(bench.read32(ALARM_STATUS), 0);
        bench.write32(IRQ_ENABLED, 0);
        assert!(!bench.line(0));
        bench.write32(IRQ_ENABLED, 1);
        assert!(bench.line(0));
        bench.write32(CLEAR_INTERRUPT, 1);
        assert!(!bench.line(0));
        set_alarm(&mut bench, at - 5);
        assert!(bench.line(0), "in the past: at once");
    }

    #[test]
    fn alarm_follows_the_clock_and_can_be_cleared() {
        let mut bench = bench();
        let start = time(&mut bench);
        set_alarm(&mut bench, start + 1_000_000_000_000);
        bench.write32(TIME_HIGH, ((start + 2_000_000_000_000) >> 32) as u32);
        assert!(bench.line(0), "the clock was set past it");
        bench.write32(CLEAR_INTERRUPT, 1);
        let start = time(&mut bench);
        set_alarm(&mut bench, start + 50);
        bench.write32(CLEAR_ALARM, 1);
        bench.advance(Time::from_us(1));
        assert!(!bench.line(0));
        assert_eq!(bench.read32(ALARM_STATUS), 0);
    }

    #[test]
    fn state_and_reset() {
        let mut bench = bench();
        let at = time(&mut bench) + 9;
        set_alarm(&mut bench, at);
        bench.read32(TIME_LOW);
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!([ALARM_LOW, ALARM_HIGH, IRQ_ENABLED, ALARM_STATUS].map(|r| bench.read32(r)), [0; 4]);
        bench.read32(0x20);
        assert_eq!(bench.services.unimplemented.len(), 1);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x28);
            assert_eq!(bench.line(0), bench.device.clock.interrupts());
            let now = bench.now.as_ns();
            let clock = &bench.device.clock;
            assert!(!clock.armed || clock.alarm > clock.time(now), "an alarm that is due has gone off");
            bench.check_save_restore();
            Ok(())
        });
    }
}
