//! The parts that views are composed of. Positions and sizes are logical units.

use crate::{
    Align, Color, Form, Rectangle, Shadow, View,
    canvas::edges,
    icon::{self, Icon},
    rect,
    theme::{self, Style, accent::Accent},
};

/// A rounded surface that groups what is drawn on it.
pub fn card(view: &mut View, r: Rectangle) {
    let radius = match view.form() {
        Form::Tv => 36,
        Form::Phone => 24,
        Form::Watch => 16,
    };
    view.panel(r, radius, (theme::CARD, theme::CARD_LOW), Some((1, theme::HAIRLINE)), None);
}

/// A card's small label above its content.
pub fn label(view: &mut View, x: i32, y: i32, width: i32, text: &str) {
    view.text(rect(x, y, width, 34), Align::Left, Style::Caption, theme::TEXT_FAINT, text);
}

/// What the status bar shows besides the clock.
pub struct Status<'a> {
    /// The product or page.
    pub name: &'a str,
    /// Hours and minutes.
    pub clock: &'a str,
    /// Icons from right to left, beside the clock.
    pub icons: &'a [(Icon, Color)],
}

/// The line at the top of a tv or phone.
pub fn status_bar(view: &mut View, status: &Status) {
    let (margin, y, size, mark) = match view.form() {
        Form::Tv => (96, 56, 34, 30),
        Form::Phone => (24, 14, 20, 16),
        Form::Watch => (70, 8, 14, 0),
    };
    let right = view.form().design().width as i32 - margin;
    let width = view.text_width(Style::Body, status.clock);
    view.text(rect(right - width, y, width + 8, size), Align::Left, Style::Body, theme::TEXT, status.clock);
    let mut x = right - size - if status.clock.is_empty() { 0 } else { width + 24 };
    for &(icon, color) in status.icons {
        view.icon(x, y, size, icon, color);
        x -= size + size / 2;
    }
    if mark > 0 {
        let (a, b) = theme::accent::VIOLET;
        let (c, d) = theme::accent::TEAL;
        let top = y + (size - mark) / 2;
        view.panel(rect(margin, top, mark, mark), mark / 3, (a, b), None, None);
        view.panel(rect(margin + mark / 2, top + mark / 2, mark / 2, mark / 2), mark / 5, (c, d), None, None);
        let name = rect(margin + mark + mark / 2, y, 900, size);
        view.text(name, Align::Left, Style::Body, theme::TEXT_SECONDARY, status.name);
    }
}

/// How much larger a tile with this much focus (0 to 256) is, on each side.
fn grown(r: Rectangle, focus: i32) -> (Rectangle, i32) {
    let (x0, y0, x1, y1) = edges(r);
    let (grow_x, grow_y) = ((x1 - x0) * focus / 256 / 14, (y1 - y0) * focus / 256 / 14);
    (rect(x0 - grow_x, y0 - grow_y, x1 - x0 + 2 * grow_x, y1 - y0 + 2 * grow_y), grow_y)
}

/// The shadow of a [`tile`], to be drawn before all tiles of a row, so that none darkens its neighbour.
pub fn tile_shadow(view: &mut View, r: Rectangle, (_, deep): Accent, focus: i32) {
    let (at, grow) = grown(r, focus);
    let color = Color::hex(0x000008).alpha(110).mix(deep.alpha(190), focus as u32);
    let shadow = Shadow { spread: 26 + 40 * focus / 256, drop: 10, color };
    let clear = Color::hex(0).alpha(0);
    view.panel(at, r.size.height as i32 / 6 + grow, (clear, clear), None, Some(shadow));
}

/// An application's tile. `focus` runs from 0 to 256 and enlarges it, lights its edge and its label.
pub fn tile(view: &mut View, r: Rectangle, icon: Icon, name: &str, (light, deep): Accent, focus: i32) {
    let (x0, y0, x1, y1) = edges(r);
    let (width, height) = (x1 - x0, y1 - y0);
    let (r, grow_y) = grown(r, focus);
    let radius = height / 6 + grow_y;
    let level = focus as u32;
    // A light from above gives the tile its depth.
    let top = light.mix(Color::hex(0xffffff), 44);
    view.panel(r, radius, (top, deep), None, None);
    let size = height * 42 / 100 + 2 * grow_y;
    let center = ((x0 + x1) / 2, (y0 + y1) / 2);
    view.icon(center.0 - size / 2, center.1 - size / 2, size, icon, Color::hex(0xffffff).alpha(238));
    // Drawn without focus too, invisibly: a view that keeps its number of items redraws less.
    let gap = 9;
    let (left, top, right, bottom) = edges(r);
    let ring = rect(left - gap, top - gap, right - left + 2 * gap, bottom - top + 2 * gap);
    let color = theme::FOCUS.alpha((focus * 255 / 256) as u8);
    view.panel(ring, radius + gap, (color.alpha(0), color.alpha(0)), Some((4, color)), None);
    let color = theme::TEXT_FAINT.mix(theme::TEXT, level);
    let below = rect(x0 - 40, y1 + 26 + 20 * focus / 256, width + 80, 36);
    view.text(below, Align::Center, Style::Body, color, name);
}

/// A horizontal bar filled to `permille`.
pub fn bar(view: &mut View, r: Rectangle, permille: u32, (light, deep): Accent) {
    let (x0, y0, x1, y1) = edges(r);
    let radius = (y1 - y0) / 2;
    view.panel(r, radius, (theme::TRACK, theme::TRACK), None, None);
    let filled = (x1 - x0) * permille.min(1000) as i32 / 1000;
    if filled > 0 {
        view.panel(rect(x0, y0, filled.max(2 * radius), y1 - y0), radius, (light, deep), None, None);
    }
}

