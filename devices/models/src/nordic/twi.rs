//! The two-wire masters of a serial block: the one of the nRF51, byte by byte, and the one with EasyDMA.
//!
//! A start with its address takes ten bit times, a byte nine, a stop one. Chips see a byte when it ends.

use super::block::Block;
use super::easydma::{fetch, store};
use super::serial::{Registers, event, same};
use devices_core::i2c::I2cBus;
use devices_core::{Ctx, Time};
use serde::{Deserialize, Serialize};

pub const TOKEN: u32 = 2;

/// Of ERRORSRC.
const OVERRUN: u32 = 1;
const ADDRESS_NACK: u32 = 2;
const DATA_NACK: u32 = 4;

/// What is on the wires.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Phase {
    #[default]
    Idle,
    Address,
    Byte,
    /// The clock is held low until software goes on.
    Held,
    Stopping,
}

/// What comes after the byte on the wires.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Next {
    Stop,
    Start(bool),
}

/// A master without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Twi {
    phase: Phase,
    reading: bool,
    /// By EasyDMA: where, how many bytes, and how many are done.
    dma: bool,
    ptr: u32,
    count: u32,
    index: u32,
    next: Option<Next>,
    suspend: bool,
    suspended: bool,
    /// Something was not acknowledged: only a stop or a start helps.
    failed: bool,
    /// Byte by byte: what is to be sent, and what was received and not read.
    txd: Option<u8>,
    rxd: Option<u8>,
    last: u8,
}

fn bits(registers: &Registers, count: u64) -> Time {
    let hz = match registers.frequency {
        0x0198_0000 => 100_000,
        0x0640_0000 | 0x0668_0000 => 400_000,
        value => (u64::from(value) * 16_000_000) >> 32,
    };
    Time::of_tick(count, hz.max(1000))
}

impl Twi {
    /// Switched off: the bus is let go.
    pub fn abort(&mut self, ctx: &mut Ctx, bus: &mut I2cBus) {
        if self.phase != Phase::Idle {
            bus.stop(ctx);
        }
        *self = Twi::default();
        ctx.cancel(TOKEN);
    }

    /// TASKS_STARTRX or TASKS_STARTTX.
    pub fn start(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, read: bool) {
        if matches!(self.phase, Phase::Address | Phase::Byte | Phase::Stopping) {
            self.next = Some(Next::Start(read));
            return;
        }
        self.account(registers);
        self.phase = Phase::Address;
        self.reading = read;
        self.dma = registers.has_dma();
        self.index = 0;
        (self.next, self.suspend, self.suspended, self.failed) = (None, false, false, false);
        if self.dma {
            let dma = if read { &registers.rxd } else { &registers.txd };
            (self.ptr, self.count) = (dma.ptr, dma.maxcnt);
            block.raise(ctx, if read { same::RXSTARTED } else { event::TXSTARTED });
        } else {
            self.rxd = None;
        }
        ctx.schedule_in(TOKEN, bits(registers, 10));
    }

    /// TASKS_STOP.
    pub fn stop(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, bus: &mut I2cBus) {
        match self.phase {
            Phase::Address | Phase::Byte => self.next = Some(Next::Stop),
            Phase::Held => self.begin_stop(ctx, registers, bus),
            Phase::Stopping => {}
            Phase::Idle => block.raise(ctx, event::STOPPED),
        }
    }

    fn begin_stop(&mut self, ctx: &mut Ctx, registers: &mut Registers, bus: &mut I2cBus) {
        self.account(registers);
        (self.suspend, self.suspended) = (false, false);
        self.phase = Phase::Stopping;
        bus.stop(ctx);
        ctx.schedule_in(TOKEN, bits(registers, 1));
    }

    /// TASKS_SUSPEND.
    pub fn suspend(&mut self, ctx: &mut Ctx, block: &mut Block) {
        match self.phase {
            Phase::Address | Phase::Byte => self.suspend = true,
            Phase::Held if !self.suspended => {
                self.suspended = true;
                block.raise(ctx, event::SUSPENDED);
            }
            _ => {}
        }
    }

