//! What a receiver's antenna gets: the frames around it, their energy, and what they do to each other.

use crate::frame::{Key, Phy};
use crate::medium::Arrival;
use crate::power::{decibels, ratio};
use cpu_core::Time;
use serde::{Deserialize, Serialize};

/// More frames than this at once are not told apart: the oldest are forgotten.
const LIMIT: usize = 256;

/// Frames on the air near one receiver, by start and sender.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heard(Vec<Arrival>);

/// A part of a frame that nobody could receive.
pub type Damage = (Time, Time);

impl Heard {
    /// Adds a frame, or what became of it.
    pub fn add(&mut self, arrival: Arrival) {
        if let Some(known) = self.0.iter_mut().find(|known| known.frame.key == arrival.frame.key) {
            *known = arrival;
            return;
        }
        if self.0.len() >= LIMIT {
            self.0.remove(0);
        }
        let order = |arrival: &Arrival| (arrival.frame.start, arrival.frame.key);
        let at = self.0.partition_point(|other| order(other) <= order(&arrival));
        self.0.insert(at, arrival);
    }

    /// Forgets what ended before `time`.
    pub fn forget(&mut self, time: Time) {
        self.0.retain(|arrival| arrival.frame.end() >= time);
    }

    /// A frame by its name.
    pub fn get(&self, key: Key) -> Option<&Arrival> {
        self.0.iter().find(|arrival| arrival.frame.key == key)
    }

    /// All of them, by start.
    pub fn iter(&self) -> impl Iterator<Item = &Arrival> {
        self.0.iter()
    }

    /// The strongest sum of what falls into a channel at any moment of a span, in dBm; the receiver's own noise at least.
    pub fn energy(&self, frequency: u16, phy: Phy, from: Time, to: Time) -> i32 {
        let strongest =
            self.moments(from, to).map(|at| self.others(None, frequency, phy, at)).fold(0.0, f64::max);
        decibels(strongest + noise(phy))
    }

    /// Whether some frame that fits `phy` is on the channel in a span, strong enough to be received.
    pub fn carrier(&self, frequency: u16, phy: Phy, from: Time, to: Time) -> bool {
        self.0.iter().any(|Arrival { frame, power, .. }| {
            let here = frame.frequency == frequency && frame.phy.fits(phy) && *power >= phy.sensitivity();
            here && frame.start < to && frame.end() > from
        })
    }

    /// The parts of a frame between two times that noise, other frames or the sender's silence spoil.
    pub fn damage(&self, key: Key, from: Time, to: Time) -> Vec<Damage> {
        let Some(Arrival { frame, power, .. }) = self.get(key) else { return vec![(from, to)] };
        let mut moments: Vec<Time> = self.moments(from, to).collect();
        moments.sort_unstable();
        let mut damage: Vec<Damage> = Vec::new();
        for (index, at) in moments.iter().enumerate() {
            let others = self.others(Some(key), frame.frequency, frame.phy, *at) + noise(frame.phy);
            if *at < frame.end() && ratio(*power) >= others * ratio(frame.phy.capture()) {
                continue;
            }
            let end = moments.get(index + 1).copied().unwrap_or(to);
            match damage.last_mut() {
                Some(last) if last.1 == *at => last.1 = end,
                _ => damage.push((*at, end)),
            }
        }
        damage
    }

    /// Between any two of these nothing changes.
    fn moments(&self, from: Time, to: Time) -> impl Iterator<Item = Time> {
        let edges = self.0.iter().flat_map(|arrival| [arrival.frame.start, arrival.frame.end()]);
        let inside = edges.filter(move |at| *at > from && *at < to);
        let mut all: Vec<Time> = std::iter::once(from).chain(inside).collect();
        all.dedup();
        all.into_iter()
    }

