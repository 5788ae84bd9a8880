//! The guest's side, played by smoltcp's own stack, against servers of the host.

use super::nat::Nat;
use super::wire::{LATENCY, RESOLVER, ROUTER};
use cpu_core::Time;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{dhcpv4, icmp, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet,
    Icmpv4Repr, IpAddress, IpCidr, IpEndpoint, Ipv4Packet, UdpPacket,
};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 1, 2, 3]);
const STEP: Time = Time::from_us(100);

/// A card: what the guest's stack has sent and is to receive.
#[derive(Default)]
pub struct Card {
    pub sent: Vec<Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
}

pub struct Arrived(Vec<u8>);
pub struct Sending<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Card {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Sending<'_>)> {
        Some((Arrived(self.arrived.pop_front()?), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

/// A guest's network stack on a card.
pub struct Guest {
    pub now: Time,
    nat: Nat,
    pub card: Card,
    pub interface: Interface,
    pub sockets: SocketSet<'static>,
    /// What the guest received and when.
    trace: Vec<(Time, Vec<u8>)>,
}

impl Guest {
    /// A guest without an address.
    fn new() -> Guest {
        let mut card = Card::default();
        let interface = Interface::new(Config::new(MAC.into()), &mut card, Instant::ZERO);
        let sockets = SocketSet::new(Vec::new());
        Guest { now: Time::ZERO, nat: Nat::new(), card, interface, sockets, trace: Vec::new() }
    }

    /// A guest with the address that DHCP gives.
    pub fn configured() -> Guest {
        let mut guest = Guest::new();
        guest.interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(10, 0, 2, 15), 24)).unwrap();
        });
        guest.interface.routes_mut().add_default_ipv4_route(ROUTER).unwrap();
        guest
    }

    pub fn step(&mut self, host: bool) {
        let now = Instant::from_micros((self.now.as_ns() / 1000) as i64);
        self.interface.poll(now, &mut self.card, &mut self.sockets);
        for frame in self.card.sent.drain(..) {
            self.nat.send(self.now, &frame);
        }
        if host {
            self.nat.look(self.now);
        }
        self.now = self.now.saturating_add(STEP);
        while let Some(frame) = self.nat.receive(self.now) {
            self.trace.push((self.now, frame.clone()));
            self.card.arrived.push_back(frame);
        }
    }

    /// Goes on until something holds.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Guest) -> bool) {
        let started = std::time::Instant::now();
        while !done(self) {
            let before = self.trace.len();
            self.step(true);
            if self.trace.len() == before {
                std::thread::sleep(Duration::from_micros(50));
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{what} does not happen");
        }
    }

    pub fn connect(&mut self, to: Ipv4Addr, port: u16, from: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 30_000]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.connect(self.interface.context(), (IpAddress::from(to), port), from).unwrap();
        self.sockets.add(socket)
    }

    fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }
}

fn serve<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, std::thread::spawn(move || serve(listener.accept().unwrap().0)))
}

fn pattern(size: usize, factor: usize) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(factor) >> 8) as u8).collect()
}

/// Runs a guest without looking at the host, until it has an address.
fn dhcp_trace() -> (dhcpv4::Config<'static>, Vec<(Time, Vec<u8>)>) {
    let mut guest = Guest::new();
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    for _ in 0..200_000 {
        guest.step(false);
        if let Some(dhcpv4::Event::Configured(config)) =
            guest.sockets.get_mut::<dhcpv4::Socket>(handle).poll()
        {
            let config = dhcpv4::Config { packet: None, ..config };
            return (config, guest.trace);
        }
    }
    panic!("no lease");
}

#[test]
fn guest_gets_an_address_by_dhcp_and_again_the_same_way() {
    let (config, trace) = dhcp_trace();
    assert_eq!(config.address.to_string(), "10.0.2.15/24");
    assert_eq!(config.router, Some(ROUTER));
    assert_eq!(config.dns_servers.as_slice(), [RESOLVER]);
    assert_eq!(trace.len(), 2);
    assert_eq!(dhcp_trace().1, trace, "two runs without the host differ");
}

