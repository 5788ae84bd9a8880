//! Bosch BMA421: accelerometer with a step counter.
//!
//! Follows the data sheets BST-BMA421-FL000 and BST-BMA423-DS000, which describe chips of one family, and Bosch's
//! driver BMA423 2.14 for what they leave out: the stream of the ASIC's program through `FEATURES_IN` by the word
//! address in 0x5b and 0x5c, and the page of 70 bytes that holds the features' settings once it runs. The program is
//! not executed: 6144 bytes must arrive, then the features are there after 50 ms.
//!
//! A sample is the control's value in counts of 12 bits of the full scale, saturating, at multiples of the period of
//! the output data rate. Registers are computed when they are read, and events happen only where an interrupt tells of
//! samples, so that a resting wrist costs nothing. Steps are counted from the acceleration, whose changes the model
//! sees all of: each swing of its magnitude above 1.2 g after one below 1.05 g, 250 ms to 2 s after the one before. The
//! control `steps` is what the wearer has walked in all; what it grows by is counted as well, and shakes the wrist from
//! then on, two steps a second, for software that counts by itself. The activity is walking or running by the rate of
//! the steps, and stationary 3 s after the last.
//!
//! Output lines 0 and 1 are INT1 and INT2, as `INT1_IO_CTRL` and `INT2_IO_CTRL` set them up.
//!
//! Left out: the auxiliary interface, taps, wrist tilt, any and no motion (settings
//! are kept), axis remapping, offsets and self test, filters, and the watermark of the step counter's detector.

mod fifo;
mod walk;

use self::fifo::{Fifo, Setup};
use self::walk::{Pedometer, Walk};
use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::regs::Bank;
use devices_core::{
    Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel =
    I2cModel { compatible: &["bosch,bma421"], summary: "BMA421 motion sensor with step counter", build };

const ACCELERATION: usize = 0;
const STEPS: usize = 1;
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
    Quantity::number("steps", "", (0.0, 4_000_000_000.0), 0.0, "steps that the wearer has walked in all"),
    Quantity::number("temperature", "°C", (-40.0, 85.0), 25.0, "temperature of the chip"),
];

