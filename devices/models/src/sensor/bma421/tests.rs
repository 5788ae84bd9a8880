use super::*;
use crate::sensor::testing::{Chip, Wire, bench, survives_anything};
use devices_core::bench::Bench;

/// As Bosch's driver does with so many bytes a transfer; the result of the start.
fn load(bench: &mut Bench<Wire>, bytes: usize) -> u8 {
    assert_eq!(bench.ask(&[0x00], 1), [0x11]);
    bench.send(&[0x7e, 0xb6]);
    bench.wait_ms(2);
    bench.send(&[0x7c, 0x00]);
    bench.wait_ms(1);
    bench.send(&[0x59, 0x00]);
    for index in (0..bytes).step_by(16) {
        bench.send(&[0x5b, (index / 2) as u8 & 0xf]);
        bench.send(&[0x5c, (index / 32) as u8]);
        bench.send(&[&[0x5e][..], &[0x2e; 16]].concat());
    }
    bench.send(&[0x59, 0x01]);
    bench.wait_ms(100);
    bench.ask(&[0x2a], 1)[0]
}

/// Reads, changes and writes the second byte of the step counter's settings, in three parts.
fn change_features(bench: &mut Bench<Wire>, set: u8) {
    let mut page = Vec::new();
    for (word, size) in [(0, 32), (16, 32), (32, 6)] {
        bench.send(&[0x5b, word & 0xf]);
        bench.send(&[0x5c, word >> 4]);
        page.extend(bench.ask(&[0x5e], size));
    }
    assert_eq!((page.len(), page[0x44]), (PAGE, 0x88));
    page[STEP_SETTINGS] |= set;
    for (word, part) in [(0, 0..32), (16, 32..64), (32, 64..70)] {
        bench.send(&[0x5b, word & 0xf]);
        bench.send(&[0x5c, word >> 4]);
        bench.send(&[&[0x5e][..], &page[part]].concat());
    }
}

fn sensor() -> Bench<Wire> {
    let mut bench = bench(&MODEL);
    assert_eq!(load(&mut bench, 6144), 1);
    change_features(&mut bench, STEP_COUNTER | STEP_ACTIVITY);
    // 100 Hz, 2 g.
    assert!(bench.send(&[0x7d, 0x04]) && bench.send(&[0x40, 0x28]) && bench.send(&[0x41, 0x00]));
    bench
}

fn steps(bench: &mut Bench<Wire>) -> u32 {
    u32::from_le_bytes(bench.ask(&[0x1e], 4).try_into().expect("four bytes"))
}

fn acceleration(bench: &mut Bench<Wire>) -> [i16; 3] {
    let bytes = bench.ask(&[0x12], 6);
    std::array::from_fn(|n| i16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]]) >> 4)
}

fn accelerate(bench: &mut Bench<Wire>, x: f64, y: f64, z: f64) {
    bench.set("acceleration", ControlValue::Vector([x, y, z]));
}

#[test]
fn the_program_must_arrive_whole() {
    let mut bench = bench(&MODEL);
    assert_eq!(load(&mut bench, 6128), 2);
    assert_eq!(load(&mut bench, 6144), 1);
    bench.send(&[0x7e, 0xb6]);
    assert_eq!(bench.ask(&[0x2a], 1), [0], "lost by a reset");
}

#[test]
fn acceleration_in_all_ranges() {
    let mut bench = sensor();
    bench.wait_ms(25);
    assert_eq!(bench.ask(&[0x03], 1), [0x90], "there is data");
    assert_eq!(acceleration(&mut bench), [0, 0, 1024]);
    assert_eq!(bench.ask(&[0x03], 1), [0x10]);
    accelerate(&mut bench, -1.5, 3.0, 0.25);
    for (range, expected) in
        [[-1536, 2047, 256], [-768, 1536, 128], [-384, 768, 64], [-192, 384, 32]].into_iter().enumerate()
    {
        bench.send(&[0x41, range as u8]);
        bench.wait_ms(10);
        assert_eq!(acceleration(&mut bench), expected);
    }
    bench.set("temperature", ControlValue::Number(-3.2));
    assert_eq!(bench.ask(&[0x22], 1), [(-26i8) as u8]);
    bench.check_save_restore();
}

