//! Tests from the data sheet, and of what Linux's `st_lsm6dsx` does.

use super::super::testing::{Chip, Wire, bench, survives_anything};
use super::*;
use devices_core::bench::Bench;

fn motion(chip: &mut Bench<Wire>, acceleration: [f64; 3], rotation: [f64; 3]) {
    chip.set("acceleration", ControlValue::Vector(acceleration));
    chip.set("rotation", ControlValue::Vector(rotation));
}

fn words(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn registers_after_reset() {
    let mut chip = bench(&MODEL);
    assert_eq!(chip.ask(&[0x0f], 11), [0x6c, 0, 0, 4, 0, 0, 0, 0, 0, 0xe0, 0]);
    chip.send(&[0x10, 0x40, 0x4c]);
    chip.send(&[0x12, 0x44]);
    assert_eq!(chip.ask(&[0x10], 3), [0x40, 0x4c, 0x44]);
    chip.send(&[0x12, 0x01]);
    assert_eq!(chip.ask(&[0x10], 3), [0, 0, 4], "software reset");
}

#[test]
fn samples_in_counts_of_the_full_scale() {
    let mut chip = bench(&MODEL);
    let (acceleration, rotation) = ([0.5, -1.25, 1.9], [100.0, -33.3, 0.0]);
    motion(&mut chip, acceleration, rotation);
    for (scale, mg) in [(0, 0.061), (1, 0.488), (2, 0.122), (3, 0.244)] {
        for (gyro, mdps) in [(0x02, 4.375), (0x00, 8.75), (0x04, 17.5), (0x08, 35.0), (0x0c, 70.0)] {
            chip.send(&[0x10, 0x40 | scale << 2, 0x40 | gyro]);
            chip.wait_ms(20);
            let out = words(&chip.ask(&[0x22], 12));
            for (count, value) in out.iter().zip(rotation) {
                assert!(
                    (f64::from(*count) * mdps / 1000.0 - value).abs() <= mdps / 1000.0,
                    "{count} {value}"
                );
            }
            for (count, value) in out[3..].iter().zip(acceleration) {
                assert!((f64::from(*count) * mg / 1000.0 - value).abs() <= mg / 1000.0, "{count} {value}");
            }
        }
    }
    motion(&mut chip, [16.0, -16.0, 0.0], [0.0; 3]);
    chip.send(&[0x10, 0x40]);
    chip.wait_ms(20);
    assert_eq!(words(&chip.ask(&[0x28], 6)), [i16::MAX, i16::MIN, 0], "it saturates");
}

#[test]
fn temperature() {
    let mut chip = bench(&MODEL);
    chip.set("temperature", ControlValue::Number(20.5));
    chip.send(&[0x10, 0x40]);
    chip.wait_ms(40);
    assert_eq!(chip.ask(&[0x1e], 1), [5]);
    assert_eq!(words(&chip.ask(&[0x20], 2)), [-1152]);
    assert_eq!(chip.ask(&[0x1e], 1), [1]);
}

#[test]
fn data_ready_at_the_output_data_rate() {
    let mut chip = bench(&MODEL);
    chip.send(&[0x0d, 0x01]); // INT1_DRDY_XL
    chip.send(&[0x10, 0x40]); // 104 Hz: every 9.6 ms
    assert!(!chip.output(0));
    let mut samples = 0;
    for _ in 0..1000 {
        chip.wait_ms(1);
        if chip.output(0) {
            samples += 1;
            assert_eq!(chip.ask(&[0x1e], 1)[0] & 1, 1);
            chip.ask(&[0x28], 1);
            assert!(chip.output(0), "a low byte leaves it");
            chip.ask(&[0x29], 1);
            assert!(!chip.output(0));
        }
    }
    assert_eq!(samples, 104);
    chip.send(&[0x12, 0x24]);
    assert!(chip.output(0), "active low");
    chip.send(&[0x10, 0x00]);
    chip.wait_ms(100);
    assert!(chip.output(0), "off");
}

#[test]
fn every_rate() {
    for (code, hz) in [
        (1, 13.02),
        (2, 26.04),
        (3, 52.08),
        (4, 104.2),
        (5, 208.3),
        (6, 416.7),
        (7, 833.3),
        (8, 1667.0),
        (9, 3333.0),
        (10, 6667.0),
    ] {
        let seconds = period(code).map_or(0.0, Time::as_secs_f64);
        assert!((seconds * hz - 1.0).abs() < 1e-3, "{code}");
    }
    assert_eq!((period(0), period(12)), (None, None));
}

#[test]
fn block_data_update_keeps_a_sample_together() {
    for (control, expected) in [(0x44, 0x0100), (0x04, 0x0000)] {
        let mut chip = bench(&MODEL);
        chip.send(&[0x12, control]);
        motion(&mut chip, [256.0 * 0.061e-3, 0.0, 0.0], [0.0; 3]);
        chip.send(&[0x10, 0x40]);
        chip.wait_ms(10);
        let low = chip.ask(&[0x28], 1)[0];
        motion(&mut chip, [0.0; 3], [0.0; 3]);
        chip.wait_ms(10);
        assert_eq!(i16::from_le_bytes([low, chip.ask(&[0x29], 1)[0]]), expected);
    }
}

#[test]
fn fifo_as_linux_reads_it() {
    let mut chip = bench(&MODEL);
    motion(&mut chip, [0.61, 0.0, 1.0], [8.75, 0.0, 0.0]);
    chip.send(&[0x12, 0x44]);
    chip.send(&[0x19, 0x20]); // timestamp
    chip.send(&[0x07, 12]); // watermark
    chip.send(&[0x09, 0x44]); // both at 104 Hz
    chip.send(&[0x0d, 0x08]); // INT1_FIFO_TH
    chip.send(&[0x11, 0x40]);
    chip.send(&[0x10, 0x40]);
    chip.send(&[0x0a, 0x46]); // continuous, a timestamp with each
    chip.advance(Time::from_us(9600 * 4 - 1));
    assert_eq!((chip.output(0), chip.ask(&[0x3a], 2)), (false, vec![9, 0]));
    chip.advance(Time::from_us(1));
    assert_eq!((chip.output(0), chip.ask(&[0x3a], 2)), (true, vec![12, 0x80]));
    // A burst of four slots, three words each.
    let burst = chip.ask(&[0x78], 12 * 7);
    let mut stamps = Vec::new();
    for (index, slot) in burst.chunks_exact(21).enumerate() {
        let tags: Vec<u8> = slot.chunks_exact(7).map(|word| word[0] >> 3).collect();
        assert_eq!(tags, [4, 1, 2]);
        assert!(slot.chunks_exact(7).all(|word| usize::from(word[0] >> 1 & 3) == (index + 1) & 3));
        stamps.push(u32::from_le_bytes([slot[1], slot[2], slot[3], slot[4]]));
        assert_eq!(words(&slot[8..14]), [1000, 0, 0]);
        assert_eq!(words(&slot[15..21])[0], 10_000);
    }
    assert!(stamps.windows(2).all(|pair| pair[1] - pair[0] == 384), "9.6 ms of 25 us: {stamps:?}");
    assert_eq!((chip.output(0), chip.ask(&[0x3a], 2)), (false, vec![0, 0]));
    chip.send(&[0x0a, 0x40]);
    chip.wait_ms(100);
    assert_eq!(chip.ask(&[0x3a], 2), [0, 0], "bypassed");
}

#[test]
fn batch_rates_thin_out() {
    let mut chip = bench(&MODEL);
    chip.send(&[0x09, 0x02]); // accelerometer at 26 Hz
    chip.send(&[0x0a, 0x06]);
    chip.send(&[0x10, 0x60]); // of 417 Hz
    chip.wait_ms(1000);
    assert_eq!(chip.ask(&[0x3a], 2), [26, 0]);
}

#[test]
fn timestamp_counts_and_resets() {
    let mut chip = bench(&MODEL);
    chip.wait_ms(5);
    assert_eq!(chip.ask(&[0x40], 4), [0; 4]);
    chip.send(&[0x19, 0x20]);
    chip.wait_ms(25);
    assert_eq!(chip.ask(&[0x40], 4), 1000u32.to_le_bytes());
    chip.send(&[0x42, 0xaa]);
    assert_eq!(chip.ask(&[0x40], 4), [0; 4]);
}

#[test]
fn other_pages_are_told_and_change_nothing() {
    let mut chip = bench(&MODEL);
    chip.send(&[0x01, 0x40]);
    chip.send(&[0x14, 0x04]);
    assert_eq!(chip.ask(&[0x0f], 1), [0]);
    chip.send(&[0x01, 0x00]);
    assert_eq!(chip.ask(&[0x14], 1), [0]);
    assert_eq!(chip.services.unimplemented.len(), 2);
}

#[test]
fn reset_and_state() {
    let mut chip = bench(&MODEL);
    chip.send(&[0x09, 0x44]);
    chip.send(&[0x0a, 0x46]);
    chip.send(&[0x0d, 0x01]);
    chip.send(&[0x10, 0x40, 0x40]);
    chip.wait_ms(100);
    assert!(chip.output(0));
    chip.check_save_restore();
    chip.services.events.cancel_all(0);
    chip.call(devices_core::Device::reset);
    assert!(!chip.output(0));
    assert_eq!(chip.ask(&[0x3a], 2), [0, 0]);
    assert_eq!(chip.device.control("chip.acceleration"), Some(ControlValue::Vector([0.0, 0.0, 1.0])));
}

#[test]
fn anything() {
    survives_anything(&MODEL);
}
