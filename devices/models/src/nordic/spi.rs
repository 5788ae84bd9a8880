//! The SPI masters of a serial block: the one of the nRF51 with its double-buffered registers, and the one with
//! EasyDMA.
//!
//! A transfer by EasyDMA takes its time as a whole: the chip sees its bytes when it ends, or is stopped.

use super::block::Block;
use super::easydma::{fetch, store};
use super::serial::{Registers, Route, event};
use devices_core::spi::SpiBus;
use devices_core::{Ctx, Time};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bytes that RXD holds until software takes them.
const RECEIVED: usize = 2;
pub const TOKEN_END: u32 = 0;
pub const TOKEN_SHORTER: u32 = 1;

/// A transfer by EasyDMA on its way.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Run {
    /// Addresses and lengths as they were at its start.
    tx: (u32, u32),
    rx: (u32, u32),
    since: Time,
    /// The shorter direction has ended.
    half: bool,
}

/// What is on the wires.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spi {
    run: Option<Run>,
    /// Suspended, with so much of the transfer to come: of the whole, and of the shorter direction.
    suspended: Option<(Time, Time)>,
    shifting: Option<u8>,
    next: Option<u8>,
    received: VecDeque<u8>,
}

/// How long a byte takes.
fn byte_time(registers: &Registers) -> Time {
    let hz = match registers.frequency {
        0x0a00_0000 => 16_000_000,
        0x1400_0000 => 32_000_000,
        value => (u64::from(value) * 125_000) >> 25,
    };
    Time::of_tick(8, hz.max(1000))
}

fn exchange(ctx: &mut Ctx, bus: &mut SpiBus, registers: &Registers, byte: u8) -> u8 {
    let order = |byte: u8| if registers.config & 1 != 0 { byte.reverse_bits() } else { byte };
    let Route { clock, out, back, .. } = registers.route;
    if !clock {
        return 0xff;
    }
    let answer = bus.transfer(ctx, if out { order(byte) } else { 0xff });
    if back { order(answer) } else { 0xff }
}

impl Spi {
    /// Switched off: what is on its way is lost.
    pub fn abort(&mut self, ctx: &mut Ctx) {
        *self = Spi::default();
        ctx.cancel(TOKEN_END);
        ctx.cancel(TOKEN_SHORTER);
    }

    /// A byte for TXD.
    pub fn send(&mut self, ctx: &mut Ctx, registers: &Registers, byte: u8) {
        if self.shifting.is_some() {
            self.next = Some(byte);
        } else {
            self.shifting = Some(byte);
            ctx.schedule_in(TOKEN_END, byte_time(registers));
        }
    }

    /// A read of RXD: it shows the next byte then, if there is one.
    pub fn receive(&mut self, ctx: &mut Ctx, block: &mut Block) -> u8 {
        let byte = self.received.pop_front();
        if !self.received.is_empty() {
            block.raise(ctx, event::READY);
        }
        byte.unwrap_or(0)
    }

    /// TASKS_START.
    pub fn start(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &Registers) {
        if self.run.is_some() {
            ctx.complain("the SPI master was started during a transfer");
            return;
        }
        let (tx, rx) = (&registers.txd, &registers.rxd);
        let (tx, rx) = ((tx.ptr, tx.maxcnt), (rx.ptr, rx.maxcnt));
        self.run = Some(Run { tx, rx, since: ctx.now(), half: tx.1 == rx.1 });
        block.raise(ctx, event::STARTED);
        let byte = byte_time(registers).0;
        let time = |count: u32| Time(byte.saturating_mul(count.into()));
        // Nothing to send takes a moment too.
        ctx.schedule_in(TOKEN_END, time(tx.1.max(rx.1)).max(Time::from_ns(250)));
        if tx.1 != rx.1 {
            ctx.schedule_in(TOKEN_SHORTER, time(tx.1.min(rx.1)));
        }
    }

