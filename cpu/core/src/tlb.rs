//! The soft TLB: from a virtual page under a context straight to host memory.
//!
//! Three direct-mapped tables (read, write, fetch). An entry's tag is the virtual page with a context number in the
//! page-offset bits; a context stands for everything that translation and protection depend on beside the address
//! (address space, privilege, override bits), so that switching between known contexts flushes nothing. A lookup
//! compares the page of the access's **last** byte: an access that crosses a page misses and goes the slow way, at no
//! cost elsewhere. Only ordinary memory is entered: devices, pages under code tracking (for stores) and
//! pages that protection splits never are, so that the slow way sees every such access.
#![allow(unsafe_code)]

use std::cell::Cell;

use crate::bus::Width;
use crate::memory::{GuestMemory, PAGE_SIZE};

const ENTRIES: usize = 4096;
const FETCH_ENTRIES: usize = 1024;
const CONTEXTS: usize = 64;
const MAX_ID: u64 = PAGE_SIZE - 1;
/// Not a page under any context: context numbers start at 1.
const INVALID: u64 = 0;
const PAGE: u64 = !(PAGE_SIZE - 1);

/// What an access does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum AccessKind {
    /// Load.
    Read,
    /// Store.
    Write,
    /// Instruction fetch.
    Fetch,
}

/// What a context stands for: the ISA's own encoding of address space and of mode.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct ContextKey {
    /// Root of the translation and address-space number.
    pub space: u64,
    /// Privilege and override bits.
    pub mode: u32,
}

#[derive(Clone)]
struct Entry {
    tag: Cell<u64>,
    /// Host address of the page minus its virtual address.
    host: Cell<*mut u8>,
}

#[derive(Clone)]
struct FetchEntry {
    tag: Cell<u64>,
    paddr: Cell<u64>,
}

type Table<E, const N: usize> = Box<[E; N]>;

fn table<E: Clone, const N: usize>(entry: E) -> Table<E, N> {
    let Ok(table) = vec![entry; N].into_boxed_slice().try_into() else { unreachable!("N entries were made") };
    table
}

/// One core's TLB.
pub struct Tlb {
    memory: GuestMemory,
    read: Table<Entry, ENTRIES>,
    write: Table<Entry, ENTRIES>,
    fetch: Table<FetchEntry, FETCH_ENTRIES>,
    contexts: Table<Cell<(ContextKey, u64)>, CONTEXTS>,
    next_id: Cell<u64>,
    /// Hull of all large pages entered since the last full flush, for each half of the address space.
    large: [Cell<(u64, u64)>; 2],
    code_epoch: Cell<u64>,
    map_epoch: Cell<u64>,
    flushes: Cell<u64>,
}

// SAFETY: the host pointers lead into the mappings of `memory`, which this value keeps alive and which may be used
// from any thread; nothing else ties the table to a thread.
unsafe impl Send for Tlb {}

#[inline(always)]
fn slot<const N: usize>(tag: u64) -> usize {
    // Contexts are spread, so that one page under two of them does not fight for one entry.
    ((tag >> 12) ^ (tag << 4)) as usize & (N - 1)
}

impl Tlb {
    /// An empty TLB over `memory`.
    pub fn new(memory: GuestMemory) -> Tlb {
        let entry = Entry { tag: Cell::new(INVALID), host: Cell::new(std::ptr::null_mut()) };
        let none = FetchEntry { tag: Cell::new(INVALID), paddr: Cell::new(0) };
        Tlb {
            read: table(entry.clone()),
            write: table(entry),
            fetch: table(none),
            contexts: table(Cell::new((ContextKey::default(), INVALID))),
            next_id: Cell::new(1),
            large: [const { Cell::new((u64::MAX, 0)) }; 2],
            code_epoch: Cell::new(memory.code_epoch()),
            map_epoch: Cell::new(memory.map_epoch()),
            flushes: Cell::new(0),
            memory,
        }
    }

    /// The memory behind it.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// The number of a context, 1 to 4095. Valid until [`Tlb::flushes`] changes.
    pub fn context(&self, key: ContextKey) -> u64 {
        let hash =
            (key.space ^ key.space >> 44 ^ (key.mode as u64) << 58).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &self.contexts[(hash >> 58) as usize & (CONTEXTS - 1)];
        let (held, id) = place.get();
        if held == key && id != INVALID {
            return id;
        }
        if self.next_id.get() > MAX_ID {
            self.clear();
        }
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        place.set((key, id));
        id
    }

