//! The cable to one card: frames on their way to the guest, and how they are made.

use cpu_core::Time;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4DstUnreachable, Icmpv4Packet,
    Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The router, which stands for the host.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// The network's mask.
pub const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
/// From a frame's arrival to its answer's.
pub const LATENCY: Time = Time::from_us(50);
/// The largest IPv4 packet of a frame.
pub const MTU: usize = 1500;

/// Frames under way beyond which senders that can wait do so.
const ROOM: usize = 1024;
/// Frames under way beyond which others are lost.
const LIMIT: usize = 4096;
const IPV4_HEADER: usize = 20;
const ETHERNET_HEADER: usize = 14;

/// Whether an address is in the private network.
pub fn is_local(address: Ipv4Addr) -> bool {
    u32::from(address) & u32::from(MASK) == u32::from(ROUTER) & u32::from(MASK)
}

/// The hardware address of the router or name server.
pub fn hardware(address: Ipv4Addr) -> EthernetAddress {
    let [a, b, c, d] = if address == RESOLVER { RESOLVER } else { ROUTER }.octets();
    EthernetAddress([0x52, 0x55, a, b, c, d])
}

/// One direction of a cable, with who is at its end.
#[derive(Default)]
pub struct Wire {
    frames: VecDeque<(Time, Vec<u8>)>,
    /// Hardware addresses by address in the private network.
    guests: BTreeMap<Ipv4Addr, EthernetAddress>,
    ident: u16,
}

impl Wire {
    /// Whether more may be sent by those that can wait.
    pub fn has_room(&self) -> bool {
        self.frames.len() < ROOM
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Time> {
        self.frames.front().map(|frame| frame.0)
    }

    /// The next frame, if it has arrived.
    pub fn pop(&mut self, now: Time) -> Option<Vec<u8>> {
        self.frames.pop_front_if(|frame| frame.0 <= now).map(|frame| frame.1)
    }

    /// Remembers who has an address.
    pub fn learn(&mut self, address: Ipv4Addr, hardware: EthernetAddress) {
        if is_guest(address) {
            self.guests.insert(address, hardware);
        }
    }

    /// Sends a frame.
    pub fn send(&mut self, now: Time, header: EthernetRepr, payload: &[u8]) {
        if self.frames.len() >= LIMIT {
            return;
        }
        let mut frame = vec![0; ETHERNET_HEADER + payload.len()];
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        frame[ETHERNET_HEADER..].copy_from_slice(payload);
        self.frames.push_back((now.saturating_add(LATENCY), frame));
    }

    /// Sends an IPv4 packet to whoever has its destination.
    pub fn send_packet(&mut self, now: Time, packet: &[u8]) {
        let Ok(header) = Ipv4Packet::new_checked(packet) else { return };
        let to = header.dst_addr();
        let dst_addr = match self.guests.get(&to) {
            Some(address) => *address,
            None if to.is_broadcast() => EthernetAddress::BROADCAST,
            None => return,
        };
        let src_addr = hardware(header.src_addr());
        self.send(now, EthernetRepr { src_addr, dst_addr, ethertype: EthernetProtocol::Ipv4 }, packet);
    }

    /// Sends a payload of IPv4, in fragments if it is long.
    pub fn send_ipv4(
        &mut self,
        now: Time,
        from: Ipv4Addr,
        to: Ipv4Addr,
        protocol: IpProtocol,
        payload: &[u8],
    ) {
        // Fragments begin at multiples of eight.
        const STEP: usize = (MTU - IPV4_HEADER) / 8 * 8;
        self.ident = self.ident.wrapping_add(1);
        for (number, part) in payload.chunks(STEP).enumerate() {
            let header = Ipv4Repr {
                src_addr: from,
                dst_addr: to,
                next_header: protocol,
                payload_len: part.len(),
                hop_limit: 64,
            };
            let mut bytes = vec![0; IPV4_HEADER + part.len()];
            let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
            header.emit(&mut packet, &ChecksumCapabilities::default());
            packet.payload_mut().copy_from_slice(part);
            if payload.len() > STEP {
                let at = number * STEP;
                packet.set_ident(self.ident);
                packet.set_dont_frag(false);
                packet.set_more_frags(at + part.len() < payload.len());
                packet.set_frag_offset(u16::try_from(at).unwrap_or(u16::MAX));
                packet.fill_checksum();
            }
            self.send_packet(now, &bytes);
        }
    }

    /// Sends a UDP datagram.
    pub fn send_udp(&mut self, now: Time, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        const HEADER: usize = 8;
        if payload.len() > usize::from(u16::MAX) - HEADER - IPV4_HEADER {
            return;
        }
        let mut bytes = vec![0; HEADER + payload.len()];
        UdpRepr { src_port: from.port(), dst_port: to.port() }.emit(
            &mut UdpPacket::new_unchecked(&mut bytes[..]),
            &(*from.ip()).into(),
            &(*to.ip()).into(),
            payload.len(),
            |buffer| buffer.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
        self.send_ipv4(now, *from.ip(), *to.ip(), IpProtocol::Udp, &bytes);
    }

    /// Sends an ICMP message.
    pub fn send_icmp(&mut self, now: Time, from: Ipv4Addr, to: Ipv4Addr, message: &Icmpv4Repr) {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
        self.send_ipv4(now, from, to, IpProtocol::Icmp, &bytes);
    }

    /// Says that a packet from the guest, of which `start` is the payload's beginning, can not be delivered.
    pub fn send_unreachable(
        &mut self,
        now: Time,
        reason: Icmpv4DstUnreachable,
        header: Ipv4Repr,
        start: &[u8],
    ) {
        let data = start.get(..8).unwrap_or(start);
        self.send_icmp(now, ROUTER, header.src_addr, &Icmpv4Repr::DstUnreachable { reason, header, data });
    }
}

/// Whether an address may be a guest's.
pub fn is_guest(address: Ipv4Addr) -> bool {
    is_local(address) && (4..255).contains(&address.octets()[3])
}
