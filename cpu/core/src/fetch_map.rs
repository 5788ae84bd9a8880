//! Where every page of code was found, until a flush: what the TLB's table of fetches, the block cache's virtual table and the
//! jump cache are caches of.
//!
//! A guest may see when its page tables are read, by an entry that it changed without a fence or by an A bit that is set.
//! Each of the three caches loses entries on occasions of its own, which are others in compiled code than in the
//! interpreter. None of them knows more than this map does, and only where this map knows nothing are page tables read: at the same
//! instructions in either tier.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::blocks::AddressHasher;

type Map<V> = HashMap<u64, V, BuildHasherDefault<AddressHasher>>;

/// Physical pages by tag: virtual page and number of the context in one.
#[derive(Default)]
pub(crate) struct FetchMap {
    pages: Map<u64>,
    /// By virtual page: one more than the index of the last of its tags in `tags`.
    last: Map<u32>,
    /// Tags in the order of their coming, each with the one before of the same virtual page, as in `last`.
    tags: Vec<(u64, u32)>,
}

impl FetchMap {
    /// Insertions before all is dropped, those of dropped entries among them: they are counted where the guest's
    /// instructions alone decide.
    pub const BOUND: usize = 1 << 16;

    pub fn get(&self, tag: u64) -> Option<u64> {
        self.pages.get(&tag).copied()
    }

    /// Whether the next insertion is one too many.
    pub fn is_full(&self) -> bool {
        self.tags.len() >= Self::BOUND
    }

    /// `vpage` is the virtual page of `tag`.
    pub fn insert(&mut self, tag: u64, vpage: u64, page: u64) {
        if self.pages.insert(tag, page).is_none() {
            let number = self.tags.len() as u32 + 1;
            let before = self.last.insert(vpage, number).unwrap_or(0);
            self.tags.push((tag, before));
        }
    }

    /// Forgets a virtual page under all contexts.
    pub fn remove(&mut self, vpage: u64) {
        let mut at = self.last.remove(&vpage).unwrap_or(0);
        while let Some((tag, before)) = (at as usize).checked_sub(1).and_then(|index| self.tags.get(index)) {
            self.pages.remove(tag);
            at = *before;
        }
    }

    pub fn clear(&mut self) {
        self.pages.clear();
        self.last.clear();
        self.tags.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_under_all_its_contexts_and_alone() {
        let mut map = FetchMap::default();
        for (vpage, context) in [(0x1000, 8), (0x2000, 8), (0x1000, 16), (0x1000, 24), (0x1000, 8)] {
            map.insert(vpage | context, vpage, vpage << 4 | context << 20);
        }
        assert_eq!(map.get(0x1010), Some(0x101_0000));
        assert_eq!(map.tags.len(), 4, "known already");
        map.remove(0x1000);
        map.remove(0x3000);
        assert_eq!([0x1008, 0x1010, 0x1018].map(|tag| map.get(tag)), [None; 3]);
        assert_eq!(map.get(0x2008), Some(0x82_0000));
        map.insert(0x1010, 0x1000, 0x5000);
        map.remove(0x1000);
        assert_eq!((map.get(0x1010), map.pages.len(), map.last.len()), (None, 1, 1));
    }

    #[test]
    fn insertions_are_counted_whatever_became_of_them() {
        let mut map = FetchMap::default();
        for n in 0..FetchMap::BOUND as u64 {
            assert!(!map.is_full());
            map.insert(n << 12, n << 12, 0);
            map.remove(n << 12);
        }
        assert!(map.is_full());
        map.clear();
        assert!(!map.is_full());
    }
}
