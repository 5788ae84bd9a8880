//! How a machine drives a core.

use crate::bus::{Bus, Counter};
use crate::time::Time;
use thiserror::Error;

/// Why [`Core::run`] returned.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The budget is spent.
    Budget,
    /// The last instruction put the core to sleep (WFI, WFE); it executes nothing until [`Core::runnable`].
    Wait,
    /// [`Bus::attention`] was raised by the last instruction.
    Attention,
    /// The next instruction is at a breakpoint; it has not been executed.
    Breakpoint,
    /// The guest asks the emulator to act as its firmware (RISC-V `ecall` from S-mode with built-in SBI,
    /// Arm HVC/SMC for PSCI). The calling instruction counts as executed and the program counter is past it.
    FirmwareCall,
    /// The guest executed the semihosting sequence. Counted and passed like [`Exit::FirmwareCall`].
    Semihosting,
    /// The core can not go on (Arm lockup, a trap loop with no handler): architecturally it hangs.
    Lockup,
}

/// What a call of [`Core::run`] did.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// Instructions executed, at most the budget. An instruction that traps counts as one.
    pub executed: u64,
    /// Why it stopped.
    pub exit: Exit,
}

/// Which part of a target description a register belongs to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum RegisterGroup {
    /// General registers and the program counter.
    General,
    /// Floating point, with its control registers.
    Float,
    /// Vector.
    Vector,
    /// Control and status registers.
    System,
}

/// One register, as a debugger sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterInfo {
    /// gdb's name for it.
    pub name: &'static str,
    /// gdb's number for it.
    pub number: u32,
    /// Size in bits: 8, 16, 32, 64 or 128.
    pub bits: u32,
    /// gdb's type (`int`, `code_ptr`, `data_ptr`, `ieee_double`, ...).
    pub kind: &'static str,
    /// Where it stands in the target description.
    pub group: RegisterGroup,
}

/// A saved state does not fit this core, device or machine.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the saved state does not fit: {0}")]
pub struct RestoreError(pub String);

/// A core. One instruction is one cycle of its clock; the scheduler turns instructions into time.
pub trait Core {
    /// Executes at most `budget` instructions, the first of them at virtual time `start`.
    ///
    /// Interrupts are taken on the exact instruction where they become pending and enabled. The result depends
    /// only on guest state, `start` and the bus: never on how a run is cut into calls.
    fn run(&mut self, bus: &mut dyn Bus, start: Time, budget: u64) -> Ran;

    /// Picoseconds an instruction takes.
    fn period(&self) -> Time;

    /// Sets an interrupt input (RISC-V: the bit number in `mip`).
    fn set_line(&mut self, line: u32, level: bool);

    /// Whether there is anything to execute: not asleep, or woken by a pending interrupt at `now`.
    fn runnable(&mut self, now: Time, counter: Counter) -> bool;

    /// The first time after `now` at which the core's own timers (RISC-V `stimecmp`) may make an interrupt pending.
    /// The scheduler never runs the core past it in one call.
    fn deadline(&self, now: Time, counter: Counter) -> Time;

    /// Instructions executed since power-on.
    fn instructions(&self) -> u64;

    /// The program counter.
    fn pc(&self) -> u64;

    /// Back to the state at power-on (the instruction count goes on).
    fn reset(&mut self);

    /// Whether the hart is held stopped (RISC-V HSM, PSCI CPU_OFF): not runnable whatever its lines say.
    fn stopped(&self) -> bool;

    /// Stops before the instruction at one of these virtual addresses. The order does not matter.
    fn set_breakpoints(&mut self, addresses: &[u64]);

    /// When set, the next instruction executes even at a breakpoint; cleared by it.
    fn step_over_breakpoint(&mut self);

    /// The registers of this core, in gdb's order.
    fn registers(&self) -> &[RegisterInfo];

    /// The value of register `index` of [`Core::registers`]; `None` if it can not be read now.
    fn register(&self, index: usize) -> Option<u128>;

    /// Sets register `index`; false if it can not be written. Follows the register's own write rules (WARL).
    fn set_register(&mut self, index: usize, value: u128) -> bool;

    /// The physical address of `vaddr` under the current address space, without any effect on the guest.
    fn translate(&self, vaddr: u64) -> Option<u64>;

    /// One line for a human: privilege level, mode, why it sleeps.
    fn describe(&self) -> String;

    /// All guest-visible state, as bytes.
    fn save(&self) -> Vec<u8>;

    /// Replaces the state by one from [`Core::save`] of an equal core.
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError>;

    /// Disassembles the instruction at the start of `bytes`, with its length; `None` if there is none.
    fn disassemble(&self, pc: u64, bytes: &[u8]) -> Option<(String, usize)>;
}
