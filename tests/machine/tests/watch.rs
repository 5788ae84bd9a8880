//! The watch with its embedded image: what it shows, measures and keeps.

use machine_tests::{Emulator, Outcome, Screen, golden};
use std::fmt::Write;
use std::path::PathBuf;

/// Milliseconds of virtual time to which the first touch waits, and between two.
const FIRST: u32 = 1000;
const PERIOD: u32 = 1000;

/// What a finger does.
#[derive(Copy, Clone)]
enum Finger {
    Tap(u32, u32),
    /// To the next page.
    SwipeUp,
}

use Finger::{SwipeUp, Tap};

const FACE: Finger = Tap(164, 90);
const TIME: Finger = Tap(164, 163);

/// A run in which a finger does these, one a second from the first on, and which ends with a picture.
fn run(fingers: &[Finger], seconds: u32, options: &[&str]) -> Outcome {
    let [mut x, mut y, mut down] = ["x", "y", "down"].map(|_| String::from("time,value\n"));
    let mut put = |at: u32, place: (u32, u32), touches: bool| {
        for (column, value) in [(&mut x, place.0), (&mut y, place.1), (&mut down, u32::from(touches))] {
            writeln!(column, "{}.{:03},{value}", at / 1000, at % 1000).expect("a string grows");
        }
    };
    for (&finger, at) in fingers.iter().zip((FIRST..).step_by(PERIOD as usize)) {
        match finger {
            Tap(x, y) => (0..2).for_each(|step| put(at + step * 60, (x, y), step == 0)),
            SwipeUp => (0..8).for_each(|step| put(at + step * 20, (120, 200 - step * 20), step < 7)),
        }
    }
    let mut emulator = Emulator::new("watch");
    for (name, column) in [("x", x), ("y", y), ("down", down)] {
        let file = emulator.path(name);
        std::fs::write(&file, column).expect("a file can be written");
        emulator = emulator.arg("--play").arg(format!("touch.{name}={}", file.display()));
    }
    let picture = emulator.path("screen.png");
    let timeout = format!("{seconds}s");
    emulator.args(options).args(["--timeout", &timeout, "--screenshot"]).arg(picture).run().ends_with(124)
}

/// Where the pictures are that were looked at.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/watch")
}

#[track_caller]
fn pictured(outcome: &Outcome, name: &str) {
    golden::check(&folder(), name, &outcome.path("screen.png"));
}

#[test]
fn each_page_is_a_swipe_further() {
    let mut fingers = Vec::new();
    for page in ["clock", "activity", "heart", "battery", "settings"] {
        let seconds = fingers.len() as u32 + 2;
        let outcome = run(&fingers, seconds, &["--set", "battery.level=35"]);
        let outcome = outcome.shows(&format!("^watch: screen {page}$"));
        pictured(&outcome, page);
        fingers.push(SwipeUp);
    }
    let outcome = run(&fingers, 7, &[]).shows("(?s)^watch: screen settings$.*^watch: screen clock$");
    assert_eq!(outcome.text().matches("watch: touch").count(), 5, "{outcome}");
}

#[test]
fn tiles_of_the_settings_are_pressed() {
    let outcome = run(&[SwipeUp, SwipeUp, SwipeUp, SwipeUp, FACE, TIME], 8, &[]);
    let outcome = outcome.shows("^watch: setting face digital$").shows("^watch: screen time$");
    pictured(&outcome, "time");
}

#[test]
fn the_face_is_a_setting() {
    let outcome = run(&[SwipeUp, SwipeUp, SwipeUp, SwipeUp, FACE, SwipeUp], 8, &[]);
    pictured(&outcome.shows("(?s)^watch: setting face digital$.*^watch: screen clock$"), "clock-digital");
}

#[test]
fn the_heart_rate_is_its_control() {
    for bpm in [64_i32, 120] {
        let set = format!("heart-rate.bpm={bpm}");
        let outcome = run(&[SwipeUp, SwipeUp], 15, &["--set", &set]);
        let text = outcome.text();
        let last = text.lines().rev().find_map(|line| line.strip_prefix("watch: hr ")?.strip_suffix(" bpm"));
        let measured: i32 = last.and_then(|last| last.parse().ok()).expect("a heart rate");
        assert!((measured - bpm).abs() <= 2, "{bpm} is measured as {measured}\n{outcome}");
        pictured(&outcome, &format!("heart-{bpm}"));
    }
}

#[test]
fn settings_survive_a_restart() {
    let emulator = Emulator::new("watch");
    let picture = emulator.path("screen.png");
    let mut session = emulator
        .args(["--timeout", "100000s", "--expect", "started by the watchdog", "--expect", "watch: battery"])
        .arg("--screenshot")
        .arg(picture)
        .start();
    session.expect("watch: ready in");
    session.send("set face 1\n");
    session.expect("watch: setting face digital");
    session.send("panic\n");
    session.expect("watch: panic: .*\r?\n?asked for");
    let outcome = session.finish().ends_with(0);
    // When the commands came is the host's affair, and the lowest strips may not be drawn yet. The time is.
    let [shown, digital, analog] =
        [outcome.path("screen.png"), folder().join("clock-digital.png"), folder().join("clock.png")]
            .map(|path| Screen::read(&path).pixels[240 * 60..240 * 145].to_vec());
    assert!(shown == digital, "not the digital face");
    assert!(shown != analog);
}

#[test]
fn a_run_is_the_same_however_it_is_run() {
    let run = |jit: &str| run(&[SwipeUp, SwipeUp], 6, &["--jit", jit]);
    let first = run("off");
    for jit in ["on", "sync"] {
        let again = run(jit);
        for name in ["instructions", "virtual_ns", "state_hash"] {
            assert_eq!(first.stat(name), again.stat(name), "{name}, --jit {jit}");
        }
        assert!(first.serial == again.serial, "--jit {jit}: {first}\n{again}");
    }
}

#[test]
fn an_idle_watch_sleeps() {
    let outcome = run(&[], 60, &[]).shows("^watch: screen off$");
    let instructions = outcome.stat("instructions").as_u64().expect("a number");
    assert!(instructions < 60_000_000, "{instructions} instructions in a minute");
}
