//! What the tv shows and how it reacts; knows no device.
#![no_std]
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "for the program beside it only")]

extern crate alloc;

mod keys;
mod pages;

use alloc::{format, string::String, vec::Vec};

pub use keys::Key;
pub use ui::Date;
use ui::{Color, Point, Rectangle, Size, View, icon, rect, theme};

/// A focused tile's growth takes this long.
const FOCUS_TIME: u64 = 150_000;
/// Between two frames of it.
const FOCUS_FRAME: u64 = FOCUS_TIME / 5;
/// How long the volume stays on the screen.
const VOLUME_TIME: u64 = 1_800_000;
/// How long the pointer stays on the screen.
const POINTER_TIME: u64 = 3_000_000;
/// Between two frames of an animation: 60 a second.
const FRAME: u64 = 16_667;

/// Points in time and lengths of it, in microseconds since the start.
pub type Micros = u64;

/// What the machine is, found once at the start.
#[derive(Default)]
pub struct Machine {
    pub model: String,
    pub isa: String,
    pub mmu: String,
    pub harts: usize,
    pub memory: usize,
    pub timebase: u32,
    pub sstc: bool,
    pub sbi: String,
    pub entropy: Option<u64>,
    pub screen: Size,
    pub devices: Vec<Device>,
    pub network: Option<Network>,
    /// Names of input devices, and whether they point.
    pub inputs: Vec<(String, bool)>,
}

/// A virtio device.
pub struct Device {
    pub kind: &'static str,
    pub id: u32,
    pub address: usize,
    pub irq: u32,
    pub features: u64,
    pub driven: bool,
}

/// What a network device's configuration says.
pub struct Network {
    pub mac: [u8; 6],
    pub link: Option<bool>,
    pub mtu: Option<u16>,
}

/// What changes by itself.
#[derive(Clone, Copy, Default)]
pub struct Live {
    pub heap_used: usize,
    pub heap_size: usize,
    pub parked: usize,
    pub frames: u64,
    /// Seconds since 1970 where there is a clock.
    pub clock: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    Home,
    System,
    Devices,
    Network,
    Input,
    Motion,
    Power,
}

impl Page {
    /// The pages with a tile, in order.
    pub const TILES: [Self; 6] =
        [Self::System, Self::Devices, Self::Network, Self::Input, Self::Motion, Self::Power];

    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::System => "System",
            Self::Devices => "Devices",
            Self::Network => "Network",
            Self::Input => "Input",
            Self::Motion => "Motion",
            Self::Power => "Power",
        }
    }
}

/// What the machine must do for the app.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    PowerOff,
    Restart,
}

/// The last things that input devices said.
#[derive(Default)]
struct Seen {
    key: Option<Key>,
    keys: u64,
    moves: u64,
    from: String,
}

pub struct App {
    pub machine: Machine,
    page: Page,
    /// Focused entry of the home page and of the page that is open.
    tile: usize,
    entry: usize,
    /// The tile that loses the focus, and since when.
    moved: Option<(usize, Micros)>,
    volume: u32,
    muted: bool,
    volume_until: Micros,
    pointer: Point,
    pointer_until: Micros,
    seen: Seen,
    /// When the open page was opened.
    opened: Micros,
    /// Frames that were drawn before the page was opened.
    opened_frames: u64,
    log: Vec<String>,
}

