//! Tests from the documents.

use super::*;
use cpu_core::{MemoryKind, RegionSpec};
use devices_core::bench::{Bench, RAM};
use std::io;
use std::sync::{Arc, Mutex};

/// Two banks of 512 KiB in the bench's memory.
const SIZE: u64 = 0x8_0000;
const X16_X2: Wiring = Wiring { bank_width: 4, device_width: 2 };

#[derive(Clone)]
struct Disk(Arc<Mutex<Vec<u8>>>, bool);

impl BlockBackend for Disk {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
    fn read_only(&self) -> bool {
        self.1
    }
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        into.copy_from_slice(&self.0.lock().unwrap()[offset as usize..][..into.len()]);
        Ok(())
    }
    fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap()[offset as usize..][..from.len()].copy_from_slice(from);
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bench_with(wiring: Wiring, disk: Option<Disk>) -> Bench<CfiFlash> {
    let region = |base| RegionSpec { name: "bank".into(), base, size: SIZE, kind: MemoryKind::Rom };
    let memory = GuestMemory::new(vec![region(RAM), region(RAM + SIZE)]).unwrap();
    for base in [RAM, RAM + SIZE] {
        memory.write_any(base, &[0xff; SIZE as usize]).unwrap();
    }
    let disk = disk.map(|disk| Box::new(disk) as Box<dyn BlockBackend>);
    let places =
        vec![Place { base: RAM, size: SIZE, disk }, Place { base: RAM + SIZE, size: SIZE, disk: None }];
    Bench::with_memory(CfiFlash::new(&memory, places, wiring), &memory)
}

fn bench() -> Bench<CfiFlash> {
    bench_with(X16_X2, None)
}

fn array(bench: &Bench<CfiFlash>, offset: u64) -> u32 {
    bench.services.memory.read_le(RAM + offset, 4).unwrap() as u32
}

/// The same command to both chips.
fn put(bench: &mut Bench<CfiFlash>, offset: u64, command: u32) {
    bench.write32(offset, command | command << 16);
}

fn is_direct(bench: &Bench<CfiFlash>) -> bool {
    bench.services.memory.region(RAM, 4).unwrap().is_direct()
}

#[test]
fn query_describes_the_chips() {
    let mut bench = bench();
    put(&mut bench, 0x55 * 4, 0x98);
    let word = |bench: &mut Bench<CfiFlash>, index: u64| bench.read32(index * 4);
    assert_eq!([0x10, 0x11, 0x12].map(|index| word(&mut bench, index)), [0x51_0051, 0x52_0052, 0x59_0059]);
    let entry = |bench: &mut Bench<CfiFlash>, index: u64| bench.read(index * 4, Width::B1) as u8;
    let primary = [0x13, 0x14, 0x15, 0x16].map(|index| entry(&mut bench, index));
    assert_eq!(primary, [1, 0, 0x31, 0]);
    // 512 KiB of two chips: 2^18 bytes each, 2 blocks of 128 KiB.
    assert_eq!([0x27, 0x2c, 0x2d, 0x2e, 0x2f, 0x30].map(|i| entry(&mut bench, i)), [18, 1, 1, 0, 0, 2]);
    assert_eq!([0x31, 0x32, 0x33, 0x36].map(|i| entry(&mut bench, i)), [b'P', b'R', b'I', 0x20]);
    assert_eq!((word(&mut bench, 0), word(&mut bench, 0x500)), (0, 0));
    assert_eq!(bench.read(0x41, Width::B1), 0, "the high byte of the lowest chip");
    assert_eq!(bench.read(0x42, Width::B2), 0x51, "the second chip");
    put(&mut bench, 0, 0xff);
    assert_eq!(bench.read32(0x40), u32::MAX);
}

#[test]
fn the_table_of_a_virt_machine() {
    // As QEMU 10.0 answers for the same bank, but for individual block locking (0x36) and the number of protection
    // fields (0x3f), which it claims and does not have.
    let table = [
        0x51, 0x52, 0x59, 0x01, 0x00, 0x31, 0x00, 0x00, 0x00, 0x00, 0x00, 0x45, 0x55, 0x00, 0x00, 0x07, 0x07,
        0x0a, 0x00, 0x04, 0x04, 0x04, 0x00, 0x18, 0x02, 0x00, 0x0b, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x02, 0x50,
        0x52, 0x49, 0x31, 0x30, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00,
    ];
    assert_eq!(cfi_table(X16_X2, 32 << 20), table);
}

