use super::*;
use crate::sensor::testing::{Chip, Wire, bench};
use devices_core::bench::Bench;
use devices_core::ctx::CHILD;
use devices_core::device::floating;
use devices_core::{Device, pin};

fn drive_reset(bench: &mut Bench<Wire>, level: bool) {
    bench.call(|wire, ctx| {
        wire.line(ctx, CHILD + floating(RESET as u32), false);
        wire.line(ctx, CHILD + pin(RESET as u32), level);
    });
}

/// As InfiniTime initialises it.
fn touch_panel() -> Bench<Wire> {
    let mut bench = bench(&MODEL);
    drive_reset(&mut bench, false);
    bench.wait_ms(5);
    drive_reset(&mut bench, true);
    assert!(!bench.send(&[0xa7]), "it needs time");
    bench.wait_ms(50);
    bench.ask(&[0x15], 1);
    assert_eq!(bench.ask(&[0xa7], 3), [0xb4, 0, 1]);
    assert!(bench.send(&[0xec, 0b101]) && bench.send(&[0xfa, 0x70]));
    bench
}

fn touch(bench: &mut Bench<Wire>, at: Option<(u16, u16)>) {
    let middle = |pixel: u16| ((u32::from(pixel) * 0x8000 + 0x4000) / 240) as u16;
    let at = at.map(|(x, y)| (middle(x), middle(y)));
    bench.input(HostInput::Touch { slot: 0, at });
}

/// Gesture, fingers, x, y, and how often the interrupt pin went low in `ms`.
fn watch(bench: &mut Bench<Wire>, ms: u64) -> (u32, [u16; 4]) {
    let mut edges = 0;
    let mut before = bench.output(LINE_INT);
    for _ in 0..ms * 10 {
        bench.advance(Time::from_us(100));
        let level = bench.output(LINE_INT);
        edges += u32::from(before && !level);
        before = level;
    }
    let bytes = bench.ask(&[1], 6);
    let word = |at: usize| u16::from(bytes[at] & 0xf) << 8 | u16::from(bytes[at + 1]);
    (edges, [bytes[0].into(), bytes[1].into(), word(2), word(4)])
}

#[test]
fn a_tap_and_a_double_tap() {
    let mut bench = touch_panel();
    assert!(bench.output(LINE_INT));
    touch(&mut bench, Some((100, 200)));
    assert_eq!(watch(&mut bench, 35), (4, [0, 1, 100, 200]));
    touch(&mut bench, None);
    assert_eq!(watch(&mut bench, 20), (1, [0x05, 0, 100, 200]));
    bench.wait_ms(100);
    touch(&mut bench, Some((101, 201)));
    touch(&mut bench, None);
    assert_eq!(watch(&mut bench, 30), (2, [0x0b, 0, 101, 201]), "shorter than a scan");
    bench.wait_ms(400);
    touch(&mut bench, Some((0, 239)));
    touch(&mut bench, None);
    assert_eq!(watch(&mut bench, 30), (2, [0x05, 0, 0, 239]));
}

#[test]
fn slides_in_all_directions() {
    let cases = [((0, 40), 1), ((0, -40), 2), ((-40, 0), 3), ((40, 10), 4)];
    for ((dx, dy), code) in cases {
        let mut bench = touch_panel();
        for step in 0..=4 {
            let at = |d: i32| (120 + d * step / 4) as u16;
            touch(&mut bench, Some((at(dx), at(dy))));
            bench.wait_ms(10);
        }
        let gesture = watch(&mut bench, 10).1[0];
        assert_eq!(gesture, code, "while the finger is there");
        touch(&mut bench, None);
        assert_eq!(watch(&mut bench, 20).1[..2], [code, 0]);
    }
}

