//! A packet on its way: each event of it at its time, and what it leaves in RAM.

use super::measure::energy_level;
use super::*;

impl State {
    /// The next step of a packet under way.
    pub(super) fn step(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let due = self.plan.first().is_some_and(|(at, _)| *at <= ctx.now());
        if !due {
            self.schedule(ctx);
            return;
        }
        let (_, step) = self.plan.remove(0);
        self.schedule(ctx);
        if self.mode == Mode::Tx {
            self.tx_step(block, ctx, step);
        } else {
            self.rx_step(block, ctx, step);
        }
    }

    pub(super) fn tx_step(&mut self, block: &mut Block, ctx: &mut Ctx, step: Step) {
        match step {
            Step::Address => {
                block.raise(ctx, event::ADDRESS);
                block.raise(ctx, event::FRAMESTART);
            }
            Step::Payload => block.raise(ctx, event::PAYLOAD),
            Step::End => {
                let chain = self.sending.take().map_or(Time::ZERO, |frame| timing::of(frame.phy).tx_chain);
                self.drop_packet(ctx);
                self.mode = Mode::TxIdle;
                let early = self.ramp_up(false).saturating_add(timing::RX_MARGIN);
                self.prepare_tifs(block, ctx.now().saturating_add(chain), early);
                ctx.schedule_in(PHYEND, chain);
                block.raise(ctx, event::END);
            }
            _ => {}
        }
    }

    /// With these shorts the hardware keeps the time between packets: the next TXEN or RXEN is `early` before it is up.
    pub(super) fn prepare_tifs(&mut self, block: &Block, air_end: Time, early: Time) {
        const DISABLE: u32 = 1 << 1 | 1 << 20;
        const ENABLE: u32 = 1 << 2 | 1 << 3;
        let shorts = block.shorts();
        let span = Time::from_us(self.regs[Radio::Tifs].into());
        let used = shorts & DISABLE != 0 && shorts & ENABLE != 0 && !self.fast() && span > Time::ZERO;
        self.tifs = used.then(|| air_end.saturating_add(span).saturating_sub(early));
    }

