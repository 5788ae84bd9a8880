//! Memory accesses that the TLB does not serve: protection, devices, the private peripheral bus, bit bands, page crossings,
//! code pages, faults. A3, B3.1 of DDI 0403E.

use cpu_core::memory::PAGE_SIZE;
use cpu_core::scope::Done;
use cpu_core::{Access, AccessKind, ContextKey, Exit, Semantics, Time, Width};

use crate::cause;
use crate::state::{State, Trapped};

/// A fault of an access: a cause of [`crate::cause`] and its value.
pub(crate) type Fault = (u64, u64);

/// Bit of a [`ContextKey`]'s mode: it is for fetches.
const FETCH: u32 = 1 << 31;

impl State {
    fn who(&self) -> Access {
        Access { core: self.config.index, now: self.now(), pc: self.frame.pc.get() }
    }

    /// Asks for the TLB's numbers anew. Whoever changes privilege, [`State::mode`] or the like calls it.
    pub(crate) fn update_contexts(&self) {
        let protection = self.protection_key();
        let fetch = ContextKey { space: self.mode() as u64, mode: protection | FETCH };
        let data = ContextKey { space: 0, mode: protection };
        self.contexts_at.set(self.frame.set_contexts(fetch, data));
    }

    /// Forgets what the MPU allowed.
    pub(crate) fn flush_all(&self) {
        self.frame.tlb.flush();
        self.update_contexts();
    }

