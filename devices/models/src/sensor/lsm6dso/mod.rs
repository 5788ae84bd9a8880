//! ST LSM6DSO: accelerometer and gyroscope.
//!
//! Follows the data sheet DS12140 and the application note AN5192: output data rates (6667 Hz divided by powers of
//! two, the exact figures of `INTERNAL_FREQ_FINE`), full scales, data-ready flags and interrupts, block data update,
//! temperature, timestamp, and the FIFO with its batch rates, tags, watermark and modes. Samples are taken at
//! multiples of their period in virtual time; both sensors share that base. A sample is the control's value in counts
//! of the full scale, saturating.
//!
//! Output lines 0 and 1 are INT1 and INT2, high when active unless `H_LACTIVE` says otherwise.
//!
//! Left out: the embedded functions and the sensor hub (their pages read as zero), tap, wake-up, free-fall and 6D
//! detection, filters and user offsets, self test, the pulsed data-ready, FIFO compression, the batch counter, the
//! modes of the FIFO that switch at an event (they are continuous), and SPI.

mod fifo;
mod registers;

use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::regs::Bank;
use devices_core::{Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, Time, state};
use fifo::{DEPTH, Fifo, Mode, Tag};
use registers::Register::{self, *};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel = I2cModel { compatible: &["st,lsm6dso"], summary: "LSM6DSO motion sensor", build };

const ACCELERATION: usize = 0;
const ROTATION: usize = 1;
const TEMPERATURE: usize = 2;
const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "acceleration",
        unit: "g",
        min: -16.0,
        max: 16.0,
        vector: true,
        initial: [0.0, 0.0, 1.0],
        help: "acceleration along x, y, z; 0,0,1 at rest on a table",
    },
    Quantity {
        name: "rotation",
        unit: "°/s",
        min: -2000.0,
        max: 2000.0,
        vector: true,
        initial: [0.0; 3],
        help: "angular rate about x, y, z",
    },
    Quantity::number("temperature", "°C", (-40.0, 85.0), 25.0, "temperature of the chip"),
];

/// One of the two sensors.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Sensor {
    Accelerometer,
    Gyroscope,
}

impl Sensor {
    const ALL: [Sensor; 2] = [Sensor::Gyroscope, Sensor::Accelerometer];

    fn control(self) -> Register {
        if self == Sensor::Accelerometer { Ctrl1Xl } else { Ctrl2G }
    }

    fn ready(self) -> u32 {
        if self == Sensor::Accelerometer { 1 } else { 2 }
    }

    fn output(self) -> [Register; 6] {
        match self {
            Sensor::Accelerometer => [OutxLA, OutxHA, OutyLA, OutyHA, OutzLA, OutzHA],
            Sensor::Gyroscope => [OutxLG, OutxHG, OutyLG, OutyHG, OutzLG, OutzHG],
        }
    }
}

const TEMPERATURE_READY: u32 = 4;
/// Of `Ctrl3C`.
const SW_RESET: u8 = 0x01;
const AUTO_INCREMENT: u32 = 0x04;
const ACTIVE_LOW: u32 = 0x20;
const BLOCK_UPDATE: u32 = 0x40;
/// Of `Ctrl4C`.
const INT2_ON_INT1: u32 = 0x20;
/// Of `FuncCfgAccess`: another page is selected.
const OTHER_PAGE: u32 = 0xc0;
/// Of `Ctrl10C`.
const TIMESTAMP_ENABLE: u32 = 0x20;
const TIMESTAMP_RESET: u8 = 0xaa;
/// One count of the timestamp.
const TIMESTAMP_TICK: u64 = Time::from_us(25).0;

/// The period at an output data rate or batch data rate code; `None` if it is off.
fn period(code: u32) -> Option<Time> {
    match code {
        1..=10 => Some(Time::from_us(150 << (10 - code))),
        11 => Some(Time::from_us(150 << 12)),
        _ => None,
    }
}

/// What a count is worth, in the unit of the control.
fn sensitivity(sensor: Sensor, control: u32) -> f64 {
    let scale = control >> 2 & 3;
    match sensor {
        Sensor::Accelerometer => [0.061e-3, 0.488e-3, 0.122e-3, 0.244e-3][scale as usize],
        Sensor::Gyroscope if control & 2 != 0 => 4.375e-3,
        Sensor::Gyroscope => 8.75e-3 * f64::from(1 << scale),
    }
}

