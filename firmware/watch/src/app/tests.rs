//! The app, driven by touches and sensors, and what it draws.

extern crate std;

use std::{format, vec, vec::Vec};

use ui::{Cache, Canvas, Color, Pixel, Ui, WireRgb565, rect};

use super::gesture::Contact;
use super::settings::{Flash, Journal, PAGE};
use super::*;

const CACHE: Cache = Cache { bytes: 7 << 10, largest: 40 };

fn finger(x: i32, y: i32, down: bool) -> Contact {
    Contact { x, y, down, swipe: None }
}

/// A finger from one place to another, 20 ms apart.
fn stroke(app: &mut App, from: (i32, i32), to: (i32, i32), now: Micros) {
    for i in 0..=4 {
        let at = |a: i32, b: i32| a + (b - a) * i / 4;
        app.touch(finger(at(from.0, to.0), at(from.1, to.1), true), now + 20_000 * i as u64);
    }
    app.touch(finger(to.0, to.1, false), now + 100_000);
}

fn tap(app: &mut App, x: i32, y: i32, now: Micros) {
    stroke(app, (x, y), (x + 3, y - 2), now);
}

#[test]
fn swipes_lead_around_and_the_button_leads_back() {
    let mut app = App::new(Settings::default());
    let mut now = SECOND;
    for page in [Page::Activity, Page::Heart, Page::Battery, Page::Settings, Page::Clock] {
        stroke(&mut app, (120, 180), (124, 60), now);
        assert_eq!((app.page, app.take_slide()), (page, Some(Slide::Up)));
        now += SECOND;
    }
    stroke(&mut app, (60, 120), (180, 118), now);
    assert_eq!((app.page, app.take_slide()), (Page::Settings, Some(Slide::Right)));
    app.button(false, now);
    assert_eq!(app.page, Page::Clock);
    let log = app.take_log();
    assert_eq!(log[..2], ["touch 120 180", "screen activity"]);
}

/// A controller that saw only the end of a swipe reports it by itself.
#[test]
fn the_controllers_own_swipe_counts() {
    let mut app = App::new(Settings::default());
    app.touch(Contact { swipe: Some(Swipe::Left), ..finger(60, 120, false) }, SECOND);
    assert_eq!(app.page, Page::Activity);
}

#[test]
fn tiles_change_settings() {
    let mut app = App::new(Settings::default());
    app.open(Page::Settings, None, 0);
    app.take_log();
    tap(&mut app, 70, 90, SECOND);
    tap(&mut app, 160, 90, 2 * SECOND);
    tap(&mut app, 70, 160, 3 * SECOND);
    let wanted = Settings { brightness: 1, face: Face::Digital, vibration: false };
    assert_eq!((app.settings, app.take_save()), (wanted, Some(wanted)));
    let log: Vec<_> = app.take_log().into_iter().filter(|l| l.starts_with("setting")).collect();
    assert_eq!(log, ["setting brightness 1", "setting face digital", "setting vibration off"]);
    assert!(!app.set("brightness", 4) && !app.set("volume", 1));
}

#[test]
fn the_time_of_day_is_set_and_goes_on() {
    let mut app = App::new(Settings::default());
    let shown = |app: &App, now| {
        let d = app.date(now);
        format!("{:02}:{:02} {:.3} {} {}", d.hour, d.minute, d.weekday, d.day, d.month)
    };
    assert_eq!(shown(&app, 59 * SECOND), "10:09 Sat 10 October");
    app.open(Page::Settings, None, 60 * SECOND);
    tap(&mut app, 160, 160, 60 * SECOND);
    assert_eq!(app.page, Page::Time);
    tap(&mut app, 78, 60, 61 * SECOND);
    for i in 0..11 {
        tap(&mut app, 160, 160, (62 + i) * SECOND);
    }
    tap(&mut app, 120, 205, 80 * SECOND);
    assert_eq!((app.page, shown(&app, 80 * SECOND)), (Page::Settings, "11:59 Sat 10 October".into()));
    assert_eq!(shown(&app, (80 + 12 * 3600 + 60) * SECOND), "00:00 Sun 11 October");
}

#[test]
fn the_display_sleeps_and_wakes() {
    let mut app = App::new(Settings::default());
    let mut now = 0;
    let mut wakeups = 0;
    while let Some(next) = app.next_change(now) {
        assert!(next > now);
        now = next;
        app.tick(now);
        wakeups += 1;
    }
    assert_eq!((now, wakeups), (AWAKE, 20), "one picture a second until then");
    tap(&mut app, 120, 120, now + SECOND);
    assert!(app.is_awake());
    app.button(true, now + 2 * SECOND);
    assert!(!app.is_awake());
    app.button(false, now + 3 * SECOND);
    assert!(app.is_awake() && app.page == Page::Clock);
    app.sleep();
    // The arm hangs, then is raised.
    for i in 0..50 {
        app.acceleration(if i < 25 { [1000, 0, 0] } else { [100, 100, 980] }, now);
    }
    assert!(app.is_awake());
}