    /// Changes with every flush, whatever its extent: contexts must be asked for again, and translations that
    /// were remembered elsewhere are void.
    #[inline(always)]
    pub fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    fn clear(&self) {
        self.read.iter().chain(self.write.iter()).for_each(|entry| entry.tag.set(INVALID));
        self.fetch.iter().for_each(|entry| entry.tag.set(INVALID));
        self.contexts.iter().for_each(|place| place.set((ContextKey::default(), INVALID)));
        self.next_id.set(1);
        self.flushes.set(self.flushes.get() + 1);
    }

    /// Drops every entry.
    pub fn flush(&self) {
        self.large.iter().for_each(|hull| hull.set((u64::MAX, 0)));
        self.flush_contexts(|_| true);
    }

    /// Drops every entry of the contexts that `which` names.
    pub fn flush_contexts(&self, which: impl Fn(ContextKey) -> bool) {
        for place in self.contexts.iter() {
            let (key, id) = place.get();
            if id != INVALID && which(key) {
                // Its number is never given out again before all tables are cleared.
                place.set((key, INVALID));
            }
        }
        self.flushes.set(self.flushes.get() + 1);
    }

    /// Drops the entries for the page of `vaddr` (the whole large page, where it may lie in one) under the contexts
    /// that `which` names.
    pub fn flush_page(&self, vaddr: u64, which: impl Fn(ContextKey) -> bool) {
        let (low, high) = self.large[(vaddr >> 63) as usize].get();
        if (low..=high).contains(&vaddr) {
            return self.flush_contexts(which);
        }
        for place in self.contexts.iter() {
            let (key, id) = place.get();
            if id == INVALID || !which(key) {
                continue;
            }
            let tag = vaddr & PAGE | id;
            for entry in [&self.read[slot::<ENTRIES>(tag)], &self.write[slot::<ENTRIES>(tag)]] {
                if entry.tag.get() == tag {
                    entry.tag.set(INVALID);
                }
            }
            let entry = &self.fetch[slot::<FETCH_ENTRIES>(tag)];
            if entry.tag.get() == tag {
                entry.tag.set(INVALID);
            }
        }
        self.flushes.set(self.flushes.get() + 1);
    }

    /// Drops what memory's epochs say is stale. To be called when a core is entered, after each access to the bus and
    /// after marking code.
    #[inline]
    pub fn sync(&self) {
        if self.map_epoch.get() != self.memory.map_epoch() {
            self.map_epoch.set(self.memory.map_epoch());
            self.flush();
        }
        if self.code_epoch.get() != self.memory.code_epoch() {
            self.code_epoch.set(self.memory.code_epoch());
            self.write.iter().for_each(|entry| entry.tag.set(INVALID));
        }
    }

    /// Enters the translation of the page of `vaddr` to that of `paddr`, which is part of a leaf of `size` bytes.
    /// Does nothing where `paddr` is no memory, or where stores to it have to be seen.
    pub fn insert(&self, context: u64, kind: AccessKind, vaddr: u64, paddr: u64, size: u64) {
        if size > PAGE_SIZE {
            let hull = &self.large[(vaddr >> 63) as usize];
            let (low, high) = hull.get();
            hull.set((low.min(vaddr & !(size - 1)), high.max(vaddr | (size - 1))));
        }
        let tag = vaddr & PAGE | context;
        if kind == AccessKind::Fetch {
            let entry = &self.fetch[slot::<FETCH_ENTRIES>(tag)];
            entry.paddr.set(paddr & PAGE);
            entry.tag.set(tag);
            return;
        }
        self.sync();
        let Some(page) = self.memory.page(paddr) else { return };
        let entry = match kind {
            AccessKind::Write if page.code || !page.writable => return,
            AccessKind::Write => &self.write[slot::<ENTRIES>(tag)],
            _ => &self.read[slot::<ENTRIES>(tag)],
        };
        entry.host.set(page.host.as_ptr().wrapping_sub((vaddr & PAGE) as usize));
        entry.tag.set(tag);
    }