    /// TASKS_STOP: the byte on the wires is the last.
    pub fn stop(&mut self, ctx: &mut Ctx, block: &mut Block, registers: &mut Registers, bus: &mut SpiBus) {
        if let Some(run) = self.run {
            let elapsed = match self.suspended {
                Some((rest, _)) => self.length(registers).saturating_sub(rest),
                None => ctx.now().saturating_sub(run.since),
            };
            let count = elapsed.0 / byte_time(registers).0.max(1) + 1;
            self.finish(ctx, block, registers, bus, count.min(u32::MAX.into()) as u32);
        }
        block.raise(ctx, event::STOPPED);
    }

    fn length(&self, registers: &Registers) -> Time {
        let count = self.run.map_or(0, |run| run.tx.1.max(run.rx.1));
        Time(byte_time(registers).0.saturating_mul(count.into()))
    }

    /// TASKS_SUSPEND.
    pub fn suspend(&mut self, ctx: &mut Ctx) {
        if self.run.is_some() && self.suspended.is_none() {
            let now = ctx.now();
            let rest = |ctx: &Ctx, token| ctx.due(token).map_or(Time::ZERO, |due| due.saturating_sub(now));
            self.suspended = Some((rest(ctx, TOKEN_END), rest(ctx, TOKEN_SHORTER)));
            ctx.cancel(TOKEN_END);
            ctx.cancel(TOKEN_SHORTER);
        }
    }

    /// TASKS_RESUME.
    pub fn resume(&mut self, ctx: &mut Ctx, registers: &Registers) {
        let (Some((rest, shorter)), length) = (self.suspended.take(), self.length(registers)) else { return };
        let Some(run) = &mut self.run else { return };
        run.since = ctx.now().saturating_sub(length.saturating_sub(rest));
        let half = run.half;
        ctx.schedule_in(TOKEN_END, rest);
        if !half {
            ctx.schedule_in(TOKEN_SHORTER, shorter);
        }
    }

    /// A transfer by EasyDMA is over after at most `most` bytes.
    fn finish(
        &mut self,
        ctx: &mut Ctx,
        block: &mut Block,
        registers: &mut Registers,
        bus: &mut SpiBus,
        most: u32,
    ) {
        let Some(run) = self.run.take() else { return };
        self.suspended = None;
        ctx.cancel(TOKEN_END);
        ctx.cancel(TOKEN_SHORTER);
        let (tx, rx) = (run.tx.1.min(most), run.rx.1.min(most));
        let mut bytes = vec![registers.orc as u8; tx.max(rx) as usize];
        fetch(ctx, run.tx.0, &mut bytes[..tx as usize]);
        for byte in &mut bytes {
            *byte = exchange(ctx, bus, registers, *byte);
        }
        store(ctx, run.rx.0, &bytes[..rx as usize]);
        registers.txd.done(tx);
        registers.rxd.done(rx);
        if run.half && run.tx.1 != run.rx.1 {
            block.raise(ctx, if run.tx.1 > run.rx.1 { event::ENDTX } else { event::ENDRX });
        } else {
            block.raise(ctx, event::ENDTX);
            block.raise(ctx, event::ENDRX);
        }
        block.raise(ctx, event::END);
    }

    /// An event is due.
    pub fn event(
        &mut self,
        ctx: &mut Ctx,
        block: &mut Block,
        registers: &mut Registers,
        bus: &mut SpiBus,
        token: u32,
    ) {
        if let Some(run) = &mut self.run {
            if token == TOKEN_END {
                self.finish(ctx, block, registers, bus, u32::MAX);
            } else if !std::mem::replace(&mut run.half, true) {
                let shorter = if run.tx.1 < run.rx.1 { event::ENDTX } else { event::ENDRX };
                block.raise(ctx, shorter);
            }
            return;
        }
        let Some(byte) = self.shifting.take() else { return };
        let answer = exchange(ctx, bus, registers, byte);
        if self.received.len() < RECEIVED {
            self.received.push_back(answer);
            if self.received.len() == 1 {
                block.raise(ctx, event::READY);
            }
        }
        if let Some(next) = self.next.take() {
            self.send(ctx, registers, next);
        }
    }
}
