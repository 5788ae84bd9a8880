//! A lithium cell behind a voltage divider, with a charger that tells what it does by two pins.
//!
//! Follows the devicetree bindings `power/supply/battery.yaml` (`ocv-capacity-table-0`, pairs of microvolts and percent
//! from the fullest on) and `iio/afe/voltage-divider.yaml` (`full-ohms`, `output-ohms`). Level and voltage are controls
//! that follow each other by the table. `charge-status-gpios` is low while the cell is charged, `power-present-gpios`
//! while there is a supply, both high otherwise; nothing is charged without a supply.
//!
//! Left out: that charge changes by itself, resistance, and temperature.

use devices_core::analog::{AnalogModel, AnalogSource, BuiltAnalog};
use devices_core::pins::{CHARGE_STATUS, POWER_PRESENT};
use devices_core::{
    BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Field, Node,
    RestoreError, pin, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: AnalogModel =
    AnalogModel { compatible: &["simple-battery"], summary: "battery behind a divider, with charger", build };

const LEVEL: &str = "level";
const VOLTAGE: &str = "voltage";
const CHARGING: &str = "charging";
const POWER: &str = "power";
/// A usual cell, from full to empty: volts and percent.
const USUAL: [(f64, f64); 6] =
    [(4.18, 100.0), (3.979, 79.0), (3.776, 48.0), (3.723, 22.0), (3.616, 3.0), (3.5, 0.0)];
const INITIAL: f64 = 80.0;

/// What the world holds: it survives a reset.
#[derive(Copy, Clone, PartialEq, Debug, Serialize, Deserialize)]
struct State {
    /// Percent.
    level: f64,
    volts: f64,
    charging: bool,
    power: bool,
}

/// A cell.
struct Battery {
    state: State,
    /// Volts and percent, from the fullest on.
    table: Vec<(f64, f64)>,
    /// What the divider leaves.
    part: f64,
}

/// The value at `x` on the line through points that descend.
fn interpolate(points: impl Iterator<Item = (f64, f64)> + Clone, x: f64) -> f64 {
    let pairs = points.clone().zip(points.clone().skip(1));
    let clamp = |x: f64, low: f64, high: f64| x.max(low).min(high);
    for ((x1, y1), (x0, y0)) in pairs {
        if x >= x0 {
            let part = if x1 > x0 { clamp((x - x0) / (x1 - x0), 0.0, 1.0) } else { 1.0 };
            return y0 + (y1 - y0) * part;
        }
    }
    points.last().map_or(0.0, |point| point.1)
}

impl Battery {
    fn new(table: Vec<(f64, f64)>, part: f64) -> Battery {
        let state = State { level: INITIAL, volts: 0.0, charging: false, power: false };
        let mut battery = Battery { state, table, part };
        battery.state.volts = battery.volts_at(INITIAL);
        battery
    }

    fn volts_at(&self, level: f64) -> f64 {
        interpolate(self.table.iter().map(|&(volts, level)| (level, volts)), level)
    }

    fn update(&self, ctx: &mut Ctx) {
        ctx.set_line(pin(CHARGE_STATUS), !(self.state.charging && self.state.power));
        ctx.set_line(pin(POWER_PRESENT), !self.state.power);
    }
}

fn build(node: &dyn Node) -> BuiltAnalog {
    const TABLE: &str = "ocv-capacity-table-0";
    let table = match node.cells(TABLE) {
        None => USUAL.to_vec(),
        Some(cells) => {
            let pair = |pair: &[u32]| (f64::from(pair[0]) / 1e6, f64::from(pair[1]));
            let table: Vec<(f64, f64)> = cells.chunks_exact(2).map(pair).collect();
            let descends = table.windows(2).all(|rows| rows[0].0 > rows[1].0 && rows[0].1 > rows[1].1);
            if cells.len() % 2 != 0 || table.len() < 2 || !descends {
                let message = "two or more pairs of microvolts and percent are expected, the fullest first";
                return Err(BuildError::property(TABLE, message));
            }
            table
        }
    };
    let part = match (node.u32("output-ohms"), node.u32("full-ohms")) {
        (None, None) => 1.0,
        (Some(output), Some(full)) if output <= full && full > 0 => f64::from(output) / f64::from(full),
        _ => {
            let message = "it needs `full-ohms` with it, which is not less";
            return Err(BuildError::property("output-ohms", message));
        }
    };
    Ok(Box::new(Battery::new(table, part)))
}

impl Component for Battery {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |name: &str, unit, kind, help| ControlSpec {
            name: name.to_string(),
            unit,
            kind,
            settable: true,
            help,
        };
        let range = |max| ControlKind::Number { min: 0.0, max };
        vec![
            spec(LEVEL, "%", range(100.0), "how full the battery is"),
            spec(VOLTAGE, "V", range(5.0), "voltage of the battery; follows its level"),
            spec(CHARGING, "", ControlKind::Switch, "whether the charger charges, if there is power"),
            spec(POWER, "", ControlKind::Switch, "whether the charger has power"),
        ]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        Some(match name {
            LEVEL => ControlValue::Number(self.state.level),
            VOLTAGE => ControlValue::Number(self.state.volts),
            CHARGING => ControlValue::Switch(self.state.charging),
            POWER => ControlValue::Switch(self.state.power),
            _ => return None,
        })
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        match (name, value) {
            (LEVEL, ControlValue::Number(level)) => {
                self.state.level = *level;
                self.state.volts = self.volts_at(*level);
            }
            (VOLTAGE, ControlValue::Number(volts)) => {
                self.state.volts = *volts;
                self.state.level = interpolate(self.table.iter().copied(), *volts);
            }
            (CHARGING, ControlValue::Switch(on)) => self.state.charging = *on,
            (POWER, ControlValue::Switch(on)) => self.state.power = *on,
            _ => return Err(ControlError::Unknown(name.to_string())),
        }
        self.update(ctx);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        vec![Field { name: VOLTAGE.to_string(), value: format!("{:.3} V", self.state.volts) }]
    }
}

impl AnalogSource for Battery {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.update(ctx);
    }

    fn volts(&self) -> f64 {
        self.state.volts * self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_and_voltage_follow_each_other() {
        let battery = Battery::new(USUAL.to_vec(), 0.5);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        for (volts, level) in USUAL {
            assert!(close(battery.volts_at(level), volts));
            assert!(close(interpolate(USUAL.into_iter(), volts), level));
        }
        assert!(close(battery.volts_at(35.0), 3.7495));
        assert!(close(interpolate(USUAL.into_iter(), 5.0), 100.0));
        assert!(close(interpolate(USUAL.into_iter(), 3.0), 0.0));
        assert!(close(battery.volts(), battery.volts_at(80.0) / 2.0));
    }
}
