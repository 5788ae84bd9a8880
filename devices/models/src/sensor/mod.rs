//! Sensors on I2C and SPI.

use devices_core::i2c::I2cModel;
use devices_core::spi::SpiModel;

/// The I2C chips.
pub static I2C: &[I2cModel] = &[];

/// The SPI chips.
pub static SPI: &[SpiModel] = &[];
