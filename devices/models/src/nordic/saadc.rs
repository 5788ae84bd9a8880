//! Analog-to-digital converter with EasyDMA (SAADC).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 37. Parts of the board that have a voltage are children of
//! the node, by the number of the analog input they hang on; the other inputs are controls. A sample of a channel takes
//! its acquisition time and 2 us; results are stored when all channels are sampled. Both reference and gain are exact,
//! and there is no noise; resistors have no effect on a source without resistance of its own.
//!
//! Left out: that conversions without calibration drift.

use super::analog::{Inputs, SUPPLY};
use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::easydma::store;
use devices_core::analog::AnalogSource;
use devices_core::children::Children;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Field, Model,
    RestoreError, Time, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-saadc"],
    summary: "nRF analog-to-digital converter",
    rom: &[],
    ram: &[],
    build,
};

const CHANNELS: usize = 8;

crate::nordic_layout! {
    tasks { START = 0x000, SAMPLE = 0x004, STOP = 0x008, CALIBRATEOFFSET = 0x00c }
    events {
        STARTED = 0x100, END = 0x104, DONE = 0x108, RESULTDONE = 0x10c, CALIBRATEDONE = 0x110, STOPPED = 0x114,
        CH0LIMITH = 0x118, CH0LIMITL = 0x11c, CH1LIMITH = 0x120, CH1LIMITL = 0x124,
        CH2LIMITH = 0x128, CH2LIMITL = 0x12c, CH3LIMITH = 0x130, CH3LIMITL = 0x134,
        CH4LIMITH = 0x138, CH4LIMITL = 0x13c, CH5LIMITH = 0x140, CH5LIMITL = 0x144,
        CH6LIMITH = 0x148, CH6LIMITL = 0x14c, CH7LIMITH = 0x150, CH7LIMITL = 0x154,
    }
    shorts {}
}

const TOKEN_SAMPLE: u32 = 0;
const TOKEN_CALIBRATE: u32 = 1;
const TOKEN_TIMER: u32 = 2;
const CONVERSION: u64 = 2;
const CALIBRATION: Time = Time::from_us(100);
/// Of CH[n].CONFIG.
const SUPPLY_REFERENCE: u32 = 1 << 12;
const DIFFERENTIAL: u32 = 1 << 20;
const BURST: u32 = 1 << 24;
/// Of SAMPLERATE.
const TIMER_MODE: u32 = 1 << 12;

/// Registers of a channel: PSELP, PSELN, CONFIG, LIMIT.
type Channel = [u32; 4];
const CHANNEL: Channel = [0, 0, 0x0002_0000, 0x7fff_8000];

/// The registers and what is on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Converter {
    enable: u32,
    channels: [Channel; CHANNELS],
    resolution: u32,
    oversample: u32,
    samplerate: u32,
    ptr: u32,
    maxcnt: u32,
    amount: u32,
    /// Where results go since the start, how many there may be, and how many are there.
    buffer: Option<(u32, u32)>,
    /// Samples that are averaged into the next result.
    gathered: u32,
    busy: bool,
}

impl Default for Converter {
    fn default() -> Converter {
        Converter {
            enable: 0,
            channels: [CHANNEL; CHANNELS],
            resolution: 1,
            oversample: 0,
            samplerate: 0,
            ptr: 0,
            maxcnt: 0,
            amount: 0,
            buffer: None,
            gathered: 0,
            busy: false,
        }
    }
}

impl Converter {
    fn active(&self) -> impl Iterator<Item = (usize, &Channel)> {
        self.channels.iter().enumerate().filter(|(_, channel)| channel[0] & 0x1f != 0)
    }

    /// How long all channels take.
    fn duration(&self) -> Time {
        let one = |channel: &Channel| {
            let acquisition = [3, 5, 10, 15, 20, 40, 40, 40][(channel[2] >> 16 & 7) as usize];
            let times = if channel[2] & BURST != 0 { 1 << self.oversample } else { 1 };
            (acquisition + CONVERSION) * times
        };
        Time::from_us(self.active().map(|(_, channel)| one(channel)).sum::<u64>().max(1))
    }

