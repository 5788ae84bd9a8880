//! A frame on the air.

use crate::bits::{Bits, Crc};
use cpu_core::Time;
use serde::{Deserialize, Serialize};

/// A modulation with its bit rate.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Phy {
    /// Bluetooth LE 1M.
    Ble1M,
    /// Bluetooth LE 2M.
    Ble2M,
    /// Bluetooth LE Coded, 500 kbit/s.
    BleCodedS2,
    /// Bluetooth LE Coded, 125 kbit/s.
    BleCodedS8,
    /// IEEE 802.15.4, O-QPSK, 250 kbit/s.
    Ieee802154,
    /// Nordic's own, 1 Mbit/s.
    Nordic1M,
    /// Nordic's own, 2 Mbit/s.
    Nordic2M,
    /// Nordic's own of the nRF51, 250 kbit/s.
    Nordic250K,
}

impl Phy {
    /// How long a bit behind the address takes.
    pub const fn bit(self) -> Time {
        Time(match self {
            Phy::Ble1M | Phy::Nordic1M => 1_000_000,
            Phy::Ble2M | Phy::Nordic2M => 500_000,
            Phy::BleCodedS2 => 2_000_000,
            Phy::BleCodedS8 => 8_000_000,
            Phy::Ieee802154 | Phy::Nordic250K => 4_000_000,
        })
    }

    /// Whether it is Bluetooth's coded one, at either rate.
    pub const fn is_coded(self) -> bool {
        matches!(self, Phy::BleCodedS2 | Phy::BleCodedS8)
    }

    /// How long a bit of the address or of the frame delimiter takes: coded ones are sent at the lower rate.
    pub const fn sync_bit(self) -> Time {
        if self.is_coded() { Phy::BleCodedS8.bit() } else { self.bit() }
    }

    /// How long the preamble lasts that its standard asks for.
    pub const fn preamble(self) -> Time {
        Time(match self {
            Phy::BleCodedS2 | Phy::BleCodedS8 => 80_000_000,
            Phy::Ieee802154 => 128_000_000,
            Phy::Ble2M => 8_000_000,
            _ => 8 * self.bit().0,
        })
    }

    /// Whether a receiver of one synchronises to the other: it finds out which coding there is.
    pub fn fits(self, other: Phy) -> bool {
        self == other || self.is_coded() && other.is_coded()
    }

    /// What a receiver needs, in dBm (nRF52832 and nRF52840 product specifications, rounded).
    pub const fn sensitivity(self) -> i32 {
        match self {
            Phy::Ble1M => -96,
            Phy::Ble2M | Phy::Nordic1M => -93,
            Phy::BleCodedS2 => -99,
            Phy::BleCodedS8 => -103,
            Phy::Ieee802154 => -100,
            Phy::Nordic2M => -89,
            Phy::Nordic250K => -96,
        }
    }

    /// By how many decibels a frame must exceed the others on its channel to survive (same source, rounded).
    pub const fn capture(self) -> i32 {
        match self {
            Phy::BleCodedS2 => 4,
            Phy::BleCodedS8 => 0,
            Phy::Ieee802154 => 2,
            _ => 7,
        }
    }

    /// Distance of channels in MHz.
    pub const fn spacing(self) -> u16 {
        match self {
            Phy::Ble2M | Phy::Nordic2M | Phy::Ieee802154 => 2,
            _ => 1,
        }
    }
}

/// Names a frame: the node that sent it, and its number there.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Key {
    /// Whose.
    pub node: u32,
    /// Counts the frames of a node.
    pub seq: u64,
}

/// A frame from an antenna.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transmission {
    /// Its name.
    pub key: Key,
    /// When the first bit leaves the antenna.
    pub start: Time,
    /// In MHz.
    pub frequency: u16,
    /// Modulation.
    pub phy: Phy,
    /// How long the preamble lasts.
    pub preamble: Time,
    /// The address, or the frame delimiter of 802.15.4; its lowest bit is sent first.
    pub sync: u64,
    /// Bits in it.
    pub sync_bits: u32,
    /// Header, payload and check, before whitening.
    pub data: Bits,
    /// The check at the end of the data; of width 0 if there is none.
    pub crc: Crc,
    /// The start value of its whitening.
    pub whitening: Option<u8>,
    /// The bytes are sent highest bit first.
    pub high_first: bool,
    /// At the antenna, in dBm.
    pub power: i8,
    /// Of the antenna, in millimetres.
    pub position: [i32; 3],
    /// When the sender stopped before the end.
    pub aborted: Option<Time>,
}

fn times(count: u32, bit: Time) -> Time {
    Time(u64::from(count).saturating_mul(bit.0))
}

impl Transmission {
    /// When the last bit of the address has left the antenna.
    pub fn sync_end(&self) -> Time {
        self.start.saturating_add(self.preamble).saturating_add(times(self.sync_bits, self.phy.sync_bit()))
    }

    /// When `count` bits of the data have left the antenna. A coded frame has its indicator and a terminator before.
    pub fn data_bit(&self, count: u32) -> Time {
        let coding = if self.phy.is_coded() { times(2 + 3, self.phy.sync_bit()) } else { Time::ZERO };
        self.sync_end().saturating_add(coding).saturating_add(times(count, self.phy.bit()))
    }

    /// When the last bit has left the antenna.
    pub fn end(&self) -> Time {
        let terminator = if self.phy.is_coded() { times(3, self.phy.bit()) } else { Time::ZERO };
        let whole = self.data_bit(self.data.len()).saturating_add(terminator);
        self.aborted.map_or(whole, |at| at.min(whole))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn frame(phy: Phy, bytes: &[u8]) -> Transmission {
        Transmission {
            key: Key { node: 0, seq: 0 },
            start: Time::from_us(1000),
            frequency: 2402,
            phy,
            preamble: phy.preamble(),
            sync: 0x8e89_bed6,
            sync_bits: if phy == Phy::Ieee802154 { 8 } else { 32 },
            data: Bits::from_bytes(bytes),
            crc: Crc::default(),
            whitening: None,
            high_first: false,
            power: 0,
            position: [0; 3],
            aborted: None,
        }
    }

    #[test]
    fn timing_of_each_phy() {
        // Preamble and address, and a whole frame of 10 bytes behind the address, in microseconds.
        for (phy, sync, end) in [
            (Phy::Ble1M, 40, 120),
            (Phy::Ble2M, 24, 64),
            (Phy::BleCodedS8, 336, 336 + 40 + 640 + 24),
            (Phy::BleCodedS2, 336, 336 + 40 + 160 + 6),
            (Phy::Ieee802154, 160, 480),
        ] {
            let mut frame = frame(phy, &[0; 10]);
            let since = |time: Time| time.saturating_sub(frame.start);
            assert_eq!(
                (since(frame.sync_end()), since(frame.end())),
                (Time::from_us(sync), Time::from_us(end))
            );
            frame.aborted = Some(Time::from_us(1010));
            assert_eq!(frame.end(), Time::from_us(1010));
        }
    }
}
