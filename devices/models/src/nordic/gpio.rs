//! General-purpose input and output (GPIO), one port of 32 pins.
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 21, the nRF52840 Product Specification v1.7, chapter 6.9,
//! and the nRF51 Series Reference Manual v3.0, chapter 14.
//!
//! Pin `n` is input line `pin(n)` from outside and output line `pin(n)` to it; output line `floating(n)` is high while
//! nothing inside drives the pin. Output line `pad(n)` is the level on the pin, for peripherals that look at it; those
//! drive it by the input lines `taken(n)` and `lent(n)` (see `hyperemu,pins`). A pin that nothing drives follows its
//! pull. DETECT's rising edge is published by the address of LATCH, for GPIOTE and POWER.
//!
//! In System OFF it stays as it is, and after the reset that ends it, too.
//!
//! The first `reg` of the node starts at the port's base; a second one may hold the rest of the registers.
//!
//! Left out: drive strength; a pin whose input is disconnected still shows its level to peripherals.

use super::base_address;
use devices_core::device::{floating, lent, pad, taken};
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Width, Widths, pin, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-gpio"], summary: "nRF GPIO port", rom: &[], ram: &[], build };

/// What the first port publishes when its DETECT rises.
pub const P0_DETECT: u32 = 0x5000_0520;
/// What the second port of an nRF52840 publishes.
pub const P1_DETECT: u32 = 0x5000_0820;

const LATCH: u32 = 0x520;
const PINS: u32 = 32;
const CNF_RESET: u32 = 2;

/// Fields of PIN_CNF.
mod cnf {
    pub const MASK: u32 = 0x3_070f;
    pub const OUTPUT: u32 = 1;
    pub const DISCONNECTED: u32 = 2;
    pub const PULL_UP: u32 = 3 << 2;
    pub const PULL: u32 = 3 << 2;
    pub const DRIVE: u32 = 8;
    pub const SENSE: u32 = 16;
}

/// What is connected, from outside the block and from other peripherals. Survives a reset.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Outside {
    level: u32,
    /// Pins that something outside drives.
    driven: u32,
    /// Pins that peripherals drive, and their levels.
    taken: u32,
    lent: u32,
}

/// Levels that other devices were told.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Shown {
    enabled: u32,
    value: u32,
    pads: u32,
}

/// The block without its surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Port {
    out: u32,
    cnf: [u32; PINS as usize],
    latch: u32,
    detect_latch: bool,
    detect: bool,
    outside: Outside,
    shown: Option<Shown>,
    /// The chip is in System OFF.
    off: bool,
}

impl Default for Port {
    fn default() -> Port {
        Port {
            out: 0,
            cnf: [CNF_RESET; PINS as usize],
            latch: 0,
            detect_latch: false,
            detect: false,
            outside: Outside::default(),
            shown: None,
            off: false,
        }
    }
}

impl Port {
    /// One bit per pin for which `f` of its PIN_CNF holds.
    fn collect(&self, f: impl Fn(u32) -> bool) -> u32 {
        self.cnf.iter().enumerate().fold(0, |all, (n, cnf)| all | u32::from(f(*cnf)) << n)
    }

    fn directions(&self) -> u32 {
        self.collect(|cnf| cnf & cnf::OUTPUT != 0)
    }

    fn set_directions(&mut self, directions: u32) {
        for (n, cnf) in self.cnf.iter_mut().enumerate() {
            *cnf = *cnf & !cnf::OUTPUT | directions >> n & 1;
        }
    }

    /// The pins that the chip drives, and their levels.
    fn output(&self) -> (u32, u32) {
        let Outside { taken, lent, .. } = self.outside;
        let value = self.out & !taken | lent & taken;
        // Drives 4 and 5 leave a zero to others, 6 and 7 a one.
        let open_low = self.collect(|cnf| cnf >> cnf::DRIVE & 6 == 4);
        let open_high = self.collect(|cnf| cnf >> cnf::DRIVE & 6 == 6);
        let enabled = (self.directions() | taken) & !(open_low & !value) & !(open_high & value);
        (enabled, value & enabled)
    }

    /// The levels on the pins.
    fn pads(&self) -> u32 {
        let (enabled, value) = self.output();
        let Outside { level, driven, .. } = self.outside;
        let pulled_up = self.collect(|cnf| cnf & cnf::PULL == cnf::PULL_UP);
        value | !enabled & (level & driven | pulled_up & !driven)
    }

    fn input(&self) -> u32 {
        self.pads() & self.collect(|cnf| cnf & cnf::DISCONNECTED == 0)
    }

    /// Follows the pins; returns whether DETECT rose.
    fn update(&mut self) -> bool {
        let pads = self.pads();
        let high = self.collect(|cnf| cnf >> cnf::SENSE & 3 == 2);
        let low = self.collect(|cnf| cnf >> cnf::SENSE & 3 == 3);
        let sensed = high & pads | low & !pads;
        self.latch |= sensed;
        let detect = if self.detect_latch { self.latch != 0 } else { sensed != 0 };
        let before = std::mem::replace(&mut self.detect, detect);
        detect && !before
    }