    /// The result for voltages at both inputs.
    fn result(&self, channel: &Channel, positive: f64, negative: f64) -> i16 {
        let [_, _, config, _] = *channel;
        let gain = [1.0 / 6.0, 0.2, 0.25, 1.0 / 3.0, 0.5, 1.0, 2.0, 4.0][(config >> 8 & 7) as usize];
        let reference = if config & SUPPLY_REFERENCE != 0 { SUPPLY / 4.0 } else { 0.6 };
        let bits = 8 + 2 * self.resolution.min(3);
        let (difference, low, high) = if config & DIFFERENTIAL != 0 {
            let half = f64::from(1u32 << (bits - 1));
            ((positive - negative) * half, -half, half - 1.0)
        } else {
            let full = f64::from(1u32 << bits);
            (positive * full, 0.0, full - 1.0)
        };
        (difference * gain / reference).floor().clamp(low, high) as i16
    }
}

/// A converter with what hangs on its inputs.
pub struct Saadc {
    converter: Converter,
    inputs: Inputs,
    sources: Children<dyn AnalogSource>,
}

impl Saadc {
    /// The voltage that a PSEL register selects.
    fn volts(&self, select: u32) -> f64 {
        match select & 0x1f {
            n @ 1..=8 => {
                let source = self.sources.position(n - 1);
                let source = source.and_then(|index| self.sources.targets().nth(index));
                source.map_or_else(|| self.inputs.volts(n as usize - 1), AnalogSource::volts)
            }
            9 => SUPPLY,
            _ => 0.0,
        }
    }

    fn sample(&mut self, ctx: &mut Ctx) {
        if self.converter.enable & 1 == 0 || self.converter.buffer.is_none() || self.converter.busy {
            return;
        }
        self.converter.busy = true;
        ctx.schedule_in(TOKEN_SAMPLE, self.converter.duration());
        if self.converter.samplerate & TIMER_MODE != 0 {
            let cycles = u64::from(self.converter.samplerate & 0x7ff).max(80);
            ctx.schedule_in(TOKEN_TIMER, Time::of_tick(cycles, 16_000_000));
        }
    }

    fn stop(&mut self, ctx: &mut Ctx) {
        ctx.cancel(TOKEN_SAMPLE);
        ctx.cancel(TOKEN_TIMER);
        (self.converter.busy, self.converter.buffer, self.converter.gathered) = (false, None, 0);
    }

    /// All channels are sampled.
    fn finish(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.converter.busy = false;
        block.raise(ctx, event::DONE);
        let bursts = self.converter.active().any(|(_, channel)| channel[2] & BURST != 0);
        self.converter.gathered += 1;
        if !bursts && self.converter.gathered < 1 << self.converter.oversample {
            return;
        }
        self.converter.gathered = 0;
        let results: Vec<(usize, i16, u32)> = self
            .converter
            .active()
            .map(|(n, channel)| {
                let [positive, negative] = [channel[0], channel[1]].map(|select| self.volts(select));
                (n, self.converter.result(channel, positive, negative), channel[3])
            })
            .collect();
        for (n, result, limit) in results {
            let Some((address, room)) = self.converter.buffer else { return };
            store(ctx, address, &result.to_le_bytes());
            self.converter.amount += 1;
            self.converter.buffer = (room > 1).then(|| (address.wrapping_add(2), room - 1));
            block.raise(ctx, event::RESULTDONE);
            let [low, high] = [limit as i16, (limit >> 16) as i16];
            if result > high {
                block.raise(ctx, event::CH0LIMITH + 8 * n as u32);
            }
            if result < low {
                block.raise(ctx, event::CH0LIMITL + 8 * n as u32);
            }
            if room <= 1 {
                ctx.cancel(TOKEN_TIMER);
                block.raise(ctx, event::END);
            }
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let mut sources: Children<dyn AnalogSource> = Children::default();
    for node in args.node.children() {
        let input = node.regs().first().map(|(input, _)| *input as u32).filter(|input| *input < 8);
        let input =
            input.ok_or_else(|| BuildError::property("reg", "an analog input from 0 to 7 is expected"))?;
        let none = || BuildError::node(format!("there is no analog source for `{}`", node.name()));
        let model = crate::analog_source_for(&node.compatible()).ok_or_else(none)?;
        sources.attach(input, node.name(), (model.build)(node)?);
    }
    let saadc = Saadc { converter: Converter::default(), inputs: Inputs::default(), sources };
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, saadc)))
}

