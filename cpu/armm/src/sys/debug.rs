//! Breakpoints and watchpoints for a debug monitor: the code comparators of the FPB, and the DWT's for data addresses.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), C1.8 and C1.11, and the Cortex-M4 Technical Reference Manual (DDI
//! 0439D), chapters 9 and 11: six comparators and four. An instruction at a breakpoint does not run; it raises what BKPT does.
//! An access that a watchpoint matches completes, and DebugMonitor is taken behind its instruction, if it is enabled and
//! its priority suffices; else nothing happens. DFSR tells which of them it was.
//!
//! They cost nothing where they are not: a breakpoint is decoded in place of its instruction, and accesses to pages with
//! a watchpoint do not go by the TLB.
//!
//! Left out: FPB's remapping and literal comparators (FP_CTRL and FP_REMAP say so); comparators for instruction addresses,
//! data values and cycles in the DWT; MON_STEP; vector catch.

use cpu_core::memory::PAGE_SIZE;
use serde::{Deserialize, Serialize};

use super::bits;
use super::nvic::exception as number;
use super::table::Word;
use crate::state::State;

/// Comparators of the FPB for code.
pub const BREAKPOINTS: usize = 6;
/// Comparators of the DWT.
pub const WATCHPOINTS: usize = 4;

/// Of FP_CTRL: without it a write is ignored.
const KEY: u32 = 1 << 1;
/// Of FP_COMP.
const COMPARED: u32 = 0x1fff_fffc;
/// Of DWT_FUNCTION.
const MATCHED: u32 = 1 << 24;
const DFSR_DWTTRAP: u32 = 1 << 2;

/// The flash patch and breakpoint unit.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub struct Fpb {
    enabled: bool,
    comparators: [u32; BREAKPOINTS],
}

impl Fpb {
    /// FP_CTRL.
    pub fn read_control(&self) -> u32 {
        (BREAKPOINTS as u32) << 4 | self.enabled as u32
    }

    /// Writes FP_CTRL.
    pub fn write_control(&mut self, value: u32) {
        if value & KEY != 0 {
            self.enabled = value & 1 != 0;
        }
    }

    /// FP_COMP.
    pub fn read(&self, index: usize) -> u32 {
        self.comparators.get(index).copied().unwrap_or(0)
    }

    /// Writes FP_COMP.
    pub fn write(&mut self, index: usize, value: u32) {
        if let Some(comparator) = self.comparators.get_mut(index) {
            *comparator = value & (3 << 30 | COMPARED | 1);
        }
    }

    /// Whether the instruction whose first halfword is at `addr` is a breakpoint.
    pub fn hits(&self, addr: u32) -> bool {
        let halfword = if addr & 2 == 0 { 1 << 30 } else { 1 << 31 };
        self.enabled
            && self
                .comparators
                .iter()
                .any(|&comp| comp & 1 != 0 && comp & halfword != 0 && comp & COMPARED == addr & !3)
    }

    /// The words with breakpoints.
    fn words(&self) -> impl Iterator<Item = u32> {
        self.comparators.into_iter().filter(|comp| comp & 1 != 0).map(|comp| comp & COMPARED)
    }
}

/// DWT_COMP, DWT_MASK and DWT_FUNCTION.
#[derive(Copy, Clone, Default, Serialize, Deserialize, Debug)]
struct Comparator {
    address: u32,
    mask: u32,
    function: u32,
}

impl Comparator {
    /// First and last byte; `None` where it does not compare data addresses.
    fn bounds(&self) -> Option<(u32, u32)> {
        let within = (1 << self.mask) - 1;
        matches!(self.function & 0xf, 5..=7).then_some((self.address & !within, self.address | within))
    }

    fn matches(&self, first: u32, last: u32, write: bool) -> bool {
        let kind = if write { self.function & 2 } else { self.function & 1 };
        kind != 0 && self.bounds().is_some_and(|(from, to)| from <= last && first <= to)
    }
}

/// The comparators of the data watchpoint and trace unit.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub struct Watchpoints([Comparator; WATCHPOINTS]);

impl Watchpoints {
    /// The register at word `index` from DWT_COMP0 on; reading DWT_FUNCTION clears MATCHED.
    pub fn read(&mut self, index: usize) -> u32 {
        let Some(comparator) = self.0.get_mut(index / 4) else { return 0 };
        match index % 4 {
            0 => comparator.address,
            1 => comparator.mask,
            2 => {
                let value = comparator.function;
                comparator.function &= !MATCHED;
                value
            }
            _ => 0,
        }
    }

    /// Writes such a register.
    pub fn write(&mut self, index: usize, value: u32) {
        let Some(comparator) = self.0.get_mut(index / 4) else { return };
        match index % 4 {
            0 => comparator.address = value,
            // The largest that the Cortex-M4 has ignores half of a page.
            1 => comparator.mask = value.min(15),
            2 => comparator.function = value & 0xf | comparator.function & MATCHED,
            _ => {}
        }
    }

