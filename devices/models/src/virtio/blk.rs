//! The block device: virtio 1.2, section 5.2.
//!
//! One queue; flush, discard, write zeroes, topology and the write-back switch. Left out: several queues, secure
//! erase, lifetime, zones. A request completes within the notification: the disk has no latency of its own, so
//! that a run does not depend on the host's. One notification moves at most `BUDGET` bytes; the rest follows by
//! an event at the same virtual time, between which the guest runs on.

use super::device::{Io, VirtioDevice};
use super::queue::{Buffers, Chain};
use devices_core::host::BlockBackend;
use devices_core::{Component, Ctx, Field, RestoreError, state};
use std::io;

/// Bytes in a sector, whatever the block size.
const SECTOR: u64 = 512;
/// Bytes that one call moves before the guest runs on.
const BUDGET: u64 = 16 << 20;
/// Bytes moved at a time.
const PIECE: usize = 64 << 10;
/// Most bytes of a request to read or write. Linux makes none of more than a few MiB.
const MAX_DATA: u64 = 256 << 20;
/// Most sectors of a range to discard or zero, and most ranges in a request.
const MAX_RANGE: u32 = 0x2_0000;
const MAX_RANGES: u32 = 16;
/// Most buffers in a request, apart from header and status.
const SEG_MAX: u32 = 254;

const F_SEG_MAX: u64 = 1 << 2;
const F_GEOMETRY: u64 = 1 << 4;
const F_READ_ONLY: u64 = 1 << 5;
const F_BLK_SIZE: u64 = 1 << 6;
const F_FLUSH: u64 = 1 << 9;
const F_TOPOLOGY: u64 = 1 << 10;
const F_CONFIG_WCE: u64 = 1 << 11;
const F_DISCARD: u64 = 1 << 13;
const F_WRITE_ZEROES: u64 = 1 << 14;

const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

/// How a request ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// A disk.
pub struct Blk {
    disk: Box<dyn BlockBackend>,
    name: String,
    /// Writes may wait for a flush; otherwise each is durable when it completes.
    write_back: bool,
}

impl Blk {
    /// The disk `disk`; the driver can read `name`, cut to 20 bytes, as its serial number.
    pub fn new(disk: Box<dyn BlockBackend>, name: &str) -> Blk {
        Blk { disk, name: name.to_string(), write_back: true }
    }

    /// Start of `len` bytes at `sector`, if they are all on the disk.
    fn range(&self, sector: u64, len: u64) -> Option<u64> {
        let start = sector.checked_mul(SECTOR)?;
        // The last bytes of an image that is no multiple of a sector can not be reached.
        let end = self.disk.len() & !(SECTOR - 1);
        (start.checked_add(len)? <= end).then_some(start)
    }

    fn serve(&mut self, io: &mut Io, chain: &mut Chain) -> Status {
        let Some(header) = chain.readable.array::<16>(&io.memory) else {
            io.fail("a block request has no header");
            return Status::IoError;
        };
        let header = u128::from_le_bytes(header);
        let (kind, sector) = (header as u32, (header >> 64) as u64);
        let done = match kind {
            READ => self.read(io, sector, &mut chain.writable),
            WRITE => self.write(io, sector, &mut chain.readable),
            FLUSH => self.disk.flush(),
            GET_ID => {
                let mut id = [0; 20];
                let len = self.name.len().min(id.len());
                id[..len].copy_from_slice(&self.name.as_bytes()[..len]);
                chain.writable.write(&io.memory, &id);
                Ok(())
            }
            DISCARD | WRITE_ZEROES => match self.erase(io, kind == WRITE_ZEROES, &mut chain.readable) {
                Ok(Status::Ok) => Ok(()),
                Ok(other) => return other,
                Err(error) => Err(error),
            },
            _ => return Status::Unsupported,
        };
        match done {
            Ok(()) => Status::Ok,
            Err(error) => {
                io.ctx.complain(format!("{}: request {kind} at sector {sector}: {error}", self.name));
                Status::IoError
            }
        }
    }

