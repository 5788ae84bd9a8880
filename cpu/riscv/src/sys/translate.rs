//! Address translation: Sv32, Sv39, Sv48, Sv57, Svadu, Svpbmt, Svnapot. Volume II, chapters 10 to 13.

use cpu_core::{AccessKind, ContextKey};

use super::{Privilege, access_fault, envcfg, page_fault, status};
use crate::isa::Features;
use crate::state::State;

const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const U: u64 = 16;
const A: u64 = 64;
const D: u64 = 128;
const PBMT: u64 = 3 << 61;
const N: u64 = 1 << 63;
const RESERVED: u64 = 0x7f << 54;

/// Where [`State::mode`] starts in the mode of a fetch context, above the bits of `mstatus` that data contexts have.
const MODE_SHIFT: u32 = 20;

/// A successful translation.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Translation {
    pub paddr: u64,
    /// Bytes of the leaf.
    pub size: u64,
    /// Protection is the same all over the 4 KiB page, so that a TLB may keep it.
    pub whole_page: bool,
}

/// How the page table in force is shaped.
struct Scheme {
    levels: u32,
    /// Bits of a virtual page number per level.
    bits: u32,
    pte_bytes: u64,
}

impl<const XLEN: u32> State<XLEN> {
    fn scheme(&self) -> Option<Scheme> {
        let satp = self.sys.satp.get();
        if XLEN == 32 {
            return (satp >> 31 != 0).then_some(Scheme { levels: 2, bits: 10, pte_bytes: 4 });
        }
        let levels = match satp >> 60 {
            8 => 3,
            9 => 4,
            10 => 5,
            _ => return None,
        };
        Some(Scheme { levels, bits: 9, pte_bytes: 8 })
    }

    /// The privilege that a data access has.
    fn data_privilege(&self) -> Privilege {
        let mstatus = self.sys.mstatus.get();
        if mstatus & status::MPRV != 0 {
            Privilege::from_bits(mstatus >> 11)
        } else {
            self.sys.privilege.get()
        }
    }

    fn space(&self, privilege: Privilege) -> u64 {
        if privilege == Privilege::Machine { 0 } else { self.sys.satp.get() }
    }

    /// For fetches, what decoded code depends on stands in place of what translation does not.
    fn fetch_key(&self) -> ContextKey {
        let privilege = self.sys.privilege.get();
        ContextKey { space: self.space(privilege), mode: self.mode() << MODE_SHIFT | privilege as u32 }
    }

    fn data_key(&self) -> ContextKey {
        let privilege = self.data_privilege();
        let bits = (self.sys.mstatus.get() & (status::SUM | status::MXR)) as u32;
        ContextKey { space: self.space(privilege), mode: bits | privilege as u32 }
    }

    /// Whether data addresses are physical and nothing restricts them; only of harts that may have a window. It is part of the
    /// context even where nothing is compiled, so that contexts are the same in either tier.
    pub(crate) fn is_flat(&self) -> bool {
        let privilege = self.data_privilege();
        XLEN == 32
            && (privilege == Privilege::Machine || self.scheme().is_none())
            && self.sys.pmp.permits_all(self.config.pmp_entries, privilege)
    }

    /// Recomputes the TLB contexts after a change of privilege, `mstatus`, `satp`, of what [`State::mode`] tells, or after a
    /// flush.
    pub(crate) fn update_contexts(&self) {
        self.contexts_at.set(self.frame.set_contexts(self.fetch_key(), self.data_key()));
    }

    /// Where an access of `len` bytes, all in one page, goes; else the exception's cause. With `commit` the walk sets
    /// accessed and dirty bits.
    pub(crate) fn translate(
        &self,
        vaddr: u64,
        kind: AccessKind,
        len: u64,
        commit: bool,
    ) -> Result<Translation, u64> {
        let privilege = match kind {
            AccessKind::Fetch => self.sys.privilege.get(),
            _ => self.data_privilege(),
        };
        let (paddr, size) = match self.scheme() {
            Some(scheme) if privilege != Privilege::Machine => {
                self.walk(&scheme, privilege, vaddr, kind, commit)?
            }
            _ => (vaddr, 4096),
        };
        let verdict = self.sys.pmp.check(self.config.pmp_entries, privilege, kind, paddr, len);
        if !verdict.allowed {
            return Err(access_fault(kind));
        }
        Ok(Translation { paddr, size, whole_page: verdict.whole_page })
    }

