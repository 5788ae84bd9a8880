//! The machine's side of what models do: events, lines, output, counts.

use crate::events::{DeviceId, EventQueue};
use crate::host::HostOutput;
use crate::wires::{Target, Wires};
use cpu_core::{Counter, GuestMemory, Time};
use std::collections::{BTreeMap, VecDeque};

pub use crate::ctx::Request;

/// Something from one model to others, at the same virtual instant.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The event register at this bus address fired: for every device that listens.
    Published(u32),
    /// A write of 32 bits to the device at this bus address, by another device.
    Write(u32, u32),
}

/// What all models of one machine share.
pub struct Services {
    /// What is due when.
    pub events: EventQueue,
    /// Who drives whom.
    pub wires: Wires,
    /// What models told each other and the bus has not delivered, in order. Empty between accesses.
    pub messages: VecDeque<(DeviceId, Message)>,
    /// RAM and ROM.
    pub memory: GuestMemory,
    /// The platform counter.
    pub counter: Counter,
    /// What models left for the host since it last looked, in order.
    pub output: Vec<(DeviceId, HostOutput)>,
    /// What models asked of the machine since it last looked.
    pub requests: Vec<Request>,
    /// The access that is being served ends with a bus fault.
    pub bus_fault: bool,
    /// What of memory cores may no longer read, until the machine has told them: addresses and sizes.
    pub unreadable: Option<Vec<(u64, u64)>>,
    /// Accesses to what is not modelled: (device, offset, written) to how often.
    pub unimplemented: BTreeMap<(DeviceId, u64, bool), u64>,
    /// The latest of them, until the machine has told the user.
    pub fresh_unimplemented: Vec<Unimplemented>,
    /// What the guest did wrong, until the machine has told the user.
    pub complaints: Vec<(DeviceId, String)>,
    /// Set when something happened that the running core must return for.
    pub attention: bool,
    /// The end of the slice that a core is running: an event before it needs attention.
    pub slice_end: Time,
}

/// A first access to something that is not modelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unimplemented {
    /// Whose.
    pub device: DeviceId,
    /// Where in it.
    pub offset: u64,
    /// Written, or read.
    pub write: bool,
    /// Its name, if it has one.
    pub what: String,
}

impl Services {
    /// For a machine with this memory; no event, no wire, a counter of `hz`.
    pub fn new(memory: GuestMemory, hz: u64) -> Services {
        Services {
            events: EventQueue::default(),
            wires: Wires::default(),
            messages: VecDeque::new(),
            memory,
            counter: Counter { hz, offset: 0 },
            output: Vec::new(),
            requests: Vec::new(),
            bus_fault: false,
            unreadable: None,
            unimplemented: BTreeMap::new(),
            fresh_unimplemented: Vec::new(),
            complaints: Vec::new(),
            attention: false,
            slice_end: Time::ZERO,
        }
    }

    pub(crate) fn schedule(&mut self, device: DeviceId, token: u32, at: Time) {
        // Time.NEVER or a later time can only lengthen the slice, which is safe to do later.
        if at < self.slice_end {
            self.attention = true;
        }
        self.events.schedule(device, token, at);
    }

    pub(crate) fn set_line(&mut self, device: DeviceId, output: u32, level: bool) {
        if self.wires.set(device, output, level)
            && self.wires.targets(device, output).iter().any(|(to, _)| matches!(to, Target::Core(_)))
        {
            self.attention = true;
        }
    }
}