    /// Whether there is one for data in the page of `addr`.
    fn watches_page(&self, addr: u32) -> bool {
        let first = addr & !(PAGE_SIZE as u32 - 1);
        let last = first | (PAGE_SIZE as u32 - 1);
        self.0.iter().filter_map(Comparator::bounds).any(|(from, to)| from <= last && first <= to)
    }

    fn any(&self) -> bool {
        self.0.iter().any(|comparator| comparator.bounds().is_some())
    }
}

impl State {
    /// Changes the FPB. What was decoded at breakpoints, before or from now on, is decoded anew.
    pub(super) fn change_breakpoints(&self, change: impl FnOnce(&mut Fpb)) {
        let mut fpb = self.sys.fpb.borrow_mut();
        let before: Vec<u32> = fpb.words().collect();
        change(&mut fpb);
        for word in before.into_iter().chain(fpb.words()) {
            // An instruction may begin in the word and end behind it.
            self.memory.touched(word as u64, 4);
        }
        self.leave.set(true);
    }

    /// Whether the instruction at `addr` is a breakpoint of the guest's.
    pub(crate) fn is_breakpoint(&self, addr: u64) -> bool {
        self.sys.fpb.borrow().hits(addr as u32)
    }

    /// After a change of the DWT or of DEMCR.TRCENA.
    pub(super) fn watchpoints_changed(&self) {
        let watching = self.sys.trace_enabled() && self.sys.watchpoints.borrow().any();
        if self.sys.watching.replace(watching) || watching {
            self.flush_all();
        }
    }

    /// Whether accesses to the page of `addr` have to be seen.
    pub(crate) fn is_watched(&self, addr: u64) -> bool {
        self.sys.watching.get() && self.sys.watchpoints.borrow().watches_page(addr as u32)
    }

    /// An instruction has loaded or stored `len` bytes at `addr`.
    pub(crate) fn watch(&self, addr: u64, len: u64, write: bool) {
        let sys = &self.sys;
        if !sys.watching.get() {
            return;
        }
        let (first, last) = (addr as u32, (addr as u32).saturating_add(len as u32 - 1));
        let mut watchpoints = sys.watchpoints.borrow_mut();
        let mut matched = false;
        for comparator in watchpoints.0.iter_mut().filter(|c| c.matches(first, last, write)) {
            comparator.function |= MATCHED;
            matched = true;
        }
        let nvic = &sys.nvic;
        let monitor = number::DEBUG_MONITOR;
        let can = sys.has(Word::Demcr, bits::MON_EN)
            && nvic.group(nvic.priority(monitor)) < sys.execution_priority();
        if matched && can {
            sys.set_bits(Word::Dfsr, DFSR_DWTTRAP);
            if nvic.pend(monitor) {
                self.became_pending();
            }
            self.leave.set(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoints_are_at_halfwords_of_a_word() {
        let mut fpb = Fpb::default();
        assert_eq!(fpb.read_control(), 0x60);
        fpb.write(0, 1 << 30 | 0x604 | 1);
        fpb.write(1, 2 << 30 | 0x704 | 1);
        fpb.write(5, 3 << 30 | 0x804 | 1);
        fpb.write(2, 3 << 30 | 0x904);
        let hits =
            |fpb: &Fpb| [0x604, 0x606, 0x704, 0x706, 0x804, 0x806, 0x904, 0x600].map(|at| fpb.hits(at));
        assert_eq!(hits(&fpb), [false; 8]);
        fpb.write_control(1);
        assert_eq!(fpb.read_control(), 0x60, "without the key");
        fpb.write_control(3);
        assert_eq!(hits(&fpb), [true, false, false, true, true, true, false, false]);
        assert_eq!((fpb.read_control(), fpb.read(5)), (0x61, 0xc000_0805));
    }

    #[test]
    fn watchpoints_match_accesses_that_touch_them() {
        let comparator = |function, mask| Comparator { address: 0x2000_0044, mask, function };
        let matches =
            |c: Comparator, first, last| [c.matches(first, last, false), c.matches(first, last, true)];
        assert_eq!(matches(comparator(5, 2), 0x2000_0046, 0x2000_0046), [true, false]);
        assert_eq!(matches(comparator(6, 2), 0x2000_0041, 0x2000_0044), [false, true]);
        assert_eq!(matches(comparator(7, 2), 0x2000_0048, 0x2000_004b), [false, false]);
        assert_eq!(matches(comparator(7, 3), 0x2000_0040, 0x2000_0040), [true, true]);
        assert_eq!(matches(comparator(4, 2), 0x2000_0044, 0x2000_0044), [false, false], "of instructions");
        let mut watchpoints = Watchpoints::default();
        for (index, value) in [(4, 0x2000_0ffc), (5, 3), (6, 7)] {
            watchpoints.write(index, value);
        }
        assert!(watchpoints.any());
        assert_eq!([0x2000_0000, 0x2000_1000].map(|at| watchpoints.watches_page(at)), [true, false]);
        assert_eq!([4, 5, 6, 7].map(|index| watchpoints.read(index)), [0x2000_0ffc, 3, 7, 0]);
    }
}
