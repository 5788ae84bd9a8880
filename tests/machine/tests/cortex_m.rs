//! Exceptions of the M profile on the boards mps2-an386 and microbit: the programs of `firmware/armm-tests`.

use machine_tests::Emulator;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What each program prints last.
const DONE: &str = "armm-tests: done";

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/armm-tests/images")
}

fn image(name: &str) -> PathBuf {
    images().join(format!("{name}.elf"))
}

/// The committed log of a program.
fn log(name: &str) -> String {
    std::fs::read_to_string(images().join(format!("{name}.log"))).expect("the log is committed")
}

#[track_caller]
fn assert_same(expected: &str, found: &str) {
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    for (number, pair) in expected.iter().zip(&found).enumerate() {
        assert_eq!(pair.0, pair.1, "line {}", number + 1);
    }
    assert_eq!(expected.len(), found.len(), "lines");
}

fn emulated(name: &str, jit: &str) -> String {
    Emulator::new("mps2-an386")
        .args(["--expect", DONE, "--timeout", "30s", "--jit", jit])
        .arg(image(name))
        .run()
        .ends_with(0)
        .text()
}

#[test]
fn exceptions_are_those_of_the_manual() {
    for name in ["exceptions", "manual", "random"] {
        for jit in ["off", "sync"] {
            assert_same(&log(name), &emulated(name, jit));
        }
    }
}

#[test]
fn armv6m_has_exceptions_of_its_own() {
    let run = Emulator::plain(["--machine", "microbit", "--semihosting", "--timeout", "30s"]);
    assert_same(&log("v6m"), &run.arg(image("v6m")).run().ends_with(0).text());
}

/// A program under one of QEMU's boards: what it prints on the serial port and by semihosting.
fn qemu(board: &str, name: &str) -> (String, String) {
    let run = Command::new("qemu-system-arm")
        .args(["-M", board, "-display", "none", "-nic", "none", "-serial", "stdio"])
        // Its time is that of its instructions, not the host's.
        .args(["-icount", "shift=5"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(image(name))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("qemu-system-arm: {e}: run `cargo xtask setup`"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(run.status.success(), "{}", text(&run.stderr));
    (text(&run.stdout), text(&run.stderr))
}

#[test]
fn qemu_gives_the_same_where_it_is_right() {
    for name in ["exceptions", "random"] {
        assert_same(&log(name), &qemu("mps2-an386", name).0);
    }
    assert_same(&log("v6m"), &qemu("microbit", "v6m").1);
}
