//! Serial port without (UART) and with EasyDMA (UARTE), which share their registers.
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 33 (UART) and 35 (UARTE), and the nRF51 Series Reference
//! Manual v3.0, chapter 29. ENABLE selects what the block is: 4 UART, 8 UARTE.
//!
//! A character takes its time on the line, in both directions; what is sent reaches the host when it is complete.
//! Characters from the host wait while the receiver is off or its FIFO of six (UARTE: four) is full, with or without
//! flow control, so that nothing is lost by the line; what a driver without it drops is its own. A line whose PSEL does
//! not lead to `tx-pin` or `rx-pin` of the node, or to any pin without these, carries nothing.
//!
//! Left out: levels on the pins, an other side that withdraws CTS, and the errors of the line (overrun, framing,
//! parity and break), which the host never makes.

use super::block::{Block, Nordic, Peripheral};
use super::serial::leads;
use super::{base_address, easydma};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, HostInput, HostOutput, Model, Port,
    RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-uarte", "nordic,nrf-uart"],
    summary: "nRF serial port",
    rom: &[],
    ram: &[],
    build,
};

crate::nordic_layout! {
    tasks {
        STARTRX = 0x000, STOPRX = 0x004, STARTTX = 0x008, STOPTX = 0x00c, SUSPEND = 0x01c, FLUSHRX = 0x02c,
    }
    events {
        CTS = 0x100, NCTS = 0x104, RXDRDY = 0x108, ENDRX = 0x110, TXDRDY = 0x11c, ENDTX = 0x120, ERROR = 0x124,
        RXTO = 0x144, RXSTARTED = 0x14c, TXSTARTED = 0x150, TXSTOPPED = 0x158,
    }
    shorts { 3: CTS => STARTRX, 4: NCTS => STOPRX, 5: ENDRX => STARTRX, 6: ENDRX => STOPRX }
}

register_bank! {
    /// The registers.
    enum Register {
        ErrorSrc = 0x480, w1c(0xf), reset 0;
        Enable = 0x500, rw(0xf), reset 0;
        PselRts = 0x508, rw(u32::MAX), reset 0xffff_ffff;
        PselTxd = 0x50c, rw(u32::MAX), reset 0xffff_ffff;
        PselCts = 0x510, rw(u32::MAX), reset 0xffff_ffff;
        PselRxd = 0x514, rw(u32::MAX), reset 0xffff_ffff;
        Rxd = 0x518, ro, reset 0;
        Txd = 0x51c, wo(0xff), reset 0;
        Baudrate = 0x524, rw(u32::MAX), reset 0x0400_0000;
        RxdPtr = 0x534, rw(u32::MAX), reset 0;
        RxdMaxcnt = 0x538, rw(0xffff), reset 0;
        RxdAmount = 0x53c, ro, reset 0;
        TxdPtr = 0x544, rw(u32::MAX), reset 0;
        TxdMaxcnt = 0x548, rw(0xffff), reset 0;
        TxdAmount = 0x54c, ro, reset 0;
        Config = 0x56c, rw(0x1f), reset 0, { hwfc: 0, parity: 1 .. 4, stop: 4 };
    }
}

use Register::*;

/// What is due at an event.
mod token {
    /// A character has left.
    pub const SENT: u32 = 0;
    /// A character has arrived.
    pub const ARRIVED: u32 = 1;
    /// The receiver has stopped.
    pub const RXTO: u32 = 2;
}

/// Values of ENABLE.
const UART: u32 = 4;
const UARTE: u32 = 8;

/// A transfer by EasyDMA.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Buffer {
    address: u32,
    size: u32,
    done: u32,
}

impl Buffer {
    fn next(&self) -> u32 {
        self.address.wrapping_add(self.done)
    }
}

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Uart {
    bank: Bank<Register>,
    /// The transmitter is started; without EasyDMA it then sends what is written.
    sending: bool,
    /// The character on the line, and the one that waits behind it (UART).
    on_line: Option<u8>,
    behind: Option<u8>,
    /// What is being sent (UARTE).
    outgoing: Option<Buffer>,
    receiving: bool,
    /// Received and not yet read or stored.
    fifo: VecDeque<u8>,
    /// RXD holds the first of `fifo`, and RXDRDY was generated for it (UART).
    shown: bool,
    /// Where what is received goes (UARTE).
    incoming: Option<Buffer>,
    /// From the host, not yet on the line.
    backlog: VecDeque<u8>,
    /// When the line has brought the last character.
    line_free: Time,
    /// Where TXD and RXD lead on the board, in PSEL's numbers; `None` is anywhere.
    #[serde(skip)]
    wiring: [Option<u32>; 2],
}

