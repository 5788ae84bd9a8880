//! The console: SEGGER RTT (up channel 0 for lines, down channel 0 for commands), and the ITM's port 0 where a debugger
//! switched that on.
//!
//! There is no UART on this watch. Nothing waits for a reader: a line that finds no room is dropped.
#![allow(unsafe_code, reason = "the ITM is a debugger's, shared by nature")]

use core::fmt::{Arguments, Write};

use cortex_m::{
    itm,
    peripheral::{ITM, itm::Stim},
};
use rtt_target::{ChannelMode, DownChannel, rtt_init, set_print_channel};

/// Prints a line.
#[macro_export]
macro_rules! println {
    ($($arg:tt)*) => { $crate::console::line(format_args!($($arg)*)) };
}

/// Bit 0 of the trace control register: the ITM is on.
const ITMENA: u32 = 1;

/// Sets up the channels; call once. Returns the one that commands come by.
pub fn init() -> Commands {
    let channels = rtt_init! {
        up: { 0: { size: 1024, mode: ChannelMode::NoBlockSkip, name: "Terminal" } }
        down: { 0: { size: 64, name: "Terminal" } }
    };
    set_print_channel(channels.up.0);
    Commands { channel: channels.down.0, line: [0; 32], length: 0 }
}

/// Prints `text` and a line's end.
pub fn line(text: Arguments) {
    rtt_target::rprintln!("{}", text);
    // SAFETY: reads of registers without effect, and single stores to a stimulus port.
    let itm = unsafe { &mut *ITM::PTR };
    // Where it is off, its ports never become ready.
    if itm.tcr.read() & ITMENA != 0 && itm.ter[0].read() & 1 != 0 {
        let _ = writeln!(Port(&mut itm.stim[0]), "{text}");
    }
}

struct Port<'a>(&'a mut Stim);

impl Write for Port<'_> {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        itm::write_all(self.0, s.as_bytes());
        Ok(())
    }
}

/// Lines that a host sends.
pub struct Commands {
    channel: DownChannel,
    line: [u8; 32],
    length: usize,
}

impl Commands {
    /// Gives the next whole line to `run`; says whether there was one.
    pub fn next(&mut self, run: impl FnOnce(&str)) -> bool {
        let mut byte = [0];
        while self.channel.read(&mut byte) == 1 {
            if !matches!(byte[0], b'\r' | b'\n') {
                // What is too long for any command is cut.
                if let Some(free) = self.line.get_mut(self.length) {
                    *free = byte[0];
                    self.length += 1;
                }
                continue;
            }
            let length = core::mem::take(&mut self.length);
            if length > 0 {
                run(core::str::from_utf8(&self.line[..length]).unwrap_or("?").trim());
                return true;
            }
        }
        false
    }
}
