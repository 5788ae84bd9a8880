//! What a screen shows, and drawing only what of it changed.

use alloc::{string::String, vec, vec::Vec};

use crate::{
    Backdrop, Canvas, Color, Form, Pixel, Point, Rectangle, Size,
    canvas::{Stroke, arc_bounds, edges},
    damage,
    icon::Icon,
    rect,
    text::{self, Cache, Glyphs},
    theme::Style,
};

/// Where in its box a line of text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// At the left edge.
    Left,
    /// In the middle.
    Center,
    /// At the right edge.
    Right,
}

/// A panel's surface: a colour at the top and one at the bottom.
pub type Fill = (Color, Color);

/// A soft shadow or light around a panel, in logical units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shadow {
    /// How far it reaches.
    pub spread: i32,
    /// How far it is moved down.
    pub drop: i32,
    /// Its colour at the panel's edge.
    pub color: Color,
}

/// Something drawn. All measures are pixels; [`View`] makes them from logical units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Widget {
    /// A line of text; the item's rectangle is its ink and `baseline` the distance of the baseline from its top.
    Text { style: Style, size: u32, baseline: i32, color: Color, text: String },
    /// An icon as large as the item's rectangle.
    Icon { icon: Icon, color: Color },
    /// A rounded rectangle.
    Panel { radius: i32, fill: Fill, border: Option<(i32, Color)>, shadow: Option<Shadow> },
    /// Part of a ring: thickness, start and sweep in 1/65536 turns clockwise from the top.
    Ring { thickness: i32, from: u32, sweep: u32, color: Color },
    /// A stroke with round ends, in sixteenths of a pixel.
    Stroke { from: Point, to: Point, width: i32, color: Color },
    /// Strokes along the radii of the circle in the item's rectangle, so many in a whole turn, from `inner` to `outer`
    /// sixteenths of a pixel; of each `skip` of them, from the top on, the first is left out.
    Ticks { count: u32, skip: u32, inner: i32, outer: i32, width: i32, color: Color },
    /// A part of a curve, as [`Canvas::curve`] draws it.
    Curve { points: [u8; CURVE_POINTS], step: i32, width: i32, color: Color },
}

/// Points of one part of a curve: eight steps, and one more beyond each end.
pub const CURVE_POINTS: usize = 11;

/// What changes of a stroke is drawn again in pieces of about this many pixels: a long slanted one's rectangle is mostly
/// empty.
const PIECE: i32 = 28;

/// A widget and where it is, in pixels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Item {
    rect: Rectangle,
    widget: Widget,
}

impl Item {
    /// Every pixel that drawing may touch.
    fn bounds(&self) -> Rectangle {
        let (x0, y0, x1, y1) = edges(self.rect);
        match &self.widget {
            Widget::Panel { shadow: Some(s), .. } => {
                let shadow = rect(
                    x0 - s.spread,
                    y0 - s.spread + s.drop,
                    x1 - x0 + 2 * s.spread,
                    y1 - y0 + 2 * s.spread,
                );
                damage::union(self.rect, shadow)
            }
            // Glyphs may overhang their advance, and rounding adds a pixel.
            Widget::Text { size, .. } => {
                let margin = *size as i32 / 8 + 2;
                rect(x0 - margin, y0 - 2, x1 - x0 + 2 * margin, y1 - y0 + 4)
            }
            _ => self.rect,
        }
    }

    /// Rectangles that hold every pixel that drawing may touch.
    fn cover(&self, add: &mut impl FnMut(Rectangle)) {
        let Widget::Stroke { from, to, width, .. } = self.widget else { return add(self.bounds()) };
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let pieces = (dx.abs().min(dy.abs()) / 16 / PIECE + 1).min(8);
        let at = |i: i32| Point::new(from.x + dx * i / pieces, from.y + dy * i / pieces);
        (0..pieces).for_each(|i| add(Stroke::new(at(i), at(i + 1), width).bounds()));
    }

