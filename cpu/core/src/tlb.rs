//! The soft TLB: from a virtual page under a context straight to host memory.
//!
//! Three direct-mapped tables (read, write, fetch), indexed by the virtual page alone, so that compiled code looks up in few
//! instructions. An entry's tag is the virtual page with a context number in the
//! page-offset bits; a context stands for everything that translation and protection depend on beside the address
//! (address space, privilege, override bits), so that switching between known contexts flushes nothing. A lookup
//! compares the page of the access's **last** byte: an access that crosses a page misses and goes the slow way, at no
//! cost elsewhere. Only ordinary memory is entered: devices, pages under code tracking (for stores) and
//! pages that protection splits never are, so that the slow way sees every such access.
//!
//! Write entries of one host page are chained, so that those of a page that becomes code are found without a sweep.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::offset_of;

use crate::bus::Width;
use crate::frame::Frame;
use crate::memory::{GuestMemory, PAGE_SIZE};
use crate::window::Window;

const ENTRIES: usize = 16384;
const FETCH_ENTRIES: usize = 4096;
const CONTEXTS: usize = 256;
/// Numbers of contexts leave the low bits of a tag zero, where compiled code puts those of a misaligned address.
const ID_STEP: u64 = 8;
const MAX_ID: u64 = PAGE_SIZE - ID_STEP;
/// Not the number of a context: those start at 1, so that zeros are an empty table.
const INVALID: u64 = 0;
const PAGE: u64 = !(PAGE_SIZE - 1);
const FILTER_WORDS: usize = 64;

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

/// Aligned, so that one lies in one cache line.
#[repr(C, align(16))]
struct Entry {
    /// Virtual page and context. Under context 0 it matches nothing; its page still tells what `host` is relative to.
    tag: Cell<u64>,
    /// Host address of the page minus its virtual address.
    host: Cell<*mut u8>,
}

impl Entry {
    fn drop_tag(&self) {
        self.tag.set(self.tag.get() & PAGE);
    }

    /// Host address of the page that it leads or led to, 0 if it was never used.
    fn host_page(&self) -> usize {
        self.host.get().wrapping_add((self.tag.get() & PAGE) as usize).addr()
    }
}

#[repr(C, align(16))]
struct FetchEntry {
    tag: Cell<u64>,
    paddr: Cell<u64>,
}

/// One core's TLB. It lives in a [`Frame`], where its tables are at fixed offsets. Lookups take the number of a context, which
/// is never 0.
#[repr(C)]
pub struct Tlb {
    read: [Entry; ENTRIES],
    write: [Entry; ENTRIES],
    fetch: [FetchEntry; FETCH_ENTRIES],
    /// By host page: one more than the index of the first write entry that leads or led there.
    first: [Cell<u16>; ENTRIES],
    /// By index of a write entry: one more than that of the next of its chain, and of the one before.
    next: [Cell<u16>; ENTRIES],
    before: [Cell<u16>; ENTRIES],
    contexts: [Cell<(ContextKey, u64)>; CONTEXTS],
    /// The highest number given out.
    last_id: Cell<u64>,
    /// Hull of all large pages entered since the last full flush, for each half of the address space: its first byte,
    /// complemented, and its last.
    large: [Cell<(u64, u64)>; 2],
    code_epoch: Cell<u64>,
    map_epoch: Cell<u64>,
    flushes: Cell<u64>,
    code_flushes: Cell<u64>,
    /// Virtual pages that the jump cache may have entries for, a bit for several.
    code_pages: [Cell<u64>; FILTER_WORDS],
    /// The same memory for compiled code that needs no translation.
    pub window: Window,
    memory: GuestMemory,
}

// SAFETY: the host pointers lead into the mappings of `memory`, which this value keeps alive and which may be used
// from any thread; nothing else ties the table to a thread.
unsafe impl Send for Tlb {}

#[inline(always)]
fn slot<const N: usize>(addr: u64) -> usize {
    (addr >> 12) as usize & (N - 1)
}

