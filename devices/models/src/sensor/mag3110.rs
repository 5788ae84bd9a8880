//! NXP (Freescale) MAG3110: magnetometer of three axes.
//!
//! Follows the data sheet MAG3110 Rev. 9.2: a count is 0.1 uT. While it is active it takes a sample at the rate of DR
//! and OS in CTRL_REG1, 80 Hz down to a thousandth part of it; TM has one taken. A sample is the control `field`, in
//! the chip's own axes, less the user's offset unless CTRL_REG2 asks for raw data. With FR, a read leaves out the low
//! bytes of samples. Output line 0 is the pin INT1: high until all three axes are read. DIE_TEMP is the control
//! `temperature`, which needs no calibration here.
//!
//! Left out: the magnetic reset, which has nothing to do, and noise.

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
    I2cModel { compatible: &["fsl,mag3110", "nxp,mag3110"], summary: "MAG3110 magnetometer", build };

const FIELD: usize = 0;
const TEMPERATURE: usize = 1;
const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "field",
        unit: "µT",
        min: -1000.0,
        max: 1000.0,
        vector: true,
        // The Earth's in the middle of Europe.
        initial: [20.0, 0.0, -45.0],
        help: "magnetic field along the chip's x, y, z",
    },
    Quantity::number("temperature", "°C", (-40.0, 125.0), 25.0, "temperature of the chip"),
];

register_bank! {
    /// The registers.
    enum Register {
        DrStatus = 0x00, ro, reset 0;
        OutXMsb = 0x01, ro, reset 0;
        OutXLsb = 0x02, ro, reset 0;
        OutYMsb = 0x03, ro, reset 0;
        OutYLsb = 0x04, ro, reset 0;
        OutZMsb = 0x05, ro, reset 0;
        OutZLsb = 0x06, ro, reset 0;
        WhoAmI = 0x07, ro, reset 0xc4;
        SysMod = 0x08, ro, reset 0;
        OffXMsb = 0x09, rw(0xff), reset 0;
        OffXLsb = 0x0a, rw(0xfe), reset 0;
        OffYMsb = 0x0b, rw(0xff), reset 0;
        OffYLsb = 0x0c, rw(0xfe), reset 0;
        OffZMsb = 0x0d, rw(0xff), reset 0;
        OffZLsb = 0x0e, rw(0xfe), reset 0;
        DieTemp = 0x0f, ro, reset 0;
        CtrlReg1 = 0x10, rw(0xff), reset 0, { ac: 0, tm: 1, fr: 2, os: 3 .. 5, dr: 5 .. 8 };
        /// AUTO_MRST_EN and Mag_RST read as zero.
        CtrlReg2 = 0x11, rw(0x20), reset 0, { raw: 5 };
    }
}

use Register::*;

const ACTIVE: u32 = 0x01;
const TRIGGER: u32 = 0x02;
const FAST_READ: u32 = 0x04;
const RAW: u32 = 0x20;
/// SYSMOD: standby, active with raw data, active.
const MODES: [u8; 3] = [0, 1, 2];
const FASTEST: Time = Time::from_us(12_500);

const LINE_INT1: u32 = 0;
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
    fn raw(&self) -> bool {
        self.bank[CtrlReg2] & RAW != 0
    }

    fn sample(&mut self, field: [f64; 3], celsius: f64) {
        let outputs = [
            (OutXMsb, OutXLsb, OffXMsb, OffXLsb),
            (OutYMsb, OutYLsb, OffYMsb, OffYLsb),
            (OutZMsb, OutZLsb, OffZMsb, OffZLsb),
        ];
        for (field, (high, low, offset_high, offset_low)) in field.into_iter().zip(outputs) {
            // An offset has 15 bits, on the left.
            let offset = i16::from_be_bytes([self.bank[offset_high] as u8, self.bank[offset_low] as u8]) >> 1;
            let counts = (field * 10.0).round() as i16;
            let counts = if self.raw() { counts } else { counts.saturating_sub(offset) };
            let [msb, lsb] = counts.to_be_bytes();
            (self.bank[high], self.bank[low]) = (msb.into(), lsb.into());
        }
        self.bank[DieTemp] = (celsius.round() as i8 as u8).into();
        self.axes.sampled();
    }

    fn measures(&self) -> bool {
        self.bank[CtrlReg1] & (ACTIVE | TRIGGER) != 0
    }

    /// Between two samples: the averages of OS, each at the rate of DR.
    fn period(&self) -> Time {
        let control = self.bank[CtrlReg1];
        Time(FASTEST.0 << (control >> 5 & 7) << (control >> 3 & 3))
    }

    fn next(&self, address: u8) -> u8 {
        let skips = self.bank[CtrlReg1] & FAST_READ != 0 && matches!(address, 1 | 3 | 5);
        address.wrapping_add(1 + u8::from(skips))
    }
}

