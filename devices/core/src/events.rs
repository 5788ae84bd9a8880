//! The queue of things that happen at a virtual time.

use cpu_core::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Index of a device in its machine.
pub type DeviceId = usize;

/// Pending events, ordered by time; ties break by the order in which they were scheduled.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventQueue {
    queue: BTreeMap<(Time, u64), (DeviceId, u32)>,
    index: BTreeMap<(DeviceId, u32), (Time, u64)>,
    sequence: u64,
}

impl EventQueue {
    /// Makes (`device`, `token`) due at `at`, replacing what was pending under the same name.
    pub fn schedule(&mut self, device: DeviceId, token: u32, at: Time) {
        self.cancel(device, token);
        if at == Time::NEVER {
            return;
        }
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (device, token));
        self.index.insert((device, token), (at, self.sequence));
    }

    /// Forgets (`device`, `token`); nothing happens if it is not pending.
    pub fn cancel(&mut self, device: DeviceId, token: u32) {
        if let Some(key) = self.index.remove(&(device, token)) {
            self.queue.remove(&key);
        }
    }

    /// Forgets all events of `device`.
    pub fn cancel_all(&mut self, device: DeviceId) {
        self.cancel_up_to(device, u32::MAX);
    }

    /// Forgets the events of `device` with tokens up to `last`.
    pub fn cancel_up_to(&mut self, device: DeviceId, last: u32) {
        let tokens: Vec<u32> = self.index.range((device, 0)..=(device, last)).map(|(key, _)| key.1).collect();
        for token in tokens {
            self.cancel(device, token);
        }
    }

    /// When (`device`, `token`) is due, if it is pending.
    pub fn due(&self, device: DeviceId, token: u32) -> Option<Time> {
        self.index.get(&(device, token)).map(|key| key.0)
    }

    /// When the first event is due.
    pub fn next(&self) -> Option<Time> {
        self.queue.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes the first event that is due at or before `now`.
    pub fn pop(&mut self, now: Time) -> Option<(Time, DeviceId, u32)> {
        let (&(at, _), &(device, token)) = self.queue.first_key_value()?;
        if at > now {
            return None;
        }
        self.cancel(device, token);
        Some((at, device, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_time_then_by_schedule() {
        let mut events = EventQueue::default();
        events.schedule(1, 0, Time(20));
        events.schedule(2, 0, Time(10));
        events.schedule(3, 0, Time(10));
        events.schedule(2, 1, Time(5));
        events.schedule(2, 0, Time(10)); // again: now after device 3
        events.cancel(2, 1);
        assert_eq!(events.next(), Some(Time(10)));
        assert_eq!(events.pop(Time(9)), None);
        let order: Vec<_> = std::iter::from_fn(|| events.pop(Time(100))).map(|event| event.1).collect();
        assert_eq!(order, [3, 2, 1]);
    }

    #[test]
    fn never_is_not_queued() {
        let mut events = EventQueue::default();
        events.schedule(1, 0, Time(20));
        events.schedule(1, 0, Time::NEVER);
        assert_eq!(events.next(), None);
    }
}
