//! Pages at a fixed distance from a [`Frame`](crate::Frame) by the low half of their virtual address, for compiled code that
//! follows pointers.
//!
//! A load that goes through the TLB waits for the host's address from the entry. In the mirror the place follows from the
//! virtual address alone: the comparison with a tag only decides a branch, which the host predicts. This is part of the TLB's read
//! table in another form: a tag here is valid only while the read entry of the same index has the same one, so that whatever
//! drops that entry ends this way, too.
//!
//! Mapping a page costs the host as much as thousands of loads gain. Pages are mapped once compiled code has made that many
//! loads from them by way of the read table. What is mapped stays: after a flush or a change of address space, a page that is
//! entered as it was before is there at once.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::mm::{MapFlags, ProtFlags};

use crate::memory::{GuestMemory, PAGE_SIZE, Region};
use crate::tlb::{ENTRIES, PAGE};
use crate::window::{SPAN, Window};

/// Loads from a page by way of the read table before it is mapped, unless told otherwise.
const LOADS: u64 = 1024;
/// The tag of a page that will not be mapped as long as it stays in the read table.
const NEVER: u64 = i64::MAX as u64 & PAGE;
/// Pages that all cores of the process may have mapped, each with a gap behind it: the host allows 65530 mappings.
const LIMIT: usize = 24 << 10;
/// Pages that all cores have mapped.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// Aligned, so that one lies in one cache line; the place of an entry of the TLB fits here as well.
#[repr(C, align(16))]
struct Near {
    /// That of the read entry, if the mirror shows the page. Else how many loads it may still take, times the size of a page;
    /// negative once that is over.
    tag: Cell<u64>,
    /// What the mirror has in a place of this index: see [`key`]; 0: nothing.
    shown: Cell<u64>,
}

/// The mirror of one core, by index of the read table.
#[repr(C)]
pub(crate) struct Mirror {
    near: [Near; ENTRIES],
    /// Host address of the place of virtual address 0; null: there is no mirror.
    base: Cell<*mut u8>,
    /// The tag of a page that is not mapped and has not been loaded from: the loads to come are counted above the bits that hold
    /// the context's number in a valid tag, and no context has the number 0.
    cold: Cell<u64>,
    /// Pages that are mapped.
    count: Cell<usize>,
}

/// A page in a place: the host's address, and the bits of the virtual address that the index leaves open.
fn key(vaddr: u64, host_page: usize) -> u64 {
    host_page as u64 | (vaddr % SPAN / (PAGE_SIZE * ENTRIES as u64)) << 1 | 1
}

/// The low half of the virtual address of what is shown at an index.
fn place(index: usize, key: u64) -> u64 {
    (key % PAGE_SIZE / 2 * ENTRIES as u64 + index as u64) * PAGE_SIZE
}

/// The memory at a host address.
fn file(memory: &GuestMemory, host_page: usize) -> Option<(&Region, u64)> {
    memory.regions().iter().find_map(|region| {
        let offset = host_page.checked_sub(region.host().as_ptr().addr())? as u64;
        (offset < region.spec().size).then_some((region, offset))
    })
}

impl Mirror {
    /// Lets the mirror begin at `base`.
    ///
    /// # Safety
    /// The address space from `base` to `base + SPAN` is reserved for it as long as it is used.
    pub(crate) unsafe fn open(&self, base: NonNull<u8>) {
        self.base.set(base.as_ptr());
        self.set_patience(LOADS);
    }

    /// How many loads from a page go by way of the read table before it is mapped.
    pub(crate) fn set_patience(&self, loads: u64) {
        self.cold.set(loads.saturating_mul(PAGE_SIZE).min(NEVER));
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.base.get().is_null()
    }

    /// The read entry at `index` is about to lead to `host_page` under `tag`.
    #[inline]
    pub(crate) fn entered(&self, index: usize, tag: u64, host_page: usize) {
        if self.is_open() {
            let near = &self.near[index];
            near.tag.set(if near.shown.get() == key(tag, host_page) { tag } else { self.cold.get() });
        }
    }

