//! Guest RAM and ROM.
//!
//! Each region is a memfd mapped once into this process. Cores keep host addresses of pages in their TLBs;
//! devices reach memory through [`GuestMemory::read`] and [`GuestMemory::write`].
//!
//! Where decoded or compiled code came from is marked, by granules of 64 bytes, so that data beside code costs little. A
//! write to a marked granule, by whomever, raises the generation of its page and clears the page's marks; whoever cached something from the page compares generations. Marking a page
//! raises [`GuestMemory::code_epoch`] and enters it in a log, so that cores drop the write entries of their TLBs that would
//! bypass the check.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::mm::{MapFlags, ProtFlags};
use thiserror::Error;

/// Granule of protection, of code tracking and of the soft TLB.
pub const PAGE_SIZE: u64 = 4096;

/// How many of the pages that became code last are remembered.
const CODE_LOG: usize = 64;

/// What a region is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// Read, write, execute.
    Ram,
    /// Read and execute; writes go to the bus (flash commands, or a fault).
    Rom,
}

/// A region to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegionSpec {
    /// For messages.
    pub name: String,
    /// Physical address, a multiple of [`PAGE_SIZE`].
    pub base: u64,
    /// Bytes, a multiple of [`PAGE_SIZE`].
    pub size: u64,
    /// RAM or ROM.
    pub kind: MemoryKind,
}

/// Guest memory could not be made or accessed.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// An address range that is not all memory (or not writable).
    #[error("{addr:#x}+{len:#x} is not memory")]
    OutOfRange {
        /// First byte.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Not page-aligned, empty, past the end of the address space, or two regions at one place.
    #[error("memory region {name} at {base:#x}+{size:#x}: {why}")]
    BadRegion {
        /// Its name.
        name: String,
        /// Its base.
        base: u64,
        /// Its size.
        size: u64,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The host has no memory to give.
    #[error("the host gave no memory for {name} ({size:#x} bytes): {source}")]
    Host {
        /// Which region.
        name: String,
        /// How much.
        size: u64,
        /// Why.
        source: rustix::io::Errno,
    },
}

/// One region of guest memory.
pub struct Region {
    spec: RegionSpec,
    host: NonNull<u8>,
    fd: rustix::fd::OwnedFd,
    /// Per page: bumped when code in it may have changed.
    generations: Box<[AtomicU32]>,
    /// Per page: which of its 64 granules code was decoded from since its generation last changed.
    code: Box<[AtomicU64]>,
    /// False while the device behind a ROM wants to see reads too (flash in command mode).
    direct: AtomicBool,
}

// SAFETY: the mapping is owned by the region and lives as long as it; access through `host` follows the rules of
// `GuestMemory`: one machine runs on one thread, other threads only copy pages out.
unsafe impl Send for Region {}
// SAFETY: as above; the other fields are atomics.
unsafe impl Sync for Region {}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `host` was mapped by `Region::new` with this length and is not used after this.
        let _ = unsafe { rustix::mm::munmap(self.host.as_ptr().cast(), self.spec.size as usize) };
    }
}

impl Region {
    fn new(spec: RegionSpec) -> Result<Region, MemoryError> {
        let host_error = |source| MemoryError::Host { name: spec.name.clone(), size: spec.size, source };
        let name = CString::new(format!("guest-{}", spec.name)).unwrap_or_default();
        let fd = rustix::fs::memfd_create(&name, MemfdFlags::CLOEXEC).map_err(host_error)?;
        rustix::fs::ftruncate(&fd, spec.size).map_err(host_error)?;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice.
        let host = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                spec.size as usize,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
                &fd,
                0,
            )
        }
        .map_err(host_error)?;
        let host = NonNull::new(host.cast::<u8>()).ok_or(host_error(rustix::io::Errno::NOMEM))?;
        let pages = (spec.size / PAGE_SIZE) as usize;
        Ok(Region {
            host,
            fd,
            generations: (0..pages).map(|_| AtomicU32::new(0)).collect(),
            code: (0..pages).map(|_| AtomicU64::new(0)).collect(),
            direct: AtomicBool::new(true),
            spec,
        })
    }

    /// What it was made from.
    pub fn spec(&self) -> &RegionSpec {
        &self.spec
    }

    /// Host address of the first byte.
    pub fn host(&self) -> NonNull<u8> {
        self.host
    }

    /// The memfd behind it.
    pub fn fd(&self) -> &rustix::fd::OwnedFd {
        &self.fd
    }

    /// Whether reads go straight to memory.
    pub fn is_direct(&self) -> bool {
        self.direct.load(Relaxed)
    }

    fn holds(&self, addr: u64, len: u64) -> bool {
        addr >= self.spec.base
            && addr - self.spec.base < self.spec.size
            && len <= self.spec.size - (addr - self.spec.base)
    }
}

