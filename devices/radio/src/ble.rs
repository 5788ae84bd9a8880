//! Bluetooth Low Energy: channels and packets (Core Specification 5.4, volume 6, part B).

use crate::bits::{Bits, Crc, whitening};
use crate::frame::Phy;
use cpu_core::Time;

/// The access address of advertising.
pub const ADVERTISING: u32 = 0x8e89_bed6;

/// The check's start value in advertising.
pub const ADVERTISING_CRC_INIT: u32 = 0x55_5555;

/// The check with a start value.
pub const fn crc(init: u32) -> Crc {
    Crc { width: 24, poly: 0x65b, init }
}

/// The centre of a channel by its index (0 to 39), in MHz.
pub const fn frequency(channel: u8) -> Option<u16> {
    Some(match channel {
        37 => 2402,
        38 => 2426,
        39 => 2480,
        0..=10 => 2404 + 2 * channel as u16,
        11..=36 => 2406 + 2 * channel as u16,
        _ => return None,
    })
}

/// The index of the channel at a frequency in MHz.
pub const fn channel(frequency: u16) -> Option<u8> {
    let mut channel = 0;
    while let Some(centre) = self::frequency(channel) {
        if centre == frequency {
            return Some(channel);
        }
        channel += 1;
    }
    None
}

/// The number of the channel at a frequency in MHz, counted from 2402 MHz, as captures have it.
pub const fn rf_channel(frequency: u16) -> Option<u8> {
    if frequency < 2402 || frequency > 2480 || !frequency.is_multiple_of(2) {
        return None;
    }
    Some(((frequency - 2402) / 2) as u8)
}

/// Whitens bytes, or takes the whitening off.
pub fn whiten(channel: u8, bytes: &mut [u8]) {
    let mut sequence = whitening(0x40 | channel);
    for byte in bytes {
        *byte ^=
            sequence.by_ref().take(8).enumerate().fold(0, |mask, (bit, one)| mask | u8::from(one) << bit);
    }
}

/// A packet's bytes behind the access address: the PDU and its check.
pub fn with_crc(pdu: &[u8], init: u32) -> Bits {
    let mut bits = Bits::from_bytes(pdu);
    let register = crc(init).of(bits.iter());
    bits.push_high_first(register.into(), 24);
    bits
}

/// Whether the last three bytes are the check of those before.
pub fn crc_is_right(packet: &[u8], init: u32) -> bool {
    let Some(end) = packet.len().checked_sub(3) else { return false };
    with_crc(&packet[..end], init).bytes() == packet
}

/// How long a packet with a PDU of so many bytes (its header included) is on the air.
pub fn airtime(phy: Phy, pdu: u32) -> Time {
    let bits = |count: u32, bit: Time| Time(u64::from(count).saturating_mul(bit.0));
    let data = bits(pdu.saturating_add(3).saturating_mul(8), phy.bit());
    let sync = phy.preamble().saturating_add(bits(32, phy.sync_bit())).saturating_add(data);
    let coding = bits(5, phy.sync_bit()).saturating_add(bits(3, phy.bit()));
    if phy.is_coded() { sync.saturating_add(coding) } else { sync }
}

/// Whether an access address of a connection follows the rules for its bits, on a PHY that is not coded.
pub fn is_access_address(address: u32) -> bool {
    let transitions = (address ^ address >> 1) & 0x7fff_ffff;
    let runs = (0..27).all(|bit| !matches!(address >> bit & 0x3f, 0 | 0x3f));
    let bytes = address.to_le_bytes();
    runs && address != ADVERTISING
        && (address ^ ADVERTISING).count_ones() > 1
        && bytes.iter().any(|byte| *byte != bytes[0])
        && transitions.count_ones() <= 24
        && (transitions >> 25).count_ones() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels() {
        let ends = [37, 0, 10, 38, 11, 36, 39].map(frequency);
        assert_eq!(ends, [2402, 2404, 2424, 2426, 2428, 2478, 2480].map(Some));
        assert!((0..40).all(|index| channel(frequency(index).expect("it is one")) == Some(index)));
        assert_eq!((frequency(40), channel(2403), channel(2482)), (None, None, None));
        assert_eq!([2402, 2426, 2480, 2400, 2403].map(rf_channel), [Some(0), Some(12), Some(39), None, None]);
    }

    #[test]
    fn whitening_of_the_advertising_channels() {
        for (channel, start) in [
            (37, [0x8d, 0xd2, 0x57, 0xa1, 0x3d, 0xa7, 0x66, 0xb0]),
            (38, [0xd6, 0xc5, 0x44, 0x20, 0x59, 0xde, 0xe1, 0x8f]),
            (39, [0x1f, 0x37, 0x4a, 0x5f, 0x85, 0xf6, 0x9c, 0x9a]),
        ] {
            let mut bytes = [0; 8];
            whiten(channel, &mut bytes);
            assert_eq!(bytes, start, "channel {channel}");
        }
    }

    #[test]
    fn airtimes() {
        // The longest and the empty data packets of the specification's table of minimum and maximum times.
        let us = |phy, pdu| airtime(phy, pdu).as_ns() / 1000;
        assert_eq!([us(Phy::Ble1M, 2), us(Phy::Ble1M, 2 + 251 + 4), us(Phy::Ble1M, 2 + 27)], [80, 2120, 296]);
        assert_eq!([us(Phy::Ble2M, 2), us(Phy::Ble2M, 2 + 251 + 4)], [44, 1064]);
        assert_eq!([us(Phy::BleCodedS8, 2 + 251 + 4), us(Phy::BleCodedS2, 2 + 251 + 4)], [17040, 4542]);
    }

    #[test]
    fn access_addresses() {
        assert!(is_access_address(0x5065_1a8e));
        for wrong in [ADVERTISING, ADVERTISING ^ 4, 0xaaaa_aaaa, 0x5555_5555, 0, u32::MAX, 0x1234_0000] {
            assert!(!is_access_address(wrong), "{wrong:#x}");
        }
    }
}
