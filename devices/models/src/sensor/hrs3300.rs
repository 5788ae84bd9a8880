//! TianYiHe HRS3300: optical heart-rate and ambient-light sensor.
//!
//! Follows the data sheet HRS3300 V1.1 and the ways of its users (InfiniTime, wasp-os) where it is silent: the order
//! of the bits in the data registers, and how long a conversion takes. The photoplethysmogram is made from the
//! control `bpm` as a function of virtual time: a fast fall with each beat, a slower rise with a dicrotic notch, and
//! the slow wave of breathing. A change of the control keeps the phase of the beat. The light that returns grows with
//! the LED's current; without it, or without skin (`skin` off), there is only the ambient light.
//!
//! A conversion of `n` bits takes 50 ms at 15 bits, halved for each bit less; between conversions there is the wait
//! time of ENABLE. Registers hold the latest; a read computes it, so that an idle sensor costs nothing.
//!
//! Left out: the interrupt (the chip in the PineTime has no pin for it), thresholds, and calibration registers, which
//! are kept.

use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::regs::Bank;
use devices_core::{
    Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel =
    I2cModel { compatible: &["tianyihe,hrs3300"], summary: "HRS3300 heart-rate sensor", build };

const BPM: usize = 0;
const LIGHT: usize = 1;
const CONTACT: usize = 2;
const QUANTITIES: &[Quantity] = &[
    Quantity::number("bpm", "1/min", (0.0, 240.0), 72.0, "heart rate; 0 for none"),
    Quantity::number("light", "lx", (0.0, 100_000.0), 100.0, "light that falls on the sensor"),
    Quantity::number("skin", "", (0.0, 1.0), 1.0, "how well the sensor lies on the skin, from 0 to 1"),
];

register_bank! {
    /// The registers.
    enum Register {
        Id = 0x00, ro, reset 0x21;
        Enable = 0x01, rw(0xf8), reset 0x68, { pdrive1: 3, hwt: 4 .. 7, hen: 7 };
        C1DataM = 0x08, ro, reset 0;
        C0DataM = 0x09, ro, reset 0;
        C0DataH = 0x0a, ro, reset 0;
        PDriver = 0x0c, rw(0x7f), reset 0x68, { pon: 5, pdrive0: 6 };
        C1DataH = 0x0d, ro, reset 0;
        C1DataL = 0x0e, ro, reset 0;
        C0DataL = 0x0f, ro, reset 0;
        Res = 0x16, rw(0xff), reset 0x66, { hrs: 0 .. 4, als: 4 .. 8 };
        HGain = 0x17, rw(0x1f), reset 0x10, { gain: 2 .. 5 };
    }
}

use Register::*;

const ENABLED: u32 = 0x80;
const POWERED: u32 = 0x20;
/// Phase of a whole beat.
const BEAT: u64 = 1 << 32;

/// The chip without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    pointer: u8,
    addressing: bool,
    /// When the sensor was enabled.
    since: Time,
}

/// Where in a beat the heart is.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Heart {
    /// At `since`, of 2^32.
    phase: u64,
    since: Time,
}

impl Heart {
    /// The phase at `now`, of 2^32, with beats of `bpm`.
    fn phase(&self, now: Time, bpm: f64) -> u64 {
        let milli = (bpm * 1000.0).round() as u128;
        let span = u128::from(now.saturating_sub(self.since).0);
        // Beats in thousandths of a minute: 60 000 s of 10^12 ps.
        let turned = span * milli * u128::from(BEAT) / (60_000 * u128::from(Time::PER_SECOND));
        self.phase.wrapping_add(turned as u64) % BEAT
    }
}

/// A beat of blood in the skin, from 0 to 1: systole, notch, diastole, as straight lines between points.
fn pulse(phase: u64) -> f64 {
    const POINTS: [(f64, f64); 7] =
        [(0.0, 0.0), (0.12, 0.85), (0.18, 1.0), (0.38, 0.42), (0.44, 0.5), (0.7, 0.14), (1.0, 0.0)];
    let at = phase as f64 / BEAT as f64;
    let piece = POINTS.windows(2).find(|piece| at <= piece[1].0);
    piece.map_or(0.0, |piece| {
        let ((x0, y0), (x1, y1)) = (piece[0], piece[1]);
        y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    })
}

/// Breathing, 15 times a minute: a triangle from -1 to 1.
fn breath(now: Time) -> f64 {
    let at = (now.0 % (4 * Time::PER_SECOND)) as f64 / (4 * Time::PER_SECOND) as f64;
    4.0 * (at - 0.5).abs() - 1.0
}

