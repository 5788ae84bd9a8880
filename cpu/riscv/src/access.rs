//! Memory accesses that the TLB does not serve: translation, devices, page crossings, code pages, faults.

use cpu_core::memory::PAGE_SIZE;
use cpu_core::scope::Done;
use cpu_core::{Access, AccessKind, Semantics, Time, Width};

use crate::state::{State, Trapped};
use crate::sys::access_fault;

impl<const XLEN: u32> State<XLEN> {
    fn who(&self) -> Access {
        Access { core: self.config.hartid as usize, now: self.now(), pc: self.frame.pc.get() }
    }

    /// After an access to the bus: other lines, other memory.
    fn after_bus(&self, attention: bool) {
        self.frame.tlb.sync();
        if self.contexts_at.get() != self.frame.tlb.flushes() {
            self.update_contexts();
        }
        if attention {
            self.stop_with(cpu_core::Exit::Attention);
        }
        self.leave.set(true);
    }

    /// Whether all of an access lies in one page.
    fn in_page(addr: u64, width: Width) -> bool {
        addr % PAGE_SIZE + width.bytes() <= PAGE_SIZE
    }

    /// Physical address for an access inside one page, entered into the TLB where possible.
    fn locate(&self, addr: u64, width: Width, kind: AccessKind) -> Result<u64, Trapped> {
        self.tlb_misses.set(self.tlb_misses.get() + 1);
        if kind == AccessKind::Write
            && let Some(paddr) = self.frame.tlb.find_store(self.frame.data_context.get(), addr)
        {
            return Ok(paddr);
        }
        let found =
            self.translate(addr, kind, width.bytes(), true).map_err(|cause| self.raise(cause, addr))?;
        if found.whole_page {
            self.frame.tlb.insert(self.frame.data_context.get(), kind, addr, found.paddr, found.size);
        }
        Ok(found.paddr)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        self.load_as(addr, width, AccessKind::Read)
    }

    /// Loads; with `kind` `Write`, as the first half of a read-modify-write.
    fn load_as(&self, addr: u64, width: Width, kind: AccessKind) -> Result<u64, Trapped> {
        if let Some(done) = self.bus.take_ahead() {
            return self.after_access(addr, width, kind, done);
        }
        if !Self::in_page(addr, width) {
            return self.load_crossing(addr, width);
        }
        let paddr = self.locate(addr, width, kind)?;
        if self.memory.page(paddr).is_some() {
            return self
                .memory
                .read_le(paddr, width.bytes() as usize)
                .map_err(|_| self.raise(access_fault(kind), addr));
        }
        if paddr % width.bytes() != 0 {
            return Err(self.raise(access_fault(kind), addr));
        }
        let who = self.who();
        let answer = self.bus.read(&who, paddr, width);
        let Some(done) = answer else {
            return Err(self.raise(access_fault(kind), addr));
        };
        self.after_access(addr, width, kind, done)
    }

    /// What comes of an access to the bus.
    fn after_access(
        &self,
        addr: u64,
        width: Width,
        kind: AccessKind,
        (result, attention): Done,
    ) -> Result<u64, Trapped> {
        self.after_bus(attention);
        result.map(|value| value & width.mask()).map_err(|_| self.raise(access_fault(kind), addr))
    }

    /// Both pages have to allow it; devices do not take such accesses.
    fn load_crossing(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        let mut value = 0;
        let paddrs = self.crossing(addr, width, AccessKind::Read)?;
        for i in 0..width.bytes() {
            let byte = self
                .memory
                .read_le(paddrs[i as usize & 7], 1)
                .map_err(|_| self.raise(access_fault(AccessKind::Read), addr))?;
            value |= byte << (8 * i);
        }
        Ok(value)
    }

