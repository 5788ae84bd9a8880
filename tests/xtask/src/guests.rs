//! `cargo xtask guests`: the unmodified guest software that whole-machine tests boot.
//!
//! The images live in a cache outside the tree and come in stages: files taken out of Debian packages, images built
//! from them (initramfs, disks), and files out of Python packages. A stage is made in a folder aside and moved into place at its
//! end; where its key still fits, nothing is done.

use crate::apt::{self, Apt, Package};
use crate::files::{self, digest, rename};
use crate::manifest::{Entry, Manifest};
use crate::process::{self, command};
use crate::{Result, initramfs};
use std::fs::File;
use std::path::{Path, PathBuf};

const ARCHITECTURES: [&str; 2] = ["riscv64", "arm64"];
/// Counted up when the layout of the fetched images changes.
const LAYOUT: u32 = 4;
/// The last suite with MicroPython for the first micro:bit.
const MICROPYTHON_SUITE: &str = "bookworm";
/// 2025-01-01, the time of everything in the disk images.
const EPOCH: &str = "1735689600";
const DISK_UUID: &str = "5f1c1f60-6879-7065-7265-6d7500000001";
const DISK_FILE: &str = "hyperemu test disk\n";

/// Runs the chore.
pub fn main(args: &[&str]) -> Result {
    let (mut list, mut refresh) = (false, false);
    for arg in args {
        match *arg {
            "--list" => list = true,
            "--refresh" => refresh = true,
            other => {
                return Err(format!("guests: no option `{other}`; there are --list and --refresh").into());
            }
        }
    }
    let root = root()?;
    ensure(&root, refresh)?;
    if list {
        for manifest in [PACKAGES, BUILT, PYTHON].iter().filter_map(|name| Manifest::load(&root.join(name))) {
            for Entry { path, package, version, sha256, size } in manifest.entries {
                println!("{path:44} {package:46} {version:24} {sha256} {size}");
            }
        }
    }
    println!("{}", root.display());
    Ok(())
}

/// The cache's folder: `HYPEREMU_GUESTS`, else `hyperemu/guests` in the user's cache.
pub fn root() -> Result<PathBuf> {
    let from = |name: &str, rest: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some(Path::new(&value).join(rest))
    };
    from("HYPEREMU_GUESTS", "")
        .or_else(|| from("XDG_CACHE_HOME", "hyperemu/guests"))
        .or_else(|| from("HOME", ".cache/hyperemu/guests"))
        .ok_or_else(|| {
            "neither HYPEREMU_GUESTS, XDG_CACHE_HOME nor HOME says where to keep the images".into()
        })
}

const PACKAGES: &str = "packages.manifest";
const BUILT: &str = "built.manifest";
const PYTHON: &str = "python.manifest";

/// Zephyr's Bluetooth controller on a serial line.
const CONTROLLER: (&str, &str) = ("zephyr-4-4-0-hci-uart-nrf52dk-default", "0.1.5");
/// A Bluetooth host that talks with it.
const HOST: (&str, &str) = ("bumble", "0.0.236");

/// Brings the cache up to date; `refresh` asks the registry for newer packages.
pub fn ensure(root: &Path, refresh: bool) -> Result {
    files::make_folder(root)?;
    // Two test runs may start at once: the second waits and finds everything in place.
    let lock_path = root.join(".lock");
    let lock = files::named(File::create(&lock_path), &lock_path)?;
    files::named(lock.lock(), &lock_path)?;

    let key = format!("layout {LAYOUT} of {}", apt::SUITE);
    stage(root, PACKAGES, &key, refresh, fetch)?;
    let packages = files::read(&root.join(PACKAGES))?;
    let programs = [
        include_str!("../../guests/mps2/picolibc.c"),
        include_str!("../../guests/mps2/rust.rs"),
        include_str!("../../guests/mps2/link.ld"),
    ];
    let recipe = initramfs::recipe() + include_str!("guests.rs") + &programs.concat();
    let key = files::sha256(&[&packages, recipe.as_bytes()].concat());
    stage(root, BUILT, &key, false, |new, work| build(root, new, work))?;

    stage(root, PYTHON, &format!("{CONTROLLER:?} {HOST:?}"), false, python)
}

