//! Physical memory protection. Volume II, 3.7. Granularity 4 bytes.

use cpu_core::AccessKind;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

use super::Privilege;

/// The most entries that a hart can have here.
pub const ENTRIES: usize = 16;

const READ: u8 = 1;
const WRITE: u8 = 2;
const EXECUTE: u8 = 4;
const MODE: u8 = 3 << 3;
const TOR: u8 = 1 << 3;
const NA4: u8 = 2 << 3;
const NAPOT: u8 = 3 << 3;
const LOCK: u8 = 1 << 7;

/// The `pmpcfg` and `pmpaddr` registers.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(crate) struct Pmp {
    cfg: [Cell<u8>; ENTRIES],
    addr: [Cell<u64>; ENTRIES],
}

/// What protection says about an access.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    pub allowed: bool,
    /// The same holds for every access of this kind to the 4 KiB page.
    pub whole_page: bool,
}

impl Pmp {
    /// The configuration of entry `i`.
    pub fn cfg(&self, i: usize) -> u8 {
        self.cfg.get(i).map_or(0, Cell::get)
    }

    pub fn addr(&self, i: usize) -> u64 {
        self.addr.get(i).map_or(0, Cell::get)
    }

    pub fn set_cfg(&self, i: usize, value: u8) {
        let Some(cfg) = self.cfg.get(i) else { return };
        if cfg.get() & LOCK != 0 {
            return;
        }
        let mut value = value & (LOCK | MODE | READ | WRITE | EXECUTE);
        if value & (READ | WRITE) == WRITE {
            // Reserved: stays without write.
            value &= !WRITE;
        }
        cfg.set(value);
    }

    pub fn set_addr(&self, i: usize, value: u64) {
        let Some(addr) = self.addr.get(i) else { return };
        let next = self.cfg(i + 1);
        if self.cfg(i) & LOCK == 0 && (next & LOCK == 0 || next & MODE != TOR) {
            addr.set(value & ((1 << 54) - 1));
        }
    }

    /// First byte and last byte of entry `i`; `None` if it is off or empty.
    fn range(&self, i: usize) -> Option<(u64, u64)> {
        let addr = self.addr[i].get();
        match self.cfg[i].get() & MODE {
            TOR => {
                let low = if i == 0 { 0 } else { self.addr[i - 1].get() };
                (low < addr).then(|| (low << 2, (addr << 2) - 1))
            }
            NA4 => Some((addr << 2, (addr << 2) + 3)),
            NAPOT => {
                let ones = addr.trailing_ones();
                let size_mask = (8u64 << ones) - 1;
                let base = (addr & !((1u64 << ones) - 1)) << 2;
                Some((base & !size_mask, base | size_mask))
            }
            _ => None,
        }
    }

    /// Whether `privilege` may access everything, of the first `entries` entries.
    pub fn permits_all(&self, entries: usize, privilege: Privilege) -> bool {
        match privilege {
            Privilege::Machine => self.cfg.iter().take(entries).all(|cfg| cfg.get() & LOCK == 0),
            _ => entries == 0,
        }
    }

    /// Whether `privilege` may access `addr..addr+len` (inside one page), of the first `entries` entries.
    pub fn check(
        &self,
        entries: usize,
        privilege: Privilege,
        kind: AccessKind,
        addr: u64,
        len: u64,
    ) -> Verdict {
        let (last, page) = (addr.saturating_add(len - 1), addr & !0xfff);
        let mut whole_page = true;
        for i in 0..entries.min(ENTRIES) {
            let Some((low, high)) = self.range(i) else { continue };
            if high < page || low > (page | 0xfff) {
                continue;
            }
            whole_page &= low <= page && high >= (page | 0xfff);
            if high < addr || low > last {
                continue;
            }
            let cfg = self.cfg[i].get();
            let bit = match kind {
                AccessKind::Read => READ,
                AccessKind::Write => WRITE,
                AccessKind::Fetch => EXECUTE,
            };
            let permitted = cfg & bit != 0 || (privilege == Privilege::Machine && cfg & LOCK == 0);
            return Verdict { allowed: permitted && low <= addr && high >= last, whole_page };
        }
        Verdict { allowed: privilege == Privilege::Machine || entries == 0, whole_page }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccessKind::*;
    use Privilege::*;

    #[test]
    fn the_first_matching_entry_decides() {
        let pmp = Pmp::default();
        assert!(pmp.check(16, Machine, Write, 0x1000, 8).allowed);
        assert!(!pmp.check(16, User, Read, 0x1000, 8).allowed);
        assert!(pmp.check(0, User, Read, 0x1000, 8).allowed);
        // 0: TOR below 0x2000 read-only; 1: NAPOT 0x2000..0x4000 all; 2: everything, nothing, locked.
        pmp.set_addr(0, 0x2000 >> 2);
        pmp.set_cfg(0, TOR | READ);
        pmp.set_addr(1, 0x2000 >> 2 | 0x3ff);
        pmp.set_cfg(1, NAPOT | READ | WRITE | EXECUTE);
        pmp.set_addr(2, u64::MAX);
        pmp.set_cfg(2, NAPOT | LOCK);
        let check = |who, kind, addr, len| pmp.check(16, who, kind, addr, len).allowed;
        assert!(check(User, Read, 0x1ff8, 8) && !check(User, Write, 0x1ff8, 8));
        assert!(check(Machine, Write, 0x1ff8, 8), "an unlocked entry does not bind M-mode");
        assert!(check(User, Write, 0x3ff8, 8) && !check(User, Read, 0x4000, 1));
        assert!(!check(Machine, Read, 0x4000, 1), "a locked one does");
        pmp.set_cfg(2, NAPOT | READ);
        assert!(!check(Machine, Read, 0x4000, 1), "and stays");
    }

    #[test]
    fn an_access_must_lie_inside_and_pages_may_be_split() {
        let pmp = Pmp::default();
        pmp.set_addr(0, 0x1804 >> 2);
        pmp.set_cfg(0, NA4 | READ);
        let verdict = pmp.check(16, Supervisor, Read, 0x1804, 4);
        assert_eq!(verdict, Verdict { allowed: true, whole_page: false });
        assert!(!pmp.check(16, Supervisor, Read, 0x1804, 8).allowed);
        assert!(!pmp.check(16, Supervisor, Read, 0x1802, 4).allowed);
        assert!(!pmp.check(16, Machine, Read, 0x1000, 4).whole_page);
        assert!(pmp.check(16, Machine, Read, 0x2000, 4).whole_page);
        // Write without read is reserved.
        pmp.set_cfg(1, NA4 | WRITE);
        assert_eq!(pmp.cfg(1), NA4);
        // A locked TOR entry locks the address below it.
        pmp.set_addr(4, 0x100);
        pmp.set_addr(5, 0x200);
        pmp.set_cfg(5, TOR | LOCK);
        pmp.set_addr(4, 0);
        pmp.set_addr(5, 0);
        assert_eq!((pmp.addr(4), pmp.addr(5)), (0x100, 0x200));
    }
}