    /// Rectangles that hold every pixel that differs once `new` is drawn in place of `self`.
    fn changes(&self, new: &Self, add: &mut impl FnMut(Rectangle)) {
        match (&self.widget, &new.widget) {
            // A ring that grows or shrinks changes where it ends.
            (
                &Widget::Ring { thickness, from, sweep, color },
                &Widget::Ring { thickness: t, from: f, sweep: s, color: c },
            ) if (self.rect, thickness, from, color) == (new.rect, t, f, c) && sweep.max(s) < 0xffff => {
                let (low, high) = (sweep.min(s), sweep.max(s));
                add(arc_bounds(self.rect, thickness, from.wrapping_add(low) & 0xffff, high - low));
            }
            _ => {
                self.cover(add);
                new.cover(add);
            }
        }
    }

    fn paint<P: Pixel>(&self, canvas: &mut Canvas<P>, glyphs: &mut Glyphs) {
        match &self.widget {
            Widget::Text { style, size, baseline, color, text } => {
                let pen = Point::new(self.rect.top_left.x, self.rect.top_left.y + baseline);
                glyphs.text(canvas, *style, *size, pen, text, *color);
            }
            Widget::Icon { icon, color } => {
                glyphs.icon(canvas, *icon, self.rect.size.width, self.rect.top_left, *color);
            }
            Widget::Panel { radius, fill, border, shadow } => {
                if let Some(s) = shadow {
                    glyphs.glow(canvas, self.rect, *radius, *s);
                }
                if fill.0.is_visible() || fill.1.is_visible() {
                    canvas.rounded(self.rect, *radius, fill.0, fill.1);
                }
                if let Some((width, color)) = border.filter(|b| b.1.is_visible()) {
                    canvas.rounded_border(self.rect, *radius, width, color);
                }
            }
            Widget::Ring { thickness, from, sweep, color } => {
                canvas.arc(self.rect, *thickness, *from, *sweep, *color);
            }
            Widget::Stroke { from, to, width, color } => canvas.stroke(*from, *to, *width, *color),
            Widget::Ticks { count, skip, inner, outer, width, color } => {
                let (x0, y0, x1, y1) = edges(self.rect);
                let at = |turn: u32, radius: i32| {
                    let part = |v: i32| (v * radius + (1 << 14)) >> 15;
                    let (sin, cos) = (crate::trig::sin(turn), crate::trig::cos(turn));
                    Point::new((x0 + x1) * 8 + part(sin), (y0 + y1) * 8 - part(cos))
                };
                for i in (0..*count).filter(|i| *skip == 0 || i % skip != 0) {
                    let turn = i * 65_536 / count;
                    canvas.stroke(at(turn, *inner), at(turn, *outer), *width, *color);
                }
            }
            Widget::Curve { points, step, width, color } => {
                canvas.curve(self.rect, points, *step, *width, *color);
            }
        }
    }
}

/// A screen's content being described, in logical units of its [`Form`].
pub struct View {
    form: Form,
    /// Pixels a logical unit, with 16 fractional bits.
    scale: i64,
    origin: Point,
    items: Vec<Item>,
}

impl View {
    /// An empty view of a screen of `screen` pixels; the design is scaled to fit and centred.
    #[must_use]
    pub fn new(screen: Size) -> Self {
        let form = Form::of(screen);
        let design = form.design();
        let ratio = |pixels: u32, units: u32| (i64::from(pixels) << 16) / i64::from(units);
        let scale = ratio(screen.width, design.width).min(ratio(screen.height, design.height));
        let spare = |pixels: u32, units: u32| (pixels as i32 - ((i64::from(units) * scale) >> 16) as i32) / 2;
        let origin = Point::new(spare(screen.width, design.width), spare(screen.height, design.height));
        Self { form, scale, origin, items: Vec::new() }
    }

    /// Makes room for as many items as are to come: a list that grows by itself takes three times the memory for a moment.
    #[must_use]
    pub fn with_capacity(mut self, items: usize) -> Self {
        self.items.reserve_exact(items);
        self
    }

