//! Who may read and write flash: block protection (BPROT, on the nRF51 MPU.PROTENSET) and access control lists (ACL).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 12 (BPROT), the nRF52840 Product Specification v1.7,
//! chapter 6.1 (ACL), and the nRF51 Series Reference Manual v3.0, chapter 9. A bit of BPROT's CONFIG registers forbids
//! writes and erases of 4 KiB; an entry of the ACL forbids writes and erases, reads and fetches, or all, from the page
//! at ADDR for SIZE bytes. Neither can be taken back but by a reset: CONFIG's bits are set only, and ADDR, SIZE and PERM
//! are written once. A request that is forbidden does nothing and is answered with a bus fault. Where entries overlap,
//! what one of them forbids is forbidden.
//!
//! DISABLEINDEBUG lifts BPROT while the chip is in debug interface mode. It never is: a debugger of the host leaves no
//! trace. So the bit is kept and has no effect.
//!
//! Left out: the nRF51's protection of region 0 (RLENR0, PERR0) and its PROTBLOCKSIZE other than 4 KiB, and the two
//! cycles until an entry of the ACL takes effect.

use devices_core::regs::Bank;
use devices_core::{Field, register_bank};
use serde::{Deserialize, Serialize};

/// What a bit of CONFIG protects.
const BLOCK: u64 = 4096;

/// Where the ACL is in the flash controller's registers.
pub const ACL: std::ops::Range<u64> = 0x800..0x880;

register_bank! {
    /// The registers of BPROT, from CONFIG0 on.
    pub enum Bprot {
        Config0 = 0x00, w1s(u32::MAX), reset 0;
        Config1 = 0x04, w1s(u32::MAX), reset 0;
        DisableInDebug = 0x08, rw(1), reset 1;
        /// Of the nRF51.
        ProtBlockSize = 0x0c, rw(3), reset 0;
        Config2 = 0x10, w1s(u32::MAX), reset 0;
        Config3 = 0x14, w1s(u32::MAX), reset 0;
    }
}

const CONFIG: [Bprot; 4] = [Bprot::Config0, Bprot::Config1, Bprot::Config2, Bprot::Config3];

/// Bits of PERM: what is forbidden.
const NO_WRITE: u32 = 1 << 1;
const NO_READ: u32 = 1 << 2;

/// An entry of the ACL: ADDR, SIZE and PERM, as far as they were written.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Entry([Option<u32>; 3]);

impl Entry {
    fn get(self, register: usize) -> u32 {
        self.0.get(register).copied().flatten().unwrap_or(0)
    }

    /// The range that it guards against what `forbidden` tells, if it is complete.
    fn range(self, page: u64, forbidden: u32) -> Option<(u64, u64)> {
        let [address, size, perm] = [0, 1, 2].map(|register| self.get(register));
        let guards = self.0[0].is_some()
            && size != 0
            && perm & forbidden != 0
            && u64::from(address).is_multiple_of(page);
        // The size is one of whole pages.
        guards.then(|| (address.into(), u64::from(size).next_multiple_of(page)))
    }
}

/// What is protected.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Protection {
    bprot: Bank<Bprot>,
    acl: [Entry; 8],
}

impl Protection {
    /// A register of BPROT.
    pub fn read_bprot(&self, offset: u64) -> Option<u32> {
        self.bprot.at(offset).map(|register| self.bprot.read(register))
    }

    /// Writes a register of BPROT.
    pub fn write_bprot(&mut self, offset: u64, value: u32) -> Option<()> {
        let register = self.bprot.at(offset)?;
        self.bprot.write(register, value);
        Some(())
    }

    /// A register of the ACL, by its offset there.
    pub fn read_acl(&self, offset: u64) -> u32 {
        let entry = self.acl.get(offset as usize / 16).copied().unwrap_or_default();
        entry.get(offset as usize % 16 / 4)
    }

    /// Writes a register of the ACL, the first time.
    pub fn write_acl(&mut self, offset: u64, value: u32) {
        let entry = self.acl.get_mut(offset as usize / 16);
        let register = entry.and_then(|entry| entry.0.get_mut(offset as usize % 16 / 4));
        if let Some(register) = register.filter(|register| register.is_none()) {
            *register = Some(value);
        }
    }

