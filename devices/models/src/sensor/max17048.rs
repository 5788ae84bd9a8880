//! Maxim MAX17048 fuel gauge of a lithium cell.
//!
//! Follows the data sheet 19-6171 (registers, alerts, sleep, power-on reset). The cell's voltage, charge and rate of
//! charge are controls of their own, so that a scenario may say anything: the ModelGauge algorithm that derives the
//! charge from the voltage is not here, and quick-start, RCOMP and the custom model table have no effect. A change
//! of a control reaches the registers at once instead of at the next of the chip's samples, 250 ms apart.
//!
//! Output line 0 is the ALRT pin: open drain, low while an alert is pending.
//!
//! Left out: hibernation (`HibStat` stays clear), reset of the comparator by a swap of the cell (`VRESET`), the
//! model table (0x40 to 0x7f, which stays locked and reads as zero).

use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::regs::Bank;
use devices_core::{
    Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel =
    I2cModel { compatible: &["maxim,max17048", "maxim,max17058"], summary: "MAX17048 fuel gauge", build };

const VOLTAGE: usize = 0;
const CHARGE: usize = 1;
const RATE: usize = 2;
const QUANTITIES: &[Quantity] = &[
    Quantity::number("voltage", "V", (0.0, 5.0), 3.9, "voltage of the cell"),
    Quantity::number("charge", "%", (0.0, 100.0), 80.0, "state of charge"),
    Quantity::number("rate", "%/h", (-1000.0, 1000.0), -5.0, "change of the charge"),
];

register_bank! {
    /// The registers, 16 bits each.
    enum Register {
        Vcell = 0x02, ro, reset 0;
        Soc = 0x04, ro, reset 0;
        Mode = 0x06, wo(0x2000), reset 0, { hibstat: 12, ensleep: 13, quickstart: 14 };
        Version = 0x08, ro, reset 0x0012;
        Hibrt = 0x0a, rw(0xffff), reset 0x8030, { actthr: 0 .. 8, hibthr: 8 .. 16 };
        Config = 0x0c, rw(0xffdf), reset 0x971c, { athd: 0 .. 5, alrt: 5, alsc: 6, sleep: 7, rcomp: 8 .. 16 };
        Valrt = 0x14, rw(0xffff), reset 0x00ff, { max: 0 .. 8, min: 8 .. 16 };
        Crate = 0x16, ro, reset 0;
        Vreset = 0x18, rw(0xff00), reset 0x960c, { id: 0 .. 8, dis: 8, vreset: 9 .. 16 };
        Status = 0x1a, rw(0x7f00), reset 0x0100,
            { ri: 8, vh: 9, vl: 10, vr: 11, hd: 12, sc: 13, envr: 14 };
        Cmd = 0xfe, wo(0), reset 0;
    }
}

use Register::*;

const ALERT: u32 = 1 << 5;
const ALERT_ON_CHANGE: u32 = 1 << 6;
const SLEEP: u32 = 1 << 7;
const ENABLE_SLEEP: u32 = 1 << 13;
const VOLTAGE_HIGH: u32 = 1 << 9;
const VOLTAGE_LOW: u32 = 1 << 10;
const CHARGE_LOW: u32 = 1 << 12;
const CHARGE_CHANGED: u32 = 1 << 13;
const POWER_ON_RESET: u32 = 0x5400;

/// The chip without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    /// Address of the next byte.
    pointer: u8,
    /// The next byte written is the address.
    addressing: bool,
    /// The first byte of a register on its way.
    high: Option<u8>,
}

impl State {
    fn asleep(&self) -> bool {
        self.bank[Mode] & ENABLE_SLEEP != 0 && self.bank[Config] & SLEEP != 0
    }