#[test]
fn other_address_than_the_leased_one_is_refused() {
    let mut nat = Nat::new();
    let mut request = |requested: [u8; 4], server: Option<Ipv4Addr>| {
        let message = DhcpRepr {
            message_type: DhcpMessageType::Request,
            transaction_id: 7,
            secs: 0,
            client_hardware_address: MAC,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: Some(requested.into()),
            client_identifier: None,
            server_identifier: server,
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
        let mut wire = super::wire::Wire::default();
        let endpoint = |address: Ipv4Addr, port| std::net::SocketAddrV4::new(address, port);
        wire.send_udp(
            Time::ZERO,
            endpoint(Ipv4Addr::UNSPECIFIED, 68),
            endpoint(Ipv4Addr::BROADCAST, 67),
            &bytes,
        );
        let mut frame = wire.pop(LATENCY).unwrap();
        EthernetFrame::new_unchecked(&mut frame[..]).set_src_addr(MAC);
        nat.send(Time::ZERO, &frame);
        let answer = nat.receive(LATENCY)?;
        let frame = EthernetFrame::new_checked(&answer[..]).unwrap();
        assert_eq!(frame.ethertype(), EthernetProtocol::Ipv4);
        let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
        let datagram = UdpPacket::new_checked(packet.payload()).unwrap();
        assert!(datagram.payload().len() >= 300);
        let packet = DhcpPacket::new_checked(datagram.payload()).unwrap();
        Some(DhcpRepr::parse(&packet).unwrap().message_type)
    };
    assert_eq!(request([10, 0, 2, 99], None), Some(DhcpMessageType::Nak));
    assert_eq!(request([10, 0, 2, 15], Some(ROUTER)), Some(DhcpMessageType::Ack));
    assert_eq!(request([10, 0, 2, 15], Some([192, 0, 2, 1].into())), None);
}

#[test]
fn router_answers_pings_in_virtual_time_alone() {
    let mut guest = Guest::configured();
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(0x1234)).unwrap();
    let handle = guest.sockets.add(socket);
    let request = Icmpv4Repr::EchoRequest { ident: 0x1234, seq_no: 3, data: b"are you there?" };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
    guest.sockets.get_mut::<icmp::Socket>(handle).send_slice(&bytes, ROUTER.into()).unwrap();
    for _ in 0..10 {
        guest.step(false);
    }
    let (answer, from) = guest.sockets.get_mut::<icmp::Socket>(handle).recv().unwrap();
    let answer = Icmpv4Packet::new_checked(answer).unwrap();
    let answer = Icmpv4Repr::parse(&answer, &ChecksumCapabilities::default()).unwrap();
    assert_eq!(answer, Icmpv4Repr::EchoReply { ident: 0x1234, seq_no: 3, data: b"are you there?" });
    assert_eq!(from, IpAddress::from(ROUTER));
    assert!(!guest.nat.waiting());
    assert_eq!(guest.trace.len(), 2, "an ARP reply and an echo reply");
}

#[test]
fn answer_is_due_after_the_latency_and_not_before() {
    let mut guest = Guest::configured();
    guest.connect(ROUTER, 9, 40_000);
    let start = Time::from_ms(3);
    guest.interface.poll(Instant::from_millis(3), &mut guest.card, &mut guest.sockets);
    let request = guest.card.sent.pop().unwrap();
    guest.nat.send(start, &request);
    let due = start.saturating_add(LATENCY);
    assert_eq!(guest.nat.next_due(), Some(due));
    assert_eq!(guest.nat.receive(Time(due.0 - 1)), None);
    assert!(guest.nat.receive(due).is_some());
    assert_eq!(guest.nat.next_due(), None);
}

fn udp_socket(guest: &mut Guest) -> SocketHandle {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(5000).unwrap();
    guest.sockets.add(socket)
}

#[test]
fn datagrams_go_to_the_host_and_back() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 2000];
        for _ in 0..2 {
            let (size, from) = server.recv_from(&mut buffer).unwrap();
            buffer[..size].reverse();
            server.send_to(&buffer[..size], from).unwrap();
        }
    });
    let mut guest = Guest::configured();
    let handle = udp_socket(&mut guest);
    for message in [pattern(1400, 77), b"short".to_vec()] {
        let socket = guest.sockets.get_mut::<udp::Socket>(handle);
        socket.send_slice(&message, (IpAddress::from(ROUTER), port)).unwrap();
        guest.until("an answer", |guest| guest.sockets.get::<udp::Socket>(handle).can_recv());
        let (answer, meta) = guest.sockets.get_mut::<udp::Socket>(handle).recv().unwrap();
        assert!(answer.iter().rev().eq(&message));
        assert_eq!(meta.endpoint, IpEndpoint::new(ROUTER.into(), port));
        assert!(!guest.nat.waiting());
    }
    echo.join().unwrap();
}