/// The chip without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    fifo: Fifo,
    /// High byte of the output whose low byte was read, with block data update.
    held: Option<(u8, u8)>,
    pointer: u8,
    addressing: bool,
    /// When the timestamp was zero.
    timestamp_base: Time,
    /// Of the last time slot of the FIFO, and how many there were.
    slot: Option<Time>,
    slots: u32,
    /// When the temperature is measured next.
    temperature_due: Time,
}

impl State {
    fn timestamp(&self, now: Time) -> u32 {
        match self.bank[Ctrl10C] & TIMESTAMP_ENABLE {
            0 => 0,
            _ => (now.saturating_sub(self.timestamp_base).0 / TIMESTAMP_TICK) as u32,
        }
    }

    fn period(&self, sensor: Sensor) -> Option<Time> {
        let asleep = sensor == Sensor::Gyroscope && self.bank[Ctrl4C] & 0x40 != 0;
        period(self.bank[sensor.control()] >> 4).filter(|_| !asleep)
    }

    fn watermark(&self) -> usize {
        (self.bank[FifoCtrl1] | (self.bank[FifoCtrl2] & 1) << 8) as usize
    }

    fn fifo_mode(&self) -> Mode {
        Mode::of(self.bank[FifoCtrl4])
    }

    fn fifo_push(&mut self, tag: Tag, data: [u8; 6]) {
        let stops = self.bank[FifoCtrl2] & 0x80 != 0 && self.watermark() != 0;
        let limit = if stops { self.watermark() } else { DEPTH };
        self.fifo.push(self.fifo_mode(), limit, tag, data);
    }

    /// A sample goes into the FIFO, if it is batched at this time; a timestamp comes before the first of its slot.
    fn batch(&mut self, now: Time, tag: Tag, code: u32, data: [u8; 6]) {
        let due = period(code).is_some_and(|period| now.0.is_multiple_of(period.0));
        if !due || self.fifo_mode() == Mode::Bypass {
            return;
        }
        if self.slot != Some(now) {
            self.slot = Some(now);
            self.fifo.next_slot();
            let decimation = [0, 1, 8, 32][(self.bank[FifoCtrl4] >> 6 & 3) as usize];
            let stamped = decimation != 0 && self.bank[Ctrl10C] & TIMESTAMP_ENABLE != 0;
            if stamped && self.slots.is_multiple_of(decimation) {
                let [a, b, c, d] = self.timestamp(now).to_le_bytes();
                self.fifo_push(Tag::Timestamp, [a, b, c, d, 0, 0]);
            }
            self.slots = self.slots.wrapping_add(1);
        }
        self.fifo_push(tag, data);
    }

    /// A sample of a sensor, in the unit of its control.
    fn sample(&mut self, now: Time, sensor: Sensor, value: [f64; 3]) {
        let unit = sensitivity(sensor, self.bank[sensor.control()]);
        let mut data = [0; 6];
        for (axis, pair) in value.iter().zip(data.chunks_exact_mut(2)) {
            pair.copy_from_slice(&((axis / unit).round() as i16).to_le_bytes());
        }
        for (register, byte) in sensor.output().into_iter().zip(data) {
            self.bank[register] = byte.into();
        }
        self.bank[StatusReg] |= sensor.ready();
        let rates = self.bank[FifoCtrl3];
        match sensor {
            Sensor::Accelerometer => self.batch(now, Tag::Accelerometer, rates & 0xf, data),
            // Code 11 is 6.5 Hz here, half of the lowest output data rate.
            Sensor::Gyroscope if rates >> 4 == 11 => {
                if now.0.is_multiple_of(Time::from_us(150 << 10).0) {
                    self.batch(now, Tag::Gyroscope, 1, data);
                }
            }
            Sensor::Gyroscope => self.batch(now, Tag::Gyroscope, rates >> 4, data),
        }
    }

    /// The temperature, measured along with the motion at 52 Hz.
    fn sample_temperature(&mut self, now: Time, celsius: f64) {
        if now < self.temperature_due {
            return;
        }
        self.temperature_due = now.saturating_add(Time::from_us(19_200));
        let [low, high] = (((celsius - 25.0) * 256.0).round() as i16).to_le_bytes();
        self.bank[OutTempL] = low.into();
        self.bank[OutTempH] = high.into();
        self.bank[StatusReg] |= TEMPERATURE_READY;
        let code = [0, 11, 1, 3][(self.bank[FifoCtrl4] >> 4 & 3) as usize];
        self.batch(now, Tag::Temperature, code, [low, high, 0, 0, 0, 0]);
    }