register_bank! {
    /// The registers.
    enum Register {
        ChipId = 0x00, ro, reset 0x11;
        ErrReg = 0x02, ro, reset 0;
        Status = 0x03, ro, reset 0x10, { cmd_rdy: 4, drdy_aux: 5, drdy_acc: 7 };
        AccXLsb = 0x12, ro, reset 0;
        AccXMsb = 0x13, ro, reset 0;
        AccYLsb = 0x14, ro, reset 0;
        AccYMsb = 0x15, ro, reset 0;
        AccZLsb = 0x16, ro, reset 0;
        AccZMsb = 0x17, ro, reset 0;
        SensorTime0 = 0x18, ro, reset 0;
        SensorTime1 = 0x19, ro, reset 0;
        SensorTime2 = 0x1a, ro, reset 0;
        Event = 0x1b, ro, reset 1, { por_detected: 0 };
        IntStatus0 = 0x1c, ro, reset 0, { step: 1, activity: 2, error: 7 };
        IntStatus1 = 0x1d, ro, reset 0, { ffull: 0, fwm: 1, aux_drdy: 5, acc_drdy: 7 };
        StepCounter0 = 0x1e, ro, reset 0;
        StepCounter1 = 0x1f, ro, reset 0;
        StepCounter2 = 0x20, ro, reset 0;
        StepCounter3 = 0x21, ro, reset 0;
        Temperature = 0x22, ro, reset 0x80;
        FifoLength0 = 0x24, ro, reset 0;
        FifoLength1 = 0x25, ro, reset 0;
        FifoData = 0x26, ro, reset 0;
        ActivityType = 0x27, ro, reset 0;
        InternalStatus = 0x2a, ro, reset 0, { message: 0 .. 5 };
        AccConf = 0x40, rw(0xff), reset 0xa8, { odr: 0 .. 4, bwp: 4 .. 7, perf_mode: 7 };
        AccRange = 0x41, rw(0x03), reset 1;
        AuxConf = 0x44, rw(0x0f), reset 0x46;
        FifoDowns = 0x45, rw(0xf0), reset 0x80, { downs: 4 .. 7 };
        FifoWtm0 = 0x46, rw(0xff), reset 0;
        FifoWtm1 = 0x47, rw(0x1f), reset 0x02;
        FifoConfig0 = 0x48, rw(0x03), reset 0x02, { stop_on_full: 0, time_en: 1 };
        FifoConfig1 = 0x49, rw(0x7c), reset 0x10, { header_en: 4, aux_en: 5, acc_en: 6 };
        Int1IoCtrl = 0x53, rw(0x1f), reset 0, { edge: 0, lvl: 1, od: 2, output_en: 3, input_en: 4 };
        Int2IoCtrl = 0x54, rw(0x1f), reset 0, { edge: 0, lvl: 1, od: 2, output_en: 3, input_en: 4 };
        IntLatch = 0x55, rw(0x01), reset 0;
        Int1Map = 0x56, rw(0xff), reset 0;
        Int2Map = 0x57, rw(0xff), reset 0;
        IntMapData = 0x58, rw(0x77), reset 0, {
            int1_ffull: 0, int1_fwm: 1, int1_drdy: 2, int2_ffull: 4, int2_fwm: 5, int2_drdy: 6
        };
        InitCtrl = 0x59, rw(0xff), reset 0x90;
        AddressLsb = 0x5b, rw(0x0f), reset 0;
        AddressMsb = 0x5c, rw(0xff), reset 0;
        FeaturesIn = 0x5e, wo(0xff), reset 0;
        InternalError = 0x5f, ro, reset 0;
        NvmConf = 0x6a, rw(0x02), reset 0;
        IfConf = 0x6b, rw(0x11), reset 0;
        AccSelfTest = 0x6d, rw(0x0d), reset 0;
        NvConf = 0x70, rw(0x0f), reset 0;
        Offset0 = 0x71, rw(0xff), reset 0;
        Offset1 = 0x72, rw(0xff), reset 0;
        Offset2 = 0x73, rw(0xff), reset 0;
        PwrConf = 0x7c, rw(0x03), reset 0x03, { adv_power_save: 0, fifo_self_wakeup: 1 };
        PwrCtrl = 0x7d, rw(0x05), reset 0, { aux_en: 0, acc_en: 2 };
        Cmd = 0x7e, wo(0), reset 0;
    }
}

use Register::*;

const DATA_READY: u32 = 0x80;
const ACCELEROMETER: u32 = 0x04;
const POWER_SAVE: u32 = 0x01;
const SOFT_RESET: u8 = 0xb6;
const FIFO_FLUSH: u8 = 0xb0;
/// Of `FifoConfig1`.
const FIFO_HEADERS: u32 = 0x10;
const FIFO_ACCELERATION: u32 = 0x40;
/// Of `IntStatus1`.
const FULL: u32 = 0x01;
const WATERMARK: u32 = 0x02;
/// Of `InternalStatus`.
const INITIALISED: u32 = 1;
const INIT_ERROR: u32 = 2;
/// Of `IntStatus0`.
const STEP: u32 = 0x02;
const ACTIVITY: u32 = 0x04;

/// Bytes of the ASIC's program, and of the features' page.
const PROGRAM: u32 = 6144;
const PAGE: usize = 70;
/// In the page: the second byte of the step counter's settings, and its bits.
const STEP_SETTINGS: usize = 0x3b;
const STEP_RESET: u8 = 0x04;
const STEP_DETECTOR: u8 = 0x08;
const STEP_COUNTER: u8 = 0x10;
const STEP_ACTIVITY: u8 = 0x20;

const STARTS: Time = Time::from_ms(50);
const TOKEN_START: u32 = 0;
const TOKEN_SAMPLE: u32 = 1;
const TOKEN_STILL: u32 = 2;
const TOKEN_FIFO: u32 = 3;

