//! The counter with comparators that SiFive's watchdog, real-time clock and PWM share.
//!
//! Follows SiFive's sources (sifive-blocks, `util/Timer.scala` and `devices/pwm/PWM.scala`), on which chapters 14, 15
//! and 20 of the FE310-G002 Manual are based. A pure value: time is a number of clock ticks that its owner gives.
//!
//! The pending bits change in the tick in which a comparison does; in hardware, one tick later.

use serde::{Deserialize, Serialize};

/// What differs between the blocks.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Bits of the counter.
    pub count_bits: u32,
    /// Bits of the scaled counter and the comparators.
    pub compare_bits: u32,
    /// Comparators, up to four.
    pub comparators: usize,
    /// Whether the counter starts over when the scaled part overflows.
    pub wraps_scaled: bool,
}

/// A counter, its configuration and what is pending.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Timer {
    /// At tick `at`.
    count: u64,
    at: u64,
    /// The comparators look at the counter shifted right by this.
    pub scale: u32,
    /// The counter starts over after the first comparator's match.
    pub zero_on_match: bool,
    /// Pending bits stay until software clears them.
    pub sticky: bool,
    /// Pending bits stay until the counter starts over.
    pub deglitch: bool,
    /// Counts.
    pub always: bool,
    /// Counts until the counter starts over, which clears it.
    pub one_shot: bool,
    /// One bit per comparator: compare with the inverse in the upper half.
    pub center: u32,
    /// Comparators.
    pub compare: [u32; 4],
    /// One bit per comparator.
    pub pending: u32,
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits.clamp(1, 64))
}

impl Timer {
    /// Stopped, with these comparators.
    pub fn new(compare: [u32; 4]) -> Timer {
        Timer { compare, ..Timer::default() }
    }

    /// Brings a state from outside into the shape.
    pub fn clamp(&mut self, shape: Shape) {
        self.count &= mask(shape.count_bits);
        self.scale &= 0xf;
        self.compare.iter_mut().for_each(|compare| *compare &= mask(shape.compare_bits) as u32);
    }

    /// The counter, as of the last [`Timer::advance`].
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The scaled counter.
    pub fn scaled(&self, shape: Shape) -> u64 {
        self.count >> self.scale & mask(shape.compare_bits)
    }

    /// Sets the counter.
    pub fn set_count(&mut self, shape: Shape, count: u64) {
        self.count = count & mask(shape.count_bits);
        self.compare_all(shape, false);
    }

    fn running(&self) -> bool {
        self.always || self.one_shot
    }

    /// Recomputes the pending bits after the configuration changed.
    pub fn refresh(&mut self, shape: Shape) {
        self.compare_all(shape, false);
    }

    fn upper_half(&self, shape: Shape) -> bool {
        self.scaled(shape) >> (shape.compare_bits - 1) & 1 != 0
    }

    /// Which comparators match now.
    fn elapsed(&self, shape: Shape) -> u32 {
        let scaled = self.scaled(shape);
        let upper = self.upper_half(shape);
        let matches = |index: usize| {
            let inverse = upper && self.center >> index & 1 != 0;
            let value = if inverse { !scaled & mask(shape.compare_bits) } else { scaled };
            value >= u64::from(self.compare[index])
        };
        (0..shape.comparators).filter(|&index| matches(index)).fold(0, |bits, index| bits | 1 << index)
    }

    fn compare_all(&mut self, shape: Shape, started_over: bool) {
        let keep = self.sticky || self.deglitch && !started_over;
        let follows = if self.upper_half(shape) { self.center } else { 0 };
        let kept = if keep { self.pending & !follows } else { 0 };
        self.pending = self.elapsed(shape) | kept;
    }

    /// The counter at which something changes next, and whether it starts over there. Above the counter.
    fn next(&self, shape: Shape) -> Option<(u64, bool)> {
        if !self.running() {
            return None;
        }
        let first_matches = self.elapsed(shape) & 1 != 0;
        if self.zero_on_match && first_matches {
            // Matching all the time keeps it at zero; only the first time ends a single run.
            let changes = self.count != 0 || self.compare[0] != 0 || self.one_shot;
            return changes.then(|| (self.count + 1, true));
        }
        // Where the scaled part overflows, or the counter.
        let bits = shape.count_bits.min(self.scale + shape.compare_bits);
        let base = self.count & !mask(bits);
        let end = base + mask(bits) + 1;
        let starts_over = shape.wraps_scaled || end > mask(shape.count_bits);
        let mut nearest = (end, starts_over);
        let half = 1 << (shape.compare_bits - 1);
        let mut consider = |scaled: u64| {
            let at = base + (scaled << self.scale);
            if at > self.count && at < nearest.0 {
                nearest = (at, false);
            }
        };
        for (index, &compare) in self.compare[..shape.comparators].iter().enumerate() {
            consider(compare.into());
            if self.center >> index & 1 != 0 {
                consider(half);
                // In the upper half, the inverse falls below the comparator here.
                consider((mask(shape.compare_bits) + 1).saturating_sub(compare.into()));
            }
        }
        Some(nearest)
    }

