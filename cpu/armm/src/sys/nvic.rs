//! The interrupt controller: which exceptions are enabled, pending and active, and which of them comes next.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), B1.5 and B3.4, and for its two priority bits the ARMv6-M one
//! (DDI 0419), B3.4. System exceptions and external interrupts are numbered as one, as the architecture does, so
//! that priorities, preemption and pending are decided in one place.

use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// Number of an exception, as IPSR holds it: 16 and above are external interrupts.
pub type ExceptionNumber = u16;

/// The numbers of the system exceptions.
#[allow(missing_docs)]
pub mod exception {
    use super::ExceptionNumber;
    pub const RESET: ExceptionNumber = 1;
    pub const NMI: ExceptionNumber = 2;
    pub const HARD_FAULT: ExceptionNumber = 3;
    pub const MEM_MANAGE: ExceptionNumber = 4;
    pub const BUS_FAULT: ExceptionNumber = 5;
    pub const USAGE_FAULT: ExceptionNumber = 6;
    pub const SV_CALL: ExceptionNumber = 11;
    pub const DEBUG_MONITOR: ExceptionNumber = 12;
    pub const PEND_SV: ExceptionNumber = 14;
    pub const SYS_TICK: ExceptionNumber = 15;
    /// External interrupt 0.
    pub const IRQ0: ExceptionNumber = 16;
}

/// The most external interrupts that fit: 16 + 240 exceptions.
pub const MAX_IRQS: u16 = 240;

/// Priority of a core that runs no exception and masks none: lower than any exception.
pub const THREAD_PRIORITY: i16 = 256;

const WORDS: usize = 8;

/// A bit for each exception.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
struct Set([Cell<u32>; WORDS]);

impl Set {
    fn get(&self, number: ExceptionNumber) -> bool {
        self.0.get(number as usize / 32).is_some_and(|word| word.get() >> (number % 32) & 1 != 0)
    }

    fn put(&self, number: ExceptionNumber, on: bool) {
        if let Some(word) = self.0.get(number as usize / 32) {
            let bit = 1 << (number % 32);
            word.set(if on { word.get() | bit } else { word.get() & !bit });
        }
    }

    fn iter(&self) -> impl Iterator<Item = ExceptionNumber> {
        (0u16..).step_by(32).zip(&self.0).flat_map(|(base, word)| Ones(word.get()).map(move |bit| base + bit))
    }
}

/// The numbers of the bits that are set, upwards.
struct Ones(u32);

impl Iterator for Ones {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.checked_sub(1)?;
        Some(bit as u16)
    }
}

/// What raises the execution priority beside active exceptions.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Masks {
    /// PRIMASK bit 0.
    pub primask: bool,
    /// FAULTMASK bit 0.
    pub faultmask: bool,
    /// BASEPRI; 0 masks nothing.
    pub basepri: u8,
}

/// The state of all exceptions. All of it is small numbers in cells: the core shares it with the instruction that runs.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Nvic {
    /// External interrupts implemented.
    irqs: u16,
    /// Bits of a priority that are implemented: the high ones.
    priority_mask: u8,
    enabled: Set,
    pending: Set,
    active: Set,
    /// Interrupt inputs that are high.
    level: Set,
    priority: [[Cell<u8>; 32]; WORDS],
    /// AIRCR.PRIGROUP.
    prigroup: Cell<u8>,
    #[serde(skip)]
    cache: Cache,
}

/// What follows from the rest of [`Nvic`] and is asked for before each run of instructions. `None`: not known.
#[derive(Clone, Default, Debug)]
struct Cache {
    /// The first to be taken of those pending and enabled, with its priority.
    best: Cell<Option<Option<(i16, ExceptionNumber)>>>,
    /// The highest group priority of those active.
    running: Cell<Option<i16>>,
}

