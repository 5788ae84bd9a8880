//! What compiled code asks of a hart: the common case of each operation, or nothing.

use cpu_core::memory::PAGE_SIZE;
use cpu_core::{AccessKind, FloatFormat, FloatOp, Frame, Rmw, Rounding, Semantics, Width};
use cpu_jit::{Layout, Quick, Slot};

use crate::lift::Call;
use crate::semantics::CsrOp;
use crate::state::{State, slot};
use crate::sys::csr::number as n;
use crate::sys::status;

/// Integer registers by how much compilers use them: what compressed instructions can name, the stack pointer, the return
/// address, then the temporaries.
const PINS: [Slot; 10] =
    [Slot(15), Slot(14), Slot(10), Slot(13), Slot(12), Slot(11), Slot(8), Slot(2), Slot(9), Slot(1)];

/// Arguments `fa0` to `fa7`, then temporaries.
const FLOAT_PINS: [Slot; 12] = {
    const fn f(r: u16) -> Slot {
        Slot(slot::FLOAT + r)
    }
    [f(15), f(14), f(13), f(12), f(11), f(10), f(0), f(1), f(2), f(3), f(16), f(17)]
};

/// What a hart looks like to compiled code.
pub(crate) fn layout<const XLEN: u32>() -> Layout {
    Layout {
        pins: &PINS,
        float_pins: &FLOAT_PINS,
        float_flags: Slot(slot::FLOAT_FLAGS),
        bits: &[],
        link: Slot(1),
        address_bits: XLEN,
        words: <crate::lift::Rv<XLEN> as cpu_jit::Isa>::WORDS,
        float_rules: cpu_jit::FloatRules::RiscV,
    }
}

/// Kinds of calls, in bits 8 to 15 of their numbers; below them is the width of an access.
mod kind {
    pub const LOAD_RESERVED: u64 = 0;
    pub const STORE_CONDITIONAL: u64 = 1;
    pub const CHECK_ROUNDING: u64 = 2;
    /// CSR in bits 16 to 27, operation in 28 and 29, whether it writes in 30 and reads in 31.
    pub const CSR: u64 = 3;
}

const OPS: [CsrOp; 3] = [CsrOp::Write, CsrOp::Set, CsrOp::Clear];

impl Call {
    /// The number by which compiled code calls it; `None` for what the interpreter runs.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Call::LoadReserved(width) => Some(width.bytes() | kind::LOAD_RESERVED << 8),
            Call::StoreConditional(width) => Some(width.bytes() | kind::STORE_CONDITIONAL << 8),
            Call::CheckRounding => Some(kind::CHECK_ROUNDING << 8),
            Call::Csr { op, csr, reads, writes } => {
                let op = OPS.iter().position(|known| *known == op).unwrap_or(0) as u64;
                let flags = (writes as u64) << 30 | (reads as u64) << 31;
                Some(kind::CSR << 8 | (csr as u64) << 16 | op << 28 | flags)
            }
            Call::System(_) => None,
        }
    }
}

/// Bits of `sstatus` that may change without a change of what decoded code depends on.
const QUIET: u64 = status::SIE | status::SPIE | status::SPP | status::SUM | status::MXR;

/// Whether an access to a CSR most often changes nothing but the CSR.
pub(crate) fn is_quick(csr: u16, op: CsrOp, writes: bool) -> bool {
    match csr {
        n::FFLAGS | n::SSCRATCH | n::SEPC | n::SCAUSE | n::STVAL => true,
        n::MSCRATCH | n::MEPC | n::MCAUSE | n::MTVAL => true,
        n::SSTATUS => !writes || op != CsrOp::Write,
        n::FRM | n::FCSR | n::STVEC | n::SATP | n::SIE | n::MIE | n::MSTATUS | n::MHARTID => !writes,
        _ => false,
    }
}

impl<const XLEN: u32> State<XLEN> {
    /// Enters the page of `addr` into the TLB; `None` where that is not possible, or had an effect on code or contexts.
    #[cold]
    fn quick_fill(&self, addr: u64, width: Width, kind: AccessKind) -> Option<()> {
        if addr % PAGE_SIZE + width.bytes() > PAGE_SIZE {
            return None;
        }
        self.tlb_misses.set(self.tlb_misses.get() + 1);
        let tlb = &self.frame.tlb;
        if kind == AccessKind::Write && tlb.find_store(self.frame.data_context.get(), addr).is_some() {
            return Some(());
        }
        let before = (tlb.flushes(), self.memory.changed_epoch());
        let found = self.translate(addr, kind, width.bytes(), true).ok()?;
        let page = self.memory.page(found.paddr)?;
        if !found.whole_page || (kind == AccessKind::Write && !page.writable) {
            return None;
        }
        tlb.insert(self.frame.data_context.get(), kind, addr, found.paddr, found.size);
        (before == (tlb.flushes(), self.memory.changed_epoch())).then_some(())
    }

