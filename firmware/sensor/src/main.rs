//! The sensor node's own program: samples its sensors, prints what they say, blinks, and sleeps in between.
//!
//! It runs in M-mode on a SiFive FE310-G002 from flash, and shows how to drive that chip's clocks, UART, timer, interrupt
//! controller, pins, watchdog and I2C. Interrupts end a `wfi` and are then served by the main loop; they never trap.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "a program, not a library")]

mod board;
mod clock;
mod fixed;
mod gpio;
mod i2c;
mod plic;
mod shell;
mod start;
mod uart;
mod watchdog;

use board::{IRQ_BUTTON, IRQ_I2C0, IRQ_UART0, LED_GREEN, LED_RED};
use chips::{
    Error,
    bh1750::{self, Bh1750},
    bme280::{self, Bme280},
    lsm6dso::{self, Lsm6dso},
    max17048::{self, Max17048},
};
use clock::Ticks;
use fixed::fixed;
use i2c::I2c;
use shell::Shell;

/// Milliseconds between samples: at first, and after the button.
const RATES: [u32; 2] = [1000, 250];
/// How long the green LED flashes at a sample.
const FLASH: u32 = 50;
/// Edges of the button closer than this are one press.
const BOUNCE: u32 = 30;

/// The program begins here, called by the assembly in `start.rs`.
extern "C" fn start() -> ! {
    let from = clock::now();
    clock::init();
    gpio::init();
    uart::init();
    watchdog::init();
    plic::enable(IRQ_UART0);
    plic::enable(IRQ_BUTTON);
    start::enable_wakeups();
    println!("sensor: FE310-G002 at {} MHz", clock::CORE / 1_000_000);
    let mut node = Node::new();
    println!("sensor: ready in {} ms", clock::to_ms(clock::now() - from));
    node.run()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    println!("sensor: {info}");
    // The watchdog starts us again.
    loop {
        start::wait();
    }
}

/// A chip on the bus: driven once it answers, looked for again while it does not.
struct Slot<T> {
    name: &'static str,
    address: u8,
    chip: Option<T>,
    error: Option<Error>,
}

impl<T> Slot<T> {
    const fn new(name: &'static str, address: u8) -> Self {
        Self { name, address, chip: None, error: None }
    }

    /// Looks for the chip and sets it up.
    fn start(&mut self, bus: &mut I2c, begin: impl Fn(&mut I2c) -> Result<T, Error>) {
        match begin(bus) {
            Ok(chip) => self.chip = Some(chip),
            Err(e) => self.note(Some(e)),
        }
    }

    /// Reads a sample; looks for the chip first where it did not answer the last time.
    fn read<S>(
        &mut self,
        bus: &mut I2c,
        begin: impl Fn(&mut I2c) -> Result<T, Error>,
        sample: impl Fn(&T, &mut I2c) -> Result<S, Error>,
    ) -> Option<S> {
        if self.chip.is_none() {
            self.start(bus, begin);
        }
        let result = sample(self.chip.as_ref()?, bus);
        self.note(result.as_ref().err().copied());
        result.ok()
    }

    /// Says on the console when the chip fails, or works again.
    fn note(&mut self, error: Option<Error>) {
        if error != self.error {
            println!("sensor: {} at {:#x}: {}", self.name, self.address, error.map_or("works", Error::text));
            self.error = error;
        }
        if error.is_some() {
            self.chip = None;
        }
    }

    fn describe(&self) {
        let state = self.error.map_or("works", Error::text);
        println!("{:9} {:#x} {state}", self.name, self.address);
    }
}

/// The sensor node.
pub struct Node {
    bus: I2c,
    climate: Slot<Bme280>,
    motion: Slot<Lsm6dso>,
    light: Slot<Bh1750>,
    battery: Slot<Max17048>,
    rate: u32,
    samples: u32,
    next: Ticks,
    /// When the green LED goes out.
    flash_until: Option<Ticks>,
    pressed: Ticks,
    shell: Shell,
}

impl Node {
    fn new() -> Self {
        let mut node = Self {
            bus: I2c::new(),
            climate: Slot::new("bme280", bme280::ADDRESS),
            motion: Slot::new("lsm6dso", lsm6dso::ADDRESS),
            light: Slot::new("bh1750", bh1750::ADDRESS),
            battery: Slot::new("max17048", max17048::ADDRESS),
            rate: RATES[0],
            samples: 0,
            next: clock::now() + clock::ms(RATES[0]),
            flash_until: None,
            pressed: 0,
            shell: Shell::default(),
        };
        // Some measure by themselves from now on, and have a value by the first sample.
        node.climate.start(&mut node.bus, Bme280::new);
        node.motion.start(&mut node.bus, Lsm6dso::new);
        node.light.start(&mut node.bus, Bh1750::new);
        node.battery.start(&mut node.bus, Max17048::new);
        node
    }

