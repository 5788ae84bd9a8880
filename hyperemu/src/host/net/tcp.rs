//! Translation of TCP: each connection of the guest ends here, at a socket of smoltcp that plays its peer, and goes on
//! in a connection of the host.
//!
//! The guest's SYN is held until the host's connection is made, so that the guest sees a refusal as one. Both buffers
//! are bounded: a side that does not read stops the other side by its window.

use super::host::translate;
use super::wire::{MTU, ROUTER, Wire};
use cpu_core::Time;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    HardwareAddress, Icmpv4DstUnreachable, IpCidr, IpListenEndpoint, Ipv4Packet, Ipv4Repr, TcpPacket, TcpRepr,
};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream};

/// Connections at a time.
const LIMIT: usize = 256;
/// Bytes on their way in each direction of a connection, besides what the host's kernel keeps.
const BUFFER: usize = 128 << 10;
/// A guest that says nothing is asked after so long whether it still knows the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A guest that does not answer for so long is gone.
const TIMEOUT: Duration = Duration::from_secs(240);

/// The guest's endpoint and the one that it connects to.
type Key = (SocketAddrV4, SocketAddrV4);

enum Connection {
    /// The host connects; the guest's SYN waits.
    Connecting { stream: TcpStream, syn: Vec<u8> },
    /// The guest may have more to say than the host is told yet, or the reverse.
    Open(Open),
}

struct Open {
    handle: SocketHandle,
    /// `None` when all is said in both directions, and only the guest's side lives on.
    stream: Option<TcpStream>,
    /// The host will send no more.
    host_done: bool,
    /// The host was told that the guest will send no more.
    guest_done: bool,
}

/// All TCP connections.
pub struct Flows {
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: BTreeMap<Key, Connection>,
}