/// Where the chain of a host page starts.
fn chain(host_page: usize) -> usize {
    host_page >> 12 & (ENTRIES - 1)
}

/// Word and bit of a virtual page in the filter.
fn filter_place(vaddr: u64) -> (usize, u64) {
    let hash = (vaddr >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 58) as usize & (FILTER_WORDS - 1), 1 << (hash >> 52 & 63))
}

impl Tlb {
    /// Offset in a [`Frame`] of the table for loads: [`Tlb::ENTRIES`] times a tag and a host address, each of 8 bytes. The entry
    /// for an address is number `addr >> 12 & (ENTRIES - 1)`; it holds if its tag is that of
    /// `(addr + width - 1) & !0xfff | data_context`; its host address and `addr` are added.
    pub const READ: usize = offset_of!(Frame, tlb.read);
    /// Offset in a [`Frame`] of the table for stores.
    pub const WRITE: usize = offset_of!(Frame, tlb.write);
    /// Entries of either table.
    pub const ENTRIES: usize = ENTRIES;
    /// Bytes of an entry.
    pub const ENTRY_SIZE: usize = size_of::<Entry>();
    /// Offset in an entry of its tag.
    pub const ENTRY_TAG: usize = offset_of!(Entry, tag);
    /// Offset in an entry of the host address.
    pub const ENTRY_HOST: usize = offset_of!(Entry, host);

    /// Makes an empty TLB over `memory` of zeros.
    ///
    /// # Safety
    /// `this` can be written, and all its bytes are zero.
    pub(crate) unsafe fn init(this: *mut Tlb, memory: GuestMemory) {
        let (code_epoch, map_epoch) = (memory.code_epoch(), memory.map_epoch());
        // SAFETY: as the caller promises; the fields written last are valid already.
        unsafe {
            (&raw mut (*this).memory).write(memory);
            (*this).code_epoch.set(code_epoch);
            (*this).map_epoch.set(map_epoch);
        }
    }

