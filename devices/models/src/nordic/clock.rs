//! Clock control (CLOCK), power management (POWER) and the block protection that share one base address.
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 18 (POWER), 19 (CLOCK) and 12 (BPROT), the nRF52840
//! Product Specification v1.7, chapters 5.3 and 5.4, and the nRF51 Series Reference Manual v3.0, chapters 11 to 13.
//!
//! Oscillators start in the typical times of the specifications: the high-frequency crystal in 0.36 ms, the
//! low-frequency sources in 0.6 ms (RC), 0.25 s (crystal) and 0.1 ms (synthesised). While the crystal starts, the RC
//! oscillator serves. RESETREAS tells a reset by the watchdog, which this block hears, from one by software, which any
//! other is; it, GPREGRET and GPREGRET2 survive both.
//!
//! Left out: what voltage does (POFCON, DCDCEN and the sleep events are without effect), RAM that is switched off
//! keeps its content, blocks of flash that CONFIG0 to CONFIG3 protect can be written, and System OFF: the core goes
//! on, except that a pin's DETECT resets the chip as it would wake it.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, Request, RestoreError, Time,
    register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &[WITH_USB, "nordic,nrf-clock", "nordic,nrf-power"],
    summary: "nRF clocks and power",
    rom: &[],
    ram: &[],
    build,
};

/// Of the nRF52840, which has USB: its supply is there two milliseconds after reset.
const WITH_USB: &str = "nordic,nrf52840-clock";

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
        /// Block protection; a bit that is set stays so until reset.
        Config0 = 0x600, w1s(u32::MAX), reset 0;
        Config1 = 0x604, w1s(u32::MAX), reset 0;
        DisableInDebug = 0x608, rw(1), reset 1;
        ProtBlockSize = 0x60c, rw(3), reset 0;
        Config2 = 0x610, w1s(u32::MAX), reset 0;
        Config3 = 0x614, w1s(u32::MAX), reset 0;
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
    pub const WATCHDOG: u32 = 1 << 1;
    pub const SOFTWARE: u32 = 1 << 2;
    pub const OFF: u32 = 1 << 16;
}

/// LFCLKSTAT and HFCLKSTAT.
const RUNNING: u32 = 1 << 16;
const RC: u32 = 0;
const CRYSTAL: u32 = 1;

const RAM_BLOCKS: usize = 9;

/// What the block holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clock {
    bank: Bank<Register>,
    ram: [u32; RAM_BLOCKS],
    /// The RAM interface's priorities, which errata work-arounds write.
    amli: [u32; 16],
    /// Power has been on before the present reset.
    powered: bool,
    /// Why the next reset will be; software, if zero.
    cause: u32,
    off: bool,
    /// A cable with a host is there.
    usb: bool,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            bank: Bank::default(),
            ram: [0xffff; RAM_BLOCKS],
            amli: [0; 16],
            powered: false,
            cause: 0,
            off: false,
            usb: false,
        }
    }
}

impl Clock {
    /// The state after a reset for a reason that RESETREAS is to tell.
    fn after_reset(&self) -> Clock {
        let mut next = Clock { powered: true, usb: self.usb, ..Clock::default() };
        next.bank[HfclkStat] = RUNNING;
        if self.powered {
            let cause = if self.cause == 0 { reason::SOFTWARE } else { self.cause };
            next.bank[ResetReas] = self.bank[ResetReas] | cause;
            for kept in [GpRegRet, GpRegRet2] {
                next.bank[kept] = self.bank[kept];
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

/// The bus address of a watchdog's TIMEOUT event.
const WATCHDOG_TIMEOUT: u32 = 0x4001_0100;

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let usb = args.node.compatible().contains(&WITH_USB);
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Clock { usb, ..Clock::default() })))
}

impl Component for Clock {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.bank.inspect()
    }
}