impl Flows {
    /// No connection.
    pub fn new() -> Flows {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = 1;
        let mut end = End { now: Time::ZERO, packet: None, wire: &mut Wire::default() };
        let mut interface = Interface::new(config, &mut end, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(ROUTER.into(), 24));
        });
        // We answer for everybody out there.
        interface.set_any_ip(true);
        Flows { interface, sockets: SocketSet::new(Vec::new()), connections: BTreeMap::new() }
    }

    /// A segment from the guest, and the packet that it came in.
    pub fn send(
        &mut self,
        now: Time,
        header: &Ipv4Repr,
        segment: &[u8],
        packet: &[u8],
        wire: &mut Wire,
    ) -> Option<()> {
        let (from, to) = (header.src_addr, header.dst_addr);
        let tcp = TcpPacket::new_checked(segment).ok()?;
        TcpRepr::parse(&tcp, &from.into(), &to.into(), &ChecksumCapabilities::default()).ok()?;
        let key = (SocketAddrV4::new(from, tcp.src_port()), SocketAddrV4::new(to, tcp.dst_port()));
        let opens = tcp.syn() && !tcp.ack() && !tcp.rst();
        match self.connections.get(&key) {
            Some(Connection::Connecting { .. }) => {
                if tcp.rst() {
                    self.connections.remove(&key);
                }
                return Some(());
            }
            // The guest may use a port again before we forget it.
            Some(Connection::Open(open)) if opens && self.is_over(open) => self.remove(&key),
            Some(Connection::Open(open)) => {
                let handle = open.handle;
                self.exchange(now, Some(packet), wire);
                let socket = self.sockets.get_mut::<Socket>(handle);
                // A reset takes a socket back to where it would take another connection.
                if socket.is_listening() {
                    socket.close();
                }
                return Some(());
            }
            None => {}
        }
        if opens && self.make_room() {
            let stream = translate(key.1).ok_or_else(|| io::Error::from(io::ErrorKind::HostUnreachable));
            match stream.and_then(connect) {
                Ok(stream) => {
                    let syn = packet.to_vec();
                    self.connections.insert(key, Connection::Connecting { stream, syn });
                }
                Err(error) => self.refuse(now, packet, &error, wire),
            }
        } else {
            // A segment of no connection is answered by a reset, like one that we have no room for.
            self.exchange(now, Some(packet), wire);
        }
        Some(())
    }

    /// Lets time pass: acknowledgements, retransmissions, timeouts.
    pub fn poll(&mut self, now: Time, wire: &mut Wire) {
        if !self.connections.is_empty() {
            self.exchange(now, None, wire);
        }
    }

    /// When [`Flows::poll`] has something to do; that it waits for room on the wire does not count.
    pub fn next(&mut self, now: Time) -> Option<Time> {
        if self.connections.is_empty() {
            return None;
        }
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        let at = Time::from_us(u64::try_from(at.total_micros()).unwrap_or(0));
        Some(at.max(Time(now.0.saturating_add(1))))
    }

    /// Moves data to and from the host.
    pub fn look(&mut self, now: Time, wire: &mut Wire) {
        if self.connections.is_empty() {
            return;
        }
        self.finish_connecting(now, wire);
        for connection in self.connections.values_mut() {
            if let Connection::Open(open) = connection {
                transfer(open, self.sockets.get_mut::<Socket>(open.handle));
            }
        }
        self.exchange(now, None, wire);
        let sockets = &self.sockets;
        let over = |connection: &Connection| match connection {
            Connection::Connecting { .. } => false,
            Connection::Open(open) => {
                let socket = sockets.get::<Socket>(open.handle);
                // A socket that aborts keeps its peer until the reset is sent.
                open.stream.is_none() && !socket.is_open() && socket.remote_endpoint().is_none()
            }
        };
        let over: Vec<Key> =
            self.connections.iter().filter(|(_, one)| over(one)).map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.remove(key));
    }

    /// Whether the host may have something to say.
    pub fn waiting(&self) -> bool {
        self.connections.values().any(|connection| match connection {
            Connection::Connecting { .. } => true,
            Connection::Open(open) => open.stream.is_some(),
        })
    }

    /// Gives a packet to the sockets, and takes what they have to send.
    fn exchange(&mut self, now: Time, packet: Option<&[u8]>, wire: &mut Wire) {
        self.interface.poll(instant(now), &mut End { now, packet, wire }, &mut self.sockets);
    }

    fn is_over(&self, open: &Open) -> bool {
        let state = self.sockets.get::<Socket>(open.handle).state();
        open.stream.is_none() && matches!(state, State::TimeWait | State::Closed)
    }

    fn remove(&mut self, key: &Key) {
        if let Some(Connection::Open(open)) = self.connections.remove(key) {
            self.sockets.remove(open.handle);
        }
    }

    /// Whether there can be one more; those that are over may go before their time.
    fn make_room(&mut self) -> bool {
        if self.connections.len() >= LIMIT {
            let over = self
                .connections
                .iter()
                .find(|(_, connection)| matches!(connection, Connection::Open(open) if self.is_over(open)));
            if let Some(key) = over.map(|(key, _)| *key) {
                self.remove(&key);
            }
        }
        self.connections.len() < LIMIT
    }

    /// Says to the guest why there is no connection.
    fn refuse(&mut self, now: Time, syn: &[u8], error: &io::Error, wire: &mut Wire) {
        let reason = match error.kind() {
            io::ErrorKind::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
            io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut => Icmpv4DstUnreachable::HostUnreachable,
            _ => return self.exchange(now, Some(syn), wire),
        };
        let Ok(packet) = Ipv4Packet::new_checked(syn) else { return };
        if let Ok(header) = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default()) {
            wire.send_unreachable(now, reason, header, packet.payload());
        }
    }

    fn finish_connecting(&mut self, now: Time, wire: &mut Wire) {
        let connecting = self.connections.iter().filter_map(|(key, connection)| match connection {
            Connection::Connecting { stream, .. } => Some((*key, connected(stream)?)),
            Connection::Open(_) => None,
        });
        for (key, result) in connecting.collect::<Vec<_>>() {
            let Some(Connection::Connecting { stream, syn }) = self.connections.remove(&key) else {
                continue;
            };
            match result {
                Ok(()) => self.accept(now, key, stream, &syn, wire),
                Err(error) => self.refuse(now, &syn, &error, wire),
            }
        }
    }

    /// The host's connection is made: now the guest's is.
    fn accept(&mut self, now: Time, key: Key, stream: TcpStream, syn: &[u8], wire: &mut Wire) {
        let _ = stream.set_nodelay(true);
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(TIMEOUT));
        let endpoint = IpListenEndpoint { addr: Some((*key.1.ip()).into()), port: key.1.port() };
        if socket.listen(endpoint).is_err() {
            return;
        }
        let handle = self.sockets.add(socket);
        let open = Open { handle, stream: Some(stream), host_done: false, guest_done: false };
        self.connections.insert(key, Connection::Open(open));
        self.exchange(now, Some(syn), wire);
        // Nobody else's SYN may get this socket.
        if self.sockets.get::<Socket>(handle).is_listening() {
            self.remove(&key);
        }
    }
}

