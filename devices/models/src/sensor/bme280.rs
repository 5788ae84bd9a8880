//! Bosch BME280: temperature, pressure and humidity.
//!
//! Follows the data sheet BST-BME280-DS002: sleep, forced and normal mode, oversampling, the typical times of
//! section 9.1, the filter of section 3.4.4, and the calibration registers of section 4.2.2. The calibration is that
//! of one fixed chip (the example of the BMP280 data sheet's section 3.12, with typical values for humidity). A
//! reading is the raw value for which the compensation of the data sheet gives the controls' values, in the resolution
//! that oversampling and filter give.
//!
//! Left out: SPI, the noise, and the delay of a change of mode during a measurement until the end of it (the
//! registers take it at once, the measurement ends as it began).

use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::regs::Bank;
use devices_core::{
    Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel =
    I2cModel { compatible: &["bosch,bme280"], summary: "BME280 climate sensor", build };

const TEMPERATURE: usize = 0;
const PRESSURE: usize = 1;
const HUMIDITY: usize = 2;
const QUANTITIES: &[Quantity] = &[
    Quantity::number("temperature", "°C", (-40.0, 85.0), 21.5, "temperature of the air"),
    Quantity::number("pressure", "hPa", (300.0, 1100.0), 1013.25, "pressure of the air"),
    Quantity::number("humidity", "%", (0.0, 100.0), 45.0, "relative humidity of the air"),
];

/// The calibration of the chip, as the data sheet names it.
mod calibration {
    pub const T: [i32; 3] = [27_504, 26_435, -1000];
    pub const P: [i32; 9] = [36_477, -10_685, 3024, 2855, 140, -7, 15_500, -14_600, 6000];
    pub const H: [i32; 6] = [75, 355, 0, 333, 0, 30];

    /// The byte of a calibration register.
    pub fn byte(address: u8) -> Option<u8> {
        let word = |value: i32, high: u8| value.to_le_bytes()[usize::from(high & 1)];
        Some(match address {
            0x88..=0x8d => word(T[usize::from(address - 0x88) / 2], address),
            0x8e..=0x9f => word(P[usize::from(address - 0x8e) / 2], address),
            0xa0 => 0,
            0xa1 => H[0] as u8,
            0xe1 => word(H[1], 0),
            0xe2 => word(H[1], 1),
            0xe3 => H[2] as u8,
            0xe4 => (H[3] >> 4) as u8,
            0xe5 => (H[3] & 0xf | H[4] << 4) as u8,
            0xe6 => (H[4] >> 4) as u8,
            0xe7 => H[5] as u8,
            0xe8..=0xf0 => 0,
            _ => return None,
        })
    }
}

/// The compensation of the data sheet's section 8.1, in double precision.
mod compensation {
    use super::calibration::{H, P, T};

    /// In 1/5120 degree.
    pub fn fine_temperature(raw: u32) -> f64 {
        let [t1, t2, t3] = T.map(f64::from);
        let raw = f64::from(raw);
        let offset = raw / 131_072.0 - t1 / 8192.0;
        (raw / 16_384.0 - t1 / 1024.0) * t2 + offset * offset * t3
    }

    /// In Pa.
    pub fn pressure(raw: u32, fine: f64) -> f64 {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = P.map(f64::from);
        let a = fine / 2.0 - 64_000.0;
        let b = a * a * p6 / 32_768.0 + a * p5 * 2.0;
        let b = b / 4.0 + p4 * 65_536.0;
        let c = (p3 * a * a / 524_288.0 + p2 * a) / 524_288.0;
        let c = (1.0 + c / 32_768.0) * p1;
        if c == 0.0 {
            return 0.0;
        }
        let p = (1_048_576.0 - f64::from(raw) - b / 4096.0) * 6250.0 / c;
        p + (p9 * p * p / 2_147_483_648.0 + p * p8 / 32_768.0 + p7) / 16.0
    }

    /// In percent.
    pub fn humidity(raw: u32, fine: f64) -> f64 {
        let [h1, h2, h3, h4, h5, h6] = H.map(f64::from);
        let h = fine - 76_800.0;
        let scale = h2 / 65_536.0 * (1.0 + h6 / 67_108_864.0 * h * (1.0 + h3 / 67_108_864.0 * h));
        let h = (f64::from(raw) - (h4 * 64.0 + h5 / 16_384.0 * h)) * scale;
        h * (1.0 - h1 * h / 524_288.0)
    }

    /// The raw value below `1 << bits` for which `rising` is nearest to `wanted`.
    pub fn invert(bits: u32, wanted: f64, rising: impl Fn(u32) -> f64) -> u32 {
        let (mut low, mut high) = (0, (1 << bits) - 1);
        while low < high {
            let middle = (low + high) / 2;
            if rising(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        let below = low.saturating_sub(1);
        if (rising(below) - wanted).abs() < (rising(low) - wanted).abs() { below } else { low }
    }
}

register_bank! {
    /// The registers that are not constant, one byte each.
    enum Register {
        CtrlHum = 0xf2, rw(0x07), reset 0, { osrs_h: 0 .. 3 };
        Status = 0xf3, ro, reset 0, { im_update: 0, measuring: 3 };
        CtrlMeas = 0xf4, rw(0xff), reset 0, { mode: 0 .. 2, osrs_p: 2 .. 5, osrs_t: 5 .. 8 };
        Config = 0xf5, rw(0xfd), reset 0, { spi3w_en: 0, filter: 2 .. 5, t_sb: 5 .. 8 };
        PressMsb = 0xf7, ro, reset 0x80;
        PressLsb = 0xf8, ro, reset 0;
        PressXlsb = 0xf9, ro, reset 0;
        TempMsb = 0xfa, ro, reset 0x80;
        TempLsb = 0xfb, ro, reset 0;
        TempXlsb = 0xfc, ro, reset 0;
        HumMsb = 0xfd, ro, reset 0x80;
        HumLsb = 0xfe, ro, reset 0;
    }
}

use Register::*;

const ID: u8 = 0x60;
const ID_ADDRESS: u8 = 0xd0;
const RESET_ADDRESS: u8 = 0xe0;
const RESET_WORD: u8 = 0xb6;
const MEASURING: u32 = 1 << 3;
const UPDATING: u32 = 1;
const NORMAL: u32 = 3;
/// What an output that is not measured reads.
const SKIPPED: u32 = 0x8_0000;
/// How long the calibration is copied after power-on; the data sheet gives 2 ms until the first communication.
const START_UP: Time = Time::from_ms(1);
/// Times between measurements in normal mode, in microseconds, by `t_sb`.
const STANDBY: [u64; 8] = [500, 62_500, 125_000, 250_000, 500_000, 1_000_000, 10_000, 20_000];

/// What a measurement does, as it was asked for at its beginning.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Oversampling {
    temperature: u32,
    pressure: u32,
    humidity: u32,
}

impl Oversampling {
    /// The typical time of section 9.1.
    fn duration(self) -> Time {
        let quantity = |factor: u32, extra| if factor == 0 { 0 } else { 2000 * u64::from(factor) + extra };
        let us = 1000
            + quantity(self.temperature, 0)
            + quantity(self.pressure, 500)
            + quantity(self.humidity, 500);
        Time::from_us(us)
    }
}

/// The chip without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    /// `ctrl_hum` as of the last write of `ctrl_meas`.
    humidity_oversampling: u32,
    running: Option<Oversampling>,
    /// Raw temperature and pressure that the filter remembers.
    filtered: Option<(u32, u32)>,
    /// What a burst of reads sees of 0xf7 to 0xfe: it does not change under it.
    shadow: [u8; 8],
    pointer: u8,
    addressing: bool,
}

impl State {
    fn mode(&self) -> u32 {
        self.bank[CtrlMeas] & 3
    }

    fn filter(&self) -> u32 {
        [1, 2, 4, 8, 16, 16, 16, 16][(self.bank[Config] >> 2 & 7) as usize]
    }

    fn oversampling(&self) -> Oversampling {
        let factor = |code: u32| [0, 1, 2, 4, 8, 16, 16, 16][(code & 7) as usize];
        Oversampling {
            temperature: factor(self.bank[CtrlMeas] >> 5),
            pressure: factor(self.bank[CtrlMeas] >> 2),
            humidity: factor(self.humidity_oversampling),
        }
    }

    /// Begins a measurement; how long it takes.
    fn begin(&mut self) -> Time {
        let oversampling = self.oversampling();
        self.running = Some(oversampling);
        self.bank[Status] |= MEASURING;
        oversampling.duration()
    }

    /// Ends the measurement with what is there now, in degrees, Pa and percent.
    fn finish(&mut self, temperature: f64, pressure: f64, humidity: f64) {
        let Some(oversampling) = self.running.take() else { return };
        self.bank[Status] &= !MEASURING;
        let coefficient = self.filter();
        // 16 bits at single sampling, one more for each doubling; all 20 with the filter.
        let resolution = |raw: u32, factor: u32| match coefficient {
            1 => {
                let dropped = 4u32.saturating_sub(factor.max(1).ilog2());
                (raw + (1 << dropped >> 1)).min(0xf_ffff) >> dropped << dropped
            }
            _ => raw,
        };
        let filter = |old: u32, new: u32| (old * (coefficient - 1) + new) / coefficient;
        let raw_t = compensation::invert(20, temperature * 5120.0, compensation::fine_temperature);
        let raw_t = resolution(raw_t, oversampling.temperature);
        let raw_t = self.filtered.map_or(raw_t, |(old, _)| filter(old, raw_t));
        let seen = if oversampling.temperature == 0 { SKIPPED } else { raw_t };
        // Software compensates with the temperature that it reads.
        let fine = match oversampling.temperature {
            0 => temperature * 5120.0,
            _ => compensation::fine_temperature(seen),
        };
        let raw_p = compensation::invert(20, -pressure, |raw| -compensation::pressure(raw, fine));
        let raw_p = resolution(raw_p, oversampling.pressure);
        let raw_p = self.filtered.map_or(raw_p, |(_, old)| filter(old, raw_p));
        self.filtered = (coefficient > 1).then_some((raw_t, raw_p));
        let raw_h = compensation::invert(16, humidity, |raw| compensation::humidity(raw, fine));
        self.show(PressMsb, PressLsb, PressXlsb, if oversampling.pressure == 0 { SKIPPED } else { raw_p });
        self.show(TempMsb, TempLsb, TempXlsb, seen);
        let raw_h = if oversampling.humidity == 0 { SKIPPED >> 4 } else { raw_h };
        self.bank[HumMsb] = raw_h >> 8 & 0xff;
        self.bank[HumLsb] = raw_h & 0xff;
        if self.mode() != NORMAL {
            self.bank[CtrlMeas] &= !3;
        }
    }

    fn show(&mut self, high: Register, middle: Register, low: Register, raw: u32) {
        self.bank[high] = raw >> 12 & 0xff;
        self.bank[middle] = raw >> 4 & 0xff;
        self.bank[low] = raw << 4 & 0xf0;
    }

    /// Between measurements of normal mode.
    fn standby(&self) -> Time {
        Time::from_us(STANDBY[(self.bank[Config] >> 5 & 7) as usize])
    }

    fn latch(&mut self) {
        for (address, byte) in (0xf7..).zip(0..8usize) {
            let register = self.bank.at(address);
            self.shadow[byte] = register.map_or(0, |register| self.bank.read(register)) as u8;
        }
    }

    fn read(&mut self) -> u8 {
        let address = self.pointer;
        self.pointer = self.pointer.wrapping_add(1);
        match address {
            ID_ADDRESS => ID,
            0xf7..=0xfe => self.shadow[usize::from(address - 0xf7)],
            _ => calibration::byte(address).unwrap_or_else(|| {
                self.bank.at(address.into()).map_or(0, |register| self.bank.read(register)) as u8
            }),
        }
    }
}

/// A BME280 and the air around it.
struct Bme280 {
    state: State,
    world: World,
}

/// A measurement is done.
const TOKEN_DONE: u32 = 0;
/// Normal mode measures again.
const TOKEN_AGAIN: u32 = 1;
/// The calibration is there.
const TOKEN_READY: u32 = 2;

impl Bme280 {
    fn power_on(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        self.state.bank[Status] = UPDATING;
        self.state.latch();
        ctx.cancel(TOKEN_DONE);
        ctx.cancel(TOKEN_AGAIN);
        ctx.schedule_in(TOKEN_READY, START_UP);
    }

    fn write_register(&mut self, ctx: &mut Ctx, address: u8, byte: u8) {
        let state = &mut self.state;
        if address == RESET_ADDRESS {
            if byte == RESET_WORD {
                self.power_on(ctx);
            }
            return;
        }
        let Some(register) = state.bank.at(address.into()) else { return };
        let before = state.bank.write(register, byte.into());
        match register {
            Config if before >> 2 & 7 != state.bank[Config] >> 2 & 7 => state.filtered = None,
            CtrlMeas => {
                state.humidity_oversampling = state.bank[CtrlHum];
                if state.running.is_none() {
                    ctx.cancel(TOKEN_AGAIN);
                    if state.mode() != 0 {
                        ctx.schedule_in(TOKEN_DONE, state.begin());
                    }
                }
            }
            _ => {}
        }
    }
}

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    Ok(Box::new(Bme280 { state: State::default(), world: World::new(QUANTITIES) }))
}

