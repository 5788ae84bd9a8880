//! The 16550A serial port.
//!
//! Follows the PC16550D data sheet (Texas Instruments SNLS378) and the devicetree binding `serial/8250.yaml`.
//!
//! Sending takes no time: a byte written to the transmit register leaves at once and the register is empty again,
//! so the transmit FIFO never holds anything. Receiving takes virtual time: bytes from the host wait in a backlog
//! and enter the receive FIFO one per character time of the programmed line settings (a divisor of zero, left by
//! software that programs nothing, is taken for 115200 baud). While the FIFO is full they keep waiting, as if the
//! other side honoured flow control, so nothing is lost; overrun happens in loopback only.
//!
//! Left out: parity and framing errors and break from the line (the host has none; break in loopback is there), DMA
//! signalling (RXRDY, TXRDY), masking of characters shorter than 8 bits, gating of the interrupt by OUT2 (a PC's
//! board does that, not the chip).

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, HostInput, HostOutput, Model, Port,
    RestoreError, Time, Width, Widths, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["ns16550a", "ns16550"], summary: "16550A serial port", rom: &[], ram: &[], build };

const FIFO: usize = 16;

// Register numbers; the divisor latch stands in for the first two while LCR.DLAB is set.
const RBR_THR: u64 = 0;
const IER: u64 = 1;
const IIR_FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;
const SCR: u64 = 7;

/// Interrupt enable.
mod ier {
    pub const RECEIVED: u8 = 1 << 0;
    pub const THR_EMPTY: u8 = 1 << 1;
    pub const LINE: u8 = 1 << 2;
    pub const MODEM: u8 = 1 << 3;
    pub const MASK: u8 = 0x0f;
}

/// Interrupt identification, by falling priority.
mod iir {
    pub const LINE: u8 = 0x06;
    pub const RECEIVED: u8 = 0x04;
    pub const TIMEOUT: u8 = 0x0c;
    pub const THR_EMPTY: u8 = 0x02;
    pub const MODEM: u8 = 0x00;
    pub const NONE: u8 = 0x01;
    pub const FIFOS: u8 = 0xc0;
}

/// FIFO control.
mod fcr {
    pub const ENABLE: u8 = 1 << 0;
    pub const CLEAR_RECEIVE: u8 = 1 << 1;
    pub const KEPT: u8 = 0xc9;
}

/// Line control.
mod lcr {
    pub const STOP: u8 = 1 << 2;
    pub const PARITY: u8 = 1 << 3;
    pub const BREAK: u8 = 1 << 6;
    pub const DLAB: u8 = 1 << 7;
}

/// Modem control.
mod mcr {
    pub const DTR: u8 = 1 << 0;
    pub const RTS: u8 = 1 << 1;
    pub const OUT1: u8 = 1 << 2;
    pub const OUT2: u8 = 1 << 3;
    pub const LOOP: u8 = 1 << 4;
    pub const MASK: u8 = 0x1f;
}

/// Line status.
mod lsr {
    pub const READY: u8 = 1 << 0;
    pub const OVERRUN: u8 = 1 << 1;
    pub const BREAK: u8 = 1 << 4;
    pub const THR_EMPTY: u8 = 1 << 5;
    pub const ALL_EMPTY: u8 = 1 << 6;
    pub const FIFO_ERROR: u8 = 1 << 7;
}

/// Modem status: the inputs in the high half, what changed since the last read in the low half.
mod msr {
    pub const CTS: u8 = 1 << 4;
    pub const DSR: u8 = 1 << 5;
    pub const RI: u8 = 1 << 6;
    pub const DCD: u8 = 1 << 7;
    pub const INPUTS: u8 = 0xf0;
}

/// The chip without its surroundings: no clock, no line, no host.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Uart {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    divisor: u16,
    /// Overrun; break belongs to the character at the head of the FIFO.
    overrun: bool,
    /// Modem inputs when they were last compared, and what changed since the last read of MSR.
    modem: u8,
    modem_changes: u8,
    /// The transmitter ran empty and nobody was told.
    thr_interrupt: bool,
    /// Characters lay in the FIFO for four character times.
    timeout: bool,
    /// Received characters, and whether each is a break.
    received: VecDeque<(u8, bool)>,
    /// The break at the head of the FIFO was not yet seen in LSR.
    break_unread: bool,
}

