//! A driver for tests: sets a device up through the transport's registers, with its rings and buffers in the
//! bench's memory, as a guest does.

use super::device::{VirtioDevice, feature};
use super::mmio::Mmio;
use devices_core::bench::{Bench, RAM, bench_memory};
use devices_core::{GuestMemory, Width};

const QUEUE_SIZE: u16 = 16;
/// Rings of queue `n` lie at `RAM + n * RING`.
const RING: u64 = 0x1000;
const AVAIL: u64 = 0x400;
const USED: u64 = 0x800;
const BUFFERS: u64 = RAM + 0x2_0000;
const INDIRECT: u64 = RAM + 0x1_0000;

/// A device on its bench, and the driver's side of its queues.
pub struct Driver {
    pub bench: Bench<Mmio>,
    pub memory: GuestMemory,
    pub features: u64,
    next: Vec<u16>,
    seen: Vec<u16>,
    space: u64,
}

impl Driver {
    /// On its bench, after power-on.
    pub fn boxed(device: Box<dyn VirtioDevice>) -> Driver {
        let memory = bench_memory();
        let bench = Bench::with_memory(Mmio::new(Some(device)), &memory);
        Driver { bench, memory, features: 0, next: vec![], seen: vec![], space: BUFFERS }
    }

    /// Set up with these features, and VERSION_1.
    pub fn new(device: impl VirtioDevice + 'static, features: u64) -> Driver {
        let mut driver = Driver::boxed(Box::new(device));
        driver.start(features);
        driver
    }

    /// Resets the device and sets it up again.
    pub fn start(&mut self, features: u64) {
        self.features = features | feature::VERSION_1;
        self.bench.write32(0x70, 0);
        self.bench.write32(0x70, 3);
        for half in 0..2 {
            self.bench.write32(0x24, half);
            self.bench.write32(0x20, (self.features >> (32 * half)) as u32);
        }
        self.bench.write32(0x70, 11);
        assert_eq!(self.bench.read32(0x70), 11, "the device takes the features");
        self.memory.clear();
        (self.next, self.seen, self.space) = (vec![], vec![], BUFFERS);
        for queue in 0u32.. {
            self.bench.write32(0x30, queue);
            if self.bench.read32(0x34) == 0 {
                break;
            }
            self.set_up_queue(queue);
            self.next.push(0);
            self.seen.push(0);
        }
        self.bench.write32(0x30, 0);
        self.bench.write32(0x70, 15);
    }

    /// Sets the queues up anew, without a reset of the device: it forgets the buffers it has not used.
    pub fn restart(&mut self) {
        for queue in 0..self.next.len() {
            self.bench.write32(0x30, queue as u32);
            self.bench.write32(0x44, 0);
            self.memory.write(self.ring(queue, AVAIL), &[0; 0x800]).unwrap();
            self.set_up_queue(queue as u32);
            (self.next[queue], self.seen[queue], self.space) = (0, 0, BUFFERS);
        }
        self.bench.write32(0x30, 0);
    }

    fn set_up_queue(&mut self, queue: u32) {
        self.bench.write32(0x38, QUEUE_SIZE.into());
        for (register, at) in [(0x80, 0), (0x90, AVAIL), (0xa0, USED)] {
            self.bench.write32(register, self.ring(queue as usize, at) as u32);
            self.bench.write32(register + 4, 0);
        }
        self.bench.write32(0x44, 1);
        assert_eq!(self.bench.read32(0x44), 1, "the device takes queue {queue}");
    }

    fn ring(&self, queue: usize, at: u64) -> u64 {
        RAM + queue as u64 * RING + at
    }

    /// Continues after a restore, with `count` requests made and answered in queue 0.
    pub fn resume(&mut self, count: u16) {
        (self.next[0], self.seen[0]) = (count, count);
    }

    pub fn poke(&self, addr: u64, bytes: &[u8]) {
        self.memory.write(addr, bytes).unwrap();
    }

