//! Tests from the data sheet, through a controller.

use super::super::sifive::SifiveSpi;
use super::*;
use devices_core::bench::{Bench, RAM, bench_memory};
use std::io;
use std::sync::{Arc, Mutex};

const SIZE: u32 = 0x8_0000;

/// The chip behind a window at the base of the bench's RAM, ready for commands.
fn bench(disk: Option<Box<dyn BlockBackend>>) -> Bench<SifiveSpi> {
    let memory = bench_memory();
    let mut device = SifiveSpi::new(16_000_000, 1, Some((memory.clone(), RAM)));
    let window = Some((memory.clone(), RAM, 0x10_0000));
    let chip = Nor::new(SIZE, window, disk).expect("it fits");
    device.bus.children.attach(0, "flash", Box::new(chip));
    Bench::with_memory(device, &memory)
}

/// One command with its data; what the chip answers after the opcode.
fn command(bench: &mut Bench<SifiveSpi>, bytes: &[u8], answers: usize) -> Vec<u8> {
    bench.call(|spi, ctx| {
        spi.bus.select(ctx, Some(0));
        for byte in bytes {
            spi.bus.transfer(ctx, *byte);
        }
        let answer = (0..answers).map(|_| spi.bus.transfer(ctx, 0)).collect();
        spi.bus.select(ctx, None);
        answer
    })
}

fn status(bench: &mut Bench<SifiveSpi>) -> u8 {
    command(bench, &[0x05], 1)[0]
}

/// With the write enabled, until it is done.
fn write(bench: &mut Bench<SifiveSpi>, bytes: &[u8]) {
    command(bench, &[0x06], 0);
    command(bench, bytes, 0);
    bench.advance(Time::from_ms(60_000));
}

fn window(bench: &Bench<SifiveSpi>, offset: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    bench.services.memory.read(RAM + offset, &mut bytes).expect("it is memory");
    bytes
}

#[test]
fn identification() {
    let mut bench = bench(None);
    assert_eq!(command(&mut bench, &[0x9f], 6), [0x9d, 0x60, 19, 0x9d, 0x60, 19]);
    assert_eq!(command(&mut bench, &[0x90, 0, 0, 0], 2), [0x9d, 18]);
    assert_eq!(command(&mut bench, &[0x90, 0, 0, 1], 2), [18, 0x9d]);
    assert_eq!(command(&mut bench, &[0xab, 0, 0, 0], 2), [18, 18]);
    let header = command(&mut bench, &[0x5a, 0, 0, 0, 0xff], 16);
    assert_eq!((&header[..4], header[12]), (&b"SFDP"[..], 0x30));
    let words = command(&mut bench, &[0x5a, 0, 0, 0x30, 0xff], 8);
    assert_eq!(words[4..], (SIZE * 8 - 1).to_le_bytes());
    command(&mut bench, &[0xb7], 0);
    assert_eq!(bench.services.unimplemented.len(), 1, "four-byte addresses");
}

#[test]
fn programs_and_reads_in_every_way() {
    let mut bench = bench(None);
    assert_eq!(window(&bench, 0, 4), [0xff; 4], "erased");
    write(&mut bench, &[0x02, 0x01, 0x23, 0x40, 1, 2, 3, 4]);
    assert_eq!(window(&bench, 0x1_2340, 5), [1, 2, 3, 4, 0xff]);
    for (opcode, dummies) in [(0x03, 0), (0x0b, 1), (0x3b, 1), (0x6b, 1), (0xbb, 1), (0xeb, 3)] {
        let bytes = [&[opcode, 0x01, 0x23, 0x41][..], &[0xff; 3][..dummies]].concat();
        assert_eq!(command(&mut bench, &bytes, 3), [2, 3, 4], "{opcode:#x}");
    }
    write(&mut bench, &[0x02, 0x01, 0x23, 0x40, 0xfe]);
    assert_eq!(window(&bench, 0x1_2340, 2), [0, 2], "bits only go to zero");
    assert_eq!(command(&mut bench, &[0x03, 0x07, 0xff, 0xff], 2), [0xff, 0xff], "around the end");
}

