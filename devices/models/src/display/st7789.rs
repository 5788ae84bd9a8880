//! Sitronix ST7789V: controller of a liquid-crystal screen of up to 240 by 320 pixels, on a four-line serial bus.
//!
//! Follows the data sheet ST7789V 1.4 (2014): the commands of its chapter 9.1, the frame rate of `FRCTRL2` and
//! `PORCTRL` for the tearing effect, and the pixel formats of the serial interface with the extension of `RAMCTRL`.
//! What chapter 9.2 has besides (voltages, gamma, gates) is taken and has no effect.
//!
//! The frame memory has 18 bits a pixel. The glass shows its first `width` columns and `height` rows; a normally
//! black glass (`hyperemu,normally-black`) wants the inverted picture, which is what `INVON` is sent for. The
//! backlight's lamps hang on `backlight-gpios`, each twice as bright as the one before, and may be modulated; without
//! the property it is always on.
//!
//! Pins: `reset-gpios` (active low), `dc-gpios` (high for data). Output line 0 is TE, high in the vertical blank.
//!
//! Left out: the times that software has to wait for, horizontal tearing effect (`TEON` with 1), the parallel and RGB
//! interfaces, the two-lane serial mode, brightness control (`WRDISBV`), and programming of the identification.

mod settings;

use self::settings::{Settings, madctl};
use crate::gpio::duty::Duty;
use devices_core::pins::{self, BACKLIGHT, DATA_COMMAND, Pin, RESET};
use devices_core::spi::{BuiltSpi, SpiModel, SpiTarget};
use devices_core::{BuildError, Component, Ctx, Display, Field, Frame, Node, Port, RestoreError, state};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: SpiModel =
    SpiModel { compatible: &["sitronix,st7789v"], summary: "ST7789V screen controller", build };

/// Columns and rows of the frame memory.
const COLUMNS: u16 = 240;
const ROWS: u16 = 320;
const LAMPS: usize = 3;
const PINS: usize = BACKLIGHT + LAMPS;
/// `RDDID`, and one by one `RDID1` to `RDID3`.
const ID: [u8; 3] = [0x85, 0x85, 0x52];

/// Opcodes.
mod op {
    pub const NOP: u8 = 0x00;
    pub const SWRESET: u8 = 0x01;
    pub const RDDID: u8 = 0x04;
    pub const RDDST: u8 = 0x09;
    pub const RDDPM: u8 = 0x0a;
    pub const RDDMADCTL: u8 = 0x0b;
    pub const RDDCOLMOD: u8 = 0x0c;
    pub const RDDIM: u8 = 0x0d;
    pub const RDDSM: u8 = 0x0e;
    pub const RDDSDR: u8 = 0x0f;
    pub const SLPIN: u8 = 0x10;
    pub const SLPOUT: u8 = 0x11;
    pub const PTLON: u8 = 0x12;
    pub const NORON: u8 = 0x13;
    pub const INVOFF: u8 = 0x20;
    pub const INVON: u8 = 0x21;
    pub const DISPOFF: u8 = 0x28;
    pub const DISPON: u8 = 0x29;
    pub const CASET: u8 = 0x2a;
    pub const RASET: u8 = 0x2b;
    pub const RAMWR: u8 = 0x2c;
    pub const RAMRD: u8 = 0x2e;
    pub const PTLAR: u8 = 0x30;
    pub const VSCRDEF: u8 = 0x33;
    pub const TEOFF: u8 = 0x34;
    pub const TEON: u8 = 0x35;
    pub const MADCTL: u8 = 0x36;
    pub const VSCRSADD: u8 = 0x37;
    pub const IDMOFF: u8 = 0x38;
    pub const IDMON: u8 = 0x39;
    pub const COLMOD: u8 = 0x3a;
    pub const RAMWRC: u8 = 0x3c;
    pub const RAMRDC: u8 = 0x3e;
    pub const RAMCTRL: u8 = 0xb0;
    pub const PORCTRL: u8 = 0xb2;
    pub const FRCTRL2: u8 = 0xc6;
    pub const RDID1: u8 = 0xda;
    pub const RDID3: u8 = 0xdc;