#[test]
fn steps_by_the_control_and_from_the_motion() {
    let mut bench = sensor();
    bench.set("steps", ControlValue::Number(120.0));
    bench.set("steps", ControlValue::Number(123.0));
    assert_eq!(steps(&mut bench), 123);
    for _ in 0..20 {
        accelerate(&mut bench, 0.2, 0.3, 1.4);
        bench.wait_ms(50);
        accelerate(&mut bench, 0.2, 0.3, 1.35);
        bench.wait_ms(200);
        accelerate(&mut bench, 0.0, 0.1, 0.7);
        bench.wait_ms(250);
    }
    assert_eq!((steps(&mut bench), bench.ask(&[0x27], 1)[0]), (143, 1), "walking");
    for _ in 0..10 {
        accelerate(&mut bench, 0.0, 0.0, 2.0);
        bench.wait_ms(150);
        accelerate(&mut bench, 0.0, 0.0, 0.5);
        bench.wait_ms(150);
    }
    assert_eq!((steps(&mut bench), bench.ask(&[0x27], 1)[0]), (153, 2), "running");
    bench.wait_ms(3000);
    assert_eq!(bench.ask(&[0x27], 1), [0]);
    change_features(&mut bench, STEP_RESET);
    assert_eq!(steps(&mut bench), 0);
    assert!(bench.send(&[0x7d, 0x00]));
    accelerate(&mut bench, 0.0, 0.0, 2.0);
    assert_eq!(steps(&mut bench), 0, "the accelerometer is off");
}

#[test]
fn interrupts_of_steps_and_samples() {
    let mut bench = sensor();
    // INT1: push-pull, active high, latched until read.
    for write in [[0x53, 0x0a], [0x55, 0x01], [0x56, 0x02]] {
        bench.send(&write);
    }
    assert!(!bench.output(0));
    bench.set("steps", ControlValue::Number(1.0));
    assert!(bench.output(0));
    assert_eq!(bench.ask(&[0x1c], 1)[0] & 2, 2);
    assert!(!bench.output(0));
    bench.send(&[0x58, 0x04]);
    bench.wait_ms(11);
    assert!(bench.output(0));
    assert_eq!(bench.ask(&[0x1d], 1), [0x80]);
    assert!(!bench.output(0));
    bench.check_save_restore();
}

/// As many frames of the FIFO as there are, without headers.
fn frames(bench: &mut Bench<Wire>) -> Vec<[i16; 3]> {
    let length = u16::from_le_bytes(bench.ask(&[0x24], 2).try_into().expect("two bytes"));
    let bytes = bench.ask(&[0x26], length.into());
    let word = |frame: &[u8], n: usize| i16::from_le_bytes([frame[2 * n], frame[2 * n + 1]]) >> 4;
    bytes.chunks_exact(6).map(|frame| std::array::from_fn(|n| word(frame, n))).collect()
}

#[test]
fn the_fifo_fills_by_itself_and_tells_of_its_watermark() {
    let mut bench = sensor();
    // 25 Hz; 5 frames without headers; the watermark on INT1, active high.
    for write in [[0x40, 0x26], [0x46, 30], [0x47, 0], [0x48, 0], [0x49, 0x40], [0x53, 0x0a], [0x58, 0x02]] {
        assert!(bench.send(&write));
    }
    bench.wait_ms(150);
    assert!(!bench.output(0));
    accelerate(&mut bench, 0.5, 0.0, -1.0);
    bench.wait_ms(60);
    assert!(bench.output(0), "the fifth sample");
    assert_eq!(bench.ask(&[0x1d], 1)[0] & 2, 2);
    bench.check_save_restore();
    // A frame read in part comes again.
    assert_eq!(bench.ask(&[0x26], 3), bench.ask(&[0x26], 3));
    let taken = frames(&mut bench);
    assert_eq!(taken.len(), 5);
    assert_eq!((taken[0], taken[4]), ([0, 0, 1024], [512, 0, -1024]));
    assert!(!bench.output(0));
    assert_eq!(bench.ask(&[0x26], 4), [0, 0x80, 0, 0x80], "nothing is left");
    bench.wait_ms(60_000);
    assert_eq!(frames(&mut bench).len(), 1024 / 6, "the newest");
    // With headers, and kept when full.
    assert!(bench.send(&[0x49, 0x50]) && bench.send(&[0x48, 0x01]));
    bench.wait_ms(60_000);
    accelerate(&mut bench, 0.0, 0.0, 1.0);
    bench.wait_ms(60_000);
    assert_eq!(bench.ask(&[0x26], 8), [0x84, 0, 0x20, 0, 0, 0, 0xc0, 0x84]);
    assert!(bench.send(&[0x7e, 0xb0]));
    assert_eq!(bench.ask(&[0x24], 2), [0, 0]);
}

#[test]
fn a_walk_shakes_the_wrist() {
    let mut bench = sensor();
    for write in [[0x40, 0x26], [0x49, 0x40]] {
        assert!(bench.send(&write));
    }
    bench.set("steps", ControlValue::Number(6.0));
    bench.wait_ms(6000);
    let high: Vec<bool> = frames(&mut bench).iter().map(|frame| frame[2] > 1024 + 100).collect();
    assert_eq!(high.windows(2).filter(|pair| !pair[0] && pair[1]).count(), 6);
    assert!(!high[high.len() - 60..].contains(&true), "three seconds suffice");
}

#[test]
fn anything() {
    survives_anything(&MODEL);
}
