//! The RADIO: 2.4 GHz radio.
//!
//! Follows the product specifications of the nRF52832 (v1.4, chapter 23) and nRF52840 (v1.7, section 6.20), and the
//! nRF51 Series Reference Manual (v3.0, chapter 17): Bluetooth LE 1M, 2M and Coded, IEEE 802.15.4, Nordic's own modes.
//!
//! Nothing ticks: a packet is read from RAM and published when START runs, ahead of its first bit by the transmit chain's
//! delay; from then on every event has its time. A receiver knows the frames near it ahead in the same way, so that
//! ADDRESS, PAYLOAD, END and what lies between are scheduled, and damage by other frames is found when it passes.
//! Received bytes are in RAM when the event says so that ends them.
//!
//! Frequency counts at TXEN and RXEN, everything else at START. The interrupt and event numbers are the superset of the
//! three chips'. Left out: direction finding; constant carrier and DTX (nothing is sent in TXIDLE); correlation in CCA,
//! which takes any fitting frame of enough power for a carrier; false synchronisation by noise; the trims at 0x700, which
//! keep what is written.

mod format;
mod measure;
#[cfg(test)]
mod pair_tests;
mod receive;
mod registers;
mod steps;
#[cfg(test)]
mod tests;
mod timing;

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, HostInput, HostOutput, Model, Port,
    RestoreError, Time, state,
};
use devices_radio::{Heard, Key, Phy, Transmission};
use format::{Format, Setup};
use receive::Lock;
use registers::{LAYOUT, Radio, device_address, event, task};
use serde::{Deserialize, Serialize};
use timing::Timing;

/// The RADIO of the nRF51 and nRF52 series.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-radio"],
    summary: "Nordic RADIO, 2.4 GHz: Bluetooth LE, IEEE 802.15.4, proprietary",
    rom: &[],
    ram: &[],
    build,
};

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    const POSITION: &str = "hyperemu,radio-position";
    let base = base_address(args)?;
    let position = match args.node.cells(POSITION).as_deref() {
        None => [0; 3],
        Some(&[x, y, z]) => [x, y, z].map(|cell| cell as i32),
        Some(_) => return Err(BuildError::property(POSITION, "expected <x y z>, in millimetres")),
    };
    Ok(Box::new(Nordic::new(base, &LAYOUT, RadioModel { position, state: State::default() })))
}

/// What STATE reads.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Mode {
    #[default]
    Disabled = 0,
    RxRu = 1,
    RxIdle = 2,
    Rx = 3,
    RxDisable = 4,
    TxRu = 9,
    TxIdle = 10,
    Tx = 11,
    TxDisable = 12,
}

/// What happens to a packet on its way, in this order where two happen at once.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
enum Step {
    Sync,
    Address,
    RateBoost,
    Header,
    DeviceMatch,
    MhrMatch,
    Payload,
    End,
}

/// What a receiver measures.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Measuring {
    Energy,
    Channel,
}

/// Ramps, and the steps of a packet.
const STEP: u32 = 0;
/// The bit counter.
const BIT: u32 = 1;
const RSSI: u32 = 2;
const MEASURE: u32 = 3;
const PHYEND: u32 = 4;
/// A TXEN or RXEN that waits for TIFS.
const TIFS: u32 = 5;

/// Of EDSAMPLE and CCAEDTHRES: zero stands for so many dBm.
const ED_OFFSET: i32 = -92;

const TRIMS: std::ops::Range<u64> = 0x700..0x800;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    regs: Bank<Radio>,
    trims: Vec<u32>,
    mode: Mode,
    /// Of TXEN or RXEN, in MHz.
    frequency: u16,
    /// Of START.
    format: Option<Format>,
    /// PACKETPTR of START.
    packet: u32,
    /// The steps to come, by time.
    plan: Vec<(Time, Step)>,
    sending: Option<Transmission>,
    /// Frames sent.
    seq: u64,
    /// When it started to listen.
    listening: Time,
    /// The frame whose address comes next, and the last one that could not be taken.
    candidate: Option<Key>,
    refused: Option<(Time, Key)>,
    lock: Option<Lock>,
    measuring: Option<(Measuring, Time)>,
    /// The bit behind the address at which the counter started.
    bit_counter: Option<u32>,
    /// When TXEN or RXEN may run after the coming DISABLED; when it ran if that is now.
    tifs: Option<Time>,
    disabled_at: Option<Time>,
    delayed: Option<u32>,
    heard: Heard,
}

