//! The compiler of a machine's cores.

use crate::machine::{Cpu, Machine};
use cpu_jit::Listing;
use cpu_jit_x64::{Unavailable, X64};
use std::io::Write;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

/// What runs instructions. Results are the same in every mode.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum JitMode {
    /// Blocks that ran often are compiled.
    #[default]
    On,
    /// Everything is interpreted.
    Off,
    /// Every block is compiled before it first runs.
    Sync,
}

impl Machine {
    /// Gives each core a compiler with `bytes` of code memory. An error leaves the machine interpreting.
    pub fn set_jit(&mut self, mode: JitMode, bytes: usize) -> Result<(), Unavailable> {
        for cpu in &mut self.cores {
            let Cpu::RiscV(hart) = cpu;
            match mode {
                JitMode::Off => hart.set_backend(None, 0),
                JitMode::On => hart.set_backend(Some(Box::new(X64::new(bytes)?)), cpu_riscv::HOT),
                JitMode::Sync => hart.set_backend(Some(Box::new(X64::new(bytes)?)), 0),
            }
            hart.set_compile_clock(monotonic_ns);
        }
        Ok(())
    }

    /// Lists blocks with an instruction at one of these virtual addresses on `out` as they are compiled; false if nothing is
    /// compiled. What can not be written is lost: the run goes on as without.
    pub fn list_compiled(&mut self, addresses: &RangeInclusive<u64>, out: Box<dyn Write + Send>) -> bool {
        let out = Arc::new(Mutex::new(out));
        let count = self.cores.len();
        let mut pins = None;
        for (number, cpu) in self.cores.iter_mut().enumerate() {
            let Cpu::RiscV(hart) = cpu;
            let out = out.clone();
            let write = move |text: &str| {
                if let Ok(mut out) = out.lock() {
                    let core = if count > 1 { format!("core {number}, ") } else { String::new() };
                    // At once: who debugs a crash needs what came before it.
                    let _ = out.write_all(format!("{core}{text}\n").as_bytes());
                }
            };
            let listing =
                Listing { addresses: addresses.clone(), host_addresses: true, write: Box::new(write) };
            pins = hart.set_listing(Some(listing));
        }
        if let (Some(pins), Ok(mut out)) = (&pins, out.lock()) {
            let _ = writeln!(out, "registers: {pins}\n");
        }
        pins.is_some()
    }

    /// What the compilers of all cores have done.
    pub fn jit_stats(&self) -> cpu_jit::Stats {
        let mut sum = cpu_jit::Stats::default();
        for cpu in &self.cores {
            let Cpu::RiscV(hart) = cpu;
            if let Some(stats) = hart.compiler_stats() {
                sum.add(&stats);
            }
        }
        sum
    }

    /// What compiling has cost on all cores.
    pub fn jit_costs(&self) -> cpu_jit::Costs {
        let mut sum = cpu_jit::Costs::default();
        for cpu in &self.cores {
            let Cpu::RiscV(hart) = cpu;
            if let Some(costs) = hart.compile_costs() {
                sum.add(costs);
            }
        }
        sum
    }

    /// Data accesses of all cores that went other ways than the TLB.
    pub fn slow_accesses(&self) -> cpu_riscv::Accesses {
        let mut sum = cpu_riscv::Accesses::default();
        for cpu in &self.cores {
            let Cpu::RiscV(hart) = cpu;
            let accesses = hart.accesses();
            sum.tlb_misses += accesses.tlb_misses;
            sum.slow += accesses.slow;
        }
        sum
    }
}

/// A clock of the host, in nanoseconds, for figures.
fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
