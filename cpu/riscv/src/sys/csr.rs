//! Control and status registers: which exist, who may access them, what a read gives and a write keeps.

use super::{Privilege, envcfg, irq, pmp, status};
use crate::isa::Features;
use crate::semantics::CsrOp;
use crate::state::State;

/// Exceptions that can be delegated.
const MEDELEG: u64 = 0xb3ff;
const SSTATUS: u64 =
    status::SIE | status::SPIE | status::SPP | status::FS | status::SUM | status::MXR | status::UXL;
const CY: u32 = 1;
const TM: u32 = 2;
const IR: u32 = 4;

/// CSR numbers used by name elsewhere.
#[allow(missing_docs)]
pub mod number {
    pub const FFLAGS: u16 = 0x001;
    pub const FRM: u16 = 0x002;
    pub const FCSR: u16 = 0x003;
    pub const SSTATUS: u16 = 0x100;
    pub const SIE: u16 = 0x104;
    pub const STVEC: u16 = 0x105;
    pub const SCOUNTEREN: u16 = 0x106;
    pub const SENVCFG: u16 = 0x10a;
    pub const SSCRATCH: u16 = 0x140;
    pub const SEPC: u16 = 0x141;
    pub const SCAUSE: u16 = 0x142;
    pub const STVAL: u16 = 0x143;
    pub const SIP: u16 = 0x144;
    pub const STIMECMP: u16 = 0x14d;
    pub const STIMECMPH: u16 = 0x15d;
    pub const SATP: u16 = 0x180;
    pub const MSTATUS: u16 = 0x300;
    pub const MISA: u16 = 0x301;
    pub const MEDELEG: u16 = 0x302;
    pub const MIDELEG: u16 = 0x303;
    pub const MIE: u16 = 0x304;
    pub const MTVEC: u16 = 0x305;
    pub const MCOUNTEREN: u16 = 0x306;
    pub const MENVCFG: u16 = 0x30a;
    pub const MSTATUSH: u16 = 0x310;
    pub const MENVCFGH: u16 = 0x31a;
    pub const MCOUNTINHIBIT: u16 = 0x320;
    pub const MSCRATCH: u16 = 0x340;
    pub const MEPC: u16 = 0x341;
    pub const MCAUSE: u16 = 0x342;
    pub const MTVAL: u16 = 0x343;
    pub const MIP: u16 = 0x344;
    pub const PMPCFG0: u16 = 0x3a0;
    pub const PMPADDR0: u16 = 0x3b0;
    pub const MCYCLE: u16 = 0xb00;
    pub const MINSTRET: u16 = 0xb02;
    pub const MHARTID: u16 = 0xf14;
}

use number as n;

/// The half of a 64-bit register that an RV32 instruction addresses.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Part {
    Whole,
    Low,
    High,
}

fn part_of(value: u64, part: Part) -> u64 {
    match part {
        Part::High => value >> 32,
        _ => value,
    }
}

fn merge(old: u64, part: Part, new: u64) -> u64 {
    match part {
        Part::Whole => new,
        Part::Low => old & !0xffff_ffff | new & 0xffff_ffff,
        Part::High => old & 0xffff_ffff | new << 32,
    }
}

impl<const XLEN: u32> State<XLEN> {
    fn has(&self, features: Features) -> bool {
        self.config.extensions.contains(features)
    }

    const LOW: Part = if XLEN == 32 { Part::Low } else { Part::Whole };

    /// `mstatus` as RV64 lays it out.
    pub(crate) fn mstatus(&self) -> u64 {
        let fs = self.fs() as u64;
        let mut value = self.sys.mstatus.get() | fs << 13;
        if fs == 3 {
            value |= if XLEN == 32 { 1 << 31 } else { status::SD };
        }
        if XLEN == 64 {
            value |= 2 << 32;
            if self.has(Features::S) {
                value |= 2 << 34;
            }
        }
        value
    }

    fn set_mstatus(&self, value: u64) {
        let mut mask = status::MIE | status::MPIE | status::MPRV;
        if self.has(Features::S) {
            mask |= status::SIE
                | status::SPIE
                | status::SPP
                | status::SUM
                | status::MXR
                | status::TVM
                | status::TSR;
        }
        if self.has(Features::U) {
            mask |= status::TW;
        }
        let mut new = value & mask;
        let mpp = match value >> 11 & 3 {
            3 => 3,
            1 if self.has(Features::S) => 1,
            0 if self.has(Features::U) => 0,
            // Illegal: keeps what it was.
            _ => self.sys.mstatus.get() >> 11 & 3,
        };
        new |= mpp << 11;
        if mpp == 3 && !self.has(Features::U) {
            new &= !status::MPRV;
        }
        self.sys.mstatus.set(new);
        if self.has(Features::F) {
            self.set_fs((value >> 13 & 3) as u8);
        }
        self.update_contexts();
    }