impl State {
    /// From the start of a conversion to the next.
    fn period(&self) -> Time {
        let conversion = 50_000 >> (7u32).saturating_sub(self.bank[Res] & 0xf).min(7);
        let wait = [800_000, 400_000, 200_000, 100_000, 75_000, 50_000, 12_500, 0];
        Time::from_us(conversion + wait[(self.bank[Enable] >> 4 & 7) as usize])
    }

    /// When the latest conversion ended; `None` if none did.
    fn sampled(&self, now: Time) -> Option<Time> {
        if self.bank[Enable] & ENABLED == 0 {
            return None;
        }
        let period = self.period().0.max(1);
        let count = now.saturating_sub(self.since).0 / period;
        (count > 0).then(|| Time(self.since.0 + count * period))
    }

    /// Full scale at a resolution code: 8 bits at 0, 18 at 10.
    fn scale(code: u32) -> f64 {
        f64::from(1u32 << (8 + code.min(10)))
    }

    /// The LED's current in mA.
    fn current(&self) -> f64 {
        if self.bank[PDriver] & POWERED == 0 {
            return 0.0;
        }
        [12.5, 20.0, 30.0, 40.0][((self.bank[Enable] >> 3 & 1) << 1 | self.bank[PDriver] >> 6 & 1) as usize]
    }

    /// The heart-rate and the ambient-light channel.
    fn convert(&mut self, now: Time, heart: &Heart, world: &World) {
        let Some(at) = self.sampled(now) else { return };
        let skin = world.number(CONTACT);
        let ambient = world.number(LIGHT) * (1.0 - 0.95 * skin);
        let bpm = world.number(BPM);
        let beat = if bpm > 0.0 { pulse(heart.phase(at, bpm)) } else { 0.0 };
        // More blood swallows more light: some percent of what the skin sends back.
        let returned = self.current() / 40.0 * skin * (1.0 - 0.03 * beat + 0.006 * breath(at));
        let gain = f64::from(1u32 << (self.bank[HGain] >> 2 & 7).min(6));
        let hrs_scale = State::scale(self.bank[Res] & 0xf);
        let als_scale = State::scale(self.bank[Res] >> 4);
        let counts = |part: f64, scale: f64| (part * scale).round().clamp(0.0, scale - 1.0) as u32;
        let hrs = counts((0.6 * returned + ambient / 100_000.0) * gain, hrs_scale);
        let als = counts(ambient / 50_000.0, als_scale);
        self.bank[C0DataL] = hrs & 0xf | (hrs >> 16 & 3) << 4;
        self.bank[C0DataM] = hrs >> 8 & 0xff;
        self.bank[C0DataH] = hrs >> 4 & 0xf;
        self.bank[C1DataL] = als & 7;
        self.bank[C1DataM] = als >> 3 & 0xff;
        self.bank[C1DataH] = als >> 11 & 0x7f;
    }
}

/// A sensor on a wrist.
struct Hrs3300 {
    state: State,
    heart: Heart,
    world: World,
}

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    let (state, heart) = Default::default();
    Ok(Box::new(Hrs3300 { state, heart, world: World::new(QUANTITIES) }))
}

impl Component for Hrs3300 {
    fn save(&self) -> Vec<u8> {
        let Hrs3300 { state, heart, world } = self;
        state::encode(&(state, heart, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, heart, world): (State, Heart, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of an HRS3300".to_string()));
        }
        (self.state, self.heart, self.world) = (state, heart, world);
        Ok(())
    }

    world_controls!(QUANTITIES);

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.state.convert(ctx.now(), &self.heart, &self.world);
        let phase = self.heart.phase(ctx.now(), self.world.number(BPM));
        self.world.set(QUANTITIES, name, value)?;
        self.heart = Heart { phase, since: ctx.now() };
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.state.bank.inspect()
    }
}

impl I2cTarget for Hrs3300 {
    fn reset(&mut self, _ctx: &mut Ctx) {
        self.state = State::default();
    }

    fn start(&mut self, _ctx: &mut Ctx, read: bool) -> bool {
        self.state.addressing = !read;
        true
    }

