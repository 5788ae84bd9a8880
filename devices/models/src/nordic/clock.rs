//! Clock control (CLOCK) and power management (POWER), which share one base address.
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 18 (POWER) and 19 (CLOCK), the nRF52840 Product Specification v1.7, chapters 5.3 and 5.4, and the nRF51 Series Reference Manual v3.0, chapters 11 to 13.
//!
//! Oscillators start in the typical times of the specifications: the high-frequency crystal in 0.36 ms, the
//! low-frequency sources in 0.6 ms (RC), 0.25 s (crystal) and 0.1 ms (synthesised). While the crystal starts, the RC
//! oscillator serves.
//!
//! RESETREAS tells why the chip was reset: by the watchdog, which this block hears, by the reset pin, which is the
//! control `reset`, by what woke it from System OFF, or else by software. GPREGRET and GPREGRET2 survive resets by
//! software and from System OFF. On the nRF52, UICR.PSELRESET has to select the pin.
//!
//! In System OFF the core executes nothing and peripherals have no power, but for GPIO, whose DETECT wakes the chip,
//! and LPCOMP, whose ANADETECT does. What RAM holds then is [`super::ram`]'s. A DETECT that is high already wakes it at
//! once.
//!
//! Between the registers are those of flash's block protection, which [`super::nvmc`] has: `reg` is in two parts there.
//!
//! Left out: what voltage does (POFCON, DCDCEN and the sleep events are without effect), a reset by a lockup (the
//! machine stops), waking by NFC, USB's supply and a debugger, how long the reset pin is held; and the pin resets GPIO
//! in System OFF, which it should but does not.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::ram::Chip;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, Model, Request, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &[WITH_USB, NRF51, "nordic,nrf-clock", "nordic,nrf-power"],
    summary: "nRF clocks and power",
    rom: &[],
    ram: &[],
    build,
};

/// Of the nRF52840, which has USB: its supply is there two milliseconds after reset.
const WITH_USB: &str = "nordic,nrf52840-clock";
/// Of the nRF51.
const NRF51: &str = "nordic,nrf51-clock";

crate::nordic_layout! {
    tasks {
        HFCLKSTART = 0x000, HFCLKSTOP = 0x004, LFCLKSTART = 0x008, LFCLKSTOP = 0x00c,
        CAL = 0x010, CTSTART = 0x014, CTSTOP = 0x018, CONSTLAT = 0x078, LOWPWR = 0x07c,
    }
    events {
        HFCLKSTARTED = 0x100, LFCLKSTARTED = 0x104, POFWARN = 0x108, DONE = 0x10c, CTTO = 0x110,
        SLEEPENTER = 0x114, SLEEPEXIT = 0x118, USBDETECTED = 0x11c, USBREMOVED = 0x120, USBPWRRDY = 0x124,
        CTSTARTED = 0x128, CTSTOPPED = 0x12c,
    }
    shorts {}
}

register_bank! {
    /// The registers; the names without a description stand for what errata work-arounds write.
    enum Register {
        ResetReas = 0x400, w1c(u32::MAX), reset 0, {
            resetpin: 0, dog: 1, sreq: 2, lockup: 3, off: 16, lpcomp: 17, dif: 18, nfc: 19, vbus: 20,
        };
        HfclkRun = 0x408, ro, reset 0;
        HfclkStat = 0x40c, ro, reset 0, { src: 0, state: 16 };
        LfclkRun = 0x414, ro, reset 0;
        LfclkStat = 0x418, ro, reset 0, { src: 0 .. 2, state: 16 };
        LfclkSrcCopy = 0x41c, ro, reset 0;
        RamStatus = 0x428, ro, reset 0xf;
        UsbRegStatus = 0x438, ro, reset 0;
        SystemOff = 0x500, wo(1), reset 0;
        Errata504 = 0x504, rw(u32::MAX), reset 0;
        PofCon = 0x510, rw(0xf1f), reset 0;
        LfclkSrc = 0x518, rw(0x3_0003), reset 0;
        GpRegRet = 0x51c, rw(0xff), reset 0;
        /// On the nRF52.
        GpRegRet2 = 0x520, rw(0xff), reset 0;
        RamOn = 0x524, rw(0x3_0003), reset 3;
        /// nRF51: PERR0; nRF52840: HFXODEBOUNCE.
        HfxoDebounce = 0x528, rw(u32::MAX), reset 0x10;
        /// nRF51.
        RlenR0 = 0x52c, rw(u32::MAX), reset 0;
        Ctiv = 0x538, rw(0x7f), reset 0;
        Errata53c = 0x53c, rw(u32::MAX), reset 0;
        Reset = 0x544, rw(1), reset 0;
        /// nRF52: APPROTECT.FORCEPROTECT.
        XtalFreq = 0x550, rw(0xff), reset 0xffff_ffff;
        RamOnB = 0x554, rw(0x3_0003), reset 3;
        ApProtectDisable = 0x558, rw(0xff), reset 0;
        TraceConfig = 0x55c, rw(0x3_0003), reset 0;
        DcDcEn = 0x578, rw(1), reset 0;
        DcDcEn0 = 0x580, rw(1), reset 0;
        Errata5a0 = 0x5a0, rw(u32::MAX), reset 0;
        LfrcMode = 0x5b4, rw(0x1_0001), reset 0;
        MainRegStatus = 0x640, ro, reset 0;
        DcDcForce = 0xa08, rw(3), reset 0;
        ErrataEe4 = 0xee4, rw(u32::MAX), reset 0;
    }
}

