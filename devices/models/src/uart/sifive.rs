//! The SiFive UART.
//!
//! Follows chapter 18 of the SiFive FE310-G002 Manual v1p5, and SiFive's sources (sifive-blocks, `devices/uart`) where
//! the manual is silent.
//!
//! Sending takes no time: while `txen` is set, a byte leaves as soon as it is written and the FIFO stays empty; while
//! it is clear, the FIFO fills. Receiving takes virtual time: bytes from the host wait in a backlog and enter the FIFO
//! one per character time, `(div + 1) * 10` cycles of the clock; while the FIFO is full or `rxen` is clear they keep
//! waiting, so nothing is lost. The clock is the node's `clock-frequency`, or 16 MHz as after the FE310's boot: what
//! the guest sets up in the PRCI does not reach this model.
//!
//! Left out: parity, nine data bits and flow control, which the FE310 does not have.

use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, HostInput, HostOutput, Model, Port,
    RestoreError, Time, Width, Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["sifive,uart0"], summary: "SiFive serial port", rom: &[], ram: &[], build };

const FIFO: usize = 8;
/// Of `txdata` and `rxdata`: full, empty.
const FLAG: u32 = 1 << 31;
const ENABLE: u32 = 1;
const TXWM: u32 = 1;
const RXWM: u32 = 2;

register_bank! {
    /// The registers. The divisor after reset is the manual's `div_init`.
    enum Register {
        TxData = 0x00, rw(0xff), reset 0, { data: 0 .. 8, full: 31 };
        RxData = 0x04, ro, reset 0, { data: 0 .. 8, empty: 31 };
        TxCtrl = 0x08, rw(0x0007_0003), reset 0, { txen: 0, nstop: 1, txcnt: 16 .. 19 };
        RxCtrl = 0x0c, rw(0x0007_0001), reset 0, { rxen: 0, rxcnt: 16 .. 19 };
        Ie = 0x10, rw(0x3), reset 0, { txwm: 0, rxwm: 1 };
        Ip = 0x14, ro, reset 0, { txwm: 0, rxwm: 1 };
        Div = 0x18, rw(0xffff), reset 3;
    }
}

/// The block without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Uart {
    bank: Bank<Register>,
    to_send: VecDeque<u8>,
    received: VecDeque<u8>,
}

impl Uart {
    fn pending(&self) -> u32 {
        let level = |register| (self.bank[register] >> 16 & 7) as usize;
        let mut pending = 0;
        if self.to_send.len() < level(Register::TxCtrl) {
            pending |= TXWM;
        }
        if self.received.len() > level(Register::RxCtrl) {
            pending |= RXWM;
        }
        pending
    }

    /// Level of the interrupt output.
    pub fn interrupts(&self) -> bool {
        self.pending() & self.bank[Register::Ie] != 0
    }

    /// Whether the line can deliver a character.
    pub fn has_room(&self) -> bool {
        self.bank[Register::RxCtrl] & ENABLE != 0 && self.received.len() < FIFO
    }

    /// A character arrives; it is lost if there is no room.
    pub fn receive(&mut self, character: u8) {
        if self.has_room() {
            self.received.push_back(character);
        }
    }

    /// How long one character takes with a clock of `hz`: start, eight data and one stop bit.
    pub fn character_time(&self, hz: u64) -> Time {
        let cycles = 10 * (u64::from(self.bank[Register::Div]) + 1);
        Time::of_tick(cycles, hz)
    }

    fn read(&mut self, register: Register) -> u32 {
        match register {
            Register::TxData => u32::from(self.to_send.len() >= FIFO) * FLAG,
            Register::RxData => self.received.pop_front().map_or(FLAG, u32::from),
            Register::Ip => self.pending(),
            _ => self.bank.read(register),
        }
    }

    /// A write by software; returns what leaves on the line.
    fn write(&mut self, register: Register, value: u32) -> Vec<u8> {
        match register {
            Register::TxData if self.to_send.len() < FIFO => self.to_send.push_back(value as u8),
            Register::TxData => {}
            _ => drop(self.bank.write(register, value)),
        }
        if self.bank[Register::TxCtrl] & ENABLE != 0 { self.to_send.drain(..).collect() } else { Vec::new() }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    uart: Uart,
    /// From the host, not yet on the line.
    backlog: VecDeque<u8>,
    /// When the line has finished the last character.
    line_free: Time,
}

/// A SiFive UART on the bus.
pub struct SifiveUart {
    state: State,
    clock: u64,
}

const TOKEN_RECEIVE: u32 = 0;

impl SifiveUart {
    /// With a clock of `hz`.
    pub fn new(hz: u64) -> SifiveUart {
        SifiveUart { state: State::default(), clock: hz }
    }

