//! What the watch shows, how it reacts, and what its sensors' values mean; knows no device.
#![no_std]
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "for the program beside it only")]

extern crate alloc;

pub mod battery;
mod faces;
pub mod gesture;
mod pages;
pub mod pulse;
pub mod settings;
pub mod steps;

use alloc::{format, string::String, vec::Vec};

use gesture::{Gesture, Recognizer, Swipe};
use pulse::Pulse;
use settings::{Face, Settings};
use steps::Motion;
use ui::{Date, Point, Size, View};

/// Points in time and lengths of it, in microseconds since the start.
pub type Micros = u64;

const SECOND: Micros = 1_000_000;
/// Between two frames of anything that moves: 30 a second.
const FRAME: Micros = 33_333;
/// The display sleeps after this long without a touch; later where something is being measured.
const AWAKE: Micros = 20 * SECOND;
const AWAKE_MEASURING: Micros = 60 * SECOND;
/// Rings fill up over this long when their page appears.
const FILL: Micros = 600_000;
/// A pressed tile stays lit this long.
const PRESS: Micros = 160_000;
/// 10:09 on Saturday, 10 October 2026: the time of day at the start.
const START: u64 = 1_791_626_940;
/// Steps a day that fill the ring.
const GOAL: u32 = 8000;

/// The glass, which every picture stays in.
pub const SCREEN: Size = Size::new(240, 240);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    Clock,
    Activity,
    Heart,
    Battery,
    Settings,
    /// Setting the time of day, reached from the settings.
    Time,
}

impl Page {
    /// The pages that swipes lead through, in order.
    pub const RING: [Self; 5] = [Self::Clock, Self::Activity, Self::Heart, Self::Battery, Self::Settings];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Activity => "activity",
            Self::Heart => "heart",
            Self::Battery => "battery",
            Self::Settings => "settings",
            Self::Time => "time",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::RING.into_iter().chain([Self::Time]).find(|p| p.name() == name)
    }

    /// As many parts as its picture has, at most.
    fn items(self) -> usize {
        match self {
            Self::Clock => 32,
            Self::Activity => 44,
            _ => 24,
        }
    }

    /// The page `by` places further along the ring.
    fn beside(self, by: usize) -> Self {
        let at = Self::RING.iter().position(|&p| p == self).unwrap_or(4);
        Self::RING[(at + by) % Self::RING.len()]
    }
}

/// How a new page comes into sight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slide {
    /// The picture moves up, the new page follows from below.
    Up,
    /// The picture moves down.
    Down,
    /// The new page is uncovered from the right edge on.
    Left,
    /// The new page is uncovered from the left edge on.
    Right,
}

/// What the battery's supply looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Supply {
    pub millivolts: u32,
    pub charging: bool,
    /// Power on the charger's contacts.
    pub powered: bool,
}

/// A tile or field being pressed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pressed {
    index: usize,
    until: Micros,
}

pub struct App {
    pub page: Page,
    pub settings: Settings,
    awake: bool,
    /// The last time that somebody did something.
    touched: Micros,
    /// When the page appeared.
    since: Micros,
    /// Seconds since 1970 when the watch started.
    epoch: u64,
    /// The time of day being set: minutes since midnight.
    edited: u32,
    pressed: Option<Pressed>,
    gestures: Recognizer,
    pulse: Pulse,
    motion: Motion,
    supply: Supply,
    percent: Option<u32>,
    /// Steps of each hour of the day.
    hours: [u16; 24],
    day: u64,
    log: Vec<String>,
    slide: Option<Slide>,
    buzz: bool,
    save: bool,
}