    pub fn peek(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.read(addr, &mut bytes).unwrap();
        bytes
    }

    /// Fresh guest memory for a buffer.
    pub fn alloc(&mut self, len: usize) -> u64 {
        let at = self.space;
        self.space += (len as u64 + 15) & !15;
        assert!(self.space <= RAM + 0x10_0000, "out of memory for buffers");
        at
    }

    /// Writes a descriptor.
    pub fn describe(&self, table: u64, index: u16, (addr, len): (u64, u32), flags: u16, next: u16) {
        let mut bytes = addr.to_le_bytes().to_vec();
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&next.to_le_bytes());
        self.poke(table + 16 * u64::from(index), &bytes);
    }

    /// Makes the chain that starts at descriptor `head` available.
    pub fn offer(&mut self, queue: usize, head: u16) {
        let slot = self.ring(queue, AVAIL + 4 + 2 * u64::from(self.next[queue] % QUEUE_SIZE));
        self.poke(slot, &head.to_le_bytes());
        self.next[queue] = self.next[queue].wrapping_add(1);
        self.poke(self.ring(queue, AVAIL + 2), &self.next[queue].to_le_bytes());
    }

    /// Makes buffers available, without a notification: (address, length, for the device to write).
    pub fn add(&mut self, queue: usize, buffers: &[(u64, u32, bool)]) {
        let indirect = self.features & feature::INDIRECT_DESC != 0;
        let table = if indirect { INDIRECT } else { self.ring(queue, 0) };
        self.add_at(queue, 0, table, buffers);
    }

    /// As [`Driver::add`] with the descriptors from `head` on, or in an indirect table at `table`.
    pub fn add_at(&mut self, queue: usize, head: u16, table: u64, buffers: &[(u64, u32, bool)]) {
        let inside = table != self.ring(queue, 0);
        let first = if inside { 0 } else { head };
        for (i, (addr, len, write)) in buffers.iter().enumerate() {
            let more = i + 1 < buffers.len();
            let flags = u16::from(more) | u16::from(*write) << 1;
            let index = first + i as u16;
            self.describe(table, index, (*addr, *len), flags, if more { index + 1 } else { 0 });
        }
        if inside {
            self.describe(self.ring(queue, 0), head, (table, 16 * buffers.len() as u32), 4, 0);
        }
        self.offer(queue, head);
    }

    /// Descriptor table of a queue.
    pub fn table(&self, queue: usize) -> u64 {
        self.ring(queue, 0)
    }

    pub fn kick(&mut self, queue: usize) {
        self.bench.write32(0x50, queue as u32);
    }

    /// The next returned chain: its head, and how much was written.
    pub fn take(&mut self, queue: usize) -> Option<(u32, u32)> {
        let filled = self.memory.read_le(self.ring(queue, USED + 2), 2).unwrap() as u16;
        if filled == self.seen[queue] {
            return None;
        }
        let slot = self.ring(queue, USED + 4 + 8 * u64::from(self.seen[queue] % QUEUE_SIZE));
        self.seen[queue] = self.seen[queue].wrapping_add(1);
        let element = self.memory.read_le(slot, 8).unwrap();
        Some((element as u32, (element >> 32) as u32))
    }

    /// Sends `request` and returns what the device wrote, of at most `room` bytes; `None` if it did not answer.
    pub fn ask(&mut self, queue: usize, request: &[u8], room: usize) -> Option<Vec<u8>> {
        self.space = BUFFERS;
        let (from, into) = (self.alloc(request.len()), self.alloc(room));
        self.poke(from, request);
        let mut buffers = Vec::new();
        // In two pieces each, so that devices do not rely on the framing.
        let mut split = |addr: u64, len: usize, write: bool| {
            let first = len / 3;
            for (addr, len) in [(addr, first), (addr + first as u64, len - first)] {
                if len > 0 {
                    buffers.push((addr, len as u32, write));
                }
            }
        };
        split(from, request.len(), false);
        split(into, room, true);
        self.add(queue, &buffers);
        self.kick(queue);
        let (head, written) = self.take(queue)?;
        assert_eq!(head, 0);
        assert!(written as usize <= room);
        Some(self.peek(into, written as usize))
    }

    /// Adds a buffer for the device to fill later; returns its address. `head` names its descriptor.
    pub fn add_room(&mut self, queue: usize, head: u16, room: u32) -> u64 {
        let addr = self.alloc(room as usize);
        self.add_at(queue, head, self.table(queue), &[(addr, room, true)]);
        addr
    }

    /// Interrupt status, acknowledged; checks that the line shows it.
    pub fn interrupt(&mut self) -> u32 {
        let status = self.bench.read32(0x60);
        assert_eq!(self.bench.line(0), status != 0);
        self.bench.write32(0x64, status);
        assert!(!self.bench.line(0));
        status
    }

    pub fn status(&mut self) -> u32 {
        self.bench.read32(0x70)
    }

    pub fn config(&mut self, offset: u64, len: u64) -> Vec<u8> {
        (0..len).map(|i| self.bench.read(0x100 + offset + i, Width::B1) as u8).collect()
    }

    /// Plays a hostile guest, as `bytes` say. Nothing may panic or hang.
    pub fn torture(&mut self, bytes: &[u8]) {
        for op in bytes.chunks_exact(8) {
            let queue = usize::from(op[1]) % self.next.len().max(1);
            let value = u32::from_le_bytes([op[4], op[5], op[6], op[7]]);
            match op[0] % 8 {
                0 => self.bench.write32(u64::from(op[1]) & 0xfc, value),
                1 => {
                    let width = [Width::B1, Width::B2, Width::B4][usize::from(op[2] % 3)];
                    let offset = (0x100 + u64::from(op[1])) & !(width.bytes() - 1);
                    self.bench.write(offset, width, value.into());
                    let _ = self.bench.read(offset, width);
                }
                2 | 3 if !self.next.is_empty() => {
                    // A descriptor of some sense: an address in RAM, mostly, and small fields.
                    let addr = RAM + u64::from(value) % 0x10_0800;
                    let len = u32::from(op[2]) << (op[3] & 15);
                    let flags = u16::from(op[3] >> 4 & 7);
                    let index = u16::from(op[2]) % QUEUE_SIZE;
                    self.describe(self.table(queue), index, (addr, len), flags, u16::from(op[6] % 20));
                }
                4 if !self.next.is_empty() => self.offer(queue, u16::from(op[2]) % (QUEUE_SIZE + 1)),
                5 => self.kick(queue),
                6 => {
                    let at = u64::from(value) % 0x10_0000;
                    self.poke(RAM + at / 8 * 8, op);
                }
                _ if op[2] == 0 => self.start(self.features),
                _ => drop(self.bench.read32(u64::from(op[1]) & 0xfc)),
            }
            self.bench.services.output.clear();
            self.bench.services.complaints.clear();
            self.bench.advance(devices_core::Time::from_us(1));
        }
    }
}

/// Tortures a device with bytes of several seeds, restores it on the way, and leaves it working.
pub fn torture(device: impl Fn() -> Box<dyn VirtioDevice>, features: u64) {
    for seed in 0..24 {
        let mut driver = Driver::boxed(device());
        driver.start(features | if seed % 2 == 0 { feature::EVENT_IDX | feature::INDIRECT_DESC } else { 0 });
        let mut bytes = vec![0; 8 * 3000];
        devices_core::Rng::new(seed, "torture").fill(&mut bytes);
        for part in bytes.chunks(8 * 500) {
            driver.torture(part);
            driver.bench.check_save_restore();
        }
        driver.bench.torture(&bytes, 0x200);
        driver.start(features);
        assert_eq!(driver.status(), 15);
    }
}
