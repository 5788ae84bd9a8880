//! The state of a hart as instruction meanings see it, and what they do when they run.
//!
//! Everything that an instruction changes is in cells, so that meanings take the state by `&` and nest.

use std::cell::Cell;

use cpu_core::frame::SLOTS;
use cpu_core::{
    Behind, Binary, BusScope, Counter, Exit, FloatFormat, FloatOp, Flow, FrameBox, GuestMemory, Next, Rmw,
    Rounding, Semantics, Time, Unary, Width,
};
use cpu_fp::{Env, Flags, Round};

use crate::config::HartConfig;
use crate::isa::Features;
use crate::semantics::{Riscv, System};
use crate::sys::{Sys, cause};

/// How the slots of a frame are used: `x[r]` is slot r, and slot 0 is never written.
pub(crate) mod slot {
    /// Those of `f[0]` to `f[31]` start here.
    pub const FLOAT: u16 = 32;
    /// 1 after every change of floating-point state, then it stands for `mstatus.FS` = 3; else 0.
    pub const FLOAT_DIRTY: u16 = 64;
    /// `fflags`, without what compiled code has raised and not handed over yet.
    pub const FLOAT_FLAGS: u16 = 65;
    /// Takes what is written to `x0`.
    pub const SINK: u16 = 127;
}

/// Bits of [`State::mode`].
pub(crate) mod mode {
    /// FS is not off.
    pub const FLOAT: u32 = 1;
    /// `frm` is 0, round to nearest even.
    pub const ROUND_NEAREST: u32 = 2;
    /// Where the low 8 bits of `vtype` start.
    pub const VTYPE_SHIFT: u32 = 2;
    /// Data addresses are physical and nothing restricts them; for compiled code only.
    pub const FLAT: u32 = 1 << 10;
}

/// An instruction stopped with the exception that the state has recorded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Trapped(());

/// Data accesses that went other ways than the TLB, for statistics.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Accesses {
    /// Translations that the TLB did not have; those of devices, which it never has, among them.
    pub tlb_misses: u64,
    /// Loads and stores of compiled code that its inline check did not let through.
    pub slow: u64,
}

/// A hart's state. The interpreter's [`Semantics`] for `XLEN` 32 or 64.
pub struct State<const XLEN: u32> {
    pub(crate) config: HartConfig,
    pub(crate) memory: GuestMemory,
    /// Registers as [`slot`] numbers them, `pc`, the contexts of `update_contexts`, the TLB.
    pub(crate) frame: FrameBox,
    /// Compiled code may reach memory in the frame's window.
    pub(crate) windowed: Cell<bool>,
    pub(crate) bus: BusScope,
    pub(crate) sys: Sys,

    /// Whoever changes whether it is 0 updates the contexts.
    pub(crate) frm: Cell<u8>,

    /// The address behind the block that runs; jumps come last in a block.
    pub(crate) block_end: Cell<u64>,
    /// Where a jump goes.
    pub(crate) target: Cell<u64>,
    pub(crate) trap: Cell<(u64, u64)>,
    pub(crate) contexts_at: Cell<u64>,

    /// Leave the block after this instruction.
    pub(crate) leave: Cell<bool>,
    /// Interrupts may have become pending or enabled.
    pub(crate) recheck: Cell<bool>,
    pub(crate) exit: Cell<Option<Exit>>,
    pub(crate) timer_dirty: Cell<bool>,
    pub(crate) timer_pending: Cell<bool>,
    /// Number of the instruction of this run before which `stimecmp` is reached.
    pub(crate) timer_at: Cell<u64>,

    /// Of this run: virtual time at its start, the platform counter, instructions before the block that runs.
    pub(crate) start: Cell<Time>,
    pub(crate) counter: Cell<Counter>,
    pub(crate) executed: Cell<u64>,
    /// Index in the block of the instruction that runs.
    pub(crate) index: Cell<u32>,
    /// Instructions executed before this run.
    pub(crate) total: Cell<u64>,
    /// See [`Accesses`].
    pub(crate) tlb_misses: Cell<u64>,
    /// See [`Accesses`].
    pub(crate) slow_accesses: Cell<u64>,
}

