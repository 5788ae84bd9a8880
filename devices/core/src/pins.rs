//! GPIO pins that lead to and from chips and parts: input lines `pin(n)` and `floating(n)`, output lines `pin(n)`.
//!
//! Whoever wires a board connects a property of a node, such as `reset-gpios`, to the lines that [`PROPERTIES`] tells,
//! and models listen there. Lines carry levels as they are on the wire: a chip knows by itself that its reset is
//! active low.

use crate::device::{floating, pin};
use serde::{Deserialize, Serialize};

/// What arrives at an input pin.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin {
    level: bool,
    floating: bool,
}

impl Default for Pin {
    /// Nobody drives it.
    fn default() -> Pin {
        Pin { level: false, floating: true }
    }
}

impl Pin {
    /// Driven low.
    pub fn low(self) -> bool {
        !self.floating && !self.level
    }

    /// Driven high.
    pub fn high(self) -> bool {
        !self.floating && self.level
    }

    /// Nobody drives it.
    pub fn floats(self) -> bool {
        self.floating
    }

    /// Driven to its active level.
    pub fn active(self, active_low: bool) -> bool {
        if active_low { self.low() } else { self.high() }
    }
}

/// Takes the change of line `input`, if it belongs to one of `pins`; tells which pin then has changed.
pub fn drive(pins: &mut [Pin], input: u32, level: bool) -> Option<usize> {
    let index = |base: u32| input.checked_sub(base).map(|index| index as usize);
    let (index, is_floating) = match index(floating(0)) {
        Some(index) => (index, true),
        None => (index(pin(0))?, false),
    };
    let pin = pins.get_mut(index)?;
    let before = *pin;
    if is_floating {
        pin.floating = level;
    } else {
        pin.level = level;
    }
    (*pin != before).then_some(index)
}

/// How a property connects pins of a node.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct PinProperty {
    /// Its name.
    pub name: &'static str,
    /// The node drives the GPIO; otherwise it follows it.
    pub output: bool,
    /// The pin of the node for the first entry; the others follow.
    pub first: u32,
}

const fn input(name: &'static str, first: u32) -> PinProperty {
    PinProperty { name, output: false, first }
}

const fn output(name: &'static str, first: u32) -> PinProperty {
    PinProperty { name, output: true, first }
}

/// Pin of `reset-gpios`.
pub const RESET: usize = 0;
/// Pin of `dc-gpios`: data or command.
pub const DATA_COMMAND: usize = 1;
/// Pin of `enable-gpios`.
pub const ENABLE: usize = 2;
/// First pin of `backlight-gpios`.
pub const BACKLIGHT: usize = 3;
/// First pin of `cs-gpios`, the chip selects of a controller.
pub const CHIP_SELECT: usize = 0;
/// Pin of `charge-status-gpios`.
pub const CHARGE_STATUS: u32 = 0;
/// Pin of `power-present-gpios`.
pub const POWER_PRESENT: u32 = 1;

/// First pin of `col-gpios`, the columns of a matrix; the rows are before them.
pub const COLUMNS: u32 = 16;

/// The properties that connect pins.
pub const PROPERTIES: &[PinProperty] = &[
    input("reset-gpios", RESET as u32),
    input("dc-gpios", DATA_COMMAND as u32),
    input("enable-gpios", ENABLE as u32),
    input("backlight-gpios", BACKLIGHT as u32),
    input("cs-gpios", CHIP_SELECT as u32),
    input("row-gpios", 0),
    input("col-gpios", COLUMNS),
    output("charge-status-gpios", CHARGE_STATUS),
    output("power-present-gpios", POWER_PRESENT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_that_floats_is_neither_low_nor_high() {
        let mut pins = [Pin::default(); 2];
        assert!(!pins[1].low() && !pins[1].high() && pins[1].floats());
        assert_eq!(drive(&mut pins, pin(1), false), None, "as it was");
        assert_eq!(drive(&mut pins, floating(1), false), Some(1));
        assert!(pins[1].low() && pins[1].active(true) && !pins[1].active(false));
        assert_eq!(drive(&mut pins, pin(1), true), Some(1));
        assert!(pins[1].high());
        assert_eq!(drive(&mut pins, pin(2), true), None);
        assert_eq!(drive(&mut pins, 7, true), None);
    }
}
