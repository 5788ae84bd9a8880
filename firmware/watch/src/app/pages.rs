//! The pages besides the clock.

use alloc::{format, string::String};

use ui::{
    Align, CURVE_POINTS, Color, Rectangle, View, icon,
    icon::Icon,
    rect,
    theme::{self, Style, accent, accent::Accent},
};

use crate::{
    App, FILL, GOAL, Micros, Page, SECOND, grouped,
    pulse::{self, POINTS},
    settings::Face,
};

/// The settings' tiles, from the upper left.
pub(crate) const TILES: [Rectangle; 4] =
    [rect(36, 56, 80, 66), rect(124, 56, 80, 66), rect(36, 130, 80, 66), rect(124, 130, 80, 66)];
/// Hour and minute up and down.
pub(crate) const STEPPERS: [Rectangle; 4] =
    [rect(42, 46, 72, 44), rect(42, 140, 72, 44), rect(126, 46, 72, 44), rect(126, 140, 72, 44)];
/// What keeps the time being set.
pub(crate) const DONE: Rectangle = rect(96, 188, 48, 40);

/// The middle of a page: a large number with its unit beside, on one baseline, centred together.
fn figure(view: &mut View, y: i32, value: &str, unit: &str) {
    let (wide, narrow) = (view.text_width(Style::Clock, value), view.text_width(Style::Heading, unit));
    let gap = if unit.is_empty() { 0 } else { 6 };
    let x = 120 - (wide + gap + narrow) / 2;
    view.text(rect(x, y, wide + 4, 60), Align::Left, Style::Clock, theme::TEXT, value);
    // Boxes centre capitals: 26 pixels apart, the baselines meet.
    view.text(
        rect(x + wide + gap, y + 20, narrow + 4, 60),
        Align::Left,
        Style::Heading,
        theme::TEXT_SECONDARY,
        unit,
    );
}

fn caption(view: &mut View, y: i32, color: Color, text: &str) {
    view.text(rect(30, y, 180, 16), Align::Center, Style::Caption, color, text);
}

impl App {
    /// How far a ring that fills up has come: `part` of 65536 in the end.
    fn filling(&self, part: u32, now: Micros) -> u32 {
        let passed = now.saturating_sub(self.since).min(FILL);
        // Slower towards the end.
        let left = (FILL - passed) * 1024 / FILL;
        (u64::from(part) * (1_048_576 - left * left) / 1_048_576) as u32
    }

    /// A ring at the rim, filled to `permille`.
    fn rim(&self, view: &mut View, permille: u32, (light, _): Accent, now: Micros) {
        let r = rect(8, 8, 224, 224);
        view.ring(r, 12, 0, 0x1_0000, light.alpha(44));
        view.ring(r, 12, 0, self.filling(65_535 * permille.min(1000) / 1000, now), light);
    }

    /// Where in the row of pages this one is.
    fn dots(&self, view: &mut View) {
        for (i, page) in (0..).zip(Page::RING) {
            let (radius, color) = if page == self.page { (3, theme::TEXT) } else { (2, theme::TEXT_FAINT) };
            // On a circle inside the rim, around three o'clock.
            let turn = 0x4000_u32.wrapping_add_signed((i - 2) * 860);
            let at = |v: i32| 120 + ((v * 94 + (1 << 14)) >> 15);
            let (x, y) = (at(ui::trig::sin(turn)), at(-ui::trig::cos(turn)));
            view.panel(
                rect(x - radius, y - radius, 2 * radius, 2 * radius),
                radius,
                (color, color),
                None,
                None,
            );
        }
    }