impl<const XLEN: u32> State<XLEN> {
    pub(crate) fn new(config: HartConfig, memory: GuestMemory) -> Self {
        let state = State {
            // Compiled code of 64-bit harts always translates.
            frame: FrameBox::new(memory.clone(), if XLEN == 32 { Behind::Window } else { Behind::Mirror }),
            windowed: Cell::new(false),
            memory,
            bus: BusScope::default(),
            sys: Sys::default(),
            frm: Cell::new(0),
            block_end: Cell::new(0),
            target: Cell::new(0),
            trap: Cell::new((0, 0)),
            contexts_at: Cell::new(0),
            leave: Cell::new(false),
            recheck: Cell::new(true),
            exit: Cell::new(None),
            timer_dirty: Cell::new(true),
            timer_pending: Cell::new(false),
            timer_at: Cell::new(u64::MAX),
            start: Cell::new(Time::ZERO),
            counter: Cell::new(Counter { hz: 0, offset: 0 }),
            executed: Cell::new(0),
            index: Cell::new(0),
            total: Cell::new(0),
            tlb_misses: Cell::new(0),
            slow_accesses: Cell::new(0),
            config,
        };
        state.frame.pc.set(Self::mask_address(state.config.reset_pc));
        state.update_contexts();
        state
    }

    /// An address as XLEN bits allow it.
    #[inline(always)]
    pub(crate) fn mask_address(addr: u64) -> u64 {
        if XLEN == 32 { addr & 0xffff_ffff } else { addr }
    }

    /// A value as a register holds it.
    #[inline(always)]
    pub(crate) fn extend(&self, value: u64) -> u64 {
        if XLEN == 32 { value as i32 as u64 } else { value }
    }

    /// Instructions executed before the one that runs.
    pub(crate) fn executed_now(&self) -> u64 {
        self.total.get().wrapping_add(self.executed.get()).wrapping_add(self.index.get() as u64)
    }

    /// Virtual time of the instruction that runs.
    pub(crate) fn now(&self) -> Time {
        let done = self.executed.get().saturating_add(self.index.get() as u64);
        self.start.get().saturating_add(Time(done.saturating_mul(self.config.period.0)))
    }

    pub(crate) fn time_now(&self) -> u64 {
        self.counter.get().at(self.now())
    }

    /// `mstatus.FS`.
    pub(crate) fn fs(&self) -> u8 {
        if self.slot(slot::FLOAT_DIRTY).get() != 0 { 3 } else { self.sys.fs.get() }
    }

    /// Sets `mstatus.FS`; the caller updates the contexts.
    pub(crate) fn set_fs(&self, value: u8) {
        self.sys.fs.set(value & 3);
        self.slot(slot::FLOAT_DIRTY).set(0);
    }

    /// From instructions only, which exist where FS is not off.
    #[inline(always)]
    pub(crate) fn dirty_fs(&self) {
        self.slot(slot::FLOAT_DIRTY).set(1);
    }

    #[inline(always)]
    pub(crate) fn slot(&self, number: u16) -> &Cell<u64> {
        &self.frame.slots[number as usize & (SLOTS - 1)]
    }

    pub(crate) fn fflags(&self) -> u8 {
        self.slot(slot::FLOAT_FLAGS).get() as u8
    }

    pub(crate) fn set_fflags(&self, flags: u8) {
        self.slot(slot::FLOAT_FLAGS).set((flags & 31) as u64);
    }

    pub(crate) fn stop_with(&self, exit: Exit) {
        self.exit.set(Some(exit));
        self.leave.set(true);
    }

    /// What decoded code depends on, beside its address: the bits of [`mode`], which are 11. The fetch context stands for it.
    pub(crate) fn mode(&self) -> u32 {
        let float = if self.fs() != 0 { mode::FLOAT } else { 0 };
        let nearest = if self.frm.get() == 0 { mode::ROUND_NEAREST } else { 0 };
        let flat = if self.is_flat() { mode::FLAT } else { 0 };
        float | nearest | flat | (self.sys.vtype.get() as u32 & 0xff) << mode::VTYPE_SHIFT
    }

