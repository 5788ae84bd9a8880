//! ROHM BH1750FVI ambient light sensor.
//!
//! Follows ROHM's technical note 11046EDT01: a count is `1 / 1.2` lx at the measurement time of 69, proportionally
//! less with a longer one, and half of it in H-resolution mode 2; L-resolution mode counts in steps of four. A
//! measurement takes the note's typical time (120 ms, or 16 ms in L-resolution mode), proportional to the measurement
//! time, and shows what is there at its end. Modes may be asked for while the chip is powered down, as the Linux
//! driver (`iio/light/bh1750.c`) does.
//!
//! Left out: the DVI pin, the spectral response, and the noise of the light.

use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::{Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, Time, state};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel = I2cModel { compatible: &["rohm,bh1750"], summary: "BH1750 light sensor", build };

const QUANTITIES: &[Quantity] =
    &[Quantity::number("illuminance", "lx", (0.0, 120_000.0), 320.0, "light on the sensor")];

mod opcode {
    pub const POWER_DOWN: u8 = 0x00;
    pub const POWER_ON: u8 = 0x01;
    pub const RESET: u8 = 0x07;
}

/// How a measurement is made.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Resolution {
    High,
    High2,
    Low,
}

/// A measurement that goes on.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Measurement {
    resolution: Resolution,
    continuous: bool,
}

/// The chip without its surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    powered: bool,
    running: Option<Measurement>,
    /// The measurement time register.
    time: u8,
    data: u16,
    /// Bytes read since the start.
    position: u8,
}

impl Default for State {
    fn default() -> State {
        State { powered: false, running: None, time: 69, data: 0, position: 0 }
    }
}

impl State {
    /// What a measurement gives.
    fn count(&self, resolution: Resolution, lux: f64) -> u16 {
        let count = lux * 1.2 * f64::from(self.time) / 69.0;
        match resolution {
            Resolution::High => count.round() as u16,
            Resolution::High2 => (count * 2.0).round() as u16,
            Resolution::Low => (count / 4.0).round().min(16_383.0) as u16 * 4,
        }
    }

    /// How long a measurement takes. The data sheet allows 31 to 254 for the measurement time; a measurement without
    /// any would never let virtual time pass.
    fn duration(&self, resolution: Resolution) -> Time {
        let ms: u64 = if resolution == Resolution::Low { 16 } else { 120 };
        Time::from_us(ms * 1000 * u64::from(self.time.max(31)) / 69)
    }

    /// Executes an opcode; whether a measurement begins.
    fn execute(&mut self, code: u8) -> bool {
        let resolution = match code & 0xf {
            0x0 => Some(Resolution::High),
            0x1 => Some(Resolution::High2),
            0x3 => Some(Resolution::Low),
            _ => None,
        };
        match (code, resolution) {
            (opcode::POWER_DOWN, _) => {
                self.powered = false;
                self.running = None;
            }
            (opcode::POWER_ON, _) => {
                self.powered = true;
                self.running = None;
            }
            (opcode::RESET, _) if self.powered => self.data = 0,
            (0x10..=0x2f, Some(resolution)) => {
                self.powered = true;
                self.running = Some(Measurement { resolution, continuous: code & 0xf0 == 0x10 });
                return true;
            }
            // The high three and the low five bits of the measurement time.
            (0x40..=0x47, _) => self.time = self.time & 0x1f | (code & 0x7) << 5,
            (0x60..=0x7f, _) => self.time = self.time & 0xe0 | code & 0x1f,
            _ => {}
        }
        false
    }
}

/// A BH1750 and the light on it.
struct Bh1750 {
    state: State,
    world: World,
}

const TOKEN_DONE: u32 = 0;

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    Ok(Box::new(Bh1750 { state: State::default(), world: World::new(QUANTITIES) }))
}

impl Component for Bh1750 {
    fn save(&self) -> Vec<u8> {
        let Bh1750 { state, world } = self;
        state::encode(&(state, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world): (State, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of a BH1750".to_string()));
        }
        (self.state, self.world) = (state, world);
        Ok(())
    }

    world_controls!(QUANTITIES);

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.world.set(QUANTITIES, name, value)
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        let State { powered, running, time, data, position: _ } = &self.state;
        vec![
            field("powered", powered.to_string()),
            field("measuring", format!("{running:?}")),
            field("MTreg", time.to_string()),
            field("data", format!("{data:#06x}")),
        ]
    }
}

