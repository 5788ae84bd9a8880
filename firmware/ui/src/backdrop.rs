//! What lies behind everything: a dark gradient with soft lights, dithered so that it shows no bands.

use alloc::vec::Vec;

use crate::{Color, Pixel, Size};

/// Pixels between two nodes of the mesh that colours are interpolated from.
const CELL: usize = 32;

/// A light: centre and radius in 1/1000 of the screen's width and height (radius: of the larger), and its colour.
struct Light {
    x: i32,
    y: i32,
    radius: i32,
    color: Color,
    strength: i64,
}

const TOP: Color = Color::hex(0x0b0f1f);
const BOTTOM: Color = Color::hex(0x07080f);
const LIGHTS: [Light; 4] = [
    Light { x: 120, y: 40, radius: 620, color: Color::hex(0x1e4fb8), strength: 150 },
    Light { x: 930, y: 120, radius: 560, color: Color::hex(0x6a2fb5), strength: 165 },
    Light { x: 620, y: 1080, radius: 480, color: Color::hex(0x0f7f8f), strength: 120 },
    Light { x: 1000, y: 960, radius: 380, color: Color::hex(0xb33a6b), strength: 90 },
];

/// Thresholds of an ordered 4 x 4 dither, in 1/65536 of a colour step.
const DITHER: [[u32; 4]; 4] = [
    [0x0800, 0x8800, 0x2800, 0xa800],
    [0xc800, 0x4800, 0xe800, 0x6800],
    [0x3800, 0xb800, 0x1800, 0x9800],
    [0xf800, 0x7800, 0xd800, 0x5800],
];

/// The backdrop of a screen, as a mesh of colours.
pub struct Backdrop {
    columns: usize,
    rows: usize,
    /// Red, green, blue with 16 fractional bits.
    nodes: Vec<[u32; 3]>,
}

impl Backdrop {
    /// The backdrop of a screen of `size` pixels.
    #[must_use]
    pub fn new(size: Size) -> Self {
        let (columns, rows) = (size.width as usize / CELL + 2, size.height as usize / CELL + 2);
        let mut nodes = Vec::with_capacity(columns * rows);
        let larger = i64::from(size.width.max(size.height).max(1));
        for j in 0..rows {
            for i in 0..columns {
                let (x, y) = ((i * CELL) as i64, (j * CELL) as i64);
                let down = ((y << 16) / i64::from(size.height.max(1))).min(1 << 16);
                let mut rgb = [0, 1, 2].map(|c| {
                    let (top, bottom) = (i64::from(TOP.rgb_parts()[c]), i64::from(BOTTOM.rgb_parts()[c]));
                    (top << 16) + (bottom - top) * down
                });
                for light in &LIGHTS {
                    let dx = x - i64::from(light.x) * i64::from(size.width) / 1000;
                    let dy = y - i64::from(light.y) * i64::from(size.height) / 1000;
                    let radius = i64::from(light.radius) * larger / 1000;
                    let square = ((dx * dx + dy * dy) << 16) / (radius * radius).max(1);
                    // (1 - d^2)^3 falls to zero without an edge.
                    let near = ((1 << 16) - square).max(0);
                    let level = (near * near) >> 16;
                    let level = (((level * near) >> 16) * light.strength) >> 8;
                    for (lane, part) in rgb.iter_mut().zip(light.color.rgb_parts()) {
                        *lane += i64::from(part) * level;
                    }
                }
                nodes.push(rgb.map(|v| v.clamp(0, 254 << 16) as u32));
            }
        }
        Self { columns, rows, nodes }
    }

    /// One colour everywhere.
    #[must_use]
    pub fn plain(color: Color) -> Self {
        Self { columns: 1, rows: 1, nodes: alloc::vec![color.rgb_parts()] }
    }

    /// Writes the pixels of row `y` from column `x` on. Blocks of 2 x 2 pixels share a colour: half the rows are copies.
    pub fn row<P: Pixel>(&self, y: i32, x: i32, mut out: &mut [P]) {
        if let [[r, g, b]] = self.nodes[..] {
            out.fill(P::new(Color::rgb_u32(r, g, b)));
            return;
        }
        let (y, mut x) = (y.max(0) as usize / 2 * 2, x.max(0) as usize);
        let (row, down) = ((y / CELL).min(self.rows - 2), (y % CELL) as i64);
        let node = |column: usize| -> [i64; 3] {
            let at = row * self.columns + column.min(self.columns - 1);
            let (Some(a), Some(b)) = (self.nodes.get(at), self.nodes.get(at + self.columns)) else {
                return [0; 3];
            };
            [0, 1, 2].map(|c| i64::from(a[c]) + (i64::from(b[c]) - i64::from(a[c])) * down / CELL as i64)
        };
        let dither = DITHER[y / 2 % 4].map(|level| pack([i64::from(level); 3]));
        while !out.is_empty() {
            let (column, across) = (x / CELL, x % CELL);
            let count = (CELL - across).min(out.len());
            let (left, right) = (node(column), node(column + 1));
            let step = [0, 1, 2].map(|c| (right[c] - left[c]) / (CELL as i64 / 2));
            let mut at = pack([0, 1, 2].map(|c| left[c] + step[c] * (across / 2) as i64));
            let step = pack(step);
            let (run, rest) = core::mem::take(&mut out).split_at_mut(count);
            let mut index = across / 2;
            let mut next = || {
                let pixel = P::new(unpack(at.wrapping_add(dither[index % 4])));
                at = at.wrapping_add(step);
                index += 1;
                pixel
            };
            // An odd start is the second pixel of its block, an odd end the first of one.
            let (first, run) = run.split_at_mut(across % 2);
            let (blocks, last) = run.as_chunks_mut();
            first.iter_mut().for_each(|p| *p = next());
            for [a, b] in blocks {
                let pixel = next();
                (*a, *b) = (pixel, pixel);
            }
            last.iter_mut().for_each(|p| *p = next());
            (out, x) = (rest, x + count);
        }
    }
}

/// Three lanes of 8 bits and 13 fractional bits in one word: one addition moves all three. Negative lanes borrow from the
/// lane above, which the sum of two packed words makes good.
fn pack(lanes: [i64; 3]) -> i64 {
    let [r, g, b] = lanes.map(|v| v >> 3);
    (r << 42) + (g << 21) + b
}

fn unpack(packed: i64) -> Color {
    let lane = |shift: u32| (packed >> (shift + 13)) as u32 & 0xff;
    Color::rgb_u32(lane(42), lane(21), lane(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Xrgb8888;
    use alloc::vec;

    #[test]
    fn a_part_of_a_row_is_the_same_as_in_the_whole() {
        let backdrop = Backdrop::new(Size::new(300, 200));
        for y in [0, 1, 63, 199] {
            let mut whole = vec![Xrgb8888(0); 300];
            backdrop.row(y, 0, &mut whole);
            for (from, to) in [(0, 1), (1, 2), (31, 65), (33, 300)] {
                let mut part = vec![Xrgb8888(0); to - from];
                backdrop.row(y, from as i32, &mut part);
                assert_eq!(part, whole[from..to], "row {y} from {from}");
            }
        }
    }

    #[test]
    fn lanes_survive_packing() {
        let at =
            pack([200 << 16, 3 << 16, 255 << 16]).wrapping_add(pack([-(9 << 16), 1 << 16, -(255 << 16)]));
        assert_eq!(unpack(at), Color::rgb(191, 4, 0));
    }
}
