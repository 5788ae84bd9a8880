//! NXP (Freescale) MMA8653FC: accelerometer of three axes with 10 bits.
//!
//! Follows the data sheet MMA8653FC Rev. 8. While it is active it takes a sample at the rate of CTRL_REG1, from the
//! control `acceleration`, which is in the chip's own axes; a count is 1/256 g in the range of 2 g, and twice or four
//! times that in the others. A read goes from a register to the next, and from the last of the samples to STATUS; with
//! F_READ it leaves out their low bytes.
//!
//! Output lines 0 and 1 are the pins INT1 and INT2, by the node's first and second interrupt. Of their sources, a new
//! sample is there; it is taken back when all three axes are read. A node with `hyperemu,face-down` is at rest with its
//! z axis towards the ground.
//!
//! Left out: the detection of motion, free fall and orientation, sleep, the self-test, open drain, and noise. Their
//! registers are kept.

use super::axes::Axes;
use super::world::{Quantity, World, world_controls};
use devices_core::i2c::{BuiltI2c, I2cModel, I2cTarget};
use devices_core::regs::Bank;
use devices_core::{
    Component, ControlError, ControlValue, Ctx, Field, Node, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: I2cModel =
    I2cModel { compatible: &["fsl,mma8653fc"], summary: "MMA8653FC accelerometer", build };

const QUANTITIES: &[Quantity] = &[Quantity {
    name: "acceleration",
    unit: "g",
    min: -16.0,
    max: 16.0,
    vector: true,
    initial: [0.0, 0.0, 1.0],
    help: "acceleration along the chip's x, y, z; of 1 g at rest",
}];

register_bank! {
    /// The registers.
    enum Register {
        Status = 0x00, ro, reset 0;
        OutXMsb = 0x01, ro, reset 0;
        OutXLsb = 0x02, ro, reset 0;
        OutYMsb = 0x03, ro, reset 0;
        OutYLsb = 0x04, ro, reset 0;
        OutZMsb = 0x05, ro, reset 0;
        OutZLsb = 0x06, ro, reset 0;
        SysMod = 0x0b, ro, reset 0;
        IntSource = 0x0c, ro, reset 0, { drdy: 0 };
        WhoAmI = 0x0d, ro, reset 0x5a;
        XyzDataCfg = 0x0e, rw(0x03), reset 0, { fs: 0 .. 2 };
        PlStatus = 0x10, ro, reset 0;
        PlCfg = 0x11, rw(0xc0), reset 0x80;
        PlCount = 0x12, rw(0xff), reset 0;
        PlBfZcomp = 0x13, ro, reset 0x44;
        PlThs = 0x14, ro, reset 0x84;
        FfMtCfg = 0x15, rw(0xf8), reset 0;
        FfMtSrc = 0x16, ro, reset 0;
        FfMtThs = 0x17, rw(0xff), reset 0;
        FfMtCount = 0x18, rw(0xff), reset 0;
        AslpCount = 0x29, rw(0xff), reset 0;
        CtrlReg1 = 0x2a, rw(0xfb), reset 0, { active: 0, f_read: 1, dr: 3 .. 6, aslp_rate: 6 .. 8 };
        CtrlReg2 = 0x2b, rw(0x9f), reset 0, { mods: 0 .. 2, slpe: 2, smods: 3 .. 5, st: 7 };
        CtrlReg3 = 0x2c, rw(0x3b), reset 0, { pp_od: 0, ipol: 1 };
        CtrlReg4 = 0x2d, rw(0x95), reset 0, { drdy: 0, ff_mt: 2, lndprt: 4, aslp: 7 };
        CtrlReg5 = 0x2e, rw(0x95), reset 0, { drdy: 0, ff_mt: 2, lndprt: 4, aslp: 7 };
        OffX = 0x2f, rw(0xff), reset 0;
        OffY = 0x30, rw(0xff), reset 0;
        OffZ = 0x31, rw(0xff), reset 0;
    }
}

use Register::*;

const ACTIVE: u32 = 0x01;
const FAST_READ: u32 = 0x02;
const RESET: u8 = 0x40;
const ACTIVE_HIGH: u32 = 0x02;
const DATA_READY: u32 = 0x01;
/// g for one of OFF_X, OFF_Y or OFF_Z.
const OFFSET: f64 = 0.001_96;

/// Microseconds between samples, by DR.
const PERIODS: [u64; 8] = [1250, 2500, 5000, 10_000, 20_000, 80_000, 160_000, 640_000];

const TOKEN_SAMPLE: u32 = 0;

/// The chip without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    axes: Axes,
    pointer: u8,
    addressing: bool,
}

