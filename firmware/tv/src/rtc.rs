//! The goldfish real-time clock: nanoseconds since 1970, UTC.

use mmio::Regs;

const TIME_LOW: usize = 0;
const TIME_HIGH: usize = 4;

pub struct Rtc(Regs);

impl Rtc {
    #[allow(unsafe_code, reason = "an address becomes registers")]
    pub fn at(base: usize) -> Self {
        // SAFETY: the devicetree names this address a google,goldfish-rtc.
        Self(unsafe { Regs::new(base) })
    }

    /// Seconds since 1970. Reading the low half latches the high half.
    pub fn seconds(&self) -> u64 {
        let low = u64::from(self.0.read32(TIME_LOW));
        (u64::from(self.0.read32(TIME_HIGH)) << 32 | low) / 1_000_000_000
    }
}
