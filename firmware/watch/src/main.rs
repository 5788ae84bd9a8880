//! The watch's own program, for the PineTime's board: an nRF52832 with display, touch, motion, heart rate and battery.
//!
//! It runs on embassy: tasks wait for interrupts and timers, and while none of them is due, the core sleeps. Nothing polls.
//! `watch_app` decides what is shown; here are the devices.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "a program, not a library")]

extern crate alloc;

mod chips;
mod console;
mod display;
mod heap;
mod shell;
mod start;
mod store;
mod tasks;

use chips::Bus;
use display::{Panel, Screen, Strip};
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_nrf::{
    bind_interrupts,
    gpio::{Input, Level, Output, OutputDrive, Pull},
    gpiote::{InputChannel, InputChannelPolarity},
    peripherals, saadc, spim, twim,
    wdt::WatchdogHandle,
};
use embassy_time::{Duration, Instant, Timer};
use static_cell::StaticCell;
use store::Pages;
use tasks::{BUZZ, EVENTS, Event, MEASURE};
use ui::{Cache, Color, Ui};
use watch_app::{App, Micros, SCREEN, settings::Journal};

bind_interrupts!(struct Irqs {
    TWISPI0 => spim::InterruptHandler<peripherals::TWISPI0>;
    TWISPI1 => twim::InterruptHandler<peripherals::TWISPI1>;
    SAADC => saadc::InterruptHandler;
});

/// What glyphs may occupy; the clock's figures are drawn from their outlines each time.
const GLYPHS: Cache = Cache { bytes: 7 << 10, largest: 40 };
/// Without an event the watchdog is fed this often.
const FEED: Duration = Duration::from_secs(start::WATCHDOG_SECONDS / 3);

fn now() -> Micros {
    Instant::now().as_micros()
}

