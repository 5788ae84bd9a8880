//! Tests from the data sheet and the sequences of known drivers, through a controller.

use super::*;
use crate::spi::sifive::SifiveSpi;
use devices_core::Time;
use devices_core::bench::Bench;
use devices_core::ctx::CHILD;
use devices_core::device::floating;
use devices_core::{Device, pin};

const DC: u32 = pin(DATA_COMMAND as u32);

fn screen(width: u16, height: u16, lamps: usize, normally_black: bool) -> Bench<SifiveSpi> {
    let chip = St7789 {
        state: State::new(),
        width,
        height,
        normally_black,
        lamps: vec![true; lamps],
        generation: 0,
    };
    let mut device = SifiveSpi::new(16_000_000, 1, None);
    device.bus.children.attach(0, "screen", Box::new(chip));
    let mut bench = Bench::new(device);
    for n in [RESET].into_iter().chain(BACKLIGHT..BACKLIGHT + lamps) {
        drive(&mut bench, pin(n as u32), true);
    }
    let pins = [RESET, DATA_COMMAND].into_iter().chain(BACKLIGHT..BACKLIGHT + lamps);
    pins.for_each(|n| drive(&mut bench, floating(n as u32), false));
    bench
}

/// 240 by 240, always lit, as the drivers below expect it.
fn bench() -> Bench<SifiveSpi> {
    screen(240, 240, 0, false)
}

fn drive(bench: &mut Bench<SifiveSpi>, line: u32, level: bool) {
    bench.call(|spi, ctx| spi.bus.line(ctx, CHILD + line, level));
}

/// A command with its data, and what the chip sends then; released at the end of each, as most drivers do.
fn command(bench: &mut Bench<SifiveSpi>, opcode: u8, data: &[u8], answers: usize) -> Vec<u8> {
    drive(bench, DC, false);
    bench.call(|spi, ctx| {
        spi.bus.select(ctx, Some(0));
        spi.bus.transfer(ctx, opcode);
    });
    drive(bench, DC, true);
    bench.call(|spi, ctx| {
        if answers == 0 {
            spi.bus.select(ctx, None);
            spi.bus.select(ctx, Some(0));
        }
        for byte in data {
            spi.bus.transfer(ctx, *byte);
        }
        let answer = (0..answers).map(|_| spi.bus.transfer(ctx, 0)).collect();
        spi.bus.select(ctx, None);
        answer
    })
}

fn window(bench: &mut Bench<SifiveSpi>, x: [u16; 2], y: [u16; 2]) {
    for (opcode, [first, last]) in [(op::CASET, x), (op::RASET, y)] {
        command(bench, opcode, &[first.to_be_bytes(), last.to_be_bytes()].concat(), 0);
    }
}

fn picture(bench: &Bench<SifiveSpi>) -> Frame {
    let mut frame = Frame::default();
    bench.device.display().expect("the chip is a screen").copy(&mut frame);
    frame
}

fn at(bench: &Bench<SifiveSpi>, x: usize, y: usize) -> u32 {
    let frame = picture(bench);
    frame.pixels[y * frame.width as usize + x]
}

/// Awake, on, 16 bits a pixel.
fn switch_on(bench: &mut Bench<SifiveSpi>) {
    command(bench, op::SWRESET, &[], 0);
    command(bench, op::SLPOUT, &[], 0);
    command(bench, op::COLMOD, &[0x55], 0);
    command(bench, op::DISPON, &[], 0);
}

const RED: [u8; 2] = [0xf8, 0x00];
const GREEN: [u8; 2] = [0x07, 0xe0];
const BLUE: [u8; 2] = [0x00, 0x1f];

