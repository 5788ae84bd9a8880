//! The SiFive test finisher: ends the program or resets the machine.
//!
//! Follows the `sifive,test0` and `sifive,test1` devices of SiFive's and Berkeley's test benches (freedom-e-sdk
//! `metal/drivers/sifive_test0`, OpenSBI `lib/utils/reset/fdt_reset_sifive_test.c`) and the nodes `syscon-poweroff` and
//! `syscon-reboot` with which Linux drives one. One register, at offset 0: the low half is a command, the high half a
//! code. It keeps nothing and reads as zero.
//!
//! Nothing is left out. Nodes that are `syscon` and nothing more are other blocks and not served.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Model, Request, RestoreError, Width, Widths, state,
};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["sifive,test1", "sifive,test0"],
    summary: "power off, reset",
    rom: &[],
    ram: &[],
    build,
};

/// What a write of the register asks for.
fn command(value: u32) -> Option<Request> {
    match value & 0xffff {
        0x5555 => Some(Request::PowerOff(0)),
        0x3333 => Some(Request::PowerOff(value >> 16)),
        0x7777 => Some(Request::Reset),
        _ => None,
    }
}

/// A test finisher on the bus.
pub struct Syscon;

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Syscon))
}

impl Component for Syscon {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        state::decode::<()>(bytes)
    }
}

impl Device for Syscon {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn widths(&self, _region: usize) -> Widths {
        Widths { min: Width::B2, max: Width::B4 }
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        if at.offset != 0 {
            ctx.unimplemented(at.offset, false, "no such register");
        }
        0
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        match command(value as u32) {
            _ if at.offset != 0 => ctx.unimplemented(at.offset, true, "no such register"),
            Some(request) => ctx.request(request),
            None => {
                ctx.complain(format!("{value:#x} is no command: 0x5555 passes, 0x3333 fails, 0x7777 resets"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn commands() {
        let mut bench = Bench::new(Syscon);
        bench.write32(0, 0x5555);
        bench.write32(0, 0x0007_3333);
        bench.write(0, Width::B2, 0x7777);
        let requests = [Request::PowerOff(0), Request::PowerOff(7), Request::Reset];
        assert_eq!(bench.requests(), requests);
        assert!(bench.services.attention);
    }

    #[test]
    fn anything_else_is_refused() {
        let mut bench = Bench::new(Syscon);
        bench.write32(0, 0x1234);
        bench.write32(4, 0x5555);
        assert_eq!((bench.requests(), bench.read32(0)), (vec![], 0));
        assert_eq!((bench.services.complaints.len(), bench.services.unimplemented.len()), (1, 1));
        bench.check_save_restore();
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            Bench::new(Syscon).torture(&bytes, 16);
            Ok(())
        });
    }
}