/// Drawing only what changed must give the picture that drawing everything gives.
#[test]
fn incremental_drawing_equals_drawing_everything() {
    let area = rect(0, 0, 240, 240);
    let paint = |ui: &mut Ui<WireRgb565>, pixels: &mut [WireRgb565], view: View| {
        let damage = ui.update(view);
        for &r in &damage {
            ui.paint(&mut Canvas::new(pixels, area, r));
        }
        damage.iter().map(|r| r.size.width * r.size.height).sum::<u32>()
    };
    let mut app = App::new(Settings::default());
    let mut ui = Ui::plain(SCREEN, Color::hex(0), CACHE);
    let mut pixels = vec![[0; 2]; 240 * 240];
    let mut now = 0;
    for step in 0..240_u32 {
        match step {
            70 => app.settings.face = Face::Digital,
            140 => app.open(Page::Activity, None, now),
            160 => app.open(Page::Heart, None, now),
            220 => app.open(Page::Settings, None, now),
            230 => app.open(Page::Time, None, now),
            _ => {}
        }
        app.light(if step % 20 < 3 { 900 } else { 1000 });
        app.supply(Supply { millivolts: 4180 - step, ..Supply::default() });
        let changed = paint(&mut ui, &mut pixels, app.view(now));
        if step % 7 == 0 || step > 215 {
            let mut whole = vec![[0; 2]; 240 * 240];
            paint(&mut Ui::plain(SCREEN, Color::hex(0), CACHE), &mut whole, app.view(now));
            assert!(pixels == whole, "step {step} on {:?}", app.page);
        }
        if (1..70).contains(&step) {
            assert!(changed < 240 * 240 / 4, "a second on the analog face draws {changed} pixels");
        }
        now = if app.page == Page::Clock { now + SECOND } else { now + FRAME };
    }
}

/// Nothing lies beyond the round glass.
#[test]
fn pictures_stay_in_the_glass() {
    let mut app = App::new(Settings::default());
    app.supply(Supply { millivolts: 4180, charging: true, powered: true });
    for i in 0..300 {
        app.light(if i % 20 < 3 { 900 } else { 1000 });
    }
    for page in Page::RING.into_iter().chain([Page::Time, Page::Clock]) {
        app.open(page, None, 0);
        let mut ui = Ui::<WireRgb565>::plain(SCREEN, Color::hex(0), CACHE);
        ui.update(app.view(59 * SECOND));
        let mut pixels = vec![[0; 2]; 240 * 240];
        ui.paint(&mut Canvas::new(&mut pixels, rect(0, 0, 240, 240), rect(0, 0, 240, 240)));
        for (i, pixel) in pixels.iter().enumerate() {
            let (x, y) = (2 * (i as i32 % 240) - 239, 2 * (i as i32 / 240) - 239);
            assert!(x * x + y * y <= 240 * 240 || pixel.rgb() == (0, 0, 0), "{page:?} {x} {y}");
        }
        app.settings.face = Face::Digital;
    }
}

/// Counts what each thread has allocated.
struct Counting;

std::thread_local! {
    static USED: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
    static PEAK: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
}

