//! AES-128 (FIPS 197) and CCM (RFC 3610) with a length field of two bytes, as Bluetooth LE uses it.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// Encrypts one block.
pub fn aes(key: &[u8; 16], block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    Aes128::new(&(*key).into()).encrypt_block(&mut block);
    block.into()
}

/// A key with the nonce of one message.
#[derive(Copy, Clone, Debug)]
pub struct Ccm<'a> {
    /// The key.
    pub key: &'a [u8; 16],
    /// The nonce.
    pub nonce: &'a [u8; 13],
}

impl Ccm<'_> {
    fn block(&self, flags: u8, counter: u16) -> [u8; 16] {
        let mut block = [0; 16];
        block[0] = flags;
        block[1..14].copy_from_slice(self.nonce);
        block[14..].copy_from_slice(&counter.to_be_bytes());
        block
    }

    /// Encrypts a text, or decrypts it.
    pub fn crypt(&self, text: &mut [u8]) {
        for (chunk, counter) in text.chunks_mut(16).zip(1u16..) {
            let stream = aes(self.key, self.block(1, counter));
            chunk.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        }
    }

    /// The check of `N` (4, 6, ... 16) bytes over at most 14 bytes of `header` and the clear text.
    pub fn mic<const N: usize>(&self, header: &[u8], text: &[u8]) -> [u8; N] {
        let header = &header[..header.len().min(14)];
        let size = (N.saturating_sub(2) / 2) as u8 & 7;
        let flags = u8::from(!header.is_empty()) << 6 | size << 3 | 1;
        let mut state = aes(self.key, self.block(flags, text.len() as u16));
        let mut absorb = |bytes: &[u8]| {
            state.iter_mut().zip(bytes).for_each(|(state, byte)| *state ^= byte);
            state = aes(self.key, state);
        };
        if !header.is_empty() {
            let mut first = [0; 16];
            first[1] = header.len() as u8;
            first[2..2 + header.len()].copy_from_slice(header);
            absorb(&first);
        }
        text.chunks(16).for_each(absorb);
        let stream = aes(self.key, self.block(1, 0));
        std::array::from_fn(|n| state[n & 15] ^ stream[n & 15])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<u8> = hex.bytes().filter(|c| *c != b' ').collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex");
        digits.chunks(2).map(byte).collect::<Vec<_>>().try_into().expect("the length")
    }

    #[test]
    fn fips_197() {
        let key = bytes("000102030405060708090a0b0c0d0e0f");
        let text = bytes("00112233445566778899aabbccddeeff");
        assert_eq!(aes(&key, text), bytes("69c4e0d86a7b0430d8cdb78070b4c55a"));
    }

    #[test]
    fn rfc_3610() {
        // Packet vector 1.
        let key = bytes("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
        let nonce = bytes("00000003020100a0a1a2a3a4a5");
        let ccm = Ccm { key: &key, nonce: &nonce };
        let header: [u8; 8] = std::array::from_fn(|n| n as u8);
        let mut text: [u8; 23] = std::array::from_fn(|n| n as u8 + 8);
        assert_eq!(ccm.mic::<8>(&header, &text), bytes("17e8d12cfdf926e0"));
        ccm.crypt(&mut text);
        assert_eq!(text, bytes("588c979a61c663d2f066d0c2c0f989806d5f6b61dac384"));
    }

    #[test]
    fn bluetooth_sample_data() {
        // Core Specification, volume 6, part C, section 1: session key, then two packets with counter 1.
        let ltk = bytes("4c68384139f574d836bcf34e9dfb01bf");
        let key = aes(&ltk, bytes("0213243546576879acbdcedfe0f10213"));
        assert_eq!(key, bytes("99ad1b5226a37e3e058e3b8e27c2c666"));
        for (nonce, header, text, cipher, mic) in [
            (
                "010000008024abdcbabebaafde",
                0x02,
                "1700636465666768696a6b6c6d6e6f707131323334353637383930",
                "7a70d66415226df26b17839a060405596bd6564f796b5b9ce6ff32",
                "f75a6d33",
            ),
            (
                "010000000024abdcbabebaafde",
                0x02,
                "17003736353433323130414243444546474849 4a4b4c4d4e4f5051",
                "f38881e7bd94c9c369b9a66846dd4786aa8c39ce540d0dae3adcdf",
                "89b96088",
            ),
        ] {
            let nonce = bytes(nonce);
            let ccm = Ccm { key: &key, nonce: &nonce };
            let mut text: [u8; 27] = bytes(text);
            let check = ccm.mic::<4>(&[header], &text);
            ccm.crypt(&mut text);
            assert_eq!((text, check), (bytes(cipher), bytes(mic)));
        }
    }
}
