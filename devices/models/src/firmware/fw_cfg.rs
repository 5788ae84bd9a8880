//! QEMU's firmware configuration device, as seen over MMIO.
//!
//! Follows `docs/specs/fw_cfg.rst` of QEMU and the devicetree binding `qemu,fw-cfg-mmio`. The keys are those of QEMU's
//! `include/standard-headers/linux/qemu_fw_cfg.h`.
//!
//! Left out: items that the guest may write; a write by DMA reports an error, as for every read-only item.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, GuestMemory, Model, RestoreError, Width,
    Widths, state,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Registry entry. A machine that has files to offer makes a [`FwCfg`] itself.
pub const MODEL: Model =
    Model { compatible: &["qemu,fw-cfg-mmio"], summary: "firmware configuration", rom: &[], ram: &[], build };

/// Selector keys of items that are not files.
pub mod key {
    /// `QEMU`.
    pub const SIGNATURE: u16 = 0x00;
    /// Features: bit 0 the data register, bit 1 DMA.
    pub const ID: u16 = 0x01;
    /// 16 bytes.
    pub const UUID: u16 = 0x02;
    /// In bytes; 64 bits.
    pub const RAM_SIZE: u16 = 0x03;
    /// 16 bits.
    pub const NOGRAPHIC: u16 = 0x04;
    /// 16 bits.
    pub const NB_CPUS: u16 = 0x05;
    /// In bytes; 32 bits.
    pub const KERNEL_SIZE: u16 = 0x08;
    /// In bytes; 32 bits.
    pub const INITRD_SIZE: u16 = 0x0b;
    /// 16 bits.
    pub const BOOT_MENU: u16 = 0x0e;
    /// 16 bits.
    pub const MAX_CPUS: u16 = 0x0f;
    /// The kernel.
    pub const KERNEL_DATA: u16 = 0x11;
    /// The initial RAM disk.
    pub const INITRD_DATA: u16 = 0x12;
    /// With its final NUL; 32 bits.
    pub const CMDLINE_SIZE: u16 = 0x14;
    /// The command line and a NUL.
    pub const CMDLINE_DATA: u16 = 0x15;
    /// Big-endian list of all files.
    pub const FILE_DIR: u16 = 0x19;
    /// The first file.
    pub const FILE_FIRST: u16 = 0x20;
}

/// Keys without the bits for writing (14) and architecture (15).
const KEY_MASK: u16 = 0x3fff;
const NAME_SIZE: usize = 56;

const DATA: u64 = 0x00;
const SELECTOR: u64 = 0x08;
const DMA: u64 = 0x10;
const END: u64 = 0x18;

/// Bits of a DMA request's control field.
mod control {
    pub const ERROR: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const SKIP: u32 = 1 << 2;
    pub const SELECT: u32 = 1 << 3;
    pub const WRITE: u32 = 1 << 4;
}

#[derive(Copy, Clone, Default, Serialize, Deserialize)]
struct State {
    selected: u16,
    /// Next byte of the selected item; stops past its end.
    offset: u64,
    /// Address of a DMA request, as far as it was written.
    dma: u64,
}

/// A firmware configuration device on the bus.
pub struct FwCfg {
    items: BTreeMap<u16, Vec<u8>>,
    /// Names of the files, by key from [`key::FILE_FIRST`] on.
    names: Vec<String>,
    state: State,
}

impl FwCfg {
    /// For a machine with `ram` bytes of memory and `cpus` processors; no files.
    pub fn new(ram: u64, cpus: u16) -> FwCfg {
        let items = BTreeMap::from([
            (key::SIGNATURE, b"QEMU".to_vec()),
            (key::ID, 3u32.to_le_bytes().to_vec()),
            (key::UUID, vec![0; 16]),
            (key::RAM_SIZE, ram.to_le_bytes().to_vec()),
            (key::NOGRAPHIC, vec![0; 2]),
            (key::NB_CPUS, cpus.to_le_bytes().to_vec()),
            (key::BOOT_MENU, vec![0; 2]),
            (key::MAX_CPUS, cpus.to_le_bytes().to_vec()),
            (key::FILE_DIR, vec![0; 4]),
        ]);
        FwCfg { items, names: Vec::new(), state: State::default() }
    }

