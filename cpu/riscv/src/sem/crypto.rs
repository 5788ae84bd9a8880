//! Zknd, Zkne, Zknh, Zksed, Zksh. Volume I, chapter 32; FIPS 197, FIPS 180-4, GB/T 32907 (SM4), GB/T 32905 (SM3).

use cpu_core::Flow;

use super::{rr, rrr};
use crate::Riscv;

/// Multiplies in GF(2^8) modulo `polynomial`.
const fn gf_mul(a: u8, b: u8, polynomial: u16) -> u8 {
    let (mut product, mut shifted, mut b) = (0u16, a as u16, b);
    while b != 0 {
        if b & 1 != 0 {
            product ^= shifted;
        }
        shifted <<= 1;
        if shifted & 0x100 != 0 {
            shifted ^= polynomial;
        }
        b >>= 1;
    }
    product as u8
}

/// The inverse in GF(2^8): the 254th power; zero for zero.
const fn gf_inverse(a: u8, polynomial: u16) -> u8 {
    let (mut result, mut power, mut n) = (1, a, 254);
    while n != 0 {
        if n & 1 != 0 {
            result = gf_mul(result, power, polynomial);
        }
        power = gf_mul(power, power, polynomial);
        n >>= 1;
    }
    result
}

const AES_POLYNOMIAL: u16 = 0x11b;
const SM4_POLYNOMIAL: u16 = 0x1f5;

const AES_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let x = gf_inverse(i as u8, AES_POLYNOMIAL);
        table[i] = x ^ x.rotate_left(1) ^ x.rotate_left(2) ^ x.rotate_left(3) ^ x.rotate_left(4) ^ 0x63;
        i += 1;
    }
    table
};

const AES_INVERSE_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[AES_SBOX[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// SM4's affine map: a circulant matrix with the row 0xd3, plus 0xd3.
const fn sm4_affine(x: u8) -> u8 {
    let (mut result, mut i) = (0, 0);
    while i < 8 {
        let row = 0xa7u8.rotate_left(i);
        result |= ((row & x).count_ones() as u8 & 1) << i;
        i += 1;
    }
    result ^ 0xd3
}

const SM4_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = sm4_affine(gf_inverse(sm4_affine(i as u8), SM4_POLYNOMIAL));
        i += 1;
    }
    table
};

fn sub_bytes(v: u64, table: &[u8; 256]) -> u64 {
    u64::from_le_bytes(v.to_le_bytes().map(|byte| table[byte as usize]))
}

fn sub_word(v: u32) -> u32 {
    u32::from_le_bytes(v.to_le_bytes().map(|byte| AES_SBOX[byte as usize]))
}

/// One column times the circulant matrix whose first row starts with these factors.
fn mix_column(column: u32, factors: [u8; 4]) -> u32 {
    let bytes = column.to_le_bytes();
    u32::from_le_bytes(std::array::from_fn(|row| {
        (0..4).fold(0, |sum, i| sum ^ gf_mul(bytes[i], factors[(i + 4 - row) % 4], AES_POLYNOMIAL))
    }))
}

const FORWARD: [u8; 4] = [2, 3, 1, 1];
const INVERSE: [u8; 4] = [14, 11, 13, 9];

fn mix_columns(v: u64, factors: [u8; 4]) -> u64 {
    (mix_column((v >> 32) as u32, factors) as u64) << 32 | mix_column(v as u32, factors) as u64
}

/// The low two columns after ShiftRows of the state `high:low`.
fn shift_rows(low: u64, high: u64, inverse: bool) -> u64 {
    let state = (high as u128) << 64 | low as u128;
    (0..8).fold(0, |v, i| {
        let (row, column) = (i % 4, i / 4);
        let from = if inverse { (column + 4 - row) % 4 } else { (column + row) % 4 };
        v | ((state >> (8 * (4 * from + row)) & 255) as u64) << (8 * i)
    })
}

fn encrypt_last(a: u64, b: u64) -> u64 {
    sub_bytes(shift_rows(a, b, false), &AES_SBOX)
}

fn decrypt_last(a: u64, b: u64) -> u64 {
    sub_bytes(shift_rows(a, b, true), &AES_INVERSE_SBOX)
}

fn encrypt_middle(a: u64, b: u64) -> u64 {
    mix_columns(encrypt_last(a, b), FORWARD)
}

fn decrypt_middle(a: u64, b: u64) -> u64 {
    mix_columns(decrypt_last(a, b), INVERSE)
}

fn inverse_mix(a: u64, _: u64) -> u64 {
    mix_columns(a, INVERSE)
}

/// `round` is the second operand.
fn key_schedule_1(a: u64, round: u64) -> u64 {
    const CONSTANTS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36, 0];
    let word = (a >> 32) as u32;
    let word = if round == 10 { word } else { word.rotate_right(8) };
    let constant = CONSTANTS.get(round as usize).copied().unwrap_or(0);
    let word = (sub_word(word) ^ constant) as u64;
    word << 32 | word
}

