//! The SiFive pulse-width modulator.
//!
//! Follows chapter 20 of the SiFive FE310-G002 Manual v1p5, SiFive's sources (sifive-blocks, `devices/pwm`) where the
//! manual is silent, and the devicetree binding `pwm/pwm-sifive.yaml`. The comparators have the bits that the node's
//! `sifive,compare-width` (or `sifive,comparator-widthbits`) gives, 16 without it. Output lines 0 to 3 are the
//! interrupts of the comparators, pins 0 to 3 the waveforms.
//!
//! The clock is the node's `clock-frequency`, or 16 MHz as after the FE310's boot: what the guest sets up in the PRCI
//! does not reach this model. Comparators, which the manual leaves undefined, are all ones after reset.
//!
//! Nothing else is left out.

use super::generic::{Shape, Timer};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, Width, Widths, pin,
    register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["sifive,pwm0"],
    summary: "SiFive pulse-width modulator",
    rom: &[],
    ram: &[],
    build,
};

const COMPARATORS: usize = 4;

const STICKY: u32 = 1 << 8;
const ZERO_ON_MATCH: u32 = 1 << 9;
const DEGLITCH: u32 = 1 << 10;
const ENABLE_ALWAYS: u32 = 1 << 12;
const ENABLE_ONE_SHOT: u32 = 1 << 13;
const CENTER: u32 = 16;
const GANG: u32 = 24;
const PENDING: u32 = 28;

register_bank! {
    /// The registers. All but the configuration are views of the timer.
    enum Register {
        PwmCfg = 0x00, rw(0x0f0f_170f), reset 0, {
            scale: 0 .. 4, sticky: 8, zerocmp: 9, deglitch: 10, enalways: 12, enoneshot: 13,
            center: 16 .. 20, gang: 24 .. 28, ip: 28 .. 32,
        };
        PwmCount = 0x08, rw(u32::MAX), reset 0;
        PwmS = 0x10, ro, reset 0;
        PwmCmp0 = 0x20, rw(u32::MAX), reset 0;
        PwmCmp1 = 0x24, rw(u32::MAX), reset 0;
        PwmCmp2 = 0x28, rw(u32::MAX), reset 0;
        PwmCmp3 = 0x2c, rw(u32::MAX), reset 0;
    }
}

/// The block without its lines; time is in ticks of its clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pwm {
    bank: Bank<Register>,
    timer: Timer,
}

impl Pwm {
    /// With comparators of this shape.
    fn new(shape: Shape) -> Pwm {
        let mut timer = Timer::new([u32::MAX; COMPARATORS]);
        timer.clamp(shape);
        Pwm { bank: Bank::default(), timer }
    }

    /// One bit per output pin: a ganged comparator is low while the next one is pending.
    pub fn outputs(&self) -> u32 {
        let pending = self.timer.pending & 0xf;
        let next = pending >> 1 | (pending & 1) << 3;
        pending & !(self.bank[Register::PwmCfg] >> GANG & next)
    }

    fn comparator(register: Register) -> Option<usize> {
        (register as usize).checked_sub(Register::PwmCmp0 as usize)
    }

    fn read(&self, shape: Shape, register: Register) -> u32 {
        match register {
            Register::PwmCfg => {
                let one_shot = if self.timer.one_shot { ENABLE_ONE_SHOT } else { 0 };
                self.bank[register] | one_shot | self.timer.pending << PENDING
            }
            Register::PwmCount => self.timer.count() as u32,
            Register::PwmS => self.timer.scaled(shape) as u32,
            _ => Pwm::comparator(register).map_or(0, |index| self.timer.compare[index]),
        }
    }

    fn write(&mut self, shape: Shape, register: Register, value: u32) {
        let timer = &mut self.timer;
        match register {
            Register::PwmCfg => {
                self.bank.write(register, value);
                timer.scale = value & 0xf;
                timer.sticky = value & STICKY != 0;
                timer.zero_on_match = value & ZERO_ON_MATCH != 0;
                timer.deglitch = value & DEGLITCH != 0;
                timer.always = value & ENABLE_ALWAYS != 0;
                timer.one_shot = value & ENABLE_ONE_SHOT != 0;
                timer.center = value >> CENTER & 0xf;
                timer.pending = value >> PENDING;
                timer.refresh(shape);
            }
            Register::PwmCount => timer.set_count(shape, value.into()),
            Register::PwmS => {}
            _ => {
                if let Some(index) = Pwm::comparator(register) {
                    timer.compare[index] = value & (u32::MAX >> (32 - shape.compare_bits));
                    timer.refresh(shape);
                }
            }
        }
    }
}

