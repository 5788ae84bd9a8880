//! How a packet in RAM becomes bits on the air, and back: PCNF0, PCNF1, the addresses and the CRC registers.

use devices_core::Time;
use devices_radio::{Bits, Crc, Phy};
use serde::{Deserialize, Serialize};

/// The registers that a packet's format comes from.
#[derive(Copy, Clone, Default, Debug)]
pub struct Setup {
    pub mode: u32,
    pub pcnf0: u32,
    pub pcnf1: u32,
    pub crccnf: u32,
    pub crcpoly: u32,
    pub crcinit: u32,
    pub whitening: u32,
}

/// What the check covers (CRCCNF.SKIPADDR).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Covers {
    Address,
    Header,
    /// Everything behind the length.
    Payload,
}

/// The format of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Format {
    pub phy: Phy,
    pub preamble: Time,
    /// Bits of the fields S0, LENGTH and S1.
    s0: u32,
    length: u32,
    s1: u32,
    s1_in_ram: bool,
    length_has_crc: bool,
    /// Bytes of payload: at most, and beyond LENGTH.
    most: u32,
    fixed: u32,
    pub high_first: bool,
    pub whitening: Option<u8>,
    pub crc: Crc,
    covers: Covers,
}

/// The modulation that MODE asks for.
pub fn phy(mode: u32) -> Option<Phy> {
    Some(match mode & 0xf {
        0 => Phy::Nordic1M,
        1 => Phy::Nordic2M,
        2 => Phy::Nordic250K,
        3 => Phy::Ble1M,
        4 => Phy::Ble2M,
        5 => Phy::BleCodedS8,
        6 => Phy::BleCodedS2,
        15 => Phy::Ieee802154,
        _ => return None,
    })
}

/// What the header says about a packet.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Bytes of payload.
    pub payload: u32,
    /// It asked for more than MAXLEN.
    pub too_long: bool,
}

impl Format {
    /// The format that the registers describe; `None` for a MODE that there is not.
    pub fn new(setup: &Setup) -> Option<Format> {
        let phy = phy(setup.mode)?;
        let field = |value: u32, low: u32, bits: u32| value >> low & ((1 << bits) - 1);
        let s1 = field(setup.pcnf0, 16, 4);
        // Preambles of coded and 802.15.4 frames are fixed; the others are of one or two bytes.
        let preamble = match phy {
            Phy::BleCodedS2 | Phy::BleCodedS8 | Phy::Ieee802154 => phy.preamble(),
            _ => Time(phy.bit().0 * if field(setup.pcnf0, 24, 2) == 1 { 16 } else { 8 }),
        };
        let width = field(setup.crccnf, 0, 2) * 8;
        Some(Format {
            phy,
            preamble,
            s0: field(setup.pcnf0, 8, 1) * 8,
            length: field(setup.pcnf0, 0, 4),
            s1,
            s1_in_ram: s1 > 0 || field(setup.pcnf0, 20, 1) != 0,
            length_has_crc: field(setup.pcnf0, 26, 1) != 0,
            most: field(setup.pcnf1, 0, 8),
            fixed: field(setup.pcnf1, 8, 8),
            high_first: field(setup.pcnf1, 24, 1) != 0,
            whitening: (field(setup.pcnf1, 25, 1) != 0).then_some(setup.whitening as u8 & 0x7f | 0x40),
            crc: Crc { width, poly: setup.crcpoly & 0xff_ffff, init: setup.crcinit & 0xff_ffff },
            covers: match field(setup.crccnf, 8, 2) {
                0 => Covers::Address,
                1 => Covers::Header,
                _ => Covers::Payload,
            },
        })
    }

    /// Bits of S0, LENGTH and S1 on the air.
    pub fn header_bits(&self) -> u32 {
        self.s0 + self.length + self.s1
    }

    /// Bits on the air behind the address, for so many bytes of payload.
    pub fn bits(&self, payload: u32) -> u32 {
        self.payload_end(payload) + self.crc.width
    }

    /// Those of them before the check.
    pub fn payload_end(&self, payload: u32) -> u32 {
        self.header_bits() + payload * 8
    }

    /// Bytes of S0, LENGTH and S1 in RAM.
    pub fn header_bytes(&self) -> u32 {
        u32::from(self.s0 > 0) + u32::from(self.length > 0) + u32::from(self.s1_in_ram)
    }

    fn header(&self, length: u32) -> Header {
        let check = if self.length_has_crc { self.crc.width / 8 } else { 0 };
        let payload = length.saturating_sub(check) + self.fixed;
        Header { payload: payload.min(self.most), too_long: payload > self.most }
    }

