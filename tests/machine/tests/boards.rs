//! The boards with their embedded images.

use machine_tests::{Display, Emulator};

#[test]
fn sensor_prints_what_its_controls_say() {
    let outcome = Emulator::new("sensor")
        .args(["--timeout", "5s", "--set", "climate.temperature=-12.5", "--set", "light.illuminance=1000"])
        .args(["--set", "motion.acceleration=0,0.5,-1"])
        .args(["--expect", "n=3$"])
        .run()
        .ends_with(0);
    let line = outcome.text().lines().find(|line| line.contains("n=3")).expect("a third sample").to_string();
    for part in ["t=-12.50C", "rh=45.0%", "lux=1000.0", "acc=0.000,0.500,-1.000g"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn controls_are_played_at_their_times() {
    let emulator = Emulator::new("sensor");
    let file = emulator.path("warm.csv");
    std::fs::write(&file, "time,value\n0.5,10\n2.5,20\n").expect("a file can be written");
    let outcome = emulator
        .arg("--play")
        .arg(format!("climate.temperature={}", file.display()))
        .args(["--timeout", "6s", "--expect", "n=5$"])
        .run()
        .ends_with(0);
    let shown: Vec<bool> =
        ["t=10.00C", "t=20.00C"].iter().map(|text| outcome.text().contains(text)).collect();
    assert_eq!(shown, [true, true], "{outcome}");
}

/// The tv's home screen, from a run with or without a window.
fn home_screen(display: Option<&Display>) -> Vec<u8> {
    let mut emulator = Emulator::new("tv").args(["--timeout", "1s", "--speed", "max"]);
    if let Some(display) = display {
        emulator = emulator.window(display);
    }
    let picture = emulator.path("home.png");
    let _outcome =
        emulator.arg("--screenshot").arg(&picture).run().ends_with(124).shows("^tv: ready in 66 ms");
    std::fs::read(picture).expect("the picture was written")
}

#[test]
fn tv_draws_the_same_with_and_without_a_window() {
    let display = Display::start();
    let with = home_screen(Some(&display));
    assert!(with == home_screen(None), "the window changed the picture");
    let decoder = png::Decoder::new(std::io::Cursor::new(&with));
    let mut reader = decoder.read_info().expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (1920, 1080));
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("a picture");
    let white = pixels.chunks_exact(3).filter(|pixel| pixel.iter().all(|channel| *channel > 240)).count();
    // The clock alone is tens of thousands of white pixels; the sky behind it has none.
    assert!((20_000..200_000).contains(&white), "{white} white pixels");
}

#[test]
fn a_replay_is_the_run() {
    let first = Emulator::new("tv").args(["--timeout", "1000s"]);
    let log = first.path("run.rec");
    let mut session = first.arg("--record").arg(&log).start();
    session.expect("tv> ");
    session.send("key RIGHT\r");
    session.expect("tv: focus Devices");
    session.send("poweroff\r");
    let first = session.finish().ends_with(0);
    let second = Emulator::new("tv").args(["--timeout", "1000s", "--replay"]).arg(&log).run().ends_with(0);
    for stat in ["state_hash", "instructions", "virtual_ns"] {
        assert_eq!(first.stat(stat), second.stat(stat), "{stat}");
    }
    assert!(first.serial == second.serial, "the console differs\n{first}\n{second}");
}

#[test]
fn an_access_to_nothing_faults_or_stops() {
    let run = |policy: &str| {
        let mut session = Emulator::new("tv").args(["--timeout", "1000s", "--unimplemented", policy]).start();
        session.expect("tv> ");
        session.send("fault\r");
        session.finish()
    };
    // The guest gets its load access fault, says so, and switches off.
    let outcome = run("warn").ends_with(4).shows("^tv: trap: scause 0x5 sepc 0x[0-9a-f]+ stval 0x0$");
    assert!(outcome.stderr.contains("read of 0x0, where there is nothing; core 0, pc 0x8020"), "{outcome}");
    let outcome = run("error").ends_with(4);
    assert!(!outcome.text().contains("trap"), "it stops before the guest can say anything\n{outcome}");
    assert!(outcome.stderr.contains("read of 0x0, where there is nothing; core 0, pc 0x8020"), "{outcome}");
}
