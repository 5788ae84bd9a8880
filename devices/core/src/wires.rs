//! Which output drives which input.

use crate::events::DeviceId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Where a line ends.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Target {
    /// Input of a device.
    Device(DeviceId),
    /// Interrupt input of a core.
    Core(usize),
}

/// A change of level on its way to an input.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signal {
    /// Whose input.
    pub to: Target,
    /// Which input.
    pub input: u32,
    /// The new level.
    pub level: bool,
}

/// All lines of a machine. Several outputs may drive one input: it is high while any of them is.
#[derive(Clone, Default, Debug)]
pub struct Wires {
    targets: BTreeMap<(DeviceId, u32), Vec<(Target, u32)>>,
    levels: Levels,
}

/// The part of [`Wires`] that changes while the machine runs.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Levels {
    outputs: BTreeMap<(DeviceId, u32), bool>,
    drivers: BTreeMap<(Target, u32), u32>,
    pending: VecDeque<Signal>,
}

impl Wires {
    /// Lets `output` of `from` drive `input` of `to`.
    pub fn connect(&mut self, from: DeviceId, output: u32, to: Target, input: u32) {
        let targets = self.targets.entry((from, output)).or_default();
        if !targets.contains(&(to, input)) {
            targets.push((to, input));
        }
    }

    /// Where `output` of `from` leads.
    pub fn targets(&self, from: DeviceId, output: u32) -> &[(Target, u32)] {
        self.targets.get(&(from, output)).map_or(&[], Vec::as_slice)
    }

    /// The level of an output; low if it was never set.
    pub fn level(&self, from: DeviceId, output: u32) -> bool {
        self.levels.outputs.get(&(from, output)).copied().unwrap_or(false)
    }

    /// Sets an output; returns whether an input changed.
    pub fn set(&mut self, from: DeviceId, output: u32, level: bool) -> bool {
        if self.levels.outputs.insert((from, output), level).unwrap_or(false) == level {
            return false;
        }
        let mut changed = false;
        for &(to, input) in self.targets.get(&(from, output)).map_or(&[][..], Vec::as_slice) {
            let drivers = self.levels.drivers.entry((to, input)).or_default();
            let was = *drivers > 0;
            *drivers = if level { *drivers + 1 } else { drivers.saturating_sub(1) };
            if was != (*drivers > 0) {
                self.levels.pending.push_back(Signal { to, input, level });
                changed = true;
            }
        }
        changed
    }

    /// Takes the oldest change that has not been delivered.
    pub fn take(&mut self) -> Option<Signal> {
        self.levels.pending.pop_front()
    }

    /// For saving.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// For restoring: the levels come back, the connections stay.
    pub fn set_levels(&mut self, levels: Levels) {
        self.levels = levels;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_high_while_any_output_is() {
        let mut wires = Wires::default();
        wires.connect(0, 0, Target::Core(0), 9);
        wires.connect(1, 4, Target::Core(0), 9);
        assert!(wires.set(0, 0, true));
        assert!(!wires.set(0, 0, true));
        assert!(!wires.set(1, 4, true));
        assert!(!wires.set(0, 0, false));
        assert!(wires.set(1, 4, false));
        let levels: Vec<_> = std::iter::from_fn(|| wires.take()).map(|signal| signal.level).collect();
        assert_eq!(levels, [true, false]);
    }
}
