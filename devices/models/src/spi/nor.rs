//! SPI NOR flash.
//!
//! Follows ISSI's data sheet IS25LP128 (commands, status and function registers, protected blocks, identification,
//! typical times) and JEDEC JESD216B (SFDP). Data of the dual and quad commands pass as bytes, their dummy cycles as
//! the bytes that they make on the lines the command uses. Programming and erasing change the content at once and
//! leave the chip busy for the typical time.
//!
//! The content is that of a window in guest memory, where a controller shows one, or the chip's own. Blocks that
//! software changed survive a reset; a disk keeps them for the next run. What was never written is erased.
//!
//! Left out: four-byte addresses, suspending, QPI mode, continuous read, the information rows, write protection by
//! the pin, and chips other than of 3-byte addresses.

use devices_core::host::BlockBackend;
use devices_core::spi::{BuiltSpi, SpiModel, SpiTarget};
use devices_core::{BuildError, Component, Ctx, Field, GuestMemory, Node, RestoreError, Time, state};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Registry entry.
pub const MODEL: SpiModel = SpiModel {
    compatible: &["jedec,spi-nor", "issi,is25lp128", "xtx,xt25f32b"],
    summary: "SPI NOR flash",
    build,
};

const SECTOR: u32 = 4096;
const PAGE: u32 = 256;
/// Manufacturer and memory type of the IS25LP128, where a node tells none by `jedec-id`.
const ISSI: [u8; 2] = [0x9d, 0x60];

/// Of the status register.
mod status {
    pub const BUSY: u8 = 0x01;
    pub const WRITE_ENABLED: u8 = 0x02;
    /// Quad enable and the protected blocks, which survive power-off, and write protection by the pin.
    pub const KEPT: u8 = 0xfc;
}

/// What a command does.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Command {
    /// Address and so many dummy bytes, then data.
    Read(u32),
    Sfdp,
    Program,
    /// So many bytes, or all.
    Erase(Option<u32>),
    WriteEnable,
    WriteDisable,
    ReadStatus,
    WriteStatus,
    ReadFunction,
    WriteFunction,
    /// Configuration and security registers of other makers: nothing failed, nothing is set up.
    ReadZero,
    JedecId,
    ManufacturerId,
    /// Leaves deep power-down; then the electronic signature.
    Release,
    PowerDown,
    ResetEnable,
    Reset,
    Ignored,
}

impl Command {
    fn of(opcode: u8) -> Option<Command> {
        Some(match opcode {
            0x03 => Command::Read(0),
            // Fast, dual output, quad output; dual and quad with their address on all lines.
            0x0b | 0x3b | 0x6b | 0xbb => Command::Read(1),
            0xeb => Command::Read(3),
            0x5a => Command::Sfdp,
            0x02 | 0x32 | 0x38 => Command::Program,
            0x20 | 0xd7 => Command::Erase(Some(SECTOR)),
            0x52 => Command::Erase(Some(0x8000)),
            0xd8 => Command::Erase(Some(0x1_0000)),
            0x60 | 0xc7 => Command::Erase(None),
            0x06 => Command::WriteEnable,
            0x04 => Command::WriteDisable,
            0x05 => Command::ReadStatus,
            0x01 => Command::WriteStatus,
            0x48 => Command::ReadFunction,
            0x42 => Command::WriteFunction,
            0x15 | 0x2b => Command::ReadZero,
            0x9f | 0xaf => Command::JedecId,
            0x90 => Command::ManufacturerId,
            0xab => Command::Release,
            0xb9 => Command::PowerDown,
            0x66 => Command::ResetEnable,
            0x99 => Command::Reset,
            0x00 | 0xff => Command::Ignored,
            _ => return None,
        })
    }

    /// Bytes of address and dummies after the opcode.
    fn preamble(self) -> u32 {
        match self {
            Command::Read(dummies) => 3 + dummies,
            Command::Sfdp => 4,
            Command::Program | Command::Erase(Some(_)) | Command::ManufacturerId | Command::Release => 3,
            _ => 0,
        }
    }

    /// Taken while the chip is busy.
    fn while_busy(self) -> bool {
        matches!(self, Command::ReadStatus | Command::ReadFunction | Command::ResetEnable | Command::Reset)
    }
}