    fn read(&mut self, io: &Io, sector: u64, into: &mut Buffers) -> io::Result<()> {
        let mut at = self.checked(sector, into.remaining())?;
        let mut bytes = vec![0; PIECE.min(into.remaining() as usize)];
        while into.remaining() > 0 {
            let piece = PIECE.min(into.remaining() as usize);
            self.disk.read_at(at, &mut bytes[..piece])?;
            if into.write(&io.memory, &bytes[..piece]) < piece {
                return Err(io::Error::other("the buffer is not in memory"));
            }
            at += piece as u64;
        }
        Ok(())
    }

    fn write(&mut self, io: &Io, sector: u64, from: &mut Buffers) -> io::Result<()> {
        let mut at = self.checked(sector, from.remaining())?;
        self.writable()?;
        while from.remaining() > 0 {
            let bytes = from.take(&io.memory, PIECE);
            if bytes.is_empty() {
                return Err(io::Error::other("the buffer is not in memory"));
            }
            self.disk.write_at(at, &bytes)?;
            at += bytes.len() as u64;
        }
        self.written()
    }

    fn checked(&self, sector: u64, len: u64) -> io::Result<u64> {
        if !len.is_multiple_of(SECTOR) || len > MAX_DATA {
            return Err(io::Error::other(format!("{len} bytes are no sectors, or too many")));
        }
        self.range(sector, len).ok_or_else(|| io::Error::other("past the end of the disk"))
    }

    fn writable(&self) -> io::Result<()> {
        if self.disk.read_only() { Err(io::Error::other("the disk is read-only")) } else { Ok(()) }
    }

    fn written(&mut self) -> io::Result<()> {
        if self.write_back { Ok(()) } else { self.disk.flush() }
    }

    /// Discards or zeroes ranges. What is discarded reads as zeroes too, so that a run can be repeated.
    fn erase(&mut self, io: &Io, zero: bool, from: &mut Buffers) -> io::Result<Status> {
        self.writable()?;
        let count = from.remaining() / 16;
        if count == 0 || !from.remaining().is_multiple_of(16) || count > MAX_RANGES.into() {
            return Err(io::Error::other(format!("{} bytes of ranges", from.remaining())));
        }
        let mut ranges = Vec::new();
        while let Some(range) = from.array::<16>(&io.memory) {
            let range = u128::from_le_bytes(range);
            let (sector, sectors, flags) = (range as u64, (range >> 64) as u32, (range >> 96) as u32);
            // Bit 0 of write zeroes allows to unmap; everything else is reserved.
            if flags & !u32::from(zero) != 0 {
                return Ok(Status::Unsupported);
            }
            if sectors > MAX_RANGE {
                return Err(io::Error::other(format!("a range of {sectors} sectors")));
            }
            let len = u64::from(sectors) * SECTOR;
            let start =
                self.range(sector, len).ok_or_else(|| io::Error::other("past the end of the disk"))?;
            ranges.push((start, len));
        }
        for (start, len) in ranges {
            self.disk.write_zeroes(start, len)?;
        }
        self.written()?;
        Ok(Status::Ok)
    }
}

impl Component for Blk {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.write_back)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.write_back = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mode = if self.disk.read_only() { ", read-only" } else { "" };
        vec![Field { name: "disk".into(), value: format!("{} bytes{mode}", self.disk.len()) }]
    }
}

impl VirtioDevice for Blk {
    fn id(&self) -> u32 {
        2
    }

    fn features(&self) -> u64 {
        let read = F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_TOPOLOGY | F_FLUSH | F_CONFIG_WCE;
        read | if self.disk.read_only() { F_READ_ONLY } else { F_DISCARD | F_WRITE_ZEROES }
    }