/// The granules that the bytes `first..=last` of one page lie in, a bit each.
fn granules(first: u64, last: u64) -> u64 {
    let bit = |offset: u64| offset % PAGE_SIZE / (PAGE_SIZE / 64);
    u64::MAX << bit(first) & u64::MAX >> (63 - bit(last))
}

/// A page of memory, as a TLB wants it.
#[derive(Copy, Clone, Debug)]
pub struct Page {
    /// Host address of its first byte; valid while the [`GuestMemory`] lives.
    pub host: NonNull<u8>,
    /// Stores may go straight to it, unless it is marked as code.
    pub writable: bool,
    /// It is marked as code.
    pub code: bool,
}

struct Inner {
    /// By base address.
    regions: Box<[Region]>,
    code_epoch: AtomicU64,
    /// Host addresses of the pages that became code, by the epoch that each ended.
    code_log: [AtomicUsize; CODE_LOG],
    changed_epoch: AtomicU64,
    map_epoch: AtomicU64,
}

/// All memory of one machine. Clones share it.
#[derive(Clone)]
pub struct GuestMemory(Arc<Inner>);

impl GuestMemory {
    /// Makes the regions, zero-filled. Errors if one is misaligned, empty or overlaps another, or if the host
    /// refuses.
    pub fn new(mut specs: Vec<RegionSpec>) -> Result<GuestMemory, MemoryError> {
        specs.sort_by_key(|spec| spec.base);
        let mut end = 0u64;
        for spec in &specs {
            let bad = |why| MemoryError::BadRegion {
                name: spec.name.clone(),
                base: spec.base,
                size: spec.size,
                why,
            };
            if spec.size == 0 || spec.base % PAGE_SIZE != 0 || spec.size % PAGE_SIZE != 0 {
                return Err(bad("base and size must be multiples of 4 KiB, and size not zero"));
            }
            if spec.base < end {
                return Err(bad("it overlaps the region before it"));
            }
            end = spec.base.checked_add(spec.size).ok_or(bad("it passes the end of the address space"))?;
        }
        let regions = specs.into_iter().map(Region::new).collect::<Result<_, _>>()?;
        Ok(GuestMemory(Arc::new(Inner {
            regions,
            code_epoch: AtomicU64::new(0),
            code_log: [const { AtomicUsize::new(0) }; CODE_LOG],
            changed_epoch: AtomicU64::new(0),
            map_epoch: AtomicU64::new(0),
        })))
    }

    /// All regions, by address.
    pub fn regions(&self) -> &[Region] {
        &self.0.regions
    }

    /// The region that holds all of `addr..addr+len`.
    pub fn region(&self, addr: u64, len: u64) -> Option<&Region> {
        self.0.regions.iter().find(|region| region.holds(addr, len))
    }

    /// The page at `addr`, if it is memory that reads go straight to.
    pub fn page(&self, addr: u64) -> Option<Page> {
        let region = self.region(addr, 1).filter(|region| region.is_direct())?;
        let offset = (addr - region.spec.base) & !(PAGE_SIZE - 1);
        // SAFETY: `offset` is inside the mapping, since `holds` checked it.
        let host = unsafe { region.host.add(offset as usize) };
        let code = region.code[(offset / PAGE_SIZE) as usize].load(Relaxed) != 0;
        Some(Page { host, writable: region.spec.kind == MemoryKind::Ram, code })
    }

