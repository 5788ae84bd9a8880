//! The hart as the machine, the built-in firmware and the debugger see it.

use cpu_core::{Bus, Core, Counter, Exit, GuestMemory, Ran, RegisterInfo, RestoreError, Time};

use crate::config::HartConfig;
use crate::exec::Cpu;
use crate::isa::{self, Features};
use crate::registers::{Place, Registers};
use crate::saved;
use crate::semantics::Riscv;
use crate::sys::csr::number;
use crate::sys::{Privilege, envcfg, irq};

/// A RISC-V hart.
pub struct Hart {
    width: Width,
    registers: Registers,
}

enum Width {
    Rv32(Box<Cpu<32>>),
    Rv64(Box<Cpu<64>>),
}

/// Does the same for either width.
macro_rules! each {
    ($hart:expr, $cpu:ident => $value:expr) => {
        match &$hart.width {
            Width::Rv32($cpu) => $value,
            Width::Rv64($cpu) => $value,
        }
    };
    (mut $hart:expr, $cpu:ident => $value:expr) => {
        match &mut $hart.width {
            Width::Rv32($cpu) => $value,
            Width::Rv64($cpu) => $value,
        }
    };
}

impl Hart {
    /// A hart in its reset state: M-mode at [`HartConfig::reset_pc`], all registers zero.
    pub fn new(config: HartConfig, memory: GuestMemory) -> Hart {
        let registers = Registers::new(&config);
        let width = if config.xlen == 32 {
            Width::Rv32(Box::new(Cpu::new(config, memory)))
        } else {
            Width::Rv64(Box::new(Cpu::new(config, memory)))
        };
        Hart { width, registers }
    }

    /// What it was made from.
    pub fn config(&self) -> &HartConfig {
        each!(self, cpu => &cpu.state.config)
    }

    /// Integer register `r`; on RV32 zero-extended.
    pub fn x(&self, r: u8) -> u64 {
        self.narrow(each!(self, cpu => cpu.state.x(r)))
    }

    /// Sets integer register `r`, which is not `x0`.
    pub fn set_x(&mut self, r: u8, value: u64) {
        each!(self, cpu => cpu.state.set_x(r, cpu.state.extend(value)));
    }

    /// All 64 bits of floating-point register `r`.
    pub fn f(&self, r: u8) -> u64 {
        each!(self, cpu => cpu.state.f(r))
    }

    /// Sets floating-point register `r`.
    pub fn set_f(&mut self, r: u8, value: u64) {
        each!(self, cpu => cpu.state.set_f_raw(r, value));
    }

    fn narrow(&self, value: u64) -> u64 {
        if self.config().xlen == 32 { value & 0xffff_ffff } else { value }
    }

    /// Continues at `pc`.
    pub fn set_pc(&mut self, pc: u64) {
        let pc = self.narrow(pc) & !1;
        each!(self, cpu => cpu.state.frame.pc.set(pc));
    }

    /// The privilege level.
    pub fn privilege(&self) -> Privilege {
        each!(self, cpu => cpu.state.sys.privilege.get())
    }

    /// A CSR's value (RV32: zero-extended), without a check of rights; `None` if it does not exist.
    pub fn csr(&self, number: u16) -> Option<u64> {
        each!(self, cpu => cpu.state.read_csr(number)).map(|value| self.narrow(value))
    }

    /// Writes a CSR by its own rules (WARL), without a check of rights; false if it does not exist or is read-only.
    pub fn set_csr(&mut self, number: u16, value: u64) -> bool {
        each!(self, cpu => cpu.state.write_csr(number, value)).is_some()
    }

    /// Enters S-mode at `pc` with `a0` and `a1`, as SBI starts a kernel or a hart: translation and interrupts off, all
    /// other registers zero, all traps and counters delegated, all memory open, all of `menvcfg` on. Starts a stopped hart.
    pub fn start_supervisor(&mut self, pc: u64, a0: u64, a1: u64) {
        each!(mut self, cpu => cpu.reset());
        let all = u64::MAX;
        for (csr, value) in [
            (number::MEDELEG, all),
            (number::MIDELEG, all),
            (number::MCOUNTEREN, 0xffff_ffff),
            (number::SCOUNTEREN, 0),
            (number::PMPADDR0, all),
            (number::PMPCFG0, 0x1f),
            (number::MENVCFG, envcfg::STCE | envcfg::PBMTE | envcfg::ADUE | 0xf0),
        ] {
            self.set_csr(csr, value);
        }
        if self.config().xlen == 32 {
            let high = (envcfg::STCE | envcfg::PBMTE | envcfg::ADUE) >> 32;
            self.set_csr(number::MENVCFG, 0xf0);
            self.set_csr(number::MENVCFGH, high);
        }
        each!(self, cpu => {
            cpu.state.sys.privilege.set(Privilege::Supervisor);
            cpu.state.update_contexts();
        });
        self.set_pc(pc);
        self.set_x(10, a0);
        self.set_x(11, a1);
        self.set_stopped(false);
    }

