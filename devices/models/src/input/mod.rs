//! Touch panels on buses.

pub mod cst816s;

use devices_core::i2c::I2cModel;

/// The I2C chips.
pub static I2C: &[I2cModel] = &[cst816s::MODEL];