impl Uart {
    fn new() -> Uart {
        let mut uart = Uart::default();
        uart.modem = uart.modem_inputs();
        uart
    }

    fn fifos(&self) -> bool {
        self.fcr & fcr::ENABLE != 0
    }

    fn capacity(&self) -> usize {
        if self.fifos() { FIFO } else { 1 }
    }

    /// How many characters raise the received-data interrupt.
    fn trigger(&self) -> usize {
        if self.fifos() { [1, 4, 8, 14][usize::from(self.fcr >> 6)] } else { 1 }
    }

    /// Whether the line can deliver a character.
    pub fn has_room(&self) -> bool {
        self.mcr & mcr::LOOP == 0 && self.received.len() < self.capacity()
    }

    /// Whether characters wait below the trigger level, which a timeout will tell.
    pub fn waits_for_timeout(&self) -> bool {
        self.fifos() && !self.timeout && (1..self.trigger()).contains(&self.received.len())
    }

    /// Four character times passed without a character coming or going.
    pub fn set_timeout(&mut self) {
        self.timeout = self.waits_for_timeout();
    }

    /// Bit times of one character with start and stop bits, in halves.
    fn half_bits(&self) -> u64 {
        let data = u64::from(self.lcr & 3) + 5;
        let parity = u64::from(self.lcr & lcr::PARITY != 0);
        let stop = match (self.lcr & lcr::STOP != 0, data) {
            (false, _) => 2,
            (true, 5) => 3,
            (true, _) => 4,
        };
        2 * (1 + data + parity) + stop
    }

    /// How long one character takes on the line with an input clock of `hz`.
    pub fn character_time(&self, hz: u64) -> Time {
        let baud = match self.divisor {
            0 => 115_200,
            divisor => (hz / (16 * u64::from(divisor))).max(1),
        };
        Time(self.half_bits() * (Time::PER_SECOND / 2) / baud)
    }

    /// A character arrives.
    pub fn receive(&mut self, character: u8, is_break: bool) {
        self.timeout = false;
        if self.received.len() < self.capacity() {
            self.received.push_back((character, is_break));
            if self.received.len() == 1 {
                self.break_unread = is_break;
            }
            return;
        }
        self.overrun = true;
        if !self.fifos() {
            // Without FIFOs the new character overwrites the old; with them it is lost in the shift register.
            self.received.clear();
            self.received.push_back((character, is_break));
            self.break_unread = is_break;
        }
    }

    fn modem_inputs(&self) -> u8 {
        if self.mcr & mcr::LOOP == 0 {
            // Somebody is connected and always ready.
            return msr::DCD | msr::DSR | msr::CTS;
        }
        let wired = [(mcr::DTR, msr::DSR), (mcr::RTS, msr::CTS), (mcr::OUT1, msr::RI), (mcr::OUT2, msr::DCD)];
        wired.iter().filter(|(output, _)| self.mcr & output != 0).fold(0, |inputs, (_, input)| inputs | input)
    }

    /// Notes which modem inputs changed; the ring indicator counts when it ends only.
    fn sample_modem(&mut self) {
        let inputs = self.modem_inputs();
        let changed = (self.modem ^ inputs) & !(msr::RI & inputs);
        self.modem_changes |= (changed & msr::INPUTS) >> 4;
        self.modem = inputs;
    }

    fn line_status(&self) -> u8 {
        let mut status = lsr::THR_EMPTY | lsr::ALL_EMPTY;
        if !self.received.is_empty() {
            status |= lsr::READY;
        }
        if self.overrun {
            status |= lsr::OVERRUN;
        }
        if self.break_unread {
            status |= lsr::BREAK;
        }
        if self.fifos() && self.received.iter().any(|&(_, is_break)| is_break) {
            status |= lsr::FIFO_ERROR;
        }
        status
    }

    /// The interrupt with the highest priority.
    fn interrupt(&self) -> u8 {
        let enabled = |mask| self.ier & mask != 0;
        if enabled(ier::LINE) && (self.overrun || self.break_unread) {
            iir::LINE
        } else if enabled(ier::RECEIVED) && self.received.len() >= self.trigger() {
            iir::RECEIVED
        } else if enabled(ier::RECEIVED) && self.timeout {
            iir::TIMEOUT
        } else if enabled(ier::THR_EMPTY) && self.thr_interrupt {
            iir::THR_EMPTY
        } else if enabled(ier::MODEM) && self.modem_changes != 0 {
            iir::MODEM
        } else {
            iir::NONE
        }
    }

