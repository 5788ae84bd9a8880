//! The soft TLB: from a virtual page under a context straight to host memory.
//!
//! Three direct-mapped tables (read, write, fetch), indexed by the virtual page alone, so that compiled code looks up in few
//! instructions. An entry's tag is the virtual page with a context number in the
//! page-offset bits; a context stands for everything that translation and protection depend on beside the address
//! (address space, privilege, override bits), so that switching between known contexts flushes nothing. A lookup
//! compares the page of the access's **last** byte: an access that crosses a page misses and goes the slow way, at no
//! cost elsewhere. Only ordinary memory is entered: devices and pages that protection splits never are, so that the slow
//! way sees every such access. Stores to pages with code go the slow way, too: their entries are closed.
//!
//! When page tables are read does not depend on what is marked as code, which is not quite the same for code that is interpreted
//! and compiled: a closed entry still tells where a page is ([`Tlb::find_store`]).
//!
//! Write entries of one host page are chained, so that those of a page that becomes code are found without a sweep.
//!
//! Behind the table for fetches stands a `FetchMap`, which loses nothing but by flushes.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::mem::offset_of;

use crate::bus::Width;
use crate::fetch_map::FetchMap;
use crate::frame::Frame;
use crate::memory::{GuestMemory, PAGE_SIZE};
use crate::mirror::Mirror;
use crate::window::Window;

pub(crate) const ENTRIES: usize = 16384;
const FETCH_ENTRIES: usize = 4096;
/// Places for contexts; more than there are numbers, so that one is always free.
const CONTEXTS: usize = 1024;
/// Numbers of contexts leave the low bits of a tag zero, where compiled code puts those of a misaligned address.
const ID_STEP: u64 = 8;
const MAX_ID: u64 = PAGE_SIZE - ID_STEP;
const IDS: usize = (PAGE_SIZE / ID_STEP) as usize;
/// Not the number of a context: those start at 1, so that zeros are an empty table.
const INVALID: u64 = 0;
pub(crate) const PAGE: u64 = !(PAGE_SIZE - 1);
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
    /// Complemented it is closed, and matches nothing either: in its place no address has those page bits.
    tag: Cell<u64>,
    /// Host address of the page minus its virtual address.
    host: Cell<*mut u8>,
}

impl Entry {
    /// What the tag is when open.
    fn open_tag(&self) -> u64 {
        let tag = self.tag.get();
        // Tags of contexts have zeros there.
        if tag & (ID_STEP - 1) != 0 { !tag } else { tag }
    }

    fn close(&self) {
        let tag = self.open_tag();
        if tag & !PAGE != INVALID {
            self.tag.set(!tag);
        }
    }

    /// Drops what it knows if that is about the page of `vaddr`.
    fn drop_page(&self, vaddr: u64) {
        if self.open_tag() & PAGE == vaddr & PAGE {
            self.tag.set(vaddr & PAGE);
        }
    }

    /// Host address of the page that it leads or led to, 0 if it was never used.
    fn host_page(&self) -> usize {
        self.host.get().wrapping_add((self.open_tag() & PAGE) as usize).addr()
    }
}

#[repr(C, align(16))]
struct FetchEntry {
    tag: Cell<u64>,
    paddr: Cell<u64>,
}