    /// The read entry at `index` is dropped.
    #[inline]
    pub(crate) fn left(&self, index: usize) {
        self.near[index].tag.set(self.cold.get());
    }

    /// All read entries are dropped.
    pub(crate) fn left_all(&self) {
        self.near.iter().for_each(|near| near.tag.set(self.cold.get()));
    }

    /// Whether the page at `index` has been loaded from often enough to be mapped.
    #[inline]
    pub(crate) fn is_due(&self, index: usize) -> bool {
        let tag = self.near[index].tag.get();
        tag & !PAGE == 0 && (tag as i64) < 0
    }

    /// Maps the page that the read entry at `index` leads to, and makes its tag valid.
    pub(crate) fn show(&self, memory: &GuestMemory, index: usize, tag: u64, host_page: usize) {
        let near = &self.near[index];
        near.tag.set(NEVER);
        // A sum of an address and a small distance must not leave the mirror.
        let margin = Window::MARGIN as u64;
        if !self.is_open() || !(margin..SPAN - margin).contains(&(tag % SPAN)) {
            return;
        }
        let (old, new) = (near.shown.get(), key(tag, host_page));
        if old == new {
            near.tag.set(tag);
            return;
        }
        if old == 0 && !self.has_room(&TOTAL, LIMIT) {
            return;
        }
        let moves = old != 0 && place(index, old) != place(index, new);
        if moves && !self.hide(place(index, old), PAGE_SIZE)
            || !self.map(memory, place(index, new), host_page)
        {
            // It refuses for want of something that the rest of the process may need.
            self.close();
            return;
        }
        if old == 0 {
            TOTAL.fetch_add(1, Relaxed);
            self.count.set(self.count.get() + 1);
        }
        near.shown.set(new);
        near.tag.set(tag);
    }

    /// Whether another page may be mapped, when `total` pages of `limit` are. A core with many of them starts afresh.
    fn has_room(&self, total: &AtomicUsize, limit: usize) -> bool {
        if total.load(Relaxed) < limit {
            return true;
        }
        if self.count.get() < limit / 8 {
            return false;
        }
        self.clear(total) && total.load(Relaxed) < limit
    }

    /// Drops all pages. False where the host refuses: then nothing in the mirror may be accessed either.
    fn clear(&self, total: &AtomicUsize) -> bool {
        for near in &self.near {
            near.shown.set(0);
            // What is counted goes on, and valid tags begin to.
            if near.tag.get() & !PAGE != 0 {
                near.tag.set(self.cold.get());
            }
        }
        total.fetch_sub(self.count.replace(0), Relaxed);
        self.hide(0, SPAN)
    }

    /// Gives up.
    #[cold]
    fn close(&self) {
        self.clear(&TOTAL);
        self.near.iter().for_each(|near| near.tag.set(NEVER));
        self.base.set(std::ptr::null_mut());
    }

    fn map(&self, memory: &GuestMemory, place: u64, host_page: usize) -> bool {
        let Some((region, offset)) = file(memory, host_page) else { return false };
        let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::POPULATE;
        let at = self.base.get().wrapping_add(place as usize);
        // SAFETY: the page lies in the mirror, whose address space is ours and in which no reference ever points.
        let mapped = unsafe {
            rustix::mm::mmap(at.cast(), PAGE_SIZE as usize, ProtFlags::READ, flags, region.fd(), offset)
        };
        mapped.is_ok()
    }

