//! The clock's two faces.

use alloc::format;

use ui::{
    Align, Color, Point, View, icon,
    icon::Icon,
    rect,
    theme::{self, Style, accent, accent::Accent},
    trig,
};

use crate::{App, GOAL, Micros, grouped};

const CENTER: i32 = 120;

/// The point at `radius` sixteenths of a pixel from the centre, in the direction of `turn` (65536 is a whole one, 0 up).
fn polar(turn: u32, radius: i32) -> Point {
    let part = |v: i32| (v * radius + (1 << 14)) >> 15;
    Point::new(CENTER * 16 + part(trig::sin(turn)), CENTER * 16 - part(trig::cos(turn)))
}

/// A hand from `tail` pixels behind the centre to `tip` before it.
fn hand(view: &mut View, turn: u32, (tail, tip): (i32, i32), width: i32, color: Color) {
    view.stroke(polar(turn, -tail * 16), polar(turn, tip * 16), width, color);
}

/// A small gauge: a ring with an icon inside.
fn dial(view: &mut View, (x, y): (i32, i32), permille: u32, icon: Icon, (light, _): Accent) {
    let r = rect(x - 21, y - 21, 42, 42);
    view.ring(r, 4, 0, 0x1_0000, theme::TRACK);
    view.ring(r, 4, 0, 65_536 * permille.min(1000) / 1000, light);
    view.icon(x - 9, y - 9, 18, icon, light);
}

impl App {
    fn steps_permille(&self) -> u32 {
        (self.steps() * 1000 / GOAL).min(1000)
    }

    fn battery_icon(&self) -> (Icon, Accent) {
        match self.percent {
            _ if self.supply.charging => (icon::PLUGS, accent::GREEN),
            Some(..=15) => (icon::BATTERY, accent::ROSE),
            _ => (icon::BATTERY, accent::GREEN),
        }
    }

    /// Hands over a dial.
    pub(crate) fn analog(&self, view: &mut View, now: Micros) {
        let date = self.date(now);
        let second = self.seconds(now) % 60;
        let dial_at = rect(5, 5, 230, 230);
        view.ticks(dial_at, (60, 5), 72, 20, theme::TEXT_FAINT);
        view.ticks(dial_at, (12, 3), 208, 48, theme::TEXT_SECONDARY);
        view.ticks(dial_at, (4, 0), 208, 48, theme::TEXT);
        // The mark that the other screens have beside their name.
        let (violet, teal) = (accent::VIOLET, accent::TEAL);
        view.panel(rect(111, 54, 14, 14), 5, violet, None, None);
        view.panel(rect(119, 62, 8, 8), 3, teal, None, None);
        let (battery, color) = self.battery_icon();
        dial(view, (66, CENTER), self.steps_permille(), icon::FOOTPRINTS, accent::TEAL);
        dial(view, (CENTER, 176), self.percent.unwrap_or(0) * 10, battery, color);
        // The date's window.
        let window = rect(149, 106, 52, 28);
        view.panel(window, 9, (theme::CARD, theme::CARD_LOW), Some((1, theme::HAIRLINE)), None);
        let day = format!("{}", date.day);
        let weekday = format!("{:.3}", date.weekday).to_uppercase();
        view.text(rect(152, 106, 28, 28), Align::Center, Style::Caption, accent::AMBER.0, &weekday);
        view.text(rect(178, 106, 20, 28), Align::Center, Style::Body, theme::TEXT, &day);

        let minutes = (date.hour % 12 * 60 + date.minute) as u32;
        let sixtieths = date.minute as u32 * 60 + second as u32;
        let hour = (u64::from(minutes) * 65_536 / 720) as u32;
        // The minute hand moves every ten seconds.
        let minute = sixtieths / 10 * 10 * 1024 / 3600 * 64;
        let edge = Color::hex(0);
        for (turn, reach, width) in [(hour, (0, 56), 9), (minute, (0, 88), 7)] {
            // A dark rim keeps hands apart from what they cross; the lower part is slender.
            hand(view, turn, reach, (width + 4) * 16, edge);
            hand(view, turn, (0, 20), 56, theme::TEXT);
            hand(view, turn, (-20, reach.1), width * 16, theme::TEXT);
        }
        hand(view, second as u32 * 65_536 / 60, (20, 98), 32, accent::ROSE.0);
        let cap = |view: &mut View, radius: i32, color: Color| {
            let r = rect(CENTER - radius, CENTER - radius, 2 * radius, 2 * radius);
            view.panel(r, radius, (color, color), None, None);
        };
        cap(view, 7, theme::TEXT);
        cap(view, 5, accent::ROSE.0);
        cap(view, 2, Color::hex(0));
    }

    /// Large figures; seconds run around the rim.
    pub(crate) fn digital(&self, view: &mut View, now: Micros) {
        let date = self.date(now);
        let second = (self.seconds(now) % 60) as u32;
        let rim = rect(3, 3, 234, 234);
        view.ring(rim, 5, 0, 0x1_0000, Color::hex(0xffffff).alpha(22));
        view.ring(rim, 5, 0, second * 65_536 / 60, accent::VIOLET.0);

        let day = format!("{:.3} {} {:.3}", date.weekday, date.day, date.month).to_uppercase();
        view.text(rect(50, 50, 140, 20), Align::Center, Style::Body, accent::AMBER.0, &day);
        let time = format!("{:02}:{:02}", date.hour, date.minute);
        view.text(rect(10, 76, 220, 66), Align::Center, Style::Clock, theme::TEXT, &time);

        // Two measures side by side below.
        let (battery, color) = self.battery_icon();
        let percent = self.percent.map_or_else(|| "–".into(), |p| format!("{p}%"));
        let steps = grouped(self.steps());
        let measures = [
            (64, icon::FOOTPRINTS, accent::TEAL, self.steps_permille(), steps),
            (128, battery, color, self.percent.unwrap_or(0) * 10, percent),
        ];
        for (x, icon, (light, deep), permille, text) in measures {
            view.icon(x + 16, 156, 16, icon, light);
            view.text(rect(x, 177, 48, 14), Align::Center, Style::Caption, theme::TEXT, &text);
            ui::widgets::bar(view, rect(x, 195, 48, 4), permille, (light, deep));
        }
    }
}
