//! The other end of a USB cable: a host that enumerates a device and drives its first function that it knows, as a
//! serial line.
//!
//! Follows Universal Serial Bus Specification 2.0, chapter 9; the Communications Device Class 1.2 with PSTN 1.2 (ACM): what
//! the function sends and takes are the bytes of the line; and the Bluetooth Core Specification v5.4, volume 4, part B
//! (HCI over USB): bytes of the line are H4 packets. Nothing is known of the device beforehand.
//!
//! Left out: hubs, suspend, isochronous endpoints (HCI's voice), alternate settings, strings.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A control transfer.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Control {
    /// bmRequestType, bRequest, wValue, wIndex, wLength.
    pub setup: [u8; 8],
    /// What the host sends, or what it has received.
    pub data: Vec<u8>,
}

impl Control {
    fn new(kind: u8, request: u8, value: u16, index: u16, length: u16) -> Control {
        let [v0, v1] = value.to_le_bytes();
        let [i0, i1] = index.to_le_bytes();
        let [l0, l1] = length.to_le_bytes();
        Control { setup: [kind, request, v0, v1, i0, i1, l0, l1], data: Vec::new() }
    }

    fn with(mut self, data: &[u8]) -> Control {
        self.setup[6..].copy_from_slice(&(data.len() as u16).to_le_bytes());
        self.data = data.to_vec();
        self
    }

    /// Whether the device sends the data.
    pub fn is_in(&self) -> bool {
        self.setup[0] & 0x80 != 0
    }

    /// wLength.
    pub fn length(&self) -> usize {
        u16::from_le_bytes([self.setup[6], self.setup[7]]).into()
    }
}

/// How far enumeration has come: what the control transfer that is under way is for.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// No device.
    #[default]
    Detached,
    /// Its device descriptor.
    Device,
    /// Its address.
    Address,
    /// The head of its configuration, for the length.
    ConfigurationHead,
    /// All of its configuration.
    Configuration,
    /// Choosing that.
    Choose,
    /// The line's rate, of a serial function.
    LineCoding,
    /// Somebody is there.
    LineState,
    /// In use.
    Ready,
    /// It did not answer as it should.
    Failed,
}

/// A function that the host can use.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Function {
    /// None.
    #[default]
    None,
    /// A serial line; the number of its control interface.
    Serial(u8),
    /// A Bluetooth controller.
    Hci,
}

/// The endpoints of the function, by number.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoints {
    /// Bulk, to the host.
    pub bulk_in: Option<u8>,
    /// Bulk, to the device.
    pub bulk_out: Option<u8>,
    /// Interrupt, to the host.
    pub interrupt_in: Option<u8>,
}

/// The host.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UsbHost {
    /// How far it is.
    pub stage: Stage,
    /// What it uses.
    pub function: Function,
    /// And how.
    pub endpoints: Endpoints,
    configuration: u8,
    /// From the line, not yet sent.
    line: VecDeque<u8>,
    /// The rest of a bulk transfer that has begun, and whether an empty packet ends it.
    sending: VecDeque<u8>,
    end_packet: bool,
    /// Parts of HCI packets: events, data.
    event: Vec<u8>,
    data: Vec<u8>,
}

/// Bytes of a full-speed bulk packet.
pub const PACKET: usize = 64;
/// More than any HCI packet has.
const LIMIT: usize = 70_000;

const GET_DESCRIPTOR: u8 = 6;
const DEVICE: u16 = 0x100;
const CONFIGURATION: u16 = 0x200;

impl UsbHost {
    /// A device is there, and was reset: the first transfer to make.
    pub fn attach(&mut self) -> Control {
        let line = std::mem::take(&mut self.line);
        *self = UsbHost { stage: Stage::Device, line, ..UsbHost::default() };
        Control::new(0x80, GET_DESCRIPTOR, DEVICE, 0, 18)
    }

    /// The device is gone.
    pub fn detach(&mut self) {
        let line = std::mem::take(&mut self.line);
        *self = UsbHost { line, ..UsbHost::default() };
    }

