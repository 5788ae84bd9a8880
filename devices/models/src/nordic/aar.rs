//! AAR: finds the identity key that a resolvable private address was made with.
//!
//! Follows the nRF52832 product specification v1.4, chapter 20; the address is made by Core Specification 5.4, volume 3,
//! part H, 2.2.2. It shares its registers with the CCM, which makes the device of both.

use super::crypto::aes;
use devices_core::Time;

/// tAAR: one key; the whole takes a microsecond more.
pub const PER_KEY: Time = Time::from_us(6);

/// The index of the first of `keys` (highest byte first) that an address (as in a packet) was made with, and how many
/// were tried.
pub fn resolve(address: [u8; 6], keys: impl Iterator<Item = [u8; 16]>) -> (Option<u32>, u32) {
    let [h0, h1, h2, r0, r1, r2] = address;
    if r2 >> 6 != 1 {
        return (None, keys.count() as u32);
    }
    let mut block = [0; 16];
    block[13..].copy_from_slice(&[r2, r1, r0]);
    let mut tried = 0;
    for key in keys {
        tried += 1;
        if aes(&key, block)[13..] == [h2, h1, h0] {
            return (Some(tried - 1), tried);
        }
    }
    (None, tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_data() {
        // Core Specification, volume 3, part H, D.7.
        let key = 0xec02_34a3_57c8_ad05_3410_10a6_0a39_7d9b_u128.to_be_bytes();
        let address = [0xaa, 0xfb, 0x0d, 0x94, 0x81, 0x70];
        assert_eq!(resolve(address, [[0; 16], key, [1; 16]].into_iter()), (Some(1), 2));
        assert_eq!(resolve(address, [[0; 16]; 3].into_iter()), (None, 3));
        let mut other_kind = address;
        other_kind[5] ^= 0x80;
        assert_eq!(resolve(other_kind, [key].into_iter()), (None, 1));
    }
}