impl Uart {
    fn is(&self, what: u32) -> bool {
        self.bank[Enable] == what
    }

    fn character_time(&self) -> Time {
        let parity = u64::from(self.bank[Config] >> 1 & 7 == 7);
        let stop = u64::from(self.bank[Config] >> 4 & 1);
        let bits = 10 + parity + stop;
        // The baud rate is BAUDRATE * 16 MHz / 2^32.
        let time = bits.saturating_mul(62_500 << 32) / u64::from(self.bank[Baudrate].max(1));
        Time(time.min(Time::PER_SECOND))
    }

    /// How many characters the FIFO holds.
    fn room(&self) -> usize {
        if self.is(UARTE) { 4 } else { 6 }
    }

    /// Whether the line can bring a character.
    fn listens(&self) -> bool {
        (self.is(UART) || self.is(UARTE))
            && self.receiving
            && leads(self.bank[PselRxd], self.wiring[1])
            && (self.incoming.is_some() || self.fifo.len() < self.room())
    }

    /// Asks for the next character of the backlog, or keeps it waiting.
    fn plan(&mut self, ctx: &mut Ctx) {
        if self.backlog.is_empty() || !self.listens() {
            ctx.cancel(token::ARRIVED);
        } else if ctx.due(token::ARRIVED).is_none() {
            ctx.schedule(token::ARRIVED, self.line_free);
        }
    }

    /// Puts a character on the line if there is one and the line is free.
    fn transmit(&mut self, ctx: &mut Ctx) {
        if self.on_line.is_some() {
            return;
        }
        let next = match self.outgoing {
            Some(buffer) => {
                let mut byte = [0];
                easydma::fetch(ctx, buffer.next(), &mut byte);
                Some(byte[0])
            }
            None if self.is(UART) && self.sending => self.behind.take(),
            None => None,
        };
        if next.is_some() {
            self.on_line = next;
            ctx.schedule_in(token::SENT, self.character_time());
        }
    }

    fn sent(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let Some(byte) = self.on_line.take() else { return };
        if leads(self.bank[PselTxd], self.wiring[0]) {
            ctx.output(HostOutput::Serial(vec![byte]));
        } else if leads(self.bank[PselTxd], None) {
            ctx.unimplemented(0x50c, true, "a line by another pin than the board's");
        }
        block.raise(ctx, event::TXDRDY);
        if let Some(buffer) = &mut self.outgoing {
            buffer.done += 1;
            if buffer.done >= buffer.size || !self.sending {
                self.end_tx(block, ctx);
            }
        }
        self.transmit(ctx);
    }

