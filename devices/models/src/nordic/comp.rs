//! Comparator (COMP) and low-power comparator (LPCOMP), which share one base address.
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 38 (COMP) and 39 (LPCOMP), and the nRF51 Series Reference
//! Manual v3.0, chapter 32 (LPCOMP). ENABLE selects what the block is: 1 LPCOMP, 2 COMP. The controls `ain0` to `ain7`
//! are the voltages at the pins; the supply is 3.0 V. COMP is ready after 20 us, LPCOMP after 150 us. LPCOMP works in
//! System OFF, too; its ANADETECT is published by the address of the register of that name, for POWER.
//!
//! Left out: the speed modes, and the current source.

use super::analog::{Inputs, SUPPLY};
use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Field, Model,
    RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-comp", "nordic,nrf-lpcomp"],
    summary: "nRF comparator",
    rom: &[],
    ram: &[],
    build,
};

/// What LPCOMP publishes when what it is to detect has happened.
pub const ANADETECT: u32 = 0x4001_3520;

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004, SAMPLE = 0x008 }
    events { READY = 0x100, DOWN = 0x104, UP = 0x108, CROSS = 0x10c }
    shorts { 0: READY => SAMPLE, 1: READY => STOP, 2: DOWN => STOP, 3: UP => STOP, 4: CROSS => STOP }
}

register_bank! {
    /// The registers.
    enum Register {
        Result = 0x400, ro, reset 0;
        Enable = 0x500, rw(0x3), reset 0;
        Psel = 0x504, rw(0x7), reset 0;
        RefSel = 0x508, rw(0xf), reset 4;
        ExtRefSel = 0x50c, rw(0x7), reset 0;
        AnaDetect = 0x520, rw(0x3), reset 0;
        Th = 0x530, rw(0x3f3f), reset 0, { thdown: 0 .. 6, thup: 8 .. 14 };
        Mode = 0x534, rw(0x103), reset 0;
        Hyst = 0x538, rw(0x1), reset 0;
        ISource = 0x53c, rw(0x3), reset 0;
        /// Trim that start-up code copies from FICR.
        Trim = 0x540, rw(u32::MAX), reset 0;
    }
}

use Register::{AnaDetect, Enable, ExtRefSel, Hyst, Mode, Psel, RefSel, Th};

const LPCOMP: u32 = 1;
const COMP: u32 = 2;
const DIFFERENTIAL: u32 = 1 << 8;
/// Half the width of the hysteresis, in volts.
const HYSTERESIS: f64 = 0.025;

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparator {
    bank: Bank<Register>,
    inputs: Inputs,
    running: bool,
    /// The input is above the reference.
    above: bool,
}

impl Comparator {
    /// The voltages below and above which the output changes.
    fn thresholds(&self) -> (f64, f64) {
        let external = self.inputs.volts(self.bank[ExtRefSel] as usize);
        let around = |volts: f64| {
            let half = if self.bank[Hyst] != 0 { HYSTERESIS } else { 0.0 };
            (volts - half, volts + half)
        };
        if self.bank[Enable] == LPCOMP {
            return match self.bank[RefSel] {
                7 => around(external),
                eighths @ 0..7 => around(SUPPLY * f64::from(eighths + 1) / 8.0),
                odd => around(SUPPLY * f64::from(2 * (odd - 8) + 1) / 16.0),
            };
        }
        if self.bank[Mode] & DIFFERENTIAL != 0 {
            return around(external);
        }
        let reference = match self.bank[RefSel] {
            0 => 1.2,
            1 => 1.8,
            2 => 2.4,
            7 => external,
            _ => SUPPLY,
        };
        let at = |steps: u32| f64::from((steps & 0x3f) + 1) / 64.0 * reference;
        (at(self.bank[Th]), at(self.bank[Th] >> 8))
    }

    fn compare(&self) -> bool {
        let input = self.inputs.volts(self.bank[Psel] as usize);
        let (low, high) = self.thresholds();
        if self.above { input >= low } else { input > high }
    }

    /// Follows the inputs.
    fn update(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let before = self.above;
        self.above = self.compare();
        if self.running && before != self.above {
            block.raise(ctx, if self.above { event::UP } else { event::DOWN });
            block.raise(ctx, event::CROSS);
            let detected = match self.bank[AnaDetect] {
                1 => self.above,
                2 => !self.above,
                _ => true,
            };
            if self.bank[Enable] == LPCOMP && detected {
                ctx.publish(ANADETECT);
            }
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Comparator::default())))
}

