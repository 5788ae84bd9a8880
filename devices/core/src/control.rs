//! Named values of the physical world: what a sensor measures, what a user holds.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// What values a control takes.
#[derive(Clone, PartialEq, Debug)]
pub enum ControlKind {
    /// A number in a range, both ends included.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Three numbers (x, y, z), each in a range.
    Vector {
        /// Smallest of each.
        min: f64,
        /// Largest of each.
        max: f64,
    },
    /// On or off.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A control that a device has.
#[derive(Clone, PartialEq, Debug)]
pub struct ControlSpec {
    /// Unique in its device; lower case with dashes.
    pub name: String,
    /// Its unit, as SI writes it; empty where there is none.
    pub unit: &'static str,
    /// Its values.
    pub kind: ControlKind,
    /// Whether it can be set; otherwise it is what the guest does (a LED, a motor).
    pub settable: bool,
    /// One line for `machine show`.
    pub help: &'static str,
}

/// A value of a control.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ControlValue {
    /// A number.
    Number(f64),
    /// x, y and z.
    Vector([f64; 3]),
    /// On or off.
    Switch(bool),
    /// A word.
    Choice(String),
}

/// A control was not set.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum ControlError {
    /// No such name here.
    #[error("there is no control named {0}")]
    Unknown(String),
    /// Not a value of its kind.
    #[error("{name} takes {expected}, not {found:?}")]
    Value {
        /// The control.
        name: String,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// It shows what the guest does.
    #[error("{0} can only be read")]
    ReadOnly(String),
}

impl fmt::Display for ControlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlKind::Number { min, max } => write!(f, "a number from {min} to {max}"),
            ControlKind::Vector { min, max } => write!(f, "x,y,z, each from {min} to {max}"),
            ControlKind::Switch => write!(f, "on or off"),
            ControlKind::Choice(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

impl fmt::Display for ControlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlValue::Number(x) => write!(f, "{x}"),
            ControlValue::Vector([x, y, z]) => write!(f, "{x},{y},{z}"),
            ControlValue::Switch(on) => f.write_str(if *on { "on" } else { "off" }),
            ControlValue::Choice(word) => f.write_str(word),
        }
    }
}

impl ControlSpec {
    /// Reads a value as a user writes it: `21.5`, `0,0,1`, `on`, a word.
    pub fn parse(&self, text: &str) -> Result<ControlValue, ControlError> {
        let in_range = |text: &str, min: f64, max: f64| {
            text.trim().parse::<f64>().ok().filter(|x| (min..=max).contains(x))
        };
        let value = match &self.kind {
            ControlKind::Number { min, max } => in_range(text, *min, *max).map(ControlValue::Number),
            ControlKind::Vector { min, max } => {
                let parts: Option<Vec<f64>> =
                    text.split(',').map(|part| in_range(part, *min, *max)).collect();
                parts.and_then(|parts| parts.try_into().ok()).map(ControlValue::Vector)
            }
            ControlKind::Switch => match text {
                "on" | "true" | "1" => Some(ControlValue::Switch(true)),
                "off" | "false" | "0" => Some(ControlValue::Switch(false)),
                _ => None,
            },
            ControlKind::Choice(words) => {
                words.contains(&text).then(|| ControlValue::Choice(text.to_string()))
            }
        };
        value.ok_or_else(|| ControlError::Value {
            name: self.name.clone(),
            expected: self.kind.to_string(),
            found: text.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: ControlKind) -> ControlSpec {
        ControlSpec { name: "x".into(), unit: "", kind, settable: true, help: "" }
    }

    #[test]
    fn values_are_checked() {
        let number = spec(ControlKind::Number { min: -40.0, max: 85.0 });
        assert_eq!(number.parse("21.5"), Ok(ControlValue::Number(21.5)));
        for bad in ["", "86", "NaN", "warm", "1,2"] {
            assert!(number.parse(bad).is_err(), "{bad}");
        }
        let vector = spec(ControlKind::Vector { min: -16.0, max: 16.0 });
        assert_eq!(vector.parse("0, -1,2"), Ok(ControlValue::Vector([0.0, -1.0, 2.0])));
        assert!(vector.parse("1,2").is_err() && vector.parse("1,2,3,4").is_err());
        assert!(spec(ControlKind::Switch).parse("perhaps").is_err());
        assert!(spec(ControlKind::Choice(&["left", "right"])).parse("up").is_err());
    }
}
