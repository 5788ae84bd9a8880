//! The FIFO: 512 tagged words of six bytes (section 9 of the application note AN5192).

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Words it holds.
pub const DEPTH: usize = 512;

/// What a word is, as its tag says.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Tag {
    Gyroscope = 1,
    Accelerometer = 2,
    Temperature = 3,
    Timestamp = 4,
}

/// What happens when it is full, `FIFO_MODE`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nothing is kept.
    Bypass,
    /// It stops.
    Stop,
    /// The oldest word goes.
    Continuous,
}

impl Mode {
    pub fn of(bits: u32) -> Mode {
        match bits & 7 {
            0 => Mode::Bypass,
            1 => Mode::Stop,
            _ => Mode::Continuous,
        }
    }
}

/// The words, and the flags that tell about them.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fifo {
    words: VecDeque<[u8; 7]>,
    /// Count of time slots, in the tags.
    slot: u8,
    pub overrun: bool,
    pub overrun_latched: bool,
}

impl Fifo {
    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn clear(&mut self) {
        *self = Fifo::default();
    }

    /// The words from here on belong to the next time slot.
    pub fn next_slot(&mut self) {
        self.slot = (self.slot + 1) & 3;
    }

    /// Adds a word. `limit` is how many fit: the watermark, if the FIFO stops there.
    pub fn push(&mut self, mode: Mode, limit: usize, tag: Tag, data: [u8; 6]) {
        let limit = limit.clamp(1, DEPTH);
        if mode == Mode::Bypass {
            return;
        }
        if self.words.len() >= limit {
            self.overrun = true;
            self.overrun_latched = true;
            if mode == Mode::Stop || limit < DEPTH {
                return;
            }
            self.words.pop_front();
        }
        let tag = (tag as u8) << 3 | self.slot << 1;
        let tag = tag | (tag.count_ones() & 1) as u8;
        let mut word = [tag, 0, 0, 0, 0, 0, 0];
        word[1..].copy_from_slice(&data);
        self.words.push_back(word);
    }

    /// Byte `index` of the oldest word (0 is its tag); reading the last takes the word out.
    pub fn read(&mut self, index: usize) -> u8 {
        let byte = self.words.front().and_then(|word| word.get(index)).copied().unwrap_or(0);
        if index == 6 {
            self.words.pop_front();
            self.overrun = false;
        }
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(fifo: &mut Fifo) -> [u8; 7] {
        std::array::from_fn(|index| fifo.read(index))
    }

    #[test]
    fn tags_have_slot_and_even_parity() {
        let mut fifo = Fifo::default();
        for tag in [Tag::Gyroscope, Tag::Accelerometer, Tag::Temperature, Tag::Timestamp] {
            fifo.push(Mode::Continuous, DEPTH, tag, [1, 2, 3, 4, 5, 6]);
            fifo.next_slot();
        }
        for (expected, slot) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
            let word = take(&mut fifo);
            assert_eq!((word[0] >> 3, word[0] >> 1 & 3), (expected, slot));
            assert_eq!(word[0].count_ones() % 2, 0);
            assert_eq!(word[1..], [1, 2, 3, 4, 5, 6]);
        }
        assert_eq!(take(&mut fifo), [0; 7]);
    }

    #[test]
    fn full() {
        for (mode, first) in [(Mode::Stop, 0), (Mode::Continuous, 8)] {
            let mut fifo = Fifo::default();
            for index in 0..520u16 {
                let [low, high] = index.to_le_bytes();
                fifo.push(mode, DEPTH, Tag::Gyroscope, [low, high, 0, 0, 0, 0]);
            }
            assert_eq!((fifo.len(), fifo.overrun), (DEPTH, true));
            assert_eq!((take(&mut fifo)[1], fifo.overrun, fifo.overrun_latched), (first, false, true));
        }
        let mut fifo = Fifo::default();
        (0..9).for_each(|_| fifo.push(Mode::Continuous, 4, Tag::Gyroscope, [0; 6]));
        assert_eq!(fifo.len(), 4, "it stops at the watermark");
        fifo.push(Mode::Bypass, DEPTH, Tag::Gyroscope, [0; 6]);
        assert_eq!(fifo.len(), 4);
    }
}
