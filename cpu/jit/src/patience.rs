//! Pages whose code is rewritten again and again: they run interpreted for a while before they are compiled anew.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use cpu_core::blocks::AddressHasher;
use cpu_core::memory::PAGE_SIZE;

/// What is known of pages whose compiled code did not live for long.
#[derive(Default)]
pub(crate) struct Patience {
    /// By physical page, how many times the heat that compiling takes has to double.
    doublings: HashMap<u64, u32, BuildHasherDefault<AddressHasher>>,
}

impl Patience {
    /// Instructions of compiled code in which that of a page has most likely paid for itself.
    pub const PAYS: u64 = 1 << 20;
    const MOST: u32 = 6;

    /// Takes note that the code of a page is void, so many instructions after the first of it was compiled.
    pub fn note(&mut self, paddr: u64, lived: u64) {
        let page = paddr / PAGE_SIZE;
        if lived >= Self::PAYS {
            self.doublings.remove(&page);
        } else {
            let doublings = self.doublings.entry(page).or_default();
            *doublings = (*doublings + 1).min(Self::MOST);
        }
    }

    /// How often a block at `paddr` has to run before it is compiled, where `hot` is enough elsewhere.
    pub fn heat(&self, paddr: u64, hot: u32) -> u32 {
        let doublings = self.doublings.get(&(paddr / PAGE_SIZE)).copied().unwrap_or(0);
        hot.saturating_mul(1 << doublings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_rewritten_soon_has_to_be_hotter_each_time() {
        let mut patience = Patience::default();
        let mut heats = Vec::new();
        for _ in 0..8 {
            heats.push(patience.heat(0x5ffe, 24));
            patience.note(0x5000, Patience::PAYS - 1);
        }
        assert_eq!(heats, [24, 48, 96, 192, 384, 768, 1536, 1536]);
        assert_eq!([patience.heat(0x6000, 24), patience.heat(0x5000, 0)], [24, 0]);
        patience.note(0x5000, Patience::PAYS);
        assert_eq!(patience.heat(0x5000, 24), 24, "it has been worth it");
    }
}
