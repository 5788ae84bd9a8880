//! One radio with its timing.

use super::*;
use devices_core::bench::{Bench, RAM};
use devices_core::services::Message;
use devices_radio::{Arrival, Bits, ble};

type Radio1 = Bench<Nordic<RadioModel>>;

pub(super) const BASE: u32 = 0x4000_1000;
pub(super) const PACKET: u64 = RAM + 0x40;

pub(super) const SHORTS: u64 = 0x200;
pub(super) const READY_START: u32 = 1;
pub(super) const END_DISABLE: u32 = 1 << 1;

/// An advertisement: header, the byte between, address of the advertiser.
pub(super) const ADVERTISEMENT: [u8; 9] = [0x40, 6, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0xc6];

/// What a driver writes before it enables the radio.
pub(super) fn registers(setup: &Setup) -> [(u64, u32); 13] {
    [
        (0x504, PACKET as u32),
        (0x508, 2),
        (0x510, setup.mode),
        (0x514, setup.pcnf0),
        (0x518, setup.pcnf1),
        (0x51c, 0x89be_d600),
        (0x524, 0x8e),
        (0x530, 1),
        (0x534, setup.crccnf),
        (0x538, setup.crcpoly),
        (0x53c, setup.crcinit),
        (0x554, setup.whitening),
        (0x650, 0x201),
    ]
}

pub(super) fn radio() -> Nordic<RadioModel> {
    Nordic::new(BASE, &LAYOUT, RadioModel { position: [0; 3], state: State::default() })
}

fn bench(setup: &Setup) -> Radio1 {
    let mut bench = Bench::new(radio());
    for (register, value) in registers(setup) {
        bench.write32(register, value);
    }
    bench.services.memory.write(PACKET, &ADVERTISEMENT).expect("it is RAM");
    bench
}

/// Bluetooth in the modes 3 to 6.
pub(super) fn ble(mode: u32) -> Setup {
    let preamble = [0, 0, 0, 0, 1, 3, 3][mode as usize];
    let coded = if mode >= 5 { 2 << 22 | 3 << 29 } else { 0 };
    let base = format::tests::ble_setup();
    Setup { mode, pcnf0: base.pcnf0 | preamble << 24 | coded, ..base }
}

fn ieee802154() -> Setup {
    let (pcnf0, pcnf1) = (1 << 26 | 2 << 24 | 8, 127);
    Setup { mode: 15, pcnf0, pcnf1, crccnf: 2 << 8 | 2, crcpoly: 0x1_1021, ..Setup::default() }
}

fn trigger(bench: &mut Radio1, task: u32) {
    bench.write32(task.into(), 1);
}

fn memory(bench: &Radio1, at: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    bench.services.memory.read(at, &mut bytes).expect("it is RAM");
    bytes
}