#[test]
fn a_page_wraps_and_keeps_the_last_bytes() {
    let mut bench = bench(None);
    write(&mut bench, &[0x32, 0, 0, 0xfe, 1, 2, 3]);
    assert_eq!((window(&bench, 0xfe, 3), window(&bench, 0, 2)), (vec![1, 2, 0xff], vec![3, 0xff]));
    let long: Vec<u8> = (0..300u32).map(|n| (n % 251) as u8).collect();
    write(&mut bench, &[&[0x02, 0, 1, 0][..], &long].concat());
    // Bytes 256 to 299 overwrote the first 44.
    assert_eq!(window(&bench, 0x100, 1), [5]);
    assert_eq!(window(&bench, 0x100 + 43, 2), [(299 % 251) as u8, 44]);
}

#[test]
fn nothing_happens_without_write_enable() {
    let mut bench = bench(None);
    command(&mut bench, &[0x02, 0, 0, 0, 0], 0);
    assert_eq!((window(&bench, 0, 1), status(&mut bench)), (vec![0xff], 0));
    command(&mut bench, &[0x06], 0);
    assert_eq!(status(&mut bench), 2);
    command(&mut bench, &[0x04], 0);
    command(&mut bench, &[0x02, 0, 0, 0, 0], 0);
    assert_eq!(window(&bench, 0, 1), [0xff]);
}

#[test]
fn busy_for_the_typical_time() {
    for (bytes, us) in [
        (&[0x02, 0, 0, 0, 0][..], 200),
        (&[0x20, 0, 0, 0], 70_000),
        (&[0x52, 0, 0, 0], 100_000),
        (&[0xd8, 0, 0, 0], 150_000),
        (&[0xc7], 45_000_000),
        (&[0x01, 0x40], 2000),
    ] {
        let mut bench = bench(None);
        command(&mut bench, &[0x06], 0);
        command(&mut bench, bytes, 0);
        bench.advance(Time::from_us(us - 1));
        assert_eq!(status(&mut bench) & 3, 3, "{bytes:x?}");
        assert_eq!(command(&mut bench, &[0x9f], 1), [0xff], "it hears nothing else");
        bench.advance(Time::from_us(1));
        assert_eq!(status(&mut bench) & 3, 0, "{bytes:x?}");
        assert_eq!(command(&mut bench, &[0x9f], 1), [0x9d]);
    }
}

#[test]
fn erases_what_holds_the_address() {
    for (opcode, size) in [(0x20, 0x1000), (0xd7, 0x1000), (0x52, 0x8000), (0xd8, 0x1_0000)] {
        let mut bench = bench(None);
        bench.services.memory.write(RAM, &[0; SIZE as usize]).expect("it is memory");
        write(&mut bench, &[opcode, 0x02, 0x9a, 0xbc]);
        let start = 0x2_9abc & !(size - 1);
        let erased = window(&bench, 0, SIZE as usize);
        let expected = |offset: &usize| (start..start + size).contains(offset);
        assert!(
            (0..SIZE as usize).all(|offset| (erased[offset] == 0xff) == expected(&offset)),
            "{opcode:#x}"
        );
    }
    let mut bench = bench(None);
    bench.services.memory.write(RAM, &[0; SIZE as usize]).expect("it is memory");
    write(&mut bench, &[0x60]);
    assert!(window(&bench, 0, SIZE as usize).iter().all(|byte| *byte == 0xff));
    write(&mut bench, &[0x20, 0]);
    assert_eq!(status(&mut bench), 2, "an incomplete address erases nothing");
}

