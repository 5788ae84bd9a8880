//! Predecoded code: blocks keyed by physical address and mode, and a table that finds them by virtual address.
//!
//! A block never outlives its page's content: each remembers the generation of the page it was decoded from, and a
//! change of [`GuestMemory::changed_epoch`] voids the virtual table, so that each block is checked before its next use.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::memory::{GuestMemory, PAGE_SIZE};

/// Bit of a mode: protection differs inside the page.
pub const SPLIT_PAGE: u32 = 1 << 31;

const JUMPS: usize = 16384;
/// Blocks kept before all are dropped; their numbers fit into the top of a [`Jump`]'s stamp.
const MAX_BLOCKS: usize = 1 << 17;
/// Where the number of a block starts in a stamp, and where the epoch does.
const BLOCK_SHIFT: u32 = 44;
const EPOCH_SHIFT: u32 = 24;
const MAX_EPOCH: u64 = (1 << (BLOCK_SHIFT - EPOCH_SHIFT)) - 1;

/// A run of predecoded instructions inside one page (the last may reach into the next page).
pub struct Block<Op> {
    /// The instructions, in order.
    pub ops: Box<[Op]>,
    /// Physical address of the first.
    pub paddr: u64,
    /// Physical address of the page into which the last instruction reaches, if it does.
    pub second: Option<u64>,
    /// Their bytes.
    pub bytes: u32,
    /// Different for each block ever added.
    pub serial: u64,
    /// Protection is the same all over its page: what is known of the block holds until its content changes.
    pub whole_page: bool,
    /// How often it was run, for whoever compiles.
    pub heat: Cell<u32>,
    /// The engine's generation and the address of its host code.
    pub code: Cell<(u64, u64)>,
    generation: u32,
    second_generation: u32,
}

impl<Op> Block<Op> {
    /// How many of its first `n` instructions come before a breakpoint, where it stands at `pc`; `len` tells an instruction's bytes.
    /// `breakpoints` are in order.
    pub fn before_breakpoint(
        &self,
        breakpoints: &[u64],
        pc: u64,
        n: usize,
        len: impl Fn(&Op) -> u64,
    ) -> usize {
        let from = breakpoints.partition_point(|address| *address < pc);
        let Some(&next) = breakpoints.get(from) else { return n };
        if next - pc >= self.bytes as u64 {
            return n;
        }
        let mut at = pc;
        for (i, op) in self.ops.iter().take(n).enumerate() {
            if at >= next {
                return i;
            }
            at += len(op);
        }
        n
    }
}

#[derive(Copy, Clone)]
struct Jump {
    vaddr: u64,
    /// Number of the block, epoch and context, from the top. A new epoch voids all entries.
    stamp: u64,
}

/// Addresses are no one's attack here: a multiplication is enough, and half the cost of a lookup is saved.
#[derive(Clone, Default)]
pub struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(*byte as u64));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// The blocks of one core.
pub struct BlockCache<Op> {
    by_paddr: HashMap<(u64, u32), u32, BuildHasherDefault<AddressHasher>>,
    blocks: Vec<Block<Op>>,
    jumps: Box<[Jump; JUMPS]>,
    /// 1 to [`MAX_EPOCH`]; entries of zeros are of none.
    epoch: u64,
    memory: GuestMemory,
    changed_epoch: u64,
    flushes: u64,
    /// Blocks decoded since the start.
    pub decoded: u64,
}

impl<Op> BlockCache<Op> {
    /// An empty cache for code in `memory`.
    pub fn new(memory: GuestMemory) -> BlockCache<Op> {
        let none = Jump { vaddr: 0, stamp: 0 };
        let Ok(jumps) = vec![none; JUMPS].into_boxed_slice().try_into() else {
            unreachable!("JUMPS entries were made")
        };
        BlockCache {
            by_paddr: HashMap::default(),
            blocks: Vec::new(),
            jumps,
            epoch: 1,
            changed_epoch: memory.changed_epoch(),
            flushes: 0,
            memory,
            decoded: 0,
        }
    }

    /// Forgets every block.
    pub fn clear(&mut self) {
        self.by_paddr.clear();
        self.blocks.clear();
        self.forget_jumps();
    }

    fn forget_jumps(&mut self) {
        self.epoch += 1;
        if self.epoch > MAX_EPOCH {
            self.epoch = 1;
            self.jumps.fill(Jump { vaddr: 0, stamp: 0 });
        }
    }

    /// Sets the heat of every block back to 0.
    pub fn cool(&self) {
        self.blocks.iter().for_each(|block| block.heat.set(0));
    }

    /// The block numbered `index`.
    #[inline(always)]
    pub fn get(&self, index: u32) -> Option<&Block<Op>> {
        self.blocks.get(index as usize)
    }

    #[inline(always)]
    fn place(vaddr: u64) -> usize {
        (vaddr >> 1 ^ vaddr >> 13) as usize & (JUMPS - 1)
    }

    /// The block at `vaddr` under `context` (less than 2^24), if it was found there since the last change of code or translation.
    #[inline(always)]
    pub fn by_vaddr(&mut self, vaddr: u64, context: u64, flushes: u64) -> Option<u32> {
        if self.changed_epoch != self.memory.changed_epoch() || self.flushes != flushes {
            self.changed_epoch = self.memory.changed_epoch();
            self.flushes = flushes;
            self.forget_jumps();
        }
        let jump = &self.jumps[Self::place(vaddr)];
        let found = jump.stamp ^ (self.epoch << EPOCH_SHIFT | context);
        (jump.vaddr == vaddr && found & ((1 << BLOCK_SHIFT) - 1) == 0)
            .then_some((jump.stamp >> BLOCK_SHIFT) as u32)
    }

