//! Tests from the documents.

use super::*;
use devices_core::bench::Bench;

/// 3.6864 MHz and divisor 2: 115200 baud, 86.8 us for 8N1.
fn bench() -> Bench<Ns16550a> {
    let mut bench = Bench::new(Ns16550a::new(0, Width::B1, 3_686_400));
    put(&mut bench, LCR, 0x83);
    put(&mut bench, 0, 2);
    put(&mut bench, 1, 0);
    put(&mut bench, LCR, 0x03);
    bench
}

fn get(bench: &mut Bench<Ns16550a>, register: u64) -> u8 {
    bench.read(register, Width::B1) as u8
}

fn put(bench: &mut Bench<Ns16550a>, register: u64, value: u8) {
    bench.write(register, Width::B1, value.into());
}

fn send(bench: &mut Bench<Ns16550a>, text: &[u8]) {
    bench.input(HostInput::Serial(text.to_vec()));
}

#[test]
fn registers_after_reset() {
    let mut bench = Bench::new(Ns16550a::new(0, Width::B1, 1_843_200));
    let values: Vec<u8> = (1..8).map(|register| get(&mut bench, register)).collect();
    assert_eq!(values, [0, 0x01, 0, 0, 0x60, 0xb0, 0]);
    put(&mut bench, SCR, 0xa5);
    put(&mut bench, LSR, 0xff);
    put(&mut bench, MSR, 0xff);
    assert_eq!([LSR, MSR, SCR].map(|register| get(&mut bench, register)), [0x60, 0xb0, 0xa5]);
}

#[test]
fn divisor_latch_hides_data_and_enable() {
    let mut bench = bench();
    put(&mut bench, LCR, 0x80);
    put(&mut bench, 0, 0x34);
    put(&mut bench, 1, 0x12);
    assert_eq!([get(&mut bench, 0), get(&mut bench, 1)], [0x34, 0x12]);
    put(&mut bench, LCR, 0);
    put(&mut bench, IER, 0xff);
    assert_eq!(get(&mut bench, IER), 0x0f);
    assert_eq!(bench.serial(), b"");
    assert_eq!(bench.device.state.uart.divisor, 0x1234);
}

#[test]
fn characters_take_their_time_on_the_line() {
    let mut uart = Uart { divisor: 1, ..Uart::new() };
    let mut at = |lcr| {
        uart.lcr = lcr;
        uart.character_time(1_600_000).as_ns() / 1000 // a bit is 10 us
    };
    assert_eq!([at(0x03), at(0x07), at(0x00), at(0x04), at(0x1b)], [100, 110, 70, 75, 110]);
}

#[test]
fn sends_at_once_and_says_so() {
    let mut bench = bench();
    put(&mut bench, IER, 0x02);
    assert!(bench.line(0));
    assert_eq!(get(&mut bench, IIR_FCR), 0x02);
    assert!(!bench.line(0), "reading IIR takes the interrupt");
    put(&mut bench, RBR_THR, b'o');
    assert!(bench.line(0));
    put(&mut bench, IER, 0);
    put(&mut bench, RBR_THR, b'k');
    assert_eq!((bench.serial(), get(&mut bench, LSR)), (b"ok".to_vec(), 0x60));
    get(&mut bench, IIR_FCR);
    put(&mut bench, IER, 0x02);
    assert!(bench.line(0), "enabling it while the register is empty raises it");
}

#[test]
fn without_fifos_one_character_at_a_time() {
    let mut bench = bench();
    put(&mut bench, IER, 0x01);
    send(&mut bench, b"ab");
    assert_eq!(get(&mut bench, LSR) & 1, 0);
    bench.advance(Time::from_us(86));
    assert!(!bench.line(0));
    bench.advance(Time::from_us(1));
    assert!(bench.line(0));
    assert_eq!(get(&mut bench, IIR_FCR), 0x04);
    bench.advance(Time::from_ms(10));
    assert_eq!((get(&mut bench, RBR_THR), bench.line(0)), (b'a', false));
    bench.advance(Time::ZERO);
    assert_eq!((get(&mut bench, LSR), get(&mut bench, RBR_THR)), (0x61, b'b'), "not lost, no overrun");
}

#[test]
fn trigger_level_and_timeout() {
    let mut bench = bench();
    put(&mut bench, IIR_FCR, 0x81); // 8 characters
    put(&mut bench, IER, 0x01);
    send(&mut bench, b"0123456789");
    bench.advance(Time::from_us(7 * 87));
    assert_eq!((get(&mut bench, IIR_FCR), bench.line(0)), (0xc1, false));
    bench.advance(Time::from_us(87));
    assert_eq!((get(&mut bench, IIR_FCR), bench.line(0)), (0xc4, true));
    bench.advance(Time::from_us(2 * 87));
    let read: Vec<u8> = (0..3).map(|_| get(&mut bench, RBR_THR)).collect();
    assert_eq!((read.as_slice(), bench.line(0)), (b"012".as_slice(), false));
    bench.advance(Time::from_us(4 * 86));
    assert!(!bench.line(0));
    bench.advance(Time::from_us(8));
    assert_eq!((get(&mut bench, IIR_FCR), bench.line(0)), (0xcc, true));
    get(&mut bench, RBR_THR);
    assert!(!bench.line(0), "a read takes the timeout");
}

