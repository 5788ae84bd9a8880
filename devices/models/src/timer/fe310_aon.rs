//! The always-on block of the FE310: watchdog, real-time clock, backup registers, power management.
//!
//! Follows chapters 12 to 15 of the SiFive FE310-G002 Manual v1p5, and SiFive's sources (sifive-blocks,
//! `devices/mockaon`) where the manual is silent. Output lines: 0 watchdog, 1 real-time clock. The low-frequency clock
//! runs at 32768 Hz, whatever its trim says.
//!
//! The watchdog's reset resets the whole machine; `pmucause` then tells so, and the backup registers live on.
//! Comparators, which the manual leaves undefined, are all ones after reset.
//!
//! Left out: sleep (a write of `pmusleep` is told and ignored: the cores of this machine keep their power, and WFI is
//! how they idle), the wake-up inputs, the power programs' effects, the ring oscillator's frequency.

use super::generic::{Shape, Timer};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, Request, RestoreError, Time, Width,
    Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["sifive,aon0"],
    summary: "FE310 watchdog, real-time clock, power management",
    rom: &[],
    ram: &[],
    build,
};

/// Of the low-frequency clock, in hertz.
const CLOCK: u64 = 32_768;
const WATCHDOG: Shape = Shape { count_bits: 31, compare_bits: 16, comparators: 1, wraps_scaled: false };
const RTC: Shape = Shape { count_bits: 48, compare_bits: 32, comparators: 1, wraps_scaled: false };
/// Opens the watchdog or the power management for one write.
const KEY: u32 = 0x0051_f15e;
/// Starts the watchdog's counter over.
const FOOD: u32 = 0x0d09_f00d;

const SCALE: u32 = 0xf;
const RESET_ENABLE: u32 = 1 << 8;
const ZERO_ON_MATCH: u32 = 1 << 9;
const ENABLE_ALWAYS: u32 = 1 << 12;
const ENABLE_AWAKE: u32 = 1 << 13;
const PENDING: u32 = 1 << 28;
/// Reset causes in `pmucause`.
const POWER_ON: u32 = 0 << 8;
const BY_WATCHDOG: u32 = 2 << 8;

register_bank! {
    /// The registers. Those of the watchdog and the clock are views of their timers.
    enum Register {
        WdogCfg = 0x000, rw(0x1000_330f), reset 0, { scale: 0 .. 4, rsten: 8, zerocmp: 9, enalways: 12, encoreawake: 13, ip0: 28 };
        WdogCount = 0x008, rw(0x7fff_ffff), reset 0;
        WdogS = 0x010, ro, reset 0;
        WdogFeed = 0x018, wo(0), reset 0;
        WdogKey = 0x01c, rw(0), reset 0;
        WdogCmp0 = 0x020, rw(0xffff), reset 0xffff;
        RtcCfg = 0x040, rw(0x100f), reset 0, { scale: 0 .. 4, enalways: 12, ip0: 28 };
        RtcCountLow = 0x048, rw(u32::MAX), reset 0;
        RtcCountHigh = 0x04c, rw(0xffff), reset 0;
        RtcS = 0x050, ro, reset 0;
        RtcCmp0 = 0x060, rw(u32::MAX), reset u32::MAX;
        LfRoscCfg = 0x070, rw(0x401f_003f), reset 0xc010_0004, { div: 0 .. 6, trim: 16 .. 21, en: 30, rdy: 31 };
        LfClkMux = 0x07c, rw(0x1), reset 0, { lfextclk_sel: 0, lfextclk_mux_status: 31 };
        Backup0 = 0x080, rw(u32::MAX), reset 0;
        Backup1 = 0x084, rw(u32::MAX), reset 0;
        Backup2 = 0x088, rw(u32::MAX), reset 0;
        Backup3 = 0x08c, rw(u32::MAX), reset 0;
        Backup4 = 0x090, rw(u32::MAX), reset 0;
        Backup5 = 0x094, rw(u32::MAX), reset 0;
        Backup6 = 0x098, rw(u32::MAX), reset 0;
        Backup7 = 0x09c, rw(u32::MAX), reset 0;
        Backup8 = 0x0a0, rw(u32::MAX), reset 0;
        Backup9 = 0x0a4, rw(u32::MAX), reset 0;
        Backup10 = 0x0a8, rw(u32::MAX), reset 0;
        Backup11 = 0x0ac, rw(u32::MAX), reset 0;
        Backup12 = 0x0b0, rw(u32::MAX), reset 0;
        Backup13 = 0x0b4, rw(u32::MAX), reset 0;
        Backup14 = 0x0b8, rw(u32::MAX), reset 0;
        Backup15 = 0x0bc, rw(u32::MAX), reset 0;
        PmuWake0 = 0x100, rw(0x3ff), reset 0x1f0;
        PmuWake1 = 0x104, rw(0x3ff), reset 0x0f8;
        PmuWake2 = 0x108, rw(0x3ff), reset 0x030;
        PmuWake3 = 0x10c, rw(0x3ff), reset 0x030;
        PmuWake4 = 0x110, rw(0x3ff), reset 0x030;
        PmuWake5 = 0x114, rw(0x3ff), reset 0x030;
        PmuWake6 = 0x118, rw(0x3ff), reset 0x030;
        PmuWake7 = 0x11c, rw(0x3ff), reset 0x030;
        PmuSleep0 = 0x120, rw(0x3ff), reset 0x0f0;
        PmuSleep1 = 0x124, rw(0x3ff), reset 0x1f0;
        PmuSleep2 = 0x128, rw(0x3ff), reset 0x1d0;
        PmuSleep3 = 0x12c, rw(0x3ff), reset 0x1c0;
        PmuSleep4 = 0x130, rw(0x3ff), reset 0x1c0;
        PmuSleep5 = 0x134, rw(0x3ff), reset 0x1c0;
        PmuSleep6 = 0x138, rw(0x3ff), reset 0x1c0;
        PmuSleep7 = 0x13c, rw(0x3ff), reset 0x1c0;
        PmuIe = 0x140, rw(0xe), reset 0x1, { rtc: 1, dwakeup: 2, awakeup: 3 };
        PmuCause = 0x144, ro, reset 0, { wakeupcause: 0 .. 2, resetcause: 8 .. 10 };
        PmuSleep = 0x148, wo(0), reset 0;
        PmuKey = 0x14c, rw(0), reset 0;
    }
}