    /// Whether all of `base..base + size` in a flash that begins at `flash` and has pages of `page` bytes may be written
    /// and erased.
    pub fn writable(&self, flash: u64, page: u64, (base, size): (u64, u64)) -> bool {
        let overlaps = |from: u64, bytes: u64| from < base + size && base < from + bytes;
        let mut blocks = (0..).zip(CONFIG).flat_map(|(index, register)| {
            let set = self.bprot[register];
            (0..32).filter(move |bit| set >> bit & 1 != 0).map(move |bit| index * 32 + bit)
        });
        let mut entries = self.acl.iter().filter_map(|entry| entry.range(page, NO_WRITE));
        !blocks.any(|block: u64| overlaps(flash + block * BLOCK, BLOCK))
            && !entries.any(|(from, bytes)| overlaps(from, bytes))
    }

    /// What may not be read: address and size.
    pub fn unreadable(&self, page: u64) -> Vec<(u64, u64)> {
        self.acl.iter().filter_map(|entry| entry.range(page, NO_READ)).collect()
    }

    /// What of it is in use.
    pub fn inspect(&self) -> Vec<Field> {
        let mut fields = self.bprot.inspect();
        let used = self.acl.iter().enumerate().filter(|(_, entry)| **entry != Entry::default());
        fields.extend(used.map(|(n, entry)| {
            let [address, size, perm] = [0, 1, 2].map(|register| entry.get(register));
            Field {
                name: format!("ACL[{n}]"),
                value: format!("{address:#x}, {size:#x} bytes, PERM {perm:#x}"),
            }
        }));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_protected() {
        let mut protection = Protection::default();
        assert!(protection.writable(0, 4096, (0, 1 << 20)));
        assert_eq!(protection.read_bprot(0x08), Some(1));
        for (offset, value) in [(0x00, 1 << 7), (0x14, 1 << 31), (0x00, 0)] {
            protection.write_bprot(offset, value).expect("a register");
        }
        assert_eq!([0x00, 0x14].map(|offset| protection.read_bprot(offset)), [Some(1 << 7), Some(1 << 31)]);
        let writable = |at| protection.writable(0, 4096, (at, 4));
        assert_eq!([0x6ffc, 0x7000, 0x7ffc, 0x8000].map(writable), [true, false, false, true]);
        assert_eq!([0x7_effc, 0x7_f000].map(writable), [true, false]);
        assert!(!protection.writable(0, 4096, (0, 0x8_0000)));
    }

    #[test]
    fn entries_are_written_once_and_count_when_complete() {
        let mut protection = Protection::default();
        let write = |protection: &mut Protection, entry: u64, values: [u32; 3]| {
            for (register, value) in (0..).zip(values) {
                protection.write_acl(entry * 16 + register * 4, value);
            }
        };
        write(&mut protection, 0, [0x3000, 0x1000, NO_WRITE]);
        write(&mut protection, 0, [0x5000, 0x2000, NO_READ]);
        assert_eq!([0, 4, 8].map(|offset| protection.read_acl(offset)), [0x3000, 0x1000, NO_WRITE]);
        assert!(!protection.writable(0, 4096, (0x3ffc, 4)) && protection.writable(0, 4096, (0x4000, 0x1000)));
        assert_eq!(protection.unreadable(4096), []);
        write(&mut protection, 1, [0x8000, 0x2000, NO_READ | NO_WRITE]);
        write(&mut protection, 7, [0x1_0000, 0, NO_READ]);
        write(&mut protection, 6, [0x1_0004, 0x1000, NO_READ]);
        protection.write_acl(5 * 16 + 4, 0x1000);
        protection.write_acl(5 * 16 + 8, NO_READ);
        assert_eq!(protection.unreadable(4096), [(0x8000, 0x2000)], "the others are not complete");
        protection.write_acl(5 * 16, 0x2_0000);
        assert_eq!(protection.unreadable(4096), [(0x8000, 0x2000), (0x2_0000, 0x1000)]);
    }
}