    /// The sum of the frames but `key` in a channel at a moment, in milliwatts.
    fn others(&self, key: Option<Key>, frequency: u16, phy: Phy, at: Time) -> f64 {
        let on_air = self
            .0
            .iter()
            .filter(|Arrival { frame, .. }| Some(frame.key) != key && frame.start <= at && at < frame.end());
        on_air
            .map(|Arrival { frame, power, .. }| {
                ratio(power.saturating_sub(rejection(phy, frame.frequency.abs_diff(frequency))))
            })
            .sum()
    }
}

/// The receiver's own noise in milliwatts: what makes a frame of the least power just readable.
fn noise(phy: Phy) -> f64 {
    ratio(phy.sensitivity() - phy.capture())
}

/// By how much a receiver weakens what is so many MHz beside its channel (nRF52 product specifications, selectivity:
/// about 0, 8, 32 and 50 dB for each channel further off).
fn rejection(phy: Phy, distance: u16) -> i32 {
    match distance / phy.spacing() {
        0 => 0,
        1 => 8,
        2 => 32,
        _ => 50,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::frame;

    /// 100 bytes of 1M at 2402 MHz: on the air for 840 us from 1000 us.
    fn arrival(node: u32, start: u64, power: i32) -> Arrival {
        let mut frame = frame(Phy::Ble1M, &[0; 100]);
        frame.key.node = node;
        frame.start = Time::from_us(start);
        Arrival { frame, power, lost: false }
    }

    fn damage(heard: &Heard) -> Vec<(u64, u64)> {
        let key = Key { node: 0, seq: 0 };
        let frame = &heard.get(key).expect("it is there").frame;
        let damage = heard.damage(key, frame.start, Time::from_us(1840));
        damage.iter().map(|(from, to)| (from.as_ns() / 1000, to.as_ns() / 1000)).collect()
    }

    #[test]
    fn interference_hits_where_it_overlaps() {
        let mut heard = Heard::default();
        heard.add(arrival(0, 1000, -60));
        assert_eq!(damage(&heard), []);
        heard.add(arrival(1, 1500, -68));
        assert_eq!(damage(&heard), [], "captured");
        heard.add(arrival(2, 500, -64));
        assert_eq!(damage(&heard), [(1000, 1340)]);
        heard.add(arrival(3, 1600, -67));
        assert_eq!(damage(&heard), [(1000, 1340), (1600, 1840)], "together they are too strong");
        let mut beside = arrival(4, 1400, -60);
        beside.frame.frequency = 2403;
        heard.add(beside);
        assert_eq!(damage(&heard), [(1000, 1340), (1500, 1840)]);
        heard.forget(Time::from_us(1341));
        assert_eq!(heard.iter().count(), 4);
    }

    #[test]
    fn what_is_too_weak_or_stops_is_damaged() {
        let mut heard = Heard::default();
        heard.add(arrival(0, 1000, -96));
        assert_eq!(damage(&heard), []);
        heard.add(arrival(0, 1000, -97));
        assert_eq!(damage(&heard), [(1000, 1840)]);
        let mut stopped = arrival(0, 1000, -50);
        stopped.frame.aborted = Some(Time::from_us(1100));
        heard.add(stopped);
        assert_eq!(damage(&heard), [(1100, 1840)]);
    }

    #[test]
    fn energy_of_a_channel() {
        let mut heard = Heard::default();
        let energy =
            |heard: &Heard, from, to| heard.energy(2402, Phy::Ble1M, Time::from_us(from), Time::from_us(to));
        assert_eq!(energy(&heard, 0, 100), -103);
        heard.add(arrival(0, 1000, -50));
        heard.add(arrival(1, 1500, -50));
        assert_eq!(
            [energy(&heard, 0, 999), energy(&heard, 900, 1100), energy(&heard, 1400, 1600)],
            [-103, -50, -47]
        );
        assert!(heard.carrier(2402, Phy::Ble1M, Time::from_us(1100), Time::from_us(1101)));
        assert!(!heard.carrier(2402, Phy::Ieee802154, Time::from_us(1100), Time::from_us(1101)));
    }
}
