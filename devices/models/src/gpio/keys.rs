//! Keys and buttons on GPIO pins.
//!
//! Follows the devicetree binding `input/gpio-keys.yaml`. Each child is a button: a switch among the controls, by its
//! `label`, and a key of the host's keyboard, by its `linux,code`. Its pin, output line `pin(i)` of child `i`, is low
//! while it is held if its `gpios` say that it is active low, and high otherwise. A button that gets its level from
//! another pin, which its `enable-gpios` tell, is as if released while that pin, input line `pin(i)`, is not active.
//!
//! Left out: bouncing, `linux,input-type` other than keys, and `interrupts` without `gpios`.

use super::{active_low, label};
use devices_core::pins::{self, Pin};
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, HostInput, Model, Port, RestoreError, Width, pin, state,
};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["gpio-keys", "gpio-keys-polled"],
    summary: "keys on GPIO pins",
    rom: &[],
    ram: &[],
    build,
};

/// A button.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Name of its control.
    pub name: String,
    /// Linux input code.
    pub code: Option<u16>,
    /// Its pin is low while it is held.
    pub active_low: bool,
    /// It needs a pin to be active, at a low level if so.
    pub enable_low: Option<bool>,
}

/// Buttons, and whether each is held: that is the world's, and survives a reset.
pub struct GpioKeys {
    keys: Vec<Key>,
    held: Vec<bool>,
    enables: Vec<Pin>,
}

impl GpioKeys {
    /// With these buttons, none held.
    pub fn new(keys: Vec<Key>) -> GpioKeys {
        GpioKeys { held: vec![false; keys.len()], enables: vec![Pin::default(); keys.len()], keys }
    }

    fn update(&self, ctx: &mut Ctx) {
        for (index, ((key, held), enable)) in self.keys.iter().zip(&self.held).zip(&self.enables).enumerate()
        {
            let closed = *held && key.enable_low.is_none_or(|low| enable.active(low));
            ctx.set_line(pin(index as u32), closed != key.active_low);
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let key = |node: &dyn devices_core::Node| Key {
        name: label(node),
        code: node.u32("linux,code").and_then(|code| code.try_into().ok()),
        active_low: active_low(node, "gpios"),
        enable_low: node.has("enable-gpios").then(|| active_low(node, "enable-gpios")),
    };
    Ok(Box::new(GpioKeys::new(args.node.children().into_iter().map(key).collect())))
}

impl Component for GpioKeys {
    fn save(&self) -> Vec<u8> {
        let GpioKeys { keys: _, held, enables } = self;
        state::encode(&(held, enables))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (held, enables): (Vec<bool>, Vec<Pin>) = state::decode(bytes)?;
        if held.len() != self.keys.len() || enables.len() != self.keys.len() {
            return Err(RestoreError(format!("{} keys, not {}", held.len(), self.keys.len())));
        }
        (self.held, self.enables) = (held, enables);
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |key: &Key| ControlSpec {
            name: key.name.clone(),
            unit: "",
            kind: ControlKind::Switch,
            settable: true,
            help: "whether the button is held",
        };
        self.keys.iter().map(spec).collect()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        let index = self.keys.iter().position(|key| key.name == name)?;
        self.held.get(index).map(|held| ControlValue::Switch(*held))
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let unknown = || ControlError::Unknown(name.to_string());
        let index = self.keys.iter().position(|key| key.name == name).ok_or_else(unknown)?;
        let ControlValue::Switch(held) = value else {
            return Err(ControlError::Value {
                name: name.to_string(),
                expected: ControlKind::Switch.to_string(),
                found: value.to_string(),
            });
        };
        self.held[index] = *held;
        self.update(ctx);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |(key, held): (&Key, &bool)| Field {
            name: key.name.clone(),
            value: if *held { "held" } else { "released" }.to_string(),
        };
        self.keys.iter().zip(&self.held).map(show).collect()
    }
}

impl Device for GpioKeys {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.update(ctx);
    }

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, _ctx: &mut Ctx, _at: At, _width: Width, _value: u64) {}

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        if pins::drive(&mut self.enables, input, level).is_some() {
            self.update(ctx);
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Keyboard)
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Key { code, down } = input {
            for (key, held) in self.keys.iter().zip(&mut self.held) {
                if key.code == Some(*code) {
                    *held = *down;
                }
            }
            self.update(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::device::floating;

    const BTN_0: u16 = 0x100;

    fn bench() -> Bench<GpioKeys> {
        let user = Key { name: "user".into(), code: Some(BTN_0), active_low: true, enable_low: None };
        let power = Key { name: "power".into(), code: Some(116), active_low: false, enable_low: None };
        Bench::new(GpioKeys::new(vec![user, power]))
    }

    #[test]
    fn pins_follow_controls_and_the_keyboard() {
        let mut bench = bench();
        assert_eq!([0, 1].map(|n| bench.line(pin(n))), [true, false], "both released");
        bench
            .call(|keys, ctx| keys.set_control(ctx, "user", &ControlValue::Switch(true)))
            .expect("it is a switch");
        bench.input(HostInput::Key { code: 116, down: true });
        assert_eq!([0, 1].map(|n| bench.line(pin(n))), [false, true]);
        assert_eq!(bench.device.control("power"), Some(ControlValue::Switch(true)));
        bench.check_save_restore();
        bench.call(|keys, ctx| keys.reset(ctx));
        assert!(!bench.line(pin(0)), "a finger stays where it is");
        bench.input(HostInput::Key { code: BTN_0, down: false });
        bench.input(HostInput::Key { code: 30, down: true });
        assert_eq!([0, 1].map(|n| bench.line(pin(n))), [true, true]);
    }

    #[test]
    fn a_button_may_need_another_pin() {
        let side = Key { name: "side".into(), code: None, active_low: false, enable_low: Some(false) };
        let mut bench = Bench::new(GpioKeys::new(vec![side]));
        bench
            .call(|keys, ctx| keys.set_control(ctx, "side", &ControlValue::Switch(true)))
            .expect("it is a switch");
        assert!(!bench.line(pin(0)));
        bench.call(|keys, ctx| {
            keys.line(ctx, floating(0), false);
            keys.line(ctx, pin(0), true);
        });
        assert!(bench.line(pin(0)));
        bench.check_save_restore();
        bench.call(|keys, ctx| keys.line(ctx, floating(0), true));
        assert!(!bench.line(pin(0)));
    }

    #[test]
    fn bad_controls_are_refused() {
        let mut bench = bench();
        let number = ControlValue::Number(1.0);
        assert!(bench.call(|keys, ctx| keys.set_control(ctx, "user", &number)).is_err());
        assert!(bench.call(|keys, ctx| keys.set_control(ctx, "no", &ControlValue::Switch(true))).is_err());
        assert!(bench.device.restore(&state::encode(&vec![true])).is_err());
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            for (code, down) in u.arbitrary::<Vec<(u8, bool)>>()? {
                bench.input(HostInput::Key { code: 100 + u16::from(code), down });
            }
            bench.torture(&bytes, 0x10);
            let held = |name| bench.device.control(name) == Some(ControlValue::Switch(true));
            assert_eq!((bench.line(pin(0)), bench.line(pin(1))), (!held("user"), held("power")));
            bench.check_save_restore();
            Ok(())
        });
    }
}
