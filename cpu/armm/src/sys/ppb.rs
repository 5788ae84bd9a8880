//! Accesses to the private peripheral bus: [`super::table`] says what is there, this what it does. B3.2 of DDI 0403E.

use cpu_core::{BusFault, Exit, Width};

use super::bits;
use super::nvic::{Bank, Masks, exception as number};
use super::table::{self, Function, Row, Since, Unit, What, Word};
use super::trace::Stimulus;
use crate::Architecture;
use crate::state::State;

const AIRCR_KEY: u32 = 0x05fa;
/// What AIRCR reads as in its upper half.
const AIRCR_KEY_STATUS: u32 = 0xfa05;
const SYSRESETREQ: u32 = 1 << 2;

/// Bits of ICSR.
mod icsr {
    pub const RETTOBASE: u32 = 1 << 11;
    pub const ISRPENDING: u32 = 1 << 22;
    pub const PENDSTCLR: u32 = 1 << 25;
    pub const PENDSTSET: u32 = 1 << 26;
    pub const PENDSVCLR: u32 = 1 << 27;
    pub const PENDSVSET: u32 = 1 << 28;
    pub const NMIPENDSET: u32 = 1 << 31;
}

/// DEMCR's stored bits: vector catch, MON_EN, MON_STEP, MON_REQ, TRCENA.
const DEMCR_STORED: u32 = 0x010d_07f1;
const MON_PEND: u32 = 1 << 17;

/// Bits of SHCSR: (bit, exception), by what they show.
const SHCSR_ACTIVE: [(u32, u16); 7] = [
    (0, number::MEM_MANAGE),
    (1, number::BUS_FAULT),
    (3, number::USAGE_FAULT),
    (7, number::SV_CALL),
    (8, number::DEBUG_MONITOR),
    (10, number::PEND_SV),
    (11, number::SYS_TICK),
];
const SHCSR_PENDED: [(u32, u16); 4] =
    [(12, number::USAGE_FAULT), (13, number::MEM_MANAGE), (14, number::BUS_FAULT), (15, number::SV_CALL)];
const SHCSR_ENABLED: [(u32, u16); 3] =
    [(16, number::MEM_MANAGE), (17, number::BUS_FAULT), (18, number::USAGE_FAULT)];

impl State {
    /// Reads the private peripheral bus, 0xe0000000 to 0xe00fffff; aligned. `privileged` is the access's.
    pub(crate) fn scs_read(&self, addr: u32, width: Width, privileged: bool) -> Result<u32, BusFault> {
        self.check_rights(addr, privileged, false)?;
        let word = self.register_at(addr).map_or(0, |(row, index)| self.read_register(row, index));
        Ok(word >> (8 * (addr & 3)) & width.mask() as u32)
    }

    /// Writes the private peripheral bus; aligned. The caller leaves the block behind the instruction and looks for pending
    /// exceptions and timers.
    pub(crate) fn scs_write(
        &self,
        addr: u32,
        width: Width,
        value: u32,
        privileged: bool,
    ) -> Result<(), BusFault> {
        self.check_rights(addr, privileged, true)?;
        let Some((row, index)) = self.register_at(addr) else { return Ok(()) };
        if let What::Computed(Function::Stimulus) = row.what {
            let stimulus = Stimulus { port: index as u8, value, len: width as u8 };
            self.sys.itm.borrow_mut().write_port(stimulus, privileged, self.sys.trace_enabled());
            return Ok(());
        }
        if width == Width::B4 {
            self.write_register(row, index, value, privileged);
        } else if row.unit == Unit::Byte && self.config.is_v7m() {
            let shift = 8 * (addr & 3);
            let mask = (width.mask() as u32) << shift;
            // Ones clear: the other bytes stay when zeros are written.
            let kept = if matches!(row.what, What::Clears(_)) { 0 } else { self.read_register(row, index) };
            self.write_register(row, index, kept & !mask | value << shift & mask, privileged);
        }
        Ok(())
    }