    /// Steps of the day.
    pub(crate) fn activity(&self, view: &mut View, now: Micros) {
        let steps = self.steps();
        self.rim(view, steps * 1000 / GOAL, accent::TEAL, now);
        view.icon(108, 36, 24, icon::FOOTPRINTS, accent::TEAL.0);
        let text = grouped(steps);
        view.text(rect(30, 66, 180, 44), Align::Center, Style::Display, theme::TEXT, &text);
        caption(view, 106, theme::TEXT_SECONDARY, &format!("of {} steps", grouped(GOAL)));

        // Steps of 0.7 m; 0.04 kcal each.
        let meters = steps * 7 / 10;
        let values = [
            (60, format!("{}.{:02}", meters / 1000, meters % 1000 / 10), "km"),
            (124, format!("{}", steps / 25), "kcal"),
        ];
        for (x, value, unit) in values {
            let width = view.text_width(Style::Body, &value) + 4;
            let whole = width + view.text_width(Style::Caption, unit);
            let x = x + (56 - whole) / 2;
            view.text(rect(x, 128, width, 18), Align::Left, Style::Body, theme::TEXT, &value);
            view.text(rect(x + width, 129, 40, 18), Align::Left, Style::Caption, theme::TEXT_FAINT, unit);
        }

        // The day, hour by hour.
        let most = self.hours.iter().copied().max().unwrap_or(0).max(400);
        let hour = (self.seconds(now) / 3600 % 24) as usize;
        for (i, &count) in self.hours.iter().enumerate() {
            let height = if count > 0 { (i32::from(count) * 34 / i32::from(most)).max(4) } else { 3 };
            let color = match i {
                _ if i == hour => theme::TEXT,
                _ if count > 0 => accent::TEAL.0,
                _ => theme::TRACK,
            };
            let x = 61 + i as i32 * 5;
            view.panel(rect(x, 192 - height, 3, height), 1, (color, color), None, None);
        }
        caption(view, 197, theme::TEXT_FAINT, "today");
        self.dots(view);
    }

    /// The pulse.
    pub(crate) fn heart(&self, view: &mut View, _now: Micros) {
        let bpm = self.pulse.bpm();
        // The heart swells with each beat and settles within a third of a second.
        let swell = match (bpm, self.pulse.since_beat()) {
            (Some(_), beat @ 0..10) => 6 - 6 * beat as i32 / 10,
            _ => 0,
        };
        let size = 26 + swell;
        let color = if bpm.is_some() { accent::ROSE.0 } else { theme::TEXT_FAINT };
        view.icon(120 - size / 2, 41 - size / 2, size, icon::HEART, color);
        match bpm {
            Some(bpm) => figure(view, 66, &format!("{bpm}"), "bpm"),
            None => {
                view.text(rect(30, 66, 180, 60), Align::Center, Style::Display, theme::TEXT_FAINT, "– –");
            }
        }

        for tile in 0..10 {
            let mut points = [u8::MAX; CURVE_POINTS];
            for (i, point) in points.iter_mut().enumerate() {
                // One point before the tile's first, one after its last.
                if let Some(at) = (tile * 8 + i).checked_sub(1).filter(|&at| at < POINTS) {
                    *point = self.pulse.curve()[at];
                }
            }
            view.curve(rect(40 + tile as i32 * 16, 134, 16, 52), points, 40, accent::ROSE.0);
        }
        if let Some(head) = self.pulse.head() {
            let level = i32::from(self.pulse.curve()[head].min(254));
            let (x, y) = (40 + head as i32 * 2, 185 - level * 50 / 254);
            view.panel(rect(x - 3, y - 3, 6, 6), 3, (theme::TEXT, theme::TEXT), None, None);
        }
        let text = match (bpm, self.pulse.range()) {
            (Some(_), Some((low, high))) => format!("min {low}  ·  max {high}"),
            _ => "measuring…".into(),
        };
        caption(view, 196, theme::TEXT_SECONDARY, &text);
        self.dots(view);
    }

