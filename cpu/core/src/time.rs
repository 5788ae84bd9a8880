//! Virtual time.

use serde::{Deserialize, Serialize};

/// A point in virtual time, or a span of it, in picoseconds. Zero is reset; `u64` lasts 213 days.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// Reset.
    pub const ZERO: Time = Time(0);
    /// Later than anything that happens.
    pub const NEVER: Time = Time(u64::MAX);
    /// Picoseconds in a second.
    pub const PER_SECOND: u64 = 1_000_000_000_000;

    /// `n` nanoseconds.
    pub const fn from_ns(n: u64) -> Time {
        Time(n.saturating_mul(1_000))
    }

    /// `n` microseconds.
    pub const fn from_us(n: u64) -> Time {
        Time(n.saturating_mul(1_000_000))
    }

    /// `n` milliseconds.
    pub const fn from_ms(n: u64) -> Time {
        Time(n.saturating_mul(1_000_000_000))
    }

    /// Whole nanoseconds.
    pub const fn as_ns(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds, for display.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / Self::PER_SECOND as f64
    }

    /// Sum, stopping at [`Time::NEVER`].
    pub const fn saturating_add(self, span: Time) -> Time {
        Time(self.0.saturating_add(span.0))
    }

    /// Difference, stopping at zero.
    pub const fn saturating_sub(self, earlier: Time) -> Time {
        Time(self.0.saturating_sub(earlier.0))
    }

    /// How many whole ticks of a clock of `hz` lie between reset and this time.
    pub const fn ticks(self, hz: u64) -> u64 {
        (self.0 as u128 * hz as u128 / Self::PER_SECOND as u128) as u64
    }

    /// The first time at which [`Time::ticks`] of a clock of `hz` is at least `ticks`;
    /// [`Time::NEVER`] where that is out of range or the clock stands still.
    pub const fn of_tick(ticks: u64, hz: u64) -> Time {
        if hz == 0 {
            return Time::NEVER;
        }
        let ps = (ticks as u128 * Self::PER_SECOND as u128).div_ceil(hz as u128);
        if ps >= u64::MAX as u128 { Time::NEVER } else { Time(ps as u64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_reached_exactly_at_its_time() {
        for hz in [1, 32_768, 10_000_000, 62_500_000, 64_000_000, 999_999_937] {
            for tick in [1, 2, 3, 1000, 12_345_678] {
                let at = Time::of_tick(tick, hz);
                assert_eq!(at.ticks(hz), tick, "{hz} Hz, tick {tick}");
                assert_eq!(Time(at.0 - 1).ticks(hz), tick - 1, "{hz} Hz, tick {tick}");
            }
        }
    }

    #[test]
    fn out_of_range_is_never() {
        assert_eq!(Time::of_tick(u64::MAX, 1), Time::NEVER);
        assert_eq!(Time::of_tick(1, 0), Time::NEVER);
    }
}