/// Makes the images of one stage unless they are there, and moves them into place together with the manifest.
fn stage(
    root: &Path,
    manifest: &str,
    key: &str,
    force: bool,
    make: impl FnOnce(&Path, &Path) -> Result<Vec<Entry>>,
) -> Result {
    let path = root.join(manifest);
    let old = Manifest::load(&path);
    if !force && old.as_ref().is_some_and(|old| old.key == key && old.is_complete(root)) {
        return Ok(());
    }
    let (new, work) = (root.join(".new"), root.join(".work"));
    for folder in [&new, &work] {
        files::remove_folder(folder)?;
        files::make_folder(folder)?;
    }
    let mut entries = make(&new, &work)?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    if old.is_some() {
        files::named(std::fs::remove_file(&path), &path)?;
    }
    for folder in files::children(&new)? {
        let place = root.join(folder.file_name().unwrap_or_default());
        if place.is_dir() {
            files::remove_folder(&place)?;
        }
        rename(&folder, &place)?;
    }
    Manifest { key: key.to_owned(), entries }.store(&path)?;
    files::remove_folder(&new)?;
    files::remove_folder(&work)
}

/// Fetches the packages and takes the images out of them.
fn fetch(new: &Path, work: &Path) -> Result<Vec<Entry>> {
    let apt = Apt::open(&work.join("apt"), apt::SUITE, &ARCHITECTURES)?;
    let mut taker = Taker { apt, new, work, entries: Vec::new() };

    let linux = taker.apt.resolve("linux-image-riscv64:riscv64", "linux-image-")?;
    taker.take(&linux, |at, files| {
        let image = raw_image(&files::find(&at.join("boot"), "vmlinu")?)?;
        files::write(&at.join("Image"), image)?;
        let modules = files::find(&at.join("usr/lib/modules"), "")?;
        let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
        process::output(command("depmod").arg("-b").arg(at.join("usr")).arg(&version))?;
        files.push(("Image".into(), "linux-riscv64/Image"));
        files.push((format!("boot/config-{version}"), "linux-riscv64/config"));
        // Only a note in Debian's packages; the symbols themselves come in the debug package.
        files.push((format!("boot/System.map-{version}"), "linux-riscv64/System.map"));
        files.push(("usr/lib/modules".into(), "linux-riscv64/modules"));
        files.push((format!("usr/lib/linux-image-{version}"), "linux-riscv64/dtbs"));
        Ok(())
    })?;

    let arm = taker.apt.resolve("linux-image-arm64:arm64", "linux-image-")?;
    taker.take(&arm, |at, files| {
        let dtbs = files::find(&at.join("usr/lib"), "linux-image-")?;
        let name = dtbs.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((format!("usr/lib/{name}"), "linux-arm64/dtbs"));
        Ok(())
    })?;

    let opensbi = taker.apt.show("opensbi")?;
    taker.take(&opensbi, |_, files| {
        let generic = |bits: u32, file: &str| format!("usr/lib/riscv{bits}-linux-gnu/opensbi/generic/{file}");
        files.extend([
            (generic(64, "fw_dynamic.bin"), "opensbi/rv64/fw_dynamic.bin"),
            (generic(64, "fw_dynamic.elf"), "opensbi/rv64/fw_dynamic.elf"),
            (generic(64, "fw_jump.bin"), "opensbi/rv64/fw_jump.bin"),
            (generic(64, "fw_jump.elf"), "opensbi/rv64/fw_jump.elf"),
            (generic(32, "fw_dynamic.bin"), "opensbi/rv32/fw_dynamic.bin"),
            (generic(32, "fw_dynamic.elf"), "opensbi/rv32/fw_dynamic.elf"),
            (generic(32, "fw_jump.bin"), "opensbi/rv32/fw_jump.bin"),
            (generic(32, "fw_jump.elf"), "opensbi/rv32/fw_jump.elf"),
        ]);
        Ok(())
    })?;

    let uboot = taker.apt.show("u-boot-qemu")?;
    taker.take(&uboot, |_, files| {
        files.extend([
            ("usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin".into(), "u-boot/riscv64-smode.bin"),
            ("usr/lib/u-boot/qemu-riscv64/u-boot.bin".into(), "u-boot/riscv64.bin"),
        ]);
        Ok(())
    })?;

    let busybox = taker.apt.show("busybox-static:riscv64")?;
    taker.take(&busybox, |_, files| {
        files.push(("usr/bin/busybox".into(), "busybox-riscv64"));
        Ok(())
    })?;

    let fonts = taker.apt.show("console-setup-linux")?;
    taker.take(&fonts, |at, files| {
        // What the kernel's console draws with: it lets a test read a screenshot.
        let packed = at.join("usr/share/consolefonts/Lat15-VGA16.psf.gz");
        files::write(&at.join("vga16.psf"), process::output(command("gzip").arg("-dc").arg(packed))?)?;
        files.push(("vga16.psf".into(), "fonts/vga16.psf"));
        Ok(())
    })?;

    let installer = taker.apt.show("debian-installer-13-netboot-riscv64")?;
    taker.take(&installer, |at, files| {
        const FOLDER: &str = "usr/lib/debian-installer/images/13/riscv64/text/debian-installer/riscv64";
        files::write(&at.join("Image"), raw_image(&at.join(FOLDER).join("linux"))?)?;
        files.push(("Image".into(), "debian-installer-riscv64/Image"));
        files.push((format!("{FOLDER}/initrd.gz"), "debian-installer-riscv64/initrd.gz"));
        Ok(())
    })?;

    taker.apt = Apt::open(&work.join("apt-micropython"), MICROPYTHON_SUITE, &["arm64"])?;
    let micropython = taker.apt.show("firmware-microbit-micropython")?;
    taker.take(&micropython, |_, files| {
        let hex = "usr/share/firmware-microbit-micropython/firmware.hex";
        files.push((hex.into(), "microbit-micropython/firmware.hex"));
        Ok(())
    })?;
    Ok(taker.entries)
}

