//! Drivers of the sensors on the I2C bus.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod bh1750;
pub mod bme280;
pub mod lsm6dso;
pub mod max17048;

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nobody answered to the address, or refused a byte.
    NoAnswer,
    /// The controller lost the bus or did not finish in time.
    Bus,
    /// The chip has no controller here.
    NoController,
    /// Something answers, but it is another chip: its identification.
    Other(u8),
}

impl Error {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NoAnswer => "no answer",
            Self::Bus => "bus error",
            Self::NoController => "no i2c controller",
            Self::Other(_) => "another chip",
        }
    }
}

/// An I2C bus, and time to wait for what is on it.
pub trait Bus {
    /// Writes to the chip at `address`, then reads from it (after a repeated start where both are asked for).
    fn transfer(&mut self, address: u8, write: &[u8], read: &mut [u8]) -> Result<(), Error>;

    /// Sleeps.
    fn wait_ms(&mut self, ms: u32);

    /// Reads registers from `register` on.
    fn read<const N: usize>(&mut self, address: u8, register: u8) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.transfer(address, &[register], &mut bytes)?;
        Ok(bytes)
    }

    /// Writes one register.
    fn write(&mut self, address: u8, register: u8, value: u8) -> Result<(), Error> {
        self.transfer(address, &[register, value], &mut [])
    }

    /// Checks that the chip at `address` is the one that has `id` in `register`.
    fn expect(&mut self, address: u8, register: u8, id: u8) -> Result<(), Error> {
        match self.read(address, register)? {
            [found] if found == id => Ok(()),
            [other] => Err(Error::Other(other)),
        }
    }
}

#[cfg(test)]
mod tests;
