//! Pixels: a window into the screen that primitives draw to, clipped and with alpha.

use alloc::vec::Vec;
use core::convert::Infallible;

use embedded_graphics::{
    Pixel as EgPixel,
    draw_target::DrawTarget,
    geometry::Dimensions,
    pixelcolor::{Rgb888, RgbColor},
};

use crate::{Backdrop, Color, Point, Rectangle, raster::Mask};

/// A pixel format.
pub trait Pixel: Copy + PartialEq {
    /// The pixel of an opaque colour.
    fn new(color: Color) -> Self;
    /// Its red, green and blue, 8 bits each.
    fn rgb(self) -> (u32, u32, u32);
    /// `color` over this pixel, with `alpha` from 0 to 256 in place of the colour's own.
    #[must_use]
    fn blend(self, color: Color, alpha: u32) -> Self;
}

/// 32 bits: blue in the low byte, then green, red and an unused byte (DRM's XRGB8888, virtio-gpu's B8G8R8X8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Xrgb8888(pub u32);

impl Pixel for Xrgb8888 {
    #[inline]
    fn new(color: Color) -> Self {
        Self(color.0 | 0xff00_0000)
    }

    #[inline]
    fn rgb(self) -> (u32, u32, u32) {
        (self.0 >> 16 & 0xff, self.0 >> 8 & 0xff, self.0 & 0xff)
    }

    #[inline]
    fn blend(self, color: Color, alpha: u32) -> Self {
        // Red and blue share one multiplication: 8 bits times at most 256 leaves them apart.
        let mix = |shift: u32, mask: u32| {
            let (old, new) = (self.0 >> shift & mask, color.0 >> shift & mask);
            (new.wrapping_mul(alpha).wrapping_add(old.wrapping_mul(256 - alpha)) >> 8 & mask) << shift
        };
        Self(0xff00_0000 | mix(0, 0x00ff_00ff) | mix(8, 0x0000_00ff))
    }
}

/// 16 bits: red 5, green 6, blue 5, as small displays take them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Rgb565(pub u16);

impl Pixel for Rgb565 {
    fn new(color: Color) -> Self {
        let (r, g, b) = color.rgb_tuple();
        Self((r >> 3 << 11 | g >> 2 << 5 | b >> 3) as u16)
    }

    fn rgb(self) -> (u32, u32, u32) {
        let (r, g, b) = (self.0 as u32 >> 11, self.0 as u32 >> 5 & 63, self.0 as u32 & 31);
        (r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2)
    }

    fn blend(self, color: Color, alpha: u32) -> Self {
        let (old, new) = (self.rgb(), color.rgb_tuple());
        let mix = |o: u32, n: u32| (n * alpha + o * (256 - alpha)) >> 8;
        Self::new(Color::rgb_u32(mix(old.0, new.0), mix(old.1, new.1), mix(old.2, new.2)))
    }
}

/// The same 16 bits as a serial bus carries them, high byte first.
pub type WireRgb565 = [u8; 2];

impl Pixel for WireRgb565 {
    fn new(color: Color) -> Self {
        Rgb565::new(color).0.to_be_bytes()
    }

    fn rgb(self) -> (u32, u32, u32) {
        Rgb565(u16::from_be_bytes(self)).rgb()
    }

    fn blend(self, color: Color, alpha: u32) -> Self {
        Rgb565(u16::from_be_bytes(self)).blend(color, alpha).0.to_be_bytes()
    }
}

/// A buffer that holds `area` of the screen. Drawing uses screen coordinates and stays inside the clip rectangle.
pub struct Canvas<'a, P> {
    pixels: &'a mut [P],
    area: Rectangle,
    clip: Rectangle,
}

/// Edges of a rectangle: left, top, and the first column and row beyond it.
#[inline]
pub(crate) fn edges(r: Rectangle) -> (i32, i32, i32, i32) {
    (r.top_left.x, r.top_left.y, r.top_left.x + r.size.width as i32, r.top_left.y + r.size.height as i32)
}

impl<'a, P: Pixel> Canvas<'a, P> {
    /// `pixels` holds the rows of `area` one after another; drawing is clipped to `clip` and to what the slice holds.
    pub fn new(pixels: &'a mut [P], area: Rectangle, clip: Rectangle) -> Self {
        Self { clip: area.intersection(&clip), pixels, area }
    }

