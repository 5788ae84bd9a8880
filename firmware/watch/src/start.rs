//! What belongs to the core and the chip rather than to a device: clocks, the watchdog, faults, the display's interrupt.
#![allow(unsafe_code, reason = "handlers of exceptions and interrupts")]

use cortex_m_rt::{ExceptionFrame, exception};
use embassy_executor::{InterruptExecutor, SendSpawner};
use embassy_nrf::{
    Peri,
    config::{Config, LfclkSource},
    interrupt::{self, InterruptExt, Priority},
    pac::POWER,
    peripherals::WDT,
    wdt::{self, Watchdog, WatchdogHandle},
};

use crate::println;

pub const WATCHDOG_SECONDS: u64 = 10;

/// The slow clock is a crystal's.
pub fn clocks() -> Config {
    let mut config = Config::default();
    config.lfclk_source = LfclkSource::ExternalXtal;
    config
}

/// What started the chip.
pub fn reason() -> &'static str {
    let reasons = POWER.resetreas().read();
    // They add up until they are cleared, each by a one.
    POWER.resetreas().write_value(reasons);
    match () {
        () if reasons.dog() => "the watchdog",
        () if reasons.lockup() => "a lockup",
        () if reasons.sreq() => "software",
        () if reasons.resetpin() => "the reset pin",
        () => "power",
    }
}

/// Starts the watchdog, or takes over the one that runs already.
pub fn watchdog(wdt: Peri<'static, WDT>) -> WatchdogHandle {
    let mut config = wdt::Config::default();
    config.timeout_ticks = WATCHDOG_SECONDS as u32 * 32_768;
    match Watchdog::try_new(wdt, config) {
        Ok((_, [handle])) => handle,
        // A boot loader's: its settings stay until the next reset.
        // SAFETY: the handle of the first reload register, of which no other exists.
        Err(_) => unsafe { WatchdogHandle::steal::<WDT>(0) },
    }
}

static DISPLAY: InterruptExecutor = InterruptExecutor::new();

/// Where tasks run that interrupt the program.
pub fn above() -> SendSpawner {
    interrupt::EGU0_SWI0.set_priority(Priority::P6);
    DISPLAY.start(interrupt::EGU0_SWI0)
}

#[embassy_nrf::interrupt]
fn EGU0_SWI0() {
    // SAFETY: this is the interrupt's handler, and `above` alone enables it.
    unsafe { DISPLAY.on_interrupt() }
}

/// Waits for the watchdog, which starts the watch again.
pub fn halt() -> ! {
    cortex_m::interrupt::disable();
    loop {
        cortex_m::asm::wfe();
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    println!("watch: panic: hard fault at {:#010x}", frame.pc());
    halt()
}
