//! The network device: virtio 1.2, section 5.1.
//!
//! One pair of queues, mergeable receive buffers, MTU and link status. Left out: checksum and segmentation offload,
//! several queues, and the control queue. What is behind the cable is the host's: whole Ethernet frames pass.

use super::device::{Io, VirtioDevice};
use super::queue::Chain;
use devices_core::{
    BuildError, Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Field, HostInput,
    HostOutput, Node, Port, RestoreError, Rng, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const F_MTU: u64 = 1 << 3;
const F_MAC: u64 = 1 << 5;
const F_MRG_RXBUF: u64 = 1 << 15;
const F_STATUS: u64 = 1 << 16;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// Largest payload of a frame.
const MTU: u16 = 1500;
/// Addresses and type.
const MIN_FRAME: usize = 14;
/// Addresses, a VLAN tag, type, payload.
const MAX_FRAME: usize = 18 + MTU as usize;
/// Length of what precedes each frame (`virtio_net_hdr`).
const HEADER: usize = 12;

/// Frames from the host that wait for the driver; more are lost, as on a network.
const BACKLOG: usize = 256;

/// A network card.
pub struct Net {
    mac: [u8; 6],
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    link: bool,
    link_changed: bool,
    backlog: VecDeque<Vec<u8>>,
    lost: u64,
}

impl Default for State {
    fn default() -> Self {
        State { link: true, link_changed: false, backlog: VecDeque::new(), lost: 0 }
    }
}

impl Net {
    /// A card with this address.
    pub fn new(mac: [u8; 6]) -> Net {
        Net { mac, state: State::default() }
    }

    /// A card with the address of `hyperemu,mac`, or else one by (`seed`, `name`).
    pub fn from_node(node: &dyn Node, seed: u64, name: &str) -> Result<Net, BuildError> {
        let Some(text) = node.string("hyperemu,mac") else {
            // In the range that virtual machines use, so that no real card has it.
            let [a, b, c, ..] = Rng::new(seed, &format!("{name} mac")).next_u64().to_le_bytes();
            return Ok(Net::new([0x52, 0x54, 0x00, a, b, c]));
        };
        let expected = "expected six bytes like \"52:54:00:12:34:56\", the first one even";
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2))
            .collect();
        match bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) {
            Some(mac) if mac[0] & 1 == 0 => Ok(Net::new(mac)),
            _ => Err(BuildError::property("hyperemu,mac", format!("{expected}, found {text:?}"))),
        }
    }

    fn transmit(&mut self, io: &mut Io) {
        while let Some(mut chain) = io.pop(TRANSMIT) {
            let header = chain.readable.array::<HEADER>(&io.memory);
            let frame = chain.readable.take(&io.memory, MAX_FRAME + 1);
            io.complete(TRANSMIT, &chain);
            // Flags and segmentation need features that are not offered.
            let plain = header.is_some_and(|header| header[0] == 0 && header[1] == 0);
            if !plain || !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
                io.ctx
                    .complain("virtio net: a frame that is too short, too long, or wants offloading is lost");
            } else if self.state.link {
                io.ctx.output(HostOutput::Packet(frame));
            }
        }
    }

    fn receive(&mut self, io: &mut Io) {
        let merge = io.has(F_MRG_RXBUF);
        while let Some(frame) = self.state.backlog.front() {
            let needed = (HEADER + frame.len()) as u64;
            let (mut chains, mut room): (Vec<Chain>, u64) = (Vec::new(), 0);
            while room < needed && (merge || chains.is_empty()) {
                let Some(chain) = io.pop(RECEIVE) else {
                    io.unpop(RECEIVE, chains.len() as u16);
                    return;
                };
                room += chain.writable.remaining();
                chains.push(chain);
            }
            if room < needed {
                io.unpop(RECEIVE, chains.len() as u16);
                io.ctx.complain("virtio net: a frame that its buffer has no room for is lost");
                self.state.lost += 1;
            } else {
                let mut packet = vec![0; HEADER];
                packet[10..].copy_from_slice(&(chains.len() as u16).to_le_bytes());
                packet.extend_from_slice(frame);
                let mut rest = packet.as_slice();
                for mut chain in chains {
                    let written = chain.writable.write(&io.memory, rest);
                    rest = &rest[written..];
                    io.complete(RECEIVE, &chain);
                }
            }
            self.state.backlog.pop_front();
        }
    }
}

impl Component for Net {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let help = "whether the cable is plugged in";
        vec![ControlSpec { name: "link".into(), unit: "", kind: ControlKind::Switch, settable: true, help }]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        (name == "link").then_some(ControlValue::Switch(self.state.link))
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        match (name, value) {
            ("link", ControlValue::Switch(link)) => {
                self.state.link_changed |= self.state.link != *link;
                self.state.link = *link;
                Ok(())
            }
            _ => Err(ControlError::Unknown(name.to_string())),
        }
    }

    fn inspect(&self) -> Vec<Field> {
        let [a, b, c, d, e, f] = self.mac;
        vec![
            Field { name: "mac".into(), value: format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}") },
            Field { name: "backlog".into(), value: self.state.backlog.len().to_string() },
            Field { name: "lost".into(), value: self.state.lost.to_string() },
        ]
    }
}

impl VirtioDevice for Net {
    fn id(&self) -> u32 {
        1
    }

    fn features(&self) -> u64 {
        F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS
    }

