//! Parallel NOR flash with Intel's command set, in one or more banks.
//!
//! Follows JEDEC JESD68.01 (Common Flash Interface), Intel's Basic/Scalable Command Set 0001 (application note AP-646
//! and the StrataFlash P30 data sheet), and the devicetree binding `mtd/mtd-physmap.yaml`. Geometry and identifiers are
//! those of QEMU's `virt` machines (`hw/block/pflash_cfi01.c`): blocks of 256 KiB a bank, chips of `device-width` (two
//! bytes by default) side by side on a bus of `bank-width`.
//!
//! Every entry of `reg` is a bank: its content is guest memory that reads go straight to, except after a command, when
//! the bank answers with status, identifiers or the CFI table until it is told to show the array again. Chips side by
//! side take the same command at the same time, the one on the lowest byte. Each bank takes the next disk that the
//! user gives for the node, and keeps its content there; without a disk it starts as zeroes, as on QEMU.
//!
//! Programming clears bits only; erasing sets them. Both are done at once. Lock bits are clear at power-on.
//!
//! Left out: suspend and resume, protection registers, locking down, AMD's command set, chips with a wider
//! `max-device-width`.

use devices_core::host::BlockBackend;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, GuestMemory, Model, RestoreError, Width,
    Widths, state,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["cfi-flash"], summary: "NOR flash", rom: &[0, 1, 2, 3], ram: &[], build };

/// Bytes of a bank that are erased together.
const BLOCK: u64 = 256 * 1024;
const MANUFACTURER: u32 = 0x89;
const DEVICE: u32 = 0x18;
/// Bytes of one chip's write buffer, as a power of two.
const BUFFER_LOG2: u32 = 11;

/// What software writes.
mod command {
    pub const PROGRAM: u8 = 0x40;
    pub const PROGRAM_TOO: u8 = 0x10;
    pub const ERASE: u8 = 0x20;
    pub const CLEAR_STATUS: u8 = 0x50;
    pub const LOCK_SETUP: u8 = 0x60;
    pub const READ_STATUS: u8 = 0x70;
    pub const READ_ID: u8 = 0x90;
    pub const QUERY: u8 = 0x98;
    pub const BUFFERED_PROGRAM: u8 = 0xe8;
    pub const READ_ARRAY: u8 = 0xff;
    /// Second cycles.
    pub const CONFIRM: u8 = 0xd0;
    pub const LOCK: u8 = 0x01;
}

/// The status register of a chip.
mod status {
    pub const READY: u8 = 0x80;
    pub const ERASE_FAILED: u8 = 0x20;
    pub const PROGRAM_FAILED: u8 = 0x10;
    pub const LOCKED: u8 = 0x02;
    /// Both errors: the command sequence was wrong.
    pub const SEQUENCE: u8 = 0x30;
}

/// How the chips are arranged on the bus.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Wiring {
    /// Bytes of the bus: 1, 2 or 4.
    pub bank_width: u64,
    /// Bytes of each chip: 1 or 2, at most the bus.
    pub device_width: u64,
}

impl Wiring {
    fn chips(self) -> u64 {
        self.bank_width / self.device_width
    }

    /// One chip's answer on the lanes of every chip.
    fn replicate(self, value: u32) -> u32 {
        let bits = 8 * self.device_width as u32;
        let value = value & (u32::MAX >> (32 - bits));
        (0..self.chips() as u32).fold(0, |all, chip| all | value << (chip * bits))
    }
}

/// The CFI table of one chip in a bank of `size` bytes, from word 0x10 on.
fn cfi_table(wiring: Wiring, size: u64) -> Vec<u8> {
    let chip_size = size / wiring.chips();
    let chip_block = BLOCK / wiring.chips();
    let blocks = (size / BLOCK - 1) as u16;
    let [blocks_low, blocks_high] = blocks.to_le_bytes();
    let mut table = b"QRY".to_vec();
    table.extend([0x01, 0x00, 0x31, 0x00, 0, 0, 0, 0]); // command set, its table, no alternative
    table.extend([0x45, 0x55, 0, 0]); // supply 4.5 to 5.5 V, no programming supply
    table.extend([0x07, 0x07, 0x0a, 0, 0x04, 0x04, 0x04, 0]); // times, as powers of two
    table.extend([chip_size.ilog2() as u8, 0x02, 0, BUFFER_LOG2 as u8, 0]); // size, x8/x16, write buffer
    table.extend([1, blocks_low, blocks_high, (chip_block >> 8) as u8, (chip_block >> 16) as u8]);
    table.extend(*b"PRI10");
    table.extend([0x20, 0, 0, 0]); // individual block locking
    table.extend([0; 10]); // no suspend, plain status, no protection registers
    table
}

