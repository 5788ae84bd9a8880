//! Pixels: a window into the screen that primitives draw to, clipped and with alpha.

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
                *p = p.blend(color, (coverage + 1) * alpha >> 8);
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
            if y < y0 + width || y >= y1 - width {
                self.shaded(y, x0, x1, color, |x| outer.coverage(x, y) - inner.coverage(x, y).min(outer.coverage(x, y)));
                continue;
            }
            let inset = outer.inset(y).max(width);
            for (a, b) in [(x0, x0 + inset), (x1 - inset, x1)] {
                self.shaded(y, a, b, color, |x| {
                    let covered = outer.coverage(x, y);
                    covered - inner.coverage(x, y).min(covered)
                });
            }
        }
    }

    /// A soft light or shadow that `panel` casts: fading to nothing over `spread` pixels around its shape moved down by
    /// `drop`. What the panel itself covers is left out, so that panels may be translucent.
    pub fn glow(&mut self, panel: Rectangle, radius: i32, drop: i32, spread: i32, color: Color) {
        let hole = Rounded::new(panel, radius);
        let shape = Rounded::new(Rectangle::new(panel.top_left + Point::new(0, drop), panel.size), radius);
        let (x0, y0, x1, y1) = shape.edges;
        let full = 16 * spread.max(1) as u32;
        let fade = |d: u32| {
            let left = (full.saturating_sub(d) << 8) / full;
            (left * left >> 8).min(255)
        };
        let radius = hole.radius;
        for y in self.rows(crate::rect(x0 - spread, y0 - spread, x1 - x0 + 2 * spread, y1 - y0 + 2 * spread)) {
            let mut ends = |inset: i32| {
                for (a, b) in [(x0 - spread, x0 + inset), (x1 - inset, x1 + spread)] {
                    self.shaded(y, a, b, color, |x| fade(shape.distance(x, y)) * (255 - hole.coverage(x, y)) / 255);
                }
            };
            if y >= hole.edges.1 && y < hole.edges.3 {
                ends(hole.inset(y));
            } else {
                ends(radius);
                let level = fade(shape.distance(x0 + radius, y));
                self.span(y, x0 + radius, x1 - radius, color.scaled(level + 1));
            }
        }
    }

    /// An arc of a ring inside `r`, clockwise from the turn `from` over `sweep` (65536 is a whole turn, 0 is up).
    pub fn arc(&mut self, r: Rectangle, thickness: i32, from: u32, sweep: u32, color: Color) {
        let size = r.size.width.min(r.size.height) as i32;
        // Sixteenths of a pixel, measured from the centre.
        let (cx, cy) = (r.top_left.x * 16 + r.size.width as i32 * 8, r.top_left.y * 16 + r.size.height as i32 * 8);
        let (outer, inner) = (size * 8, size * 8 - thickness * 16);
        let middle = (outer + inner) / 2;
        let end = |turn: u32| {
            (crate::trig::sin(turn) * (middle / 4) >> 13, -(crate::trig::cos(turn) * (middle / 4)) >> 13)
        };
        let (start, stop) = (end(from), end(from.wrapping_add(sweep)));
        let whole = sweep >= 0xffff;
        let half = thickness * 8;
        let (x0, _, x1, _) = edges(r);
        for y in self.rows(r) {
            let dy = y * 16 + 8 - cy;
            self.shaded(y, x0, x1, color, |x| {
                let dx = x * 16 + 8 - cx;
                let squared = dx * dx + dy * dy;
                if squared > (outer + 16) * (outer + 16) || squared < (inner - 16).max(0).pow(2) {
                    return 0;
                }
                let d = (squared as u32).isqrt() as i32;
                let ring = edge(outer - d).min(edge(d - inner));
                let cross = |v: (i32, i32)| i64::from(v.0) * i64::from(dy) - i64::from(v.1) * i64::from(dx);
                let inside = match sweep {
                    _ if whole => true,
                    0..0x8000 => cross(start) >= 0 && cross(stop) < 0,
                    _ => cross(start) >= 0 || cross(stop) < 0,
                };
                if inside {
                    return ring;
                }
                let cap = |v: (i32, i32)| {
                    let (ex, ey) = (dx - v.0, dy - v.1);
                    edge(half - ((ex * ex + ey * ey) as u32).isqrt() as i32)
                };
                cap(start).max(cap(stop))
            });
        }
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

/// Coverage of a pixel whose centre lies `inside` sixteenths of a pixel inside an edge.
#[inline]
fn edge(inside: i32) -> u32 {
    ((inside + 8) * 16).clamp(0, 255) as u32
}

/// Geometry of a rounded rectangle.
struct Rounded {
    edges: (i32, i32, i32, i32),
    radius: i32,
}

impl Rounded {
    fn new(r: Rectangle, radius: i32) -> Self {
        Self { edges: edges(r), radius: radius.min(r.size.width as i32 / 2).min(r.size.height as i32 / 2).max(0) }
    }

    /// How many columns at each end of row `y` may be partly covered.
    fn inset(&self, y: i32) -> i32 {
        let (_, y0, _, y1) = self.edges;
        if y < y0 + self.radius || y >= y1 - self.radius { self.radius } else { 0 }
    }

    /// Distance in sixteenths of a pixel from the pixel's centre to the core, the rectangle shrunk by the radius.
    #[inline]
    fn to_core(&self, x: i32, y: i32) -> u32 {
        let (x0, y0, x1, y1) = self.edges;
        let outside = |v: i32, low: i32, high: i32| {
            let v = v * 16 + 8;
            (low * 16 - v).max(v - high * 16).max(0) as u32
        };
        let dx = outside(x, x0 + self.radius, x1 - self.radius);
        let dy = outside(y, y0 + self.radius, y1 - self.radius);
        if dx == 0 || dy == 0 { dx + dy } else { (dx * dx + dy * dy).isqrt() }
    }

    #[inline]
    fn coverage(&self, x: i32, y: i32) -> u32 {
        let (x0, y0, x1, y1) = self.edges;
        if x < x0 || x >= x1 || y < y0 || y >= y1 {
            return 0;
        }
        edge(self.radius * 16 - self.to_core(x, y) as i32)
    }

    /// Distance outside the shape in sixteenths of a pixel; 0 inside.
    #[inline]
    fn distance(&self, x: i32, y: i32) -> u32 {
        self.to_core(x, y).saturating_sub(self.radius as u32 * 16)
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