    /// The form the view is laid out for.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    fn px(&self, units: i32) -> i32 {
        ((i64::from(units) * self.scale + 0x8000) >> 16) as i32
    }

    fn place(&self, r: Rectangle) -> Rectangle {
        let (x0, y0, x1, y1) = edges(r);
        let (left, top) = (self.px(x0), self.px(y0));
        rect(left + self.origin.x, top + self.origin.y, self.px(x1) - left, self.px(y1) - top)
    }

    /// The logical point under a pixel, for pointers.
    #[must_use]
    pub fn unit_at(&self, pixel: Point) -> Point {
        let unit = |p: i32| ((i64::from(p) << 16) / self.scale.max(1)) as i32;
        Point::new(unit(pixel.x - self.origin.x), unit(pixel.y - self.origin.y))
    }

    fn push(&mut self, rect: Rectangle, widget: Widget) {
        self.items.push(Item { rect, widget });
    }

    /// A line of text in the box `r`, its capitals centred vertically, cut with an ellipsis where it is too long.
    pub fn text(&mut self, r: Rectangle, align: Align, style: Style, color: Color, text: &str) {
        let size = self.px(self.form.type_size(style) as i32).max(6) as u32;
        let r = self.place(r);
        let text = fit(style, size, text, r.size.width as i32);
        let width = text::width(style, size, &text);
        let (ascent, descent, cap) = text::metrics(style, size);
        let x = r.top_left.x
            + match align {
                Align::Left => 0,
                Align::Center => (r.size.width as i32 - width) / 2,
                Align::Right => r.size.width as i32 - width,
            };
        let baseline = r.top_left.y + (r.size.height as i32 + cap) / 2;
        let ink = rect(x, baseline - ascent, width, ascent + descent);
        self.push(ink, Widget::Text { style, size, baseline: ascent, color, text });
    }

    /// Width of a line in logical units.
    #[must_use]
    pub fn text_width(&self, style: Style, text: &str) -> i32 {
        text::width(style, self.form.type_size(style), text)
    }

    /// An icon in a square of `size` units at `x`, `y`.
    pub fn icon(&mut self, x: i32, y: i32, size: i32, icon: Icon, color: Color) {
        let at = self.place(rect(x, y, size, size));
        let size = self.px(size).max(1);
        self.push(rect(at.top_left.x, at.top_left.y, size, size), Widget::Icon { icon, color });
    }

    /// A rounded rectangle with an optional border (width and colour) and shadow.
    pub fn panel(
        &mut self,
        r: Rectangle,
        radius: i32,
        fill: Fill,
        border: Option<(i32, Color)>,
        shadow: Option<Shadow>,
    ) {
        let border = border.map(|(width, color)| (self.px(width).max(1), color));
        let shadow = shadow.map(|s| Shadow { spread: self.px(s.spread), drop: self.px(s.drop), ..s });
        let (rect, radius) = (self.place(r), self.px(radius));
        self.push(rect, Widget::Panel { radius, fill, border, shadow });
    }

    /// Part of a ring inside the square `r`; angles in 1/65536 turns clockwise from the top.
    pub fn ring(&mut self, r: Rectangle, thickness: i32, from: u32, sweep: u32, color: Color) {
        let thickness = self.px(thickness).max(1);
        self.push(self.place(r), Widget::Ring { thickness, from, sweep, color });
    }

    /// A stroke with round ends; points and width are in sixteenths of a unit.
    pub fn stroke(&mut self, from: Point, to: Point, width: i32, color: Color) {
        let place =
            |p: Point| Point::new(self.px(p.x) + self.origin.x * 16, self.px(p.y) + self.origin.y * 16);
        let (from, to, width) = (place(from), place(to), self.px(width).max(8));
        self.push(Stroke::new(from, to, width).bounds(), Widget::Stroke { from, to, width, color });
    }

    /// `count` ticks around a dial in the square `r`, `length` long from its edge on and `width` wide, in sixteenths of a
    /// unit; of each `skip` ticks from the top on, the first is left out, and with 0 none.
    pub fn ticks(&mut self, r: Rectangle, (count, skip): (u32, u32), length: i32, width: i32, color: Color) {
        let rect = self.place(r);
        let (length, width) = (self.px(length), self.px(width).max(8));
        let outer = rect.size.width.min(rect.size.height) as i32 * 8 - width / 2;
        let inner = outer - length + width;
        self.push(rect, Widget::Ticks { count, skip, inner, outer, width, color });
    }

    /// Eight steps of a curve in `r`; neighbours share three points. See [`Canvas::curve`] for what points mean; `width` is in
    /// sixteenths of a unit.
    pub fn curve(&mut self, r: Rectangle, points: [u8; CURVE_POINTS], width: i32, color: Color) {
        let rect = self.place(r);
        let step = (rect.size.width as i32 / (CURVE_POINTS as i32 - 3)).max(1);
        let width = self.px(width).max(8);
        self.push(rect, Widget::Curve { points, step, width, color });
    }
}