    /// What the header of a packet in RAM says.
    pub fn header_in_ram(&self, header: &[u8]) -> Header {
        let length = if self.length == 0 { None } else { header.get(usize::from(self.s0 > 0)) };
        self.header(u32::from(length.copied().unwrap_or(0)) & ((1 << self.length) - 1))
    }

    /// The data of a packet: header and payload as in RAM become bits, and the check is added.
    pub fn encode(&self, header: &[u8], payload: &[u8], sync: u64, sync_bits: u32) -> Bits {
        let mut bits = Bits::default();
        let mut header = header.iter().copied();
        for width in [self.s0, self.length, self.s1] {
            let in_ram = width > 0;
            let value = if in_ram { header.next().unwrap_or(0) } else { 0 };
            self.push(&mut bits, value, width);
        }
        payload.iter().for_each(|byte| self.push(&mut bits, *byte, 8));
        let check = self.check(&bits, bits.len(), sync, sync_bits);
        bits.push_high_first(check.into(), self.crc.width);
        bits
    }

    fn push(&self, bits: &mut Bits, value: u8, width: u32) {
        if self.high_first {
            bits.push_high_first(value.into(), width);
        } else {
            bits.push_low_first(value.into(), width);
        }
    }

    /// A field of received bits.
    fn field(&self, bits: &Bits, from: u32, width: u32) -> u32 {
        (0..width).fold(0, |value, n| {
            let bit = u32::from(bits.get(from + n).unwrap_or(false));
            if self.high_first { value << 1 | bit } else { value | bit << n }
        })
    }

    /// What the header in received bits says.
    pub fn header_on_air(&self, bits: &Bits) -> Header {
        self.header(self.field(bits, self.s0, self.length))
    }

    /// The bytes in RAM of the first `count` bits, which end before the check; unfinished ones are left out.
    pub fn to_ram(&self, bits: &Bits, count: u32) -> Vec<u8> {
        let mut ram = Vec::new();
        let mut at = 0;
        let fields = [(self.s0, self.s0 > 0), (self.length, self.length > 0), (self.s1, self.s1_in_ram)];
        for (width, in_ram) in fields {
            if in_ram && at + width <= count {
                ram.push(self.field(bits, at, width) as u8);
            }
            at += width;
        }
        while at + 8 <= count {
            ram.push(self.field(bits, at, 8) as u8);
            at += 8;
        }
        ram
    }

    /// The check over the first `count` bits.
    fn check(&self, bits: &Bits, count: u32, sync: u64, sync_bits: u32) -> u32 {
        let data = bits.iter().take(count as usize);
        match self.covers {
            Covers::Address => {
                let address = (0..sync_bits.min(64)).map(|bit| sync >> bit & 1 != 0);
                self.crc.of(address.chain(data))
            }
            Covers::Header => self.crc.of(data),
            Covers::Payload => self.crc.of(data.skip((self.s0 + self.length) as usize)),
        }
    }

    /// The check in received bits, and whether it is right.
    pub fn checked(&self, bits: &Bits, payload: u32, sync: u64, sync_bits: u32) -> (u32, bool) {
        let end = self.payload_end(payload);
        let received = (end..end + self.crc.width)
            .fold(0, |value, n| value << 1 | u32::from(bits.get(n).unwrap_or(false)));
        (received, received == self.check(bits, end, sync, sync_bits))
    }
}

