//! The compiler of a machine's cores.

use crate::machine::{Cpu, Machine};
use cpu_jit_x64::{Unavailable, X64};

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
        }
        Ok(())
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
}
