//! The console's command line.

use crate::{Node, clock, print, println};

const HELP: &str = "\
? or help   this list
rate        how often samples are taken; rate MS sets it (100 to 10000)
sample      take one now
info        the chip, its clock and what answers on the bus
hang        sleep without feeding the watchdog, which then resets the chip";

#[derive(Default)]
pub struct Shell {
    line: [u8; 32],
    length: usize,
}

impl Shell {
    /// Takes a byte; runs the line when it is complete.
    pub fn byte(&mut self, byte: u8) -> Option<[u8; 32]> {
        match byte {
            b'\r' | b'\n' => {
                println!();
                let mut line = [b' '; 32];
                line[..self.length].copy_from_slice(&self.line[..self.length]);
                self.length = 0;
                return Some(line);
            }
            0x08 | 0x7f if self.length > 0 => {
                self.length -= 1;
                print!("\x08 \x08");
            }
            b' '..=b'~' if self.length < self.line.len() => {
                self.line[self.length] = byte;
                self.length += 1;
                print!("{}", char::from(byte));
            }
            _ => {}
        }
        None
    }
}

/// Runs a command line.
pub fn run(line: &[u8], node: &mut Node) {
    let mut words = core::str::from_utf8(line).unwrap_or("").split_ascii_whitespace();
    match (words.next(), words.next()) {
        (None, _) => {}
        (Some("?" | "help"), _) => println!("{HELP}"),
        (Some("rate"), None) => println!("sensor: a sample every {} ms", node.rate()),
        (Some("rate"), Some(ms)) => match ms.parse() {
            Ok(ms @ 100..=10_000) => node.set_rate(ms),
            _ => println!("sensor: rate takes 100 to 10000 ms"),
        },
        (Some("sample"), _) => node.sample(),
        (Some("info"), _) => node.info(),
        (Some("hang"), _) => {
            println!("sensor: waiting for the watchdog");
            loop {
                clock::sleep(clock::Ticks::MAX);
            }
        }
        (Some(other), _) => println!("sensor: unknown command {other}, try ?"),
    }
}
