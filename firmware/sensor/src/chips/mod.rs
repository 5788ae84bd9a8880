//! The sensors on the I2C bus.

pub mod bh1750;
pub mod bme280;
pub mod lsm6dso;
pub mod max17048;
