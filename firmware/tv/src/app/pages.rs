//! The pages, drawn with the shared widgets in units of 1920 x 1080.

use alloc::format;

use ui::{
    Align, Color, Rectangle, Shadow, View,
    icon::{self, Icon},
    rect,
    theme::{
        self, Style,
        accent::{self, Accent},
    },
    trig,
    widgets::{self, Status},
};

use crate::{App, Date, Live, Micros, Page, content};

/// Where a press goes back.
pub const BACK: Rectangle = rect(80, 126, 84, 84);

const TILE: (i32, i32) = (248, 172);
const TILE_TOP: i32 = 656;
const TILE_STEP: i32 = 296;
const ROW: i32 = 108;

/// The box of a tile on the home page.
pub fn tile_rect(i: usize) -> Rectangle {
    rect(96 + i as i32 * TILE_STEP, TILE_TOP, TILE.0, TILE.1)
}

/// The box of an entry of a list page.
pub fn row_rect(i: usize) -> Rectangle {
    rect(96, content().top_left.y + i as i32 * (ROW + 10), 1728, ROW)
}

/// The icon and colours of a page.
fn look(page: Page) -> (Icon, Accent) {
    match page {
        Page::Home => (icon::HOUSE, accent::SLATE),
        Page::System => (icon::CPU, accent::BLUE),
        Page::Devices => (icon::CIRCUIT, accent::TEAL),
        Page::Network => (icon::BROADCAST, accent::GREEN),
        Page::Input => (icon::GAMEPAD, accent::AMBER),
        Page::Motion => (icon::PLANET, accent::VIOLET),
        Page::Power => (icon::POWER, accent::ROSE),
    }
}