    fn hide(&self, place: u64, len: u64) -> bool {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let at = self.base.get().wrapping_add(place as usize);
        // SAFETY: the range lies in the mirror, whose address space is ours and in which no reference ever points. No tag
        // sends compiled code there any more.
        unsafe { rustix::mm::mmap_anonymous(at.cast(), len as usize, ProtFlags::empty(), flags).is_ok() }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // The address space goes with the frame.
        TOTAL.fetch_sub(self.count.get(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Width;
    use crate::memory::{MemoryKind, RegionSpec};
    use crate::tlb::{AccessKind, ContextKey, Tlb};
    use crate::window::tests::rights;
    use crate::window::{Behind, FrameBox};

    const RAM: u64 = 0x8000_0000;
    const ROM: u64 = 0x2000_0000;
    const USER: ContextKey = ContextKey { space: 7, mode: 0 };
    const KERNEL: ContextKey = ContextKey { space: 7, mode: 1 };

    /// Every page of memory has its own physical address at its start.
    fn frame(behind: Behind) -> FrameBox {
        let region = |name: &str, base, size, kind| RegionSpec { name: name.into(), base, size, kind };
        let ram = region("ram", RAM, 0x4_0000, MemoryKind::Ram);
        let rom = region("rom", ROM, 0x1000, MemoryKind::Rom);
        let memory = GuestMemory::new(vec![ram, rom]).unwrap();
        for paddr in (RAM..RAM + 0x4_0000).step_by(4096).chain([ROM]) {
            memory.write_any(paddr, &paddr.to_le_bytes()).unwrap();
        }
        FrameBox::new(memory, behind)
    }

    fn index(vaddr: u64) -> usize {
        (vaddr >> 12) as usize % ENTRIES
    }

    /// What the mirror gives for a load of 8 bytes, as compiled code looks there.
    fn near(tlb: &Tlb, context: u64, addr: u64) -> Option<u64> {
        // Bits of a misaligned address stay, and match no tag.
        let tag = addr & (PAGE | 7) | context;
        let place = tlb.mirror.base.get().wrapping_add((addr % SPAN) as usize);
        // SAFETY: a tag is valid for a page that is mapped.
        (tlb.mirror.near[index(addr)].tag.get() == tag).then(|| unsafe { place.cast::<u64>().read() })
    }

    /// A load as compiled code makes it; `None`: by way of the helper.
    fn load(tlb: &Tlb, context: u64, addr: u64) -> Option<u64> {
        near(tlb, context, addr).or_else(|| {
            let value = tlb.load(context, addr, Width::B8).filter(|_| addr.is_multiple_of(8))?;
            let tag = &tlb.mirror.near[index(addr)].tag;
            tag.set(tag.get().wrapping_sub(PAGE_SIZE));
            if (tag.get() as i64) < 0 {
                tlb.warm(addr);
            }
            Some(value)
        })
    }

    /// Loads until the page of `addr` is mapped, if that ever happens.
    fn heat(tlb: &Tlb, context: u64, addr: u64) -> bool {
        (0..=LOADS).for_each(|_| assert!(load(tlb, context, addr).is_some()));
        near(tlb, context, addr).is_some()
    }

    #[test]
    fn a_page_is_mapped_once_it_is_hot_and_gone_with_its_read_entry() {
        let frame = frame(Behind::Mirror);
        let tlb = &frame.tlb;
        let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
        let enter = |context, vaddr, paddr| tlb.insert(context, AccessKind::Read, vaddr, paddr, PAGE_SIZE);
        let vaddr = 0xffff_ffc0_1234_5000;
        let host = tlb.mirror.base.get().addr() + 0x1234_5000;
        enter(user, vaddr, RAM + 0x3000);
        (0..LOADS - 1).for_each(|_| assert_eq!(load(tlb, user, vaddr), Some(RAM + 0x3000)));
        assert_eq!((near(tlb, user, vaddr), rights(host)), (None, "---p".into()));
        assert!(heat(tlb, user, vaddr));
        assert_eq!((near(tlb, user, vaddr), rights(host)), (Some(RAM + 0x3000), "r--s".into()));
        assert_eq!([rights(host - 1), rights(host + 0x1000)], ["---p", "---p"]);
        // Other contexts, pages and crossings have no tag; what is stored is seen.
        assert_eq!(near(tlb, kernel, vaddr), None);
        assert_eq!(near(tlb, user, vaddr ^ 1 << 40), None);
        assert_eq!(near(tlb, user, vaddr + 0xffc), None);
        assert_eq!(near(tlb, user, vaddr + 4), None);
        tlb.memory().write(RAM + 0x3008, &[42]).unwrap();
        assert_eq!(near(tlb, user, vaddr + 8), Some(42));

        // After a flush it waits for the read table, and is there again if nothing has changed.
        tlb.flush_page(vaddr, |_| true);
        assert_eq!(load(tlb, user, vaddr), None);
        enter(user, vaddr, RAM + 0x3000);
        assert_eq!(near(tlb, user, vaddr), Some(RAM + 0x3000));
        tlb.flush();
        let user = tlb.context(USER);
        assert_eq!(load(tlb, user, vaddr), None);
        enter(kernel, vaddr, RAM + 0x3000);
        assert_eq!((near(tlb, kernel, vaddr), near(tlb, user, vaddr)), (Some(RAM + 0x3000), None));
        enter(kernel, vaddr, RAM + 0x4000);
        assert_eq!((near(tlb, kernel, vaddr), load(tlb, kernel, vaddr)), (None, Some(RAM + 0x4000)));
        assert!(heat(tlb, kernel, vaddr));
        assert_eq!(near(tlb, kernel, vaddr), Some(RAM + 0x4000));

        // Another page of the same index moves it.
        let other = vaddr + (ENTRIES as u64 * PAGE_SIZE);
        enter(kernel, other, RAM + 0x5000);
        assert!(heat(tlb, kernel, other));
        assert_eq!((near(tlb, kernel, vaddr), near(tlb, kernel, other)), (None, Some(RAM + 0x5000)));
        assert_eq!([rights(host), rights(host + ENTRIES * 4096)], ["---p", "r--s"]);
        assert_eq!(tlb.mirror.count.get(), 1);
    }

    #[test]
    fn what_a_distance_might_lead_out_of_is_not_mapped() {
        let frame = frame(Behind::Mirror);
        let tlb = &frame.tlb;
        let user = tlb.context(USER);
        for (vaddr, inside) in [(0, false), (0xf000, false), (0x1_0000, true)] {
            let high = (1 << 38) - PAGE_SIZE - vaddr;
            for vaddr in [vaddr, vaddr + (1 << 36), high] {
                tlb.insert(user, AccessKind::Read, vaddr, RAM + 0x1000, PAGE_SIZE);
                assert_eq!(heat(tlb, user, vaddr), inside, "{vaddr:#x}");
                assert!(heat(tlb, user, vaddr) == inside && load(tlb, user, vaddr) == Some(RAM + 0x1000));
            }
        }
    }

    #[test]
    fn the_number_of_mapped_pages_is_bounded() {
        let frame = frame(Behind::Mirror);
        let tlb = &frame.tlb;
        let user = tlb.context(USER);
        let pages = || (0..16).map(|n| 0x10_0000 + n * 0x2000);
        let fill = || {
            for vaddr in pages() {
                tlb.insert(user, AccessKind::Read, vaddr, RAM + 0x2000, PAGE_SIZE);
                assert!(heat(tlb, user, vaddr));
            }
        };
        fill();
        assert_eq!(tlb.mirror.count.get(), 16);
        let total = AtomicUsize::new(128);
        assert!(tlb.mirror.has_room(&total, 129) && tlb.mirror.count.get() == 16);
        // It is not this core that has so many.
        assert!(!tlb.mirror.has_room(&AtomicUsize::new(1000), 1000) && tlb.mirror.count.get() == 16);
        assert!(tlb.mirror.has_room(&total, 128));
        TOTAL.fetch_sub(16, Relaxed);
        assert_eq!((tlb.mirror.count.get(), total.load(Relaxed)), (0, 112));
        for vaddr in pages() {
            assert_eq!(near(tlb, user, vaddr), None);
            assert_eq!(rights(tlb.mirror.base.get().addr() + vaddr as usize), "---p");
            assert_eq!(load(tlb, user, vaddr), Some(RAM + 0x2000));
        }
        fill();
        // Given up, all loads go by the read table.
        tlb.mirror.close();
        assert!(!tlb.has_mirror());
        for vaddr in pages() {
            assert!(!heat(tlb, user, vaddr));
            tlb.insert(user, AccessKind::Read, vaddr, RAM + 0x3000, PAGE_SIZE);
            assert!(!heat(tlb, user, vaddr));
        }
    }

    #[test]
    fn a_frame_without_a_mirror_never_has_a_tag() {
        let frame = frame(Behind::Nothing);
        let tlb = &frame.tlb;
        assert!(!tlb.has_mirror());
        let user = tlb.context(USER);
        tlb.insert(user, AccessKind::Read, 0x10_0000, RAM, PAGE_SIZE);
        assert_eq!((near(tlb, user, 0x10_0000), load(tlb, user, 0x10_0000)), (None, Some(RAM)));
        tlb.warm(0x10_0000);
        assert_eq!(near(tlb, user, 0x10_0000), None);
    }

    /// Entries come, get hot, move and go at random: the mirror never gives what the read table does not.
    #[test]
    fn the_mirror_knows_no_more_than_the_read_table() {
        let frame = frame(Behind::Mirror);
        let tlb = &frame.tlb;
        let mut seed = 1u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % below
        };
        // Four pages for each place in the tables; two of them share their place in the mirror, too.
        let vaddr = |n: u64| 0x20_0000 + n % 5 * PAGE_SIZE + [0, 1 << 26, 1 << 32, 3 << 26][n as usize / 5];
        let (mut hits, mut gone) = (0, 0);
        for round in 0..30_000 {
            let key = [USER, KERNEL][next(2) as usize];
            let (context, addr) = (tlb.context(key), vaddr(next(20)));
            let paddr = if next(8) == 0 { ROM } else { RAM + (next(6) << 12) };
            match next(64) {
                0..24 => {
                    let size = if next(40) == 0 { 0x20_0000 } else { PAGE_SIZE };
                    tlb.insert(context, AccessKind::Read, addr, paddr, size);
                }
                24 => tlb.flush_contexts(|held| held == key),
                25 => tlb.flush(),
                26..30 => tlb.flush_page(addr, |_| true),
                30 => {
                    tlb.memory().set_direct(ROM, next(2) == 0);
                    tlb.sync();
                }
                31 if next(100) == 0 => {
                    tlb.mirror.clear(&TOTAL);
                }
                32 => {
                    // Numbers of contexts run out.
                    let spaces = if next(20) == 0 { 600 } else { 1 };
                    (0..spaces).for_each(|space| {
                        tlb.context(ContextKey { space, mode: 3 });
                    });
                }
                33..48 if tlb.load(context, addr, Width::B8).is_some() => {
                    heat(tlb, context, addr);
                }
                _ => {
                    load(tlb, context, addr);
                }
            }
            for key in [USER, KERNEL] {
                let context = tlb.context(key);
                for addr in (0..20).map(vaddr) {
                    let known = tlb.load(context, addr, Width::B8);
                    let shown = near(tlb, context, addr);
                    assert!(shown.is_none() || shown == known, "round {round}: {shown:x?}, {known:x?}");
                    hits += shown.is_some() as u64;
                    gone += (shown.is_none() && known.is_some()) as u64;
                }
            }
            assert!(tlb.mirror.count.get() <= 5);
        }
        assert!(hits > 5_000 && gone > 20_000, "{hits} {gone}");
    }
}
