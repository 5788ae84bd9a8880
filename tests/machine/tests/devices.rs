//! The tv's devices as Debian's drivers see them.

use machine_tests::{Emulator, Screen, guest, serve};
use std::process::Command;

const DISK: &str = "mount -t ext4 /dev/vda /mnt && cat /mnt/hello.txt && echo from the guest >/mnt/new.txt && \
                    umount /mnt && echo disk: done; poweroff";

/// Boots with a copy of a disk image, and returns the copy's path and the run.
fn with_disk(image: &str, format: &str) -> (std::path::PathBuf, machine_tests::Outcome) {
    let emulator = Emulator::linux("disk", 1, DISK);
    let copy = emulator.path("disk");
    std::fs::copy(guest(image), &copy).expect("the image can be copied");
    let drive = format!("file={},format={format}", copy.display());
    let outcome = emulator.args(["--drive", &drive]).run();
    (copy, outcome.ends_with(0).shows("^hyperemu test disk$").shows("^disk: done$"))
}

/// What a file of the image holds, by the tools of ext4; the file system must be clean.
fn file_in(image: &std::path::Path, name: &str) -> String {
    let run = |program: &str, args: &[&str]| {
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let out = Command::new(program).args(args).arg(image).env("PATH", path).output();
        let out =
            out.unwrap_or_else(|e| panic!("cannot run {program}: {e}; `cargo xtask setup` installs it"));
        assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stdout));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    run("e2fsck", &["-f", "-n"]);
    run("debugfs", &["-R", &format!("cat {name}")])
}

#[test]
fn raw_disk_is_mounted_and_written() {
    let (image, _outcome) = with_disk("disk/ext4.img", "raw");
    assert_eq!(file_in(&image, "new.txt"), "from the guest\n");
}

#[test]
fn qcow2_disk_is_mounted_and_written() {
    let (image, outcome) = with_disk("disk/ext4.qcow2", "qcow2");
    let qemu_img = |args: &[&str]| {
        let status = Command::new("qemu-img").args(args).output().expect("qemu-img runs").status;
        assert!(status.success(), "qemu-img {args:?}");
    };
    let image = image.to_str().expect("a plain path");
    qemu_img(&["check", image]);
    let raw = outcome.path("raw");
    qemu_img(&["convert", "-O", "raw", image, raw.to_str().expect("a plain path")]);
    assert_eq!(file_in(&raw, "new.txt"), "from the guest\n");
}

#[test]
fn readonly_disk_stays_as_it_is() {
    let commands = "cat /sys/block/vda/ro; mount -t ext4 -o ro /dev/vda /mnt && cat /mnt/hello.txt; \
                    echo x >/dev/vda || echo refused; poweroff";
    let emulator = Emulator::linux("disk", 1, commands);
    let copy = emulator.path("disk");
    std::fs::copy(guest("disk/ext4.img"), &copy).expect("the image can be copied");
    let drive = format!("file={},format=raw,readonly", copy.display());
    let _outcome = emulator
        .args(["--drive", &drive])
        .run()
        .ends_with(0)
        .shows("^1$")
        .shows("^hyperemu test disk$")
        .shows("^refused$");
    let same = std::fs::read(&copy).expect("the copy is readable")
        == std::fs::read(guest("disk/ext4.img")).expect("the image is readable");
    assert!(same, "the guest changed a read-only disk");
}

#[test]
fn page_is_fetched_from_a_server_on_the_host() {
    let port = serve("a page from the host\n");
    let commands = format!("udhcpc -n -q -i eth0 && wget -q -O - http://10.0.2.2:{port}/page; poweroff");
    let emulator = Emulator::linux("net", 1, &commands).args(["--net", "user"]);
    emulator.run().ends_with(0).shows("^udhcpc: eth0 has 10.0.2.").shows("^a page from the host$");
}

#[test]
fn folder_is_shared_with_the_host() {
    let commands = "mount -t 9p -o trans=virtio,version=9p2000.L share /mnt && cat /mnt/from-host.txt && \
                    mkdir /mnt/sub && echo from the guest >/mnt/sub/new.txt && ls -l /mnt/sub && \
                    mv /mnt/sub/new.txt /mnt/moved.txt && rm /mnt/from-host.txt && sync && echo share: done; poweroff";
    let emulator = Emulator::linux("share", 1, commands);
    let share = emulator.path("share");
    std::fs::create_dir(&share).expect("a folder can be made");
    std::fs::write(share.join("from-host.txt"), "from the host\n").expect("a file can be written");
    let _outcome = emulator
        .arg("--share")
        .arg(&share)
        .run()
        .ends_with(0)
        .shows("^from the host$")
        .shows("^share: done$");
    assert_eq!(std::fs::read_to_string(share.join("moved.txt")).expect("moved here"), "from the guest\n");
    assert!(!share.join("from-host.txt").exists(), "the guest removed it");
    assert!(share.join("sub").is_dir());
}

#[test]
fn console_can_be_read_on_a_screenshot() {
    // Not behind a power-off, at which Linux clears the screen (since 6.12.117 of Debian's).
    let commands =
        "ls /dev/dri; echo Hello on the console 0123456789 >/dev/tty1; sleep 2; echo screen: drawn; sleep 60";
    let emulator =
        Emulator::linux_with("screen", 1, "console=tty0", commands).args(["--expect", "^screen: drawn"]);
    let picture = emulator.path("screen.png");
    let outcome = emulator.arg("--screenshot").arg(&picture).run().ends_with(0).shows(r"^\S*card0\b");
    let screen = Screen::read(&picture);
    assert_eq!((screen.width, screen.height), (1920, 1080));
    let text = screen.console_text();
    for line in ["] Run /init as init process", "Hello on the console 0123456789"] {
        assert!(text.contains(line), "`{line}` is not on the screen:\n{text}\n{outcome}");
    }
}