impl Nvic {
    /// `irqs` external interrupts, at most [`MAX_IRQS`], with the high `priority_bits` (1 to 8) of a priority.
    pub fn new(irqs: u16, priority_bits: u8) -> Nvic {
        let nvic = Nvic {
            irqs: irqs.min(MAX_IRQS),
            priority_mask: !(0xffu8.checked_shr(priority_bits as u32).unwrap_or(0)),
            enabled: Set::default(),
            pending: Set::default(),
            active: Set::default(),
            level: Set::default(),
            priority: Default::default(),
            prigroup: Cell::new(0),
            cache: Cache::default(),
        };
        use exception::*;
        for number in [NMI, HARD_FAULT, SV_CALL, PEND_SV, SYS_TICK] {
            nvic.enabled.put(number, true);
        }
        nvic
    }

    /// Takes over the levels of the inputs from before a reset: those that are high pend at once.
    pub fn keep_levels(&self, old: &Nvic) {
        for number in old.level.iter() {
            self.level.put(number, true);
            self.pend(number);
        }
    }

    /// External interrupts implemented.
    pub fn irqs(&self) -> u16 {
        self.irqs
    }

    /// Whether both are of the same size: only then does the one's state fit the other.
    pub fn same_shape(&self, other: &Nvic) -> bool {
        (self.irqs, self.priority_mask) == (other.irqs, other.priority_mask)
    }

    fn is_implemented(&self, number: ExceptionNumber) -> bool {
        number < exception::IRQ0 + self.irqs
    }

    /// Drives the input of external interrupt `irq`. Returns whether it became pending.
    pub fn set_level(&self, irq: u16, high: bool) -> bool {
        if irq >= self.irqs {
            return false;
        }
        let number = exception::IRQ0 + irq;
        let was = self.level.get(number);
        self.level.put(number, high);
        high && !was && self.pend(number)
    }

    /// Makes an exception pending. Returns whether it was not.
    pub fn pend(&self, number: ExceptionNumber) -> bool {
        if self.pending.get(number) || !self.is_implemented(number) {
            return false;
        }
        self.pending.put(number, true);
        self.cache.best.set(None);
        true
    }

    /// Makes an exception not pending, unless its input is high and it is not active.
    pub fn unpend(&self, number: ExceptionNumber) {
        if self.level.get(number) && !self.active.get(number) {
            return;
        }
        self.pending.put(number, false);
        self.cache.best.set(None);
    }

    /// Whether it is pending.
    pub fn is_pending(&self, number: ExceptionNumber) -> bool {
        self.pending.get(number)
    }

    /// Whether it is active.
    pub fn is_active(&self, number: ExceptionNumber) -> bool {
        self.active.get(number)
    }

    /// Whether it is enabled.
    pub fn is_enabled(&self, number: ExceptionNumber) -> bool {
        self.enabled.get(number)
    }

    /// Enables or disables a configurable system exception.
    pub fn set_enabled(&self, number: ExceptionNumber, on: bool) {
        self.enabled.put(number, on);
        self.cache.best.set(None);
    }

    /// Sets or clears the active bit alone, as SHCSR does.
    pub fn set_active(&self, number: ExceptionNumber, on: bool) {
        self.active.put(number, on);
        self.cache.running.set(None);
    }

    /// Sets or clears the pending bit alone, as SHCSR does.
    pub fn set_pending(&self, number: ExceptionNumber, on: bool) {
        self.pending.put(number, on);
        self.cache.best.set(None);
    }

    /// Entry: pending no more, active now.
    pub fn activate(&self, number: ExceptionNumber) {
        self.set_pending(number, false);
        self.set_active(number, true);
    }

    /// Return: active no more; an input that is still high makes it pending again. Returns whether it became pending.
    pub fn deactivate(&self, number: ExceptionNumber) -> bool {
        self.set_active(number, false);
        self.level.get(number) && self.pend(number)
    }

    /// How many exceptions are active.
    pub fn active_count(&self) -> u32 {
        self.active.0.iter().map(|word| word.get().count_ones()).sum()
    }

    /// Whether an exception other than `number` is active.
    pub fn others_active(&self, number: ExceptionNumber) -> bool {
        self.active_count() > self.active.get(number) as u32
    }

