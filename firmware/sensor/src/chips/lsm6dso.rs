//! ST LSM6DSO: acceleration and rotation (data sheet DS12140).

use crate::{Bus, Error};

/// On the bus.
pub const ADDRESS: u8 = 0x6a;
const WHO_AM_I: u8 = 0x0f;
const CTRL1_XL: u8 = 0x10;
const CTRL2_G: u8 = 0x11;
const CTRL3_C: u8 = 0x12;
const OUTX_L_G: u8 = 0x22;

/// 104 Hz, in both control registers; the lowest range of each (2 g, 250 degrees a second).
const RATE_104: u8 = 0x40;
/// Block data update, and addresses that increase while reading.
const BDU_IF_INC: u8 = 0x44;

/// The chip, set up.
pub struct Lsm6dso;

/// A sample, along x, y and z.
pub struct Motion {
    /// In 1/1000 g.
    pub acceleration: [i32; 3],
    /// In 1/1000 degree a second.
    pub rotation: [i32; 3],
}

impl Lsm6dso {
    /// Finds the chip and sets it up.
    pub fn new(bus: &mut impl Bus) -> Result<Self, Error> {
        bus.expect(ADDRESS, WHO_AM_I, 0x6c)?;
        bus.write(ADDRESS, CTRL3_C, BDU_IF_INC)?;
        bus.write(ADDRESS, CTRL1_XL, RATE_104)?;
        bus.write(ADDRESS, CTRL2_G, RATE_104)?;
        Ok(Self)
    }

    /// Reads a sample.
    pub fn sample(&self, bus: &mut impl Bus) -> Result<Motion, Error> {
        let d: [u8; 12] = bus.read(ADDRESS, OUTX_L_G)?;
        let axis = |i: usize| i32::from(i16::from_le_bytes([d[2 * i], d[2 * i + 1]]));
        // 8.75 mdps and 0.061 mg a count, rounded.
        Ok(Motion {
            rotation: core::array::from_fn(|i| (axis(i) * 875 + 50).div_euclid(100)),
            acceleration: core::array::from_fn(|i| (axis(3 + i) * 61 + 500).div_euclid(1000)),
        })
    }
}