impl Default for State {
    fn default() -> State {
        State {
            regs: Bank::default(),
            trims: vec![0; 64],
            mode: Mode::Disabled,
            frequency: 2402,
            format: None,
            packet: 0,
            plan: Vec::new(),
            sending: None,
            seq: 0,
            listening: Time::ZERO,
            candidate: None,
            refused: None,
            lock: None,
            measuring: None,
            bit_counter: None,
            tifs: None,
            disabled_at: None,
            delayed: None,
            heard: Heard::default(),
        }
    }
}

/// See the module.
pub struct RadioModel {
    /// In millimetres.
    position: [i32; 3],
    state: State,
}

impl State {
    fn phy(&self) -> Phy {
        format::phy(self.regs[Radio::Mode]).unwrap_or(Phy::Nordic1M)
    }

    fn timing(&self) -> Timing {
        timing::of(self.phy())
    }

    fn fast(&self) -> bool {
        self.regs[Radio::Modecnf0] & 1 != 0
    }

    fn ramp_up(&self, tx: bool) -> Time {
        let timing = self.timing();
        match tx {
            _ if self.fast() => timing.fast,
            true => timing.tx_ramp_up,
            false => timing.rx_ramp_up,
        }
    }

    fn format(&self) -> Option<Format> {
        Format::new(&Setup {
            mode: self.regs[Radio::Mode],
            pcnf0: self.regs[Radio::Pcnf0],
            pcnf1: self.regs[Radio::Pcnf1],
            crccnf: self.regs[Radio::Crccnf],
            crcpoly: self.regs[Radio::Crcpoly],
            crcinit: self.regs[Radio::Crcinit],
            whitening: self.regs[Radio::Datawhiteiv],
        })
    }

    /// Logical address `n`, or the frame delimiter of 802.15.4, with its length in bits.
    fn address(&self, n: u32) -> (u64, u32) {
        if self.phy() == Phy::Ieee802154 {
            return (self.regs[Radio::Sfd].into(), 8);
        }
        let base = if n == 0 { Radio::Base0 } else { Radio::Base1 };
        let prefix = if n < 4 { Radio::Prefix0 } else { Radio::Prefix1 };
        let prefix = self.regs[prefix] >> ((n & 3) * 8);
        format::address(self.regs[base], prefix as u8, self.regs[Radio::Pcnf1])
    }

    /// The logical address that a receiver finds in a frame.
    fn matching(&self, frame: &Transmission) -> Option<u32> {
        let sync = (frame.sync, frame.sync_bits);
        if self.phy() == Phy::Ieee802154 {
            return (self.address(0) == sync).then_some(0);
        }
        let enabled = self.regs[Radio::Rxaddresses];
        (0..8).find(|&n| enabled >> n & 1 != 0 && self.address(n) == sync)
    }

    fn schedule(&mut self, ctx: &mut Ctx) {
        match self.plan.first() {
            Some((at, _)) => ctx.schedule(STEP, *at),
            None => ctx.cancel(STEP),
        }
    }

    fn plan(&mut self, ctx: &mut Ctx, steps: impl IntoIterator<Item = (Time, Step)>) {
        self.plan.extend(steps);
        self.plan.sort_unstable();
        self.schedule(ctx);
    }

    /// Forgets the packet under way.
    fn drop_packet(&mut self, ctx: &mut Ctx) {
        self.plan.clear();
        self.candidate = None;
        self.lock = None;
        self.measuring = None;
        self.bit_counter = None;
        [STEP, BIT, MEASURE].iter().for_each(|token| ctx.cancel(*token));
    }

    /// The sender stops: what has not left the antenna stays away.
    fn abort(&mut self, ctx: &mut Ctx) {
        let Some(mut frame) = self.sending.take() else { return };
        let at = ctx.now().saturating_add(timing::of(frame.phy).tx_chain).max(frame.start);
        if at < frame.end() {
            frame.aborted = Some(at);
            ctx.output(HostOutput::Radio(Box::new(frame)));
        }
    }

    fn enable(&mut self, ctx: &mut Ctx, task: u32) {
        if !matches!(self.mode, Mode::Disabled | Mode::RxIdle | Mode::TxIdle) {
            let name = if task == task::TXEN { "TXEN" } else { "RXEN" };
            ctx.complain(format!("{name} in state {:?} does nothing", self.mode));
            return;
        }
        let after_packet = self.disabled_at.take() == Some(ctx.now());
        if let Some(at) = self.tifs.take().filter(|at| after_packet && *at > ctx.now()) {
            self.delayed = Some(task);
            ctx.schedule(TIFS, at);
            return;
        }
        let frequency = self.regs[Radio::Frequency];
        let base = if frequency & 0x100 != 0 { 2360 } else { 2400 };
        self.frequency = base + (frequency & 0x7f) as u16;
        let tx = task == task::TXEN;
        self.mode = if tx { Mode::TxRu } else { Mode::RxRu };
        ctx.schedule_in(STEP, self.ramp_up(tx));
    }