    /// Bytes of the line, for the device.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.line.extend(bytes);
    }

    /// A control transfer has ended, with these data or refused; the next one to make.
    pub fn done(&mut self, data: Option<&[u8]>) -> Option<Control> {
        let Some(data) = data else {
            // Lines without a rate refuse it; commands that a controller refuses are its business.
            match self.stage {
                Stage::LineCoding => self.stage = Stage::LineState,
                Stage::LineState | Stage::Ready => self.stage = Stage::Ready,
                _ => self.stage = Stage::Failed,
            }
            return match self.stage {
                Stage::LineState => Some(self.line_state()),
                _ => None,
            };
        };
        match self.stage {
            Stage::Device if data.len() >= 18 => {
                self.stage = Stage::Address;
                Some(Control::new(0, 5, 1, 0, 0))
            }
            Stage::Address => {
                self.stage = Stage::ConfigurationHead;
                Some(Control::new(0x80, GET_DESCRIPTOR, CONFIGURATION, 0, 9))
            }
            Stage::ConfigurationHead if data.len() >= 9 => {
                self.stage = Stage::Configuration;
                let length = u16::from_le_bytes([data[2], data[3]]);
                Some(Control::new(0x80, GET_DESCRIPTOR, CONFIGURATION, 0, length))
            }
            Stage::Configuration if data.len() >= 9 => {
                self.configuration = data[5];
                self.choose_function(data);
                self.stage = Stage::Choose;
                Some(Control::new(0, 9, self.configuration.into(), 0, 0))
            }
            Stage::Choose => match self.function {
                Function::Serial(interface) => {
                    self.stage = Stage::LineCoding;
                    // 115200 8N1.
                    Some(Control::new(0x21, 0x20, 0, interface.into(), 7).with(&[0, 0xc2, 1, 0, 0, 0, 8]))
                }
                Function::Hci => {
                    self.stage = Stage::Ready;
                    None
                }
                Function::None => {
                    self.stage = Stage::Failed;
                    None
                }
            },
            Stage::LineCoding => {
                self.stage = Stage::LineState;
                Some(self.line_state())
            }
            Stage::LineState | Stage::Ready => {
                self.stage = Stage::Ready;
                None
            }
            _ => {
                self.stage = Stage::Failed;
                None
            }
        }
    }

    /// Tells a serial function that somebody is there: DTR and RTS.
    fn line_state(&self) -> Control {
        let interface = if let Function::Serial(interface) = self.function { interface } else { 0 };
        Control::new(0x21, 0x22, 3, interface.into(), 0)
    }

    /// Looks for a function in a configuration.
    fn choose_function(&mut self, mut rest: &[u8]) {
        const INTERFACE: u8 = 4;
        const ENDPOINT: u8 = 5;
        // Whether the endpoints that follow belong to the function.
        let mut inside = false;
        let mut data_found = false;
        while let [length, kind, ..] = *rest {
            let length = usize::from(length);
            let Some((descriptor, after)) = rest.split_at_checked(length).filter(|_| length >= 2) else {
                return;
            };
            rest = after;
            match (kind, descriptor) {
                (INTERFACE, [_, _, number, 0, _, class, subclass, protocol, ..]) => {
                    inside = match (self.function, class, subclass, protocol) {
                        (Function::None, 2, 2, _) => {
                            self.function = Function::Serial(*number);
                            false
                        }
                        (Function::Serial(_), 0x0a, _, _) => !std::mem::replace(&mut data_found, true),
                        (Function::None, 0xe0, 1, 1) => {
                            self.function = Function::Hci;
                            true
                        }
                        _ => false,
                    };
                }
                (INTERFACE, _) => inside = false,
                (ENDPOINT, [_, _, address, attributes, ..]) if inside => {
                    let number = Some(address & 0xf);
                    match (attributes & 3, address & 0x80 != 0) {
                        (2, true) => self.endpoints.bulk_in = number,
                        (2, false) => self.endpoints.bulk_out = number,
                        (3, true) => self.endpoints.interrupt_in = number,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// The next command of the line, for a Bluetooth controller.
    pub fn next_command(&mut self) -> Option<Control> {
        if self.stage != Stage::Ready || self.function != Function::Hci {
            return None;
        }
        match (self.line.front()?, self.line.get(3)) {
            (1, length) => {
                let all = 4 + usize::from(*length?);
                if self.line.len() < all {
                    return None;
                }
                let packet: Vec<u8> = self.line.drain(..all).skip(1).collect();
                Some(Control::new(0x20, 0, 0, 0, 0).with(&packet))
            }
            (2, _) => None,
            // Not a packet that this host can send.
            _ => {
                self.line.pop_front();
                None
            }
        }
    }

    /// The next bulk packet for the device.
    pub fn next_packet(&mut self) -> Option<Vec<u8>> {
        if self.stage != Stage::Ready {
            return None;
        }
        if self.sending.is_empty() && !self.end_packet {
            match self.function {
                Function::Serial(_) => {
                    let count = self.line.len().min(PACKET);
                    return (count > 0).then(|| self.line.drain(..count).collect());
                }
                Function::Hci if self.line.front() == Some(&2) => {
                    let length = u16::from_le_bytes([*self.line.get(3)?, *self.line.get(4)?]);
                    let all = 5 + usize::from(length);
                    if self.line.len() < all {
                        return None;
                    }
                    self.sending = self.line.drain(..all).skip(1).collect();
                    self.end_packet = self.sending.len().is_multiple_of(PACKET);
                }
                _ => return None,
            }
        }
        let count = self.sending.len().min(PACKET);
        self.end_packet &= count > 0;
        Some(self.sending.drain(..count).collect())
    }

    /// A packet from an endpoint of the function: what it means for the line.
    pub fn received(&mut self, endpoint: u8, packet: &[u8]) -> Vec<u8> {
        let is_event = self.endpoints.interrupt_in == Some(endpoint);
        match self.function {
            Function::Serial(_) if !is_event => packet.to_vec(),
            Function::Hci => {
                let (kind, head) = if is_event { (4, 2) } else { (2, 4) };
                let part = if is_event { &mut self.event } else { &mut self.data };
                part.extend_from_slice(packet);
                let length = match part.as_slice() {
                    [_, length, ..] if is_event => usize::from(*length),
                    [_, _, low, high, ..] => u16::from_le_bytes([*low, *high]).into(),
                    _ => return Vec::new(),
                };
                if part.len() < head + length && part.len() < LIMIT {
                    return Vec::new();
                }
                let mut line = vec![kind];
                line.append(part);
                line
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACM: &[u8] = &[
        9, 2, 62, 0, 2, 1, 0, 0x80, 50, // configuration
        9, 4, 0, 0, 1, 2, 2, 1, 0, 5, 0x24, 0, 0x10, 1, 7, 5, 0x81, 3, 16, 0, 10, // control interface
        9, 4, 1, 0, 2, 0x0a, 0, 0, 0, 7, 5, 0x82, 2, 64, 0, 0, 7, 5, 0x01, 2, 64, 0,
        0, // data interface
    ];

    fn enumerate(host: &mut UsbHost, configuration: &[u8]) {
        assert_eq!(host.attach().setup, [0x80, 6, 0, 1, 0, 0, 18, 0]);
        assert_eq!(host.done(Some(&[18; 18])).map(|next| next.setup), Some([0, 5, 1, 0, 0, 0, 0, 0]));
        host.done(Some(&[]));
        host.done(Some(&configuration[..9]));
        host.done(Some(configuration));
    }

    #[test]
    fn finds_a_serial_function() {
        let mut host = UsbHost::default();
        enumerate(&mut host, ACM);
        assert_eq!((host.function, host.stage), (Function::Serial(0), Stage::Choose));
        let endpoints = Endpoints { bulk_in: Some(2), bulk_out: Some(1), interrupt_in: None };
        assert_eq!(host.endpoints, endpoints);
        assert_eq!(host.done(Some(&[])).map(|next| next.setup[..2].to_vec()), Some(vec![0x21, 0x20]));
        host.feed(&[7; 70]);
        assert_eq!(host.next_packet(), None);
        assert_eq!(host.done(None).map(|next| next.setup[..3].to_vec()), Some(vec![0x21, 0x22, 3]));
        assert_eq!(host.done(Some(&[])), None);
        let sizes = [host.next_packet(), host.next_packet(), host.next_packet()];
        assert_eq!(sizes.map(|packet| packet.map(|packet| packet.len())), [Some(64), Some(6), None]);
        assert_eq!((host.received(2, b"hi"), host.stage), (b"hi".to_vec(), Stage::Ready));
    }

    #[test]
    fn carries_hci_packets() {
        let configuration = [
            &[9, 2, 39, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 3, 0xe0, 1, 1, 0][..],
            &[7, 5, 0x81, 3, 16, 0, 1, 7, 5, 0x82, 2, 64, 0, 0, 7, 5, 0x02, 2, 64, 0, 0],
        ];
        let mut host = UsbHost::default();
        enumerate(&mut host, &configuration.concat());
        assert_eq!(host.done(Some(&[])), None);
        host.feed(&[1, 3, 0x0c]);
        assert_eq!(host.next_command(), None, "not whole");
        host.feed(&[0, 2, 1, 0, 60, 0]);
        let command = host.next_command().expect("a command");
        assert_eq!((command.setup, command.data), ([0x20, 0, 0, 0, 0, 0, 3, 0], vec![3, 0x0c, 0]));
        host.feed(&[9; 60]);
        let packets = [host.next_packet(), host.next_packet(), host.next_packet()];
        assert_eq!(packets.map(|packet| packet.map(|packet| packet.len())), [Some(64), Some(0), None]);
        assert_eq!(host.received(1, &[0x0e, 4, 1]), []);
        assert_eq!(host.received(1, &[3, 0x0c, 0]), [4, 0x0e, 4, 1, 3, 0x0c, 0]);
        assert_eq!(host.received(2, &[1, 0, 1, 0, 5]), [2, 1, 0, 1, 0, 5]);
    }

    #[test]
    fn survives_any_descriptor() {
        arbtest::arbtest(|u| {
            let mut host = UsbHost::default();
            host.attach();
            for _ in 0..8 {
                let bytes: Option<Vec<u8>> = u.arbitrary()?;
                host.done(bytes.as_deref());
                host.feed(&bytes.unwrap_or_default());
                host.next_command();
                host.next_packet();
            }
            Ok(())
        });
    }
}