/// What software asked for beyond the registers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Effect {
    None,
    Sleep,
}

/// The block without its lines; time is in ticks of the low-frequency clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Aon {
    bank: Bank<Register>,
    watchdog: Timer,
    rtc: Timer,
    watchdog_open: bool,
    pmu_open: bool,
    /// The watchdog asked for the reset that is coming.
    bitten: bool,
}

impl Aon {
    fn new(cause: u32) -> Aon {
        let mut bank = Bank::<Register>::default();
        bank[Register::PmuCause] = cause;
        let mut watchdog = Timer::new([0xffff, 0, 0, 0]);
        watchdog.sticky = true;
        let rtc = Timer::new([u32::MAX, 0, 0, 0]);
        Aon { bank, watchdog, rtc, watchdog_open: false, pmu_open: false, bitten: false }
    }

    fn advance(&mut self, tick: u64) {
        self.watchdog.advance(WATCHDOG, tick);
        self.rtc.advance(RTC, tick);
    }

    /// Whether the watchdog resets the chip: once, when its comparator matches.
    fn bites(&mut self) -> bool {
        let elapsed = self.watchdog.scaled(WATCHDOG) >= self.watchdog.compare[0].into();
        let bites = elapsed && self.bank[Register::WdogCfg] & RESET_ENABLE != 0 && !self.bitten;
        self.bitten |= bites;
        bites
    }

    fn next_change(&self) -> Option<u64> {
        [self.watchdog.next_change(WATCHDOG), self.rtc.next_change(RTC)].into_iter().flatten().min()
    }

    fn read(&self, register: Register) -> u32 {
        let pending = |timer: &Timer| (timer.pending & 1) * PENDING;
        match register {
            Register::WdogCfg => self.bank[register] & !PENDING | pending(&self.watchdog),
            Register::WdogCount => self.watchdog.count() as u32,
            Register::WdogS => self.watchdog.scaled(WATCHDOG) as u32,
            Register::WdogKey => self.watchdog_open.into(),
            Register::RtcCfg => self.bank[register] | pending(&self.rtc),
            Register::RtcCountLow => self.rtc.count() as u32,
            Register::RtcCountHigh => (self.rtc.count() >> 32) as u32,
            Register::RtcS => self.rtc.scaled(RTC) as u32,
            // The oscillator is ready as soon as it is enabled.
            Register::LfRoscCfg => self.bank[register] & !(1 << 31) | (self.bank[register] & 1 << 30) << 1,
            Register::PmuKey => self.pmu_open.into(),
            _ => self.bank.read(register),
        }
    }

    fn write(&mut self, register: Register, value: u32) -> Effect {
        match register as usize {
            watchdog if watchdog <= Register::WdogCmp0 as usize => self.write_watchdog(register, value),
            pmu if pmu >= Register::PmuWake0 as usize => return self.write_pmu(register, value),
            _ => self.write_rtc(register, value),
        }
        Effect::None
    }

