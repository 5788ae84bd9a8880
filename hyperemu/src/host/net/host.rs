//! Where the guest's addresses lead on the host.

use super::wire::{RESOLVER, ROUTER, is_local};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// The port of DNS.
pub const DNS: u16 = 53;

/// The host's name for what the guest calls `to`; `None` where nothing is there.
pub fn translate(to: SocketAddrV4) -> Option<SocketAddr> {
    let (address, port) = (*to.ip(), to.port());
    let [first, ..] = address.octets();
    match address {
        _ if port == 0 => None,
        ROUTER => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        RESOLVER if port == DNS => Some(SocketAddr::from((resolver()?, port))),
        _ if is_local(address) => None,
        // This network, loopback, multicast and what is reserved: none of it may be on a wire as a destination.
        _ if first == 0 || first == 127 || first >= 224 => None,
        _ => Some(SocketAddr::from((address, port))),
    }
}

/// The host's name server. It is looked up at each use, as it changes when the host moves between networks.
fn resolver() -> Option<IpAddr> {
    first_server(&std::fs::read_to_string("/etc/resolv.conf").ok()?)
}

fn first_server(text: &str) -> Option<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    });
    // A comment or a bad address does not hide what follows.
    servers.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(address: [u8; 4], port: u16) -> Option<String> {
        translate(SocketAddrV4::new(address.into(), port)).map(|found| found.to_string())
    }

    #[test]
    fn router_is_the_host_and_the_world_is_itself() {
        assert_eq!(to([10, 0, 2, 2], 80).as_deref(), Some("127.0.0.1:80"));
        assert_eq!(to([192, 0, 2, 7], 443).as_deref(), Some("192.0.2.7:443"));
        assert_eq!(to([10, 0, 3, 2], 80).as_deref(), Some("10.0.3.2:80"));
    }

    #[test]
    fn nothing_is_at_other_local_or_special_addresses() {
        let nowhere =
            [[10, 0, 2, 4], [10, 0, 2, 255], [127, 0, 0, 1], [0, 0, 0, 0], [224, 0, 0, 1], [255; 4]];
        for address in nowhere {
            assert_eq!(to(address, 80), None, "{address:?}");
        }
        assert_eq!(to([10, 0, 2, 3], 80), None);
        assert_eq!(to([10, 0, 2, 2], 0), None);
    }

    #[test]
    fn first_usable_name_server_is_taken() {
        let text = "# nameserver 1.1.1.1\nsearch lan\nnameserver fe80::1%eth0\nnameserver  192.0.2.1\nnameserver ::1";
        assert_eq!(first_server(text), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(first_server("options edns0\n"), None);
    }
}