#[test]
fn a_long_press_and_interrupts_of_gestures_only() {
    let mut bench = touch_panel();
    assert!(bench.send(&[0xfa, 0x11]));
    touch(&mut bench, Some((50, 50)));
    assert_eq!(watch(&mut bench, 700), (0, [0, 1, 50, 50]));
    assert_eq!(watch(&mut bench, 500), (1, [0x0c, 1, 50, 50]));
    touch(&mut bench, None);
    assert_eq!(watch(&mut bench, 20), (0, [0x0c, 0, 50, 50]));
}

#[test]
fn sleeps_until_touched_or_reset() {
    let mut bench = touch_panel();
    bench.wait_ms(2100);
    assert!(!bench.send(&[0x01]), "asleep");
    touch(&mut bench, Some((10, 20)));
    assert_eq!(watch(&mut bench, 15), (2, [0, 1, 10, 20]));
    touch(&mut bench, None);
    bench.wait_ms(20);
    assert!(bench.send(&[0xfe, 1]));
    bench.wait_ms(60_000);
    assert!(bench.send(&[0xa5, 3]), "awake, and told to sleep");
    touch(&mut bench, Some((10, 20)));
    bench.wait_ms(100);
    assert!(!bench.send(&[0x01]));
    drive_reset(&mut bench, false);
    drive_reset(&mut bench, true);
    bench.wait_ms(50);
    assert_eq!(bench.ask(&[1], 6), [0, 1, 0x80, 10, 0, 20], "the finger is still there");
    bench.check_save_restore();
}

#[test]
fn a_finger_that_goes_in_deep_sleep_is_gone() {
    let mut bench = touch_panel();
    let finger = |bench: &Bench<Wire>| {
        let fields = bench.device.inspect();
        fields.into_iter().find(|field| field.name.ends_with("finger")).map(|field| field.value)
    };
    touch(&mut bench, Some((10, 20)));
    assert_eq!(watch(&mut bench, 15).1, [0, 1, 10, 20]);
    assert!(bench.send(&[0xa5, 3]));
    assert_eq!(finger(&bench).as_deref(), Some("Some((10, 20))"));
    touch(&mut bench, None);
    bench.wait_ms(100);
    assert_eq!(finger(&bench).as_deref(), Some("None"));
    touch(&mut bench, Some((30, 40)));
    touch(&mut bench, None);
    drive_reset(&mut bench, false);
    drive_reset(&mut bench, true);
    bench.wait_ms(50);
    assert_eq!(watch(&mut bench, 50), (0, [0; 4]), "and was never there");
    touch(&mut bench, Some((50, 60)));
    assert_eq!(watch(&mut bench, 25).1, [0, 1, 50, 60]);
}

#[test]
fn a_finger_by_the_controls() {
    let mut bench = touch_panel();
    let number = ControlValue::Number;
    bench.set("x", number(30.0));
    bench.set("y", number(200.0));
    assert_eq!(watch(&mut bench, 50), (0, [0; 4]), "above the glass");
    bench.set("down", ControlValue::Switch(true));
    assert_eq!(watch(&mut bench, 15), (2, [0, 1, 30, 200]));
    bench.set("x", number(90.0));
    assert_eq!(watch(&mut bench, 10).1, [4, 1, 90, 200], "to the right");
    bench.set("down", ControlValue::Switch(false));
    assert_eq!(watch(&mut bench, 30), (1, [4, 0, 90, 200]));
    bench.check_save_restore();
}

#[test]
fn anything() {
    arbtest::arbtest(|u| {
        let mut bench = touch_panel();
        for (at, lift, wait) in u.arbitrary::<Vec<((u16, u16), bool, u16)>>()? {
            bench.input(HostInput::Touch { slot: 0, at: (!lift).then_some(at) });
            bench.advance(Time::from_us(u64::from(wait) * 3));
            bench.send(&[at.0 as u8 | 0xa0, at.1 as u8]);
            drive_reset(&mut bench, wait % 7 != 0);
        }
        assert!(bench.device.inspect().len() > 20);
        bench.check_save_restore();
        Ok(())
    });
}