impl Component for Saadc {
    fn save(&self) -> Vec<u8> {
        let Saadc { converter, inputs, sources } = self;
        state::encode(&(converter, inputs, sources.save()))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (converter, inputs, sources): (Converter, Inputs, Vec<u8>) = state::decode(bytes)?;
        self.sources.restore(&sources)?;
        (self.converter, self.inputs) = (converter, inputs);
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let taken: Vec<String> =
            (0..8).filter(|n| self.sources.position(*n).is_some()).map(|n| format!("ain{n}")).collect();
        let mut all = self.inputs.specs();
        all.retain(|spec| !taken.contains(&spec.name));
        all.extend(self.sources.controls());
        all
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.sources.control(name).or_else(|| self.inputs.get(name))
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        if name.contains('.') {
            return self.sources.set_control(ctx, name, value);
        }
        self.inputs.set(name, value)
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |(n, channel): (usize, &Channel)| Field {
            name: format!("CH[{n}]"),
            value: format!(
                "PSELP {} CONFIG {:#010x} {:.3} V",
                channel[0],
                channel[2],
                self.volts(channel[0])
            ),
        };
        let mut fields: Vec<Field> = self.converter.active().map(show).collect();
        fields.extend(self.sources.inspect());
        fields
    }
}

impl Peripheral for Saadc {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        self.converter = Converter::default();
        for index in 0..self.sources.len() {
            self.sources.with(ctx, index, |source, ctx| source.reset(ctx));
        }
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        if self.converter.enable & 1 == 0 {
            return;
        }
        match task {
            task::START => {
                let (ptr, count) = (self.converter.ptr, self.converter.maxcnt);
                self.converter.buffer = (count > 0).then_some((ptr, count));
                (self.converter.amount, self.converter.gathered) = (0, 0);
                block.raise(ctx, event::STARTED);
            }
            task::SAMPLE => self.sample(ctx),
            task::STOP => {
                self.stop(ctx);
                block.raise(ctx, event::STOPPED);
            }
            _ => ctx.schedule_in(TOKEN_CALIBRATE, CALIBRATION),
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        let converter = &self.converter;
        Some(match at.offset {
            0x400 => converter.busy.into(),
            0x500 => converter.enable,
            0x510..0x590 => {
                let index = (at.offset as usize - 0x510) / 4;
                converter.channels[index / 4][index % 4]
            }
            0x5f0 => converter.resolution,
            0x5f4 => converter.oversample,
            0x5f8 => converter.samplerate,
            0x62c => converter.ptr,
            0x630 => converter.maxcnt,
            0x634 => converter.amount,
            _ => return None,
        })
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let converter = &mut self.converter;
        match at.offset {
            0x500 => {
                converter.enable = value & 1;
                if value & 1 == 0 {
                    self.stop(ctx);
                }
            }
            0x510..0x590 => {
                let index = (at.offset as usize - 0x510) / 4;
                converter.channels[index / 4][index % 4] = value;
            }
            0x5f0 => converter.resolution = (value & 7).min(3),
            0x5f4 => converter.oversample = (value & 0xf).min(8),
            0x5f8 => converter.samplerate = value & 0x17ff,
            0x62c => converter.ptr = value,
            0x630 => converter.maxcnt = value & 0x7fff,
            0x634 => {}
            _ => return None,
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        match token {
            TOKEN_SAMPLE => self.finish(block, ctx),
            TOKEN_TIMER => self.sample(ctx),
            _ => block.raise(ctx, event::CALIBRATEDONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::power::battery;
    use crate::sensor::testing::Plain;
    use devices_core::bench::{Bench, RAM};
    use devices_core::ctx::CHILD;
    use devices_core::pin;

    fn bench() -> Bench<Nordic<Saadc>> {
        let mut sources: Children<dyn AnalogSource> = Children::default();
        let cell = (battery::MODEL.build)(&Plain).expect("it needs no properties");
        sources.attach(7, "battery", cell);
        let saadc = Saadc { converter: Converter::default(), inputs: Inputs::default(), sources };
        Bench::new(Nordic::new(0x4000_7000, &LAYOUT, saadc))
    }

    fn set(bench: &mut Bench<Nordic<Saadc>>, name: &str, value: ControlValue) {
        bench.call(|device, ctx| device.set_control(ctx, name, &value)).expect("a control in its range");
    }

    fn results(bench: &Bench<Nordic<Saadc>>, count: usize) -> Vec<i16> {
        let word = |n: usize| bench.services.memory.read_le(RAM + 2 * n as u64, 2).expect("it is RAM");
        (0..count).map(|n| word(n) as u16 as i16).collect()
    }

    fn channel(bench: &mut Bench<Nordic<Saadc>>, n: u64, registers: [u32; 3]) {
        for (at, value) in (0..).step_by(4).zip(registers) {
            bench.write32(0x510 + 16 * n + at, value);
        }
    }

    fn start(bench: &mut Bench<Nordic<Saadc>>, count: u32) {
        bench.write32(0x500, 1);
        bench.write32(0x62c, RAM as u32);
        bench.write32(0x630, count);
        bench.write32(task::START.into(), 1);
    }

    #[test]
    fn battery_as_infinitime_measures_it() {
        let mut bench = bench();
        set(&mut bench, "battery.voltage", ControlValue::Number(2.0));
        // AIN7, gain 1/4, 40 us, 10 bits.
        channel(&mut bench, 0, [8, 0, 2 << 8 | 5 << 16 | 1 << 24]);
        start(&mut bench, 1);
        bench.write32(task::SAMPLE.into(), 1);
        bench.advance(Time::from_us(41));
        assert_eq!(bench.read32(event::END.into()), 0);
        bench.advance(Time::from_us(1));
        assert_eq!([bench.read32(event::END.into()), bench.read32(0x634)], [1, 1]);
        assert_eq!(results(&bench, 1), [853], "2 V * 1/4 / 0.6 V * 1024");
        set(&mut bench, "battery.power", ControlValue::Switch(true));
        assert_eq!([0, 1].map(|n| bench.line(CHILD + pin(n))), [true, false]);
        set(&mut bench, "battery.charging", ControlValue::Switch(true));
        assert_eq!([0, 1].map(|n| bench.line(CHILD + pin(n))), [false, false]);
        bench.check_save_restore();
    }

    #[test]
    fn channels_modes_and_limits() {
        let mut bench = bench();
        set(&mut bench, "ain0", ControlValue::Number(0.3));
        set(&mut bench, "ain1", ControlValue::Number(1.2));
        bench.write32(0x5f0, 2);
        channel(&mut bench, 0, [1, 0, 5 << 8]);
        channel(&mut bench, 1, [1, 2, 4 << 8 | DIFFERENTIAL]);
        channel(&mut bench, 4, [9, 0, SUPPLY_REFERENCE]);
        bench.write32(0x51c, 0x0400_0000);
        start(&mut bench, 6);
        for _ in 0..2 {
            bench.write32(task::SAMPLE.into(), 1);
            bench.advance(Time::from_us(100));
        }
        assert_eq!(results(&bench, 6), [2048, -1536, 2730, 2048, -1536, 2730]);
        assert_eq!(bench.read32(event::CH0LIMITH.into()), 1);
        assert_eq!(bench.read32(event::CH1LIMITL.into()), 0);
        assert_eq!(bench.read32(event::END.into()), 1);
        bench.write32(task::SAMPLE.into(), 1);
        bench.advance(Time::from_us(100));
        assert_eq!(bench.read32(0x634), 6, "the buffer is full");
    }

    #[test]
    fn timer_oversampling_and_calibration() {
        let mut bench = bench();
        channel(&mut bench, 0, [9, 0, 0]);
        bench.write32(0x5f4, 2);
        // 10 kHz.
        bench.write32(0x5f8, TIMER_MODE | 1600);
        start(&mut bench, 3);
        bench.write32(task::SAMPLE.into(), 1);
        bench.advance(Time::from_us(1100));
        assert_eq!((bench.read32(event::END.into()), bench.read32(0x634)), (0, 2));
        bench.advance(Time::from_us(10));
        assert_eq!((bench.read32(event::END.into()), results(&bench, 3)), (1, vec![853; 3]));
        bench.write32(task::CALIBRATEOFFSET.into(), 1);
        bench.advance(Time::from_us(100));
        assert_eq!(bench.read32(event::CALIBRATEDONE.into()), 1);
        bench.write32(task::STOP.into(), 1);
        assert_eq!(bench.read32(event::STOPPED.into()), 1);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            start(&mut bench, 4);
            for (op, value) in u.arbitrary::<Vec<(u8, u32)>>()? {
                match op % 4 {
                    0 => bench.write32(u64::from(value % 4) * 4, 1),
                    1 => bench.write32(0x510 + u64::from(op & 0x1c) * 4, value),
                    2 => bench.write32(0x5f0 + u64::from(op & 8), value),
                    _ => bench.advance(Time::from_us(u64::from(value & 0xff))),
                }
                bench.messages();
            }
            bench.torture(&bytes, 0x640);
            bench.check_save_restore();
            Ok(())
        });
    }
}
