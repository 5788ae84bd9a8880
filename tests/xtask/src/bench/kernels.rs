//! The kernels of `tests/bench`: what there is, and the programs and the initramfs that hold them.

use crate::cpio::Archive;
use crate::process::{self, command};
use crate::{Result, files};
use std::path::{Path, PathBuf};

/// What a kernel measures: geometric means are over one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Code of a program.
    User,
    /// Code of the operating system, and what the processor does for it.
    System,
    /// Code without an operating system, on a processor of 32 bits without address translation.
    Bare,
}

/// One kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Its name in the guest program and on our command line.
    pub name: &'static str,
    /// What it does, in a few words.
    pub title: &'static str,
    /// Where it counts.
    pub group: Group,
    /// For 0.1 to 0.2 seconds of native time on a processor of 2024.
    iterations: u64,
    /// Whether its checksum is the same on every machine. Where it is not, compilers contract multiplications with
    /// additions on one machine only, and the C library has several versions of a function.
    pub exact: bool,
}

impl Kernel {
    /// What the programs call it: the same kernel may run in several machines.
    pub fn program(&self) -> &'static str {
        BARE.iter().find_map(|bare| self.name.strip_suffix(bare.suffix)).unwrap_or(self.name)
    }

    /// Whether it is for a Cortex-M4, not for RISC-V.
    pub fn is_cortex_m4(&self) -> bool {
        self.name.ends_with(CORTEX_M4)
    }

    /// How often it does its work; `quick` is a fifth of that.
    pub fn iterations(&self, quick: bool) -> u64 {
        if quick { self.iterations / 5 } else { self.iterations }
    }
}

/// What kernels on bare metal are built with, by the end of their names.
struct Bare {
    suffix: &'static str,
    compiler: &'static str,
    flags: &'static [&'static str],
    /// Of the board's sources.
    board: &'static str,
}

/// As a microcontroller's toolchain builds; no library of the guest compiler's is for 32 bits of RISC-V.
const BARE: [Bare; 2] = [
    Bare {
        suffix: "-rv32",
        compiler: GUEST,
        flags: &["-march=rv32imac_zicsr", "-mabi=ilp32", "-mno-relax"],
        board: "virt",
    },
    Bare {
        suffix: CORTEX_M4,
        compiler: "arm-none-eabi-gcc",
        flags: &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        board: "mps2",
    },
];

/// Ends the names of kernels for a Cortex-M4.
const CORTEX_M4: &str = "-m4";

/// Every kernel, in the order in which they run.
#[rustfmt::skip]
pub const KERNELS: [Kernel; 22] = {
    use Group::{Bare, System, User};
    const fn kernel(
        name: &'static str, title: &'static str, group: Group, iterations: u64, exact: bool,
    ) -> Kernel {
        Kernel { name, title, group, iterations, exact }
    }
    [
        kernel("core", "CoreMark-like: lists, matrices, states, CRC", User, 15_000, true),
        kernel("nbody", "nbody (double)", User, 2_000_000, false),
        kernel("matmul", "matrix product (double)", User, 400, false),
        kernel("libm", "sin, cos, exp, log, pow", User, 2_000_000, false),
        kernel("chase-32k", "pointer chase, 32 KiB", User, 150_000, true),
        kernel("chase-1m", "pointer chase, 1 MiB", User, 15_000, true),
        kernel("chase-64m", "pointer chase, 64 MiB", User, 1_500, true),
        kernel("interp", "bytecode interpreter", User, 125, true),
        kernel("fib", "recursive calls", User, 200, true),
        kernel("qsort", "qsort (function pointers)", User, 100, true),
        kernel("sha256", "SHA-256", User, 500, true),
        kernel("memcpy", "memcpy and memset, 8 MB", User, 500, true),
        kernel("sieve", "sieve of Eratosthenes", User, 150, true),
        kernel("syscall", "getppid", System, 700_000, true),
        kernel("fault", "page faults", System, 150, true),
        kernel("pipe", "pipe between two processes", System, 20_000, true),
        kernel("fork", "fork and wait", System, 1_500, true),
        kernel("exec", "fork, exec and wait", System, 400, true),
        kernel("core-rv32", "CoreMark-like, bare metal, RV32IMAC", Bare, 15_000, true),
        kernel("core-m4", "CoreMark-like, bare metal, Cortex-M4", Bare, 15_000, true),
        kernel("filter-m4", "fixed-point filters, bare metal, Cortex-M4", Bare, 40_000, true),
        kernel("single-m4", "single precision, bare metal, Cortex-M4", Bare, 20_000, false),
    ]
};