    fn start_tx(&mut self, ctx: &mut Ctx, position: [i32; 3]) {
        let Some(format) = self.format() else {
            ctx.complain("START with a MODE that does not exist");
            return;
        };
        let mut header = vec![0; format.header_bytes() as usize];
        self.packet = self.regs[Radio::Packetptr];
        let read = |ctx: &mut Ctx, at: u32, into: &mut [u8]| {
            if ctx.memory().read(at.into(), into).is_err() {
                ctx.complain("PACKETPTR does not point to memory");
            }
        };
        read(ctx, self.packet, &mut header);
        let mut payload = vec![0; format.header_in_ram(&header).payload as usize];
        read(ctx, self.packet.wrapping_add(header.len() as u32), &mut payload);
        let (sync, sync_bits) = self.address(self.regs[Radio::Txaddress]);
        let chain = timing::of(format.phy).tx_chain;
        let frame = Transmission {
            key: Key { node: 0, seq: self.seq },
            start: ctx.now().saturating_add(chain),
            frequency: self.frequency,
            phy: format.phy,
            preamble: format.preamble,
            sync,
            sync_bits,
            data: format.encode(&header, &payload, sync, sync_bits),
            crc: format.crc,
            whitening: format.whitening,
            high_first: format.high_first,
            power: self.regs[Radio::Txpower] as i8,
            position,
            aborted: None,
        };
        self.seq = self.seq.wrapping_add(1);
        self.mode = Mode::Tx;
        ctx.output(HostOutput::Radio(Box::new(frame.clone())));
        let ahead = |time: Time| time.saturating_sub(chain);
        let payload_end = frame.data_bit(frame.data.len() - format.crc.width);
        let steps = [
            (ahead(frame.sync_end()), Step::Address),
            (ahead(payload_end), Step::Payload),
            (ahead(frame.end()), Step::End),
        ];
        self.sending = Some(frame);
        self.format = Some(format);
        self.plan(ctx, steps);
    }

    fn start_rx(&mut self, ctx: &mut Ctx) {
        let Some(format) = self.format() else {
            ctx.complain("START with a MODE that does not exist");
            return;
        };
        self.mode = Mode::Rx;
        self.packet = self.regs[Radio::Packetptr];
        self.regs[Radio::Crcstatus] = 0;
        self.regs[Radio::Pdustat] = 0;
        self.listening = ctx.now();
        self.refused = None;
        self.format = Some(format);
        self.search(ctx);
    }

    /// Looks for the next frame to synchronise to.
    fn search(&mut self, ctx: &mut Ctx) {
        if self.mode != Mode::Rx || self.lock.is_some() || self.measuring.is_some() {
            return;
        }
        let now = ctx.now();
        let phy = self.phy();
        let sync_at = |frame: &Transmission| frame.sync_end().saturating_add(timing::of(frame.phy).rx_chain);
        let next = self.heard.iter().filter(|arrival| {
            let frame = &arrival.frame;
            // Half the preamble is enough to settle the gain.
            let settled = frame.start.saturating_add(Time(frame.preamble.0 / 2));
            !arrival.lost
                && frame.frequency == self.frequency
                && frame.phy.fits(phy)
                && settled >= self.listening
                && sync_at(frame) >= now
                && self.refused.is_none_or(|refused| (sync_at(frame), frame.key) > refused)
                && self.matching(frame).is_some()
        });
        let next = next.map(|arrival| &arrival.frame).min_by_key(|frame| (sync_at(frame), frame.key));
        self.plan.clear();
        self.candidate = next.map(|frame| frame.key);
        if let Some(frame) = next {
            let at = sync_at(frame);
            let preamble =
                frame.start.saturating_add(frame.preamble).saturating_add(timing::of(frame.phy).rx_chain);
            if (phy.is_coded() || phy == Phy::Ieee802154) && preamble > now {
                self.plan.push((preamble, Step::Sync));
            }
            self.plan.push((at, Step::Address));
        }
        self.schedule(ctx);
    }
}

impl Component for RadioModel {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let state: State = state::decode(bytes)?;
        if state.trims.len() != self.state.trims.len() {
            return Err(RestoreError(format!("{} trims, not {}", state.trims.len(), self.state.trims.len())));
        }
        self.state = state;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.state.regs.inspect();
        fields.push(Field { name: "state".into(), value: format!("{:?}", self.state.mode) });
        fields
    }
}

