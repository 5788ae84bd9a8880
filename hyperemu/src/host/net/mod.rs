//! The network behind a machine's network cards.
//!
//! Each card has a private network of its own, as QEMU's user network lays it out: 10.0.2.0/24, where the guest gets
//! 10.0.2.15 by DHCP, 10.0.2.2 is the router and stands for the host's 127.0.0.1, and 10.0.2.3 passes DNS queries on
//! to the host's resolver. TCP connections and UDP datagrams to other addresses go where they say, from ordinary
//! sockets of the host; nothing listens there.
//!
//! What the network can answer itself happens at virtual times only, 50 us after its cause. The host's
//! sockets are looked at in [`Network::look`]; what they bring goes through the same queue and enters the machine as
//! recorded input.
//!
//! Left out: IPv6, fragments from the guest, ICMP to hosts beyond the router, forwarding ports to the guest.

mod dhcp;
#[cfg(test)]
mod fuzz;
mod host;
mod nat;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod wire;

use crate::machine::Machine;
use cpu_core::Time;
use devices_core::{DeviceId, HostInput, Port};
use nat::Nat;
use std::str::FromStr;

/// `--net`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum NetSpec {
    /// A small private network with address translation to the host's.
    User,
    /// No card.
    None,
}

impl FromStr for NetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<NetSpec, String> {
        match text {
            "user" => Ok(NetSpec::User),
            "none" => Ok(NetSpec::None),
            _ => Err(format!("expected user or none, found {text:?}")),
        }
    }
}

/// All networks of a machine. The default has none: frames from the guest are lost.
#[derive(Default)]
pub struct Network {
    cards: Vec<(DeviceId, Nat)>,
}

impl Network {
    /// A network for each card.
    pub fn open(machine: &Machine, spec: NetSpec) -> Network {
        match spec {
            NetSpec::User => {
                let cards = machine.ports(Port::Network);
                Network { cards: cards.into_iter().map(|device| (device, Nat::new())).collect() }
            }
            NetSpec::None => Network::default(),
        }
    }

    /// A frame from the guest.
    pub fn send(&mut self, device: DeviceId, now: Time, frame: Vec<u8>) {
        if let Some((_, nat)) = self.cards.iter_mut().find(|card| card.0 == device) {
            nat.send(now, &frame);
        }
    }

    /// Moves data to and from the host's sockets.
    pub fn look(&mut self, now: Time) {
        for (_, nat) in &mut self.cards {
            nat.look(now);
        }
    }

    /// Frames for the guest that are due.
    pub fn receive(&mut self, now: Time) -> Vec<(DeviceId, HostInput)> {
        let mut inputs = Vec::new();
        for (device, nat) in &mut self.cards {
            while let Some(frame) = nat.receive(now) {
                inputs.push((*device, HostInput::Packet(frame)));
            }
        }
        inputs
    }

    /// When the next frame for the guest is due, as far as known.
    pub fn next_due(&self) -> Option<Time> {
        self.cards.iter().filter_map(|(_, nat)| nat.next_due()).min()
    }

    /// Whether an answer from the host is due, so that idle virtual time should not run away.
    pub fn waiting(&self) -> bool {
        self.cards.iter().any(|(_, nat)| nat.waiting())
    }
}
