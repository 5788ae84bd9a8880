//! Mistakes of the user: one clear error each, status 2, no panic.

use machine_tests::{Emulator, Outcome, guest};
use std::path::{Path, PathBuf};

/// Runs these arguments and checks that they are refused with one error that says all of this.
#[track_caller]
fn refused(args: &[&str], says: &[&str]) -> Outcome {
    let mut run = Emulator::plain(args.iter().copied());
    if args.contains(&"--machine") && args[0] != "machine" {
        run = run.args(["--host-timeout", "20s"]);
    }
    let run = run.run().ends_with(2);
    assert!(run.serial.is_empty(), "an error goes to standard error\n{run}");
    // The program's own and the argument parser's begin so; that of a regular expression goes on in lines of its own.
    let lines = run.stderr.lines().scan(false, |inside, line| {
        let counted = !*inside;
        *inside |= line.contains("regex parse error");
        Some(line).filter(|_| counted)
    });
    let errors = lines.filter(|line| line.contains("error:") || line.contains(" × ")).count();
    assert_eq!(errors, 1, "one error\n{run}");
    assert!(!run.stderr.contains("panicked"), "{run}");
    for word in says {
        assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
    }
    run
}

/// A file for one test, kept as long as the folder.
fn file(folder: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a file can be written");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn unknown_machine() {
    refused(&["--machine", "tw"], &["tw", "tv", "sensor"]);
}

#[test]
fn missing_machine() {
    refused(&["--headless"], &["--machine", "hyperemu machines"]);
}

#[test]
fn bad_values_of_options() {
    for (option, value, says) in [
        ("--memory", "12X", "512M"),
        ("--memory", "0", "0"),
        ("--cpus", "many", "many"),
        ("--cpus", "0", "cpus"),
        ("--cpus", "1000", "cpus"),
        ("--timeout", "soon", "30s"),
        ("--expect", "(", "regular expression"),
        ("--serial", "carrier-pigeon", "stdio"),
        ("--net", "avian", "user"),
        ("--seed", "x", "--seed"),
        ("--drive", "format=raw", "file="),
        ("--set", "volume", "NAME=VALUE"),
        ("--param", "nonsense", "nonsense"),
        ("--unimplemented", "shrug", "warn"),
    ] {
        refused(&["--machine", "tv", option, value], &[option.trim_start_matches('-'), says]);
    }
}

#[test]
fn unknown_option() {
    refused(&["--machine", "tv", "--memroy", "1G"], &["--memroy", "--memory"]);
}

#[test]
fn unknown_control() {
    let image = guest("linux-riscv64/Image");
    refused(&["--machine", "tv", text(&image), "--set", "warp=9"], &["warp", "--controls"]);
}

#[test]
fn missing_files() {
    for option in ["--kernel", "--firmware", "--initrd"] {
        refused(&["--machine", "tv", option, "/nonexistent/file"], &["/nonexistent/file", "No such file"]);
    }
    let image = guest("linux-riscv64/Image");
    let image = text(&image);
    refused(&["--machine", "tv", image, "--drive", "file=/nonexistent/disk"], &["/nonexistent/disk"]);
    refused(&["--machine", "tv", image, "--share", "/nonexistent/folder"], &["/nonexistent/folder"]);
    refused(&["--machine", "/nonexistent/board.dts"], &["/nonexistent/board.dts"]);
}

#[test]
fn truncated_elf() {
    let folder = folder();
    let whole = std::fs::read(guest("opensbi/rv64/fw_jump.elf")).expect("the image is readable");
    for length in [5, 40, 64, 100, whole.len() / 2] {
        let path = file(&folder, "cut.elf", &whole[..length]);
        refused(&["--machine", "tv", "--firmware", text(&path)], &["cut.elf"]);
    }
}

#[test]
fn elf_for_another_machine() {
    let program = std::env::current_exe().expect("the test has a path");
    refused(&["--machine", "tv", text(&program)], &["RISC-V"]);
    let narrow = guest("opensbi/rv32/fw_jump.elf");
    refused(&["--machine", "tv", "--firmware", text(&narrow)], &["64-bit RISC-V"]);
}

#[test]
fn kernel_for_another_machine() {
    let folder = folder();
    // An arm64 kernel's header: its magic stands eight bytes further on.
    let mut image = vec![0; 4096];
    image[16..24].copy_from_slice(&0x20_0000u64.to_le_bytes());
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    let path = file(&folder, "Image", image);
    refused(&["--machine", "tv", "--kernel", text(&path)], &["Image", "AArch64", "64-bit RISC-V"]);
}

#[test]
fn compressed_and_empty_images() {
    let initramfs = guest("initramfs/riscv64-bare.cpio.gz");
    refused(&["--machine", "tv", "--kernel", text(&initramfs)], &["compressed", "gunzip"]);
    let folder = folder();
    let path = file(&folder, "nothing", "");
    refused(&["--machine", "tv", "--kernel", text(&path)], &["nothing", "empty"]);
}