    /// After a write of `fcsr` or a part: by an instruction, so FS is on; or by a debugger, which leaves it off.
    fn fs_written(&self) {
        if self.fs() != 0 {
            self.dirty_fs();
        }
    }

    fn misa(&self) -> u64 {
        let letters = [
            ('a', Features::A),
            ('c', Features::C),
            ('d', Features::D),
            ('f', Features::F),
            ('i', Features::I),
            ('m', Features::M),
            ('s', Features::S),
            ('u', Features::U),
            ('v', Features::V),
        ];
        let mut misa: u64 = if XLEN == 32 { 1 << 30 } else { 2 << 62 };
        for (letter, feature) in letters {
            if self.has(feature) {
                misa |= 1 << (letter as u32 - 'a' as u32);
            }
        }
        // B stands for Zba, Zbb and Zbs together.
        if self.has(Features::ZBA | Features::ZBB | Features::ZBS) {
            misa |= 2;
        }
        misa
    }

    /// Writable bits of `mie`, and those of `mideleg`.
    fn interrupts(&self) -> (u64, u64) {
        let supervisor = if self.has(Features::S) { irq::SUPERVISOR } else { 0 };
        (irq::MACHINE | supervisor, supervisor)
    }

    fn menvcfg_mask(&self) -> u64 {
        let mut mask = if self.has(Features::S) { envcfg::FIOM } else { 0 };
        for (feature, bits) in [
            (Features::ZICBOM, envcfg::CBIE | envcfg::CBCFE),
            (Features::ZICBOZ, envcfg::CBZE),
            (Features::SVADU, envcfg::ADUE),
            (Features::SVPBMT, envcfg::PBMTE),
            (Features::SSTC, envcfg::STCE),
        ] {
            if self.has(feature) {
                mask |= bits;
            }
        }
        mask
    }

    /// CBIE 2 is reserved: it keeps the old value.
    fn legal_envcfg(old: u64, new: u64, mask: u64) -> u64 {
        let mut value = new & mask;
        if value & envcfg::CBIE == 2 << 4 {
            value = value & !envcfg::CBIE | old & envcfg::CBIE;
        }
        value
    }

    fn sstc(&self) -> bool {
        self.sys.menvcfg.get() & envcfg::STCE != 0
    }

    /// Bits of `mip` that M-mode writes.
    fn mip_writable(&self) -> u64 {
        if !self.has(Features::S) {
            return 0;
        }
        irq::SSI | irq::SEI | if self.sstc() { 0 } else { irq::STI }
    }

    /// Clock cycles since reset, without what the guest wrote to `mcycle`.
    fn cycles_now(&self) -> u64 {
        self.now().0 / self.config.period.0.max(1)
    }

    fn counter_value(&self, index: u16) -> u64 {
        let inhibited = self.sys.mcountinhibit.get() >> index & 1 != 0;
        match index {
            0 if inhibited => self.sys.cycle.get(),
            0 => self.sys.cycle.get().wrapping_add(self.cycles_now()),
            2 if inhibited => self.sys.instret.get(),
            2 => self.sys.instret.get().wrapping_add(self.executed_now()),
            _ => 0,
        }
    }

    /// The instruction that follows a write sees the written value.
    fn set_counter(&self, index: u16, value: u64) {
        let inhibited = self.sys.mcountinhibit.get() >> index & 1 != 0;
        let base = |now: u64| if inhibited { value } else { value.wrapping_sub(now.wrapping_add(1)) };
        match index {
            0 => self.sys.cycle.set(base(self.cycles_now())),
            2 => self.sys.instret.set(base(self.executed_now())),
            _ => {}
        }
    }

    fn set_countinhibit(&self, value: u64) {
        let new = value as u32 & (CY | IR);
        for index in [0, 2] {
            let (was, will) = (self.sys.mcountinhibit.get() >> index & 1, new >> index & 1);
            if was != will {
                let value = self.counter_value(index);
                self.sys.mcountinhibit.set(self.sys.mcountinhibit.get() ^ 1 << index);
                // Counting stops and starts behind this instruction.
                if will != 0 {
                    let cell = if index == 0 { &self.sys.cycle } else { &self.sys.instret };
                    cell.set(value.wrapping_add(1));
                } else {
                    self.set_counter(index, value);
                }
            }
        }
    }

