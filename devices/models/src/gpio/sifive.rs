//! SiFive GPIO controller, 32 pins.
//!
//! Follows the FE310-G002 manual v1p5, chapter 17, and SiFive's sources (sifive-blocks, `devices/gpio`) for the order
//! of setting and clearing pending bits and for `passthru_*`, which the manual leaves out.
//!
//! Pin `n` is input line `pin(n)` from outside and output line `pin(n)` to it; output line `floating(n)` is high while
//! nothing inside drives the pin. A pin that nothing outside has ever driven reads its pull-up. Interrupt output `n`
//! is pin `n`'s. Another device reaches a pin through its I/O function by the input lines [`iof`]; a pin under an
//! I/O function that nobody drives floats, as those of the serial ports and buses do: their models exchange bytes,
//! not levels.
//!
//! Left out: drive strength (`ds` is kept, without effect) and the three cycles that synchronise an input.

use devices_core::device::floating;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Width, Widths, pin,
    register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &[
        "sifive,gpio0",
        "sifive,fe310-g002-gpio",
        "sifive,fu540-c000-gpio",
        "sifive,fu740-c000-gpio",
    ],
    summary: "SiFive GPIO controller",
    rom: &[],
    ram: &[],
    build,
};

/// Input line by which a peripheral drives pin `n` as I/O function `select` (0 or 1).
pub const fn iof(select: u32, n: u32) -> u32 {
    0x3000 + (select & 1) * PINS + n
}

const PINS: u32 = 32;

register_bank! {
    /// The registers, one bit a pin.
    enum Register {
        InputVal = 0x00, ro, reset 0;
        InputEn = 0x04, rw(u32::MAX), reset 0;
        OutputEn = 0x08, rw(u32::MAX), reset 0;
        OutputVal = 0x0c, rw(u32::MAX), reset 0;
        Pue = 0x10, rw(u32::MAX), reset 0;
        Ds = 0x14, rw(u32::MAX), reset 0;
        RiseIe = 0x18, rw(u32::MAX), reset 0;
        RiseIp = 0x1c, w1c(u32::MAX), reset 0;
        FallIe = 0x20, rw(u32::MAX), reset 0;
        FallIp = 0x24, w1c(u32::MAX), reset 0;
        HighIe = 0x28, rw(u32::MAX), reset 0;
        HighIp = 0x2c, w1c(u32::MAX), reset 0;
        LowIe = 0x30, rw(u32::MAX), reset 0;
        LowIp = 0x34, w1c(u32::MAX), reset 0;
        IofEn = 0x38, rw(u32::MAX), reset 0;
        IofSel = 0x3c, rw(u32::MAX), reset 0;
        OutXor = 0x40, rw(u32::MAX), reset 0;
        PassthruHighIe = 0x44, rw(u32::MAX), reset 0;
        PassthruLowIe = 0x48, rw(u32::MAX), reset 0;
    }
}

use Register::*;

/// What is connected, from outside the block. Survives a reset.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Outside {
    /// Levels given to the pins.
    level: u32,
    /// Pins that something outside drives.
    driven: u32,
    /// Levels and drivers of both I/O functions.
    iof: [u32; 2],
    iof_driven: [u32; 2],
}

/// The block without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gpio {
    bank: Bank<Register>,
    outside: Outside,
}

impl Gpio {
    fn selected_iof(&self, values: [u32; 2]) -> u32 {
        values[0] & !self.bank[IofSel] | values[1] & self.bank[IofSel]
    }

    /// The pins that the block drives, and their levels.
    pub fn output(&self) -> (u32, u32) {
        let iof = self.bank[IofEn];
        let enable = self.bank[OutputEn] & !iof | self.selected_iof(self.outside.iof_driven) & iof;
        let value = self.bank[OutputVal] & !iof | self.selected_iof(self.outside.iof) & iof;
        (enable, (value ^ self.bank[OutXor]) & enable)
    }

    /// The levels on the pins.
    pub fn pads(&self) -> u32 {
        let (enable, value) = self.output();
        let Outside { level, driven, .. } = self.outside;
        value | !enable & (level & driven | self.bank[Pue] & !driven)
    }

    /// Follows the pins; called after every change.
    fn update(&mut self) {
        let before = self.bank[InputVal];
        let now = self.pads() & self.bank[InputEn];
        self.bank[InputVal] = now;
        self.bank[RiseIp] |= now & !before;
        self.bank[FallIp] |= before & !now;
        self.bank[HighIp] |= now;
        self.bank[LowIp] |= !now;
    }