impl State {
    fn sample(&mut self, g: [f64; 3]) {
        let counts_per_g = f64::from(256 >> self.bank[XyzDataCfg].min(2));
        let offsets = [OffX, OffY, OffZ].map(|register| f64::from(self.bank[register] as u8 as i8) * OFFSET);
        let outputs = [(OutXMsb, OutXLsb), (OutYMsb, OutYLsb), (OutZMsb, OutZLsb)];
        for ((g, offset), (high, low)) in g.into_iter().zip(offsets).zip(outputs) {
            let counts = ((g + offset) * counts_per_g).round().clamp(-512.0, 511.0) as i16;
            let [msb, lsb] = (counts << 6).to_be_bytes();
            (self.bank[high], self.bank[low]) = (msb.into(), lsb.into());
        }
        self.axes.sampled();
    }

    /// The levels of INT1 and INT2.
    fn pins(&self) -> [bool; 2] {
        let active = self.axes.ready() && self.bank[CtrlReg4] & DATA_READY != 0;
        let first = self.bank[CtrlReg5] & DATA_READY != 0;
        let high = self.bank[CtrlReg3] & ACTIVE_HIGH != 0;
        [first, !first].map(|routed| (active && routed) == high)
    }

    fn next(&self, address: u8) -> u8 {
        match address {
            1 | 3 if self.bank[CtrlReg1] & FAST_READ != 0 => address + 2,
            5 if self.bank[CtrlReg1] & FAST_READ != 0 => 0,
            6 => 0,
            _ => address.wrapping_add(1),
        }
    }
}

/// An accelerometer.
struct Mma8653 {
    state: State,
    world: World,
}

fn build(node: &dyn Node, _seed: u64) -> BuiltI2c {
    let mut world = World::new(QUANTITIES);
    if node.has("hyperemu,face-down") {
        let down = ControlValue::Vector([0.0, 0.0, -1.0]);
        // It is in its range.
        let _ = world.set(QUANTITIES, "acceleration", &down);
    }
    Ok(Box::new(Mma8653 { state: State::default(), world }))
}

impl Mma8653 {
    fn update(&self, ctx: &mut Ctx) {
        for (line, level) in (0..).zip(self.state.pins()) {
            ctx.set_line(line, level);
        }
    }

    fn period(&self) -> Option<Time> {
        let control = self.state.bank[CtrlReg1];
        (control & ACTIVE != 0).then(|| Time::from_us(PERIODS[(control >> 3 & 7) as usize]))
    }

    fn write_register(&mut self, ctx: &mut Ctx, address: u8, byte: u8) {
        let Some(register) = self.state.bank.at(address.into()) else { return };
        let before = self.period();
        if register == CtrlReg2 && byte & RESET != 0 {
            self.state.bank = Bank::default();
            self.state.axes = Axes::default();
        } else {
            self.state.bank.write(register, byte.into());
        }
        if self.period() != before {
            match self.period() {
                Some(period) => ctx.schedule_in(TOKEN_SAMPLE, period),
                None => ctx.cancel(TOKEN_SAMPLE),
            }
        }
        self.update(ctx);
    }
}

