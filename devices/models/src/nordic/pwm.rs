//! Pulse-width modulation with EasyDMA (PWM), four channels.
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 47. Every edge is a change of the pin, so that whatever
//! follows it sees the modulation: output lines `pin(n)` and `taken(n)` drive pin `n` of the controllers that
//! `hyperemu,pins` tells while a sequence is played and after it, until a stop.
//!
//! Left out: changes of PSEL, COUNTERTOP, PRESCALER and MODE while it runs, which take effect at the next start of a
//! sequence.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::easydma::fetch;
use devices_core::device::taken;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, pin, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-pwm"],
    summary: "nRF pulse-width modulator",
    rom: &[],
    ram: &[],
    build,
};

crate::nordic_layout! {
    tasks { STOP = 0x004, SEQSTART0 = 0x008, SEQSTART1 = 0x00c, NEXTSTEP = 0x010 }
    events {
        STOPPED = 0x104, SEQSTARTED0 = 0x108, SEQSTARTED1 = 0x10c, SEQEND0 = 0x110, SEQEND1 = 0x114,
        PWMPERIODEND = 0x118, LOOPSDONE = 0x11c,
    }
    shorts {
        0: SEQEND0 => STOP, 1: SEQEND1 => STOP,
        2: LOOPSDONE => SEQSTART0, 3: LOOPSDONE => SEQSTART1, 4: LOOPSDONE => STOP,
    }
}

const CHANNELS: usize = 4;
const HZ: u64 = 16_000_000;
const PINS: u32 = 64;
/// Of PSEL.
const DISCONNECTED: u32 = 1 << 31;
/// Of a value: the first edge falls.
const FALLING: u16 = 0x8000;
/// Of DECODER.
const BY_TASK: u32 = 1 << 8;
const WAVEFORM: u32 = 3;

const TOKEN_PERIOD: u32 = 0;
/// First and second edge of each channel.
const TOKEN_EDGE: u32 = 1;

/// A sequence in RAM.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Sequence {
    ptr: u32,
    cnt: u32,
    refresh: u32,
    enddelay: u32,
}

/// What is played.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Run {
    pins: [Option<u32>; CHANNELS],
    updown: bool,
    prescaler: u32,
    top: u32,
    values: [u16; CHANNELS],
    sequence: usize,
    /// The next step of it; periods until then; whether its end was told.
    step: u32,
    wait: u32,
    ended: bool,
    /// How often both are still played; none of it once the last value stays.
    loops: u32,
    playing: bool,
    stopping: bool,
}

/// The registers, and what they do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pwm {
    enable: u32,
    mode: u32,
    countertop: u32,
    prescaler: u32,
    decoder: u32,
    loops: u32,
    sequences: [Sequence; 2],
    psel: [u32; CHANNELS],
    run: Option<Run>,
}

impl Default for Pwm {
    fn default() -> Pwm {
        Pwm {
            enable: 0,
            mode: 0,
            countertop: 0x3ff,
            prescaler: 0,
            decoder: 0,
            loops: 0,
            sequences: [Sequence::default(); 2],
            psel: [u32::MAX; CHANNELS],
            run: None,
        }
    }
}

impl Run {
    /// Level at the start of a period, and the ticks at which it changes.
    fn wave(&self, channel: usize) -> (bool, [Option<u32>; 2]) {
        let value = self.values[channel];
        let falling = value & FALLING != 0;
        let compare = u32::from(value & !FALLING).min(self.top);
        let level = if falling { compare > 0 } else { compare == 0 };
        if compare == 0 || compare == self.top {
            return (level, [None, None]);
        }
        (level, [Some(compare), self.updown.then(|| 2 * self.top - compare)])
    }

    fn time(&self, ticks: u32) -> Time {
        Time::of_tick(u64::from(ticks) << self.prescaler, HZ)
    }
}

impl Pwm {
    /// How many values a step has.
    fn width(&self) -> u32 {
        [1, 2, 4, 4][(self.decoder & 3) as usize]
    }