    fn fifo_status(&self) -> [u8; 2] {
        let [low, high] = (self.fifo.len() as u16).to_le_bytes();
        let watermark = self.watermark() != 0 && self.fifo.len() >= self.watermark();
        let flags = [
            (watermark, 7),
            (self.fifo.overrun, 6),
            (self.fifo.len() >= DEPTH, 5),
            (self.fifo.overrun_latched, 3),
        ];
        [low, flags.iter().fold(high & 3, |all, (flag, bit)| all | u8::from(*flag) << bit)]
    }

    /// Whether INT1 and INT2 are active.
    fn interrupts(&self) -> [bool; 2] {
        let ready = self.bank[StatusReg];
        let fifo = u32::from(self.fifo_status()[1]);
        // In the order of INT1_CTRL: data of both sensors, boot, FIFO threshold, overrun, full.
        let causes = ready & 3 | (fifo >> 7 & 1) << 3 | (fifo >> 6 & 1) << 4 | (fifo >> 5 & 1) << 5;
        let first = causes & self.bank[Int1Ctrl] != 0;
        // Bit 2 of INT2_CTRL is the temperature.
        let second = (causes | ready & TEMPERATURE_READY) & self.bank[Int2Ctrl] != 0;
        match self.bank[Ctrl4C] & INT2_ON_INT1 {
            0 => [first, second],
            _ => [first || second, false],
        }
    }

    fn read(&mut self, now: Time) -> u8 {
        let address = self.pointer;
        if self.bank[Ctrl3C] & AUTO_INCREMENT != 0 || address >= 0x78 {
            // A burst of the FIFO's output goes around from word to word.
            self.pointer = if address == 0x7e { 0x78 } else { address.wrapping_add(1) & 0x7f };
        }
        if self.bank[FuncCfgAccess] & OTHER_PAGE != 0 && address != 0x01 {
            return 0;
        }
        let Some(register) = self.bank.at(address.into()) else { return 0 };
        match register {
            FifoStatus1 => self.fifo_status()[0],
            FifoStatus2 => {
                let status = self.fifo_status()[1];
                self.fifo.overrun_latched = false;
                status
            }
            Timestamp0 | Timestamp1 | Timestamp2 | Timestamp3 => {
                self.timestamp(now).to_le_bytes()[usize::from(address & 3)]
            }
            FifoDataOutTag | FifoDataOutXL | FifoDataOutXH | FifoDataOutYL | FifoDataOutYH
            | FifoDataOutZL | FifoDataOutZH => self.fifo.read(usize::from(address - 0x78)),
            _ if (0x20..=0x2d).contains(&address) => self.read_output(address, register),
            _ => self.bank.read(register) as u8,
        }
    }

    fn read_output(&mut self, address: u8, register: Register) -> u8 {
        let byte = self.bank.read(register) as u8;
        if address & 1 == 0 {
            let high = self.bank.at(u64::from(address) + 1).map_or(0, |high| self.bank.read(high)) as u8;
            self.held = (self.bank[Ctrl3C] & BLOCK_UPDATE != 0).then_some((address + 1, high));
            return byte;
        }
        // Data-ready goes with the high byte of any axis.
        self.bank[StatusReg] &= match address {
            0x21 => !TEMPERATURE_READY,
            0x22..=0x27 => !Sensor::Gyroscope.ready(),
            _ => !Sensor::Accelerometer.ready(),
        };
        self.held.take().filter(|(held, _)| *held == address).map_or(byte, |(_, high)| high)
    }