    /// Sets what an item that is not a file reads as.
    pub fn set(&mut self, key: u16, bytes: Vec<u8>) {
        self.items.insert(key & KEY_MASK, bytes);
    }

    /// Offers a kernel image to firmware that boots it.
    pub fn set_kernel(&mut self, image: Vec<u8>) {
        self.set_sized(key::KERNEL_SIZE, key::KERNEL_DATA, image);
    }

    /// Offers an initial RAM disk.
    pub fn set_initrd(&mut self, image: Vec<u8>) {
        self.set_sized(key::INITRD_SIZE, key::INITRD_DATA, image);
    }

    /// Offers a kernel command line.
    pub fn set_cmdline(&mut self, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.set_sized(key::CMDLINE_SIZE, key::CMDLINE_DATA, bytes);
    }

    fn set_sized(&mut self, size: u16, data: u16, bytes: Vec<u8>) {
        self.set(size, (bytes.len() as u32).to_le_bytes().to_vec());
        self.set(data, bytes);
    }

    /// Adds a file, or replaces the one of this name. False if its name is longer than 55 bytes, or if there is no key
    /// left.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) -> bool {
        let known = self.names.iter().position(|other| other == name);
        let index = known.unwrap_or(self.names.len());
        if name.len() >= NAME_SIZE || index >= usize::from(KEY_MASK - key::FILE_FIRST) {
            return false;
        }
        if known.is_none() {
            self.names.push(name.to_string());
        }
        self.items.insert(key::FILE_FIRST + index as u16, bytes);
        self.items.insert(key::FILE_DIR, self.directory());
        true
    }

    fn directory(&self) -> Vec<u8> {
        let mut bytes = (self.names.len() as u32).to_be_bytes().to_vec();
        for (name, key) in self.names.iter().zip(key::FILE_FIRST..) {
            let size = self.items.get(&key).map_or(0, Vec::len) as u32;
            bytes.extend(size.to_be_bytes());
            bytes.extend(key.to_be_bytes());
            bytes.extend([0; 2]);
            let mut field = [0; NAME_SIZE];
            field[..name.len()].copy_from_slice(name.as_bytes());
            bytes.extend(field);
        }
        bytes
    }

    fn select(&mut self, key: u16) {
        self.state.selected = key;
        self.state.offset = 0;
    }

    /// What is left of the selected item.
    fn rest(&self) -> &[u8] {
        // Items of an architecture are apart from the others, and there are none.
        let key = self.state.selected;
        let item = if key & 0x8000 == 0 { self.items.get(&(key & KEY_MASK)) } else { None };
        item.and_then(|item| item.get(self.state.offset as usize..)).unwrap_or_default()
    }

    /// The next bytes of the selected item, the first lowest; zero past its end.
    fn next(&mut self, bytes: u64) -> u64 {
        let mut value = [0; 8];
        let part = self.rest();
        let count = part.len().min(bytes as usize);
        value[..count].copy_from_slice(&part[..count]);
        self.state.offset += count as u64;
        u64::from_le_bytes(value)
    }

    /// Serves the DMA request at `address`; false if it can not even be read.
    fn transfer(&mut self, memory: &GuestMemory, address: u64) -> bool {
        let mut request = [0; 16];
        if memory.read(address, &mut request).is_err() {
            return false;
        }
        let word =
            |at: usize| u32::from_be_bytes([request[at], request[at + 1], request[at + 2], request[at + 3]]);
        let (command, length) = (word(0), u64::from(word(4)));
        let target = u64::from(word(8)) << 32 | u64::from(word(12));
        if command & control::SELECT != 0 {
            self.select((command >> 16) as u16);
        }
        let done = if command & control::READ != 0 {
            self.transfer_to(memory, target, length)
        } else if command & control::WRITE != 0 {
            false
        } else {
            if command & control::SKIP != 0 {
                self.state.offset += length.min(self.rest().len() as u64);
            }
            true
        };
        memory.write(address, &if done { 0 } else { control::ERROR }.to_be_bytes()).is_ok()
    }

    /// Copies the next `length` bytes of the item to memory, and zeroes past its end.
    fn transfer_to(&mut self, memory: &GuestMemory, target: u64, length: u64) -> bool {
        let count = length.min(self.rest().len() as u64);
        if count != 0 && memory.write(target, &self.rest()[..count as usize]).is_err() {
            return false;
        }
        self.state.offset += count;
        // A guest may ask for 4 GiB: memory that is not there stops it.
        let zeroes = [0; 4096];
        let mut done = count;
        while done < length {
            let part = (length - done).min(zeroes.len() as u64);
            if memory.write(target.wrapping_add(done), &zeroes[..part as usize]).is_err() {
                return false;
            }
            done += part;
        }
        true
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(FwCfg::new(args.ram, args.cores)))
}

