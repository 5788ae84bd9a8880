//! Non-volatile memory controller (NVMC) with its flash and the user information configuration registers (UICR).
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 11 (NVMC) and 14 (UICR), the nRF52840 Product
//! Specification v1.7, chapters 4.3 and 4.5, and the nRF51 Series Reference Manual v3.0, chapters 6 and 8.
//!
//! Regions of `reg`: the controller, the flash, UICR. Flash and UICR are guest memory; writes to them come here, and
//! clear bits while CONFIG enables writing. READY is low for the time that the specification gives; a write before
//! that is accepted, as hardware stalls the core. The flash is kept in the disk that the user gives for the node:
//! flash first, then UICR if the disk is long enough. A disk that is shorter, or none, leaves the rest erased.
//!
//! The node's `erase-block-size` is that of a page, 4096 by default and 1024 on the nRF51.
//!
//! Protection is [`super::protect`]'s: that of blocks is region 3 of `reg`, which lies between the registers of POWER;
//! access control lists are there where `compatible` has "nordic,nrf-acl", among the controller's registers. What is
//! protected against writes is not erased either; ERASEALL is refused while any of the flash is.
//!
//! Left out: the bus fault of a write while CONFIG does not enable it (it is ignored, with a complaint), endurance,
//! and the instruction cache's counters, which stay zero.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use super::protect::{ACL, Protection};
use devices_core::host::BlockBackend;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, GuestMemory, Model, RestoreError, Time,
    register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf52-flash-controller", "nordic,nrf51-flash-controller", WITH_ACL],
    summary: "nRF flash",
    rom: &[FLASH, UICR],
    ram: &[],
    build,
};

/// Of a controller that shares its registers with access control lists.
const WITH_ACL: &str = "nordic,nrf-acl";

/// Index of the flash in `reg`.
const FLASH: usize = 1;
/// Index of UICR in `reg`.
const UICR: usize = 2;
/// Index of block protection in `reg`.
const BPROT: usize = 3;

const WRITE_TIME: Time = Time::from_us(41);
const ERASE_TIME: Time = Time::from_ms(85);
const ERASE_ALL_TIME: Time = Time::from_ms(169);

crate::nordic_layout! {
    tasks {}
    events {}
    shorts {}
}

register_bank! {
    /// The registers.
    enum Register {
        Ready = 0x400, ro, reset 1;
        ReadyNext = 0x408, ro, reset 1;
        Config = 0x504, rw(0x3), reset 0, { wen: 0 .. 2 };
        /// nRF51: also ERASEPCR1.
        ErasePage = 0x508, wo(u32::MAX), reset 0;
        EraseAll = 0x50c, wo(1), reset 0;
        ErasePcr0 = 0x510, wo(u32::MAX), reset 0;
        EraseUicr = 0x514, wo(1), reset 0;
        ErasePagePartial = 0x518, wo(u32::MAX), reset 0;
        ErasePagePartialCfg = 0x51c, rw(0x7f), reset 0xa;
        IcacheCnf = 0x540, rw(0x101), reset 0;
        Ihit = 0x548, rw(u32::MAX), reset 0;
        Imiss = 0x54c, rw(u32::MAX), reset 0;
    }
}

use Register::*;

const WRITE_ENABLE: u32 = 1;
const ERASE_ENABLE: u32 = 2;

/// The registers, and how far work has come.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Controller {
    bank: Bank<Register>,
    /// When READY rises.
    ready_at: Time,
    /// The page that is being erased by parts, and for how many milliseconds so far.
    partial: Option<(u64, u32)>,
    protection: Protection,
}

/// The controller with its memory.
pub struct Nvmc {
    controller: Controller,
    memory: GuestMemory,
    flash: (u64, u64),
    uicr: (u64, u64),
    page: u64,
    acl: bool,
    disk: Option<Box<dyn BlockBackend>>,
}

impl Nvmc {
    /// With `flash` and `uicr` (address and size) in `memory`, both erased but for what `disk` holds. Errors where
    /// the disk can not be read.
    pub fn new(
        memory: &GuestMemory,
        flash: (u64, u64),
        uicr: (u64, u64),
        page: u64,
        disk: Option<Box<dyn BlockBackend>>,
    ) -> Result<Nvmc, String> {
        let (controller, memory) = (Controller::default(), memory.clone());
        let mut nvmc = Nvmc { controller, memory, flash, uicr, page, acl: false, disk };
        for (base, size) in [flash, uicr] {
            nvmc.fill(base, size)?;
        }
        nvmc.load()?;
        Ok(nvmc)
    }

    /// Makes memory erased; the disk stays as it is.
    fn fill(&self, base: u64, size: u64) -> Result<(), String> {
        self.memory.write_any(base, &vec![0xff; size as usize]).map_err(|error| error.to_string())
    }

