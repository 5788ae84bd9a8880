//! Guest memory at a fixed distance from a [`Frame`], for compiled code of cores whose data addresses are physical.
//!
//! Behind the frame lies room for all 32-bit addresses. Memory is mapped there as it is in the guest, the rest may not be
//! accessed: a load or store of compiled code is one host instruction, and what is no memory, or has to be seen, faults in the
//! host. Pages that hold code may be read only, so that stores to them fault, too. This is the TLB's write table in
//! another form, and follows the same events.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::frame::Frame;
use crate::memory::{GuestMemory, MemoryKind, PAGE_SIZE, Region};
use crate::tlb::Tlb;

/// Addresses that fit.
pub(crate) const SPAN: u64 = 1 << 32;

/// Where guest memory is for compiled code, if it is anywhere.
pub struct Window {
    /// Host address of guest address 0; null: there is no window.
    base: Cell<*mut u8>,
    /// Pages that are read only although they are RAM, a bit each.
    closed: [Cell<u64>; (SPAN / PAGE_SIZE / 64) as usize],
}

impl Window {
    /// Distance from the start of a [`Frame`] to guest address 0.
    pub const DISTANCE: usize = 2 << 20;
    /// How far before the first and behind the last address nothing can be accessed either.
    pub const MARGIN: usize = 64 << 10;
    /// Bytes to reserve for a frame with its window or mirror.
    pub(crate) const RESERVED: usize = Self::DISTANCE + SPAN as usize + Self::MARGIN;

    /// Lets the window begin at `base`.
    ///
    /// # Safety
    /// The address space from `base - MARGIN` to `base + SPAN + MARGIN` is reserved for it as long as it is used.
    pub(crate) unsafe fn open(&self, base: NonNull<u8>) {
        self.base.set(base.as_ptr());
    }

    /// Whether there is one.
    pub fn is_open(&self) -> bool {
        !self.base.get().is_null()
    }

    /// Host address of the window's place for `paddr`, if there is a window that has one.
    fn at(&self, paddr: u64, len: u64) -> Option<*mut u8> {
        let fits = self.is_open() && paddr.checked_add(len).is_some_and(|end| end <= SPAN);
        fits.then(|| self.base.get().wrapping_add(paddr as usize))
    }

    /// Shows memory as it is now. Where the host refuses, nothing is there, and accesses go the slow way.
    pub(crate) fn map(&self, memory: &GuestMemory) {
        memory.regions().iter().for_each(|region| self.map_region(memory, region));
    }

    fn map_region(&self, memory: &GuestMemory, region: &Region) {
        let spec = region.spec();
        let Some(at) = self.at(spec.base, spec.size) else { return };
        let rights = match spec.kind {
            _ if !region.is_direct() => ProtFlags::empty(),
            MemoryKind::Ram => ProtFlags::READ | ProtFlags::WRITE,
            MemoryKind::Rom => ProtFlags::READ,
        };
        // SAFETY: the range lies in the window, whose address space is ours and in which no reference ever points.
        let mapped = unsafe {
            let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::NORESERVE;
            rustix::mm::mmap(at.cast(), spec.size as usize, rights, flags, region.fd(), 0)
        };
        if mapped.is_err() || spec.kind == MemoryKind::Rom {
            return;
        }
        for paddr in (spec.base..spec.base + spec.size).step_by(PAGE_SIZE as usize) {
            self.note(paddr, true);
            if memory.page(paddr).is_some_and(|page| page.code) {
                self.set_writable(memory, paddr, false);
            }
        }
    }

    /// Remembers whether stores to the page of `paddr` pass; gives whether that is new.
    fn note(&self, paddr: u64, writable: bool) -> bool {
        let page = paddr / PAGE_SIZE;
        let (word, bit) = (&self.closed[(page / 64) as usize], 1 << (page % 64));
        let before = word.get();
        word.set(if writable { before & !bit } else { before | bit });
        before != word.get()
    }