    fn line(&mut self, input: u32, level: bool) {
        let outside = &mut self.outside;
        let (word, first) = match input {
            _ if (pin(0)..pin(PINS)).contains(&input) => {
                outside.driven |= 1 << (input - pin(0));
                (&mut outside.level, pin(0))
            }
            _ if (taken(0)..taken(PINS)).contains(&input) => (&mut outside.taken, taken(0)),
            _ if (lent(0)..lent(PINS)).contains(&input) => (&mut outside.lent, lent(0)),
            _ => return,
        };
        let n = input - first;
        *word = *word & !(1 << n) | u32::from(level) << n;
    }

    fn read(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            0x504 | 0x508 | 0x50c => self.out,
            0x510 => self.input(),
            0x514 | 0x518 | 0x51c => self.directions(),
            LATCH => self.latch,
            0x524 => self.detect_latch.into(),
            0x700..0x780 => self.cnf[(offset as usize - 0x700) / 4],
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32) -> Option<()> {
        match offset {
            0x504 => self.out = value,
            0x508 => self.out |= value,
            0x50c => self.out &= !value,
            0x510 => {}
            0x514 => self.set_directions(value),
            0x518 => self.set_directions(self.directions() | value),
            0x51c => self.set_directions(self.directions() & !value),
            LATCH => {
                self.latch &= !value;
                // Whatever is left, or comes again, is a new edge.
                self.detect &= !self.detect_latch;
            }
            0x524 => self.detect_latch = value & 1 != 0,
            0x700..0x780 => self.cnf[(offset as usize - 0x700) / 4] = value & cnf::MASK,
            _ => return None,
        }
        Some(())
    }
}

/// A port on the bus.
pub struct NordicGpio {
    port: Port,
    base: u32,
    /// Where its regions start, from the base.
    regions: Vec<u32>,
}

impl NordicGpio {
    /// At the bus address `base`, with regions that start so far from there.
    pub fn new(base: u32, regions: Vec<u32>) -> NordicGpio {
        NordicGpio { port: Port::default(), base, regions }
    }

    fn offset(&self, at: At) -> u32 {
        let region = self.regions.get(at.region).copied().unwrap_or(0);
        region.wrapping_add(at.offset as u32)
    }

    fn update(&mut self, ctx: &mut Ctx) {
        if self.port.update() {
            ctx.publish(self.base.wrapping_add(LATCH));
        }
        let (enabled, value) = self.port.output();
        let now = Shown { enabled, value, pads: self.port.pads() };
        // Pins are many and change one at a time.
        let mut changed = self.port.shown.replace(now).map_or(u32::MAX, |before| {
            before.enabled ^ now.enabled | before.value ^ now.value | before.pads ^ now.pads
        });
        while changed != 0 {
            let n = changed.trailing_zeros();
            changed &= changed - 1;
            ctx.set_line(floating(n), now.enabled >> n & 1 == 0);
            ctx.set_line(pin(n), now.value >> n & 1 != 0);
            ctx.set_line(pad(n), now.pads >> n & 1 != 0);
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let base = base_address(args)?;
    let start = |&(address, _): &(u64, u64)| (address as u32).wrapping_sub(base);
    Ok(Box::new(NordicGpio::new(base, args.node.regs().iter().map(start).collect())))
}

impl Component for NordicGpio {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.port)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.port = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let (enabled, _) = self.port.output();
        [
            ("OUT", self.port.out),
            ("DIR", self.port.directions()),
            ("IN", self.port.input()),
            ("LATCH", self.port.latch),
            ("pads", self.port.pads()),
            ("driven inside", enabled),
        ]
        .map(|(name, value)| Field { name: name.to_string(), value: format!("{value:#010x}") })
        .into()
    }
}

impl Device for NordicGpio {
    fn reset(&mut self, ctx: &mut Ctx) {
        let Port { outside, shown, .. } = self.port;
        if !std::mem::take(&mut self.port.off) {
            self.port = Port { outside, shown, ..Port::default() };
        }
        self.update(ctx);
    }