    /// Levels of the interrupt outputs.
    pub fn interrupts(&self) -> u32 {
        let bank = &self.bank;
        bank[RiseIp] & bank[RiseIe]
            | bank[FallIp] & bank[FallIe]
            | bank[HighIp] & bank[HighIe]
            | bank[LowIp] & bank[LowIe]
            | bank[InputVal] & bank[PassthruHighIe]
            | !bank[InputVal] & bank[PassthruLowIe]
    }

    /// A level from outside.
    fn line(&mut self, input: u32, level: bool) {
        let set = |values: &mut u32, n: u32| *values = *values & !(1 << n) | u32::from(level) << n;
        let outside = &mut self.outside;
        match input {
            0x1000..0x1020 => {
                outside.driven |= 1 << (input - pin(0));
                set(&mut outside.level, input - pin(0));
            }
            0x3000..0x3040 => {
                let (select, n) = ((input - iof(0, 0)) / PINS, (input - iof(0, 0)) % PINS);
                outside.iof_driven[select as usize & 1] |= 1 << n;
                set(&mut outside.iof[select as usize & 1], n);
            }
            _ => {}
        }
    }
}

/// A SiFive GPIO controller on the bus.
#[derive(Default)]
pub struct SifiveGpio {
    gpio: Gpio,
}

impl SifiveGpio {
    fn update(&mut self, ctx: &mut Ctx) {
        self.gpio.update();
        let (enable, value) = self.gpio.output();
        let interrupts = self.gpio.interrupts();
        for n in 0..PINS {
            ctx.set_line(n, interrupts >> n & 1 != 0);
            ctx.set_line(pin(n), value >> n & 1 != 0);
            ctx.set_line(floating(n), enable >> n & 1 == 0);
        }
    }
}

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(SifiveGpio::default()))
}

impl Component for SifiveGpio {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.gpio)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.gpio = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.gpio.bank.inspect();
        let (enable, _) = self.gpio.output();
        for (name, value) in [("pads", self.gpio.pads()), ("driven inside", enable)] {
            fields.push(Field { name: name.to_string(), value: format!("{value:#010x}") });
        }
        fields
    }
}