    /// Remembers that `vaddr` leads to block `block` under `context`, the numbers that [`BlockCache::by_vaddr`] got.
    pub fn remember(&mut self, vaddr: u64, context: u64, block: u32) {
        self.jumps[Self::place(vaddr)] =
            Jump { vaddr, stamp: (block as u64) << BLOCK_SHIFT | self.epoch << EPOCH_SHIFT | context };
    }

    /// The up-to-date block at `paddr` decoded under `mode`. `second` gives the physical address of the next virtual
    /// page, for a block that reaches into it.
    pub fn by_paddr(&self, paddr: u64, mode: u32, second: impl FnOnce() -> Option<u64>) -> Option<u32> {
        let index = *self.by_paddr.get(&(paddr, mode))?;
        let block = self.get(index)?;
        if self.memory.generation(paddr) != Some(block.generation) {
            return None;
        }
        if let Some(page) = block.second
            && (second() != Some(page) || self.memory.generation(page) != Some(block.second_generation))
        {
            return None;
        }
        Some(index)
    }

    /// Adds a block, decoded from what memory holds now, and marks its pages as code. `None` where they are no memory.
    pub fn add(
        &mut self,
        paddr: u64,
        mode: u32,
        second: Option<u64>,
        bytes: u32,
        ops: Box<[Op]>,
    ) -> Option<u32> {
        let generation = self.memory.mark_code(paddr, bytes as u64)?;
        let second_generation = match second {
            Some(page) => self.memory.mark_code(page, 2)?,
            None => 0,
        };
        if self.blocks.len() >= MAX_BLOCKS {
            self.clear();
        }
        self.decoded += 1;
        let serial = self.decoded;
        let block = Block {
            ops,
            paddr,
            second,
            bytes,
            serial,
            whole_page: mode & SPLIT_PAGE == 0,
            heat: Cell::new(0),
            code: Cell::new((0, 0)),
            generation,
            second_generation,
        };
        // A stale block leaves its place to its successor.
        let index = match self.by_paddr.get(&(paddr, mode)) {
            Some(&index) => {
                if let Some(place) = self.blocks.get_mut(index as usize) {
                    *place = block;
                }
                self.forget_jumps();
                index
            }
            None => {
                self.blocks.push(block);
                let index = (self.blocks.len() - 1) as u32;
                self.by_paddr.insert((paddr, mode), index);
                index
            }
        };
        Some(index)
    }

    /// How many bytes a block at `paddr` may take: to the end of its page.
    pub fn room(paddr: u64) -> u64 {
        PAGE_SIZE - paddr % PAGE_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryKind, RegionSpec};

    #[test]
    fn a_write_to_its_page_makes_a_block_stale() {
        let ram = RegionSpec { name: "ram".into(), base: 0, size: 0x4000, kind: MemoryKind::Ram };
        let memory = GuestMemory::new(vec![ram]).unwrap();
        let mut cache = BlockCache::<u8>::new(memory.clone());
        let index = cache.add(0x1ffe, 0, Some(0x3000), 4, Box::new([1])).unwrap();
        cache.remember(0x8ffe, 5, index);
        assert_eq!(cache.by_vaddr(0x8ffe, 5, 0), Some(index));
        assert_eq!(cache.by_vaddr(0x8ffe, 6, 0), None);
        assert_eq!(cache.by_vaddr(0x8ffe, 5, 1), None, "a flush of the TLB voids what it knew");
        assert_eq!(cache.by_paddr(0x1ffe, 0, || Some(0x3000)), Some(index));
        assert_eq!(cache.by_paddr(0x1ffe, 0, || Some(0x2000)), None, "the next page is another one");
        assert_eq!(cache.by_paddr(0x1ffe, 1, || Some(0x3000)), None, "another mode");
        cache.remember(0x8ffe, 5, index);
        memory.write(0x2000, &[1]).unwrap();
        memory.write(0x3ffc, &[1]).unwrap();
        assert_eq!(cache.by_vaddr(0x8ffe, 5, 1), Some(index), "there is no code");
        memory.write(0x3000, &[1]).unwrap();
        assert_eq!(cache.by_vaddr(0x8ffe, 5, 1), None);
        assert_eq!(cache.by_paddr(0x1ffe, 0, || Some(0x3000)), None);
        assert_eq!(cache.add(0x1ffe, 0, Some(0x3000), 4, Box::new([2])), Some(index));
        assert_eq!(cache.by_paddr(0x1ffe, 0, || Some(0x3000)), Some(index));
        assert!(cache.add(0x9000, 0, None, 4, Box::new([2])).is_none());
        let heat = |cache: &BlockCache<u8>| cache.get(index).map(|block| block.heat.replace(7));
        assert_eq!(heat(&cache), Some(0));
        cache.cool();
        assert_eq!((heat(&cache), heat(&cache)), (Some(0), Some(7)));
    }

    #[test]
    fn epochs_come_round_without_harm() {
        let ram = RegionSpec { name: "ram".into(), base: 0, size: 0x1000, kind: MemoryKind::Ram };
        let mut cache = BlockCache::<u8>::new(GuestMemory::new(vec![ram]).unwrap());
        let index = cache.add(0, 0, None, 4, Box::new([1])).unwrap();
        cache.remember(0x8000, 5, index);
        for flushes in 1..=MAX_EPOCH {
            assert_eq!(cache.by_vaddr(0x8000, 5, flushes), None);
        }
        cache.remember(0x8000, 5, index);
        assert_eq!(cache.by_vaddr(0x8000, 5, MAX_EPOCH), Some(index));
    }
}
