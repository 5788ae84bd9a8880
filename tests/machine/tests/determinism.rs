//! The same run twice is the same run, to the last bit, however its instructions are run.

use machine_tests::{Emulator, Outcome, guest};
use std::sync::atomic::{AtomicBool, Ordering};

const WORK: &str = "dd if=/dev/urandom bs=4k count=4 2>/dev/null | sha256sum; mount -t ext4 /dev/vda /mnt; \
                    for i in 1 2 3 4 5 6; do sha256sum /bin/busybox >/mnt/$i & done; wait; cat /mnt/[1-6]; date; \
                    umount /mnt; poweroff";

fn run(harts: u32, options: &[&str]) -> Outcome {
    let emulator = Emulator::linux("disk", harts, WORK);
    let disk = emulator.path("disk");
    std::fs::copy(guest("disk/ext4.img"), &disk).expect("the image can be copied");
    emulator
        .args(["--drive", &format!("file={},format=raw", disk.display())])
        .args(options)
        .run()
        .ends_with(0)
}

/// Keeps both of the machine's usual cores busy while `body` runs.
fn under_load<T>(body: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = body();
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// What a guest can tell of a run, and the machine's state at its end.
fn equal(one: &Outcome, other: &Outcome, what: &str) {
    for name in ["instructions", "virtual_ns", "state_hash"] {
        assert_eq!(one.stat(name), other.stat(name), "{name}, {what}");
    }
    if one.serial != other.serial {
        panic!("the serial logs differ, {what}: first\n{}\nthen\n{}", one.text(), other.text());
    }
}

fn same(harts: u32) {
    let interpreted = run(harts, &["--jit", "off"]);
    assert!(interpreted.text().contains("reboot: Power down"), "{interpreted}");
    equal(&interpreted, &under_load(|| run(harts, &[])), &format!("{harts} harts, compiled when hot"));
    let rest: [&[&str]; 2] = [&["--jit", "sync"], &["--jit-cache", "1"]];
    for options in rest {
        equal(&interpreted, &run(harts, options), &format!("{harts} harts, {}", options.join(" ")));
    }
}

#[test]
fn one_hart_runs_the_same_however_it_is_run() {
    same(1);
}

#[test]
fn four_harts_run_the_same_however_they_are_run() {
    same(4);
}

#[test]
fn seed_changes_what_the_guest_calls_random() {
    let bytes = |seed: &str| {
        let look = "dd if=/dev/hwrng bs=32 count=1 2>/dev/null | sha256sum; poweroff";
        let text = Emulator::linux("base", 1, look).args(["--seed", seed]).run().ends_with(0).text();
        let line = text.lines().find(|line| line.trim_end().ends_with("  -"));
        line.unwrap_or_else(|| panic!("no hash in\n{text}")).to_owned()
    };
    assert_ne!(bytes("1"), bytes("2"));
}