    /// The tick of the next change, if there will be one.
    pub fn next_change(&self, shape: Shape) -> Option<u64> {
        self.next(shape).map(|(count, _)| self.at.saturating_add(count - self.count))
    }

    /// Lets time pass until `tick`; returns whether a comparator matched on the way or the counter started over.
    pub fn advance(&mut self, shape: Shape, tick: u64) -> bool {
        let mut happened = false;
        while let Some((count, starts_over)) = self.next(shape) {
            let at = self.at.saturating_add(count - self.count);
            if at > tick {
                break;
            }
            happened = true;
            self.at = at;
            self.count = if starts_over { 0 } else { count };
            self.compare_all(shape, starts_over);
            self.one_shot &= !starts_over;
        }
        let passed = tick.saturating_sub(self.at);
        self.at = self.at.max(tick);
        if self.running() && !self.stuck(shape) {
            self.count = self.count.wrapping_add(passed) & mask(shape.count_bits);
        }
        happened
    }

    fn stuck(&self, shape: Shape) -> bool {
        self.zero_on_match && self.count == 0 && self.elapsed(shape) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Shape = Shape { count_bits: 19, compare_bits: 4, comparators: 2, wraps_scaled: true };

    /// The hardware, tick by tick.
    fn tick(timer: &mut Timer, shape: Shape) {
        if !timer.running() {
            return;
        }
        let matched = timer.zero_on_match && timer.elapsed(shape) & 1 != 0;
        let next = timer.count + 1;
        let overflow = shape.wraps_scaled
            && next >> (timer.scale + shape.compare_bits).min(63)
                != timer.count >> (timer.scale + shape.compare_bits).min(63);
        let starts_over = matched || overflow || next > mask(shape.count_bits);
        timer.count = if starts_over { 0 } else { next };
        timer.compare_all(shape, starts_over);
        timer.one_shot &= !starts_over;
    }

    #[test]
    fn jumping_is_the_same_as_ticking() {
        arbtest::arbtest(|u| {
            let mut shape = SMALL;
            shape.wraps_scaled = u.arbitrary()?;
            if !shape.wraps_scaled {
                shape.count_bits = 7;
            }
            let mut slow = Timer {
                scale: u.int_in_range(0..=3)?,
                zero_on_match: u.arbitrary()?,
                sticky: u.arbitrary()?,
                deglitch: u.arbitrary()?,
                one_shot: u.arbitrary()?,
                center: u.int_in_range(0..=3)?,
                compare: [u.int_in_range(0..=15)?, u.int_in_range(0..=15)?, 0, 0],
                always: u.arbitrary()?,
                ..Timer::default()
            };
            slow.set_count(shape, u.int_in_range(0..=200)?);
            let mut fast = slow.clone();
            let mut now = 0;
            for _ in 0..8 {
                let step: u64 = u.int_in_range(0..=60)?;
                let predicted = fast.next_change(shape);
                for passed in 1..=step {
                    let before = slow.pending;
                    tick(&mut slow, shape);
                    if slow.pending != before {
                        let at = predicted.expect("a change that was not foreseen");
                        assert!(at <= now + passed, "foreseen for {at}, came at {}", now + passed);
                    }
                }
                now += step;
                fast.advance(shape, now);
                assert_eq!(
                    (fast.count, fast.pending, fast.running()),
                    (slow.count, slow.pending, slow.running())
                );
            }
            Ok(())
        });
    }

    #[test]
    fn a_stopped_counter_stands() {
        let mut timer = Timer { compare: [5, 15, 0, 0], ..Timer::default() };
        timer.advance(SMALL, 100);
        assert_eq!((timer.count(), timer.next_change(SMALL)), (0, None));
        timer.always = true;
        assert_eq!(timer.next_change(SMALL), Some(105));
        timer.advance(SMALL, 104);
        assert_eq!((timer.count(), timer.pending), (4, 0));
        timer.advance(SMALL, 105);
        assert_eq!((timer.count(), timer.pending), (5, 1));
    }
}