/// Typical times.
fn erase_time(bytes: Option<u32>) -> Time {
    match bytes {
        Some(SECTOR) => Time::from_ms(70),
        Some(0x8000) => Time::from_ms(100),
        Some(_) => Time::from_ms(150),
        None => Time::from_ms(45_000),
    }
}

const PROGRAM_TIME: Time = Time::from_us(200);
const REGISTER_TIME: Time = Time::from_ms(2);

/// The tables of JESD216B: the header, one parameter header and the basic flash parameters.
fn sfdp(size: u32) -> Vec<u8> {
    let mut bytes = b"SFDP".to_vec();
    bytes.extend([6, 1, 0, 0xff]);
    bytes.extend([0x00, 6, 1, 16, 0x30, 0, 0, 0xff]);
    bytes.resize(0x30, 0xff);
    let words: [u32; 16] = [
        0xfff1_20e5,                      // 4 KiB by 0x20, three-byte addresses, all dual and quad reads
        (u64::from(size) * 8 - 1) as u32, // the last bit
        0x6b08_eb44,                      // 1-1-4: 8 dummy cycles; 1-4-4: 2 mode and 4 dummy cycles
        0xbb80_3b08,                      // 1-2-2: 4 mode cycles; 1-1-2: 8 dummy cycles
        0xffff_ffee,                      // neither 2-2-2 nor 4-4-4
        0x0000_ffff,
        0x0000_ffff,
        0x520f_200c,                                                  // erases 4 and 32 KiB
        0x0000_d810,                                                  // and 64 KiB
        3 | 4 << 4 | 1 << 9 | 6 << 11 | 1 << 16 | 9 << 18 | 1 << 23,  // in 80, 112, 160 ms
        3 | 8 << 4 | 3 << 8 | 1 << 13 | 11 << 24 | 2 << 29 | 1 << 31, // pages of 256 bytes in 256 us, all in 48 s
        1 << 31,                                                      // no suspending
        0,
        0xb9 << 23 | 0xab << 15 | 1 << 13 | 2 << 8 | 1 << 2, // deep power-down; busy is in the status register
        2 << 20,                                             // quad enable is bit 6 of the status register
        1 << 12,                                             // reset by 0x66, 0x99
    ];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

/// The chip without its content.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    /// The kept bits of the status register.
    kept: u8,
    function: u8,
    write_enabled: bool,
    busy_until: Option<Time>,
    powered_down: bool,
    reset_enabled: bool,
    command: Option<Command>,
    /// Bytes since the opcode.
    count: u32,
    address: u32,
    /// What arrived to be programmed; the last page of it counts.
    data: Vec<u8>,
    /// Where in its page the data begin.
    data_start: u32,
    /// Sectors that software changed.
    changed: BTreeMap<u32, Vec<u8>>,
}

impl State {
    /// Ends what is done by now.
    fn settle(&mut self, now: Time) {
        if self.busy_until.is_some_and(|until| until <= now) {
            self.busy_until = None;
            self.write_enabled = false;
        }
    }

    fn status(&self) -> u8 {
        self.kept
            | (u8::from(self.busy_until.is_some()) * status::BUSY)
            | (u8::from(self.write_enabled) * status::WRITE_ENABLED)
    }

    /// The first protected byte: blocks of 64 KiB at the top, by powers of two.
    fn protected_from(&self, size: u32) -> u32 {
        match self.kept >> 2 & 0xf {
            0 => size,
            n => size.saturating_sub(0x8000u32.checked_shl(u32::from(n)).unwrap_or(size)),
        }
    }

    /// What power-off leaves.
    fn power_cycled(&self) -> State {
        State { kept: self.kept, function: self.function, changed: self.changed.clone(), ..State::default() }
    }
}

/// A SPI NOR flash chip.
pub struct Nor {
    state: State,
    size: u32,
    id: [u8; 2],
    sfdp: Vec<u8>,
    window: Option<(GuestMemory, u64)>,
    disk: Option<Box<dyn BlockBackend>>,
}