    /// Level of the interrupt output.
    pub fn interrupts(&self) -> bool {
        self.interrupt() != iir::NONE
    }

    /// A read by software of register 0 to 7.
    pub fn read(&mut self, register: u64) -> u8 {
        let dlab = self.lcr & lcr::DLAB != 0;
        let [low, high] = self.divisor.to_le_bytes();
        match register {
            RBR_THR if dlab => low,
            RBR_THR => {
                self.timeout = false;
                let character = self.received.pop_front().map_or(0, |(character, _)| character);
                self.break_unread = self.received.front().is_some_and(|&(_, is_break)| is_break);
                character
            }
            IER if dlab => high,
            IER => self.ier,
            IIR_FCR => {
                let interrupt = self.interrupt();
                if interrupt == iir::THR_EMPTY {
                    self.thr_interrupt = false;
                }
                interrupt | if self.fifos() { iir::FIFOS } else { 0 }
            }
            LCR => self.lcr,
            MCR => self.mcr,
            LSR => {
                let status = self.line_status();
                self.overrun = false;
                if self.break_unread {
                    self.break_unread = false;
                    if let Some(head) = self.received.front_mut() {
                        head.1 = false;
                    }
                }
                status
            }
            MSR => self.modem | std::mem::take(&mut self.modem_changes),
            SCR => self.scr,
            _ => 0,
        }
    }

    /// A write by software of register 0 to 7; returns the byte that leaves on the line.
    pub fn write(&mut self, register: u64, value: u8) -> Option<u8> {
        let dlab = self.lcr & lcr::DLAB != 0;
        match register {
            RBR_THR if dlab => self.divisor = self.divisor & 0xff00 | u16::from(value),
            RBR_THR => {
                // Full for no time at all: the interrupt goes and comes back.
                self.thr_interrupt = true;
                if self.mcr & mcr::LOOP == 0 {
                    return Some(value);
                }
                self.receive(value, false);
            }
            IER if dlab => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            IER => {
                let value = value & ier::MASK;
                // Enabling it while the transmitter is empty, as it always is, raises it.
                self.thr_interrupt |= value & !self.ier & ier::THR_EMPTY != 0;
                self.ier = value;
            }
            IIR_FCR => self.write_fcr(value),
            LCR => {
                let starts_break = value & !self.lcr & lcr::BREAK != 0;
                self.lcr = value;
                if starts_break && self.mcr & mcr::LOOP != 0 {
                    self.receive(0, true);
                }
            }
            MCR => {
                self.mcr = value & mcr::MASK;
                self.sample_modem();
            }
            SCR => self.scr = value,
            _ => {} // LSR and MSR: the factory's tests only
        }
        None
    }

    fn write_fcr(&mut self, value: u8) {
        let toggled = (self.fcr ^ value) & fcr::ENABLE != 0;
        if toggled || value & fcr::ENABLE != 0 && value & fcr::CLEAR_RECEIVE != 0 {
            self.received.clear();
            self.timeout = false;
            self.break_unread = false;
        }
        // The other bits are written only together with the enable bit.
        self.fcr = if value & fcr::ENABLE != 0 { value & fcr::KEPT } else { 0 };
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    uart: Uart,
    /// From the host, not yet on the line.
    backlog: VecDeque<u8>,
    /// When the line has finished the last character.
    line_free: Time,
}

/// A 16550A on the bus.
pub struct Ns16550a {
    state: State,
    shift: u32,
    widths: Widths,
    clock: u64,
}

const TOKEN_RECEIVE: u32 = 0;
const TOKEN_TIMEOUT: u32 = 1;

impl Ns16550a {
    /// With registers `1 << shift` bytes apart, accesses up to `widest`, and an input clock in hertz.
    pub fn new(shift: u32, widest: Width, clock: u64) -> Ns16550a {
        Ns16550a {
            state: State { uart: Uart::new(), backlog: VecDeque::new(), line_free: Time::ZERO },
            shift,
            widths: Widths { min: Width::B1, max: widest },
            clock,
        }
    }

    fn register(&self, at: At) -> Option<u64> {
        let register = at.offset >> self.shift;
        (register < 8 && at.offset == register << self.shift).then_some(register)
    }

