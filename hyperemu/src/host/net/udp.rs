//! Translation of UDP: a socket of the host for each pair of endpoints that the guest uses.

use super::host::translate;
use super::wire::Wire;
use cpu_core::Time;
use smoltcp::wire::{Icmpv4DstUnreachable, IpProtocol, Ipv4Repr};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// Sockets at a time; beyond it, the one that was not used for the longest time goes.
const LIMIT: usize = 256;
/// A socket that is not used for so long is closed.
const IDLE: Time = Time::from_ms(120_000);
/// An answer that has not come for so long will not.
const PATIENCE: Time = Time::from_ms(5_000);
/// Datagrams of one socket at one look.
const BURST: usize = 64;

struct Flow {
    socket: UdpSocket,
    used: Time,
    /// The guest has sent something and got no answer yet.
    asked: bool,
}

/// All UDP sockets.
#[derive(Default)]
pub struct Flows {
    /// By the guest's endpoint and the one it sends to.
    flows: BTreeMap<(SocketAddrV4, SocketAddrV4), Flow>,
}

impl Flows {
    /// A datagram from the guest.
    pub fn send(&mut self, now: Time, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Option<()> {
        let key = (from, to);
        if !self.flows.contains_key(&key) {
            let socket = open(translate(to)?).ok()?;
            if self.flows.len() >= LIMIT {
                let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.used).map(|(key, _)| *key)?;
                self.flows.remove(&oldest);
            }
            self.flows.insert(key, Flow { socket, used: now, asked: false });
        }
        let flow = self.flows.get_mut(&key)?;
        (flow.used, flow.asked) = (now, true);
        // What can not be sent is lost, as datagrams may be. An error of an earlier one is seen at the next look.
        let _ = flow.socket.send(payload);
        Some(())
    }

    /// Takes what the host's sockets have.
    pub fn look(&mut self, now: Time, wire: &mut Wire) {
        if self.flows.is_empty() {
            return;
        }
        self.flows.retain(|_, flow| now.saturating_sub(flow.used) < IDLE);
        let mut buffer = [0; 0x1_0000];
        for ((guest, remote), flow) in &mut self.flows {
            flow.asked &= now.saturating_sub(flow.used) < PATIENCE;
            for _ in 0..BURST {
                if !wire.has_room() {
                    return;
                }
                match flow.socket.recv(&mut buffer) {
                    Ok(size) => {
                        wire.send_udp(now, *remote, *guest, &buffer[..size]);
                        (flow.used, flow.asked) = (now, false);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        refuse(now, *guest, *remote, &error, wire);
                        flow.asked = false;
                        break;
                    }
                }
            }
        }
    }

    /// Whether an answer may come.
    pub fn waiting(&self) -> bool {
        self.flows.values().any(|flow| flow.asked)
    }
}

fn open(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match to {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.set_nonblocking(true)?;
    socket.connect(to)?;
    Ok(socket)
}

/// Passes an ICMP error on that the host got.
fn refuse(now: Time, guest: SocketAddrV4, remote: SocketAddrV4, error: &io::Error, wire: &mut Wire) {
    const HEADER: u16 = 8;
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => Icmpv4DstUnreachable::PortUnreachable,
        io::ErrorKind::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
        io::ErrorKind::HostUnreachable => Icmpv4DstUnreachable::HostUnreachable,
        _ => return,
    };
    let header = Ipv4Repr {
        src_addr: *guest.ip(),
        dst_addr: *remote.ip(),
        next_header: IpProtocol::Udp,
        payload_len: usize::from(HEADER),
        hop_limit: 64,
    };
    let mut start = Vec::new();
    for word in [guest.port(), remote.port(), HEADER, 0] {
        start.extend_from_slice(&word.to_be_bytes());
    }
    wire.send_unreachable(now, reason, header, &start);
}
