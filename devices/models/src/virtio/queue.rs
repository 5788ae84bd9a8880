//! Split virtqueues: virtio 1.2, section 2.7.
//!
//! Indirect descriptors and event-idx suppression are there; packed rings are left out. A ring that breaks the
//! rules is a value ([`Broken`]), on which the transport asks the driver for a reset. No ring makes the host loop
//! or allocate beyond the limits below.

use devices_core::{GuestMemory, RestoreError};
use serde::{Deserialize, Serialize};

/// Most segments in a chain of buffers. The specification allows as many as the queue is long; Linux makes longer
/// chains where indirect descriptors are negotiated.
pub const MAX_SEGMENTS: usize = 1024;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const NO_INTERRUPT: u64 = 1;

/// The rule that a driver broke; the device needs a reset.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub &'static str);

/// Part of a chain: buffers in guest memory, used from the front like a stream.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Buffers {
    segments: Vec<(u64, u32)>,
    at: usize,
    offset: u32,
    remaining: u64,
    done: u64,
}

impl Buffers {
    fn add(&mut self, addr: u64, len: u32) {
        self.segments.push((addr, len));
        self.remaining += u64::from(len);
    }

    /// Bytes that have not been read or written yet.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Bytes that were read or written.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Lets `f` move up to `len` bytes, piece by piece: an address, and which of the bytes are there.
    fn each(&mut self, len: usize, mut f: impl FnMut(u64, std::ops::Range<usize>) -> bool) -> usize {
        let mut count = 0;
        while count < len
            && let Some(&(addr, size)) = self.segments.get(self.at)
        {
            let part = ((len - count) as u64).min(u64::from(size - self.offset)) as usize;
            if part > 0 && !f(addr + u64::from(self.offset), count..count + part) {
                break;
            }
            count += part;
            self.offset += part as u32;
            if self.offset == size {
                self.at += 1;
                self.offset = 0;
            }
        }
        self.done += count as u64;
        self.remaining -= count as u64;
        count
    }

    /// Reads as much of `into` as there is; returns how much.
    pub fn read(&mut self, memory: &GuestMemory, into: &mut [u8]) -> usize {
        self.each(into.len(), |addr, range| memory.read(addr, &mut into[range]).is_ok())
    }

    /// Reads `N` bytes; `None` if there are fewer.
    pub fn array<const N: usize>(&mut self, memory: &GuestMemory) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.read(memory, &mut bytes) == N).then_some(bytes)
    }

    /// Reads all that remains, but not more than `limit` bytes.
    pub fn take(&mut self, memory: &GuestMemory, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.remaining.min(limit as u64) as usize];
        let count = self.read(memory, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    /// Writes as much of `from` as there is room for; returns how much.
    pub fn write(&mut self, memory: &GuestMemory, from: &[u8]) -> usize {
        self.each(from.len(), |addr, range| memory.write(addr, &from[range]).is_ok())
    }

    /// Takes the last `count` bytes away; `None` if there are fewer. Nothing may have been read or written yet.
    pub fn split_tail(&mut self, count: u32) -> Option<Buffers> {
        if self.remaining < u64::from(count) || self.done != 0 {
            return None;
        }
        let mut tail = Vec::new();
        let mut wanted = count;
        while wanted > 0 {
            let (addr, len) = self.segments.pop()?;
            let part = len.min(wanted);
            tail.push((addr + u64::from(len - part), part));
            if part < len {
                self.segments.push((addr, len - part));
            }
            wanted -= part;
        }
        self.remaining -= u64::from(count);
        tail.reverse();
        Some(Buffers { segments: tail, remaining: count.into(), ..Buffers::default() })
    }
}

/// A request of the driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Index of its first descriptor: its name in the used ring.
    pub head: u16,
    /// What the driver says.
    pub readable: Buffers,
    /// Where the device answers.
    pub writable: Buffers,
}

/// A split virtqueue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Queue {
    max: u16,
    /// Number of descriptors, a power of two.
    pub size: u16,
    /// The driver has set it up.
    pub ready: bool,
    /// Address of the descriptor table.
    pub desc: u64,
    /// Address of the available ring.
    pub avail: u64,
    /// Address of the used ring.
    pub used: u64,
    next_avail: u16,
    next_used: u16,
    /// `next_used` when the driver was last told.
    told: u16,
    event_idx: bool,
    indirect: bool,
}

impl Queue {
    /// A queue of at most `max` descriptors, which is a power of two.
    pub fn new(max: u16) -> Queue {
        Queue {
            max,
            size: max,
            ready: false,
            desc: 0,
            avail: 0,
            used: 0,
            next_avail: 0,
            next_used: 0,
            told: 0,
            event_idx: false,
            indirect: false,
        }
    }