impl App {
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            page: Page::Home,
            tile: 0,
            entry: 0,
            moved: None,
            volume: 40,
            muted: false,
            volume_until: 0,
            pointer: Point::zero(),
            pointer_until: 0,
            seen: Seen::default(),
            opened: 0,
            opened_frames: 0,
            log: Vec::new(),
        }
    }

    /// Lines for the console since the last call.
    pub fn take_log(&mut self) -> Vec<String> {
        core::mem::take(&mut self.log)
    }

    pub fn page(&self) -> Page {
        self.page
    }

    fn open(&mut self, page: Page, now: Micros, live: &Live) {
        (self.page, self.entry, self.moved) = (page, 0, None);
        (self.opened, self.opened_frames) = (now, live.frames);
        self.log.push(format!("page {}", page.name()));
    }

    fn focus_tile(&mut self, to: usize, now: Micros) {
        if to != self.tile {
            self.moved = Some((self.tile, now));
            self.tile = to;
            self.log.push(format!("focus {}", Page::TILES[to].name()));
        }
    }

    /// A key went down (or repeats); `from` names the device.
    pub fn key(&mut self, key: Key, from: &str, now: Micros, live: &Live) -> Option<Action> {
        self.log.push(format!("key {}", key.name()));
        self.seen.key = Some(key);
        self.seen.keys += 1;
        self.seen.from = from.into();
        match key {
            Key::VOLUME_UP | Key::VOLUME_DOWN | Key::MUTE => {
                match key {
                    Key::MUTE => self.muted = !self.muted,
                    _ => {
                        let step: i32 = if key == Key::VOLUME_UP { 5 } else { -5 };
                        self.volume = self.volume.saturating_add_signed(step).min(100);
                        self.muted = false;
                    }
                }
                self.volume_until = now + VOLUME_TIME;
                let state = if self.muted { " muted" } else { "" };
                self.log.push(format!("volume {}{state}", self.volume));
                return None;
            }
            Key::HOME | Key::HOMEPAGE if self.page != Page::Home => self.open(Page::Home, now, live),
            Key::POWER if self.page == Page::Power => return Some(Action::PowerOff),
            Key::POWER => self.open(Page::Power, now, live),
            Key::ESC | Key::BACK | Key::BACKSPACE if self.page != Page::Home => {
                self.open(Page::Home, now, live)
            }
            _ if self.page == Page::Home => match key {
                Key::LEFT => self.focus_tile(self.tile.saturating_sub(1), now),
                Key::RIGHT => self.focus_tile((self.tile + 1).min(Page::TILES.len() - 1), now),
                Key::ENTER | Key::OK | Key::SELECT => self.open(Page::TILES[self.tile], now, live),
                _ => {}
            },
            Key::UP => self.entry = self.entry.saturating_sub(1),
            Key::DOWN => self.entry = (self.entry + 1).min(self.entries().saturating_sub(1)),
            Key::ENTER | Key::OK | Key::SELECT if self.page == Page::Power => {
                return Some(if self.entry == 0 { Action::PowerOff } else { Action::Restart });
            }
            _ => {}
        }
        None
    }

    /// How many entries of the open page take the focus.
    fn entries(&self) -> usize {
        match self.page {
            Page::Devices => self.machine.devices.len(),
            Page::Power => 2,
            _ => 0,
        }
    }

    /// The pointer moved to a place given as fractions of the screen, in 1/65536.
    pub fn pointer(&mut self, x: u32, y: u32, now: Micros) {
        let Size { width, height } = self.machine.screen;
        let at = |part: u32, whole: u32| ((u64::from(part) * u64::from(whole)) >> 16) as i32;
        self.pointer = View::new(self.machine.screen).unit_at(Point::new(at(x, width), at(y, height)));
        self.pointer_until = now + POINTER_TIME;
        self.seen.moves += 1;
        if self.page == Page::Home
            && let Some(i) = (0..Page::TILES.len()).find(|&i| pages::tile_rect(i).contains(self.pointer))
        {
            self.focus_tile(i, now);
        }
    }

    /// The pointer's button or a finger went down.
    pub fn press(&mut self, now: Micros, live: &Live) -> Option<Action> {
        self.log.push(format!("press {} {}", self.pointer.x, self.pointer.y));
        match self.page {
            Page::Home => {
                if let Some(i) = (0..Page::TILES.len()).find(|&i| pages::tile_rect(i).contains(self.pointer))
                {
                    self.open(Page::TILES[i], now, live);
                }
            }
            _ if pages::BACK.contains(self.pointer) => self.open(Page::Home, now, live),
            Page::Power => match (0..2).find(|&i| pages::row_rect(i).contains(self.pointer)) {
                Some(0) => return Some(Action::PowerOff),
                Some(_) => return Some(Action::Restart),
                None => {}
            },
            _ => {}
        }
        None
    }

    /// When the screen changes next by itself.
    pub fn next_change(&self, now: Micros, live: &Live) -> Micros {
        // The clock's next minute, or the next second of an uptime that is shown.
        let second = now + 1_000_000 - now % 1_000_000;
        let mut next = match (self.page, live.clock) {
            (Page::System | Page::Motion, _) | (_, None) => second,
            (_, Some(clock)) => now + (60 - clock % 60) * 1_000_000,
        };
        for end in [self.volume_until, self.pointer_until] {
            if end > now {
                next = next.min(end);
            }
        }
        if self.page == Page::Motion {
            next = next.min(now + FRAME - now % FRAME);
        }
        if let Some((_, since)) = self.moved.filter(|m| now < m.1 + FOCUS_TIME) {
            // Large areas change: half the rate, counted from the key, so that the last frame is the final one.
            next = next.min(since + (now - since) / FOCUS_FRAME * FOCUS_FRAME + FOCUS_FRAME);
        }
        next
    }

    /// What the screen shows now.
    pub fn view(&self, now: Micros, live: &Live) -> View {
        let mut view = View::new(self.machine.screen);
        let clock = match live.clock.map(Date::of) {
            Some(d) => format!("{:02}:{:02}", d.hour, d.minute),
            None => format!("{}:{:02}", now / 60_000_000, now / 1_000_000 % 60),
        };
        match self.page {
            Page::Home => self.home(&mut view, &clock, now, live),
            _ => self.open_page(&mut view, &clock, now, live),
        }
        if now < self.volume_until {
            ui::widgets::volume(&mut view, self.volume, self.muted);
        }
        if now < self.pointer_until {
            // White on a dark edge, seen on any ground; the arrow's tip is at a sixth of the box.
            let Point { x, y } = self.pointer;
            view.icon(x - 12, y - 10, 54, icon::CURSOR, Color::hex(0x0a0c18));
            view.icon(x - 7, y - 5, 44, icon::CURSOR, theme::TEXT);
        }
        view
    }

    /// How far a tile has grown, from 0 to 256: quickly at first, gently at the end.
    fn tile_focus(&self, i: usize, now: Micros) -> i32 {
        let (left, done) = match self.moved {
            Some((left, since)) if now < since + FOCUS_TIME => (Some(left), (now - since) * 256 / FOCUS_TIME),
            _ => (None, 256),
        };
        let rest = 256 - done as i32;
        let eased = 256 - ((rest * rest) >> 8);
        if i == self.tile {
            eased
        } else if Some(i) == left {
            256 - eased
        } else {
            0
        }
    }
}

/// The box that everything but the status bar keeps inside.
fn content() -> Rectangle {
    rect(96, 240, 1728, 700)
}

#[cfg(test)]
mod tests;
