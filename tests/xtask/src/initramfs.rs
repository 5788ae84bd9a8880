//! The initramfs images that tests boot Linux into: busybox, our `/init` and, in the full one, modules.

use crate::Result;
use crate::cpio::Archive;
use crate::files;
use crate::process::{self, command};
use flate2::{Compression, GzBuilder};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the full image can load, in this order, each after what it depends on, by the name of a group:
/// `DRIVERS="disk net"` on the kernel's command line loads no other groups, since a module takes up to a second.
const MODULES: [(&str, &str); 10] = [
    ("base", "virtio_mmio"),
    ("base", "virtio_rng"),
    ("disk", "virtio_blk"),
    ("disk", "ext4"),
    ("net", "virtio_net"),
    ("share", "9p"),
    ("share", "9pnet_virtio"),
    ("input", "virtio_input"),
    ("input", "evdev"),
    ("screen", "virtio_gpu"),
];

/// The files of ours that go into every image, with their permissions.
const FILES: [(&str, u32, &str); 5] = [
    ("bin/show-events", 0o755, include_str!("../../guests/show-events")),
    ("etc/inittab", 0o644, include_str!("../../guests/inittab")),
    ("init", 0o755, include_str!("../../guests/init")),
    ("etc/udhcpc/default.script", 0o755, include_str!("../../guests/udhcpc.script")),
    ("usr/lib/console-shell", 0o755, include_str!("../../guests/console-shell")),
];

/// What the content of the images depends on beside the packages.
pub fn recipe() -> String {
    let mut text = include_str!("initramfs.rs").to_owned();
    FILES.iter().for_each(|(_, _, content)| text += content);
    text
}

/// The image without modules: a serial console and a shell.
pub fn bare(busybox: &Path) -> Result<Vec<u8>> {
    gzip(&base(busybox)?.finish())
}

/// The image with the drivers of the virtual devices; `modules` is a lib/modules folder with one kernel in it.
pub fn full(busybox: &Path, modules: &Path) -> Result<Vec<u8>> {
    let mut archive = base(busybox)?;
    archive.folder("modules", 0o755);
    let mut list = String::new();
    for (group, path) in load_order(modules)? {
        let (name, module) = plain_module(&path)?;
        archive.file(&format!("modules/{name}"), 0o644, &module);
        list += &format!("{group} {name}\n");
    }
    archive.file("modules/list", 0o644, list.as_bytes());
    gzip(&archive.finish())
}

fn base(busybox: &Path) -> Result<Archive> {
    let mut archive = Archive::default();
    for folder in [
        "bin",
        "dev",
        "etc",
        "mnt",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr",
        "usr/lib",
        "usr/share",
        "etc/udhcpc",
    ] {
        archive.folder(folder, 0o755);
    }
    archive.symlink("sbin", "bin");
    archive.character_device("dev/console", 0o600, (5, 1));
    archive.file("bin/busybox", 0o755, &files::read(busybox)?);
    for (name, permissions, content) in FILES {
        archive.file(name, permissions, content.as_bytes());
    }
    Ok(archive)
}

/// The groups and module files to load, dependencies first, each file once. Those built into the kernel are left out.
/// `modules` has been through depmod.
fn load_order(modules: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let version = files::find(modules, "")?;
    let version = version.file_name().ok_or("a kernel version has no name")?;
    // modprobe looks below lib/modules of a root: give it one that points here.
    let root = modules.with_file_name(format!(".root-{}", std::process::id()));
    files::make_folder(&root.join("lib"))?;
    let linked = root.join("lib/modules");
    files::named(std::os::unix::fs::symlink(modules.canonicalize()?, &linked), &linked)?;
    let answers = MODULES.map(|(group, module)| {
        let mut modprobe = command("modprobe");
        modprobe.arg("-d").arg(&root).arg("-S").arg(version);
        (group, process::text(modprobe.args(["--show-depends", module])))
    });
    files::remove_folder(&root)?;
    let mut order: Vec<(&str, PathBuf)> = Vec::new();
    for (group, answer) in answers {
        // The other kind of line, "builtin NAME", needs nothing.
        for path in answer?.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let inside = Path::new(path.trim()).strip_prefix(&linked)?;
            let path = modules.join(inside);
            if order.iter().all(|(_, other)| *other != path) {
                order.push((group, path));
            }
        }
    }
    Ok(order)
}

/// The name and content of a module without its compression: busybox loads plain ones only.
fn plain_module(path: &Path) -> Result<(String, Vec<u8>)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (suffix, program) in [(".xz", "xz"), (".zst", "zstd")] {
        if let Some(plain) = name.strip_suffix(suffix) {
            let data = process::output(command(program).args(["-q", "-d", "-c"]).arg(path))?;
            return Ok((plain.to_owned(), data));
        }
    }
    Ok((name, files::read(path)?))
}

/// Compresses without name or time, so that the same content gives the same bytes.
fn gzip(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(9));
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}
