//! The physical quantities around a chip, as controls.

use devices_core::{ControlError, ControlKind, ControlSpec, ControlValue};
use serde::{Deserialize, Serialize};

/// A quantity: a number, or a vector of three.
pub struct Quantity {
    pub name: &'static str,
    pub unit: &'static str,
    pub min: f64,
    pub max: f64,
    /// Three components.
    pub vector: bool,
    /// At power-on of the world; a number stands first.
    pub initial: [f64; 3],
    pub help: &'static str,
}

impl Quantity {
    /// A number.
    pub const fn number(
        name: &'static str,
        unit: &'static str,
        (min, max): (f64, f64),
        initial: f64,
        help: &'static str,
    ) -> Quantity {
        Quantity { name, unit, min, max, vector: false, initial: [initial, 0.0, 0.0], help }
    }

    fn kind(&self) -> ControlKind {
        let (min, max) = (self.min, self.max);
        if self.vector { ControlKind::Vector { min, max } } else { ControlKind::Number { min, max } }
    }
}

/// The values of some quantities, in their order. The world outlives a reset.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct World(Vec<[f64; 3]>);

impl World {
    pub fn new(quantities: &[Quantity]) -> World {
        World(quantities.iter().map(|quantity| quantity.initial).collect())
    }

    /// The value of the number at `index`.
    pub fn number(&self, index: usize) -> f64 {
        self.vector(index)[0]
    }

    /// The value of the vector at `index`.
    pub fn vector(&self, index: usize) -> [f64; 3] {
        self.0.get(index).copied().unwrap_or_default()
    }

    /// Whether it has a value for each of these.
    pub fn fits(&self, quantities: &[Quantity]) -> bool {
        self.0.len() == quantities.len()
    }

    pub fn specs(quantities: &[Quantity]) -> Vec<ControlSpec> {
        let spec = |quantity: &Quantity| ControlSpec {
            name: quantity.name.to_string(),
            unit: quantity.unit,
            kind: quantity.kind(),
            settable: true,
            help: quantity.help,
        };
        quantities.iter().map(spec).collect()
    }

    pub fn get(&self, quantities: &[Quantity], name: &str) -> Option<ControlValue> {
        let index = quantities.iter().position(|quantity| quantity.name == name)?;
        Some(match quantities[index].vector {
            true => ControlValue::Vector(self.vector(index)),
            false => ControlValue::Number(self.number(index)),
        })
    }

    pub fn set(
        &mut self,
        quantities: &[Quantity],
        name: &str,
        value: &ControlValue,
    ) -> Result<(), ControlError> {
        let unknown = || ControlError::Unknown(name.to_string());
        let index = quantities.iter().position(|quantity| quantity.name == name).ok_or_else(unknown)?;
        let quantity = &quantities[index];
        let new = match value {
            ControlValue::Number(x) if !quantity.vector => Some([*x, 0.0, 0.0]),
            ControlValue::Vector(v) if quantity.vector => Some(*v),
            _ => None,
        };
        let range = quantity.min..=quantity.max;
        let used = if quantity.vector { 3 } else { 1 };
        let new = new.filter(|new| new[..used].iter().all(|x| range.contains(x)));
        let wrong = || ControlError::Value {
            name: name.to_string(),
            expected: quantity.kind().to_string(),
            found: value.to_string(),
        };
        *self.0.get_mut(index).ok_or_else(unknown)? = new.ok_or_else(wrong)?;
        Ok(())
    }
}

/// Implements the part of `Component` that concerns the controls, for a chip with a `world`.
macro_rules! world_controls {
    ($quantities:expr) => {
        fn controls(&self) -> Vec<devices_core::ControlSpec> {
            $crate::sensor::world::World::specs($quantities)
        }

        fn control(&self, name: &str) -> Option<devices_core::ControlValue> {
            self.world.get($quantities, name)
        }
    };
}
pub(crate) use world_controls;