#[test]
fn a_full_fifo_holds_the_line() {
    let mut bench = bench();
    put(&mut bench, IIR_FCR, 0x01);
    let text: Vec<u8> = (0..40).collect();
    send(&mut bench, &text);
    let mut read = Vec::new();
    while read.len() < 40 {
        bench.advance(Time::from_ms(5));
        assert_eq!(get(&mut bench, LSR) & 2, 0);
        let mut burst = 0;
        while get(&mut bench, LSR) & 1 != 0 {
            read.push(get(&mut bench, RBR_THR));
            burst += 1;
        }
        assert!((1..=16).contains(&burst));
    }
    assert_eq!(read, text);
}

#[test]
fn loopback_finds_a_fifo_of_16_and_overruns() {
    let mut bench = bench();
    put(&mut bench, IIR_FCR, 0x07);
    put(&mut bench, MCR, 0x10);
    for value in 0..20 {
        put(&mut bench, RBR_THR, value);
    }
    assert_eq!(bench.serial(), b"");
    put(&mut bench, IER, 0x05);
    assert_eq!(get(&mut bench, IIR_FCR), 0xc6, "line status comes before received data");
    assert_eq!(get(&mut bench, LSR), 0x63);
    assert_eq!(get(&mut bench, LSR), 0x61);
    assert_eq!(get(&mut bench, IIR_FCR), 0xc4);
    for value in 0..16 {
        assert_eq!(get(&mut bench, RBR_THR), value);
    }
    assert_eq!(get(&mut bench, LSR), 0x60);
}

#[test]
fn loopback_wires_the_modem_lines() {
    let mut bench = bench();
    put(&mut bench, MCR, 0x1a); // RTS, OUT2, as Linux probes
    assert_eq!(get(&mut bench, MSR), 0x92, "DSR went");
    put(&mut bench, IER, 0x08);
    put(&mut bench, MCR, 0x14); // OUT1: the bell starts, which does not count
    assert_eq!(get(&mut bench, IIR_FCR), 0x00);
    assert_eq!(get(&mut bench, MSR), 0x49);
    assert!(!bench.line(0));
    put(&mut bench, MCR, 0x10);
    assert_eq!(get(&mut bench, MSR), 0x04, "the bell stopped");
    put(&mut bench, MCR, 0x00);
    assert_eq!(get(&mut bench, MSR), 0xbb);
}

#[test]
fn break_in_loopback() {
    let mut bench = bench();
    put(&mut bench, IIR_FCR, 0x01);
    put(&mut bench, MCR, 0x10);
    put(&mut bench, RBR_THR, 7);
    put(&mut bench, LCR, 0x43);
    assert_eq!(get(&mut bench, LSR), 0xe1, "in the FIFO, not at its head");
    assert_eq!(get(&mut bench, RBR_THR), 7);
    assert_eq!(get(&mut bench, LSR), 0xf1);
    assert_eq!(get(&mut bench, LSR), 0x61);
}

#[test]
fn fifo_control_clears() {
    let mut bench = bench();
    put(&mut bench, IIR_FCR, 0x01);
    send(&mut bench, b"abc");
    bench.advance(Time::from_ms(1));
    put(&mut bench, IIR_FCR, 0x02);
    assert_eq!((get(&mut bench, LSR), get(&mut bench, IIR_FCR)), (0x60, 0x01), "off, and emptied by that");
    put(&mut bench, IIR_FCR, 0xc1);
    send(&mut bench, b"abc");
    bench.advance(Time::from_ms(1));
    put(&mut bench, IIR_FCR, 0xc3);
    assert_eq!((get(&mut bench, LSR), get(&mut bench, IIR_FCR)), (0x60, 0xc1));
}

#[test]
fn spaced_registers() {
    let mut bench = Bench::new(Ns16550a::new(2, Width::B4, 1_843_200));
    bench.write32(4 * SCR, 0xffff_ff5a);
    assert_eq!(bench.read32(4 * SCR), 0x5a);
    assert_eq!(bench.read(4 * SCR + 1, Width::B1), 0);
    bench.write32(0x100, 1);
    assert_eq!(bench.read32(0x100), 0);
}

#[test]
fn state_comes_back() {
    let mut bench = bench();
    put(&mut bench, IIR_FCR, 0x01);
    put(&mut bench, IER, 0x0f);
    send(&mut bench, b"hello");
    bench.advance(Time::from_us(200));
    bench.check_save_restore();
    let saved = bench.device.save();
    bench.call(|device, ctx| device.reset(ctx));
    assert_ne!(bench.device.save(), saved);
    bench.device.restore(&saved).unwrap();
    assert_eq!((get(&mut bench, RBR_THR), get(&mut bench, RBR_THR)), (b'h', b'e'));
}

#[test]
fn survives_anything() {
    arbtest::arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let mut bench = Bench::new(Ns16550a::new(0, Width::B1, 3_686_400));
        bench.torture(&bytes, 16);
        let device = &bench.device;
        assert!(device.state.uart.received.len() <= device.state.uart.capacity());
        assert_eq!(bench.line(0), device.state.uart.interrupts());
        bench.check_save_restore();
        Ok(())
    });
}
