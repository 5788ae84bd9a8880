//! Bits in the order of the air, and what is computed over them.

use serde::{Deserialize, Serialize};

/// Bits in the order in which they leave an antenna; the first of every eight is bit 0 of its byte.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "(Vec<u8>, u32)", into = "(Vec<u8>, u32)")]
pub struct Bits {
    bytes: Vec<u8>,
    len: u32,
}

impl TryFrom<(Vec<u8>, u32)> for Bits {
    type Error = &'static str;

    fn try_from((bytes, len): (Vec<u8>, u32)) -> Result<Bits, Self::Error> {
        if bytes.len() != len.div_ceil(8) as usize {
            return Err("a number of bits that does not fit its bytes");
        }
        Ok(Bits { bytes, len })
    }
}

impl From<Bits> for (Vec<u8>, u32) {
    fn from(bits: Bits) -> (Vec<u8>, u32) {
        (bits.bytes, bits.len)
    }
}

impl Bits {
    /// Whole bytes, least significant bit first.
    pub fn from_bytes(bytes: &[u8]) -> Bits {
        Bits { bytes: bytes.to_vec(), len: bytes.len() as u32 * 8 }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Eight to a byte; the last is filled up with zeros.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A bit; `None` past the end.
    pub fn get(&self, index: u32) -> Option<bool> {
        (index < self.len).then(|| self.bytes[index as usize / 8] >> (index % 8) & 1 != 0)
    }

    /// Turns a bit over; nothing past the end.
    pub fn flip(&mut self, index: u32) {
        if index < self.len {
            self.bytes[index as usize / 8] ^= 1 << (index % 8);
        }
    }

    /// Adds a bit.
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        self.len += 1;
        if bit {
            self.flip(self.len - 1);
        }
    }

    /// Adds the low `count` (at most 64) bits of `value`, the lowest first.
    pub fn push_low_first(&mut self, value: u64, count: u32) {
        (0..count.min(64)).for_each(|bit| self.push(value >> bit & 1 != 0));
    }

    /// Adds the low `count` (at most 64) bits of `value`, the highest first.
    pub fn push_high_first(&mut self, value: u64, count: u32) {
        (0..count.min(64)).rev().for_each(|bit| self.push(value >> bit & 1 != 0));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.bytes[index as usize / 8] >> (index % 8) & 1 != 0)
    }

    /// Every byte turned round: for those who send the highest bit first.
    pub fn bytes_high_first(&self) -> Vec<u8> {
        self.bytes.iter().map(|byte| byte.reverse_bits()).collect()
    }
}

/// A cyclic redundancy check: a shift register fed with bits in the order of the air, sent highest bit first.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Crc {
    /// Bits in the register: at most 32.
    pub width: u32,
    /// Bit `n` stands for x to the `n`; the highest power is left out.
    pub poly: u32,
    /// The register before the first bit.
    pub init: u32,
}

impl Crc {
    fn mask(&self) -> u32 {
        if self.width >= 32 { u32::MAX } else { (1 << self.width) - 1 }
    }

    /// The register after `bits`.
    pub fn of(&self, bits: impl IntoIterator<Item = bool>) -> u32 {
        if self.width == 0 {
            return 0;
        }
        let mut register = self.init & self.mask();
        for bit in bits {
            let out = register >> (self.width.min(32) - 1) & 1 != 0;
            register = register << 1 & self.mask();
            if out != bit {
                register ^= self.poly & self.mask();
            }
        }
        register
    }
}

/// The whitening sequence of x^7 + x^4 + 1 from the start value `iv`: bit `n` of it is position `6 - n` of the
/// register, as Nordic's DATAWHITEIV has it; Bluetooth's is 0x40 plus the channel's index.
pub fn whitening(iv: u8) -> impl Iterator<Item = bool> {
    let mut register = iv & 0x7f;
    std::iter::from_fn(move || {
        let out = register & 1 != 0;
        register >>= 1;
        if out {
            register ^= 0x44;
        }
        Some(out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_bits() {
        let mut bits = Bits::default();
        bits.push_low_first(0b110, 3);
        bits.push_high_first(0b110, 3);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [false, true, true, true, true, false]);
        assert_eq!((bits.bytes(), bits.bytes_high_first()), (&[0b1_1110][..], vec![0b0111_1000]));
        assert_eq!((bits.get(5), bits.get(6), bits.len()), (Some(false), None, 6));
        assert!(Bits::try_from((vec![0], 9)).is_err() && Bits::try_from((vec![0], 0)).is_err());
    }

    #[test]
    fn known_checks() {
        // The catalogue's check values are over "123456789".
        let check = Bits::from_bytes(b"123456789");
        let kermit = Crc { width: 16, poly: 0x1021, init: 0 };
        // CRC-16/KERMIT is the same register read the other way round, because it is sent lowest byte first.
        assert_eq!((kermit.of(check.iter()) as u16).reverse_bits(), 0x2189);
        let ble = Crc { width: 24, poly: 0x65b, init: 0x55_5555 };
        assert_eq!(ble.of(check.iter()).reverse_bits() >> 8, 0xc2_5a56);
        assert_eq!(Crc::default().of(check.iter()), 0);
    }
}
