//! The app, driven by keys and pointer, and what it draws.

extern crate std;

use std::{string::String, vec, vec::Vec};

use ui::{Canvas, Point, Rectangle, Size, Ui, Xrgb8888, rect};

use super::*;

const LIVE: Live =
    Live { heap_used: 17 << 20, heap_size: 128 << 20, parked: 3, frames: 0, clock: Some(1_795_358_000) };

fn app(screen: Size) -> App {
    let devices = [1, 2, 3, 4, 9, 16, 18, 18].iter().map(|&id| Device {
        kind: "thing",
        id,
        address: 0x1000_1000,
        irq: 1,
        features: 1 << 32,
        driven: id > 4,
    });
    App::new(Machine {
        model: "a board".into(),
        isa: "rv64imafdc_zba_sstc".into(),
        harts: 4,
        memory: 1 << 30,
        timebase: 10_000_000,
        screen,
        devices: devices.collect(),
        ..Machine::default()
    })
}

fn press_all(app: &mut App, keys: &[Key], now: Micros) -> Option<Action> {
    keys.iter().map(|&k| app.key(k, "test", now, &LIVE)).last().flatten()
}

fn render(ui: &mut Ui<Xrgb8888>, pixels: &mut [Xrgb8888], screen: Size, view: View) -> Vec<Rectangle> {
    let damage = ui.update(view);
    for &r in &damage {
        ui.paint(&mut Canvas::new(pixels, Rectangle::new(Point::zero(), screen), r));
    }
    damage
}

/// Drawing only what changed must give the picture that drawing everything gives.
#[test]
fn incremental_drawing_equals_drawing_everything() {
    for screen in [Size::new(960, 540), Size::new(701, 467)] {
        let mut app = app(screen);
        let mut ui = Ui::new(screen, true);
        let mut pixels = vec![Xrgb8888(0); (screen.width * screen.height) as usize];
        let keys = [
            Key::RIGHT,
            Key::RIGHT,
            Key::VOLUME_UP,
            Key::LEFT,
            Key::OK,
            Key::DOWN,
            Key::DOWN,
            Key::MUTE,
            Key::HOME,
            Key::RIGHT,
            Key::RIGHT,
            Key::RIGHT,
            Key::OK,
            Key::BACK,
            Key::POWER,
            Key::DOWN,
            Key::ESC,
        ];
        let mut now = 1_000_000;
        for (i, key) in keys.into_iter().enumerate() {
            app.key(key, "test", now, &LIVE);
            app.pointer(3000 * i as u32, 60_000 - 2500 * i as u32, now);
            for _ in 0..3 {
                render(&mut ui, &mut pixels, screen, app.view(now, &LIVE));
                now += 70_000;
            }
            let (shown, mut fresh) = (pixels.clone(), vec![Xrgb8888(0); pixels.len()]);
            render(&mut Ui::new(screen, false), &mut fresh, screen, app.view(now - 70_000, &LIVE));
            assert!(shown == fresh, "{key:?} at {screen:?}");
        }
    }
}

/// A display without a framebuffer is painted in bands of a few lines.
#[test]
fn bands_equal_the_whole() {
    let screen = Size::new(640, 360);
    let mut ui = Ui::new(screen, false);
    let mut whole = vec![Xrgb8888(0); 640 * 360];
    render(&mut ui, &mut whole, screen, app(screen).view(5_000_000, &LIVE));
    for y in (0..360).step_by(7) {
        let band = rect(0, y, 640, 7.min(360 - y));
        let mut pixels = vec![Xrgb8888(0); 640 * 7];
        ui.paint(&mut Canvas::new(&mut pixels, band, band));
        let rows = band.size.height as usize * 640;
        assert!(pixels[..rows] == whole[y as usize * 640..][..rows], "band at {y}");
    }
}

#[test]
fn nothing_changes_between_minutes() {
    let screen = Size::new(640, 360);
    let app = app(screen);
    let mut ui: Ui<Xrgb8888> = Ui::new(screen, false);
    ui.update(app.view(1_000_000, &LIVE));
    assert_eq!(ui.update(app.view(20_000_000, &LIVE)), []);
    // 1795358000 is 20 seconds after a full minute.
    assert_eq!(app.next_change(1_000_000, &LIVE), 41_000_000);
    let next = Live { clock: LIVE.clock.map(|c| c + 40), ..LIVE };
    assert_eq!(ui.update(app.view(41_000_000, &next)).len(), 1);
}

#[test]
fn a_focus_change_draws_little() {
    let screen = Size::new(1920, 1080);
    let mut app = app(screen);
    let mut ui: Ui<Xrgb8888> = Ui::new(screen, false);
    ui.update(app.view(1_000_000, &LIVE));
    app.key(Key::RIGHT, "test", 1_000_000, &LIVE);
    let damage = ui.update(app.view(1_090_000, &LIVE));
    let area: u32 = damage.iter().map(|r| r.size.width * r.size.height).sum();
    assert!(area < 1920 * 1080 / 6, "{damage:?}");
}

#[test]
fn keys_move_open_and_return() {
    let mut app = app(Size::new(1920, 1080));
    assert_eq!(press_all(&mut app, &[Key::LEFT, Key::RIGHT, Key::OK], 0), None);
    assert_eq!(app.page(), Page::Devices);
    press_all(&mut app, &[Key::DOWN; 20], 0);
    assert_eq!(app.entry, 7);
    press_all(&mut app, &[Key::BACK], 0);
    let log: Vec<String> = app.take_log().into_iter().filter(|l| !l.starts_with("key")).collect();
    assert_eq!(log, ["focus Devices", "page Devices", "page Home"]);
}

#[test]
fn power_needs_two_presses() {
    let mut app = app(Size::new(1920, 1080));
    assert_eq!(press_all(&mut app, &[Key::POWER], 0), None);
    assert_eq!(press_all(&mut app, &[Key::DOWN, Key::OK], 0), Some(Action::Restart));
    assert_eq!(press_all(&mut app, &[Key::POWER], 0), Some(Action::PowerOff));
}

#[test]
fn volume_stays_in_range_and_hides() {
    let mut app = app(Size::new(1920, 1080));
    press_all(&mut app, &[Key::VOLUME_UP; 30], 1000);
    assert_eq!(app.volume, 100);
    press_all(&mut app, &[Key::MUTE, Key::VOLUME_DOWN], 1000);
    assert!(app.volume == 95 && !app.muted);
    assert_eq!(app.next_change(1000, &LIVE), 1000 + VOLUME_TIME);
}

#[test]
fn a_press_opens_the_tile_under_the_pointer() {
    let mut app = app(Size::new(1280, 720));
    let at = pages::tile_rect(3).center();
    app.pointer((at.x * 65_536 / 1920) as u32 + 1, (at.y * 65_536 / 1080) as u32 + 1, 0);
    app.press(0, &LIVE);
    assert_eq!(app.page(), Page::Input);
}

#[test]
fn dates() {
    let parts = |seconds| {
        let d = Date::of(seconds);
        (d.year, d.month, d.day, d.weekday, d.hour, d.minute)
    };
    assert_eq!(parts(0), (1970, "January", 1, "Thursday", 0, 0));
    assert_eq!(parts(951_827_696), (2000, "February", 29, "Tuesday", 12, 34));
    assert_eq!(parts(4_102_444_800), (2100, "January", 1, "Friday", 0, 0));
}