    /// Copies from memory, from one region, whatever its kind.
    pub fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        let len = into.len() as u64;
        let region = self.region(addr, len).ok_or(MemoryError::OutOfRange { addr, len })?;
        // SAFETY: the source lies inside the mapping; the destination is an exclusive slice outside it.
        unsafe {
            let from = region.host.add((addr - region.spec.base) as usize);
            std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), into.len());
        }
        Ok(())
    }

    /// Copies into RAM, as a device's DMA does: code in the touched pages is invalidated.
    pub fn write(&self, addr: u64, from: &[u8]) -> Result<(), MemoryError> {
        let len = from.len() as u64;
        match self.region(addr, len) {
            Some(region) if region.spec.kind == MemoryKind::Ram => self.store(region, addr, from),
            _ => Err(MemoryError::OutOfRange { addr, len }),
        }
    }

    /// Copies into RAM or ROM: for loaders, and for the device that owns a ROM.
    pub fn write_any(&self, addr: u64, from: &[u8]) -> Result<(), MemoryError> {
        let len = from.len() as u64;
        let region = self.region(addr, len).ok_or(MemoryError::OutOfRange { addr, len })?;
        self.store(region, addr, from)
    }

    fn store(&self, region: &Region, addr: u64, from: &[u8]) -> Result<(), MemoryError> {
        let offset = addr - region.spec.base;
        // SAFETY: the destination lies inside the mapping; the source is a slice outside it. Guest memory is
        // only ever accessed through raw pointers, so no reference is invalidated.
        unsafe {
            let to = region.host.add(offset as usize);
            std::ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), from.len());
        }
        self.touched(addr, from.len() as u64);
        Ok(())
    }

    /// Tells that `addr..addr+len` was written other than through this type: invalidates code there.
    pub fn touched(&self, addr: u64, len: u64) {
        let Some(region) = self.region(addr, len.max(1)) else { return };
        let offset = addr - region.spec.base;
        let last = offset + len.max(1) - 1;
        for page in offset / PAGE_SIZE..=last / PAGE_SIZE {
            let hit = granules(offset.max(page * PAGE_SIZE), last.min(page * PAGE_SIZE + PAGE_SIZE - 1));
            let page = page as usize;
            if region.code[page].load(Relaxed) & hit != 0 {
                region.code[page].store(0, Relaxed);
                region.generations[page].fetch_add(1, Relaxed);
                self.0.changed_epoch.fetch_add(1, Relaxed);
            }
        }
    }

    /// Reads a little-endian integer of 1 to 8 bytes.
    pub fn read_le(&self, addr: u64, bytes: usize) -> Result<u64, MemoryError> {
        let mut buffer = [0; 8];
        let slice = buffer.get_mut(..bytes).ok_or(MemoryError::OutOfRange { addr, len: bytes as u64 })?;
        self.read(addr, slice)?;
        Ok(u64::from_le_bytes(buffer))
    }

    /// Marks `addr..addr+len`, up to the end of its page, as holding code and returns the page's generation; `None`
    /// if it is not memory.
    pub fn mark_code(&self, addr: u64, len: u64) -> Option<u32> {
        let region = self.region(addr, 1).filter(|region| region.is_direct())?;
        let offset = addr - region.spec.base;
        let page = (offset / PAGE_SIZE) as usize;
        let last = (offset + len.clamp(1, PAGE_SIZE) - 1).min(offset | (PAGE_SIZE - 1));
        if region.code[page].fetch_or(granules(offset, last), Relaxed) == 0 {
            let place = self.0.code_epoch.load(Relaxed) as usize % CODE_LOG;
            let host = region.host.as_ptr().wrapping_add(page * PAGE_SIZE as usize);
            self.0.code_log[place].store(host.addr(), Relaxed);
            self.0.code_epoch.fetch_add(1, Relaxed);
        }
        Some(region.generations[page].load(Relaxed))
    }

    /// Whether code was decoded from any of the granules of `addr..addr+len`, all in one page.
    pub fn is_code(&self, addr: u64, len: u64) -> bool {
        let Some(region) = self.region(addr, len.max(1)) else { return false };
        let offset = addr - region.spec.base;
        let marks = region.code[(offset / PAGE_SIZE) as usize].load(Relaxed);
        marks & granules(offset, offset + len.max(1) - 1) != 0
    }

    /// The generation counter of the page at `addr`, to compare with what [`GuestMemory::mark_code`] returned.
    #[inline]
    pub fn generation(&self, addr: u64) -> Option<u32> {
        let region = self.region(addr, 1)?;
        Some(region.generations[((addr - region.spec.base) / PAGE_SIZE) as usize].load(Relaxed))
    }

    /// Changes whenever a page becomes code: write entries of TLBs older than that may bypass the check.
    pub fn code_epoch(&self) -> u64 {
        self.0.code_epoch.load(Relaxed)
    }

    /// Host addresses of the pages that became code since [`GuestMemory::code_epoch`] was `epoch`; `None` if they are too
    /// many to be remembered.
    pub fn code_since(&self, epoch: u64) -> Option<impl Iterator<Item = usize>> {
        let now = self.code_epoch();
        (now.wrapping_sub(epoch) <= CODE_LOG as u64)
            .then(|| (epoch..now).map(|epoch| self.0.code_log[epoch as usize % CODE_LOG].load(Relaxed)))
    }

    /// Changes whenever the generation of any page does: whoever skips comparing generations compares this.
    #[inline]
    pub fn changed_epoch(&self) -> u64 {
        self.0.changed_epoch.load(Relaxed)
    }

    /// Changes whenever a region's directness does: all TLB entries older than that are void.
    pub fn map_epoch(&self) -> u64 {
        self.0.map_epoch.load(Relaxed)
    }

    /// Lets reads of the ROM at `addr` go straight to memory, or all to its device.
    pub fn set_direct(&self, addr: u64, direct: bool) {
        if let Some(region) = self.region(addr, 1)
            && region.direct.swap(direct, Relaxed) != direct
        {
            self.0.map_epoch.fetch_add(1, Relaxed);
        }
    }

    /// Calls `f` with the address and content of every page that is not all zero, by address.
    pub fn for_each_page(&self, mut f: impl FnMut(u64, &[u8; PAGE_SIZE as usize])) {
        let mut buffer = [0u8; PAGE_SIZE as usize];
        for region in self.regions() {
            let mut offset = 0;
            // Untouched RAM is a hole of the memfd: skipping holes keeps this proportional to what was used.
            while let Ok(data) = rustix::fs::seek(&region.fd, SeekFrom::Data(offset)) {
                let end = rustix::fs::seek(&region.fd, SeekFrom::Hole(data)).unwrap_or(region.spec.size);
                for page in (data & !(PAGE_SIZE - 1)..end.min(region.spec.size)).step_by(PAGE_SIZE as usize) {
                    let addr = region.spec.base + page;
                    if self.read(addr, &mut buffer).is_ok() && buffer.iter().any(|byte| *byte != 0) {
                        f(addr, &buffer);
                    }
                }
                offset = end;
            }
        }
    }

    /// The first address at or behind `addr`, in the same region or at its end, before which everything is zero. Untouched RAM, which
    /// reading would make the host allocate, is skipped by this.
    pub fn next_data(&self, addr: u64) -> u64 {
        let Some(region) = self.region(addr, 1) else { return addr };
        let (base, size) = (region.spec.base, region.spec.size);
        match rustix::fs::seek(&region.fd, SeekFrom::Data(addr - base)) {
            Ok(data) => base + data.clamp(addr - base, size),
            Err(rustix::io::Errno::NXIO) => base + size,
            Err(_) => addr,
        }
    }

    /// Makes all RAM zero again and drops all code. ROM keeps its content.
    pub fn clear(&self) {
        for region in self.regions().iter().filter(|region| region.spec.kind == MemoryKind::Ram) {
            // A shrink and a grow drop every page of the memfd; the mapping stays.
            if rustix::fs::ftruncate(&region.fd, 0).is_err()
                || rustix::fs::ftruncate(&region.fd, region.spec.size).is_err()
            {
                let zero = [0; PAGE_SIZE as usize];
                for page in (0..region.spec.size).step_by(PAGE_SIZE as usize) {
                    let _ = self.write_any(region.spec.base + page, &zero);
                }
            }
            self.touched(region.spec.base, region.spec.size);
        }
    }
}