/// A round gauge with its value in the middle: three quarters of a ring, open at the bottom.
pub fn gauge(view: &mut View, r: Rectangle, permille: u32, value: &str, unit: &str, (light, _): Accent) {
    const FROM: u32 = 0xa000;
    const SWEEP: u32 = 0xc000;
    let (x0, y0, x1, y1) = edges(r);
    let thickness = ((x1 - x0) / 13).max(4);
    view.ring(r, thickness, FROM, SWEEP, theme::TRACK);
    let sweep = SWEEP * permille.min(1000) / 1000;
    if sweep > 0 {
        view.ring(r, thickness, FROM, sweep, light);
    }
    let middle = (y0 + y1) / 2;
    view.text(rect(x0, middle - 50, x1 - x0, 84), Align::Center, Style::Display, theme::TEXT, value);
    view.text(rect(x0, middle + 46, x1 - x0, 34), Align::Center, Style::Caption, theme::TEXT_SECONDARY, unit);
}

/// One row of a list: an icon on an accent, a title, a line that explains, a value at the right.
pub fn row(
    view: &mut View,
    r: Rectangle,
    icon: Icon,
    (light, deep): Accent,
    texts: [&str; 3],
    focused: bool,
) {
    let (x0, y0, x1, y1) = edges(r);
    let height = y1 - y0;
    if focused {
        let shadow = Shadow { spread: 30, drop: 8, color: Color::hex(0x000008).alpha(130) };
        let fill = (Color::hex(0xffffff).alpha(44), Color::hex(0xffffff).alpha(34));
        view.panel(r, 28, fill, Some((3, theme::FOCUS)), Some(shadow));
    } else {
        view.panel(r, 28, (theme::CARD, theme::CARD_LOW), Some((1, theme::HAIRLINE)), None);
    }
    let badge = height - 36;
    view.panel(rect(x0 + 20, y0 + 18, badge, badge), badge / 3, (light, deep), None, None);
    let inner = badge * 56 / 100;
    let at = (badge - inner) / 2;
    view.icon(x0 + 20 + at, y0 + 18 + at, inner, icon, Color::hex(0xffffff));
    let [title, detail, value] = texts;
    let x = x0 + 20 + badge + 28;
    let value_width = view.text_width(Style::Body, value) + 8;
    let width = x1 - x - value_width - 60;
    let middle = (y0 + y1) / 2;
    if detail.is_empty() {
        view.text(rect(x, middle - 20, width, 40), Align::Left, Style::Heading, theme::TEXT, title);
    } else {
        view.text(rect(x, middle - 40, width, 40), Align::Left, Style::Heading, theme::TEXT, title);
        view.text(rect(x, middle + 6, width, 34), Align::Left, Style::Caption, theme::TEXT_SECONDARY, detail);
    }
    let value_at = rect(x1 - value_width - 28, y0, value_width, height);
    view.text(value_at, Align::Right, Style::Body, theme::TEXT_SECONDARY, value);
}

/// A key and what it does; returns where the next hint may begin.
pub fn hint(view: &mut View, x: i32, y: i32, key: &str, action: &str) -> i32 {
    let cap = view.text_width(Style::Caption, key) + 32;
    let fill = Color::hex(0xffffff).alpha(28);
    view.panel(rect(x, y, cap, 44), 14, (fill, fill), Some((1, theme::HAIRLINE)), None);
    view.text(rect(x, y, cap, 44), Align::Center, Style::Caption, theme::TEXT, key);
    let width = view.text_width(Style::Caption, action) + 8;
    view.text(rect(x + cap + 16, y, width, 44), Align::Left, Style::Caption, theme::TEXT_SECONDARY, action);
    x + cap + 16 + width + 40
}

/// The volume, shown above everything for a moment.
pub fn volume(view: &mut View, percent: u32, muted: bool) {
    let width = view.form().design().width as i32;
    let r = rect(width / 2 - 330, 110, 660, 104);
    let shadow = Shadow { spread: 60, drop: 16, color: Color::hex(0x000008).alpha(150) };
    view.panel(r, 52, (theme::OVERLAY, theme::OVERLAY), Some((1, theme::HAIRLINE)), Some(shadow));
    let icon = match percent {
        _ if muted => icon::SPEAKER_MUTE,
        0..50 => icon::SPEAKER_LOW,
        _ => icon::SPEAKER_HIGH,
    };
    let (x, y, ..) = edges(r);
    view.icon(x + 36, y + 28, 48, icon, theme::TEXT);
    let shown = if muted { 0 } else { percent };
    bar(view, rect(x + 112, y + 44, 420, 16), shown * 10, theme::accent::BLUE);
    let mut digits = [0; 3];
    let text = decimal(percent, &mut digits);
    view.text(rect(x + 540, y, 88, 104), Align::Right, Style::Body, theme::TEXT, text);
}

/// A number below 1000 as text, without an allocation.
fn decimal(value: u32, buffer: &mut [u8; 3]) -> &str {
    let value = value.min(999);
    let digits = [value / 100, value / 10 % 10, value % 10].map(|d| b'0' + d as u8);
    *buffer = digits;
    let skip = if value >= 100 {
        0
    } else if value >= 10 {
        1
    } else {
        2
    };
    core::str::from_utf8(&buffer[skip..]).unwrap_or("")
}