    /// Unprivileged accesses fault, with the exceptions that the manual names (B3.1.1, B3.2.26, C1.7).
    fn check_rights(&self, addr: u32, privileged: bool, write: bool) -> Result<(), BusFault> {
        let stir = write && addr & !3 == 0xe000_ef00 && self.sys.has(Word::Ccr, bits::USERSETMPEND);
        let itm = addr < 0xe000_0e80;
        if privileged || (self.config.is_v7m() && (stir || itm)) {
            return Ok(());
        }
        Err(BusFault { paddr: addr as u64 })
    }

    fn register_at(&self, addr: u32) -> Option<(&'static Row, u32)> {
        let (row, index) = table::find(addr & 0xf_fffc)?;
        let config = &self.config;
        let exists = match row.since {
            Since::V6M => true,
            Since::V7M => config.is_v7m(),
            Since::Fpu => config.fpu,
            Since::Vtor => config.vtor,
            Since::SysTick => config.systick,
            Since::Mpu => config.mpu_regions != 0,
        };
        exists.then_some((row, index))
    }

    fn read_register(&self, row: &Row, index: u32) -> u32 {
        match row.what {
            What::Constant(value) => value,
            What::Instructions(with_dsp, _) if self.config.architecture == Architecture::V7EM => with_dsp,
            What::Instructions(_, without) => without,
            What::Stored(word, ..) | What::Clears(word) => self.sys.get(word),
            What::Computed(function) => self.read_function(function, index),
        }
    }

    fn write_register(&self, row: &Row, index: u32, value: u32, privileged: bool) {
        match row.what {
            What::Constant(_) | What::Instructions(..) => {}
            What::Stored(word, mask, _) => {
                if word == Word::Ccr && !self.config.is_v7m() {
                    return;
                }
                self.sys.set(word, value & mask);
                match word {
                    Word::Ccr => self.ccr_changed(),
                    Word::Cpacr | Word::Fpccr => self.update_contexts(),
                    _ => {}
                }
            }
            What::Clears(word) => self.sys.set(word, self.sys.get(word) & !value),
            What::Computed(function) => self.write_function(function, index, value, privileged),
        }
    }

    fn read_function(&self, function: Function, index: u32) -> u32 {
        let sys = &self.sys;
        let i = index as usize;
        match function {
            Function::Ictr => (sys.nvic.irqs() as u32).saturating_sub(1) / 32,
            Function::SystCsr | Function::SystRvr | Function::SystCvr | Function::SystCalib => {
                self.sync_timers();
                let mut systick = sys.systick.borrow_mut();
                match function {
                    Function::SystCsr => systick.read_control(),
                    Function::SystRvr => systick.reload(),
                    Function::SystCvr => systick.current(),
                    _ => systick.calibration(),
                }
            }
            Function::SetEnable | Function::ClearEnable => sys.nvic.bank(Bank::Enabled, i),
            Function::SetPending | Function::ClearPending => sys.nvic.bank(Bank::Pending, i),
            Function::ActiveBits => sys.nvic.bank(Bank::Active, i),
            Function::InterruptPriority => self.priorities(number::IRQ0 + 4 * index as u16),
            Function::SystemPriority => self.priorities(4 + 4 * index as u16),
            Function::Cpuid => self.config.cpuid,
            Function::Icsr => self.read_icsr(),
            Function::Aircr => AIRCR_KEY_STATUS << 16 | (sys.nvic.prigroup() as u32) << 8,
            Function::Shcsr => self.read_shcsr(),
            Function::Demcr => {
                let pending = if sys.nvic.is_pending(number::DEBUG_MONITOR) { MON_PEND } else { 0 };
                sys.get(Word::Demcr) | pending
            }
            Function::MpuType => sys.mpu.read_type(),
            Function::MpuCtrl => sys.mpu.read_control(),
            Function::MpuRnr => sys.mpu.read_number(),
            Function::MpuRbar => sys.mpu.read_base(),
            Function::MpuRasr => sys.mpu.read_attributes(),
            Function::Stimulus => sys.itm.borrow().read_port(),
            Function::ItmTer => sys.itm.borrow().enabled,
            Function::ItmTpr => sys.itm.borrow().privilege,
            Function::ItmTcr => sys.itm.borrow().control,
            Function::ItmLsr => sys.itm.borrow().read_lock_status(),
            Function::DwtCtrl => sys.dwt.borrow().read_control(),
            Function::DwtCyccnt => sys.dwt.borrow().cycles(sys.trace_enabled(), self.executed_now()),
            Function::DwtComparators => sys.watchpoints.borrow_mut().read(i),
            Function::FpCtrl => sys.fpb.borrow().read_control(),
            Function::FpComp => sys.fpb.borrow().read(i),
            Function::Stir | Function::ItmLar => 0,
        }
    }