    pub(super) fn rx_step(&mut self, block: &mut Block, ctx: &mut Ctx, step: Step) {
        match step {
            Step::Sync => block.raise(ctx, event::SYNC),
            Step::Address => self.address_step(block, ctx),
            Step::RateBoost => block.raise(ctx, event::RATEBOOST),
            Step::Header => self.header_step(block, ctx),
            Step::DeviceMatch => self.device_match_step(block, ctx),
            Step::MhrMatch => {
                let bytes = self.store(ctx, 8 + 32);
                let header =
                    bytes.get(1..5).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes);
                if (header ^ self.regs[Radio::Mhrmatchconf]) & self.regs[Radio::Mhrmatchmas] == 0 {
                    block.raise(ctx, event::MHRMATCH);
                }
            }
            Step::Payload => {
                self.store(ctx, u32::MAX);
                block.raise(ctx, event::PAYLOAD);
            }
            Step::End => self.end_step(block, ctx),
        }
    }

    pub(super) fn address_step(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let Some(arrival) = self.candidate.take().and_then(|key| self.heard.get(key)) else {
            self.search(ctx);
            return;
        };
        let frame = &arrival.frame;
        let (key, phy, sync_end) = (frame.key, frame.phy, frame.sync_end());
        let settled = frame.start.saturating_add(Time(frame.preamble.0 / 2));
        let chain = timing::of(phy).rx_chain;
        let matching = self.matching(frame).filter(|_| self.heard.damage(key, settled, sync_end).is_empty());
        let Some(matching) = matching else {
            self.refused = Some((sync_end.saturating_add(chain), key));
            self.search(ctx);
            return;
        };
        let (sync, sync_bits) = (frame.sync, frame.sync_bits);
        let lock = Lock { key, phy, chain, sync_end, sync, sync_bits, header: None };
        self.regs[Radio::Rxmatch] = matching;
        self.regs[Radio::Pdustat] = if phy == Phy::BleCodedS2 { 1 << 1 } else { 0 };
        let header = self.format.as_ref().map_or(0, Format::header_bits);
        let boost = (phy == Phy::BleCodedS2).then(|| (lock.event(0), Step::RateBoost));
        let steps = [(lock.event(header), Step::Header)].into_iter().chain(boost);
        self.lock = Some(lock);
        self.plan(ctx, steps);
        block.raise(ctx, event::ADDRESS);
        if phy != Phy::Ieee802154 {
            block.raise(ctx, event::FRAMESTART);
        }
    }

    pub(super) fn header_step(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let (Some(format), Some(lock)) = (&self.format, &mut self.lock) else { return };
        let bits = lock.received(&self.heard, format, format.header_bits());
        let header = format.header_on_air(&bits);
        lock.header = Some(header);
        let end = format.payload_end(header.payload);
        let all = format.bits(header.payload);
        let terminator = Time(if lock.phy.is_coded() { 3 * lock.phy.bit().0 } else { 0 });
        let ieee = lock.phy == Phy::Ieee802154;
        let mut steps =
            vec![(lock.event(end), Step::Payload), (lock.event(all).saturating_add(terminator), Step::End)];
        if self.regs[Radio::Dacnf] & 0xff != 0 && end >= 16 + 48 {
            steps.push((lock.event(16 + 48), Step::DeviceMatch));
        }
        if ieee && end >= 8 + 32 {
            steps.push((lock.event(8 + 32), Step::MhrMatch));
        }
        self.regs[Radio::Pdustat] |= u32::from(header.too_long);
        self.store(ctx, 0);
        self.plan(ctx, steps);
        if ieee {
            block.raise(ctx, event::FRAMESTART);
        }
    }

    /// Puts the first `count` bits of the packet (or its header, or what there is) into RAM, and gives their bytes.
    pub(super) fn store(&mut self, ctx: &mut Ctx, count: u32) -> Vec<u8> {
        let (Some(format), Some(lock)) = (&self.format, &self.lock) else { return Vec::new() };
        let header = format.header_bits();
        let end = lock.header.map_or(header, |header| format.payload_end(header.payload));
        let count = if lock.header.is_some() { count.max(header) } else { count };
        let count = count.min(end);
        let bytes = format.to_ram(&lock.received(&self.heard, format, count), count);
        self.write(ctx, self.packet, &bytes);
        bytes
    }

    pub(super) fn write(&self, ctx: &mut Ctx, at: u32, bytes: &[u8]) {
        if ctx.memory().write(at.into(), bytes).is_err() {
            ctx.complain("PACKETPTR does not point to RAM");
        }
    }

    /// Compares the six bytes behind a header of two with the enabled device addresses.
    pub(super) fn device_match_step(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.store(ctx, 16 + 48);
        let (Some(format), Some(lock)) = (&self.format, &self.lock) else { return };
        let air = lock.received(&self.heard, format, 16 + 48);
        let address = (16..64).fold(0, |value, n| value | u64::from(air.get(n).unwrap_or(false)) << (n - 16));
        // TxAdd, the seventh bit of the header.
        let random = u32::from(air.get(6).unwrap_or(false));
        let enabled = self.regs[Radio::Dacnf];
        let found = (0..8).find(|&n| {
            enabled >> n & 1 != 0
                && enabled >> (n + 8) & 1 == random
                && device_address(&self.regs, n) == address
        });
        match found {
            Some(n) => {
                self.regs[Radio::Dai] = n as u32;
                block.raise(ctx, event::DEVMATCH);
            }
            None => block.raise(ctx, event::DEVMISS),
        }
    }

    pub(super) fn end_step(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let (Some(format), Some(lock)) = (&self.format, &self.lock) else { return };
        let header = lock.header.unwrap_or_default();
        let bits = lock.received(&self.heard, format, format.bits(header.payload));
        let (check, right) = format.checked(&bits, header.payload, lock.sync, lock.sync_bits);
        let right = right && !header.too_long;
        let air_end = ctx.now().saturating_sub(lock.chain);
        if lock.phy == Phy::Ieee802154 {
            // The link quality stands behind the payload.
            let power = self.heard.get(lock.key).map_or(ED_OFFSET, |arrival| arrival.power);
            let at = self.packet.wrapping_add(format.header_bytes()).wrapping_add(header.payload);
            self.write(ctx, at, &[energy_level(power)]);
        }
        self.regs[Radio::Rxcrc] = check;
        self.regs[Radio::Crcstatus] = right.into();
        self.drop_packet(ctx);
        self.mode = Mode::RxIdle;
        let early = self.ramp_up(true).saturating_add(self.timing().tx_chain);
        self.prepare_tifs(block, air_end, early);
        block.raise(ctx, if right { event::CRCOK } else { event::CRCERROR });
        block.raise(ctx, event::PHYEND);
        block.raise(ctx, event::END);
    }

    pub(super) fn disable(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.delayed = None;
        ctx.cancel(TIFS);
        self.abort(ctx);
        let down = match self.mode {
            Mode::TxRu | Mode::TxIdle | Mode::Tx => {
                self.mode = Mode::TxDisable;
                self.timing().tx_ramp_down
            }
            Mode::RxRu | Mode::RxIdle | Mode::Rx => {
                self.mode = Mode::RxDisable;
                self.timing().rx_ramp_down
            }
            Mode::Disabled => {
                block.raise(ctx, event::DISABLED);
                return;
            }
            Mode::TxDisable | Mode::RxDisable => return,
        };
        self.drop_packet(ctx);
        ctx.schedule_in(STEP, down);
    }
}
