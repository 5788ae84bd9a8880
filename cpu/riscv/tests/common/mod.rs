//! A hart with some memory, a device page and a clock, and encoders for hand-written programs.
#![allow(dead_code)]

use cpu_core::{
    Access, Bus, BusFault, Core, Counter, Exit, GuestMemory, MemoryKind, Ran, RegionSpec, Time, Width,
};
use cpu_riscv::{Hart, HartConfig, Mmu};

pub const RAM: u64 = 0x8000_0000;
pub const RAM_SIZE: u64 = 0x40_0000;
pub const CODE: u64 = RAM + 0x1000;
pub const M_HANDLER: u64 = RAM + 0x100;
pub const S_HANDLER: u64 = RAM + 0x200;
/// Pages for tables, from here on.
pub const TABLES: u64 = RAM + 0x10_0000;
pub const DATA: u64 = RAM + 0x20_0000;
/// Answers the low byte of the address; nothing answers elsewhere.
pub const DEVICE: u64 = 0x1000_0000;

pub const ALL: [&str; 38] = [
    "i", "m", "a", "f", "d", "c", "zicsr", "zifencei", "zicntr", "zihpm", "zba", "zbb", "zbc", "zbs", "zbkb",
    "zbkx", "zknd", "zkne", "zknh", "zksed", "zksh", "zicond", "zfa", "zfh", "zcb", "zicbom", "zicbop",
    "zicboz", "zacas", "zabha", "zawrs", "zimop", "zcmop", "svinval", "svnapot", "svpbmt", "svadu", "sstc",
];

/// What the device page saw, and a 10 MHz counter.
#[derive(Default)]
pub struct TestBus {
    pub log: Vec<(u64, u64, Time)>,
    pub attention: bool,
}

impl Bus for TestBus {
    fn read(&mut self, who: &Access, paddr: u64, _: Width) -> Result<u64, BusFault> {
        if paddr & !0xfff != DEVICE {
            return Err(BusFault { paddr });
        }
        self.log.push((paddr, u64::MAX, who.now));
        Ok(paddr & 0xff)
    }
    fn write(&mut self, who: &Access, paddr: u64, _: Width, value: u64) -> Result<(), BusFault> {
        if paddr & !0xfff != DEVICE {
            return Err(BusFault { paddr });
        }
        self.log.push((paddr, value, who.now));
        self.attention |= paddr & 0xfff == 0x800;
        Ok(())
    }
    fn attention(&self) -> bool {
        self.attention
    }
    fn counter(&self) -> Counter {
        Counter { hz: 10_000_000, offset: 0 }
    }
}

pub struct Rig {
    pub hart: Hart,
    pub memory: GuestMemory,
    pub bus: TestBus,
    /// Virtual time goes on over calls.
    pub now: Time,
    next_table: u64,
}

pub fn memory() -> GuestMemory {
    let ram = RegionSpec { name: "ram".into(), base: RAM, size: RAM_SIZE, kind: MemoryKind::Ram };
    GuestMemory::new(vec![ram]).unwrap()
}

pub fn config(base: &str, extensions: &[&str], mmu: Mmu) -> HartConfig {
    let mut config = HartConfig::new(0, base, extensions.iter().copied(), mmu).unwrap();
    config.reset_pc = CODE;
    config
}

impl Rig {
    pub fn new(config: HartConfig) -> Rig {
        let memory = memory();
        let hart = Hart::new(config, memory.clone());
        let mut rig =
            Rig { hart, memory, bus: TestBus::default(), now: Time::ZERO, next_table: TABLES + 0x1000 };
        rig.hart.set_csr(0x305, M_HANDLER);
        rig.hart.set_csr(0x105, S_HANDLER);
        // Everything open to S and U.
        rig.hart.set_csr(0x3b0, u64::MAX);
        rig.hart.set_csr(0x3a0, 0x1f);
        rig
    }

    pub fn rv64() -> Rig {
        Rig::new(config("rv64i", &ALL, Mmu::Sv57))
    }

    pub fn rv32() -> Rig {
        Rig::new(config("rv32i", &ALL, Mmu::Sv32))
    }

    pub fn code(&mut self, at: u64, words: &[u32]) {
        for (i, word) in (0..).zip(words) {
            self.memory.write(at + 4 * i, &word.to_le_bytes()).unwrap();
        }
    }

    pub fn run(&mut self, budget: u64) -> Ran {
        let ran = self.hart.run(&mut self.bus, self.now, budget);
        self.now = Time(self.now.0 + ran.executed * self.hart.period().0);
        ran
    }

    /// Executes one instruction.
    pub fn step(&mut self) -> Exit {
        self.run(1).exit
    }

    /// Steps until a handler's first instruction is next, at most `most` times.
    pub fn until_handler(&mut self, most: u64) -> bool {
        for _ in 0..most {
            self.step();
            if [M_HANDLER, S_HANDLER].contains(&(self.hart.pc() & !0xff)) {
                return true;
            }
        }
        false
    }