use Register::*;

/// What is due at an event.
mod token {
    pub const HFCLK: u32 = 0;
    pub const LFCLK: u32 = 1;
    pub const CALIBRATED: u32 = 2;
    pub const CALIBRATION_TIMER: u32 = 3;
    pub const USB_DETECTED: u32 = 4;
    pub const USB_READY: u32 = 5;
}

mod reason {
    pub const PIN: u32 = 1;
    pub const WATCHDOG: u32 = 1 << 1;
    pub const SOFTWARE: u32 = 1 << 2;
    pub const OFF: u32 = 1 << 16;
    pub const LPCOMP: u32 = 1 << 17;
}

/// LFCLKSTAT and HFCLKSTAT.
const RUNNING: u32 = 1 << 16;
const RC: u32 = 0;
const CRYSTAL: u32 = 1;

const RAM_BLOCKS: usize = 9;

/// The block.
#[derive(Default)]
pub struct Clock {
    state: Power,
    chip: Chip,
    /// Where the second part of its registers starts.
    second: u64,
}

/// What the block holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Power {
    bank: Bank<Register>,
    ram: [u32; RAM_BLOCKS],
    /// The RAM interface's priorities, which errata work-arounds write.
    amli: [u32; 16],
    /// Power has been on before the present reset.
    powered: bool,
    /// Why the next reset will be; software, if zero.
    cause: u32,
    /// In System OFF.
    off: bool,
    /// The reset pin is low.
    pressed: bool,
}

impl Default for Power {
    fn default() -> Power {
        Power {
            bank: Bank::default(),
            ram: [0xffff; RAM_BLOCKS],
            amli: [0; 16],
            powered: false,
            cause: 0,
            off: false,
            pressed: false,
        }
    }
}

impl Power {
    /// The state after a reset for a reason that RESETREAS is to tell.
    fn after_reset(&self) -> Power {
        let mut next = Power { powered: true, pressed: self.pressed, ..Power::default() };
        next.bank[HfclkStat] = RUNNING;
        if self.powered {
            let cause = if self.cause == 0 { reason::SOFTWARE } else { self.cause };
            next.bank[ResetReas] = self.bank[ResetReas] | cause;
            if cause & (reason::PIN | reason::WATCHDOG) == 0 {
                for kept in [GpRegRet, GpRegRet2] {
                    next.bank[kept] = self.bank[kept];
                }
            }
        }
        next
    }

    fn ram_power(&mut self, offset: u64) -> Option<(&mut u32, u64)> {
        let offset = offset.checked_sub(0x900)?;
        self.ram.get_mut(offset as usize / 16).map(|power| (power, offset % 16))
    }

    fn amli(&mut self, offset: u64) -> Option<&mut u32> {
        self.amli.get_mut(offset.checked_sub(0xe00)? as usize / 4)
    }
}

impl Clock {
    fn offset(&self, at: At) -> u64 {
        if at.region == 0 { at.offset } else { self.second.wrapping_add(at.offset) }
    }

    /// What powers sections of RAM: of register `n`, those of the system that is on, and 16 bits higher of System OFF.
    fn ram_powers(&self) -> [u32; RAM_BLOCKS] {
        let Power { bank, ram, .. } = &self.state;
        match self.chip {
            Chip::Nrf51 => {
                std::array::from_fn(|n| [RamOn, RamOnB].get(n).map_or(0, |register| bank[*register]))
            }
            _ => *ram,
        }
    }