fn bytes(n: usize) -> alloc::string::String {
    match n {
        0..0x10_0000 => format!("{} KiB", n >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", n >> 20),
        _ if n.is_multiple_of(1 << 30) => format!("{} GiB", n >> 30),
        _ => format!("{}.{} GiB", n >> 30, (n >> 20) % 1024 * 10 / 1024),
    }
}

fn uptime(now: Micros) -> alloc::string::String {
    let s = now / 1_000_000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// How full the heap is, in steps of whole MiB: small allocations do not move a gauge.
fn heap_permille(live: &Live) -> u32 {
    ((live.heap_used >> 20) * 1000 / (live.heap_size >> 20).max(1)) as u32
}

fn plural(n: usize, what: &str) -> alloc::string::String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

impl App {
    fn status(&self, view: &mut View, clock: &str) {
        let link = self.machine.network.as_ref().is_some_and(|n| n.link != Some(false));
        let network = if link { icon::WIFI } else { icon::WIFI_OFF };
        let sound = if self.muted { icon::SPEAKER_MUTE } else { icon::SPEAKER_HIGH };
        let soft = theme::TEXT_SECONDARY;
        widgets::status_bar(
            view,
            &Status { name: "hyperemu tv", clock, icons: &[(network, soft), (sound, soft)] },
        );
    }

    pub fn home(&self, view: &mut View, clock: &str, now: Micros, live: &Live) {
        self.status(view, "");
        view.text(rect(84, 196, 900, 210), Align::Left, Style::Clock, theme::TEXT, clock);
        let date = match live.clock.map(Date::of) {
            Some(d) => format!("{}, {} {}", d.weekday, d.day, d.month),
            None => "since the start".into(),
        };
        view.text(rect(100, 432, 900, 64), Align::Left, Style::Subtitle, theme::TEXT_SECONDARY, &date);
        self.summary(view, live);

        widgets::label(view, 100, TILE_TOP - 70, 600, "Apps");
        for (i, page) in Page::TILES.into_iter().enumerate() {
            widgets::tile_shadow(view, tile_rect(i), look(page).1, self.tile_focus(i, now));
        }
        for (i, page) in Page::TILES.into_iter().enumerate() {
            let (icon, accent) = look(page);
            widgets::tile(view, tile_rect(i), icon, page.name(), accent, self.tile_focus(i, now));
        }
        let mut x = 96;
        for (key, action) in [("←  →", "Move"), ("OK", "Open"), ("VOL", "Volume"), ("POWER", "Turn off")]
        {
            x = widgets::hint(view, x, 980, key, action);
        }
        let model = rect(1100, 980, 724, 44);
        view.text(model, Align::Right, Style::Caption, theme::TEXT_FAINT, &self.machine.model);
    }

    /// The card beside the clock.
    fn summary(&self, view: &mut View, live: &Live) {
        let m = &self.machine;
        widgets::card(view, rect(1152, 190, 672, 326));
        let value = format!("{}", live.heap_used >> 20);
        widgets::gauge(
            view,
            rect(1190, 232, 242, 242),
            heap_permille(live),
            &value,
            "MiB in use",
            accent::TEAL,
        );
        let lines = [
            (icon::CPU, plural(m.harts, "hart"), accent::BLUE),
            (icon::MEMORY, format!("{} memory", bytes(m.memory)), accent::TEAL),
            (icon::CIRCUIT, plural(m.devices.len(), "device"), accent::AMBER),
        ];
        for ((icon, text, (light, _)), y) in lines.iter().zip((232..).step_by(86)) {
            view.panel(rect(1466, y + 4, 60, 60), 20, (light.alpha(48), light.alpha(30)), None, None);
            view.icon(1480, y + 18, 32, *icon, *light);
            view.text(rect(1548, y + 4, 264, 60), Align::Left, Style::Body, theme::TEXT, text);
        }
    }

    pub fn open_page(&self, view: &mut View, clock: &str, now: Micros, live: &Live) {
        self.status(view, clock);
        view.icon(96, 146, 44, icon::CARET_LEFT, theme::TEXT_SECONDARY);
        view.text(rect(164, 132, 1200, 72), Align::Left, Style::Title, theme::TEXT, self.page.name());
        match self.page {
            Page::System => self.system(view, now, live),
            Page::Devices => self.devices(view),
            Page::Network => self.network(view),
            Page::Input => self.input(view),
            Page::Motion => self.motion(view, now, live),
            Page::Power => self.power(view),
            Page::Home => {}
        }
        let x = widgets::hint(view, 96, 980, "BACK", "Home");
        let more = match self.page {
            Page::Devices if self.machine.devices.len() > 6 => Some(("↑  ↓", "Scroll")),
            Page::Power => Some(("OK", "Do it")),
            _ => None,
        };
        if let Some((key, action)) = more {
            widgets::hint(view, x, 980, key, action);
        }
    }

    fn system(&self, view: &mut View, now: Micros, live: &Live) {
        let m = &self.machine;
        let (top, size) = (content().top_left.y, 404);
        let gauges = [
            (
                "Harts",
                format!("{}", m.harts),
                "cores",
                (1 + live.parked) * 1000 / m.harts.max(1),
                accent::BLUE,
            ),
            (
                "Heap",
                format!("{}", live.heap_used >> 20),
                "MiB in use",
                heap_permille(live) as usize,
                accent::TEAL,
            ),
            ("Timer", format!("{}", m.timebase / 1_000_000), "MHz", 1000, accent::AMBER),
        ];
        for ((name, value, unit, permille, accent), x) in gauges.iter().zip((96..).step_by(596)) {
            widgets::card(view, rect(x, top, 536, size));
            widgets::label(view, x + 36, top + 26, 400, name);
            widgets::gauge(view, rect(x + 128, top + 82, 280, 280), *permille as u32, value, unit, *accent);
        }
        let below = top + size + 30;
        widgets::card(view, rect(96, below, 1728, 270));
        let entropy = m.entropy.map_or("none".into(), |e| format!("{e:016x}"));
        let mut extensions = m.isa.split('_');
        let isa =
            format!("{} and {}", extensions.next().unwrap_or(""), plural(extensions.count(), "extension"));
        let facts = [
            ("Machine", format!("{}, {} memory", m.model, bytes(m.memory))),
            ("Instructions", isa),
            ("Firmware", m.sbi.clone()),
            ("Running", format!("{} and {} asleep", plural(m.harts - live.parked, "hart"), live.parked)),
            ("Up", uptime(now)),
            ("Entropy", entropy),
        ];
        for (i, (name, value)) in facts.iter().enumerate() {
            let (x, y) = (132 + i as i32 / 3 * 960, below + 34 + i as i32 % 3 * 72);
            let width = if x > 1000 { 480 } else { 700 };
            view.text(rect(x, y, 210, 60), Align::Left, Style::Caption, theme::TEXT_FAINT, name);
            view.text(rect(x + 210, y, width, 60), Align::Left, Style::Body, theme::TEXT, value);
        }
    }

    fn devices(&self, view: &mut View) {
        let devices = &self.machine.devices;
        if devices.is_empty() {
            return self.nothing(view, icon::PLUGS, "No virtio devices found");
        }
        let first = self.entry.saturating_sub(5);
        for (slot, (i, d)) in devices.iter().enumerate().skip(first).take(6).enumerate() {
            let (icon, accent) = match d.id {
                1 => (icon::BROADCAST, accent::GREEN),
                2 => (icon::DRIVES, accent::BLUE),
                3 => (icon::TERMINAL, accent::SLATE),
                4 => (icon::DICE, accent::ROSE),
                16 => (icon::TELEVISION, accent::VIOLET),
                18 => (icon::KEYBOARD, accent::AMBER),
                25 => (icon::SPEAKER_HIGH, accent::TEAL),
                _ => (icon::CIRCUIT, accent::SLATE),
            };
            let mut title = format!("virtio {}", d.kind);
            if let Some(name) = title.get_mut(..1) {
                name.make_ascii_uppercase();
            }
            let detail = format!("{:#x}, interrupt {}, features {:#x}", d.address, d.irq, d.features);
            let state = if d.driven { "in use" } else { "found" };
            widgets::row(view, row_rect(slot), icon, accent, [&title, &detail, state], i == self.entry);
        }
    }

    fn network(&self, view: &mut View) {
        let Some(n) = &self.machine.network else {
            return self.nothing(view, icon::WIFI_OFF, "No network device");
        };
        let [a, b, c, d, e, f] = n.mac;
        let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        let link = match n.link {
            Some(true) => "up",
            Some(false) => "down",
            None => "not reported",
        };
        let mtu = n.mtu.map_or("1500".into(), |m| format!("{m}"));
        let rows = [("Link", link), ("Address", &mac), ("Largest packet", &mtu)];
        for (i, (title, value)) in rows.into_iter().enumerate() {
            widgets::row(
                view,
                row_rect(i),
                icon::BROADCAST,
                accent::GREEN,
                [title, "virtio network", value],
                false,
            );
        }
    }

    fn nothing(&self, view: &mut View, icon: Icon, text: &str) {
        view.icon(896, 440, 128, icon, theme::TEXT_FAINT);
        view.text(rect(96, 600, 1728, 60), Align::Center, Style::Heading, theme::TEXT_SECONDARY, text);
    }

    fn input(&self, view: &mut View) {
        let top = content().top_left.y;
        widgets::card(view, rect(96, top, 700, 700));
        widgets::label(view, 136, top + 30, 400, "Last key");
        let (name, code) = match self.seen.key {
            Some(key) => (key.name(), format!("code {}", key.0)),
            None => ("press one".into(), "".into()),
        };
        view.text(rect(136, top + 90, 620, 110), Align::Left, Style::Display, theme::TEXT, &name);
        view.text(rect(136, top + 206, 620, 40), Align::Left, Style::Body, theme::TEXT_SECONDARY, &code);
        view.text(
            rect(136, top + 256, 620, 40),
            Align::Left,
            Style::Body,
            theme::TEXT_FAINT,
            &self.seen.from,
        );
        let counts = [("Keys", self.seen.keys), ("Moves", self.seen.moves)];
        for ((name, count), y) in counts.iter().zip((top + 340..).step_by(60)) {
            view.text(rect(136, y, 200, 50), Align::Left, Style::Caption, theme::TEXT_FAINT, name);
            view.text(rect(336, y, 300, 50), Align::Left, Style::Body, theme::TEXT, &format!("{count}"));
        }
        for ((name, points), y) in self.machine.inputs.iter().take(4).zip((top + 480..).step_by(50)) {
            let icon = if *points { icon::MOUSE } else { icon::KEYBOARD };
            view.icon(136, y + 8, 32, icon, accent::AMBER.0);
            view.text(rect(184, y, 580, 48), Align::Left, Style::Caption, theme::TEXT_SECONDARY, name);
        }

        let pad = rect(836, top, 988, 700);
        widgets::card(view, pad);
        widgets::label(view, 876, top + 30, 400, "Pointer");
        let at = self.pointer;
        let place = format!("{}, {}", at.x, at.y);
        view.text(rect(1424, top + 30, 360, 34), Align::Right, Style::Caption, theme::TEXT_SECONDARY, &place);
        // The whole screen, drawn small.
        let (x, y) = (876 + at.x.clamp(0, 1920) * 908 / 1920, top + 130 + at.y.clamp(0, 1080) * 511 / 1080);
        let clear = Color::hex(0xffffff).alpha(8);
        view.panel(rect(876, top + 130, 908, 511), 20, (clear, clear), Some((1, theme::HAIRLINE)), None);
        let (light, deep) = accent::AMBER;
        let halo = Shadow { spread: 40, drop: 0, color: light.alpha(120) };
        view.panel(rect(x - 14, y - 14, 28, 28), 14, (light, deep), None, Some(halo));
    }

    /// Planets on their orbits: each moves a little every frame, so that little is drawn again.
    fn motion(&self, view: &mut View, now: Micros, live: &Live) {
        let top = content().top_left.y;
        widgets::card(view, rect(96, top, 1180, 700));
        let (cx, cy) = (686, top + 350);
        let planets = [
            (120, 13, 4, accent::TEAL),
            (180, 17, 7, accent::AMBER),
            (240, 21, 11, accent::BLUE),
            (300, 15, 18, accent::ROSE),
        ];
        let sun = Shadow { spread: 90, drop: 0, color: accent::AMBER.0.alpha(130) };
        let (light, deep) = accent::AMBER;
        for (orbit, ..) in planets {
            let r = rect(cx - orbit, cy - orbit, 2 * orbit, 2 * orbit);
            view.ring(r, 2, 0, 0x1_0000, Color::hex(0xffffff).alpha(22));
        }
        view.panel(rect(cx - 44, cy - 44, 88, 88), 44, (light, deep), None, Some(sun));
        let elapsed = now - self.opened;
        for (i, (orbit, size, seconds, (light, deep))) in planets.into_iter().enumerate() {
            let phase = (elapsed * 65_536 / (seconds * 1_000_000)) as u32 + i as u32 * 11_000;
            let (x, y) = (cx + ((trig::sin(phase) * orbit) >> 15), cy - ((trig::cos(phase) * orbit) >> 15));
            let glow = Shadow { spread: 16, drop: 0, color: light.alpha(110) };
            view.panel(rect(x - size, y - size, 2 * size, 2 * size), size, (light, deep), None, Some(glow));
        }

        widgets::card(view, rect(1316, top, 508, 700));
        widgets::label(view, 1356, top + 30, 400, "Frames");
        // Both numbers change once a second.
        let seconds = elapsed / 1_000_000;
        let frames = live.frames - self.opened_frames;
        let rate = if seconds == 0 { 60 } else { (frames * 1_000_000 / elapsed.max(1)).min(60) };
        let value = format!("{rate}");
        widgets::gauge(
            view,
            rect(1420, top + 110, 300, 300),
            rate as u32 * 1000 / 60,
            &value,
            "per second",
            accent::VIOLET,
        );
        let shown = format!("{} running", uptime(elapsed / 1_000_000 * 1_000_000));
        view.text(rect(1316, top + 470, 508, 50), Align::Center, Style::Body, theme::TEXT_SECONDARY, &shown);
    }

    fn power(&self, view: &mut View) {
        let rows = [
            (icon::POWER, accent::ROSE, "Power off", "Ends the machine through the firmware"),
            (icon::RESTART, accent::BLUE, "Restart", "Starts the machine anew"),
        ];
        for (i, (icon, accent, title, detail)) in rows.into_iter().enumerate() {
            widgets::row(view, row_rect(i), icon, accent, [title, detail, ""], i == self.entry);
        }
    }
}