    /// The battery and what feeds it.
    pub(crate) fn battery(&self, view: &mut View, now: Micros) {
        let percent = self.percent.unwrap_or(0);
        let color = if percent > 15 || self.supply.charging { accent::GREEN } else { accent::ROSE };
        self.rim(view, percent * 10, color, now);
        let icon = if self.supply.charging { icon::PLUGS } else { icon::BATTERY };
        view.icon(106, 46, 28, icon, color.0);
        figure(view, 82, &format!("{percent}"), "%");
        let state = match self.supply {
            s if s.charging => "charging",
            s if s.powered => "charged",
            _ => "on battery",
        };
        view.text(rect(30, 148, 180, 20), Align::Center, Style::Body, theme::TEXT, state);
        let mv = self.supply.millivolts;
        let minutes = now / SECOND / 60;
        let up = format!("{}.{:02} V  ·  up {}:{:02}", mv / 1000, mv % 1000 / 10, minutes / 60, minutes % 60);
        caption(view, 174, theme::TEXT_SECONDARY, &up);
        self.dots(view);
    }

    /// Tiles to press.
    pub(crate) fn settings(&self, view: &mut View, now: Micros) {
        view.text(rect(50, 26, 140, 20), Align::Center, Style::Heading, theme::TEXT, "Settings");
        let date = self.date(now);
        let tiles: [(Icon, Accent, String); 4] = [
            (icon::SUN, accent::AMBER, String::new()),
            (
                icon::WATCH,
                accent::BLUE,
                if self.settings.face == Face::Analog { "Analog" } else { "Digital" }.into(),
            ),
            (
                icon::BELL,
                if self.settings.vibration { accent::VIOLET } else { accent::SLATE },
                if self.settings.vibration { "Vibrate" } else { "Silent" }.into(),
            ),
            (icon::CLOCK, accent::TEAL, format!("{:02}:{:02}", date.hour, date.minute)),
        ];
        for (i, (r, (icon, (light, deep), text))) in TILES.into_iter().zip(tiles).enumerate() {
            let lit = self.pressed.is_some_and(|p| p.index == i && now < p.until);
            let white = Color::hex(0xffffff);
            let (top, low) = if lit { (light.mix(white, 150), light) } else { (light, deep) };
            view.panel(r, 20, (top, low), None, None);
            let (x, y) = (r.top_left.x, r.top_left.y);
            view.icon(x + 27, y + 10, 26, icon, white.alpha(240));
            if i == 0 {
                for level in 0..3 {
                    let on = level < i32::from(self.settings.brightness);
                    let color = white.alpha(if on { 240 } else { 80 });
                    view.panel(rect(x + 22 + level * 13, y + 47, 10, 6), 3, (color, color), None, None);
                }
            }
            view.text(rect(x, y + 41, 80, 18), Align::Center, Style::Caption, white.alpha(230), &text);
        }
        self.dots(view);
    }

    /// Setting the time of day.
    pub(crate) fn time(&self, view: &mut View, now: Micros) {
        view.text(rect(50, 20, 140, 18), Align::Center, Style::Caption, theme::TEXT_SECONDARY, "Set time");
        for (i, r) in STEPPERS.into_iter().enumerate() {
            let lit = self.pressed.is_some_and(|p| p.index == i && now < p.until);
            let fill = Color::hex(0xffffff).alpha(if lit { 90 } else { 24 });
            view.panel(r, 22, (fill, fill), None, None);
            // A caret of two strokes.
            let (x, y) = ((r.top_left.x + 36) * 16, (r.top_left.y + 22) * 16);
            let up = if i % 2 == 0 { 1 } else { -1 };
            for side in [-1, 1] {
                let (from, to) =
                    (ui::Point::new(x + side * 128, y + up * 64), ui::Point::new(x, y - up * 64));
                view.stroke(from, to, 52, theme::TEXT);
            }
        }
        let (hour, minute) = (self.edited / 60, self.edited % 60);
        view.text(rect(42, 91, 72, 48), Align::Center, Style::Display, theme::TEXT, &format!("{hour:02}"));
        view.text(rect(126, 91, 72, 48), Align::Center, Style::Display, theme::TEXT, &format!("{minute:02}"));
        view.text(rect(110, 89, 20, 48), Align::Center, Style::Display, theme::TEXT_FAINT, ":");
        view.icon(104, 192, 32, icon::CHECK, accent::GREEN.0);
    }
}

const _: () = assert!(pulse::POINTS == 10 * 8 + 1);
