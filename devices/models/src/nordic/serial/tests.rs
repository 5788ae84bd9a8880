//! Tests from the product specification and the sequences of known drivers, with chips on the bus.

use super::*;
use crate::sensor::{hrs3300, max17048, testing::Plain};
use crate::spi::nor::Nor;
use devices_core::bench::{Bench, RAM};
use devices_core::device::floating;
use devices_core::services::Message;
use devices_core::{Time, pin};

const BASE: u32 = 0x4000_3000;
const ENABLE: u64 = 0x500;
const INTENSET: u64 = 0x304;
const SHORTS: u64 = 0x200;
const ERRORSRC: u64 = 0x4c4;
const TX: u64 = RAM;
const RX: u64 = RAM + 0x1000;

fn flash() -> Bench<Nordic<Serial>> {
    let mut serial = Serial::new(Some(8), vec![true, true]);
    let chip = Nor::new(0x40_0000, None, None).expect("it fits");
    serial.spi_bus.children.attach(1, "flash", Box::new(chip));
    let mut bench = Bench::new(Nordic::new(BASE, &LAYOUT, serial));
    for n in 0..2 {
        bench.call(|device, ctx| {
            device.line(ctx, pin(n), true);
            device.line(ctx, floating(n), false);
        });
    }
    connect(&mut bench);
    write(&mut bench, ENABLE, 7);
    // 8 MHz: 1 us a byte.
    write(&mut bench, 0x524, 0x8000_0000);
    bench
}

/// SCK or SCL at pin 2, MOSI or SDA at 3, MISO at 4.
fn connect(bench: &mut Bench<Nordic<Serial>>) {
    for (offset, pin) in [(0x508, 2), (0x50c, 3), (0x510, 4)] {
        write(bench, offset, pin);
    }
}

fn wrist() -> Bench<Nordic<Serial>> {
    let mut serial = Serial::new(Some(8), Vec::new());
    for (address, model) in [(0x44, &hrs3300::MODEL), (0x36, &max17048::MODEL)] {
        let chip = (model.build)(&Plain, 1).expect("it needs no properties");
        serial.twi_bus.children.attach(address, "chip", chip);
    }
    let mut bench = Bench::new(Nordic::new(BASE, &LAYOUT, serial));
    connect(&mut bench);
    // 400 kHz: 2.5 us a bit.
    write(&mut bench, 0x524, 0x0640_0000);
    bench
}

fn write(bench: &mut Bench<Nordic<Serial>>, offset: u64, value: u32) {
    bench.write32(offset, value);
}

fn trigger(bench: &mut Bench<Nordic<Serial>>, task: u32) {
    write(bench, task.into(), 1);
}

/// Whether the event is set; it is cleared.
fn take(bench: &mut Bench<Nordic<Serial>>, event: u32) -> bool {
    let set = bench.read32(event.into()) != 0;
    write(bench, event.into(), 0);
    set
}

fn select(bench: &mut Bench<Nordic<Serial>>, selected: bool) {
    bench.call(|device, ctx| device.line(ctx, pin(1), !selected));
}

fn set_ram(bench: &Bench<Nordic<Serial>>, address: u64, bytes: &[u8]) {
    bench.services.memory.write(address, bytes).expect("it is RAM");
}

fn ram(bench: &Bench<Nordic<Serial>>, address: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    bench.services.memory.read(address, &mut bytes).expect("it is RAM");
    bytes
}

fn dma(bench: &mut Bench<Nordic<Serial>>, tx: (u64, u32), rx: (u64, u32)) {
    for (first, (ptr, count)) in [(0x544, tx), (0x534, rx)] {
        write(bench, first, ptr as u32);
        write(bench, first + 4, count);
    }
}

fn published(bench: &mut Bench<Nordic<Serial>>) -> Vec<u32> {
    let offset = |message| match message {
        Message::Published(address) => address - BASE,
        Message::Write(..) => 0,
    };
    bench.messages().into_iter().map(offset).collect()
}

#[test]
fn spim_transfers_in_its_time() {
    let mut bench = flash();
    write(&mut bench, INTENSET, 1 << 6);
    set_ram(&bench, TX, &[0x9f]);
    dma(&mut bench, (TX, 1), (RX, 4));
    select(&mut bench, true);
    trigger(&mut bench, task::START);
    assert_eq!(published(&mut bench), [event::STARTED]);
    bench.advance(Time::from_us(1));
    assert_eq!(published(&mut bench), [event::ENDTX]);
    bench.advance(Time::from_ns(2999));
    assert_eq!((published(&mut bench), bench.line(0)), (vec![], false));
    bench.advance(Time::from_ns(1));
    assert_eq!((published(&mut bench), bench.line(0)), (vec![event::ENDRX, event::END], true));
    select(&mut bench, false);
    assert_eq!(ram(&bench, RX, 4), [0xff, 0x9d, 0x60, 22]);
    assert_eq!([bench.read32(0x53c), bench.read32(0x54c)], [4, 1]);
    write(&mut bench, event::END.into(), 0);
    assert!(!bench.line(0));
    bench.check_save_restore();
}