/// Starts to connect.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// How connecting went; `None` while it goes on.
fn connected(stream: &TcpStream) -> Option<io::Result<()>> {
    let mut watched = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(0) | Err(rustix::io::Errno::INTR) => None,
        Ok(_) => Some(match stream.take_error() {
            Ok(Some(error)) | Err(error) => Err(error),
            Ok(None) => Ok(()),
        }),
        Err(error) => Some(Err(error.into())),
    }
}

/// Moves what there is in both directions, and the ends of both.
fn transfer(open: &mut Open, socket: &mut Socket) {
    let Some(stream) = &mut open.stream else { return };
    if let Err(_gone) = to_host(stream, socket).and_then(|()| to_guest(stream, socket, &mut open.host_done)) {
        socket.abort();
        open.stream = None;
        return;
    }
    let (state, empty) = (socket.state(), socket.recv_queue() == 0);
    match state {
        // The guest reset the connection, before or after it was made. So do we.
        State::Closed if !open.host_done => reset(open),
        State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed
            if empty && !open.guest_done =>
        {
            open.guest_done = true;
            let _ = stream.shutdown(Shutdown::Write);
        }
        _ => {}
    }
    if open.host_done && open.guest_done {
        open.stream = None;
    }
}

fn to_host(stream: &mut TcpStream, socket: &mut Socket) -> io::Result<()> {
    while socket.can_recv() {
        let moved = socket.recv(|bytes| match stream.write(bytes) {
            Ok(size) => (size, Ok(size)),
            Err(error) => (0, Err(error)),
        });
        match moved {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

fn to_guest(stream: &mut TcpStream, socket: &mut Socket, done: &mut bool) -> io::Result<()> {
    while !*done && socket.can_send() {
        let moved = socket.send(|buffer| match stream.read(buffer) {
            Ok(size) => (size, Ok(size)),
            Err(error) => (0, Err(error)),
        });
        match moved {
            Ok(Ok(0)) => {
                *done = true;
                socket.close();
            }
            Ok(Ok(_)) => {}
            Err(_) => break,
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Closes the host's side so that its peer sees a reset.
fn reset(open: &mut Open) {
    if let Some(stream) = open.stream.take() {
        let _ = sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO));
    }
}

fn instant(now: Time) -> Instant {
    Instant::from_micros(i64::try_from(now.as_ns() / 1000).unwrap_or(i64::MAX))
}

/// smoltcp's view of the cable: one packet from it, any number into it.
struct End<'a> {
    now: Time,
    packet: Option<&'a [u8]>,
    wire: &'a mut Wire,
}

struct Arriving<'a>(&'a [u8]);

struct Leaving<'a> {
    now: Time,
    wire: &'a mut Wire,
}

impl Device for End<'_> {
    type RxToken<'b>
        = Arriving<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Leaving<'b>
    where
        Self: 'b;

    fn receive(&mut self, _now: Instant) -> Option<(Arriving<'_>, Leaving<'_>)> {
        Some((Arriving(self.packet.take()?), Leaving { now: self.now, wire: self.wire }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Leaving<'_>> {
        self.wire.has_room().then_some(Leaving { now: self.now, wire: self.wire })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl RxToken for Arriving<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.wire.send_packet(self.now, &packet);
        result
    }
}
