//! The system side of a core: exceptions, NVIC, system control space, SysTick, MPU, lazy floating-point state.
//!
//! The rest of the crate calls the functions of [`State`] below; everything that they keep is in [`System`], in cells. Each
//! may reach the bus by `self.bus.with(..)` and memory by `self.read_as` and `self.write_as` (`access.rs`). Who changes privilege,
//! the MPU, CCR.UNALIGN_TRP, FPSCR or what [`State::float_ready`] says calls [`State::update_contexts`]; who changes
//! what the MPU allows calls [`State::flush_all`] instead. Who may have made an exception pending or enabled sets
//! `self.pending_hint`, by [`State::recheck`] where an instruction of the current block does it.

use std::cell::Cell;

use cpu_core::{BusFault, Time, Width};
use serde::{Deserialize, Serialize};

use crate::config::ArmConfig;
use crate::state::State;

/// FPSCR.AHP, DN, FZ and RMode: what floating-point instructions depend on.
pub(crate) const FPSCR_MODES: u32 = 0x07c0_0000;

/// Everything of a core that is not in slots.
#[derive(Clone, Serialize, Deserialize)]
pub struct System {
    /// IPSR: the number of the exception that runs, 0 in Thread mode.
    pub(crate) exception: Cell<u16>,
    /// CONTROL: nPRIV (bit 0), SPSEL (bit 1), FPCA (bit 2).
    pub(crate) control: Cell<u32>,
    /// PRIMASK, 0 or 1.
    pub(crate) primask: Cell<u32>,
    /// FAULTMASK, 0 or 1.
    pub(crate) faultmask: Cell<u32>,
    /// BASEPRI.
    pub(crate) basepri: Cell<u32>,
    /// The stack pointer that is not current.
    pub(crate) other_sp: Cell<u32>,
    /// The current stack pointer is PSP.
    pub(crate) on_psp: Cell<bool>,
    /// FPSCR's AHP, DN, FZ and RMode.
    pub(crate) fpscr: Cell<u32>,
    /// The event register of WFE.
    pub(crate) event: Cell<bool>,
    /// In WFI or WFE.
    pub(crate) asleep: Cell<bool>,
    /// Stack pointer and start address have not been read yet.
    pub(crate) in_reset: Cell<bool>,
}

impl System {
    /// The state at power-on.
    pub(crate) fn new(_config: &ArmConfig) -> System {
        System {
            exception: Cell::new(0),
            control: Cell::new(0),
            primask: Cell::new(0),
            faultmask: Cell::new(0),
            basepri: Cell::new(0),
            other_sp: Cell::new(0),
            on_psp: Cell::new(false),
            fpscr: Cell::new(0),
            event: Cell::new(false),
            asleep: Cell::new(false),
            in_reset: Cell::new(true),
        }
    }

    /// Takes over from `old`, the state before a reset, what is not the core's: the levels of its inputs.
    pub(crate) fn keep_lines(&mut self, _old: &System) {}
}

impl State {
    /// Takes the exception that is to run before the next instruction, if there is one. Asked whenever `pending_hint` is set,
    /// which the caller clears. Entry counts no instruction.
    pub(crate) fn take_pending(&self) -> bool {
        false
    }

    /// Returns from an exception: `value` was branched to in Handler mode and is 0xFxxxxxxx. The branch counts as executed.
    pub(crate) fn exception_return(&self, _value: u32) {}

    /// The instruction at `pc` raised a synchronous exception: a cause of [`crate::cause`] with its value. It counts as
    /// executed. `itstate` is that of the instruction.
    pub(crate) fn fault(&self, _cause: u64, _value: u64) {
        self.stop_with(cpu_core::Exit::Lockup);
    }

    /// Reads the private peripheral bus, 0xe0000000 to 0xe00fffff; aligned. `privileged` is the access's.
    pub(crate) fn scs_read(&self, addr: u32, _width: Width, _privileged: bool) -> Result<u32, BusFault> {
        Err(BusFault { paddr: addr as u64 })
    }

    /// Writes the private peripheral bus; aligned. The caller leaves the block behind the instruction and looks for pending
    /// exceptions and timers.
    pub(crate) fn scs_write(
        &self,
        addr: u32,
        _width: Width,
        _value: u32,
        _privileged: bool,
    ) -> Result<(), BusFault> {
        Err(BusFault { paddr: addr as u64 })
    }

    /// Brings SysTick and the cycle counter up to [`State::now`], and sets `timer_at` to the number of the instruction of this
    /// run before which that is due again.
    pub(crate) fn poll_timers(&self) {
        self.timer_at.set(u64::MAX);
    }

    /// The first time after `now` at which SysTick may make an exception pending.
    pub(crate) fn next_timer(&self, _now: Time) -> Time {
        Time::NEVER
    }

    /// Loads stack pointer and `pc` from the vector table.
    pub(crate) fn read_reset_vectors(&self) {
        let table = self.config.vector_table as u64;
        let word = |at: u64| self.memory.read_le(at, 4).unwrap_or(0);
        self.cell(crate::slot::SP).set(word(table) & 0xffff_fffc);
        let start = word(table + 4);
        self.thumb.set(start & 1 != 0);
        self.frame.pc.set(start & 0xffff_fffe);
    }

    /// Sets the level of external interrupt `n`.
    pub(crate) fn set_irq(&self, _n: u32, _level: bool) {}

    /// Whether a sleeping core goes on.
    pub(crate) fn wakes(&self) -> bool {
        self.sys.event.get()
    }

    /// Whether accesses and instructions are privileged.
    pub(crate) fn privileged(&self) -> bool {
        self.sys.exception.get() != 0 || self.sys.control.get() & 1 == 0
    }

    /// What the MPU and the default memory map say of an access of `len` bytes, all in one page: `None` where it is denied,
    /// else whether the same holds for the whole page.
    pub(crate) fn check_access(
        &self,
        _addr: u32,
        _len: u32,
        _kind: cpu_core::AccessKind,
        _privileged: bool,
    ) -> Option<bool> {
        Some(true)
    }

    /// What [`State::check_access`] depends on besides registers that flush: privilege, and whether the priority is one for
    /// which the MPU is off.
    pub(crate) fn protection_key(&self) -> u32 {
        self.privileged() as u32
    }

    /// Whether floating-point instructions run as they are: the FPU is on for the current privilege, its context active
    /// (CONTROL.FPCA), and nothing waits to be stacked.
    pub(crate) fn float_ready(&self) -> bool {
        self.config.fpu
    }

    /// Before a floating-point instruction where [`State::float_ready`] is not so: stacks what waits, activates the context,
    /// or gives the cause of the exception to raise. It runs for no cycle.
    pub(crate) fn prepare_float(&self) -> Result<(), (u64, u64)> {
        Err((crate::cause::NO_COPROCESSOR, 0))
    }
}
