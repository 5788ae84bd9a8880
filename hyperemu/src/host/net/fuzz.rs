//! Whatever a guest sends: frames of any kind, and segments of a connection in any order.

use super::nat::Nat;
use super::tests::{Guest, MAC};
use super::wire::{LATENCY, RESOLVER, ROUTER, Wire, hardware};
use cpu_core::Time;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::dhcpv4;
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket,
};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};

#[test]
fn any_frames_are_survived() {
    let mut seeds = Vec::new();
    let mut guest = Guest::configured();
    guest.sockets.add(dhcpv4::Socket::new());
    guest.connect(RESOLVER, 1, 40_000);
    for _ in 0..50 {
        let now = Instant::from_micros((guest.now.as_ns() / 1000) as i64);
        guest.interface.poll(now, &mut guest.card, &mut guest.sockets);
        seeds.extend(guest.card.sent.iter().cloned());
        guest.step(false);
    }
    assert!(seeds.len() >= 2);
    arbtest::arbtest(|random| {
        let mut nat = Nat::new();
        let mut now = Time::ZERO;
        for _ in 0..random.int_in_range(1..=8)? {
            let mut frame = random.choose(&seeds)?.clone();
            for _ in 0..random.int_in_range(0..=6)? {
                let at = random.choose_index(frame.len())?;
                frame[at] = random.arbitrary()?;
            }
            if random.ratio(1, 4)? {
                frame.truncate(random.choose_index(frame.len())?);
            }
            if random.ratio(1, 8)? {
                frame = random.arbitrary()?;
            }
            // Fuzzed frames go nowhere outside, so that no run of this test depends on what is there.
            mend(&mut frame);
            nat.send(now, &frame);
            nat.look(now);
            now = now.saturating_add(Time(random.int_in_range(0..=200_000_000)?));
            while nat.receive(now).is_some() {}
        }
        Ok(())
    });
}

/// Corrects checksums, so that what follows them is looked at; the destination stays at home.
fn mend(frame: &mut [u8]) {
    let Some(packet) = frame.get_mut(14..).filter(|packet| packet.len() >= 20 && packet[0] == 0x45) else {
        return;
    };
    if packet[16..20] != [255; 4] {
        packet[16..20].copy_from_slice(&RESOLVER.octets());
    }
    Ipv4Packet::new_unchecked(&mut packet[..20]).fill_checksum();
    let Ok(mut packet) = Ipv4Packet::new_checked(packet) else { return };
    let (protocol, from, to) = (packet.next_header(), packet.src_addr().into(), packet.dst_addr().into());
    let payload = packet.payload_mut();
    if protocol == IpProtocol::Tcp && TcpPacket::new_checked(&payload[..]).is_ok() {
        TcpPacket::new_unchecked(payload).fill_checksum(&from, &to);
    } else if protocol == IpProtocol::Udp && UdpPacket::new_checked(&payload[..]).is_ok() {
        UdpPacket::new_unchecked(payload).fill_checksum(&from, &to);
    }
}

/// A segment from the guest's port 40000 to a port of the host, as a frame.
fn segment<'a>(port: u16, change: impl FnOnce(&mut TcpRepr<'a>)) -> Vec<u8> {
    let (from, to) = (Ipv4Addr::new(10, 0, 2, 15), ROUTER);
    let mut tcp = TcpRepr {
        src_port: 40_000,
        dst_port: port,
        control: TcpControl::None,
        seq_number: TcpSeqNumber(0),
        ack_number: None,
        window_len: 60_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    change(&mut tcp);
    let mut bytes = vec![0; tcp.buffer_len()];
    let mut packet = TcpPacket::new_unchecked(&mut bytes[..]);
    tcp.emit(&mut packet, &from.into(), &to.into(), &ChecksumCapabilities::default());
    let header = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Tcp,
        payload_len: bytes.len(),
        hop_limit: 64,
    };
    let mut packet = vec![0; header.buffer_len()];
    header.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
    packet.extend_from_slice(&bytes);
    let header =
        EthernetRepr { src_addr: MAC, dst_addr: hardware(ROUTER), ethertype: EthernetProtocol::Ipv4 };
    let mut wire = Wire::default();
    wire.send(Time::ZERO, header, &packet);
    wire.pop(LATENCY).unwrap()
}

/// The TCP segment in a frame: what it says, where it starts, and what it acknowledges.
fn parse(frame: &[u8]) -> Option<(TcpControl, TcpSeqNumber, Option<TcpSeqNumber>)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let tcp = TcpPacket::new_checked(packet.payload()).ok()?;
    let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
    let tcp = TcpRepr::parse(&tcp, &from, &to, &ChecksumCapabilities::default()).ok()?;
    Some((tcp.control, tcp.seq_number, tcp.ack_number))
}

#[test]
fn any_segments_of_a_connection_are_survived() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    arbtest::arbtest(|random| {
        let (mut nat, mut now) = (Nat::new(), Time::ZERO);
        let isn: i32 = random.arbitrary()?;
        nat.send(
            now,
            &segment(port, |tcp| {
                (tcp.control, tcp.seq_number) = (TcpControl::Syn, TcpSeqNumber(isn));
                tcp.max_seg_size = Some(1460);
            }),
        );
        let (mut host, _) = listener.accept().unwrap();
        let opened = loop {
            nat.look(now);
            now = now.saturating_add(LATENCY);
            if let Some(frame) = nat.receive(now) {
                break parse(&frame).unwrap();
            }
        };
        let (TcpControl::Syn, theirs, Some(_)) = opened else { panic!("no connection: {opened:?}") };
        nat.send(
            now,
            &segment(port, |tcp| {
                tcp.seq_number = TcpSeqNumber(isn) + 1;
                tcp.ack_number = Some(theirs + 1);
            }),
        );
        for _ in 0..random.int_in_range(0..=10)? {
            let _ = host.write(&vec![1; random.int_in_range(0..=5000)?]);
            let payload = vec![2; random.int_in_range(0..=1400)?];
            let control = *random.choose(&[
                TcpControl::None,
                TcpControl::Psh,
                TcpControl::Fin,
                TcpControl::Syn,
                TcpControl::Rst,
            ])?;
            let near: [i32; 3] = [random.arbitrary()?, random.int_in_range(0..=3000)?, 1];
            let seq = isn.wrapping_add(*random.choose(&near)?);
            let ack = theirs.0.wrapping_add(*random.choose(&near)?);
            let (with_ack, window_len) = (random.ratio(7, 8)?, random.arbitrary()?);
            let mut frame = segment(port, |tcp| {
                (tcp.control, tcp.seq_number, tcp.window_len) = (control, TcpSeqNumber(seq), window_len);
                tcp.ack_number = with_ack.then_some(TcpSeqNumber(ack));
                tcp.payload = &payload;
            });
            if random.ratio(1, 4)? {
                // Flags that no sane stack combines.
                frame[47] = random.arbitrary()?;
                let packet = &mut frame[34..];
                TcpPacket::new_unchecked(packet).fill_checksum(&IpAddress::v4(10, 0, 2, 15), &ROUTER.into());
            }
            nat.send(now, &frame);
            nat.look(now);
            let span = *random.choose(&[Time::from_us(60), Time::from_ms(300), Time::from_ms(200_000)])?;
            now = now.saturating_add(span);
            while nat.receive(now).is_some() {}
        }
        Ok(())
    });
}
