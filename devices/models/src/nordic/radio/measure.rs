//! Measurements of the channel, and the bit counter.

use super::*;

impl State {
    pub(super) fn measure(&mut self, ctx: &mut Ctx, what: Measuring) {
        if self.mode != Mode::RxIdle {
            ctx.complain(format!("a measurement in state {:?} does nothing", self.mode));
            return;
        }
        let rounds = match what {
            Measuring::Energy => u64::from(self.regs[Radio::Edcnt]) + 1,
            Measuring::Channel => 1,
        };
        self.mode = Mode::Rx;
        self.measuring = Some((what, ctx.now()));
        ctx.schedule_in(MEASURE, Time(timing::EIGHT_SYMBOLS.0.saturating_mul(rounds)));
    }

    pub(super) fn measured(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let Some((what, since)) = self.measuring.take() else { return };
        self.mode = Mode::RxIdle;
        let (phy, frequency, now) = (self.phy(), self.frequency, ctx.now());
        let level = energy_level(self.heard.energy(frequency, phy, since, now));
        if what == Measuring::Energy {
            self.regs[Radio::Edsample] = level.into();
            block.raise(ctx, event::EDEND);
            return;
        }
        let control = self.regs[Radio::Ccactrl];
        let energy = u32::from(level) >= control >> 8 & 0xff;
        let carrier = self.heard.carrier(frequency, phy, since, now);
        let busy = match control & 7 {
            1 => carrier,
            2 => carrier && energy,
            3 => carrier || energy,
            _ => energy,
        };
        block.raise(ctx, if busy { event::CCABUSY } else { event::CCAIDLE });
    }

    pub(super) fn stop_measuring(&mut self, block: &mut Block, ctx: &mut Ctx, what: Measuring, stopped: u32) {
        if self.measuring.is_some_and(|(running, _)| running == what) {
            self.drop_packet(ctx);
            self.mode = Mode::RxIdle;
            block.raise(ctx, stopped);
        }
    }

    /// Bits behind the address that have passed, and when the event for `count` of them is due.
    pub(super) fn bit_clock(&self, now: Time, count: u32) -> Option<(u32, Time)> {
        if let Some(lock) = &self.lock {
            return Some((lock.passed(now), lock.event(count)));
        }
        let frame = self.sending.as_ref()?;
        let chain = timing::of(frame.phy).tx_chain;
        let since = now.saturating_add(chain).saturating_sub(frame.data_bit(0));
        let passed = u32::try_from(since.0 / frame.phy.bit().0).unwrap_or(u32::MAX);
        Some((passed, frame.data_bit(count).saturating_sub(chain)))
    }

    pub(super) fn schedule_bit_counter(&mut self, ctx: &mut Ctx) {
        let Some(start) = self.bit_counter else { return };
        let target = start.saturating_add(self.regs[Radio::Bcc]);
        match self.bit_clock(ctx.now(), target) {
            Some((_, at)) if at >= ctx.now() => ctx.schedule(BIT, at),
            _ => ctx.cancel(BIT),
        }
    }
}

/// A power as EDSAMPLE has it.
pub(super) fn energy_level(dbm: i32) -> u8 {
    dbm.saturating_sub(ED_OFFSET).clamp(0, 255) as u8
}