    /// What drawing may touch.
    #[must_use]
    pub fn clip(&self) -> Rectangle {
        self.clip
    }

    /// Narrows the clip rectangle while `draw` runs.
    pub fn clipped(&mut self, to: Rectangle, draw: impl FnOnce(&mut Self)) {
        let outer = self.clip;
        self.clip = outer.intersection(&to);
        draw(self);
        self.clip = outer;
    }

    /// The clipped part of row `y` between `x0` and `x1`, and the column it starts at.
    #[inline]
    fn row(&mut self, y: i32, x0: i32, x1: i32) -> (i32, &mut [P]) {
        let (left, top, right, bottom) = edges(self.clip);
        let (x0, x1) = (x0.max(left), x1.min(right));
        if y < top || y >= bottom || x0 >= x1 {
            return (x0, &mut []);
        }
        let start = (y - self.area.top_left.y) as usize * self.area.size.width as usize;
        let offset = |x: i32| start + (x - self.area.top_left.x) as usize;
        (x0, self.pixels.get_mut(offset(x0)..offset(x1)).unwrap_or_default())
    }

    fn rows(&self, r: Rectangle) -> core::ops::Range<i32> {
        let (_, top, _, bottom) = edges(r.intersection(&self.clip));
        top..bottom
    }

    /// One run of pixels; the colour's alpha and `coverage` (0 to 255) decide how much of it shows.
    #[inline]
    fn span(&mut self, y: i32, x0: i32, x1: i32, color: Color) {
        let alpha = color.alpha_256();
        let (_, row) = self.row(y, x0, x1);
        if alpha >= 256 {
            row.fill(P::new(color));
        } else {
            row.iter_mut().for_each(|p| *p = p.blend(color, alpha));
        }
    }

    /// A row of pixels whose coverage `at(x)` is 0 to 255.
    #[inline]
    fn shaded(&mut self, y: i32, x0: i32, x1: i32, color: Color, mut at: impl FnMut(i32) -> u32) {
        let alpha = color.alpha_256();
        let (start, row) = self.row(y, x0, x1);
        for (x, p) in (start..).zip(row) {
            let coverage = at(x);
            if coverage > 0 {
                *p = p.blend(color, ((coverage + 1) * alpha) >> 8);
            }
        }
    }

    /// Puts the backdrop back.
    pub fn restore(&mut self, backdrop: &Backdrop) {
        let (left, _, right, _) = edges(self.clip);
        for y in self.rows(self.clip) {
            let (x, row) = self.row(y, left, right);
            backdrop.row(y, x, row);
        }
    }

    /// Copies the clipped part of a whole-screen picture of `width` columns.
    pub fn copy(&mut self, picture: &[P], width: usize) {
        let (left, _, right, _) = edges(self.clip);
        for y in self.rows(self.clip) {
            let (x, row) = self.row(y, left, right);
            let from = y as usize * width + x as usize;
            if let Some(source) = picture.get(from..from + row.len()) {
                row.copy_from_slice(source);
            }
        }
    }

    /// A rounded rectangle that blends from `top` to `bottom`.
    pub fn rounded(&mut self, r: Rectangle, radius: i32, top: Color, bottom: Color) {
        let shape = Rounded::new(r, radius);
        let (x0, y0, x1, _) = edges(r);
        for y in self.rows(r) {
            let color = top.mix(bottom, (y - y0) as u32 * 256 / r.size.height.max(1));
            let inset = shape.inset(y);
            self.span(y, x0 + inset, x1 - inset, color);
            if inset > 0 {
                self.shaded(y, x0, x0 + inset, color, |x| shape.coverage(x, y));
                self.shaded(y, x1 - inset, x1, color, |x| shape.coverage(x, y));
            }
        }
    }

