//! Steps: those that the acceleration tells of, and the walk that shakes it.

use devices_core::Time;
use serde::{Deserialize, Serialize};

/// The shortest time between two steps.
const FASTEST: Time = Time::from_ms(250);
/// A step of the walk that the control asks for, and how far it swings the acceleration.
const STRIDE: Time = Time::from_ms(500);
const SWING: f64 = 0.3;

/// Finds steps in the acceleration.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pedometer {
    /// The magnitude is above the middle.
    swung: bool,
    last: Option<Time>,
}

impl Pedometer {
    /// The acceleration is `g` from now on; tells how long after the one before a step was made.
    pub fn feed(&mut self, now: Time, g: [f64; 3]) -> Option<Time> {
        let square: f64 = g.iter().map(|axis| axis * axis).sum();
        if square < 1.05 * 1.05 {
            self.swung = false;
        }
        if self.swung || square < 1.2 * 1.2 {
            return None;
        }
        self.swung = true;
        let since = self.last.map_or(Time::NEVER, |last| now.saturating_sub(last));
        if since < FASTEST {
            return None;
        }
        self.last = Some(now);
        Some(since)
    }
}

/// The walk that the control `steps` asks for.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Walk {
    since: Time,
    until: Time,
}

impl Walk {
    pub fn steps(&mut self, now: Time, count: u32) {
        if self.until <= now {
            (self.since, self.until) = (now, now);
        }
        self.until = Time(self.until.0.saturating_add(STRIDE.0.saturating_mul(count.into())));
    }

    /// The acceleration with the swings of the walk: up and down in straight lines, once a step.
    pub fn acceleration(&self, at: Time, g: [f64; 3]) -> [f64; 3] {
        if at < self.since || at >= self.until {
            return g;
        }
        let phase = (at.saturating_sub(self.since).0 % STRIDE.0) as f64 / STRIDE.0 as f64;
        let swing = if phase < 0.5 { 4.0 * phase - 1.0 } else { 3.0 - 4.0 * phase };
        g.map(|axis| axis * (1.0 + SWING * swing))
    }
}