    /// Commands that exist, and change nothing that can be seen here.
    pub fn is_silent(opcode: u8) -> bool {
        matches!(opcode, 0x26 | 0x44 | 0x51 | 0x53 | 0x55 | 0x5e)
            || matches!(opcode, 0xb1 | 0xb3 | 0xb5 | 0xb7 | 0xb8 | 0xba..=0xbd | 0xc0..=0xca | 0xcc)
            || matches!(opcode, 0xd0 | 0xd2 | 0xdf..=0xe4 | 0xe7..=0xe9 | 0xec | 0xfa | 0xfc | 0xfe)
    }
}

/// The chip without its surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    settings: Settings,
    /// 18 bits a pixel: red, green, blue.
    memory: Vec<u32>,
    command: u8,
    /// Bytes since the command.
    count: u32,
    parameters: [u8; 8],
    /// The command is one to read, until the chip is released.
    reading: bool,
    /// The next pixel.
    column: u16,
    row: u16,
    /// Bytes of a pixel on its way.
    part: [u8; 2],
    parts: u8,
    pins: [Pin; PINS],
    duties: [Duty; LAMPS],
    /// TE is high.
    blank: bool,
}

impl State {
    fn new() -> State {
        State {
            settings: Settings::default(),
            memory: vec![0; usize::from(COLUMNS) * usize::from(ROWS)],
            command: op::NOP,
            count: 0,
            parameters: [0; 8],
            reading: false,
            column: 0,
            row: 0,
            part: [0; 2],
            parts: 0,
            pins: [Pin::default(); PINS],
            duties: Default::default(),
            blank: false,
        }
    }

    /// By the pin or the command: the memory and what is outside stay.
    fn reset(&mut self) {
        self.settings = Settings::default();
        (self.command, self.count, self.reading, self.parts) = (op::NOP, 0, false, 0);
        (self.column, self.row) = (0, 0);
    }

    /// Steps to the next pixel; gives where this one is.
    fn step(&mut self) -> Option<usize> {
        let cell = self.settings.cell(self.column, self.row);
        let next = |at: u16, [first, last]: [u16; 2]| if at >= last { first } else { at + 1 };
        if self.column >= self.settings.columns[1] {
            self.row = next(self.row, self.settings.rows);
        }
        self.column = next(self.column, self.settings.columns);
        cell
    }

    fn pixel(&mut self, red: u8, green: u8, blue: u8) {
        if let Some(cell) = self.step().and_then(|cell| self.memory.get_mut(cell)) {
            *cell = u32::from(red & 0x3f) << 12 | u32::from(green & 0x3f) << 6 | u32::from(blue & 0x3f);
        }
    }

    /// The lowest bit of red or blue in a format of five bits.
    fn extended(&self, value: u8, green: u8) -> u8 {
        let low = match self.settings.ramctrl[1] >> 4 & 3 {
            0 => 0,
            1 => 1,
            2 => value >> 4,
            // The grey stays grey.
            _ if value == green >> 1 => green & 1,
            _ => value >> 4,
        };
        value << 1 | low
    }

    /// A byte of pixels.
    fn pixels(&mut self, byte: u8) {
        let [a, b] = self.part;
        match (self.settings.colmod & 7, self.parts) {
            // 12 bits: two pixels in three bytes.
            (3, 1) => {
                self.pixel_of_12(a >> 4, a & 0xf, byte >> 4);
                (self.part[0], self.parts) = (byte, 2);
            }
            (3, 2) => {
                self.pixel_of_12(a & 0xf, byte >> 4, byte & 0xf);
                self.parts = 0;
            }
            (5, 1) => {
                let little = self.settings.ramctrl[1] & 0x08 != 0;
                let word = u16::from_be_bytes(if little { [byte, a] } else { [a, byte] });
                let (red, green, blue) = ((word >> 11) as u8, (word >> 5 & 0x3f) as u8, (word & 0x1f) as u8);
                self.pixel(self.extended(red, green), green, self.extended(blue, green));
                self.parts = 0;
            }
            // 18 bits, the highest of each byte; 24 bits are cut to them.
            (6 | 7, 2) => {
                self.pixel(a >> 2, b >> 2, byte >> 2);
                self.parts = 0;
            }
            (6 | 7, 1) => (self.part[1], self.parts) = (byte, 2),
            (3 | 5 | 6 | 7, _) => (self.part[0], self.parts) = (byte, 1),
            _ => {}
        }
    }

