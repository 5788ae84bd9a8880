//! Factory information (FICR) and the identification of the chip.
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 13, the nRF52840 Product Specification v1.7, chapter 4.4,
//! and the nRF51 Series Reference Manual v3.0, chapter 7; the words at 0xf0000fe0 are what Nordic's MDK
//! (`nrf52_erratas.h`) tells revisions apart by.
//!
//! Identifier, keys and address of the device come from the machine's seed. What the document does not define reads
//! as erased flash. The node's `hyperemu,part` is 0x51822, 0x52832 or 0x52840; its second `reg`, if there is one, is
//! the page at 0xf0000000.
//!
//! Left out: writing, which hardware does not offer either.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Rng, Width, Widths, state,
};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-ficr"], summary: "nRF factory information", rom: &[], ram: &[], build };

/// A chip of the family.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// As INFO.PART writes it.
    pub number: u32,
    page: u32,
    pages: u32,
    /// INFO.VARIANT, PACKAGE, RAM in KiB, FLASH in KiB; the nRF51 has none of them.
    info: Option<[u32; 4]>,
    /// What 0xf0000fe0, 0xf0000fe4 and 0xf0000fe8 tell.
    identity: [u32; 3],
}

/// The parts that are modelled.
const PARTS: [Part; 3] = [
    Part { number: 0x51822, page: 1024, pages: 256, info: None, identity: [1, 0, 0x70] },
    Part {
        number: 0x52832,
        page: 4096,
        pages: 128,
        info: Some([0x4141_4530, 0x2000, 64, 512]),
        identity: [6, 0, 0x50],
    },
    Part {
        number: 0x52840,
        page: 4096,
        pages: 256,
        info: Some([0x4141_4430, 0x2004, 256, 1024]),
        identity: [8, 0, 0x20],
    },
];

/// TEMP.A0 to T4: what the temperature sensor is trimmed with after reset.
const TEMPERATURE: [u32; 17] = [
    0x320, 0x343, 0x35d, 0x400, 0x452, 0x37b, 0x3fcc, 0x3f98, 0x3f98, 0x12, 0x4d, 0x3e10, 0xe2, 0, 0x14,
    0x19, 0x50,
];

const WORDS: usize = 0x400;

/// The registers: what the chip was born with.
pub struct Ficr {
    words: Box<[u32; WORDS]>,
    identity: [u32; 3],
}

impl Ficr {
    /// Of a part, with what is its own from `seed`.
    pub fn new(part: Part, seed: u64, name: &str) -> Ficr {
        let mut words = Box::new([u32::MAX; WORDS]);
        let mut rng = Rng::new(seed, name);
        let mut random = || rng.next_u64() as u32;
        let mut put =
            |offset: usize, values: &[u32]| words[offset / 4..][..values.len()].copy_from_slice(values);
        put(0x010, &[part.page, part.pages]);
        put(0x060, &[random(), random()]);
        let keys: [u32; 8] = std::array::from_fn(|_| random());
        put(0x080, &keys);
        // A random static address; its two highest bits are the host's to set.
        put(0x0a0, &[0xffff_ffff, random(), 0xffff_0000 | random() & 0xffff]);
        match part.info {
            Some([variant, package, ram, flash]) => {
                put(0x100, &[part.number, variant, package, ram, flash]);
                put(0x404, &TEMPERATURE);
            }
            None => {
                put(0x02c, &[0xff]);
                put(0x034, &[4, 0x1000]);
                put(0x05c, &[0xffff_007a]);
            }
        }
        Ficr { words, identity: part.identity }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let number = args.node.u32("hyperemu,part");
    let part = PARTS
        .into_iter()
        .find(|part| Some(part.number) == number)
        .ok_or_else(|| BuildError::property("hyperemu,part", "0x51822, 0x52832 or 0x52840 is expected"))?;
    Ok(Box::new(Ficr::new(part, args.seed, args.name)))
}

impl Component for Ficr {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        state::decode::<()>(bytes)
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |(name, offset): (&str, usize)| Field {
            name: name.to_string(),
            value: format!("{:08x}{:08x}", self.words[offset / 4 + 1], self.words[offset / 4]),
        };
        [("DEVICEID", 0x060), ("DEVICEADDR", 0x0a4)].map(show).into()
    }
}

impl Device for Ficr {
    fn reset(&mut self, _ctx: &mut Ctx) {}

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, _ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let index = (at.offset / 4) as usize;
        let value = match at.region {
            0 => self.words.get(index),
            _ => index.checked_sub(0xfe0 / 4).and_then(|index| self.identity.get(index)),
        };
        value.copied().unwrap_or(0).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, _value: u64) {
        ctx.complain(format!("a write to factory information at offset {:#x}", at.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    #[test]
    fn tells_part_and_individual() {
        let mut bench = Bench::new(Ficr::new(PARTS[1], 1, "ficr"));
        assert_eq!([0x010, 0x014, 0x100, 0x10c].map(|offset| bench.read32(offset)), [4096, 128, 0x52832, 64]);
        assert_eq!((bench.read32(0x0a8) >> 16, bench.read32(0x244)), (0xffff, u32::MAX));
        let mut identity =
            |offset| bench.call(|device, ctx| device.read(ctx, At { region: 1, offset }, Width::B4));
        assert_eq!([0xfe0, 0xfe4, 0xfe8, 0].map(&mut identity), [6, 0, 0x50, 0]);
        let id = |seed| Bench::new(Ficr::new(PARTS[0], seed, "ficr")).read32(0x060);
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        bench.write32(0x060, 0);
        assert_eq!(bench.services.complaints.len(), 1);
    }
}