    /// Sets floating-point register `r` other than by an instruction: FS stays.
    #[inline(always)]
    pub(crate) fn set_f_raw(&self, r: u8, value: u64) {
        self.slot(slot::FLOAT + (r as u16 & 31)).set(value);
    }
}

impl<const XLEN: u32> Semantics for State<XLEN> {
    type Value = u64;
    type Stop = Trapped;

    #[inline(always)]
    fn imm(&self, value: u64) -> u64 {
        value
    }

    #[inline(always)]
    fn binary(&self, op: Binary, a: u64, b: u64) -> u64 {
        op.eval(a, b)
    }

    #[inline(always)]
    fn unary(&self, op: Unary, a: u64) -> u64 {
        op.eval(a)
    }

    #[inline(always)]
    fn select(&self, cond: u64, yes: u64, no: u64) -> u64 {
        if cond != 0 { yes } else { no }
    }

    #[inline(always)]
    fn pure(&self, f: fn(u64, u64) -> u64, a: u64, b: u64) -> u64 {
        f(a, b)
    }

    #[inline(always)]
    fn float(&self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [u64; 3]) -> u64 {
        let round = match rounding {
            Rounding::Static(round) => round,
            Rounding::Dynamic => Round::from_riscv(self.frm.get() as u32).unwrap_or_default(),
        };
        let before = self.fflags();
        let mut env = Env::riscv(round, Flags::from_bits_truncate(before));
        let result = op.eval(format, &mut env, args);
        let after = env.flags.bits();
        if after != before {
            self.set_fflags(after);
            self.dirty_fs();
        }
        result
    }

    #[inline(always)]
    fn pc(&self) -> u64 {
        self.frame.pc.get()
    }

    #[inline(always)]
    fn next_pc(&self) -> u64 {
        self.block_end.get()
    }

    #[inline(always)]
    fn jump(&self, target: u64) -> Flow<Self> {
        self.target.set(target);
        Ok(Next::Jump)
    }

    #[inline(always)]
    fn jump_by(&self, offset: i64) -> Flow<Self> {
        self.jump(Self::mask_address(self.frame.pc.get().wrapping_add(offset as u64)))
    }

    #[inline(always)]
    fn branch_if(&self, cond: u64, offset: i64) -> Flow<Self> {
        if cond != 0 { self.jump_by(offset) } else { Ok(Next::Fall) }
    }

    #[cold]
    fn raise(&self, cause: u64, value: u64) -> Trapped {
        self.trap.set((cause, value));
        Trapped(())
    }

    #[inline(always)]
    fn raise_if(&self, cond: u64, cause: u64, value: u64) -> Result<(), Trapped> {
        if cond != 0 { Err(self.raise(cause, value)) } else { Ok(()) }
    }

    #[inline(always)]
    fn load(&self, addr: u64, width: Width, signed: bool) -> Result<u64, Trapped> {
        let value = match self.frame.tlb.load(self.frame.data_context.get(), addr, width) {
            Some(value) => value,
            None => self.load_slow(addr, width)?,
        };
        Ok(if signed { width.sign_extend(value) } else { value })
    }

    #[inline(always)]
    fn store(&self, addr: u64, width: Width, value: u64) -> Result<(), Trapped> {
        if self.frame.tlb.store(self.frame.data_context.get(), addr, width, value) {
            return Ok(());
        }
        self.store_slow(addr, width, value)
    }

    #[inline(always)]
    fn rmw(&self, op: Rmw, addr: u64, width: Width, value: u64) -> Result<u64, Trapped> {
        let old = width.sign_extend(self.load_for_store(addr, width)?);
        self.store(addr, width, op.eval(old, width.sign_extend(value)))?;
        Ok(old)
    }