    /// The outline of a rounded rectangle, `width` pixels inside its edge.
    pub fn rounded_border(&mut self, r: Rectangle, radius: i32, width: i32, color: Color) {
        let outer = Rounded::new(r, radius);
        let (x0, y0, x1, y1) = edges(r);
        let inner = crate::rect(x0 + width, y0 + width, x1 - x0 - 2 * width, y1 - y0 - 2 * width);
        let inner = Rounded::new(inner, (outer.radius - width).max(0));
        for y in self.rows(r) {
            // Only the corners need thought.
            let flat = y < y0 + width || y >= y1 - width;
            let inset = outer.inset(y).max(width);
            if flat {
                self.span(y, x0 + inset, x1 - inset, color);
            }
            for (a, b) in [(x0, x0 + inset), (x1 - inset, x1)] {
                self.shaded(y, a, b, color, |x| {
                    let covered = outer.coverage(x, y);
                    if covered == 0 { 0 } else { covered - inner.coverage(x, y).min(covered) }
                });
            }
        }
    }

    /// A soft light or shadow around `panel`.
    pub(crate) fn glow(&mut self, panel: Rectangle, halo: &Halo, color: Color) {
        let (x0, y0, x1, y1) = edges(panel);
        let Halo { radius, drop, spread, .. } = *halo;
        let (left, right) = (x0 - spread, x1 + spread);
        for y in self.rows(crate::rect(left, y0 + drop - spread, right - left, y1 - y0 + 2 * spread)) {
            let levels = halo.row(y - (y0 + drop - spread), y1 - y0);
            let level = |i: i32| levels.get(i as usize).map_or(0, |&l| u32::from(l));
            self.shaded(y, left, x0 + radius, color, |x| level(x - left));
            self.shaded(y, x1 - radius, right, color, |x| level(right - 1 - x));
            let middle = level(spread + radius);
            if middle > 0 {
                self.span(y, x0 + radius, x1 - radius, color.scaled(middle + 1));
            }
        }
    }

    /// An arc of a ring inside `r`, clockwise from the turn `from` over `sweep` (65536 is a whole turn, 0 is up).
    pub fn arc(&mut self, r: Rectangle, thickness: i32, from: u32, sweep: u32, color: Color) {
        let size = r.size.width.min(r.size.height) as i32;
        // Sixteenths of a pixel, measured from the centre.
        let (cx, cy) =
            (r.top_left.x * 16 + r.size.width as i32 * 8, r.top_left.y * 16 + r.size.height as i32 * 8);
        let (outer, inner) = (size * 8, size * 8 - thickness * 16);
        let middle = (outer + inner) / 2;
        let end = |turn: u32| {
            ((crate::trig::sin(turn) * (middle / 4)) >> 13, -(crate::trig::cos(turn) * (middle / 4)) >> 13)
        };
        let (start, stop) = (end(from), end(from.wrapping_add(sweep)));
        let whole = sweep >= 0xffff;
        let half = thickness * 8;
        // A clip rectangle that lies inside the ring's hole, or outside of it, sees nothing of it.
        let (x0, y0, x1, y1) = edges(self.clip.intersection(&r));
        let near = |low: i32, high: i32, c: i32| (low * 16 - c).max(c - high * 16).max(0);
        let far = |low: i32, high: i32, c: i32| (low * 16 - c).abs().max((high * 16 - c).abs());
        let square = |x: i32, y: i32| x * x + y * y;
        if square(near(x0, x1, cx), near(y0, y1, cy)) > (outer + 16) * (outer + 16)
            || inner > 16 && square(far(x0, x1, cx), far(y0, y1, cy)) < (inner - 16) * (inner - 16)
        {
            return;
        }
        // Half the ring's width along a row, in whole pixels, rounded outwards or inwards.
        let reach = |radius: i32, dy: i32| (radius * radius - dy * dy).max(0).isqrt() / 16;
        let center = cx / 16;
        for y in self.rows(r) {
            let dy = y * 16 + 8 - cy;
            let coverage = |x: i32| {
                let dx = x * 16 + 8 - cx;
                let d = ((dx * dx + dy * dy) as u32).isqrt() as i32;
                let ring = edge(outer - d).min(edge(d - inner));
                let cross = |v: (i32, i32)| i64::from(v.0) * i64::from(dy) - i64::from(v.1) * i64::from(dx);
                let inside = match sweep {
                    _ if whole => true,
                    0..0x8000 => cross(start) >= 0 && cross(stop) < 0,
                    _ => cross(start) >= 0 || cross(stop) < 0,
                };
                if inside || ring == 0 {
                    return ring;
                }
                let cap = |v: (i32, i32)| {
                    let (ex, ey) = (dx - v.0, dy - v.1);
                    edge(half - ((ex * ex + ey * ey) as u32).isqrt() as i32)
                };
                cap(start).max(cap(stop))
            };
            let (far, near) = (reach(outer + 16, dy) + 2, reach((inner - 16).max(0), dy) - 2);
            if near > 0 {
                self.shaded(y, center - far, center - near, color, coverage);
                self.shaded(y, center + near, center + far, color, coverage);
            } else {
                self.shaded(y, center - far, center + far, color, coverage);
            }
        }
    }