#[test]
fn identifiers_and_reads_that_bypass() {
    let mut bench = bench();
    assert!(is_direct(&bench));
    put(&mut bench, 0, 0x90);
    assert!(!is_direct(&bench));
    assert_eq!([0, 4, 8].map(|offset| bench.read32(offset)), [0x89_0089, 0x18_0018, 0]);
    put(&mut bench, 0, 0xff);
    assert!(is_direct(&bench));
}

#[test]
fn programs_by_clearing_bits() {
    let mut bench = bench();
    put(&mut bench, 0x100, 0x40);
    bench.write32(0x100, 0x1234_5678);
    assert_eq!((bench.read32(0), array(&bench, 0x100)), (0x80_0080, 0x1234_5678));
    put(&mut bench, 0x100, 0x10);
    bench.write32(0x100, 0xffff_0000);
    assert_eq!(array(&bench, 0x100), 0x1234_0000);
    put(&mut bench, 0x102, 0x40);
    bench.write(0x103, Width::B1, 0);
    assert_eq!(array(&bench, 0x100), 0x0034_0000);
}

#[test]
fn erases_blocks() {
    let mut bench = bench();
    for offset in [0, BLOCK - 4, BLOCK] {
        put(&mut bench, offset, 0x40);
        bench.write32(offset, 0);
    }
    put(&mut bench, 0x1000, 0x20);
    put(&mut bench, 0x1000, 0xd0);
    assert_eq!(bench.read32(0), 0x80_0080);
    assert_eq!([0, BLOCK - 4, BLOCK].map(|offset| array(&bench, offset)), [u32::MAX, u32::MAX, 0]);
    put(&mut bench, BLOCK, 0x20);
    put(&mut bench, BLOCK, 0x55);
    assert_eq!((bench.read32(0), array(&bench, BLOCK)), (0xb0_00b0, 0), "not confirmed");
    put(&mut bench, 0, 0x50);
    put(&mut bench, 0, 0x70);
    assert_eq!(bench.read32(0), 0x80_0080);
}

#[test]
fn programs_through_the_buffer() {
    let mut bench = bench();
    put(&mut bench, 0x200, 0xe8);
    assert_eq!(bench.read32(0x200), 0x80_0080);
    put(&mut bench, 0x200, 3);
    for index in 0..4 {
        bench.write32(0x200 + 4 * index, index as u32);
    }
    assert_eq!(array(&bench, 0x200), u32::MAX, "not yet");
    put(&mut bench, 0x200, 0xd0);
    assert_eq!([0, 4, 8, 12, 16].map(|offset| array(&bench, 0x200 + offset)), [0, 1, 2, 3, u32::MAX]);
    assert_eq!(bench.read32(0), 0x80_0080);
}

#[test]
fn refuses_wrong_buffers() {
    for (count, address, confirm) in [(1024, 0x204, 0xd0), (1, BLOCK, 0xd0), (1, 0x204, 0x77)] {
        let mut bench = bench();
        put(&mut bench, 0x200, 0xe8);
        put(&mut bench, 0x200, count);
        if count == 1 {
            bench.write32(0x200, 0);
            bench.write32(address, 0xff);
            put(&mut bench, 0x200, confirm);
        }
        put(&mut bench, 0, 0x70);
        assert_eq!(bench.read32(0), 0xb0_00b0, "{count} {address:#x} {confirm:#x}");
        assert_eq!(array(&bench, 0x200), u32::MAX);
    }
}

#[test]
fn locked_blocks_stay() {
    let mut bench = bench();
    put(&mut bench, BLOCK, 0x60);
    put(&mut bench, BLOCK, 0x01);
    put(&mut bench, 0, 0x90);
    assert_eq!((bench.read32(8), bench.read32(BLOCK + 8)), (0, 0x1_0001));
    put(&mut bench, BLOCK, 0x40);
    bench.write32(BLOCK, 0);
    assert_eq!((bench.read32(0), array(&bench, BLOCK)), (0x92_0092, u32::MAX));
    put(&mut bench, BLOCK, 0x20);
    put(&mut bench, BLOCK, 0xd0);
    assert_eq!(bench.read32(0), 0xb2_00b2);
    put(&mut bench, BLOCK, 0x60);
    put(&mut bench, BLOCK, 0xd0);
    put(&mut bench, BLOCK, 0x40);
    bench.write32(BLOCK, 0);
    assert_eq!(array(&bench, BLOCK), 0);
}

