//! What commands set: the window, the scanning, and how the frame memory comes to the glass.

use super::{COLUMNS, ROWS};
use devices_core::Time;
use serde::{Deserialize, Serialize};

/// Of `MADCTL`.
pub mod madctl {
    pub const MY: u8 = 0x80;
    pub const MX: u8 = 0x40;
    pub const MV: u8 = 0x20;
    pub const ML: u8 = 0x10;
    pub const BGR: u8 = 0x08;
    pub const MH: u8 = 0x04;
}

/// What the commands set, back at its default after each reset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub awake: bool,
    pub on: bool,
    pub inverted: bool,
    pub idle: bool,
    pub partial: bool,
    pub scrolling: bool,
    pub tearing: bool,
    pub tearing_mode: u8,
    pub madctl: u8,
    pub colmod: u8,
    pub ramctrl: [u8; 2],
    pub porch: [u8; 2],
    pub rate: u8,
    /// First and last column and row that are written.
    pub columns: [u16; 2],
    pub rows: [u16; 2],
    /// First and last row of the partial area.
    pub area: [u16; 2],
    /// Heights of the fixed area at the top, the scrolling one, and the fixed one at the bottom.
    pub scroll: [u16; 3],
    /// The row that the scrolling area begins with.
    pub start: u16,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            awake: false,
            on: false,
            inverted: false,
            idle: false,
            partial: false,
            scrolling: false,
            tearing: false,
            tearing_mode: 0,
            madctl: 0,
            colmod: 0x66,
            ramctrl: [0x00, 0xf0],
            porch: [0x0c, 0x0c],
            rate: 0x0f,
            columns: [0, COLUMNS - 1],
            rows: [0, ROWS - 1],
            area: [0, ROWS - 1],
            scroll: [0, ROWS, 0],
            start: 0,
        }
    }
}

impl Settings {
    pub fn is(&self, bit: u8) -> bool {
        self.madctl & bit != 0
    }

    /// Where in the memory the guest's column and row are.
    pub fn cell(&self, x: u16, y: u16) -> Option<usize> {
        let (column, row) = if self.is(madctl::MV) { (y, x) } else { (x, y) };
        if column >= COLUMNS || row >= ROWS {
            return None;
        }
        let column = if self.is(madctl::MX) { COLUMNS - 1 - column } else { column };
        let row = if self.is(madctl::MY) { ROWS - 1 - row } else { row };
        Some(usize::from(row) * usize::from(COLUMNS) + usize::from(column))
    }

    /// The row of the memory that row `line` of the glass shows; `None` if that is black.
    pub fn source(&self, line: u16) -> Option<u16> {
        if self.partial {
            let [first, last] = self.area;
            let inside =
                if first <= last { (first..=last).contains(&line) } else { line >= first || line <= last };
            return inside.then_some(line);
        }
        let [top, height, bottom] = self.scroll.map(i32::from);
        if !self.scrolling || height == 0 || top + height + bottom != i32::from(ROWS) {
            return Some(line);
        }
        // Scanned from the bottom, the areas are counted from there.
        let flip = |row: i32| if self.is(madctl::ML) { i32::from(ROWS) - 1 - row } else { row };
        let row = flip(i32::from(line)) - top;
        if !(0..height).contains(&row) {
            return Some(line);
        }
        Some(flip(top + (row + i32::from(self.start) - top).rem_euclid(height)) as u16)
    }

    /// From one frame to the next, and how much of it is blank.
    pub fn frame(&self) -> (Time, Time) {
        let blank = u64::from(self.porch[0] & 0x7f) + u64::from(self.porch[1] & 0x7f);
        let line = 250 + u64::from(self.rate & 0x1f) * 16;
        let time = |lines: u64| Time::of_tick(line * lines, 10_000_000);
        (time(u64::from(ROWS) + blank), time(blank.max(1)))
    }

    pub fn status(&self) -> u32 {
        let bits = [
            (self.awake, 31),
            (self.is(madctl::MY), 30),
            (self.is(madctl::MX), 29),
            (self.is(madctl::MV), 28),
            (self.is(madctl::ML), 27),
            (self.is(madctl::BGR), 26),
            (self.is(madctl::MH), 25),
            (self.idle, 19),
            (self.partial, 18),
            (self.awake, 17),
            (!self.partial, 16),
            (self.scrolling, 15),
            (self.inverted, 13),
            (self.on, 10),
            (self.tearing, 9),
            (self.tearing_mode != 0, 5),
        ];
        bits.iter().fold(u32::from(self.colmod & 7) << 20, |all, (set, bit)| all | u32::from(*set) << bit)
    }

    pub fn power_mode(&self) -> u8 {
        let bits = [
            (self.awake, 7),
            (self.idle, 6),
            (self.partial, 5),
            (self.awake, 4),
            (!self.partial, 3),
            (self.on, 2),
        ];
        bits.iter().fold(0, |all, (set, bit)| all | u8::from(*set) << bit)
    }
}
