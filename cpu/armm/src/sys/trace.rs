//! The trace units that software without a debugger uses: DWT's cycle counter, ITM's stimulus ports, and the presence of the
//! trace port and the ROM table.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), C1.7 to C1.11, and the Cortex-M4 Technical Reference Manual
//! (DDI 0439D), chapters 8 to 11. Left out: DWT's profiling counters and
//! trace packets (DWT_CTRL says so), time stamps, the formatter.

use serde::{Deserialize, Serialize};

/// One write to a stimulus port.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Stimulus {
    /// The port, 0 to 31.
    pub port: u8,
    /// What was written.
    pub value: u32,
    /// How many of its bytes: 1, 2 or 4.
    pub len: u8,
}

impl Stimulus {
    /// The bytes in the order in which they leave the pin.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        self.value.to_le_bytes().into_iter().take(self.len as usize)
    }
}

/// The most writes that are kept for a host that does not fetch them.
const MAX_OUTPUT: usize = 1 << 16;

/// ITM_LAR's key.
const UNLOCK: u32 = 0xc5ac_ce55;

/// The instrumentation trace macrocell.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub struct Itm {
    /// ITM_TER.
    pub enabled: u32,
    /// ITM_TPR: a bit for eight ports.
    pub privilege: u32,
    /// ITM_TCR.
    pub control: u32,
    unlocked: bool,
    #[serde(skip)]
    output: Vec<Stimulus>,
}

impl Itm {
    const ITMENA: u32 = 1;

    /// Writes a stimulus port.
    pub fn write_port(&mut self, stimulus: Stimulus, privileged: bool, trace_enabled: bool) {
        let bit = |word: u32, n: u8| word.checked_shr(n as u32).unwrap_or(0) & 1 != 0;
        let port = stimulus.port;
        let open = trace_enabled
            && self.control & Self::ITMENA != 0
            && bit(self.enabled, port)
            && (privileged || !bit(self.privilege, port / 8));
        if open && self.output.len() < MAX_OUTPUT {
            self.output.push(stimulus);
        }
    }

    /// What a stimulus port reads as: whether it takes a write.
    pub fn read_port(&self) -> u32 {
        1
    }

    /// What was written since the last call.
    pub fn take_output(&mut self) -> Vec<Stimulus> {
        std::mem::take(&mut self.output)
    }

    /// Writes ITM_TER; unprivileged code sets what ITM_TPR leaves to it.
    pub fn write_enabled(&mut self, value: u32, privileged: bool) {
        if self.unlocked {
            let mask = (0..4).fold(0, |mask, byte| {
                mask | if privileged || self.privilege >> byte & 1 == 0 { 0xff << (8 * byte) } else { 0 }
            });
            self.enabled = self.enabled & !mask | value & mask;
        }
    }

    /// Writes ITM_TPR.
    pub fn write_privilege(&mut self, value: u32) {
        if self.unlocked {
            self.privilege = value & 0xf;
        }
    }

    /// Writes ITM_TCR.
    pub fn write_control(&mut self, value: u32) {
        if self.unlocked {
            self.control = value & 0x007f_0f1f;
        }
    }

    /// Writes ITM_LAR.
    pub fn write_lock(&mut self, value: u32) {
        self.unlocked = value == UNLOCK;
    }

    /// ITM_LSR: a lock exists, and whether it is closed.
    pub fn read_lock_status(&self) -> u32 {
        1 | if self.unlocked { 0 } else { 2 }
    }
}

/// The data watchpoint and trace unit: its cycle counter, which counts instructions.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub struct Dwt {
    counts: bool,
    /// The counter minus instructions executed, or its value while it stands.
    offset: u32,
}

impl Dwt {
    /// NOTRCPKT, NOEXTTRIG and NOPRFCNT, and how many comparators there are.
    const ABSENT: u32 = 1 << 27 | 1 << 26 | 1 << 24 | (super::debug::WATCHPOINTS as u32) << 28;

    /// DWT_CTRL.
    pub fn read_control(&self) -> u32 {
        Self::ABSENT | self.counts as u32
    }

    /// Writes DWT_CTRL when `instructions` have been executed.
    pub fn write_control(&mut self, value: u32, trace_enabled: bool, instructions: u64) {
        self.run(value & 1 != 0, trace_enabled, trace_enabled, instructions);
    }

    /// DEMCR.TRCENA changes.
    pub fn trace_enable(&mut self, was: bool, is: bool, instructions: u64) {
        self.run(self.counts, was, is, instructions);
    }

    fn run(&mut self, counts: bool, trace_was: bool, trace_is: bool, instructions: u64) {
        let value = self.cycles(trace_was, instructions);
        self.counts = counts;
        self.set_cycles(value, trace_is, instructions);
    }

    /// DWT_CYCCNT when `instructions` have been executed.
    pub fn cycles(&self, trace_enabled: bool, instructions: u64) -> u32 {
        if self.counts && trace_enabled { self.offset.wrapping_add(instructions as u32) } else { self.offset }
    }

    /// Writes DWT_CYCCNT.
    pub fn set_cycles(&mut self, value: u32, trace_enabled: bool, instructions: u64) {
        self.offset =
            if self.counts && trace_enabled { value.wrapping_sub(instructions as u32) } else { value };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Itm {
        let mut itm = Itm::default();
        itm.write_lock(UNLOCK);
        itm.write_control(1);
        itm.write_enabled(0x0000_0101, true);
        itm
    }

    #[test]
    fn a_port_passes_what_is_enabled_and_permitted() {
        let mut itm = open();
        itm.write_privilege(0b0010);
        let write = |port, value, len| Stimulus { port, value, len };
        itm.write_port(write(0, 0x41, 1), false, true);
        itm.write_port(write(1, 0x42, 1), true, true);
        itm.write_port(write(8, 0x43, 1), false, true);
        itm.write_port(write(8, 0x4645_4443, 4), true, true);
        itm.write_port(write(0, 0x44, 1), true, false);
        let out: Vec<u8> = itm.take_output().iter().flat_map(Stimulus::bytes).collect();
        assert_eq!(out, b"ACDEF");
        assert!(itm.take_output().is_empty());
        itm.write_control(0);
        itm.write_port(write(0, 0x41, 1), true, true);
        assert!(itm.take_output().is_empty());
    }

    #[test]
    fn the_lock_guards_the_control_registers() {
        let mut itm = open();
        assert_eq!(itm.read_lock_status(), 1);
        itm.write_lock(0);
        assert_eq!(itm.read_lock_status(), 3);
        itm.write_control(0);
        itm.write_enabled(0, true);
        itm.write_privilege(0xf);
        assert_eq!((itm.control, itm.enabled, itm.privilege), (1, 0x101, 0));
    }

    #[test]
    fn unprivileged_code_enables_the_ports_left_to_it() {
        let mut itm = open();
        itm.write_privilege(0b0001);
        itm.write_enabled(0xffff_ff00, false);
        assert_eq!(itm.enabled, 0xffff_ff01);
    }

    #[test]
    fn cycles_are_instructions_while_both_enables_are_set() {
        let mut dwt = Dwt::default();
        dwt.write_control(1, false, 100);
        assert_eq!(dwt.cycles(false, 200), 0);
        dwt.trace_enable(false, true, 300);
        assert_eq!(dwt.cycles(true, 350), 50);
        dwt.set_cycles(u32::MAX, true, 400);
        assert_eq!(dwt.cycles(true, 402), 1);
        dwt.write_control(0, true, 410);
        assert_eq!((dwt.cycles(true, 999), dwt.read_control()), (9, 0x4d00_0000));
    }
}