impl App {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            page: Page::Clock,
            settings,
            awake: true,
            touched: 0,
            since: 0,
            epoch: START,
            edited: 0,
            pressed: None,
            gestures: Recognizer::default(),
            pulse: Pulse::new(),
            motion: Motion::new(),
            supply: Supply::default(),
            percent: None,
            hours: [0; 24],
            day: START / 86_400,
            log: Vec::new(),
            slide: None,
            buzz: false,
            save: false,
        }
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(&self, now: Micros) -> u64 {
        self.epoch.wrapping_add(now / SECOND)
    }

    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.awake
    }

    /// Whether the pulse is wanted.
    #[must_use]
    pub fn measures(&self) -> bool {
        self.awake && self.page == Page::Heart
    }

    /// How the page that the next picture shows shall appear; `None` changes only what differs.
    pub fn take_slide(&mut self) -> Option<Slide> {
        self.slide.take()
    }

    /// Whether the motor shall tick.
    pub fn take_buzz(&mut self) -> bool {
        core::mem::take(&mut self.buzz) && self.settings.vibration
    }

    /// The settings where they changed and shall be kept.
    pub fn take_save(&mut self) -> Option<Settings> {
        core::mem::take(&mut self.save).then_some(self.settings)
    }

    /// Lines for the console.
    pub fn take_log(&mut self) -> Vec<String> {
        core::mem::take(&mut self.log)
    }

    #[must_use]
    pub fn has_log(&self) -> bool {
        !self.log.is_empty()
    }

    /// A finger on the glass, or one that leaves it.
    pub fn touch(&mut self, contact: gesture::Contact, now: Micros) {
        let began = self.gestures.is_beginning(&contact);
        if began {
            self.log.push(format!("touch {} {}", contact.x, contact.y));
        }
        let gesture = self.gestures.contact(contact);
        if !self.awake {
            // What wakes the display does nothing else.
            if began || gesture.is_some() {
                self.gestures.ignore();
                self.wake(now);
            }
            return;
        }
        self.touched = now;
        match gesture {
            Some(Gesture::Tap(at)) => self.tap(at, now),
            Some(Gesture::Swipe(swipe)) => self.swipe(swipe, now),
            None => {}
        }
    }

    /// The side button: back, or the display's sleep where it was held.
    pub fn button(&mut self, long: bool, now: Micros) {
        if long {
            if self.awake {
                self.sleep();
            }
            return;
        }
        if !self.awake {
            return self.wake(now);
        }
        self.touched = now;
        match self.page {
            Page::Clock => {}
            Page::Time => self.keep_time(now),
            _ => self.open(Page::Clock, Some(Slide::Down), now),
        }
    }

    fn swipe(&mut self, swipe: Swipe, now: Micros) {
        let (by, slide) = match swipe {
            Swipe::Up => (1, Slide::Up),
            Swipe::Left => (1, Slide::Left),
            Swipe::Down => (Page::RING.len() - 1, Slide::Down),
            Swipe::Right => (Page::RING.len() - 1, Slide::Right),
        };
        if self.page == Page::Time {
            return self.keep_time(now);
        }
        self.open(self.page.beside(by), Some(slide), now);
    }

    fn tap(&mut self, at: Point, now: Micros) {
        match self.page {
            Page::Settings => {
                let Some(index) = pages::TILES.iter().position(|t| t.contains(at)) else { return };
                self.press(index, now);
                let Settings { brightness, face, vibration } = self.settings;
                let (name, value) = match index {
                    0 => ("brightness", u32::from(brightness) % Settings::BRIGHTEST + 1),
                    1 => ("face", u32::from(face == Face::Analog)),
                    2 => ("vibration", u32::from(!vibration)),
                    _ => {
                        self.edited = (self.seconds(now) / 60 % 1440) as u32;
                        return self.open(Page::Time, Some(Slide::Left), now);
                    }
                };
                self.set(name, value);
            }
            Page::Time => {
                let Some(index) = pages::STEPPERS.iter().position(|t| t.contains(at)) else {
                    if pages::DONE.contains(at) {
                        self.buzz = true;
                        self.keep_time(now);
                    }
                    return;
                };
                self.press(index, now);
                let (hour, minute) = (self.edited / 60, self.edited % 60);
                let (hour, minute) = match index {
                    0 => ((hour + 1) % 24, minute),
                    1 => ((hour + 23) % 24, minute),
                    2 => (hour, (minute + 1) % 60),
                    _ => (hour, (minute + 59) % 60),
                };
                self.edited = hour * 60 + minute;
            }
            _ => {}
        }
    }

    fn press(&mut self, index: usize, now: Micros) {
        self.pressed = Some(Pressed { index, until: now + PRESS });
        self.buzz = true;
    }

    /// Changes a setting by its name; values out of range are refused.
    pub fn set(&mut self, name: &str, value: u32) -> bool {
        let Some(text) = self.settings.set(name, value) else { return false };
        self.log.push(format!("setting {name} {text}"));
        self.save = true;
        true
    }

    fn keep_time(&mut self, now: Micros) {
        self.set_time(self.edited / 60, self.edited % 60, now);
        self.open(Page::Settings, Some(Slide::Right), now);
    }

    /// Sets the time of day; the minute that is shown already keeps its seconds.
    pub fn set_time(&mut self, hour: u32, minute: u32, now: Micros) {
        let (seconds, wanted) = (self.seconds(now), u64::from(hour * 60 + minute));
        if seconds / 60 % 1440 != wanted {
            self.set_seconds(seconds / 86_400 * 86_400 + wanted * 60, now);
        }
        self.log.push(format!("setting time {hour:02}:{minute:02}"));
    }

    /// Sets date and time, as seconds since 1970.
    pub fn set_seconds(&mut self, seconds: u64, now: Micros) {
        self.epoch = seconds.wrapping_sub(now / SECOND);
    }

    /// Shows a page.
    pub fn open(&mut self, page: Page, slide: Option<Slide>, now: Micros) {
        if page == self.page {
            return;
        }
        if page == Page::Heart {
            self.pulse.restart();
        }
        (self.page, self.since, self.touched) = (page, now, now);
        self.slide = slide;
        self.pressed = self.pressed.filter(|_| page == Page::Settings);
        self.log.push(format!("screen {}", page.name()));
    }

    /// Switches the display on.
    pub fn wake(&mut self, now: Micros) {
        if !self.awake {
            self.awake = true;
            (self.touched, self.since, self.slide) = (now, now, None);
            if self.page == Page::Heart {
                self.pulse.restart();
            }
            self.log.push(format!("screen {}", self.page.name()));
        }
    }

    /// Switches the display off.
    pub fn sleep(&mut self) {
        self.awake = false;
        self.log.push("screen off".into());
    }

    /// A sample of the heart-rate sensor, [`pulse::RATE`] of them a second.
    pub fn light(&mut self, sample: u32) {
        let before = self.pulse.bpm();
        self.pulse.sample(sample);
        if let Some(bpm) = self.pulse.bpm().filter(|&b| before != Some(b)) {
            self.log.push(format!("hr {bpm} bpm"));
        }
    }

    /// A sample of the accelerometer in 1/1000 g, [`steps::RATE`] of them a second.
    pub fn acceleration(&mut self, sample: [i16; 3], now: Micros) {
        let moved = self.motion.sample(sample);
        if moved.steps > 0 {
            let seconds = self.seconds(now);
            if core::mem::replace(&mut self.day, seconds / 86_400) != seconds / 86_400 {
                self.hours = [0; 24];
            }
            let hour = &mut self.hours[(seconds / 3600 % 24) as usize];
            *hour = hour.saturating_add(moved.steps as u16);
            self.log.push(format!("steps {}", self.steps()));
        }
        if moved.raised && !self.awake {
            self.wake(now);
        }
    }

    /// Today's steps.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.hours.iter().map(|&h| u32::from(h)).sum()
    }

    pub fn supply(&mut self, supply: Supply) {
        if supply.charging != self.supply.charging {
            self.log.push(format!("charging {}", if supply.charging { "yes" } else { "no" }));
        }
        self.supply = supply;
        let percent = battery::percent(supply.millivolts);
        if self.percent.replace(percent) != Some(percent) {
            self.log.push(format!("battery {percent}%"));
        }
    }

    /// When, without an event, something changes next; `None` while the display sleeps.
    #[must_use]
    pub fn next_change(&self, now: Micros) -> Option<Micros> {
        if !self.awake {
            return None;
        }
        let minute = 60 * SECOND;
        let next = |period: Micros| {
            // Wall-clock seconds begin where the watch's own do.
            let ahead = (self.epoch % (period / SECOND)) * SECOND;
            (now + ahead) / period * period + period - ahead
        };
        let moves = match self.page {
            Page::Activity | Page::Battery => now < self.since + FILL,
            Page::Heart => true,
            _ => false,
        } || self.pressed.is_some_and(|p| now < p.until);
        let change = match self.page {
            _ if moves => (now / FRAME + 1) * FRAME,
            Page::Clock => next(SECOND),
            _ => next(minute),
        };
        Some(change.min(self.sleeps_at()).max(now + 1))
    }

    fn sleeps_at(&self) -> Micros {
        self.touched + if self.page == Page::Heart { AWAKE_MEASURING } else { AWAKE }
    }

    /// Lets time pass: the display falls asleep, presses end.
    pub fn tick(&mut self, now: Micros) {
        self.pressed = self.pressed.filter(|p| now < p.until);
        if self.awake && now >= self.sleeps_at() {
            if self.page != Page::Heart {
                // Awake again, it shows the time.
                self.page = Page::Clock;
            }
            self.sleep();
        }
    }

    /// What the display shows.
    #[must_use]
    pub fn view(&self, now: Micros) -> View {
        let mut view = View::new(SCREEN).with_capacity(self.page.items());
        match (self.page, self.settings.face) {
            (Page::Clock, Face::Analog) => self.analog(&mut view, now),
            (Page::Clock, Face::Digital) => self.digital(&mut view, now),
            (Page::Activity, _) => self.activity(&mut view, now),
            (Page::Heart, _) => self.heart(&mut view, now),
            (Page::Battery, _) => self.battery(&mut view, now),
            (Page::Settings, _) => self.settings(&mut view, now),
            (Page::Time, _) => self.time(&mut view, now),
        }
        view
    }

    fn date(&self, now: Micros) -> Date {
        Date::of(self.seconds(now))
    }
}

/// A number with its thousands set apart.
fn grouped(n: u32) -> String {
    if n < 1000 { format!("{n}") } else { format!("{},{:03}", n / 1000, n % 1000) }
}

#[cfg(test)]
mod tests;