#[test]
fn spim_keeps_a_list_and_repeats_by_a_short() {
    let mut bench = flash();
    // Read 8 bytes of erased flash by two, into an array list, sending ORC after the command.
    set_ram(&bench, TX, &[0x03, 0, 0, 0]);
    dma(&mut bench, (TX, 4), (RX, 0));
    select(&mut bench, true);
    trigger(&mut bench, task::START);
    bench.advance(Time::from_us(4));
    assert!(take(&mut bench, event::END));
    dma(&mut bench, (TX, 0), (RX, 2));
    write(&mut bench, 0x540, 1);
    write(&mut bench, SHORTS, 1 << 17);
    trigger(&mut bench, task::START);
    bench.advance(Time::from_us(7));
    assert_eq!(
        (bench.read32(0x534), ram(&bench, RX, 8)),
        (RX as u32 + 6, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0])
    );
    write(&mut bench, SHORTS, 0);
    trigger(&mut bench, task::STOP);
    assert!(take(&mut bench, event::STOPPED) && take(&mut bench, event::END));
    bench.advance(Time::from_ms(1));
    assert!(!take(&mut bench, event::END));
}

#[test]
fn spim_stops_in_the_middle_and_suspends() {
    let mut bench = flash();
    dma(&mut bench, (TX, 200), (RX, 200));
    trigger(&mut bench, task::START);
    bench.advance(Time::from_ns(10_500));
    trigger(&mut bench, task::SUSPEND);
    bench.advance(Time::from_ms(1));
    assert!(!take(&mut bench, event::END));
    trigger(&mut bench, task::RESUME);
    bench.advance(Time::from_us(20));
    trigger(&mut bench, task::STOP);
    assert!(take(&mut bench, event::STOPPED) && take(&mut bench, event::ENDRX));
    assert_eq!(bench.read32(0x54c), 31, "the byte on the wires is the last");
}

#[test]
fn easydma_reaches_ram_only() {
    let mut bench = flash();
    dma(&mut bench, (0x100, 4), (0x2000_0000, 4));
    trigger(&mut bench, task::START);
    bench.advance(Time::from_us(4));
    assert!(take(&mut bench, event::END));
    assert_eq!(bench.services.complaints.len(), 2);
    write(&mut bench, 0x548, 0x1ff);
    assert_eq!(bench.read32(0x548), 0xff, "eight bits");
}

#[test]
fn legacy_spi_is_double_buffered() {
    let mut bench = flash();
    write(&mut bench, ENABLE, 1);
    select(&mut bench, true);
    let mut answers = Vec::new();
    write(&mut bench, 0x51c, 0x9f);
    write(&mut bench, 0x51c, 0);
    for sent in 2..6 {
        bench.advance(Time::from_us(1));
        assert!(take(&mut bench, event::READY));
        answers.push(bench.read32(0x518));
        if sent < 4 {
            write(&mut bench, 0x51c, 0);
        }
    }
    assert_eq!(answers, [0xff, 0x9d, 0x60, 22]);
    bench.advance(Time::from_ms(1));
    assert!(!take(&mut bench, event::READY));
    select(&mut bench, false);
    write(&mut bench, 0x51c, 0x9f);
    write(&mut bench, 0x51c, 0x9f);
    bench.advance(Time::from_us(2));
    assert!(take(&mut bench, event::READY));
    bench.read32(0x518);
    assert!(take(&mut bench, event::READY), "the second was waiting");
}

#[test]
fn twim_writes_then_reads_by_shorts() {
    let mut bench = wrist();
    write(&mut bench, ENABLE, 6);
    write(&mut bench, 0x588, 0x44);
    set_ram(&bench, TX, &[0x00]);
    dma(&mut bench, (TX, 1), (RX, 2));
    write(&mut bench, SHORTS, 1 << 7 | 1 << 12);
    trigger(&mut bench, task::STARTTX);
    bench.advance(Time::from_us(25));
    assert_eq!(published(&mut bench), [event::TXSTARTED, event::LASTTX]);
    bench.advance(Time::from_ns(22_500));
    assert_eq!(published(&mut bench), [same::RXSTARTED]);
    // Address, a byte, and the start of the last.
    bench.advance(Time::from_ns(25_000 + 22_500));
    assert_eq!(published(&mut bench), [event::LASTRX]);
    bench.advance(Time::from_ns(22_500 + 2_499));
    assert_eq!(published(&mut bench), []);
    bench.advance(Time::from_ns(1));
    assert_eq!(published(&mut bench), [event::STOPPED]);
    assert_eq!(ram(&bench, RX, 2), [0x21, 0x68]);
    assert_eq!([bench.read32(0x53c), bench.read32(0x54c)], [2, 1]);
    assert_eq!(bench.device.model.twi_bus.selected(), None);
    bench.check_save_restore();
}