    /// Measures the cell, and alerts.
    fn sample(&mut self, volts: f64, percent: f64, percent_per_hour: f64) {
        if self.asleep() {
            return;
        }
        let before = self.bank[Soc];
        // 78.125 uV, 1/256 % and 0.208 %/h a count.
        self.bank[Vcell] = (volts * 12_800.0).round().clamp(0.0, 65_535.0) as u32;
        self.bank[Soc] = (percent * 256.0).round().clamp(0.0, 65_535.0) as u32;
        self.bank[Crate] = u32::from((percent_per_hour / 0.208).round() as i16 as u16);
        let mut alerts = 0;
        // The limits count 20 mV; 255 is no limit.
        let (min, max) = (self.bank[Valrt] >> 8, self.bank[Valrt] & 0xff);
        if self.bank[Vcell] > max * 256 && max != 0xff {
            alerts |= VOLTAGE_HIGH;
        }
        if self.bank[Vcell] < min * 256 {
            alerts |= VOLTAGE_LOW;
        }
        let threshold = (32 - (self.bank[Config] & 0x1f)) * 256;
        if self.bank[Soc] < threshold && before >= threshold {
            alerts |= CHARGE_LOW;
        }
        if self.bank[Config] & ALERT_ON_CHANGE != 0 && self.bank[Soc] / 256 != before / 256 {
            alerts |= CHARGE_CHANGED;
        }
        if alerts != 0 {
            self.bank[Status] |= alerts;
            self.bank[Config] |= ALERT;
        }
    }

    fn read(&mut self) -> u8 {
        let address = self.pointer;
        self.pointer = self.pointer.wrapping_add(1);
        let word = self.bank.at(u64::from(address & !1)).map_or(0, |register| self.bank.read(register));
        if address & 1 == 0 { (word >> 8) as u8 } else { word as u8 }
    }

    /// A whole register is written; false for no acknowledge.
    fn write(&mut self, address: u8, value: u32) -> bool {
        let Some(register) = self.bank.at(address.into()) else { return true };
        match register {
            Cmd if value == POWER_ON_RESET => {
                *self = State::default();
                return false;
            }
            // Software can clear the alert, not raise it.
            Config => self.bank[Config] = value & (self.bank[Config] | !ALERT),
            // Flags are cleared by writing zero.
            Status => {
                let flags = 0x3f00;
                self.bank[Status] = value & (self.bank[Status] | !flags) & 0x7f00;
            }
            _ => drop(self.bank.write(register, value)),
        }
        true
    }
}

/// A MAX17048 and its cell.
struct Max17048 {
    state: State,
    world: World,
}

impl Max17048 {
    fn update(&mut self, ctx: &mut Ctx) {
        let [volts, percent, rate] = [VOLTAGE, CHARGE, RATE].map(|index| self.world.number(index));
        self.state.sample(volts, percent, rate);
        ctx.set_line(0, self.state.bank[Config] & ALERT == 0);
    }

    fn power_on(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        // A cell that is low already has crossed the threshold.
        self.state.bank[Soc] = u32::from(u16::MAX);
        self.update(ctx);
    }
}

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    Ok(Box::new(Max17048 { state: State::default(), world: World::new(QUANTITIES) }))
}

impl Component for Max17048 {
    fn save(&self) -> Vec<u8> {
        let Max17048 { state, world } = self;
        state::encode(&(state, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world): (State, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of a MAX17048".to_string()));
        }
        (self.state, self.world) = (state, world);
        Ok(())
    }

    world_controls!(QUANTITIES);

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.world.set(QUANTITIES, name, value)?;
        self.update(ctx);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.state.bank.inspect()
    }
}