    /// Holds the hart stopped (SBI HSM), or lets it go on.
    pub fn set_stopped(&mut self, stopped: bool) {
        each!(self, cpu => cpu.state.sys.stopped.set(stopped));
    }

    /// Suspends the hart until an enabled interrupt is pending, like WFI (SBI HSM, retentive suspend).
    pub fn suspend(&mut self) {
        each!(self, cpu => cpu.state.sys.asleep.set(true));
    }

    /// Sets or clears SSIP, as an inter-processor interrupt from firmware does.
    pub fn set_supervisor_software_interrupt(&mut self, pending: bool) {
        each!(self, cpu => {
            let mip = cpu.state.sys.mip.get();
            cpu.state.sys.mip.set(if pending { mip | irq::SSI } else { mip & !irq::SSI });
        });
    }

    /// Sets `stimecmp`; [`u64::MAX`] never.
    pub fn set_stimecmp(&mut self, value: u64) {
        each!(self, cpu => {
            cpu.state.sys.stimecmp.set(value);
            cpu.state.timer_changed();
        });
    }

    /// Does `sfence.vma` as if the hart had executed it, for an address and an address space, or all.
    pub fn fence_translations(&mut self, address: Option<u64>, asid: Option<u64>) {
        each!(self, cpu => cpu.state.fence_translations(address, asid));
    }

    /// Physical address of `vaddr` for a load of one byte by the current privilege, if that is allowed.
    pub fn physical(&self, vaddr: u64) -> Option<u64> {
        each!(self, cpu => cpu.state.translate(vaddr, cpu_core::AccessKind::Read, 1, false))
            .ok()
            .map(|found| found.paddr)
    }

    /// Runs whole blocks by way of the compiler's representation: slower than plain interpretation, with the same results. It
    /// shows that what is recorded means what is run.
    pub fn set_lifted(&mut self, on: bool) {
        each!(mut self, cpu => cpu.set_lifted(on));
    }

    /// Compiles blocks by `backend` once they have run `hot` times (0: at once); `None`: only interprets. The results are the same.
    pub fn set_backend(&mut self, backend: Option<Box<dyn cpu_jit::Backend>>, hot: u32) {
        each!(mut self, cpu => cpu.set_backend(backend, hot));
    }

    /// What the compiler has done; `None` without one.
    pub fn compiler_stats(&self) -> Option<cpu_jit::Stats> {
        each!(self, cpu => cpu.compiler.as_ref().map(|compiler| compiler.engine.stats))
    }

    /// What compiling has cost; `None` without a compiler.
    pub fn compile_costs(&self) -> Option<&cpu_jit::Costs> {
        each!(self, cpu => cpu.compiler.as_ref().map(|compiler| &compiler.engine.costs))
    }

    /// Has compiling measured by a clock of the host, in nanoseconds, for the figures alone. Call it after
    /// [`Hart::set_backend`].
    pub fn set_compile_clock(&mut self, clock: fn() -> u64) {
        each!(mut self, cpu => if let Some(compiler) = &mut cpu.compiler {
            compiler.engine.set_clock(Some(clock));
        });
    }

    /// Lists blocks as they are compiled. Call it after [`Hart::set_backend`]. Gives which registers of the host hold which of
    /// the guest's; `None` without a compiler.
    pub fn set_listing(&mut self, listing: Option<cpu_jit::Listing>) -> Option<String> {
        each!(mut self, cpu => cpu.compiler.as_mut().map(|compiler| compiler.set_listing(listing)))
    }

    /// Data accesses that went other ways than the TLB.
    pub fn accesses(&self) -> crate::state::Accesses {
        each!(self, cpu => crate::state::Accesses {
            tlb_misses: cpu.state.tlb_misses.get(),
            slow: cpu.state.slow_accesses.get(),
        })
    }

    /// Instructions predecoded into blocks so far, for statistics.
    pub fn blocks_decoded(&self) -> u64 {
        each!(self, cpu => cpu.blocks_decoded())
    }
}

impl Core for Hart {
    fn run(&mut self, bus: &mut dyn Bus, start: Time, budget: u64) -> Ran {
        each!(mut self, cpu => cpu.run(bus, start, budget))
    }

