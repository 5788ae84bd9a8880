//! Keeps virtual time from running ahead of the wall clock, where somebody watches.

use cpu_core::Time;
use std::time::{Duration, Instant};

/// Ties a virtual time to a moment of the wall clock.
pub struct Pace {
    wall: Instant,
    virtual_start: Time,
}

/// A machine that falls behind by more than this is not hurried afterwards.
const SLACK: Duration = Duration::from_millis(100);

impl Pace {
    /// From here on, virtual seconds take at least as long as real ones.
    pub fn new(now: Time) -> Pace {
        Pace { wall: Instant::now(), virtual_start: now }
    }

    /// How long to wait until the wall clock has caught up with `now`.
    pub fn ahead(&mut self, now: Time) -> Duration {
        let virtual_elapsed = Duration::from_nanos(now.saturating_sub(self.virtual_start).as_ns());
        let elapsed = self.wall.elapsed();
        if elapsed > virtual_elapsed + SLACK {
            *self = Pace::new(now);
            return Duration::ZERO;
        }
        virtual_elapsed.saturating_sub(elapsed)
    }
}