    /// A stroke with round ends between two points given in sixteenths of a pixel, `width` sixteenths wide.
    pub fn stroke(&mut self, from: Point, to: Point, width: i32, color: Color) {
        let stroke = Stroke::new(from, to, width);
        let bounds = stroke.bounds();
        if bounds.intersection(&self.clip).is_zero_sized() {
            return;
        }
        let (x0, _, x1, _) = edges(bounds);
        for y in self.rows(bounds) {
            let (left, right) = stroke.reach(y);
            self.shaded(y, left.max(x0), right.min(x1), color, |x| stroke.coverage(x, y));
        }
    }

    /// A curve in `r` through `points`, one each `step` pixels from one step before the left edge on; 0 is the bottom, 254
    /// the top, and 255 leaves a gap. Curves in neighbouring rectangles that share three points join without a seam.
    pub fn curve(&mut self, r: Rectangle, points: &[u8], step: i32, width: i32, color: Color) {
        let (x0, _, _, y1) = edges(r);
        let room = (r.size.height as i32 * 16 - width).max(0);
        let at = |i: usize| {
            let level = points.get(i).copied().filter(|&p| p != u8::MAX)?;
            let y = y1 * 16 - width / 2 - i32::from(level) * room / 254;
            Some(Point::new((x0 + (i as i32 - 1) * step) * 16, y))
        };
        let strokes: Vec<_> =
            (1..points.len()).map(|i| at(i - 1).zip(at(i)).map(|(a, b)| Stroke::new(a, b, width))).collect();
        let near = (width / 16 + step) / step.max(1);
        self.clipped(r, |canvas| {
            let (left, _, right, _) = edges(r);
            for y in canvas.rows(r) {
                canvas.shaded(y, left, right, color, |x| {
                    let i = (x - x0) / step.max(1) + 1;
                    let range = (i - near).max(0) as usize..((i + near + 1) as usize).min(strokes.len());
                    let covered = strokes[range.start.min(range.end)..range.end].iter().flatten();
                    covered.map(|s| s.coverage(x, y)).max().unwrap_or(0)
                });
            }
        });
    }

    /// A glyph with its pen at `pen`.
    pub(crate) fn mask(&mut self, mask: &Mask, pen: Point, color: Color) {
        let (left, top) = (pen.x + mask.left, pen.y + mask.top);
        let (_, clip_top, _, clip_bottom) = edges(self.clip);
        for (y, coverage) in (top..).zip(mask.alpha.chunks_exact(mask.width.max(1))) {
            if y < clip_top || y >= clip_bottom {
                continue;
            }
            self.shaded(y, left, left + mask.width as i32, color, |x| {
                coverage.get((x - left) as usize).map_or(0, |&c| u32::from(c))
            });
        }
    }
}

/// The radius that fits a rectangle.
pub(crate) fn limit(r: Rectangle, radius: i32) -> i32 {
    radius.min(r.size.width as i32 / 2).min(r.size.height as i32 / 2).max(0)
}

/// Coverage of a pixel whose centre lies `inside` sixteenths of a pixel inside an edge.
#[inline]
fn edge(inside: i32) -> u32 {
    ((inside + 8) * 16).clamp(0, 255) as u32
}

/// Geometry of a stroke: ends and width in sixteenths of a pixel.
pub(crate) struct Stroke {
    from: Point,
    to: Point,
    half: i32,
    length: i32,
}

impl Stroke {
    pub fn new(from: Point, to: Point, width: i32) -> Self {
        let (dx, dy) = (i64::from(to.x - from.x), i64::from(to.y - from.y));
        Self { from, to, half: width / 2, length: ((dx * dx + dy * dy).isqrt() as i32).max(1) }
    }