impl Component for Comparator {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        self.inputs.specs()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.inputs.get(name)
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.inputs.set(name, value)?;
        // The comparison needs the common registers: it is made by an event, at once.
        ctx.schedule_in(token::INPUT, Time::ZERO);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.bank.inspect()
    }
}

/// What is due at an event.
mod token {
    pub const READY: u32 = 0;
    pub const INPUT: u32 = 1;
}

impl Peripheral for Comparator {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = Comparator { inputs: self.inputs, ..Comparator::default() };
    }

    fn power_down(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if self.bank[Enable] != LPCOMP {
            ctx.cancel_all();
            block.reset(ctx);
            self.reset(block, ctx);
        }
    }

    fn task(&mut self, _block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::START if matches!(self.bank[Enable], LPCOMP | COMP) => {
                let span = if self.bank[Enable] == COMP { 20 } else { 150 };
                ctx.schedule_in(token::READY, Time::from_us(span));
            }
            task::STOP => {
                self.running = false;
                ctx.cancel(token::READY);
            }
            task::SAMPLE => self.bank[Register::Result] = self.above.into(),
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        self.bank.at(at.offset).map(|register| self.bank.read(register))
    }

    fn write(&mut self, block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let register = self.bank.at(at.offset)?;
        self.bank.write(register, value);
        self.update(block, ctx);
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        if token == token::READY {
            self.above = self.compare();
            self.running = true;
            block.raise(ctx, event::READY);
        } else {
            self.update(block, ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::services::Message;

    fn volts(bench: &mut Bench<Nordic<Comparator>>, name: &str, volts: f64) {
        let value = ControlValue::Number(volts);
        bench.call(|device, ctx| device.set_control(ctx, name, &value)).expect("a control");
        bench.advance(Time::ZERO);
    }

    fn taken(bench: &mut Bench<Nordic<Comparator>>) -> [u32; 3] {
        let mut taken = [event::DOWN, event::UP, event::CROSS].map(u64::from);
        for offset in &mut taken {
            let set = bench.read32(*offset);
            bench.write32(*offset, 0);
            *offset = set.into();
        }
        taken.map(|set| set as u32)
    }

    #[test]
    fn comp_has_two_thresholds() {
        let mut bench = Bench::new(Nordic::new(0x4001_3000, &LAYOUT, Comparator::default()));
        for (offset, value) in [(0x500, COMP), (0x504, 3), (0x530, 31 << 8 | 15), (0x200, 1)] {
            bench.write32(offset, value);
        }
        bench.write32(0x000, 1);
        bench.advance(Time::from_us(20));
        assert_eq!((bench.read32(0x100), taken(&mut bench)), (1, [0, 0, 0]));
        volts(&mut bench, "ain3", 1.4);
        assert_eq!(taken(&mut bench), [0, 0, 0]);
        volts(&mut bench, "ain3", 1.6);
        assert_eq!(taken(&mut bench), [0, 1, 1]);
        bench.write32(0x008, 1);
        assert_eq!(bench.read32(0x400), 1);
        volts(&mut bench, "ain3", 0.8);
        assert_eq!(taken(&mut bench), [0, 0, 0]);
        volts(&mut bench, "ain3", 0.7);
        assert_eq!(taken(&mut bench), [1, 0, 1]);
        bench.check_save_restore();
    }

    #[test]
    fn lpcomp_compares_with_a_part_of_the_supply() {
        let mut bench = Bench::new(Nordic::new(0x4001_3000, &LAYOUT, Comparator::default()));
        for (offset, value) in [(0x500, LPCOMP), (0x504, 1), (0x508, 3)] {
            bench.write32(offset, value);
        }
        bench.write32(0x000, 1);
        volts(&mut bench, "ain1", 2.0);
        assert_eq!(taken(&mut bench), [0, 0, 0], "not ready");
        bench.advance(Time::from_us(150));
        volts(&mut bench, "ain1", 1.4);
        assert_eq!(taken(&mut bench), [1, 0, 1]);
        bench.messages();
        bench.write32(0x520, 1);
        bench.call(|device, ctx| device.power_down(ctx));
        for (level, detects) in [(1.6, true), (1.4, false)] {
            volts(&mut bench, "ain1", level);
            assert_eq!(bench.messages().contains(&Message::Published(ANADETECT)), detects, "{level} V");
        }
        taken(&mut bench);
        bench.write32(0x004, 1);
        volts(&mut bench, "ain1", 1.6);
        assert_eq!((taken(&mut bench), bench.messages()), ([0, 0, 0], vec![]));
        bench.write32(0x500, COMP);
        bench.call(|device, ctx| device.power_down(ctx));
        assert_eq!(bench.read32(0x500), 0);
    }
}