fn key_schedule_2(a: u64, b: u64) -> u64 {
    let low = (a >> 32) as u32 ^ b as u32;
    let high = low ^ (b >> 32) as u32;
    (high as u64) << 32 | low as u64
}

/// The RV32 forms take byte `select` (bits 33..32 of the second operand) of rs2, which stands below.
fn select_byte(operand: u64) -> (u8, u32) {
    let shift = 8 * (operand >> 32 & 3) as u32;
    ((operand >> shift) as u8, shift)
}

fn encrypt32_last(a: u64, operand: u64) -> u64 {
    let (byte, shift) = select_byte(operand);
    (a as u32 ^ (AES_SBOX[byte as usize] as u32).rotate_left(shift)) as i32 as u64
}

fn decrypt32_last(a: u64, operand: u64) -> u64 {
    let (byte, shift) = select_byte(operand);
    (a as u32 ^ (AES_INVERSE_SBOX[byte as usize] as u32).rotate_left(shift)) as i32 as u64
}

fn encrypt32_middle(a: u64, operand: u64) -> u64 {
    let (byte, shift) = select_byte(operand);
    let mixed = mix_column(AES_SBOX[byte as usize] as u32, FORWARD);
    (a as u32 ^ mixed.rotate_left(shift)) as i32 as u64
}

fn decrypt32_middle(a: u64, operand: u64) -> u64 {
    let (byte, shift) = select_byte(operand);
    let mixed = mix_column(AES_INVERSE_SBOX[byte as usize] as u32, INVERSE);
    (a as u32 ^ mixed.rotate_left(shift)) as i32 as u64
}

fn sm4_round(a: u64, operand: u64) -> u64 {
    let (byte, shift) = select_byte(operand);
    let x = SM4_SBOX[byte as usize] as u32;
    let mixed = x ^ x << 8 ^ x << 2 ^ x << 18 ^ (x & 0x3f) << 26 ^ (x & 0xc0) << 10;
    (a as u32 ^ mixed.rotate_left(shift)) as i32 as u64
}

fn sm4_key(a: u64, operand: u64) -> u64 {
    let (byte, shift) = select_byte(operand);
    let x = SM4_SBOX[byte as usize] as u32;
    let mixed = x ^ (x & 7) << 29 ^ (x & 0xfe) << 7 ^ (x & 1) << 23 ^ (x & 0xf8) << 13;
    (a as u32 ^ mixed.rotate_left(shift)) as i32 as u64
}

/// A function of the low 32 bits, sign-extended.
macro_rules! on_word {
    ($($name:ident($x:ident) = $value:expr;)*) => {$(
        fn $name(a: u64, _: u64) -> u64 {
            let $x = a as u32;
            ($value) as i32 as u64
        }
    )*};
}

on_word! {
    sum0_256(x) = x.rotate_right(2) ^ x.rotate_right(13) ^ x.rotate_right(22);
    sum1_256(x) = x.rotate_right(6) ^ x.rotate_right(11) ^ x.rotate_right(25);
    sig0_256(x) = x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3;
    sig1_256(x) = x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    p0(x) = x ^ x.rotate_left(9) ^ x.rotate_left(17);
    p1(x) = x ^ x.rotate_left(15) ^ x.rotate_left(23);
}

fn sum0_512(x: u64, _: u64) -> u64 {
    x.rotate_right(28) ^ x.rotate_right(34) ^ x.rotate_right(39)
}

fn sum1_512(x: u64, _: u64) -> u64 {
    x.rotate_right(14) ^ x.rotate_right(18) ^ x.rotate_right(41)
}

fn sig0_512(x: u64, _: u64) -> u64 {
    x.rotate_right(1) ^ x.rotate_right(8) ^ x >> 7
}

fn sig1_512(x: u64, _: u64) -> u64 {
    x.rotate_right(19) ^ x.rotate_right(61) ^ x >> 6
}

/// RV32 gives SHA-512 one half at a time: rs1 holds the half that the result is for, rs2 the other.
fn halves(a: u64, b: u64) -> u64 {
    (b & 0xffff_ffff) << 32 | a & 0xffff_ffff
}

macro_rules! on_halves {
    ($($name:ident($x:ident, $a:ident, $b:ident) = $value:expr;)*) => {$(
        fn $name($a: u64, $b: u64) -> u64 {
            let $x = halves($a, $b);
            ($value) as i32 as u64
        }
    )*};
}

on_halves! {
    sum0_512_half(x, a, b) = sum0_512(x, 0);
    sum1_512_half(x, a, b) = sum1_512(x, 0);
    sig0_512_low(x, a, b) = sig0_512(x, 0);
    sig1_512_low(x, a, b) = sig1_512(x, 0);
    // In the high half nothing comes from the other half's low bits in the shift: zeros enter.
    sig0_512_high(x, a, b) = x >> 1 ^ x >> 8 ^ (a & 0xffff_ffff) >> 7;
    sig1_512_high(x, a, b) = x >> 19 ^ x.rotate_left(3) ^ (a & 0xffff_ffff) >> 6;
}