impl Peripheral for RadioModel {
    fn reset(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        let state = &mut self.state;
        state.abort(ctx);
        // What others send goes on, and a frame's number is never used twice.
        *state = State { seq: state.seq, heard: std::mem::take(&mut state.heard), ..State::default() };
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        let state = &mut self.state;
        match task {
            task::TXEN | task::RXEN => state.enable(ctx, task),
            task::START => match state.mode {
                Mode::TxIdle => state.start_tx(ctx, self.position),
                Mode::RxIdle => state.start_rx(ctx),
                mode => ctx.complain(format!("START in state {mode:?} does nothing")),
            },
            task::STOP => {
                state.abort(ctx);
                match state.mode {
                    Mode::Tx => state.mode = Mode::TxIdle,
                    Mode::Rx => state.mode = Mode::RxIdle,
                    _ => return,
                }
                state.drop_packet(ctx);
            }
            task::DISABLE => state.disable(block, ctx),
            task::RSSISTART => match state.mode {
                Mode::Rx | Mode::RxIdle => ctx.schedule_in(RSSI, timing::RSSI),
                mode => ctx.complain(format!("RSSISTART in state {mode:?} does nothing")),
            },
            task::RSSISTOP => ctx.cancel(RSSI),
            task::BCSTART => {
                let passed = state.bit_clock(ctx.now(), 0).map_or(0, |(passed, _)| passed);
                state.bit_counter = Some(passed);
                state.schedule_bit_counter(ctx);
            }
            task::BCSTOP => {
                state.bit_counter = None;
                ctx.cancel(BIT);
            }
            task::EDSTART => state.measure(ctx, Measuring::Energy),
            task::EDSTOP => state.stop_measuring(block, ctx, Measuring::Energy, event::EDSTOPPED),
            task::CCASTART => state.measure(ctx, Measuring::Channel),
            task::CCASTOP => state.stop_measuring(block, ctx, Measuring::Channel, event::CCASTOPPED),
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        if TRIMS.contains(&at.offset) {
            return self.state.trims.get((at.offset - TRIMS.start) as usize / 4).copied();
        }
        match self.state.regs.at(at.offset)? {
            Radio::State => Some(self.state.mode as u32),
            register => Some(self.state.regs.read(register)),
        }
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        if TRIMS.contains(&at.offset) {
            *self.state.trims.get_mut((at.offset - TRIMS.start) as usize / 4)? = value;
            return Some(());
        }
        let register = self.state.regs.at(at.offset)?;
        self.state.regs.write(register, value);
        if register == Radio::Bcc {
            self.state.schedule_bit_counter(ctx);
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        let state = &mut self.state;
        match token {
            STEP => match state.mode {
                Mode::TxRu => {
                    state.mode = Mode::TxIdle;
                    block.raise(ctx, event::READY);
                    block.raise(ctx, event::TXREADY);
                }
                Mode::RxRu => {
                    state.mode = Mode::RxIdle;
                    block.raise(ctx, event::READY);
                    block.raise(ctx, event::RXREADY);
                }
                Mode::TxDisable | Mode::RxDisable => {
                    state.mode = Mode::Disabled;
                    state.disabled_at = Some(ctx.now());
                    block.raise(ctx, event::DISABLED);
                }
                Mode::Tx | Mode::Rx => state.step(block, ctx),
                Mode::Disabled | Mode::RxIdle | Mode::TxIdle => {}
            },
            BIT => {
                let start = state.bit_counter.unwrap_or(0);
                state.store(ctx, start.saturating_add(state.regs[Radio::Bcc]));
                block.raise(ctx, event::BCMATCH);
            }
            RSSI => {
                let since = ctx.now().saturating_sub(timing::RSSI);
                let power = state.heard.energy(state.frequency, state.phy(), since, ctx.now());
                state.regs[Radio::Rssisample] = power.saturating_neg().clamp(0, 127) as u32;
                block.raise(ctx, event::RSSIEND);
            }
            MEASURE => state.measured(block, ctx),
            PHYEND => block.raise(ctx, event::PHYEND),
            TIFS => {
                if let Some(task) = state.delayed.take() {
                    state.enable(ctx, task);
                }
            }
            _ => {}
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Radio)
    }

    fn host_input(&mut self, _block: &mut Block, ctx: &mut Ctx, input: &HostInput) {
        /// Longer than any frame.
        const KEPT: Time = Time::from_ms(50);
        let HostInput::Radio(arrival) = input else { return };
        self.state.heard.forget(ctx.now().saturating_sub(KEPT));
        self.state.heard.add((**arrival).clone());
        self.state.search(ctx);
    }
}