    fn walk(
        &self,
        scheme: &Scheme,
        privilege: Privilege,
        vaddr: u64,
        kind: AccessKind,
        commit: bool,
    ) -> Result<(u64, u64), u64> {
        let fault = page_fault(kind);
        let Scheme { levels, bits, pte_bytes } = *scheme;
        let va_bits = 12 + levels * bits;
        if XLEN == 64 && (vaddr as i64) << (64 - va_bits) >> (64 - va_bits) != vaddr as i64 {
            return Err(fault);
        }
        let ppn_mask = if XLEN == 32 { (1 << 22) - 1 } else { (1u64 << 44) - 1 };
        let mut table = (self.sys.satp.get() & ppn_mask) << 12;
        for level in (0..levels).rev() {
            let index = vaddr >> (12 + level * bits) & ((1 << bits) - 1);
            let at = table + index * pte_bytes;
            self.table_access(at, pte_bytes, AccessKind::Read, kind)?;
            let pte = self.memory.read_le(at, pte_bytes as usize).map_err(|_| access_fault(kind))?;
            if pte & V == 0 || pte & (R | W) == W || (XLEN == 64 && pte & RESERVED != 0) {
                return Err(fault);
            }
            if XLEN == 64 && self.reserved_high(pte, pte & (R | X) != 0) {
                return Err(fault);
            }
            let ppn = pte >> 10 & ppn_mask;
            if pte & (R | X) == 0 {
                if pte & (A | D | U) != 0 {
                    return Err(fault);
                }
                table = ppn << 12;
                continue;
            }
            let mut page_bits = 12 + level * bits;
            if ppn & ((1 << (level * bits)) - 1) != 0 || !self.permitted(pte, privilege, kind) {
                return Err(fault);
            }
            let mut base = ppn << 12;
            if XLEN == 64 && pte & N != 0 {
                if level != 0 || ppn & 15 != 8 {
                    return Err(fault);
                }
                page_bits = 16;
                base &= !0xffff;
            }
            let wanted = if kind == AccessKind::Write { A | D } else { A };
            if pte & wanted != wanted {
                if self.sys.menvcfg.get() & envcfg::ADUE == 0 {
                    return Err(fault);
                }
                if commit {
                    self.table_access(at, pte_bytes, AccessKind::Write, kind)?;
                    let bytes = (pte | wanted).to_le_bytes();
                    let bytes = bytes.get(..pte_bytes as usize).unwrap_or(&bytes);
                    self.memory.write(at, bytes).map_err(|_| access_fault(kind))?;
                }
            }
            let size = 1u64 << page_bits;
            return Ok((base | vaddr & (size - 1), size));
        }
        Err(fault)
    }

    /// Whether bits of Svpbmt and Svnapot are set where they may not be.
    fn reserved_high(&self, pte: u64, leaf: bool) -> bool {
        let pbmt = pte & PBMT;
        let memory_types = self.sys.menvcfg.get() & envcfg::PBMTE != 0;
        let bad_type = pbmt != 0 && (!leaf || !memory_types || pbmt == PBMT);
        let bad_napot = pte & N != 0 && (!leaf || !self.config.extensions.contains(Features::SVNAPOT));
        bad_type || bad_napot
    }

    /// Page tables are accessed as by S-mode; a fault is that of the original access.
    fn table_access(&self, at: u64, len: u64, access: AccessKind, kind: AccessKind) -> Result<(), u64> {
        let entries = self.config.pmp_entries;
        let verdict = self.sys.pmp.check(entries, Privilege::Supervisor, access, at, len);
        if verdict.allowed { Ok(()) } else { Err(access_fault(kind)) }
    }

    fn permitted(&self, pte: u64, privilege: Privilege, kind: AccessKind) -> bool {
        let mstatus = self.sys.mstatus.get();
        let user_page = pte & U != 0;
        match privilege {
            Privilege::User if !user_page => return false,
            Privilege::Supervisor
                if user_page && (kind == AccessKind::Fetch || mstatus & status::SUM == 0) =>
            {
                return false;
            }
            _ => {}
        }
        match kind {
            AccessKind::Fetch => pte & X != 0,
            AccessKind::Read => pte & R != 0 || (mstatus & status::MXR != 0 && pte & X != 0),
            AccessKind::Write => pte & W != 0,
        }
    }
}
