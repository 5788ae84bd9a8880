//! Programs of others' compilers and libraries on mps2-an386, beside QEMU's machine of that name.

use machine_tests::{Emulator, guest};
use std::process::{Command, Stdio};

/// QEMU's exit status, and what it shows on the serial port and by semihosting, until a line says so or it ends.
fn qemu(image: &str, folder: &std::path::Path) -> (Option<i32>, String, String) {
    let serial = folder.join("qemu-serial");
    let mut command = Command::new("timeout");
    command
        .args([
            "5",
            "qemu-system-arm",
            "-M",
            "mps2-an386",
            "-display",
            "none",
            "-nic",
            "none",
            "-monitor",
            "none",
        ])
        .arg("-serial")
        .arg(format!("file:{}", serial.display()))
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(guest(image))
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|e| panic!("qemu-system-arm: {e}: run `cargo xtask setup`"));
    let serial = std::fs::read_to_string(&serial).expect("QEMU writes the serial log");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    // Semihosting's console, without QEMU's own words.
    let said: Vec<&str> = stderr.lines().filter(|line| !line.contains("qemu-system-arm")).collect();
    (output.status.code(), serial, said.join("\n"))
}

#[test]
fn a_picolibc_program_prints_and_ends_as_on_qemu() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (status, serial, said) = qemu("mps2/picolibc.elf", folder.path());
    assert_eq!((status, said.as_str()), (Some(42), "by semihosting\nfile: kept 17"));
    let emulator = Emulator::new("mps2-an386");
    let files = emulator.path("files");
    std::fs::create_dir(&files).expect("a folder can be made");
    let outcome = emulator
        .arg(format!("--semihosting={}", files.display()))
        .args(["--timeout", "30s"])
        .arg(guest("mps2/picolibc.elf"))
        .run()
        .ends_with(42);
    assert_eq!(outcome.text(), format!("{serial}{said}\n"));
    let note = std::fs::read_to_string(outcome.path("files").join("note.txt"));
    assert_eq!(note.ok().as_deref(), Some("kept 17\n"));
}

#[test]
fn semihosting_is_opt_in_and_keeps_to_its_folder() {
    // Without a folder there are no files; without semihosting BKPT is a fault, and nobody handles it.
    let image = guest("mps2/picolibc.elf");
    let outcome = Emulator::new("mps2-an386").args(["--semihosting", "--timeout", "30s"]).arg(&image).run();
    outcome.ends_with(42).shows("^no file$");
    let outcome = Emulator::new("mps2-an386").args(["--timeout", "2s"]).arg(&image).run();
    assert!(!outcome.text().contains("by semihosting") && outcome.status != 42, "{outcome}");
    // A link that leads out.
    let emulator = Emulator::new("mps2-an386");
    let (files, outside) = (emulator.path("files"), emulator.path("outside.txt"));
    std::fs::create_dir(&files).expect("a folder can be made");
    std::fs::write(&outside, "mine").expect("a file can be written");
    std::os::unix::fs::symlink(&outside, files.join("note.txt")).expect("a link can be made");
    let folder = format!("--semihosting={}", files.display());
    let outcome =
        emulator.arg(folder).args(["--timeout", "30s"]).arg(&image).run().ends_with(42).shows("^no file$");
    assert_eq!(std::fs::read_to_string(outcome.path("outside.txt")).ok().as_deref(), Some("mine"));
}

#[test]
fn the_trace_pin_is_a_serial_channel() {
    let emulator = Emulator::new("mps2-an386");
    let trace = emulator.path("itm.txt");
    let outcome = emulator
        .arg("--serial")
        .arg(format!("itm=file:{}", trace.display()))
        .args(["--semihosting", "--timeout", "30s"])
        .arg(guest("mps2/picolibc.elf"))
        .run()
        .ends_with(42)
        .shows("^picolibc on mps2-an386$");
    assert_eq!(std::fs::read_to_string(outcome.path("itm.txt")).ok().as_deref(), Some("traced\n"));
    assert!(!outcome.text().contains("traced"), "{outcome}");
}

#[test]
fn a_core_that_locks_up_says_why() {
    let emulator = Emulator::new("mps2-an386");
    // Stack pointer, reset handler, an undefined instruction there, and no handler of HardFault.
    let words: [u32; 4] = [0x2000_1000, 0x9, 0xbf00_deff, 0];
    let image = emulator.path("lockup.bin");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(&image, bytes).expect("a file can be written");
    let outcome = emulator.args(["--timeout", "1s"]).arg(format!("{}@0", image.display())).run().ends_with(4);
    for part in ["core 0 locked up", "HFSR 0x40000000", "sp 0x20000f", "xpsr 0x"] {
        assert!(outcome.stderr.contains(part), "{part} is not there\n{outcome}");
    }
}

#[test]
fn a_rust_program_prints_as_on_qemu_and_the_same_however_it_is_run() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (_, serial, _) = qemu("mps2/rust.elf", folder.path());
    assert!(serial.ends_with("rust: done\n"), "{serial}");
    let run = |jit: &str| {
        let emulator = Emulator::new("mps2-an386").args(["--timeout", "100ms", "--jit", jit]);
        emulator.arg(guest("mps2/rust.elf")).run().ends_with(124)
    };
    let first = run("off");
    assert_eq!(first.text(), serial);
    for jit in ["on", "sync"] {
        let again = run(jit);
        for name in ["instructions", "virtual_ns", "state_hash"] {
            assert_eq!(first.stat(name), again.stat(name), "{name}, --jit {jit}");
        }
    }
}