    /// Whether any external interrupt is pending (ICSR.ISRPENDING).
    pub fn interrupt_pending(&self) -> bool {
        self.pending.iter().any(|number| number >= exception::IRQ0)
    }

    /// The priority of an exception: negative for those that have a fixed one.
    pub fn priority(&self, number: ExceptionNumber) -> i16 {
        match number {
            exception::RESET => -3,
            exception::NMI => -2,
            exception::HARD_FAULT => -1,
            _ => self.priority_register(number) as i16,
        }
    }

    /// The priority register of an exception.
    pub fn priority_register(&self, number: ExceptionNumber) -> u8 {
        self.priority.get(number as usize / 32).map_or(0, |row| row[number as usize % 32].get())
    }

    /// Sets the priority register of an exception; bits that are not implemented stay zero.
    pub fn set_priority_register(&self, number: ExceptionNumber, value: u8) {
        if let Some(row) = self.priority.get(number as usize / 32)
            && self.is_implemented(number)
        {
            row[number as usize % 32].set(value & self.priority_mask);
            self.cache.best.set(None);
            self.cache.running.set(None);
        }
    }

    /// The bits of a priority that are implemented.
    pub fn priority_mask(&self) -> u8 {
        self.priority_mask
    }

    /// AIRCR.PRIGROUP.
    pub fn prigroup(&self) -> u8 {
        self.prigroup.get()
    }

    /// Sets AIRCR.PRIGROUP.
    pub fn set_prigroup(&self, value: u8) {
        self.prigroup.set(value & 7);
        self.cache.running.set(None);
    }

    /// The part of a priority that decides about preemption.
    pub fn group(&self, priority: i16) -> i16 {
        if priority < 0 { priority } else { priority & !((2 << (self.prigroup.get() & 7)) - 1) }
    }

    /// The execution priority: of what is active, raised by `masks`. [`THREAD_PRIORITY`] when nothing is.
    pub fn execution_priority(&self, masks: Masks) -> i16 {
        self.boosted(masks).min(self.running_priority())
    }

    /// The priority that `masks` alone give.
    pub fn boosted(&self, masks: Masks) -> i16 {
        if masks.faultmask {
            -1
        } else if masks.primask {
            0
        } else if masks.basepri != 0 {
            self.group(masks.basepri as i16)
        } else {
            THREAD_PRIORITY
        }
    }

    /// The highest group priority of the active exceptions; [`THREAD_PRIORITY`] without any.
    pub fn running_priority(&self) -> i16 {
        if let Some(known) = self.cache.running.get() {
            return known;
        }
        let priority = self
            .active
            .iter()
            .map(|number| self.group(self.priority(number)))
            .min()
            .unwrap_or(THREAD_PRIORITY);
        self.cache.running.set(Some(priority));
        priority
    }

    /// The first of the pending and enabled exceptions, whether it could be taken or not, with its whole priority.
    pub fn first_pending(&self) -> Option<(i16, ExceptionNumber)> {
        if let Some(known) = self.cache.best.get() {
            return known;
        }
        let words = (0u16..).step_by(32).zip(self.pending.0.iter().zip(&self.enabled.0));
        let best = words
            .flat_map(|(base, (pending, enabled))| {
                Ones(pending.get() & enabled.get()).map(move |bit| base + bit)
            })
            .map(|number| (self.priority(number), number))
            .min();
        self.cache.best.set(Some(best));
        best
    }

    /// The exception to take at this execution priority: the first of those whose group priority is higher.
    #[inline]
    pub fn candidate(&self, execution_priority: i16) -> Option<ExceptionNumber> {
        let (priority, number) = self.first_pending()?;
        (self.group(priority) < execution_priority).then_some(number)
    }

    /// 32 bits of a register bank over external interrupts: word `index` of ISER, ISPR or IABR.
    pub fn bank(&self, bank: Bank, index: usize) -> u32 {
        let set = self.set(bank);
        let word = |i: usize| set.0.get(i).map_or(0, Cell::get);
        word(index) >> 16 | word(index + 1) << 16
    }