    fn quick_csr(&self, number: u64, operand: u64) -> Option<u64> {
        let csr = (number >> 16) as u16 & 0xfff;
        let op = *OPS.get((number >> 28 & 3) as usize)?;
        let (writes, reads) = (number >> 30 & 1 != 0, number >> 31 & 1 != 0);
        if csr == n::SSTATUS && writes {
            let enables = op == CsrOp::Set && operand & status::SIE != 0;
            let interrupted = enables && self.pending() & self.sys.mie.get() != 0;
            if operand & !QUIET != 0 || interrupted || !self.frame.tlb.has_room() {
                return None;
            }
        }
        self.csr_instruction(op, csr, operand, reads, writes)
    }

    fn quick_for_store(&self, addr: u64, width: Width) -> Option<u64> {
        let (tlb, context) = (&self.frame.tlb, self.frame.data_context.get());
        let value = match tlb.load_for_store(context, addr, width) {
            Some(value) => value,
            None => {
                self.quick_fill(addr, width, AccessKind::Write)?;
                tlb.load_for_store(context, addr, width)?
            }
        };
        Some(width.sign_extend(value))
    }

    fn quick_load_reserved(&self, addr: u64, width: Width) -> Option<u64> {
        // As the interpreter does: only RAM can be reserved, and a page does not become dirty by it.
        let value = self.frame.tlb.load_for_store(self.frame.data_context.get(), addr, width)?;
        let value = width.sign_extend(value);
        self.sys.reservation.set(Some((addr, value)));
        Some(value)
    }

    fn quick_store_conditional(&self, addr: u64, width: Width, value: u64) -> Option<u64> {
        let held = self.quick_for_store(addr, width)?;
        let reserved = self.sys.reservation.take();
        let holds = reserved.is_some_and(|(at, expected)| at == addr && held == width.sign_extend(expected));
        if holds {
            self.frame.tlb.store(self.frame.data_context.get(), addr, width, value);
        }
        Some(!holds as u64)
    }
}

impl<const XLEN: u32> Quick for State<XLEN> {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn quick_load(&self, addr: u64, width: Width) -> Option<u64> {
        self.slow_accesses.set(self.slow_accesses.get() + 1);
        let (tlb, context) = (&self.frame.tlb, self.frame.data_context.get());
        tlb.load(context, addr, width).or_else(|| {
            self.quick_fill(addr, width, AccessKind::Read)?;
            tlb.load(context, addr, width)
        })
    }

    fn quick_store(&self, addr: u64, width: Width, value: u64) -> bool {
        self.slow_accesses.set(self.slow_accesses.get() + 1);
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

    fn quick_rmw(&self, op: Rmw, addr: u64, width: Width, value: u64) -> Option<u64> {
        let old = self.quick_for_store(addr, width)?;
        let new = op.eval(old, width.sign_extend(value));
        self.frame.tlb.store(self.frame.data_context.get(), addr, width, new);
        Some(old)
    }

    fn quick_compare_exchange(&self, addr: u64, width: Width, expected: u64, new: u64) -> Option<u64> {
        let old = self.quick_for_store(addr, width)?;
        if old == width.sign_extend(expected) {
            self.frame.tlb.store(self.frame.data_context.get(), addr, width, new);
        }
        Some(old)
    }

    fn quick_call(&self, number: u64, [a, b]: [u64; 2]) -> Option<u64> {
        let width = Width::from_bytes(number & 0xff);
        match (number >> 8 & 0xff, width) {
            (kind::LOAD_RESERVED, Some(width)) => self.quick_load_reserved(a, width),
            (kind::STORE_CONDITIONAL, Some(width)) => self.quick_store_conditional(a, width, b),
            (kind::CHECK_ROUNDING, _) => (self.frm.get() <= 4).then_some(0),
            (kind::CSR, _) => self.quick_csr(number, a),
            _ => None,
        }
    }

    fn quick_float(&self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [u64; 3]) -> u64 {
        self.float(op, format, rounding, args)
    }

    fn raise_float_flags(&self, flags: u8) {
        let before = self.fflags();
        if flags | before != before {
            self.set_fflags(flags | before);
            self.dirty_fs();
        }
    }
}

impl<const XLEN: u32> State<XLEN> {
    /// Stores to a page with code, where there is none.
    fn quick_store_beside_code(&self, addr: u64, width: Width, value: u64) -> bool {
        let Some(paddr) = self.frame.tlb.find_store(self.frame.data_context.get(), addr) else {
            return false;
        };
        let bytes = value.to_le_bytes();
        let Some(bytes) = bytes.get(..width.bytes() as usize) else { return false };
        !self.memory.is_code(paddr, width.bytes()) && self.memory.write(paddr, bytes).is_ok()
    }
}