    /// Whether the counter may be read from where we are.
    fn counter_enabled(&self, index: u16) -> bool {
        let bit = 1u32 << index;
        let privilege = self.sys.privilege.get();
        if privilege != Privilege::Machine && self.sys.mcounteren.get() & bit == 0 {
            return false;
        }
        privilege != Privilege::User || !self.has(Features::S) || self.sys.scounteren.get() & bit != 0
    }

    /// Checks existence of the privilege that a number's bits ask for, and the traps that guard single registers.
    fn accessible(&self, csr: u16, write: bool) -> bool {
        let privilege = self.sys.privilege.get();
        if (privilege as u16) < csr >> 8 & 3 || (write && csr >> 10 == 3) {
            return false;
        }
        let mstatus = self.sys.mstatus.get();
        match csr {
            n::FFLAGS..=n::FCSR => self.fs() != 0,
            n::SATP => privilege != Privilege::Supervisor || mstatus & status::TVM == 0,
            n::STIMECMP | n::STIMECMPH => {
                privilege == Privilege::Machine || (self.sstc() && self.sys.mcounteren.get() & TM != 0)
            }
            0xc00..=0xc1f | 0xc80..=0xc9f => self.counter_enabled(csr & 31),
            _ => true,
        }
    }

    /// A CSR instruction. `None` is an illegal instruction; else the old value, which goes to `rd`.
    pub(crate) fn csr_instruction(
        &self,
        op: CsrOp,
        csr: u16,
        operand: u64,
        reads: bool,
        writes: bool,
    ) -> Option<u64> {
        if !self.accessible(csr, writes) {
            return None;
        }
        let old = self.read_csr(csr)?;
        if writes {
            // Read-modify-write of mip sees the software part of SEIP only.
            let base = if csr == n::MIP { old & !irq::SEI | self.sys.mip.get() & irq::SEI } else { old };
            let new = match op {
                CsrOp::Write => operand,
                CsrOp::Set => base | operand,
                CsrOp::Clear => base & !operand,
            };
            self.write_csr(csr, new)?;
        }
        Some(if reads { old } else { 0 })
    }

    /// The value of a CSR, sign-extended on RV32; `None` if it does not exist. Rights are not checked.
    pub(crate) fn read_csr(&self, csr: u16) -> Option<u64> {
        let value = self.read_raw(csr)?;
        Some(self.extend(value))
    }

