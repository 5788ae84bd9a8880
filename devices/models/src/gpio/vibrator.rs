//! A vibration motor on a GPIO pin.
//!
//! Follows the devicetree binding `input/gpio-vibrator.yaml`: the motor turns while `enable-gpios` is at its active
//! level. How fast is a control that can only be read, from 0 to 1, which modulation of the pin makes finer; how often
//! it started is another, for whoever does not look all the time.
//!
//! Left out: the supply, and that a real motor needs time to start and to stop.

use super::active_low;
use super::duty::Duty;
use devices_core::pins::{self, ENABLE, Pin};
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Field, Model, RestoreError, Width, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["gpio-vibrator"], summary: "vibration motor", rom: &[], ram: &[], build };

const LEVEL: &str = "level";
const STARTS: &str = "starts";
const TOKEN: u32 = 0;

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    pins: [Pin; ENABLE + 1],
    duty: Duty,
    starts: u32,
}

/// A motor.
#[derive(Default)]
pub struct Vibrator {
    state: State,
    active_low: bool,
}

impl Vibrator {
    /// One that turns while its pin is low, or high.
    pub fn new(active_low: bool) -> Vibrator {
        Vibrator { state: State::default(), active_low }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Vibrator::new(active_low(args.node, "enable-gpios"))))
}

impl Component for Vibrator {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |name: &str, max, help| ControlSpec {
            name: name.to_string(),
            unit: "",
            kind: ControlKind::Number { min: 0.0, max },
            settable: false,
            help,
        };
        vec![
            spec(LEVEL, 1.0, "how fast the motor turns"),
            spec(STARTS, u32::MAX.into(), "how often the motor started"),
        ]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        match name {
            LEVEL => Some(ControlValue::Number(f64::from(self.state.duty.level()) / 255.0)),
            STARTS => Some(ControlValue::Number(self.state.starts.into())),
            _ => None,
        }
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, _value: &ControlValue) -> Result<(), ControlError> {
        match self.control(name) {
            Some(_) => Err(ControlError::ReadOnly(name.to_string())),
            None => Err(ControlError::Unknown(name.to_string())),
        }
    }

    fn inspect(&self) -> Vec<Field> {
        vec![Field { name: LEVEL.to_string(), value: format!("{} of 255", self.state.duty.level()) }]
    }
}

impl Device for Vibrator {
    // Its state is what the pin does: that comes by the lines, before and after a reset.
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, _ctx: &mut Ctx, _at: At, _width: Width, _value: u64) {}

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        if pins::drive(&mut self.state.pins, input, level) != Some(ENABLE) {
            return;
        }
        let still = self.state.duty.level() == 0;
        match self.state.duty.change(ctx.now(), self.state.pins[ENABLE].active(self.active_low)) {
            Some(at) => ctx.schedule(TOKEN, at),
            None => ctx.cancel(TOKEN),
        }
        if still && self.state.duty.level() != 0 {
            self.state.starts = self.state.starts.wrapping_add(1);
        }
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        self.state.duty.settle(ctx.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::device::floating;
    use devices_core::{Time, pin};

    fn number(bench: &Bench<Vibrator>, name: &str) -> f64 {
        match bench.device.control(name) {
            Some(ControlValue::Number(value)) => value,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn turns_with_its_pin() {
        let mut bench = Bench::new(Vibrator::new(true));
        let drive = |bench: &mut Bench<Vibrator>, line: u32, level: bool| {
            bench.call(|motor, ctx| motor.line(ctx, line, level));
        };
        assert_eq!((number(&bench, LEVEL), number(&bench, STARTS)), (0.0, 0.0));
        drive(&mut bench, pin(ENABLE as u32), true);
        drive(&mut bench, floating(ENABLE as u32), false);
        assert_eq!(number(&bench, LEVEL), 0.0);
        for _ in 0..2 {
            bench.advance(Time::from_ms(500));
            drive(&mut bench, pin(ENABLE as u32), false);
            assert_eq!(number(&bench, LEVEL), 1.0);
            bench.advance(Time::from_ms(50));
            drive(&mut bench, pin(ENABLE as u32), true);
        }
        assert_eq!((number(&bench, LEVEL), number(&bench, STARTS)), (0.0, 2.0));
        bench.check_save_restore();
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let mut bench = Bench::new(Vibrator::new(false));
            for (line, level, us) in u.arbitrary::<Vec<(u32, bool, u16)>>()? {
                let lines = [pin(ENABLE as u32), floating(ENABLE as u32), line];
                bench.call(|motor, ctx| motor.line(ctx, lines[us as usize % 3], level));
                bench.advance(Time::from_us(us.into()));
            }
            assert!((0.0..=1.0).contains(&number(&bench, LEVEL)));
            bench.check_save_restore();
            Ok(())
        });
    }
}
