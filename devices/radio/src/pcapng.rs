//! Captures in the format pcapng (draft-ietf-opsawg-pcapng): one interface for each kind of radio, nanoseconds of
//! virtual time since reset.

use crate::ble;
use crate::frame::{Phy, Transmission};
use std::io::{self, Write};

/// DLT_BLUETOOTH_LE_LL_WITH_PHDR.
const BLE: u16 = 256;
/// DLT_IEEE802_15_4_TAP.
const TAP: u16 = 283;
/// DLT_USER0: Nordic's own formats, as address and data.
const USER0: u16 = 147;

/// A kind of radio in the file.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Link {
    Ble,
    Ieee802154,
    Nordic,
}

/// Its index is its interface in the file.
const LINKS: [(Link, u16, &str); 3] = [
    (Link::Ble, BLE, "Bluetooth LE"),
    (Link::Ieee802154, TAP, "IEEE 802.15.4"),
    (Link::Nordic, USER0, "Nordic proprietary: address, then header, payload and check"),
];

/// Writes one capture.
#[derive(Debug)]
pub struct PcapNg<W> {
    out: W,
}

impl<W: Write> PcapNg<W> {
    /// Starts a file.
    pub fn new(mut out: W) -> io::Result<PcapNg<W>> {
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4du32.to_le_bytes());
        section.extend(1u16.to_le_bytes());
        section.extend(0u16.to_le_bytes());
        section.extend(u64::MAX.to_le_bytes());
        option(&mut section, 4, b"hyperemu");
        end_options(&mut section);
        block(&mut out, 0x0a0d_0d0a, &section)?;
        for (_, dlt, name) in LINKS {
            let mut interface = Vec::new();
            interface.extend(dlt.to_le_bytes());
            interface.extend([0; 6]);
            option(&mut interface, 2, name.as_bytes());
            // Units of 10^-9 s.
            option(&mut interface, 9, &[9]);
            end_options(&mut interface);
            block(&mut out, 1, &interface)?;
        }
        Ok(PcapNg { out })
    }

    /// Adds a frame. Captures want them by start.
    pub fn frame(&mut self, frame: &Transmission) -> io::Result<()> {
        let (link, mut packet) = match frame.phy {
            Phy::Ble1M | Phy::Ble2M | Phy::BleCodedS2 | Phy::BleCodedS8 => (Link::Ble, ble_packet(frame)),
            Phy::Ieee802154 => (Link::Ieee802154, tap_packet(frame)),
            Phy::Nordic1M | Phy::Nordic2M | Phy::Nordic250K => (Link::Nordic, Vec::new()),
        };
        let mut comment = Vec::new();
        if frame.key.node > 0 {
            comment.push(format!("node {}", frame.key.node));
        }
        if link == Link::Nordic {
            let bytes = frame.sync_bits.div_ceil(8).min(8) as usize;
            packet.extend(&frame.sync.to_le_bytes()[..bytes]);
            if frame.high_first {
                packet.extend(frame.data.bytes_high_first());
            } else {
                packet.extend(frame.data.bytes());
            }
            let Transmission { frequency, phy, power, data, .. } = frame;
            comment.push(format!("{frequency} MHz, {phy:?}, {power} dBm"));
            comment.push(format!("{bytes} bytes of address, {} bits", data.len()));
        }
        if let Some(at) = frame.aborted {
            comment.push(format!("cut short after {} ns", at.saturating_sub(frame.start).as_ns()));
        }
        let interface = LINKS.iter().position(|(other, ..)| *other == link).unwrap_or(0) as u32;
        let time = frame.start.as_ns();
        let mut body = Vec::with_capacity(packet.len() + 96);
        for word in [interface, (time >> 32) as u32, time as u32, packet.len() as u32, packet.len() as u32] {
            body.extend(word.to_le_bytes());
        }
        body.extend(&packet);
        pad(&mut body);
        if !comment.is_empty() {
            option(&mut body, 1, comment.join(", ").as_bytes());
            end_options(&mut body);
        }
        block(&mut self.out, 6, &body)
    }

    /// Hands what is buffered to the host.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the capture; gives what it was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// The pseudo-header of Bluetooth LE, and the packet from its access address on.