    /// Lets stores to the page of `paddr`, which is RAM, pass, or not.
    pub(crate) fn set_writable(&self, memory: &GuestMemory, paddr: u64, writable: bool) {
        let Some(at) = self.at(paddr & !(PAGE_SIZE - 1), PAGE_SIZE) else { return };
        if !self.note(paddr, writable) {
            return;
        }
        let write = if writable { MprotectFlags::WRITE } else { MprotectFlags::empty() };
        // SAFETY: the page lies in the window. Only rights change, and compiled code answers every fault there.
        let done =
            unsafe { rustix::mm::mprotect(at.cast(), PAGE_SIZE as usize, MprotectFlags::READ | write) };
        if done.is_err() && !writable {
            // The host has no room to tell pages apart; and this one must not be written.
            self.close(memory);
        }
    }

    /// Shows nothing any more: all accesses go the slow way. Takes no more of the host than there is already, as regions begin and end
    /// where the host's own mappings do.
    fn close(&self, memory: &GuestMemory) {
        for region in memory.regions() {
            let Some(at) = self.at(region.spec().base, region.spec().size) else { continue };
            // SAFETY: the range lies in the window, which stays reserved. Compiled code answers every fault there.
            let closed = unsafe {
                let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
                rustix::mm::mmap_anonymous(at.cast(), region.spec().size as usize, ProtFlags::empty(), flags)
            };
            assert!(closed.is_ok(), "the host can not protect guest code");
        }
        self.base.set(std::ptr::null_mut());
    }

    /// The physical address of a page by its host address in `memory`'s own mapping.
    pub(crate) fn paddr_of(memory: &GuestMemory, host_page: usize) -> Option<u64> {
        memory.regions().iter().find_map(|region| {
            let offset = host_page.checked_sub(region.host().as_ptr().addr())? as u64;
            (offset < region.spec().size).then(|| region.spec().base + offset)
        })
    }
}

/// What lies behind a frame, where the host has room for it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Behind {
    /// Nothing.
    Nothing,
    /// A [`Window`], for a core with 32-bit addresses; see [`Window::is_open`].
    Window,
    /// A mirror of pages by their virtual addresses, for a core with wider ones; see [`Tlb::has_mirror`].
    Mirror,
}

/// A frame in memory of its own, with what is behind it.
pub struct FrameBox {
    frame: NonNull<Frame>,
    reserved: usize,
}

// SAFETY: the memory belongs to this value alone; a frame may move between threads (see `Tlb`).
unsafe impl Send for FrameBox {}

impl FrameBox {
    /// A frame of zeros with an empty TLB over `memory`.
    pub fn new(memory: GuestMemory, behind: Behind) -> FrameBox {
        let own = size_of::<Frame>().next_multiple_of(PAGE_SIZE as usize);
        const { assert!(size_of::<Frame>() + Window::MARGIN <= Window::DISTANCE) };
        let reserve = |len| {
            // SAFETY: a fresh private mapping without rights, at an address of the kernel's choice.
            unsafe {
                let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
                rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags)
            }
            .ok()
            .and_then(|at| Some((NonNull::new(at.cast::<u8>())?, len)))
        };
        let found = (behind != Behind::Nothing).then(|| reserve(Window::RESERVED)).flatten();
        let has_room = found.is_some();
        let (at, reserved) = found.or_else(|| reserve(own)).expect("the host has memory for a core");
        // SAFETY: the range was just reserved. Zeros are valid for every field of a frame, which are cells of integers and of
        // raw pointers, but for the memory that the TLB holds; `Tlb::init` writes that one, by pointer, before
        // the frame counts as initialised.
        unsafe {
            let rights = MprotectFlags::READ | MprotectFlags::WRITE;
            rustix::mm::mprotect(at.as_ptr().cast(), own, rights).expect("the host has memory for a core");
            let frame = at.cast::<Frame>();
            Tlb::init(&raw mut (*frame.as_ptr()).tlb, memory.clone());
            let this = FrameBox { frame, reserved };
            match behind {
                Behind::Window if has_room => {
                    this.tlb.window.open(at.add(Window::DISTANCE));
                    this.tlb.window.map(&memory);
                }
                Behind::Mirror if has_room => this.tlb.mirror.open(at.add(Window::DISTANCE)),
                _ => {}
            }
            this
        }
    }
}

