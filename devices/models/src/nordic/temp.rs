//! Temperature sensor (TEMP).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 27, and the nRF51 Series Reference Manual v3.0, chapter 22.
//! The control `die-temperature` is what it measures; a measurement takes 36 us and has steps of 0.25 °C. The
//! coefficients that software copies from FICR are kept, without effect: the model measures exactly.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, Model, RestoreError, Time, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-temp"], summary: "nRF temperature sensor", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004 }
    events { DATARDY = 0x100 }
    shorts {}
}

const CONTROL: &str = "die-temperature";
const CONVERSION: Time = Time::from_us(36);
/// A0 to A5, B0 to B5 and T0 to T4 lie from 0x520 to 0x570, with gaps.
const COEFFICIENTS: usize = 21;

/// The block without its common registers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sensor {
    /// What it measures, in degrees Celsius. Survives a reset.
    celsius: f64,
    /// The latest result, in steps of 0.25 °C.
    result: i32,
    coefficients: [u32; COEFFICIENTS],
}

impl Default for Sensor {
    fn default() -> Sensor {
        let mut coefficients = [0; COEFFICIENTS];
        coefficients[..6].copy_from_slice(&[0x320, 0x343, 0x35d, 0x400, 0x47f, 0x37b]);
        coefficients[8..14].copy_from_slice(&[0x3fcc, 0x3f98, 0x3f98, 0x12, 0x6a, 0x3dd0]);
        coefficients[16..].copy_from_slice(&[0xe2, 0, 0x14, 0x19, 0x50]);
        Sensor { celsius: 25.0, result: 0, coefficients }
    }
}

impl Sensor {
    fn coefficient(&mut self, offset: u64) -> Option<&mut u32> {
        let index = offset.checked_sub(0x520)? as usize / 4;
        self.coefficients.get_mut(index).filter(|_| !matches!(index, 6 | 7 | 14 | 15))
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Sensor::default())))
}

impl Component for Sensor {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        vec![ControlSpec {
            name: CONTROL.to_string(),
            unit: "°C",
            kind: ControlKind::Number { min: -40.0, max: 105.0 },
            settable: true,
            help: "temperature of the chip",
        }]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        (name == CONTROL).then_some(ControlValue::Number(self.celsius))
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        match value {
            ControlValue::Number(celsius) if name == CONTROL => {
                self.celsius = *celsius;
                Ok(())
            }
            _ => Err(ControlError::Unknown(name.to_string())),
        }
    }

    fn inspect(&self) -> Vec<Field> {
        vec![Field { name: "TEMP".into(), value: self.result.to_string() }]
    }
}

impl Peripheral for Sensor {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = Sensor { celsius: self.celsius, ..Sensor::default() };
    }

    fn task(&mut self, _block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::START => ctx.schedule_in(0, CONVERSION),
            _ => ctx.cancel(0),
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        match at.offset {
            0x508 => Some(self.result as u32),
            offset => self.coefficient(offset).copied(),
        }
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            // Product anomaly notices of the nRF51 (28, 30, 66) have software write these two.
            0x504 | 0x50c => {}
            0x508 => {}
            offset => *self.coefficient(offset)? = value,
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, _token: u32) {
        self.result = (self.celsius * 4.0).round() as i32;
        block.raise(ctx, event::DATARDY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn measures_its_control() {
        let mut bench = Bench::new(Nordic::new(0x4000_c000, &LAYOUT, Sensor::default()));
        let mut measure = |celsius: f64| {
            let value = ControlValue::Number(celsius);
            bench.call(|device, ctx| device.set_control(ctx, CONTROL, &value)).expect("a control");
            bench.write32(0x100, 0);
            bench.write32(0x000, 1);
            bench.advance(Time::from_us(35));
            assert_eq!(bench.read32(0x100), 0);
            bench.advance(Time::from_us(1));
            assert_eq!(bench.read32(0x100), 1);
            bench.read32(0x508) as i32
        };
        assert_eq!((measure(25.0), measure(-7.3), measure(36.62)), (100, -29, 146));
        bench.write32(0x530, 0x452);
        bench.write32(0x538, 1);
        assert_eq!((bench.read32(0x530), bench.services.unimplemented.len()), (0x452, 1));
        bench.check_save_restore();
    }
}
