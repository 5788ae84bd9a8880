//! Which instruction of a unit calls for help: the number that compiled code leaves in [`Frame::exit`]\[0\].

use cpu_core::Frame;

/// Bit of a site's number: see [`Site::sole`].
pub const SOLE: u32 = 1 << 31;

/// An instruction of a unit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Its offset in the page.
    pub offset: u32,
    /// How many of the unit's instructions have not run before it, itself among them.
    pub left: u32,
    /// What it calls for is the only thing it does that can not be undone, and nothing else of it can stop it afterwards.
    pub sole: bool,
}

impl Site {
    /// The number.
    pub fn number(self) -> u32 {
        self.offset << 8 & !SOLE | self.left & 0xff | if self.sole { SOLE } else { 0 }
    }

    /// The site that has called.
    pub fn caller(frame: &Frame) -> Site {
        let number = frame.exit[0].get() as u32;
        Site { offset: (number & !SOLE) >> 8, left: number & 0xff, sole: number & SOLE != 0 }
    }

    /// How many instructions have run before it since compiled code was entered.
    pub fn done(self, frame: &Frame) -> u64 {
        (frame.room.get() - frame.remaining.get() - self.left as i64) as u64
    }
}