impl std::ops::Deref for FrameBox {
    type Target = Frame;

    #[inline(always)]
    fn deref(&self) -> &Frame {
        // SAFETY: made by `new` and valid until dropped.
        unsafe { self.frame.as_ref() }
    }
}

impl Drop for FrameBox {
    fn drop(&mut self) {
        // SAFETY: made by `new`; nothing refers to the frame or into the window any more.
        unsafe {
            std::ptr::drop_in_place(self.frame.as_ptr());
            let _ = rustix::mm::munmap(self.frame.as_ptr().cast(), self.reserved);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::memory::RegionSpec;
    use crate::tlb::AccessKind;

    /// The rights of the mapping at a host address, as the host's kernel lists them.
    pub(crate) fn rights(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let found = maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let number = |text| usize::from_str_radix(text, 16).ok();
            (number(from)? <= address && address < number(to)?).then(|| rest[..4].to_owned())
        });
        found.unwrap_or_default()
    }

    #[test]
    fn the_window_shows_memory_and_keeps_code_from_stores() {
        let region = |name: &str, base, kind| RegionSpec { name: name.into(), base, size: 0x3000, kind };
        let ram = region("ram", 0x8000_0000, MemoryKind::Ram);
        let rom = region("rom", 0xffff_d000, MemoryKind::Rom);
        let memory = GuestMemory::new(vec![ram, rom]).unwrap();
        memory.mark_code(0x8000_1000, 4).unwrap();
        let frame = FrameBox::new(memory.clone(), Behind::Window);
        assert!(frame.tlb.window.is_open());
        let base = (&raw const *frame).addr() + Window::DISTANCE;
        let at = |paddr: usize| rights(base + paddr);
        assert_eq!([at(0x8000_0000), at(0x8000_1000), at(0x8000_2fff)], ["rw-s", "r--s", "rw-s"]);
        assert_eq!([at(0xffff_dfff), at(0), at(0x7fff_ffff)], ["r--s", "---p", "---p"]);
        assert_eq!([rights(base - 1), at(0x1_0000_0000)], ["---p", "---p"]);
        memory.write(0x8000_0123, &[42]).unwrap();
        // SAFETY: mapped readable, as was just seen.
        assert_eq!(unsafe { *((base + 0x8000_0123) as *const u8) }, 42);

        memory.mark_code(0x8000_0040, 4).unwrap();
        frame.tlb.sync();
        assert_eq!(at(0x8000_0000), "r--s");
        // It is data again as soon as it was written and the TLB hears of a store.
        memory.write(0x8000_0040, &[0]).unwrap();
        frame.tlb.insert(8, AccessKind::Write, 0x8000_0000, 0x8000_0000, 0x1000);
        assert_eq!([at(0x8000_0000), at(0x8000_1000)], ["rw-s", "r--s"]);

        memory.set_direct(0xffff_d000, false);
        frame.tlb.sync();
        assert_eq!(at(0xffff_dfff), "---s");
    }

    #[test]
    fn a_closed_window_shows_nothing_and_stays_so() {
        let ram = RegionSpec { name: "ram".into(), base: 0x1000, size: 0x3000, kind: MemoryKind::Ram };
        let memory = GuestMemory::new(vec![ram]).unwrap();
        let frame = FrameBox::new(memory.clone(), Behind::Window);
        let base = (&raw const *frame).addr() + Window::DISTANCE;
        frame.tlb.window.close(&memory);
        memory.mark_code(0x1000, 4).unwrap();
        frame.tlb.sync();
        frame.tlb.window.set_writable(&memory, 0x1000, true);
        frame.tlb.window.map(&memory);
        assert!([0, 0x1000, 0x3000, 0x4000].iter().all(|paddr| rights(base + paddr) == "---p"));
    }

    #[test]
    fn a_frame_without_a_window_has_none() {
        let ram = RegionSpec { name: "ram".into(), base: 0, size: 0x1000, kind: MemoryKind::Ram };
        let frame = FrameBox::new(GuestMemory::new(vec![ram]).unwrap(), Behind::Nothing);
        assert!(!frame.tlb.window.is_open());
        frame.tlb.sync();
    }
}