    fn write_function(&self, function: Function, index: u32, value: u32, privileged: bool) {
        let sys = &self.sys;
        let (nvic, mpu, i) = (&sys.nvic, &sys.mpu, index as usize);
        let (trace, instructions) = (sys.trace_enabled(), self.executed_now());
        match function {
            Function::SystCsr | Function::SystRvr | Function::SystCvr => {
                self.sync_timers();
                let mut systick = sys.systick.borrow_mut();
                match function {
                    Function::SystCsr => systick.write_control(value, self.now()),
                    Function::SystRvr => systick.write_reload(value),
                    _ => systick.clear_current(),
                }
                self.timer_dirty.set(true);
            }
            Function::SetEnable => nvic.enable_bank(i, value, true),
            Function::ClearEnable => nvic.enable_bank(i, value, false),
            Function::SetPending => self.pended(nvic.pend_bank(i, value)),
            Function::ClearPending => nvic.unpend_bank(i, value),
            Function::Stir => {
                let irq = value as u16 & 0x1ff;
                self.pended(irq < nvic.irqs() && nvic.pend(number::IRQ0 + irq));
            }
            Function::InterruptPriority => self.set_priorities(number::IRQ0 + 4 * index as u16, value),
            Function::SystemPriority => self.set_priorities(4 + 4 * index as u16, value),
            Function::Icsr => self.write_icsr(value),
            Function::Aircr => self.write_aircr(value),
            Function::Shcsr => self.write_shcsr(value),
            Function::Demcr => self.write_demcr(value),
            Function::MpuRnr => mpu.write_number(value),
            Function::MpuCtrl => {
                mpu.write_control(value);
                self.flush_all();
            }
            Function::MpuRbar => {
                mpu.write_base(value);
                self.regions_changed();
            }
            Function::MpuRasr => {
                mpu.write_attributes(value);
                self.regions_changed();
            }
            Function::ItmTer => sys.itm.borrow_mut().write_enabled(value, privileged),
            Function::ItmTpr if privileged => sys.itm.borrow_mut().write_privilege(value),
            Function::ItmTcr => sys.itm.borrow_mut().write_control(value),
            Function::ItmLar => sys.itm.borrow_mut().write_lock(value),
            Function::DwtCtrl => sys.dwt.borrow_mut().write_control(value, trace, instructions),
            Function::DwtCyccnt => sys.dwt.borrow_mut().set_cycles(value, trace, instructions),
            Function::DwtComparators => {
                sys.watchpoints.borrow_mut().write(i, value);
                self.watchpoints_changed();
            }
            Function::FpCtrl => self.change_breakpoints(|fpb| fpb.write_control(value)),
            Function::FpComp => self.change_breakpoints(|fpb| fpb.write(i, value)),
            _ => {}
        }
    }

    /// Regions matter while the MPU is on.
    fn regions_changed(&self) {
        if self.sys.mpu.is_enabled() {
            self.flush_all();
        }
    }

    fn pended(&self, newly: bool) {
        if newly {
            self.became_pending();
        }
    }