    /// Enters System OFF.
    fn switch_off(&mut self, ctx: &mut Ctx) {
        let powers = self.ram_powers();
        self.chip.keep(ctx.memory(), |register| powers[register] >> 16);
        self.state.off = true;
        ctx.request(Request::PowerDown);
    }

    /// Whether the reset pin is one: on the nRF52, both words of PSELRESET have to say so.
    fn has_reset_pin(&self, ctx: &Ctx) -> bool {
        let pin = match self.chip {
            Chip::Nrf51 => return true,
            Chip::Nrf52832 => 21,
            Chip::Nrf52840 => 18,
        };
        let selects = |at| ctx.memory().read_le(at, 4).is_ok_and(|word| word as u32 & 0x8000_003f == pin);
        PSELRESET.into_iter().all(selects)
    }
}

/// The words of UICR that make a pin the reset pin.
const PSELRESET: [u64; 2] = [0x1000_1200, 0x1000_1204];

/// The bus address of a watchdog's TIMEOUT event.
const WATCHDOG_TIMEOUT: u32 = 0x4001_0100;

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let compatible = args.node.compatible();
    let chip = match compatible.as_slice() {
        names if names.contains(&WITH_USB) => Chip::Nrf52840,
        names if names.contains(&NRF51) => Chip::Nrf51,
        _ => Chip::Nrf52832,
    };
    let base = base_address(args)?;
    let second = args.node.regs().get(1).map_or(0, |(at, _)| at.saturating_sub(base.into()));
    Ok(Box::new(Nordic::new(base, &LAYOUT, Clock { chip, second, ..Clock::default() })))
}

impl Component for Clock {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let help = "the reset pin is low";
        vec![ControlSpec { name: RESET.into(), unit: "", kind: ControlKind::Switch, settable: true, help }]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        (name == RESET).then_some(ControlValue::Switch(self.state.pressed))
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let (RESET, ControlValue::Switch(pressed)) = (name, value) else {
            return Err(ControlError::Unknown(name.to_string()));
        };
        let before = std::mem::replace(&mut self.state.pressed, *pressed);
        if !self.has_reset_pin(ctx) {
            ctx.complain("UICR.PSELRESET does not make the pin one that resets");
        } else if *pressed && !before {
            self.state.cause = reason::PIN;
            ctx.request(Request::Reset);
        }
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.state.bank.inspect();
        fields.push(Field { name: "System OFF".into(), value: self.state.off.to_string() });
        fields
    }
}

/// The control that is the reset pin.
const RESET: &str = "reset";