/// The capacity in bytes that a node tells by `size`, in bits; 16 MiB if it tells none.
pub fn size(node: &dyn Node) -> Result<u32, BuildError> {
    let bytes = node.u32("size").unwrap_or(0x800_0000) / 8;
    if !bytes.is_power_of_two() || !(0x1_0000..=0x100_0000).contains(&bytes) {
        let message = format!("{bytes} bytes; a power of two from 64 KiB to 16 MiB is expected, in bits");
        return Err(BuildError::property("size", message));
    }
    Ok(bytes)
}

/// Manufacturer and memory type that a node tells by `jedec-id`, three bytes of which the last is the size.
fn id(node: &dyn Node, size: u32) -> Result<[u8; 2], BuildError> {
    match node.bytes("jedec-id").as_deref() {
        None => Ok(ISSI),
        Some(&[manufacturer, kind, log]) if u32::from(log) == size.ilog2() => Ok([manufacturer, kind]),
        Some(bytes) => {
            let expected = format!("three bytes of which the last is {:#04x}, as the size is", size.ilog2());
            Err(BuildError::property("jedec-id", format!("{bytes:02x?}; {expected}, are possible")))
        }
    }
}

fn build(node: &dyn Node, _seed: u64) -> BuiltSpi {
    Ok(Box::new(Nor::of(node, None, None)?))
}

impl Nor {
    /// As a node tells, in a window or its own.
    pub fn of(
        node: &dyn Node,
        window: Option<(GuestMemory, u64, u64)>,
        disk: Option<Box<dyn BlockBackend>>,
    ) -> Result<Nor, BuildError> {
        let mut chip = Nor::new(size(node)?, window, disk)?;
        chip.id = id(node, chip.size)?;
        Ok(chip)
    }

    /// With `size` bytes, a power of two up to 16 MiB, in a window (memory, base, bytes) or its own.
    pub fn new(
        size: u32,
        window: Option<(GuestMemory, u64, u64)>,
        disk: Option<Box<dyn BlockBackend>>,
    ) -> Result<Nor, BuildError> {
        if let Some((_, base, bytes)) = &window
            && *bytes < u64::from(size)
        {
            let message = format!("{size} bytes do not fit into the window of {bytes} at {base:#x}");
            return Err(BuildError::property("size", message));
        }
        if let Some(disk) = &disk
            && disk.len() > u64::from(size)
        {
            let message = format!("a disk of {} bytes does not fit into a flash of {size}", disk.len());
            return Err(BuildError::property("size", message));
        }
        let window = window.map(|(memory, base, _)| (memory, base));
        Ok(Nor { state: State::default(), size, id: ISSI, sfdp: sfdp(size), window, disk })
    }

