//! `cargo xtask bench`: how fast the emulator is, as processor time and beside QEMU, in one run.
//!
//! The kernel, the initramfs and the command line are the same for both; the runs alternate, so that a change in the
//! machine's speed meets both. Figures are processor seconds of the whole process (user and system), which other load
//! stretches less than the clock's.

use crate::process::{self, command};
use crate::{Result, guests};
use std::path::Path;
use std::process::{Command, Stdio};

/// Counted runs of each, unless `--runs` says otherwise.
const RUNS: usize = 5;

/// Runs the chore.
pub fn main(args: &[&str]) -> Result {
    let runs = match args {
        [] => RUNS,
        ["--runs", count] => {
            count.parse().ok().filter(|runs| (1..=99).contains(runs)).ok_or("bench: --runs takes 1 to 99")?
        }
        [other, ..] => return Err(format!("bench: no option `{other}`; it takes --runs N").into()),
    };
    let images = guests::root()?;
    guests::ensure(&images, false)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let build = |args: &[&str]| process::run(command(&cargo).args(args).current_dir(&folder));
    build(&["build", "--quiet", "--release", "--package", "hyperemu"])?;
    println!("integer loop, memory, calls: one hart, translation on");
    build(&["run", "--quiet", "--release", "--package", "cpu-riscv", "--example", "speed"])?;

    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let hyperemu = folder.join(target).join("release/hyperemu");
    let qemu_version = process::text(command("qemu-system-riscv64").arg("--version"))?;
    println!("\nDebian's kernel to /init and power-off, one hart, {runs} runs each, processor seconds");
    println!("against {}", qemu_version.lines().next().unwrap_or_default());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms the host's caches.
    for run in 0..=runs {
        let pair = [seconds(&mut boot_ours(&hyperemu, &images))?, seconds(&mut boot_qemu(&images))?];
        if run > 0 {
            ours.push(pair[0]);
            theirs.push(pair[1]);
        }
    }
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!("{:24} {:>7} {:>7} {:>7}", "", "min", "median", "max");
    for (name, figures) in
        [("hyperemu, interpreted", ours), ("QEMU, compiled (TCG)", theirs), ("ratio", ratios)]
    {
        let [min, median, max] = spread(figures);
        println!("{name:24} {min:7.2} {median:7.2} {max:7.2}");
    }
    Ok(())
}

const APPEND: &str = "cryptomgr.notests console=ttyS0 RUN=\"poweroff\"";

fn boot_ours(hyperemu: &Path, images: &Path) -> Command {
    let mut ours = command(&hyperemu.to_string_lossy());
    ours.args([
        "--machine",
        "tv",
        "--headless",
        "--cpus",
        "1",
        "--net",
        "none",
        "--timeout",
        "60s",
        "--kernel",
    ]);
    ours.arg(images.join("linux-riscv64/Image"))
        .arg("--initrd")
        .arg(images.join("initramfs/riscv64-bare.cpio.gz"));
    ours.args(["--append", APPEND]);
    ours
}

fn boot_qemu(images: &Path) -> Command {
    let mut qemu = command("qemu-system-riscv64");
    qemu.args(["-M", "virt", "-m", "512M", "-nographic", "-nic", "none", "-bios"]);
    qemu.arg(images.join("opensbi/rv64/fw_dynamic.bin"))
        .arg("-kernel")
        .arg(images.join("linux-riscv64/Image"));
    qemu.arg("-initrd").arg(images.join("initramfs/riscv64-bare.cpio.gz")).args(["-append", APPEND]);
    qemu
}

/// Processor seconds of a command that must succeed.
fn seconds(command: &mut Command) -> Result<f64> {
    let before = children_ticks()?;
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{:?} failed ({status})", command.get_program()).into());
    }
    // Linux reports in ticks of 1/100 s, whatever its own.
    Ok((children_ticks()? - before) as f64 / 100.0)
}

/// User and system time of all children that have ended: fields 16 and 17 of proc_pid_stat(5).
fn children_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> = after_name.split_whitespace().skip(13).take(2).flat_map(str::parse).collect();
    match fields[..] {
        [user, system] => Ok(user + system),
        _ => Err("/proc/self/stat does not look as expected".into()),
    }
}

/// Minimum, median and maximum.
fn spread(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let median =
        if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 };
    [figures[0], median, figures[figures.len() - 1]]
}