/// A SiFive PWM on the bus.
pub struct SifivePwm {
    pwm: Pwm,
    shape: Shape,
    clock: u64,
}

impl SifivePwm {
    /// With comparators of `compare_bits` (1 to 16) and a clock of `hz`.
    pub fn new(compare_bits: u32, hz: u64) -> SifivePwm {
        let compare_bits = compare_bits.clamp(1, 16);
        let shape = Shape {
            count_bits: compare_bits + 15,
            compare_bits,
            comparators: COMPARATORS,
            wraps_scaled: true,
        };
        SifivePwm { pwm: Pwm::new(shape), shape, clock: hz }
    }

    fn advance(&mut self, ctx: &Ctx) {
        self.pwm.timer.advance(self.shape, ctx.now().ticks(self.clock));
    }

    fn update(&self, ctx: &mut Ctx) {
        let next = self.pwm.timer.next_change(self.shape);
        ctx.schedule(0, next.map_or(Time::NEVER, |tick| Time::of_tick(tick, self.clock)));
        let outputs = self.pwm.outputs();
        for index in 0..COMPARATORS as u32 {
            ctx.set_line(index, self.pwm.timer.pending >> index & 1 != 0);
            ctx.set_line(pin(index), outputs >> index & 1 != 0);
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let names = ["sifive,compare-width", "sifive,comparator-widthbits"];
    let given = names.into_iter().find_map(|name| Some((name, args.node.u32(name)?)));
    let (name, bits) = given.unwrap_or((names[0], 16));
    if !(1..=16).contains(&bits) {
        return Err(BuildError::property(name, format!("comparators of {bits} bits; 1 to 16 are possible")));
    }
    match args.node.u32("clock-frequency").unwrap_or(16_000_000) {
        0 => Err(BuildError::property("clock-frequency", "the clock of a PWM can not stand still")),
        hz => Ok(Box::new(SifivePwm::new(bits, hz.into()))),
    }
}

impl Component for SifivePwm {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.pwm)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.pwm = state::decode(bytes)?;
        self.pwm.timer.clamp(self.shape);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut bank = self.pwm.bank.clone();
        for &register in <Register as devices_core::regs::Registers>::ALL {
            bank[register] = self.pwm.read(self.shape, register);
        }
        let mut fields = bank.inspect();
        fields.push(Field { name: "outputs".to_string(), value: format!("{:04b}", self.pwm.outputs()) });
        fields
    }
}

impl Device for SifivePwm {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.pwm = Pwm::new(self.shape);
        self.advance(ctx);
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let Some(register) = self.pwm.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        self.advance(ctx);
        self.pwm.read(self.shape, register).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.pwm.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        self.advance(ctx);
        self.pwm.write(self.shape, register, value as u32);
        self.update(ctx);
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        self.advance(ctx);
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    const CFG: u64 = 0x00;
    const COUNT: u64 = 0x08;
    const S: u64 = 0x10;
    const CMP0: u64 = 0x20;
    const CMP1: u64 = 0x24;

    /// A tick is a microsecond.
    fn bench(bits: u32) -> Bench<SifivePwm> {
        Bench::new(SifivePwm::new(bits, 1_000_000))
    }

    fn us(bench: &mut Bench<SifivePwm>, count: u64) {
        bench.advance(Time::from_us(count));
    }

    /// The first `count` levels of a pin, one a tick.
    fn wave(bench: &mut Bench<SifivePwm>, index: u32, count: usize) -> String {
        let mut levels = String::new();
        for _ in 0..count {
            levels.push(if bench.line(pin(index)) { '#' } else { '.' });
            us(bench, 1);
        }
        levels
    }

    #[test]
    fn registers() {
        let mut bench = bench(8);
        assert_eq!([CFG, COUNT, S, CMP0, 0x2c].map(|offset| bench.read32(offset)), [0, 0, 0, 0xff, 0xff]);
        for offset in [COUNT, S, CMP0, CMP1] {
            bench.write32(offset, u32::MAX);
        }
        assert_eq!([COUNT, S, CMP1].map(|offset| bench.read32(offset)), [0x7f_ffff, 0xff, 0xff]);
        bench.write32(COUNT, 0);
        bench.write32(CFG, !(ENABLE_ALWAYS | ENABLE_ONE_SHOT));
        assert_eq!(bench.read32(CFG), 0xff0f_070f, "pending bits are writable while sticky");
        bench.read32(0x30);
        assert_eq!(bench.services.unimplemented.len(), 1);
    }