    fn read_raw(&self, csr: u16) -> Option<u64> {
        let sys = &self.sys;
        let (s, rv32) = (self.has(Features::S), XLEN == 32);
        Some(match csr {
            n::FFLAGS if self.has(Features::F) => self.fflags() as u64,
            n::FRM if self.has(Features::F) => self.frm.get() as u64,
            n::FCSR if self.has(Features::F) => (self.frm.get() as u64) << 5 | self.fflags() as u64,

            n::SSTATUS if s => {
                let sd = if rv32 { 1 << 31 } else { status::SD };
                self.mstatus() & (SSTATUS | sd)
            }
            n::SIE if s => sys.mie.get() & sys.mideleg.get(),
            n::STVEC if s => sys.stvec.get(),
            n::SCOUNTEREN if s => sys.scounteren.get() as u64,
            n::SENVCFG if s => sys.senvcfg.get(),
            n::SSCRATCH if s => sys.sscratch.get(),
            n::SEPC if s => sys.sepc.get(),
            n::SCAUSE if s => sys.scause.get(),
            n::STVAL if s => sys.stval.get(),
            n::SIP if s => self.pending() & sys.mideleg.get(),
            n::STIMECMP if self.has(Features::SSTC) => part_of(sys.stimecmp.get(), Self::LOW),
            n::STIMECMPH if rv32 && self.has(Features::SSTC) => part_of(sys.stimecmp.get(), Part::High),
            n::SATP if s => sys.satp.get(),

            n::MSTATUS => self.mstatus(),
            n::MSTATUSH if rv32 => 0,
            n::MISA => self.misa(),
            n::MEDELEG if s => sys.medeleg.get(),
            n::MIDELEG if s => sys.mideleg.get(),
            n::MIE => sys.mie.get(),
            n::MTVEC => sys.mtvec.get(),
            n::MCOUNTEREN if self.has(Features::U) => sys.mcounteren.get() as u64,
            n::MENVCFG if self.has(Features::U) => part_of(sys.menvcfg.get(), Self::LOW),
            n::MENVCFGH if rv32 && self.has(Features::U) => part_of(sys.menvcfg.get(), Part::High),
            n::MCOUNTINHIBIT => sys.mcountinhibit.get() as u64,
            // mhpmevent3..31 and their counters are hardwired to zero.
            0x323..=0x33f => 0,
            n::MSCRATCH => sys.mscratch.get(),
            n::MEPC => sys.mepc.get(),
            n::MCAUSE => sys.mcause.get(),
            n::MTVAL => sys.mtval.get(),
            n::MIP => self.pending(),
            0x3a0..=0x3af => self.pmpcfg(csr)?,
            0x3b0..=0x3ef => {
                let index = self.pmp_index(csr - n::PMPADDR0)?;
                sys.pmp.addr(index)
            }
            // Debug triggers: none. Probing finds type 0.
            0x7a0..=0x7a3 | 0x7a5 | 0x7a8 => 0,
            // tinfo: bit 0 says that this trigger does not exist.
            0x7a4 => 1,

            n::MCYCLE | n::MINSTRET | 0xb03..=0xb1f => part_of(self.counter_value(csr & 31), Self::LOW),
            0xb80 | 0xb82..=0xb9f if rv32 => part_of(self.counter_value(csr & 31), Part::High),
            0xc00 | 0xc02 if self.has(Features::ZICNTR) => part_of(self.counter_value(csr & 31), Self::LOW),
            0xc01 if self.has(Features::ZICNTR) => part_of(self.time_now(), Self::LOW),
            0xc80 | 0xc82 if rv32 && self.has(Features::ZICNTR) => {
                part_of(self.counter_value(csr & 31), Part::High)
            }
            0xc81 if rv32 && self.has(Features::ZICNTR) => part_of(self.time_now(), Part::High),
            0xc03..=0xc1f if self.has(Features::ZIHPM) => 0,
            0xc83..=0xc9f if rv32 && self.has(Features::ZIHPM) => 0,

            // mvendorid, marchid, mimpid: not a commercial part. mconfigptr: none.
            0xf11..=0xf13 | 0xf15 => 0,
            n::MHARTID => self.config.hartid,
            _ => return None,
        })
    }

    /// Index of a PMP entry; `None` where the hart has no such register. The registers come by 16.
    fn pmp_index(&self, index: u16) -> Option<usize> {
        let index = index as usize;
        (self.config.pmp_entries > 0 && index < pmp::ENTRIES).then_some(index)
    }

    fn pmpcfg(&self, csr: u16) -> Option<u64> {
        let first = self.pmpcfg_first(csr)?;
        Some(
            (0..XLEN as usize / 8)
                .fold(0, |value, i| value | (self.sys.pmp.cfg(first + i) as u64) << (8 * i)),
        )
    }

    /// The first entry in a `pmpcfg` register; odd registers do not exist on RV64.
    fn pmpcfg_first(&self, csr: u16) -> Option<usize> {
        let register = csr - n::PMPCFG0;
        if XLEN == 64 && register & 1 != 0 {
            return None;
        }
        self.pmp_index(4 * register)
    }

    fn legal_vector(value: u64) -> u64 {
        // Modes above 1 are reserved: direct.
        if value & 2 != 0 { value & !3 } else { value & !2 }
    }

    fn legal_epc(&self, value: u64) -> u64 {
        value & if self.has(Features::C) { !1 } else { !3 }
    }