    /// Every write but that of the key needs the key before it, and takes it.
    fn write_watchdog(&mut self, register: Register, value: u32) {
        let open = std::mem::take(&mut self.watchdog_open);
        if register == Register::WdogKey {
            self.watchdog_open = value == KEY;
            return;
        }
        if !open {
            return;
        }
        self.bank.write(register, value);
        let timer = &mut self.watchdog;
        match register {
            Register::WdogCfg => {
                timer.scale = value & SCALE;
                timer.zero_on_match = value & ZERO_ON_MATCH != 0;
                timer.pending = u32::from(value & PENDING != 0);
                // The core never loses its power, so it is always awake.
                timer.always = value & (ENABLE_ALWAYS | ENABLE_AWAKE) != 0;
                timer.refresh(WATCHDOG);
            }
            Register::WdogCount => timer.set_count(WATCHDOG, value.into()),
            Register::WdogCmp0 => {
                timer.compare[0] = value & 0xffff;
                timer.refresh(WATCHDOG);
            }
            Register::WdogFeed if value == FOOD => timer.set_count(WATCHDOG, 0),
            _ => {}
        }
    }

    fn write_rtc(&mut self, register: Register, value: u32) {
        self.bank.write(register, value);
        let timer = &mut self.rtc;
        let count = timer.count();
        match register {
            Register::RtcCfg => {
                timer.scale = value & SCALE;
                timer.always = value & ENABLE_ALWAYS != 0;
                timer.refresh(RTC);
            }
            Register::RtcCountLow => timer.set_count(RTC, count & !0xffff_ffff | u64::from(value)),
            Register::RtcCountHigh => timer.set_count(RTC, count & 0xffff_ffff | u64::from(value) << 32),
            Register::RtcCmp0 => {
                timer.compare[0] = value;
                timer.refresh(RTC);
            }
            Register::LfClkMux => {
                // The status follows the selection.
                self.bank[register] = value & 1 | (value & 1) << 31;
            }
            _ => {}
        }
    }

    fn write_pmu(&mut self, register: Register, value: u32) -> Effect {
        let open = std::mem::take(&mut self.pmu_open);
        match register {
            Register::PmuKey => self.pmu_open = value == KEY,
            _ if !open => {}
            Register::PmuSleep => return Effect::Sleep,
            _ => drop(self.bank.write(register, value)),
        }
        Effect::None
    }
}

/// An FE310's always-on block on the bus.
pub struct Fe310Aon {
    aon: Aon,
}

impl Default for Fe310Aon {
    fn default() -> Self {
        Fe310Aon { aon: Aon::new(POWER_ON) }
    }
}

impl Fe310Aon {
    fn update(&mut self, ctx: &mut Ctx) {
        if self.aon.bites() {
            ctx.request(Request::Reset);
        }
        let next = self.aon.next_change().map_or(Time::NEVER, |tick| Time::of_tick(tick, CLOCK));
        ctx.schedule(0, next);
        ctx.set_line(0, self.aon.watchdog.pending & 1 != 0);
        ctx.set_line(1, self.aon.rtc.pending & 1 != 0);
    }
}

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Fe310Aon::default()))
}

impl Component for Fe310Aon {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.aon)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.aon = state::decode(bytes)?;
        self.aon.watchdog.clamp(WATCHDOG);
        self.aon.rtc.clamp(RTC);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut bank = self.aon.bank.clone();
        for register in [
            Register::WdogCfg,
            Register::WdogCount,
            Register::WdogS,
            Register::WdogKey,
            Register::RtcCfg,
            Register::RtcCountLow,
            Register::RtcCountHigh,
            Register::RtcS,
            Register::LfRoscCfg,
            Register::PmuKey,
        ] {
            bank[register] = self.aon.read(register);
        }
        bank.inspect()
    }
}