    /// Most descriptors.
    pub fn max(&self) -> u16 {
        self.max
    }

    /// Back to how it was made.
    pub fn reset(&mut self) {
        *self = Queue::new(self.max);
    }

    /// Takes it into use with these features, or says what is wrong with its set-up.
    pub fn enable(&mut self, event_idx: bool, indirect: bool) -> Result<(), Broken> {
        if (self.desc % 16, self.avail % 2, self.used % 4) != (0, 0, 0) {
            return Err(Broken("a ring is not aligned"));
        }
        (self.event_idx, self.indirect) = (event_idx, indirect);
        self.ready = true;
        Ok(())
    }

    /// Whether a saved queue is one that this one can become.
    pub fn check(&self, saved: &Queue) -> Result<(), RestoreError> {
        if saved.max != self.max || !valid_size(saved.size, self.max) {
            return Err(RestoreError("a virtqueue of another size".into()));
        }
        Ok(())
    }

    fn slot(&self, ring: u64, header: u64, index: u16, bytes: u64) -> u64 {
        ring.wrapping_add(header).wrapping_add(u64::from(index & (self.size - 1)) * bytes)
    }

    /// The next request, if there is one.
    pub fn pop(&mut self, memory: &GuestMemory) -> Result<Option<Chain>, Broken> {
        if !self.ready {
            return Ok(None);
        }
        let unread = Broken("the available ring is not in memory");
        let filled = memory.read_le(self.avail.wrapping_add(2), 2).map_err(|_| unread)? as u16;
        let waiting = filled.wrapping_sub(self.next_avail);
        if waiting == 0 {
            if self.event_idx {
                // Asks to be notified of the next request; without event-idx every one is notified.
                let event = self.used.wrapping_add(4 + 8 * u64::from(self.size));
                self.write_used(memory, event, &self.next_avail.to_le_bytes())?;
            }
            return Ok(None);
        }
        if waiting > self.size {
            return Err(Broken("more requests are available than the queue is long"));
        }
        let slot = self.slot(self.avail, 4, self.next_avail, 2);
        let head = memory.read_le(slot, 2).map_err(|_| unread)? as u16;
        let chain = self.walk(memory, head)?;
        self.next_avail = self.next_avail.wrapping_add(1);
        Ok(Some(chain))
    }

    /// Gives the last `count` popped requests back, to pop them again later.
    pub fn unpop(&mut self, count: u16) {
        self.next_avail = self.next_avail.wrapping_sub(count);
    }

    fn walk(&self, memory: &GuestMemory, head: u16) -> Result<Chain, Broken> {
        let mut chain = Chain { head, readable: Buffers::default(), writable: Buffers::default() };
        let (mut table, mut count, mut index, mut inside) = (self.desc, u32::from(self.size), head, false);
        for _ in 0..=MAX_SEGMENTS {
            if u32::from(index) >= count {
                return Err(Broken("a descriptor index is out of range"));
            }
            let mut bytes = [0; 16];
            memory
                .read(table.wrapping_add(16 * u64::from(index)), &mut bytes)
                .map_err(|_| Broken("a descriptor is not in memory"))?;
            let raw = u128::from_le_bytes(bytes);
            let (addr, len, flags, next) =
                (raw as u64, (raw >> 64) as u32, (raw >> 96) as u16, (raw >> 112) as u16);
            if flags & INDIRECT != 0 {
                if !self.indirect || inside || flags & NEXT != 0 || len == 0 || len % 16 != 0 {
                    return Err(Broken("an indirect descriptor where none may be"));
                }
                (table, count, index, inside) = (addr, len / 16, 0, true);
                continue;
            }
            let write = flags & WRITE != 0;
            if len > 0 {
                // A region is all RAM or all ROM, so its first page tells whether it can be written.
                let writable = || memory.page(addr).is_some_and(|page| page.writable);
                if memory.region(addr, len.into()).is_none() || write && !writable() {
                    return Err(Broken("a buffer is not in memory"));
                }
            }
            if write {
                chain.writable.add(addr, len);
            } else if chain.writable.segments.is_empty() {
                chain.readable.add(addr, len);
            } else {
                return Err(Broken("a buffer to read follows one to write"));
            }
            if chain.readable.segments.len() + chain.writable.segments.len() > MAX_SEGMENTS {
                break;
            }
            if flags & NEXT == 0 {
                let total = chain.readable.remaining + chain.writable.remaining;
                let fits = total <= u64::from(u32::MAX);
                return if fits { Ok(chain) } else { Err(Broken("a chain is longer than 4 GiB")) };
            }
            index = next;
        }
        Err(Broken("a chain of descriptors is too long, or a loop"))
    }

