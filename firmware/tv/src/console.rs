//! The console: the UART once it is known, the SBI's debug console before.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::{sbi, uart::Uart};

/// Address and register shift of the UART; 0 while there is none.
static BASE: AtomicUsize = AtomicUsize::new(0);
static SHIFT: AtomicUsize = AtomicUsize::new(0);

/// Prints through this UART from now on.
pub fn use_uart(uart: &Uart) {
    SHIFT.store(uart.shift(), Ordering::Relaxed);
    BASE.store(uart.base(), Ordering::Relaxed);
}

/// Where [`print!`] writes.
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let base = BASE.load(Ordering::Relaxed);
        if base == 0 {
            return sbi::console_write(text.as_bytes()).map(drop).map_err(|_| fmt::Error);
        }
        let uart = Uart::at(base, SHIFT.load(Ordering::Relaxed));
        for byte in text.bytes() {
            if byte == b'\n' {
                uart.send(b'\r');
            }
            uart.send(byte);
        }
        Ok(())
    }
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => {{
        use core::fmt::Write as _;
        let _ = write!($crate::console::Console, $($arg)*);
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
