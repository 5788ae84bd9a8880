//! The state of a core as instruction meanings see it, and what they do when they run.
//!
//! Everything that an instruction changes is in cells, so that meanings take the state by `&` and nest.

use std::cell::Cell;

use cpu_core::frame::SLOTS;
use cpu_core::{
    Behind, Binary, BusScope, Counter, Exit, FloatFormat, FloatOp, Flow, FrameBox, GuestMemory, Next, Rmw,
    Rounding, Semantics, Time, Unary, Width,
};
use cpu_fp::{Env, Flags};

use crate::config::ArmConfig;
use crate::semantics::{Arm, System};
use crate::sys;
use crate::{cause, slot};

/// An instruction stopped with the exception that the state has recorded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Trapped(());

/// Bits of [`State::mode`]: what decoded code depends on beside its address.
pub(crate) mod mode {
    /// ITSTATE is in bits 0 to 7.
    pub const ITSTATE: u32 = 0xff;
    /// No unaligned access is allowed.
    pub const STRICT: u32 = 1 << 8;
    /// Floating-point instructions run as they are: the FPU is on, its context active, nothing waits to be stacked.
    pub const FLOAT: u32 = 1 << 9;
    /// FPSCR asks for round to nearest without flush to zero and default NaN.
    pub const PLAIN_FLOAT: u32 = 1 << 10;
    /// Every access to memory is allowed; for compiled code only.
    pub const FLAT: u32 = 1 << 11;
}

/// A core's state: the interpreter's [`Semantics`].
pub struct State {
    pub(crate) config: ArmConfig,
    pub(crate) memory: GuestMemory,
    /// Registers as [`crate::slot`] numbers them, `pc`, the contexts of `update_contexts`, the TLB.
    pub(crate) frame: FrameBox,
    /// Compiled code may reach memory in the frame's window.
    pub(crate) windowed: Cell<bool>,
    pub(crate) bus: BusScope,
    pub(crate) sys: sys::System,

    /// ITSTATE of the instruction at `pc`; 0 outside of IT blocks.
    pub(crate) itstate: Cell<u8>,
    /// EPSR.T: clear, the next instruction faults.
    pub(crate) thumb: Cell<bool>,
    /// CCR.UNALIGN_TRP, or ARMv6-M: no unaligned access is allowed. Whoever changes it updates the contexts.
    pub(crate) strict: Cell<bool>,
    /// Address and width of the claimed exclusive access.
    pub(crate) monitor: Cell<Option<(u32, u8)>>,

    /// The address behind the block that runs; jumps come last in a block.
    pub(crate) block_end: Cell<u64>,
    /// Where a jump goes.
    pub(crate) target: Cell<u64>,
    /// Cause and value of the exception that stopped the instruction.
    pub(crate) trap: Cell<(u64, u64)>,
    pub(crate) contexts_at: Cell<u64>,

    /// Leave the block after this instruction.
    pub(crate) leave: Cell<bool>,
    /// An exception may have become pending or enabled: before the next instruction, [`State::take_pending`] is asked.
    pub(crate) pending_hint: Cell<bool>,
    pub(crate) exit: Cell<Option<Exit>>,
    /// Timers were written: before the next instruction, [`State::poll_timers`] is asked.
    pub(crate) timer_dirty: Cell<bool>,
    /// Number of the instruction of this run before which the core's timers have to be polled.
    pub(crate) timer_at: Cell<u64>,

    /// Of this run: virtual time at its start, instructions before the block that runs.
    pub(crate) start: Cell<Time>,
    pub(crate) counter: Cell<Counter>,
    pub(crate) executed: Cell<u64>,
    /// Index in the block of the instruction that runs.
    pub(crate) index: Cell<u32>,
    /// Instructions executed before this run.
    pub(crate) total: Cell<u64>,
}

impl State {
    pub(crate) fn new(config: ArmConfig, memory: GuestMemory) -> Self {
        let mut state = State {
            frame: FrameBox::new(memory.clone(), Behind::Window),
            windowed: Cell::new(false),
            memory,
            bus: BusScope::default(),
            sys: sys::System::new(&config),
            itstate: Cell::new(0),
            thumb: Cell::new(true),
            strict: Cell::new(!config.is_v7m()),
            monitor: Cell::new(None),
            block_end: Cell::new(0),
            target: Cell::new(0),
            trap: Cell::new((0, 0)),
            contexts_at: Cell::new(0),
            leave: Cell::new(false),
            pending_hint: Cell::new(true),
            exit: Cell::new(None),
            timer_dirty: Cell::new(true),
            timer_at: Cell::new(u64::MAX),
            start: Cell::new(Time::ZERO),
            counter: Cell::new(Counter { hz: 0, offset: 0 }),
            executed: Cell::new(0),
            index: Cell::new(0),
            total: Cell::new(0),
            config,
        };
        state.power_on();
        state
    }

    /// The state at power-on. Interrupt lines stay as the wires are, and the instruction count goes on.
    pub(crate) fn power_on(&mut self) {
        let old = std::mem::replace(&mut self.sys, sys::System::new(&self.config));
        self.sys.keep_lines(&old);
        self.frame.slots.iter().for_each(|cell| cell.set(0));
        // Unknown at reset; so that a debugger sees what gdb's own targets show.
        self.cell(slot::LR).set(0xffff_ffff);
        self.cell(slot::NZ).set(slot::nz(false, false));
        self.itstate.set(0);
        self.thumb.set(true);
        self.strict.set(!self.config.is_v7m());
        self.monitor.set(None);
        self.pending_hint.set(true);
        self.timer_dirty.set(true);
        self.flush_all();
    }

