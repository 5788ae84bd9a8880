//! Sensors on I2C and SPI.

mod axes;
pub mod bh1750;
pub mod bma421;
pub mod bme280;
pub mod hrs3300;
pub mod lsm6dso;
pub mod mag3110;
pub mod max17048;
pub mod mma8653;
mod world;

use devices_core::i2c::I2cModel;
use devices_core::spi::SpiModel;

/// The I2C chips.
pub static I2C: &[I2cModel] = &[
    bh1750::MODEL,
    bma421::MODEL,
    bme280::MODEL,
    hrs3300::MODEL,
    lsm6dso::MODEL,
    mag3110::MODEL,
    max17048::MODEL,
    mma8653::MODEL,
];

/// The SPI chips.
pub static SPI: &[SpiModel] = &[crate::spi::nor::MODEL];

#[cfg(test)]
pub(crate) mod testing;
