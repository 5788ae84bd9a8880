//! The instructions that act on the hart as a whole.

use cpu_core::{AccessKind, Exit, Flow, Next, Semantics, Width};

use super::{Privilege, cause, envcfg, irq, status};
use crate::semantics::{Riscv, System};
use crate::state::{State, Trapped};

const CACHE_BLOCK: u64 = 64;

impl<const XLEN: u32> State<XLEN> {
    pub(crate) fn illegal(&self) -> Trapped {
        let bits = self.instruction_bits();
        self.raise(cause::ILLEGAL_INSTRUCTION, bits)
    }

    pub(crate) fn execute_system(&self, op: System, a: u64, b: u64) -> Flow<Self> {
        let sys = &self.sys;
        let privilege = sys.privilege.get();
        let mstatus = sys.mstatus.get();
        match op {
            System::Csr { op, csr, rd, writes } => {
                let reads = rd != 0 || op != crate::semantics::CsrOp::Write;
                let Some(old) = self.csr_instruction(op, csr, a, reads, writes) else {
                    return Err(self.illegal());
                };
                self.set_x(rd, old);
                Ok(if writes { Next::Leave } else { Next::Fall })
            }
            System::Ecall => {
                if privilege == Privilege::Supervisor && self.config.firmware_calls {
                    self.stop_with(Exit::FirmwareCall);
                    return Ok(Next::Leave);
                }
                Err(self.raise(cause::ECALL_U + privilege as u64, 0))
            }
            System::Ebreak => {
                if self.config.semihosting && self.is_semihosting() {
                    self.stop_with(Exit::Semihosting);
                    return Ok(Next::Leave);
                }
                Err(self.raise(cause::BREAKPOINT, self.frame.pc.get()))
            }
            System::Mret => {
                if privilege != Privilege::Machine {
                    return Err(self.illegal());
                }
                let target = self.machine_return();
                self.leave_to(target)
            }
            System::Sret => {
                let trapped = privilege == Privilege::Supervisor && mstatus & status::TSR != 0;
                if privilege == Privilege::User || trapped {
                    return Err(self.illegal());
                }
                let target = self.supervisor_return();
                self.leave_to(target)
            }
            System::Wfi => {
                let supervisor = self.config.extensions.contains(crate::isa::Features::S);
                let forbidden = (privilege != Privilege::Machine && mstatus & status::TW != 0)
                    || (privilege == Privilege::User && supervisor);
                if forbidden {
                    return Err(self.illegal());
                }
                if self.pending() & sys.mie.get() == 0 {
                    sys.asleep.set(true);
                    self.stop_with(Exit::Wait);
                }
                Ok(Next::Leave)
            }
            // May end at any time, and does so at once.
            System::Wrs { timeout } => {
                if !timeout && privilege != Privilege::Machine && mstatus & status::TW != 0 {
                    return Err(self.illegal());
                }
                Ok(Next::Fall)
            }
            System::SfenceVma { address, asid } => {
                let trapped = privilege == Privilege::Supervisor && mstatus & status::TVM != 0;
                if privilege == Privilege::User || trapped {
                    return Err(self.illegal());
                }
                self.fence_translations(address.then_some(a), asid.then_some(b));
                Ok(Next::Leave)
            }
            System::SfenceOrder => {
                if privilege == Privilege::User {
                    return Err(self.illegal());
                }
                Ok(Next::Fall)
            }
            // Blocks follow what memory holds at once: only the block that runs now may be stale.
            System::FenceI => Ok(Next::Leave),
            System::CboInval | System::CboClean | System::CboFlush => {
                if !self.cache_block_allowed(op) {
                    return Err(self.illegal());
                }
                let block = a & !(CACHE_BLOCK - 1);
                // Any right to the block will do; what is missing is reported as a store's.
                if self.translate(block, AccessKind::Read, CACHE_BLOCK, true).is_err() {
                    self.translate(block, AccessKind::Write, CACHE_BLOCK, true)
                        .map_err(|cause| self.raise(cause, a))?;
                }
                Ok(Next::Fall)
            }
            System::CboZero => {
                if !self.cache_block_allowed(op) {
                    return Err(self.illegal());
                }
                let block = a & !(CACHE_BLOCK - 1);
                self.translate(block, AccessKind::Write, CACHE_BLOCK, true)
                    .map_err(|cause| self.raise(cause, a))?;
                for offset in (0..CACHE_BLOCK).step_by(8) {
                    self.store(block + offset, Width::B8, 0)?;
                }
                Ok(Next::Fall)
            }
            System::CompareExchangePair { rd, rs2 } => self.exchange_pair(a, rd, rs2),
        }
    }

