//! Type: measuring and drawing with the three weights of Inter.

use alloc::collections::BTreeMap;

use crate::{
    Canvas, Color, Pixel, Point, Rectangle, Shadow,
    canvas::{Halo, edges, limit},
    icon::Icon,
    outline::Outlines,
    raster::{self, Mask},
    theme::Style,
};

static LIGHT: Outlines = Outlines::new(include_bytes!("../assets/inter-light.out"));
static MEDIUM: Outlines = Outlines::new(include_bytes!("../assets/inter-medium.out"));
static SEMIBOLD: Outlines = Outlines::new(include_bytes!("../assets/inter-semibold.out"));
static ICONS: Outlines = Outlines::new(include_bytes!("../assets/icons.out"));

impl Style {
    const fn weight(self) -> Weight {
        match self {
            Self::Clock | Self::Display | Self::Subtitle => Weight::Light,
            Self::Title | Self::Heading => Weight::SemiBold,
            Self::Body | Self::Caption => Weight::Medium,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Light,
    Medium,
    SemiBold,
    Icon,
}

impl Weight {
    fn outlines(self) -> Outlines {
        match self {
            Self::Light => LIGHT,
            Self::Medium => MEDIUM,
            Self::SemiBold => SEMIBOLD,
            Self::Icon => ICONS,
        }
    }
}

/// What a screen may spend on keeping glyphs and lights.
#[derive(Clone, Copy, Debug)]
pub struct Cache {
    /// What goes beyond this many bytes is dropped and made anew.
    pub bytes: usize,
    /// Glyphs of more pixels an em are made anew each time, only the rows that are drawn.
    pub largest: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self { bytes: 512 << 10, largest: u32::MAX }
    }
}

/// Rasterised glyphs and lights, kept for the next time.
pub(crate) struct Glyphs {
    limit: Cache,
    masks: BTreeMap<(Weight, u16, u32), Mask>,
    /// By height, radius, drop and spread.
    halos: BTreeMap<[i32; 4], Halo>,
    bytes: usize,
}

/// Half the difference of capital and small letters' heights, in 1/1024 em.
const COLON: i32 = 93;

impl Glyphs {
    pub fn new(limit: Cache) -> Self {
        Self { limit, masks: BTreeMap::new(), halos: BTreeMap::new(), bytes: 0 }
    }

    fn draw<P: Pixel>(
        &mut self,
        canvas: &mut Canvas<P>,
        (weight, code, size): (Weight, u16, u32),
        pen: Point,
        color: Color,
    ) {
        let key = (weight, code, size);
        if !self.masks.contains_key(&key) {
            let Some(glyph) = weight.outlines().glyph(code) else { return };
            if size > self.limit.largest {
                let (_, top, _, bottom) = edges(canvas.clip());
                canvas.mask(&raster::fill(glyph.segments(), size, top - pen.y..bottom - pen.y), pen, color);
                return;
            }
            let mask = raster::fill(glyph.segments(), size, i32::MIN..i32::MAX);
            self.account(mask.alpha.len());
            self.masks.insert(key, mask);
        }
        if let Some(mask) = self.masks.get(&key) {
            canvas.mask(mask, pen, color);
        }
    }

    fn account(&mut self, bytes: usize) {
        if self.bytes + bytes > self.limit.bytes {
            self.masks.clear();
            self.halos.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
    }

    /// The shadow or light of a panel.
    pub fn glow<P: Pixel>(&mut self, canvas: &mut Canvas<P>, panel: Rectangle, radius: i32, s: Shadow) {
        let radius = limit(panel, radius);
        let height = Halo::height(panel.size.height as i32, radius, s.drop);
        let key = [height, radius, s.drop, s.spread];
        if !self.halos.contains_key(&key) {
            let halo = Halo::new(height, radius, s.drop, s.spread);
            self.account(halo.size());
            self.halos.insert(key, halo);
        }
        if let Some(halo) = self.halos.get(&key) {
            canvas.glow(panel, halo, s.color);
        }
    }

    /// One line with its baseline's left end at `pen`; `size` in pixels an em.
    pub fn text<P: Pixel>(
        &mut self,
        canvas: &mut Canvas<P>,
        style: Style,
        size: u32,
        pen: Point,
        text: &str,
        color: Color,
    ) {
        let weight = style.weight();
        let mut x = 0;
        for c in text.chars() {
            let code = code(weight.outlines(), c);
            // A colon between figures stands at the middle of their height, not of the small letters'.
            let raise = if style == Style::Clock && c == ':' { (COLON * size as i32) >> 10 } else { 0 };
            let at = Point::new(pen.x + ((x + 512) >> 10), pen.y - raise);
            self.draw(canvas, (weight, code, size), at, color);
            x += advance(style, size, code);
        }
    }

    /// An icon in the box of `size` pixels at `at`.
    pub fn icon<P: Pixel>(&mut self, canvas: &mut Canvas<P>, icon: Icon, size: u32, at: Point, color: Color) {
        self.draw(canvas, (Weight::Icon, icon.0, size), at, color);
    }
}

fn code(outlines: Outlines, c: char) -> u16 {
    u16::try_from(u32::from(c)).ok().filter(|&c| outlines.glyph(c).is_some()).unwrap_or(u16::from(b'?'))
}

/// In 1/1024 pixel. Large sizes are set tighter, as type designers advise.
fn advance(style: Style, size: u32, code: u16) -> i32 {
    let em = style.weight().outlines().glyph(code).map_or(0, |g| i32::from(g.advance));
    let tracking = match style {
        Style::Clock => -30,
        Style::Display => -22,
        Style::Title => -14,
        _ => 0,
    };
    (em + tracking) * size as i32
}

/// Width of a line in pixels, set at `size` pixels an em.
#[must_use]
pub fn width(style: Style, size: u32, text: &str) -> i32 {
    let outlines = style.weight().outlines();
    let sum: i32 = text.chars().map(|c| advance(style, size, code(outlines, c))).sum();
    (sum + 1023) >> 10
}

/// Ascent, descent and height of a capital, in pixels at `size` pixels an em.
#[must_use]
pub fn metrics(style: Style, size: u32) -> (i32, i32, i32) {
    let outlines = style.weight().outlines();
    let pixels = |em: i32| (em * size as i32 + 512) >> 10;
    (pixels(outlines.ascent()), pixels(outlines.descent()), pixels(outlines.cap_height()))
}
