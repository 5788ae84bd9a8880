//! Boot firmware, and an operating system's installer.

use machine_tests::{Emulator, guest};

#[test]
fn opensbi_runs_on_32_bits() {
    for image in ["opensbi/rv32/fw_jump.bin", "opensbi/rv32/fw_dynamic.bin"] {
        Emulator::new("virt-riscv32")
            .arg("--firmware")
            .arg(guest(image))
            .args(["--expect", "Boot HART MEDELEG", "--timeout", "20s"])
            .run()
            .ends_with(0)
            .shows(r"^OpenSBI v1\.\d")
            .shows(r"^Platform Console Device *: uart8250$")
            .shows(r"^Boot HART Base ISA *: rv32ima");
    }
}

#[test]
fn u_boot_gives_a_prompt_and_takes_commands() {
    let mut session = Emulator::new("tv")
        .args(["--memory", "512M", "--firmware"])
        .arg(guest("opensbi/rv64/fw_dynamic.bin"))
        .arg("--kernel")
        .arg(guest("u-boot/riscv64-smode.bin"))
        .start();
    session.expect(r"U-Boot 20\d\d\.\d\d");
    session.expect("DRAM: *512 MiB");
    // The count-down to booting from what is not there ends with the first key.
    session.expect("Hit any key to stop autoboot");
    session.send("\n");
    session.expect("=> ");
    session.send("setexpr x 0x600 + 0x60; printenv x\n");
    session.expect(r"\nx=660\r");
    session.expect("=> ");
    session.send("poweroff\n");
    session.finish().ends_with(0);
}

#[test]
fn debian_installer_reaches_its_first_menu() {
    Emulator::new("tv")
        .args(["--cpus", "1", "--memory", "1G", "--kernel"])
        .arg(guest("debian-installer-riscv64/Image"))
        .arg("--initrd")
        .arg(guest("debian-installer-riscv64/initrd.gz"))
        .args(["--append", "console=ttyS0 cryptomgr.notests DEBIAN_FRONTEND=text"])
        .args([
            "--expect",
            "Select a language",
            "--expect",
            "Choose the language to be used for the installation",
        ])
        .args(["--timeout", "120s"])
        .run()
        .ends_with(0);
}
