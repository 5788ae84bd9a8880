//! An I2C chip alone on a bus, for tests.

use devices_core::bench::Bench;
use devices_core::i2c::{BuiltI2c, I2cBus, I2cModel};
use devices_core::{
    At, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Field, HostInput, Node, Port,
    RestoreError, Time, Width, state,
};

/// The address of the chip.
const ADDRESS: u8 = 0x55;

/// A node of nothing but its name.
pub struct Plain;

impl Node for Plain {
    fn name(&self) -> &str {
        "chip"
    }
    fn path(&self) -> &str {
        "/chip"
    }
    fn regs(&self) -> &[(u64, u64)] {
        &[]
    }
    fn compatible(&self) -> Vec<&str> {
        Vec::new()
    }
    fn cells(&self, _property: &str) -> Option<Vec<u32>> {
        None
    }
    fn string(&self, _property: &str) -> Option<&str> {
        None
    }
    fn has(&self, _property: &str) -> bool {
        false
    }
    fn children(&self) -> Vec<&dyn Node> {
        Vec::new()
    }
    fn interrupts(&self) -> usize {
        0
    }
}

/// The bus as a device: a write is a start (to read, at offset 0; to write, at 1), a byte (2) or a stop (3); a read
/// takes a byte.
#[derive(Default)]
pub struct Wire(I2cBus);

impl Component for Wire {
    fn save(&self) -> Vec<u8> {
        state::encode(&(self.0.selected(), self.0.children.save()))
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (selected, chips): (Option<usize>, Vec<u8>) = state::decode(bytes)?;
        self.0.children.restore(&chips)?;
        self.0.set_selected(selected);
        Ok(())
    }
    fn controls(&self) -> Vec<ControlSpec> {
        self.0.children.controls()
    }
    fn control(&self, name: &str) -> Option<ControlValue> {
        self.0.children.control(name)
    }
    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.0.children.set_control(ctx, name, value)
    }
    fn inspect(&self) -> Vec<Field> {
        self.0.children.inspect()
    }
}

impl Device for Wire {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.0.reset(ctx);
    }
    fn read(&mut self, ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        self.0.read(ctx).into()
    }
    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        match at.offset {
            0 | 1 => drop(self.0.start(ctx, ADDRESS, at.offset == 0)),
            2 => drop(self.0.write(ctx, value as u8)),
            _ => self.0.stop(ctx),
        }
    }
    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        self.0.event(ctx, token);
    }
    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        self.0.line(ctx, input, level);
    }
    fn ports(&self) -> Vec<Port> {
        self.0.ports()
    }
    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        self.0.host_input(ctx, input);
    }
}

/// The chip, reset, as `chip`.
pub fn bench(model: &I2cModel) -> Bench<Wire> {
    let built: BuiltI2c = (model.build)(&Plain, 1);
    let mut wire = Wire::default();
    wire.0.children.attach(ADDRESS.into(), "chip", built.expect("it needs no properties"));
    Bench::new(wire)
}

/// What a test does with a chip.
pub trait Chip {
    /// Writes bytes; whether all were acknowledged.
    fn send(&mut self, bytes: &[u8]) -> bool;
    /// Reads bytes.
    fn take(&mut self, count: usize) -> Vec<u8>;
    /// Writes bytes, then reads after a repeated start.
    fn ask(&mut self, bytes: &[u8], count: usize) -> Vec<u8>;
    /// Sets a control.
    fn set(&mut self, name: &str, value: ControlValue);
    /// Level of the chip's output line.
    fn output(&self, line: u32) -> bool;
    /// Lets milliseconds pass.
    fn wait_ms(&mut self, ms: u64);
}

impl Chip for Bench<Wire> {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.call(|wire, ctx| {
            let mut all = wire.0.start(ctx, ADDRESS, false);
            for byte in bytes {
                all &= wire.0.write(ctx, *byte);
            }
            wire.0.stop(ctx);
            all
        })
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.ask(&[], count)
    }

    fn ask(&mut self, bytes: &[u8], count: usize) -> Vec<u8> {
        self.call(|wire, ctx| {
            if !bytes.is_empty() {
                assert!(wire.0.start(ctx, ADDRESS, false));
            }
            for byte in bytes {
                assert!(wire.0.write(ctx, *byte));
            }
            assert!(wire.0.start(ctx, ADDRESS, true));
            let read = (0..count).map(|_| wire.0.read(ctx)).collect();
            wire.0.stop(ctx);
            read
        })
    }

    fn set(&mut self, name: &str, value: ControlValue) {
        let name = format!("chip.{name}");
        self.call(|wire, ctx| wire.set_control(ctx, &name, &value)).expect("a control in its range");
    }

    fn output(&self, line: u32) -> bool {
        self.line(devices_core::ctx::CHILD + line)
    }

    fn wait_ms(&mut self, ms: u64) {
        self.advance(Time::from_ms(ms));
    }
}

/// Does anything to the chip; it must not panic, and must save and restore.
pub fn survives_anything(model: &'static I2cModel) {
    arbtest::arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let mut bench = bench(model);
        bench.torture(&bytes, 8);
        for (to, size, value) in u.arbitrary::<Vec<(u8, u8, u32)>>()? {
            bench.send(&[&[to][..], &value.to_le_bytes()[..usize::from(size % 5)]].concat());
            bench.advance(Time::from_us(u64::from(value % 20_000)));
            bench.take(usize::from(size % 16));
        }
        bench.check_save_restore();
        bench.services.events.cancel_all(0);
        bench.call(|wire, ctx| wire.reset(ctx));
        Ok(())
    });
}