#[test]
fn long_datagram_from_the_host_comes_in_fragments() {
    let mut wire = super::wire::Wire::default();
    let guest = Ipv4Addr::new(10, 0, 2, 15);
    wire.learn(guest, MAC);
    let message = pattern(5000, 99);
    let endpoint = |address: Ipv4Addr| std::net::SocketAddrV4::new(address, 53);
    wire.send_udp(Time::ZERO, endpoint(RESOLVER), endpoint(guest), &message);
    let mut datagram = vec![0; 5008];
    let (mut total, mut last) = (0, false);
    while let Some(frame) = wire.pop(LATENCY) {
        let frame = EthernetFrame::new_checked(&frame[..]).unwrap();
        let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
        assert!(packet.verify_checksum() && frame.payload().len() <= 1500 && !last);
        let (at, part) = (usize::from(packet.frag_offset()), packet.payload());
        datagram[at..at + part.len()].copy_from_slice(part);
        total += part.len();
        last = !packet.more_frags();
    }
    assert_eq!((total, last), (5008, true));
    let datagram = UdpPacket::new_checked(&datagram[..]).unwrap();
    assert!(datagram.verify_checksum(&RESOLVER.into(), &guest.into()));
    assert_eq!(datagram.payload(), message);
}

#[test]
fn datagram_to_a_closed_port_is_answered_by_icmp() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut guest = Guest::configured();
    let handle = udp_socket(&mut guest);
    let socket = guest.sockets.get_mut::<udp::Socket>(handle);
    socket.send_slice(b"hello", (IpAddress::from(ROUTER), port)).unwrap();
    guest.until("a refusal", |guest| guest.trace.len() == 2);
    let frame = EthernetFrame::new_checked(&guest.trace[1].1[..]).unwrap();
    let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
    let icmp = Icmpv4Packet::new_checked(packet.payload()).unwrap();
    let Ok(Icmpv4Repr::DstUnreachable { header, data, .. }) =
        Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default())
    else {
        panic!("not an ICMP error")
    };
    assert_eq!((header.src_addr, header.dst_addr), ([10, 0, 2, 15].into(), ROUTER));
    assert_eq!(data[..4], [5000u16.to_be_bytes(), port.to_be_bytes()].concat());
    assert!(!guest.nat.waiting());
}

#[test]
fn page_is_fetched_and_the_connection_is_forgotten() {
    let (port, server) = serve(|mut stream| {
        let mut request = [0; 4];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"200 fine").unwrap();
        request
    });
    let mut guest = Guest::configured();
    let handle = guest.connect(ROUTER, port, 40_000);
    guest.until("a connection", |guest| guest.tcp(handle).may_send());
    assert!(guest.nat.waiting());
    guest.tcp(handle).send_slice(b"GET ").unwrap();
    let mut page = Vec::new();
    guest.until("the end", |guest| {
        let socket = guest.tcp(handle);
        if socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), page.extend_from_slice(bytes))).unwrap();
        }
        !socket.may_recv()
    });
    assert_eq!(page, b"200 fine");
    guest.tcp(handle).close();
    assert_eq!(&server.join().unwrap(), b"GET ");
    guest.until("the host's end", |guest| !guest.nat.waiting());
}

#[test]
fn refused_connection_is_refused_to_the_guest() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut guest = Guest::configured();
    for (to, port) in [(ROUTER, port), (RESOLVER, 80)] {
        let handle = guest.connect(to, port, 40_000);
        let before = guest.trace.len();
        guest.until("an answer", |guest| guest.trace.len() >= before + 2);
        if to == ROUTER {
            guest.until("a reset", |guest| guest.tcp(handle).state() == tcp::State::Closed);
        } else {
            let frame = EthernetFrame::new_checked(&guest.trace.last().unwrap().1[..]).unwrap();
            let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
            assert_eq!(packet.next_header(), smoltcp::wire::IpProtocol::Icmp);
        }
        assert!(!guest.nat.waiting());
    }
}

/// Sends this much both ways at a time; the host reads slowly at first.
#[test]
fn much_data_passes_both_ways_unchanged() {
    const SIZE: usize = 3 << 20;
    let (port, server) = serve(|mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            writer.write_all(&pattern(SIZE, 12_345)).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        std::thread::sleep(Duration::from_millis(200));
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        received
    });
    let mut guest = Guest::configured();
    let handle = guest.connect(ROUTER, port, 40_000);
    let (outgoing, mut sent, mut received) = (pattern(SIZE, 54_321), 0, Vec::new());
    guest.until("the end", |guest| {
        let socket = guest.tcp(handle);
        if socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).unwrap();
        }
        if socket.can_send() && sent < SIZE {
            sent += socket.send_slice(&outgoing[sent..]).unwrap();
            if sent == SIZE {
                socket.close();
            }
        }
        sent == SIZE && matches!(socket.state(), tcp::State::TimeWait | tcp::State::Closed)
    });
    assert!(received == pattern(SIZE, 12_345), "the guest received something else");
    assert!(server.join().unwrap() == outgoing, "the host received something else");
    guest.until("the host's end", |guest| !guest.nat.waiting());
}

