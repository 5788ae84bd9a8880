//! Machines with tiny guest programs, for tests.

use crate::cli::BoardArgs;
use crate::host::resources::HostResources;
use crate::load::Segment;
use crate::machine::boot::{self, BootPlan, Power, Start};
use crate::machine::build::{self, Options};
use crate::machine::{Machine, UnimplementedPolicy};
use cpu_core::Time;
use cpu_riscv::isa::{self, Id, Operands};

/// Where [`machine`] puts and starts the program.
pub const CODE: u64 = 0x8020_0000;

/// RAM for the program's results.
pub const DATA: u64 = 0x8030_0000;

pub const A0: u8 = 10;
pub const A1: u8 = 11;
pub const A2: u8 = 12;
pub const A6: u8 = 16;
pub const A7: u8 = 17;
pub const T0: u8 = 5;
pub const T1: u8 = 6;
pub const S0: u8 = 8;
pub const S1: u8 = 9;
pub const TIME: i64 = 0xc01;
pub const SIE: i64 = 0x104;
pub const SIP: i64 = 0x144;

/// A program being written.
#[derive(Default)]
pub struct Program(pub Vec<u8>);

impl Program {
    /// Appends an instruction: registers that it lacks are ignored.
    pub fn op(&mut self, id: Id, [rd, rs1, rs2]: [u8; 3], imm: i64) -> &mut Program {
        let operands = Operands { rd, rs1, rs2, imm: imm.try_into().unwrap(), ..Operands::ZERO };
        let word = isa::encode(id, &operands).unwrap_or_else(|| panic!("{id:?} {operands:?}"));
        self.0.extend_from_slice(&word.to_le_bytes());
        self
    }

    /// `rd = value` of 32 bits.
    pub fn li(&mut self, rd: u8, value: u64) -> &mut Program {
        let value = value as u32 as i32;
        let high = (value.wrapping_add(0x800)) & !0xfff;
        self.op(Id::Lui, [rd, 0, 0], high.into());
        self.op(Id::Addiw, [rd, rd, 0], value.wrapping_sub(high).into());
        self.op(Id::Slli, [rd, rd, 0], 32).op(Id::Srli, [rd, rd, 0], 32)
    }

    /// `rd = rs + imm`
    pub fn addi(&mut self, rd: u8, rs: u8, imm: i64) -> &mut Program {
        self.op(Id::Addi, [rd, rs, 0], imm)
    }

    /// `csrrs rd, csr, x0`
    pub fn read(&mut self, rd: u8, csr: i64) -> &mut Program {
        self.op(Id::Csrrs, [rd, 0, 0], csr)
    }

    /// An SBI call with the arguments that are in their registers.
    pub fn sbi(&mut self, extension: u64, function: i64) -> &mut Program {
        self.li(A7, extension).addi(A6, 0, function).op(Id::Ecall, [0; 3], 0)
    }

    /// How many bytes there are.
    pub fn here(&self) -> i64 {
        self.0.len() as i64
    }

    /// Jumps so many instructions back; 0 stays here for ever.
    pub fn back(&mut self, count: i64) -> &mut Program {
        self.op(Id::Jal, [0; 3], -4 * count)
    }

    /// Jumps to the offset `target`.
    pub fn jump(&mut self, target: i64) -> &mut Program {
        let offset = target - self.here();
        self.op(Id::Jal, [0; 3], offset)
    }
}

/// A board with so many cores, started in S-mode at [`CODE`] by the built-in SBI.
pub fn machine(board: &str, cpus: u32, program: &Program) -> Machine {
    let args = BoardArgs { memory: Some(64 << 20), cpus: Some(cpus), params: Vec::new() };
    let board = args.compile(board).unwrap();
    let mut resources = HostResources::default();
    let policy = UnimplementedPolicy::Warn;
    let options =
        Options { seed: 1, policy, builtin_sbi: true, semihosting: false, resources: &mut resources };
    let mut machine = build::build(&board, options).unwrap();
    let segment = Segment { addr: CODE, bytes: program.0.clone(), zeroes: 0 };
    machine.plan = BootPlan { segments: vec![segment], start: Start::Supervisor { pc: CODE, dtb: 0 } };
    boot::apply(&mut machine, Power::On);
    machine
}

/// Runs rounds to `end`; stops early at anything but the end of a round.
pub fn run_until(machine: &mut Machine, end: Time) -> super::Stop {
    while machine.now() < end {
        match machine.round(super::scheduler::Limit { instructions: None, time: Some(end) }) {
            super::Stop::Boundary => {}
            stop => return stop,
        }
    }
    super::Stop::Boundary
}

/// A 64-bit word of guest memory.
pub fn word(machine: &Machine, addr: u64) -> u64 {
    machine.bus.services.memory.read_le(addr, 8).unwrap()
}
