use super::super::testing::{Driver, torture};
use super::*;
use devices_core::bench::RAM;

/// Guest memory behind the resources of these tests.
const PIXELS: u64 = RAM + 0x6_0000;

fn command(kind: u32, fields: &[u32]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.resize(24, 0);
    bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    bytes
}

fn driver() -> Driver {
    Driver::new(Gpu::new(200, 100), F_EDID)
}

fn kind(answer: &[u8]) -> u32 {
    u32::from_le_bytes(answer[..4].try_into().unwrap())
}

fn send(driver: &mut Driver, kind_of: u32, fields: &[u32]) -> u32 {
    kind(&driver.ask(CONTROL, &command(kind_of, fields), 24).unwrap())
}

fn frame(driver: &Driver) -> Frame {
    let mut frame = Frame::default();
    let device: &dyn devices_core::Device = &driver.bench.device;
    device.display().unwrap().copy(&mut frame);
    frame
}

fn generation(driver: &Driver) -> u64 {
    let device: &dyn devices_core::Device = &driver.bench.device;
    device.display().unwrap().generation()
}

/// A resource of `width` by `height` in format 1 (BGRA), its memory attached in two pieces.
fn resource(driver: &mut Driver, id: u32, width: u32, height: u32) {
    assert_eq!(send(driver, command::RESOURCE_CREATE_2D, &[id, 1, width, height]), OK_NODATA);
    let (bytes, addr) = (width * height * 4, PIXELS as u32);
    let pieces = [id, 2, addr, 0, 12, 0, addr + 12, 0, bytes - 12, 0];
    assert_eq!(send(driver, command::ATTACH_BACKING, &pieces), OK_NODATA);
}

fn paint(driver: &Driver, width: u32, height: u32, argb: impl Fn(u32, u32) -> u32) {
    for y in 0..height {
        for x in 0..width {
            driver.poke(PIXELS + u64::from(y * width + x) * 4, &argb(x, y).to_le_bytes());
        }
    }
}

#[test]
fn a_picture_is_shown_when_it_is_flushed() {
    let mut driver = driver();
    assert_eq!((frame(&driver).width, frame(&driver).height), (200, 100));
    resource(&mut driver, 7, 64, 32);
    paint(&driver, 64, 32, |x, y| 0xff00_0000 | x << 8 | y);
    // From (4, 2) on, 60 x 30 of it.
    assert_eq!(send(&mut driver, command::SET_SCANOUT, &[4, 2, 60, 30, 0, 7]), OK_NODATA);
    let blank = frame(&driver);
    assert_eq!((blank.width, blank.height, blank.pixels.iter().max()), (60, 30, Some(&0)));
    // Column 10 of the resource on, row 5 on, 4 x 3 pixels.
    let before = generation(&driver);
    let offset = (5 * 64 + 10) * 4;
    let part = [10, 5, 4, 3, offset, 0, 7, 0];
    assert_eq!(send(&mut driver, command::TRANSFER_TO_HOST_2D, &part), OK_NODATA);
    assert_eq!(frame(&driver), blank, "not before it is flushed");
    assert_eq!(generation(&driver), before);
    assert_eq!(send(&mut driver, command::RESOURCE_FLUSH, &[0, 0, 64, 32, 7, 0]), OK_NODATA);
    assert_ne!(generation(&driver), before);
    let shown = frame(&driver);
    for y in 0..30 {
        for x in 0..60 {
            let (from_x, from_y) = (x + 4, y + 2);
            let inside = (10..14).contains(&from_x) && (5..8).contains(&from_y);
            let expected = if inside { from_x << 8 | from_y } else { 0 };
            assert_eq!(shown.pixels[(y * 60 + x) as usize], expected, "{x} {y}");
        }
    }
    driver.bench.check_save_restore();
    assert_eq!(frame(&driver), shown);
    assert_eq!(send(&mut driver, command::RESOURCE_UNREF, &[7, 0]), OK_NODATA);
    assert_eq!(frame(&driver).pixels, vec![0; 200 * 100], "black, and of its own size");
}

#[test]
fn only_the_flushed_part_changes() {
    let mut driver = driver();
    resource(&mut driver, 1, 8, 8);
    paint(&driver, 8, 8, |_, _| 0x12_3456);
    send(&mut driver, command::SET_SCANOUT, &[0, 0, 8, 8, 0, 1]);
    send(&mut driver, command::TRANSFER_TO_HOST_2D, &[0, 0, 8, 8, 0, 0, 1, 0]);
    send(&mut driver, command::RESOURCE_FLUSH, &[6, 7, 2, 1, 1, 0]);
    let mut expected = vec![0; 64];
    expected[62..].fill(0x12_3456);
    assert_eq!(frame(&driver).pixels, expected);
}

