//! Memory protection: PMSAv7, and what the default memory map allows without it.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), B3.1 and B3.5. Left out: memory types, cacheability and
//! shareability, which make no difference in a core without caches that runs one instruction at a time.

use cpu_core::AccessKind;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// The most regions that are modelled.
pub const MAX_REGIONS: usize = 16;

const PAGE: u32 = 4096;

/// MPU_CTRL.
mod ctrl {
    pub const ENABLE: u32 = 1;
    pub const HFNMIENA: u32 = 1 << 1;
    pub const PRIVDEFENA: u32 = 1 << 2;
}

/// What may be done at an address.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Permissions {
    const NONE: Permissions = Permissions { read: false, write: false, execute: false };

    /// Whether such an access is allowed.
    pub const fn allows(self, kind: AccessKind) -> bool {
        match kind {
            AccessKind::Read => self.read,
            AccessKind::Write => self.write,
            AccessKind::Fetch => self.execute,
        }
    }
}

/// An access is not allowed (MemManage).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Violation;

/// Who accesses.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Accessor {
    /// Handler mode, or CONTROL.nPRIV clear; never for LDRT and its like.
    pub privileged: bool,
    /// The execution priority is negative: in HardFault or NMI, or with FAULTMASK set.
    pub negative_priority: bool,
}

/// One region.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
struct Region {
    /// MPU_RBAR without VALID and REGION.
    base: Cell<u32>,
    /// MPU_RASR.
    attributes: Cell<u32>,
}

impl Region {
    /// log2 of its size; `None` if it is disabled. The manual leaves sizes below 32 bytes unpredictable: they match nothing.
    fn size_log2(&self) -> Option<u32> {
        let attributes = self.attributes.get();
        let log2 = (attributes >> 1 & 31) + 1;
        (attributes & 1 != 0 && log2 >= 5).then_some(log2)
    }

    /// First byte and last byte, of an enabled region.
    fn bounds(&self) -> Option<(u32, u32)> {
        let within = u32::MAX >> (32 - self.size_log2()?);
        let base = self.base.get() & !within;
        Some((base, base | within))
    }

    fn subregions_disabled(&self) -> u32 {
        self.attributes.get() >> 8 & 0xff
    }

    /// Whether it decides about `address`.
    fn hits(&self, address: u32) -> bool {
        let (Some(log2), Some((first, last))) = (self.size_log2(), self.bounds()) else { return false };
        if !(first..=last).contains(&address) {
            return false;
        }
        // Regions below 256 bytes have no subregions.
        log2 < 8 || self.subregions_disabled() >> (address >> (log2 - 3) & 7) & 1 == 0
    }

    /// Log2 of the size of the pieces in which it treats addresses alike.
    fn granule_log2(&self) -> Option<u32> {
        let log2 = self.size_log2()?;
        Some(if log2 >= 8 && self.subregions_disabled() != 0 { log2 - 3 } else { log2 })
    }

    fn permissions(&self, privileged: bool) -> Permissions {
        let attributes = self.attributes.get();
        let (read, write) = match (attributes >> 24 & 7, privileged) {
            (1, true) | (2, true) | (3, _) => (true, true),
            (2, false) | (5, true) | (6 | 7, _) => (true, false),
            _ => (false, false),
        };
        Permissions { read, write, execute: read && attributes >> 28 & 1 == 0 }
    }
}

/// The memory protection unit, maybe one without regions.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Mpu {
    count: u8,
    control: Cell<u32>,
    /// MPU_RNR.
    number: Cell<u8>,
    regions: [Region; MAX_REGIONS],
}

/// Whether all accesses to an address go by the default map: the private peripheral bus.
const fn is_ppb(address: u32) -> bool {
    address >> 20 == 0xe00
}

/// What the default memory map allows, table B3-1.
fn default_map(address: u32) -> Permissions {
    let execute = matches!(address >> 29, 0 | 1 | 3 | 4);
    Permissions { read: true, write: true, execute }
}