    #[inline(always)]
    fn compare_exchange(&self, addr: u64, width: Width, expected: u64, new: u64) -> Result<u64, Trapped> {
        let old = width.sign_extend(self.load_for_store(addr, width)?);
        // Where it differs the right to store was needed all the same, and has been checked.
        if old == width.sign_extend(expected) {
            self.store(addr, width, new)?;
        }
        Ok(old)
    }
}

impl<const XLEN: u32> Riscv for State<XLEN> {
    const XLEN: u32 = XLEN;

    #[inline(always)]
    fn x(&self, r: u8) -> u64 {
        self.wrap(self.slot(r as u16 & 31).get())
    }

    #[inline(always)]
    fn set_x(&self, r: u8, value: u64) {
        // The slots of RV32 hold words as its addresses are: zero-extended.
        self.slot(if r == 0 { slot::SINK } else { r as u16 & 31 }).set(self.unsigned(value));
    }

    #[inline(always)]
    fn f(&self, r: u8) -> u64 {
        self.slot(slot::FLOAT + (r as u16 & 31)).get()
    }

    #[inline(always)]
    fn set_f(&self, r: u8, value: u64) {
        self.set_f_raw(r, value);
        self.dirty_fs();
    }

    #[inline(always)]
    fn rounding(&self, rm: u8) -> Result<Rounding, Trapped> {
        match Round::from_riscv(rm as u32) {
            Some(round) => Ok(Rounding::Static(round)),
            None if self.frm.get() <= 4 => Ok(Rounding::Dynamic),
            None => Err(self.raise(cause::ILLEGAL_INSTRUCTION, self.instruction_bits())),
        }
    }

    #[inline(always)]
    fn compressed(&self) -> bool {
        self.config.extensions.contains(Features::C)
    }

    fn load_reserved(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        let value = width.sign_extend(self.load_reservable(addr, width)?);
        self.sys.reservation.set(Some((addr, value)));
        Ok(value)
    }

    fn store_conditional(&self, addr: u64, width: Width, value: u64) -> Result<u64, Trapped> {
        let reserved = self.sys.reservation.take();
        if let Some((reserved_addr, expected)) = reserved
            && reserved_addr == addr
            && width.sign_extend(self.load_for_store(addr, width)?) == width.sign_extend(expected)
        {
            self.store(addr, width, value)?;
            return Ok(0);
        }
        self.probe_store(addr, width)?;
        Ok(1)
    }

    fn system(&self, op: System, a: u64, b: u64) -> Flow<Self> {
        self.execute_system(op, a, b)
    }
}

#[cfg(test)]
mod tests {
    use cpu_core::{MemoryKind, RegionSpec};

    use super::*;
    use crate::config::Mmu;
    use crate::csr;

    #[test]
    fn the_fetch_context_stands_for_what_decoded_code_depends_on() {
        let ram = RegionSpec { name: "ram".into(), base: 0x8000_0000, size: 0x1000, kind: MemoryKind::Ram };
        let config = HartConfig::new(0, "rv64i", ["g", "c"], Mmu::Sv39).unwrap();
        let state = State::<64>::new(config, GuestMemory::new(vec![ram]).unwrap());
        let contexts = || (state.frame.fetch_context.get(), state.frame.data_context.get());
        let (off, data) = contexts();
        assert_ne!(off, data);
        state.write_csr(csr::MSTATUS, 1 << 13).unwrap();
        let (on, _) = contexts();
        assert_ne!(on, off);
        for (number, other) in [(csr::FRM, 1), (csr::FCSR, 1 << 5)] {
            state.write_csr(number, other).unwrap();
            assert!(![on, off].contains(&contexts().0), "{number:#x}");
            state.write_csr(number, 0).unwrap();
            assert_eq!(contexts(), (on, data), "{number:#x}");
        }
        assert_eq!(state.fs(), 3);
        state.write_csr(csr::MSTATUS, 0).unwrap();
        assert_eq!(contexts(), (off, data));
        state.set_x(0, 7);
        assert_eq!((state.x(0), state.frame.slots[0].get()), (0, 0));
    }
}