/// Differs from an earlier one if translations, code or the memory map have changed in between.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Stamp([u64; 4]);

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
    /// By hash: numbers of contexts, 0: none. What is not in its place is in the next free one.
    places: [Cell<u16>; CONTEXTS],
    /// By number in steps: what it is of, and whether it still is.
    contexts: [Cell<(ContextKey, bool)>; IDS],
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
    fetches: RefCell<FetchMap>,
    /// Pages of the read table for compiled code that follows pointers.
    pub(crate) mirror: Mirror,
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
    /// Offset in a [`Frame`] of the tags for loads from the mirror: as many pairs of a tag and 8 bytes of no concern. Behind the
    /// check of a tag as in [`Tlb::READ`], an address's place is at its low 32 bits from [`Window::DISTANCE`]. Where only the tag
    /// in `READ` is right, [`PAGE_SIZE`] is taken from the one here; once that makes it negative, [`Tlb::warm`] has to be called.
    pub const NEAR: usize = offset_of!(Frame, tlb.mirror);
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
            (&raw mut (*this).fetches).write(RefCell::default());
            (&raw mut (*this).memory).write(memory);
            (*this).code_epoch.set(code_epoch);
            (*this).map_epoch.set(map_epoch);
        }
    }

    /// The memory behind it.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// The number of a context, a multiple of 8 from 8 to 4088. Valid until [`Tlb::flushes`] changes; up to then, a key keeps it.
    pub fn context(&self, key: ContextKey) -> u64 {
        match self.find_context(key) {
            Ok(id) => id,
            Err(place) => self.add_context(key, place),
        }
    }

    /// The number of a context, or the place for one.
    #[inline]
    fn find_context(&self, key: ContextKey) -> Result<u64, usize> {
        let hash =
            (key.space ^ key.space >> 44 ^ (key.mode as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut place = (hash >> 54) as usize & (CONTEXTS - 1);
        loop {
            let id = self.places[place].get() as u64;
            if id == INVALID {
                return Err(place);
            }
            let (held, alive) = self.contexts[(id / ID_STEP) as usize].get();
            if held == key {
                // A number is never given out again before all tables are cleared.
                return if alive { Ok(id) } else { Err(place) };
            }
            place = (place + 1) & (CONTEXTS - 1);
        }
    }

    #[cold]
    fn add_context(&self, key: ContextKey, mut place: usize) -> u64 {
        if self.last_id.get() == MAX_ID {
            self.clear();
            place = self.find_context(key).err().unwrap_or(place);
        }
        let id = self.last_id.get() + ID_STEP;
        self.last_id.set(id);
        self.places[place].set(id as u16);
        self.contexts[(id / ID_STEP) as usize].set((key, true));
        id
    }

    /// Whether a few new contexts can be numbered without a flush of everything.
    pub fn has_room(&self) -> bool {
        self.last_id.get() + 4 * ID_STEP <= MAX_ID
    }

    /// What compiled code relies on while it runs.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        let memory = &self.memory;
        Stamp([self.flushes.get(), memory.changed_epoch(), memory.code_epoch(), memory.map_epoch()])
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
        self.mirror.left_all();
        self.first.iter().for_each(|first| first.set(0));
        self.places.iter().for_each(|place| place.set(0));
        self.last_id.set(0);
        self.fetches.borrow_mut().clear();
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
        let last = (self.last_id.get() / ID_STEP) as usize;
        for context in self.contexts.iter().take(last + 1).skip(1) {
            let (key, alive) = context.get();
            context.set((key, alive && !which(key)));
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
        let index = slot::<ENTRIES>(vaddr);
        if self.read[index].tag.get() & PAGE == vaddr & PAGE {
            self.mirror.left(index);
        }
        for entry in [&self.read[index], &self.write[index]] {
            entry.drop_page(vaddr);
        }
        let entry = &self.fetch[slot::<FETCH_ENTRIES>(vaddr)];
        if entry.tag.get() & PAGE == vaddr & PAGE {
            entry.tag.set(INVALID);
        }
        self.fetches.borrow_mut().remove(vaddr & PAGE);
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
            self.close_writes_to_code();
        }
    }

    #[cold]
    fn close_writes_to_code(&self) {
        let since = self.code_epoch.replace(self.memory.code_epoch());
        let Some(pages) = self.memory.code_since(since) else {
            self.window.map(&self.memory);
            return self.write.iter().for_each(Entry::close);
        };
        for page in pages {
            if self.window.is_open()
                && let Some(paddr) = Window::paddr_of(&self.memory, page)
            {
                self.window.set_writable(&self.memory, paddr, false);
            }
            let mut at = self.first[chain(page)].get() as usize;
            while let Some(index) = at.checked_sub(1) {
                let entry = &self.write[index];
                if entry.host_page() == page {
                    entry.close();
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

    /// Notes where a large leaf is, as a fence of one of its pages is one of all of them.
    fn widen(&self, vaddr: u64, size: u64) {
        if size > PAGE_SIZE {
            let hull = &self.large[(vaddr >> 63) as usize];
            let (low, high) = hull.get();
            hull.set((low.max(!(vaddr & !(size - 1))), high.max(vaddr | (size - 1))));
        }
    }

    /// Enters the translation of the page of `vaddr` to that of `paddr`, which is part of a leaf of `size` bytes.
    /// Does nothing where `paddr` is no memory, or takes no stores; closes the entry where stores to it have to be seen.
    pub fn insert(&self, context: u64, kind: AccessKind, vaddr: u64, paddr: u64, size: u64) {
        let tag = vaddr & PAGE | context;
        if kind == AccessKind::Fetch {
            self.widen(vaddr, size);
            return self.insert_fetch(tag, paddr & PAGE);
        }
        self.sync();
        let Some(page) = self.memory.page(paddr) else { return };
        if kind == AccessKind::Write && !page.writable {
            return;
        }
        // Only for what is entered: whether somebody has tried makes no difference.
        self.widen(vaddr, size);
        let entry = match kind {
            AccessKind::Write => {
                let index = slot::<ENTRIES>(tag);
                self.rechain(index, page.host.as_ptr().addr());
                &self.write[index]
            }
            _ => {
                let index = slot::<ENTRIES>(tag);
                self.mirror.entered(index, tag, page.host.as_ptr().addr());
                &self.read[index]
            }
        };
        entry.host.set(page.host.as_ptr().wrapping_sub((vaddr & PAGE) as usize));
        entry.tag.set(tag);
        if kind == AccessKind::Write {
            match page.code {
                true => entry.close(),
                // It may have been code before.
                false => self.window.set_writable(&self.memory, paddr, true),
            }
        }
    }

    /// The physical address of `addr` for stores, if it was entered, whether there is code or not. Opens the entry where there
    /// is none any more.
    pub fn find_store(&self, context: u64, addr: u64) -> Option<u64> {
        self.sync();
        let entry = &self.write[slot::<ENTRIES>(addr)];
        let tag = addr & PAGE | context;
        if entry.open_tag() != tag {
            return None;
        }
        let paddr = Window::paddr_of(&self.memory, entry.host_page())?;
        if entry.tag.get() != tag && self.memory.page(paddr).is_some_and(|page| !page.code) {
            self.window.set_writable(&self.memory, paddr, true);
            entry.tag.set(tag);
        }
        Some(paddr | addr & !PAGE)
    }

    /// Whether compiled code may look pages up at [`Tlb::NEAR`].
    pub fn has_mirror(&self) -> bool {
        self.mirror.is_open()
    }

    /// How many loads from a page compiled code makes by way of the read table before the page is mapped in the mirror: how fast
    /// it is depends on that, and nothing else. Holds for pages that are entered from now on.
    pub fn set_patience(&self, loads: u64) {
        self.mirror.set_patience(loads);
    }

    /// Has the page of `addr` mapped in the mirror, if it was loaded from often enough.
    #[inline]
    pub fn warm(&self, addr: u64) {
        let index = slot::<ENTRIES>(addr);
        if self.mirror.is_due(index) {
            self.show(index);
        }
    }

    #[cold]
    fn show(&self, index: usize) {
        let entry = &self.read[index];
        match entry.tag.get() & !PAGE {
            INVALID => self.mirror.left(index),
            _ => self.mirror.show(&self.memory, index, entry.tag.get(), entry.host_page()),
        }
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

    fn insert_fetch(&self, tag: u64, page: u64) {
        let mut fetches = self.fetches.borrow_mut();
        if fetches.is_full() {
            fetches.clear();
            self.fetch.iter().for_each(|entry| entry.tag.set(INVALID));
            self.flush_code();
            self.flushes.set(self.flushes.get() + 1);
        }
        fetches.insert(tag, tag & PAGE, page);
        self.enter_fetch(tag, page);
    }

    fn enter_fetch(&self, tag: u64, page: u64) {
        let entry = &self.fetch[slot::<FETCH_ENTRIES>(tag)];
        entry.paddr.set(page);
        entry.tag.set(tag);
    }

    /// The physical address to fetch `addr` from, if it was entered since the last flush.
    #[inline(always)]
    pub fn fetch(&self, context: u64, addr: u64) -> Option<u64> {
        let tag = addr & PAGE | context;
        let entry = &self.fetch[slot::<FETCH_ENTRIES>(addr)];
        let page = if entry.tag.get() == tag { entry.paddr.get() } else { self.fetch_again(tag)? };
        Some(page | addr & !PAGE)
    }

    #[cold]
    fn fetch_again(&self, tag: u64) -> Option<u64> {
        let page = self.fetches.borrow().get(tag)?;
        self.enter_fetch(tag, page);
        Some(page)
    }
}

#[cfg(test)]
mod tests;
