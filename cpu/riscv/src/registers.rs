//! The registers in gdb's numbering: x0-31 0-31, pc 32, f0-31 33-64, CSR n 65+n, privilege 4161.

use cpu_core::{RegisterGroup, RegisterInfo};

use crate::config::HartConfig;
use crate::isa::Features;

/// Where a register is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    X(u8),
    Pc,
    F(u8),
    Csr(u16),
    Privilege,
}

/// What [`cpu_core::Core::registers`] lists, and where each is.
pub(crate) struct Registers {
    pub infos: Vec<RegisterInfo>,
    pub places: Vec<Place>,
}

const X: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
const F: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8",
    "ft9", "ft10", "ft11",
];

/// CSRs worth showing, and the extension or mode that each belongs to.
const CSRS: [(&str, u16, Features); 50] = {
    const I: Features = Features::I;
    const U: Features = Features::U;
    const S: Features = Features::S;
    const C: Features = Features::ZICNTR;
    [
        ("sstatus", 0x100, S),
        ("sie", 0x104, S),
        ("stvec", 0x105, S),
        ("scounteren", 0x106, S),
        ("senvcfg", 0x10a, S),
        ("sscratch", 0x140, S),
        ("sepc", 0x141, S),
        ("scause", 0x142, S),
        ("stval", 0x143, S),
        ("sip", 0x144, S),
        ("stimecmp", 0x14d, Features::SSTC),
        ("satp", 0x180, S),
        ("mstatus", 0x300, I),
        ("misa", 0x301, I),
        ("medeleg", 0x302, S),
        ("mideleg", 0x303, S),
        ("mie", 0x304, I),
        ("mtvec", 0x305, I),
        ("mcounteren", 0x306, U),
        ("menvcfg", 0x30a, U),
        ("mcountinhibit", 0x320, I),
        ("mscratch", 0x340, I),
        ("mepc", 0x341, I),
        ("mcause", 0x342, I),
        ("mtval", 0x343, I),
        ("mip", 0x344, I),
        ("pmpcfg0", 0x3a0, I),
        ("pmpcfg2", 0x3a2, I),
        ("pmpaddr0", 0x3b0, I),
        ("pmpaddr1", 0x3b1, I),
        ("pmpaddr2", 0x3b2, I),
        ("pmpaddr3", 0x3b3, I),
        ("pmpaddr4", 0x3b4, I),
        ("pmpaddr5", 0x3b5, I),
        ("pmpaddr6", 0x3b6, I),
        ("pmpaddr7", 0x3b7, I),
        ("pmpaddr8", 0x3b8, I),
        ("pmpaddr9", 0x3b9, I),
        ("pmpaddr10", 0x3ba, I),
        ("pmpaddr11", 0x3bb, I),
        ("pmpaddr12", 0x3bc, I),
        ("mcycle", 0xb00, I),
        ("minstret", 0xb02, I),
        ("cycle", 0xc00, C),
        ("time", 0xc01, C),
        ("instret", 0xc02, C),
        ("mvendorid", 0xf11, I),
        ("marchid", 0xf12, I),
        ("mimpid", 0xf13, I),
        ("mhartid", 0xf14, I),
    ]
};

impl Registers {
    pub fn new(config: &HartConfig) -> Registers {
        let mut list = Registers { infos: Vec::new(), places: Vec::new() };
        let xlen = config.xlen;
        for (r, name) in (0u8..).zip(X) {
            let kind = match name {
                "sp" | "gp" | "tp" | "fp" => "data_ptr",
                "ra" => "code_ptr",
                _ => "int",
            };
            list.add(name, r as u32, xlen, kind, RegisterGroup::General, Place::X(r));
        }
        list.add("pc", 32, xlen, "code_ptr", RegisterGroup::General, Place::Pc);
        if config.extensions.contains(Features::F) {
            let double = config.extensions.contains(Features::D);
            let (bits, kind) = if double { (64, "ieee_double") } else { (32, "ieee_single") };
            for (r, name) in (0u8..).zip(F) {
                list.add(name, 33 + r as u32, bits, kind, RegisterGroup::Float, Place::F(r));
            }
            for (name, csr) in [("fflags", 1), ("frm", 2), ("fcsr", 3)] {
                list.add(name, 65 + csr as u32, 32, "int", RegisterGroup::Float, Place::Csr(csr));
            }
        }
        for (name, csr, feature) in CSRS {
            let protection = (0x3a0..0x3f0).contains(&csr);
            if config.extensions.contains(feature) && !(protection && config.pmp_entries == 0) {
                if csr == 0x3a2 && xlen == 32 {
                    continue;
                }
                list.add(name, 65 + csr as u32, xlen, "int", RegisterGroup::System, Place::Csr(csr));
            }
        }
        list.add("priv", 65 + 4096, xlen, "int", RegisterGroup::System, Place::Privilege);
        list
    }

    fn add(
        &mut self,
        name: &'static str,
        number: u32,
        bits: u32,
        kind: &'static str,
        group: RegisterGroup,
        place: Place,
    ) {
        self.infos.push(RegisterInfo { name, number, bits, kind, group });
        self.places.push(place);
    }
}