    fn set(&self, bank: Bank) -> &Set {
        match bank {
            Bank::Enabled => &self.enabled,
            Bank::Pending => &self.pending,
            Bank::Active => &self.active,
        }
    }

    /// Those of the 32 interrupts of word `index` that exist and whose bit is one.
    fn of_bank(&self, index: usize, bits: u32) -> impl Iterator<Item = ExceptionNumber> {
        let first = exception::IRQ0 + 32 * (index as u16 & 7);
        Ones(bits).map(move |bit| first + bit).filter(|&number| self.is_implemented(number))
    }

    /// Enables or disables interrupts of word `index`, those whose bit is one.
    pub fn enable_bank(&self, index: usize, bits: u32, on: bool) {
        self.of_bank(index, bits).for_each(|number| self.set_enabled(number, on));
    }

    /// Makes interrupts of word `index` pending. Returns whether any was not.
    pub fn pend_bank(&self, index: usize, bits: u32) -> bool {
        self.of_bank(index, bits).filter(|&number| self.pend(number)).count() != 0
    }

    /// Makes interrupts of word `index` not pending, as [`Nvic::unpend`].
    pub fn unpend_bank(&self, index: usize, bits: u32) {
        self.of_bank(index, bits).for_each(|number| self.unpend(number));
    }
}

/// A bank of registers with a bit for each external interrupt.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Bank {
    /// ISER, ICER.
    Enabled,
    /// ISPR, ICPR.
    Pending,
    /// IABR.
    Active,
}

#[cfg(test)]
mod tests {
    use super::*;
    use exception::*;

    const NONE: Masks = Masks { primask: false, faultmask: false, basepri: 0 };

    fn irq(n: u16) -> ExceptionNumber {
        IRQ0 + n
    }

    /// An NVIC with these interrupts enabled and pending, and their priorities.
    fn pending(bits: u8, irqs: &[(u16, u8)]) -> Nvic {
        let nvic = Nvic::new(240, bits);
        for &(n, priority) in irqs {
            nvic.set_priority_register(irq(n), priority);
            nvic.set_enabled(irq(n), true);
            nvic.pend(irq(n));
        }
        nvic
    }

    #[test]
    fn the_highest_priority_comes_first_and_the_lowest_number_among_equals() {
        let nvic = pending(8, &[(0, 0x40), (200, 0x20), (7, 0x20), (31, 0x21)]);
        let mut order = Vec::new();
        while let Some(number) = nvic.candidate(THREAD_PRIORITY) {
            order.push(number - IRQ0);
            nvic.unpend(number);
        }
        assert_eq!(order, [7, 200, 31, 0]);
    }

    #[test]
    fn unimplemented_priority_bits_read_as_zero() {
        for (bits, expected) in [(2, 0xc0), (3, 0xe0), (8, 0xff)] {
            let nvic = pending(bits, &[(1, 0xff)]);
            assert_eq!(nvic.priority_register(irq(1)), expected);
        }
        let nvic = Nvic::new(39, 3);
        nvic.set_priority_register(irq(39), 0xff);
        assert_eq!(nvic.priority_register(irq(39)), 0);
        assert!(!nvic.pend(irq(39)));
    }

    // B1.5.4: subpriorities decide the order of those pending, never preemption.
    #[test]
    fn a_subpriority_does_not_preempt() {
        let nvic = pending(8, &[(1, 0x40)]);
        nvic.activate(irq(1));
        nvic.set_priority_register(irq(2), 0x20);
        nvic.set_enabled(irq(2), true);
        nvic.pend(irq(2));
        for (prigroup, preempts) in [(0, true), (4, true), (5, true), (6, false), (7, false)] {
            nvic.set_prigroup(prigroup);
            let taken = nvic.candidate(nvic.execution_priority(NONE));
            assert_eq!(taken.is_some(), preempts, "PRIGROUP {prigroup}");
        }
        nvic.deactivate(irq(1));
        nvic.pend(irq(1));
        assert_eq!(nvic.candidate(THREAD_PRIORITY), Some(irq(2)));
    }

