//! MicroPython on the micro:bit, unmodified: Debian's firmware, which QEMU only starts.

use machine_tests::{Emulator, Outcome, Session, guest};

/// A run up to the prompt.
fn start(options: &[&str]) -> Session {
    let emulator = Emulator::new("microbit").args(["--timeout", "600s"]).args(options);
    let mut session = emulator.arg(guest("microbit-micropython/firmware.hex")).start();
    session.expect(r"MicroPython v1\.9\.2.* with nRF51822\r\n");
    session.expect(">>> ");
    session
}

/// Types a line at the prompt, and waits for the next prompt; what came between.
fn type_line(session: &mut Session, line: &str) -> String {
    session.send(&format!("{line}\r"));
    let answer = session.expect(r"(?s)\n.*?>>> ");
    answer.trim_end_matches(">>> ").trim().to_owned()
}

#[test]
fn the_prompt_calculates_and_reads_the_thermometer() {
    let mut session = start(&["--set", "temp.die-temperature=-7.5", "--set", "keys.b=on"]);
    assert_eq!(type_line(&mut session, "6*7"), "42");
    assert_eq!(type_line(&mut session, "2**100"), "1267650600228229401496703205376");
    type_line(&mut session, "from microbit import *");
    assert_eq!(type_line(&mut session, "temperature()"), "-7");
    assert_eq!(type_line(&mut session, "[b.is_pressed() for b in (button_a, button_b)]"), "[False, True]");
    assert_eq!(
        type_line(&mut session, "1/0"),
        "Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, \
                in <module>\r\nZeroDivisionError: division by zero"
    );
}

#[test]
fn the_prompt_feels_motion_and_the_earths_field() {
    let mut session = start(&["--set", "accelerometer.acceleration=0.5,-0.25,-1"]);
    type_line(&mut session, "from microbit import *");
    // DAL counts 1024 for 1 g, and turns the axes as the board's are.
    for (expression, value) in [
        ("accelerometer.get_x()", "-512"),
        ("accelerometer.get_values()", "(-512, 256, -1024)"),
        ("compass.get_x()", "-20000"),
        ("compass.get_z()", "45000"),
    ] {
        assert_eq!(type_line(&mut session, expression), value, "{expression}");
    }
    // The sensors' identities, by MicroPython's own I2C.
    let script =
        "i2c.write(29, b'\\x0d', True); i2c.read(29, 1); i2c.write(14, b'\\x07', True); i2c.read(14, 1)";
    let answer = type_line(&mut session, script);
    assert_eq!(answer.lines().collect::<Vec<_>>(), ["b'Z'", "b'\\xc4'"]);
}

/// Which pixels of the screenshot are lit.
fn pixels(outcome: &Outcome) -> Vec<String> {
    let picture = std::fs::read(outcome.path("leds.png")).expect("the picture was written");
    let mut reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (200, 200));
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut bytes).expect("a picture");
    let is_lit = |x: usize, y: usize| bytes[((y * 40 + 20) * 200 + x * 40 + 20) * 3] > 0xc0;
    let row = |y| (0..5).map(|x| if is_lit(x, y) { '#' } else { '.' }).collect();
    (0..5).map(row).collect()
}

#[test]
fn a_pasted_script_shows_a_picture_and_drives_a_pin() {
    let emulator = Emulator::new("microbit");
    let picture = emulator.path("leds.png");
    let mut session = emulator
        .args(["--timeout", "600s", "--expect", "script: done", "--screenshot"])
        .arg(&picture)
        .arg(guest("microbit-micropython/firmware.hex"))
        .start();
    session.expect(">>> ");
    // Paste mode: Ctrl-E, the text, Ctrl-D.
    session.send("\x05");
    session.expect("=== ");
    for line in [
        "import microbit",
        "def squares(n):",
        "    for i in range(n):",
        "        yield i * i",
        "print(list(squares(6)))",
        "microbit.display.show(microbit.Image.HEART)",
        "pin = microbit.pin0",
        "pin.write_digital(1)",
        "print('pin', pin.read_digital())",
        "microbit.sleep(200)",
        "print('script:', 'done')",
    ] {
        session.send(&format!("{line}\r"));
        session.expect("=== ");
    }
    session.send("\x04");
    let outcome = session.finish().ends_with(0).shows(r"^\[0, 1, 4, 9, 16, 25\]$").shows("^pin [01]$");
    assert_eq!(pixels(&outcome), [".#.#.", "#####", "#####", ".###.", "..#.."]);
}

#[test]
fn the_same_input_gives_the_same_run() {
    let run = |options: &[&str]| {
        let emulator = Emulator::new("microbit");
        let input = emulator.path("input.csv");
        std::fs::write(&input, "time,value\n0.9,on\n1.1,off\n1.4,on\n").expect("a file can be written");
        emulator
            .arg("--play")
            .arg(format!("keys.a={}", input.display()))
            .args(["--timeout", "2s", "--seed", "5"])
            .args(options)
            .arg(guest("microbit-micropython/firmware.hex"))
            .run()
            .ends_with(124)
    };
    let first = run(&["--jit", "off"]);
    for options in [&["--jit", "on"][..], &["--jit", "sync"]] {
        let again = run(options);
        for name in ["instructions", "virtual_ns", "state_hash"] {
            assert_eq!(first.stat(name), again.stat(name), "{name}, {options:?}");
        }
        assert!(first.serial == again.serial);
    }
}