#[test]
fn protected_blocks() {
    let mut bench = bench(None);
    write(&mut bench, &[0x01, 0x08]); // BP = 2: the upper two blocks of 64 KiB
    assert_eq!(status(&mut bench), 0x08);
    write(&mut bench, &[0x02, 0x06, 0, 0, 0]);
    write(&mut bench, &[0x02, 0x05, 0xff, 0, 0]);
    assert_eq!((window(&bench, 0x6_0000, 1), window(&bench, 0x5_ff00, 1)), (vec![0xff], vec![0]));
    write(&mut bench, &[0xc7]);
    assert_eq!(window(&bench, 0x5_ff00, 1), [0], "the chip is not erased");
    write(&mut bench, &[0x01, 0x00]);
    write(&mut bench, &[0x02, 0x06, 0, 0, 0]);
    assert_eq!(window(&bench, 0x6_0000, 1), [0]);
}

#[test]
fn deep_power_down_and_reset() {
    let mut bench = bench(None);
    command(&mut bench, &[0xb9], 0);
    assert_eq!(command(&mut bench, &[0x9f], 1), [0xff]);
    command(&mut bench, &[0xab], 0);
    assert_eq!(command(&mut bench, &[0x9f], 1), [0x9d]);
    command(&mut bench, &[0x06], 0);
    command(&mut bench, &[0x99], 0);
    assert_eq!(status(&mut bench), 2, "not enabled");
    command(&mut bench, &[0x66], 0);
    command(&mut bench, &[0x99], 0);
    assert_eq!(status(&mut bench), 0);
}

#[test]
fn content_survives_reset() {
    let mut bench = bench(None);
    write(&mut bench, &[0x02, 0, 0, 0, 1, 2, 3]);
    write(&mut bench, &[0x01, 0x40]);
    bench.check_save_restore();
    bench.services.memory.clear();
    bench.call(devices_core::Device::reset);
    assert_eq!((window(&bench, 0, 4), status(&mut bench)), (vec![1, 2, 3, 0xff], 0x40));
}

#[derive(Clone)]
struct Disk(Arc<Mutex<Vec<u8>>>);

impl BlockBackend for Disk {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let data = self.0.lock().unwrap();
        let part = data.get(offset as usize..offset as usize + into.len());
        into.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        let mut data = self.0.lock().unwrap();
        let part = data.get_mut(offset as usize..offset as usize + from.len());
        part.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(from);
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_keeps_the_content() {
    let data = Arc::new(Mutex::new(b"disk".repeat(0x801)));
    let mut bench = bench(Some(Box::new(Disk(data.clone()))));
    assert_eq!(window(&bench, 0x2000, 8), b"disk\xff\xff\xff\xff");
    write(&mut bench, &[0x02, 0, 0x20, 0, b'\0']);
    assert_eq!(data.lock().unwrap()[0x2000..], *b"\0isk");
    write(&mut bench, &[0x20, 0, 0x20, 0]);
    assert_eq!(data.lock().unwrap()[0x1ffc..], *b"disk\xff\xff\xff\xff");
    // Without a window, the same chip.
    let mut alone = Nor::new(SIZE, None, Some(Box::new(Disk(data)))).expect("it fits");
    assert_eq!((alone.byte(3), alone.byte(0x2000), alone.byte(SIZE - 1)), (b'k', 0xff, 0xff));
    let huge = Disk(Arc::new(Mutex::new(vec![0; SIZE as usize + 1])));
    assert!(Nor::new(SIZE, None, Some(Box::new(huge))).is_err());
}

#[test]
fn survives_anything() {
    arbtest::arbtest(|u| {
        let mut bench = bench(None);
        if u.arbitrary()? {
            // Its own content, no window.
            let chip = Nor::new(SIZE, None, None).expect("it fits");
            let mut device = SifiveSpi::new(16_000_000, 1, None);
            device.bus.children.attach(0, "flash", Box::new(chip));
            bench = Bench::new(device);
        }
        for (bytes, answers, ms) in u.arbitrary::<Vec<(Vec<u8>, u8, u16)>>()? {
            if ms & 1 == 0 {
                command(&mut bench, &[0x06], 0);
            }
            command(&mut bench, &bytes, answers.into());
            bench.advance(Time::from_ms(ms.into()));
        }
        let bytes: Vec<u8> = u.arbitrary()?;
        bench.torture(&bytes, 0x80);
        bench.check_save_restore();
        Ok(())
    });
}