fn fit(style: Style, size: u32, text: &str, width: i32) -> String {
    let mut line = String::from(text);
    if text::width(style, size, &line) > width {
        let ellipsis = text::width(style, size, "…");
        while !line.is_empty() && text::width(style, size, &line) + ellipsis > width {
            line.pop();
        }
        line.truncate(line.trim_end().len());
        line.push('…');
    }
    line
}

/// What is on a screen.
pub struct Ui<P> {
    screen: Size,
    backdrop: Backdrop,
    /// The backdrop drawn once, where memory allows: restoring it is then a copy.
    picture: Vec<P>,
    glyphs: Glyphs,
    items: Vec<Item>,
    drawn: bool,
}

impl<P: Pixel> Ui<P> {
    /// An empty screen of `screen` pixels. `keep_backdrop` trades a screenful of memory for speed.
    #[must_use]
    pub fn new(screen: Size, keep_backdrop: bool) -> Self {
        let backdrop = Backdrop::new(screen);
        let mut picture = Vec::new();
        if keep_backdrop && screen.width > 0 {
            picture = vec![P::new(Color::hex(0)); screen.width as usize * screen.height as usize];
            let width = screen.width as usize;
            for (y, rows) in (0..).step_by(2).zip(picture.chunks_mut(2 * width)) {
                let (even, odd) = rows.split_at_mut(width);
                backdrop.row(y, 0, even);
                odd.copy_from_slice(&even[..odd.len()]);
            }
        }
        let glyphs = Glyphs::new(Cache::default());
        Self { screen, backdrop, picture, glyphs, items: Vec::new(), drawn: false }
    }

    /// An empty screen of one colour, for a machine of little memory.
    #[must_use]
    pub fn plain(screen: Size, color: Color, cache: Cache) -> Self {
        let (backdrop, glyphs) = (Backdrop::plain(color), Glyphs::new(cache));
        Self { screen, backdrop, picture: Vec::new(), glyphs, items: Vec::new(), drawn: false }
    }

    /// Forgets what is on the screen: the next [`Self::update`] asks for all of it.
    pub fn forget(&mut self) {
        self.drawn = false;
    }

    /// Makes `view` the content and returns the rectangles, in pixels, that [`Self::paint`] must draw again.
    pub fn update(&mut self, view: View) -> Vec<Rectangle> {
        let old = core::mem::replace(&mut self.items, view.items);
        let new = &self.items;
        let screen = Rectangle::new(Point::zero(), self.screen);
        if !core::mem::replace(&mut self.drawn, true) {
            return vec![screen];
        }
        let mut damage = Vec::new();
        let mut add = |r: Rectangle| damage::add(&mut damage, r.intersection(&screen));
        if old.len() == new.len() {
            old.iter().zip(new).filter(|(a, b)| a != b).for_each(|(a, b)| a.changes(b, &mut add));
        } else {
            // Items came or went between those that both have at the beginning and at the end.
            let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
            let rest = old.len().min(new.len()) - head;
            let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
            old[head..old.len() - tail]
                .iter()
                .chain(&new[head..new.len() - tail])
                .for_each(|i| i.cover(&mut add));
        }
        damage
    }

    /// Draws the part of the screen that `canvas` may touch.
    pub fn paint(&mut self, canvas: &mut Canvas<P>) {
        if self.picture.is_empty() {
            canvas.restore(&self.backdrop);
        } else {
            canvas.copy(&self.picture, self.screen.width as usize);
        }
        let clip = canvas.clip();
        for item in &self.items {
            if !item.bounds().intersection(&clip).is_zero_sized() {
                item.paint(canvas, &mut self.glyphs);
            }
        }
    }
}
