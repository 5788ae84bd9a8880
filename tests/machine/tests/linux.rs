//! Debian's unmodified riscv64 kernel to a shell and back to power-off.

use machine_tests::{Emulator, guest};

/// Boots to commands that look at the machine, and powers off.
fn boots(emulator: Emulator, harts: u32, sbi: &str) {
    emulator
        .run()
        .ends_with(0)
        .shows(&format!(r"SBI implementation ID={sbi} "))
        .shows(r"^init: ready$")
        .shows(&format!(r"^harts: {harts}$"))
        .shows(r"^Linux guest 6\.\S+-riscv64 .* riscv64 GNU/Linux$")
        .shows(r"reboot: Power down$");
}

const LOOK: &str = "uname -a; echo harts: $(nproc); poweroff";

#[test]
fn boots_on_our_sbi_with_one_hart() {
    boots(Emulator::linux("", 1, LOOK), 1, "0x[0-9a-f]+");
}

#[test]
fn boots_on_our_sbi_with_four_harts() {
    boots(Emulator::linux("", 4, LOOK), 4, "0x[0-9a-f]+");
}

#[test]
fn boots_on_opensbi_dynamic_with_one_hart() {
    let emulator = Emulator::linux("", 1, LOOK).arg("--firmware").arg(guest("opensbi/rv64/fw_dynamic.bin"));
    boots(emulator, 1, "0x1");
}

#[test]
fn boots_on_opensbi_dynamic_with_four_harts() {
    let emulator = Emulator::linux("", 4, LOOK).arg("--firmware").arg(guest("opensbi/rv64/fw_dynamic.bin"));
    boots(emulator, 4, "0x1");
}

#[test]
fn boots_on_opensbi_jump() {
    let emulator = Emulator::linux("", 1, LOOK).arg("--firmware").arg(guest("opensbi/rv64/fw_jump.bin"));
    boots(emulator, 1, "0x1");
}

#[test]
fn reboots_and_powers_off_from_the_shell() {
    let mut session = Emulator::linux("", 1, "").start();
    session.expect("init: ready");
    session.expect("guest# ");
    session.send("echo $((6 * 7))\n");
    session.expect("\n42\r");
    session.send("reboot\n");
    session.expect("reboot: Restarting system");
    session.expect("Linux version 6");
    session.expect("init: ready");
    session.expect("guest# ");
    session.send("poweroff\n");
    session.expect("reboot: Power down");
    session.finish().ends_with(0);
}