    /// After an access to the bus: other lines, other memory.
    fn after_bus(&self, attention: bool) {
        self.frame.tlb.sync();
        if self.contexts_at.get() != self.frame.tlb.flushes() {
            self.update_contexts();
        }
        if attention {
            self.stop_with(Exit::Attention);
        }
        self.leave.set(true);
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        self.load_as(addr, width, self.privileged())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow(&self, addr: u64, width: Width, value: u64) -> Result<(), Trapped> {
        self.store_as(addr, width, value, self.privileged())
    }

    /// Loads with the rights of `privileged`.
    pub(crate) fn load_as(&self, addr: u64, width: Width, privileged: bool) -> Result<u64, Trapped> {
        match self.read_as(addr, width, privileged) {
            Err((cause::DATA_BUS, at)) if self.ignores_bus_fault(at as u32) => Ok(0),
            Ok(value) => {
                self.watch(addr, width.bytes(), false);
                Ok(value)
            }
            done => done.map_err(|(cause, value)| self.raise(cause, value)),
        }
    }

    /// Stores with the rights of `privileged`.
    pub(crate) fn store_as(
        &self,
        addr: u64,
        width: Width,
        value: u64,
        privileged: bool,
    ) -> Result<(), Trapped> {
        match self.write_as(addr, width, value, privileged) {
            Err((cause::DATA_BUS, at)) if self.ignores_bus_fault(at as u32) => Ok(()),
            Ok(()) => {
                self.watch(addr, width.bytes(), true);
                Ok(())
            }
            done => done.map_err(|(cause, value)| self.raise(cause, value)),
        }
    }

    /// Checks rights; enters the page into the TLB where the current rights are asked for.
    fn locate(&self, addr: u64, len: u64, kind: AccessKind, privileged: bool) -> Result<(), Fault> {
        let Some(whole_page) = self.check_access(addr as u32, len as u32, kind, privileged) else {
            return Err((cause::DATA_ACCESS, addr));
        };
        if kind == AccessKind::Read && self.is_unreadable(addr as u32) {
            return Err((cause::DATA_BUS, addr));
        }
        if whole_page && privileged == self.privileged() && !self.is_watched(addr) {
            self.frame.tlb.insert(self.frame.data_context.get(), kind, addr, addr, PAGE_SIZE);
        }
        Ok(())
    }

    /// Reads as data, without raising.
    pub(crate) fn read_as(&self, addr: u64, width: Width, privileged: bool) -> Result<u64, Fault> {
        if let Some(done) = self.bus.take_ahead() {
            return self.after_access(addr, width, done);
        }
        if addr % PAGE_SIZE + width.bytes() > PAGE_SIZE || addr >> 32 != 0 {
            return self.read_bytes(addr, width, privileged);
        }
        self.locate(addr, width.bytes(), AccessKind::Read, privileged)?;
        let fault = (cause::DATA_BUS, addr);
        if self.memory.page(addr).is_some() {
            return self.memory.read_le(addr, width.bytes() as usize).map_err(|_| fault);
        }
        if !addr.is_multiple_of(width.bytes()) {
            return Err(self.unaligned_outside_memory(addr));
        }
        if is_private(addr) {
            self.leave.set(true);
            let value = self.scs_read(addr as u32, width, privileged).map_err(|_| fault)?;
            return Ok(value as u64 & width.mask());
        }
        if let Some((byte, bit)) = self.bit_band(addr) {
            let target = byte & !(width.bytes() - 1);
            let value = self.read_as(target, width, privileged)?;
            return Ok(value >> (8 * (byte - target) + bit) & 1);
        }
        let who = self.who();
        let answer = self.bus.read(&who, addr, width);
        let Some(done) = answer else { return Err(fault) };
        self.after_access(addr, width, done)
    }

    /// What comes of an access to the bus.
    fn after_access(&self, addr: u64, width: Width, (result, attention): Done) -> Result<u64, Fault> {
        self.after_bus(attention);
        result.map(|value| value & width.mask()).map_err(|_| (cause::DATA_BUS, addr))
    }

    /// Writes as data, without raising.
    pub(crate) fn write_as(
        &self,
        addr: u64,
        width: Width,
        value: u64,
        privileged: bool,
    ) -> Result<(), Fault> {
        if let Some(done) = self.bus.take_ahead() {
            return self.after_access(addr, width, done).map(|_| ());
        }
        if addr % PAGE_SIZE + width.bytes() > PAGE_SIZE || addr >> 32 != 0 {
            return self.write_bytes(addr, width, value, privileged);
        }
        self.locate(addr, width.bytes(), AccessKind::Write, privileged)?;
        let fault = (cause::DATA_BUS, addr);
        if self.memory.page(addr).is_some_and(|page| page.writable) {
            let bytes = value.to_le_bytes();
            return self.write_memory(addr, bytes.get(..width.bytes() as usize).unwrap_or(&bytes));
        }
        if !addr.is_multiple_of(width.bytes()) {
            return Err(self.unaligned_outside_memory(addr));
        }
        let value = value & width.mask();
        if is_private(addr) {
            self.timer_dirty.set(true);
            self.recheck();
            return self.scs_write(addr as u32, width, value as u32, privileged).map_err(|_| fault);
        }
        if let Some((byte, bit)) = self.bit_band(addr) {
            let target = byte & !(width.bytes() - 1);
            let shift = 8 * (byte - target) + bit;
            let old = self.read_as(target, width, privileged)?;
            let new = old & !(1 << shift) | (value & 1) << shift;
            return self.write_as(target, width, new, privileged);
        }
        let who = self.who();
        let answer = self.bus.write(&who, addr, width, value);
        let Some(done) = answer else { return Err(fault) };
        self.after_access(addr, width, done).map(|_| ())
    }

    /// Whether a device is accessed at `addr`, and nothing stops that.
    fn is_device(&self, addr: u64, width: Width, kind: AccessKind) -> bool {
        let outside = match self.memory.page(addr) {
            Some(page) => kind == AccessKind::Write && !page.writable,
            None => true,
        };
        outside
            && addr >> 32 == 0
            && addr.is_multiple_of(width.bytes())
            && !is_private(addr)
            && self.bit_band(addr).is_none()
            && self.check_access(addr as u32, width.bytes() as u32, kind, self.privileged()).is_some()
            && !self.is_watched(addr)
            && !self.is_unreadable(addr as u32)
    }

    /// Who accesses, as an instruction that runs after `done` others of compiled code, and that instruction: the access may change it.
    fn who_after(&self, done: u64) -> Option<(Access, u32)> {
        let who = self.who();
        let later = Time(done.saturating_mul(self.config.period.0));
        Some((Access { now: who.now.saturating_add(later), ..who }, self.fetch_bits(who.pc)?))
    }

    pub(crate) fn read_ahead(&self, addr: u64, width: Width, done: u64) -> Option<u64> {
        if !self.is_device(addr, width, AccessKind::Read) {
            return None;
        }
        let (who, bits) = self.who_after(done)?;
        self.bus.read_ahead((&who, bits), addr, width, || self.frame.tlb.stamp())
    }

    pub(crate) fn write_ahead(&self, addr: u64, width: Width, value: u64, done: u64) -> Option<()> {
        if !self.is_device(addr, width, AccessKind::Write) {
            return None;
        }
        let value = (width, value & width.mask());
        let (who, bits) = self.who_after(done)?;
        self.bus.write_ahead((&who, bits), addr, value, || self.frame.tlb.stamp())
    }

    /// Device and system space take aligned accesses only (B3.1, A3.2.1).
    fn unaligned_outside_memory(&self, addr: u64) -> Fault {
        (cause::UNALIGNED, addr)
    }

    /// An access across two pages, byte by byte: both have to be memory.
    fn read_bytes(&self, addr: u64, width: Width, privileged: bool) -> Result<u64, Fault> {
        let mut value = 0;
        for i in 0..width.bytes() {
            let at = self.byte_at(addr, i, AccessKind::Read, privileged)?;
            value |= self.memory.read_le(at, 1).map_err(|_| (cause::DATA_BUS, at))? << (8 * i);
        }
        Ok(value)
    }

    fn write_bytes(&self, addr: u64, width: Width, value: u64, privileged: bool) -> Result<(), Fault> {
        // Nothing is written where a byte can not be.
        for i in 0..width.bytes() {
            self.byte_at(addr, i, AccessKind::Write, privileged)?;
        }
        for i in 0..width.bytes() {
            self.write_memory(addr.wrapping_add(i) & 0xffff_ffff, &[(value >> (8 * i)) as u8])?;
        }
        Ok(())
    }

    /// The address of byte `i` of an access, which has to be memory that allows it.
    fn byte_at(&self, addr: u64, i: u64, kind: AccessKind, privileged: bool) -> Result<u64, Fault> {
        let at = addr.wrapping_add(i) & 0xffff_ffff;
        self.locate(at, 1, kind, privileged)?;
        match self.memory.page(at) {
            Some(page) if kind != AccessKind::Write || page.writable => Ok(at),
            Some(_) => Err((cause::DATA_BUS, at)),
            None => Err(self.unaligned_outside_memory(addr)),
        }
    }

    /// Writes to RAM; where that was code, the block that runs may be stale.
    fn write_memory(&self, addr: u64, bytes: &[u8]) -> Result<(), Fault> {
        let before = self.memory.changed_epoch();
        self.memory.write(addr, bytes).map_err(|_| (cause::DATA_BUS, addr))?;
        if self.memory.changed_epoch() != before {
            self.leave.set(true);
        }
        Ok(())
    }

    /// The byte and bit behind a bit-band alias (B3.1.1 and the Cortex-M4 TRM, 3.7).
    fn bit_band(&self, addr: u64) -> Option<(u64, u64)> {
        let alias = self.config.bit_band && matches!(addr >> 24 & 0xfe, 0x22 | 0x42);
        alias.then(|| ((addr & 0xf000_0000) + ((addr & 0x01ff_ffff) >> 5), addr >> 2 & 7))
    }

    /// The right to fetch the halfword at `addr`, and whether it is the same for its page.
    pub(crate) fn fetch_address(&self, addr: u64) -> Result<bool, Fault> {
        let context = self.frame.fetch_context.get();
        if self.frame.tlb.fetch(context, addr).is_some() {
            return Ok(true);
        }
        let Some(whole_page) = self.check_access(addr as u32, 2, AccessKind::Fetch, self.privileged()) else {
            return Err((cause::FETCH_ACCESS, addr));
        };
        if self.memory.page(addr).is_none() || self.is_unreadable(addr as u32) {
            return Err((cause::FETCH_BUS, addr));
        }
        if whole_page {
            self.frame.tlb.insert(context, AccessKind::Fetch, addr, addr, PAGE_SIZE);
        }
        Ok(whole_page)
    }
}

/// The private peripheral bus.
fn is_private(addr: u64) -> bool {
    addr >> 20 == 0xe00
}
