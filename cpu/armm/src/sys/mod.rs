//! The system side of a core: exceptions, NVIC, system control space, SysTick, MPU, lazy floating-point state.
//!
//! The rest of the crate calls functions of `State`; everything that they keep is in [`System`], in cells. Who changes
//! privilege, a priority that may become negative, the MPU, CCR.UNALIGN_TRP, FPSCR or what `State::float_ready` says calls
//! `State::update_contexts`; who changes what the MPU allows calls `State::flush_all` instead. Who may have made an
//! exception pending or enabled sets `pending_hint`, by `State::recheck` where an instruction of the current block does it.
//!
//! * [`nvic`]: what is enabled, pending and active, priorities, the next exception to take.
//! * `exception`: entry, with tail-chaining and late arrival; `stack`: frames; `exit`: return; `fault`: synchronous exceptions,
//!   escalation, lockup; `float`: who owns the floating-point registers.
//! * [`table`], `ppb`: the registers of the private peripheral bus.
//! * [`mpu`], [`systick`], [`trace`], [`debug`]: the units by themselves.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), part B, and the ARMv6-M one (DDI 0419), part B. Left out:
//! halting debug (DHCSR reads as zero: the host's debugger stops the core from outside), imprecise bus faults (every
//! access completes before the next instruction).

pub mod debug;
mod exception;
mod exit;
mod fault;
mod float;
pub mod mpu;
pub mod nvic;
mod ppb;
mod stack;
pub mod systick;
pub mod table;
#[cfg(test)]
mod tests;
pub mod trace;

use std::cell::{Cell, RefCell};

use cpu_core::{AccessKind, Exit, Time};
use serde::{Deserialize, Serialize};

use crate::config::ArmConfig;
use crate::slot;
use crate::state::State;
use debug::{Fpb, Watchpoints};
use mpu::{Accessor, Mpu};
use nvic::{Masks, Nvic, exception as number};
use systick::{Clocks, SysTick};
use table::{WORDS, What, Word};
use trace::{Dwt, Itm};

/// FPSCR.AHP, DN, FZ and RMode: what floating-point instructions depend on.
pub(crate) const FPSCR_MODES: u32 = 0x07c0_0000;

/// The line of [`cpu_core::Core::set_line`] that is the NMI input.
pub const NMI_LINE: u32 = u32::MAX;

/// Bits of CONTROL.
pub(crate) mod control {
    pub const NPRIV: u32 = 1;
    pub const SPSEL: u32 = 1 << 1;
    pub const FPCA: u32 = 1 << 2;
}

/// Bits of CCR, SCR, DEMCR.
pub(crate) mod bits {
    pub const NONBASETHRDENA: u32 = 1;
    pub const USERSETMPEND: u32 = 1 << 1;
    pub const UNALIGN_TRP: u32 = 1 << 3;
    pub const DIV_0_TRP: u32 = 1 << 4;
    pub const BFHFNMIGN: u32 = 1 << 8;
    pub const STKALIGN: u32 = 1 << 9;

    pub const SLEEPONEXIT: u32 = 1 << 1;
    pub const SEVONPEND: u32 = 1 << 4;

    pub const MON_EN: u32 = 1 << 16;
    pub const TRCENA: u32 = 1 << 24;
}

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
    /// What it sleeps in is WFE.
    pub(crate) waits_for_event: Cell<bool>,
    /// Stack pointer and start address have not been read yet.
    pub(crate) in_reset: Cell<bool>,
    /// Locked up; only NMI and reset end it.
    pub(crate) lockup: Cell<bool>,
    /// Without power or clock until a reset.
    pub(crate) held: Cell<bool>,
    /// AIRCR.SYSRESETREQ was written.
    pub(crate) reset_request: Cell<bool>,
    pub(crate) nvic: Nvic,
    pub(crate) mpu: Mpu,
    pub(crate) systick: RefCell<SysTick>,
    pub(crate) itm: RefCell<Itm>,
    pub(crate) dwt: RefCell<Dwt>,
    pub(crate) fpb: RefCell<Fpb>,
    pub(crate) watchpoints: RefCell<Watchpoints>,
    /// Some data is watched.
    pub(crate) watching: Cell<bool>,
    /// Pages of memory that the bus lets nobody read: first addresses, and the last bytes.
    pub(crate) unreadable: RefCell<Vec<(u32, u32)>>,
    /// By [`Word`].
    words: [Cell<u32>; WORDS],
}