    /// TASKS_RESUME.
    pub fn resume(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, bus: &mut I2cBus) {
        self.suspend = false;
        if std::mem::take(&mut self.suspended) && self.phase == Phase::Held {
            self.go_on(ctx, block, registers, bus);
        }
    }

    /// A byte for TXD.
    pub fn send(
        &mut self,
        ctx: &mut Ctx,
        block: &mut Block,
        registers: &mut Registers,
        bus: &mut I2cBus,
        byte: u8,
    ) {
        self.txd = Some(byte);
        if self.phase == Phase::Held && !self.reading && !self.suspended {
            self.go_on(ctx, block, registers, bus);
        }
    }

    /// A read of RXD: the next byte may come then.
    pub fn receive(
        &mut self,
        ctx: &mut Ctx,
        block: &mut Block,
        registers: &mut Registers,
        bus: &mut I2cBus,
    ) -> u8 {
        if let Some(byte) = self.rxd.take() {
            self.last = byte;
            if self.phase == Phase::Held && self.reading && !self.suspended {
                self.go_on(ctx, block, registers, bus);
            }
        }
        self.last
    }

    /// The bytes of a transfer by EasyDMA are told.
    fn account(&mut self, registers: &mut Registers) {
        if self.dma {
            let dma = if self.reading { &mut registers.rxd } else { &mut registers.txd };
            dma.done(self.index);
            self.dma = false;
        }
    }

    fn fail(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, why: u32) {
        registers.errorsrc |= why;
        self.failed = true;
        block.raise(ctx, event::ERROR);
    }

    /// Between two bytes: what comes next.
    fn go_on(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, bus: &mut I2cBus) {
        self.phase = Phase::Held;
        match self.next.take() {
            Some(Next::Stop) => return self.begin_stop(ctx, registers, bus),
            Some(Next::Start(read)) => {
                return self.start(ctx, block, registers, read);
            }
            None => {}
        }
        if std::mem::take(&mut self.suspend) {
            self.suspended = true;
            return block.raise(ctx, event::SUSPENDED);
        }
        let more = match (self.dma, self.reading) {
            (true, _) => self.index < self.count,
            (false, true) => self.rxd.is_none(),
            (false, false) => self.txd.is_some(),
        };
        if self.failed || !more {
            return;
        }
        self.phase = Phase::Byte;
        ctx.schedule_in(TOKEN, bits(registers, 9));
        if self.dma && self.index + 1 == self.count {
            block.raise(ctx, if self.reading { event::LASTRX } else { event::LASTTX });
        }
    }

    /// The byte on the wires ends.
    fn byte(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, bus: &mut I2cBus) {
        let address = self.ptr.wrapping_add(self.index);
        self.index = self.index.saturating_add(1);
        if self.reading {
            let byte = bus.read(ctx);
            if self.dma {
                store(ctx, address, &[byte]);
                return;
            }
            if self.rxd.replace(byte).is_some() {
                self.fail(ctx, block, registers, OVERRUN);
            }
            block.raise(ctx, event::BB);
            block.raise(ctx, same::RXDREADY);
            return;
        }
        let mut byte = [self.txd.take().unwrap_or(0)];
        if self.dma {
            fetch(ctx, address, &mut byte);
        }
        if !bus.write(ctx, byte[0]) {
            self.fail(ctx, block, registers, DATA_NACK);
        } else if !self.dma {
            block.raise(ctx, event::TXDSENT);
        }
    }

    /// An event is due.
    pub fn event(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, bus: &mut I2cBus) {
        match self.phase {
            Phase::Address => {
                if !registers.route.twi || !bus.start(ctx, registers.address as u8 & 0x7f, self.reading) {
                    self.fail(ctx, block, registers, ADDRESS_NACK);
                } else if self.dma && self.count == 0 {
                    block.raise(ctx, if self.reading { event::LASTRX } else { event::LASTTX });
                }
            }
            Phase::Byte => self.byte(ctx, block, registers, bus),
            Phase::Stopping => {
                self.phase = Phase::Idle;
                block.raise(ctx, event::STOPPED);
                if let Some(Next::Start(read)) = self.next.take() {
                    self.start(ctx, block, registers, read);
                }
                return;
            }
            Phase::Idle | Phase::Held => return,
        }
        self.go_on(ctx, block, registers, bus);
    }
}