    /// Every pixel that it may touch.
    pub fn bounds(&self) -> Rectangle {
        let (low, high) = (self.from.component_min(self.to), self.from.component_max(self.to));
        let floor = |v: i32| (v - self.half - 8).div_euclid(16);
        let ceil = |v: i32| (v + self.half + 8).div_euclid(16) + 1;
        let (x, y) = (floor(low.x), floor(low.y));
        crate::rect(x, y, ceil(high.x) - x, ceil(high.y) - y)
    }

    /// The columns of row `y` that it may touch.
    fn reach(&self, y: i32) -> (i32, i32) {
        let (dx, dy) = (self.to.x - self.from.x, self.to.y - self.from.y);
        if dy == 0 {
            return (i32::MIN, i32::MAX);
        }
        let across = (i64::from(self.half + 24) * i64::from(self.length) / i64::from(dy.abs())) as i32;
        let x = self.from.x + (i64::from(y * 16 + 8 - self.from.y) * i64::from(dx) / i64::from(dy)) as i32;
        ((x - across).div_euclid(16), (x + across).div_euclid(16) + 2)
    }

    /// How much of a pixel it covers, 0 to 255.
    #[inline]
    fn coverage(&self, x: i32, y: i32) -> u32 {
        let (px, py) = (x * 16 + 8 - self.from.x, y * 16 + 8 - self.from.y);
        let (dx, dy) = (self.to.x - self.from.x, self.to.y - self.from.y);
        let along = px * dx + py * dy;
        let root = |x: i32, y: i32| (x * x + y * y).isqrt();
        let distance = if along <= 0 {
            root(px, py)
        } else if along >= dx * dx + dy * dy {
            root(px - dx, py - dy)
        } else {
            (px * dy - py * dx).abs() / self.length
        };
        edge(self.half - distance)
    }
}

/// Where part of a ring lies, as [`Canvas::arc`] draws it.
pub(crate) fn arc_bounds(r: Rectangle, thickness: i32, from: u32, sweep: u32) -> Rectangle {
    let size = r.size.width.min(r.size.height) as i32;
    let (cx, cy) = (r.top_left.x * 2 + r.size.width as i32, r.top_left.y * 2 + r.size.height as i32);
    // Half pixels; the ends, and the extremes between them.
    let radius = i64::from(size - thickness);
    let at = |turn: u32| {
        let part = |v: i32| ((i64::from(v) * radius) >> 15) as i32;
        (cx + part(crate::trig::sin(turn)), cy - part(crate::trig::cos(turn)))
    };
    let (mut low, mut high) = (at(from), at(from));
    let quarters = (1..=4).map(|q| (from / 0x4000 + q) * 0x4000).filter(|&turn| turn - from < sweep);
    for (x, y) in quarters.map(at).chain([at(from.wrapping_add(sweep))]) {
        (low, high) = ((low.0.min(x), low.1.min(y)), (high.0.max(x), high.1.max(y)));
    }
    let margin = thickness + 4;
    let (x, y) = ((low.0 - margin).div_euclid(2), (low.1 - margin).div_euclid(2));
    crate::rect(x, y, (high.0 + margin + 1).div_euclid(2) - x, (high.1 + margin + 1).div_euclid(2) - y)
}

/// Geometry of a rounded rectangle.
struct Rounded {
    edges: (i32, i32, i32, i32),
    radius: i32,
    /// Squares of the distances from a corner's centre up to which pixels are wholly inside, and from which outside.
    inside: i32,
    outside: i32,
}

impl Rounded {
    fn new(r: Rectangle, radius: i32) -> Self {
        let radius = limit(r, radius);
        let square = |v: i32| v.max(0) * v.max(0);
        Self { edges: edges(r), radius, inside: square(radius * 16 - 8), outside: square(radius * 16 + 8) }
    }

    /// How many columns at each end of row `y` may be partly covered.
    fn inset(&self, y: i32) -> i32 {
        let (_, y0, _, y1) = self.edges;
        if y < y0 + self.radius || y >= y1 - self.radius { self.radius } else { 0 }
    }