impl I2cTarget for Bh1750 {
    fn reset(&mut self, _ctx: &mut Ctx) {
        self.state = State::default();
    }

    fn start(&mut self, _ctx: &mut Ctx, _read: bool) -> bool {
        self.state.position = 0;
        true
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if self.state.execute(byte)
            && let Some(measurement) = self.state.running
        {
            ctx.schedule_in(TOKEN_DONE, self.state.duration(measurement.resolution));
        } else if self.state.running.is_none() {
            ctx.cancel(TOKEN_DONE);
        }
        true
    }

    fn read(&mut self, _ctx: &mut Ctx) -> u8 {
        let [high, low] = self.state.data.to_be_bytes();
        let first = self.state.position.is_multiple_of(2);
        self.state.position = self.state.position.wrapping_add(1);
        if first { high } else { low }
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        let Some(Measurement { resolution, continuous }) = self.state.running else { return };
        self.state.data = self.state.count(resolution, self.world.number(0));
        if continuous {
            ctx.schedule_in(TOKEN_DONE, self.state.duration(resolution));
        } else {
            self.state.running = None;
            self.state.powered = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Chip, bench, survives_anything};
    use super::*;

    fn count(chip: &mut impl Chip) -> u16 {
        let bytes = chip.take(2);
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    #[test]
    fn measures_once_in_time_and_powers_down() {
        let mut chip = bench(&MODEL);
        chip.set("illuminance", ControlValue::Number(1000.0));
        assert_eq!(count(&mut chip), 0);
        assert!(chip.send(&[0x20]));
        chip.wait_ms(119);
        assert_eq!(count(&mut chip), 0);
        chip.wait_ms(1);
        assert_eq!(count(&mut chip), 1200);
        chip.set("illuminance", ControlValue::Number(1.0));
        chip.wait_ms(1000);
        assert_eq!(count(&mut chip), 1200, "it is off");
        chip.send(&[0x07]);
        assert_eq!(count(&mut chip), 1200, "no reset while off");
        chip.send(&[0x01]);
        chip.send(&[0x07]);
        assert_eq!(count(&mut chip), 0);
    }

    #[test]
    fn measures_on_and_on() {
        let mut chip = bench(&MODEL);
        chip.send(&[0x01]);
        chip.send(&[0x10]);
        for lux in [0.0, 100.0, 54_612.0] {
            chip.set("illuminance", ControlValue::Number(lux));
            chip.wait_ms(121);
            assert!((f64::from(count(&mut chip)) / 1.2 - lux).abs() <= 1.0, "{lux}");
        }
        chip.set("illuminance", ControlValue::Number(100_000.0));
        chip.wait_ms(121);
        assert_eq!(count(&mut chip), 0xffff, "it saturates");
        chip.send(&[0x00]);
        chip.set("illuminance", ControlValue::Number(0.0));
        chip.wait_ms(500);
        assert_eq!(count(&mut chip), 0xffff);
    }

    #[test]
    fn modes_and_measurement_time() {
        let mut chip = bench(&MODEL);
        chip.set("illuminance", ControlValue::Number(100.0));
        for (code, expected, ms) in [(0x20, 120, 120), (0x21, 240, 120), (0x23, 120, 16)] {
            chip.send(&[0x01]);
            chip.send(&[0x07]);
            chip.send(&[code]);
            chip.wait_ms(ms - 1);
            assert_eq!(count(&mut chip), 0, "{code:#x}");
            chip.wait_ms(1);
            assert_eq!(count(&mut chip), expected, "{code:#x}");
        }
        // 138 = 0b100_01010: twice as sensitive, twice as long.
        chip.send(&[0x44]);
        chip.send(&[0x6a]);
        chip.send(&[0x20]);
        chip.wait_ms(239);
        assert_eq!(count(&mut chip), 120);
        chip.wait_ms(1);
        assert_eq!(count(&mut chip), 240);
    }

    #[test]
    fn reset_and_state() {
        let mut chip = bench(&MODEL);
        chip.send(&[0x6a]);
        chip.send(&[0x10]);
        chip.check_save_restore();
        assert_eq!(chip.device.control("chip.illuminance"), Some(ControlValue::Number(320.0)));
    }

    #[test]
    fn anything() {
        survives_anything(&MODEL);
    }
}
