//! Hynitron CST816S: capacitive touch controller for one finger, with gestures.
//!
//! Follows the data sheet CST816S V1.3 and the register declaration V1.0 that comes with it; the codes of vertical
//! slides are those of the panel as it is mounted in the PineTime (1 is down). What both leave open is this model's:
//! a slide is 30 pixels in one direction within a scan of its start, a tap is shorter than a long press, which is
//! 800 ms, the second tap of a double one starts within 300 ms, and after its reset the chip needs 30 ms.
//!
//! The finger is sampled every `NorScanPer` times 10 ms. After `AutoSleepTime` seconds without one the chip sleeps:
//! it acknowledges nothing until a finger or the reset pin wakes it. Written 3 to register 0xa5 (or 0xe5) it sleeps
//! until the reset pin does.
//!
//! Controls put a finger on the glass without a window: it comes down at `x`, `y`, and follows them.
//!
//! Output line 0 is the interrupt pin: low for `IrqPulseWidth` times 0.1 ms at each report, otherwise high. Pin
//! `reset-gpios` is active low. The panel has `hyperemu,width` by `hyperemu,height` pixels, 240 each if not told.
//!
//! Left out: capacitance values, `MotionSlAngle`, the thresholds and timings of the low-power scan, and the automatic
//! resets of `AutoReset` and `LongPressTime`; their registers are kept.

use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::pins::{self, Pin, RESET};
use devices_core::regs::Bank;
use devices_core::{
    BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Field, HostInput, Node,
    Port, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: I2cModel =
    I2cModel { compatible: &["hynitron,cst816s"], summary: "CST816S touch controller", build };

register_bank! {
    /// The registers.
    enum Register {
        GestureId = 0x01, ro, reset 0;
        FingerNum = 0x02, ro, reset 0;
        XposH = 0x03, ro, reset 0, { high: 0 .. 4, event: 6 .. 8 };
        XposL = 0x04, ro, reset 0;
        YposH = 0x05, ro, reset 0;
        YposL = 0x06, ro, reset 0;
        Sleep = 0xa5, rw(0xff), reset 0;
        ChipId = 0xa7, ro, reset 0xb4;
        ProjId = 0xa8, ro, reset 0;
        FwVersion = 0xa9, ro, reset 1;
        SleepMode = 0xe5, rw(0xff), reset 0;
        MotionMask = 0xec, rw(0x07), reset 0, { double_click: 0, con_ud: 1, con_lr: 2 };
        IrqPulseWidth = 0xed, rw(0xff), reset 10;
        NorScanPer = 0xee, rw(0xff), reset 1;
        MotionSlAngle = 0xef, rw(0xff), reset 0;
        LpAutoWakeTime = 0xf4, rw(0xff), reset 5;
        LpScanTh = 0xf5, rw(0xff), reset 48;
        LpScanWin = 0xf6, rw(0xff), reset 3;
        LpScanFreq = 0xf7, rw(0xff), reset 7;
        LpScanIdac = 0xf8, rw(0xff), reset 1;
        AutoSleepTime = 0xf9, rw(0xff), reset 2;
        IrqCtl = 0xfa, rw(0xf1), reset 0x70, { once_wlp: 0, motion: 4, change: 5, touch: 6, test: 7 };
        AutoReset = 0xfb, rw(0xff), reset 5;
        LongPressTime = 0xfc, rw(0xff), reset 10;
        IoCtl = 0xfd, rw(0x07), reset 0, { en_1v8: 0, iic_od: 1, soft_rst: 2 };
        DisAutoSleep = 0xfe, rw(0xff), reset 0;
    }
}

use Register::*;

const ONCE: u32 = 0x01;
const ON_MOTION: u32 = 0x10;
const ON_CHANGE: u32 = 0x20;
const ON_TOUCH: u32 = 0x40;
const TEST: u32 = 0x80;
const DOUBLE_CLICK: u32 = 0x01;
const SOFT_RESET: u32 = 0x04;
/// Of `XposH`.
const EVENT_DOWN: u32 = 0;
const EVENT_UP: u32 = 1;
const EVENT_CONTACT: u32 = 2;

/// What a finger did, by its code.
mod gesture {
    pub const DOWN: u32 = 0x01;
    pub const UP: u32 = 0x02;
    pub const LEFT: u32 = 0x03;
    pub const RIGHT: u32 = 0x04;
    pub const TAP: u32 = 0x05;
    pub const DOUBLE_TAP: u32 = 0x0b;
    pub const LONG_PRESS: u32 = 0x0c;
}

const SLIDE: i32 = 30;
const LONG_PRESS: Time = Time::from_ms(800);
const DOUBLE_TAP: Time = Time::from_ms(300);
const STARTS: Time = Time::from_ms(30);
const SCAN: u64 = 10;
/// Changes of the finger that wait for a scan.
const QUEUE: usize = 16;

const LINE_INT: u32 = 0;
const TOKEN_SCAN: u32 = 0;
const TOKEN_PULSE: u32 = 1;
const TOKEN_SLEEP: u32 = 2;
const TOKEN_START: u32 = 3;

/// Whether the chip hears the bus.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Power {
    /// In reset, or on its way out of it.
    Starting,
    On,
    /// Until a finger comes.
    Asleep,
    /// Until a reset.
    Deep,
}

