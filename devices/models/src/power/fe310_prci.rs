//! The clocks of the FE310: oscillators, PLL, dividers.
//!
//! Follows chapter 6 of the SiFive FE310-G002 Manual v1p5, with SiFive's correction of its clock diagram (the bypass
//! passes the selected reference on, and `pllsel` selects the output of the bypass).
//!
//! Oscillators are ready as soon as they are enabled. The PLL locks 100 us after it was last set up, while it is not
//! bypassed and has a reference; settings outside the manual's ranges are told. The core of this machine runs at the
//! frequency of its devicetree node whatever is set here, and peripherals do not see it either.
//!
//! Left out: trimming, the effects of the process monitor.

use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, Width, Widths,
    register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["sifive,fe310-prci", "sifive,fe310-g000-prci", "sifive,fe310-g002-prci"],
    summary: "FE310 clocks",
    rom: &[],
    ram: &[],
    build,
};

const READY: u32 = 1 << 31;
const ENABLE: u32 = 1 << 30;
const BYPASS: u32 = 1 << 18;
const FROM_CRYSTAL: u32 = 1 << 17;
const USE_PLL: u32 = 1 << 16;
const DIVIDE_BY_1: u32 = 1 << 8;

/// The ring oscillator before its divider, and the crystal, in hertz.
const RING: u64 = 72_000_000;
const CRYSTAL: u64 = 16_000_000;
const LOCK_TIME: Time = Time::from_us(100);

register_bank! {
    /// The registers.
    enum Register {
        HfRoscCfg = 0x00, rw(0x401f_003f), reset 0xc010_0004, { div: 0 .. 6, trim: 16 .. 21, en: 30, rdy: 31 };
        HfXoscCfg = 0x04, rw(0x4000_0000), reset 0xc000_0000, { en: 30, rdy: 31 };
        PllCfg = 0x08, rw(0x0007_0ff7), reset 0x0006_0df1, {
            pllr: 0 .. 3, pllf: 4 .. 10, pllq: 10 .. 12, pllsel: 16, pllrefsel: 17, pllbypass: 18, plllock: 31,
        };
        PllOutDiv = 0x0c, rw(0x13f), reset 0x100, { div: 0 .. 6, divby1: 8 };
        ProcMonCfg = 0xf0, rw(0x1301_1f1f), reset 0;
    }
}

/// The block without a clock of its own.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Prci {
    bank: Bank<Register>,
    /// When the PLL was last set up.
    set_up: Time,
}

impl Prci {
    fn enabled(&self, oscillator: Register) -> bool {
        self.bank[oscillator] & ENABLE != 0
    }

    /// What the PLL multiplies, in hertz; zero if its oscillator is off.
    fn reference(&self) -> u64 {
        let (oscillator, hz) = if self.bank[Register::PllCfg] & FROM_CRYSTAL != 0 {
            (Register::HfXoscCfg, CRYSTAL)
        } else {
            (Register::HfRoscCfg, self.ring())
        };
        if self.enabled(oscillator) { hz } else { 0 }
    }

    fn ring(&self) -> u64 {
        RING / (u64::from(self.bank[Register::HfRoscCfg] & 0x3f) + 1)
    }

    /// The PLL's divided reference, its oscillator and its output, in hertz.
    fn pll(&self) -> (u64, u64, u64) {
        let cfg = self.bank[Register::PllCfg];
        let divided = self.reference() / (u64::from(cfg & 7) + 1);
        let oscillator = divided * 2 * (u64::from(cfg >> 4 & 0x3f) + 1);
        (divided, oscillator, oscillator >> (cfg >> 10 & 3))
    }

    /// What the core and the peripherals would run at, in hertz.
    pub fn frequency(&self) -> u64 {
        let cfg = self.bank[Register::PllCfg];
        if cfg & USE_PLL == 0 {
            return if self.enabled(Register::HfRoscCfg) { self.ring() } else { 0 };
        }
        let hz = if cfg & BYPASS != 0 { self.reference() } else { self.pll().2 };
        match self.bank[Register::PllOutDiv] {
            out if out & DIVIDE_BY_1 != 0 => hz,
            out => hz / (2 * (u64::from(out & 0x3f) + 1)),
        }
    }

    fn locked(&self, now: Time) -> bool {
        let running = self.bank[Register::PllCfg] & BYPASS == 0 && self.reference() != 0;
        running && now >= self.set_up.saturating_add(LOCK_TIME)
    }

    /// The rule of the manual that the PLL's settings break.
    fn fault(&self) -> Option<String> {
        if self.bank[Register::PllCfg] & BYPASS != 0 || self.reference() == 0 {
            return None;
        }
        let (divided, oscillator, output) = self.pll();
        let rules = [
            ("divided reference", divided, 6_000_000..=12_000_000),
            ("oscillator", oscillator, 384_000_000..=768_000_000),
            ("output", output, 48_000_000..=384_000_000),
        ];
        let (what, hz, range) = rules.into_iter().find(|(_, hz, range)| !range.contains(hz))?;
        Some(format!(
            "the PLL's {what} is set to {hz} Hz; {} to {} Hz are allowed",
            range.start(),
            range.end()
        ))
    }

    fn read(&self, register: Register, now: Time) -> u32 {
        let value = self.bank[register];
        let ready = match register {
            Register::HfRoscCfg | Register::HfXoscCfg => self.enabled(register),
            Register::PllCfg => self.locked(now),
            _ => return value,
        };
        value & !READY | if ready { READY } else { 0 }
    }