    fn queues(&self) -> &'static [u16] {
        &[256, 256]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = self.mac.to_vec();
        config.extend_from_slice(&u16::from(self.state.link).to_le_bytes());
        config.extend_from_slice(&1u16.to_le_bytes()); // max_virtqueue_pairs
        config.extend_from_slice(&MTU.to_le_bytes());
        config
    }

    fn reset(&mut self, _ctx: &mut Ctx, power: bool) {
        // The cable stays as it is.
        self.state = State { link: self.state.link, lost: self.state.lost, ..State::default() };
        if power {
            self.state.lost = 0;
        }
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        match queue {
            RECEIVE => self.receive(io),
            _ => self.transmit(io),
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Network)
    }

    fn host_input(&mut self, io: &mut Io, input: &HostInput) {
        let HostInput::Packet(frame) = input else { return };
        // Without a driver there is nobody to keep a frame for.
        if !self.state.link || !io.ready() {
            return;
        }
        if self.state.backlog.len() >= BACKLOG || !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            self.state.lost += 1;
            return;
        }
        self.state.backlog.push_back(frame.clone());
        self.receive(io);
    }

    fn control_changed(&mut self, io: &mut Io) {
        if std::mem::take(&mut self.state.link_changed) {
            io.config_changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, torture};
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

    fn driver(features: u64) -> Driver {
        Driver::new(Net::new(MAC), features)
    }

    fn frame(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 3) as u8).collect()
    }

    fn sent(driver: &mut Driver) -> Vec<Vec<u8>> {
        let output = std::mem::take(&mut driver.bench.services.output);
        output
            .into_iter()
            .filter_map(|(_, output)| if let HostOutput::Packet(p) = output { Some(p) } else { None })
            .collect()
    }

    #[test]
    fn frames_are_sent_without_their_header() {
        let mut driver = driver(0);
        let mut send = |header: u8, len: usize| {
            let mut packet = vec![0; HEADER];
            packet[1] = header;
            packet.extend(frame(len));
            assert_eq!(driver.ask(TRANSMIT, &packet, 0), Some(vec![]));
            sent(&mut driver)
        };
        assert_eq!(send(0, 60), [frame(60)]);
        assert_eq!(send(0, MAX_FRAME), [frame(MAX_FRAME)]);
        assert!(send(0, MAX_FRAME + 1).is_empty() && send(0, 13).is_empty());
        assert!(send(1, 60).is_empty(), "segmentation was not offered");
        assert_eq!(driver.ask(TRANSMIT, &[0; 5], 0), Some(vec![]));
    }

    #[test]
    fn frames_are_received_into_one_buffer() {
        let mut driver = driver(0);
        let first = driver.add_room(RECEIVE, 0, 1530);
        driver.kick(RECEIVE);
        driver.bench.input(HostInput::Packet(frame(100)));
        driver.bench.input(HostInput::Packet(frame(200)));
        assert_eq!((driver.take(RECEIVE), driver.take(RECEIVE)), (Some((0, 112)), None));
        let packet = driver.peek(first, 112);
        assert_eq!(
            (&packet[..HEADER], &packet[HEADER..]),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0][..], &frame(100)[..])
        );
        assert_eq!(driver.interrupt(), 1);
        driver.bench.check_save_restore();
        driver.add_room(RECEIVE, 1, 100);
        driver.kick(RECEIVE);
        assert_eq!(driver.take(RECEIVE), None, "lost: no room");
        driver.bench.input(HostInput::Packet(frame(50)));
        assert_eq!(driver.take(RECEIVE), Some((1, 62)), "the buffer is still there");
    }

    #[test]
    fn frames_spread_over_buffers_if_they_may() {
        let mut driver = driver(F_MRG_RXBUF | super::super::device::feature::EVENT_IDX);
        let buffers: Vec<u64> = (0..2).map(|head| driver.add_room(RECEIVE, head, 50)).collect();
        driver.bench.input(HostInput::Packet(frame(100)));
        assert_eq!(driver.take(RECEIVE), None, "a third buffer is missing");
        let third = driver.add_room(RECEIVE, 2, 50);
        driver.kick(RECEIVE);
        let taken: Vec<_> = (0..3).map(|_| driver.take(RECEIVE)).collect();
        assert_eq!(taken, [Some((0, 50)), Some((1, 50)), Some((2, 12))]);
        let mut packet = driver.peek(buffers[0], 50);
        packet.extend(driver.peek(buffers[1], 50));
        packet.extend(driver.peek(third, 12));
        assert_eq!((packet[10], &packet[HEADER..]), (3, &frame(100)[..]));
    }

    #[test]
    fn the_backlog_is_bounded() {
        let mut driver = driver(0);
        for _ in 0..2 * BACKLOG {
            driver.bench.input(HostInput::Packet(frame(60)));
        }
        driver.bench.input(HostInput::Packet(frame(5)));
        driver.bench.input(HostInput::Packet(frame(5000)));
        let fields = driver.bench.device.inspect();
        let lost = fields.iter().find(|field| field.name == "lost").unwrap();
        assert_eq!(lost.value, (BACKLOG + 2).to_string());
    }

    #[test]
    fn the_cable_can_be_pulled() {
        let mut driver = driver(F_STATUS);
        assert_eq!(driver.config(0, 12), [0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 5]);
        driver
            .bench
            .call(|device, ctx| device.set_control(ctx, "link", &ControlValue::Switch(false)).unwrap());
        assert_eq!((driver.interrupt(), driver.config(6, 1)), (2, vec![0]));
        driver.ask(TRANSMIT, &[0; HEADER + 60], 0).unwrap();
        assert!(sent(&mut driver).is_empty());
        driver
            .bench
            .call(|device, ctx| device.set_control(ctx, "link", &ControlValue::Switch(false)).unwrap());
        assert_eq!(driver.interrupt() & 2, 0, "no change");
    }

    #[test]
    fn survives_anything() {
        torture(|| Box::new(Net::new(MAC)), F_MRG_RXBUF);
    }
}