    fn write_used(&self, memory: &GuestMemory, addr: u64, bytes: &[u8]) -> Result<(), Broken> {
        memory.write(addr, bytes).map_err(|_| Broken("the used ring is not in memory"))
    }

    /// Returns a request with `written` bytes written to the front of its writable part.
    pub fn push(&mut self, memory: &GuestMemory, head: u16, written: u32) -> Result<(), Broken> {
        let mut element = [0; 8];
        element[..2].copy_from_slice(&head.to_le_bytes());
        element[4..].copy_from_slice(&written.to_le_bytes());
        // The element first, then the index that publishes it.
        self.write_used(memory, self.slot(self.used, 4, self.next_used, 8), &element)?;
        self.next_used = self.next_used.wrapping_add(1);
        self.write_used(memory, self.used.wrapping_add(2), &self.next_used.to_le_bytes())
    }

    /// Whether the driver wants an interrupt for what was returned since the last call.
    pub fn interrupts(&mut self, memory: &GuestMemory) -> Result<bool, Broken> {
        if !self.ready || self.next_used == self.told {
            return Ok(false);
        }
        let unread = |_| Broken("the available ring is not in memory");
        let fresh = self.next_used.wrapping_sub(self.told);
        self.told = self.next_used;
        if self.event_idx {
            let slot = self.avail.wrapping_add(4 + 2 * u64::from(self.size));
            let event = memory.read_le(slot, 2).map_err(unread)? as u16;
            Ok(self.next_used.wrapping_sub(event).wrapping_sub(1) < fresh)
        } else {
            Ok(memory.read_le(self.avail, 2).map_err(unread)? & NO_INTERRUPT == 0)
        }
    }
}

/// Whether a driver may choose `size` where the device offers `max`.
pub fn valid_size(size: u16, max: u16) -> bool {
    size.is_power_of_two() && size <= max
}

#[cfg(test)]
mod tests {
    use super::super::device::feature::{EVENT_IDX, INDIRECT_DESC};
    use super::super::rng::Entropy;
    use super::super::testing::Driver;
    use super::*;
    use devices_core::bench::{RAM, bench_memory};

    const NEEDS_RESET: u32 = 64;
    const TABLE: u64 = RAM + 0x8000;

    fn driver(features: u64) -> Driver {
        Driver::new(Entropy::new(1, "rng"), features)
    }

    /// Sets a ring up by hand, offers descriptor 0 and says whether the device took it.
    fn takes(features: u64, describe: impl Fn(&Driver)) -> bool {
        let mut driver = driver(features);
        describe(&driver);
        driver.offer(0, 0);
        driver.kick(0);
        let taken = driver.take(0).is_some();
        assert_eq!(driver.status() & NEEDS_RESET != 0, !taken);
        taken
    }

    #[test]
    fn chains_are_checked() {
        let room = (RAM + 0x9000, 16);
        let at = |index| move |driver: &Driver, flags, next| driver.describe(RAM, index, room, flags, next);
        let (zero, one) = (at(0), at(1));
        assert!(takes(0, |driver| zero(driver, WRITE, 0)));
        assert!(takes(0, |driver| (zero(driver, NEXT, 1), one(driver, WRITE, 0)).0));
        assert!(!takes(0, |driver| (zero(driver, NEXT | WRITE, 1), one(driver, 0, 0)).0), "read after write");
        assert!(
            !takes(0, |driver| (zero(driver, NEXT | WRITE, 1), one(driver, NEXT | WRITE, 0)).0),
            "a loop"
        );
        assert!(!takes(0, |driver| zero(driver, NEXT, 16)), "next out of range");
        for (addr, len) in [(0, 1), (u64::MAX, 1), (RAM + 0x10_0000 - 8, 9), (RAM, u32::MAX)] {
            assert!(!takes(0, |driver| driver.describe(RAM, 0, (addr, len), WRITE, 0)), "{addr:#x}+{len:#x}");
        }
        assert!(takes(0, |driver| driver.describe(RAM, 0, (0, 0), WRITE, 0)), "an empty buffer is nowhere");
    }