    /// The memory behind it.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// The number of a context, a multiple of 8 from 8 to 4088. Valid until [`Tlb::flushes`] changes.
    pub fn context(&self, key: ContextKey) -> u64 {
        let hash =
            (key.space ^ key.space >> 44 ^ (key.mode as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &self.contexts[(hash >> 56) as usize & (CONTEXTS - 1)];
        let (held, id) = place.get();
        if held == key && id != INVALID {
            return id;
        }
        if self.last_id.get() == MAX_ID {
            self.clear();
        }
        let id = self.last_id.get() + ID_STEP;
        self.last_id.set(id);
        place.set((key, id));
        id
    }

    /// Whether a few new contexts can be numbered without a flush of everything.
    pub fn has_room(&self) -> bool {
        self.last_id.get() + 4 * ID_STEP <= MAX_ID
    }

    /// Changes with every flush, whatever its extent: contexts must be asked for again, and translations that
    /// were remembered elsewhere are void.
    #[inline(always)]
    pub fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    /// Changes whenever an entry of the jump cache may lead to code that its key no longer names, of those that
    /// [`Tlb::note_code`] was told: then all have to be dropped. Flushes of whole contexts are none of these: the keys name
    /// contexts, whose numbers are given out again only after such a change.
    #[inline(always)]
    pub fn code_flushes(&self) -> u64 {
        self.code_flushes.get()
    }

    /// Tells that the jump cache has an entry for code in the page of `vaddr`.
    pub fn note_code(&self, vaddr: u64) {
        let (word, bit) = filter_place(vaddr);
        self.code_pages[word].set(self.code_pages[word].get() | bit);
    }

    fn flush_code(&self) {
        self.code_pages.iter().for_each(|word| word.set(0));
        self.code_flushes.set(self.code_flushes.get() + 1);
    }

    /// Empties all tables, so that numbers of contexts start again.
    fn clear(&self) {
        for entry in self.read.iter().chain(&self.write) {
            entry.tag.set(INVALID);
            entry.host.set(std::ptr::null_mut());
        }
        self.fetch.iter().for_each(|entry| entry.tag.set(INVALID));
        self.first.iter().for_each(|first| first.set(0));
        self.contexts.iter().for_each(|place| place.set((ContextKey::default(), INVALID)));
        self.last_id.set(0);
        self.flush_code();
        self.flushes.set(self.flushes.get() + 1);
    }

    /// Drops every entry.
    pub fn flush(&self) {
        self.large.iter().for_each(|hull| hull.set((0, 0)));
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
    /// that `which` names, and maybe under others.
    pub fn flush_page(&self, vaddr: u64, which: impl Fn(ContextKey) -> bool) {
        let (low, high) = self.large[(vaddr >> 63) as usize].get();
        if (!low..=high).contains(&vaddr) {
            return self.flush_contexts(which);
        }
        // A page has one place in each table, whatever the context.
        for entry in [&self.read[slot::<ENTRIES>(vaddr)], &self.write[slot::<ENTRIES>(vaddr)]] {
            if entry.tag.get() & PAGE == vaddr & PAGE {
                entry.drop_tag();
            }
        }
        let entry = &self.fetch[slot::<FETCH_ENTRIES>(vaddr)];
        if entry.tag.get() & PAGE == vaddr & PAGE {
            entry.tag.set(INVALID);
        }
        let (word, bit) = filter_place(vaddr);
        if self.code_pages[word].get() & bit != 0 {
            self.flush_code();
        }
        self.flushes.set(self.flushes.get() + 1);
    }

    /// Drops what memory's epochs say is stale. To be called when a core is entered, after each access to the bus and
    /// after marking code.
    #[inline]
    pub fn sync(&self) {
        if self.map_epoch.get() != self.memory.map_epoch() {
            self.map_epoch.set(self.memory.map_epoch());
            self.window.map(&self.memory);
            self.flush();
        }
        if self.code_epoch.get() != self.memory.code_epoch() {
            self.drop_writes_to_code();
        }
    }

    #[cold]
    fn drop_writes_to_code(&self) {
        let since = self.code_epoch.replace(self.memory.code_epoch());
        let Some(pages) = self.memory.code_since(since) else {
            self.window.map(&self.memory);
            return self.write.iter().for_each(Entry::drop_tag);
        };
        for page in pages {
            if self.window.is_open()
                && let Some(paddr) = Window::paddr_of(&self.memory, page)
            {
                self.window.set_writable(paddr, false);
            }
            let mut at = self.first[chain(page)].get() as usize;
            while let Some(index) = at.checked_sub(1) {
                let entry = &self.write[index];
                if entry.host_page() == page {
                    entry.drop_tag();
                }
                at = self.next[index].get() as usize;
            }
        }
    }

    /// Moves write entry `index` to the chain of the host page that it is about to lead to.
    fn rechain(&self, index: usize, page: usize) {
        let old = self.write[index].host_page();
        if old == page {
            return;
        }
        let (next, before) = (self.next[index].get(), self.before[index].get());
        if old != 0 {
            match before {
                0 => self.first[chain(old)].set(next),
                _ => self.next[before as usize - 1].set(next),
            }
            if next != 0 {
                self.before[next as usize - 1].set(before);
            }
        }
        let first = self.first[chain(page)].replace(index as u16 + 1);
        self.next[index].set(first);
        self.before[index].set(0);
        if first != 0 {
            self.before[first as usize - 1].set(index as u16 + 1);
        }
    }

    /// Enters the translation of the page of `vaddr` to that of `paddr`, which is part of a leaf of `size` bytes.
    /// Does nothing where `paddr` is no memory, or where stores to it have to be seen.
    pub fn insert(&self, context: u64, kind: AccessKind, vaddr: u64, paddr: u64, size: u64) {
        if size > PAGE_SIZE {
            let hull = &self.large[(vaddr >> 63) as usize];
            let (low, high) = hull.get();
            hull.set((low.max(!(vaddr & !(size - 1))), high.max(vaddr | (size - 1))));
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
            AccessKind::Write => {
                // It may have been code before.
                self.window.set_writable(paddr, true);
                let index = slot::<ENTRIES>(tag);
                self.rechain(index, page.host.as_ptr().addr());
                &self.write[index]
            }
            _ => &self.read[slot::<ENTRIES>(tag)],
        };
        entry.host.set(page.host.as_ptr().wrapping_sub((vaddr & PAGE) as usize));
        entry.tag.set(tag);
    }

    /// The host address of `addr..addr+width`, if a valid entry of `table` covers all of it.
    #[inline(always)]
    fn lookup(table: &[Entry; ENTRIES], context: u64, addr: u64, width: Width) -> Option<*mut u8> {
        let entry = &table[slot::<ENTRIES>(addr)];
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
        let entry = &self.fetch[slot::<FETCH_ENTRIES>(addr)];
        (entry.tag.get() == tag).then(|| entry.paddr.get() | addr & !PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryKind, RegionSpec};
    use crate::window::FrameBox;

    const RAM: u64 = 0x8000_0000;

    fn frame() -> FrameBox {
        let ram = RegionSpec { name: "ram".into(), base: RAM, size: 0x4_0000, kind: MemoryKind::Ram };
        let rom = RegionSpec { name: "rom".into(), base: 0x1000, size: 0x1000, kind: MemoryKind::Rom };
        FrameBox::new(GuestMemory::new(vec![ram, rom]).unwrap(), false)
    }

    const USER: ContextKey = ContextKey { space: 7, mode: 0 };
    const KERNEL: ContextKey = ContextKey { space: 7, mode: 1 };

    #[test]
    fn an_entry_serves_its_page_and_context_only() {
        let frame = frame();
        let tlb = &frame.tlb;
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
        let frame = frame();
        let tlb = &frame.tlb;
        // A page has one place, so that two contexts keep pages of their own: the kernel from 0x4000 up.
        let fill = || {
            for (key, pages) in [(USER, 0..4), (KERNEL, 4..8)] {
                let id = tlb.context(key);
                for page in pages {
                    for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Fetch] {
                        tlb.insert(id, kind, page << 12, RAM + (page << 12), PAGE_SIZE);
                    }
                }
            }
        };
        let there = |key, addr| {
            let id = tlb.context(key);
            assert_eq!(tlb.load(id, addr, Width::B1).is_some(), tlb.fetch(id, addr).is_some());
            assert_eq!(tlb.load_for_store(id, addr, Width::B1).is_some(), tlb.fetch(id, addr).is_some());
            tlb.fetch(id, addr).is_some()
        };
        fill();
        assert!(there(USER, 0x1000) && there(KERNEL, 0x5000) && !there(USER, 0x5000) && !there(KERNEL, 0));
        tlb.flush_page(0x1008, |_| true);
        tlb.flush_page(0x5008, |_| true);
        assert!(!there(USER, 0x1000) && !there(KERNEL, 0x5000) && there(USER, 0) && there(KERNEL, 0x6000));
        fill();
        tlb.flush_contexts(|key| key == USER);
        assert!(!there(USER, 0x1000) && there(KERNEL, 0x5000));
        fill();
        tlb.flush();
        assert!(!there(USER, 0x1000) && !there(KERNEL, 0x5000));
        fill();
        tlb.insert(tlb.context(USER), AccessKind::Read, 0, RAM, 0x4000);
        tlb.flush_page(0x3000, |key| key == USER);
        assert!(!there(USER, 0x1000) && there(KERNEL, 0x5000), "a large page goes as a whole");
    }

    #[test]
    fn a_page_that_becomes_code_loses_its_write_entries_and_no_other_page_does() {
        let frame = frame();
        let tlb = &frame.tlb;
        let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
        let enter = |id, vaddr, paddr| tlb.insert(id, AccessKind::Write, vaddr, paddr, PAGE_SIZE);
        let there = |id, vaddr| tlb.load_for_store(id, vaddr, Width::B8).is_some();
        // Four entries of one page, one of another; the second and then the first of them are replaced.
        for vaddr in [0x1000, 0x2000, 0x3000, 0x4000] {
            enter(user, vaddr, RAM + 0x5000);
        }
        enter(kernel, 0x5000, RAM + 0x6000);
        enter(kernel, 0x2000, RAM + 0x6000);
        enter(user, 0x1000 + ((ENTRIES as u64) << 12), RAM + 0x7000);
        // Flushed, it stays in its chain, and is entered again.
        tlb.flush_page(0x3000, |_| true);
        assert!(!there(user, 0x3000));
        enter(user, 0x3000, RAM + 0x5000);
        tlb.memory().mark_code(RAM + 0x5000, 4).unwrap();
        tlb.sync();
        assert!(!there(user, 0x1000) && !there(user, 0x3000) && !there(user, 0x4000));
        let moved = 0x1000 + ((ENTRIES as u64) << 12);
        assert!(there(kernel, 0x5000) && there(kernel, 0x2000) && there(user, moved));
        tlb.memory().mark_code(RAM + 0x6000, 4).unwrap();
        tlb.sync();
        assert!(!there(kernel, 0x5000) && !there(kernel, 0x2000) && there(user, moved));
    }

    /// Write entries come, move and go at random, and pages become code and data again: no entry to code survives `sync`.
    #[test]
    fn no_write_entry_leads_to_code() {
        let frame = frame();
        let tlb = &frame.tlb;
        let memory = tlb.memory();
        let id = tlb.context(USER);
        let mut seed = 1u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % below
        };
        // Each of 24 virtual pages shares its place with another one.
        let pages: Vec<u64> = (0..24).map(|n| (n % 12 + n / 12 * ENTRIES as u64) << 12).collect();
        let mut where_to = vec![None; pages.len()];
        for round in 0..20_000 {
            let n = next(24) as usize;
            let paddr = RAM + (next(8) << 12);
            match next(6) {
                0 => {
                    // More than the log remembers, now and then.
                    let times = if next(50) == 0 { 70 } else { 1 };
                    for _ in 0..times {
                        memory.touched(paddr, 4);
                        memory.mark_code(paddr, 4).unwrap();
                    }
                    tlb.sync();
                }
                1 => memory.touched(paddr, 4),
                2 => tlb.flush_page(pages[n], |_| true),
                _ if !memory.page(paddr).unwrap().code => {
                    tlb.insert(id, AccessKind::Write, pages[n], paddr, PAGE_SIZE);
                    assert!(tlb.load_for_store(id, pages[n], Width::B1).is_some());
                    where_to[n] = Some(paddr);
                }
                _ => {}
            }
            for (page, paddr) in pages.iter().zip(&where_to) {
                if tlb.load_for_store(id, *page, Width::B1).is_some() {
                    assert!(!memory.page(paddr.unwrap()).unwrap().code, "round {round}");
                }
            }
        }
    }

    #[test]
    fn flushes_of_code_count_only_where_keys_stay_valid() {
        let frame = frame();
        let tlb = &frame.tlb;
        let user = tlb.context(USER);
        tlb.note_code(0x5000);
        tlb.flush_page(0x6000, |_| true);
        tlb.flush_contexts(|_| true);
        tlb.flush();
        assert_ne!(tlb.context(USER), user, "keys with the old number are dead");
        assert_eq!(tlb.code_flushes(), 0);
        tlb.flush_page(0x5008, |_| true);
        assert_eq!(tlb.code_flushes(), 1);
        tlb.flush_page(0x5008, |_| true);
        assert_eq!(tlb.code_flushes(), 1, "nothing was noted since");
        for space in 0..MAX_ID / ID_STEP {
            tlb.context(ContextKey { space, mode: 9 });
        }
        assert_eq!(tlb.code_flushes(), 2, "numbers are given out again");
    }

    #[test]
    fn context_numbers_run_out_without_harm() {
        let frame = frame();
        let tlb = &frame.tlb;
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
        let frame = frame();
        let tlb = &frame.tlb;
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