impl std::fmt::Debug for GuestMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.regions().iter().map(Region::spec)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ram(base: u64, size: u64) -> RegionSpec {
        RegionSpec { name: "ram".into(), base, size, kind: MemoryKind::Ram }
    }

    #[test]
    fn reads_what_was_written_and_refuses_the_rest() {
        let memory = GuestMemory::new(vec![ram(0x8000_0000, 0x4000)]).unwrap();
        memory.write(0x8000_0ffe, &[1, 2, 3, 4]).unwrap();
        assert_eq!(memory.read_le(0x8000_0ffe, 4).unwrap(), 0x0403_0201);
        assert!(memory.write(0x8000_3ffe, &[0; 4]).is_err());
        assert!(memory.read_le(0x7fff_ffff, 2).is_err());
        assert!(memory.read_le(u64::MAX, 8).is_err());
        assert!(memory.read_le(0x8000_0000, 9).is_err());
    }

    #[test]
    fn rejects_bad_regions() {
        for specs in [
            vec![ram(1, 0x1000)],
            vec![ram(0, 0)],
            vec![ram(0, 0x2000), ram(0x1000, 0x1000)],
            vec![ram(0xffff_ffff_ffff_f000, 0x2000)],
        ] {
            assert!(matches!(GuestMemory::new(specs), Err(MemoryError::BadRegion { .. })));
        }
    }

    #[test]
    fn a_write_to_code_raises_its_generation_once() {
        let memory = GuestMemory::new(vec![ram(0, 0x3000)]).unwrap();
        let generation = memory.mark_code(0x1004, 4).unwrap();
        let epoch = memory.code_epoch();
        assert_eq!(memory.mark_code(0x1ffc, 64), Some(generation));
        assert_eq!(memory.code_epoch(), epoch);
        memory.write(0x1040, &[0; 0xf80]).unwrap();
        assert_eq!(memory.generation(0x1000), Some(generation), "data between code");
        assert!(memory.page(0x1000).unwrap().code);
        memory.write(0x0ffc, &[0; 4]).unwrap();
        assert_eq!(memory.generation(0x1000), Some(generation));
        memory.write(0x0ffc, &[0; 5]).unwrap();
        memory.write(0x1000, &[0; 5]).unwrap();
        assert_eq!(memory.generation(0x1000), Some(generation + 1));
    }

    #[test]
    fn pages_that_became_code_are_remembered_for_a_while() {
        let memory = GuestMemory::new(vec![ram(0, 0x10_0000)]).unwrap();
        let host = |paddr| memory.page(paddr).unwrap().host.as_ptr().addr();
        let since = |epoch| memory.code_since(epoch).map(|pages| pages.collect::<Vec<_>>());
        assert_eq!(since(0), Some(vec![]));
        memory.mark_code(0x3004, 4).unwrap();
        memory.mark_code(0x3ff0, 4).unwrap();
        memory.mark_code(0x1000, 4).unwrap();
        assert_eq!(since(0), Some(vec![host(0x3000), host(0x1000)]));
        assert_eq!(since(1), Some(vec![host(0x1000)]));
        for page in 0x10..0x10 + CODE_LOG as u64 {
            memory.mark_code(page << 12, 4).unwrap();
        }
        assert_eq!(since(1), None);
        assert_eq!(since(2).unwrap().len(), CODE_LOG);
    }

    #[test]
    fn pages_are_listed_only_where_not_zero() {
        let memory = GuestMemory::new(vec![ram(0, 0x10_0000), ram(0x8000_0000, 0x1000_0000)]).unwrap();
        memory.write(0x8765_4321, &[7]).unwrap();
        memory.write(0x5000, &[0; 4096]).unwrap();
        let mut seen = vec![];
        memory.for_each_page(|addr, page| seen.push((addr, page[0x321])));
        assert_eq!(seen, [(0x8765_4000, 7)]);
        assert!((0x8700_0001..=0x8765_4000).contains(&memory.next_data(0x8700_0000)));
        assert_eq!(memory.next_data(0x8765_4321), 0x8765_4321);
        assert_eq!((memory.next_data(0x8fff_f000), memory.next_data(0x20_0000)), (0x9000_0000, 0x20_0000));
        memory.clear();
        memory.for_each_page(|addr, _| panic!("{addr:#x} is not zero"));
        assert_eq!(memory.read_le(0x8765_4321, 1).unwrap(), 0);
    }

    #[test]
    fn a_rom_is_written_only_by_its_owner() {
        let spec =
            RegionSpec { name: "flash".into(), base: 0x2000_0000, size: 0x1000, kind: MemoryKind::Rom };
        let memory = GuestMemory::new(vec![spec]).unwrap();
        assert!(memory.write(0x2000_0000, &[1]).is_err());
        memory.write_any(0x2000_0000, &[1]).unwrap();
        assert!(!memory.page(0x2000_0000).unwrap().writable);
        let epoch = memory.map_epoch();
        memory.set_direct(0x2000_0000, false);
        assert!(memory.page(0x2000_0000).is_none());
        assert_ne!(memory.map_epoch(), epoch);
    }
}