    #[inline(always)]
    pub(crate) fn cell(&self, number: u16) -> &Cell<u64> {
        &self.frame.slots[number as usize & (SLOTS - 1)]
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

    /// Returns from the run after this instruction.
    pub(crate) fn stop_with(&self, exit: Exit) {
        self.exit.set(Some(exit));
        self.leave.set(true);
    }

    /// Looks for pending exceptions after this instruction.
    pub(crate) fn recheck(&self) {
        self.pending_hint.set(true);
        self.leave.set(true);
    }

    /// What decoded code depends on, beside its address: the bits of [`mode`], without ITSTATE. The fetch context stands for
    /// it.
    pub(crate) fn mode(&self) -> u32 {
        let strict = if self.strict.get() { mode::STRICT } else { 0 };
        let float = if self.float_ready() { mode::FLOAT } else { 0 };
        let plain = if self.sys.fpscr.get() & sys::FPSCR_MODES == 0 { mode::PLAIN_FLOAT } else { 0 };
        let flat = if self.windowed.get() && self.is_open() { mode::FLAT } else { 0 };
        strict | float | plain | flat
    }

    /// Whether the monitor is claimed for an access. The tag is the word that holds the address; a store elsewhere, or of another
    /// size, fails (A3.4.1).
    pub(crate) fn claims(&self, addr: u64, width: Width) -> bool {
        let claimed = self.monitor.get();
        claimed.is_some_and(|(at, size)| (at ^ addr as u32) >> 2 == 0 && size == width as u8)
    }

    /// Rounding and rules of floating-point instructions.
    fn float_env(&self) -> Env {
        Env::arm(self.sys.fpscr.get(), Flags::from_bits_truncate(self.cell(slot::FLOAT_FLAGS).get() as u8))
    }
}

impl Semantics for State {
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

    fn float(&self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [u64; 3]) -> u64 {
        let mut env = self.float_env();
        if let Rounding::Static(round) = rounding {
            env.round = round;
        }
        let result = op.eval(format, &mut env, args);
        self.cell(slot::FLOAT_FLAGS).set(env.flags.bits() as u64);
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
        self.jump(self.frame.pc.get().wrapping_add(offset as u64) & 0xffff_ffff)
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

    fn rmw(&self, op: Rmw, addr: u64, width: Width, value: u64) -> Result<u64, Trapped> {
        let old = self.load(addr, width, true)?;
        self.store(addr, width, op.eval(old, width.sign_extend(value)))?;
        Ok(old)
    }

    fn compare_exchange(&self, addr: u64, width: Width, expected: u64, new: u64) -> Result<u64, Trapped> {
        let old = self.load(addr, width, true)?;
        if old == width.sign_extend(expected) {
            self.store(addr, width, new)?;
        }
        Ok(old)
    }
}

impl Arm for State {
    #[inline(always)]
    fn slot(&self, number: u16) -> u64 {
        self.cell(number).get()
    }

    #[inline(always)]
    fn set_slot(&self, number: u16, value: u64) {
        debug_assert!(number >= slot::WORDS || value >> 32 == 0, "slot {number} = {value:#x}");
        self.cell(number).set(value);
    }

    #[inline(always)]
    fn strict(&self) -> bool {
        self.strict.get()
    }

    fn load_exclusive(&self, addr: u64, width: Width) -> Result<u64, Trapped> {
        let value = self.load(addr, width, false)?;
        self.monitor.set(Some((addr as u32, width as u8)));
        Ok(value)
    }

    fn store_exclusive(&self, addr: u64, width: Width, value: u64) -> Result<u64, Trapped> {
        let holds = self.claims(addr, width);
        if holds {
            self.store(addr, width, value)?;
        }
        self.monitor.set(None);
        Ok(!holds as u64)
    }

    fn clear_exclusive(&self) {
        self.monitor.set(None);
    }

    fn special(&self, sysm: u8) -> u64 {
        self.read_special(sysm) as u64
    }

    fn fpscr(&self) -> u64 {
        self.read_fpscr() as u64
    }

    fn load_unprivileged(&self, addr: u64, width: Width, signed: bool) -> Result<u64, Trapped> {
        let value = self.load_as(addr, width, false)?;
        Ok(if signed { width.sign_extend(value) } else { value })
    }

    fn store_unprivileged(&self, addr: u64, width: Width, value: u64) -> Result<(), Trapped> {
        self.store_as(addr, width, value, false)
    }

    #[inline(always)]
    fn may_exchange(&self, _: u64) -> Result<(), Trapped> {
        Ok(())
    }

    #[inline(always)]
    fn exchange(&self, target: u64, link: bool) -> Flow<Self> {
        if target & 1 != 0 && (link || target < 0xf000_0000) {
            return self.jump(target & !1);
        }
        Err(self.raise(if link { cause::CLEAR_THUMB } else { cause::EXCHANGE }, target))
    }

    fn system(&self, op: System, value: u64) -> Flow<Self> {
        self.execute_system(op, value as u32)
    }
}