/// A touch from its start on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Touch {
    since: Time,
    from: (i32, i32),
    /// It was a gesture already.
    recognised: bool,
    reported: bool,
}

/// The chip without its surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    power: Power,
    pointer: u8,
    addressing: bool,
    /// Where the finger went since the last scan.
    moves: VecDeque<Option<(u16, u16)>>,
    /// Where it is, in pixels.
    finger: Option<(u16, u16)>,
    /// Where it was last, or comes down next by the controls.
    place: (u16, u16),
    touch: Option<Touch>,
    /// When a tap ended.
    tapped: Option<Time>,
    pulse: bool,
    pins: [Pin; RESET + 1],
}

impl State {
    fn new() -> State {
        State {
            bank: Bank::default(),
            power: Power::Starting,
            pointer: 0,
            addressing: false,
            moves: VecDeque::new(),
            finger: None,
            place: (0, 0),
            touch: None,
            tapped: None,
            pulse: false,
            pins: [Pin::default(); RESET + 1],
        }
    }

    /// Where the finger is outside, scanned or not.
    fn outside(&self) -> Option<(u16, u16)> {
        self.moves.back().copied().unwrap_or(self.finger)
    }

    fn report(&mut self, fingers: u32, event: u32, (x, y): (u16, u16)) {
        self.bank[FingerNum] = fingers;
        self.bank[XposH] = event << 6 | u32::from(x) >> 8 & 0xf;
        self.bank[XposL] = u32::from(x) & 0xff;
        self.bank[YposH] = u32::from(y) >> 8 & 0xf;
        self.bank[YposL] = u32::from(y) & 0xff;
    }

    /// The finger is seen at `at`, or not at all; gives the reasons for an interrupt.
    fn scan(&mut self, now: Time, at: Option<(u16, u16)>) -> u32 {
        let Some(at) = at else { return self.lift(now) };
        self.finger = Some(at);
        let Some(touch) = &mut self.touch else {
            let from = (i32::from(at.0), i32::from(at.1));
            self.touch = Some(Touch { since: now, from, recognised: false, reported: false });
            self.bank[GestureId] = 0;
            self.report(1, EVENT_DOWN, at);
            return ON_TOUCH | ON_CHANGE;
        };
        let mut reasons = ON_TOUCH;
        if !touch.recognised {
            let (dx, dy) = (i32::from(at.0) - touch.from.0, i32::from(at.1) - touch.from.1);
            let slide = match (dx.abs() >= SLIDE, dy.abs() >= SLIDE) {
                (false, false) => None,
                _ if dx.abs() > dy.abs() => Some(if dx > 0 { gesture::RIGHT } else { gesture::LEFT }),
                _ => Some(if dy > 0 { gesture::DOWN } else { gesture::UP }),
            };
            let held = now.saturating_sub(touch.since) >= LONG_PRESS;
            if let Some(code) = slide.or(held.then_some(gesture::LONG_PRESS)) {
                touch.recognised = true;
                self.bank[GestureId] = code;
            }
        }
        // A gesture is reported when it is seen; a long press again and again, unless once is enough.
        let again = self.bank[GestureId] == gesture::LONG_PRESS && self.bank[IrqCtl] & ONCE == 0;
        if touch.recognised && (!touch.reported || again) {
            touch.reported = true;
            reasons |= ON_MOTION;
        }
        self.report(1, EVENT_CONTACT, at);
        reasons
    }

