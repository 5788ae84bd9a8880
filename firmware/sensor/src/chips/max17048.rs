//! Maxim MAX17048: fuel gauge of a lithium cell (data sheet 19-6171).

use crate::{Bus, Error};

/// On the bus.
pub const ADDRESS: u8 = 0x36;
const VCELL: u8 = 0x02;
const SOC: u8 = 0x04;
const VERSION: u8 = 0x08;

/// The chip, found.
pub struct Max17048;

/// A sample.
pub struct Battery {
    /// In mV.
    pub voltage: u32,
    /// In 1/10 percent.
    pub charge: u32,
}

impl Max17048 {
    /// Finds the chip and sets it up.
    pub fn new(bus: &mut impl Bus) -> Result<Self, Error> {
        let [high, _]: [u8; 2] = bus.read(ADDRESS, VERSION)?;
        // Production version 0x001_.
        if high == 0x00 { Ok(Self) } else { Err(Error::Other(high)) }
    }

    /// Reads a sample.
    pub fn sample(&self, bus: &mut impl Bus) -> Result<Battery, Error> {
        let cell = u32::from(u16::from_be_bytes(bus.read(ADDRESS, VCELL)?));
        let charge = u32::from(u16::from_be_bytes(bus.read(ADDRESS, SOC)?));
        // 78.125 uV and 1/256 percent a count.
        Ok(Battery { voltage: cell * 625 / 8000, charge: charge * 10 / 256 })
    }
}