    fn end_tx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if let Some(buffer) = self.outgoing.take() {
            self.bank[TxdAmount] = buffer.done;
            block.raise(ctx, event::ENDTX);
        }
        if !self.sending {
            block.raise(ctx, event::TXSTOPPED);
        }
    }

    fn start_tx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.sending = true;
        if self.is(UARTE) {
            block.raise(ctx, event::TXSTARTED);
            let (address, size) = (self.bank[TxdPtr], self.bank[TxdMaxcnt]);
            self.outgoing = Some(Buffer { address, size, done: 0 });
            if size == 0 {
                self.end_tx(block, ctx);
            }
        }
        self.transmit(ctx);
    }

    fn stop_tx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.sending = false;
        self.behind = None;
        // A character that has begun is finished first.
        if self.is(UARTE) && self.on_line.is_none() {
            self.end_tx(block, ctx);
        }
    }

    fn start_rx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.receiving = true;
        ctx.cancel(token::RXTO);
        if self.is(UARTE) {
            let (address, size) = (self.bank[RxdPtr], self.bank[RxdMaxcnt]);
            self.incoming = Some(Buffer { address, size, done: 0 });
            block.raise(ctx, event::RXSTARTED);
            self.store(block, ctx);
        }
    }

    fn stop_rx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if self.incoming.is_some() {
            self.end_rx(block, ctx);
        }
        self.receiving = false;
        let rest = self.character_time().0.saturating_mul(5);
        ctx.schedule_in(token::RXTO, Time(rest));
    }

    fn end_rx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if let Some(buffer) = self.incoming.take() {
            self.bank[RxdAmount] = buffer.done;
            block.raise(ctx, event::ENDRX);
        }
    }

    /// Moves what the FIFO holds to memory.
    fn store(&mut self, block: &mut Block, ctx: &mut Ctx) {
        while let Some(buffer) = &mut self.incoming {
            if buffer.done >= buffer.size {
                self.end_rx(block, ctx);
                return;
            }
            let Some(byte) = self.fifo.pop_front() else { return };
            easydma::store(ctx, buffer.next(), &[byte]);
            buffer.done += 1;
        }
    }

    /// Moves the remains of the FIFO to a buffer of its own; AMOUNT stays as it is if there are none.
    fn flush_rx(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if !self.fifo.is_empty() {
            let (address, size) = (self.bank[RxdPtr], self.bank[RxdMaxcnt]);
            self.incoming = Some(Buffer { address, size, done: 0 });
            self.store(block, ctx);
            self.end_rx(block, ctx);
        } else {
            block.raise(ctx, event::ENDRX);
        }
    }

    fn arrived(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if !self.listens() {
            return;
        }
        let Some(byte) = self.backlog.pop_front() else { return };
        self.line_free = ctx.now().saturating_add(self.character_time());
        self.fifo.push_back(byte);
        if self.is(UARTE) {
            block.raise(ctx, event::RXDRDY);
            self.store(block, ctx);
        } else {
            self.show(block, ctx);
        }
    }

    /// Lets RXD hold the next character.
    fn show(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if let Some(byte) = self.fifo.front().filter(|_| !self.shown) {
            self.bank[Rxd] = u32::from(*byte);
            self.shown = true;
            block.raise(ctx, event::RXDRDY);
        }
    }

    fn read_rxd(&mut self, block: &mut Block, ctx: &mut Ctx) -> u32 {
        let value = self.bank[Rxd];
        if std::mem::take(&mut self.shown) {
            self.fifo.pop_front();
            self.show(block, ctx);
        }
        value
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let wiring = ["tx-pin", "rx-pin"].map(|name| args.node.u32(name));
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Uart { wiring, ..Uart::default() })))
}

impl Component for Uart {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = Uart { wiring: self.wiring, ..state::decode(bytes)? };
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.bank.inspect();
        for (name, count) in [("receive FIFO", self.fifo.len()), ("waiting on the line", self.backlog.len())]
        {
            fields.push(Field { name: name.to_string(), value: count.to_string() });
        }
        fields
    }
}