    fn pixel_of_12(&mut self, red: u8, green: u8, blue: u8) {
        let extended = |value: u8| match self.settings.ramctrl[1] >> 4 & 3 {
            0 => value << 2,
            1 => value << 2 | 3,
            _ => value << 2 | value >> 2,
        };
        self.pixel(extended(red), extended(green), extended(blue));
    }

    /// A command; whether it exists.
    fn begin(&mut self, opcode: u8) -> bool {
        (self.command, self.count, self.parts, self.reading) = (opcode, 0, 0, false);
        let settings = &mut self.settings;
        match opcode {
            op::SWRESET => self.reset(),
            op::SLPIN => settings.awake = false,
            op::SLPOUT => settings.awake = true,
            op::PTLON => (settings.partial, settings.scrolling) = (true, false),
            op::NORON => (settings.partial, settings.scrolling) = (false, false),
            op::INVOFF => settings.inverted = false,
            op::INVON => settings.inverted = true,
            op::DISPOFF => settings.on = false,
            op::DISPON => settings.on = true,
            op::TEOFF => settings.tearing = false,
            op::TEON => settings.tearing = true,
            op::IDMOFF => settings.idle = false,
            op::IDMON => settings.idle = true,
            op::RAMWR | op::RAMRD => {
                (self.column, self.row) = (settings.columns[0], settings.rows[0]);
                self.reading = opcode == op::RAMRD;
            }
            op::RAMRDC | op::RDDID | op::RDDST..=op::RDDSDR | op::RDID1..=op::RDID3 => self.reading = true,
            op::NOP | op::CASET | op::RASET | op::PTLAR | op::VSCRDEF | op::MADCTL | op::VSCRSADD => {}
            op::COLMOD | op::RAMWRC | op::RAMCTRL | op::PORCTRL | op::FRCTRL2 => {}
            _ => return op::is_silent(opcode),
        }
        true
    }

    /// A byte after a command that is written.
    fn data(&mut self, byte: u8) {
        if matches!(self.command, op::RAMWR | op::RAMWRC) {
            return self.pixels(byte);
        }
        let Some(parameter) = self.parameters.get_mut(self.count as usize) else { return };
        *parameter = byte;
        self.count += 1;
        let words: [u16; 4] =
            std::array::from_fn(|n| u16::from_be_bytes([self.parameters[2 * n], self.parameters[2 * n + 1]]));
        let whole =
            if self.count.is_multiple_of(2) { (self.count as usize / 2).checked_sub(1) } else { None };
        let index = self.count as usize - 1;
        let settings = &mut self.settings;
        let set = |words: &[u16; 4], into: &mut [u16]| {
            if let Some(n) = whole
                && let Some(value) = into.get_mut(n)
            {
                *value = words[n];
            }
        };
        match self.command {
            op::CASET => set(&words, &mut settings.columns),
            op::RASET => set(&words, &mut settings.rows),
            op::PTLAR => set(&words, &mut settings.area),
            op::VSCRDEF => set(&words, &mut settings.scroll),
            op::VSCRSADD if whole == Some(0) => {
                (settings.start, settings.scrolling) = (words[0], !settings.partial);
            }
            op::TEON if index == 0 => settings.tearing_mode = byte & 1,
            op::MADCTL if index == 0 => settings.madctl = byte & 0xfc,
            op::COLMOD if index == 0 => settings.colmod = byte,
            op::RAMCTRL if index < 2 => settings.ramctrl[index] = byte,
            op::PORCTRL if index < 2 => settings.porch[index] = byte,
            op::FRCTRL2 if index == 0 => settings.rate = byte,
            _ => {}
        }
    }

