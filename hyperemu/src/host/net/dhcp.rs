//! The DHCP server of the private network: RFC 2131 with fixed leases, the n-th card gets 10.0.2.(15 + n).
//!
//! Left out: relays, and forgetting a lease.

use super::wire::{MASK, RESOLVER, ROUTER};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};
use std::net::Ipv4Addr;

/// The server's port.
pub const SERVER: u16 = 67;
/// The client's port.
pub const CLIENT: u16 = 68;

const FIRST: u8 = 15;
/// Leases, more than a bridge in a guest may need.
const LIMIT: usize = 64;
/// Seconds.
const LEASE: u32 = 86_400;
/// Old clients expect the size of a BOOTP message (RFC 1542, 2.1).
const MIN_SIZE: usize = 300;

/// Who has which address.
#[derive(Default)]
pub struct Leases(Vec<EthernetAddress>);

impl Leases {
    /// Answers a message: where to, and with what. `None` where none is due.
    pub fn answer(&mut self, message: &[u8]) -> Option<(Ipv4Addr, Vec<u8>)> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let query = DhcpRepr::parse(&packet).ok()?;
        if query.server_identifier.is_some_and(|server| server != ROUTER) {
            return None;
        }
        let address = self.lease(query.client_hardware_address)?;
        let message_type = match query.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Inform => DhcpMessageType::Ack,
            DhcpMessageType::Request if query.requested_ip.unwrap_or(query.client_ip) == address => {
                DhcpMessageType::Ack
            }
            DhcpMessageType::Request => DhcpMessageType::Nak,
            _ => return None,
        };
        let leased = message_type != DhcpMessageType::Nak;
        let timed = leased && query.message_type != DhcpMessageType::Inform;
        let answer = DhcpRepr {
            message_type,
            transaction_id: query.transaction_id,
            secs: 0,
            client_hardware_address: query.client_hardware_address,
            client_ip: if leased { query.client_ip } else { Ipv4Addr::UNSPECIFIED },
            your_ip: if timed { address } else { Ipv4Addr::UNSPECIFIED },
            server_ip: if leased { ROUTER } else { Ipv4Addr::UNSPECIFIED },
            router: leased.then_some(ROUTER),
            subnet_mask: leased.then_some(MASK),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: query.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(ROUTER),
            parameter_request_list: None,
            dns_servers: leased.then(|| [RESOLVER].into_iter().collect()),
            max_size: None,
            lease_duration: timed.then_some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut bytes = vec![0; answer.buffer_len().max(MIN_SIZE)];
        answer.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).ok()?;
        // A client without an address hears broadcasts only.
        let known = leased && query.client_ip == address && !query.broadcast;
        Some((if known { address } else { Ipv4Addr::BROADCAST }, bytes))
    }

    fn lease(&mut self, client: EthernetAddress) -> Option<Ipv4Addr> {
        let number = match self.0.iter().position(|known| *known == client) {
            Some(number) => number,
            None if self.0.len() < LIMIT && client.is_unicast() => {
                self.0.push(client);
                self.0.len() - 1
            }
            None => return None,
        };
        let [a, b, c, _] = ROUTER.octets();
        Some(Ipv4Addr::new(a, b, c, FIRST + u8::try_from(number).ok()?))
    }
}