    /// Loads a step of the sequence that is played.
    fn load(&self, ctx: &mut Ctx, run: &mut Run) {
        let width = self.width();
        let sequence = self.sequences[run.sequence];
        let mut bytes = [0; 2 * CHANNELS];
        let bytes = &mut bytes[..2 * width as usize];
        fetch(ctx, sequence.ptr.wrapping_add(run.step.wrapping_mul(2 * width)), bytes);
        let value = |n: usize| u16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]]);
        run.values = match self.decoder & 3 {
            0 => [value(0); CHANNELS],
            1 => [value(0), value(0), value(1), value(1)],
            WAVEFORM => [value(0), value(1), value(2), 0],
            _ => [value(0), value(1), value(2), value(3)],
        };
        if self.decoder & 3 == WAVEFORM {
            run.top = u32::from(value(3) & 0x7fff).max(3);
        }
        run.step += 1;
        run.wait = sequence.refresh;
    }

    fn begin(&mut self, block: &mut Block, ctx: &mut Ctx, run: &mut Run, sequence: usize) {
        (run.sequence, run.step, run.wait, run.ended) = (sequence, 0, 0, false);
        block.raise(ctx, event::SEQSTARTED0 + 4 * sequence as u32);
        if self.sequences[sequence].cnt >= self.width() {
            self.load(ctx, run);
        }
    }

    /// TASKS_SEQSTART.
    fn start(&mut self, block: &mut Block, ctx: &mut Ctx, sequence: usize) {
        if self.enable & 1 == 0 {
            return;
        }
        self.release(ctx);
        let pin_of = |select: u32| (select & DISCONNECTED == 0).then_some(select % PINS);
        let mut run = Run {
            pins: self.psel.map(pin_of),
            updown: self.mode & 1 != 0,
            prescaler: self.prescaler,
            top: self.countertop.max(3),
            values: [0; CHANNELS],
            sequence,
            step: 0,
            wait: 0,
            ended: false,
            loops: self.loops,
            playing: true,
            stopping: false,
        };
        self.begin(block, ctx, &mut run, sequence);
        Pwm::period(ctx, &run);
        self.run = Some(run);
    }

    /// A period starts.
    fn period(ctx: &mut Ctx, run: &Run) {
        for (channel, pin_of) in run.pins.iter().enumerate() {
            let Some(n) = *pin_of else { continue };
            let (level, edges) = run.wave(channel);
            ctx.set_line(pin(n), level);
            ctx.set_line(taken(n), true);
            for (second, edge) in (0..).zip(edges) {
                if let Some(tick) = edge {
                    ctx.schedule_in(TOKEN_EDGE + 2 * channel as u32 + second, run.time(tick));
                }
            }
        }
        let ticks = if run.updown { 2 * run.top } else { run.top };
        ctx.schedule_in(TOKEN_PERIOD, run.time(ticks));
    }

    /// Lets the pins go.
    fn release(&mut self, ctx: &mut Ctx) {
        let Some(run) = self.run.take() else { return };
        (TOKEN_PERIOD..TOKEN_EDGE + 2 * CHANNELS as u32).for_each(|token| ctx.cancel(token));
        for n in run.pins.into_iter().flatten() {
            ctx.set_line(taken(n), false);
            ctx.set_line(pin(n), false);
        }
    }

    /// To the next step, at the end of a period or by the task.
    fn advance(&mut self, block: &mut Block, ctx: &mut Ctx, run: &mut Run) {
        if run.wait > 0 {
            run.wait -= 1;
            return;
        }
        let sequence = self.sequences[run.sequence];
        if run.step < sequence.cnt / self.width() {
            return self.load(ctx, run);
        }
        if !run.ended {
            run.ended = true;
            block.raise(ctx, event::SEQEND0 + 4 * run.sequence as u32);
            if sequence.enddelay > 0 {
                run.wait = sequence.enddelay - 1;
                return;
            }
        }
        if run.sequence == 1 {
            run.loops = run.loops.saturating_sub(1);
            if self.loops > 0 && run.loops == 0 {
                block.raise(ctx, event::LOOPSDONE);
            }
        }
        if run.loops == 0 {
            run.playing = false;
        } else {
            self.begin(block, ctx, run, 1 - run.sequence);
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Pwm::default())))
}

impl Component for Pwm {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let pwm: Pwm = state::decode(bytes)?;
        if pwm.run.as_ref().is_some_and(|run| run.sequence > 1 || run.prescaler > 7 || run.top > 0x7fff) {
            return Err(RestoreError("no such sequence".to_string()));
        }
        *self = pwm;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        let run = self.run.as_ref();
        vec![
            field("ENABLE", self.enable.to_string()),
            field("COUNTERTOP", self.countertop.to_string()),
            field("PRESCALER", self.prescaler.to_string()),
            field("values", run.map_or("stopped".to_string(), |run| format!("{:04x?}", run.values))),
        ]
    }
}

