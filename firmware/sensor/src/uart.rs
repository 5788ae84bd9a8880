//! The console on UART0 (FE310-G002 manual, chapter 18): 115200 baud, 8N1.

use core::fmt;

use crate::{board::UART0, clock};

const TXDATA: usize = 0x00;
const RXDATA: usize = 0x04;
const TXCTRL: usize = 0x08;
const RXCTRL: usize = 0x0c;
const IE: usize = 0x10;
const DIV: usize = 0x18;

const BAUD: u32 = 115_200;

pub fn init() {
    UART0.write32(DIV, clock::CORE.div_ceil(BAUD) - 1);
    UART0.write32(TXCTRL, 1);
    UART0.write32(RXCTRL, 1);
    // Receive watermark: more than no byte waits.
    UART0.write32(IE, 2);
}

fn send(byte: u8) {
    // Bit 31: the transmit queue is full.
    while UART0.read32(TXDATA) >> 31 != 0 {}
    UART0.write32(TXDATA, u32::from(byte));
}

/// The next byte received.
pub fn receive() -> Option<u8> {
    let data = UART0.read32(RXDATA);
    (data >> 31 == 0).then_some(data as u8)
}

/// Where [`print!`](crate::print) writes.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                send(b'\r');
            }
            send(byte);
        }
        Ok(())
    }
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => {{
        use core::fmt::Write as _;
        let _ = write!($crate::uart::Console, $($arg)*);
    }};
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => {{
        $crate::print!($($arg)*);
        $crate::print!("\n");
    }};
}