/// Fetches packages from the Python index: a firmware, and a folder of modules with all that they need.
fn python(new: &Path, work: &Path) -> Result<Vec<Entry>> {
    let install = |(name, version): (&str, &str), at: &Path, options: &[&str]| {
        println!("guests: {name} {version}");
        let mut pip = command("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(options);
        pip.arg("--target").arg(at).arg(format!("{name}=={version}"));
        process::retry("pip", || process::output(&mut pip).map(drop))
    };
    let controller = work.join("controller");
    install(CONTROLLER, &controller, &["--no-deps"])?;
    let firmware = controller.join(CONTROLLER.0.replace('-', "_")).join("firmware.hex");
    let hex = "zephyr-hci-uart-nrf52dk/firmware.hex";
    rename(&firmware, &new.join(hex))?;
    let modules = "python/bumble";
    // Compiled modules would differ from run to run.
    install(HOST, &new.join(modules), &["--no-compile"])?;
    let mut entries = Vec::new();
    for (path, (package, version)) in [(hex, CONTROLLER), (modules, HOST)] {
        let (sha256, size) = digest(&new.join(path))?;
        let (package, version) = (format!("{package}:python"), version.to_owned());
        entries.push(Entry { path: path.to_owned(), package, version, sha256, size });
    }
    Ok(entries)
}

/// Unpacks packages and moves files out of them.
struct Taker<'a> {
    apt: Apt,
    new: &'a Path,
    work: &'a Path,
    entries: Vec<Entry>,
}

impl Taker<'_> {
    /// `choose` sees the unpacked package and lists what to take: path in it, path in the cache.
    fn take(
        &mut self,
        package: &Package,
        choose: impl FnOnce(&Path, &mut Vec<(String, &'static str)>) -> Result,
    ) -> Result {
        println!("guests: {} {}", package.name, package.version);
        let at = self.work.join("unpacked");
        files::remove_folder(&at)?;
        self.apt.unpack(package, &at)?;
        let mut chosen = Vec::new();
        choose(&at, &mut chosen)?;
        for (from, to) in chosen {
            let place = self.new.join(to);
            rename(&at.join(from), &place)?;
            let (sha256, size) = digest(&place)?;
            let (package, version) = (package.name.clone(), package.version.clone());
            self.entries.push(Entry { path: to.to_owned(), package, version, sha256, size });
        }
        Ok(())
    }
}

/// A kernel as the raw Image that loaders expect: some packages hold it compressed.
fn raw_image(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return process::output(command("gzip").arg("-dc").arg(path));
    }
    if bytes.get(0x30..0x35) == Some(b"RISCV") || bytes.get(0x38..0x3c) == Some(b"ARMd") {
        return Ok(bytes);
    }
    Err(format!("{}: neither a Linux Image nor a compressed one", path.display()).into())
}