    fn load(&mut self) -> Result<(), String> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let mut offset = 0;
        for (base, size) in [self.flash, self.uicr] {
            let there = disk.len().saturating_sub(offset).min(size);
            let mut bytes = vec![0; there as usize];
            if there != 0 {
                disk.read_at(offset, &mut bytes).map_err(|error| error.to_string())?;
                self.memory.write_any(base, &bytes).map_err(|error| error.to_string())?;
            }
            offset += size;
        }
        Ok(())
    }

    /// Changes memory, and the disk as far as it reaches; says what went wrong.
    fn store(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        self.memory.write_any(address, bytes).map_err(|error| error.to_string())?;
        let Some(disk) = self.disk.as_mut().filter(|disk| !disk.read_only()) else { return Ok(()) };
        let within = |(base, size): (u64, u64)| address.checked_sub(base).filter(|offset| *offset < size);
        let Some(offset) = within(self.flash).or_else(|| Some(self.flash.1 + within(self.uicr)?)) else {
            return Ok(());
        };
        let there = disk.len().saturating_sub(offset).min(bytes.len() as u64) as usize;
        match there {
            0 => Ok(()),
            _ => disk.write_at(offset, &bytes[..there]).map_err(|error| error.to_string()),
        }
    }

    fn busy(&mut self, ctx: &Ctx, span: Time) {
        self.controller.ready_at = self.controller.ready_at.max(ctx.now()).saturating_add(span);
    }

    /// Whether protection lets `range` be changed; it answers with a bus fault otherwise.
    fn allowed(&self, ctx: &mut Ctx, range: (u64, u64)) -> bool {
        let allowed = self.controller.protection.writable(self.flash.0, self.page, range);
        if !allowed {
            ctx.complain(format!("flash at {:#x} is protected", range.0));
            ctx.bus_fault();
        }
        allowed
    }

    fn erase(&mut self, ctx: &mut Ctx, (base, size): (u64, u64)) {
        if let Err(error) = self.store(base, &vec![0xff; size as usize]) {
            ctx.complain(format!("flash at {base:#x} can not be erased: {error}"));
        }
        // Code may have been there.
        ctx.attention();
    }

    /// The page at an address, if it is one of the flash.
    fn page_at(&self, ctx: &mut Ctx, address: u32) -> Option<u64> {
        let (base, size) = self.flash;
        let offset = u64::from(address).checked_sub(base).filter(|offset| *offset < size);
        if offset.is_none() {
            ctx.complain(format!("there is no page of flash at {address:#x}"));
        }
        offset.map(|offset| base + offset / self.page * self.page)
    }

    /// A write of the core to flash or UICR.
    fn program(&mut self, ctx: &mut Ctx, base: u64, offset: u64, value: u32) {
        let address = base + (offset & !3);
        if self.controller.bank[Config] != WRITE_ENABLE {
            ctx.complain(format!("a write to flash at {address:#x} without CONFIG.WEN"));
            return;
        }
        if base == self.flash.0 && !self.allowed(ctx, (address, 4)) {
            return;
        }
        let before = self.memory.read_le(address, 4).unwrap_or(0) as u32;
        if let Err(error) = self.store(address, &(before & value).to_le_bytes()) {
            ctx.complain(format!("flash at {address:#x} can not be written: {error}"));
        }
        self.busy(ctx, WRITE_TIME);
    }

    fn command(&mut self, ctx: &mut Ctx, register: Register, value: u32) {
        let enabled = self.controller.bank[Config] == ERASE_ENABLE;
        match register {
            ErasePage | ErasePcr0 | EraseAll | EraseUicr | ErasePagePartial if !enabled => {
                ctx.complain("an erase of flash without CONFIG.EEN");
            }
            ErasePage | ErasePcr0 => {
                if let Some(page) = self.page_at(ctx, value)
                    && self.allowed(ctx, (page, self.page))
                {
                    self.erase(ctx, (page, self.page));
                    self.busy(ctx, ERASE_TIME);
                }
            }
            ErasePagePartial => {
                let Some(page) = self.page_at(ctx, value) else { return };
                if !self.allowed(ctx, (page, self.page)) {
                    return;
                }
                let part = self.controller.bank[ErasePagePartialCfg].max(1);
                let before = self.controller.partial.filter(|(erased, _)| *erased == page);
                let done = before.map_or(0, |(_, done)| done) + part;
                self.controller.partial =
                    Some((page, done)).filter(|_| Time::from_ms(done.into()) < ERASE_TIME);
                if self.controller.partial.is_none() {
                    self.erase(ctx, (page, self.page));
                }
                self.busy(ctx, Time::from_ms(part.into()));
            }
            EraseAll if value & 1 != 0 => {
                if !self.allowed(ctx, self.flash) {
                    return;
                }
                self.erase(ctx, self.flash);
                self.erase(ctx, self.uicr);
                self.busy(ctx, ERASE_ALL_TIME);
            }
            EraseUicr if value & 1 != 0 => {
                self.erase(ctx, self.uicr);
                self.busy(ctx, ERASE_TIME);
            }
            _ => drop(self.controller.bank.write(register, value)),
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let (&[_, flash, uicr] | &[_, flash, uicr, _]) = args.node.regs() else {
        let message = "the controller, the flash, UICR and maybe block protection are expected";
        return Err(BuildError::property("reg", message));
    };
    let page = u64::from(args.node.u32("erase-block-size").unwrap_or(4096));
    if !page.is_power_of_two() || page < 4 || flash.1 % page != 0 {
        return Err(BuildError::property("erase-block-size", format!("{page} does not divide the flash")));
    }
    let disk = args.resources.disk(args.node);
    if let Some(disk) = &disk
        && disk.len() > flash.1 + uicr.1
    {
        let message = format!("a disk of {} bytes; {} is the most", disk.len(), flash.1 + uicr.1);
        return Err(BuildError::property("reg", message));
    }
    let base = base_address(args)?;
    let mut nvmc = Nvmc::new(args.memory, flash, uicr, page, disk).map_err(BuildError::node)?;
    nvmc.acl = args.node.compatible().contains(&WITH_ACL);
    Ok(Box::new(Nordic::new(base, &LAYOUT, nvmc)))
}

impl Component for Nvmc {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.controller)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.controller = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let Controller { bank, protection, .. } = &self.controller;
        [bank.inspect(), protection.inspect()].concat()
    }
}

