//! A counter that counts down with a clock and starts over from a reload value: what the timers of the Cortex-M System
//! Design Kit share.

use devices_core::Time;
use serde::{Deserialize, Serialize};

/// A clock in front of a counter.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Cycles each second; 0 stands still.
    pub hz: u64,
    /// Cycles for each count; not 0.
    pub divisor: u64,
}

impl Clock {
    fn count(self, now: Time) -> u64 {
        now.ticks(self.hz) / self.divisor.max(1)
    }

    fn reaches(self, count: u64) -> Time {
        Time::of_tick(count.saturating_mul(self.divisor.max(1)), self.hz)
    }
}

/// The counter. It shows `reload` one count after it has shown 0; with a reload value of 0 it stops there.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DownCounter {
    value: u32,
    /// The clock's count at which `value` was the value; it counts only while there is one.
    since: Option<u64>,
    /// Where it starts over.
    pub reload: u32,
}

impl DownCounter {
    /// Held at its reload value.
    pub fn stopped(reload: u32) -> DownCounter {
        DownCounter { value: reload, since: None, reload }
    }

    /// The value from which it counts.
    pub fn base(&self) -> u32 {
        self.value
    }

    /// The value now.
    pub fn value(&self, clock: Clock, now: Time) -> u32 {
        let passed = self.since.map_or(0, |since| clock.count(now).saturating_sub(since));
        match passed.checked_sub(u64::from(self.value)) {
            None => self.value - passed as u32,
            Some(0) => 0,
            Some(_) if self.reload == 0 => 0,
            Some(behind) => {
                let period = u64::from(self.reload) + 1;
                (u64::from(self.reload) - (behind - 1) % period) as u32
            }
        }
    }

    /// Lets it go on from a value.
    pub fn set(&mut self, clock: Clock, now: Time, value: u32) {
        self.value = value;
        self.since = self.since.map(|_| clock.count(now));
    }

    /// Sets where it starts over, from now on.
    pub fn set_reload(&mut self, clock: Clock, now: Time, reload: u32) {
        self.set(clock, now, self.value(clock, now));
        self.reload = reload;
    }

    /// Lets it count, or holds it.
    pub fn run(&mut self, clock: Clock, now: Time, run: bool) {
        self.value = self.value(clock, now);
        self.since = run.then(|| clock.count(now));
    }

    /// The first time after `now` at which it gets to 0; never if it does not.
    pub fn zero(&self, clock: Clock, now: Time) -> Time {
        if self.since.is_none() {
            return Time::NEVER;
        }
        let left = match self.value(clock, now) {
            0 if self.reload == 0 => return Time::NEVER,
            0 => u64::from(self.reload) + 1,
            value => value.into(),
        };
        clock.reaches(clock.count(now).saturating_add(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_to_zero_and_starts_over() {
        let clock = Clock { hz: 1_000_000, divisor: 1 };
        let mut counter = DownCounter::default();
        counter.set(clock, Time::ZERO, 3);
        counter.reload = 2;
        assert_eq!(
            (counter.value(clock, Time::from_us(9)), counter.zero(clock, Time::ZERO)),
            (3, Time::NEVER)
        );
        counter.run(clock, Time::from_us(10), true);
        let values: Vec<u32> = (10..19).map(|us| counter.value(clock, Time::from_us(us))).collect();
        assert_eq!(values, [3, 2, 1, 0, 2, 1, 0, 2, 1]);
        let mut zeros = Vec::new();
        let mut now = Time::from_us(10);
        for _ in 0..3 {
            now = counter.zero(clock, now);
            zeros.push(now);
        }
        assert_eq!(zeros, [13, 16, 19].map(Time::from_us));
        counter.run(clock, Time::from_us(14), false);
        assert_eq!(counter.value(clock, Time::from_us(99)), 2);
    }

    #[test]
    fn without_a_reload_value_it_stops_at_zero() {
        let clock = Clock { hz: 16_000_000, divisor: 16 };
        let mut counter = DownCounter::default();
        counter.run(clock, Time::ZERO, true);
        counter.set(clock, Time::ZERO, 5);
        assert_eq!(counter.zero(clock, Time::ZERO), Time::from_us(5));
        assert_eq!(counter.value(clock, Time::from_us(50)), 0);
        assert_eq!(counter.zero(clock, Time::from_us(5)), Time::NEVER);
    }
}