    /// How far the pixel's centre is outside the core, the rectangle shrunk by the radius, along x and y in sixteenths of
    /// a pixel.
    #[inline]
    fn beyond_core(&self, x: i32, y: i32) -> (u32, u32) {
        let (x0, y0, x1, y1) = self.edges;
        let outside = |v: i32, low: i32, high: i32| {
            let v = v * 16 + 8;
            (low * 16 - v).max(v - high * 16).max(0) as u32
        };
        (outside(x, x0 + self.radius, x1 - self.radius), outside(y, y0 + self.radius, y1 - self.radius))
    }

    #[inline]
    fn coverage(&self, x: i32, y: i32) -> u32 {
        let (x0, y0, x1, y1) = self.edges;
        if x < x0 || x >= x1 || y < y0 || y >= y1 {
            return 0;
        }
        let (dx, dy) = self.beyond_core(x, y);
        if dx == 0 || dy == 0 {
            return edge(self.radius * 16 - (dx + dy) as i32);
        }
        // Most pixels are well inside or outside and need no root.
        let square = (dx * dx + dy * dy) as i32;
        match square {
            _ if square <= self.inside => 255,
            _ if square >= self.outside => 0,
            _ => edge(self.radius * 16 - square.isqrt()),
        }
    }
}

/// The light around panels of one kind: how bright it is beside a corner, as levels from 0 to 255.
///
/// It fades to nothing over `spread` pixels around the panel's shape moved down by `drop`; what the panel itself covers is
/// left out, so that panels may be translucent. The left half serves the right one too, and one row all straight ones.
pub(crate) struct Halo {
    radius: i32,
    drop: i32,
    spread: i32,
    /// Height of the panel the levels were made for: as much as holds both corners and one straight row.
    height: i32,
    levels: Vec<u8>,
}

impl Halo {
    /// Height of the panel to make levels for, where one of `height` is drawn.
    pub fn height(height: i32, radius: i32, drop: i32) -> i32 {
        height.min(2 * radius + drop + 1)
    }

    /// Its `height` is from [`Self::height`], its radius at most half the panel's sides.
    pub fn new(height: i32, radius: i32, drop: i32, spread: i32) -> Self {
        let width = 2 * radius + 1;
        let hole = Rounded::new(crate::rect(0, 0, width, height), radius);
        let shape = Rounded::new(crate::rect(0, drop, width, height), radius);
        let full = 16 * spread.max(1) as u32;
        let mut levels = Vec::with_capacity(((height + 2 * spread) * (spread + radius + 1)).max(0) as usize);
        for y in drop - spread..drop + height + spread {
            let mut root = (spread + radius) as u32 * 16;
            for x in -spread..=radius {
                let (dx, dy) = shape.beyond_core(x, y);
                let square = dx * dx + dy * dy;
                // The root of the pixel before is near: two of Newton's steps suffice.
                root = u32::midpoint(root, square / root.max(1));
                root = u32::midpoint(root, square / root.max(1));
                let outside = root.saturating_sub(radius as u32 * 16);
                let left = (full.saturating_sub(outside) << 8) / full;
                let level = ((left * left) >> 8).min(255);
                levels.push((level * (255 - hole.coverage(x, y)) / 255) as u8);
            }
        }
        Self { radius, drop, spread, height, levels }
    }

    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        self.levels.len()
    }

    /// The levels of row `y` from the top of the light, around a panel of `height`.
    fn row(&self, y: i32, height: i32) -> &[u8] {
        let top = self.spread + self.radius;
        let y = if y <= top { y } else { (y - (height - self.height)).max(top) };
        let columns = (self.spread + self.radius + 1) as usize;
        self.levels.chunks_exact(columns).nth(y as usize).unwrap_or_default()
    }
}

impl<P: Pixel> Dimensions for Canvas<'_, P> {
    fn bounding_box(&self) -> Rectangle {
        self.area
    }
}

/// Anything that embedded-graphics can draw, a program may draw on a canvas too.
impl<P: Pixel> DrawTarget for Canvas<'_, P> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = EgPixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for EgPixel(at, color) in pixels {
            self.fill_solid(&crate::rect(at.x, at.y, 1, 1), color)?;
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), Infallible> {
        let color = Color::rgb(color.r(), color.g(), color.b());
        let (x0, _, x1, _) = edges(*area);
        for y in self.rows(*area) {
            self.span(y, x0, x1, color);
        }
        Ok(())
    }
}