impl Component for Mma8653 {
    fn save(&self) -> Vec<u8> {
        let Mma8653 { state, world } = self;
        state::encode(&(state, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world): (State, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of an MMA8653".to_string()));
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

impl I2cTarget for Mma8653 {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        ctx.cancel(TOKEN_SAMPLE);
        self.update(ctx);
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
        self.state.pointer = self.state.next(address);
        self.write_register(ctx, address, byte);
        true
    }

    fn read(&mut self, ctx: &mut Ctx) -> u8 {
        let address = self.state.pointer;
        self.state.pointer = self.state.next(address);
        let Some(register) = self.state.bank.at(address.into()) else { return 0 };
        match register {
            Status => return self.state.axes.bits(),
            SysMod => return (self.state.bank[CtrlReg1] & ACTIVE) as u8,
            IntSource => return u8::from(self.state.axes.ready()),
            OutXMsb => self.state.axes.read(0),
            OutYMsb => self.state.axes.read(1),
            OutZMsb => self.state.axes.read(2),
            _ => {}
        }
        self.update(ctx);
        self.state.bank.read(register) as u8
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        let Some(period) = self.period() else { return };
        self.state.sample(self.world.vector(0));
        ctx.schedule_in(TOKEN_SAMPLE, period);
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Chip, Wire, bench, survives_anything};
    use super::*;
    use devices_core::bench::Bench;

    fn accelerate(chip: &mut Bench<Wire>, g: [f64; 3]) {
        chip.set("acceleration", ControlValue::Vector(g));
    }

    fn counts(chip: &mut Bench<Wire>) -> [i16; 3] {
        let bytes = chip.ask(&[1], 6);
        std::array::from_fn(|axis| i16::from_be_bytes([bytes[2 * axis], bytes[2 * axis + 1]]) >> 6)
    }

    #[test]
    fn samples_at_its_rate_in_all_ranges() {
        let mut chip = bench(&MODEL);
        assert_eq!(chip.ask(&[0x0d], 2), [0x5a, 0]);
        accelerate(&mut chip, [0.5, -1.0, 2.5]);
        chip.wait_ms(100);
        assert_eq!((counts(&mut chip), chip.ask(&[0], 1)), ([0; 3], vec![0]), "in standby");
        for (range, expected) in [(0, [128, -256, 511]), (1, [64, -128, 320]), (2, [32, -64, 160])] {
            chip.send(&[0x2a, 0]);
            chip.send(&[0x0e, range]);
            // 50 Hz.
            chip.send(&[0x2a, 0x21]);
            chip.wait_ms(19);
            assert_eq!(chip.ask(&[0], 1), [0]);
            chip.wait_ms(1);
            assert_eq!((chip.ask(&[0], 1), counts(&mut chip)), (vec![0x0f], expected));
        }
        accelerate(&mut chip, [0.0; 3]);
        // One is 1.96 mg; a count is 15.6 mg.
        chip.send(&[0x2f, 8]);
        chip.send(&[0x30, 0x80]);
        chip.wait_ms(20);
        assert_eq!(counts(&mut chip), [1, -16, 0]);
        chip.check_save_restore();
    }

    #[test]
    fn tells_of_samples_by_its_pins() {
        let mut chip = bench(&MODEL);
        assert_eq!([0, 1].map(|line| chip.output(line)), [true, true], "active low");
        for (address, value) in [(0x2d, 1), (0x2e, 1), (0x2a, 0x21)] {
            chip.send(&[address, value]);
        }
        chip.wait_ms(20);
        assert_eq!([0, 1].map(|line| chip.output(line)), [false, true]);
        assert_eq!(chip.ask(&[0x0b], 2), [1, 1]);
        chip.ask(&[1], 4);
        assert!(!chip.output(0), "z is missing");
        chip.ask(&[5], 1);
        assert_eq!([0, 1].map(|line| chip.output(line)), [true, true]);
        chip.send(&[0x2e, 0]);
        chip.send(&[0x2c, 2]);
        assert_eq!([0, 1].map(|line| chip.output(line)), [false, false]);
        chip.wait_ms(40);
        assert_eq!([0, 1].map(|line| chip.output(line)), [false, true]);
        assert_eq!(chip.ask(&[0], 1), [0xff], "one was lost");
    }

    #[test]
    fn reads_on_from_one_register_to_the_next() {
        let mut chip = bench(&MODEL);
        accelerate(&mut chip, [0.25, 0.5, 1.0]);
        chip.send(&[0x2a, 0x23]);
        chip.wait_ms(20);
        assert_eq!(chip.ask(&[0], 5), [0x0f, 0x10, 0x20, 0x40, 0], "high bytes only, and round again");
        chip.send(&[0x2a, 0x21]);
        assert_eq!(chip.ask(&[5], 3), [0x40, 0, 0]);
        chip.send(&[0x2b, 0x40]);
        assert_eq!(chip.ask(&[0x2a], 1), [0], "reset");
    }

    #[test]
    fn anything() {
        survives_anything(&MODEL);
    }
}
