//! Virtio 1.2 over MMIO (section 4.2), driver side, for devices of version 2 ("modern").

pub mod gpu;
pub mod input;
pub mod queue;
pub mod rng;

use mmio::Regs;

use crate::plic::Plic;

const MAGIC: usize = 0x000;
const VERSION: usize = 0x004;
const DEVICE_ID: usize = 0x008;
const DEVICE_FEATURES: usize = 0x010;
const DEVICE_FEATURES_SEL: usize = 0x014;
const DRIVER_FEATURES: usize = 0x020;
const DRIVER_FEATURES_SEL: usize = 0x024;
const QUEUE_NOTIFY: usize = 0x050;
const INTERRUPT_STATUS: usize = 0x060;
const INTERRUPT_ACK: usize = 0x064;
const STATUS: usize = 0x070;
const CONFIG: usize = 0x100;

const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;
const FAILED: u32 = 128;

/// The feature every modern device offers and demands.
const VERSION_1: u64 = 1 << 32;

/// Why a device could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It speaks the legacy interface only.
    Legacy,
    /// It did not accept the features we chose.
    Features,
    /// It lacks a queue or offers too small a one.
    Queue,
    /// It answered a request with an error of its kind.
    Device(u32),
}

/// A device behind its MMIO registers.
#[derive(Clone, Copy)]
pub struct Transport {
    regs: Regs,
    /// Interrupt source at the PLIC.
    pub irq: u32,
    plic: Plic,
}

impl Transport {
    /// The device at `base`, as the devicetree says; `None` where the slot is empty.
    #[allow(unsafe_code, reason = "an address becomes registers")]
    pub fn probe(base: usize, irq: u32, plic: Plic) -> Option<Self> {
        // SAFETY: the devicetree names this address a virtio,mmio device.
        let regs = unsafe { Regs::new(base) };
        (regs.read32(MAGIC) == 0x7472_6976 && regs.read32(DEVICE_ID) != 0).then_some(Self { regs, irq, plic })
    }

    pub fn base(&self) -> usize {
        self.regs.base()
    }

    /// Device type (virtio 1.2, section 5).
    pub fn id(&self) -> u32 {
        self.regs.read32(DEVICE_ID)
    }

    pub fn version(&self) -> u32 {
        self.regs.read32(VERSION)
    }

    /// What kind of device this is, in words.
    pub fn kind(&self) -> &'static str {
        match self.id() {
            1 => "network",
            2 => "block",
            3 => "console",
            4 => "entropy",
            5 => "balloon",
            9 => "9p share",
            16 => "gpu",
            18 => "input",
            19 => "vsock",
            25 => "sound",
            26 => "file system",
            _ => "other",
        }
    }

    /// Lets the device's interrupt through.
    pub fn listen(&self) {
        self.plic.enable(self.irq);
    }

    /// All features the device offers.
    pub fn features(&self) -> u64 {
        let half = |index: u32| {
            self.regs.write32(DEVICE_FEATURES_SEL, index);
            u64::from(self.regs.read32(DEVICE_FEATURES))
        };
        half(1) << 32 | half(0)
    }

    /// Resets the device and agrees on those of the `wanted` features that it offers; returns them.
    pub fn begin(&self, wanted: u64) -> Result<u64, Error> {
        if self.version() != 2 {
            return Err(Error::Legacy);
        }
        self.regs.write32(STATUS, 0);
        while self.regs.read32(STATUS) != 0 {}
        self.regs.write32(STATUS, ACKNOWLEDGE);
        self.regs.write32(STATUS, ACKNOWLEDGE | DRIVER);
        let agreed = self.features() & (wanted | VERSION_1);
        for half in [0, 1] {
            self.regs.write32(DRIVER_FEATURES_SEL, half);
            self.regs.write32(DRIVER_FEATURES, (agreed >> (32 * half)) as u32);
        }
        self.regs.write32(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if agreed & VERSION_1 == 0 || self.regs.read32(STATUS) & FEATURES_OK == 0 {
            self.regs.write32(STATUS, FAILED);
            return Err(Error::Features);
        }
        Ok(agreed)
    }

    /// The queues are ready: the device may work.
    pub fn finish(&self) {
        self.regs.write32(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    }

    /// Gives the device back as it was.
    pub fn reset(&self) {
        self.regs.write32(STATUS, 0);
    }

    /// Tells the device that a queue has new buffers.
    pub fn notify(&self, queue: u32) {
        self.regs.write32(QUEUE_NOTIFY, queue);
    }

    /// Takes the interrupt's reasons back, so that its line falls.
    pub fn acknowledge(&self) {
        self.regs.write32(INTERRUPT_ACK, self.regs.read32(INTERRUPT_STATUS));
    }

    pub fn config8(&self, offset: usize) -> u8 {
        self.regs.read8(CONFIG + offset)
    }

    pub fn config32(&self, offset: usize) -> u32 {
        self.regs.read32(CONFIG + offset)
    }

    pub fn write_config8(&self, offset: usize, value: u8) {
        self.regs.write8(CONFIG + offset, value);
    }
}