impl Component for FwCfg {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let State { selected, offset, dma } = self.state;
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        let mut fields = vec![
            field("selector", format!("{selected:#06x}")),
            field("offset", offset.to_string()),
            field("DMA address", format!("{dma:#x}")),
        ];
        for (name, key) in self.names.iter().zip(key::FILE_FIRST..) {
            let size = self.items.get(&key).map_or(0, Vec::len);
            fields.push(field(name, format!("key {key:#x}, {size} bytes")));
        }
        fields
    }
}

impl Device for FwCfg {
    fn reset(&mut self, _ctx: &mut Ctx) {
        self.state = State::default();
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::ANY
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64 {
        match at.offset {
            DATA..SELECTOR => self.next(width.bytes()),
            DMA..END => u64::from_le_bytes(*b"QEMU CFG") >> (8 * (at.offset - DMA)) & width.mask(),
            _ => {
                ctx.unimplemented(at.offset, false, "no register to read");
                0
            }
        }
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64) {
        let address = match (at.offset, width) {
            (SELECTOR, Width::B2) => return self.select((value as u16).swap_bytes()),
            (DMA, Width::B8) => value.swap_bytes(),
            (DMA, Width::B4) => {
                self.state.dma = u64::from((value as u32).swap_bytes()) << 32;
                return;
            }
            (0x14, Width::B4) => self.state.dma | u64::from((value as u32).swap_bytes()),
            // Ignored since version 2.4 of QEMU.
            (DATA..SELECTOR, _) => return,
            _ => return ctx.unimplemented(at.offset, true, "no register to write in this width"),
        };
        self.state.dma = 0;
        if !self.transfer(ctx.memory(), address) {
            ctx.complain(format!("the DMA request at {address:#x} is not in memory"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    fn bench() -> Bench<FwCfg> {
        let mut device = FwCfg::new(1 << 30, 4);
        assert!(device.add_file("etc/one", b"first".to_vec()));
        assert!(device.add_file("opt/two", (0..=255).collect()));
        assert!(device.add_file("etc/one", b"First!".to_vec()));
        assert!(!device.add_file(&"x".repeat(56), Vec::new()));
        device.set_cmdline("quiet");
        Bench::new(device)
    }

    fn select(bench: &mut Bench<FwCfg>, key: u16) {
        bench.write(SELECTOR, Width::B2, key.swap_bytes().into());
    }

    /// As Linux sends it; returns the control field.
    fn dma(bench: &mut Bench<FwCfg>, command: u32, length: u32, target: u64) -> u32 {
        let mut request = Vec::new();
        request.extend(command.to_be_bytes());
        request.extend(length.to_be_bytes());
        request.extend(target.to_be_bytes());
        let memory = &bench.services.memory;
        memory.write(RAM + 0x100, &request).unwrap();
        bench.write32(0x10, ((RAM >> 32) as u32).swap_bytes());
        bench.write32(0x14, (RAM as u32 + 0x100).swap_bytes());
        (bench.services.memory.read_le(RAM + 0x100, 4).unwrap() as u32).swap_bytes()
    }

    #[test]
    fn signature_and_features() {
        let mut bench = bench();
        assert_eq!(bench.read(DATA, Width::B4).to_le_bytes()[..4], *b"QEMU");
        assert_eq!(bench.read(DATA, Width::B1), 0, "past the end");
        select(&mut bench, key::ID);
        assert_eq!(bench.read(DATA, Width::B4), 3);
        assert_eq!(bench.read(DMA, Width::B8).to_be(), 0x5145_4d55_2043_4647);
        assert_eq!(bench.read(0x14, Width::B4).to_le_bytes()[..4], *b" CFG");
    }

    #[test]
    fn items_read_in_any_width_in_order() {
        let mut bench = bench();
        select(&mut bench, key::FILE_FIRST + 1);
        assert_eq!(bench.read(DATA, Width::B8), 0x0706_0504_0302_0100);
        assert_eq!(bench.read(DATA, Width::B1), 8);
        assert_eq!(bench.read(DATA, Width::B2), 0x0a09);
        assert_eq!(bench.read(DATA, Width::B4), 0x0e0d_0c0b);
        for (key, width, value) in [
            (key::RAM_SIZE, Width::B8, 1 << 30),
            (key::NB_CPUS, Width::B2, 4),
            (key::CMDLINE_SIZE, Width::B4, 6),
            (key::CMDLINE_DATA | 0x4000, Width::B1, b'q'.into()),
            (key::CMDLINE_DATA | 0x8000, Width::B1, 0),
            (0x3fff, Width::B8, 0),
        ] {
            select(&mut bench, key);
            assert_eq!(bench.read(DATA, width), value, "key {key:#x}");
        }
    }

    #[test]
    fn directory() {
        let mut bench = bench();
        select(&mut bench, key::FILE_DIR);
        let bytes: Vec<u8> = (0..4 + 2 * 64).map(|_| bench.read(DATA, Width::B1) as u8).collect();
        assert_eq!(bytes[..4], [0, 0, 0, 2]);
        assert_eq!(bytes[4..20], *b"\0\0\0\x06\0\x20\0\0etc/one\0");
        assert_eq!(bytes[68..84], *b"\0\0\x01\0\0\x21\0\0opt/two\0");
    }

    #[test]
    fn dma_reads_skips_and_zeroes() {
        let mut bench = bench();
        let key = u32::from(key::FILE_FIRST) << 16;
        bench.services.memory.write(RAM, &[0xff; 16]).unwrap();
        assert_eq!(dma(&mut bench, key | control::SELECT | control::SKIP, 2, 0), 0);
        assert_eq!(dma(&mut bench, control::READ, 8, RAM), 0);
        let mut bytes = [0; 10];
        bench.services.memory.read(RAM, &mut bytes).unwrap();
        assert_eq!(bytes, *b"rst!\0\0\0\0\xff\xff");
    }

    #[test]
    fn dma_errors() {
        let mut bench = bench();
        let key = u32::from(key::FILE_FIRST) << 16;
        assert_eq!(dma(&mut bench, key | control::SELECT | control::WRITE, 1, RAM), control::ERROR);
        assert_eq!(dma(&mut bench, control::READ, 1, 0x1000), control::ERROR);
        assert_eq!(dma(&mut bench, control::READ, u32::MAX, RAM), control::ERROR);
        assert_eq!(dma(&mut bench, control::READ, 0, 0), 0);
        bench.write(DMA, Width::B8, u64::MAX);
        bench.write(DMA, Width::B8, 0x1234);
        assert_eq!(bench.services.complaints.len(), 2);
    }

    #[test]
    fn state_and_reset() {
        let mut bench = bench();
        select(&mut bench, key::FILE_FIRST);
        bench.read(DATA, Width::B1);
        bench.write32(0x10, 77);
        bench.check_save_restore();
        assert_eq!(bench.read(DATA, Width::B1), b'i'.into());
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!(bench.read(DATA, Width::B4).to_le_bytes()[..4], *b"QEMU");
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x20);
            let request: [u32; 3] = u.arbitrary()?;
            dma(&mut bench, request[0], request[1] % 0x20_0000, RAM + u64::from(request[2] % 0x20_0000));
            bench.check_save_restore();
            Ok(())
        });
    }
}
