//! What a receiver makes of a frame: which bits reach it.

use super::format::{Format, Header};
use devices_core::Time;
use devices_radio::bits::whitening;
use devices_radio::{Bits, Heard, Key, Phy};
use serde::{Deserialize, Serialize};

/// A frame that the receiver has synchronised to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lock {
    pub key: Key,
    /// Its own, which for coded ones may differ from what MODE says.
    pub phy: Phy,
    /// From the antenna to events.
    pub chain: Time,
    /// At the antenna.
    pub sync_end: Time,
    pub sync: u64,
    pub sync_bits: u32,
    pub header: Option<Header>,
}

impl Lock {
    /// When `count` bits behind the address have passed the antenna.
    pub fn data_bit(&self, count: u32) -> Time {
        let coding = if self.phy.is_coded() { 5 * self.phy.sync_bit().0 } else { 0 };
        let span = Time(coding + u64::from(count) * self.phy.bit().0);
        self.sync_end.saturating_add(span)
    }

    /// When the event that belongs to that is due.
    pub fn event(&self, count: u32) -> Time {
        self.data_bit(count).saturating_add(self.chain)
    }

    /// How many bits behind the address have gone through the receiver by `now`.
    pub fn passed(&self, now: Time) -> u32 {
        let since = now.saturating_sub(self.event(0));
        u32::try_from(since.0 / self.phy.bit().0).unwrap_or(u32::MAX)
    }

    /// The first `count` bits behind the address, as the receiver sees them. What was damaged, or never sent, is noise.
    pub fn received(&self, heard: &Heard, format: &Format, count: u32) -> Bits {
        let frame = heard.get(self.key).map(|arrival| &arrival.frame);
        let damage = heard.damage(self.key, self.data_bit(0), self.data_bit(count));
        let theirs = sequence(frame.and_then(|frame| frame.whitening));
        let mut bits = Bits::default();
        for ((n, mine), theirs) in (0..count).zip(sequence(format.whitening)).zip(theirs) {
            let (from, to) = (self.data_bit(n), self.data_bit(n + 1));
            let spoilt = damage.iter().any(|(start, end)| *start < to && from < *end);
            let sent = frame.and_then(|frame| frame.data.get(n)).filter(|_| !spoilt);
            bits.push(sent.map_or_else(|| self.noise(n), |bit| bit != (mine != theirs)));
        }
        bits
    }

    /// What a receiver takes noise for: as good as random, and the same in every run.
    fn noise(&self, bit: u32) -> bool {
        let name = u64::from(self.key.node) << 48 ^ self.key.seq << 16 ^ u64::from(bit);
        let z = name.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 63 != 0
    }
}

/// A whitening sequence, or none.
fn sequence(iv: Option<u8>) -> impl Iterator<Item = bool> {
    iv.into_iter().flat_map(whitening).chain(std::iter::repeat(false))
}