fn ble_packet(frame: &Transmission) -> Vec<u8> {
    const DEWHITENED: u16 = 1;
    const SIGNAL_POWER: u16 = 1 << 1;
    const REFERENCE: u16 = 1 << 4;
    const CRC_CHECKED: u16 = 1 << 10;
    const CRC_VALID: u16 = 1 << 11;
    let phy: u16 = match frame.phy {
        Phy::Ble2M => 1,
        Phy::BleCodedS2 | Phy::BleCodedS8 => 2,
        _ => 0,
    };
    let mut flags = DEWHITENED | SIGNAL_POWER | REFERENCE | phy << 14;
    if frame.crc.width == 24 && frame.aborted.is_none() {
        flags |= CRC_CHECKED | CRC_VALID;
    }
    let channel = ble::rf_channel(frame.frequency).unwrap_or(u8::MAX);
    let mut packet = vec![channel, frame.power as u8, 0, 0];
    packet.extend((frame.sync as u32).to_le_bytes());
    packet.extend(flags.to_le_bytes());
    packet.extend((frame.sync as u32).to_le_bytes());
    if frame.phy.is_coded() {
        packet.push(u8::from(frame.phy == Phy::BleCodedS2));
    }
    packet.extend(frame.data.bytes());
    packet
}

/// Type, length and value fields of the TAP, and the MAC frame without the length before it.
fn tap_packet(frame: &Transmission) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut field = |kind: u16, value: &[u8]| {
        fields.extend(kind.to_le_bytes());
        fields.extend((value.len() as u16).to_le_bytes());
        fields.extend(value);
        pad(&mut fields);
    };
    // The check: 0 none, 1 of 16 bits.
    field(0, &[u8::from(frame.crc.width == 16)]);
    // The power as a float.
    field(1, &f32::from(frame.power).to_le_bytes());
    // The channel, of page 0.
    let channel = (frame.frequency.saturating_sub(2405) / 5).saturating_add(11);
    field(3, &[channel.to_le_bytes()[0], channel.to_le_bytes()[1], 0]);
    let mut packet = vec![0, 0];
    packet.extend((fields.len() as u16 + 4).to_le_bytes());
    packet.extend(fields);
    packet.extend(frame.data.bytes().get(1..).unwrap_or_default());
    packet
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn end_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&len)?;
    out.write_all(body)?;
    out.write_all(&len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::frame;

    /// The blocks of a file: kind and body.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let len = word(&file[4..]) as usize;
            assert_eq!((len % 4, word(&file[len - 4..]) as usize), (0, len));
            blocks.push((word(file), file[8..len - 4].to_vec()));
            file = &file[len..];
        }
        blocks
    }

    #[test]
    fn blocks_are_well_formed() {
        let mut capture = PcapNg::new(Vec::new()).expect("memory takes everything");
        for phy in [Phy::Ble2M, Phy::Ieee802154, Phy::Nordic1M, Phy::BleCodedS2] {
            capture.frame(&frame(phy, &[3, 1, 2, 3])).expect("memory takes everything");
        }
        let blocks = blocks(&capture.into_inner());
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 1, 1, 6, 6, 6, 6]);
        let interfaces: Vec<u8> = blocks[4..].iter().map(|(_, body)| body[0]).collect();
        assert_eq!(interfaces, [0, 1, 2, 0]);
        // 1 ms in nanoseconds, then the length.
        assert_eq!(blocks[4].1[4..16], [0, 0, 0, 0, 0x40, 0x42, 0xf, 0, 18, 0, 0, 0]);
        let ble = &blocks[4].1[20..38];
        assert_eq!(ble, [0, 0, 0, 0, 0xd6, 0xbe, 0x89, 0x8e, 0x13, 0x40, 0xd6, 0xbe, 0x89, 0x8e, 3, 1, 2, 3]);
        let coded = &blocks[7].1[20..];
        assert_eq!((coded[9] >> 6, coded[14]), (2, 1), "PHY and coding indicator");
        assert!(blocks[5].1[20..].windows(3).any(|part| part == [1, 2, 3]), "the MAC frame");
    }
}