impl Peripheral for Nvmc {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        self.controller = Controller::default();
        if self.acl {
            ctx.set_unreadable(Vec::new());
        }
    }

    fn task(&mut self, _block: &mut Block, _ctx: &mut Ctx, _task: u32) {}

    fn read(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At) -> Option<u32> {
        let base = match at.region {
            FLASH => self.flash.0,
            UICR => self.uicr.0,
            BPROT => return self.controller.protection.read_bprot(at.offset),
            _ if self.acl && ACL.contains(&at.offset) => {
                return Some(self.controller.protection.read_acl(at.offset - ACL.start));
            }
            _ => {
                return Some(match self.controller.bank.at(at.offset)? {
                    Ready | ReadyNext => (ctx.now() >= self.controller.ready_at).into(),
                    register => self.controller.bank.read(register),
                });
            }
        };
        Some(self.memory.read_le(base.wrapping_add(at.offset), 4).unwrap_or(0) as u32)
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.region {
            FLASH => self.program(ctx, self.flash.0, at.offset, value),
            UICR => self.program(ctx, self.uicr.0, at.offset, value),
            BPROT => return self.controller.protection.write_bprot(at.offset, value),
            _ if self.acl && ACL.contains(&at.offset) => {
                let protection = &mut self.controller.protection;
                protection.write_acl(at.offset - ACL.start, value);
                ctx.set_unreadable(protection.unreadable(self.page));
            }
            _ => self.command(ctx, self.controller.bank.at(at.offset)?, value),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::Width;
    use devices_core::bench::{Bench, RAM, bench_memory};
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A disk that its test can look at.
    struct Disk(Arc<Mutex<Vec<u8>>>);

    impl BlockBackend for Disk {
        fn len(&self) -> u64 {
            self.0.lock().map_or(0, |bytes| bytes.len() as u64)
        }
        fn read_only(&self) -> bool {
            false
        }
        fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
            let bytes = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
            into.copy_from_slice(&bytes[offset as usize..][..into.len()]);
            Ok(())
        }
        fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
            let mut bytes = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
            bytes[offset as usize..][..from.len()].copy_from_slice(from);
            Ok(())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const UICR_BASE: u64 = RAM + 0x8000;

    fn bench_with(disk: Option<Box<dyn BlockBackend>>) -> Bench<Nordic<Nvmc>> {
        let memory = bench_memory();
        let nvmc =
            Nvmc::new(&memory, (RAM, 0x8000), (UICR_BASE, 0x1000), 0x1000, disk).expect("a disk in memory");
        Bench::with_memory(Nordic::new(0x4001_e000, &LAYOUT, nvmc), &memory)
    }

    fn program(bench: &mut Bench<Nordic<Nvmc>>, region: usize, offset: u64, value: u32) {
        bench.call(|device, ctx| device.write(ctx, At { region, offset }, Width::B4, value.into()));
    }

    fn word(bench: &Bench<Nordic<Nvmc>>, address: u64) -> u32 {
        bench.services.memory.read_le(address, 4).unwrap_or(0) as u32
    }

    #[test]
    fn writes_clear_bits_and_take_time() {
        let mut bench = bench_with(None);
        assert_eq!(word(&bench, RAM + 0x7ffc), u32::MAX);
        program(&mut bench, FLASH, 8, 0);
        assert_eq!((word(&bench, RAM + 8), bench.services.complaints.len()), (u32::MAX, 1));
        bench.write32(0x504, 1);
        program(&mut bench, FLASH, 8, 0xff00_ff00);
        program(&mut bench, FLASH, 8, 0xf0f0_f0f0);
        assert_eq!((word(&bench, RAM + 8), bench.read32(0x400)), (0xf000_f000, 0));
        bench.advance(Time::from_us(81));
        assert_eq!(bench.read32(0x400), 0);
        bench.advance(Time::from_us(1));
        assert_eq!(bench.read32(0x400), 1);
        bench.check_save_restore();
    }

    #[test]
    fn erases() {
        let mut bench = bench_with(None);
        bench.write32(0x504, 1);
        for offset in [0xffc, 0x1000, 0x1ffc, 0x2000] {
            program(&mut bench, FLASH, offset, 0);
        }
        program(&mut bench, UICR, 0x200, 18);
        bench.write32(0x508, RAM as u32 + 0x1000);
        assert_eq!(word(&bench, RAM + 0x1000), 0, "erasing is not enabled");
        bench.write32(0x504, 2);
        bench.write32(0x508, RAM as u32 + 0x1004);
        let words = [0xffc, 0x1000, 0x1ffc, 0x2000].map(|offset| word(&bench, RAM + offset));
        assert_eq!(words, [0, u32::MAX, u32::MAX, 0]);
        for part in 0..9 {
            assert_eq!(word(&bench, RAM + 0x2000), 0, "after {part} parts");
            bench.write32(0x518, RAM as u32 + 0x2000);
        }
        assert_eq!((word(&bench, RAM + 0x2000), word(&bench, UICR_BASE + 0x200)), (u32::MAX, 18));
        bench.write32(0x50c, 1);
        assert_eq!((word(&bench, RAM + 0xffc), word(&bench, UICR_BASE + 0x200)), (u32::MAX, u32::MAX));
        bench.write32(0x508, 0x1000_0000);
        assert_eq!(bench.services.complaints.len(), 2);
    }

    #[test]
    fn what_is_protected_stays_as_it_is() {
        let mut bench = bench_with(None);
        bench.device.model.acl = true;
        let blocks = |bench: &mut Bench<Nordic<Nvmc>>, value| program(bench, BPROT, 0, value);
        blocks(&mut bench, 1 << 2);
        for (offset, value) in [(0x800, RAM as u32 + 0x4000), (0x804, 0x1000), (0x808, 6), (0x504, 1)] {
            bench.write32(offset, value);
        }
        assert_eq!(bench.services.unreadable, Some(vec![(RAM + 0x4000, 0x1000)]));
        let faults = [0x1ffc, 0x2000, 0x3000, 0x4000].map(|offset| {
            program(&mut bench, FLASH, offset, 0);
            std::mem::take(&mut bench.services.bus_fault)
        });
        assert_eq!(faults, [false, true, false, true]);
        bench.write32(0x504, 2);
        for (register, value, refused) in
            [(0x508, 0x1000, false), (0x518, 0x2000, true), (0x508, 0x4000, true)]
        {
            bench.write32(register, RAM as u32 + value);
            assert_eq!(std::mem::take(&mut bench.services.bus_fault), refused, "{value:#x}");
        }
        bench.write32(0x50c, 1);
        assert!(std::mem::take(&mut bench.services.bus_fault));
        assert_eq!((word(&bench, RAM + 0x1ffc), word(&bench, RAM + 0x3000)), (u32::MAX, 0));
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!(bench.services.unreadable, Some(vec![]));
        blocks(&mut bench, 0);
        assert!(bench.device.model.controller.protection.writable(RAM, 0x1000, (RAM, 0x8000)));
    }

    #[test]
    fn content_is_kept_on_disk_and_over_resets() {
        let bytes = Arc::new(Mutex::new(vec![0xff; 0x9000]));
        let mut bench = bench_with(Some(Box::new(Disk(bytes.clone()))));
        bench.write32(0x504, 1);
        program(&mut bench, FLASH, 0x10, 0x1234_5678);
        program(&mut bench, UICR, 0x204, 21);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(0x504), word(&bench, UICR_BASE + 0x204)), (0, 21));
        let bench = bench_with(Some(Box::new(Disk(bytes))));
        assert_eq!((word(&bench, RAM + 0x10), word(&bench, UICR_BASE + 0x204)), (0x1234_5678, 21));
    }
}