impl System {
    /// The state at power-on.
    pub(crate) fn new(config: &ArmConfig) -> System {
        let ten_ms = config.systick_ten_ms;
        let clocks = Clocks {
            processor: config.period,
            reference_hz: (config.systick_reference != 0).then_some(config.systick_reference),
            calibration: ten_ms.0 & 0xff_ffff | (ten_ms.1 as u32) << 30,
        };
        let system = System {
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
            waits_for_event: Cell::new(false),
            in_reset: Cell::new(true),
            lockup: Cell::new(false),
            held: Cell::new(false),
            reset_request: Cell::new(false),
            nvic: Nvic::new(config.irqs.min(u16::MAX as u32) as u16, config.priority_bits.min(8) as u8),
            mpu: Mpu::new(config.mpu_regions.min(mpu::MAX_REGIONS) as u8),
            systick: RefCell::new(SysTick::new(clocks)),
            itm: RefCell::default(),
            dwt: RefCell::default(),
            fpb: RefCell::default(),
            watchpoints: RefCell::default(),
            watching: Cell::new(false),
            unreadable: RefCell::default(),
            words: Default::default(),
        };
        for row in table::TABLE {
            if let What::Stored(word, _, reset) = row.what {
                system.set(word, reset);
            }
        }
        system.set(Word::Vtor, config.vector_table);
        if !config.is_v7m() {
            system.set(Word::Ccr, bits::STKALIGN | bits::UNALIGN_TRP);
        }
        system
    }

    /// Takes over from `old`, the state before a reset, what is not the core's: the levels of its inputs.
    pub(crate) fn keep_lines(&self, old: &System) {
        self.nvic.keep_levels(&old.nvic);
    }

    /// Whether a state that was saved may replace this one.
    pub(crate) fn fits(&self, saved: &System) -> bool {
        self.nvic.same_shape(&saved.nvic)
            && self.mpu.same_shape(&saved.mpu)
            && self.systick.borrow().same_shape(&saved.systick.borrow())
    }

    /// The value of a register that is kept as it is.
    #[inline]
    pub(crate) fn get(&self, word: Word) -> u32 {
        self.words[word as usize].get()
    }

    /// Sets a register that is kept as it is.
    pub(crate) fn set(&self, word: Word, value: u32) {
        self.words[word as usize].set(value);
    }

    /// Sets bits of such a register.
    pub(crate) fn set_bits(&self, word: Word, bits: u32) {
        self.set(word, self.get(word) | bits);
    }

    /// Whether one of these bits of such a register is set.
    pub(crate) fn has(&self, word: Word, bits: u32) -> bool {
        self.get(word) & bits != 0
    }

    fn trace_enabled(&self) -> bool {
        self.has(Word::Demcr, bits::TRCENA)
    }

    /// What raises the execution priority beside active exceptions.
    fn masks(&self) -> Masks {
        Masks {
            primask: self.primask.get() & 1 != 0,
            faultmask: self.faultmask.get() & 1 != 0,
            basepri: self.basepri.get() as u8,
        }
    }

    /// The execution priority; [`nvic::THREAD_PRIORITY`] where nothing runs or masks.
    pub(crate) fn execution_priority(&self) -> i16 {
        self.nvic.execution_priority(self.masks())
    }

    /// Opens the trace units and all stimulus ports, as a probe on the trace pin does.
    pub(crate) fn attach_trace(&self) {
        self.set_bits(Word::Demcr, bits::TRCENA);
        let mut itm = self.itm.borrow_mut();
        itm.control |= 1;
        itm.enabled = u32::MAX;
    }
}

impl State {
    /// Sets the level of external interrupt `n`, or of [`NMI_LINE`], on whose rise the NMI pends.
    pub(crate) fn set_irq(&self, n: u32, level: bool) {
        let nvic = &self.sys.nvic;
        let pended = match u16::try_from(n) {
            Ok(n) => nvic.set_level(n, level),
            Err(_) => n == NMI_LINE && level && nvic.pend(number::NMI),
        };
        if pended {
            self.became_pending();
        }
    }

    /// After an exception became pending: maybe an event, and something to take.
    pub(crate) fn became_pending(&self) {
        if self.sys.has(Word::Scr, bits::SEVONPEND) {
            self.sys.event.set(true);
        }
        self.pending_hint.set(true);
    }

    /// Brings SysTick up to [`State::now`], and sets `timer_at` to the number of the instruction of this run before which it
    /// is due again.
    pub(crate) fn poll_timers(&self) {
        if !self.config.systick {
            self.timer_at.set(u64::MAX);
            return;
        }
        let now = self.now();
        let mut systick = self.sys.systick.borrow_mut();
        if systick.advance(now) && self.sys.nvic.pend(number::SYS_TICK) {
            self.became_pending();
        }
        let deadline = systick.deadline(now);
        let instructions = match deadline {
            Time::NEVER => u64::MAX,
            _ => deadline.saturating_sub(self.start.get()).0.div_ceil(self.config.period.0.max(1)),
        };
        self.timer_at.set(instructions);
    }

