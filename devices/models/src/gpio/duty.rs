//! How much of the time a pin is active: what a lamp or a motor makes of pulse-width modulation.

use devices_core::Time;
use serde::{Deserialize, Serialize};

/// A pin that stays for so long is not modulated.
pub const SETTLES: Time = Time::from_ms(40);

/// The share of time that a pin is active, by its latest period.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Duty {
    active: bool,
    since: Time,
    /// How long it was active and inactive the last time.
    spans: [Time; 2],
    level: u8,
}

impl Default for Duty {
    fn default() -> Duty {
        Duty { active: false, since: Time::ZERO, spans: [Time::NEVER; 2], level: 0 }
    }
}

impl Duty {
    /// From 0 to 255.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The pin is `active` from now on. Gives the time of [`Duty::settle`], if it may be due.
    pub fn change(&mut self, now: Time, active: bool) -> Option<Time> {
        if active != self.active {
            self.spans[usize::from(!self.active)] = now.saturating_sub(self.since);
            self.active = active;
            self.since = now;
        }
        let modulated = self.spans.iter().all(|span| *span < SETTLES);
        let whole = self.spans[0].0.saturating_add(self.spans[1].0);
        if !modulated || whole == 0 {
            self.level = u8::from(active) * u8::MAX;
            return None;
        }
        self.level = (u128::from(self.spans[0].0) * 255 / u128::from(whole)) as u8;
        Some(self.since.saturating_add(SETTLES))
    }

    /// The pin has stayed where it is.
    pub fn settle(&mut self, now: Time) {
        if now.saturating_sub(self.since) >= SETTLES {
            self.spans = [Time::NEVER; 2];
            self.level = u8::from(self.active) * u8::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_modulated_pin_and_one_that_stays() {
        let mut duty = Duty::default();
        assert_eq!(duty.change(Time::from_ms(100), true), None);
        assert_eq!(duty.level(), 255);
        let mut settles = None;
        for period in 0..3 {
            duty.change(Time::from_us(101_000 + period * 1000), true);
            settles = duty.change(Time::from_us(101_250 + period * 1000), false);
        }
        assert_eq!((duty.level(), settles), (63, Some(Time::from_us(143_250))));
        duty.settle(Time::from_us(143_000));
        assert_eq!(duty.level(), 63, "not yet");
        duty.settle(Time::from_us(143_250));
        assert_eq!(duty.level(), 0);
    }
}