    fn power_down(&mut self, ctx: &mut Ctx) {
        self.port.off = true;
        if self.port.detect {
            ctx.publish(self.base.wrapping_add(LATCH));
        }
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let value = self.port.read(self.offset(at));
        if value.is_none() {
            ctx.unimplemented(at.offset, false, "no such register");
        }
        value.unwrap_or(0).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        match self.port.write(self.offset(at), value as u32) {
            Some(()) => self.update(ctx),
            None => ctx.unimplemented(at.offset, true, "no such register"),
        }
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        self.port.line(input, level);
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
    use devices_core::services::Message;

    fn bench() -> Bench<NordicGpio> {
        Bench::new(NordicGpio::new(0x5000_0000, vec![0, 0x500]))
    }

    fn drive(bench: &mut Bench<NordicGpio>, input: u32, level: bool) {
        bench.call(|device, ctx| device.line(ctx, input, level));
    }

    fn levels(bench: &Bench<NordicGpio>, n: u32) -> [bool; 3] {
        [pin(n), floating(n), pad(n)].map(|line| bench.line(line))
    }

    #[test]
    fn output_and_direction() {
        let mut bench = bench();
        assert_eq!(levels(&bench, 17), [false, true, false]);
        bench.write32(0x508, 1 << 17 | 1 << 3);
        bench.write32(0x518, 1 << 17);
        assert_eq!(levels(&bench, 17), [true, false, true]);
        assert_eq!((bench.read32(0x514), bench.read32(0x744)), (1 << 17, 3));
        assert_eq!(bench.read32(0x510), 0, "its input is disconnected");
        bench.write32(0x744, 1);
        assert_eq!(bench.read32(0x510), 1 << 17);
        bench.write32(0x50c, 1 << 17);
        assert_eq!((levels(&bench, 17), bench.read32(0x504)), ([false, false, false], 1 << 3));
        let at = At { region: 1, offset: 0x10 };
        bench.write32(0x508, 1 << 17);
        assert_eq!(bench.call(|device, ctx| device.read(ctx, at, Width::B4)), 1 << 17);
    }

    #[test]
    fn inputs_pulls_and_open_drain() {
        let mut bench = bench();
        bench.write32(0x700, 0xc);
        assert_eq!(bench.read32(0x510), 1, "pulled up");
        drive(&mut bench, pin(0), false);
        assert_eq!(bench.read32(0x510), 0);
        // Drive S0D1 with a pull-up: a one is the pull's.
        bench.write32(0x704, 0x60d);
        bench.write32(0x504, 2);
        assert_eq!((bench.read32(0x510), levels(&bench, 1)), (2, [false, true, true]));
        bench.write32(0x504, 0);
        assert_eq!((bench.read32(0x510), levels(&bench, 1)), (0, [false, false, false]));
    }

    #[test]
    fn peripherals_take_a_pin() {
        let mut bench = bench();
        bench.write32(0x714, 0);
        drive(&mut bench, lent(5), true);
        assert_eq!(bench.read32(0x510), 0);
        drive(&mut bench, taken(5), true);
        assert_eq!((bench.read32(0x510), levels(&bench, 5)), (1 << 5, [true, false, true]));
        bench.call(|device, ctx| device.reset(ctx));
        assert!(bench.line(pin(5)), "until the peripheral lets go");
        bench.check_save_restore();
    }

    #[test]
    fn stays_as_it_is_over_system_off() {
        let mut bench = bench();
        bench.write32(0x700, 1);
        bench.write32(0x504, 1);
        bench.write32(0x734, 2 << 16 | 1 << 2);
        drive(&mut bench, pin(13), true);
        assert_eq!(bench.messages().len(), 1);
        bench.call(|device, ctx| device.power_down(ctx));
        assert_eq!(bench.messages(), [Message::Published(P0_DETECT)], "it is high already");
        bench.call(|device, ctx| device.reset(ctx));
        let kept = [0x504, 0x700, 0x734, LATCH.into()].map(|offset| bench.read32(offset));
        assert_eq!((kept, bench.line(pin(0))), ([1, 1, 2 << 16 | 1 << 2, 1 << 13], true));
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(0x504), bench.line(pin(0))), (0, false), "another reset");
    }

    #[test]
    fn sense_detect_and_latch() {
        let mut bench = bench();
        drive(&mut bench, pin(13), false);
        bench.write32(0x734, 2 << 16);
        assert_eq!(bench.messages(), []);
        drive(&mut bench, pin(13), true);
        assert_eq!(bench.messages(), [Message::Published(P0_DETECT)]);
        drive(&mut bench, pin(13), true);
        bench.write32(LATCH.into(), u32::MAX);
        assert_eq!((bench.messages(), bench.read32(LATCH.into())), (vec![], 1 << 13), "still so");
        drive(&mut bench, pin(13), false);
        bench.write32(LATCH.into(), u32::MAX);
        assert_eq!(bench.read32(LATCH.into()), 0);
        bench.write32(0x524, 1);
        drive(&mut bench, pin(13), true);
        drive(&mut bench, pin(13), false);
        assert_eq!(bench.messages().len(), 1);
        drive(&mut bench, pin(13), true);
        bench.write32(LATCH.into(), 1);
        assert_eq!(bench.messages().len(), 1, "software looks at a latch that is not empty");
        bench.write32(0x734, 3 << 16);
        bench.write32(LATCH.into(), 1 << 13);
        assert_eq!(bench.read32(LATCH.into()), 0);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x780);
            bench.check_save_restore();
            Ok(())
        });
    }
}