    /// The physical address of each byte.
    fn crossing(&self, addr: u64, width: Width, kind: AccessKind) -> Result<[u64; 8], Trapped> {
        let mut paddrs = [0; 8];
        let first_len = PAGE_SIZE - addr % PAGE_SIZE;
        let second = Self::mask_address(addr.wrapping_add(first_len));
        for (at, from, len) in [(addr, 0, first_len), (second, first_len, width.bytes() - first_len)] {
            let found = self.translate(at, kind, len, true).map_err(|cause| self.raise(cause, at))?;
            let page = self.memory.page(found.paddr);
            if page.is_none_or(|page| kind == AccessKind::Write && !page.writable) {
                return Err(self.raise(access_fault(kind), at));
            }
            for i in 0..len {
                paddrs[(from + i) as usize & 7] = found.paddr + i;
            }
        }
        Ok(paddrs)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow(&self, addr: u64, width: Width, value: u64) -> Result<(), Trapped> {
        let kind = AccessKind::Write;
        if let Some(done) = self.bus.take_ahead() {
            return self.after_access(addr, width, kind, done).map(|_| ());
        }
        if !Self::in_page(addr, width) {
            let paddrs = self.crossing(addr, width, kind)?;
            for i in 0..width.bytes() {
                let byte = [(value >> (8 * i)) as u8];
                self.write_memory(paddrs[i as usize & 7], &byte, addr)?;
            }
            return Ok(());
        }
        let paddr = self.locate(addr, width, kind)?;
        if self.memory.page(paddr).is_some_and(|page| page.writable) {
            let bytes = value.to_le_bytes();
            return self.write_memory(paddr, bytes.get(..width.bytes() as usize).unwrap_or(&bytes), addr);
        }
        if paddr % width.bytes() != 0 {
            return Err(self.raise(access_fault(kind), addr));
        }
        let who = self.who();
        let value = value & width.mask();
        let answer = self.bus.write(&who, paddr, width, value);
        let Some(done) = answer else {
            return Err(self.raise(access_fault(kind), addr));
        };
        self.after_access(addr, width, kind, done).map(|_| ())
    }

    /// The physical address of a device that is accessed at `addr`, if nothing stops that.
    fn device_at(&self, addr: u64, width: Width, kind: AccessKind) -> Option<u64> {
        if !Self::in_page(addr, width) {
            return None;
        }
        let before = self.frame.tlb.stamp();
        let paddr = self.translate(addr, kind, width.bytes(), true).ok()?.paddr;
        let outside = match self.memory.page(paddr) {
            Some(page) => kind == AccessKind::Write && !page.writable,
            None => true,
        };
        (outside && paddr % width.bytes() == 0 && before == self.frame.tlb.stamp()).then_some(paddr)
    }

    /// Who accesses, as an instruction that runs after `done` others of compiled code, and that instruction: the access may change it.
    fn who_after(&self, done: u64) -> Option<(Access, u32)> {
        let who = self.who();
        let later = Time(done.saturating_mul(self.config.period.0));
        Some((Access { now: who.now.saturating_add(later), ..who }, self.fetch_bits(who.pc)?))
    }

    pub(crate) fn read_ahead(&self, addr: u64, width: Width, done: u64) -> Option<u64> {
        let paddr = self.device_at(addr, width, AccessKind::Read)?;
        let (who, bits) = self.who_after(done)?;
        self.bus.read_ahead((&who, bits), paddr, width, || self.frame.tlb.stamp())
    }

    pub(crate) fn write_ahead(&self, addr: u64, width: Width, value: u64, done: u64) -> Option<()> {
        let paddr = self.device_at(addr, width, AccessKind::Write)?;
        let value = (width, value & width.mask());
        let (who, bits) = self.who_after(done)?;
        self.bus.write_ahead((&who, bits), paddr, value, || self.frame.tlb.stamp())
    }

    /// Writes to RAM; where that was code, the block that runs may be stale.
    fn write_memory(&self, paddr: u64, bytes: &[u8], addr: u64) -> Result<(), Trapped> {
        let before = self.memory.changed_epoch();
        self.memory.write(paddr, bytes).map_err(|_| self.raise(access_fault(AccessKind::Write), addr))?;
        if self.memory.changed_epoch() != before {
            self.leave.set(true);
        }
        Ok(())
    }

    /// Loads what a read-modify-write is about to replace: faults are those of a store.
    pub(crate) fn load_for_store(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        if let Some(value) = self.frame.tlb.load_for_store(self.frame.data_context.get(), addr, width) {
            return Ok(value);
        }
        let paddr = self.store_target(addr, width)?;
        match paddr {
            Some(paddr) => self
                .memory
                .read_le(paddr, width.bytes() as usize)
                .map_err(|_| self.raise(access_fault(AccessKind::Write), addr)),
            None => self.load_as(addr, width, AccessKind::Write),
        }
    }

    /// Checks the right to store; gives the physical address if it is RAM. ROM takes no read-modify-write.
    fn store_target(&self, addr: u64, width: Width) -> Result<Option<u64>, Trapped> {
        let paddr = self.locate(addr, width, AccessKind::Write)?;
        match self.memory.page(paddr) {
            Some(page) if page.writable => Ok(Some(paddr)),
            Some(_) => Err(self.raise(access_fault(AccessKind::Write), addr)),
            None => Ok(None),
        }
    }

    /// Raises what a store to reservable memory would raise there.
    pub(crate) fn probe_store(&self, addr: u64, width: Width) -> Result<(), Trapped> {
        if self.frame.tlb.load_for_store(self.frame.data_context.get(), addr, width).is_some() {
            return Ok(());
        }
        match self.store_target(addr, width)? {
            Some(_) => Ok(()),
            None => Err(self.raise(access_fault(AccessKind::Write), addr)),
        }
    }

    /// Loads for a reservation, which only memory supports.
    pub(crate) fn load_reservable(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        // The other table of the TLB has ROM too.
        let context = self.frame.data_context.get();
        if let Some(value) = self.frame.tlb.load_for_store(context, addr, width) {
            return Ok(value);
        }
        let fault = |_| self.raise(access_fault(AccessKind::Read), addr);
        if let Some(paddr) = self.frame.tlb.find_store(context, addr) {
            return self.memory.read_le(paddr, width.bytes() as usize).map_err(fault);
        }
        let paddr = self.locate(addr, width, AccessKind::Read)?;
        match self.memory.page(paddr) {
            Some(page) if page.writable => self.load(addr, width, false),
            _ => Err(self.raise(access_fault(AccessKind::Read), addr)),
        }
    }

    /// The physical address behind a virtual one, where it is memory; nothing changes.
    pub(crate) fn memory_at(&self, addr: u64) -> Option<u64> {
        let found = self.translate(addr, AccessKind::Read, 1, false).ok()?;
        self.memory.page(found.paddr).map(|_| found.paddr)
    }

    /// The bits of the instruction at `pc`, 16 or 32; nothing changes.
    pub(crate) fn peek_instruction(&self, pc: u64) -> Option<u64> {
        let half = |at: u64| {
            let found = self.translate(at, AccessKind::Fetch, 2, false).ok()?;
            self.memory.read_le(found.paddr, 2).ok()
        };
        let low = half(pc)?;
        if low & 3 != 3 {
            return Some(low);
        }
        Some(half(Self::mask_address(pc.wrapping_add(2)))? << 16 | low)
    }

    /// The bits of the instruction that runs, for the trap value of an illegal one.
    pub(crate) fn instruction_bits(&self) -> u64 {
        self.peek_instruction(self.frame.pc.get()).unwrap_or(0)
    }
}
