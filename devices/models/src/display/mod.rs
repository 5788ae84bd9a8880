//! Screens on buses.

pub mod st7789;

use devices_core::spi::SpiModel;

/// The SPI chips.
pub static SPI: &[SpiModel] = &[st7789::MODEL];