impl Peripheral for Pwm {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        self.release(ctx);
        *self = Pwm::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::STOP => match &mut self.run {
                Some(run) => run.stopping = true,
                None => block.raise(ctx, event::STOPPED),
            },
            task::SEQSTART0 => self.start(block, ctx, 0),
            task::SEQSTART1 => self.start(block, ctx, 1),
            _ => {
                if self.decoder & BY_TASK != 0
                    && let Some(mut run) = self.run.take()
                {
                    run.wait = 0;
                    if run.playing {
                        self.advance(block, ctx, &mut run);
                    }
                    self.run = Some(run);
                }
            }
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        Some(match at.offset {
            0x500 => self.enable,
            0x504 => self.mode,
            0x508 => self.countertop,
            0x50c => self.prescaler,
            0x510 => self.decoder,
            0x514 => self.loops,
            0x520..0x530 | 0x540..0x550 => {
                let sequence = &self.sequences[(at.offset as usize - 0x520) / 0x20];
                match at.offset & 0xf {
                    0x0 => sequence.ptr,
                    0x4 => sequence.cnt,
                    0x8 => sequence.refresh,
                    _ => sequence.enddelay,
                }
            }
            0x560..0x570 => self.psel[(at.offset as usize - 0x560) / 4],
            _ => return None,
        })
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            0x500 => {
                self.enable = value & 1;
                if value & 1 == 0 {
                    self.release(ctx);
                }
            }
            0x504 => self.mode = value & 1,
            0x508 => self.countertop = value & 0x7fff,
            0x50c => self.prescaler = value & 7,
            0x510 => self.decoder = value & 0x103,
            0x514 => self.loops = value & 0xffff,
            0x520..0x530 | 0x540..0x550 => {
                let sequence = &mut self.sequences[(at.offset as usize - 0x520) / 0x20];
                match at.offset & 0xf {
                    0x0 => sequence.ptr = value,
                    0x4 => sequence.cnt = value & 0x7fff,
                    0x8 => sequence.refresh = value & 0xff_ffff,
                    _ => sequence.enddelay = value & 0xff_ffff,
                }
            }
            0x560..0x570 => self.psel[(at.offset as usize - 0x560) / 4] = value,
            _ => return None,
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        let Some(mut run) = self.run.take() else { return };
        if token != TOKEN_PERIOD {
            let (channel, second) = ((token - TOKEN_EDGE) / 2, (token - TOKEN_EDGE) % 2);
            if let Some(n) = run.pins.get(channel as usize).copied().flatten() {
                let level = run.wave(channel as usize).0;
                ctx.set_line(pin(n), level == (second == 1));
            }
            self.run = Some(run);
            return;
        }
        block.raise(ctx, event::PWMPERIODEND);
        if run.stopping {
            self.run = Some(run);
            self.release(ctx);
            block.raise(ctx, event::STOPPED);
            return;
        }
        if run.playing && self.decoder & BY_TASK == 0 {
            self.advance(block, ctx, &mut run);
        }
        Pwm::period(ctx, &run);
        self.run = Some(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};
    use devices_core::services::Message;

    const BASE: u32 = 0x4001_c000;

    /// 1 MHz, so many ticks a period, pin 14 on channel 0.
    fn bench(top: u32) -> Bench<Nordic<Pwm>> {
        let mut bench = Bench::new(Nordic::new(BASE, &LAYOUT, Pwm::default()));
        for (offset, value) in [(0x560, 14), (0x500, 1), (0x50c, 4), (0x508, top)] {
            bench.write32(offset, value);
        }
        bench
    }

    fn sequence(bench: &mut Bench<Nordic<Pwm>>, n: u64, values: &[u16], refresh: u32, delay: u32) {
        let at = RAM + 0x100 * n;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        bench.services.memory.write(at, &bytes).expect("it is RAM");
        for (offset, value) in [(0, at as u32), (4, values.len() as u32), (8, refresh), (12, delay)] {
            bench.write32(0x520 + 0x20 * n + offset, value);
        }
    }

