//! ROHM BH1750FVI: illuminance (technical note 11046EDT01).

use crate::{Bus, Error};

/// On the bus.
pub const ADDRESS: u8 = 0x23;
const POWER_ON: u8 = 0x01;
/// 1 lx resolution, a new value every 120 to 180 ms.
const CONTINUOUS: u8 = 0x10;

/// The chip, set up.
pub struct Bh1750;

impl Bh1750 {
    /// Finds the chip and sets it up.
    pub fn new(bus: &mut impl Bus) -> Result<Self, Error> {
        bus.transfer(ADDRESS, &[POWER_ON], &mut [])?;
        bus.transfer(ADDRESS, &[CONTINUOUS], &mut [])?;
        Ok(Self)
    }

    /// In 1/10 lx: the latest measurement, 0 before the first is done.
    pub fn sample(&self, bus: &mut impl Bus) -> Result<u32, Error> {
        let mut d = [0; 2];
        bus.transfer(ADDRESS, &[], &mut d)?;
        // A count is 1/1.2 lx.
        Ok(u32::from(u16::from_be_bytes(d)) * 100 / 12)
    }
}