impl Peripheral for Clock {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        *self = self.after_reset();
        if self.usb {
            ctx.schedule_in(token::USB_DETECTED, Time::from_ms(1));
            ctx.schedule_in(token::USB_READY, Time::from_ms(2));
        }
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::HFCLKSTART => {
                self.bank[HfclkRun] = 1;
                if self.bank[HfclkStat] & CRYSTAL != 0 {
                    block.raise(ctx, event::HFCLKSTARTED);
                } else if ctx.due(token::HFCLK).is_none() {
                    ctx.schedule_in(token::HFCLK, Time::from_us(360));
                }
            }
            task::HFCLKSTOP => {
                self.bank[HfclkRun] = 0;
                self.bank[HfclkStat] = RUNNING;
                ctx.cancel(token::HFCLK);
            }
            task::LFCLKSTART => {
                let source = self.bank[LfclkSrc] & 3;
                self.bank[LfclkRun] = 1;
                self.bank[LfclkSrcCopy] = source;
                if self.bank[LfclkStat] & RUNNING != 0 && ctx.due(token::LFCLK).is_none() {
                    self.bank[LfclkStat] = RUNNING | source;
                    block.raise(ctx, event::LFCLKSTARTED);
                } else if ctx.due(token::LFCLK).is_none() {
                    self.bank[LfclkStat] = if source == CRYSTAL { RUNNING | RC } else { 0 };
                    let start = [600, 250_000, 100, 600][source as usize];
                    ctx.schedule_in(token::LFCLK, Time::from_us(start));
                }
            }
            task::LFCLKSTOP => {
                self.bank[LfclkRun] = 0;
                self.bank[LfclkStat] = 0;
                ctx.cancel(token::LFCLK);
            }
            task::CAL => ctx.schedule_in(token::CALIBRATED, Time::from_ms(16)),
            task::CTSTART => {
                let quarters = self.bank[Ctiv].max(1);
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
        if let Some(register) = self.bank.at(at.offset) {
            return Some(self.bank.read(register));
        }
        match self.ram_power(at.offset) {
            Some((power, 0 | 4 | 8)) => Some(*power),
            _ => self.amli(at.offset).copied(),
        }
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match self.bank.at(at.offset) {
            Some(SystemOff) if value & 1 != 0 => {
                self.off = true;
                ctx.complain("System OFF: the core goes on, until a pin's DETECT resets the chip");
            }
            Some(register) => drop(self.bank.write(register, value)),
            None => match self.ram_power(at.offset) {
                Some((power, 0)) => *power = value,
                Some((power, 4)) => *power |= value,
                Some((power, 8)) => *power &= !value,
                _ => *self.amli(at.offset)? = value,
            },
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        match token {
            token::HFCLK => {
                self.bank[HfclkStat] = RUNNING | CRYSTAL;
                block.raise(ctx, event::HFCLKSTARTED);
            }
            token::LFCLK => {
                self.bank[LfclkStat] = RUNNING | self.bank[LfclkSrcCopy];
                block.raise(ctx, event::LFCLKSTARTED);
            }
            token::CALIBRATED => block.raise(ctx, event::DONE),
            token::USB_DETECTED => {
                self.bank[UsbRegStatus] |= 1;
                block.raise(ctx, event::USBDETECTED);
            }
            token::USB_READY => {
                self.bank[UsbRegStatus] |= 2;
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
            WATCHDOG_TIMEOUT => self.cause = reason::WATCHDOG,
            super::gpio::P0_DETECT | super::gpio::P1_DETECT if self.off => {
                self.cause = reason::OFF;
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
        let clock = Clock { usb: true, ..Clock::default() };
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
        bench.write32(0x500, 1);
        assert_eq!(bench.requests(), []);
        bench.call(|device, ctx| device.published(ctx, super::super::gpio::P0_DETECT));
        assert_eq!(bench.requests(), [Request::Reset]);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!(bench.read32(0x400), 1 << 16);
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
