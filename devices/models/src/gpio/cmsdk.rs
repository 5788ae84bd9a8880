//! GPIO of the Cortex-M System Design Kit, 16 pins.
//!
//! Follows section 3.2 (AHB GPIO) of the Cortex-M System Design Kit Technical Reference Manual (ARM DDI 0479D).
//!
//! Pin `n` is input line `pin(n)` from outside and output line `pin(n)` to it; output line `floating(n)` is high while
//! the block does not drive the pin. A pin that nobody drives reads 0. Interrupt output 0 is the combined interrupt,
//! output `n + 1` that of pin `n`.
//!
//! Left out: what a pin does in its alternate function (the bits are kept), the cycles that synchronise an input.

use crate::power::cmsdk_id;
use devices_core::device::floating;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Width, Widths, pin, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["arm,cmsdk-gpio"], summary: "CMSDK GPIO", rom: &[], ram: &[], build };

const PINS: u32 = 16;
const PART: u8 = 0x20;
/// Masked access to the low and to the high byte of the data output.
const MASK_LOW: u64 = 0x400;
const MASK_HIGH: u64 = 0x800;

/// The block, a bit for each pin. What outside drives survives a reset.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Gpio {
    output: u16,
    enable: u16,
    alternate: u16,
    interrupt_enable: u16,
    /// Edge, or level.
    edge: u16,
    /// Rising or high, or the opposite.
    positive: u16,
    pending: u16,
    pads: u16,
    outside: u16,
}

impl Gpio {
    /// Follows the pins; called after every change.
    fn update(&mut self) {
        let before = self.pads;
        self.pads = self.output & self.enable | self.outside & !self.enable;
        let rose = self.pads & !before;
        let fell = before & !self.pads;
        let edges = rose & self.positive | fell & !self.positive;
        let levels = self.pads & self.positive | !self.pads & !self.positive;
        let what = edges & self.edge | levels & !self.edge;
        self.pending |= what & self.interrupt_enable;
    }

    fn read(&self, offset: u64) -> Option<u16> {
        Some(match offset {
            0x00 => self.pads,
            0x04 => self.output,
            0x10 | 0x14 => self.enable,
            0x18 | 0x1c => self.alternate,
            0x20 | 0x24 => self.interrupt_enable,
            0x28 | 0x2c => self.edge,
            0x30 | 0x34 => self.positive,
            0x38 => self.pending,
            MASK_LOW..MASK_HIGH => self.pads & ((offset - MASK_LOW) >> 2) as u16,
            MASK_HIGH..0xc00 => self.pads & (((offset - MASK_HIGH) >> 2) as u16) << 8,
            _ => return None,
        })
    }

    fn write(&mut self, offset: u64, value: u16) -> bool {
        let masked = |mask: u16, old: u16| old & !mask | value & mask;
        match offset {
            0x00 | 0x04 => self.output = value,
            0x10 => self.enable |= value,
            0x14 => self.enable &= !value,
            0x18 => self.alternate |= value,
            0x1c => self.alternate &= !value,
            0x20 => self.interrupt_enable |= value,
            0x24 => self.interrupt_enable &= !value,
            0x28 => self.edge |= value,
            0x2c => self.edge &= !value,
            0x30 => self.positive |= value,
            0x34 => self.positive &= !value,
            0x38 => self.pending &= !value,
            MASK_LOW..MASK_HIGH => self.output = masked(((offset - MASK_LOW) >> 2) as u16, self.output),
            MASK_HIGH..0xc00 => self.output = masked((((offset - MASK_HIGH) >> 2) as u16) << 8, self.output),
            _ => return false,
        }
        self.update();
        true
    }
}

/// A CMSDK GPIO block on the bus.
#[derive(Default)]
struct CmsdkGpio {
    gpio: Gpio,
}