    fn write(&mut self, ctx: &mut Ctx, byte: u8) -> bool {
        if std::mem::take(&mut self.state.addressing) {
            self.state.pointer = byte;
            return true;
        }
        let address = self.state.pointer;
        self.state.pointer = address.wrapping_add(1);
        // What was converted by now, with what was set until now.
        self.state.convert(ctx.now(), &self.heart, &self.world);
        let Some(register) = self.state.bank.at(address.into()) else { return true };
        let before = self.state.bank.write(register, byte.into());
        let changed = before ^ self.state.bank[register];
        if matches!(register, Enable | Res) && changed != 0 {
            self.state.since = ctx.now();
        }
        true
    }

    fn read(&mut self, ctx: &mut Ctx) -> u8 {
        self.state.convert(ctx.now(), &self.heart, &self.world);
        let address = self.state.pointer;
        self.state.pointer = address.wrapping_add(1);
        self.state.bank.at(address.into()).map_or(0, |register| self.state.bank.read(register)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::testing::{Chip, Wire, bench, survives_anything};
    use devices_core::bench::Bench;

    /// As InfiniTime sets it up.
    fn sensor() -> Bench<Wire> {
        let mut bench = bench(&MODEL);
        assert_eq!(bench.ask(&[0x00], 1), [0x21]);
        for write in [[0x01, 0x50], [0x0c, 0x2f], [0x16, 0x77], [0x17, 0x00], [0x01, 0xd0], [0x0c, 0x2f]] {
            assert!(bench.send(&write));
        }
        bench
    }

    /// Heart-rate and ambient-light channel, as InfiniTime reads them.
    fn read(bench: &mut Bench<Wire>) -> (u32, u32) {
        let bytes = bench.ask(&[0x08], 8);
        let at = |address: usize| u32::from(bytes[address - 8]);
        let hrs = at(0x09) << 8 | (at(0x0a) & 0xf) << 4 | at(0x0f) & 0xf;
        (hrs, (at(0x0d) & 0x3f) << 11 | at(0x08) << 3 | at(0x0e) & 7)
    }

    /// Falls below the middle in `seconds` of samples, 10 a second: heart beats.
    fn beats(bench: &mut Bench<Wire>, seconds: usize) -> usize {
        let samples: Vec<u32> = (0..seconds * 10)
            .map(|_| {
                bench.wait_ms(100);
                read(bench).0
            })
            .collect();
        let (low, high) = (samples.iter().min().unwrap(), samples.iter().max().unwrap());
        let middle = (low + high) / 2;
        samples.windows(2).filter(|pair| pair[0] >= middle && pair[1] < middle).count()
    }

    #[test]
    fn the_pulse_follows_the_control() {
        let mut bench = sensor();
        assert!((11..=13).contains(&beats(&mut bench, 10)), "72 a minute");
        bench.set("bpm", ControlValue::Number(140.0));
        assert!((45..=48).contains(&beats(&mut bench, 20)));
        bench.set("bpm", ControlValue::Number(0.0));
        assert!(beats(&mut bench, 20) <= 6, "only the breath");
    }

    #[test]
    fn the_led_the_skin_and_the_light() {
        let mut bench = sensor();
        bench.wait_ms(200);
        let (lit, als) = read(&mut bench);
        assert!((4000..8000).contains(&lit) && als < 10, "{lit} {als}");
        bench.set("skin", ControlValue::Number(0.0));
        bench.set("light", ControlValue::Number(10_000.0));
        bench.wait_ms(200);
        let (bare, als) = read(&mut bench);
        assert_eq!((bare, als), (3277, 6554));
        bench.set("skin", ControlValue::Number(1.0));
        assert!(bench.send(&[0x0c, 0x4f]), "the LED is off");
        bench.wait_ms(200);
        assert!(read(&mut bench).0 < 200);
        assert!(bench.send(&[0x16, 0x74]));
        assert!(bench.send(&[0x0c, 0x2f]));
        bench.wait_ms(200);
        assert!((500..1000).contains(&read(&mut bench).0), "three bits less");
    }

    #[test]
    fn a_sample_stays_until_the_next_and_disabling_keeps_it() {
        let mut bench = sensor();
        bench.wait_ms(110);
        let first = read(&mut bench);
        bench.wait_ms(80);
        assert_eq!(read(&mut bench), first, "100 ms a sample");
        bench.wait_ms(20);
        let second = read(&mut bench);
        assert_ne!(second, first);
        assert!(bench.send(&[0x01, 0x50]));
        bench.wait_ms(1000);
        assert_eq!(read(&mut bench), second);
        bench.check_save_restore();
    }

    #[test]
    fn anything() {
        survives_anything(&MODEL);
    }
}