impl Device for SifiveGpio {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.gpio = Gpio { bank: Bank::default(), outside: self.gpio.outside.clone() };
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        match self.gpio.bank.at(at.offset) {
            Some(register) => self.gpio.bank.read(register).into(),
            None => {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            }
        }
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.gpio.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        self.gpio.bank.write(register, value as u32);
        self.update(ctx);
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        self.gpio.line(input, level);
        self.update(ctx);
    }

    fn interrupt_input(&self, cells: &[u32]) -> Option<u32> {
        cells.first().filter(|&&n| n < PINS).map(|&n| pin(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<SifiveGpio> {
        Bench::new(SifiveGpio::default())
    }

    fn offset(register: Register) -> u64 {
        use devices_core::regs::Registers;
        Register::INFO[register.index()].offset
    }

    fn write(bench: &mut Bench<SifiveGpio>, register: Register, value: u32) {
        bench.write32(offset(register), value);
    }

    fn read(bench: &mut Bench<SifiveGpio>, register: Register) -> u32 {
        bench.read32(offset(register))
    }

    fn drive(bench: &mut Bench<SifiveGpio>, n: u32, level: bool) {
        bench.call(|device, ctx| device.line(ctx, pin(n), level));
    }

    #[test]
    fn after_reset_pins_are_inputs_that_nobody_listens_to() {
        let mut bench = bench();
        let all: Vec<u32> = (0..0x4c).step_by(4).map(|offset| bench.read32(offset)).collect();
        let mut expected = [0; 19];
        expected[0x34 / 4] = u32::MAX; // every input reads low, which low_ip tells
        assert_eq!(all, expected);
        assert!((0..32).all(|n| !bench.line(n) && !bench.line(pin(n)) && bench.line(floating(n))));
        bench.read32(0x4c);
        assert_eq!(bench.services.unimplemented.len(), 1);
    }

    #[test]
    fn output_is_inverted_by_xor_and_seen_by_the_input() {
        let mut bench = bench();
        write(&mut bench, OutputEn, 1 << 19 | 1 << 22);
        write(&mut bench, OutputVal, 1 << 19 | 1 << 5);
        assert_eq!([19, 22, 5].map(|n| bench.line(pin(n))), [true, false, false]);
        assert_eq!([19, 22, 5].map(|n| bench.line(floating(n))), [false, false, true]);
        assert_eq!(read(&mut bench, InputVal), 0, "input_en is clear");
        write(&mut bench, InputEn, u32::MAX);
        assert_eq!(read(&mut bench, InputVal), 1 << 19);
        write(&mut bench, OutXor, 1 << 19 | 1 << 22);
        assert_eq!([19, 22].map(|n| bench.line(pin(n))), [false, true]);
        assert_eq!(read(&mut bench, InputVal), 1 << 22);
    }

    #[test]
    fn pull_up_holds_what_nobody_drives() {
        let mut bench = bench();
        write(&mut bench, InputEn, 3);
        write(&mut bench, Pue, 3);
        assert_eq!(read(&mut bench, InputVal), 3);
        drive(&mut bench, 1, false);
        assert_eq!(read(&mut bench, InputVal), 1);
    }

    #[test]
    fn edges_and_levels_pend_until_cleared() {
        let mut bench = bench();
        write(&mut bench, InputEn, 1 << 11);
        for (ie, ip, level) in
            [(RiseIe, RiseIp, true), (FallIe, FallIp, false), (HighIe, HighIp, true), (LowIe, LowIp, false)]
        {
            drive(&mut bench, 11, !level);
            write(&mut bench, ip, u32::MAX);
            write(&mut bench, ie, 1 << 11);
            assert!(!bench.line(11), "{ie:?}");
            drive(&mut bench, 11, level);
            assert_eq!((bench.line(11), read(&mut bench, ip) >> 11 & 1), (true, 1), "{ie:?}");
            assert!(!bench.line(10) && !bench.line(12));
            write(&mut bench, ip, 1 << 11);
            let is_level = matches!(ie, HighIe | LowIe);
            assert_eq!(bench.line(11), is_level, "{ie:?}: a level that stays pends again");
            drive(&mut bench, 11, !level);
            write(&mut bench, ip, 1 << 11);
            assert!(!bench.line(11), "{ie:?}");
            write(&mut bench, ie, 0);
        }
    }

    #[test]
    fn pass_through_follows_the_pin() {
        let mut bench = bench();
        write(&mut bench, InputEn, 1);
        write(&mut bench, PassthruHighIe, 1);
        drive(&mut bench, 0, true);
        assert!(bench.line(0));
        drive(&mut bench, 0, false);
        assert!(!bench.line(0));
        write(&mut bench, PassthruLowIe, 1);
        assert!(bench.line(0));
    }

    #[test]
    fn io_functions_take_the_pin_over() {
        let mut bench = bench();
        write(&mut bench, OutputEn, 1 << 21);
        write(&mut bench, OutputVal, 1 << 21);
        write(&mut bench, IofEn, 1 << 21);
        assert_eq!((bench.line(pin(21)), bench.line(floating(21))), (false, true));
        bench.call(|device, ctx| device.line(ctx, iof(1, 21), true));
        assert!(!bench.line(pin(21)), "the other function is selected");
        write(&mut bench, IofSel, 1 << 21);
        assert_eq!((bench.line(pin(21)), bench.line(floating(21))), (true, false));
        write(&mut bench, OutXor, 1 << 21);
        assert!(!bench.line(pin(21)));
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench();
        write(&mut bench, OutputEn, u32::MAX);
        write(&mut bench, OutputVal, 0x1234_5678);
        drive(&mut bench, 4, true);
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((read(&mut bench, OutputVal), bench.line(pin(3))), (0, false));
        write(&mut bench, InputEn, u32::MAX);
        assert_eq!(read(&mut bench, InputVal), 1 << 4, "what is outside stays as it is");
        assert_eq!(bench.device.interrupt_input(&[31, 4]), Some(pin(31)));
        assert_eq!(bench.device.interrupt_input(&[32, 4]), None);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let lines: Vec<(u32, bool)> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x60);
            for (input, level) in lines {
                bench.call(|device, ctx| device.line(ctx, input % 0x4000, level));
            }
            let gpio = &bench.device.gpio;
            let lines = (0..PINS).fold(0, |all, n| all | u32::from(bench.line(n)) << n);
            assert_eq!(lines, gpio.interrupts());
            assert_eq!(gpio.bank[InputVal], gpio.pads() & gpio.bank[InputEn]);
            bench.check_save_restore();
            Ok(())
        });
    }
}