    /// A write by software. What follows from rates is left to the caller.
    fn write(&mut self, now: Time, address: u8, byte: u8) {
        let Some(register) = self.bank.at(address.into()) else { return };
        if self.bank[FuncCfgAccess] & OTHER_PAGE != 0 && register != FuncCfgAccess {
            return;
        }
        let before = self.bank.write(register, byte.into());
        let changed = before ^ self.bank[register];
        match register {
            Ctrl3C if byte & SW_RESET != 0 => {
                let (timestamp_base, pointer) = (self.timestamp_base, self.pointer);
                *self = State { timestamp_base, pointer, ..State::default() };
            }
            FifoCtrl4 if self.fifo_mode() == Mode::Bypass => {
                self.fifo.clear();
                self.slots = 0;
            }
            Ctrl10C if changed & TIMESTAMP_ENABLE != 0 => self.timestamp_base = now,
            Timestamp2 if byte == TIMESTAMP_RESET => self.timestamp_base = now,
            Ctrl1Xl if self.period(Sensor::Accelerometer).is_none() => {
                self.bank[StatusReg] &= !Sensor::Accelerometer.ready();
            }
            Ctrl2G if self.period(Sensor::Gyroscope).is_none() => {
                self.bank[StatusReg] &= !Sensor::Gyroscope.ready();
            }
            _ => {}
        }
    }
}

/// An LSM6DSO and how it moves.
struct Lsm6dso {
    state: State,
    world: World,
}

impl Lsm6dso {
    /// Asks for the samples to come, and sets the lines.
    fn update(&mut self, ctx: &mut Ctx) {
        for sensor in Sensor::ALL {
            let token = sensor as u32;
            match self.state.period(sensor) {
                None => ctx.cancel(token),
                Some(period) => {
                    let now = ctx.now();
                    let due = Time((now.0 / period.0 + 1).saturating_mul(period.0));
                    // What is due at this very time has not been delivered yet.
                    if ctx.due(token).is_none_or(|at| at != due && at != now) {
                        ctx.schedule(token, due);
                    }
                }
            }
        }
        let active_low = self.state.bank[Ctrl3C] & ACTIVE_LOW != 0;
        for (line, active) in (0..).zip(self.state.interrupts()) {
            ctx.set_line(line, active != active_low);
        }
    }
}

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    Ok(Box::new(Lsm6dso { state: State::default(), world: World::new(QUANTITIES) }))
}

impl Component for Lsm6dso {
    fn save(&self) -> Vec<u8> {
        let Lsm6dso { state, world } = self;
        state::encode(&(state, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world): (State, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of an LSM6DSO".to_string()));
        }
        (self.state, self.world) = (state, world);
        Ok(())
    }

    world_controls!(QUANTITIES);

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.world.set(QUANTITIES, name, value)
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.state.bank.inspect();
        fields
            .push(Field { name: "words in the FIFO".to_string(), value: self.state.fifo.len().to_string() });
        fields
    }
}

impl I2cTarget for Lsm6dso {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State { timestamp_base: ctx.now(), ..State::default() };
        self.update(ctx);
    }

    fn start(&mut self, _ctx: &mut Ctx, read: bool) -> bool {
        self.state.addressing = !read;
        true
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if std::mem::take(&mut self.state.addressing) {
            self.state.pointer = byte & 0x7f;
            return true;
        }
        let address = self.state.pointer;
        if self.state.bank[Ctrl3C] & AUTO_INCREMENT != 0 {
            self.state.pointer = address.wrapping_add(1) & 0x7f;
        }
        if self.state.bank[FuncCfgAccess] & OTHER_PAGE != 0 && address != 0x01 {
            ctx.unimplemented(0x100 | u64::from(address), true, "LSM6DSO embedded functions and sensor hub");
        }
        self.state.write(ctx.now(), address, byte);
        self.update(ctx);
        true
    }

    fn read(&mut self, ctx: &mut Ctx) -> u8 {
        let address = self.state.pointer;
        if self.state.bank[FuncCfgAccess] & OTHER_PAGE != 0 && address != 0x01 {
            ctx.unimplemented(0x100 | u64::from(address), false, "LSM6DSO embedded functions and sensor hub");
        }
        let byte = self.state.read(ctx.now());
        self.update(ctx);
        byte
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        let now = ctx.now();
        // Samples of one time slot go into the FIFO in a fixed order.
        for sensor in Sensor::ALL {
            let own = sensor as u32;
            if own == token || ctx.due(own) == Some(now) {
                ctx.cancel(own);
                let index = if sensor == Sensor::Accelerometer { ACCELERATION } else { ROTATION };
                self.state.sample(now, sensor, self.world.vector(index));
            }
        }
        self.state.sample_temperature(now, self.world.number(TEMPERATURE));
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests;
