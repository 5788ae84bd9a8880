//! The privileged architecture: CSRs, traps, translation, physical memory protection.
//!
//! Follows the RISC-V Instruction Set Manual, Volume II (20240411), with Sstc, Svadu, Svpbmt, Svnapot and Svinval. Left out:
//! the hypervisor extension, debug triggers (their CSRs read as zero), Smstateen, and big-endian or 32-bit modes of RV64.

pub(crate) mod csr;
mod ops;
pub(crate) mod pmp;
mod translate;
mod trap;

use cpu_core::AccessKind;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

use pmp::Pmp;

/// Privilege levels.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Privilege {
    /// U-mode.
    User = 0,
    /// S-mode.
    Supervisor = 1,
    /// M-mode.
    Machine = 3,
}

impl Privilege {
    /// From the two bits of an xPP field; the reserved value counts as U.
    pub const fn from_bits(bits: u64) -> Privilege {
        match bits & 3 {
            3 => Privilege::Machine,
            1 => Privilege::Supervisor,
            _ => Privilege::User,
        }
    }
}

/// Exception codes of `mcause`.
#[allow(missing_docs)]
pub mod cause {
    pub const INSTRUCTION_MISALIGNED: u64 = 0;
    pub const INSTRUCTION_ACCESS: u64 = 1;
    pub const ILLEGAL_INSTRUCTION: u64 = 2;
    pub const BREAKPOINT: u64 = 3;
    pub const LOAD_MISALIGNED: u64 = 4;
    pub const LOAD_ACCESS: u64 = 5;
    pub const STORE_MISALIGNED: u64 = 6;
    pub const STORE_ACCESS: u64 = 7;
    pub const ECALL_U: u64 = 8;
    pub const ECALL_S: u64 = 9;
    pub const ECALL_M: u64 = 11;
    pub const INSTRUCTION_PAGE: u64 = 12;
    pub const LOAD_PAGE: u64 = 13;
    pub const STORE_PAGE: u64 = 15;
}

/// Interrupt bits of `mip` and `mie`.
#[allow(missing_docs)]
pub mod irq {
    pub const SSI: u64 = 1 << 1;
    pub const MSI: u64 = 1 << 3;
    pub const STI: u64 = 1 << 5;
    pub const MTI: u64 = 1 << 7;
    pub const SEI: u64 = 1 << 9;
    pub const MEI: u64 = 1 << 11;
    pub const SUPERVISOR: u64 = SSI | STI | SEI;
    pub const MACHINE: u64 = MSI | MTI | MEI;
}

/// Bits of `mstatus` (in the RV64 layout, also for RV32, where bits 63..32 are `mstatush`).
#[allow(missing_docs)]
pub mod status {
    pub const SIE: u64 = 1 << 1;
    pub const MIE: u64 = 1 << 3;
    pub const SPIE: u64 = 1 << 5;
    pub const MPIE: u64 = 1 << 7;
    pub const SPP: u64 = 1 << 8;
    pub const MPP: u64 = 3 << 11;
    pub const FS: u64 = 3 << 13;
    pub const MPRV: u64 = 1 << 17;
    pub const SUM: u64 = 1 << 18;
    pub const MXR: u64 = 1 << 19;
    pub const TVM: u64 = 1 << 20;
    pub const TW: u64 = 1 << 21;
    pub const TSR: u64 = 1 << 22;
    pub const UXL: u64 = 3 << 32;
    pub const SXL: u64 = 3 << 34;
    pub const SD: u64 = 1 << 63;
}

/// Bits of `menvcfg` and `senvcfg`.
#[allow(missing_docs)]
pub mod envcfg {
    pub const FIOM: u64 = 1;
    pub const CBIE: u64 = 3 << 4;
    pub const CBCFE: u64 = 1 << 6;
    pub const CBZE: u64 = 1 << 7;
    pub const ADUE: u64 = 1 << 61;
    pub const PBMTE: u64 = 1 << 62;
    pub const STCE: u64 = 1 << 63;
}

/// The privileged state of a hart, apart from what the interpreter's loop keeps.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Sys {
    pub privilege: Cell<Privilege>,
    /// Without FS, which is apart, and SD, which is derived.
    pub mstatus: Cell<u64>,
    /// 0 off, 1 initial, 2 clean, 3 dirty.
    pub fs: Cell<u8>,
    pub medeleg: Cell<u64>,
    pub mideleg: Cell<u64>,
    pub mie: Cell<u64>,
    /// Bits that software sets: SSIP, STIP, SEIP.
    pub mip: Cell<u64>,
    /// Bits that come by wire.
    pub lines: Cell<u64>,
    pub mtvec: Cell<u64>,
    pub mscratch: Cell<u64>,
    pub mepc: Cell<u64>,
    pub mcause: Cell<u64>,
    pub mtval: Cell<u64>,
    pub mcounteren: Cell<u32>,
    pub mcountinhibit: Cell<u32>,
    pub menvcfg: Cell<u64>,
    pub stvec: Cell<u64>,
    pub sscratch: Cell<u64>,
    pub sepc: Cell<u64>,
    pub scause: Cell<u64>,
    pub stval: Cell<u64>,
    pub scounteren: Cell<u32>,
    pub senvcfg: Cell<u64>,
    pub satp: Cell<u64>,
    pub stimecmp: Cell<u64>,
    pub pmp: Pmp,
    /// `mcycle` minus cycles of virtual time, or its value while inhibited.
    pub cycle: Cell<u64>,
    /// `minstret` minus instructions executed, or its value while inhibited.
    pub instret: Cell<u64>,
    pub asleep: Cell<bool>,
    pub stopped: Cell<bool>,
    /// Reserved address and the value that was there.
    pub reservation: Cell<Option<(u64, u64)>>,
    /// Left out of the vector extension so far: part of the key of decoded code.
    pub vtype: Cell<u64>,
}

impl Default for Sys {
    fn default() -> Sys {
        let zero = || Cell::new(0);
        Sys {
            privilege: Cell::new(Privilege::Machine),
            mstatus: zero(),
            fs: Cell::new(0),
            medeleg: zero(),
            mideleg: zero(),
            mie: zero(),
            mip: zero(),
            lines: zero(),
            mtvec: zero(),
            mscratch: zero(),
            mepc: zero(),
            mcause: zero(),
            mtval: zero(),
            mcounteren: Cell::new(0),
            mcountinhibit: Cell::new(0),
            menvcfg: zero(),
            stvec: zero(),
            sscratch: zero(),
            sepc: zero(),
            scause: zero(),
            stval: zero(),
            scounteren: Cell::new(0),
            senvcfg: zero(),
            satp: zero(),
            stimecmp: Cell::new(u64::MAX),
            pmp: Pmp::default(),
            cycle: zero(),
            instret: zero(),
            asleep: Cell::new(false),
            stopped: Cell::new(false),
            reservation: Cell::new(None),
            vtype: zero(),
        }
    }
}

/// The page fault of an access.
pub(crate) const fn page_fault(kind: AccessKind) -> u64 {
    match kind {
        AccessKind::Read => cause::LOAD_PAGE,
        AccessKind::Write => cause::STORE_PAGE,
        AccessKind::Fetch => cause::INSTRUCTION_PAGE,
    }
}

/// The access fault of an access.
pub(crate) const fn access_fault(kind: AccessKind) -> u64 {
    match kind {
        AccessKind::Read => cause::LOAD_ACCESS,
        AccessKind::Write => cause::STORE_ACCESS,
        AccessKind::Fetch => cause::INSTRUCTION_ACCESS,
    }
}
