//! The serial communication controller of the MPS2 boards' FPGA images: identification, board configuration.
//!
//! Follows chapter 4 of the MPS2 and MPS2+ FPGA Prototyping Boards Technical Reference Manual (ARM 100112) and
//! Application Note AN386. The eight LEDs at the edge of the board are controls that can only be read.
//!
//! Left out: remapping of block RAM to address 0 (kept, without effect), the clocks behind the configuration interface
//! except for their values.

use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, Model, RestoreError, Width, Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["arm,mps2-scc"], summary: "MPS2 board configuration", rom: &[], ram: &[], build };

register_bank! {
    enum Register {
        Cfg0 = 0x000, rw(0x1), reset 0, { remap: 0 };
        Cfg1 = 0x004, rw(0xff), reset 0, { leds: 0 .. 8 };
        Cfg3 = 0x00c, ro, reset 0, { switches: 0 .. 8 };
        Cfg4 = 0x010, ro, reset 2, { board_revision: 0 .. 4 };
        CfgDataRtn = 0x0a0, ro, reset 0;
        CfgDataOut = 0x0a4, rw(u32::MAX), reset 0;
        CfgCtrl = 0x0a8, rw(0x7ff0_0fff), reset 0x10_0000, { device: 0 .. 12, function: 20 .. 26, write: 30, start: 31 };
        CfgStat = 0x0ac, ro, reset 0, { done: 0, error: 1 };
        Dll = 0x100, rw(0xff00_0000), reset 0xffff_0001;
        Aid = 0xff8, ro, reset 0x0020_0008;
        Id = 0xffc, ro, reset 0;
    }
}

const START: u32 = 1 << 31;
const WRITE: u32 = 1 << 30;
const DONE: u32 = 1;
const ERROR: u32 = 2;
const FUNCTION_OSCILLATOR: u32 = 1;
/// The oscillators of the board at power-on, in Hz.
const OSCILLATORS: [u32; 3] = [50_000_000, 24_576_000, 25_000_000];

#[derive(Default, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    oscillators: [u32; 3],
}

/// The controller on the bus.
struct Scc {
    state: State,
    /// What the ID register reads: manufacturer, architecture, number of the application note, revision.
    id: u32,
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let id = args.node.u32("arm,scc-id").unwrap_or(0x4104_3860);
    Ok(Box::new(Scc { state: State::default(), id }))
}

impl Scc {
    /// Carries out what `CFGCTRL` asks of the board.
    fn configure(&mut self, control: u32) {
        let State { bank, oscillators } = &mut self.state;
        let oscillator = (control >> 20 & 0x3f == FUNCTION_OSCILLATOR)
            .then(|| oscillators.get_mut((control & 0xfff) as usize))
            .flatten();
        bank[Register::CfgStat] = DONE;
        match oscillator {
            None => bank[Register::CfgStat] |= ERROR,
            Some(hz) if control & WRITE != 0 => *hz = bank[Register::CfgDataOut],
            Some(hz) => bank[Register::CfgDataRtn] = *hz,
        }
    }
}

impl Component for Scc {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |n: u32| ControlSpec {
            name: format!("led{n}"),
            unit: "",
            kind: ControlKind::Switch,
            settable: false,
            help: "whether the LED is lit",
        };
        (0..8).map(spec).collect()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        let n: u32 = name.strip_prefix("led")?.parse().ok().filter(|n| *n < 8)?;
        Some(ControlValue::Switch(self.state.bank[Register::Cfg1] >> n & 1 != 0))
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, _value: &ControlValue) -> Result<(), ControlError> {
        match self.control(name) {
            Some(_) => Err(ControlError::ReadOnly(name.to_string())),
            None => Err(ControlError::Unknown(name.to_string())),
        }
    }

    fn inspect(&self) -> Vec<Field> {
        let mut bank = self.state.bank.clone();
        bank[Register::Id] = self.id;
        bank.inspect()
    }
}

impl Device for Scc {
    fn reset(&mut self, _ctx: &mut Ctx) {
        self.state = State { bank: Bank::default(), oscillators: OSCILLATORS };
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        match self.state.bank.at(at.offset) {
            Some(Register::Id) => self.id.into(),
            Some(register) => self.state.bank.read(register).into(),
            None => {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            }
        }
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.state.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        self.state.bank.write(register, value as u32);
        if register == Register::CfgCtrl {
            self.state.bank[Register::CfgStat] = 0;
            if value as u32 & START != 0 {
                self.configure(value as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn identifies_the_image_and_reads_oscillators() {
        let mut bench = Bench::new(Scc { state: State::default(), id: 0x4104_3860 });
        assert_eq!([0x10, 0xff8, 0xffc].map(|at| bench.read32(at)), [2, 0x0020_0008, 0x4104_3860]);
        bench.write32(0xa8, START | FUNCTION_OSCILLATOR << 20 | 2);
        assert_eq!((bench.read32(0xac), bench.read32(0xa0)), (DONE, 25_000_000));
        bench.write32(0xa8, START | FUNCTION_OSCILLATOR << 20 | 3);
        assert_eq!(bench.read32(0xac), DONE | ERROR);
        bench.write32(4, 0x104);
        assert_eq!(bench.device.control("led2"), Some(ControlValue::Switch(true)));
        assert_eq!(bench.device.control("led8"), None);
        bench.check_save_restore();
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = Bench::new(Scc { state: State::default(), id: 0 });
            bench.torture(&bytes, 0x104);
            bench.check_save_restore();
            Ok(())
        });
    }
}