    /// Maps a page in the Sv39 (or Sv32) table at [`TABLES`]; `level` 0 is 4 KiB.
    pub fn map(&mut self, vaddr: u64, paddr: u64, flags: u64, level: u64) -> u64 {
        let rv32 = self.hart.config().xlen == 32;
        let (levels, bits, size) = if rv32 { (2, 10, 4) } else { (3, 9, 8) };
        let mut table = TABLES;
        for at in (level + 1..levels).rev() {
            let entry = table + (vaddr >> (12 + at * bits) & ((1 << bits) - 1)) * size;
            let old = self.memory.read_le(entry, size as usize).unwrap();
            table = if old & 1 != 0 {
                old >> 10 << 12
            } else {
                let new = self.next_table;
                self.next_table += 0x1000;
                self.memory.write(entry, &(new >> 2 | 1).to_le_bytes()[..size as usize]).unwrap();
                new
            };
        }
        let entry = table + (vaddr >> (12 + level * bits) & ((1 << bits) - 1)) * size;
        self.memory.write(entry, &(paddr >> 2 | flags).to_le_bytes()[..size as usize]).unwrap();
        entry
    }

    /// Sv39 or Sv32 with the table at [`TABLES`].
    pub fn satp(&self) -> u64 {
        if self.hart.config().xlen == 32 { 1 << 31 | TABLES >> 12 } else { 8 << 60 | TABLES >> 12 }
    }

    pub fn csr(&self, number: u16) -> u64 {
        self.hart.csr(number).unwrap()
    }

    /// Enters a privilege level at [`CODE`] by way of `mret`.
    pub fn enter(&mut self, privilege: u64, set: u64) {
        if self.hart.privilege() as u64 != 3 {
            self.code(RAM + 0x310, &[ECALL]);
            self.hart.set_pc(RAM + 0x310);
            self.step();
        }
        let status = self.csr(0x300) & !(3 << 11) | privilege << 11 | set;
        self.hart.set_csr(0x300, status);
        self.hart.set_csr(0x341, CODE);
        let place = RAM + 0x300;
        self.code(place, &[MRET]);
        self.hart.set_pc(place);
        self.step();
        assert_eq!(self.hart.privilege() as u64, privilege);
    }
}

// Page-table flags.
pub const V: u64 = 1;
pub const R: u64 = 2;
pub const W: u64 = 4;
pub const X: u64 = 8;
pub const U: u64 = 16;
pub const A: u64 = 64;
pub const D: u64 = 128;

pub const ECALL: u32 = 0x73;
pub const EBREAK: u32 = 0x0010_0073;
pub const MRET: u32 = 0x3020_0073;
pub const SRET: u32 = 0x1020_0073;
pub const WFI: u32 = 0x1050_0073;
pub const WRS_NTO: u32 = 0x00d0_0073;
pub const NOP: u32 = 0x13;
pub const FENCE_I: u32 = 0x100f;

pub const fn itype(opcode: u32, funct3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (imm as u32) << 20
}
pub const fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    itype(0x13, 0, rd, rs1, imm)
}
pub const fn lw(rd: u32, rs1: u32, imm: i32) -> u32 {
    itype(3, 2, rd, rs1, imm)
}
pub const fn ld(rd: u32, rs1: u32, imm: i32) -> u32 {
    itype(3, 3, rd, rs1, imm)
}
pub const fn lb(rd: u32, rs1: u32, imm: i32) -> u32 {
    itype(3, 0, rd, rs1, imm)
}
pub const fn jalr(rd: u32, rs1: u32, imm: i32) -> u32 {
    itype(0x67, 0, rd, rs1, imm)
}
pub const fn stype(funct3: u32, rs1: u32, rs2: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    0x23 | (imm & 31) << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | (imm >> 5) << 25
}
pub const fn sw(rs1: u32, rs2: u32, imm: i32) -> u32 {
    stype(2, rs1, rs2, imm)
}
pub const fn sd(rs1: u32, rs2: u32, imm: i32) -> u32 {
    stype(3, rs1, rs2, imm)
}
pub const fn csrrw(rd: u32, csr: u32, rs1: u32) -> u32 {
    0x1073 | rd << 7 | rs1 << 15 | csr << 20
}
pub const fn csrrs(rd: u32, csr: u32, rs1: u32) -> u32 {
    0x2073 | rd << 7 | rs1 << 15 | csr << 20
}
pub const fn csrrwi(rd: u32, csr: u32, imm: u32) -> u32 {
    0x5073 | rd << 7 | imm << 15 | csr << 20
}
pub const fn sfence(rs1: u32, rs2: u32) -> u32 {
    0x1200_0073 | rs1 << 15 | rs2 << 20
}
/// `beq x0, x0, offset` and the like.
pub const fn branch(funct3: u32, rs1: u32, rs2: u32, offset: i32) -> u32 {
    let imm = offset as u32;
    0x63 | funct3 << 12
        | rs1 << 15
        | rs2 << 20
        | (imm >> 11 & 1) << 7
        | (imm >> 1 & 15) << 8
        | (imm >> 5 & 63) << 25
        | (imm >> 12 & 1) << 31
}
pub const fn jal(rd: u32, offset: i32) -> u32 {
    let imm = offset as u32;
    0x6f | rd << 7
        | (imm >> 12 & 255) << 12
        | (imm >> 11 & 1) << 20
        | (imm >> 1 & 1023) << 21
        | (imm >> 20 & 1) << 31
}
pub const fn amo(funct5: u32, funct3: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x2f | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct5 << 27
}
