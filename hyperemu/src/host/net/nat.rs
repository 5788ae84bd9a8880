//! The private network of one card: who answers a frame.

use super::wire::{RESOLVER, ROUTER, Wire, hardware, is_guest};
use super::{dhcp, tcp, udp};
use cpu_core::Time;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A router with address translation, a DHCP server and a DNS relay.
pub struct Nat {
    wire: Wire,
    leases: dhcp::Leases,
    udp: udp::Flows,
    tcp: tcp::Flows,
    /// Before this, there is nothing to do without the host.
    next: Time,
}

impl Nat {
    /// A network where nothing has happened yet.
    pub fn new() -> Nat {
        Nat {
            wire: Wire::default(),
            leases: dhcp::Leases::default(),
            udp: udp::Flows::default(),
            tcp: tcp::Flows::new(),
            next: Time::NEVER,
        }
    }

    /// A frame from the guest. What is malformed or for nobody here is dropped.
    pub fn send(&mut self, now: Time, frame: &[u8]) {
        let _ = self.answer(now, frame);
        self.update(now);
    }

    /// Moves data to and from the host's sockets.
    pub fn look(&mut self, now: Time) {
        self.udp.look(now, &mut self.wire);
        self.tcp.look(now, &mut self.wire);
        self.update(now);
    }

    /// The next frame for the guest that is due.
    pub fn receive(&mut self, now: Time) -> Option<Vec<u8>> {
        if now < self.next {
            return None;
        }
        let frame = self.wire.pop(now);
        if frame.is_none() {
            self.tcp.poll(now, &mut self.wire);
            self.update(now);
        }
        frame
    }

    /// When the next frame for the guest is due.
    pub fn next_due(&self) -> Option<Time> {
        self.wire.next_due()
    }

    /// Whether the host may have something to say.
    pub fn waiting(&self) -> bool {
        self.udp.waiting() || self.tcp.waiting()
    }

    fn update(&mut self, now: Time) {
        let timer = self.tcp.next(now).unwrap_or(Time::NEVER);
        self.next = self.next_due().unwrap_or(Time::NEVER).min(timer);
    }

    fn answer(&mut self, now: Time, frame: &[u8]) -> Option<()> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let (from, to) = (frame.src_addr(), frame.dst_addr());
        if !from.is_unicast()
            || ![EthernetAddress::BROADCAST, hardware(ROUTER), hardware(RESOLVER)].contains(&to)
        {
            return None;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => self.arp(now, frame.payload()),
            EthernetProtocol::Ipv4 => self.ipv4(now, from, frame.payload()),
            _ => None,
        }
    }

    fn arp(&mut self, now: Time, bytes: &[u8]) -> Option<()> {
        let packet = ArpPacket::new_checked(bytes).ok()?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        if !source_hardware_addr.is_unicast() {
            return None;
        }
        self.wire.learn(source_protocol_addr, source_hardware_addr);
        if operation != ArpOperation::Request || ![ROUTER, RESOLVER].contains(&target_protocol_addr) {
            return None;
        }
        let src_addr = hardware(target_protocol_addr);
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: src_addr,
            source_protocol_addr: target_protocol_addr,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let mut payload = vec![0; answer.buffer_len()];
        answer.emit(&mut ArpPacket::new_unchecked(&mut payload));
        let header =
            EthernetRepr { src_addr, dst_addr: source_hardware_addr, ethertype: EthernetProtocol::Arp };
        self.wire.send(now, header, &payload);
        Some(())
    }

    fn ipv4(&mut self, now: Time, hardware: EthernetAddress, bytes: &[u8]) -> Option<()> {
        let checksums = ChecksumCapabilities::default();
        let packet = Ipv4Packet::new_checked(bytes).ok()?;
        // The check above lets headers pass that are shorter than the fields that all have.
        if packet.header_len() < 20 || packet.more_frags() || packet.frag_offset() != 0 {
            return None;
        }
        let header = Ipv4Repr::parse(&packet, &checksums).ok()?;
        let (from, to) = (header.src_addr, header.dst_addr);
        let payload = packet.payload();
        match header.next_header {
            IpProtocol::Udp => {
                let packet = UdpPacket::new_checked(payload).ok()?;
                let ports = UdpRepr::parse(&packet, &from.into(), &to.into(), &checksums).ok()?;
                if ports.dst_port == dhcp::SERVER && [Ipv4Addr::BROADCAST, ROUTER].contains(&to) {
                    return self.dhcp(now, from, hardware, packet.payload());
                }
                self.guest(from, hardware)?;
                let source = SocketAddrV4::new(from, ports.src_port);
                self.udp.send(now, source, SocketAddrV4::new(to, ports.dst_port), packet.payload())
            }
            IpProtocol::Tcp => {
                self.guest(from, hardware)?;
                let whole = bytes.get(..usize::from(packet.total_len()))?;
                self.tcp.send(now, &header, payload, whole, &mut self.wire)
            }
            IpProtocol::Icmp if [ROUTER, RESOLVER].contains(&to) => {
                self.guest(from, hardware)?;
                let packet = Icmpv4Packet::new_checked(payload).ok()?;
                if let Icmpv4Repr::EchoRequest { ident, seq_no, data } =
                    Icmpv4Repr::parse(&packet, &checksums).ok()?
                {
                    self.wire.send_icmp(now, to, from, &Icmpv4Repr::EchoReply { ident, seq_no, data });
                }
                Some(())
            }
            _ => None,
        }
    }

    fn guest(&mut self, address: Ipv4Addr, hardware: EthernetAddress) -> Option<()> {
        self.wire.learn(address, hardware);
        is_guest(address).then_some(())
    }

    fn dhcp(&mut self, now: Time, from: Ipv4Addr, hardware: EthernetAddress, message: &[u8]) -> Option<()> {
        let (to, answer) = self.leases.answer(message)?;
        self.wire.learn(from, hardware);
        let (from, to) = (SocketAddrV4::new(ROUTER, dhcp::SERVER), SocketAddrV4::new(to, dhcp::CLIENT));
        self.wire.send_udp(now, from, to, &answer);
        Some(())
    }
}