    /// Writes a CSR, which keeps what it can hold; `None` if it does not exist. Rights are not checked.
    pub(crate) fn write_csr(&self, csr: u16, value: u64) -> Option<()> {
        let sys = &self.sys;
        let (s, rv32) = (self.has(Features::S), XLEN == 32);
        let value = self.extend(value);
        match csr {
            n::FFLAGS if self.has(Features::F) => {
                self.set_fflags(value as u8);
                self.fs_written();
            }
            n::FRM if self.has(Features::F) => {
                self.frm.set(value as u8 & 7);
                self.fs_written();
                self.update_contexts();
            }
            n::FCSR if self.has(Features::F) => {
                self.set_fflags(value as u8);
                self.frm.set((value >> 5) as u8 & 7);
                self.fs_written();
                self.update_contexts();
            }

            n::SSTATUS if s => {
                let writable = SSTATUS & !status::UXL;
                self.set_mstatus(self.mstatus() & !writable | value & writable);
            }
            n::SIE if s => {
                let mask = sys.mideleg.get();
                sys.mie.set(sys.mie.get() & !mask | value & mask);
            }
            n::STVEC if s => sys.stvec.set(Self::legal_vector(value)),
            n::SCOUNTEREN if s => sys.scounteren.set(value as u32),
            n::SENVCFG if s => {
                let mask = self.menvcfg_mask() & 0xff;
                sys.senvcfg.set(Self::legal_envcfg(sys.senvcfg.get(), value, mask));
            }
            n::SSCRATCH if s => sys.sscratch.set(value),
            n::SEPC if s => sys.sepc.set(self.legal_epc(value)),
            n::SCAUSE if s => sys.scause.set(value),
            n::STVAL if s => sys.stval.set(value),
            n::SIP if s => {
                let mask = sys.mideleg.get() & irq::SSI;
                sys.mip.set(sys.mip.get() & !mask | value & mask);
            }
            n::STIMECMP if self.has(Features::SSTC) => {
                sys.stimecmp.set(merge(sys.stimecmp.get(), Self::LOW, value));
                self.timer_changed();
            }
            n::STIMECMPH if rv32 && self.has(Features::SSTC) => {
                sys.stimecmp.set(merge(sys.stimecmp.get(), Part::High, value));
                self.timer_changed();
            }
            n::SATP if s => self.set_satp(value),

            n::MSTATUS => self.set_mstatus(value),
            n::MSTATUSH if rv32 => {}
            n::MISA => {}
            n::MEDELEG if s => sys.medeleg.set(value & MEDELEG),
            n::MIDELEG if s => sys.mideleg.set(value & self.interrupts().1),
            n::MIE => sys.mie.set(value & self.interrupts().0),
            n::MTVEC => sys.mtvec.set(Self::legal_vector(value)),
            n::MCOUNTEREN if self.has(Features::U) => sys.mcounteren.set(value as u32),
            n::MENVCFG if self.has(Features::U) => self.set_menvcfg(Self::LOW, value),
            n::MENVCFGH if rv32 && self.has(Features::U) => self.set_menvcfg(Part::High, value),
            n::MCOUNTINHIBIT => self.set_countinhibit(value),
            0x323..=0x33f => {}
            n::MSCRATCH => sys.mscratch.set(value),
            n::MEPC => sys.mepc.set(self.legal_epc(value)),
            n::MCAUSE => sys.mcause.set(value),
            n::MTVAL => sys.mtval.set(value),
            n::MIP => {
                let mask = self.mip_writable();
                sys.mip.set(sys.mip.get() & !mask | value & mask);
            }
            0x3a0..=0x3af => {
                let first = self.pmpcfg_first(csr)?;
                for i in 0..XLEN as usize / 8 {
                    if first + i < self.config.pmp_entries {
                        sys.pmp.set_cfg(first + i, (value >> (8 * i)) as u8);
                    }
                }
                self.flush_all();
            }
            0x3b0..=0x3ef => {
                let index = self.pmp_index(csr - n::PMPADDR0)?;
                if index < self.config.pmp_entries {
                    sys.pmp.set_addr(index, if rv32 { value & 0xffff_ffff } else { value });
                }
                self.flush_all();
            }
            0x7a0..=0x7a5 | 0x7a8 => {}

            n::MCYCLE | n::MINSTRET | 0xb03..=0xb1f => {
                self.set_counter(csr & 31, merge(self.counter_value(csr & 31), Self::LOW, value));
            }
            0xb80 | 0xb82..=0xb9f if rv32 => {
                self.set_counter(csr & 31, merge(self.counter_value(csr & 31), Part::High, value));
            }
            _ => return None,
        }
        Some(())
    }

    fn set_menvcfg(&self, part: Part, value: u64) {
        let old = self.sys.menvcfg.get();
        let new = Self::legal_envcfg(old, merge(old, part, value), self.menvcfg_mask());
        self.sys.menvcfg.set(new);
        if new & envcfg::STCE != 0 {
            // STIP is the comparison alone then.
            self.sys.mip.set(self.sys.mip.get() & !irq::STI);
        }
        if (old ^ new) & (envcfg::ADUE | envcfg::PBMTE) != 0 {
            self.flush_all();
        }
        self.timer_changed();
    }

    fn set_satp(&self, value: u64) {
        let top = self.config.mmu.top_mode();
        let legal = if XLEN == 32 {
            top >= 1 || value >> 31 & 1 == 0
        } else {
            match value >> 60 {
                0 => true,
                mode @ 8..=10 => mode <= top,
                _ => false,
            }
        };
        if legal {
            self.sys.satp.set(if XLEN == 32 { value & 0xffff_ffff } else { value });
            self.update_contexts();
        }
    }
}