#[test]
fn twim_as_infinitime_uses_it() {
    let mut bench = wrist();
    let wait = |bench: &mut Bench<Nordic<Serial>>, event| {
        for _ in 0..1000 {
            bench.advance(Time::from_us(1));
            if take(bench, event) {
                return;
            }
        }
        panic!("no event {event:#x}");
    };
    write(&mut bench, ENABLE, 6);
    write(&mut bench, 0x588, 0x44);
    set_ram(&bench, TX, &[0x00]);
    dma(&mut bench, (TX, 1), (RX, 1));
    trigger(&mut bench, task::RESUME);
    trigger(&mut bench, task::STARTTX);
    wait(&mut bench, event::TXSTARTED);
    wait(&mut bench, event::LASTTX);
    trigger(&mut bench, task::SUSPEND);
    wait(&mut bench, event::SUSPENDED);
    trigger(&mut bench, task::RESUME);
    trigger(&mut bench, task::STARTRX);
    wait(&mut bench, same::RXSTARTED);
    wait(&mut bench, event::LASTRX);
    trigger(&mut bench, task::STOP);
    wait(&mut bench, event::STOPPED);
    assert_eq!(ram(&bench, RX, 1), [0x21]);
    write(&mut bench, ENABLE, 0);
    assert!(bench.services.complaints.is_empty());
}

#[test]
fn twim_tells_who_did_not_acknowledge() {
    let mut bench = wrist();
    write(&mut bench, ENABLE, 6);
    write(&mut bench, 0x588, 0x10);
    set_ram(&bench, TX, &[0xfe, 0x54, 0x00, 0x00]);
    dma(&mut bench, (TX, 4), (RX, 0));
    write(&mut bench, SHORTS, 1 << 9);
    trigger(&mut bench, task::STARTTX);
    bench.advance(Time::from_ms(1));
    assert!(take(&mut bench, event::ERROR) && !take(&mut bench, event::STOPPED));
    assert_eq!(bench.read32(ERRORSRC), 2);
    write(&mut bench, ERRORSRC, 2);
    trigger(&mut bench, task::STOP);
    bench.advance(Time::from_us(3));
    assert!(take(&mut bench, event::STOPPED));
    assert_eq!((bench.read32(ERRORSRC), bench.read32(0x54c)), (0, 0));
    // The fuel gauge does not acknowledge the reset that it is given.
    write(&mut bench, 0x588, 0x36);
    trigger(&mut bench, task::STARTTX);
    bench.advance(Time::from_ms(1));
    assert!(take(&mut bench, event::ERROR) && !take(&mut bench, event::LASTTX));
    assert_eq!(bench.read32(ERRORSRC), 4);
    trigger(&mut bench, task::STOP);
    bench.advance(Time::from_us(3));
    assert_eq!((take(&mut bench, event::STOPPED), bench.read32(0x54c)), (true, 3));
}

#[test]
fn legacy_twi_as_nrfx_uses_it() {
    let mut bench = wrist();
    write(&mut bench, ENABLE, 5);
    write(&mut bench, 0x588, 0x44);
    trigger(&mut bench, task::STARTTX);
    write(&mut bench, 0x51c, 0x00);
    bench.advance(Time::from_us(100));
    assert!(take(&mut bench, event::TXDSENT));
    // Two bytes: suspended after each but the last, which is stopped after.
    write(&mut bench, SHORTS, 1);
    trigger(&mut bench, task::STARTRX);
    bench.advance(Time::from_us(100));
    assert!(
        take(&mut bench, same::RXDREADY) && take(&mut bench, event::BB) && take(&mut bench, event::SUSPENDED)
    );
    assert_eq!(bench.read32(0x518), 0x21);
    bench.advance(Time::from_ms(1));
    assert!(!take(&mut bench, same::RXDREADY), "suspended");
    write(&mut bench, SHORTS, 2);
    trigger(&mut bench, task::RESUME);
    bench.advance(Time::from_us(100));
    assert!(take(&mut bench, same::RXDREADY) && take(&mut bench, event::STOPPED));
    assert_eq!(bench.read32(0x518), 0x68);
    bench.check_save_restore();
}

