//! The console's command line.

use alloc::string::String;

use tv_app::{Action, App, Date, Key, Live, Micros};

use crate::{print, println};

const HELP: &str = "\
help          this list
info          the machine and what it does
devices       virtio devices
key NAME...   press keys: LEFT RIGHT UP DOWN ENTER BACK HOME VOLUMEUP VOLUMEDOWN MUTE POWER or an evdev code
pointer X Y   move the pointer, in 1/1000 of the screen
press         press where the pointer is
time          the date and the time since the start
fault         load from address 0, to see a trap reported
poweroff      end the machine
reboot        start it anew";

/// What a command wants from the main loop.
pub enum Wish {
    Do(Action),
    Fault,
}

#[derive(Default)]
pub struct Shell {
    line: String,
}

impl Shell {
    pub fn prompt() {
        print!("tv> ");
    }

    /// Takes a byte from the UART; runs the line when it is complete.
    pub fn byte(&mut self, byte: u8, app: &mut App, now: Micros, live: &Live) -> Option<Wish> {
        match byte {
            b'\r' | b'\n' => {
                println!();
                let line = core::mem::take(&mut self.line);
                let wish = run(&line, app, now, live);
                for event in app.take_log() {
                    println!("tv: {event}");
                }
                if wish.is_none() {
                    Self::prompt();
                }
                return wish;
            }
            0x08 | 0x7f => {
                if self.line.pop().is_some() {
                    print!("\x08 \x08");
                }
            }
            b' '..=b'~' if self.line.len() < 200 => {
                self.line.push(char::from(byte));
                print!("{}", char::from(byte));
            }
            _ => {}
        }
        None
    }
}

fn run(line: &str, app: &mut App, now: Micros, live: &Live) -> Option<Wish> {
    let mut words = line.split_whitespace();
    match words.next()? {
        "help" | "?" => println!("{HELP}"),
        "info" => info(app, now, live),
        "devices" => {
            for d in &app.machine.devices {
                let state = if d.driven { "in use" } else { "found" };
                println!(
                    "{:#x} irq {} id {} {} features {:#x} {state}",
                    d.address, d.irq, d.id, d.kind, d.features
                );
            }
        }
        "key" => {
            for word in words {
                match Key::parse(word) {
                    Some(key) => {
                        if let Some(action) = app.key(key, "console", now, live) {
                            return Some(Wish::Do(action));
                        }
                    }
                    None => println!("tv: no key {word}"),
                }
            }
        }
        "pointer" => match (words.next().and_then(part), words.next().and_then(part)) {
            (Some(x), Some(y)) => app.pointer(x, y, now),
            _ => println!("usage: pointer X Y (0 to 1000)"),
        },
        "press" => return app.press(now, live).map(Wish::Do),
        "time" => {
            if let Some(d) = live.clock.map(Date::of) {
                println!("{} {} {} {}, {:02}:{:02} UTC", d.weekday, d.day, d.month, d.year, d.hour, d.minute);
            }
            println!("up {} ms", now / 1000);
        }
        "fault" => return Some(Wish::Fault),
        "poweroff" => return Some(Wish::Do(Action::PowerOff)),
        "reboot" => return Some(Wish::Do(Action::Restart)),
        other => println!("tv: unknown command {other}, try help"),
    }
    None
}

/// Thousandths to 1/65536.
fn part(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&v: &u32| v <= 1000).map(|v| v * 65_535 / 1000)
}

fn info(app: &App, now: Micros, live: &Live) {
    let m = &app.machine;
    println!("machine   {}", m.model);
    println!("isa       {}", m.isa);
    println!("mmu       {}", m.mmu);
    println!("harts     {} ({} asleep)", m.harts, live.parked);
    println!(
        "memory    {} KiB, heap {} of {} KiB",
        m.memory >> 10,
        live.heap_used >> 10,
        live.heap_size >> 10
    );
    println!("timer     {} Hz by {}", m.timebase, if m.sstc { "Sstc" } else { "SBI" });
    println!("firmware  {}", m.sbi);
    println!("screen    {} x {}, {} frames", m.screen.width, m.screen.height, live.frames);
    for (name, _) in &m.inputs {
        println!("input     {name}");
    }
    if let Some(e) = m.entropy {
        println!("entropy   {e:016x}");
    }
    println!("page      {}", app.page().name());
    println!("up        {} ms", now / 1000);
}