    /// The byte that the chip sends `count` bytes after a command to read.
    fn answer(&mut self) -> u8 {
        let index = self.count as usize;
        self.count = self.count.saturating_add(1);
        let settings = &self.settings;
        // One clock is lost before the answers of more than a byte.
        let shifted = |bytes: &[u8]| {
            let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
            match index.checked_sub(1) {
                None => at(0) >> 1,
                Some(before) => at(before) << 7 | at(index) >> 1,
            }
        };
        match self.command {
            op::RDDID => shifted(&ID),
            op::RDDST => shifted(&settings.status().to_be_bytes()),
            op::RDDPM => settings.power_mode(),
            op::RDDMADCTL => settings.madctl,
            op::RDDCOLMOD => settings.colmod,
            op::RDDIM => u8::from(settings.scrolling) << 7 | u8::from(settings.inverted) << 5,
            op::RDDSM => u8::from(settings.tearing) << 7 | settings.tearing_mode << 6,
            op::RDID1..=op::RDID3 => ID[usize::from(self.command - op::RDID1)],
            // A byte of dummies, then three bytes a pixel.
            op::RAMRD | op::RAMRDC if index > 0 => {
                let part = (index - 1) % 3;
                if part == 0 {
                    let pixel = self.step().and_then(|cell| self.memory.get(cell)).copied().unwrap_or(0);
                    let [red, green, blue] = [12, 6, 0].map(|shift| (pixel >> shift & 0x3f) as u8);
                    self.part = [green, blue];
                    return red << 2;
                }
                self.part[part - 1] << 2
            }
            _ => 0,
        }
    }
}

/// A screen.
struct St7789 {
    state: State,
    width: u16,
    height: u16,
    normally_black: bool,
    /// For each lamp, whether it is lit by a low pin.
    lamps: Vec<bool>,
    generation: u64,
}

/// Event tokens: a lamp's modulation ended; TE changes.
const TOKEN_LAMP: u32 = 0;
const TOKEN_TEARING: u32 = LAMPS as u32;
const LINE_TE: u32 = 0;

fn build(node: &dyn Node, _seed: u64) -> BuiltSpi {
    let size = |property: &str, most: u16| match node.u32(property) {
        None => Ok(most),
        Some(value) if value != 0 && value <= most.into() => Ok(value as u16),
        Some(value) => {
            Err(BuildError::property(property, format!("{value} pixels; 1 to {most} are possible")))
        }
    };
    let lamps = node.cells("backlight-gpios").unwrap_or_default();
    if lamps.len() > 3 * LAMPS {
        return Err(BuildError::property("backlight-gpios", format!("at most {LAMPS} lamps are possible")));
    }
    Ok(Box::new(St7789 {
        state: State::new(),
        width: size("width", COLUMNS)?,
        height: size("height", ROWS)?,
        normally_black: node.has("hyperemu,normally-black"),
        lamps: lamps.chunks(3).map(|lamp| lamp.get(2).is_some_and(|flags| flags & 1 != 0)).collect(),
        generation: 0,
    }))
}

impl St7789 {
    /// How much of the backlight's light there is, from 0 to 255.
    fn light(&self) -> u32 {
        if self.lamps.is_empty() {
            return 255;
        }
        let weighted = |(index, duty): (usize, &Duty)| u32::from(duty.level()) << index;
        let lamps = self.state.duties.iter().take(self.lamps.len()).enumerate();
        lamps.map(weighted).sum::<u32>() / ((1 << self.lamps.len()) - 1)
    }

    /// After a change of the settings.
    fn update(&mut self, ctx: &mut Ctx) {
        self.generation = self.generation.wrapping_add(1);
        let wanted = self.state.settings.tearing && self.state.settings.awake;
        if !wanted {
            self.state.blank = false;
            ctx.cancel(TOKEN_TEARING);
        } else if ctx.due(TOKEN_TEARING).is_none() {
            let (frame, blank) = self.state.settings.frame();
            ctx.schedule_in(TOKEN_TEARING, frame.saturating_sub(blank));
        }
        ctx.set_line(LINE_TE, self.state.blank);
    }

    fn lamp(&mut self, ctx: &mut Ctx, index: usize) {
        let Some(&active_low) = self.lamps.get(index) else { return };
        let (pin, duty) = (self.state.pins[BACKLIGHT + index], &mut self.state.duties[index]);
        let before = duty.level();
        match duty.change(ctx.now(), pin.active(active_low)) {
            Some(at) => ctx.schedule(TOKEN_LAMP + index as u32, at),
            None => ctx.cancel(TOKEN_LAMP + index as u32),
        }
        if duty.level() != before {
            self.generation = self.generation.wrapping_add(1);
        }
    }
}

