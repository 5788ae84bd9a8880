//! The ST7789V display on SPI. Datasheet: Sitronix ST7789V, V1.6.
//!
//! Pictures come in strips of a few lines. The task that sends them runs in an interrupt of its own, above the program, so
//! that the next strip is painted while DMA moves the one before. The memory holds 320 lines and the glass shows 240 of
//! them from any line on: that is how pages scroll.

use embassy_nrf::{
    gpio::Output,
    spim::{self, Spim},
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use embassy_time::{Duration, Instant, Timer};
use ui::{Canvas, Rectangle, Ui, WireRgb565, rect};
use watch_app::{SCREEN, Slide};

const WIDTH: i32 = SCREEN.width as i32;
const HEIGHT: i32 = SCREEN.height as i32;
/// Lines of the display's memory.
const MEMORY: i32 = 320;
/// Pixels of a strip: 16 whole lines.
const STRIP: usize = 16 * SCREEN.width as usize;
/// How far a page moves in each frame of a slide, in lines: fast at first, and never more than a frame's time can send.
const STEPS: [i32; 10] = [36, 36, 34, 32, 28, 24, 20, 14, 10, 6];
const FRAME: Duration = Duration::from_ticks(embassy_time::TICK_HZ / 30);

mod command {
    pub const SLPIN: u8 = 0x10;
    pub const SLPOUT: u8 = 0x11;
    pub const INVON: u8 = 0x21;
    pub const DISPOFF: u8 = 0x28;
    pub const DISPON: u8 = 0x29;
    pub const CASET: u8 = 0x2a;
    pub const RASET: u8 = 0x2b;
    pub const RAMWR: u8 = 0x2c;
    pub const VSCRDEF: u8 = 0x33;
    pub const MADCTL: u8 = 0x36;
    pub const VSCSAD: u8 = 0x37;
    pub const COLMOD: u8 = 0x3a;
}

/// Pixels of a rectangle of the display's memory.
pub struct Strip {
    area: Rectangle,
    pixels: [WireRgb565; STRIP],
}

impl Strip {
    pub const fn new() -> Self {
        Self { area: rect(0, 0, 0, 0), pixels: [[0; 2]; STRIP] }
    }
}

enum Job {
    Strip(&'static mut Strip),
    /// Show the memory from this line on.
    Scroll(i32),
    Sleep,
    Wake,
}

/// Strips that may be painted, and what the display's task shall do.
static FREE: Channel<CriticalSectionRawMutex, &'static mut Strip, 2> = Channel::new();
static JOBS: Channel<CriticalSectionRawMutex, Job, 4> = Channel::new();

/// Sends what [`Screen`] paints.
#[embassy_executor::task]
pub async fn task(mut panel: Panel, strips: [&'static mut Strip; 2]) -> ! {
    panel.init(&strips[0].pixels).await;
    for strip in strips {
        FREE.send(strip).await;
    }
    loop {
        // A failure of the SPI would be a buffer outside of RAM, which a strip never is.
        let _ = match JOBS.receive().await {
            Job::Strip(strip) => {
                let done = panel.send(strip).await;
                FREE.send(strip).await;
                done
            }
            Job::Scroll(line) => panel.command(command::VSCSAD, &(line as u16).to_be_bytes()).await,
            Job::Sleep => panel.sleep().await,
            Job::Wake => panel.wake().await,
        };
    }
}

/// The display's wires.
pub struct Panel {
    pub spi: Spim<'static>,
    pub select: Output<'static>,
    /// Low for commands, high for data.
    pub data: Output<'static>,
    pub reset: Output<'static>,
}

impl Panel {
    async fn init(&mut self, black: &[WireRgb565]) {
        self.reset.set_low();
        Timer::after_millis(1).await;
        self.reset.set_high();
        Timer::after_millis(5).await;
        let height = (MEMORY as u16).to_be_bytes();
        let setup: [(u8, &[u8]); 7] = [
            (command::SLPOUT, &[]),
            (command::COLMOD, &[0x55]), // 16 bits a pixel
            (command::MADCTL, &[0]),
            (command::INVON, &[]), // the glass is normally black
            (command::VSCRDEF, &[0, 0, height[0], height[1], 0, 0]),
            (command::VSCSAD, &[0, 0]),
            (command::DISPOFF, &[]),
        ];
        for (command, arguments) in setup {
            let _ = self.command(command, arguments).await;
            if command == command::SLPOUT {
                Timer::after_millis(5).await;
            }
        }
        // The memory's content is random.
        for y in (0..MEMORY).step_by(16) {
            let _ = self.window(rect(0, y, WIDTH, 16)).await;
            let _ = self.write(black).await;
        }
        let _ = self.command(command::DISPON, &[]).await;
    }

    async fn command(&mut self, command: u8, arguments: &[u8]) -> Result<(), spim::Error> {
        self.select.set_low();
        self.data.set_low();
        let mut done = self.spi.write(&[command]).await;
        self.data.set_high();
        if done.is_ok() && !arguments.is_empty() {
            done = self.spi.write(arguments).await;
        }
        self.select.set_high();
        done
    }

    /// What the next pixels fill.
    async fn window(&mut self, r: Rectangle) -> Result<(), spim::Error> {
        let range = |from: i32, size: u32| {
            let [a, b] = [from as u16, (from + size as i32 - 1) as u16].map(u16::to_be_bytes);
            [a[0], a[1], b[0], b[1]]
        };
        self.command(command::CASET, &range(r.top_left.x, r.size.width)).await?;
        self.command(command::RASET, &range(r.top_left.y, r.size.height)).await
    }

    async fn write(&mut self, pixels: &[WireRgb565]) -> Result<(), spim::Error> {
        self.command(command::RAMWR, &[]).await?;
        self.select.set_low();
        let done = self.spi.write_from_ram(pixels.as_flattened()).await;
        self.select.set_high();
        done
    }

    /// A strip may reach over the memory's end.
    async fn send(&mut self, strip: &Strip) -> Result<(), spim::Error> {
        let Rectangle { top_left, size } = strip.area;
        let above = (MEMORY - top_left.y).clamp(0, size.height as i32);
        let width = size.width as i32;
        let (first, rest) =
            strip.pixels[..(size.width * size.height) as usize].split_at((above * width) as usize);
        let below = rect(top_left.x, 0, width, size.height as i32 - above);
        for (area, pixels) in [(rect(top_left.x, top_left.y, width, above), first), (below, rest)] {
            if !pixels.is_empty() {
                self.window(area).await?;
                self.write(pixels).await?;
            }
        }
        Ok(())
    }

    async fn sleep(&mut self) -> Result<(), spim::Error> {
        self.command(command::DISPOFF, &[]).await?;
        self.command(command::SLPIN, &[]).await?;
        // The supply needs as long before the next command.
        Timer::after_millis(5).await;
        Ok(())
    }

    async fn wake(&mut self) -> Result<(), spim::Error> {
        self.command(command::SLPOUT, &[]).await?;
        Timer::after_millis(5).await;
        self.command(command::DISPON, &[]).await
    }
}

/// The picture, on the program's side.
pub struct Screen {
    ui: Ui<WireRgb565>,
    /// The line of the memory that is at the top of the glass.
    top: i32,
    pub frames: u32,
}

impl Screen {
    pub fn new(ui: Ui<WireRgb565>) -> Self {
        Self { ui, top: 0, frames: 0 }
    }

    /// Switches the display off or on; its memory keeps the picture.
    pub async fn power(&mut self, on: bool) {
        JOBS.send(if on { Job::Wake } else { Job::Sleep }).await;
    }

    /// Brings `view` to the glass.
    pub async fn show(&mut self, view: ui::View, slide: Option<Slide>) {
        if slide.is_some() {
            self.ui.forget();
        }
        let damage = self.ui.update(view);
        self.frames += u32::from(!damage.is_empty());
        match slide {
            None => {
                for r in damage {
                    self.paint(r, self.top, true).await;
                }
            }
            Some(Slide::Up) => self.scroll(1).await,
            Some(Slide::Down) => self.scroll(-1).await,
            Some(Slide::Left) => self.wipe(-1).await,
            Some(Slide::Right) => self.wipe(1).await,
        }
    }

    /// Moves the picture up (1) or down (-1), and the new one after it.
    async fn scroll(&mut self, direction: i32) {
        let old = self.top;
        let new = (old + direction * HEIGHT).rem_euclid(MEMORY);
        let (mut moved, mut due) = (0, Instant::now());
        for step in STEPS {
            let from = if direction > 0 { moved } else { HEIGHT - moved - step };
            // Lines beyond the glass's edge travel through its middle: all of them are painted.
            self.paint(rect(0, from, WIDTH, step), new, false).await;
            moved += step;
            due += FRAME;
            Timer::at(due).await;
            self.top = (old + direction * moved).rem_euclid(MEMORY);
            JOBS.send(Job::Scroll(self.top)).await;
            self.frames += 1;
        }
    }

    /// Uncovers the new picture from the right (-1) or from the left (1).
    async fn wipe(&mut self, direction: i32) {
        let (mut moved, mut due) = (0, Instant::now());
        for step in STEPS {
            let from = if direction > 0 { moved } else { WIDTH - moved - step };
            self.paint(rect(from, 0, step, HEIGHT), self.top, true).await;
            moved += step;
            due += FRAME;
            Timer::at(due).await;
            self.frames += 1;
        }
    }

    /// Paints part of the picture into the memory whose line `top` is at the top of the glass, strip by strip; where only
    /// the round glass counts, no more than what it shows.
    async fn paint(&mut self, r: Rectangle, top: i32, round: bool) {
        let (left, right) = (r.top_left.x, r.top_left.x + r.size.width as i32);
        let bottom = r.top_left.y + r.size.height as i32;
        let lines = (STRIP as i32 / (right - left).max(1)).max(1);
        let mut y = r.top_left.y;
        while y < bottom {
            let height = lines.min(bottom - y);
            let reach = if round { chord(y, y + height) } else { WIDTH / 2 };
            let (x0, x1) = (left.max(WIDTH / 2 - reach), right.min(WIDTH / 2 + reach));
            let area = rect(x0, y, x1 - x0, height);
            if x0 < x1 {
                let strip = FREE.receive().await;
                self.ui.paint(&mut Canvas::new(&mut strip.pixels, area, area));
                strip.area = rect(x0, (top + y).rem_euclid(MEMORY), x1 - x0, height);
                JOBS.send(Job::Strip(strip)).await;
            }
            y += height;
        }
    }
}

/// Half the width of the glass where it is widest between two lines.
fn chord(from: i32, to: i32) -> i32 {
    let radius = WIDTH / 2;
    let away = (from - radius).max(radius - to).clamp(0, radius);
    (radius * radius - away * away).isqrt() + 1
}