impl I2cTarget for Max17048 {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.power_on(ctx);
    }

    fn start(&mut self, _ctx: &mut Ctx, read: bool) -> bool {
        self.state.addressing = !read;
        self.state.high = None;
        true
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if std::mem::take(&mut self.state.addressing) {
            self.state.pointer = byte;
            return true;
        }
        let address = self.state.pointer;
        self.state.pointer = address.wrapping_add(1);
        if address & 1 == 0 {
            self.state.high = Some(byte);
            return true;
        }
        // Only whole registers are written.
        let Some(high) = self.state.high.take() else { return true };
        let acknowledged = self.state.write(address & !1, u32::from(high) << 8 | u32::from(byte));
        if acknowledged {
            self.update(ctx);
        } else {
            self.power_on(ctx);
        }
        acknowledged
    }

    fn read(&mut self, _ctx: &mut Ctx) -> u8 {
        self.state.read()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Chip, bench, survives_anything};
    use super::*;

    fn word(chip: &mut impl Chip, register: u8) -> u16 {
        let bytes = chip.ask(&[register], 2);
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    fn number(chip: &mut impl Chip, name: &str, value: f64) {
        chip.set(name, ControlValue::Number(value));
    }

    #[test]
    fn registers_after_power_on() {
        let mut chip = bench(&MODEL);
        let words = [0x06, 0x08, 0x0a, 0x0c, 0x14, 0x1a].map(|register| word(&mut chip, register));
        assert_eq!(words, [0, 0x0012, 0x8030, 0x971c, 0x00ff, 0x0100]);
        assert_eq!(word(&mut chip, 0x18) & 0xff00, 0x9600);
        assert_eq!(
            chip.ask(&[0x02], 6),
            [0xc3, 0x00, 0x50, 0x00, 0, 0],
            "3.9 V, 80 %, registers follow each other"
        );
        assert!(chip.output(0), "no alert");
    }

    #[test]
    fn readings_are_within_a_count() {
        let mut chip = bench(&MODEL);
        for (volts, percent, rate) in
            [(0.0, 0.0, 0.0), (3.7, 42.42, -12.3), (4.2, 100.0, 55.0), (5.0, 3.0, -1000.0)]
        {
            number(&mut chip, "voltage", volts);
            number(&mut chip, "charge", percent);
            number(&mut chip, "rate", rate);
            assert!((f64::from(word(&mut chip, 2)) * 78.125e-6 - volts).abs() <= 78.125e-6);
            assert!((f64::from(word(&mut chip, 4)) / 256.0 - percent).abs() <= 1.0 / 256.0);
            assert!((f64::from(word(&mut chip, 0x16) as i16) * 0.208 - rate).abs() <= 0.208);
        }
    }

    #[test]
    fn low_charge_alerts_when_it_is_crossed() {
        let mut chip = bench(&MODEL);
        chip.send(&[0x0c, 0x97, 32 - 10]);
        number(&mut chip, "charge", 10.0);
        assert!(chip.output(0));
        number(&mut chip, "charge", 9.9);
        assert_eq!((chip.output(0), word(&mut chip, 0x0c) & 0x20), (false, 0x20));
        assert_eq!(word(&mut chip, 0x1a), 0x1100);
        chip.send(&[0x1a, 0x00, 0x00]);
        chip.send(&[0x0c, 0x97, 32 - 10]);
        assert_eq!((chip.output(0), word(&mut chip, 0x1a)), (true, 0));
        number(&mut chip, "charge", 9.0);
        assert!(chip.output(0), "it was below before");
        chip.send(&[0x0c, 0x97, 0x20 | (32 - 10)]);
        assert!(chip.output(0), "software can not raise an alert");
    }

    #[test]
    fn voltage_limits_and_change_alert() {
        let mut chip = bench(&MODEL);
        chip.send(&[0x14, 165, 210]); // 3.3 V and 4.2 V
        number(&mut chip, "voltage", 4.2);
        assert!(chip.output(0));
        number(&mut chip, "voltage", 4.21);
        assert_eq!((chip.output(0), word(&mut chip, 0x1a)), (false, 0x0300));
        number(&mut chip, "voltage", 3.2);
        assert_eq!(word(&mut chip, 0x1a), 0x0700);
        number(&mut chip, "voltage", 3.9);
        chip.send(&[0x1a, 0, 0]);
        chip.send(&[0x0c, 0x97, 0x40]);
        number(&mut chip, "charge", 79.5);
        assert_eq!((chip.output(0), word(&mut chip, 0x1a)), (false, 0x2000));
    }

    #[test]
    fn sleep_keeps_the_readings() {
        let mut chip = bench(&MODEL);
        chip.send(&[0x06, 0x20, 0x00]);
        chip.send(&[0x0c, 0x97, 0x9c]);
        number(&mut chip, "voltage", 3.0);
        assert_eq!(word(&mut chip, 2), 0xc300);
        chip.send(&[0x0c, 0x97, 0x1c]);
        assert_eq!(word(&mut chip, 2), 0x9600);
    }

    #[test]
    fn power_on_reset_and_state() {
        let mut chip = bench(&MODEL);
        chip.send(&[0x0c, 0x12, 0x5f]);
        chip.check_save_restore();
        assert_eq!(word(&mut chip, 0x0c), 0x125f);
        assert!(!chip.send(&[0xfe, 0x54, 0x00]), "it does not acknowledge any more");
        assert_eq!((word(&mut chip, 0x0c), word(&mut chip, 0x04)), (0x971c, 0x5000));
    }

    #[test]
    fn anything() {
        survives_anything(&MODEL);
    }
}