impl Peripheral for Uart {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        // What the host has sent is still on its way.
        let backlog = std::mem::take(&mut self.backlog);
        *self = Uart { backlog, line_free: ctx.now(), wiring: self.wiring, ..Uart::default() };
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::STARTRX => self.start_rx(block, ctx),
            task::STOPRX => self.stop_rx(block, ctx),
            task::STARTTX => self.start_tx(block, ctx),
            task::STOPTX => self.stop_tx(block, ctx),
            task::FLUSHRX => self.flush_rx(block, ctx),
            _ => {
                self.stop_tx(block, ctx);
                self.stop_rx(block, ctx);
            }
        }
        self.plan(ctx);
    }

    fn read(&mut self, block: &mut Block, ctx: &mut Ctx, at: At) -> Option<u32> {
        let value = match self.bank.at(at.offset)? {
            Rxd => self.read_rxd(block, ctx),
            register => self.bank.read(register),
        };
        self.plan(ctx);
        Some(value)
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match self.bank.at(at.offset)? {
            Txd => {
                self.behind = Some(value as u8);
                self.transmit(ctx);
            }
            register => drop(self.bank.write(register, value)),
        }
        self.plan(ctx);
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        match token {
            token::SENT => self.sent(block, ctx),
            token::ARRIVED => self.arrived(block, ctx),
            _ => block.raise(ctx, event::RXTO),
        }
        self.plan(ctx);
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, _block: &mut Block, ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            if self.backlog.is_empty() {
                self.line_free = self.line_free.max(ctx.now().saturating_add(self.character_time()));
            }
            self.backlog.extend(bytes);
            self.plan(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    fn bench(what: u32) -> Bench<Nordic<Uart>> {
        let mut bench = Bench::new(Nordic::new(0x4000_2000, &LAYOUT, Uart::default()));
        for (offset, value) in [(0x500, what), (0x50c, 6), (0x514, 8), (0x524, 0x1000_0000)] {
            bench.write32(offset, value);
        }
        bench
    }

    #[test]
    fn a_line_is_at_its_pins() {
        let mut bench = bench(UART);
        bench.device.model.wiring = [Some(6), Some(8)];
        bench.write32(task::STARTTX.into(), 1);
        bench.write32(task::STARTRX.into(), 1);
        for (txd, sent) in [(6, &b"x"[..]), (7, b""), (6 | 1 << 5, b""), (u32::MAX, b""), (6, b"x")] {
            bench.write32(0x50c, txd);
            bench.write32(0x51c, b'x'.into());
            bench.advance(Time::from_ms(1));
            assert_eq!(bench.serial(), sent, "{txd:#x}");
        }
        assert_eq!(bench.services.unimplemented.values().sum::<u64>(), 2, "a line that is off is no mistake");
        bench.write32(0x514, 9);
        bench.input(HostInput::Serial(b"y".to_vec()));
        bench.advance(Time::from_ms(1));
        assert!(!take(&mut bench, event::RXDRDY));
        bench.write32(0x514, 8);
        bench.advance(Time::from_ms(1));
        assert!(take(&mut bench, event::RXDRDY));
        bench.check_save_restore();
    }

    fn run(bench: &mut Bench<Nordic<Uart>>, task: u32) {
        bench.write32(task.into(), 1);
    }

    /// Whether an event was generated; clears it.
    fn take(bench: &mut Bench<Nordic<Uart>>, event: u32) -> bool {
        let set = bench.read32(event.into()) != 0;
        bench.write32(event.into(), 0);
        set
    }

    #[test]
    fn uart_sends_a_character_in_its_time() {
        let mut bench = bench(UART);
        bench.write32(0x304, 1 << 7);
        run(&mut bench, task::STARTTX);
        bench.write32(0x51c, 0x41);
        bench.write32(0x51c, 0x42);
        bench.advance(Time::from_ns(9_999));
        assert!(!bench.line(0) && bench.serial().is_empty());
        bench.advance(Time::from_ns(1));
        assert!(bench.line(0));
        assert_eq!(bench.serial(), b"A");
        bench.advance(Time::from_us(10));
        assert_eq!(bench.serial(), b"B");
        bench.write32(0x56c, 0x1e);
        bench.write32(0x50c, u32::MAX);
        take(&mut bench, event::TXDRDY);
        bench.write32(0x51c, 0x43);
        bench.advance(Time::from_us(11));
        assert!(!take(&mut bench, event::TXDRDY), "twelve bits with parity and two stop bits");
        bench.advance(Time::from_us(1));
        assert!(take(&mut bench, event::TXDRDY) && bench.serial().is_empty(), "it leads nowhere");
    }

    #[test]
    fn uart_receives_through_its_fifo() {
        let mut bench = bench(UART);
        bench.input(HostInput::Serial(b"12345678".to_vec()));
        bench.advance(Time::from_ms(1));
        assert!(!take(&mut bench, event::RXDRDY), "not started");
        run(&mut bench, task::STARTRX);
        bench.advance(Time::from_ms(1));
        assert_eq!(bench.device.model.fifo.len(), 6);
        let mut got = Vec::new();
        for _ in 0..100 {
            bench.advance(Time::from_us(10));
            if take(&mut bench, event::RXDRDY) {
                got.push(bench.read32(0x518) as u8);
            }
        }
        assert_eq!(got, b"12345678");
        run(&mut bench, task::STOPRX);
        bench.advance(Time::from_us(50));
        assert!(take(&mut bench, event::RXTO));
        bench.check_save_restore();
    }

    #[test]
    fn uarte_sends_a_buffer() {
        let mut bench = bench(UARTE);
        bench.services.memory.write(RAM + 0x100, b"hello").expect("RAM");
        bench.write32(0x544, RAM as u32 + 0x100);
        bench.write32(0x548, 5);
        run(&mut bench, task::STARTTX);
        assert!(take(&mut bench, event::TXSTARTED) && !take(&mut bench, event::ENDTX));
        bench.advance(Time::from_us(49));
        assert!(!take(&mut bench, event::ENDTX));
        bench.advance(Time::from_us(1));
        assert!(take(&mut bench, event::ENDTX));
        assert_eq!((bench.serial(), bench.read32(0x54c)), (b"hello".to_vec(), 5));
        run(&mut bench, task::STARTTX);
        bench.advance(Time::from_us(15));
        run(&mut bench, task::STOPTX);
        assert!(!take(&mut bench, event::TXSTOPPED));
        bench.advance(Time::from_us(5));
        assert!(take(&mut bench, event::ENDTX) && take(&mut bench, event::TXSTOPPED));
        assert_eq!((bench.serial(), bench.read32(0x54c)), (b"he".to_vec(), 2));
        run(&mut bench, task::STOPTX);
        assert!(take(&mut bench, event::TXSTOPPED) && !take(&mut bench, event::ENDTX));
    }

    #[test]
    fn uarte_receives_into_buffers() {
        let mut bench = bench(UARTE);
        let place = |bench: &mut Bench<Nordic<Uart>>, offset: u32, size: u32| {
            bench.write32(0x534, RAM as u32 + offset);
            bench.write32(0x538, size);
        };
        place(&mut bench, 0, 4);
        run(&mut bench, task::STARTRX);
        place(&mut bench, 0x10, 8);
        bench.write32(0x200, 1 << 5);
        bench.input(HostInput::Serial(b"abcdefgh".to_vec()));
        bench.advance(Time::from_us(40));
        assert!(take(&mut bench, event::ENDRX));
        assert_eq!(bench.read32(0x53c), 4);
        bench.write32(0x200, 0);
        bench.advance(Time::from_us(20));
        run(&mut bench, task::STOPRX);
        assert!(take(&mut bench, event::ENDRX) && !take(&mut bench, event::RXTO));
        assert_eq!(bench.read32(0x53c), 2);
        let mut memory = [0; 0x12];
        bench.services.memory.read(RAM, &mut memory).expect("RAM");
        assert_eq!((&memory[..4], &memory[0x10..]), (&b"abcd"[..], &b"ef"[..]));
        bench.advance(Time::from_us(50));
        assert!(take(&mut bench, event::RXTO));
        run(&mut bench, task::FLUSHRX);
        assert!(take(&mut bench, event::ENDRX) && bench.read32(0x53c) == 2);
    }

    #[test]
    fn what_comes_between_buffers_waits_in_the_fifo() {
        let mut bench = bench(UARTE);
        bench.write32(0x534, RAM as u32);
        bench.write32(0x538, 1);
        run(&mut bench, task::STARTRX);
        bench.input(HostInput::Serial(b"abcdefgh".to_vec()));
        bench.advance(Time::from_us(200));
        assert_eq!(bench.device.model.fifo, *b"bcde");
        bench.write32(0x538, 8);
        run(&mut bench, task::STARTRX);
        bench.advance(Time::from_us(200));
        let mut memory = [0; 7];
        bench.services.memory.read(RAM, &mut memory).expect("RAM");
        assert_eq!(memory, *b"bcdefgh");
        // EasyDMA does not reach beyond RAM.
        bench.write32(0x534, 0x100);
        run(&mut bench, task::STARTRX);
        bench.input(HostInput::Serial(b"x".to_vec()));
        bench.advance(Time::from_us(20));
        assert_eq!(bench.services.complaints.len(), 1);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench(if u.arbitrary()? { UART } else { UARTE });
            bench.torture(&bytes, 0x570);
            assert!(bench.device.model.fifo.len() <= 6);
            bench.check_save_restore();
            Ok(())
        });
    }
}
