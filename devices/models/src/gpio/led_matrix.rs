//! LEDs in a matrix of rows and columns on GPIO pins.
//!
//! Follows the devicetree binding `nordic,nrf-led-matrix` of Zephyr: `row-gpios`, `col-gpios` and `pixel-mapping`, a byte
//! for each pixel with its row above and its column below. An LED is lit while its row and its column are at their
//! active levels. Guests show one row after the other, and dim by how long: a pixel is as bright as it was lit during
//! the latest frame of 20 ms, where all of the time that one row can have is full brightness.
//!
//! The pixels are a screen, and controls `xNyM` that can only be read. Left out: light sensing by the LEDs.

use devices_core::pins::{Pin, drive};
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Device,
    Display, Field, Frame, Model, Node, Port, RestoreError, Time, Width, pins, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-led-matrix"],
    summary: "LED matrix on GPIO pins",
    rom: &[],
    ram: &[],
    build,
};

const FRAME: Time = Time::from_ms(20);
const TOKEN_FRAME: u32 = 0;
/// Sizes on the screen: of a pixel's field, and of the LED in it.
const FIELD: u32 = 40;
const LED: (u32, u32) = (12, 24);

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    pins: Vec<Pin>,
    /// How long each pixel was lit in this frame, up to `last`.
    lit: Vec<Time>,
    last: Time,
    /// Whether a pin changed in this frame.
    changed: bool,
    /// Of the latest frame.
    levels: Vec<u8>,
    generation: u64,
}

/// The matrix.
pub struct LedMatrix {
    width: u32,
    /// Row and column of each pixel.
    map: Vec<(usize, usize)>,
    rows: usize,
    /// Of rows, then of columns: lit at the low level.
    active_low: Vec<bool>,
    state: State,
}

impl LedMatrix {
    fn new(width: u32, map: Vec<(usize, usize)>, rows: usize, active_low: Vec<bool>) -> LedMatrix {
        let state = State {
            pins: vec![Pin::default(); pins::COLUMNS as usize + active_low.len() - rows],
            lit: vec![Time::ZERO; map.len()],
            last: Time::ZERO,
            changed: false,
            levels: vec![0; map.len()],
            generation: 0,
        };
        LedMatrix { width, map, rows, active_low, state }
    }

    fn is_active(&self, pin: usize, line: usize) -> bool {
        let active_low = self.active_low.get(line).is_some_and(|low| *low);
        self.state.pins.get(pin).is_some_and(|pin| pin.active(active_low))
    }

    /// Counts the time up to now.
    fn settle(&mut self, now: Time) {
        let span = now.saturating_sub(self.state.last);
        self.state.last = now;
        for (index, &(row, column)) in self.map.iter().enumerate() {
            if self.is_active(row, row) && self.is_active(pins::COLUMNS as usize + column, self.rows + column)
            {
                self.state.lit[index] = self.state.lit[index].saturating_add(span);
            }
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let node = args.node;
    let size = |name: &str| {
        let value = node.u32(name).filter(|value| (1..=16).contains(value));
        value.ok_or_else(|| BuildError::property(name, format!("`{name}` must be from 1 to 16")))
    };
    let (width, height) = (size("width")?, size("height")?);
    let (rows, columns) = (lines(node, "row-gpios")?, lines(node, "col-gpios")?);
    let mapping = node.bytes("pixel-mapping").unwrap_or_default();
    let map: Vec<(usize, usize)> =
        mapping.iter().map(|byte| (usize::from(byte >> 4), usize::from(byte & 15))).collect();
    let inside = map.iter().all(|&(row, column)| row < rows.len() && column < columns.len());
    if map.len() != (width * height) as usize || !inside {
        let message = "`pixel-mapping` must be a byte for each pixel, its row above and its column below";
        return Err(BuildError::property("pixel-mapping", message));
    }
    let count = rows.len();
    Ok(Box::new(LedMatrix::new(width, map, count, [rows, columns].concat())))
}

/// Whether each pin of a property is active low.
fn lines(node: &dyn Node, property: &str) -> Result<Vec<bool>, BuildError> {
    let cells = node.cells(property).unwrap_or_default();
    let entries = cells.chunks_exact(3);
    if entries.len() == 0 || entries.len() > pins::COLUMNS as usize || !entries.remainder().is_empty() {
        return Err(BuildError::property(property, format!("`{property}` must be 1 to 16 pins with flags")));
    }
    Ok(entries.map(|entry| entry.get(2).is_some_and(|flags| flags & 1 != 0)).collect())
}

impl Component for LedMatrix {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let state: State = state::decode(bytes)?;
        let shape = |state: &State| (state.pins.len(), state.lit.len(), state.levels.len());
        if shape(&state) != shape(&self.state) {
            return Err(RestoreError("a matrix of another size".into()));
        }
        self.state = state;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let spec = |index: u32| ControlSpec {
            name: format!("x{}y{}", index % self.width, index / self.width),
            unit: "",
            kind: ControlKind::Number { min: 0.0, max: 255.0 },
            settable: false,
            help: "how bright the pixel is",
        };
        (0..self.map.len() as u32).map(spec).collect()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        let (x, y) = name.strip_prefix('x')?.split_once('y')?;
        let (x, y): (u32, u32) = (x.parse().ok()?, y.parse().ok()?);
        let index = y.checked_mul(self.width)?.checked_add(x)?;
        let level = self.state.levels.get(index as usize).filter(|_| x < self.width)?;
        Some(ControlValue::Number((*level).into()))
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, _value: &ControlValue) -> Result<(), ControlError> {
        match self.control(name) {
            Some(_) => Err(ControlError::ReadOnly(name.to_string())),
            None => Err(ControlError::Unknown(name.to_string())),
        }
    }

    fn inspect(&self) -> Vec<Field> {
        let rows = self.state.levels.chunks(self.width as usize).enumerate();
        let show = |(y, row): (usize, &[u8])| {
            let levels: Vec<String> = row.iter().map(|level| format!("{level:3}")).collect();
            Field { name: format!("row {y}"), value: levels.join(" ") }
        };
        rows.map(show).collect()
    }
}

impl Device for LedMatrix {
    // Its state is what the pins do: that comes by the lines, before and after a reset.
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, _ctx: &mut Ctx, _at: At, _width: Width, _value: u64) {}

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        let before = ctx.now();
        let mut pins = self.state.pins.clone();
        if drive(&mut pins, input, level).is_none() {
            return;
        }
        if ctx.due(TOKEN_FRAME).is_none() {
            // A frame starts with the first change after a time without any.
            self.state.last = before;
            self.state.lit.fill(Time::ZERO);
            ctx.schedule_in(TOKEN_FRAME, FRAME);
        }
        self.settle(before);
        self.state.pins = pins;
        self.state.changed = true;
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        self.settle(ctx.now());
        let full = if self.state.changed { FRAME.0 / self.rows.max(1) as u64 } else { FRAME.0 };
        let level = |lit: &Time| (lit.0.saturating_mul(255) / full.max(1)).min(255) as u8;
        let levels: Vec<u8> = self.state.lit.iter().map(level).collect();
        if levels != self.state.levels {
            self.state.levels = levels;
            self.state.generation += 1;
        }
        self.state.lit.fill(Time::ZERO);
        if std::mem::take(&mut self.state.changed) {
            ctx.schedule_in(TOKEN_FRAME, FRAME);
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Display)
    }

    fn display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