impl CmsdkGpio {
    fn update(&mut self, ctx: &mut Ctx) {
        let Gpio { output, enable, pending, .. } = self.gpio;
        for n in 0..PINS {
            ctx.set_line(pin(n), output & enable & 1 << n != 0);
            ctx.set_line(floating(n), enable & 1 << n == 0);
            ctx.set_line(n + 1, pending & 1 << n != 0);
        }
        ctx.set_line(0, pending != 0);
    }
}

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(CmsdkGpio::default()))
}

impl Component for CmsdkGpio {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.gpio)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.gpio = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let names = [
            ("DATA", 0x00),
            ("DATAOUT", 0x04),
            ("OUTENSET", 0x10),
            ("ALTFUNCSET", 0x18),
            ("INTENSET", 0x20),
            ("INTTYPESET", 0x28),
            ("INTPOLSET", 0x30),
            ("INTSTATUS", 0x38),
        ];
        let show = |(name, offset): (&str, u64)| {
            let value = self.gpio.read(offset)?;
            Some(Field { name: name.to_string(), value: format!("{value:#06x}") })
        };
        names.into_iter().filter_map(show).collect()
    }
}

impl Device for CmsdkGpio {
    fn reset(&mut self, ctx: &mut Ctx) {
        let outside = self.gpio.outside;
        self.gpio = Gpio { outside, pads: outside, ..Gpio::default() };
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::UP_TO_B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64 {
        let whole = at.offset & !3;
        let value = cmsdk_id(PART, whole).or_else(|| self.gpio.read(whole).map(u32::from));
        let Some(value) = value else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        u64::from(value) >> (8 * (at.offset & 3)) & width.mask()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let shift = 8 * (at.offset & 3);
        if !self.gpio.write(at.offset & !3, (value << shift) as u16) {
            ctx.unimplemented(at.offset, true, "no such register");
        }
        self.update(ctx);
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        if let Some(n) = input.checked_sub(pin(0)).filter(|n| *n < PINS) {
            self.gpio.outside = self.gpio.outside & !(1 << n) | u16::from(level) << n;
            self.gpio.update();
            self.update(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn drives_pins_by_masks() {
        let mut bench = Bench::new(CmsdkGpio::default());
        assert!(bench.line(floating(3)));
        bench.write32(0x10, 0xff0f);
        bench.write32(0x04, 0x0000);
        bench.write32(MASK_LOW + 4 * 0x09, 0xffff);
        bench.write32(MASK_HIGH + 4 * 0x80, 0xffff);
        assert_eq!((bench.read32(0x04), bench.read32(0x00)), (0x8009, 0x8009));
        assert_eq!((bench.line(pin(3)), bench.line(pin(1)), bench.line(floating(4))), (true, false, true));
        assert_eq!(bench.read32(MASK_LOW + 4), 1);
        bench.check_save_restore();
    }

    #[test]
    fn interrupts_at_edges_and_levels() {
        let mut bench = Bench::new(CmsdkGpio::default());
        let drive =
            |bench: &mut Bench<CmsdkGpio>, n, level| bench.call(|gpio, ctx| gpio.line(ctx, pin(n), level));
        bench.write32(0x28, 1 << 2); // pin 2 by edges
        bench.write32(0x30, 1 << 2 | 1 << 5); // rising, high
        bench.write32(0x20, 1 << 2 | 1 << 5);
        assert!(!bench.line(0));
        drive(&mut bench, 2, true);
        assert_eq!((bench.line(0), bench.line(3), bench.read32(0x38)), (true, true, 4));
        bench.write32(0x38, 4);
        assert!(!bench.line(0), "an edge is told once");
        drive(&mut bench, 5, true);
        bench.write32(0x38, 1 << 5);
        assert!(bench.line(6), "a level is told as long as it lasts");
        drive(&mut bench, 5, false);
        bench.write32(0x38, 1 << 5);
        assert!(!bench.line(0));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = Bench::new(CmsdkGpio::default());
            bench.torture(&bytes, 0x40);
            bench.check_save_restore();
            Ok(())
        });
    }
}
