//! Two radios on one air, each with a timer and an interconnect as on the chip: the time between their packets.

use super::tests::{ADVERTISEMENT, BASE, END_DISABLE, PACKET, READY_START, SHORTS, ble, radio, registers};
use super::*;
use crate::nordic::ppi::{self, Ppi};
use crate::nordic::timer::{self, TimerModel};
use devices_core::Width;
use devices_core::bench::Bench;
use devices_core::services::Message;
use devices_radio::{Air, Medium};

const TIMER: u32 = 0x4000_9000;
const PPI: u32 = 0x4001_f000;

/// The peripherals that keep a connection's time, as one device: region 0 is the bus.
struct Chip {
    parts: [Box<dyn Device>; 3],
}

impl Chip {
    fn new() -> Chip {
        let timer = Nordic::new(TIMER, &timer::LAYOUT, TimerModel::new(4, 32));
        let ppi = Nordic::new(PPI, &ppi::LAYOUT, Ppi::default());
        Chip { parts: [Box::new(radio()), Box::new(timer), Box::new(ppi)] }
    }
}

impl Component for Chip {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.parts.each_ref().map(|part| part.save()))
    }

    fn restore(&mut self, _bytes: &[u8]) -> Result<(), RestoreError> {
        Err(RestoreError("it is only for tests".into()))
    }
}

impl Device for Chip {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.parts.iter_mut().enumerate().for_each(|(index, part)| part.reset(&mut ctx.child(index)));
    }

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64) {
        let page = at.offset as u32 & !0xfff;
        let index = [BASE, TIMER, PPI].iter().position(|base| *base == page).expect("a part");
        let at = At { offset: at.offset & 0xfff, ..at };
        self.parts[index].write(&mut ctx.child(index), at, width, value);
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        let index = (token / devices_core::ctx::CHILD) as usize - 1;
        self.parts[index].event(&mut ctx.child(index), token % devices_core::ctx::CHILD);
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        self.parts[0].host_input(&mut ctx.child(0), input);
    }
}

/// Two chips, and what is between them.
struct Pair {
    chips: [Bench<Chip>; 2],
    air: Air,
    frames: Vec<Transmission>,
    /// Events of the radios: node, offset of the event register.
    events: Vec<(usize, u32)>,
}

impl Pair {
    fn new(setup: &Setup) -> Pair {
        let mut air = Air::new(0, 0);
        air.place(0, [0; 3]);
        air.place(1, [1000, 0, 0]);
        let chip = || {
            let mut chip = Bench::new(Chip::new());
            for (register, value) in registers(setup) {
                chip.write32(u64::from(BASE) + register, value);
            }
            chip.services.memory.write(PACKET, &ADVERTISEMENT).expect("it is RAM");
            chip
        };
        Pair { chips: [chip(), chip()], air, frames: Vec::new(), events: Vec::new() }
    }

    fn radio(&mut self, node: usize, offset: u64, value: u32) {
        self.chips[node].write32(u64::from(BASE) + offset, value);
    }

    /// Delivers what the parts tell each other, and frames.
    fn settle(&mut self) {
        for (node, chip) in self.chips.iter_mut().enumerate() {
            while let Some((_, message)) = chip.services.messages.pop_front() {
                match message {
                    Message::Published(address) => {
                        if address & !0xfff == BASE {
                            self.events.push((node, address & 0xfff));
                        }
                        chip.call(|chip, ctx| chip.parts[2].published(&mut ctx.child(2), address));
                    }
                    Message::Write(address, value) => chip.write32(address.into(), value),
                }
            }
            for (_, output) in std::mem::take(&mut chip.services.output) {
                let HostOutput::Radio(mut frame) = output else { continue };
                frame.key.node = node as u32;
                self.frames.push((*frame).clone());
                self.air.publish(*frame);
            }
        }
        for (node, chip) in self.chips.iter_mut().enumerate() {
            while let Some(arrival) = self.air.receive(node as u32) {
                chip.input(HostInput::Radio(Box::new(arrival)));
            }
        }
    }

    /// Runs both in the order of their events; `software` sees the events of the radios.
    fn run(&mut self, until: Time, software: &mut dyn FnMut(&mut Pair, usize, u32)) {
        loop {
            self.settle();
            for (node, event) in std::mem::take(&mut self.events) {
                software(self, node, event);
            }
            self.settle();
            let next = self.chips.iter().filter_map(|chip| chip.services.events.next()).min();
            let at = next.unwrap_or(until).min(until);
            for chip in &mut self.chips {
                // One event at a time, so that messages follow their causes.
                chip.now = at;
                if let Some((_, _, token)) = chip.services.events.pop(at) {
                    chip.call(|chip, ctx| chip.event(ctx, token));
                }
            }
            if at == until {
                return;
            }
        }
    }