#[test]
fn the_cursor_is_drawn_over_the_picture() {
    let mut driver = driver();
    resource(&mut driver, 1, 100, 80);
    paint(&driver, 100, 80, |_, _| 0xff80_8080);
    send(&mut driver, command::SET_SCANOUT, &[0, 0, 100, 80, 0, 1]);
    send(&mut driver, command::TRANSFER_TO_HOST_2D, &[0, 0, 100, 80, 0, 0, 1, 0]);
    send(&mut driver, command::RESOURCE_FLUSH, &[0, 0, 100, 80, 1, 0]);
    resource(&mut driver, 2, 64, 64);
    // Opaque white on top, nothing below, half-transparent red in the last row.
    paint(&driver, 64, 64, |_, y| match y {
        0 => 0xffff_ffff,
        63 => 0x8080_0000,
        _ => 0,
    });
    send(&mut driver, command::TRANSFER_TO_HOST_2D, &[0, 0, 64, 64, 0, 0, 2, 0]);
    let mut cursor = |kind_of, fields: &[u32]| {
        let answer = driver.ask(1, &command(kind_of, fields), 24).unwrap();
        (kind(&answer), frame(&driver))
    };
    let (done, shown) = cursor(command::UPDATE_CURSOR, &[0, 90, 3, 0, 2, 0, 0, 0]);
    assert_eq!(done, OK_NODATA);
    let at = |frame: &Frame, x: usize, y: usize| frame.pixels[y * 100 + x];
    assert_eq!([(89, 3), (90, 3), (99, 3), (0, 4), (95, 4)].map(|(x, y)| at(&shown, x, y)), {
        [0x80_8080, 0xff_ffff, 0xff_ffff, 0x80_8080, 0x80_8080]
    });
    assert_eq!(at(&shown, 95, 66), 0xc0_4040);
    let (_, moved) = cursor(command::MOVE_CURSOR, &[0, -60i32 as u32, -63i32 as u32, 0, 0, 0, 0, 0]);
    assert_eq!([(3, 0), (4, 0), (0, 1)].map(|(x, y)| at(&moved, x, y)), [0xc0_4040, 0x80_8080, 0x80_8080]);
    let (_, gone) = cursor(command::UPDATE_CURSOR, &[0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(gone.pixels.iter().all(|pixel| *pixel == 0x80_8080));
    assert_eq!(cursor(command::UPDATE_CURSOR, &[0, 0, 0, 0, 1, 0, 0, 0]).0, Refused::Parameter as u32);
    assert_eq!(cursor(command::UPDATE_CURSOR, &[0, 0, 0, 0, 9, 0, 0, 0]).0, Refused::ResourceId as u32);
    assert_eq!(cursor(command::MOVE_CURSOR, &[1, 0, 0, 0, 0, 0, 0, 0]).0, Refused::ScanoutId as u32);
}

#[test]
fn the_screen_describes_itself() {
    let mut driver = driver();
    let info = driver.ask(CONTROL, &command(command::GET_DISPLAY_INFO, &[]), 408).unwrap();
    assert_eq!((info.len(), kind(&info)), (408, OK_DISPLAY_INFO));
    assert_eq!(info[24..48], [[0; 4], [0; 4], [200, 0, 0, 0], [100, 0, 0, 0], [1, 0, 0, 0], [0; 4]].concat());
    assert!(info[48..].iter().all(|byte| *byte == 0));
    let answer = driver.ask(CONTROL, &command(command::GET_EDID, &[0, 0]), 1056).unwrap();
    assert_eq!((answer.len(), kind(&answer), answer[24]), (1056, OK_EDID, 128));
    assert_eq!(answer[32..160], edid::block(200, 100));
    assert_eq!(driver.config(0, 16)[8..], [1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn fences_come_back() {
    let mut driver = driver();
    let mut request = command(command::GET_DISPLAY_INFO, &[]);
    request[4] = FLAG_FENCE as u8;
    request[8..20].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0]);
    let answer = driver.ask(CONTROL, &request, 408).unwrap();
    assert_eq!(answer[4..20], request[4..20]);
    request[4] = 0;
    assert_eq!(driver.ask(CONTROL, &request, 408).unwrap()[4..20], [0; 16]);
}

#[test]
fn mistakes_are_told_apart() {
    let mut driver = driver();
    resource(&mut driver, 1, 8, 8);
    send(&mut driver, command::RESOURCE_CREATE_2D, &[2, 1, 8, 8]);
    let (unspecified, memory, scanout, resource, parameter) = (0x1200, 0x1201, 0x1202, 0x1203, 0x1205);
    use command::*;
    for (kind, fields, expected) in [
        (RESOURCE_CREATE_2D, &[0, 1, 8, 8][..], resource),
        (RESOURCE_CREATE_2D, &[1, 1, 8, 8], resource),
        (RESOURCE_CREATE_2D, &[3, 5, 8, 8], parameter),
        (RESOURCE_CREATE_2D, &[3, 1, 0, 8], parameter),
        (RESOURCE_CREATE_2D, &[3, 1, 8, MAX_SIDE + 1], parameter),
        (RESOURCE_CREATE_2D, &[3, 1, MAX_SIDE, MAX_SIDE], memory),
        (RESOURCE_CREATE_2D, &[3, 1, 8], parameter),
        (RESOURCE_UNREF, &[9, 0], resource),
        (SET_SCANOUT, &[0, 0, 8, 8, 1, 1], scanout),
        (SET_SCANOUT, &[0, 0, 8, 8, 0, 9], resource),
        (SET_SCANOUT, &[1, 0, 8, 8, 0, 1], parameter),
        (SET_SCANOUT, &[0, 0, 0, 0, 0, 1], parameter),
        (RESOURCE_FLUSH, &[0, 0, 8, 9, 1, 0], parameter),
        (RESOURCE_FLUSH, &[0, 0, 8, 8, 9, 0], resource),
        (TRANSFER_TO_HOST_2D, &[u32::MAX, 1, 8, 8, 0, 0, 1, 0], parameter),
        (TRANSFER_TO_HOST_2D, &[0, 0, u32::MAX, u32::MAX, 0, 0, 1, 0], parameter),
        (TRANSFER_TO_HOST_2D, &[0, 0, 8, 8, 0, 0, 2, 0], unspecified),
        (TRANSFER_TO_HOST_2D, &[0, 0, 8, 8, 0, 0, 9, 0], resource),
        (ATTACH_BACKING, &[1, 0], unspecified),
        (ATTACH_BACKING, &[9, 0], resource),
        (ATTACH_BACKING, &[2, 1], parameter),
        (ATTACH_BACKING, &[2, u32::MAX], memory),
        (ATTACH_BACKING, &[2, 1, 0x1000, 0, 64, 0], parameter),
        (DETACH_BACKING, &[2, 0], unspecified),
        (DETACH_BACKING, &[9, 0], resource),
        (GET_EDID, &[1, 0], scanout),
        (0x200, &[], unspecified),
        (UPDATE_CURSOR, &[0, 0, 0, 0, 0, 0, 0, 0], unspecified),
    ] {
        assert_eq!(send(&mut driver, kind, fields), expected, "{kind:#x} {fields:?}");
    }
    assert_eq!(kind(&driver.ask(CONTROL, &[0; 8], 24).unwrap()), unspecified);
    assert_eq!(driver.status(), 15);
    assert_eq!(send(&mut driver, DETACH_BACKING, &[1, 0]), OK_NODATA);
}

#[test]
fn a_wrong_state_is_refused() {
    let mut gpu = Gpu::new(64, 64);
    gpu.create(1, 1, 8, 8).unwrap();
    gpu.set_scanout(Rect { x: 0, y: 0, width: 8, height: 8 }, 0, 1).unwrap();
    let good = gpu.save();
    gpu.state.screen.0.pop();
    let bad = gpu.save();
    assert!(gpu.restore(&bad).is_err());
    gpu.restore(&good).unwrap();
    gpu.state.resources.get_mut(&1).unwrap().pixels.0.pop();
    let bad = gpu.save();
    assert!(gpu.restore(&bad).is_err());
}

#[test]
fn survives_anything() {
    torture(|| Box::new(Gpu::new(64, 64)), F_EDID);
}

/// Sends plausible commands with arbitrary fields.
#[test]
fn survives_arbitrary_commands() {
    let mut driver = driver();
    let mut rng = devices_core::Rng::new(3, "gpu");
    for _ in 0..20_000 {
        let word = rng.next_u64();
        let kind = [0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x10a, 0x300, 0x301][word as usize % 10];
        let mut fields: Vec<u32> = (0..8).map(|_| (rng.next_u64() % 80) as u32).collect();
        if word >> 32 & 1 != 0 {
            fields[word as usize >> 8 & 7] = rng.next_u64() as u32;
        }
        if kind >= 0x300 {
            fields[0] = 0;
        } else if kind == 0x106 {
            fields = vec![fields[0] % 8, 1, PIXELS as u32, 0, fields[3].wrapping_mul(4), 0];
        } else if kind == 0x101 {
            fields = vec![fields[0] % 8, 1, fields[2], fields[3]];
        }
        driver.ask(usize::from(kind >= 0x300), &command(kind, &fields), 24).unwrap();
        if word >> 40 & 63 == 0 {
            frame(&driver);
            driver.bench.check_save_restore();
        }
        driver.bench.services.complaints.clear();
    }
}
