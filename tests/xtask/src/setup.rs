//! `cargo xtask setup`: installs what the tests run beside cargo, on Debian and Ubuntu.
//!
//! It looks first and does nothing where everything is there, so that it needs no rights then.

use crate::process::{self, command, exists, retry};
use crate::{Result, apt, files};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages by what they are for. The names are the same in bookworm, trixie and Ubuntu 24.04.
const PACKAGES: [(&str, &[&str]); 8] = [
    ("oracle of the devicetree compiler", &["device-tree-compiler"]),
    (
        "debuggers and disassemblers as oracles",
        &["gdb-multiarch", "binutils-riscv64-linux-gnu", "binutils-arm-none-eabi", "llvm-19"],
    ),
    ("guest programs of the differential tests", &["gcc-riscv64-linux-gnu"]),
    (
        "guest images",
        &["debian-archive-keyring", "e2fsprogs", "kmod", "xz-utils", "zstd", "gzip", "cpio", "qemu-utils"],
    ),
    ("guest programs for Cortex-M", &["gcc-arm-none-eabi", "picolibc-arm-none-eabi"]),
    ("host and captures of the Bluetooth tests", &["python3", "python3-pip", "tshark"]),
    ("window tests", &["xvfb", "xauth", "xdotool", "imagemagick"]),
    ("window", &["libx11-6", "libxcursor1", "libxkbcommon0", "libwayland-client0"]),
];

/// Peers that the differential tests run. Older ones lack extensions and have known mistakes.
const QEMU: [&str; 3] = ["qemu-user", "qemu-system-misc", "qemu-system-arm"];
const QEMU_MAJOR: u32 = 10;

/// What builds the firmware: a compiler that brings its library's source.
const COMPILER: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Runs the chore.
pub fn main() -> Result {
    if !exists("apt-get") {
        let wanted: Vec<&str> =
            PACKAGES.iter().flat_map(|(_, names)| names.iter().copied()).chain(QEMU).collect();
        return Err(format!("setup knows apt only; install what Debian calls {}", wanted.join(" ")).into());
    }
    let mut installer = Installer::default();
    for (purpose, names) in PACKAGES {
        let missing = missing(names)?;
        if !missing.is_empty() {
            println!("setup: {purpose}: installing {}", missing.join(" "));
            installer.install(&missing, None)?;
        }
    }
    qemu(&mut installer)?;
    compiler(&mut installer)?;
    println!("setup: everything is there");
    Ok(())
}

/// What the benchmark needs beyond cargo: compilers of its kernels for the host and the guest, and QEMU as the peer.
const BENCH: [&str; 4] = ["gcc", "libc6-dev", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross"];

/// Installs what `cargo xtask bench` runs; where there is no apt, what is missing fails later by its name.
pub fn bench(with_qemu: bool) -> Result {
    if !exists("apt-get") {
        return Ok(());
    }
    let mut installer = Installer::default();
    let missing = missing(&BENCH)?;
    if !missing.is_empty() {
        println!("setup: kernels of the benchmark: installing {}", missing.join(" "));
        installer.install(&missing, None)?;
    }
    if with_qemu { qemu(&mut installer) } else { Ok(()) }
}

fn qemu(installer: &mut Installer) -> Result {
    if qemu_major().is_some_and(|major| major >= QEMU_MAJOR) && missing(&QEMU)?.is_empty() {
        return Ok(());
    }
    let suite = (codename()? == "bookworm").then_some("bookworm-backports");
    println!("setup: peers of the differential tests: installing {}", QEMU.join(" "));
    installer.install(&QEMU, suite)?;
    match qemu_major() {
        Some(major) if major >= QEMU_MAJOR => Ok(()),
        found => Err(format!(
            "the differential tests need QEMU {QEMU_MAJOR} or newer, and this host's packages bring {found:?}; \
             put a newer qemu-riscv64 and qemu-system-riscv64 on the path"
        )
        .into()),
    }
}

fn compiler(installer: &mut Installer) -> Result {
    if missing(&COMPILER)?.is_empty() {
        return Ok(());
    }
    if !installer.has_candidate(COMPILER[0]) {
        println!("setup: this host's packages have no {}: the firmware cannot be rebuilt here", COMPILER[0]);
        return Ok(());
    }
    println!("setup: compiler of the firmware: installing {}", COMPILER.join(" "));
    installer.install(&COMPILER, None)
}

/// Which of these packages are not installed.
fn missing<'a>(names: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut query = command("dpkg-query");
    query.args(["-W", "-f", "${Package} ${db:Status-Status}\n"]).args(names);
    // It fails when it does not know one of them, and still lists the others.
    let out = query.output().map_err(|e| format!("cannot run dpkg-query: {e}"))?;
    let listed = String::from_utf8_lossy(&out.stdout);
    let installed = |name: &str| listed.lines().any(|line| line == format!("{name} installed"));
    Ok(names.iter().copied().filter(|name| !installed(name)).collect())
}