    /// Brings SysTick up to the instruction that accesses it.
    pub(crate) fn sync_timers(&self) {
        self.poll_timers();
        // What was due is pending now; of a counter without an interrupt COUNTFLAG remains.
        let _ = self.sys.systick.borrow_mut().poll(self.now());
    }

    /// The first time after `now` at which SysTick may make an exception pending.
    pub(crate) fn next_timer(&self, now: Time) -> Time {
        if self.config.systick { self.sys.systick.borrow().deadline(now) } else { Time::NEVER }
    }

    /// Loads stack pointer and `pc` from the vector table.
    pub(crate) fn read_reset_vectors(&self) {
        let table = self.sys.get(Word::Vtor) as u64;
        // A table that is not there gives lockup: all ones, which is no address of code.
        let word = |at: u64| self.memory.read_le(at & 0xffff_ffff, 4).unwrap_or(0xffff_ffff);
        self.cell(slot::SP).set(word(table) & 0xffff_fffc);
        self.cell(slot::LR).set(0xffff_ffff);
        let start = word(table + 4);
        self.thumb.set(start & 1 != 0);
        self.frame.pc.set(start & 0xffff_fffe);
    }

    /// Whether a sleeping core goes on. Wakes it for good: an event that woke it is used up.
    pub(crate) fn wakes(&self) -> bool {
        let sys = &self.sys;
        if sys.waits_for_event.get() {
            return sys.event.replace(false) || sys.nvic.candidate(sys.execution_priority()).is_some();
        }
        // B1.5.19: what PRIMASK alone holds back ends WFI.
        let masks = Masks { primask: false, ..sys.masks() };
        sys.nvic.candidate(sys.nvic.execution_priority(masks)).is_some()
    }

    /// Whether accesses and instructions are privileged.
    #[inline]
    pub(crate) fn privileged(&self) -> bool {
        self.sys.exception.get() != 0 || self.sys.control.get() & control::NPRIV == 0
    }

    fn accessor(&self, privileged: bool) -> Accessor {
        Accessor { privileged, negative_priority: self.sys.execution_priority() < 0 }
    }

    /// What the MPU and the default memory map say of an access of `len` bytes, all in one page: `None` where it is denied,
    /// else whether the same holds for the whole page.
    pub(crate) fn check_access(
        &self,
        addr: u32,
        len: u32,
        kind: AccessKind,
        privileged: bool,
    ) -> Option<bool> {
        let (mpu, who) = (&self.sys.mpu, self.accessor(privileged));
        match mpu.page(addr, who) {
            Some(permissions) => permissions.allows(kind).then_some(true),
            None => mpu.check(addr, len, kind, who).ok().map(|()| false),
        }
    }

    /// Replaces what the bus lets nobody read: addresses and sizes, of whole pages.
    pub(crate) fn set_unreadable(&self, ranges: &[(u64, u64)]) {
        let bounds = |&(base, size): &(u64, u64)| {
            let last = base.checked_add(size)?.checked_sub(1)?.min(u32::MAX as u64);
            (size != 0).then_some((u32::try_from(base).ok()?, last as u32))
        };
        let ranges: Vec<_> = ranges.iter().filter_map(bounds).collect();
        if self.sys.unreadable.replace(ranges.clone()) != ranges {
            self.flush_all();
        }
    }

    /// Whether the bus keeps `addr` from loads and fetches.
    pub(crate) fn is_unreadable(&self, addr: u32) -> bool {
        self.sys.unreadable.borrow().iter().any(|&(first, last)| (first..=last).contains(&addr))
    }

    /// What [`State::check_access`] depends on besides registers that flush: privilege, and whether the priority is one for
    /// which the MPU is off.
    pub(crate) fn protection_key(&self) -> u32 {
        self.accessor(self.privileged()).privileged as u32 | (self.protects() as u32) << 1
    }

    /// Whether every access to memory is allowed now, and none has to be seen.
    pub(crate) fn is_open(&self) -> bool {
        !self.protects() && !self.sys.watching.get() && self.sys.unreadable.borrow().is_empty()
    }

    /// Whether the MPU applies to accesses now.
    pub(crate) fn protects(&self) -> bool {
        self.sys.mpu.applies(self.accessor(self.privileged()))
    }

    /// After a change of CCR: what other parts of the core keep of it.
    fn ccr_changed(&self) {
        let ccr = self.sys.get(Word::Ccr);
        self.strict.set(ccr & bits::UNALIGN_TRP != 0);
        self.cell(slot::DIVIDE_TRAP).set((ccr & bits::DIV_0_TRP != 0) as u64);
        self.update_contexts();
    }

    /// Puts the core to sleep after this instruction: WFE where `for_event`, else WFI.
    pub(crate) fn sleep(&self, for_event: bool) {
        self.sys.waits_for_event.set(for_event);
        self.sys.asleep.set(true);
        self.stop_with(Exit::Wait);
    }
}
