//! What compiled code asks of a core: the common case of each operation, or nothing.

use cpu_core::memory::PAGE_SIZE;
use cpu_core::{AccessKind, FloatFormat, FloatOp, Frame, Rmw, Rounding, Semantics, Width};
use cpu_jit::Quick;

use crate::lift::Call;
use crate::semantics::Arm;
use crate::slot;
use crate::state::State;

/// Kinds of calls, in bits 8 to 15 of their numbers; below them is the width of an access or the number of a register.
mod kind {
    pub const LOAD_EXCLUSIVE: u64 = 0;
    pub const STORE_EXCLUSIVE: u64 = 1;
    pub const CLEAR_EXCLUSIVE: u64 = 2;
    pub const SPECIAL: u64 = 3;
    pub const FPSCR: u64 = 4;
}

/// The number by which compiled code calls an operation; `None` for what the interpreter runs.
pub(crate) fn number(call: Call) -> Option<u64> {
    let (kind, low) = match call {
        Call::LoadExclusive(width) => (kind::LOAD_EXCLUSIVE, width.bytes()),
        Call::StoreExclusive(width) => (kind::STORE_EXCLUSIVE, width.bytes()),
        Call::ClearExclusive => (kind::CLEAR_EXCLUSIVE, 0),
        Call::Special(sysm) => (kind::SPECIAL, sysm as u64),
        Call::Fpscr => (kind::FPSCR, 0),
        Call::LoadUnprivileged(..) | Call::StoreUnprivileged(_) | Call::System(_) => return None,
    };
    Some(kind << 8 | low)
}

impl State {
    /// Enters the page of `addr` into the TLB; `None` where that is not possible.
    #[cold]
    fn quick_fill(&self, addr: u64, width: Width, kind: AccessKind) -> Option<()> {
        if addr % PAGE_SIZE + width.bytes() > PAGE_SIZE || addr >> 32 != 0 {
            return None;
        }
        let page = self.memory.page(addr)?;
        let whole_page = self.check_access(addr as u32, width.bytes() as u32, kind, self.privileged())?;
        let denied = match kind {
            AccessKind::Write => !page.writable,
            _ => self.is_unreadable(addr as u32),
        };
        if !whole_page || denied || self.is_watched(addr) {
            return None;
        }
        self.frame.tlb.insert(self.frame.data_context.get(), kind, addr, addr, PAGE_SIZE);
        Some(())
    }

    /// Stores to a page with code, where there is none.
    fn quick_store_beside_code(&self, addr: u64, width: Width, value: u64) -> bool {
        if self.memory.is_code(addr, width.bytes()) {
            return false;
        }
        let bytes = value.to_le_bytes();
        bytes.get(..width.bytes() as usize).is_some_and(|bytes| self.memory.write(addr, bytes).is_ok())
    }
}

impl Quick for State {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn quick_load(&self, addr: u64, width: Width) -> Option<u64> {
        let (tlb, context) = (&self.frame.tlb, self.frame.data_context.get());
        tlb.load(context, addr, width).or_else(|| {
            self.quick_fill(addr, width, AccessKind::Read)?;
            tlb.load(context, addr, width)
        })
    }

    fn quick_store(&self, addr: u64, width: Width, value: u64) -> bool {
        let (tlb, context) = (&self.frame.tlb, self.frame.data_context.get());
        tlb.store(context, addr, width, value)
            || (self.quick_fill(addr, width, AccessKind::Write).is_some()
                && (tlb.store(context, addr, width, value)
                    || self.quick_store_beside_code(addr, width, value)))
    }

    fn device_load(&self, addr: u64, width: Width, done: u64) -> Option<u64> {
        self.read_ahead(addr, width, done)
    }

    fn device_store(&self, addr: u64, width: Width, value: u64, done: u64) -> bool {
        self.write_ahead(addr, width, value, done).is_some()
    }

    /// No instruction of the profile is one.
    fn quick_rmw(&self, _: Rmw, _: u64, _: Width, _: u64) -> Option<u64> {
        None
    }

    /// No instruction of the profile is one.
    fn quick_compare_exchange(&self, _: u64, _: Width, _: u64, _: u64) -> Option<u64> {
        None
    }

    fn quick_call(&self, number: u64, [a, b]: [u64; 2]) -> Option<u64> {
        let width = Width::from_bytes(number & 0xff);
        match (number >> 8 & 0xff, width) {
            (kind::LOAD_EXCLUSIVE, Some(width)) => {
                let value = self.quick_load(a, width)?;
                self.monitor.set(Some((a as u32, width as u8)));
                Some(value)
            }
            (kind::STORE_EXCLUSIVE, Some(width)) => {
                let succeeds = self.claims(a, width);
                if succeeds && !self.quick_store(a, width, b) {
                    return None;
                }
                self.monitor.set(None);
                Some(!succeeds as u64)
            }
            (kind::CLEAR_EXCLUSIVE, _) => {
                self.clear_exclusive();
                Some(0)
            }
            (kind::SPECIAL, _) => Some(self.special(number as u8)),
            (kind::FPSCR, _) => Some(self.fpscr()),
            _ => None,
        }
    }

    fn quick_float(&self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [u64; 3]) -> u64 {
        self.float(op, format, rounding, args)
    }

    fn raise_float_flags(&self, flags: u8) {
        let cell = self.cell(slot::FLOAT_FLAGS);
        cell.set(cell.get() | flags as u64);
    }
}
