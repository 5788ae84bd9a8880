//! Outlines to coverage: exact area per pixel by signed accumulation, with 8 fractional bits.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use crate::outline::{Segment, Segments};

/// Fractional bits of a coordinate.
const FRACTION: i32 = 8;
const ONE: i32 = 1 << FRACTION;

/// A glyph as coverage (0 to 255) per pixel; `left` and `top` place its rows of `width` relative to the pen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask {
    pub left: i32,
    pub top: i32,
    pub width: usize,
    pub alpha: Vec<u8>,
}

type Fixed = (i32, i32);

/// Accumulators held at once: a glyph is made in strips of as many rows as these cover, so that a watch's memory suffices.
const CELLS: usize = 512;

/// Draws the rows `rows`, counted from the baseline, of `segments` (in 1/1024 em) at `size` pixels an em.
pub(crate) fn fill(segments: Segments, size: u32, rows: Range<i32>) -> Mask {
    let lines = flatten(segments, size);
    let Some(&((x, y), _)) = lines.first() else { return Mask::default() };
    let (mut low, mut high) = ((x, y), (x, y));
    for p in lines.iter().flat_map(|l| [l.0, l.1]) {
        low = (low.0.min(p.0), low.1.min(p.1));
        high = (high.0.max(p.0), high.1.max(p.1));
    }
    let (left, top) = (low.0 >> FRACTION, low.1 >> FRACTION);
    let width = ((high.0 >> FRACTION) - left + 1) as usize;
    let (top, bottom) = (top.max(rows.start), ((high.1 >> FRACTION) + 1).min(rows.end));
    let height = (bottom - top).max(0) as usize;
    // One column more takes what an edge in the last column spills.
    let stride = width + 1;
    let strip = (CELLS / stride).clamp(1, height.max(1));
    let mut area = Area { cells: vec![0; stride * strip], stride };
    let mut alpha = Vec::with_capacity(width * height);
    for first in (0..height).step_by(strip) {
        let count = strip.min(height - first);
        area.cells.fill(0);
        let shift = (left << FRACTION, (top + first as i32) << FRACTION);
        for &(a, b) in &lines {
            area.line((a.0 - shift.0, a.1 - shift.1), (b.0 - shift.0, b.1 - shift.1), count as i32);
        }
        for row in area.cells.chunks_exact(stride).take(count) {
            let mut sum = 0;
            for cell in &row[..width] {
                sum += cell;
                // Full coverage sums to 256 * 512; overlapping contours may exceed it.
                alpha.push((sum.unsigned_abs() >> 9).min(255) as u8);
            }
        }
    }
    Mask { left, top, width, alpha }
}

fn flatten(segments: Segments, size: u32) -> Vec<(Fixed, Fixed)> {
    let scale = |p: Fixed| {
        let fixed = |v: i32| ((i64::from(v) * i64::from(size) * i64::from(ONE) + 512) >> 10) as i32;
        (fixed(p.0), fixed(p.1))
    };
    let mut lines = Vec::new();
    let (mut start, mut at) = ((0, 0), (0, 0));
    for segment in segments {
        match segment {
            Segment::Move(p) => {
                // Contours close themselves.
                lines.push((at, start));
                start = scale(p);
                at = start;
            }
            Segment::Line(p) => {
                let to = scale(p);
                lines.push((at, to));
                at = to;
            }
            Segment::Quad(control, p) => {
                let (c, to) = (scale(control), scale(p));
                let bend = (at.0 - 2 * c.0 + to.0).abs().max((at.1 - 2 * c.1 + to.1).abs());
                // A quarter of the bend over n squared is the error: keep it below 1/16 pixel.
                let steps = ((bend / 64) as u32).isqrt().clamp(1, 32) as i32;
                let (from, mut last) = (at, at);
                for i in 1..=steps {
                    let j = steps - i;
                    let mix =
                        |a: i32, b: i32, d: i32| (a * j * j + 2 * b * i * j + d * i * i) / (steps * steps);
                    let next = if i == steps { to } else { (mix(from.0, c.0, to.0), mix(from.1, c.1, to.1)) };
                    lines.push((last, next));
                    last = next;
                }
                at = to;
            }
        }
    }
    lines.push((at, start));
    lines.retain(|(a, b)| a.1 != b.1);
    lines
}

/// Signed areas: the running sum of a row is its coverage in units of 1/(256 * 512).
struct Area {
    cells: Vec<i32>,
    stride: usize,
}

impl Area {
    /// An edge's part within the first `rows` rows.
    fn line(&mut self, a: Fixed, b: Fixed, rows: i32) {
        let (a, b, sign) = if a.1 < b.1 { (a, b, 1) } else { (b, a, -1) };
        let (dx, dy) = (i64::from(b.0 - a.0), i64::from(b.1 - a.1));
        let (mut x, mut y) = a;
        if y < 0 && b.1 > 0 {
            (x, y) = (a.0 + (i64::from(-a.1) * dx / dy) as i32, 0);
        }
        while y >= 0 && y < b.1.min(rows << FRACTION) {
            let row = y >> FRACTION;
            let next_y = ((row + 1) << FRACTION).min(b.1);
            let next_x = if next_y == b.1 { b.0 } else { a.0 + (i64::from(next_y - a.1) * dx / dy) as i32 };
            self.span(row as usize, x.min(next_x), x.max(next_x), (next_y - y) * sign);
            (x, y) = (next_x, next_y);
        }
    }

    /// An edge of signed height `h` within one row, from `left` to `right`.
    fn span(&mut self, row: usize, left: i32, right: i32, h: i32) {
        let (mut x, mut used) = (left, 0);
        for column in left >> FRACTION..=right >> FRACTION {
            let cell = column << FRACTION;
            let end = right.min(cell + ONE);
            let upto = if end == right { h } else { h * (end - left) / (right - left) };
            let (part, twice) = (upto - used, x - cell + end - cell);
            let at = row * self.stride + column as usize;
            if let Some([here, next]) = self.cells.get_mut(at..at + 2) {
                *here += part * (2 * ONE - twice);
                *next += part * twice;
            }
            (x, used) = (end, upto);
            if end == right {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outline::Outlines;

    /// A set with one glyph: a square from (0, 0) to half an em, 512 units.
    static SQUARE: &[u8] = &[
        b'O', b'U', b'T', b'1', 0, 4, 0, 0, 0, 4, 1, 0, // header
        b'a', 0, 0, 4, 0, 0, // code, advance, offset
        1, 0, // move 0, 0
        0x82, 0x20, 0, // line +512, 0
        2, 0x80, 8, // line 0, +512
        0xfe, 0x1f, 0, // line -512, 0
        0,
    ];

    #[test]
    fn coverage_is_the_area() {
        let glyph = Outlines::new(SQUARE).glyph(u16::from(b'a')).unwrap();
        // Half an em of 5 pixels: 2.5 pixels a side.
        let mask = fill(glyph.segments(), 5, i32::MIN..i32::MAX);
        let rows: Vec<_> = mask.alpha.chunks(mask.width).map(|r| r[..3].to_vec()).collect();
        assert_eq!(rows, [[255, 255, 128], [255, 255, 128], [128, 128, 64]]);
        assert_eq!((mask.left, mask.top), (0, 0));
        let part = fill(glyph.segments(), 5, 1..2);
        assert_eq!((part.top, &part.alpha[..3]), (1, &mask.alpha[mask.width..mask.width + 3]));
    }

    #[test]
    fn an_unknown_glyph_is_none() {
        assert!(Outlines::new(SQUARE).glyph(u16::from(b'b')).is_none());
    }
}