    fn run(&mut self) -> ! {
        loop {
            let now = clock::now();
            if self.flash_until.is_some_and(|end| now >= end) {
                gpio::led(LED_GREEN, false);
                self.flash_until = None;
            }
            if now >= self.next {
                self.next = (self.next + clock::ms(self.rate)).max(now);
                self.sample();
            }
            while let Some(source) = plic::next() {
                match source {
                    IRQ_UART0 => {
                        while let Some(byte) = uart::receive() {
                            let line = self.shell.byte(byte);
                            if let Some(line) = line {
                                shell::run(&line, self);
                            }
                        }
                    }
                    IRQ_BUTTON => self.button(),
                    IRQ_I2C0 => i2c::acknowledge(),
                    _ => {}
                }
                plic::complete(source);
            }
            if !plic::has_deferred() {
                clock::sleep(self.flash_until.map_or(self.next, |end| end.min(self.next)));
            }
        }
    }

    /// The button was pressed: another rate, and a sample at once.
    fn button(&mut self) {
        gpio::acknowledge_button();
        let now = clock::now();
        if gpio::button_pressed() && now >= self.pressed + clock::ms(BOUNCE) {
            let other = if self.rate == RATES[0] { RATES[1] } else { RATES[0] };
            println!("sensor: button");
            self.set_rate(other);
            self.sample();
        }
        self.pressed = now;
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn set_rate(&mut self, ms: u32) {
        self.rate = ms;
        self.next = clock::now() + clock::ms(ms);
        println!("sensor: a sample every {ms} ms");
    }

    /// Takes a sample, prints its line, flashes green; red stays lit while a sensor is missing.
    pub fn sample(&mut self) {
        watchdog::feed();
        let bus = &mut self.bus;
        let climate = self.climate.read(bus, Bme280::new, Bme280::sample);
        let motion = self.motion.read(bus, Lsm6dso::new, Lsm6dso::sample);
        let light = self.light.read(bus, Bh1750::new, Bh1750::sample);
        let battery = self.battery.read(bus, Max17048::new, Max17048::sample);
        self.samples += 1;

        print!("sensor:");
        match &climate {
            Some(c) => {
                let humidity = (c.humidity * 10 + 512) / 1024;
                let pressure = (c.pressure / 256 + 5) / 10;
                print!(" t={}C rh={}%", fixed(c.temperature, 2), fixed(humidity as i32, 1));
                print!(" p={}hPa", fixed(pressure as i32, 1));
            }
            None => print!(" t=- rh=- p=-"),
        }
        match light {
            Some(lux) => print!(" lux={}", fixed(lux as i32, 1)),
            None => print!(" lux=-"),
        }
        match &motion {
            Some(m) => {
                let [x, y, z] = m.acceleration.map(|v| fixed(v, 3));
                let [rx, ry, rz] = m.rotation.map(|v| fixed(v / 100, 1));
                print!(" acc={x},{y},{z}g gyro={rx},{ry},{rz}dps");
            }
            None => print!(" acc=- gyro=-"),
        }
        match &battery {
            Some(b) => print!(" batt={}% {}V", fixed(b.charge as i32, 1), fixed(b.voltage as i32, 3)),
            None => print!(" batt=-"),
        }
        println!(" n={}", self.samples);

        let missing = climate.is_none() || motion.is_none() || light.is_none() || battery.is_none();
        gpio::led(LED_RED, missing);
        gpio::led(LED_GREEN, true);
        self.flash_until = Some(clock::now() + clock::ms(FLASH));
    }

    pub fn info(&self) {
        println!("chip      FE310-G002, {} MHz, {} cycles", clock::CORE / 1_000_000, start::cycles());
        println!(
            "up        {} ms, {} samples, one every {} ms",
            clock::to_ms(clock::now()),
            self.samples,
            self.rate
        );
        println!("watchdog  {} s", watchdog::SECONDS);
        self.climate.describe();
        self.motion.describe();
        self.light.describe();
        self.battery.describe();
    }
}