impl Mpu {
    /// With `regions` regions: 0, 8 or 16.
    pub fn new(regions: u8) -> Mpu {
        Mpu {
            count: regions.min(MAX_REGIONS as u8),
            control: Cell::new(0),
            number: Cell::new(0),
            regions: Default::default(),
        }
    }

    /// Whether both have as many regions.
    pub fn same_shape(&self, other: &Mpu) -> bool {
        self.count == other.count
    }

    fn regions(&self) -> &[Region] {
        self.regions.get(..self.count as usize).unwrap_or(&self.regions)
    }

    /// MPU_CTRL.ENABLE.
    pub fn is_enabled(&self) -> bool {
        self.control.get() & ctrl::ENABLE != 0
    }

    /// Whether the regions decide about this accessor's accesses, rather than the default map.
    pub fn applies(&self, who: Accessor) -> bool {
        self.is_enabled() && (self.control.get() & ctrl::HFNMIENA != 0 || !who.negative_priority)
    }

    /// What may be done at one address.
    pub fn permissions(&self, address: u32, who: Accessor) -> Permissions {
        let default = default_map(address);
        if is_ppb(address) || !self.applies(who) {
            return default;
        }
        // The highest number wins.
        let found = match self.regions().iter().rev().find(|region| region.hits(address)) {
            Some(region) => region.permissions(who.privileged),
            None if who.privileged && self.control.get() & ctrl::PRIVDEFENA != 0 => default,
            None => Permissions::NONE,
        };
        // System space is never executable.
        Permissions { execute: found.execute && address >> 29 != 7, ..found }
    }

    /// Checks an access of 1 to 8 bytes.
    pub fn check(&self, address: u32, len: u32, kind: AccessKind, who: Accessor) -> Result<(), Violation> {
        // Two bytes suffice: no piece of memory with permissions of its own is as small as an access.
        let last = address.wrapping_add(len.saturating_sub(1));
        let allowed = self.permissions(address, who).allows(kind) && self.permissions(last, who).allows(kind);
        if allowed { Ok(()) } else { Err(Violation) }
    }

    /// What may be done in the whole 4 KiB page of `address`; `None` where that differs inside it.
    pub fn page(&self, address: u32, who: Accessor) -> Option<Permissions> {
        let first = address & !(PAGE - 1);
        let last = first | (PAGE - 1);
        let permissions = self.permissions(first, who);
        if is_ppb(address) || !self.applies(who) {
            return Some(permissions);
        }
        let step = self
            .regions()
            .iter()
            .filter(|region| region.bounds().is_some_and(|(from, to)| from <= last && first <= to))
            .filter_map(Region::granule_log2)
            .map(|log2| 1u32.checked_shl(log2).unwrap_or(PAGE))
            .fold(PAGE, u32::min);
        let uniform =
            (0..PAGE / step).all(|piece| self.permissions(first + piece * step, who) == permissions);
        uniform.then_some(permissions)
    }

    /// MPU_TYPE.
    pub fn read_type(&self) -> u32 {
        (self.count as u32) << 8
    }

    /// MPU_CTRL.
    pub fn read_control(&self) -> u32 {
        self.control.get()
    }

    /// Writes MPU_CTRL.
    pub fn write_control(&self, value: u32) {
        if self.count != 0 {
            self.control.set(value & (ctrl::ENABLE | ctrl::HFNMIENA | ctrl::PRIVDEFENA));
        }
    }

    /// MPU_RNR.
    pub fn read_number(&self) -> u32 {
        self.number.get() as u32
    }

    /// Writes MPU_RNR.
    pub fn write_number(&self, value: u32) {
        self.number.set(value as u8);
    }

    fn selected(&self) -> Option<&Region> {
        self.regions().get(self.number.get() as usize)
    }

    /// MPU_RBAR and its aliases.
    pub fn read_base(&self) -> u32 {
        self.selected().map_or(0, |region| region.base.get()) | self.number.get() as u32 & 15
    }