impl Peripheral for Clock {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        self.state = self.state.after_reset();
        if self.chip == Chip::Nrf52840 {
            ctx.schedule_in(token::USB_DETECTED, Time::from_ms(1));
            ctx.schedule_in(token::USB_READY, Time::from_ms(2));
        }
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::HFCLKSTART => {
                self.state.bank[HfclkRun] = 1;
                if self.state.bank[HfclkStat] & CRYSTAL != 0 {
                    block.raise(ctx, event::HFCLKSTARTED);
                } else if ctx.due(token::HFCLK).is_none() {
                    ctx.schedule_in(token::HFCLK, Time::from_us(360));
                }
            }
            task::HFCLKSTOP => {
                self.state.bank[HfclkRun] = 0;
                self.state.bank[HfclkStat] = RUNNING;
                ctx.cancel(token::HFCLK);
            }
            task::LFCLKSTART => {
                let source = self.state.bank[LfclkSrc] & 3;
                self.state.bank[LfclkRun] = 1;
                self.state.bank[LfclkSrcCopy] = source;
                if self.state.bank[LfclkStat] & RUNNING != 0 && ctx.due(token::LFCLK).is_none() {
                    self.state.bank[LfclkStat] = RUNNING | source;
                    block.raise(ctx, event::LFCLKSTARTED);
                } else if ctx.due(token::LFCLK).is_none() {
                    self.state.bank[LfclkStat] = if source == CRYSTAL { RUNNING | RC } else { 0 };
                    let start = [600, 250_000, 100, 600][source as usize];
                    ctx.schedule_in(token::LFCLK, Time::from_us(start));
                }
            }
            task::LFCLKSTOP => {
                self.state.bank[LfclkRun] = 0;
                self.state.bank[LfclkStat] = 0;
                ctx.cancel(token::LFCLK);
            }
            task::CAL => ctx.schedule_in(token::CALIBRATED, Time::from_ms(16)),
            task::CTSTART => {
                let quarters = self.state.bank[Ctiv].max(1);
                ctx.schedule_in(token::CALIBRATION_TIMER, Time::from_ms(250 * u64::from(quarters)));
                block.raise(ctx, event::CTSTARTED);
            }
            task::CTSTOP => {
                ctx.cancel(token::CALIBRATION_TIMER);
                block.raise(ctx, event::CTSTOPPED);
            }
            // Constant latency and low power differ in current only.
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        let offset = self.offset(at);
        if let Some(register) = self.state.bank.at(offset) {
            return Some(self.state.bank.read(register));
        }
        match self.state.ram_power(offset) {
            Some((power, 0 | 4 | 8)) => Some(*power),
            _ => self.state.amli(offset).copied(),
        }
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let (offset, before) = (self.offset(at), self.ram_powers());
        match self.state.bank.at(offset) {
            Some(SystemOff) if value & 1 != 0 => self.switch_off(ctx),
            Some(register) => drop(self.state.bank.write(register, value)),
            None => match self.state.ram_power(offset) {
                Some((power, 0)) => *power = value,
                Some((power, 4)) => *power |= value,
                Some((power, 8)) => *power &= !value,
                _ => *self.state.amli(offset)? = value,
            },
        }
        let now = self.ram_powers();
        let off = |register: usize| before[register] & !now[register];
        if (0..RAM_BLOCKS).any(|register| off(register) & 0xffff != 0) {
            self.chip.keep(ctx.memory(), |register| !off(register));
        }
        Some(())
    }

    fn power_down(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        // It stays awake for the others; its oscillators do not.
        ctx.cancel_all();
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        match token {
            token::HFCLK => {
                self.state.bank[HfclkStat] = RUNNING | CRYSTAL;
                block.raise(ctx, event::HFCLKSTARTED);
            }
            token::LFCLK => {
                self.state.bank[LfclkStat] = RUNNING | self.state.bank[LfclkSrcCopy];
                block.raise(ctx, event::LFCLKSTARTED);
            }
            token::CALIBRATED => block.raise(ctx, event::DONE),
            token::USB_DETECTED => {
                self.state.bank[UsbRegStatus] |= 1;
                block.raise(ctx, event::USBDETECTED);
            }
            token::USB_READY => {
                self.state.bank[UsbRegStatus] |= 2;
                block.raise(ctx, event::USBPWRRDY);
            }
            _ => block.raise(ctx, event::CTTO),
        }
    }

    fn listens(&self) -> bool {
        true
    }

    fn published(&mut self, _block: &mut Block, ctx: &mut Ctx, address: u32) {
        match address {
            WATCHDOG_TIMEOUT => self.state.cause = reason::WATCHDOG,
            _ if !self.state.off => {}
            super::gpio::P0_DETECT | super::gpio::P1_DETECT => {
                self.state.cause = reason::OFF;
                ctx.request(Request::Reset);
            }
            super::comp::ANADETECT => {
                self.state.cause = reason::LPCOMP;
                ctx.request(Request::Reset);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<Nordic<Clock>> {
        Bench::new(Nordic::new(0x4000_0000, &LAYOUT, Clock::default()))
    }

    #[test]
    fn oscillators_take_their_time() {
        let mut bench = bench();
        bench.write32(0x304, 3);
        assert_eq!([0x408, 0x40c, 0x418].map(|offset| bench.read32(offset)), [0, 1 << 16, 0]);
        bench.write32(0x000, 1);
        bench.advance(Time::from_us(359));
        assert!(!bench.line(0) && bench.read32(0x408) == 1);
        bench.advance(Time::from_us(1));
        assert_eq!((bench.line(0), bench.read32(0x40c)), (true, 0x1_0001));
        bench.write32(0x100, 0);
        bench.write32(0x000, 1);
        assert!(bench.line(0), "it runs: it has started");
        bench.write32(0x100, 0);
        bench.write32(0x518, 1);
        bench.write32(0x008, 1);
        assert_eq!(bench.read32(0x418), 1 << 16, "on the RC oscillator for now");
        bench.advance(Time::from_ms(250));
        assert_eq!([0x104, 0x418, 0x41c].map(|offset| bench.read32(offset)), [1, 0x1_0001, 1]);
        bench.write32(0x00c, 1);
        bench.write32(0x004, 1);
        assert_eq!([0x40c, 0x418].map(|offset| bench.read32(offset)), [1 << 16, 0]);
        bench.check_save_restore();
    }

    #[test]
    fn usb_supply_comes_up() {
        let clock = Clock { chip: Chip::Nrf52840, ..Clock::default() };
        let mut bench = Bench::new(Nordic::new(0x4000_0000, &LAYOUT, clock));
        bench.advance(Time::from_ms(1));
        assert_eq!([0x11c, 0x124, 0x438].map(|offset| bench.read32(offset)), [1, 0, 1]);
        bench.advance(Time::from_ms(1));
        assert_eq!([0x124, 0x438].map(|offset| bench.read32(offset)), [1, 3]);
    }

    #[test]
    fn calibration() {
        let mut bench = bench();
        bench.write32(0x538, 16);
        bench.write32(0x014, 1);
        bench.write32(0x010, 1);
        bench.advance(Time::from_ms(16));
        assert_eq!([0x10c, 0x110].map(|offset| bench.read32(offset)), [1, 0]);
        bench.advance(Time::from_ms(3984));
        assert_eq!(bench.read32(0x110), 1);
    }

    #[test]
    fn the_reason_of_a_reset_and_what_survives_it() {
        let mut bench = bench();
        assert_eq!(bench.read32(0x400), 0, "power-on");
        bench.write32(0x51c, 0x1a5);
        bench.write32(0x578, 1);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!([0x400, 0x51c, 0x578].map(|offset| bench.read32(offset)), [4, 0xa5, 0]);
        bench.call(|device, ctx| {
            device.published(ctx, WATCHDOG_TIMEOUT);
            device.reset(ctx);
        });
        assert_eq!(bench.read32(0x400), 6, "reasons add up until they are cleared");
        bench.write32(0x400, 4);
        assert_eq!(bench.read32(0x400), 2);
    }

    #[test]
    fn a_pin_wakes_from_system_off() {
        let mut bench = bench();
        bench.call(|device, ctx| device.published(ctx, super::super::gpio::P0_DETECT));
        bench.write32(0x51c, 7);
        for (wakes, reason) in
            [(super::super::gpio::P0_DETECT, 1 << 16), (super::super::comp::ANADETECT, 3 << 16)]
        {
            bench.write32(0x500, 1);
            assert_eq!(bench.requests(), [Request::PowerDown]);
            bench.call(|device, ctx| device.power_down(ctx));
            bench.check_save_restore();
            bench.call(|device, ctx| device.published(ctx, wakes));
            assert_eq!(bench.requests(), [Request::Reset]);
            bench.call(|device, ctx| device.reset(ctx));
            assert_eq!((bench.read32(0x400), bench.read32(0x51c)), (reason, 7));
        }
    }

    #[test]
    fn the_reset_pin_is_a_control() {
        let clock = Clock { chip: Chip::Nrf51, ..Clock::default() };
        let mut bench = Bench::new(Nordic::new(0x4000_0000, &LAYOUT, clock));
        bench.write32(0x51c, 7);
        let mut press = |on| {
            let value = ControlValue::Switch(on);
            bench.call(|device, ctx| device.set_control(ctx, RESET, &value)).expect("a switch");
            bench.requests()
        };
        assert_eq!([true, true, false].map(&mut press), [vec![Request::Reset], vec![], vec![]]);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(0x400), bench.read32(0x51c)), (1, 0));
        // Without UICR's word that it is one, the nRF52's is not.
        let mut bench = self::bench();
        let value = ControlValue::Switch(true);
        bench.call(|device, ctx| device.set_control(ctx, RESET, &value)).expect("a switch");
        assert_eq!((bench.requests().len(), bench.services.complaints.len()), (0, 1));
    }

    #[test]
    fn ram_power_and_errata() {
        let mut bench = bench();
        bench.write32(0x918, 0x3);
        assert_eq!([0x900, 0x910].map(|offset| bench.read32(offset)), [0xffff, 0xfffc]);
        for offset in [0xe00, 0xe34, 0xee4, 0x53c] {
            bench.write32(offset, 5);
            assert_eq!(bench.read32(offset), 5);
        }
        assert!(bench.services.unimplemented.is_empty());
    }
}