    /// The times on the air between each frame and the next.
    fn gaps(&self) -> Vec<Time> {
        let gap = |two: &[Transmission]| two[1].start.saturating_sub(two[0].end());
        self.frames.windows(2).map(gap).collect()
    }
}

#[test]
fn the_radio_keeps_tifs_by_itself() {
    for mode in [3, 4] {
        let mut pair = Pair::new(&ble(mode));
        // DISABLED to RXEN, DISABLED to TXEN, with the normal ramp-up.
        for (node, next) in [(0, 1 << 3), (1, 1 << 2)] {
            pair.radio(node, 0x650, 0x200);
            pair.radio(node, 0x544, 150);
            pair.radio(node, SHORTS, READY_START | END_DISABLE | next);
        }
        pair.radio(1, task::RXEN.into(), 1);
        pair.run(Time::from_us(20), &mut |_, _, _| {});
        pair.radio(0, task::TXEN.into(), 1);
        let mut right = false;
        pair.run(Time::from_us(700), &mut |_, node, event| right |= (node, event) == (0, event::CRCOK));
        let nodes: Vec<u32> = pair.frames.iter().map(|frame| frame.key.node).collect();
        assert_eq!((&nodes[..2], pair.gaps()[0]), (&[0, 1][..], Time::from_us(150)), "mode {mode}");
        assert!(right, "mode {mode}: the first opens its receiver in time for the answer");
    }
}

/// As Zephyr's controller does: END clears a timer of 1 MHz and enables the channel whose compare triggers TXEN or RXEN;
/// that compare disables the channel. `tx` and `rx` are the compares, in microseconds from END.
fn switched_by_ppi(mode: u32, tx: u32, rx: u32) -> Pair {
    const CC: [u32; 2] = [0x540, 0x544];
    const COMPARE: [u32; 2] = [0x140, 0x144];
    let mut pair = Pair::new(&ble(mode));
    for chip in &mut pair.chips {
        let mut write = |address: u32, value: u32| chip.write32(address.into(), value);
        write(BASE + SHORTS as u32, READY_START | END_DISABLE);
        for (register, value) in [(0x508, 3), (0x510, 4), (CC[0], tx), (CC[1], rx), (0x000, 1)] {
            write(TIMER + register, value);
        }
        // Channel 0: END to CLEAR and CHG0.EN. Channels 1, 2: compare to TXEN, RXEN and CHG0.DIS.
        for (channel, event, task, fork) in [
            (0, BASE + event::END, TIMER + 0x00c, PPI),
            (1, TIMER + COMPARE[0], BASE + task::TXEN, PPI + 4),
            (2, TIMER + COMPARE[1], BASE + task::RXEN, PPI + 4),
        ] {
            write(PPI + 0x510 + 8 * channel, event);
            write(PPI + 0x514 + 8 * channel, task);
            write(PPI + 0x910 + 4 * channel, fork);
        }
        write(PPI + 0x504, 1);
    }
    pair.radio(1, task::RXEN.into(), 1);
    pair.radio(0, task::TXEN.into(), 1);
    pair.run(Time::from_ms(3), &mut |pair, node, event| {
        // While a packet is on its way, software prepares what comes after it.
        let next = match event {
            event::TXREADY => 1 << 2,
            event::RXREADY => 1 << 1,
            _ => return,
        };
        pair.chips[node].write32((PPI + 0x800).into(), next);
    });
    pair
}

#[test]
fn timer_and_ppi_keep_tifs() {
    // 150 us less ramp-up with the chain behind it (41 us) and what END is late at a receiver (10 or 6 us); a receiver
    // opens 4 us early.
    for (mode, tx) in [(3, 150 - 41 - 10), (4, 150 - 41 - 6)] {
        let pair = switched_by_ppi(mode, tx, 150 - 41 - 4);
        let nodes: Vec<u32> = pair.frames.iter().map(|frame| frame.key.node).collect();
        assert!(nodes.len() >= 10 && nodes.windows(2).all(|two| two[0] != two[1]), "mode {mode}: {nodes:?}");
        let range = Time::from_us(148)..=Time::from_us(152);
        assert!(pair.gaps().iter().all(|gap| range.contains(gap)), "mode {mode}: {:?}", pair.gaps());
    }
}