#[test]
fn image_that_does_not_fit() {
    let image = guest("linux-riscv64/Image");
    refused(&["--machine", "tv", "--memory", "16M", "--kernel", text(&image)], &["does not fit", "--memory"]);
}

#[test]
fn damaged_hex_file_is_shown_by_line() {
    let folder = folder();
    let path = file(&folder, "a.hex", ":020000048000 7A\n:00000001FF\n");
    refused(&["--machine", "sensor", text(&path)], &["a.hex:1:"]);
    let path = file(&folder, "b.hex", ":0400000001020304F2\n:0400040001020304FF\n:00000001FF\n");
    refused(&["--machine", "sensor", text(&path)], &["b.hex:2:"]);
}

#[test]
fn images_that_are_not_for_a_microcontroller() {
    let folder = folder();
    // A checksum that is wrong, in the second line.
    let path = file(&folder, "sum.hex", ":020000040000FA\n:0400000001020304F3\n:00000001FF\n");
    refused(&["--machine", "microbit", text(&path)], &["sum.hex:2:", "checksum"]);
    // Beyond the flash, and no vector table.
    let path = file(&folder, "far.hex", ":020000040004F6\n:0400000001020304F2\n:00000001FF\n");
    refused(&["--machine", "microbit", text(&path)], &["0x40000", "0x0-0x40000"]);
    let path = file(&folder, "empty.hex", ":0400000001020304F2\n:00000001FF\n");
    refused(&["--machine", "microbit", text(&path)], &["vector table at 0x0"]);
    let path = file(&folder, "zero.bin", [0; 64]);
    refused(&["--machine", "nrf52dk", &format!("{}@0", text(&path))], &["vector table at 0x0"]);
    // Programs for other machines.
    let riscv = guest("opensbi/rv32/fw_jump.elf");
    refused(&["--machine", "nrf52dk", text(&riscv)], &["RISC-V", "Arm Cortex-M"]);
    let host = std::env::current_exe().expect("the test has a path");
    refused(&["--machine", "mps2-an386", text(&host)], &["64-bit ELF", "Arm Cortex-M"]);
    let arm = guest("mps2/rust.elf");
    refused(&["--machine", "sensor", text(&arm)], &["for Arm", "32-bit RISC-V"]);
    // What only other machines have.
    refused(
        &["--machine", "nrf52dk", text(&arm), "--firmware", text(&arm)],
        &["microcontroller", "--firmware"],
    );
    refused(&["--machine", "nrf52dk", text(&arm), "--serial", "uart9=null"], &["uart0", "rtt"]);
    refused(&["--machine", "nrf52dk", text(&arm), "--semihosting=/nonexistent/dir"], &["/nonexistent/dir"]);
}

#[test]
fn mistakes_in_a_board_are_shown_by_line_and_column() {
    let folder = folder();
    for (name, source, place) in [
        ("brace.dts", "/dts-v1/;\n/ {\n\tmodel = \"x\";\n", "brace.dts:"),
        ("label.dts", "/dts-v1/;\n/ {\n\tx = <&nowhere>;\n};\n", "label.dts:3:"),
        ("value.dts", "/dts-v1/;\n/ {\n\treg = <0x1 oops>;\n};\n", "value.dts:3:13"),
        ("include.dts", "/dts-v1/;\n#include <nowhere.dtsi>\n/ { };\n", "include.dts:2:"),
        ("deref.dts", "/dts-v1/;\n/ {\n\tx = <(1 / 0)>;\n};\n", "deref.dts:3:"),
    ] {
        let path = file(&folder, name, source);
        refused(&["--machine", text(&path)], &[place]);
        refused(&["machine", "show", text(&path)], &[place]);
    }
}

#[test]
fn board_that_cannot_be_built_says_where() {
    let folder = folder();
    let source = "/dts-v1/;\n/ {\n\t#address-cells = <1>;\n\t#size-cells = <1>;\n\
                  \tmemory@80000000 {\n\t\tdevice_type = \"memory\";\n\t\treg = <0x80000000>;\n\t};\n};\n";
    let path = file(&folder, "cells.dts", source);
    refused(&["--machine", text(&path)], &["cells.dts:"]);
}

#[test]
fn damaged_disk_image() {
    let folder = folder();
    let image = guest("linux-riscv64/Image");
    let whole = std::fs::read(guest("disk/ext4.qcow2")).expect("the image is readable");
    // Clusters of 2^63 bytes; the first table far beyond the end of the file.
    for (at, value) in [(20, &63u32.to_be_bytes()[..]), (40, &(1u64 << 50).to_be_bytes()[..])] {
        let mut disk = whole.clone();
        disk[at..at + value.len()].copy_from_slice(value);
        let path = file(&folder, "bad.qcow2", disk);
        let drive = format!("file={},format=qcow2", text(&path));
        refused(&["--machine", "tv", text(&image), "--drive", &drive], &["bad.qcow2"]);
    }
    let path = file(&folder, "not.qcow2", [7; 4096]);
    let drive = format!("file={},format=qcow2", text(&path));
    refused(&["--machine", "tv", text(&image), "--drive", &drive], &["not.qcow2"]);
}