    fn queues(&self) -> &'static [u16] {
        &[256]
    }

    fn config(&self) -> Vec<u8> {
        let sectors = self.disk.len() / SECTOR;
        // A geometry of 16 heads and 63 sectors, as tables of partitions assume.
        let cylinders = u16::try_from(sectors / (16 * 63)).unwrap_or(u16::MAX);
        let mut config = Vec::with_capacity(60);
        config.extend_from_slice(&sectors.to_le_bytes());
        config.extend_from_slice(&0u32.to_le_bytes()); // size_max
        config.extend_from_slice(&SEG_MAX.to_le_bytes());
        config.extend_from_slice(&cylinders.to_le_bytes());
        config.extend_from_slice(&[16, 63]);
        config.extend_from_slice(&(SECTOR as u32).to_le_bytes());
        config.extend_from_slice(&[3, 0]); // physical blocks of 4 KiB, aligned
        config.extend_from_slice(&8u16.to_le_bytes()); // min_io_size
        config.extend_from_slice(&(PIECE as u32 / SECTOR as u32).to_le_bytes()); // opt_io_size
        config.extend_from_slice(&[u8::from(self.write_back), 0]);
        config.extend_from_slice(&1u16.to_le_bytes()); // num_queues
        config.extend_from_slice(&MAX_RANGE.to_le_bytes()); // discard
        config.extend_from_slice(&MAX_RANGES.to_le_bytes());
        config.extend_from_slice(&8u32.to_le_bytes()); // discard_sector_alignment
        config.extend_from_slice(&MAX_RANGE.to_le_bytes()); // write zeroes
        config.extend_from_slice(&MAX_RANGES.to_le_bytes());
        config.extend_from_slice(&[1, 0, 0, 0]); // write_zeroes_may_unmap
        config
    }

    fn write_config(&mut self, io: &mut Io, offset: u64, bytes: &[u8]) {
        if offset == 32 && io.has(F_CONFIG_WCE) {
            self.write_back = bytes.first().is_some_and(|byte| byte & 1 != 0);
            if !self.write_back
                && let Err(error) = self.disk.flush()
            {
                io.ctx.complain(format!("{}: flush: {error}", self.name));
            }
        }
    }

    fn reset(&mut self, _ctx: &mut Ctx, _power: bool) {
        self.write_back = true;
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        let mut budget = BUDGET;
        while let Some(mut chain) = io.pop(queue) {
            let size = chain.readable.remaining() + chain.writable.remaining();
            let Some(mut tail) = chain.writable.split_tail(1) else {
                io.fail("a block request has no room for its status");
                return;
            };
            let status = self.serve(io, &mut chain);
            tail.write(&io.memory, &[status as u8]);
            // Only what was written without a gap counts; after an error that leaves the status out.
            let gap = chain.writable.remaining() > 0;
            io.push(queue, chain.head, chain.writable.done() + u64::from(!gap));
            budget = budget.saturating_sub(size);
            if budget == 0 {
                io.ctx.schedule(queue as u32, io.ctx.now());
                return;
            }
        }
    }

    fn event(&mut self, io: &mut Io, token: u32) {
        self.notify(io, token as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::feature::INDIRECT_DESC;
    use super::super::testing::{Driver, torture};
    use super::*;
    use devices_core::bench::RAM;
    use std::sync::{Arc, Mutex};

    /// A disk in memory; its content, and whether it was flushed since the last write.
    #[derive(Clone)]
    struct Memory {
        content: Arc<Mutex<(Vec<u8>, bool)>>,
        read_only: bool,
    }

    impl Memory {
        fn new(len: usize) -> Memory {
            let bytes = (0..len).map(|i| (i / 512 + i) as u8).collect();
            Memory { content: Arc::new(Mutex::new((bytes, true))), read_only: false }
        }

        fn bytes(&self) -> Vec<u8> {
            self.content.lock().unwrap().0.clone()
        }

        fn flushed(&self) -> bool {
            self.content.lock().unwrap().1
        }
    }

    impl BlockBackend for Memory {
        fn len(&self) -> u64 {
            self.content.lock().unwrap().0.len() as u64
        }

        fn read_only(&self) -> bool {
            self.read_only
        }

        fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
            let content = self.content.lock().unwrap();
            into.copy_from_slice(&content.0[offset as usize..][..into.len()]);
            Ok(())
        }

        fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
            assert!(!self.read_only);
            let mut content = self.content.lock().unwrap();
            content.0[offset as usize..][..from.len()].copy_from_slice(from);
            content.1 = false;
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.content.lock().unwrap().1 = true;
            Ok(())
        }
    }

    fn request(kind: u32, sector: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&sector.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn range(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
        let mut bytes = sector.to_le_bytes().to_vec();
        bytes.extend_from_slice(&sectors.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes
    }

    #[test]
    fn reads_and_writes_sectors() {
        let disk = Memory::new(8 * 512);
        let mut driver =
            Driver::new(Blk::new(Box::new(disk.clone()), "disk"), F_FLUSH | F_CONFIG_WCE | INDIRECT_DESC);
        let answer = driver.ask(0, &request(READ, 2, &[]), 2 * 512 + 1).unwrap();
        assert_eq!((&answer[..1024], answer[1024]), (&disk.bytes()[1024..2048], 0));
        assert_eq!(driver.interrupt(), 1);
        let data: Vec<u8> = (0..1024).map(|i| (i * 7) as u8).collect();
        assert_eq!(driver.ask(0, &request(WRITE, 6, &data), 1), Some(vec![0]));
        assert_eq!(disk.bytes()[6 * 512..], data);
        assert!(!disk.flushed());
        assert_eq!(driver.ask(0, &request(FLUSH, 0, &[]), 1), Some(vec![0]));
        assert!(disk.flushed());
        driver.bench.write(0x120, devices_core::Width::B1, 0);
        assert_eq!(driver.ask(0, &request(WRITE, 0, &data), 1), Some(vec![0]));
        assert!(disk.flushed(), "written through");
        driver.bench.check_save_restore();
        let id = driver.ask(0, &request(GET_ID, 0, &[]), 21).unwrap();
        assert_eq!((&id[..5], id[20]), (&b"disk\0"[..], 0));
    }

    #[test]
    fn a_large_request_lets_the_guest_run_before_the_next() {
        let disk = Memory::new(32 << 20);
        let mut driver = Driver::new(Blk::new(Box::new(disk.clone()), "disk"), INDIRECT_DESC);
        let (header, data, status) = (driver.alloc(16), driver.alloc(PIECE), driver.alloc(2));
        driver.poke(header, &request(READ, 8, &[]));
        driver.poke(status, &[9, 9]);
        let mut large = vec![(header, 16, false)];
        large.extend(vec![(data, PIECE as u32, true); 300]);
        large.push((status, 1, true));
        driver.add_at(0, 0, RAM + 0x1_0000, &large);
        driver.add_at(0, 1, RAM + 0x1_8000, &[(header, 16, false), (data, 512, true), (status + 1, 1, true)]);
        driver.kick(0);
        assert_eq!((driver.take(0), driver.take(0)), (Some((0, 300 * PIECE as u32 + 1)), None));
        let last = 8 * 512 + 299 * PIECE;
        assert_eq!(driver.peek(data, PIECE), disk.bytes()[last..last + PIECE]);
        driver.bench.advance(devices_core::Time::ZERO);
        assert_eq!((driver.take(0), driver.peek(status, 2)), (Some((1, 513)), vec![0, 0]));
        assert_eq!(driver.peek(data, 512), disk.bytes()[8 * 512..9 * 512]);
    }

    #[test]
    fn refuses_what_is_not_there() {
        let disk = Memory::new(4 * 512 + 100);
        let mut driver = Driver::new(Blk::new(Box::new(disk.clone()), "disk"), 0);
        let before = disk.bytes();
        let data = [1; 512];
        let (io, unsupported) = (Some(vec![1]), Some(vec![2]));
        assert_eq!(driver.ask(0, &request(WRITE, 4, &data), 1), io);
        assert_eq!(driver.ask(0, &request(WRITE, u64::MAX, &data), 1), io);
        assert_eq!(driver.ask(0, &request(WRITE, 1 << 55, &data), 1), io);
        assert_eq!(driver.ask(0, &request(WRITE, 0, &data[..511]), 1), io);
        assert_eq!(driver.ask(0, &request(99, 0, &data), 1), unsupported);
        assert_eq!(driver.ask(0, &request(READ, 4, &[]), 513), Some(vec![]), "no data, so nothing counts");
        assert_eq!(driver.peek(0x8002_0010 + 512, 1), [1]);
        assert_eq!(disk.bytes(), before);
        assert_eq!(driver.status(), 15);
    }

    #[test]
    fn erases_ranges() {
        let disk = Memory::new(16 * 512);
        let mut driver = Driver::new(Blk::new(Box::new(disk.clone()), "disk"), F_DISCARD | F_WRITE_ZEROES);
        let two = [range(1, 2, 1), range(5, 1, 0)].concat();
        assert_eq!(driver.ask(0, &request(WRITE_ZEROES, 0, &two), 1), Some(vec![0]));
        let after = disk.bytes();
        assert!(after[512..3 * 512].iter().chain(&after[5 * 512..6 * 512]).all(|byte| *byte == 0));
        assert_eq!(after[3 * 512 + 1], Memory::new(16 * 512).bytes()[3 * 512 + 1]);
        assert_eq!(driver.ask(0, &request(DISCARD, 0, &range(8, 8, 0)), 1), Some(vec![0]));
        for (kind, ranges, status) in [
            (DISCARD, range(0, 1, 1), 2),
            (WRITE_ZEROES, range(0, 1, 2), 2),
            (DISCARD, range(9, 8, 0), 1),
            (DISCARD, range(0, u32::MAX, 0), 1),
            (DISCARD, vec![0; 15], 1),
            (DISCARD, range(0, 0, 0).repeat(17), 1),
        ] {
            assert_eq!(driver.ask(0, &request(kind, 0, &ranges), 1), Some(vec![status]), "{ranges:?}");
        }
    }

    #[test]
    fn a_read_only_disk_says_so() {
        let disk = Memory { read_only: true, ..Memory::new(512) };
        let mut driver = Driver::new(Blk::new(Box::new(disk), "disk"), F_READ_ONLY);
        assert_eq!(driver.bench.read32(0x10) as u64 & (F_READ_ONLY | F_DISCARD), F_READ_ONLY);
        for kind in [WRITE, DISCARD, WRITE_ZEROES] {
            let data = if kind == WRITE { vec![0; 512] } else { range(0, 1, 0) };
            assert_eq!(driver.ask(0, &request(kind, 0, &data), 1), Some(vec![1]));
        }
    }

    #[test]
    fn the_configuration_follows_the_layout() {
        let mut driver = Driver::new(Blk::new(Box::new(Memory::new(2048 * 512)), "disk"), 0);
        assert_eq!(driver.config(0, 8), 2048u64.to_le_bytes());
        assert_eq!(driver.config(12, 4), SEG_MAX.to_le_bytes());
        assert_eq!(driver.config(16, 8), [2, 0, 16, 63, 0, 2, 0, 0]);
        assert_eq!(driver.config(32, 1), [1]);
        assert_eq!(driver.config(36, 4), MAX_RANGE.to_le_bytes());
        assert_eq!(driver.config(48, 12)[8..], [1, 0, 0, 0]);
        assert_eq!(driver.bench.read(0x200, devices_core::Width::B4), 0, "past the end");
    }

    #[test]
    fn a_request_without_its_parts_needs_a_reset() {
        for (request, room) in [(vec![0; 8], 1), (request(READ, 0, &[]), 0)] {
            let mut driver = Driver::new(Blk::new(Box::new(Memory::new(512)), "disk"), 0);
            driver.ask(0, &request, room);
            assert_eq!(driver.status(), 15 | 64);
            assert_eq!(driver.interrupt() & 2, 2);
            driver.start(0);
            assert_eq!(driver.status(), 15);
        }
    }

    #[test]
    fn survives_anything() {
        let features = F_FLUSH | F_DISCARD | F_WRITE_ZEROES | F_CONFIG_WCE;
        torture(|| Box::new(Blk::new(Box::new(Memory::new(64 * 512)), "disk")), features);
    }
}