/// A magnetometer.
struct Mag3110 {
    state: State,
    world: World,
}

fn build(_node: &dyn Node, _seed: u64) -> BuiltI2c {
    Ok(Box::new(Mag3110 { state: State::default(), world: World::new(QUANTITIES) }))
}

impl Mag3110 {
    fn update(&self, ctx: &mut Ctx) {
        ctx.set_line(LINE_INT1, self.state.axes.ready());
    }

    fn write_register(&mut self, ctx: &mut Ctx, address: u8, byte: u8) {
        let Some(register) = self.state.bank.at(address.into()) else { return };
        let before = (self.state.measures(), self.state.period());
        self.state.bank.write(register, byte.into());
        if register == CtrlReg1 && (self.state.measures(), self.state.period()) != before {
            if self.state.measures() {
                ctx.schedule_in(TOKEN_SAMPLE, self.state.period());
            } else {
                ctx.cancel(TOKEN_SAMPLE);
            }
        }
    }
}

impl Component for Mag3110 {
    fn save(&self) -> Vec<u8> {
        let Mag3110 { state, world } = self;
        state::encode(&(state, world))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (state, world): (State, World) = state::decode(bytes)?;
        if !world.fits(QUANTITIES) {
            return Err(RestoreError("the quantities are not those of a MAG3110".to_string()));
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

impl I2cTarget for Mag3110 {
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
            DrStatus => return self.state.axes.bits(),
            SysMod => {
                let active = self.state.bank[CtrlReg1] & ACTIVE != 0;
                return MODES[usize::from(active) + usize::from(active && !self.state.raw())];
            }
            OutXMsb => self.state.axes.read(0),
            OutYMsb => self.state.axes.read(1),
            OutZMsb => self.state.axes.read(2),
            _ => {}
        }
        self.update(ctx);
        self.state.bank.read(register) as u8
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        if !self.state.measures() {
            return;
        }
        self.state.sample(self.world.vector(FIELD), self.world.number(TEMPERATURE));
        self.state.bank[CtrlReg1] &= !TRIGGER;
        if self.state.measures() {
            ctx.schedule_in(TOKEN_SAMPLE, self.state.period());
        }
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Chip, Wire, bench, survives_anything};
    use super::*;
    use devices_core::bench::Bench;

    fn counts(chip: &mut Bench<Wire>) -> [i16; 3] {
        let bytes = chip.ask(&[1], 6);
        std::array::from_fn(|axis| i16::from_be_bytes([bytes[2 * axis], bytes[2 * axis + 1]]))
    }

    #[test]
    fn samples_at_its_rate_and_tells_of_it() {
        let mut chip = bench(&MODEL);
        assert_eq!(chip.ask(&[7], 2), [0xc4, 0]);
        chip.set("field", ControlValue::Vector([48.3, -1000.0, 0.04]));
        chip.set("temperature", ControlValue::Number(-7.0));
        // 10 Hz: DR 1, OS 2.
        chip.send(&[0x10, 1 << 5 | 2 << 3 | 1]);
        chip.wait_ms(99);
        assert_eq!((chip.output(LINE_INT1), chip.ask(&[0], 1)), (false, vec![0]));
        chip.wait_ms(1);
        assert_eq!((chip.output(LINE_INT1), chip.ask(&[0], 1)), (true, vec![0x0f]));
        assert_eq!((counts(&mut chip), chip.output(LINE_INT1)), ([483, -10_000, 0], false));
        assert_eq!((chip.ask(&[8], 1), chip.ask(&[0x0f], 1)), (vec![2], vec![0xf9]));
        chip.check_save_restore();
        chip.send(&[0x10, 0]);
        chip.wait_ms(200);
        assert!(!chip.output(LINE_INT1), "in standby");
    }

    #[test]
    fn one_sample_when_asked_for_with_or_without_offsets() {
        let mut chip = bench(&MODEL);
        chip.set("field", ControlValue::Vector([10.0, 20.0, -30.0]));
        // 100, -1 and 0 counts.
        chip.send(&[0x09, 0, 200, 0xff, 0xff, 0, 0]);
        for (control, expected) in [(0x80, [0, 201, -300]), (0xa0, [100, 200, -300])] {
            chip.send(&[0x11, control]);
            chip.send(&[0x10, 2]);
            chip.wait_ms(13);
            assert_eq!((counts(&mut chip), chip.ask(&[0x10], 2)), (expected, vec![0, control & 0x20]));
        }
        chip.wait_ms(100);
        assert_eq!(chip.ask(&[0], 1), [0]);
        chip.send(&[0x10, 4]);
        assert_eq!(chip.ask(&[1], 4), [0, 0, 0xfe, 0xc4], "high bytes, and on");
    }

    #[test]
    fn anything() {
        survives_anything(&MODEL);
    }
}