    #[test]
    fn left_out_of_a_period_by_the_comparator() {
        let mut bench = bench(3);
        bench.write32(CMP0, 5);
        bench.write32(CFG, ENABLE_ALWAYS);
        assert_eq!(wave(&mut bench, 0, 20), ".....###.....###....");
        bench.write32(CFG, ENABLE_ALWAYS | 1);
        bench.write32(COUNT, 0);
        assert_eq!(wave(&mut bench, 0, 20), "..........######....");
    }

    #[test]
    fn zero_on_match_sets_the_period() {
        let mut bench = bench(8);
        bench.write32(CMP0, 6);
        bench.write32(CMP1, 4);
        bench.write32(CFG, ENABLE_ALWAYS | ZERO_ON_MATCH);
        assert_eq!(wave(&mut bench, 1, 16), "....###....###..");
        assert_eq!(bench.read32(COUNT), 2);
        bench.write32(COUNT, 6);
        assert!(bench.line(0));
        us(&mut bench, 1);
        assert!(!bench.line(0), "one tick long");
    }

    #[test]
    fn sticky_interrupts_wait_for_software() {
        let mut bench = bench(8);
        let cfg = ENABLE_ALWAYS | ZERO_ON_MATCH | STICKY;
        bench.write32(CMP0, 9);
        bench.write32(CFG, cfg);
        us(&mut bench, 30);
        assert_eq!((bench.read32(CFG), bench.line(0), bench.line(1)), (cfg | 1 << PENDING, true, false));
        bench.write32(CFG, cfg);
        assert!(!bench.line(0));
        us(&mut bench, 9);
        assert!(bench.line(0));
    }

    #[test]
    fn one_shot_runs_once() {
        let mut bench = bench(3);
        bench.write32(CMP0, 6);
        bench.write32(CFG, ENABLE_ONE_SHOT);
        assert_eq!(wave(&mut bench, 0, 16), "......##........");
        assert_eq!((bench.read32(CFG), bench.read32(COUNT)), (0, 0));
    }

    #[test]
    fn centered_and_ganged() {
        let mut bench = bench(3);
        bench.write32(CMP0, 2);
        bench.write32(CFG, ENABLE_ALWAYS | 1 << CENTER);
        assert_eq!(wave(&mut bench, 0, 16), "..####....####..");
        bench.write32(CFG, 0);
        bench.write32(COUNT, 0);
        bench.write32(CMP0, 2);
        bench.write32(CMP1, 5);
        bench.write32(CFG, ENABLE_ALWAYS | 1 << GANG);
        assert_eq!(wave(&mut bench, 0, 16), "..###.....###...", "from the first comparator to the second");
    }

    #[test]
    fn deglitch_holds_until_the_counter_starts_over() {
        let mut bench = bench(3);
        bench.write32(CMP0, 3);
        bench.write32(CFG, ENABLE_ALWAYS | DEGLITCH);
        us(&mut bench, 4);
        bench.write32(CMP0, 6);
        assert_eq!(wave(&mut bench, 0, 12), "####......##");
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench(16);
        bench.write32(CMP0, 3);
        bench.write32(CFG, ENABLE_ALWAYS | STICKY);
        us(&mut bench, 2);
        bench.check_save_restore();
        us(&mut bench, 1);
        assert!(bench.line(0));
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!(
            (bench.read32(CFG), bench.read32(COUNT), bench.line(0), bench.line(pin(0))),
            (0, 0, false, false)
        );
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = Bench::new(SifivePwm::new(u.int_in_range(1..=16)?, 20_000));
            bench.torture(&bytes, 0x30);
            bench.call(|device, ctx| device.event(ctx, 0));
            for index in 0..4 {
                assert_eq!(bench.line(index), bench.device.pwm.timer.pending >> index & 1 != 0);
                assert_eq!(bench.line(pin(index)), bench.device.pwm.outputs() >> index & 1 != 0);
            }
            bench.check_save_restore();
            Ok(())
        });
    }
}
