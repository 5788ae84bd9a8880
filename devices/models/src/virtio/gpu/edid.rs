//! The description of a screen that its driver reads: VESA Enhanced EDID 1.4, one block, with the timing by VESA
//! CVT 1.2 reduced blanking at 60 Hz.

/// Largest width or height that a detailed timing can say.
pub const MAX_SIZE: u32 = 4095;

/// Horizontal blanking of reduced blanking: front porch, sync, total.
const H_FRONT: u32 = 48;
const H_SYNC: u32 = 32;
const H_BLANK: u32 = 160;
const V_FRONT: u32 = 3;
const V_BACK_MIN: u32 = 6;
const REFRESH: u64 = 60;
/// Least vertical blanking, in nanoseconds.
const V_BLANK_MIN: u64 = 460_000;

/// Lines of vertical sync: CVT codes the aspect ratio in them.
fn v_sync(width: u32, height: u32) -> u32 {
    let ratios = [(4, 3, 4), (16, 9, 5), (16, 10, 6), (5, 4, 7), (15, 9, 7)];
    ratios.iter().find(|(w, h, _)| width * h == height * w).map_or(10, |ratio| ratio.2)
}

/// Lines of vertical blanking, and the pixel clock in units of 10 kHz.
fn timing(width: u32, height: u32) -> (u32, u32) {
    let line_ns = (1_000_000_000 / REFRESH - V_BLANK_MIN) / u64::from(height);
    let least = V_FRONT + v_sync(width, height) + V_BACK_MIN;
    let blank = ((V_BLANK_MIN / line_ns.max(1)) as u32 + 1).max(least);
    let clock = REFRESH * u64::from(width + H_BLANK) * u64::from(height + blank);
    // In steps of 0.25 MHz, and what fits.
    (blank, (clock / 250_000 * 25).min(0xffff) as u32)
}

/// The block for a screen of `width` by `height` pixels, both from 64 to [`MAX_SIZE`], at 96 dots per inch.
pub fn block(width: u32, height: u32) -> [u8; 128] {
    let (width, height) = (width.clamp(64, MAX_SIZE), height.clamp(64, MAX_SIZE));
    let millimetres = |pixels: u32| pixels * 254 / 960;
    let (h_mm, v_mm) = (millimetres(width), millimetres(height));
    let mut edid = [0u8; 128];
    edid[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    edid[8..18].copy_from_slice(&[0x23, 0x30, 1, 0, 1, 0, 0, 0, 1, 36]); // "HYP", product 1, serial 1, 2026
    edid[18..20].copy_from_slice(&[1, 4]);
    edid[20] = 0xa5; // digital, 8 bits a colour, DisplayPort
    edid[21] = (h_mm / 10).min(255) as u8;
    edid[22] = (v_mm / 10).min(255) as u8;
    edid[23] = 120; // gamma 2.2
    edid[24] = 0x06; // sRGB; the first timing is the native one
    edid[25..35].copy_from_slice(&[0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54]); // sRGB
    edid[38..54].fill(1); // no standard timings

    let (v_blank, clock) = timing(width, height);
    let sync = v_sync(width, height);
    let high = |a: u32, b: u32| ((a >> 8) << 4 | b >> 8) as u8;
    edid[54..72].copy_from_slice(&[
        clock as u8,
        (clock >> 8) as u8,
        width as u8,
        H_BLANK as u8,
        high(width, H_BLANK),
        height as u8,
        v_blank as u8,
        high(height, v_blank),
        H_FRONT as u8,
        H_SYNC as u8,
        (V_FRONT << 4 | sync) as u8,
        0,
        h_mm as u8,
        v_mm as u8,
        high(h_mm, v_mm),
        0,
        0,
        0x1a, // digital separate sync, horizontal positive
    ]);
    edid[72..90].copy_from_slice(b"\0\0\0\xfc\0hyperemu\n    ");
    edid[93] = 0x10; // two dummy descriptors
    edid[111] = 0x10;
    edid[127] = edid.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    edid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_are_those_of_cvt() {
        // From VESA's CVT spreadsheet, reduced blanking.
        assert_eq!(timing(1920, 1080), (31, 13850));
        assert_eq!(timing(1280, 800), (23, 7100));
        assert_eq!(timing(1024, 768), (22, 5600));
    }

    #[test]
    fn blocks_are_consistent() {
        for (width, height) in [(1920, 1080), (1080, 2400), (64, 64), (4095, 4095), (240, 240), (1, 1)] {
            let edid = block(width, height);
            assert_eq!(edid.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
            let active = |low: usize, high: usize| u32::from(edid[low]) | u32::from(edid[high] >> 4) << 8;
            assert_eq!((active(56, 58), active(59, 61)), (width.max(64), height.max(64)));
            assert_eq!((edid[18], edid[19], edid[126]), (1, 4, 0));
        }
        assert_eq!(&block(1920, 1080)[54..64], [0x1a, 0x36, 0x80, 0xa0, 0x70, 0x38, 0x1f, 0x40, 48, 32]);
    }
}