impl Display for LedMatrix {
    fn size(&self) -> (u32, u32) {
        (self.width * FIELD, self.map.len() as u32 / self.width * FIELD)
    }

    fn generation(&self) -> u64 {
        self.state.generation
    }

    fn copy(&self, into: &mut Frame) {
        let (width, height) = self.size();
        into.resize(width, height);
        let within = |at: u32, length: u32| {
            let start = (FIELD - length) / 2;
            (start..start + length).contains(&(at % FIELD))
        };
        for y in (0..height).filter(|y| within(*y, LED.1)) {
            for x in (0..width).filter(|x| within(*x, LED.0)) {
                let index = (y / FIELD * self.width + x / FIELD) as usize;
                let level = self.state.levels.get(index).copied().unwrap_or(0);
                if let Some(pixel) = into.pixels.get_mut((y * width + x) as usize) {
                    // An LED that is dark is still there.
                    *pixel = u32::from(level.max(0x20)) << 16;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::device::floating;
    use devices_core::pin;

    /// Two rows, active high, and two columns, active low; the second pixel is crossed.
    fn bench() -> Bench<LedMatrix> {
        let map = vec![(0, 0), (1, 1), (1, 0), (0, 1)];
        let mut bench = Bench::new(LedMatrix::new(2, map, 2, vec![false, false, true, true]));
        for line in [0, 1, pins::COLUMNS, pins::COLUMNS + 1] {
            bench.call(|device, ctx| device.line(ctx, floating(line), false));
        }
        for column in 0..2 {
            set(&mut bench, pins::COLUMNS + column, true);
        }
        bench.advance(Time::from_ms(100));
        bench
    }

    fn set(bench: &mut Bench<LedMatrix>, line: u32, level: bool) {
        bench.call(|device, ctx| device.line(ctx, pin(line), level));
    }

    fn levels(bench: &Bench<LedMatrix>) -> Vec<u8> {
        bench.device.state.levels.clone()
    }

    #[test]
    fn a_multiplexed_picture_has_its_brightness() {
        let mut bench = bench();
        assert_eq!(levels(&bench), [0; 4]);
        // Row 0 shows column 0 all of its time, row 1 column 1 half of its time.
        for _ in 0..20 {
            for row in 0..2 {
                set(&mut bench, row, true);
                set(&mut bench, pins::COLUMNS + row, false);
                bench.advance(Time::from_ms(5));
                if row == 1 {
                    set(&mut bench, pins::COLUMNS + row, true);
                }
                bench.advance(Time::from_ms(5));
                set(&mut bench, pins::COLUMNS + row, true);
                set(&mut bench, row, false);
            }
        }
        assert_eq!(levels(&bench), [255, 127, 0, 0]);
        assert_eq!(bench.device.control("x1y0"), Some(ControlValue::Number(127.0)));
        assert_eq!(bench.device.control("x2y0"), None);
        let mut frame = Frame::default();
        bench.device.copy(&mut frame);
        assert_eq!((frame.width, frame.height, frame.pixels[(20 * 80 + 20) as usize]), (80, 80, 0xff_0000));
        bench.advance(Time::from_ms(100));
        assert_eq!((levels(&bench), bench.services.events.next()), (vec![0; 4], None), "dark, and at rest");
        bench.check_save_restore();
    }

    #[test]
    fn a_pin_that_nobody_drives_lights_nothing() {
        let mut bench = bench();
        set(&mut bench, 0, true);
        set(&mut bench, pins::COLUMNS, false);
        bench.advance(Time::from_ms(100));
        assert_eq!(levels(&bench), [255, 0, 0, 0]);
        bench.call(|device, ctx| device.line(ctx, floating(0), true));
        bench.advance(Time::from_ms(100));
        assert_eq!(levels(&bench), [0; 4]);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            for (line, level) in u.arbitrary::<Vec<(u8, bool)>>()? {
                set(&mut bench, line.into(), level);
            }
            bench.torture(&bytes, 0x10);
            bench.check_save_restore();
            Ok(())
        });
    }
}
