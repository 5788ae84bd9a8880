//! Why an instruction stopped: what meanings and accesses raise, with one value each.

/// No such instruction (UsageFault, UNDEFINSTR). Value: 0.
pub const UNDEFINED: u64 = 1;
/// A coprocessor or the FPU is disabled or missing (UsageFault, NOCP). Value: 0.
pub const NO_COPROCESSOR: u64 = 2;
/// Execution with EPSR.T clear (UsageFault, INVSTATE). Value: 0.
pub const INVALID_STATE: u64 = 3;
/// An unaligned access that is not allowed (UsageFault, UNALIGNED; HardFault on ARMv6-M). Value: its address.
pub const UNALIGNED: u64 = 4;
/// Division by zero with CCR.DIV_0_TRP set (UsageFault, DIVBYZERO). Value: 0.
pub const DIVIDE_BY_ZERO: u64 = 5;
/// The MPU denies a data access (MemManage, DACCVIOL). Value: its address.
pub const DATA_ACCESS: u64 = 6;
/// The MPU or the memory map denies a fetch (MemManage, IACCVIOL). Value: its address.
pub const FETCH_ACCESS: u64 = 7;
/// The bus does not complete a data access (BusFault, PRECISERR). Value: its address.
pub const DATA_BUS: u64 = 8;
/// The bus does not complete a fetch (BusFault, IBUSERR). Value: its address.
pub const FETCH_BUS: u64 = 9;
/// SVC: `pc` and ITSTATE are already those of the next instruction. Value: its immediate.
pub const SUPERVISOR_CALL: u64 = 10;
/// BKPT that is no semihosting call (DebugMonitor or HardFault, B3.2.16). Value: its immediate.
pub const BREAKPOINT: u64 = 11;
/// Not a fault: the instruction is complete but for a branch to the value, an address whose bit 0 is clear or which may be
/// an EXC_RETURN value. See [`crate::semantics::Arm::exchange`].
pub const EXCHANGE: u64 = 12;
/// Not a fault: the FPU has to be made ready, and the instruction to run after that. Value: 0.
pub(crate) const PREPARE_FLOAT: u64 = 13;
/// Not a fault: as [`EXCHANGE`], but no value is an EXC_RETURN (BLX).
pub const CLEAR_THUMB: u64 = 14;
/// Not a fault: the interpreter has to run the instruction. Raised by recorded code only.
pub(crate) const INTERPRET: u64 = 15;