impl Device for Fe310Aon {
    fn reset(&mut self, ctx: &mut Ctx) {
        let mut aon = Aon::new(if self.aon.bitten { BY_WATCHDOG } else { POWER_ON });
        if self.aon.bitten {
            let backup =
                &devices_core::regs::Registers::ALL[Register::Backup0 as usize..=Register::Backup15 as usize];
            for &register in backup {
                let register: Register = register;
                aon.bank[register] = self.aon.bank[register];
            }
        }
        aon.advance(ctx.now().ticks(CLOCK));
        self.aon = aon;
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let Some(register) = self.aon.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        self.aon.advance(ctx.now().ticks(CLOCK));
        self.aon.read(register).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.aon.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        self.aon.advance(ctx.now().ticks(CLOCK));
        if self.aon.write(register, value as u32) == Effect::Sleep {
            ctx.unimplemented(at.offset, true, "power-down");
        }
        self.update(ctx);
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        self.aon.advance(ctx.now().ticks(CLOCK));
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    const WDOGCFG: u64 = 0x00;
    const WDOGCOUNT: u64 = 0x08;
    const WDOGS: u64 = 0x10;
    const WDOGFEED: u64 = 0x18;
    const WDOGKEY: u64 = 0x1c;
    const WDOGCMP0: u64 = 0x20;
    const RTCCFG: u64 = 0x40;
    const RTCLO: u64 = 0x48;
    const RTCHI: u64 = 0x4c;
    const RTCS: u64 = 0x50;
    const RTCCMP0: u64 = 0x60;
    const PMUKEY: u64 = 0x14c;

    fn bench() -> Bench<Fe310Aon> {
        Bench::new(Fe310Aon::default())
    }

    fn put(bench: &mut Bench<Fe310Aon>, offset: u64, value: u32) {
        bench.write32(WDOGKEY, KEY);
        bench.write32(offset, value);
    }

    fn ticks(bench: &mut Bench<Fe310Aon>, count: u64) {
        let now = bench.now.ticks(CLOCK);
        let end = Time::of_tick(now + count, CLOCK);
        bench.advance(end.saturating_sub(bench.now));
    }

    #[test]
    fn registers_after_reset() {
        let mut bench = bench();
        let expected = [(0x70, 0xc010_0004), (0x100, 0x1f0), (0x11c, 0x30), (0x120, 0xf0), (0x13c, 0x1c0)];
        for (offset, value) in expected {
            assert_eq!(bench.read32(offset), value, "{offset:#x}");
        }
        for offset in [WDOGCFG, WDOGCOUNT, WDOGS, WDOGKEY, RTCCFG, RTCLO, RTCHI, 0x80, 0xbc, 0x144] {
            assert_eq!(bench.read32(offset), 0, "{offset:#x}");
        }
    }

    #[test]
    fn the_key_opens_for_one_write() {
        let mut bench = bench();
        bench.write32(WDOGCMP0, 1);
        assert_eq!(bench.read32(WDOGCMP0), 0xffff);
        bench.write32(WDOGKEY, KEY);
        assert_eq!(bench.read32(WDOGKEY), 1);
        bench.write32(WDOGCMP0, 0x12_0001);
        assert_eq!((bench.read32(WDOGKEY), bench.read32(WDOGCMP0)), (0, 1));
        bench.write32(WDOGCMP0, 2);
        assert_eq!(bench.read32(WDOGCMP0), 1);
        bench.write32(WDOGKEY, KEY);
        bench.write32(WDOGKEY, KEY ^ 1);
        bench.write32(WDOGCMP0, 2);
        assert_eq!(bench.read32(WDOGCMP0), 1);
        bench.write32(RTCCMP0, 2);
        assert_eq!(bench.read32(RTCCMP0), 2, "the clock has no key");
    }

    #[test]
    fn watchdog_interrupts_and_stays_until_cleared() {
        let mut bench = bench();
        put(&mut bench, WDOGCMP0, 10);
        put(&mut bench, WDOGCFG, ENABLE_ALWAYS | 1);
        ticks(&mut bench, 19);
        assert_eq!((bench.read32(WDOGCOUNT), bench.read32(WDOGS), bench.line(0)), (19, 9, false));
        ticks(&mut bench, 1);
        assert!(bench.line(0));
        assert_eq!(bench.read32(WDOGCFG), ENABLE_ALWAYS | 1 | PENDING);
        put(&mut bench, WDOGCFG, ENABLE_ALWAYS | 1);
        assert!(bench.line(0), "it still matches");
        put(&mut bench, WDOGFEED, 0x1234);
        assert!(bench.read32(WDOGCOUNT) >= 20);
        put(&mut bench, WDOGFEED, FOOD);
        assert_eq!((bench.read32(WDOGCOUNT), bench.line(0)), (0, true));
        put(&mut bench, WDOGCFG, ENABLE_ALWAYS | 1);
        assert!(!bench.line(0));
        assert_eq!(bench.requests(), []);
    }

    #[test]
    fn watchdog_starts_over_on_a_match() {
        let mut bench = bench();
        put(&mut bench, WDOGCMP0, 4);
        put(&mut bench, WDOGCFG, ENABLE_AWAKE | ZERO_ON_MATCH);
        ticks(&mut bench, 4);
        assert!(bench.line(0));
        ticks(&mut bench, 1);
        assert_eq!(bench.read32(WDOGCOUNT), 0);
        put(&mut bench, WDOGCFG, ENABLE_AWAKE | ZERO_ON_MATCH);
        assert!(!bench.line(0));
        ticks(&mut bench, 4);
        assert!(bench.line(0));
    }

    #[test]
    fn watchdog_resets() {
        let mut bench = bench();
        bench.write32(0x84, 77);
        put(&mut bench, WDOGCMP0, 4);
        put(&mut bench, WDOGCFG, ENABLE_ALWAYS | RESET_ENABLE);
        ticks(&mut bench, 3);
        put(&mut bench, WDOGFEED, FOOD);
        ticks(&mut bench, 3);
        assert_eq!(bench.requests(), []);
        ticks(&mut bench, 1);
        assert_eq!(bench.requests(), [Request::Reset]);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(0x144), bench.read32(0x84)), (0x200, 77));
        assert_eq!((bench.read32(WDOGCFG), bench.read32(WDOGCOUNT), bench.line(0)), (0, 0, false));
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(0x144), bench.read32(0x84)), (0, 0), "power-on");
    }

    #[test]
    fn real_time_clock() {
        let mut bench = bench();
        bench.write32(RTCCMP0, 3);
        bench.write32(RTCCFG, ENABLE_ALWAYS | 15);
        bench.advance(Time::from_ms(2999));
        assert_eq!((bench.read32(RTCS), bench.line(1)), (2, false));
        bench.advance(Time::from_ms(1));
        assert_eq!(
            (bench.read32(RTCS), bench.line(1), bench.read32(RTCCFG)),
            (3, true, ENABLE_ALWAYS | 15 | PENDING)
        );
        assert_eq!((bench.read32(RTCLO), bench.read32(RTCHI)), (3 << 15, 0));
        bench.write32(RTCCMP0, 4);
        assert!(!bench.line(1), "it follows the comparison");
        bench.write32(RTCCFG, 15);
        bench.advance(Time::from_ms(5000));
        assert_eq!(bench.read32(RTCS), 3, "stopped");
        bench.write32(RTCHI, 0x1_2345);
        bench.write32(RTCLO, 0x6789_abcd);
        assert_eq!((bench.read32(RTCLO), bench.read32(RTCHI)), (0x6789_abcd, 0x2345));
    }

    #[test]
    fn power_management_is_locked() {
        let mut bench = bench();
        bench.write32(0x140, 0xf);
        assert_eq!(bench.read32(0x140), 1);
        bench.write32(PMUKEY, KEY);
        bench.write32(0x140, 0xf);
        assert_eq!((bench.read32(0x140), bench.read32(PMUKEY)), (0xf, 0));
        bench.write32(0x148, 1);
        assert!(bench.services.unimplemented.is_empty());
        bench.write32(PMUKEY, KEY);
        bench.write32(0x148, 1);
        assert_eq!(bench.services.unimplemented.len(), 1);
    }

    #[test]
    fn oscillator_and_backup() {
        let mut bench = bench();
        bench.write32(0x70, 0);
        assert_eq!(bench.read32(0x70), 0);
        bench.write32(0x70, 0x4000_0003);
        assert_eq!(bench.read32(0x70), 0xc000_0003);
        bench.write32(0x7c, 3);
        assert_eq!(bench.read32(0x7c), 0x8000_0001);
        bench.write32(0xbc, 0xdead_beef);
        assert_eq!((bench.read32(0xbc), bench.read32(0xb8)), (0xdead_beef, 0));
    }

    #[test]
    fn state() {
        let mut bench = bench();
        put(&mut bench, WDOGCMP0, 4);
        put(&mut bench, WDOGCFG, ENABLE_ALWAYS);
        ticks(&mut bench, 3);
        bench.check_save_restore();
        ticks(&mut bench, 1);
        assert!(bench.line(0));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            for chunk in bytes.chunks(23) {
                bench.torture(&chunk[1..], [0x70, 0x150][usize::from(chunk[0] & 1)]);
                put(
                    &mut bench,
                    [WDOGCFG, WDOGCMP0, WDOGCOUNT][usize::from(chunk[0] % 3)],
                    0x1300 | u32::from(chunk[0]),
                );
            }
            bench.call(|device, ctx| device.event(ctx, 0));
            assert_eq!(bench.line(0), bench.device.aon.read(Register::WdogCfg) & PENDING != 0);
            assert_eq!(bench.line(1), bench.device.aon.read(Register::RtcCfg) & PENDING != 0);
            bench.check_save_restore();
            Ok(())
        });
    }
}
