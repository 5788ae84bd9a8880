//! Voltages at the analog pins AIN0 to AIN7, as controls `ain0` to `ain7` of the peripheral that looks at them.

use devices_core::{ControlError, ControlKind, ControlSpec, ControlValue};
use serde::{Deserialize, Serialize};

/// How many there are.
pub const INPUTS: usize = 8;
/// What the chip is supplied with, in volts.
pub const SUPPLY: f64 = 3.0;

/// Volts at each pin; what the world holds, so it survives a reset.
#[derive(Copy, Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Inputs([f64; INPUTS]);

impl Inputs {
    /// The voltage at AIN`n`; nothing beyond the last.
    pub fn volts(&self, n: usize) -> f64 {
        self.0.get(n).copied().unwrap_or(0.0)
    }

    fn index(name: &str) -> Option<usize> {
        name.strip_prefix("ain")?.parse().ok().filter(|index| *index < INPUTS)
    }

    /// For [`devices_core::Component::controls`].
    pub fn specs(&self) -> Vec<ControlSpec> {
        let spec = |index: usize| ControlSpec {
            name: format!("ain{index}"),
            unit: "V",
            kind: ControlKind::Number { min: 0.0, max: 3.6 },
            settable: true,
            help: "voltage at an analog pin",
        };
        (0..INPUTS).map(spec).collect()
    }

    /// For [`devices_core::Component::control`].
    pub fn get(&self, name: &str) -> Option<ControlValue> {
        Inputs::index(name).map(|index| ControlValue::Number(self.0[index]))
    }

    /// For [`devices_core::Component::set_control`].
    pub fn set(&mut self, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        match (Inputs::index(name), value) {
            (Some(index), ControlValue::Number(volts)) => {
                self.0[index] = *volts;
                Ok(())
            }
            _ => Err(ControlError::Unknown(name.to_string())),
        }
    }
}