#[test]
fn host_answers_after_the_guest_has_ended_its_half() {
    let (port, server) = serve(|mut stream| {
        let mut request = Vec::new();
        stream.read_to_end(&mut request).unwrap();
        stream.write_all(&request.repeat(2)).unwrap();
    });
    let mut guest = Guest::configured();
    let handle = guest.connect(ROUTER, port, 40_000);
    guest.until("a connection", |guest| guest.tcp(handle).may_send());
    guest.tcp(handle).send_slice(b"ab").unwrap();
    guest.tcp(handle).close();
    let mut answer = Vec::new();
    guest.until("the answer", |guest| {
        let socket = guest.tcp(handle);
        if socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), answer.extend_from_slice(bytes))).unwrap();
        }
        !socket.may_recv()
    });
    assert_eq!(answer, b"abab");
    server.join().unwrap();
}

#[test]
fn reset_by_one_side_is_a_reset_for_the_other() {
    let (port, server) = serve(|mut stream| stream.read(&mut [0; 8]).map_err(|error| error.kind()));
    let mut guest = Guest::configured();
    let handle = guest.connect(ROUTER, port, 40_000);
    guest.until("a connection", |guest| guest.tcp(handle).may_send());
    guest.tcp(handle).abort();
    guest.until("the host's end", |guest| !guest.nat.waiting());
    assert_eq!(server.join().unwrap(), Err(std::io::ErrorKind::ConnectionReset));

    // A socket that closes with unread data resets its peer.
    let (port, server) = serve(|mut stream| stream.read_exact(&mut [0; 1]).unwrap());
    let handle = guest.connect(ROUTER, port, 40_001);
    guest.until("a connection", |guest| guest.tcp(handle).may_send());
    guest.tcp(handle).send_slice(&[7; 100]).unwrap();
    guest.until("a reset", |guest| guest.tcp(handle).state() == tcp::State::Closed);
    server.join().unwrap();
}

#[test]
fn many_connections_live_side_by_side() {
    const COUNT: u16 = 40;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let streams: Vec<TcpStream> = (0..COUNT).map(|_| listener.accept().unwrap().0).collect();
        for mut stream in streams {
            let mut number = [0; 2];
            stream.read_exact(&mut number).unwrap();
            stream.write_all(&number).unwrap();
        }
    });
    let mut guest = Guest::configured();
    let handles: Vec<_> = (0..COUNT).map(|number| guest.connect(ROUTER, port, 40_000 + number)).collect();
    for (number, handle) in handles.iter().enumerate() {
        guest.until("a connection", |guest| guest.tcp(*handle).may_send());
        guest.tcp(*handle).send_slice(&(number as u16).to_be_bytes()).unwrap();
    }
    for (number, handle) in handles.iter().enumerate() {
        guest.until("an answer", |guest| guest.tcp(*handle).recv_queue() == 2);
        let mut answer = [0; 2];
        guest.tcp(*handle).recv_slice(&mut answer).unwrap();
        assert_eq!(answer, (number as u16).to_be_bytes());
    }
    server.join().unwrap();
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    const COUNT: usize = 270;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let streams: Vec<TcpStream> = listener.incoming().take(256).map(Result::unwrap).collect();
        streams.len()
    });
    let mut guest = Guest::configured();
    let handles: Vec<_> =
        (0..COUNT).map(|number| guest.connect(ROUTER, port, 40_000 + number as u16)).collect();
    let count = |guest: &mut Guest, state| {
        handles.iter().filter(|handle| guest.tcp(**handle).state() == state).count()
    };
    guest.until("a refusal", |guest| count(guest, tcp::State::Closed) == COUNT - 256);
    // The server ends when it has all 256, and with it all connections.
    guest.until("the end of the server", |guest| count(guest, tcp::State::CloseWait) == 256);
    assert_eq!(server.join().unwrap(), 256);
    let late = guest.connect(ROUTER, port, 50_000);
    handles.iter().for_each(|handle| guest.tcp(*handle).close());
    guest.until("room", |guest| guest.tcp(late).state() == tcp::State::Closed && !guest.nat.waiting());
}