fn qemu_major() -> Option<u32> {
    let text = process::text(command("qemu-riscv64").arg("--version")).ok()?;
    text.split_whitespace().skip_while(|word| *word != "version").nth(1)?.split('.').next()?.parse().ok()
}

fn codename() -> Result<String> {
    let release = String::from_utf8(files::read(Path::new("/etc/os-release"))?)?;
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(line.unwrap_or_default().trim_matches('"').to_owned())
}

/// apt-get as root, its lists fetched once for each set of sources.
#[derive(Default)]
struct Installer {
    updated: Vec<Option<&'static str>>,
}

impl Installer {
    /// Installs packages, out of a suite beyond the host's own where one is named.
    fn install(&mut self, names: &[&str], suite: Option<&'static str>) -> Result {
        let options = suite.map_or(Ok(Vec::new()), extra_suite)?;
        if !self.updated.contains(&suite) {
            retry("apt-get update", || process::run(apt_get()?.args(&options).arg("update")))?;
            self.updated.push(suite);
        }
        retry("apt-get install", || {
            let mut install = apt_get()?;
            install.args(&options).args(["install", "-y", "--no-install-recommends"]);
            process::run(install.args(suite.map(|suite| format!("-t={suite}"))).args(names))
        })
    }

    /// Whether the host's own sources have a package.
    fn has_candidate(&mut self, name: &str) -> bool {
        if !self.updated.contains(&None) {
            let update = || process::run(apt_get()?.arg("update"));
            if retry("apt-get update", update).is_ok() {
                self.updated.push(None);
            }
        }
        process::output(command("apt-cache").args(["show", name])).is_ok_and(|text| !text.is_empty())
    }
}

/// Options that add a suite of the host's mirror for one call, with lists of their own, so that nothing of it
/// stays in the host's configuration.
fn extra_suite(suite: &str) -> Result<Vec<String>> {
    let folder: PathBuf = std::env::temp_dir().join(format!("hyperemu-{suite}-{}", std::process::id()));
    // Root is about to trust what is in it: it must not exist yet.
    files::named(std::fs::create_dir(&folder), &folder)?;
    files::make_folder(&folder.join("lists/partial"))?;
    let own = std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let sources = format!("{own}\ndeb [signed-by={}] {} {suite} main\n", apt::KEYRING, apt::mirror()?);
    files::write(&folder.join("sources.list"), sources)?;
    Ok([
        format!("Dir::Etc::sourcelist={}", folder.join("sources.list").display()),
        format!("Dir::State::lists={}", folder.join("lists").display()),
        "APT::Sandbox::User=root".to_owned(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect())
}

fn apt_get() -> Result<Command> {
    let options =
        ["-qq", "-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=3"];
    let mut apt = if process::text(command("id").arg("-u"))?.trim() == "0" {
        command("env")
    } else if exists("sudo") {
        let mut sudo = command("sudo");
        sudo.arg("env");
        sudo
    } else {
        return Err("installing packages needs root: run `cargo xtask setup` as root, or install sudo".into());
    };
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(options);
    Ok(apt)
}
