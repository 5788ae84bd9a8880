//! Runs a program of chunks: in our interpreter, and under qemu-user.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use cpu_core::{Core, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time};
use cpu_riscv::isa::Features;
use cpu_riscv::{Hart, HartConfig, Mmu, csr};
use object::{Object, ObjectSegment};

use crate::tool::{require_tool, scratch_file};
use crate::user::{EXIT, RECORD, WRITE};

/// What a program wrote, and how it ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its standard output.
    pub output: Vec<u8>,
    /// Exit status or what went wrong, for messages.
    pub end: String,
    /// Instructions, where the peer counts them.
    pub executed: u64,
}

impl Run {
    /// The record of the chunk that ran as number `k`; `None` when it did not get there.
    pub fn record(&self, k: usize) -> Option<&[u8]> {
        self.output.get(k * RECORD..(k + 1) * RECORD)
    }
}

/// Under qemu-user with everything switched on, each instruction translated alone: across instructions,
/// 10.0 loses the flags of `fround` and `froundnx` whose result is overwritten (helpers declared free of
/// side effects), and `amocas` with `rd = x0` spoils the translator's constant zero.
pub fn qemu(xlen: u32, elf: &[u8]) -> Run {
    let (output, end) = user_mode(&format!("qemu-riscv{xlen}"), &["-cpu", "max", "-one-insn-per-tb"], elf);
    Run { output, end, executed: 0 }
}

/// Runs a program under one of qemu-user's emulators: its standard output, and how it ended.
pub fn user_mode(emulator: &str, options: &[&str], elf: &[u8]) -> (Vec<u8>, String) {
    let program = require_tool(&[emulator], "qemu-user");
    let file = scratch_file("user", elf);
    // It refuses files that are not executable, without a word.
    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o700)).expect("a temporary file");
    let mut command = Command::new(program);
    let out = command.args(options).arg(&file.0).stdin(Stdio::null()).output().expect("qemu-user runs");
    (out.stdout, format!("{} {}", out.status, String::from_utf8_lossy(&out.stderr)))
}

/// In our interpreter, in S-mode without translation; the two system calls are answered here.
pub fn ours(xlen: u32, extensions: Features, elf: &[u8]) -> Run {
    let file = object::File::parse(elf).expect("an ELF file");
    let segments: Vec<_> = file.segments().filter(|s| s.size() > 0).collect();
    let specs = segments.iter().map(|s| RegionSpec {
        name: format!("{:#x}", s.address()),
        base: s.address(),
        size: s.size().next_multiple_of(4096),
        kind: MemoryKind::Ram,
    });
    let memory = GuestMemory::new(specs.collect()).expect("guest memory");
    for s in &segments {
        memory.write(s.address(), s.data().expect("a segment's data")).expect("it fits");
    }
    let base = if xlen == 64 { "rv64i" } else { "rv32i" };
    let mut config = HartConfig::new(0, base, [], Mmu::Bare).expect("a configuration");
    config.extensions = extensions | config.extensions;
    config.firmware_calls = true;
    let mut hart = Hart::new(config, memory.clone());
    hart.start_supervisor(file.entry(), 0, 0);
    let fp_on = 3 << 13;
    let status = hart.csr(csr::MSTATUS).expect("mstatus");
    assert!(hart.set_csr(csr::MSTATUS, status | fp_on));
    let mut output = Vec::new();
    let mut time = Time::ZERO;
    let end = loop {
        let ran = hart.run(&mut EmptyBus, time, 10_000_000);
        time = Time(time.0 + ran.executed * hart.period().0);
        match (ran.exit, hart.x(17)) {
            (Exit::FirmwareCall, n) if n == WRITE => {
                let mut bytes = vec![0; hart.x(12) as usize];
                memory.read(hart.x(11), &mut bytes).expect("the buffer");
                output.extend(bytes);
                let done = hart.x(12);
                hart.set_x(10, done);
            }
            (Exit::FirmwareCall, n) if n == EXIT => break "exit".to_string(),
            (other, n) => {
                let cause = hart.csr(csr::SCAUSE).unwrap_or_default();
                let (pc, value) =
                    (hart.csr(csr::SEPC).unwrap_or_default(), hart.csr(csr::STVAL).unwrap_or_default());
                break format!("{other:?}, call {n}, cause {cause} at {pc:#x}, value {value:#x}");
            }
        }
    };
    Run { output, end, executed: hart.instructions() }
}