    #[test]
    fn indirect_tables_are_checked() {
        let inner = |driver: &Driver, flags| driver.describe(TABLE, 0, (RAM + 0x9000, 16), flags, 1);
        let outer = |driver: &Driver, len, flags| driver.describe(RAM, 0, (TABLE, len), flags, 1);
        let both = |len, outside, inside| {
            takes(INDIRECT_DESC, |driver| (outer(driver, len, outside), inner(driver, inside)).0)
        };
        assert!(both(16, INDIRECT, WRITE));
        assert!(both(16, INDIRECT | WRITE, WRITE), "the write flag means nothing there");
        for (len, outside, inside) in [
            (16, INDIRECT | NEXT, WRITE),
            (0, INDIRECT, WRITE),
            (24, INDIRECT, WRITE),
            (16, INDIRECT, INDIRECT),
        ] {
            assert!(!both(len, outside, inside), "{len} {outside} {inside}");
        }
        assert!(!both(16, INDIRECT, WRITE | NEXT), "past the end of the table");
        assert!(!takes(0, |driver| (outer(driver, 16, INDIRECT), inner(driver, WRITE)).0), "not negotiated");
        let direct_first = |driver: &Driver| {
            driver.describe(RAM, 0, (RAM + 0x9000, 16), NEXT, 1);
            driver.describe(RAM, 1, (TABLE, 16), INDIRECT, 0);
            driver.describe(TABLE, 0, (RAM + 0xa000, 16), WRITE, 0);
        };
        assert!(takes(INDIRECT_DESC, direct_first));
    }

    #[test]
    fn a_long_indirect_chain_ends() {
        let chain = |count: u32| {
            takes(INDIRECT_DESC, |driver| {
                driver.describe(RAM, 0, (TABLE, count * 16), INDIRECT, 0);
                for i in 0..count {
                    let more = if i + 1 < count { NEXT } else { 0 };
                    driver.describe(TABLE, i as u16, (RAM + 0x4_0000, 1), WRITE | more, i as u16 + 1);
                }
            })
        };
        assert!(chain(MAX_SEGMENTS as u32));
        assert!(!chain(MAX_SEGMENTS as u32 + 1));
    }

    #[test]
    fn too_many_at_once_are_refused() {
        let mut driver = driver(0);
        for _ in 0..17 {
            driver.offer(0, 0);
        }
        driver.kick(0);
        assert_eq!(driver.status() & NEEDS_RESET, NEEDS_RESET);
    }

    #[test]
    fn an_answer_over_the_ring_does_not_hang() {
        // The device writes random bytes over the available ring's index, again and again.
        for offset in 0..4 {
            let mut driver = driver(0);
            driver.describe(RAM, 0, (RAM + 0x400 + offset, 512), WRITE, 0);
            driver.offer(0, 0);
            driver.kick(0);
            driver.start(0);
            assert!(driver.ask(0, &[], 8).is_some());
        }
    }

    #[test]
    fn rings_wrap() {
        let mut driver = driver(0);
        for round in 0..70_000u32 {
            assert!(driver.ask(0, &[], 1).is_some(), "{round}");
        }
    }

    #[test]
    fn interrupts_are_suppressed_by_flag_or_by_index() {
        let mut plain = driver(0);
        plain.ask(0, &[], 1);
        assert_eq!(plain.interrupt(), 1);
        plain.poke(RAM + 0x400, &[1, 0]);
        plain.ask(0, &[], 1);
        assert_eq!(plain.interrupt(), 0);

        let mut indexed = driver(EVENT_IDX);
        let used_event = |driver: &Driver, at: u16| driver.poke(RAM + 0x404 + 32, &at.to_le_bytes());
        used_event(&indexed, 2);
        let told: Vec<u32> = (0..5).map(|_| (indexed.ask(0, &[], 1), indexed.interrupt()).1).collect();
        assert_eq!(told, [0, 0, 1, 0, 0], "when the used index passes 2");
        let avail_event = indexed.memory.read_le(RAM + 0x804 + 8 * 16, 2).unwrap();
        assert_eq!(avail_event, 5, "the device wants to hear of the next");
    }

    #[test]
    fn a_tail_is_split_across_buffers() {
        let memory = bench_memory();
        let mut all = Buffers::default();
        for (addr, len) in [(RAM, 3), (RAM + 16, 2), (RAM + 32, 1)] {
            all.add(addr, len);
        }
        assert!(all.clone().split_tail(7).is_none());
        let mut tail = all.split_tail(4).unwrap();
        assert_eq!((all.remaining(), tail.remaining()), (2, 4));
        assert_eq!(all.write(&memory, b"abcdef"), 2);
        assert_eq!(tail.write(&memory, b"wxyz!"), 4);
        let mut bytes = [0; 33];
        memory.read(RAM, &mut bytes).unwrap();
        assert_eq!((&bytes[..3], &bytes[16..18], bytes[32]), (&b"abw"[..], &b"xy"[..], b'z'));
        assert_eq!((all.done(), all.remaining()), (2, 0));
    }
}