    fn write(&mut self, register: Register, value: u32, now: Time) {
        // Selecting the PLL's output does not disturb it.
        let matters = |prci: &Prci| (prci.bank[Register::PllCfg] & !USE_PLL, prci.reference());
        let before = matters(self);
        self.bank.write(register, value);
        if matters(self) != before {
            self.set_up = now;
        }
    }
}

/// An FE310's PRCI on the bus.
#[derive(Default)]
pub struct Fe310Prci {
    prci: Prci,
}

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Fe310Prci::default()))
}

impl Component for Fe310Prci {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.prci)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.prci = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.prci.bank.inspect();
        let mut field = |name: &str, value: String| fields.push(Field { name: name.to_string(), value });
        field("hfclk", format!("{} Hz", self.prci.frequency()));
        field("PLL set up at", format!("{} ns", self.prci.set_up.as_ns()));
        fields
    }
}

impl Device for Fe310Prci {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.prci = Prci { set_up: ctx.now(), ..Prci::default() };
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let Some(register) = self.prci.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        self.prci.read(register, ctx.now()).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.prci.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        self.prci.write(register, value as u32, ctx.now());
        if let Some(fault) = self.prci.fault() {
            ctx.complain(fault);
        }
        if self.prci.frequency() == 0 {
            ctx.complain("the core's clock is off: real hardware stops here");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    const HFROSCCFG: u64 = 0x00;
    const HFXOSCCFG: u64 = 0x04;
    const PLLCFG: u64 = 0x08;
    const PLLOUTDIV: u64 = 0x0c;

    fn bench() -> Bench<Fe310Prci> {
        Bench::new(Fe310Prci::default())
    }

    fn frequency(bench: &Bench<Fe310Prci>) -> u64 {
        bench.device.prci.frequency()
    }

    #[test]
    fn after_reset() {
        let mut bench = bench();
        let values = [HFROSCCFG, HFXOSCCFG, PLLCFG, PLLOUTDIV, 0xf0].map(|offset| bench.read32(offset));
        assert_eq!(values, [0xc010_0004, 0xc000_0000, 0x0006_0df1, 0x100, 0]);
        assert_eq!(frequency(&bench), 14_400_000);
    }

    #[test]
    fn oscillators_are_ready_while_enabled() {
        let mut bench = bench();
        bench.write32(HFXOSCCFG, 0);
        assert_eq!(bench.read32(HFXOSCCFG), 0);
        bench.write32(HFXOSCCFG, ENABLE | 1);
        assert_eq!(bench.read32(HFXOSCCFG), ENABLE | READY);
        bench.write32(HFROSCCFG, ENABLE | 0x10 << 16 | 1);
        assert_eq!((bench.read32(HFROSCCFG), frequency(&bench)), (0xc010_0001, 36_000_000));
        bench.write32(HFROSCCFG, 0);
        assert_eq!(bench.services.complaints.len(), 1);
    }

    #[test]
    fn bypass_gives_the_crystal() {
        let mut bench = bench();
        bench.write32(PLLCFG, BYPASS | FROM_CRYSTAL | USE_PLL);
        assert_eq!(frequency(&bench), 16_000_000);
        bench.advance(Time::from_ms(1));
        assert_eq!(bench.read32(PLLCFG), BYPASS | FROM_CRYSTAL | USE_PLL, "nothing to lock");
        bench.write32(PLLOUTDIV, 1);
        assert_eq!(frequency(&bench), 4_000_000);
    }

    #[test]
    fn the_pll_locks_in_100_us() {
        let mut bench = bench();
        // 16 MHz / 2 * 80 / 2 = 320 MHz
        let cfg = FROM_CRYSTAL | 1 << 10 | 39 << 4 | 1;
        bench.write32(PLLCFG, cfg);
        bench.advance(Time::from_us(99));
        assert_eq!(bench.read32(PLLCFG), cfg);
        bench.advance(Time::from_us(1));
        assert_eq!(bench.read32(PLLCFG), cfg | READY);
        bench.write32(PLLCFG, cfg | USE_PLL);
        assert_eq!((bench.read32(PLLCFG), frequency(&bench)), (cfg | USE_PLL | READY, 320_000_000));
        assert!(bench.services.complaints.is_empty());
        bench.write32(PLLCFG, (cfg + (1 << 4)) | USE_PLL);
        assert_eq!(bench.read32(PLLCFG) & READY, 0, "set up anew");
    }

    #[test]
    fn settings_out_of_range_are_told() {
        let complaint = |r: u32, f: u32, q: u32| {
            let mut bench = bench();
            bench.write32(PLLCFG, FROM_CRYSTAL | q << 10 | f << 4 | r);
            bench.services.complaints.first().map(|(_, text)| text.clone())
        };
        assert_eq!(complaint(1, 31, 1), None);
        for (setting, what) in [((0, 31, 1), "reference"), ((1, 0, 1), "oscillator"), ((1, 31, 0), "output")]
        {
            let text = complaint(setting.0, setting.1, setting.2).unwrap();
            assert!(text.contains(what), "{text}");
        }
    }

    #[test]
    fn state() {
        let mut bench = bench();
        bench.write32(PLLCFG, 0x1f1);
        bench.advance(Time::from_us(50));
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!(bench.read32(PLLCFG), 0x0006_0df1);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x10);
            let _ = bench.device.inspect();
            bench.check_save_restore();
            Ok(())
        });
    }
}