/// One step after another; the fastest is the pedometer's.
const SLOWEST: Time = Time::from_ms(2000);
const RUNNING: Time = Time::from_ms(400);
const STILL: Time = Time::from_ms(3000);

/// The page as the program sets it up: axes as they are, thresholds of the data sheet.
fn page() -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[0x00..0x04].copy_from_slice(&[0xaa, 0x00, 0x05, 0x00]);
    page[0x04..0x08].copy_from_slice(&[0xaa, 0x00, 0x05, 0x00]);
    page[0x3c] = 0x06;
    page[0x3e] = 0x06;
    page[0x44] = 0x88;
    page
}

/// The chip without its surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    page: Vec<u8>,
    /// Bytes of the program that arrived.
    loaded: u32,
    pointer: u8,
    /// Bytes into the page or the program since the address was sent.
    offset: u32,
    addressing: bool,
    steps: u32,
    pedometer: Pedometer,
    /// The last sample that software has read.
    seen: Time,
    fifo: Fifo,
    /// When the accelerometer was switched on.
    since: Time,
}

impl State {
    fn new(now: Time) -> State {
        State {
            bank: Bank::default(),
            page: vec![0; PAGE],
            loaded: 0,
            pointer: 0,
            offset: 0,
            addressing: false,
            steps: 0,
            pedometer: Pedometer::default(),
            seen: now,
            fifo: Fifo::new(now),
            since: now,
        }
    }

    fn initialised(&self) -> bool {
        self.bank[InternalStatus] == INITIALISED
    }

    fn feature(&self, bit: u8) -> bool {
        self.initialised() && self.page.get(STEP_SETTINGS).is_some_and(|byte| byte & bit != 0)
    }

    /// Between samples; `None` while there are none.
    fn period(&self) -> Option<Time> {
        let odr = self.bank[AccConf] & 0xf;
        let on = self.bank[PwrCtrl] & ACCELEROMETER != 0;
        // Code 8 is 100 Hz; each step doubles it or halves it.
        (on && (1..=12).contains(&odr)).then(|| Time::from_us(1_280_000 >> (odr - 1)))
    }

    /// When the latest sample was taken, if there is one.
    fn sampled(&self, now: Time) -> Option<Time> {
        let period = self.period()?.0;
        let at = Time(now.0 / period * period);
        (at > self.since).then_some(at)
    }

    fn setup(&self) -> Setup {
        let stored = self.bank[FifoConfig1] & FIFO_ACCELERATION != 0;
        let downs = self.bank[FifoDowns] >> 4 & 7;
        Setup {
            period: self.period().filter(|_| stored).map(|period| Time(period.0 << downs)),
            headers: self.bank[FifoConfig1] & FIFO_HEADERS != 0,
            stop_on_full: self.bank[FifoConfig0] & 1 != 0,
            watermark: (self.bank[FifoWtm1] << 8 | self.bank[FifoWtm0]) as usize,
        }
    }

    /// The levels of the FIFO, as its registers tell them.
    fn tell_fifo(&mut self) {
        let setup = self.setup();
        let [low, high] = (self.fifo.length(setup) as u16).to_le_bytes();
        (self.bank[FifoLength0], self.bank[FifoLength1]) = (low.into(), high.into());
        let (watermark, full) = self.fifo.levels(setup);
        if self.bank[IntLatch] == 0 {
            self.bank[IntStatus1] &= !(WATERMARK | FULL);
        }
        let told = [(watermark, WATERMARK), (full, FULL)].into_iter().filter(|level| level.0);
        self.bank[IntStatus1] |= told.fold(0, |bits, level| bits | level.1);
    }

    /// When the FIFO reaches a level that a pin tells of.
    fn fifo_due(&self, now: Time) -> Option<Time> {
        let setup = self.setup();
        let (watermark, full) = self.fifo.levels(setup);
        let told = |bits: u32| self.tells(bits);
        let levels = [(told(0x22) && !watermark, false), (told(0x11) && !full, true)];
        levels.iter().filter(|level| level.0).filter_map(|level| self.fifo.reaches(now, setup, level.1)).min()
    }