/// Takes what was published: names of events with their times in nanoseconds.
fn log_events(bench: &mut Radio1, log: &mut Vec<(&'static str, u64)>) {
    let now = bench.now.as_ns();
    for message in bench.messages() {
        if let Message::Published(address) = message {
            let event = LAYOUT.events.iter().find(|(_, at)| BASE + at == address).expect("an event");
            log.push((event.0, now));
        }
    }
}

/// Runs from event to event.
fn run(bench: &mut Radio1, span: Time) -> Vec<(&'static str, u64)> {
    let end = bench.now.saturating_add(span);
    let mut log = Vec::new();
    log_events(bench, &mut log);
    while let Some(next) = bench.services.events.next().filter(|next| *next <= end) {
        bench.advance(next.saturating_sub(bench.now));
        log_events(bench, &mut log);
    }
    bench.advance(end.saturating_sub(bench.now));
    log
}

fn sent(bench: &mut Radio1) -> Vec<Transmission> {
    let output = std::mem::take(&mut bench.services.output);
    let frame = |(_, output)| if let HostOutput::Radio(frame) = output { Some(*frame) } else { None };
    output.into_iter().filter_map(frame).collect()
}

fn at(log: &[(&str, u64)], name: &str) -> u64 {
    log.iter().find(|(event, _)| *event == name).unwrap_or_else(|| panic!("no {name} in {log:?}")).1
}

#[test]
fn transmission_timing() {
    // Bits of the address and before, header with payload, check with terminator, and both delays; in nanoseconds.
    for (setup, sync, payload, check, chain, down) in [
        (ble(3), 40_000, 64_000, 24_000, 600, 6_000),
        (ble(4), 24_000, 32_000, 12_000, 600, 4_000),
        (ble(5), 336_000, 40_000 + 512_000, 192_000 + 24_000, 2_200, 10_000),
        (ble(6), 336_000, 40_000 + 128_000, 48_000 + 6_000, 2_200, 10_000),
        (ieee802154(), 160_000, 0x3f * 32_000, 64_000, 1_000, 21_000),
    ] {
        let mut bench = bench(&setup);
        bench.write32(SHORTS, READY_START | END_DISABLE);
        trigger(&mut bench, task::TXEN);
        assert_eq!(bench.read32(0x550), 9);
        let log = run(&mut bench, Time::from_ms(5));
        let names: Vec<&str> = log.iter().map(|event| event.0).collect();
        let order = ["READY", "TXREADY", "ADDRESS", "FRAMESTART", "PAYLOAD", "END", "PHYEND", "DISABLED"];
        assert_eq!(names, order, "mode {}", setup.mode);
        let start = 40_000;
        let end = start + sync + payload + check;
        let expected =
            [start, start, start + sync, start + sync, start + sync + payload, end, end + chain, end + down];
        assert_eq!(log.iter().map(|event| event.1).collect::<Vec<_>>(), expected, "mode {}", setup.mode);
        let [frame] = &sent(&mut bench)[..] else { panic!("one frame") };
        let air = (frame.start.as_ns(), frame.end().as_ns());
        assert_eq!(air, (start + chain, end + chain), "mode {}", setup.mode);
        assert_eq!(bench.read32(0x550), 0);
    }
}

#[test]
fn an_advertisement_is_what_the_standard_says() {
    let mut bench = bench(&ble(3));
    bench.write32(0x50c, 0xfc);
    bench.write32(SHORTS, READY_START);
    trigger(&mut bench, task::TXEN);
    bench.advance(Time::from_ms(1));
    let [frame] = &sent(&mut bench)[..] else { panic!("one frame") };
    assert_eq!((frame.frequency, frame.power, frame.sync), (2402, -4, ble::ADVERTISING.into()));
    assert_eq!((frame.whitening, frame.sync_bits), (Some(0x65), 32));
    assert!(ble::crc_is_right(frame.data.bytes(), ble::ADVERTISING_CRC_INIT));
    assert_eq!(frame.data.bytes()[..8], [0x40, 6, 0x11, 0x22, 0x33, 0x44, 0x55, 0xc6]);
    assert_eq!(frame.end().saturating_sub(frame.start), ble::airtime(Phy::Ble1M, 8));
}

#[test]
fn ramps_and_states() {
    let mut bench = bench(&ble(3));
    bench.write32(0x650, 0x200);
    trigger(&mut bench, task::RXEN);
    trigger(&mut bench, task::TXEN);
    assert_eq!(bench.services.complaints.len(), 1, "it is on its way to RX");
    let log = run(&mut bench, Time::from_us(200));
    assert_eq!(log, [("READY", 129_000), ("RXREADY", 129_000)]);
    assert_eq!(bench.read32(0x550), 2);
    trigger(&mut bench, task::TXEN);
    assert_eq!(at(&run(&mut bench, Time::from_us(200)), "TXREADY"), 330_000);
    trigger(&mut bench, task::DISABLE);
    assert_eq!(bench.read32(0x550), 12);
    assert_eq!(run(&mut bench, Time::from_us(10)), [("DISABLED", 406_000)]);
    trigger(&mut bench, task::DISABLE);
    assert_eq!(run(&mut bench, Time::ZERO), [("DISABLED", 410_000)], "it was disabled before");
    bench.write32(0xffc, 0);
    bench.write32(0xffc, 1);
    assert_eq!([0x508, 0x650, 0x550].map(|offset| bench.read32(offset)), [2, 0x200, 0]);
}

#[test]
fn what_stops_early_is_told() {
    let mut bench = bench(&ble(3));
    bench.write32(SHORTS, READY_START);
    trigger(&mut bench, task::TXEN);
    bench.advance(Time::from_us(100));
    trigger(&mut bench, task::DISABLE);
    let log = run(&mut bench, Time::from_ms(1));
    assert_eq!(log.last(), Some(&("DISABLED", 106_000)), "nothing comes after it");
    let frames = sent(&mut bench);
    let aborted: Vec<Option<u64>> = frames.iter().map(|frame| frame.aborted.map(Time::as_ns)).collect();
    assert_eq!((aborted, frames[0].key == frames[1].key), (vec![None, Some(100_600)], true));
    bench.check_save_restore();
}

/// A frame as this radio would get it, from `start` us on.
fn arrival(setup: &Setup, data: Bits, start: u64, power: i32) -> Arrival {
    let mut other = bench(setup);
    other.write32(SHORTS, READY_START);
    trigger(&mut other, task::TXEN);
    other.advance(Time::from_us(50));
    let mut frame = sent(&mut other).remove(0);
    frame.key = Key { node: 1, seq: start };
    frame.start = Time::from_us(start);
    frame.data = data;
    Arrival { frame, power, lost: false }
}

fn hear(bench: &mut Radio1, arrival: Arrival) {
    bench.input(HostInput::Radio(Box::new(arrival)));
}

fn advertisement() -> Bits {
    let pdu = [&ADVERTISEMENT[..2], &ADVERTISEMENT[3..]].concat();
    ble::with_crc(&pdu, ble::ADVERTISING_CRC_INIT)
}

/// Listens from 40 us on.
fn listener(setup: &Setup) -> Radio1 {
    let mut bench = bench(setup);
    bench.services.memory.write(PACKET, &[0xee; 64]).expect("it is RAM");
    bench.write32(SHORTS, READY_START | 1 << 4);
    trigger(&mut bench, task::RXEN);
    bench
}

#[test]
fn reception_timing() {
    for (setup, sync, payload, check, chain) in [
        (ble(3), 40_000, 64_000, 24_000, 9_400),
        (ble(4), 24_000, 32_000, 12_000, 5_450),
        (ble(5), 336_000, 40_000 + 512_000, 192_000 + 24_000, 29_600),
        (ble(6), 336_000, 40_000 + 128_000, 48_000 + 6_000, 24_600),
    ] {
        let mut bench = listener(&setup);
        // Address 1 matches, with TxAdd set.
        bench.write32(0x640, 0x0203);
        bench.write32(0x604, 0x4433_2211);
        bench.write32(0x624, 0xc655);
        hear(&mut bench, arrival(&setup, advertisement(), 100, -50));
        let log = run(&mut bench, Time::from_ms(2));
        let address = 100_000 + sync + chain;
        let end = address + payload + check;
        let mut expected = vec![("READY", 40_000), ("RXREADY", 40_000)];
        if setup.mode >= 5 {
            expected.push(("SYNC", 180_000 + chain));
        }
        expected.extend([("ADDRESS", address), ("FRAMESTART", address), ("RSSIEND", address + 250)]);
        if setup.mode == 6 {
            expected.push(("RATEBOOST", address + 40_000));
        }
        expected.extend([("DEVMATCH", address + payload), ("PAYLOAD", address + payload)]);
        expected.extend([("CRCOK", end), ("PHYEND", end), ("END", end)]);
        assert_eq!(log, expected, "mode {}", setup.mode);
        assert_eq!(memory(&bench, PACKET, 10), [&ADVERTISEMENT[..], &[0xee]].concat());
        let status = [0x400, 0x408, 0x410, 0x548, 0x550].map(|offset| bench.read32(offset));
        assert_eq!(status, [1, 0, 1, 50, 2], "CRCSTATUS, RXMATCH, DAI, RSSISAMPLE, STATE");
        bench.check_save_restore();
    }
}

#[test]
fn a_frame_of_802_15_4_with_its_quality() {
    let setup = ieee802154();
    let mut bench = listener(&setup);
    bench.write32(0x644, 0x6a_0002);
    bench.write32(0x648, 0xff_ffff);
    let mac = [0x02, 0x00, 0x6a, 0x11];
    let format = Format::new(&setup).expect("a mode");
    hear(&mut bench, arrival(&setup, format.encode(&[6], &mac, 0xa7, 8), 100, -60));
    let log = run(&mut bench, Time::from_ms(2));
    let sfd = 100_000 + 160_000 + 22_000;
    assert_eq!(
        [at(&log, "SYNC"), at(&log, "ADDRESS"), at(&log, "FRAMESTART")],
        [sfd - 32_000, sfd, sfd + 32_000]
    );
    assert_eq!([at(&log, "MHRMATCH"), at(&log, "PAYLOAD")], [sfd + 160_000; 2]);
    assert_eq!(at(&log, "END"), sfd + 224_000);
    assert_eq!((memory(&bench, PACKET, 7), bench.read32(0x400)), (vec![6, 2, 0, 0x6a, 0x11, 32, 0xee], 1));
}

#[test]
fn who_is_not_heard() {
    let setup = ble(3);
    type Change = fn(&mut Arrival);
    let changes: [(&str, Change); 5] = [
        ("another channel", |a| a.frame.frequency = 2404),
        ("another address", |a| a.frame.sync ^= 1),
        ("too weak", |a| a.power = -97),
        ("faded", |a| a.lost = true),
        ("too early", |a| a.frame.start = Time::from_us(35)),
    ];
    for (why, change) in changes {
        let mut bench = listener(&setup);
        let mut arrival = arrival(&setup, advertisement(), 100, -50);
        change(&mut arrival);
        hear(&mut bench, arrival);
        assert_eq!(run(&mut bench, Time::from_ms(1)).len(), 2, "{why}");
        assert_eq!(memory(&bench, PACKET, 1), [0xee], "{why}");
    }
}

#[test]
fn what_is_received_wrong() {
    let setup = ble(3);
    let receive = |change: &dyn Fn(&mut Radio1, &mut Arrival)| {
        let mut bench = listener(&setup);
        let mut arrival = arrival(&setup, advertisement(), 100, -50);
        change(&mut bench, &mut arrival);
        hear(&mut bench, arrival);
        let log = run(&mut bench, Time::from_ms(5));
        let names = ["CRCOK", "CRCERROR"].map(|name| log.iter().any(|event| event.0 == name));
        assert_eq!(bench.read32(0x400), names[0].into());
        (names, bench.read32(0x414), memory(&bench, PACKET, 9))
    };
    let (names, _, ram) = receive(&|_, arrival| arrival.frame.data.flip(40));
    assert_eq!((names, &ram[..5]), ([false, true], &ADVERTISEMENT[..5]));
    assert_ne!(ram, ADVERTISEMENT);
    let (names, ..) = receive(&|_, arrival| arrival.frame.whitening = Some(0x66));
    assert_eq!(names, [false, true]);
    let (names, ..) = receive(&|_, arrival| arrival.frame.aborted = Some(Time::from_us(190)));
    assert_eq!(names, [false, true]);
    let (names, status, ram) = receive(&|bench, _| bench.write32(0x518, setup.pcnf1 & !0xff | 3));
    assert_eq!((names, status, &ram[..7]), ([false, true], 1, &[0x40, 6, 0, 0x11, 0x22, 0x33, 0xee][..]));
    // Someone else comes in the middle.
    let (names, ..) = receive(&|bench, arrival| {
        let mut other = arrival.clone();
        other.frame.key.node = 2;
        other.frame.start = Time::from_us(180);
        hear(bench, other);
    });
    assert_eq!(names, [false, true]);
}

#[test]
fn the_bit_counter() {
    let setup = ble(3);
    let mut bench = listener(&setup);
    bench.write32(SHORTS, READY_START | 1 << 6);
    bench.write32(0x560, 24);
    hear(&mut bench, arrival(&setup, advertisement(), 100, -50));
    let log = run(&mut bench, Time::from_us(155));
    let address = 149_400;
    assert_eq!(at(&log, "ADDRESS"), address);
    let log = run(&mut bench, Time::from_us(20));
    assert_eq!(at(&log, "BCMATCH"), address + 24_000);
    assert_eq!(memory(&bench, PACKET, 5), [0x40, 6, 0, 0x11, 0xee], "what has passed is in RAM");
    bench.write32(0x560, 64);
    assert_eq!(at(&run(&mut bench, Time::from_ms(1)), "BCMATCH"), address + 64_000);
}

#[test]
fn clear_channel_and_energy() {
    let setup = ieee802154();
    let format = Format::new(&setup).expect("a mode");
    let frame = || arrival(&setup, format.encode(&[120], &[0; 118], 0xa7, 8), 100, -60);
    // RXREADY to CCASTART, CCAIDLE to TXEN, CCABUSY to DISABLE, as 802.15.4 senders do.
    let csma = |arrival: Option<Arrival>, control: u32| {
        let mut bench = bench(&setup);
        bench.write32(0x66c, control);
        bench.write32(SHORTS, 1 << 11 | 1 << 12 | 1 << 13 | 1 << 18);
        bench.services.memory.write(PACKET, &[5, 2, 0, 0x6a]).expect("it is RAM");
        trigger(&mut bench, task::RXEN);
        arrival.into_iter().for_each(|arrival| hear(&mut bench, arrival));
        let log = run(&mut bench, Time::from_ms(1));
        (log, sent(&mut bench).len())
    };
    let (log, frames) = csma(None, 0x052d_1e01);
    assert_eq!([at(&log, "CCAIDLE"), at(&log, "TXREADY")], [168_000, 208_000]);
    assert_eq!(frames, 1);
    for control in [0x1e00, 0x1e01, 0x1e02, 0x1e03, 0xff03] {
        let (log, frames) = csma(Some(frame()), control);
        assert_eq!(
            (at(&log, "CCABUSY"), at(&log, "DISABLED"), frames),
            (168_000, 168_500, 0),
            "{control:#x}"
        );
    }
    for control in [0x2100, 0x2102] {
        assert_eq!(csma(Some(frame()), control).1, 1, "{control:#x}: the threshold is above it");
    }
    let mut bench = bench(&setup);
    bench.write32(SHORTS, 1 << 15);
    bench.write32(0x664, 3);
    trigger(&mut bench, task::RXEN);
    hear(&mut bench, frame());
    assert_eq!(at(&run(&mut bench, Time::from_ms(1)), "EDEND"), 40_000 + 4 * 128_000);
    assert_eq!(bench.read32(0x668), 32);
    trigger(&mut bench, task::CCASTART);
    trigger(&mut bench, task::CCASTOP);
    assert_eq!(run(&mut bench, Time::from_ms(1)).last().map(|event| event.0), Some("CCASTOPPED"));
}

#[test]
fn survives_anything() {
    arbtest::arbtest(|u| {
        let setup = if u.arbitrary()? { ble(3) } else { ieee802154() };
        let mut bench = listener(&setup);
        hear(&mut bench, arrival(&setup, advertisement(), u.int_in_range(0..=500)?, u.arbitrary()?));
        let bytes: Vec<u8> = u.arbitrary()?;
        bench.torture(&bytes, 0x1000);
        bench.check_save_restore();
        Ok(())
    });
}
