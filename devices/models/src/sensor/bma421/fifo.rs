//! The FIFO of 1024 bytes, for frames of acceleration with or without headers.
//!
//! Its content follows from time: it is filled when somebody looks, and an event tells only of a level that an
//! interrupt waits for. A frame that was read in part is sent again by the next transfer.
//!
//! Left out: frames of time and configuration, and the wake-up from power saving.

use devices_core::Time;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bytes that it holds.
const CAPACITY: usize = 1024;
/// The header of a frame that has acceleration, and what stands for one where there is none.
const HEADER: u8 = 0x84;
const EMPTY: u8 = 0x80;

/// How it is set up, by the registers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// Between two frames; `None` while none are stored.
    pub period: Option<Time>,
    pub headers: bool,
    pub stop_on_full: bool,
    /// In bytes.
    pub watermark: usize,
}

impl Setup {
    fn frame(self) -> usize {
        6 + usize::from(self.headers)
    }
}

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fifo {
    /// Acceleration as the registers have it, the oldest first.
    frames: VecDeque<[i16; 3]>,
    /// Bytes of the first frame that this transfer took.
    taken: u8,
    /// It is filled up to here.
    filled: Time,
}

impl Fifo {
    pub fn new(now: Time) -> Fifo {
        Fifo { filled: now, ..Fifo::default() }
    }

    /// Bytes that may be read.
    pub fn length(&self, setup: Setup) -> usize {
        (self.frames.len() * setup.frame()).saturating_sub(self.taken.into())
    }

    /// Whether the watermark is reached, and whether no frame more has room.
    pub fn levels(&self, setup: Setup) -> (bool, bool) {
        let length = self.length(setup);
        (setup.watermark > 0 && length >= setup.watermark, length + setup.frame() > CAPACITY)
    }

    /// When the watermark, or fullness, will be reached: neither of them is now.
    pub fn reaches(&self, now: Time, setup: Setup, full: bool) -> Option<Time> {
        let period = setup.period?.0;
        let frame = setup.frame();
        let wanted = if full { CAPACITY / frame } else { setup.watermark.div_ceil(frame) };
        let missing = wanted.checked_sub(self.frames.len()).filter(|&n| n > 0)? as u64;
        Some(Time((now.0 / period).saturating_add(missing).saturating_mul(period)))
    }

    /// Stores what was measured up to now; `sample` gives the acceleration at a time.
    pub fn fill(&mut self, now: Time, setup: Setup, mut sample: impl FnMut(Time) -> [i16; 3]) {
        let from = self.filled;
        self.filled = now.max(from);
        let Some(Time(period)) = setup.period else { return };
        let most = CAPACITY / setup.frame();
        let last = now.0 / period;
        let mut first = from.0 / period + 1;
        if !setup.stop_on_full {
            // Of what would be overwritten nothing is computed.
            first = first.max((last + 1).saturating_sub(most as u64));
        }
        for n in first..=last {
            if self.frames.len() >= most {
                if setup.stop_on_full {
                    return;
                }
                self.frames.pop_front();
                self.taken = 0;
            }
            self.frames.push_back(sample(Time(n * period)));
        }
    }

    /// Takes a byte.
    pub fn read(&mut self, setup: Setup) -> u8 {
        let at = usize::from(self.taken);
        let Some(frame) = self.frames.front() else {
            self.taken = (self.taken + 1) % 2;
            return if setup.headers || at == 1 { EMPTY } else { 0 };
        };
        let byte = match at.checked_sub(usize::from(setup.headers)) {
            None => HEADER,
            Some(n) => frame[n / 2 % 3].to_le_bytes()[n % 2],
        };
        self.taken += 1;
        if usize::from(self.taken) >= setup.frame() {
            self.frames.pop_front();
            self.taken = 0;
        }
        byte
    }

    /// A transfer begins.
    pub fn rewind(&mut self) {
        self.taken = 0;
    }

    /// Forgets all frames.
    pub fn flush(&mut self) {
        self.frames.clear();
        self.taken = 0;
    }
}