rrr! {
    aes64es(s, a, b) = s.pure(encrypt_last, a, b);
    aes64esm(s, a, b) = s.pure(encrypt_middle, a, b);
    aes64ds(s, a, b) = s.pure(decrypt_last, a, b);
    aes64dsm(s, a, b) = s.pure(decrypt_middle, a, b);
    aes64ks2(s, a, b) = s.pure(key_schedule_2, a, b);
    sha512sum0r(s, a, b) = s.pure(sum0_512_half, a, b);
    sha512sum1r(s, a, b) = s.pure(sum1_512_half, a, b);
    sha512sig0l(s, a, b) = s.pure(sig0_512_low, a, b);
    sha512sig0h(s, a, b) = s.pure(sig0_512_high, a, b);
    sha512sig1l(s, a, b) = s.pure(sig1_512_low, a, b);
    sha512sig1h(s, a, b) = s.pure(sig1_512_high, a, b);
}

rr! {
    aes64im(s, a) = s.pure(inverse_mix, a, s.imm(0));
    sha256sum0(s, a) = s.pure(sum0_256, a, s.imm(0));
    sha256sum1(s, a) = s.pure(sum1_256, a, s.imm(0));
    sha256sig0(s, a) = s.pure(sig0_256, a, s.imm(0));
    sha256sig1(s, a) = s.pure(sig1_256, a, s.imm(0));
    sha512sum0(s, a) = s.pure(sum0_512, a, s.imm(0));
    sha512sum1(s, a) = s.pure(sum1_512, a, s.imm(0));
    sha512sig0(s, a) = s.pure(sig0_512, a, s.imm(0));
    sha512sig1(s, a) = s.pure(sig1_512, a, s.imm(0));
    sm3p0(s, a) = s.pure(p0, a, s.imm(0));
    sm3p1(s, a) = s.pure(p1, a, s.imm(0));
}

pub fn aes64ks1i<S: Riscv>(s: &S, rd: u8, rs1: u8, round: i64) -> Flow<S> {
    s.set_x(rd, s.pure(key_schedule_1, s.x(rs1), s.imm(round as u64)));
    s.fall()
}

macro_rules! byte_selected {
    ($($name:ident $f:ident;)*) => {$(
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8, select: i64) -> Flow<S> {
            use cpu_core::SemanticsExt;
            let operand = s.or(s.zext32(s.x(rs2)), s.imm((select as u64 & 3) << 32));
            s.set_x(rd, s.pure($f, s.x(rs1), operand));
            s.fall()
        }
    )*};
}

byte_selected! {
    aes32esi encrypt32_last;
    aes32esmi encrypt32_middle;
    aes32dsi decrypt32_last;
    aes32dsmi decrypt32_middle;
    sm4ed sm4_round;
    sm4ks sm4_key;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_the_published_ones() {
        assert_eq!(AES_SBOX[..8], [0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5]);
        assert_eq!(AES_SBOX[0xff], 0x16);
        assert_eq!(AES_INVERSE_SBOX[..4], [0x52, 0x09, 0x6a, 0xd5]);
        assert_eq!(SM4_SBOX[..8], [0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7]);
        assert_eq!(SM4_SBOX[0xff], 0x48);
    }

    /// FIPS 197, appendix B: the first round of the example.
    #[test]
    fn a_round_of_aes() {
        let start = 0x0848_f8e9_2a8d_c69a_2be2_f4a0_bee3_3d19u128;
        let (low, high) = (start as u64, (start >> 64) as u64);
        // 04 66 81 e5 | e0 cb 19 9a | 48 f8 d3 7a | 28 06 26 4c
        assert_eq!(encrypt_middle(low, high).to_le_bytes(), [0x04, 0x66, 0x81, 0xe5, 0xe0, 0xcb, 0x19, 0x9a]);
        assert_eq!(encrypt_middle(high, low).to_le_bytes(), [0x48, 0xf8, 0xd3, 0x7a, 0x28, 0x06, 0x26, 0x4c]);
        let (sub_low, sub_high) = (encrypt_last(low, high), encrypt_last(high, low));
        assert_eq!(decrypt_last(sub_low, sub_high), low);
        assert_eq!(decrypt_last(sub_high, sub_low), high);
        assert_eq!(inverse_mix(encrypt_middle(low, high), 0), sub_low);
    }

    /// FIPS 197, appendix A.1: the first round key of the example.
    #[test]
    fn a_step_of_the_key_schedule() {
        let key: [u8; 16] =
            [0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
        let low = u64::from_le_bytes(key[..8].try_into().unwrap());
        let high = u64::from_le_bytes(key[8..].try_into().unwrap());
        let low = key_schedule_2(key_schedule_1(high, 0), low);
        let high = key_schedule_2(low, high);
        assert_eq!(low.to_le_bytes(), [0xa0, 0xfa, 0xfe, 0x17, 0x88, 0x54, 0x2c, 0xb1]);
        assert_eq!(high.to_le_bytes(), [0x23, 0xa3, 0x39, 0x39, 0x2a, 0x6c, 0x76, 0x05]);
    }
}