/// The built programs.
pub struct Programs {
    /// For this machine.
    pub native: PathBuf,
    /// An initramfs of the riscv64 guest with the program in it.
    pub initramfs: PathBuf,
    folder: PathBuf,
}

impl Programs {
    /// Those in this folder.
    pub fn at(folder: &Path) -> Self {
        let (native, initramfs) = (folder.join("bench"), folder.join("initramfs.cpio"));
        Self { native, initramfs, folder: folder.to_owned() }
    }

    /// The image of a kernel on bare metal.
    pub fn bare(&self, kernel: &Kernel) -> PathBuf {
        self.folder.join(format!("{}.elf", kernel.name))
    }
}

const NATIVE: &str = "gcc";
const GUEST: &str = "riscv64-linux-gnu-gcc";
const FLAGS: [&str; 5] = ["-O2", "-std=gnu11", "-static", "-Wall", "-Wextra"];
const BARE_FLAGS: [&str; 6] = [
    "-fno-pie",
    "-no-pie",
    "-ffreestanding",
    "-nostdlib",
    "-Wl,--build-id=none",
    "-Wl,--no-warn-rwx-segments",
];

/// Builds the programs into the cache of guest images unless they are there. `images` is up to date.
pub fn build(images: &Path) -> Result<Programs> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench").canonicalize()?;
    let mut bare = files::read(&images.join("initramfs/riscv64-bare.cpio.gz"))?;
    let mut key = include_str!("kernels.rs").to_owned() + &files::digest(&folder)?.0 + &files::sha256(&bare);
    for compiler in [NATIVE, GUEST].into_iter().chain(BARE.iter().map(|bare| bare.compiler)) {
        key += &process::text(command(compiler).arg("--version"))?;
    }
    let place = images.join("bench").join(&files::sha256(key.as_bytes())[..16]);
    let programs = Programs::at(&place);
    if place.is_dir() {
        return Ok(programs);
    }
    println!("bench: building the kernels");
    let new = images.join("bench").join(format!(".new-{}", std::process::id()));
    files::remove_folder(&new)?;
    files::make_folder(&new)?;
    let mut sources = files::children(&folder)?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    for (compiler, name) in [(NATIVE, "bench"), (GUEST, "bench-riscv64")] {
        let mut cc = command(compiler);
        process::run(cc.args(FLAGS).arg("-o").arg(new.join(name)).args(&sources).arg("-lm"))?;
    }
    for kernel in KERNELS.iter().filter(|kernel| kernel.group == Group::Bare) {
        let program = kernel.program();
        let Some(bare) = BARE.iter().find(|bare| kernel.name.ends_with(bare.suffix)) else { continue };
        let board = folder.join("bare").join(bare.board);
        let mut cc = command(bare.compiler);
        cc.args(FLAGS).args(bare.flags).args(BARE_FLAGS).arg(format!("-DKERNEL={program}"));
        cc.arg("-T").arg(board.with_extension("ld")).arg(board.with_extension("c"));
        cc.arg(folder.join("bare/bare.c"))
            .arg(folder.join(program).with_extension("c"))
            .arg("-o")
            .arg(new.join(format!("{}.elf", kernel.name)));
        process::run(&mut cc)?;
    }
    // Linux unpacks one archive after another, a plain one from an address that four divides.
    let mut archive = Archive::default();
    archive.file("bin/bench", 0o755, &files::read(&new.join("bench-riscv64"))?);
    bare.resize(bare.len().next_multiple_of(4), 0);
    files::write(&new.join("initramfs.cpio"), [bare, archive.finish()].concat())?;
    match files::rename(&new, &place) {
        // Another run was faster.
        Err(_) if place.is_dir() => files::remove_folder(&new)?,
        other => other?,
    }
    Ok(programs)
}
