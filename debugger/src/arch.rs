//! What gdb knows about an instruction set, and gdbstub's view of any of them.

use cpu_core::{RegisterGroup, RegisterInfo};
use gdbstub::arch::{Arch, RegId, Registers};
use std::num::NonZeroUsize;

/// An instruction set, as gdb names it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Architecture {
    /// RV32.
    Riscv32,
    /// RV64.
    Riscv64,
    /// Arm of the M profile.
    ArmM,
}

impl Architecture {
    /// gdb's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Riscv32 => "riscv:rv32",
            Architecture::Riscv64 => "riscv:rv64",
            Architecture::ArmM => "arm",
        }
    }

    /// The standard feature of its target description in which gdb looks for a register.
    pub fn feature(self, register: &RegisterInfo) -> &'static str {
        if self == Architecture::ArmM {
            return match register.group {
                RegisterGroup::General => "org.gnu.gdb.arm.m-profile",
                RegisterGroup::Float | RegisterGroup::Vector => "org.gnu.gdb.arm.vfp",
                RegisterGroup::System => "org.gnu.gdb.arm.m-system",
            };
        }
        match register.group {
            _ if register.name == "priv" => "org.gnu.gdb.riscv.virtual",
            RegisterGroup::General => "org.gnu.gdb.riscv.cpu",
            RegisterGroup::Float => "org.gnu.gdb.riscv.fpu",
            RegisterGroup::Vector => "org.gnu.gdb.riscv.vector",
            RegisterGroup::System => "org.gnu.gdb.riscv.csr",
        }
    }

    /// Whether a core with these registers may translate addresses.
    pub fn translates(self, registers: &[RegisterInfo]) -> bool {
        registers.iter().any(|register| register.name == "satp")
    }
}

/// Any architecture: sizes come from the registers that a core lists. Addresses of narrower ones are zero-extended.
pub(crate) enum AnyArch {}

impl Arch for AnyArch {
    type Usize = u64;
    type Registers = RegisterBytes;
    type BreakpointKind = usize;
    type RegId = RegisterNumber;
}

/// The general registers in gdb's order, little-endian; `None` where a byte can not be told.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct RegisterBytes(pub Vec<Option<u8>>);

impl Registers for RegisterBytes {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        // gdbstub never asks.
        0
    }

    fn gdb_serialize(&self, write_byte: impl FnMut(Option<u8>)) {
        self.0.iter().copied().for_each(write_byte);
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 = bytes.iter().copied().map(Some).collect();
        Ok(())
    }
}

/// gdb's number of a register.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct RegisterNumber(pub u32);

impl RegId for RegisterNumber {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        Some((RegisterNumber(u32::try_from(id).ok()?), None))
    }
}