    /// Brings what time changes up to date.
    fn refresh(&mut self, now: Time, world: &World, walk: &Walk) {
        let (setup, range) = (self.setup(), self.bank[AccRange]);
        self.fifo.fill(now, setup, |at| counts(walk.acceleration(at, world.vector(ACCELERATION)), range));
        self.tell_fifo();
        let ready = self.sampled(now).is_some_and(|at| at > self.seen);
        self.bank[Status] = self.bank[Status] & !DATA_READY | if ready { DATA_READY } else { 0 };
        for (register, byte) in
            [SensorTime0, SensorTime1, SensorTime2].into_iter().zip((now.0 / 39_062_500).to_le_bytes())
        {
            self.bank[register] = byte.into();
        }
        for (register, byte) in
            [StepCounter0, StepCounter1, StepCounter2, StepCounter3].into_iter().zip(self.steps.to_le_bytes())
        {
            self.bank[register] = byte.into();
        }
        if self.bank[PwrCtrl] & ACCELEROMETER != 0 {
            self.bank[Temperature] = u32::from((world.number(TEMPERATURE) - 23.0).round() as i8 as u8);
        }
        let Some(at) = self.sampled(now) else { return };
        let registers = [[AccXLsb, AccXMsb], [AccYLsb, AccYMsb], [AccZLsb, AccZMsb]];
        let values = counts(walk.acceleration(at, world.vector(ACCELERATION)), self.bank[AccRange]);
        for ([low, high], value) in registers.into_iter().zip(values) {
            let [l, h] = value.to_le_bytes();
            (self.bank[low], self.bank[high]) = (l.into(), h.into());
        }
    }

    /// `count` steps, the latest `since` the one before.
    fn walk(&mut self, count: u32, since: Time) {
        if self.feature(STEP_COUNTER) {
            self.steps = self.steps.wrapping_add(count);
        }
        if self.feature(STEP_COUNTER) || self.feature(STEP_DETECTOR) {
            self.bank[IntStatus0] |= STEP;
        }
        if since <= SLOWEST {
            self.activity(if since <= RUNNING { 2 } else { 1 });
        }
    }

    fn activity(&mut self, activity: u32) {
        if self.feature(STEP_ACTIVITY) && self.bank[ActivityType] != activity {
            self.bank[ActivityType] = activity;
            self.bank[IntStatus0] |= ACTIVITY;
        }
    }

    /// The byte of the page that `FEATURES_IN` is at.
    fn page_offset(&self) -> usize {
        let word = self.bank[AddressMsb] << 4 | self.bank[AddressLsb];
        (word * 2 + self.offset) as usize
    }

    fn features_in(&mut self, byte: u8) {
        if self.bank[PwrConf] & POWER_SAVE != 0 {
            return;
        }
        if !self.initialised() {
            self.loaded = self.loaded.saturating_add(1);
            return;
        }
        let offset = self.page_offset();
        if let Some(cell) = self.page.get_mut(offset) {
            *cell = byte;
        }
        if offset == STEP_SETTINGS && byte & STEP_RESET != 0 {
            self.page[STEP_SETTINGS] &= !STEP_RESET;
            self.steps = 0;
        }
        if !self.feature(STEP_ACTIVITY) {
            self.bank[ActivityType] = 0;
        }
    }

    /// Levels of both interrupt pins.
    fn interrupts(&self) -> [bool; 2] {
        let ready = self.bank[IntStatus1] & DATA_READY != 0;
        let pins = [(Int1Map, Int1IoCtrl, 2), (Int2Map, Int2IoCtrl, 6)];
        pins.map(|(map, control, drdy)| {
            let features = self.bank[IntStatus0] & self.bank[map] != 0;
            // Full, watermark and data ready, in this order in the map and in the status.
            let status = self.bank[IntStatus1] & (FULL | WATERMARK) | u32::from(ready) << 2;
            let data = status & self.bank[IntMapData] >> (drdy - 2) & 7 != 0;
            let control = self.bank[control];
            let active_high = control >> 1 & 1 != 0;
            control >> 3 & 1 != 0 && (features || data) == active_high
        })
    }