/// A logical address as it is on the air, lowest bit first, with its length in bits: `base` cut to BALEN bytes, then the
/// prefix byte.
pub fn address(base: u32, prefix: u8, pcnf1: u32) -> (u64, u32) {
    let bits = (pcnf1 >> 16 & 7).min(4) * 8;
    let base = if bits == 0 { 0 } else { u64::from(base >> (32 - bits)) };
    (base | u64::from(prefix) << bits, bits + 8)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use devices_radio::ble;

    /// As Zephyr's controller sets up advertising.
    pub(crate) fn ble_setup() -> Setup {
        Setup {
            mode: 3,
            pcnf0: 1 << 20 | 1 << 8 | 8,
            pcnf1: 1 << 25 | 3 << 16 | 37,
            crccnf: 1 << 8 | 3,
            crcpoly: 0x65b,
            crcinit: ble::ADVERTISING_CRC_INIT,
            whitening: 37,
        }
    }

    #[test]
    fn bluetooth() {
        let format = Format::new(&ble_setup()).expect("a mode");
        assert_eq!((format.header_bits(), format.header_bytes(), format.whitening), (16, 3, Some(0x65)));
        let (sync, sync_bits) = address(0x89be_d600, 0x8e, ble_setup().pcnf1);
        assert_eq!((sync, sync_bits), (ble::ADVERTISING.into(), 32));
        let payload = [1, 2, 3, 4, 5, 6];
        assert_eq!(format.header_in_ram(&[0x40, 6, 0]), Header { payload: 6, too_long: false });
        let bits = format.encode(&[0x40, 6, 0], &payload, sync, sync_bits);
        assert_eq!(bits, ble::with_crc(&[0x40, 6, 1, 2, 3, 4, 5, 6], ble::ADVERTISING_CRC_INIT));
        assert_eq!(format.header_on_air(&bits).payload, 6);
        assert_eq!(format.to_ram(&bits, format.payload_end(6)), [0x40, 6, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(format.to_ram(&bits, 16 + 15), [0x40, 6, 0, 1]);
        assert!(format.checked(&bits, 6, sync, sync_bits).1);
        let mut spoilt = bits.clone();
        spoilt.flip(20);
        assert!(!format.checked(&spoilt, 6, sync, sync_bits).1);
        assert!(format.header_in_ram(&[0, 38, 0]).too_long);
    }

    #[test]
    fn ieee802154() {
        let setup = Setup {
            mode: 15,
            pcnf0: 1 << 26 | 2 << 24 | 8,
            pcnf1: 127,
            crccnf: 2 << 8 | 2,
            crcpoly: 0x1_1021,
            ..Setup::default()
        };
        let format = Format::new(&setup).expect("a mode");
        // An acknowledgement; its check as the standard's example has it (IEEE 802.15.4-2020, 7.2.11).
        let header = format.header_in_ram(&[5]);
        assert_eq!(header.payload, 3);
        let bits = format.encode(&[5], &[0x02, 0x00, 0x56], 0xa7, 8);
        let order = |text: &str| text.bytes().filter(|c| *c != b' ').map(|c| c == b'1').collect::<Vec<_>>();
        let data = order("0100 0000 0000 0000 0101 0110");
        assert_eq!(Crc { width: 16, poly: 0x1021, init: 0 }.of(data), 0b0010_0111_1001_1110);
        let mac = format.encode(&[5], &[0x02, 0x00, 0x6a], 0xa7, 8);
        assert_eq!(mac.bytes(), [5, 0x02, 0x00, 0x6a, 0xe4, 0x79]);
        assert!(format.checked(&bits, 3, 0xa7, 8).1);
        assert_eq!(format.preamble, Time::from_us(128));
    }

    #[test]
    fn fields_of_odd_widths_high_bit_first() {
        // Nordic's "Enhanced ShockBurst": 6 bits of length, 3 of S1, the address in the check.
        let setup = Setup {
            mode: 1,
            pcnf0: 3 << 16 | 6,
            pcnf1: 1 << 24 | 4 << 16 | 32,
            crccnf: 2,
            crcpoly: 0x1_1021,
            crcinit: 0xffff,
            ..Setup::default()
        };
        let format = Format::new(&setup).expect("a mode");
        assert_eq!((format.header_bits(), format.header_bytes()), (9, 2));
        let bits = format.encode(&[2, 5], &[0xa5, 0x01], 0xe7_e7e7_e7e7, 40);
        let head: Vec<u8> = bits.iter().take(17).map(u8::from).collect();
        assert_eq!(head, [0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1]);
        assert_eq!(format.to_ram(&bits, format.payload_end(2)), [2, 5, 0xa5, 1]);
        assert!(format.checked(&bits, 2, 0xe7_e7e7_e7e7, 40).1);
        assert!(!format.checked(&bits, 2, 0xe7_e7e7_e7e6, 40).1, "the address counts");
        assert_eq!(Format::new(&Setup { mode: 7, ..setup }), None);
    }

    #[test]
    fn any_registers_and_any_bits() {
        arbtest::arbtest(|u| {
            let setup = Setup {
                mode: u.arbitrary()?,
                pcnf0: u.arbitrary()?,
                pcnf1: u.arbitrary()?,
                crccnf: u.arbitrary()?,
                crcpoly: u.arbitrary()?,
                crcinit: u.arbitrary()?,
                whitening: u.arbitrary()?,
            };
            let (sync, sync_bits) = address(u.arbitrary()?, u.arbitrary()?, setup.pcnf1);
            let Some(format) = Format::new(&setup) else { return Ok(()) };
            let header: [u8; 3] = u.arbitrary()?;
            let payload = format.header_in_ram(&header).payload;
            let bytes: Vec<u8> = (0..payload).map(|n| n as u8 ^ header[0]).collect();
            let bits = format.encode(&header, &bytes, sync, sync_bits);
            assert_eq!(bits.len(), format.bits(payload));
            assert_eq!(format.header_on_air(&bits).payload, payload);
            assert!(format.checked(&bits, payload, sync, sync_bits).1);
            let ram = format.to_ram(&bits, format.payload_end(payload));
            assert_eq!(ram[format.header_bytes() as usize..], bytes);
            Ok(())
        });
    }
}