    #[test]
    fn masks_boost_the_priority() {
        let nvic = pending(8, &[(0, 0x40), (1, 0x80)]);
        let basepri = |basepri| Masks { basepri, ..NONE };
        for (masks, execution, taken) in [
            (NONE, 256, Some(irq(0))),
            (basepri(0x41), 0x40, None),
            (basepri(0x42), 0x42, Some(irq(0))),
            (basepri(0x40), 0x40, None),
            (Masks { primask: true, ..basepri(0x80) }, 0, None),
            (Masks { faultmask: true, primask: true, basepri: 0 }, -1, None),
        ] {
            assert_eq!(nvic.execution_priority(masks), execution, "{masks:?}");
            assert_eq!(nvic.candidate(execution), taken, "{masks:?}");
        }
        nvic.pend(HARD_FAULT);
        assert_eq!(nvic.candidate(0), Some(HARD_FAULT));
        assert_eq!(nvic.candidate(-1), None);
        nvic.pend(NMI);
        assert_eq!(nvic.candidate(-1), Some(NMI));
        assert_eq!(nvic.candidate(-2), None);
    }

    #[test]
    fn the_priority_of_nested_exceptions_is_the_highest_of_them() {
        let nvic = pending(4, &[(0, 0x80), (1, 0x40)]);
        nvic.activate(irq(0));
        assert_eq!(nvic.execution_priority(NONE), 0x80);
        nvic.activate(irq(1));
        assert_eq!(nvic.execution_priority(NONE), 0x40);
        // An active exception whose priority is changed counts with the new one.
        nvic.set_priority_register(irq(0), 0x10);
        assert_eq!(nvic.execution_priority(NONE), 0x10);
        nvic.deactivate(irq(0));
        assert_eq!(nvic.execution_priority(NONE), 0x40);
    }

    #[test]
    fn a_level_pends_again_at_return_and_a_pulse_once() {
        let nvic = Nvic::new(32, 3);
        assert!(nvic.set_level(3, true));
        assert!(!nvic.set_level(3, true));
        nvic.unpend(irq(3));
        assert!(nvic.is_pending(irq(3)), "the input is still high");
        nvic.activate(irq(3));
        assert!(!nvic.is_pending(irq(3)));
        assert!(nvic.deactivate(irq(3)));
        nvic.activate(irq(3));
        nvic.set_level(3, false);
        assert!(!nvic.deactivate(irq(3)));
        assert!(!nvic.is_pending(irq(3)));
        // A pulse while the handler runs makes it run once more.
        nvic.activate(irq(3));
        assert!(nvic.set_level(3, true));
        nvic.set_level(3, false);
        nvic.deactivate(irq(3));
        assert!(nvic.is_pending(irq(3)));
        nvic.unpend(irq(3));
        assert!(!nvic.is_pending(irq(3)));
    }

    #[test]
    fn registers_hold_external_interrupts_only() {
        let nvic = Nvic::new(40, 3);
        nvic.pend(PEND_SV);
        assert_eq!((0..8).map(|i| nvic.bank(Bank::Pending, i)).sum::<u32>(), 0);
        assert!(!nvic.interrupt_pending());
        assert!(nvic.pend_bank(1, u32::MAX));
        assert!(!nvic.pend_bank(1, u32::MAX));
        assert_eq!(nvic.bank(Bank::Pending, 1), 0xff);
        assert_eq!((nvic.bank(Bank::Pending, 0), nvic.bank(Bank::Pending, 2)), (0, 0));
        nvic.unpend_bank(1, 0xf0);
        assert_eq!(nvic.bank(Bank::Pending, 1), 0x0f);
        nvic.enable_bank(0, 1 << 31, true);
        assert!(nvic.is_enabled(irq(31)));
        assert_eq!(nvic.bank(Bank::Enabled, 0), 1 << 31);
        let wide = Nvic::new(240, 8);
        wide.enable_bank(7, u32::MAX, true);
        assert_eq!(wide.bank(Bank::Enabled, 7), 0xffff);
    }
}