    fn leave_to(&self, target: u64) -> Flow<Self> {
        // With C switched off nothing but 4-byte alignment is left in xepc, which WARL sees to.
        self.target.set(Self::mask_address(target));
        self.recheck.set(true);
        Ok(Next::Jump)
    }

    fn cache_block_allowed(&self, op: System) -> bool {
        let bits = match op {
            System::CboZero => envcfg::CBZE,
            System::CboInval => envcfg::CBIE,
            _ => envcfg::CBCFE,
        };
        let privilege = self.sys.privilege.get();
        let machine = privilege == Privilege::Machine || self.sys.menvcfg.get() & bits != 0;
        let supervisor = privilege != Privilege::User
            || !self.config.extensions.contains(crate::isa::Features::S)
            || self.sys.senvcfg.get() & bits != 0;
        machine && supervisor
    }

    /// `sfence.vma` for an address, an address space, both or all.
    pub(crate) fn fence_translations(&self, address: Option<u64>, asid: Option<u64>) {
        let in_space = |space: u64| match asid {
            None => true,
            Some(asid) if XLEN == 32 => space >> 22 & 0x1ff == asid & 0x1ff,
            Some(asid) => space >> 44 & 0xffff == asid & 0xffff,
        };
        match address {
            Some(address) => {
                self.frame.tlb.flush_page(Self::mask_address(address), |key| in_space(key.space))
            }
            None if asid.is_some() => self.frame.tlb.flush_contexts(|key| in_space(key.space)),
            None => self.frame.tlb.flush(),
        }
        self.update_contexts();
    }

    pub(crate) fn flush_all(&self) {
        self.frame.tlb.flush();
        self.update_contexts();
    }

    /// `slli x0, x0, 0x1f` before and `srai x0, x0, 7` behind an uncompressed `ebreak`.
    fn is_semihosting(&self) -> bool {
        let pc = self.frame.pc.get();
        [(pc.wrapping_sub(4), 0x01f0_1013), (pc, 0x0010_0073), (pc.wrapping_add(4), 0x4070_5013)]
            .into_iter()
            .all(|(at, bits)| self.peek_instruction(Self::mask_address(at)) == Some(bits))
    }

    fn exchange_pair(&self, addr: u64, rd: u8, rs2: u8) -> Flow<Self> {
        let pair = |r: u8| if r == 0 { [0, 0] } else { [self.x(r), self.x(r + 1)] };
        let (expected, new) = (pair(rd), pair(rs2));
        // The write right is needed even where nothing is written.
        self.translate(addr, AccessKind::Write, 16, true).map_err(|cause| self.raise(cause, addr))?;
        if self.memory_at(addr).is_none() {
            return Err(self.raise(cause::STORE_ACCESS, addr));
        }
        let as_store = |_| self.raise(cause::STORE_ACCESS, addr);
        let old = [
            self.load(addr, Width::B8, false).map_err(as_store)?,
            self.load(addr + 8, Width::B8, false).map_err(as_store)?,
        ];
        if old == expected {
            self.store(addr, Width::B8, new[0])?;
            self.store(addr + 8, Width::B8, new[1])?;
        }
        if rd != 0 {
            self.set_x(rd, old[0]);
            self.set_x(rd + 1, old[1]);
        }
        Ok(Next::Fall)
    }

    /// Reads the hart's timer: whether `stimecmp` is reached, and after how many more instructions it will be.
    pub(crate) fn poll_timer(&self) {
        let enabled = self.sys.menvcfg.get() & envcfg::STCE != 0;
        if !enabled {
            self.timer_pending.set(false);
            self.timer_at.set(u64::MAX);
            return;
        }
        let (now, compare) = (self.now(), self.sys.stimecmp.get());
        let pending = self.time_now() >= compare;
        self.timer_pending.set(pending);
        let at = if pending {
            u64::MAX
        } else {
            let when = self.counter.get().reaches(compare, now);
            when.0.saturating_sub(self.start.get().0).div_ceil(self.config.period.0.max(1))
        };
        self.timer_at.set(at);
    }

    pub(crate) fn timer_changed(&self) {
        self.timer_dirty.set(true);
        self.recheck.set(true);
    }

    /// Whether an interrupt ends the sleep of WFI, whatever the global enables say.
    pub(crate) fn wakes(&self) -> bool {
        self.pending() & self.sys.mie.get() & (irq::MACHINE | irq::SUPERVISOR) != 0
    }
}