    /// Whether a pin tells of what these bits of `IntMapData` stand for.
    fn tells(&self, bits: u32) -> bool {
        let mapped = [(0x0f, Int1IoCtrl), (0xf0, Int2IoCtrl)];
        mapped.iter().any(|&(pin, control)| {
            self.bank[IntMapData] & bits & pin != 0 && self.bank[control] >> 3 & 1 != 0
        })
    }
}

/// Acceleration in g as the registers have it: counts of 12 bits of the full scale, at the top of 16.
fn counts(g: [f64; 3], range: u32) -> [i16; 3] {
    let counts = 1024.0 / f64::from(1u32 << range.min(3));
    g.map(|axis| ((axis * counts).round().clamp(-2048.0, 2047.0) as i16) << 4)
}

/// A sensor on a wrist.
struct Bma421 {
    state: State,
    world: World,
    wearer: Walk,
}

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    Ok(Box::new(Bma421 {
        state: State::new(Time::ZERO),
        world: World::new(QUANTITIES),
        wearer: Walk::default(),
    }))
}

impl Bma421 {
    fn update(&mut self, ctx: &mut Ctx) {
        self.state.tell_fifo();
        match self.state.fifo_due(ctx.now()) {
            Some(due) => ctx.schedule(TOKEN_FIFO, due),
            None => ctx.cancel(TOKEN_FIFO),
        }
        for (line, level) in (0..).zip(self.state.interrupts()) {
            ctx.set_line(line, level);
        }
        match self.state.period().filter(|_| self.state.tells(0x44)) {
            None => ctx.cancel(TOKEN_SAMPLE),
            Some(period) => {
                let due = Time((ctx.now().0 / period.0).saturating_add(1).saturating_mul(period.0));
                // What is due at this very time has not been delivered yet.
                if ctx.due(TOKEN_SAMPLE).is_none_or(|at| at != due && at != ctx.now()) {
                    ctx.schedule(TOKEN_SAMPLE, due);
                }
            }
        }
    }

    fn walk(&mut self, ctx: &mut Ctx, count: u32, since: Time) {
        self.state.walk(count, since);
        ctx.schedule_in(TOKEN_STILL, STILL);
    }

    fn write_register(&mut self, ctx: &mut Ctx, address: u8, byte: u8) {
        let now = ctx.now();
        let Some(register) = self.state.bank.at(address.into()) else { return };
        let before = self.state.bank.write(register, byte.into());
        match register {
            Cmd if byte == SOFT_RESET => {
                let (pointer, offset) = (self.state.pointer, self.state.offset);
                self.state = State { pointer, offset, ..State::new(now) };
                [TOKEN_START, TOKEN_SAMPLE, TOKEN_STILL, TOKEN_FIFO]
                    .into_iter()
                    .for_each(|token| ctx.cancel(token));
            }
            Cmd if byte == FIFO_FLUSH => self.state.fifo.flush(),
            FifoConfig1 if before != self.state.bank[FifoConfig1] => self.state.fifo.flush(),
            FeaturesIn => self.state.features_in(byte),
            InitCtrl if byte & 1 == 0 => {
                self.state.loaded = 0;
                self.state.bank[InternalStatus] = 0;
            }
            InitCtrl => ctx.schedule_in(TOKEN_START, STARTS),
            PwrCtrl if !before & self.state.bank[PwrCtrl] & ACCELEROMETER != 0 => {
                (self.state.since, self.state.seen) = (now, now);
            }
            _ => {}
        }
    }
}