#[test]
fn identification_and_status_lose_a_clock() {
    let mut bench = bench();
    let id = |bytes: &[u8]| bytes.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) >> 7 & 0xff_ffff;
    assert_eq!(id(&command(&mut bench, op::RDDID, &[], 4)), 0x85_8552);
    assert_eq!(command(&mut bench, op::RDID1, &[], 1), [0x85]);
    assert_eq!(command(&mut bench, op::RDID3, &[], 1), [0x52]);
    let word = |bytes: &[u8]| (bytes.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte)) >> 7) as u32;
    assert_eq!(word(&command(&mut bench, op::RDDST, &[], 5)), 0x0061_0000);
    switch_on(&mut bench);
    command(&mut bench, op::INVON, &[], 0);
    command(&mut bench, op::MADCTL, &[0xa0], 0);
    assert_eq!(word(&command(&mut bench, op::RDDST, &[], 5)), 0xd053_2400);
    assert_eq!(command(&mut bench, op::RDDPM, &[], 1), [0x9c]);
    assert_eq!(command(&mut bench, op::RDDMADCTL, &[], 1), [0xa0]);
    assert_eq!(command(&mut bench, op::RDDCOLMOD, &[], 1), [0x55]);
    assert_eq!(command(&mut bench, op::RDDIM, &[], 1), [0x20]);
}

#[test]
fn infinitime_switches_it_on_and_draws() {
    let mut bench = screen(240, 240, 3, true);
    drive(&mut bench, pin(RESET as u32), false);
    drive(&mut bench, pin(RESET as u32), true);
    command(&mut bench, op::SWRESET, &[], 0);
    command(&mut bench, 0xdf, &[0x5a, 0x69, 0x02, 0x01], 0);
    command(&mut bench, op::COLMOD, &[0x55], 0);
    command(&mut bench, op::MADCTL, &[0x00], 0);
    window(&mut bench, [0, 240], [0, 240]);
    command(&mut bench, op::INVON, &[], 0);
    command(&mut bench, op::PORCTRL, &[0x02, 0x03, 0x01, 0xed, 0xed], 0);
    command(&mut bench, op::FRCTRL2, &[0x0a], 0);
    command(&mut bench, 0xb3, &[0x00, 0x0a, 0x0a], 0);
    command(&mut bench, op::NORON, &[], 0);
    command(&mut bench, 0xc4, &[0x10], 0);
    command(&mut bench, 0xd0, &[0xa4, 0x00], 0);
    command(&mut bench, 0xe8, &[0xb3], 0);
    command(&mut bench, 0xb7, &[0x00], 0);
    command(&mut bench, op::SLPOUT, &[], 0);
    command(&mut bench, op::DISPON, &[], 0);
    assert!(bench.services.unimplemented.is_empty());
    window(&mut bench, [10, 11], [20, 21]);
    command(&mut bench, op::RAMWR, &[RED, GREEN, BLUE, [0xff; 2]].concat(), 0);
    assert!(picture(&bench).pixels.iter().all(|pixel| *pixel == 0), "the backlight is off");
    for n in 0..3 {
        drive(&mut bench, pin((BACKLIGHT + n) as u32), false);
    }
    assert_eq!([at(&bench, 10, 20), at(&bench, 11, 20)], [0xff_0000, 0x00_ff00]);
    assert_eq!([at(&bench, 10, 21), at(&bench, 11, 21)], [0x00_00ff, 0xff_ffff]);
    assert_eq!(at(&bench, 12, 20), 0);
    command(&mut bench, op::SLPIN, &[], 0);
    assert_eq!(at(&bench, 11, 21), 0);
}

#[test]
fn backlight_darkens_and_may_be_modulated() {
    let mut bench = screen(240, 240, 3, false);
    switch_on(&mut bench);
    window(&mut bench, [0, 0], [0, 0]);
    command(&mut bench, op::RAMWR, &[0xff; 2], 0);
    let lamp = |bench: &mut Bench<SifiveSpi>, n: usize, on: bool| {
        drive(bench, pin((BACKLIGHT + n) as u32), !on);
    };
    bench.advance(Time::from_ms(100));
    let mut levels = Vec::new();
    for n in 0..3 {
        (0..3).for_each(|m| lamp(&mut bench, m, false));
        bench.advance(Time::from_ms(100));
        lamp(&mut bench, n, true);
        levels.push(at(&bench, 0, 0) & 0xff);
        bench.advance(Time::from_ms(100));
    }
    assert_eq!(levels, [95, 135, 192], "a lamp of 1/7, 2/7, 4/7 of the light");
    for _ in 0..10 {
        lamp(&mut bench, 2, false);
        bench.advance(Time::from_us(750));
        lamp(&mut bench, 2, true);
        bench.advance(Time::from_us(250));
    }
    assert_eq!(at(&bench, 0, 0) & 0xff, 95, "a quarter of 4/7");
    bench.advance(Time::from_ms(50));
    assert_eq!(at(&bench, 0, 0) & 0xff, 192, "it stays on");
}