    /// Writes MPU_RBAR or an alias: with VALID, it selects the region first.
    pub fn write_base(&self, value: u32) {
        if value & 1 << 4 != 0 {
            self.write_number(value & 15);
        }
        if let Some(region) = self.selected() {
            region.base.set(value & !31);
        }
    }

    /// MPU_RASR and its aliases.
    pub fn read_attributes(&self) -> u32 {
        self.selected().map_or(0, |region| region.attributes.get())
    }

    /// Writes MPU_RASR or an alias.
    pub fn write_attributes(&self, value: u32) {
        if let Some(region) = self.selected() {
            region.attributes.set(value & 0x173f_ff3f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccessKind::{Fetch, Read, Write};

    const PRIVILEGED: Accessor = Accessor { privileged: true, negative_priority: false };
    const USER: Accessor = Accessor { privileged: false, negative_priority: false };
    const FAULT: Accessor = Accessor { privileged: true, negative_priority: true };

    const XN: u32 = 1 << 28;

    /// RASR of a region of 2^`log2` bytes.
    fn rasr(log2: u32, ap: u32, disabled: u32) -> u32 {
        ap << 24 | disabled << 8 | (log2 - 1) << 1 | 1
    }

    fn mpu(control: u32, regions: &[(u32, u32)]) -> Mpu {
        let mpu = Mpu::new(8);
        for (number, &(base, attributes)) in regions.iter().enumerate() {
            mpu.write_base(base | 1 << 4 | number as u32);
            mpu.write_attributes(attributes);
        }
        mpu.write_control(control);
        mpu
    }

    fn allowed(mpu: &Mpu, address: u32, who: Accessor) -> String {
        let letter = |kind, letter| if mpu.check(address, 1, kind, who).is_ok() { letter } else { '-' };
        [letter(Read, 'r'), letter(Write, 'w'), letter(Fetch, 'x')].into_iter().collect()
    }

    // Table B3-15.
    #[test]
    fn access_permissions() {
        let rows = ["---/---", "rwx/---", "rwx/r-x", "rwx/rwx", "---/---", "r-x/---", "r-x/r-x", "r-x/r-x"];
        for (ap, row) in (0..).zip(rows) {
            let mpu = mpu(ctrl::ENABLE, &[(0x2000_0000, rasr(12, ap, 0))]);
            let found =
                format!("{}/{}", allowed(&mpu, 0x2000_0ffc, PRIVILEGED), allowed(&mpu, 0x2000_0ffc, USER));
            assert_eq!(found, row, "AP {ap}");
            mpu.write_attributes(rasr(12, ap, 0) | XN);
            assert_eq!(mpu.check(0x2000_0000, 4, Fetch, PRIVILEGED), Err(Violation));
        }
    }

    #[test]
    fn without_regions_the_default_map_decides() {
        for mpu in [Mpu::new(0), mpu(0, &[(0, rasr(32, 0, 0))])] {
            for (address, expected) in [
                (0, "rwx"),
                (0x2000_0000, "rwx"),
                (0x4000_0000, "rw-"),
                (0x6000_0000, "rwx"),
                (0x9fff_ffff, "rwx"),
                (0xa000_0000, "rw-"),
                (0xe000_e000, "rw-"),
                (0xe010_0000, "rw-"),
            ] {
                assert_eq!(allowed(&mpu, address, USER), expected, "{address:#x}");
            }
        }
    }

    #[test]
    fn the_background_is_for_privileged_code_and_hardfault() {
        let regions = [(0x2000_0000, rasr(12, 6, 0))];
        for (control, who, in_region, outside) in [
            (ctrl::ENABLE, PRIVILEGED, "r-x", "---"),
            (ctrl::ENABLE | ctrl::PRIVDEFENA, PRIVILEGED, "r-x", "rwx"),
            (ctrl::ENABLE | ctrl::PRIVDEFENA, USER, "r-x", "---"),
            (ctrl::ENABLE, FAULT, "rwx", "rwx"),
            (ctrl::ENABLE | ctrl::HFNMIENA, FAULT, "r-x", "---"),
        ] {
            let mpu = mpu(control, &regions);
            assert_eq!(allowed(&mpu, 0x2000_0000, who), in_region, "{control} {who:?}");
            assert_eq!(allowed(&mpu, 0x2000_1000, who), outside, "{control} {who:?}");
            // The private peripheral bus is not the MPU's affair.
            assert_eq!(allowed(&mpu, 0xe000_ed00, who), "rw-", "{control} {who:?}");
        }
    }

    #[test]
    fn the_highest_region_wins_and_disabled_subregions_let_through() {
        let mpu =
            mpu(ctrl::ENABLE, &[(0x2000_0000, rasr(16, 3, 0)), (0x2000_0000, rasr(13, 5, 0b0000_0110))]);
        for (address, expected) in [
            (0x2000_0000, "r-x"),
            (0x2000_03ff, "r-x"),
            (0x2000_0400, "rwx"),
            (0x2000_0bff, "rwx"),
            (0x2000_0c00, "r-x"),
            (0x2000_2000, "rwx"),
        ] {
            assert_eq!(allowed(&mpu, address, PRIVILEGED), expected, "{address:#x}");
        }
        assert_eq!(mpu.check(0x2000_03fe, 4, Write, PRIVILEGED), Err(Violation));
        assert_eq!(mpu.check(0x2000_0bfe, 4, Write, PRIVILEGED), Err(Violation));
        assert_eq!(mpu.check(0x2000_0400, 4, Write, PRIVILEGED), Ok(()));
        assert_eq!(mpu.page(0x2000_0000, PRIVILEGED), None);
        assert_eq!(mpu.page(0x2000_1abc, PRIVILEGED).map(|p| p.write), Some(false));
        assert_eq!(mpu.page(0x2000_2000, PRIVILEGED).map(|p| p.write), Some(true));
    }

    #[test]
    fn a_page_is_uniform_where_all_its_bytes_are() {
        let regions = [
            (0x2000_0000, rasr(15, 3, 0x80)),
            (0x2000_1000, rasr(12, 3, 0)),
            (0x2000_2020, rasr(5, 2, 0)),
            (0x2000_3000, rasr(8, 6, 0xff)),
            (0x2000_4000, rasr(8, 6, 0x01)),
        ];
        let mpu = mpu(ctrl::ENABLE, &regions);
        for who in [PRIVILEGED, USER] {
            for page in (0x1fff_e000..0x2000_a000u32).step_by(PAGE as usize) {
                let first = mpu.permissions(page, who);
                let same = (page..page + PAGE).all(|address| mpu.permissions(address, who) == first);
                assert_eq!(mpu.page(page + 0x123, who), same.then_some(first), "{page:#x}");
            }
        }
        assert_eq!(mpu.page(0x2000_2000, USER), None);
    }

    #[test]
    fn registers_select_and_mask() {
        let mpu = Mpu::new(8);
        assert_eq!(mpu.read_type(), 0x800);
        mpu.write_number(3);
        mpu.write_base(0x2000_00ff & !(1 << 4));
        mpu.write_attributes(u32::MAX);
        assert_eq!((mpu.read_base(), mpu.read_attributes()), (0x2000_00e3, 0x173f_ff3f));
        mpu.write_base(0x3000_0000 | 1 << 4 | 5);
        assert_eq!((mpu.read_number(), mpu.read_attributes()), (5, 0));
        assert_eq!(mpu.read_base(), 0x3000_0005);
        mpu.write_number(200);
        mpu.write_attributes(u32::MAX);
        assert_eq!(mpu.read_attributes(), 0);
        let none = Mpu::new(0);
        none.write_control(7);
        assert_eq!((none.read_type(), none.read_control()), (0, 0));
        // The whole address space as one region.
        let mpu = super::tests::mpu(ctrl::ENABLE, &[(0, rasr(32, 3, 0))]);
        assert_eq!(allowed(&mpu, 0xffff_ffff, USER), "rw-");
        assert_eq!(allowed(&mpu, 0x4000_0000, USER), "rwx");
    }
}
