//! Draws every screen of the watch to PNG files: `cargo run -p watch --example pictures FOLDER`.
//!
//! The same view is painted in bands, as the watch does, and shown as the round glass shows it, twice as large.

use std::{error::Error, fs::File, io::BufWriter, path::Path};

use ui::{Cache, Canvas, Color, Pixel, Ui, WireRgb565, rect};
use watch_app::{
    App, Micros, Page, SCREEN, Supply,
    pulse::{self},
    settings::{Face, Settings},
};

const ZOOM: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let mut app = App::new(Settings::default());
    app.supply(Supply { millivolts: 4010, charging: false, powered: false });
    walk(&mut app, 4218);
    let now = 24_000_000;
    picture(&app, now, &folder, "clock-analog")?;
    app.settings.face = Face::Digital;
    picture(&app, now, &folder, "clock-digital")?;
    app.open(Page::Activity, None, now);
    picture(&app, now + 200_000, &folder, "activity-filling")?;
    picture(&app, now + 2_000_000, &folder, "activity")?;
    app.open(Page::Heart, None, now);
    picture(&app, now, &folder, "heart-measuring")?;
    for i in 0..pulse::RATE * 10 + 17 {
        app.light(ppg(i, 72.0));
    }
    picture(&app, now, &folder, "heart")?;
    app.open(Page::Battery, None, now);
    picture(&app, now + 2_000_000, &folder, "battery")?;
    app.supply(Supply { millivolts: 3700, charging: true, powered: true });
    picture(&app, now + 2_000_000, &folder, "battery-charging")?;
    app.open(Page::Settings, None, now);
    picture(&app, now, &folder, "settings")?;
    app.open(Page::Time, None, now);
    picture(&app, now, &folder, "time")
}

/// A walk of so many steps in the morning.
fn walk(app: &mut App, steps: u32) {
    let mut i = 0_u32;
    while app.steps() < steps {
        let swing = (f64::from(i) / 12.5 * std::f64::consts::TAU).sin() * 300.0;
        // From six in the morning on.
        let now = 60_000_000 * u64::from(i / 2) / 160;
        app.set_seconds(1_791_612_000 + now / 1_000_000 % 14_900, 0);
        app.acceleration([0, 0, 1000 + swing as i16], 0);
        i += 1;
    }
    app.set_seconds(1_791_626_940, 0);
}

/// A plausible photoplethysmogram.
fn ppg(i: u32, bpm: f64) -> u32 {
    let phase = (f64::from(i) / f64::from(pulse::RATE) * bpm / 60.0).fract();
    let crest = |at: f64, width: f64| (-((phase - at) / width).powi(2)).exp();
    (12_000.0 - 180.0 * (crest(0.2, 0.11) + 0.35 * crest(0.5, 0.13))) as u32
}

fn picture(app: &App, now: Micros, folder: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let mut ui = Ui::<WireRgb565>::plain(SCREEN, Color::hex(0), Cache { bytes: 8 << 10, largest: 40 });
    ui.update(app.view(now));
    let (width, height) = (SCREEN.width as usize, SCREEN.height as usize);
    let mut pixels = vec![[0, 0]; width * height];
    for (i, band) in pixels.chunks_mut(16 * width).enumerate() {
        let area = rect(0, 16 * i as i32, width as i32, (band.len() / width) as i32);
        ui.paint(&mut Canvas::new(band, area, area));
    }
    let file = BufWriter::new(File::create(Path::new(folder).join(format!("{name}.png")))?);
    let mut encoder = png::Encoder::new(file, (width * ZOOM) as u32, (height * ZOOM) as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut data = Vec::new();
    for y in 0..height * ZOOM {
        for x in 0..width * ZOOM {
            let (dx, dy) =
                (2 * x as i32 + 1 - (width * ZOOM) as i32, 2 * y as i32 + 1 - (height * ZOOM) as i32);
            let radius = (width * ZOOM) as i32;
            let (r, g, b) = pixels[y / ZOOM * width + x / ZOOM].rgb();
            let pixel = [r, g, b].map(|v| v as u8);
            // What the glass hides must be black; were it not, it would show in red here.
            let hidden = dx * dx + dy * dy > radius * radius;
            data.extend(match (hidden, pixel) {
                (true, [0, 0, 0]) => [40, 42, 48],
                (true, _) => [255, 0, 0],
                _ => pixel,
            });
        }
    }
    encoder.write_header()?.write_image_data(&data)?;
    Ok(())
}