#[test]
fn banks_are_apart() {
    let mut bench = bench();
    put(&mut bench, 0, 0x98);
    let second = At { region: 1, offset: 0x40 };
    assert_eq!(bench.call(|device, ctx| device.read(ctx, second, Width::B4)), 0xffff_ffff);
    bench.call(|device, ctx| device.write(ctx, second, Width::B4, 0x40));
    bench.call(|device, ctx| device.write(ctx, second, Width::B4, 7));
    assert_eq!((bench.read32(0x40), array(&bench, SIZE + 0x40)), (0x51_0051, 7));
}

#[test]
fn other_wirings() {
    assert_eq!(wiring(None, None).unwrap(), Wiring { bank_width: 1, device_width: 1 });
    assert_eq!(wiring(Some(4), None).unwrap(), X16_X2);
    assert!(wiring(Some(3), None).is_err() && wiring(Some(1), Some(2)).is_err());
    let mut bench = bench_with(Wiring { bank_width: 2, device_width: 2 }, None);
    bench.write(0xaa, Width::B2, 0x98);
    assert_eq!(bench.read(0x20, Width::B2), 0x51);
    assert_eq!(bench.read32(0x20), 0x52_0051);
}

#[test]
fn content_is_kept_on_a_disk() {
    let disk = Disk(Arc::new(Mutex::new(vec![0x5a; 0x1000])), false);
    let mut bench = bench_with(X16_X2, Some(disk.clone()));
    assert_eq!([0, 0xffc, 0x1000].map(|offset| array(&bench, offset)), [0x5a5a_5a5a, 0x5a5a_5a5a, u32::MAX]);
    put(&mut bench, 4, 0x40);
    bench.write32(4, 0);
    assert_eq!(disk.0.lock().unwrap()[..9], [0x5a, 0x5a, 0x5a, 0x5a, 0, 0, 0, 0, 0x5a]);
    put(&mut bench, 0, 0x20);
    put(&mut bench, 0, 0xd0);
    assert!(disk.0.lock().unwrap().iter().all(|byte| *byte == 0xff), "as far as it reaches");
    let disk = Disk(disk.0, true);
    let mut bench = bench_with(X16_X2, Some(disk));
    put(&mut bench, 4, 0x40);
    bench.write32(4, 0);
    assert_eq!((bench.read32(0), array(&bench, 4)), (0x90_0090, u32::MAX));
    assert_eq!(bench.services.complaints.len(), 1);
}

#[test]
fn reset_and_state() {
    let mut bench = bench();
    put(&mut bench, 0, 0x60);
    put(&mut bench, 0, 0x01);
    put(&mut bench, 0, 0xe8);
    put(&mut bench, 0, 5);
    bench.write32(0, 0);
    bench.check_save_restore();
    let saved = bench.device.save();
    bench.call(|device, ctx| device.reset(ctx));
    assert!(is_direct(&bench));
    bench.device.restore(&saved).unwrap();
    assert!(!is_direct(&bench));
    assert_eq!(bench.device.banks[0].buffer.len(), 1);
}

#[test]
fn survives_anything() {
    arbtest::arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let wirings = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)];
        let &(bank_width, device_width) = u.choose(&wirings)?;
        let mut bench = bench_with(Wiring { bank_width, device_width }, None);
        // Bytes alone seldom make a command.
        for chunk in bytes.chunks(23) {
            bench.torture(&chunk[1..], 0x1000);
            let commands = [0x40, 0x20, 0x60, 0xe8, 0xd0, 0x98, 0x90, 0x70, 0x01, 0x02, 0xff];
            put(&mut bench, 0, commands[usize::from(chunk[0]) % commands.len()]);
        }
        assert!(bench.device.banks[0].buffer.len() <= 1 << BUFFER_LOG2);
        bench.check_save_restore();
        Ok(())
    });
}
