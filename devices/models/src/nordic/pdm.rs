//! Microphone interface (PDM).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 44. What the microphones hear are the controls `tone` (Hz)
//! and `level` (of full scale): a triangle wave, the same left and right, exact on every host. A buffer is written when
//! it is full.
//!
//! Left out: the decimation filter and its delay, gain, and the pins.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::easydma;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, Model, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-pdm"], summary: "nRF microphone interface", rom: &[], ram: &[], build };

crate::nordic_layout! {
    tasks { START = 0x000, STOP = 0x004 }
    events { STARTED = 0x100, STOPPED = 0x104, END = 0x108 }
    shorts {}
}

register_bank! {
    /// The registers.
    enum Register {
        Enable = 0x500, rw(0x1), reset 0;
        PdmClkCtrl = 0x504, rw(u32::MAX), reset 0x0840_0000;
        Mode = 0x508, rw(0x3), reset 0;
        GainL = 0x518, rw(0x7f), reset 0x28;
        GainR = 0x51c, rw(0x7f), reset 0x28;
        Ratio = 0x520, rw(0x1), reset 0;
        PselClk = 0x540, rw(u32::MAX), reset 0xffff_ffff;
        PselDin = 0x544, rw(u32::MAX), reset 0xffff_ffff;
        SamplePtr = 0x560, rw(u32::MAX), reset 0;
        SampleMaxcnt = 0x564, rw(0x7fff), reset 0;
    }
}

use Register::*;

const MONO: u32 = 1;

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pdm {
    bank: Bank<Register>,
    /// What the world sounds like. Survives a reset.
    tone: f64,
    level: f64,
    running: bool,
    /// Address and samples of the buffer that is being filled.
    buffer: (u32, u32),
    /// Frames since the start.
    frames: u64,
}

impl Pdm {
    /// Frames in a second, times 2^32.
    fn rate(&self) -> u128 {
        let ratio = if self.bank[Ratio] == 0 { 64 } else { 80 };
        u128::from(self.bank[PdmClkCtrl].max(1)) * 32_000_000 / ratio
    }

    fn frame_count(&self) -> u64 {
        let channels = if self.bank[Mode] & MONO != 0 { 1 } else { 2 };
        u64::from(self.buffer.1 / channels).max(1)
    }

    fn span(&self) -> Time {
        let ps = ((u128::from(self.frame_count()) * u128::from(Time::PER_SECOND)) << 32) / self.rate().max(1);
        Time(ps.clamp(1, u128::from(Time::PER_SECOND) * 3600) as u64)
    }

    /// The sound at a frame.
    fn sample(&self, frame: u64) -> i16 {
        let millihertz = (self.tone * 1000.0) as u128;
        // Where in the period, of 2^32.
        let turns = u128::from(frame) * (millihertz << 32) / 1000;
        let phase = ((turns << 32) / self.rate().max(1)) as u32;
        let ramp = i64::from(phase.wrapping_add(1 << 30)) - (1 << 31);
        let triangle = (1i64 << 31) - 2 * ramp.abs();
        let level = (self.level * 32767.0) as i64;
        ((triangle * level) >> 31).clamp(-32768, 32767) as i16
    }

    fn begin(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.buffer = (self.bank[SamplePtr], self.bank[SampleMaxcnt]);
        ctx.schedule_in(0, self.span());
        block.raise(ctx, event::STARTED);
    }

    fn fill(&mut self, ctx: &mut Ctx) {
        let (address, samples) = self.buffer;
        let channels = if self.bank[Mode] & MONO != 0 { 1 } else { 2 };
        let frame = |index: u32| self.sample(self.frames + u64::from(index / channels)).to_le_bytes();
        let bytes: Vec<u8> = (0..samples).flat_map(frame).collect();
        easydma::store(ctx, address, &bytes);
        self.frames += self.frame_count();
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Pdm::default())))
}

impl Component for Pdm {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |name: &str, unit, max, help| ControlSpec {
            name: name.to_string(),
            unit,
            kind: ControlKind::Number { min: 0.0, max },
            settable: true,
            help,
        };
        vec![
            spec("tone", "Hz", 8000.0, "what the microphone hears"),
            spec("level", "", 1.0, "how loud that is, of full scale"),
        ]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        match name {
            "tone" => Some(ControlValue::Number(self.tone)),
            "level" => Some(ControlValue::Number(self.level)),
            _ => None,
        }
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        match (name, value) {
            ("tone", ControlValue::Number(hertz)) => self.tone = *hertz,
            ("level", ControlValue::Number(level)) => self.level = *level,
            _ => return Err(ControlError::Unknown(name.to_string())),
        }
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.bank.inspect()
    }
}

impl Peripheral for Pdm {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = Pdm { tone: self.tone, level: self.level, ..Pdm::default() };
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::START if self.bank[Enable] != 0 && !self.running => {
                self.running = true;
                self.frames = 0;
                self.begin(block, ctx);
            }
            task::STOP if self.running => {
                self.running = false;
                ctx.cancel(0);
                block.raise(ctx, event::STOPPED);
            }
            _ => {}
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
        self.fill(ctx);
        block.raise(ctx, event::END);
        self.begin(block, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    #[test]
    fn fills_buffers_with_what_it_hears() {
        let mut bench = Bench::new(Nordic::new(0x4001_d000, &LAYOUT, Pdm::default()));
        for (name, value) in [("tone", 1000.0), ("level", 0.5)] {
            let value = ControlValue::Number(value);
            bench.call(|device, ctx| device.set_control(ctx, name, &value)).expect("a control");
        }
        // 1 MHz by 64: 15625 frames a second, mono.
        for (offset, value) in
            [(0x504, 0x0800_0000), (0x508, 1), (0x560, RAM as u32), (0x564, 125), (0x500, 1)]
        {
            bench.write32(offset, value);
        }
        bench.write32(0x000, 1);
        assert_eq!(bench.read32(0x100), 1);
        bench.advance(Time::from_us(7999));
        assert_eq!(bench.read32(0x108), 0);
        bench.advance(Time::from_us(1));
        assert_eq!(bench.read32(0x108), 1);
        let sample = |index: u64| bench.services.memory.read_le(RAM + 2 * index, 2).unwrap_or(0) as i16;
        let samples: Vec<i16> = (0..125).map(sample).collect();
        assert_eq!(
            (samples[0], samples.iter().max()),
            (0, Some(&16251)),
            "the nearest to the peak is 1/500 of a period off"
        );
        let crossings = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert_eq!(crossings, 7, "eight periods in 8 ms, the first begins at zero");
        bench.check_save_restore();
        bench.write32(0x004, 1);
        assert_eq!(bench.read32(0x104), 1);
    }
}
