//! Runs a program of chunks: in our interpreter, and under qemu-user.

use cpu_armm::{ArmConfig, ArmCore};
use cpu_core::{Core, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time};
use object::{Object, ObjectSegment};

use super::user::{EXIT, RECORD, WRITE, calls};
use crate::peer::user_mode;

/// What a program wrote, and how it ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its standard output.
    pub output: Vec<u8>,
    /// Exit status or what went wrong, for messages.
    pub end: String,
    /// Instructions, where the peer counts them.
    pub executed: u64,
    /// Of these, how many compiled code ran.
    pub compiled: u64,
}

impl Run {
    /// The record of the chunk that ran as number `k`; `None` when it did not get there.
    pub fn record(&self, k: usize) -> Option<&[u8]> {
        self.output.get(k * RECORD..(k + 1) * RECORD)
    }
}

/// Under qemu-user as a Cortex-M4.
pub fn qemu(elf: &[u8]) -> Run {
    let (output, end) = user_mode("qemu-arm", &["-cpu", "cortex-m4"], elf);
    Run { output, end, executed: 0, compiled: 0 }
}

/// In our interpreter.
pub fn ours(elf: &[u8]) -> Run {
    run(elf, |_| {})
}

/// By what the compiler records of each block, interpreted.
pub fn lifted(elf: &[u8]) -> Run {
    run(elf, |core| core.set_lifted(true))
}

/// By what the compiler makes of each block when it runs first.
#[cfg(target_arch = "x86_64")]
pub fn compiled(elf: &[u8]) -> Run {
    run(elf, |core| {
        let backend = cpu_jit_x64::X64::new(CODE).expect("a host that code can be made for");
        core.set_backend(Some(Box::new(backend)), 0);
    })
}

/// Bytes for compiled code.
#[cfg(target_arch = "x86_64")]
const CODE: usize = 64 << 20;

/// In Thread mode; the two system calls are answered here.
fn run(elf: &[u8], prepare: impl FnOnce(&mut ArmCore)) -> Run {
    let file = object::File::parse(elf).expect("an ELF file");
    let segments: Vec<_> = file.segments().filter(|s| s.size() > 0).collect();
    let region = |base: u64, size: u64| RegionSpec {
        name: format!("{base:#x}"),
        base,
        size: size.next_multiple_of(4096),
        kind: MemoryKind::Ram,
    };
    // The first is the vector table's.
    let specs = [region(0, 4096)].into_iter().chain(segments.iter().map(|s| region(s.address(), s.size())));
    let memory = GuestMemory::new(specs.collect()).expect("guest memory");
    for s in &segments {
        memory.write(s.address(), s.data().expect("a segment's data")).expect("it fits");
    }
    let mut core = ArmCore::new(ArmConfig::cortex_m4f(), memory.clone());
    prepare(&mut core);
    let mut time = Time::ZERO;
    let mut run = |core: &mut ArmCore| {
        let ran = core.run(&mut EmptyBus, time, 10_000_000);
        time = Time(time.0 + ran.executed * core.period().0);
        ran.exit
    };
    core.enable_fpu();
    core.set_pc(file.entry() as u32);
    core.set_breakpoints(&calls());
    let mut output = Vec::new();
    let end = loop {
        let exit = run(&mut core);
        match (exit, core.r(7)) {
            (Exit::Breakpoint, WRITE) => {
                let mut bytes = vec![0; core.r(2) as usize];
                memory.read(core.r(1).into(), &mut bytes).expect("the buffer");
                output.extend(bytes);
                core.set_pc(core.pc() as u32 + 2);
            }
            (Exit::Breakpoint, EXIT) => break "exit".to_string(),
            (other, call) => {
                break format!("{other:?}, call {call}, {}, xPSR {:#010x}", core.describe(), core.xpsr());
            }
        }
        if output.len() > 1 << 30 {
            break "endless output".into();
        }
    };
    let compiled = core.compiler_view().map_or(0, |tier| tier.engine.stats.executed);
    Run { output, end, executed: core.instructions(), compiled }
}
