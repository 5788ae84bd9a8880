//! The UART of the Cortex-M System Design Kit.
//!
//! Follows section 4.3 of the Cortex-M System Design Kit Technical Reference Manual (ARM DDI 0479D).
//!
//! Interrupt output 0 is the transmit interrupt, 1 the receive interrupt. Sending takes no time: the buffer is empty
//! again as soon as it is written. Receiving takes virtual time: bytes from the host enter the buffer one per character
//! time, ten times `BAUDDIV` cycles; while it is full or the receiver is off they keep waiting, so nothing is lost. The
//! clock is the node's `clock-frequency`, or 25 MHz as on the MPS2 boards.
//!
//! Left out: overruns and their interrupt, which can not happen then; the high-speed test mode.

use crate::power::cmsdk_id;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, HostInput, HostOutput, Model, Port,
    RestoreError, Time, Width, Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["arm,cmsdk-uart"], summary: "CMSDK serial port", rom: &[], ram: &[], build };

const RX_FULL: u32 = 1 << 1;
const TX_ENABLE: u32 = 1 << 0;
const RX_ENABLE: u32 = 1 << 1;
const TX_INTERRUPT: u32 = 1 << 0;
const RX_INTERRUPT: u32 = 1 << 1;
const PART: u8 = 0x21;

register_bank! {
    enum Register {
        Data = 0x00, rw(0xff), reset 0;
        State = 0x04, ro, reset 0, { tx_full: 0, rx_full: 1, tx_overrun: 2, rx_overrun: 3 };
        Ctrl = 0x08, rw(0x7f), reset 0, { tx: 0, rx: 1, tx_int: 2, rx_int: 3, txo_int: 4, rxo_int: 5, hstest: 6 };
        IntStatus = 0x0c, w1c(0x3), reset 0, { tx: 0, rx: 1 };
        BaudDiv = 0x10, rw(0xf_ffff), reset 0;
    }
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    bank: Bank<Register>,
    /// From the host, not yet on the line.
    backlog: VecDeque<u8>,
    /// When the line has finished the last character.
    line_free: Time,
}

impl State {
    fn has_room(&self) -> bool {
        self.bank[Register::Ctrl] & RX_ENABLE != 0 && self.bank[Register::State] & RX_FULL == 0
    }

    /// Start, eight data and one stop bit; 16 is the least divisor that works.
    fn character_time(&self, hz: u64) -> Time {
        Time::of_tick(10 * u64::from(self.bank[Register::BaudDiv].max(16)), hz)
    }

    /// Sets an interrupt if `CTRL` enables it.
    fn raise(&mut self, interrupt: u32) {
        self.bank[Register::IntStatus] |= self.bank[Register::Ctrl] >> 2 & interrupt;
    }
}

/// A CMSDK UART on the bus.
pub struct CmsdkUart {
    state: State,
    clock: u64,
}

const TOKEN_RECEIVE: u32 = 0;

impl CmsdkUart {
    /// With a clock of `hz`.
    pub fn new(hz: u64) -> CmsdkUart {
        CmsdkUart { state: State::default(), clock: hz }
    }

    fn update(&mut self, ctx: &mut Ctx) {
        if self.state.backlog.is_empty() || !self.state.has_room() {
            ctx.cancel(TOKEN_RECEIVE);
        } else if ctx.due(TOKEN_RECEIVE).is_none() {
            ctx.schedule(TOKEN_RECEIVE, self.state.line_free);
        }
        let status = self.state.bank[Register::IntStatus];
        ctx.set_line(0, status & TX_INTERRUPT != 0);
        ctx.set_line(1, status & RX_INTERRUPT != 0);
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    match args.node.u32("clock-frequency").unwrap_or(25_000_000) {
        0 => Err(BuildError::property("clock-frequency", "the clock of a serial port can not stand still")),
        hz => Ok(Box::new(CmsdkUart::new(hz.into()))),
    }
}

impl Component for CmsdkUart {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let State { bank, backlog, line_free: _ } = &self.state;
        let mut fields = bank.inspect();
        fields.push(Field { name: "waiting on the line".into(), value: backlog.len().to_string() });
        fields
    }
}

impl Device for CmsdkUart {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::UP_TO_B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        if let Some(id) = cmsdk_id(PART, at.offset) {
            return id.into();
        }
        let Some(register) = self.state.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        let value = self.state.bank.read(register);
        if register == Register::Data {
            self.state.bank[Register::State] &= !RX_FULL;
            self.update(ctx);
        }
        value.into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let value = value as u32;
        let Some(register) = self.state.bank.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        match register {
            Register::Data if self.state.bank[Register::Ctrl] & TX_ENABLE != 0 => {
                ctx.output(HostOutput::Serial(vec![value as u8]));
                self.state.raise(TX_INTERRUPT);
            }
            Register::Data => {}
            _ => drop(self.state.bank.write(register, value)),
        }
        self.update(ctx);
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        if self.state.has_room()
            && let Some(byte) = self.state.backlog.pop_front()
        {
            self.state.bank[Register::Data] = byte.into();
            self.state.bank[Register::State] |= RX_FULL;
            self.state.raise(RX_INTERRUPT);
            self.state.line_free = ctx.now().saturating_add(self.state.character_time(self.clock));
        }
        self.update(ctx);
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            if self.state.backlog.is_empty() {
                let arrival = ctx.now().saturating_add(self.state.character_time(self.clock));
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

    const DATA: u64 = 0x00;
    const STATE: u64 = 0x04;
    const CTRL: u64 = 0x08;
    const STATUS: u64 = 0x0c;
    const BAUDDIV: u64 = 0x10;

    #[test]
    fn sends_when_enabled_and_interrupts() {
        let mut bench = Bench::new(CmsdkUart::new(25_000_000));
        bench.write32(DATA, b'x'.into());
        assert_eq!(bench.serial(), b"");
        bench.write32(CTRL, 5);
        assert!(!bench.line(0), "the interrupt tells of a character that has left");
        bench.write32(DATA, b'y'.into());
        assert_eq!((bench.serial(), bench.line(0), bench.read32(STATUS)), (b"y".to_vec(), true, 1));
        bench.write32(STATUS, 1);
        assert!(!bench.line(0));
        bench.check_save_restore();
        assert_eq!([0xfd0, 0xfe0, 0xfe4, 0xffc].map(|at| bench.read32(at)), [4, 0x21, 0xb8, 0xb1]);
    }

    #[test]
    fn receives_one_character_at_a_time() {
        let mut bench = Bench::new(CmsdkUart::new(25_000_000));
        bench.write32(BAUDDIV, 250); // 100 us a character
        bench.write32(CTRL, 0b1010);
        bench.input(HostInput::Serial(b"ok".to_vec()));
        bench.advance(Time::from_us(99));
        assert_eq!((bench.read32(STATE), bench.line(1)), (0, false));
        bench.advance(Time::from_us(1000));
        assert_eq!((bench.read32(STATE), bench.line(1)), (2, true));
        bench.write32(STATUS, 2);
        assert_eq!((bench.read32(DATA), bench.line(1)), (b'o'.into(), false));
        bench.advance(Time::from_us(100));
        assert_eq!((bench.read32(DATA), bench.read32(STATE), bench.line(1)), (b'k'.into(), 0, true));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = Bench::new(CmsdkUart::new(25_000_000));
            bench.torture(&bytes, 0x20);
            bench.check_save_restore();
            Ok(())
        });
    }
}