    fn period(&self) -> Time {
        self.config().period
    }

    fn set_line(&mut self, line: u32, level: bool) {
        each!(self, cpu => {
            let bit = 1u64.checked_shl(line).unwrap_or(0) & (irq::MACHINE | irq::SUPERVISOR);
            let lines = cpu.state.sys.lines.get();
            cpu.state.sys.lines.set(if level { lines | bit } else { lines & !bit });
        });
    }

    fn runnable(&mut self, now: Time, counter: Counter) -> bool {
        each!(mut self, cpu => cpu.runnable(now, counter))
    }

    fn deadline(&self, now: Time, counter: Counter) -> Time {
        each!(self, cpu => {
            let sys = &cpu.state.sys;
            if sys.menvcfg.get() & envcfg::STCE == 0 {
                return Time::NEVER;
            }
            let compare = sys.stimecmp.get();
            // A pending timer makes nothing new.
            if counter.at(now) >= compare { Time::NEVER } else { counter.reaches(compare, now) }
        })
    }

    fn instructions(&self) -> u64 {
        each!(self, cpu => cpu.state.total.get())
    }

    fn pc(&self) -> u64 {
        each!(self, cpu => cpu.state.frame.pc.get())
    }

    fn reset(&mut self) {
        each!(mut self, cpu => cpu.reset());
    }

    fn stopped(&self) -> bool {
        each!(self, cpu => cpu.state.sys.stopped.get())
    }

    fn set_breakpoints(&mut self, addresses: &[u64]) {
        each!(mut self, cpu => cpu.set_breakpoints(addresses));
    }

    fn step_over_breakpoint(&mut self) {
        each!(mut self, cpu => cpu.step_over_breakpoint());
    }

    fn registers(&self) -> &[RegisterInfo] {
        &self.registers.infos
    }

    fn register(&self, index: usize) -> Option<u128> {
        let value = match *self.registers.places.get(index)? {
            Place::X(r) => self.x(r),
            Place::Pc => self.pc(),
            Place::F(r) => {
                let raw = self.f(r);
                if self.config().extensions.contains(Features::D) { raw } else { raw & 0xffff_ffff }
            }
            Place::Csr(number) => self.csr(number)?,
            Place::Privilege => self.privilege() as u64,
        };
        Some(value as u128)
    }

    fn set_register(&mut self, index: usize, value: u128) -> bool {
        let Some(&place) = self.registers.places.get(index) else { return false };
        let value = value as u64;
        match place {
            Place::X(r) => self.set_x(r, value),
            Place::Pc => self.set_pc(value),
            Place::F(r) if self.config().extensions.contains(Features::D) => self.set_f(r, value),
            Place::F(r) => self.set_f(r, value | 0xffff_ffff << 32),
            Place::Csr(number) => return self.set_csr(number, value),
            Place::Privilege => return false,
        }
        true
    }

    fn translate(&self, vaddr: u64) -> Option<u64> {
        use cpu_core::AccessKind::{Fetch, Read};
        let vaddr = self.narrow(vaddr);
        [Read, Fetch].into_iter().find_map(|kind| {
            each!(self, cpu => cpu.state.translate(vaddr, kind, 1, false)).ok().map(|found| found.paddr)
        })
    }

    fn describe(&self) -> String {
        let sys_line = each!(self, cpu => {
            let sys = &cpu.state.sys;
            let sleep = if sys.stopped.get() {
                ", stopped"
            } else if sys.asleep.get() {
                ", asleep in wfi"
            } else {
                ""
            };
            let mode = match sys.privilege.get() {
                Privilege::Machine => "M",
                Privilege::Supervisor => "S",
                Privilege::User => "U",
            };
            format!("{mode}-mode, satp {:#x}{sleep}", sys.satp.get())
        });
        format!("hart {} at {:#x}, {sys_line}", self.config().hartid, self.pc())
    }

    fn save(&self) -> Vec<u8> {
        each!(self, cpu => saved::save(&cpu.state))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        each!(mut self, cpu => saved::restore(cpu, state))
    }

    fn disassemble(&self, pc: u64, bytes: &[u8]) -> Option<(String, usize)> {
        let low = u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]) as u32;
        let (word, len) = if low & 3 == 3 {
            (low | (u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?]) as u32) << 16, 4)
        } else {
            (low, 2)
        };
        Some((isa::disassemble(word, pc, &self.config().extensions), len))
    }
}

// Kept here so that a machine may live on any thread.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Hart>();
    let _ = Exit::Budget;
};
