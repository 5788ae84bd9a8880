//! Split virtqueues (virtio 1.2, section 2.7). A driver keeps its buffers in fixed slots, so that there is no free list.

use core::sync::atomic::{Ordering, fence};

use super::{Error, Transport};
use crate::dma::Dma;

const QUEUE_SEL: usize = 0x030;
const QUEUE_NUM_MAX: usize = 0x034;
const QUEUE_NUM: usize = 0x038;
const QUEUE_READY: usize = 0x044;
const QUEUE_DESC: usize = 0x080;
const QUEUE_DRIVER: usize = 0x090;
const QUEUE_DEVICE: usize = 0x0a0;

const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// Descriptors in each of our queues.
pub const SIZE: u16 = 64;
/// The descriptor table takes 16 bytes an entry; the rings follow at fixed places in the same two pages.
const DRIVER_RING: usize = SIZE as usize * 16;
const DEVICE_RING: usize = 4096;

/// A stretch of shared memory for the device.
#[derive(Clone, Copy)]
pub struct Buffer {
    pub address: u64,
    pub length: u32,
    /// Whether the device writes it; otherwise it reads.
    pub device_writes: bool,
}

pub struct Queue {
    transport: Transport,
    index: u32,
    memory: Dma,
    available: u16,
    used: u16,
}

impl Queue {
    /// Sets up queue `index` of a device between `begin` and `finish`.
    pub fn new(transport: Transport, index: u32) -> Result<Self, Error> {
        let regs = transport.regs;
        regs.write32(QUEUE_SEL, index);
        if regs.read32(QUEUE_NUM_MAX) < u32::from(SIZE) {
            return Err(Error::Queue);
        }
        let memory = Dma::new(2 * 4096);
        regs.write32(QUEUE_NUM, u32::from(SIZE));
        let rings = [(QUEUE_DESC, 0), (QUEUE_DRIVER, DRIVER_RING), (QUEUE_DEVICE, DEVICE_RING)];
        for (register, offset) in rings {
            let address = memory.address() + offset as u64;
            regs.write32(register, address as u32);
            regs.write32(register + 4, (address >> 32) as u32);
        }
        regs.write32(QUEUE_READY, 1);
        Ok(Self { transport, index, memory, available: 0, used: 0 })
    }

    /// Offers a chain of buffers in the descriptors `slot`, `slot + 1`, ...; the caller keeps slots in flight apart.
    pub fn post(&mut self, slot: u16, chain: &[Buffer]) {
        for (i, buffer) in (slot..).zip(chain) {
            let more = if i + 1 < slot + chain.len() as u16 { NEXT } else { 0 };
            let at = usize::from(i) * 16;
            self.memory.write(at, buffer.address);
            self.memory.write(at + 8, buffer.length);
            self.memory.write(at + 12, more | if buffer.device_writes { WRITE } else { 0 });
            self.memory.write(at + 14, i + 1);
        }
        self.memory.write(DRIVER_RING + 4 + usize::from(self.available % SIZE) * 2, slot);
        self.available = self.available.wrapping_add(1);
        // The device must see the entry before the index that covers it.
        fence(Ordering::SeqCst);
        self.memory.write(DRIVER_RING + 2, self.available);
    }

    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        self.transport.notify(self.index);
    }

    /// A chain that the device is done with: its slot and how many bytes were written.
    pub fn take(&mut self) -> Option<(u16, u32)> {
        if self.memory.read::<u16>(DEVICE_RING + 2) == self.used {
            return None;
        }
        fence(Ordering::SeqCst);
        let entry = DEVICE_RING + 4 + usize::from(self.used % SIZE) * 8;
        self.used = self.used.wrapping_add(1);
        Some((self.memory.read::<u32>(entry) as u16, self.memory.read(entry + 4)))
    }

    /// Offers a chain, then sleeps until the device is done with it.
    pub fn ask(&mut self, chain: &[Buffer]) -> u32 {
        self.post(0, chain);
        self.notify();
        let Transport { irq, plic, .. } = self.transport;
        loop {
            while let Some(source) = plic.claim() {
                if source == irq {
                    self.transport.acknowledge();
                    plic.complete(source);
                } else {
                    plic.defer(source);
                }
            }
            if let Some((_, written)) = self.take() {
                return written;
            }
            crate::start::wait();
        }
    }
}
