//! The board in a window, and somebody who uses it.

use machine_tests::{Display, Emulator};

#[test]
fn keys_reach_the_guest() {
    let display = Display::start();
    let commands = "show-events keyboard '0001 0001 00000000'; poweroff";
    let mut session = Emulator::linux("input", 1, commands).window(&display).start();
    session.expect("events: ready");
    display.window("hyperemu");
    // A has code 30, Escape 1; F12 is volume up on the remote, 115. 1 is press and 0 release.
    display.key("a");
    session.expect("event: 0001 001e 00000001");
    session.expect("event: 0001 001e 00000000");
    display.key("F12");
    session.expect("event: 0001 0073 00000001");
    session.expect("event: 0001 0073 00000000");
    display.key("Escape");
    session.finish().ends_with(0);
}

#[test]
fn pointer_reaches_the_guest() {
    let display = Display::start();
    let commands = "show-events tablet '0001 0110 00000000'; poweroff";
    let mut session = Emulator::linux("input", 1, commands).window(&display).start();
    session.expect("events: ready");
    let window = display.window("hyperemu");
    let (width, height) = display.size(&window);
    display.click(&window, width / 4, height * 3 / 4);
    // A quarter and three quarters of 0 to 32767, give or take the frame drawn around the screen.
    session.expect("event: 0003 0000 0000[12][0-9a-f]{3}");
    session.expect("event: 0003 0001 0000[56][0-9a-f]{3}");
    session.expect("event: 0001 0110 00000001");
    session.finish().ends_with(0).shows("^event: 0001 0110 00000000$");
}
