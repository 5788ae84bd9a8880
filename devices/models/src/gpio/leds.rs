//! LEDs on GPIO pins.
//!
//! Follows the devicetree binding `leds/leds-gpio.yaml`. Each child is an LED: a control that can only be read, by its
//! `label`. It is lit while its pin, input line `pin(i)` of child `i`, is at the active level that its `gpios` tell,
//! and dark while the pin is not driven, which input line `floating(i)` tells.

use super::{active_low, label};
use devices_core::device::floating;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, Model, RestoreError, Width, pin, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["gpio-leds"], summary: "LEDs on GPIO pins", rom: &[], ram: &[], build };

/// An LED.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Led {
    /// Name of its control.
    pub name: String,
    /// It is lit while its pin is low.
    pub active_low: bool,
}

/// What arrives at an LED.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Wire {
    level: bool,
    floating: bool,
}

/// LEDs and the levels of their pins.
pub struct GpioLeds {
    leds: Vec<Led>,
    wires: Vec<Wire>,
}

impl GpioLeds {
    /// With these LEDs.
    pub fn new(leds: Vec<Led>) -> GpioLeds {
        GpioLeds { wires: vec![Wire::default(); leds.len()], leds }
    }

    fn lit(&self) -> impl Iterator<Item = (&Led, bool)> {
        let lit = |(led, wire): (_, &Wire)| {
            let led: &Led = led;
            (led, !wire.floating && wire.level != led.active_low)
        };
        self.leds.iter().zip(&self.wires).map(lit)
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let led =
        |node: &dyn devices_core::Node| Led { name: label(node), active_low: active_low(node, "gpios") };
    Ok(Box::new(GpioLeds::new(args.node.children().into_iter().map(led).collect())))
}

impl Component for GpioLeds {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.wires)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let wires: Vec<Wire> = state::decode(bytes)?;
        if wires.len() != self.leds.len() {
            return Err(RestoreError(format!("{} LEDs, not {}", wires.len(), self.leds.len())));
        }
        self.wires = wires;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |led: &Led| ControlSpec {
            name: led.name.clone(),
            unit: "",
            kind: ControlKind::Switch,
            settable: false,
            help: "whether the LED is lit",
        };
        self.leds.iter().map(spec).collect()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.lit().find(|(led, _)| led.name == name).map(|(_, lit)| ControlValue::Switch(lit))
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, _value: &ControlValue) -> Result<(), ControlError> {
        match self.control(name) {
            Some(_) => Err(ControlError::ReadOnly(name.to_string())),
            None => Err(ControlError::Unknown(name.to_string())),
        }
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |(led, lit): (&Led, bool)| Field {
            name: led.name.clone(),
            value: if lit { "lit" } else { "dark" }.to_string(),
        };
        self.lit().map(show).collect()
    }
}

impl Device for GpioLeds {
    // Its state is what the pins do: that comes by the lines, before and after a reset.
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, _ctx: &mut Ctx, _at: At, _width: Width, _value: u64) {}

    fn line(&mut self, _ctx: &mut Ctx, input: u32, level: bool) {
        let wire = |base: u32| input.checked_sub(base).map(|index| index as usize);
        if let Some(wire) = wire(floating(0)).and_then(|index| self.wires.get_mut(index)) {
            wire.floating = level;
        } else if let Some(wire) = wire(pin(0)).and_then(|index| self.wires.get_mut(index)) {
            wire.level = level;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    fn bench() -> Bench<GpioLeds> {
        let green = Led { name: "green".into(), active_low: true };
        let red = Led { name: "red".into(), active_low: false };
        Bench::new(GpioLeds::new(vec![green, red]))
    }

    fn lit(bench: &Bench<GpioLeds>) -> [bool; 2] {
        ["green", "red"].map(|name| bench.device.control(name) == Some(ControlValue::Switch(true)))
    }

    fn drive(bench: &mut Bench<GpioLeds>, input: u32, level: bool) {
        bench.call(|leds, ctx| leds.line(ctx, input, level));
    }

    #[test]
    fn lit_at_the_active_level() {
        let mut bench = bench();
        for index in 0..2 {
            drive(&mut bench, floating(index), true);
        }
        assert_eq!(lit(&bench), [false, false], "nobody drives the pins");
        for index in 0..2 {
            drive(&mut bench, floating(index), false);
        }
        assert_eq!(lit(&bench), [true, false]);
        drive(&mut bench, pin(0), true);
        drive(&mut bench, pin(1), true);
        assert_eq!(lit(&bench), [false, true]);
        bench.check_save_restore();
        let on = ControlValue::Switch(true);
        let set = bench.call(|leds, ctx| leds.set_control(ctx, "red", &on));
        assert_eq!(set, Err(ControlError::ReadOnly("red".into())));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x10);
            for (input, level) in u.arbitrary::<Vec<(u32, bool)>>()? {
                drive(&mut bench, input, level);
            }
            bench.check_save_restore();
            Ok(())
        });
    }
}
