//! Packets on the wire: start, checksum, acknowledgement, retransmission, interrupts.

/// The longest packet that a client may send, frame included.
pub(crate) const PACKET_SIZE: usize = 0x4000;

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Received {
    /// The body of a packet whose checksum is right, escapes and all.
    Packet(Vec<u8>),
    /// A packet longer than [`PACKET_SIZE`], which is lost.
    Oversized,
    /// Ctrl-C.
    Interrupt,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    Between,
    Body,
    Checksum(Option<u8>),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    body: Vec<u8>,
    oversized: bool,
    /// Whether packets are acknowledged.
    acknowledge: bool,
    output: Vec<u8>,
    /// What was sent since the last packet came in.
    sent: Vec<u8>,
}

impl Framing {
    pub fn new() -> Framing {
        let (body, output, sent) = (Vec::new(), Vec::new(), Vec::new());
        Framing { state: State::Between, body, oversized: false, acknowledge: true, output, sent }
    }

    /// From here on the connection is trusted.
    pub fn stop_acknowledging(&mut self) {
        self.acknowledge = false;
    }

    /// Takes one byte from the client.
    pub fn receive(&mut self, byte: u8) -> Option<Received> {
        match (self.state, byte) {
            // An unescaped `$` always starts a packet.
            (State::Between | State::Body, b'$') => {
                self.state = State::Body;
                self.body.clear();
                self.oversized = false;
            }
            (State::Between, 0x03) => return Some(Received::Interrupt),
            (State::Between, b'-') if self.acknowledge => self.output.extend_from_slice(&self.sent),
            (State::Between, _) => {}
            (State::Body, b'#') => self.state = State::Checksum(None),
            (State::Body, _) if self.body.len() < PACKET_SIZE - 4 => self.body.push(byte),
            (State::Body, _) => self.oversized = true,
            (State::Checksum(None), high) => self.state = State::Checksum(Some(high)),
            (State::Checksum(Some(high)), low) => {
                self.state = State::Between;
                return self.complete([high, low]);
            }
        }
        None
    }

    fn complete(&mut self, checksum: [u8; 2]) -> Option<Received> {
        let body = std::mem::take(&mut self.body);
        let told = std::str::from_utf8(&checksum).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        // Of an oversized packet the sum is not known, and sending it again would not help.
        if self.acknowledge && !self.oversized {
            let right = told == Some(sum(&body));
            self.output.push(if right { b'+' } else { b'-' });
            if !right {
                return None;
            }
        } else if self.acknowledge {
            self.output.push(b'+');
        }
        self.sent.clear();
        Some(if self.oversized { Received::Oversized } else { Received::Packet(body) })
    }

    /// Sends a packet.
    pub fn send(&mut self, body: &[u8]) {
        self.send_framed(&frame(body));
    }

    /// Sends packets that have their frames.
    pub fn send_framed(&mut self, packets: &[u8]) {
        self.output.extend_from_slice(packets);
        self.sent.extend_from_slice(packets);
    }

    /// What is to be written to the client.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}

/// A body with its frame.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(body.len() + 4);
    packet.push(b'$');
    packet.extend_from_slice(body);
    packet.extend_from_slice(format!("#{:02x}", sum(body)).as_bytes());
    packet
}

fn sum(body: &[u8]) -> u8 {
    body.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