    /// The host address of `addr..addr+width`, if a valid entry of `table` covers all of it.
    #[inline(always)]
    fn lookup(table: &[Entry; ENTRIES], context: u64, addr: u64, width: Width) -> Option<*mut u8> {
        let entry = &table[slot::<ENTRIES>(addr & PAGE | context)];
        let tag = addr.wrapping_add(width.bytes() - 1) & PAGE | context;
        // `insert` keeps a tag in its own slot only, and the slots of neighbouring pages always differ: an entry in the
        // first byte's slot with the last byte's tag is one for the page that holds both.
        (entry.tag.get() == tag).then(|| entry.host.get().wrapping_add(addr as usize))
    }

    /// Reads memory, zero-extended, where an entry allows it.
    #[inline(always)]
    pub fn load(&self, context: u64, addr: u64, width: Width) -> Option<u64> {
        Self::read_at(Self::lookup(&self.read, context, addr, width)?, width)
    }

    /// Reads what [`Tlb::store`] would replace, where an entry allows that.
    #[inline(always)]
    pub fn load_for_store(&self, context: u64, addr: u64, width: Width) -> Option<u64> {
        Self::read_at(Self::lookup(&self.write, context, addr, width)?, width)
    }

    /// `host` comes from [`Tlb::lookup`].
    #[inline(always)]
    fn read_at(host: *mut u8, width: Width) -> Option<u64> {
        // SAFETY: the entry was made by `insert` from `GuestMemory::page`, so that the page's 4096 bytes are mapped as
        // long as `self.memory` lives; the access lies in that page, as `lookup` argues. Guest memory is only accessed through raw pointers, without alignment.
        unsafe {
            Some(match width {
                Width::B1 => host.read() as u64,
                Width::B2 => u16::from_le(host.cast::<u16>().read_unaligned()) as u64,
                Width::B4 => u32::from_le(host.cast::<u32>().read_unaligned()) as u64,
                Width::B8 => u64::from_le(host.cast::<u64>().read_unaligned()),
            })
        }
    }

    /// Writes memory where an entry allows it; false where nothing was written.
    #[inline(always)]
    pub fn store(&self, context: u64, addr: u64, width: Width, value: u64) -> bool {
        let Some(host) = Self::lookup(&self.write, context, addr, width) else { return false };
        // SAFETY: as in `load`; entries of the write table are for RAM without code only, and `sync` drops them when a
        // page becomes code.
        unsafe {
            match width {
                Width::B1 => host.write(value as u8),
                Width::B2 => host.cast::<u16>().write_unaligned((value as u16).to_le()),
                Width::B4 => host.cast::<u32>().write_unaligned((value as u32).to_le()),
                Width::B8 => host.cast::<u64>().write_unaligned(value.to_le()),
            }
        }
        true
    }