    /// The finger is gone.
    fn lift(&mut self, now: Time) -> u32 {
        let Some(touch) = self.touch.take() else { return 0 };
        let at = self.finger.take().unwrap_or_default();
        let mut reasons = ON_CHANGE;
        if !touch.recognised {
            let second = self.bank[MotionMask] & DOUBLE_CLICK != 0
                && self.tapped.is_some_and(|tapped| touch.since.saturating_sub(tapped) <= DOUBLE_TAP);
            self.bank[GestureId] = if second { gesture::DOUBLE_TAP } else { gesture::TAP };
            self.tapped = (!second).then_some(now);
            reasons |= ON_MOTION;
        }
        self.report(0, EVENT_UP, at);
        reasons
    }
}

/// A panel.
struct Cst816s {
    state: State,
    size: (u32, u32),
}

fn build(node: &dyn Node, _seed: u64) -> BuiltI2c {
    let size = |property: &str| match node.u32(property).unwrap_or(240) {
        value @ 1..=4095 => Ok(value),
        value => Err(BuildError::property(property, format!("{value} pixels; 1 to 4095 are possible"))),
    };
    Ok(Box::new(Cst816s { state: State::new(), size: (size("hyperemu,width")?, size("hyperemu,height")?) }))
}

impl Cst816s {
    fn set_int(&self, ctx: &mut Ctx) {
        ctx.set_line(LINE_INT, !self.state.pulse);
    }

    fn pulse(&mut self, ctx: &mut Ctx) {
        let width = u64::from(self.state.bank[IrqPulseWidth].max(1));
        self.state.pulse = true;
        ctx.schedule_in(TOKEN_PULSE, Time::from_us(width.saturating_mul(100)));
        self.set_int(ctx);
    }

    /// At the next multiple of the scan period.
    fn schedule_scan(&self, ctx: &mut Ctx) {
        let period = Time::from_ms(SCAN * u64::from(self.state.bank[NorScanPer].clamp(1, 30))).0;
        ctx.schedule(TOKEN_SCAN, Time((ctx.now().0 / period).saturating_add(1).saturating_mul(period)));
    }

    fn schedule_sleep(&self, ctx: &mut Ctx) {
        let seconds = u64::from(self.state.bank[AutoSleepTime]);
        if self.state.bank[DisAutoSleep] == 0 && self.state.touch.is_none() && seconds != 0 {
            ctx.schedule_in(TOKEN_SLEEP, Time::from_ms(seconds * 1000));
        } else {
            ctx.cancel(TOKEN_SLEEP);
        }
    }

    /// Power-on, or the reset pin: what is outside stays.
    fn start_over(&mut self, ctx: &mut Ctx) {
        [TOKEN_SCAN, TOKEN_PULSE, TOKEN_SLEEP].into_iter().for_each(|token| ctx.cancel(token));
        let before = std::mem::replace(&mut self.state, State::new());
        let State { pins, place, .. } = before;
        (self.state.pins, self.state.place) = (pins, place);
        // A finger that lies on the glass is found again.
        self.state.moves = before.outside().map(Some).into_iter().collect();
        if pins[RESET].low() {
            ctx.cancel(TOKEN_START);
        } else {
            ctx.schedule_in(TOKEN_START, STARTS);
        }
        self.set_int(ctx);
    }

    /// The finger comes, moves or goes.
    fn point(&mut self, ctx: &mut Ctx, at: Option<(u16, u16)>) {
        self.state.place = at.unwrap_or(self.state.place);
        // Of moves between two scans the chip sees the last; that a finger came or went it never misses.
        let moves = &mut self.state.moves;
        if matches!((moves.back(), at), (Some(Some(_)), Some(_)) | (Some(None), None)) && moves.len() > 1
            || moves.len() >= QUEUE
        {
            moves.pop_back();
        }
        moves.push_back(at);
        match self.state.power {
            Power::On => {}
            Power::Asleep if at.is_some() => self.state.power = Power::On,
            // Only where the finger is in the end matters to a chip that does not look.
            Power::Starting => return moves.drain(..moves.len() - 1).for_each(drop),
            Power::Asleep | Power::Deep => {
                moves.clear();
                self.state.finger = at;
                return;
            }
        }
        if ctx.due(TOKEN_SCAN).is_none() {
            self.schedule_scan(ctx);
        }
    }

    fn scan(&mut self, ctx: &mut Ctx) {
        let at = match self.state.moves.pop_front() {
            Some(at) => at,
            None => self.state.finger,
        };
        let reasons = self.state.scan(ctx.now(), at);
        let test = self.state.bank[IrqCtl] & TEST != 0;
        if reasons & self.state.bank[IrqCtl] != 0 || test {
            self.pulse(ctx);
        }
        if self.state.touch.is_some() || !self.state.moves.is_empty() || test {
            self.schedule_scan(ctx);
        }
        self.schedule_sleep(ctx);
    }