    /// A sector as it was before software changed it, without a window.
    fn original(&mut self, sector: u32) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0xff; SECTOR as usize];
        if let Some(disk) = &mut self.disk {
            let offset = u64::from(sector) * u64::from(SECTOR);
            let there = disk.len().saturating_sub(offset).min(SECTOR.into()) as usize;
            if there > 0 {
                disk.read_at(offset, &mut bytes[..there]).map_err(|error| error.to_string())?;
            }
        }
        Ok(bytes)
    }

    fn sector(&mut self, sector: u32) -> Result<Vec<u8>, String> {
        if let Some((memory, base)) = &self.window {
            let mut bytes = vec![0; SECTOR as usize];
            let address = base + u64::from(sector) * u64::from(SECTOR);
            memory.read(address, &mut bytes).map_err(|error| error.to_string())?;
            return Ok(bytes);
        }
        match self.state.changed.get(&sector) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.original(sector),
        }
    }

    fn byte(&mut self, address: u32) -> u8 {
        let address = address % self.size;
        if let Some((memory, base)) = &self.window {
            return memory.read_le(base + u64::from(address), 1).unwrap_or(0xff) as u8;
        }
        let in_sector = |bytes: &[u8]| bytes.get((address % SECTOR) as usize).copied();
        if let Some(bytes) = self.state.changed.get(&(address / SECTOR)) {
            return in_sector(bytes).unwrap_or(0xff);
        }
        let mut byte = [0xff];
        match &mut self.disk {
            Some(disk) if u64::from(address) < disk.len() => {
                disk.read_at(address.into(), &mut byte).map_or(0xff, |()| byte[0])
            }
            _ => 0xff,
        }
    }

    /// Replaces a sector, everywhere.
    fn store(&mut self, sector: u32, bytes: Vec<u8>) -> Result<(), String> {
        let offset = u64::from(sector) * u64::from(SECTOR);
        if let Some(disk) = self.disk.as_mut().filter(|disk| !disk.read_only()) {
            let there = disk.len().saturating_sub(offset).min(bytes.len() as u64) as usize;
            if there > 0 {
                disk.write_at(offset, &bytes[..there]).map_err(|error| error.to_string())?;
            }
        }
        if let Some((memory, base)) = &self.window {
            memory.write_any(base + offset, &bytes).map_err(|error| error.to_string())?;
        }
        let on_disk = self.disk.as_ref().is_some_and(|disk| offset < disk.len());
        if !on_disk && bytes.iter().all(|byte| *byte == 0xff) {
            self.state.changed.remove(&sector); // as it was
        } else {
            self.state.changed.insert(sector, bytes);
        }
        Ok(())
    }

    /// Makes the window show the content after power-on.
    fn load(&mut self) -> Result<(), String> {
        let Some((memory, base)) = self.window.clone() else { return Ok(()) };
        for sector in 0..self.size / SECTOR {
            let bytes = match self.state.changed.get(&sector) {
                Some(bytes) => bytes.clone(),
                None => self.original(sector)?,
            };
            let address = base + u64::from(sector) * u64::from(SECTOR);
            memory.write_any(address, &bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Programs the page that was sent: bits only go from one to zero.
    fn program(&mut self) -> Result<(), String> {
        let page = self.state.address % self.size / PAGE * PAGE;
        let mut bytes = self.sector(page / SECTOR)?;
        let data = std::mem::take(&mut self.state.data);
        let start = self.state.data_start;
        for (index, byte) in (0..).zip(data) {
            let offset = page % SECTOR + (start + index) % PAGE;
            if let Some(cell) = bytes.get_mut(offset as usize) {
                *cell &= byte;
            }
        }
        self.store(page / SECTOR, bytes)
    }

    fn erase(&mut self, bytes: Option<u32>) -> Result<(), String> {
        let (first, count) = match bytes {
            Some(bytes) => (self.state.address % self.size / bytes * bytes / SECTOR, bytes / SECTOR),
            None => (0, self.size / SECTOR),
        };
        (first..first + count).try_for_each(|sector| self.store(sector, vec![0xff; SECTOR as usize]))
    }

    /// Changes the content, if it may be changed.
    fn change(&mut self, ctx: &mut Ctx, command: Command) {
        let last = match command {
            Command::Erase(Some(bytes)) => (self.state.address % self.size) | (bytes - 1),
            Command::Erase(None) => self.size - 1,
            _ => (self.state.address % self.size) | (PAGE - 1),
        };
        let protected = last >= self.state.protected_from(self.size);
        if !self.state.write_enabled || protected {
            self.state.write_enabled &= !protected;
            return;
        }
        let (done, time) = match command {
            Command::Erase(bytes) => (self.erase(bytes), erase_time(bytes)),
            _ => (self.program(), PROGRAM_TIME),
        };
        if let Err(error) = done {
            ctx.complain(format!("the flash can not be written: {error}"));
        }
        self.state.busy_until = Some(ctx.now().saturating_add(time));
    }

    /// Executes what the chip select ends.
    fn execute(&mut self, ctx: &mut Ctx, command: Command) {
        let count = self.state.count;
        let reset_enabled = std::mem::take(&mut self.state.reset_enabled);
        match command {
            Command::WriteEnable => self.state.write_enabled = true,
            Command::WriteDisable => self.state.write_enabled = false,
            Command::Program if count > 3 => self.change(ctx, command),
            Command::Erase(Some(_)) if count == 3 => self.change(ctx, command),
            Command::Erase(None) if count == 0 => self.change(ctx, command),
            Command::WriteStatus | Command::WriteFunction if count == 1 && self.state.write_enabled => {
                let byte = self.state.data.first().copied().unwrap_or(0);
                match command {
                    Command::WriteStatus => self.state.kept = byte & status::KEPT,
                    // The lock bits of the information rows can only be set.
                    _ => self.state.function |= byte & 0xf0,
                }
                self.state.busy_until = Some(ctx.now().saturating_add(REGISTER_TIME));
            }
            Command::PowerDown => self.state.powered_down = true,
            Command::Release => self.state.powered_down = false,
            Command::ResetEnable => self.state.reset_enabled = true,
            Command::Reset if reset_enabled => self.state = self.state.power_cycled(),
            _ => {}
        }
        self.state.data.clear();
    }

    fn opcode(&mut self, ctx: &mut Ctx, opcode: u8) {
        let command = Command::of(opcode);
        if command.is_none() {
            ctx.unimplemented(0x1_0000 | u64::from(opcode), true, "command of a SPI NOR flash");
        }
        let command = command.unwrap_or(Command::Ignored);
        let heard = match command {
            Command::Release => self.state.busy_until.is_none(),
            _ if self.state.powered_down => false,
            _ => self.state.busy_until.is_none() || command.while_busy(),
        };
        self.state.command = Some(if heard { command } else { Command::Ignored });
        self.state.count = 0;
        self.state.address = 0;
        self.state.data.clear();
    }

    /// The answer to the byte after `count` others since the opcode.
    fn answer(&mut self, command: Command, count: u32) -> u8 {
        let preamble = command.preamble();
        let Some(index) = count.checked_sub(preamble) else { return 0xff };
        let device = (self.size.ilog2() - 1) as u8;
        match command {
            Command::Read(_) => self.byte(self.state.address.wrapping_add(index)),
            Command::Sfdp => {
                let address = self.state.address.wrapping_add(index);
                self.sfdp.get(address as usize).copied().unwrap_or(0xff)
            }
            Command::ReadStatus => self.state.status(),
            Command::ReadFunction => self.state.function,
            Command::ReadZero => 0,
            Command::JedecId => [self.id[0], self.id[1], self.size.ilog2() as u8][index as usize % 3],
            Command::ManufacturerId => [self.id[0], device][(self.state.address ^ index) as usize & 1],
            Command::Release => device,
            _ => 0xff,
        }
    }
}

impl Component for Nor {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let state: State = state::decode(bytes)?;
        let fits = |(sector, bytes): (&u32, &Vec<u8>)| {
            *sector < self.size / SECTOR && bytes.len() == SECTOR as usize
        };
        if !state.changed.iter().all(fits) || state.data.len() > PAGE as usize {
            return Err(RestoreError("the flash is of another size".to_string()));
        }
        self.state = state;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        vec![
            field("status", format!("{:#04x}", self.state.status())),
            field("powered down", self.state.powered_down.to_string()),
            field("command", format!("{:?}", self.state.command)),
            field("changed sectors", self.state.changed.len().to_string()),
        ]
    }
}

impl SpiTarget for Nor {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = self.state.power_cycled();
        if let Err(error) = self.load() {
            ctx.complain(format!("the flash can not be read from its disk: {error}"));
        }
    }

    fn select(&mut self, ctx: &mut Ctx, selected: bool) {
        self.state.settle(ctx.now());
        let command = self.state.command.take();
        if !selected && let Some(command) = command {
            self.execute(ctx, command);
        }
    }

    fn transfer(&mut self, ctx: &mut Ctx, byte: u8) -> u8 {
        self.state.settle(ctx.now());
        let Some(command) = self.state.command else {
            self.opcode(ctx, byte);
            return 0xff;
        };
        let count = self.state.count;
        let answer = self.answer(command, count);
        self.state.count = count.saturating_add(1);
        if count < command.preamble().min(3) {
            self.state.address = self.state.address << 8 & 0xff_ffff | u32::from(byte);
        } else if matches!(command, Command::Program | Command::WriteStatus | Command::WriteFunction) {
            if self.state.data.is_empty() {
                self.state.data_start = self.state.address % PAGE;
            } else if self.state.data.len() == PAGE as usize {
                // More than a page: the oldest byte is overwritten.
                self.state.data.remove(0);
                self.state.data_start = (self.state.data_start + 1) % PAGE;
            }
            self.state.data.push(byte);
        }
        answer
    }
}

#[cfg(test)]
mod tests;