#[test]
fn switching_off_leaves_the_chips_alone() {
    let mut bench = wrist();
    write(&mut bench, ENABLE, 6);
    write(&mut bench, 0x588, 0x44);
    set_ram(&bench, TX, &[0x01, 0xd0]);
    dma(&mut bench, (TX, 2), (RX, 0));
    write(&mut bench, SHORTS, 1 << 9);
    trigger(&mut bench, task::STARTTX);
    bench.advance(Time::from_ms(1));
    write(&mut bench, 0xffc, 0);
    write(&mut bench, 0xffc, 1);
    assert_eq!([ENABLE, 0x588, SHORTS].map(|offset| bench.read32(offset)), [0, 0, 0]);
    let enabled = bench.device.inspect().into_iter().find(|field| field.name == "chip.Enable");
    assert!(enabled.is_some_and(|field| field.value.starts_with("0x000000d0")));
}

#[test]
fn survives_anything() {
    arbtest::arbtest(|u| {
        for mut bench in [flash(), wrist()] {
            for (op, value) in u.arbitrary::<Vec<(u8, u32)>>()? {
                match op % 8 {
                    0 => trigger(&mut bench, [0, 8, 0x10, 0x14, 0x1c, 0x20][value as usize % 6]),
                    1 => write(&mut bench, ENABLE, [0, 1, 5, 6, 7][value as usize % 5]),
                    2 => write(&mut bench, SHORTS, value),
                    3 => dma(&mut bench, (TX, value & 0xf), (RX, value >> 4 & 0xf)),
                    4 => write(&mut bench, 0x51c, value),
                    5 => write(&mut bench, 0x588, [0x44, 0x36, 0x55][value as usize % 3]),
                    6 => write(&mut bench, 0x524, value),
                    _ => bench.advance(Time::from_us(u64::from(value & 0x3ff))),
                }
                bench.messages();
            }
            let bytes: Vec<u8> = u.arbitrary()?;
            bench.torture(&bytes, 0x600);
            bench.check_save_restore();
        }
        Ok(())
    });
}

#[test]
fn spi_reaches_its_chips_by_their_pins() {
    let mut bench = flash();
    bench.device.model.wiring = Wiring { spi: [Some(2), Some(3), Some(4)], ..Wiring::default() };
    // The chip's identity, by other pins than its own: SCK, MOSI, MISO.
    let mut identity = |pins: [u32; 3]| {
        for (offset, pin) in (0x508..).step_by(4).zip(pins) {
            write(&mut bench, offset, pin);
        }
        set_ram(&bench, TX, &[0x9f]);
        for (offset, value) in [(0x544, TX as u32), (0x548, 1), (0x534, RX as u32), (0x538, 4)] {
            write(&mut bench, offset, value);
        }
        select(&mut bench, true);
        trigger(&mut bench, task::START);
        bench.advance(Time::from_us(10));
        select(&mut bench, false);
        let told = bench.services.unimplemented.values().sum::<u64>();
        (bench.services.memory.read_le(RX + 1, 3).expect("it is RAM") as u32, told)
    };
    let (right, told) = identity([2, 3, 4]);
    assert!(right != 0xff_ffff && right != 0 && told == 0, "{right:#x}");
    assert_eq!(identity([5, 3, 4]), (0xff_ffff, 1));
    assert_eq!(identity([2, 3 | 1 << 5, 4]), (0xff_ffff, 2), "port 1");
    assert_eq!(identity([2, 3, u32::MAX]), (0xff_ffff, 2), "nothing comes back");
    assert_eq!(identity([2, 3, 4]), (right, 2));
}

#[test]
fn nobody_acknowledges_at_other_pins() {
    let mut bench = wrist();
    bench.device.model.wiring = Wiring { twi: [Some(7), Some(6)], ..Wiring::default() };
    write(&mut bench, ENABLE, 6);
    write(&mut bench, 0x588, 0x44);
    for ([scl, sda], errors) in [([7, 6], 0), ([6, 7], 2), ([7, u32::MAX], 2)] {
        write(&mut bench, 0x508, scl);
        write(&mut bench, 0x50c, sda);
        write(&mut bench, ERRORSRC, u32::MAX);
        trigger(&mut bench, task::STARTTX);
        bench.advance(Time::from_us(100));
        assert_eq!(bench.read32(ERRORSRC), errors, "{scl} {sda}");
        trigger(&mut bench, task::STOP);
        bench.advance(Time::from_us(100));
    }
    assert_eq!(bench.services.unimplemented.values().sum::<u64>(), 2);
}