#[test]
fn pixel_formats() {
    let mut bench = bench();
    switch_on(&mut bench);
    window(&mut bench, [0, 1], [0, 0]);
    command(&mut bench, op::COLMOD, &[0x33], 0);
    command(&mut bench, op::RAMWR, &[0xf0, 0x80, 0xf8], 0);
    assert_eq!([at(&bench, 0, 0), at(&bench, 1, 0)], [0xff008a, 0x00ff8a]);
    command(&mut bench, op::COLMOD, &[0x66], 0);
    command(&mut bench, op::RAMWR, &[0xfc, 0x80, 0x04, 0xff, 0x03, 0x07], 0);
    assert_eq!([at(&bench, 0, 0), at(&bench, 1, 0)], [0xff8204, 0xff0004]);
    command(&mut bench, op::COLMOD, &[0x55], 0);
    command(&mut bench, op::RAMCTRL, &[0x00, 0xf8], 0);
    command(&mut bench, op::RAMWR, &[0x00, 0xf8, 0xe0, 0x07], 0);
    assert_eq!([at(&bench, 0, 0), at(&bench, 1, 0)], [0xff0000, 0x00ff00], "little endian");
    command(&mut bench, op::MADCTL, &[madctl::BGR], 0);
    assert_eq!(at(&bench, 0, 0), 0x0000ff);
    command(&mut bench, op::IDMON, &[], 0);
    assert_eq!(at(&bench, 0, 0), 0x0000ff);
}

#[test]
fn half_a_pixel_is_dropped_and_writing_continues() {
    let mut bench = bench();
    switch_on(&mut bench);
    window(&mut bench, [0, 1], [0, 1]);
    command(&mut bench, op::RAMWR, &[0xf8, 0x00, 0x07], 0);
    command(&mut bench, op::RAMWRC, &[GREEN, BLUE, RED, GREEN].concat(), 0);
    assert_eq!([at(&bench, 0, 0), at(&bench, 1, 0)], [0x00ff00, 0x00ff00], "around to the first");
    assert_eq!([at(&bench, 0, 1), at(&bench, 1, 1)], [0x0000ff, 0xff0000]);
    let read = command(&mut bench, op::RAMRD, &[], 7);
    assert_eq!(read[1..], [0, 0xfc, 0, 0, 0xfc, 0], "after a byte of dummies");
}

#[test]
fn rotations() {
    // Where the guest's first pixel and the next one are.
    let cases = [
        (0x00, (0, 0), (1, 0)),
        (madctl::MX, (239, 0), (238, 0)),
        (madctl::MY, (0, 319), (1, 319)),
        (madctl::MV, (0, 0), (0, 1)),
        (madctl::MV | madctl::MX, (239, 0), (239, 1)),
        (madctl::MV | madctl::MY, (0, 319), (0, 318)),
    ];
    for (bits, first, second) in cases {
        let mut bench = screen(240, 320, 0, false);
        switch_on(&mut bench);
        command(&mut bench, op::MADCTL, &[bits], 0);
        window(&mut bench, [0, 1], [0, 0]);
        command(&mut bench, op::RAMWR, &[RED, GREEN].concat(), 0);
        let colours = [at(&bench, first.0, first.1), at(&bench, second.0, second.1)];
        assert_eq!(colours, [0xff0000, 0x00ff00], "{bits:#x}");
    }
}

