//! The compiler of a machine's cores.

use crate::machine::{Cpu, Machine};
use cpu_jit::{Backend, Listing};
use cpu_jit_x64::{Unavailable, X64};
use std::io::Write;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

/// What runs instructions. Results are the same in every mode.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum JitMode {
    /// Blocks that ran often are compiled; on a host without AVX2, BMI2 and FMA, nothing is.
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
            let (backend, hot): (Option<Box<dyn Backend>>, u32) = match mode {
                JitMode::Off => (None, 0),
                JitMode::On => (Some(Box::new(X64::new(bytes)?)), cpu_jit::tier::HOT),
                JitMode::Sync => (Some(Box::new(X64::new(bytes)?)), 0),
            };
            match cpu {
                Cpu::RiscV(hart) => {
                    hart.set_backend(backend, hot);
                    hart.set_compile_clock(monotonic_ns);
                }
                Cpu::Arm(core) => {
                    core.set_backend(backend, hot);
                    if let Some(compiler) = core.compiler() {
                        compiler.engine.set_clock(Some(monotonic_ns));
                    }
                }
            }
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
            pins = match cpu {
                Cpu::RiscV(hart) => hart.set_listing(Some(listing)),
                Cpu::Arm(core) => core.compiler().map(|compiler| compiler.set_listing(Some(listing))),
            };
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
            let stats = match cpu {
                Cpu::RiscV(hart) => hart.compiler_stats(),
                Cpu::Arm(core) => core.compiler_view().map(|compiler| compiler.engine.stats),
            };
            if let Some(stats) = stats {
                sum.add(&stats);
            }
        }
        sum
    }

    /// What compiling has cost on all cores.
    pub fn jit_costs(&self) -> cpu_jit::Costs {
        let mut sum = cpu_jit::Costs::default();
        for cpu in &self.cores {
            let costs = match cpu {
                Cpu::RiscV(hart) => hart.compile_costs(),
                Cpu::Arm(core) => core.compiler_view().map(|compiler| &compiler.engine.costs),
            };
            if let Some(costs) = costs {
                sum.add(costs);
            }
        }
        sum
    }

    /// Data accesses of all cores that went other ways than the TLB.
    pub fn slow_accesses(&self) -> cpu_riscv::Accesses {
        let mut sum = cpu_riscv::Accesses::default();
        for cpu in &self.cores {
            let Cpu::RiscV(hart) = cpu else { continue };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::*;
    use cpu_core::Time;
    use cpu_riscv::isa::Id;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Counts in memory for ever.
    fn counting() -> Program {
        let mut p = Program::default();
        p.li(A1, DATA);
        let again = p.here();
        p.op(Id::Ld, [A0, A1, 0], 0).addi(A0, A0, 1).op(Id::Sd, [0, A1, A0], 0).jump(again);
        p
    }

    #[test]
    fn figures_and_listings_change_nothing() {
        let run = |mode, listing: Option<&Text>| {
            let mut machine = machine("tv", 1, &counting());
            machine.set_jit(mode, 1 << 20).unwrap();
            if let Some(text) = listing {
                assert!(machine.list_compiled(&(0..=u64::MAX), Box::new(text.clone())));
            }
            run_until(&mut machine, Time::from_us(100));
            let stats = crate::host::stats::stats(&machine, 1, 0);
            (machine.state_hash(), machine.instructions(), stats)
        };
        if matches!(X64::new(1 << 16), Err(Unavailable::Processor(_))) {
            return;
        }
        let (text, off) = (Text::default(), run(JitMode::Off, None));
        let (on, listed) = (run(JitMode::On, None), run(JitMode::On, Some(&text)));
        assert!((on.0, on.1) == (off.0, off.1) && (listed.0, listed.1) == (off.0, off.1));
        let figure = |name: &str| on.2["jit"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {}", on.2));
        assert_eq!(figure("executed") + figure("interpreted"), on.1);
        assert!(figure("executed") > on.1 / 2);
        assert!(figure("regions") > 0 && figure("bytes") > 0 && figure("compile_ns") > 0);
        assert!(on.2["jit"]["compile_ns_per_instruction"]["median"].as_u64() > Some(0));
        assert!(on.2["tlb_misses"].as_u64() > Some(0));
        assert_eq!(off.2["jit"]["regions"], 0);
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        if cfg!(feature = "dump-jit") {
            assert!(text.starts_with("registers: ") && text.contains("block 0x80200"), "{text}");
            assert!(text.contains("ld a0,0(a1)") && text.contains("tlb.read.tag"), "{text}");
        }
        assert!(!machine("tv", 1, &counting()).list_compiled(&(0..=u64::MAX), Box::new(Text::default())));
    }
}
