//! The children of a bus controller: chips that are models inside their controller's model.

use crate::control::{ControlError, ControlSpec, ControlValue};
use crate::ctx::{CHILD, Ctx};
use crate::device::{Component, Field};
use crate::state;
use cpu_core::RestoreError;

/// One chip.
pub struct Child<T: ?Sized> {
    /// Its address on the bus, or its chip select.
    pub key: u32,
    /// Prefix of its controls and fields.
    pub name: String,
    /// The model.
    pub target: Box<T>,
}

/// All chips of one controller, in the order of their nodes. The lines and event tokens of the chip with index `i`
/// are those from [`CHILD`]` * (i + 1)` on.
pub struct Children<T: ?Sized>(Vec<Child<T>>);

impl<T: ?Sized> Default for Children<T> {
    fn default() -> Self {
        Children(Vec::new())
    }
}

impl<T: ?Sized + Component> Children<T> {
    /// Adds a chip.
    pub fn attach(&mut self, key: u32, name: &str, target: Box<T>) {
        self.0.push(Child { key, name: name.to_string(), target });
    }

    /// Index of the chip at `key`.
    pub fn position(&self, key: u32) -> Option<usize> {
        self.0.iter().position(|child| child.key == key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls `f` with a chip and its context; `None` if there is no such chip.
    pub fn with<R>(
        &mut self,
        ctx: &mut Ctx,
        index: usize,
        f: impl FnOnce(&mut T, &mut Ctx) -> R,
    ) -> Option<R> {
        self.0.get_mut(index).map(|child| f(&mut child.target, &mut ctx.child(index)))
    }

    /// The chips, in the order of their nodes.
    pub fn targets(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|child| &*child.target)
    }

    /// The chip that a line or token number belongs to, and the chip's own number for it.
    pub fn owner(&self, number: u32) -> Option<(usize, u32)> {
        let index = ((number / CHILD) as usize).checked_sub(1)?;
        (index < self.0.len()).then_some((index, number % CHILD))
    }

    fn named<'a>(&self, name: &'a str) -> Option<(usize, &'a str)> {
        let (prefix, rest) = name.split_once('.')?;
        Some((self.0.iter().position(|child| child.name == prefix)?, rest))
    }
}

impl<T: ?Sized + Component> Component for Children<T> {
    fn save(&self) -> Vec<u8> {
        let targets: Vec<Vec<u8>> = self.0.iter().map(|child| child.target.save()).collect();
        state::encode(&targets)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let targets: Vec<Vec<u8>> = state::decode(bytes)?;
        if targets.len() != self.0.len() {
            return Err(RestoreError(format!("{} chips on the bus, not {}", targets.len(), self.0.len())));
        }
        self.0.iter_mut().zip(&targets).try_for_each(|(child, bytes)| child.target.restore(bytes))
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let mut all = Vec::new();
        for child in &self.0 {
            all.extend(child.target.controls().into_iter().map(|mut spec| {
                spec.name = format!("{}.{}", child.name, spec.name);
                spec
            }));
        }
        all
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        let (index, rest) = self.named(name)?;
        self.0[index].target.control(rest)
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let (index, rest) = self.named(name).ok_or_else(|| ControlError::Unknown(name.to_string()))?;
        self.0[index].target.set_control(&mut ctx.child(index), rest, value)
    }

    fn inspect(&self) -> Vec<Field> {
        let mut all = Vec::new();
        for child in &self.0 {
            let prefixed = |field: Field| Field { name: format!("{}.{}", child.name, field.name), ..field };
            all.extend(child.target.inspect().into_iter().map(prefixed));
        }
        all
    }
}