/// Builds what the packages do not hold.
fn build(root: &Path, new: &Path, work: &Path) -> Result<Vec<Entry>> {
    println!("guests: initramfs and disk images");
    let busybox = root.join("busybox-riscv64");
    files::write(&new.join("initramfs/riscv64-bare.cpio.gz"), initramfs::bare(&busybox)?)?;
    let full = initramfs::full(&busybox, &root.join("linux-riscv64/modules"))?;
    files::write(&new.join("initramfs/riscv64-full.cpio.gz"), full)?;
    ext4(&new.join("disk/ext4.img"), work)?;
    mps2(&new.join("mps2"))?;
    let mut convert = command("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", "qcow2"]).args(["disk/ext4.img", "disk/ext4.qcow2"]);
    process::output(convert.current_dir(new))?;

    let mut entries = Vec::new();
    for path in files::below(new)? {
        let (sha256, size) = digest(&path)?;
        let path = path.strip_prefix(new)?.to_string_lossy().into_owned();
        entries.push(Entry { path, package: "-".into(), version: "-".into(), sha256, size });
    }
    Ok(entries)
}

/// Programs for the board mps2-an386: one in C with picolibc, one in Rust.
fn mps2(at: &Path) -> Result {
    files::make_folder(at)?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/mps2");
    let mut gcc = command("arm-none-eabi-gcc");
    gcc.args([
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=hard",
        "-mfpu=fpv4-sp-d16",
        "-O2",
        "-g",
        "-Wall",
        "-Wextra",
    ]);
    gcc.args(["--specs=picolibc.specs", "--oslib=semihost", "-Tpicolibc.ld"]);
    for (symbol, value) in [
        ("__flash", "0"),
        ("__flash_size", "0x400000"),
        ("__ram", "0x20000000"),
        ("__ram_size", "0x400000"),
        ("__stack_size", "0x8000"),
    ] {
        gcc.arg(format!("-Wl,--defsym={symbol}={value}"));
    }
    process::output(gcc.arg(sources.join("picolibc.c")).arg("-lm").arg("-o").arg(at.join("picolibc.elf")))?;
    const TARGET: &str = "thumbv7em-none-eabihf";
    process::retry("rustup", || process::output(command("rustup").args(["target", "add", TARGET])))?;
    let mut rustc = command("rustc");
    rustc.args([
        "--edition",
        "2024",
        "--target",
        TARGET,
        "-Copt-level=2",
        "-Cpanic=abort",
        "-Clinker=rust-lld",
    ]);
    rustc.arg(format!("-Clink-arg=-T{}", sources.join("link.ld").display()));
    process::output(rustc.arg(sources.join("rust.rs")).arg("-o").arg(at.join("rust.elf"))).map(drop)
}

/// A 16 MiB ext4 file system with one file in it, the same bytes each time.
fn ext4(image: &Path, work: &Path) -> Result {
    files::write(image, "")?;
    files::named(File::options().write(true).open(image).and_then(|f| f.set_len(16 << 20)), image)?;
    let options = format!("hash_seed={DISK_UUID},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0");
    let mut mkfs = command("mkfs.ext4");
    mkfs.args(["-q", "-F", "-L", "hyperemu", "-U", DISK_UUID, "-E", &options]).arg(image);
    process::output(mkfs.env("E2FSPROGS_FAKE_TIME", EPOCH))?;
    // debugfs, unlike mkfs.ext4 -d, takes neither owner nor times from the host's file.
    files::write(&work.join("hello.txt"), DISK_FILE)?;
    let mut debugfs = command("debugfs");
    debugfs.args(["-w", "-R", "write hello.txt hello.txt"]).arg(image.canonicalize()?).current_dir(work);
    process::output(debugfs.env("E2FSPROGS_FAKE_TIME", EPOCH))?;
    process::output(command("e2fsck").args(["-f", "-n"]).arg(image)).map(drop)
}