#[allow(unsafe_code, reason = "a global allocator")]
// SAFETY: forwards to the system's allocator.
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        USED.set(USED.get() + layout.size() as isize);
        PEAK.set(PEAK.get().max(USED.get()));
        // SAFETY: the caller's contract.
        unsafe { std::alloc::System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: std::alloc::Layout) {
        USED.set(USED.get() - layout.size() as isize);
        // SAFETY: the caller's contract.
        unsafe { std::alloc::System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pictures are painted within the watch's heap of 29 KiB: with pointers twice as wide as there, within 24.
#[test]
fn painting_fits_the_memory() {
    let mut strip = vec![[0; 2]; 16 * 240];
    let mut app = App::new(Settings::default());
    app.supply(Supply { millivolts: 4080, ..Supply::default() });
    for i in 0..300 {
        app.light(if i % 20 < 3 { 900 } else { 1000 });
    }
    app.take_log();
    app.set_seconds(1_791_590_340, 0);
    let before = USED.get();
    let mut ui = Ui::<WireRgb565>::plain(SCREEN, Color::hex(0), CACHE);
    for page in Page::RING.into_iter().chain([Page::Time, Page::Clock]).cycle().take(21) {
        app.open(page, None, 0);
        app.take_log();
        for now in [59 * SECOND, 86 * SECOND] {
            PEAK.set(USED.get());
            ui.update(app.view(now));
            for y in (0..240).step_by(16) {
                let area = rect(0, y, 240, 16);
                ui.paint(&mut Canvas::new(&mut strip, area, area));
            }
            let peak = PEAK.get() - before;
            assert!(peak < 24 << 10, "{page:?} takes {peak} bytes");
            std::eprintln!("{page:?} {peak}");
        }
        if page == Page::Time {
            app.settings.face = Face::Digital;
        }
    }
}

/// A photoplethysmogram: systole, notch, diastole; breathing; conversions of 25 ms read 30 times a second; and noise.
fn ppg(i: u64, bpm: f64) -> u32 {
    let at = (i * 1000 / u64::from(pulse::RATE) / 25 * 25) as f64 / 1000.0;
    let phase = (at * bpm / 60.0).fract();
    let points = [(0.0, 0.0), (0.12, 0.85), (0.18, 1.0), (0.38, 0.42), (0.44, 0.5), (0.7, 0.14), (1.0, 0.0)];
    let piece = points.windows(2).find(|p| phase <= p[1].0).unwrap();
    let ((x0, y0), (x1, y1)) = (piece[0], piece[1]);
    let beat: f64 = y0 + (y1 - y0) * (phase - x0) / (x1 - x0);
    let breath = 4.0 * ((at / 4.0).fract() - 0.5).abs() - 1.0;
    let noise = (i.wrapping_mul(6_364_136_223_846_793_005) >> 40) % 7;
    (3000.0 * (1.0 - 0.03 * beat + 0.006 * breath)) as u32 + noise as u32
}

#[test]
fn the_pulse_is_found_and_followed() {
    for bpm in [38_u32, 45, 52, 60, 66, 72, 80, 95, 110, 128, 144, 160, 180, 200] {
        let mut pulse = Pulse::new();
        (0..360).for_each(|i| pulse.sample(ppg(i, bpm.into())));
        let found = pulse.bpm().unwrap_or(0);
        assert!(found.abs_diff(bpm) <= 1 + bpm / 80, "{bpm} measured as {found}");
    }
    let mut pulse = Pulse::new();
    (0..360).for_each(|i| pulse.sample(ppg(i, 60.0)));
    (360..660).for_each(|i| pulse.sample(ppg(i, 120.0)));
    assert!(pulse.bpm().unwrap().abs_diff(120) <= 2);
    // A table has no pulse.
    (0..400).for_each(|i| pulse.sample(3000 + (i * 7 % 5) as u32));
    assert_eq!(pulse.bpm(), None);
}

#[test]
fn a_walk_is_counted_and_a_gesture_is_not() {
    let walk = |per_second: f64, seconds: u32, height: f64| {
        let mut motion = Motion::new();
        let sample = |i: u32| {
            let swing = (f64::from(i) / f64::from(steps::RATE) * per_second * std::f64::consts::TAU).sin();
            [(height * 0.3 * swing) as i16, 0, (1000.0 + height * swing) as i16]
        };
        (0..steps::RATE * seconds).map(|i| motion.sample(sample(i)).steps).sum::<u32>()
    };
    for (per_second, height) in [(1.6, 250.0), (2.0, 300.0), (2.8, 900.0)] {
        let (counted, made) = (walk(per_second, 60, height), (per_second * 60.0) as u32);
        assert!(counted.abs_diff(made) <= 2, "{counted} of {made}");
    }
    assert_eq!(walk(2.0, 1, 300.0), 0, "two swings");
    assert_eq!(walk(2.0, 60, 30.0), 0, "a tremor");
}

#[test]
fn charge_follows_the_voltage() {
    assert_eq!([0, 3500, 3723, 3989, 4180, 5000].map(battery::percent), [0, 0, 22, 80, 100, 100]);
    assert!((3400..4200).all(|mv| battery::percent(mv) <= battery::percent(mv + 1)));
}

/// Flash whose supply fails after so many bytes written and pages erased.
#[derive(Clone)]
struct Failing {
    bytes: Vec<u8>,
    left: usize,
}

impl Failing {
    fn spend(&mut self) -> bool {
        let alive = self.left > 0;
        self.left = self.left.saturating_sub(1);
        alive
    }
}

impl Flash for &mut Failing {
    fn read(&mut self, at: u32, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.bytes[at as usize..][..bytes.len()]);
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            if self.spend() {
                self.bytes[at as usize + i] &= byte;
            }
        }
    }

    fn erase(&mut self, page: u32) {
        if self.spend() {
            self.bytes[page as usize..][..PAGE as usize].fill(0xff);
        }
    }
}

#[test]
fn settings_survive_a_failure_of_power_at_any_moment() {
    let mut flash = Failing { bytes: vec![0xa5; 2 * PAGE as usize], left: usize::MAX };
    assert_eq!(Journal::open(&mut flash).settings(), None);
    let mut last = None;
    for i in 0..600_u32 {
        let next = Settings { brightness: (i % 3) as u8 + 1, vibration: i % 2 == 0, ..Settings::default() };
        // Of each change, another moment fails; near the end of a page all of them.
        let moments = if (i + 1) % 256 < 2 { 0..20 } else { (i as usize % 17)..(i as usize % 17 + 1) };
        for left in moments {
            let mut failing = Failing { left, ..flash.clone() };
            Journal::open(&mut failing).keep(next);
            failing.left = usize::MAX;
            let mut journal = Journal::open(&mut failing);
            let found = journal.settings();
            assert!(found == last || found == Some(next), "change {i} cut after {left}: {found:?}");
            assert!(journal.keep(Settings { face: Face::Digital, ..next }), "change {i} cut after {left}");
        }
        assert!(Journal::open(&mut flash).keep(next));
        last = Some(next);
        assert_eq!(Journal::open(&mut flash).settings(), last);
    }
}