impl Component for Bme280 {
    fn save(&self) -> Vec<u8> {
        let Bme280 { state, world } = self;
        state::encode(&(state, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world): (State, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of a BME280".to_string()));
        }
        (self.state, self.world) = (state, world);
        Ok(())
    }

    world_controls!(QUANTITIES);

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.world.set(QUANTITIES, name, value)
    }

    fn inspect(&self) -> Vec<Field> {
        self.state.bank.inspect()
    }
}

impl I2cTarget for Bme280 {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.power_on(ctx);
    }

    fn start(&mut self, _ctx: &mut Ctx, read: bool) -> bool {
        self.state.addressing = !read;
        self.state.latch();
        true
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if self.state.addressing {
            self.state.pointer = byte;
        } else {
            let address = self.state.pointer;
            self.write_register(ctx, address, byte);
        }
        // Writes are pairs of address and value.
        self.state.addressing = !self.state.addressing;
        true
    }

    fn read(&mut self, _ctx: &mut Ctx) -> u8 {
        self.state.read()
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        let state = &mut self.state;
        match token {
            TOKEN_READY => state.bank[Status] &= !UPDATING,
            TOKEN_DONE => {
                let [temperature, pressure, humidity] =
                    [TEMPERATURE, PRESSURE, HUMIDITY].map(|index| self.world.number(index));
                state.finish(temperature, pressure * 100.0, humidity);
                if state.mode() == NORMAL {
                    ctx.schedule_in(TOKEN_AGAIN, state.standby());
                }
            }
            _ if state.mode() == NORMAL && state.running.is_none() => {
                ctx.schedule_in(TOKEN_DONE, state.begin());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Chip, bench, survives_anything};
    use super::*;

    /// The data sheet's integer compensation (section 4.2.3), from bytes as a driver reads them: degrees, Pa, percent.
    fn compensate(calibration: &[u8], humidity: &[u8], data: &[u8]) -> (f64, f64, f64) {
        let u = |i: usize| i64::from(u16::from_le_bytes([calibration[i], calibration[i + 1]]));
        let s = |i: usize| i64::from(i16::from_le_bytes([calibration[i], calibration[i + 1]]));
        let twenty =
            |i: usize| i64::from(data[i]) << 12 | i64::from(data[i + 1]) << 4 | i64::from(data[i + 2]) >> 4;
        let (raw_p, raw_t) = (twenty(0), twenty(3));
        let raw_h = i64::from(data[6]) << 8 | i64::from(data[7]);
        let v1 = (((raw_t >> 3) - (u(0) << 1)) * s(2)) >> 11;
        let v2 = (((((raw_t >> 4) - u(0)) * ((raw_t >> 4) - u(0))) >> 12) * s(4)) >> 14;
        let fine = v1 + v2;
        let temperature = (fine * 5 + 128) >> 8;
        let v1 = fine - 128_000;
        let v2 = v1 * v1 * s(16) + ((v1 * s(14)) << 17) + (s(12) << 35);
        let v1 = ((v1 * v1 * s(10)) >> 8) + ((v1 * s(8)) << 12);
        let v1 = (((1i64 << 47) + v1) * u(6)) >> 33;
        let p = (((1_048_576 - raw_p) << 31) - v2) * 3125 / v1;
        let v1 = (s(22) * (p >> 13) * (p >> 13)) >> 25;
        let v2 = (s(20) * p) >> 19;
        let pressure = ((p + v1 + v2) >> 8) + (s(18) << 4);
        let h1 = i64::from(calibration[25]);
        let h2 = i64::from(i16::from_le_bytes([humidity[0], humidity[1]]));
        let h3 = i64::from(humidity[2]);
        let h4 = i64::from(humidity[3] as i8) << 4 | i64::from(humidity[4] & 0xf);
        let h5 = i64::from(humidity[5] as i8) << 4 | i64::from(humidity[4] >> 4);
        let h6 = i64::from(humidity[6] as i8);
        let v = fine - 76_800;
        let v = (((raw_h << 14) - (h4 << 20) - h5 * v + 16_384) >> 15)
            * (((((((v * h6) >> 10) * (((v * h3) >> 11) + 32_768)) >> 10) + 2_097_152) * h2 + 8192) >> 14);
        let v = v - (((((v >> 15) * (v >> 15)) >> 7) * h1) >> 4);
        let h = v.clamp(0, 419_430_400) >> 12;
        (temperature as f64 / 100.0, pressure as f64 / 256.0, h as f64 / 1024.0)
    }

    fn reading(chip: &mut impl Chip) -> (f64, f64, f64) {
        let (calibration, humidity) = (chip.ask(&[0x88], 26), chip.ask(&[0xe1], 7));
        let data = chip.ask(&[0xf7], 8);
        compensate(&calibration, &humidity, &data)
    }

    fn set(chip: &mut impl Chip, temperature: f64, pressure: f64, humidity: f64) {
        for (name, value) in [("temperature", temperature), ("pressure", pressure), ("humidity", humidity)] {
            chip.set(name, ControlValue::Number(value));
        }
    }

    #[test]
    fn identity_reset_values_and_start_up() {
        let mut chip = bench(&MODEL);
        assert_eq!(chip.ask(&[0xd0], 1), [0x60]);
        assert_eq!(chip.ask(&[0xf2], 4), [0, 1, 0, 0]);
        assert_eq!(chip.ask(&[0xf7], 8), [0x80, 0, 0, 0x80, 0, 0, 0x80, 0]);
        chip.wait_ms(2);
        assert_eq!(chip.ask(&[0xf3], 1), [0]);
        chip.send(&[0xf2, 5, 0xf5, 0xff]);
        assert_eq!(chip.ask(&[0xf2], 4), [5, 0, 0, 0xfd]);
        chip.send(&[0xe0, 0xb5]);
        assert_eq!(chip.ask(&[0xf2], 1), [5]);
        chip.send(&[0xe0, 0xb6]);
        assert_eq!(chip.ask(&[0xf2], 4), [0, 1, 0, 0]);
    }

    #[test]
    fn forced_mode_takes_its_time_and_sleeps() {
        let mut chip = bench(&MODEL);
        chip.wait_ms(2);
        chip.send(&[0xf2, 1, 0xf4, 0x25]);
        assert_eq!(chip.ask(&[0xf3], 2), [8, 0x25]);
        chip.wait_ms(7);
        assert_eq!(chip.ask(&[0xf3], 1), [8], "8 ms: 1 + 2 + 2.5 + 2.5");
        chip.wait_ms(1);
        assert_eq!(chip.ask(&[0xf3], 2), [0, 0x24]);
        let before = chip.ask(&[0xf7], 8);
        set(&mut chip, 30.0, 900.0, 10.0);
        chip.wait_ms(100);
        assert_eq!(chip.ask(&[0xf7], 8), before);
    }

    #[test]
    fn the_drivers_formula_gives_the_controls_back() {
        let mut chip = bench(&MODEL);
        chip.send(&[0xf2, 5]);
        // Oversampling 16: 20 bits of temperature (about 0.0003 degrees), pressure 0.2 Pa, humidity 0.008 %.
        for temperature in [-40.0, -10.3, 0.0, 21.5, 25.08, 60.0, 85.0] {
            for pressure in [300.0, 543.21, 1006.53, 1013.25, 1100.0] {
                for humidity in [0.0, 3.3, 45.0, 77.7, 100.0] {
                    set(&mut chip, temperature, pressure, humidity);
                    chip.send(&[0xf4, 0xb5]);
                    chip.wait_ms(120);
                    let (t, p, h) = reading(&mut chip);
                    assert!((t - temperature).abs() <= 0.01, "{t} for {temperature}");
                    assert!((p / 100.0 - pressure).abs() <= 0.01, "{p} for {pressure} at {temperature}");
                    assert!((h - humidity).abs() <= 0.05, "{h} for {humidity} at {temperature}");
                }
            }
        }
    }

    #[test]
    fn single_sampling_has_sixteen_bits() {
        let mut chip = bench(&MODEL);
        set(&mut chip, 19.87, 1001.0, 50.0);
        chip.send(&[0xf2, 1, 0xf4, 0x25]);
        chip.wait_ms(10);
        let data = chip.ask(&[0xf7], 8);
        assert_eq!((data[2], data[5]), (0, 0));
        let (t, p, _) = reading(&mut chip);
        assert!((t - 19.87).abs() <= 0.01 && (p - 100_100.0).abs() <= 2.7, "{t} {p}");
    }

    #[test]
    fn what_is_not_measured_is_marked() {
        let mut chip = bench(&MODEL);
        chip.send(&[0xf4, 0x21]);
        chip.wait_ms(10);
        let data = chip.ask(&[0xf7], 8);
        assert_eq!((&data[..3], &data[6..]), (&[0x80, 0, 0][..], &[0x80, 0][..]));
        assert_ne!(data[3..6], [0x80, 0, 0]);
    }

    #[test]
    fn normal_mode_measures_again_after_standby() {
        let mut chip = bench(&MODEL);
        chip.send(&[0xf5, 0x40, 0xf2, 1, 0xf4, 0x27]); // 125 ms
        chip.wait_ms(10);
        set(&mut chip, 40.0, 1000.0, 20.0);
        chip.wait_ms(122);
        assert!((reading(&mut chip).0 - 21.5).abs() < 0.02);
        chip.wait_ms(10);
        assert!((reading(&mut chip).0 - 40.0).abs() < 0.02);
        chip.send(&[0xf4, 0x24]);
        set(&mut chip, 0.0, 1000.0, 20.0);
        chip.wait_ms(1000);
        assert!((reading(&mut chip).0 - 40.0).abs() < 0.02, "asleep");
    }

    #[test]
    fn the_filter_follows_slowly() {
        let mut chip = bench(&MODEL);
        set(&mut chip, 20.0, 1000.0, 20.0);
        chip.send(&[0xf5, 0x08, 0xf4, 0x25]); // coefficient 4
        chip.wait_ms(10);
        assert!((reading(&mut chip).0 - 20.0).abs() < 0.02);
        set(&mut chip, 24.0, 1000.0, 20.0);
        for expected in [21.0, 21.75, 22.31] {
            chip.send(&[0xf4, 0x25]);
            chip.wait_ms(10);
            let (t, _, _) = reading(&mut chip);
            assert!((t - expected).abs() < 0.02, "{t} for {expected}");
        }
    }

    #[test]
    fn reset_and_state() {
        let mut chip = bench(&MODEL);
        chip.send(&[0xf2, 1, 0xf4, 0x27]);
        chip.wait_ms(3);
        chip.check_save_restore();
        chip.services.events.cancel_all(0);
        set(&mut chip, 10.0, 1000.0, 20.0);
        chip.call(devices_core::Device::reset);
        assert_eq!(chip.ask(&[0xf2], 3), [0, 1, 0]);
        assert_eq!(chip.device.control("chip.temperature"), Some(ControlValue::Number(10.0)));
    }

    #[test]
    fn anything() {
        survives_anything(&MODEL);
    }
}