    fn update(&mut self, ctx: &mut Ctx) {
        let State { uart, backlog, line_free } = &self.state;
        if backlog.is_empty() || !uart.has_room() {
            ctx.cancel(TOKEN_RECEIVE);
        } else if ctx.due(TOKEN_RECEIVE).is_none() {
            ctx.schedule(TOKEN_RECEIVE, *line_free);
        }
        ctx.set_line(0, uart.interrupts());
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    match args.node.u32("clock-frequency").unwrap_or(16_000_000) {
        0 => Err(BuildError::property("clock-frequency", "the clock of a serial port can not stand still")),
        hz => Ok(Box::new(SifiveUart::new(hz.into()))),
    }
}

impl Component for SifiveUart {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let State { uart, backlog, line_free: _ } = &self.state;
        let mut bank = uart.bank.clone();
        bank[Register::TxData] = u32::from(uart.to_send.len() >= FIFO) * FLAG;
        bank[Register::RxData] = uart.received.front().map_or(FLAG, |byte| u32::from(*byte));
        bank[Register::Ip] = uart.pending();
        let mut fields = bank.inspect();
        for (name, queue) in [
            ("transmit FIFO", &uart.to_send),
            ("receive FIFO", &uart.received),
            ("waiting on the line", backlog),
        ] {
            fields.push(Field { name: name.to_string(), value: queue.len().to_string() });
        }
        fields
    }
}

impl Device for SifiveUart {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let Some(register) = self.state.uart.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        let value = self.state.uart.read(register);
        self.update(ctx);
        value.into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.state.uart.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        let sent = self.state.uart.write(register, value as u32);
        if !sent.is_empty() {
            ctx.output(HostOutput::Serial(sent));
        }
        self.update(ctx);
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        if self.state.uart.has_room()
            && let Some(byte) = self.state.backlog.pop_front()
        {
            self.state.uart.receive(byte);
            self.state.line_free = ctx.now().saturating_add(self.state.uart.character_time(self.clock));
        }
        self.update(ctx);
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            if self.state.backlog.is_empty() {
                let arrival = ctx.now().saturating_add(self.state.uart.character_time(self.clock));
                self.state.line_free = self.state.line_free.max(arrival);
            }
            self.state.backlog.extend(bytes);
            self.update(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    const TXDATA: u64 = 0x00;
    const RXDATA: u64 = 0x04;
    const TXCTRL: u64 = 0x08;
    const RXCTRL: u64 = 0x0c;
    const IE: u64 = 0x10;
    const IP: u64 = 0x14;
    const DIV: u64 = 0x18;

    fn bench() -> Bench<SifiveUart> {
        Bench::new(SifiveUart::new(16_000_000))
    }

    #[test]
    fn registers() {
        let mut bench = bench();
        let after_reset =
            [TXDATA, RXDATA, TXCTRL, RXCTRL, IE, IP, DIV].map(|register| bench.read32(register));
        assert_eq!(after_reset, [0, 1 << 31, 0, 0, 0, 0, 3]);
        for register in [TXCTRL, RXCTRL, IE, IP, DIV] {
            bench.write32(register, u32::MAX);
        }
        let held = [TXCTRL, RXCTRL, IE, IP, DIV].map(|register| bench.read32(register));
        assert_eq!(held, [0x70003, 0x70001, 3, 1, 0xffff]);
        bench.read32(0x1c);
        assert_eq!(bench.services.unimplemented.len(), 1);
    }

    #[test]
    fn sends_when_enabled() {
        let mut bench = bench();
        for byte in b'a'..=b'i' {
            bench.write32(TXDATA, byte.into());
        }
        assert_eq!((bench.read32(TXDATA), bench.serial()), (1 << 31, vec![]));
        bench.write32(TXCTRL, 1);
        assert_eq!(
            (bench.read32(TXDATA), bench.serial()),
            (0, b"abcdefgh".to_vec()),
            "the ninth found no room"
        );
        bench.write32(TXDATA, 0x178);
        assert_eq!(bench.serial(), b"x");
    }

    #[test]
    fn transmit_watermark() {
        let mut bench = bench();
        bench.write32(IE, 1);
        assert!(!bench.line(0), "fewer than none is impossible");
        bench.write32(TXCTRL, 2 << 16);
        assert!(bench.line(0));
        bench.write32(TXDATA, 1);
        assert!(bench.line(0));
        bench.write32(TXDATA, 1);
        assert_eq!((bench.line(0), bench.read32(IP)), (false, 0));
        bench.write32(TXCTRL, 2 << 16 | 1);
        assert_eq!((bench.line(0), bench.read32(IP)), (true, 1));
    }

    #[test]
    fn receives_in_time_up_to_the_watermark() {
        let mut bench = bench();
        bench.write32(RXCTRL, 1 << 16 | 1);
        bench.write32(IE, 2);
        bench.write32(DIV, 159); // 100 us a character
        bench.input(HostInput::Serial(b"hey".to_vec()));
        bench.advance(Time::from_us(199));
        assert!(!bench.line(0));
        bench.advance(Time::from_us(1));
        assert_eq!((bench.line(0), bench.read32(IP)), (true, 2));
        assert_eq!((bench.read32(RXDATA), bench.line(0)), (u32::from(b'h'), false));
        bench.advance(Time::from_us(100));
        let read = [bench.read32(RXDATA), bench.read32(RXDATA), bench.read32(RXDATA)];
        assert_eq!(read, [u32::from(b'e'), u32::from(b'y'), 1 << 31]);
    }

    #[test]
    fn nothing_is_lost_without_room() {
        let mut bench = bench();
        let text: Vec<u8> = (0..20).collect();
        bench.input(HostInput::Serial(text.clone()));
        bench.advance(Time::from_ms(10));
        assert_eq!(bench.read32(RXDATA), 1 << 31, "not enabled");
        bench.write32(RXCTRL, 1);
        let mut read = Vec::new();
        while read.len() < text.len() {
            bench.advance(Time::from_ms(5));
            assert!(bench.device.state.uart.received.len() <= FIFO);
            while let Ok(byte) = u8::try_from(bench.read32(RXDATA)) {
                read.push(byte);
            }
        }
        assert_eq!(read, text);
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench();
        bench.write32(RXCTRL, 1);
        bench.write32(TXDATA, 7);
        bench.input(HostInput::Serial(b"hello".to_vec()));
        bench.advance(Time::from_us(200));
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(RXDATA), bench.read32(RXCTRL)), (1 << 31, 0));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x20);
            let uart = &bench.device.state.uart;
            assert!(uart.to_send.len() <= FIFO && uart.received.len() <= FIFO);
            assert_eq!(bench.line(0), uart.interrupts());
            bench.check_save_restore();
            Ok(())
        });
    }
}