    /// Four priority registers, of the exceptions from `first`.
    fn priorities(&self, first: u16) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|i| self.sys.nvic.priority_register(first + i)))
    }

    fn set_priorities(&self, first: u16, value: u32) {
        use number::{BUS_FAULT, DEBUG_MONITOR, IRQ0, MEM_MANAGE, PEND_SV, SV_CALL, SYS_TICK, USAGE_FAULT};
        for (number, priority) in (first..).zip(value.to_le_bytes()) {
            let exists = match number {
                SV_CALL | PEND_SV | SYS_TICK | IRQ0.. => true,
                MEM_MANAGE | BUS_FAULT | USAGE_FAULT | DEBUG_MONITOR => self.config.is_v7m(),
                _ => false,
            };
            if exists {
                self.sys.nvic.set_priority_register(number, priority);
            }
        }
    }

    fn read_icsr(&self) -> u32 {
        let (sys, nvic) = (&self.sys, &self.sys.nvic);
        let current = sys.exception.get();
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        // VECTPENDING regards BASEPRI and FAULTMASK, but not PRIMASK.
        let masks = Masks { primask: false, ..sys.masks() };
        let first = nvic.first_pending().filter(|&(priority, _)| nvic.group(priority) < nvic.boosted(masks));
        let pending = first.map_or(0, |(_, number)| number as u32);
        // B3.2.4: ARMv6-M has no RETTOBASE.
        let base = self.config.is_v7m() && !nvic.others_active(current);
        current as u32
            | flag(base, icsr::RETTOBASE)
            | pending << 12
            | flag(nvic.interrupt_pending(), icsr::ISRPENDING)
            | flag(nvic.is_pending(number::SYS_TICK), icsr::PENDSTSET)
            | flag(nvic.is_pending(number::PEND_SV), icsr::PENDSVSET)
            | flag(nvic.is_pending(number::NMI), icsr::NMIPENDSET)
    }

    fn write_icsr(&self, value: u32) {
        let nvic = &self.sys.nvic;
        for (clear, number) in [(icsr::PENDSTCLR, number::SYS_TICK), (icsr::PENDSVCLR, number::PEND_SV)] {
            if value & clear != 0 {
                nvic.unpend(number);
            }
        }
        for (set, number) in [
            (icsr::PENDSTSET, number::SYS_TICK),
            (icsr::PENDSVSET, number::PEND_SV),
            (icsr::NMIPENDSET, number::NMI),
        ] {
            if value & set != 0 {
                self.pended(nvic.pend(number));
            }
        }
    }

    fn write_aircr(&self, value: u32) {
        if value >> 16 != AIRCR_KEY {
            return;
        }
        if self.config.is_v7m() {
            self.sys.nvic.set_prigroup((value >> 8 & 7) as u8);
        }
        // VECTCLRACTIVE and VECTRESET are for halting debuggers.
        if value & SYSRESETREQ != 0 {
            self.sys.reset_request.set(true);
            self.stop_with(Exit::Attention);
        }
    }

    fn read_shcsr(&self) -> u32 {
        if !self.config.is_v7m() {
            return 0;
        }
        let nvic = &self.sys.nvic;
        let bits = |table: &[(u32, u16)], get: &dyn Fn(u16) -> bool| {
            table.iter().fold(0, |word, &(bit, number)| word | (get(number) as u32) << bit)
        };
        bits(&SHCSR_ACTIVE, &|number| nvic.is_active(number))
            | bits(&SHCSR_PENDED, &|number| nvic.is_pending(number))
            | bits(&SHCSR_ENABLED, &|number| nvic.is_enabled(number))
    }

    fn write_shcsr(&self, value: u32) {
        if !self.config.is_v7m() {
            return;
        }
        let nvic = &self.sys.nvic;
        let bit = |bit: u32| value >> bit & 1 != 0;
        SHCSR_ACTIVE.iter().for_each(|&(at, number)| nvic.set_active(number, bit(at)));
        SHCSR_PENDED.iter().for_each(|&(at, number)| nvic.set_pending(number, bit(at)));
        SHCSR_ENABLED.iter().for_each(|&(at, number)| nvic.set_enabled(number, bit(at)));
    }

    fn write_demcr(&self, value: u32) {
        let sys = &self.sys;
        let was = sys.trace_enabled();
        sys.set(Word::Demcr, value & DEMCR_STORED);
        sys.dwt.borrow_mut().trace_enable(was, sys.trace_enabled(), self.executed_now());
        self.watchpoints_changed();
        sys.nvic.set_enabled(number::DEBUG_MONITOR, value & bits::MON_EN != 0);
        sys.nvic.set_pending(number::DEBUG_MONITOR, value & MON_PEND != 0);
    }
}
