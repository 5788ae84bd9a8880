//! Sections of RAM that can be without power.
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 7 (Memory) and 18 (POWER), the nRF52840 Product
//! Specification v1.7, chapters 4.2 and 5.3, and the nRF51 Series Reference Manual v3.0, chapter 12. Each register has
//! a bit for each of its sections that powers it while the system is on, and 16 bits higher one that does so in System
//! OFF. What a section without power holds is not specified: here it is zero.
//!
//! Left out: a section without power can be read and written all the same; on the nRF52, the deprecated RAMON.

use devices_core::GuestMemory;

/// Which chip.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub enum Chip {
    /// nRF51: RAMON and RAMONB.
    Nrf51,
    /// nRF52832: RAM0 to RAM7.
    #[default]
    Nrf52832,
    /// nRF52840: RAM0 to RAM8.
    Nrf52840,
}

const BASE: u64 = 0x2000_0000;

/// A section of RAM.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Section {
    /// The number of its register, and its bit there.
    register: usize,
    bit: u32,
    base: u64,
    size: u64,
}

impl Chip {
    /// Sections of the registers in turn: how many registers, sections of each, bytes of those.
    fn layout(self) -> &'static [(usize, u32, u64)] {
        match self {
            Chip::Nrf51 => &[(2, 2, 0x2000)],
            Chip::Nrf52832 => &[(8, 2, 0x1000)],
            Chip::Nrf52840 => &[(8, 2, 0x1000), (1, 6, 0x8000)],
        }
    }

    fn sections(self) -> Vec<Section> {
        let (mut sections, mut base, mut first) = (Vec::new(), BASE, 0);
        for &(registers, bits, size) in self.layout() {
            for (register, bit) in (first..first + registers).flat_map(|n| (0..bits).map(move |bit| (n, bit)))
            {
                sections.push(Section { register, bit, base, size });
                base += size;
            }
            first += registers;
        }
        sections
    }

    /// Sections without their bit in what `powered` tells of their register lose what they hold.
    pub fn keep(self, memory: &GuestMemory, powered: impl Fn(usize) -> u32) {
        let lost = |section: &Section| powered(section.register) >> section.bit & 1 == 0;
        for section in self.sections().into_iter().filter(lost) {
            // Not every variant has all of it.
            let _ = memory.write(section.base, &vec![0; section.size as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_cover_the_ram() {
        for (chip, count, end) in [
            (Chip::Nrf51, 4, 0x2000_8000),
            (Chip::Nrf52832, 16, 0x2001_0000),
            (Chip::Nrf52840, 22, 0x2004_0000),
        ] {
            let sections = chip.sections();
            assert!(sections.windows(2).all(|pair| pair[0].base + pair[0].size == pair[1].base));
            let last = sections.last().expect("there are some");
            assert_eq!((sections.len(), sections[0].base, last.base + last.size), (count, BASE, end));
        }
        let of_ram8 = |section: &Section| section.register == 8 && section.bit == 5;
        let section = Chip::Nrf52840.sections().into_iter().find(of_ram8);
        assert_eq!(section.map(|section| section.base), Some(0x2003_8000));
    }
}
