//! Analog to digital converter (ADC) of the nRF51.
//!
//! Follows the nRF51 Series Reference Manual v3.0, chapter 31. The controls `ain0` to `ain7` are the voltages at the
//! pins; the supply is 3.0 V. A conversion takes 20, 36 or 68 us for 8, 9 or 10 bits.
//!
//! Left out: the external reference, which is taken for one of 1.2 V.

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
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-adc"], summary: "nRF51 ADC", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004 }
    events { END = 0x100 }
    shorts {}
}

register_bank! {
    /// The registers.
    enum Register {
        Busy = 0x400, ro, reset 0;
        Enable = 0x500, rw(0x3), reset 0;
        Config = 0x504, rw(0x3_ff7f), reset 0x18, {
            res: 0 .. 2, inpsel: 2 .. 5, refsel: 5 .. 7, psel: 8 .. 16, extrefsel: 16 .. 18,
        };
        Result = 0x508, ro, reset 0;
    }
}

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Adc {
    bank: Bank<Register>,
    inputs: Inputs,
}

impl Adc {
    fn convert(&self) -> u32 {
        let config = self.bank[Register::Config];
        let pin = (config >> 8 & 0xff).trailing_zeros() as usize;
        let input = match config >> 2 & 7 {
            0 => self.inputs.volts(pin),
            1 => self.inputs.volts(pin) * 2.0 / 3.0,
            2 => self.inputs.volts(pin) / 3.0,
            5 => SUPPLY * 2.0 / 3.0,
            6 => SUPPLY / 3.0,
            _ => 0.0,
        };
        let reference = match config >> 5 & 3 {
            2 => SUPPLY / 2.0,
            3 => SUPPLY / 3.0,
            _ => 1.2,
        };
        let full = f64::from((256u32 << (config & 3).min(2)) - 1);
        (input / reference * full).round().clamp(0.0, full) as u32
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Adc::default())))
}

impl Component for Adc {
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

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.inputs.set(name, value)
    }

    fn inspect(&self) -> Vec<Field> {
        self.bank.inspect()
    }
}

impl Peripheral for Adc {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        self.bank = Bank::default();
    }

    fn task(&mut self, _block: &mut Block, ctx: &mut Ctx, task: u32) {
        if task == task::START && self.bank[Register::Enable] == 1 {
            let span = [20, 36, 68, 68][(self.bank[Register::Config] & 3) as usize];
            self.bank[Register::Busy] = 1;
            ctx.schedule_in(0, Time::from_us(span));
        } else {
            self.bank[Register::Busy] = 0;
            ctx.cancel(0);
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        self.bank.at(at.offset).map(|register| self.bank.read(register))
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let register = self.bank.at(at.offset)?;
        self.bank.write(register, value);
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        self.bank[Register::Busy] = 0;
        self.bank[Register::Result] = self.convert();
        block.raise(ctx, event::END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn converts_pins_and_supply() {
        let mut bench = Bench::new(Nordic::new(0x4000_7000, &LAYOUT, Adc::default()));
        let volts = ControlValue::Number(1.5);
        bench.call(|device, ctx| device.set_control(ctx, "ain2", &volts)).expect("a control");
        bench.write32(0x500, 1);
        let mut convert = |config| {
            bench.write32(0x504, config);
            bench.write32(0x000, 1);
            assert_eq!(bench.read32(0x400), 1);
            bench.advance(Time::from_us(68));
            (bench.read32(0x400), bench.read32(0x508))
        };
        assert_eq!(convert(2 | 2 << 2 | 4 << 8), (0, 426), "a third of 1.5 V against 1.2 V");
        assert_eq!(convert(2 | 1 << 2 | 3 << 5 | 4 << 8), (0, 1023));
        assert_eq!(convert(6 << 2 | 4 << 8), (0, 213), "a third of the supply in eight bits");
        bench.check_save_restore();
    }
}