    fn sleep(&mut self, ctx: &mut Ctx, power: Power) {
        self.state.power = power;
        self.state.touch = None;
        [TOKEN_SCAN, TOKEN_SLEEP].into_iter().for_each(|token| ctx.cancel(token));
    }

    fn write_register(&mut self, ctx: &mut Ctx, address: u8, byte: u8) {
        let Some(register) = self.state.bank.at(address.into()) else {
            // Drivers read and write some addresses that no document names, to wake the chip.
            return;
        };
        self.state.bank.write(register, byte.into());
        match register {
            Sleep | SleepMode if byte == 3 => self.sleep(ctx, Power::Deep),
            IoCtl if u32::from(byte) & SOFT_RESET != 0 => self.start_over(ctx),
            IrqCtl if u32::from(byte) & TEST != 0 => self.schedule_scan(ctx),
            AutoSleepTime | DisAutoSleep => self.schedule_sleep(ctx),
            _ => {}
        }
    }
}

impl Component for Cst816s {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.state.bank.inspect();
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        fields.push(field("power", format!("{:?}", self.state.power)));
        fields.push(field("finger", format!("{:?}", self.state.finger)));
        fields
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let control = |name: &str, unit, kind, help| {
            let name = name.to_string();
            ControlSpec { name, unit, kind, settable: true, help }
        };
        let pixels = |size: u32| ControlKind::Number { min: 0.0, max: f64::from(size - 1) };
        vec![
            control("x", "px", pixels(self.size.0), "where the finger is, from the left"),
            control("y", "px", pixels(self.size.1), "where the finger is, from the top"),
            control("down", "", ControlKind::Switch, "whether the finger is on the glass"),
        ]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        match name {
            "x" => Some(ControlValue::Number(self.state.place.0.into())),
            "y" => Some(ControlValue::Number(self.state.place.1.into())),
            "down" => Some(ControlValue::Switch(self.state.outside().is_some())),
            _ => None,
        }
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let mut down = self.state.outside().is_some();
        match (name, value) {
            ("x", ControlValue::Number(x)) => self.state.place.0 = *x as u16,
            ("y", ControlValue::Number(y)) => self.state.place.1 = *y as u16,
            ("down", ControlValue::Switch(on)) => down = *on,
            _ => return Err(ControlError::Unknown(name.to_string())),
        }
        let at = down.then_some(self.state.place);
        if at != self.state.outside() {
            self.point(ctx, at);
        }
        Ok(())
    }
}

impl I2cTarget for Cst816s {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.start_over(ctx);
    }

    fn start(&mut self, ctx: &mut Ctx, read: bool) -> bool {
        self.state.addressing = !read;
        if self.state.power == Power::On {
            self.schedule_sleep(ctx);
        }
        self.state.power == Power::On
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if std::mem::take(&mut self.state.addressing) {
            self.state.pointer = byte;
            return true;
        }
        let address = self.state.pointer;
        self.state.pointer = address.wrapping_add(1);
        self.write_register(ctx, address, byte);
        true
    }

    fn read(&mut self, _ctx: &mut Ctx) -> u8 {
        let address = self.state.pointer;
        self.state.pointer = address.wrapping_add(1);
        self.state.bank.at(address.into()).map_or(0, |register| self.state.bank.read(register)) as u8
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        match token {
            TOKEN_SCAN if self.state.power == Power::On => self.scan(ctx),
            TOKEN_PULSE => {
                self.state.pulse = false;
                self.set_int(ctx);
            }
            TOKEN_SLEEP => self.sleep(ctx, Power::Asleep),
            TOKEN_START => {
                self.state.power = Power::On;
                if !self.state.moves.is_empty() {
                    self.schedule_scan(ctx);
                }
                self.schedule_sleep(ctx);
            }
            _ => {}
        }
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        if pins::drive(&mut self.state.pins, input, level) == Some(RESET) {
            self.start_over(ctx);
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Touch)
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        let HostInput::Touch { slot: 0, at } = *input else { return };
        let pixel = |at: u16, size: u32| (u32::from(at.min(0x7fff)) * size / 0x8000) as u16;
        let at = at.map(|(x, y)| (pixel(x, self.size.0), pixel(y, self.size.1)));
        self.point(ctx, at);
    }
}

#[cfg(test)]
mod tests;