    /// The physical address to fetch `addr` from, where an entry knows it.
    #[inline(always)]
    pub fn fetch(&self, context: u64, addr: u64) -> Option<u64> {
        let tag = addr & PAGE | context;
        let entry = &self.fetch[slot::<FETCH_ENTRIES>(tag)];
        (entry.tag.get() == tag).then(|| entry.paddr.get() | addr & !PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryKind, RegionSpec};

    const RAM: u64 = 0x8000_0000;

    fn tlb() -> Tlb {
        let ram = RegionSpec { name: "ram".into(), base: RAM, size: 0x4_0000, kind: MemoryKind::Ram };
        let rom = RegionSpec { name: "rom".into(), base: 0x1000, size: 0x1000, kind: MemoryKind::Rom };
        Tlb::new(GuestMemory::new(vec![ram, rom]).unwrap())
    }

    const USER: ContextKey = ContextKey { space: 7, mode: 0 };
    const KERNEL: ContextKey = ContextKey { space: 7, mode: 1 };

    #[test]
    fn an_entry_serves_its_page_and_context_only() {
        let tlb = tlb();
        let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
        assert_ne!(user, kernel);
        assert_eq!(tlb.context(USER), user);
        tlb.memory().write(RAM + 0x2ff8, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        tlb.insert(user, AccessKind::Read, 0x5000, RAM + 0x2000, PAGE_SIZE);
        assert_eq!(tlb.load(user, 0x5ff8, Width::B8), Some(0x0807_0605_0403_0201));
        assert_eq!(tlb.load(user, 0x5ffd, Width::B2), Some(0x0706));
        assert_eq!(tlb.load(user, 0x5ffd, Width::B4), None);
        assert_eq!(tlb.load(user, 0x4ffe, Width::B4), None);
        assert_eq!(tlb.load(user, 0x6000, Width::B1), None);
        assert_eq!(tlb.load(kernel, 0x5ff8, Width::B8), None);
        assert!(!tlb.store(user, 0x5ff8, Width::B8, 0));
        tlb.insert(user, AccessKind::Write, 0x5000, RAM + 0x2000, PAGE_SIZE);
        assert!(tlb.store(user, 0x5ff9, Width::B4, 0xaabb_ccdd));
        assert_eq!(tlb.load(user, 0x5ff8, Width::B8), Some(0x0807_06aa_bbcc_dd01));
        assert_eq!(tlb.load(user, u64::MAX, Width::B8), None);
    }

    #[test]
    fn flushes_reach_as_far_as_they_say() {
        let tlb = tlb();
        let fill = || {
            for key in [USER, KERNEL] {
                let id = tlb.context(key);
                for page in 0..4 {
                    tlb.insert(id, AccessKind::Read, page << 12, RAM + (page << 12), PAGE_SIZE);
                    tlb.insert(id, AccessKind::Fetch, page << 12, RAM + (page << 12), PAGE_SIZE);
                }
            }
        };
        let there = |key, addr| {
            let id = tlb.context(key);
            assert_eq!(tlb.load(id, addr, Width::B1).is_some(), tlb.fetch(id, addr).is_some());
            tlb.fetch(id, addr).is_some()
        };
        fill();
        tlb.flush_page(0x1008, |_| true);
        assert!(!there(USER, 0x1000) && !there(KERNEL, 0x1000) && there(USER, 0) && there(KERNEL, 0x2000));
        fill();
        tlb.flush_contexts(|key| key == USER);
        assert!(!there(USER, 0x1000) && there(KERNEL, 0x1000));
        fill();
        tlb.flush();
        assert!(!there(USER, 0x1000) && !there(KERNEL, 0x1000));
        fill();
        tlb.insert(tlb.context(USER), AccessKind::Read, 0, RAM, 0x4000);
        tlb.flush_page(0x3000, |_| true);
        assert!(!there(USER, 0x1000), "a large page goes as a whole");
    }

    #[test]
    fn context_numbers_run_out_without_harm() {
        let tlb = tlb();
        for round in 0..3 * PAGE_SIZE {
            let id = tlb.context(ContextKey { space: round, mode: 0 });
            assert!((1..PAGE_SIZE).contains(&id));
            assert_eq!(tlb.load(id, 0x5000, Width::B1), None, "round {round}");
            tlb.insert(id, AccessKind::Read, 0x5000, RAM, PAGE_SIZE);
            assert!(tlb.load(id, 0x5000, Width::B1).is_some());
        }
    }

    #[test]
    fn stores_to_code_rom_and_devices_are_never_fast() {
        let tlb = tlb();
        let id = tlb.context(USER);
        tlb.insert(id, AccessKind::Write, RAM, RAM, PAGE_SIZE);
        assert!(tlb.store(id, RAM, Width::B1, 1));
        tlb.memory().mark_code(RAM, 4).unwrap();
        tlb.sync();
        assert!(!tlb.store(id, RAM, Width::B1, 2));
        tlb.insert(id, AccessKind::Write, RAM, RAM, PAGE_SIZE);
        assert!(!tlb.store(id, RAM, Width::B1, 2));
        for paddr in [0x1000, 0x10_0000] {
            tlb.insert(id, AccessKind::Write, paddr, paddr, PAGE_SIZE);
            assert!(!tlb.store(id, paddr, Width::B1, 2));
        }
        tlb.insert(id, AccessKind::Read, 0x1000, 0x1000, PAGE_SIZE);
        assert_eq!(tlb.load(id, 0x1000, Width::B1), Some(0));
        tlb.memory().set_direct(0x1000, false);
        tlb.sync();
        let id = tlb.context(USER);
        assert_eq!(tlb.load(id, 0x1000, Width::B1), None);
    }
}
