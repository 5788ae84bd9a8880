//! The device models. A new one is a file and a line in the `MODELS` table of its folder.

pub mod display;
pub mod firmware;
pub mod gpio;
pub mod i2c;
pub mod input;
pub mod irq;
pub mod nordic;
pub mod power;
pub mod sensor;
pub mod spi;
pub mod storage;
pub mod timer;
pub mod uart;
pub mod virtio;

use devices_core::Model;
use devices_core::analog::AnalogModel;
use devices_core::i2c::I2cModel;
use devices_core::spi::SpiModel;

/// All models of devices on the memory bus.
pub fn models() -> impl Iterator<Item = &'static Model> {
    [
        firmware::MODELS,
        gpio::MODELS,
        i2c::MODELS,
        irq::MODELS,
        nordic::MODELS,
        power::MODELS,
        spi::MODELS,
        storage::MODELS,
        timer::MODELS,
        uart::MODELS,
        virtio::MODELS,
    ]
    .into_iter()
    .flatten()
}

/// The model for a node with these `compatible` strings, most specific first.
pub fn model_for(compatible: &[&str]) -> Option<&'static Model> {
    compatible.iter().find_map(|name| models().find(|model| model.compatible.contains(name)))
}

fn i2c_chips() -> impl Iterator<Item = &'static I2cModel> {
    [sensor::I2C, input::I2C].into_iter().flatten()
}

fn spi_chips() -> impl Iterator<Item = &'static SpiModel> {
    [sensor::SPI, display::SPI].into_iter().flatten()
}

/// The I2C chip for a node.
pub fn i2c_chip_for(compatible: &[&str]) -> Option<&'static I2cModel> {
    compatible.iter().find_map(|name| i2c_chips().find(|model| model.compatible.contains(name)))
}

/// The analog source for a node.
pub fn analog_source_for(compatible: &[&str]) -> Option<&'static AnalogModel> {
    compatible.iter().find_map(|name| power::ANALOG.iter().find(|model| model.compatible.contains(name)))
}

/// The SPI chip for a node.
pub fn spi_chip_for(compatible: &[&str]) -> Option<&'static SpiModel> {
    compatible.iter().find_map(|name| spi_chips().find(|model| model.compatible.contains(name)))
}