fn output(pin: embassy_nrf::Peri<'static, impl embassy_nrf::gpio::Pin>, level: Level) -> Output<'static> {
    Output::new(pin, level, OutputDrive::Standard)
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let commands = console::init();
    heap::init();
    let p = embassy_nrf::init(start::clocks());
    println!("watch: nRF52832, started by {}", start::reason());
    let feed = start::watchdog(p.WDT);

    let mut config = spim::Config::default();
    config.frequency = spim::Frequency::M8;
    config.mode = spim::MODE_3;
    let panel = Panel {
        spi: spim::Spim::new_txonly(p.TWISPI0, Irqs, p.P0_02, p.P0_03, config),
        select: output(p.P0_25, Level::High),
        data: output(p.P0_18, Level::High),
        reset: output(p.P0_26, Level::High),
    };
    static STRIPS: [StaticCell<Strip>; 2] = [StaticCell::new(), StaticCell::new()];
    let strips = STRIPS.each_ref().map(|s| s.init_with(Strip::new));
    start::above().spawn(display::task(panel, strips).expect("room for the task"));

    static BUS: StaticCell<Bus> = StaticCell::new();
    // Where constants are copied to, which DMA does not reach in flash.
    static COPY: StaticCell<[u8; 4]> = StaticCell::new();
    let copy = COPY.init([0; 4]);
    let mut config = twim::Config::default();
    config.frequency = twim::Frequency::K400;
    (config.sda_pullup, config.scl_pullup) = (true, true);
    let bus = BUS.init_with(|| Bus::new(twim::Twim::new(p.TWISPI1, Irqs, p.P0_06, p.P0_07, config, copy)));
    let touched = InputChannel::new(p.GPIOTE_CH0, p.P0_28, Pull::Up, InputChannelPolarity::HiToLo);
    let moved = Input::new(p.P0_08, Pull::Down);
    let pressed = Input::new(p.P0_13, Pull::Down);
    let (charging, powered) = (Input::new(p.P0_12, Pull::Up), Input::new(p.P0_19, Pull::Up));
    // The button's other side.
    output(p.P0_15, Level::High).persist();
    // A task exists once, so that there is room for it.
    let room = "room for the task";
    spawner.spawn(tasks::touch(bus, touched, output(p.P0_10, Level::High)).expect(room));
    spawner.spawn(tasks::motion(bus, moved).expect(room));
    spawner.spawn(tasks::heart(bus).expect(room));
    spawner.spawn(tasks::power(p.SAADC, p.P0_31, charging, powered).expect(room));
    spawner.spawn(tasks::button(pressed).expect(room));
    spawner.spawn(tasks::motor(output(p.P0_16, Level::High)).expect(room));

    let journal = Journal::open(Pages::new(p.NVMC));
    let app = App::new(journal.settings().unwrap_or_default());
    let screen = Screen::new(Ui::plain(SCREEN, Color::hex(0), GLYPHS));
    let light = [output(p.P0_14, Level::High), output(p.P0_22, Level::High), output(p.P0_23, Level::High)];
    let mut watch = Watch { app, screen, journal, light, feed, commands, lit: None, measures: false };
    watch.draw().await;
    watch.obey().await;
    println!("watch: screen {}", watch.app.page.name());
    println!("watch: ready in {} ms", now() / 1000);
    watch.run().await
}

/// Everything the program holds.
struct Watch {
    app: App,
    screen: Screen,
    journal: Journal<Pages>,
    /// The backlight's three lamps, active low, from the weakest.
    light: [Output<'static>; 3],
    feed: WatchdogHandle,
    commands: console::Commands,
    /// The backlight's level; `None` while the display sleeps.
    lit: Option<u8>,
    measures: bool,
}

impl Watch {
    async fn run(mut self) -> ! {
        loop {
            let due = self.app.next_change(now()).map(Instant::from_micros);
            // Until then, only what a finger or a button asks for is drawn at once.
            loop {
                self.feed.pet();
                let until = due.unwrap_or(Instant::MAX).min(Instant::now() + FEED);
                let urgent = match select(EVENTS.receive(), Timer::at(until)).await {
                    Either::First(event) => self.event(event),
                    Either::Second(()) => false,
                };
                let asked = self.shell();
                if urgent || asked || due.is_some_and(|d| Instant::now() >= d) || self.is_changed() {
                    break;
                }
            }
            self.app.tick(now());
            self.obey().await;
            if self.app.is_awake() {
                self.draw().await;
            }
        }
    }

    /// Tells the app; says whether that can be seen.
    fn event(&mut self, event: Event) -> bool {
        let now = now();
        match event {
            Event::Contact(contact) => self.app.touch(contact, now),
            Event::Button(long) => self.app.button(long, now),
            Event::Supply(supply) => self.app.supply(supply),
            Event::Light(light) => {
                self.app.light(light);
                return false;
            }
            Event::Acceleration(sample) => {
                self.app.acceleration(sample, now);
                return false;
            }
        }
        true
    }

    /// Whether the app has something to say, or wants the display otherwise than it is.
    fn is_changed(&self) -> bool {
        self.app.has_log() || self.app.is_awake() != self.lit.is_some()
    }

    /// Does what the app asks for.
    async fn obey(&mut self) {
        for line in self.app.take_log() {
            println!("watch: {line}");
        }
        if let Some(settings) = self.app.take_save()
            && !self.journal.keep(settings)
        {
            println!("watch: the flash does not keep the settings");
        }
        if self.app.take_buzz() {
            BUZZ.signal(());
        }
        if self.app.measures() != self.measures {
            self.measures = !self.measures;
            MEASURE.signal(self.measures);
        }
        let lit = self.app.is_awake().then_some(self.app.settings.brightness);
        if lit == self.lit {
            return;
        }
        if lit.is_some() && self.lit.is_none() && self.screen.frames > 1 {
            self.screen.power(true).await;
            // What changed meanwhile is drawn before there is light.
            self.draw().await;
        }
        for (i, lamp) in (1..).zip(&mut self.light) {
            lamp.set_level(if lit.is_some_and(|l| l >= i) { Level::Low } else { Level::High });
        }
        if lit.is_none() {
            self.screen.power(false).await;
        }
        self.lit = lit;
    }

    async fn draw(&mut self) {
        let slide = self.app.take_slide();
        self.screen.show(self.app.view(now()), slide).await;
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    println!("watch: panic: {info}");
    start::halt()
}