#[test]
fn scrolling_and_partial_mode() {
    let mut bench = screen(240, 320, 0, false);
    switch_on(&mut bench);
    for row in 0..320u16 {
        window(&mut bench, [0, 0], [row, row]);
        command(&mut bench, op::COLMOD, &[0x66], 0);
        command(&mut bench, op::RAMWR, &[(row >> 4 << 2) as u8, (row << 2) as u8, 0], 0);
    }
    let rows = |bench: &Bench<SifiveSpi>| -> Vec<u32> {
        let row = |pixel: u32| (pixel >> 18 & 0x3f) << 4 | pixel >> 10 & 0xf;
        [0, 9, 10, 11, 299, 300].map(|y| row(at(bench, 0, y))).to_vec()
    };
    assert_eq!(rows(&bench), [0, 9, 10, 11, 299, 300]);
    command(&mut bench, op::VSCRDEF, &[0, 10, 1, 34, 0, 20], 0);
    command(&mut bench, op::VSCRSADD, &[0, 15], 0);
    assert_eq!(rows(&bench), [0, 9, 15, 16, 14, 300]);
    command(&mut bench, op::MADCTL, &[madctl::ML], 0);
    assert_eq!(rows(&bench), [0, 9, 10, 11, 294, 295], "areas counted from the bottom");
    command(&mut bench, op::MADCTL, &[0], 0);
    command(&mut bench, op::PTLAR, &[0, 10, 1, 43], 0);
    command(&mut bench, op::PTLON, &[], 0);
    assert_eq!(rows(&bench), [0, 0, 10, 11, 299, 0]);
    command(&mut bench, op::NORON, &[], 0);
    assert_eq!(rows(&bench), [0, 9, 10, 11, 299, 300]);
}

#[test]
fn tearing_effect_comes_with_each_frame() {
    let mut bench = bench();
    switch_on(&mut bench);
    command(&mut bench, op::TEON, &[0], 0);
    let mut edges = 0;
    let mut before = false;
    for _ in 0..10_000 {
        bench.advance(Time::from_us(100));
        let level = bench.line(CHILD + LINE_TE);
        edges += u32::from(level && !before);
        before = level;
    }
    // 10 MHz / ((250 + 15 * 16) * 344): 59.3 Hz.
    assert_eq!(edges, 59);
    command(&mut bench, op::SLPIN, &[], 0);
    assert!(!bench.line(CHILD + LINE_TE));
    assert_eq!(bench.services.events.next(), None);
}

#[test]
fn resets_and_state() {
    let mut bench = bench();
    switch_on(&mut bench);
    window(&mut bench, [0, 0], [0, 0]);
    command(&mut bench, op::RAMWR, &RED, 0);
    bench.check_save_restore();
    drive(&mut bench, pin(RESET as u32), false);
    switch_on(&mut bench);
    assert_eq!(at(&bench, 0, 0), 0, "held in reset");
    drive(&mut bench, pin(RESET as u32), true);
    switch_on(&mut bench);
    assert_eq!(at(&bench, 0, 0), 0xff0000, "the memory stays");
    bench.call(|spi, ctx| spi.reset(ctx));
    switch_on(&mut bench);
    assert_eq!(at(&bench, 0, 0), 0, "at power-on it does not");
}

#[test]
fn survives_anything() {
    arbtest::arbtest(|u| {
        let mut bench = screen(240, 240, 3, true);
        for (opcode, data, lines) in u.arbitrary::<Vec<(u8, Vec<u8>, u32)>>()? {
            command(&mut bench, opcode, &data, usize::from(opcode & 7));
            drive(&mut bench, pin(lines % 8), lines & 0x100 != 0);
            drive(&mut bench, floating(lines >> 9 & 7), lines & 0x1000 != 0);
            bench.advance(Time::from_us(u64::from(lines >> 16)));
        }
        picture(&bench);
        bench.check_save_restore();
        Ok(())
    });
}
