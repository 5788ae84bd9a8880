//! Outline sets: the glyphs of a font, or our icons, as quadratic contours.
//!
//! A set is `OUT1`, then ascent, descent, capital height and glyph count (16 bits, little endian), then for each glyph its
//! code, advance and offset into the stream that follows. 1024 units make an em and y points down from the baseline
//! (an icon's box starts at 0). A glyph is a row of operations ended by 0: 1 move, 2 line, 3 quadratic. Coordinates are
//! zigzag varint deltas; the operation occupies the low two bits of the first one. `../../art` writes these files.

/// One set, usually `include_bytes!` of a file in `assets`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlines(&'static [u8]);

/// Where a glyph's operations are and how far it moves the pen, in 1/1024 em.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyph {
    pub advance: u16,
    stream: &'static [u8],
}

/// A drawing operation in absolute em units.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Segment {
    Move((i32, i32)),
    Line((i32, i32)),
    Quad((i32, i32), (i32, i32)),
}

const HEADER: usize = 12;
const ENTRY: usize = 6;

impl Outlines {
    pub const fn new(data: &'static [u8]) -> Self {
        assert!(data.len() > HEADER && data[0] == b'O' && data[3] == b'1', "not an outline set");
        Self(data)
    }

    fn u16(self, at: usize) -> u16 {
        self.0.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
    }

    pub fn ascent(self) -> i32 {
        i32::from(self.u16(4))
    }

    pub fn descent(self) -> i32 {
        i32::from(self.u16(6))
    }

    pub fn cap_height(self) -> i32 {
        i32::from(self.u16(8))
    }

    /// The glyph of a character; `None` where the set has none.
    pub fn glyph(self, code: u16) -> Option<Glyph> {
        let count = usize::from(self.u16(10));
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = (low + high) / 2;
            let entry = HEADER + middle * ENTRY;
            match self.u16(entry).cmp(&code) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => {
                    let stream = HEADER + count * ENTRY + usize::from(self.u16(entry + 4));
                    return Some(Glyph { advance: self.u16(entry + 2), stream: self.0.get(stream..)? });
                }
            }
        }
        None
    }
}

impl Glyph {
    pub fn segments(self) -> Segments {
        Segments { stream: self.stream, at: (0, 0) }
    }
}

#[derive(Clone)]
pub(crate) struct Segments {
    stream: &'static [u8],
    at: (i32, i32),
}

impl Segments {
    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in (0..32).step_by(7) {
            let (&byte, rest) = self.stream.split_first()?;
            self.stream = rest;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn point(&mut self, dx: u32) -> Option<(i32, i32)> {
        let dy = self.varint()?;
        let unzigzag = |v: u32| (v >> 1) as i32 ^ -((v & 1) as i32);
        self.at = (self.at.0 + unzigzag(dx), self.at.1 + unzigzag(dy));
        Some(self.at)
    }
}

impl Iterator for Segments {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let first = self.varint()?;
        let op = first & 3;
        if op == 0 {
            return None;
        }
        let a = self.point(first >> 2)?;
        Some(match op {
            1 => Segment::Move(a),
            2 => Segment::Line(a),
            _ => {
                let dx = self.varint()?;
                Segment::Quad(a, self.point(dx)?)
            }
        })
    }
}