/// What reads of a bank show.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Show {
    #[default]
    Array,
    Status,
    Id,
    Query,
}

/// What the next write to a bank means.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Expect {
    #[default]
    Command,
    Program,
    EraseConfirm,
    LockCommand,
    /// How many words, less one, to which block.
    BufferCount(u64),
    /// So many more writes, to this block.
    BufferData(u64, u64),
    BufferConfirm,
}

/// A write into the buffer.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Piece {
    offset: u64,
    bytes: u8,
    value: u32,
}

/// What a command does to the array.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    /// Clear the bits that are zero here.
    Program(Vec<Piece>),
    /// Set all bits of the block at this offset.
    Erase(u64),
}

/// A bank without its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Bank {
    show: Show,
    expect: Expect,
    status: u8,
    /// Numbers of the locked blocks.
    locked: BTreeSet<u64>,
    buffer: Vec<Piece>,
}

impl Default for Bank {
    fn default() -> Bank {
        Bank {
            show: Show::Array,
            expect: Expect::Command,
            status: status::READY,
            locked: BTreeSet::new(),
            buffer: Vec::new(),
        }
    }
}

impl Bank {
    /// What a read shows if it is not the array: all lanes of the bus.
    fn read(&self, wiring: Wiring, table: &[u8], offset: u64) -> u32 {
        let word = offset / wiring.bank_width;
        let answer = match self.show {
            Show::Array => 0,
            Show::Status => self.status.into(),
            Show::Query => {
                let entry = (word as usize).checked_sub(0x10).and_then(|index| table.get(index));
                entry.copied().unwrap_or(0).into()
            }
            Show::Id => match word % (BLOCK / wiring.bank_width) {
                0 => MANUFACTURER,
                1 => DEVICE,
                2 => self.locked.contains(&(offset / BLOCK)).into(),
                _ => 0,
            },
        };
        wiring.replicate(answer)
    }

    fn wrong_sequence(&mut self) -> Option<Change> {
        self.status |= status::SEQUENCE;
        self.show = Show::Status;
        self.expect = Expect::Command;
        self.buffer.clear();
        None
    }

    /// Whether the block may be changed; if not, says so in the status.
    fn unlocked(&mut self, offset: u64, failed: u8) -> bool {
        let locked = self.locked.contains(&(offset / BLOCK));
        if locked {
            self.status |= status::LOCKED | failed;
        }
        !locked
    }

    /// A write by software of `bytes` bytes at `offset`; returns what it does to the array.
    fn write(&mut self, wiring: Wiring, offset: u64, bytes: u8, value: u32) -> Option<Change> {
        let block = offset / BLOCK;
        let byte = value as u8;
        match std::mem::take(&mut self.expect) {
            Expect::Command => {
                self.command(block, byte);
                None
            }
            Expect::Program => {
                let piece = Piece { offset, bytes, value };
                self.unlocked(offset, status::PROGRAM_FAILED).then(|| Change::Program(vec![piece]))
            }
            Expect::EraseConfirm if byte == command::CONFIRM => {
                self.unlocked(offset, status::ERASE_FAILED).then_some(Change::Erase(block * BLOCK))
            }
            Expect::LockCommand if byte == command::LOCK => {
                self.locked.insert(block);
                None
            }
            Expect::LockCommand if byte == command::CONFIRM => {
                self.locked.remove(&block);
                None
            }
            Expect::BufferCount(wanted) => {
                let count = u64::from(value) & (u64::MAX >> (64 - 8 * wiring.device_width));
                let words = 1 << BUFFER_LOG2.saturating_sub(wiring.device_width.ilog2());
                if block != wanted || count >= words {
                    return self.wrong_sequence();
                }
                self.buffer.clear();
                self.expect = Expect::BufferData(count, block);
                None
            }
            Expect::BufferData(_, wanted) if block != wanted => self.wrong_sequence(),
            Expect::BufferData(left, wanted) => {
                self.buffer.push(Piece { offset, bytes, value });
                self.expect = match left {
                    0 => Expect::BufferConfirm,
                    _ => Expect::BufferData(left - 1, wanted),
                };
                None
            }
            Expect::BufferConfirm if byte == command::CONFIRM => {
                let pieces = std::mem::take(&mut self.buffer);
                self.unlocked(offset, status::PROGRAM_FAILED).then_some(Change::Program(pieces))
            }
            Expect::EraseConfirm | Expect::LockCommand | Expect::BufferConfirm => {
                self.wrong_sequence();
                if byte == command::READ_ARRAY {
                    self.show = Show::Array;
                }
                None
            }
        }
    }