    /// How many of the next microseconds pin 14 is high.
    fn high(bench: &mut Bench<Nordic<Pwm>>, us: u32) -> u32 {
        (0..us)
            .map(|_| {
                let level = bench.line(pin(14));
                bench.advance(Time::from_us(1));
                u32::from(level)
            })
            .sum()
    }

    fn published(bench: &mut Bench<Nordic<Pwm>>) -> Vec<u32> {
        let offset = |message| match message {
            Message::Published(address) => address - BASE,
            Message::Write(..) => 0,
        };
        let all = bench.messages().into_iter().map(offset);
        all.filter(|event| *event != event::PWMPERIODEND).collect()
    }

    #[test]
    fn a_sequence_is_played_and_its_last_value_stays() {
        let mut bench = bench(100);
        sequence(&mut bench, 0, &[25, 0x8000 | 25, 0x8000 | 75], 1, 0);
        bench.write32(task::SEQSTART0.into(), 1);
        assert!(bench.line(taken(14)));
        let duties: Vec<u32> = (0..8).map(|_| high(&mut bench, 100)).collect();
        assert_eq!(duties, [75, 75, 25, 25, 75, 75, 75, 75]);
        assert_eq!(published(&mut bench), [event::SEQSTARTED0, event::SEQEND0]);
        bench.check_save_restore();
        bench.write32(task::STOP.into(), 1);
        assert!(bench.line(taken(14)), "until the period ends");
        bench.advance(Time::from_us(100));
        assert_eq!((bench.line(taken(14)), published(&mut bench)), (false, vec![event::STOPPED]));
        assert_eq!(bench.services.events.next(), None);
    }

    #[test]
    fn up_and_down_and_the_ends_of_the_range() {
        for (value, expected) in [(0, 200), (100, 0), (0x8000, 0), (0x8064, 200), (25, 150), (0x8019, 50)] {
            let mut bench = bench(100);
            bench.write32(0x504, 1);
            sequence(&mut bench, 0, &[value], 0, 0);
            bench.write32(task::SEQSTART0.into(), 1);
            assert_eq!(high(&mut bench, 200), expected, "{value:#x}");
        }
    }

    #[test]
    fn loops_and_shorts() {
        let mut bench = bench(10);
        sequence(&mut bench, 0, &[2, 4], 0, 0);
        sequence(&mut bench, 1, &[6], 0, 2);
        bench.write32(0x514, 2);
        bench.write32(0x200, 1 << 4);
        bench.write32(task::SEQSTART0.into(), 1);
        let duties: Vec<u32> = (0..12).map(|_| high(&mut bench, 10)).collect();
        assert_eq!(duties, [8, 6, 4, 4, 4, 8, 6, 4, 4, 4, 4, 0]);
        let once = [event::SEQSTARTED0, event::SEQEND0, event::SEQSTARTED1, event::SEQEND1];
        let expected = [&once[..], &once[..], &[event::LOOPSDONE, event::STOPPED][..]].concat();
        assert_eq!(published(&mut bench), expected);
    }

    #[test]
    fn channels_by_the_decoder_and_steps_by_the_task() {
        let mut bench = bench(10);
        bench.write32(0x564, 15);
        bench.write32(0x510, WAVEFORM | BY_TASK);
        sequence(&mut bench, 0, &[0x8002, 0x8000, 0, 20, 0x8008, 0x8014, 0, 20], 0, 0);
        bench.write32(task::SEQSTART0.into(), 1);
        assert_eq!((high(&mut bench, 20), bench.line(pin(15))), (2, false));
        bench.write32(task::NEXTSTEP.into(), 1);
        bench.advance(Time::from_us(20));
        assert_eq!((high(&mut bench, 20), bench.line(pin(15))), (8, true));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench(50);
            for (op, value) in u.arbitrary::<Vec<(u8, u32)>>()? {
                match op % 4 {
                    0 => bench.write32(4 + u64::from(value % 4) * 4, 1),
                    1 => bench.write32(0x520 + u64::from(op & 0x3c), value & 0xff),
                    2 => bench.write32(0x504 + u64::from(op & 0x1c), value & 0x1ff),
                    _ => bench.advance(Time::from_us(u64::from(value & 0x1ff))),
                }
                bench.messages();
            }
            bench.write32(0x500, 0);
            bench.torture(&bytes, 0x20);
            bench.check_save_restore();
            Ok(())
        });
    }
}