impl Component for Bma421 {
    fn save(&self) -> Vec<u8> {
        let Bma421 { state, world, wearer } = self;
        state::encode(&(state, world, wearer))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world, wearer): (State, World, Walk) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) || state.page.len() != PAGE {
            return Err(RestoreError("the quantities are not those of a BMA421".to_string()));
        }
        (self.state, self.world, self.wearer) = (state, world, wearer);
        Ok(())
    }

    world_controls!(QUANTITIES);

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let before = self.world.number(STEPS);
        self.state.refresh(ctx.now(), &self.world, &self.wearer);
        self.world.set(QUANTITIES, name, value)?;
        let walked = (self.world.number(STEPS) - before).max(0.0) as u32;
        if walked > 0 {
            self.wearer.steps(ctx.now(), walked);
            self.walk(ctx, walked, SLOWEST);
        }
        // Without samples nothing sees the acceleration.
        if self.state.period().is_some()
            && let Some(since) = self.state.pedometer.feed(ctx.now(), self.world.vector(ACCELERATION))
        {
            self.walk(ctx, 1, since);
        }
        self.update(ctx);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.state.bank.inspect();
        fields.push(Field { name: "steps".to_string(), value: self.state.steps.to_string() });
        fields
    }
}

impl I2cTarget for Bma421 {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State::new(ctx.now());
        self.update(ctx);
    }

    fn start(&mut self, _ctx: &mut Ctx, read: bool) -> bool {
        self.state.addressing = !read;
        self.state.offset = 0;
        self.state.fifo.rewind();
        true
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if std::mem::take(&mut self.state.addressing) {
            self.state.pointer = byte & 0x7f;
            return true;
        }
        let address = self.state.pointer;
        self.state.refresh(ctx.now(), &self.world, &self.wearer);
        self.write_register(ctx, address, byte);
        // A burst goes through the page, not past it.
        if self.state.bank.at(address.into()) == Some(FeaturesIn) {
            self.state.offset = self.state.offset.wrapping_add(1) & 0x1fff;
        } else {
            self.state.pointer = address.wrapping_add(1) & 0x7f;
        }
        self.update(ctx);
        true
    }

    fn read(&mut self, ctx: &mut Ctx) -> u8 {
        let now = ctx.now();
        self.state.refresh(now, &self.world, &self.wearer);
        let address = self.state.pointer;
        let register = self.state.bank.at(address.into());
        if register == Some(FeaturesIn) {
            let byte = self.state.page.get(self.state.page_offset()).copied().unwrap_or(0);
            self.state.offset = self.state.offset.wrapping_add(1) & 0x1fff;
            return if self.state.initialised() { byte } else { 0 };
        }
        if register != Some(FifoData) {
            self.state.pointer = address.wrapping_add(1) & 0x7f;
        }
        let Some(register) = register else { return 0 };
        if register == FifoData {
            let setup = self.state.setup();
            let byte = self.state.fifo.read(setup);
            self.update(ctx);
            return byte;
        }
        let byte = self.state.bank.read(register) as u8;
        match register {
            AccZMsb => self.state.seen = now,
            IntStatus0 | IntStatus1 | Event => self.state.bank[register] = 0,
            _ => {}
        }
        self.update(ctx);
        byte
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        match token {
            TOKEN_START => {
                let whole = self.state.loaded >= PROGRAM;
                self.state.bank[InternalStatus] = if whole { INITIALISED } else { INIT_ERROR };
                (self.state.bank[AddressLsb], self.state.bank[AddressMsb]) = (0, 0);
                self.state.page = page();
            }
            TOKEN_SAMPLE => {
                self.state.bank[IntStatus1] |= DATA_READY;
                if self.state.bank[IntLatch] == 0 {
                    // A pulse: what listens for edges sees both.
                    self.update(ctx);
                    self.state.bank[IntStatus1] &= !DATA_READY;
                }
            }
            TOKEN_FIFO => self.state.refresh(ctx.now(), &self.world, &self.wearer),
            _ => self.state.activity(0),
        }
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests;