    fn command(&mut self, block: u64, byte: u8) {
        let (show, expect) = match byte {
            command::PROGRAM | command::PROGRAM_TOO => (Show::Status, Expect::Program),
            command::ERASE => (Show::Status, Expect::EraseConfirm),
            command::LOCK_SETUP => (Show::Status, Expect::LockCommand),
            command::BUFFERED_PROGRAM => (Show::Status, Expect::BufferCount(block)),
            command::READ_STATUS => (Show::Status, Expect::Command),
            command::READ_ID => (Show::Id, Expect::Command),
            command::QUERY => (Show::Query, Expect::Command),
            command::CLEAR_STATUS => {
                self.status = status::READY;
                (Show::Array, Expect::Command)
            }
            // Read array, and what probes for other command sets write (0xf0): the array again.
            _ => (Show::Array, Expect::Command),
        };
        self.show = show;
        self.expect = expect;
    }
}

/// Where a bank is, and where its content is kept.
pub struct Place {
    /// In guest memory.
    pub base: u64,
    /// In bytes, a power of two from 256 KiB on.
    pub size: u64,
    /// At most as long as the bank.
    pub disk: Option<Box<dyn BlockBackend>>,
}

/// Banks of NOR flash on the bus.
pub struct CfiFlash {
    banks: Vec<Bank>,
    places: Vec<Place>,
    /// One of each bank's chips.
    tables: Vec<Vec<u8>>,
    wiring: Wiring,
    memory: GuestMemory,
}

impl CfiFlash {
    /// With a bank at each place in `memory`.
    pub fn new(memory: &GuestMemory, places: Vec<Place>, wiring: Wiring) -> CfiFlash {
        let banks = vec![Bank::default(); places.len()];
        let tables = places.iter().map(|place| cfi_table(wiring, place.size)).collect();
        CfiFlash { banks, places, tables, wiring, memory: memory.clone() }
    }

    /// Lets reads see the array, or what the bank says.
    fn remap(&self, region: usize) -> bool {
        let (Some(bank), Some(place)) = (self.banks.get(region), self.places.get(region)) else {
            return false;
        };
        let direct = bank.show == Show::Array;
        let before = self.memory.region(place.base, 1).is_some_and(|memory| memory.is_direct());
        if direct != before {
            self.memory.set_direct(place.base, direct);
        }
        direct != before
    }