    /// `traffic`: a character came or went, so that the timeout starts again.
    fn update(&mut self, ctx: &mut Ctx, traffic: bool) {
        let State { uart, backlog, line_free } = &mut self.state;
        let character = uart.character_time(self.clock);
        if backlog.is_empty() || !uart.has_room() {
            ctx.cancel(TOKEN_RECEIVE);
        } else if ctx.due(TOKEN_RECEIVE).is_none() {
            ctx.schedule(TOKEN_RECEIVE, *line_free);
        }
        if !uart.waits_for_timeout() {
            ctx.cancel(TOKEN_TIMEOUT);
        } else if traffic || ctx.due(TOKEN_TIMEOUT).is_none() {
            ctx.schedule_in(TOKEN_TIMEOUT, Time(character.0.saturating_mul(4)));
        }
        ctx.set_line(0, uart.interrupts());
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let node = args.node;
    let shift = node.u32("reg-shift").unwrap_or(0);
    if shift > 3 {
        return Err(BuildError::property("reg-shift", format!("reg-shift is {shift}; 0 to 3 are possible")));
    }
    let widest = match node.u32("reg-io-width") {
        None | Some(1) => Width::B1,
        Some(2) => Width::B2,
        Some(4) => Width::B4,
        Some(other) => {
            let message = format!("reg-io-width is {other}; 1, 2 and 4 are possible");
            return Err(BuildError::property("reg-io-width", message));
        }
    };
    if widest.bytes() > 1 << shift {
        let message = format!("registers are {} bytes apart; wider accesses overlap", 1 << shift);
        return Err(BuildError::property("reg-io-width", message));
    }
    let clock = node.u32("clock-frequency").unwrap_or(1_843_200);
    if clock == 0 {
        return Err(BuildError::property(
            "clock-frequency",
            "the clock of a serial port can not stand still",
        ));
    }
    Ok(Box::new(Ns16550a::new(shift, widest, clock.into())))
}

impl Component for Ns16550a {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let uart = &self.state.uart;
        let bytes = [
            ("IER", uart.ier),
            ("IIR", uart.interrupt() | if uart.fifos() { iir::FIFOS } else { 0 }),
            ("FCR", uart.fcr),
            ("LCR", uart.lcr),
            ("MCR", uart.mcr),
            ("LSR", uart.line_status()),
            ("MSR", uart.modem | uart.modem_changes),
            ("SCR", uart.scr),
        ];
        let byte =
            |(name, value): &(&str, u8)| Field { name: name.to_string(), value: format!("{value:#04x}") };
        let mut fields: Vec<Field> = bytes.iter().map(byte).collect();
        let number = |name: &str, value: u64| Field { name: name.to_string(), value: value.to_string() };
        fields.push(number("divisor", uart.divisor.into()));
        fields.push(number("receive FIFO", uart.received.len() as u64));
        fields.push(number("waiting on the line", self.state.backlog.len() as u64));
        fields
    }
}

impl Device for Ns16550a {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State { uart: Uart::new(), backlog: VecDeque::new(), line_free: Time::ZERO };
        self.update(ctx, false);
    }

    fn widths(&self, _region: usize) -> Widths {
        self.widths
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let Some(register) = self.register(at) else { return 0 };
        let value = self.state.uart.read(register);
        self.update(ctx, register == RBR_THR);
        value.into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.register(at) else { return };
        if let Some(byte) = self.state.uart.write(register, value as u8) {
            ctx.output(HostOutput::Serial(vec![byte]));
        }
        self.update(ctx, false);
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        match token {
            TOKEN_RECEIVE if self.state.uart.has_room() => {
                if let Some(byte) = self.state.backlog.pop_front() {
                    self.state.uart.receive(byte, false);
                    self.state.line_free =
                        ctx.now().saturating_add(self.state.uart.character_time(self.clock));
                }
                self.update(ctx, true);
            }
            TOKEN_TIMEOUT => {
                self.state.uart.set_timeout();
                self.update(ctx, false);
            }
            _ => {}
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            if self.state.backlog.is_empty() {
                // The first one takes its time on the line, too.
                let arrival = ctx.now().saturating_add(self.state.uart.character_time(self.clock));
                self.state.line_free = self.state.line_free.max(arrival);
            }
            self.state.backlog.extend(bytes);
            self.update(ctx, false);
        }
    }
}

#[cfg(test)]
mod tests;
