//! I2C master: the OpenCores controller of the FE310-G002 (manual, chapter 20; OpenCores I2C specification 0.9), at 100 kHz.

use chips::{Bus, Error};

use crate::{
    board::{I2C0, IRQ_I2C0},
    clock, plic, start,
};

const PRESCALE_LOW: usize = 0x00;
const PRESCALE_HIGH: usize = 0x04;
const CONTROL: usize = 0x08;
const DATA: usize = 0x0c;
/// Written a command, read the status.
const COMMAND: usize = 0x10;

const CORE_ENABLE: u32 = 1 << 7;
const INTERRUPT_ENABLE: u32 = 1 << 6;

const START: u32 = 1 << 7;
const STOP: u32 = 1 << 6;
const READ: u32 = 1 << 5;
const WRITE: u32 = 1 << 4;
const NACK: u32 = 1 << 3;
const ACKNOWLEDGE_INTERRUPT: u32 = 1 << 0;

const NO_ACK: u32 = 1 << 7;
const LOST: u32 = 1 << 5;
const BUSY: u32 = 1 << 1;

/// The bus.
pub struct I2c {
    present: bool,
}

impl I2c {
    pub fn new() -> Self {
        let present = start::exists(I2C0.base() + CONTROL);
        if present {
            let prescale = clock::CORE / (5 * 100_000) - 1;
            I2C0.write32(CONTROL, 0);
            I2C0.write32(PRESCALE_LOW, prescale & 0xff);
            I2C0.write32(PRESCALE_HIGH, prescale >> 8);
            I2C0.write32(CONTROL, CORE_ENABLE | INTERRUPT_ENABLE);
            plic::enable(IRQ_I2C0);
        }
        Self { present }
    }

    fn run(&mut self, address: u8, write: &[u8], read: &mut [u8]) -> Result<(), Error> {
        if !write.is_empty() || read.is_empty() {
            self.send(address << 1, START)?;
            for (i, &byte) in write.iter().enumerate() {
                let last = read.is_empty() && i + 1 == write.len();
                self.send(byte, if last { STOP } else { 0 })?;
            }
        }
        if !read.is_empty() {
            self.send(address << 1 | 1, START)?;
            let last = read.len() - 1;
            for (i, byte) in read.iter_mut().enumerate() {
                self.command(if i == last { READ | NACK | STOP } else { READ })?;
                *byte = I2C0.read32(DATA) as u8;
            }
        }
        Ok(())
    }

    fn send(&mut self, byte: u8, extra: u32) -> Result<(), Error> {
        I2C0.write32(DATA, u32::from(byte));
        if self.command(WRITE | extra)? & NO_ACK != 0 { Err(Error::NoAnswer) } else { Ok(()) }
    }

    /// Runs a command, asleep until its interrupt; returns the status.
    fn command(&mut self, command: u32) -> Result<u32, Error> {
        I2C0.write32(COMMAND, command);
        let deadline = clock::now() + clock::ms(10);
        loop {
            while let Some(source) = plic::claim() {
                if source == IRQ_I2C0 {
                    acknowledge();
                    plic::complete(source);
                } else {
                    plic::defer(source);
                }
            }
            let status = I2C0.read32(COMMAND);
            if status & LOST != 0 {
                return Err(Error::Bus);
            }
            if status & BUSY == 0 {
                return Ok(status);
            }
            if clock::now() >= deadline {
                return Err(Error::Bus);
            }
            clock::sleep(deadline);
        }
    }
}

/// Takes back an interrupt that came after its command was seen to be done.
pub fn acknowledge() {
    I2C0.write32(COMMAND, ACKNOWLEDGE_INTERRUPT);
}

impl Bus for I2c {
    fn transfer(&mut self, address: u8, write: &[u8], read: &mut [u8]) -> Result<(), Error> {
        if !self.present {
            return Err(Error::NoController);
        }
        let result = self.run(address, write, read);
        if result.is_err() {
            // Free the bus for the next one.
            let _ = self.command(STOP);
        }
        result
    }

    fn wait_ms(&mut self, ms: u32) {
        let end = clock::now() + clock::ms(ms);
        while clock::now() < end {
            clock::sleep(end);
            while let Some(source) = plic::claim() {
                plic::defer(source);
            }
        }
    }
}