impl Component for St7789 {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let state: State = state::decode(bytes)?;
        if state.memory.len() != self.state.memory.len() {
            return Err(RestoreError("the frame memory is of another size".to_string()));
        }
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let settings = &self.state.settings;
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        vec![
            field("status", format!("{:#010x}", settings.status())),
            field("MADCTL", format!("{:#04x}", settings.madctl)),
            field("COLMOD", format!("{:#04x}", settings.colmod)),
            field("columns", format!("{} to {}", settings.columns[0], settings.columns[1])),
            field("rows", format!("{} to {}", settings.rows[0], settings.rows[1])),
            field("command", format!("{:#04x}", self.state.command)),
            field("backlight", format!("{} of 255", self.light())),
        ]
    }
}

impl SpiTarget for St7789 {
    fn reset(&mut self, ctx: &mut Ctx) {
        // The pins are driven from outside, which tells their changes only.
        let State { pins, duties, .. } = std::mem::replace(&mut self.state, State::new());
        (self.state.pins, self.state.duties) = (pins, duties);
        self.update(ctx);
    }

    fn select(&mut self, _ctx: &mut Ctx, selected: bool) {
        if !selected {
            self.state.reading = false;
        }
    }

    fn transfer(&mut self, ctx: &mut Ctx, byte: u8) -> u8 {
        if self.state.pins[RESET].low() {
            return 0xff;
        }
        if self.state.reading {
            return self.state.answer();
        }
        if !self.state.pins[DATA_COMMAND].low() {
            self.state.data(byte);
            if !matches!(self.state.command, op::RAMWR | op::RAMWRC) {
                self.update(ctx);
            }
            self.generation = self.generation.wrapping_add(1);
            return 0xff;
        }
        if !self.state.begin(byte) {
            ctx.unimplemented(0x1_0000 | u64::from(byte), true, "command of an ST7789");
        }
        self.update(ctx);
        0xff
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        if let Some(duty) = self.state.duties.get_mut(token as usize) {
            duty.settle(ctx.now());
            self.generation = self.generation.wrapping_add(1);
        } else if token == TOKEN_TEARING {
            self.state.blank = !self.state.blank;
            let (frame, blank) = self.state.settings.frame();
            let next = if self.state.blank { blank } else { frame.saturating_sub(blank) };
            ctx.schedule_in(TOKEN_TEARING, next);
            ctx.set_line(LINE_TE, self.state.blank);
        }
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        match pins::drive(&mut self.state.pins, input, level) {
            Some(RESET) if self.state.pins[RESET].low() => {
                self.state.reset();
                self.update(ctx);
            }
            Some(index) if index >= BACKLIGHT => self.lamp(ctx, index - BACKLIGHT),
            _ => {}
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Display)
    }

    fn display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

impl Display for St7789 {
    fn size(&self) -> (u32, u32) {
        (self.width.into(), self.height.into())
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn copy(&self, into: &mut Frame) {
        into.resize(self.width.into(), self.height.into());
        let settings = &self.state.settings;
        // The eye sees the square root of the light.
        let light = (self.light() * 255).isqrt();
        if !settings.awake || !settings.on || light == 0 {
            return;
        }
        let flip = if settings.inverted == self.normally_black { 0 } else { 0x3f };
        let level = |value: u32| {
            let value = if settings.idle { (value >> 5) * 0x3f } else { value } ^ flip;
            (value << 2 | value >> 4) * light / 255
        };
        let levels: [u32; 64] = std::array::from_fn(|value| level(value as u32));
        let (red, blue) = if settings.is(madctl::BGR) { (0, 12) } else { (12, 0) };
        let rows = into.pixels.chunks_exact_mut(self.width.into());
        for (row, line) in rows.zip(0..self.height) {
            let Some(source) = settings.source(line) else { continue };
            let start = usize::from(source) * usize::from(COLUMNS);
            let cells = self.state.memory.get(start..).unwrap_or_default();
            for (pixel, cell) in row.iter_mut().zip(cells) {
                let level = |shift: u32| levels[(cell >> shift & 0x3f) as usize];
                *pixel = level(red) << 16 | level(6) << 8 | level(blue);
            }
        }
    }
}

#[cfg(test)]
mod tests;