    /// Reads the content of a bank from its disk; what the disk is too short for is erased.
    fn load(&mut self, region: usize) -> Result<(), String> {
        let Some(Place { base, size, disk: Some(disk) }) = self.places.get_mut(region) else {
            return Ok(());
        };
        let mut chunk = vec![0; BLOCK as usize];
        for offset in (0..*size).step_by(chunk.len()) {
            let there = disk.len().saturating_sub(offset).min(BLOCK) as usize;
            chunk.fill(0xff);
            if there != 0 {
                disk.read_at(offset, &mut chunk[..there]).map_err(|error| error.to_string())?;
            }
            self.memory.write_any(*base + offset, &chunk).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Changes memory and disk; says what went wrong.
    fn change(&mut self, region: usize, change: &Change) -> Result<(), String> {
        let Some(place) = self.places.get_mut(region) else { return Ok(()) };
        if place.disk.as_ref().is_some_and(|disk| disk.read_only()) {
            return Err("its disk is read-only".to_string());
        }
        let pieces: Vec<(u64, Vec<u8>)> = match change {
            Change::Erase(offset) => vec![(*offset, vec![0xff; BLOCK as usize])],
            Change::Program(pieces) => {
                let bytes = |piece: &Piece| {
                    let count = usize::from(piece.bytes).min(4);
                    (piece.offset, piece.value.to_le_bytes()[..count].to_vec())
                };
                pieces.iter().map(bytes).collect()
            }
        };
        for (offset, mut bytes) in pieces {
            if matches!(change, Change::Program(_)) {
                let mut old = vec![0; bytes.len()];
                self.memory.read(place.base + offset, &mut old).map_err(|error| error.to_string())?;
                bytes.iter_mut().zip(&old).for_each(|(new, old)| *new &= old);
            }
            self.memory.write_any(place.base + offset, &bytes).map_err(|error| error.to_string())?;
            if let Some(disk) = &mut place.disk {
                let there = disk.len().saturating_sub(offset).min(bytes.len() as u64) as usize;
                if there != 0 {
                    disk.write_at(offset, &bytes[..there]).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(())
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let node = args.node;
    let wiring = wiring(node.u32("bank-width"), node.u32("device-width"))?;
    let mut places = Vec::new();
    for &(base, size) in node.regs() {
        if size == 0 || size % BLOCK != 0 || !size.is_power_of_two() || size / BLOCK > 0x1_0000 {
            let message =
                format!("a bank of {size:#x} bytes; a power of two from 256 KiB to 16 GiB is expected");
            return Err(BuildError::property("reg", message));
        }
        let disk = args.resources.disk(node);
        if let Some(disk) = &disk
            && disk.len() > size
        {
            let message = format!("a disk of {} bytes does not fit into a bank of {size}", disk.len());
            return Err(BuildError::property("reg", message));
        }
        places.push(Place { base, size, disk });
    }
    if places.is_empty() || places.len() > MODEL.rom.len() {
        let message = format!("{} banks; 1 to {} are expected", places.len(), MODEL.rom.len());
        return Err(BuildError::property("reg", message));
    }
    Ok(Box::new(CfiFlash::new(args.memory, places, wiring)))
}

fn wiring(bank_width: Option<u32>, device_width: Option<u32>) -> Result<Wiring, BuildError> {
    let bank_width = bank_width.unwrap_or(1);
    if ![1, 2, 4].contains(&bank_width) {
        let message = format!("a bank width of {bank_width} bytes; 1, 2 and 4 are possible");
        return Err(BuildError::property("bank-width", message));
    }
    let device_width = device_width.unwrap_or(bank_width.min(2));
    if ![1, 2].contains(&device_width) || device_width > bank_width {
        let message = format!("chips of {device_width} bytes on a bus of {bank_width}");
        return Err(BuildError::property("device-width", message));
    }
    Ok(Wiring { bank_width: bank_width.into(), device_width: device_width.into() })
}

impl Component for CfiFlash {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.banks)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let banks: Vec<Bank> = state::decode(bytes)?;
        if banks.len() != self.banks.len() {
            return Err(RestoreError(format!("{} banks of flash, not {}", banks.len(), self.banks.len())));
        }
        self.banks = banks;
        for region in 0..self.banks.len() {
            self.remap(region);
        }
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |(index, bank): (usize, &Bank)| Field {
            name: format!("bank {index}"),
            value: format!(
                "shows {:?}, expects {:?}, status {:#04x}, {} blocks locked",
                bank.show,
                bank.expect,
                bank.status,
                bank.locked.len()
            ),
        };
        self.banks.iter().enumerate().map(show).collect()
    }
}

impl Device for CfiFlash {
    fn reset(&mut self, ctx: &mut Ctx) {
        for region in 0..self.banks.len() {
            self.banks[region] = Bank::default();
            self.remap(region);
            if let Err(error) = self.load(region) {
                ctx.complain(format!("flash bank {region} can not be read from its disk: {error}"));
            }
        }
        ctx.attention();
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::UP_TO_B4
    }

    fn read(&mut self, _ctx: &mut Ctx, at: At, width: Width) -> u64 {
        let (Some(bank), Some(place)) = (self.banks.get(at.region), self.places.get(at.region)) else {
            return 0;
        };
        if bank.show == Show::Array {
            let address = place.base.wrapping_add(at.offset);
            return self.memory.read_le(address, width.bytes() as usize).unwrap_or(0);
        }
        let lanes = self.wiring.bank_width;
        let table = self.tables.get(at.region).map_or(&[][..], Vec::as_slice);
        let read = |offset: u64| u64::from(bank.read(self.wiring, table, offset));
        let mut value = read(at.offset) >> (8 * (at.offset % lanes));
        // A read that is wider than the bus takes several cycles.
        for offset in (lanes..width.bytes()).step_by(lanes as usize) {
            value |= read(at.offset.wrapping_add(offset)) << (8 * offset);
        }
        value & width.mask()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64) {
        let Some(bank) = self.banks.get_mut(at.region) else { return };
        let change = bank.write(self.wiring, at.offset, width.bytes() as u8, value as u32);
        if let Some(change) = change
            && let Err(error) = self.change(at.region, &change)
        {
            ctx.complain(format!("flash bank {} can not be written: {error}", at.region));
            self.banks[at.region].status |= match change {
                Change::Erase(_) => status::ERASE_FAILED,
                Change::Program(_) => status::PROGRAM_FAILED,
            };
        }
        if self.remap(at.region) {
            ctx.attention();
        }
    }
}

#[cfg(test)]
mod tests;
