//! What a model may do while it is called.

use crate::events::DeviceId;
use crate::host::HostOutput;
use crate::services::{Message, Services, Unimplemented};
use cpu_core::{Counter, GuestMemory, Time};
use serde::{Deserialize, Serialize};

/// Something only the machine can do, after the current instruction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Power goes off; the program ends with this status.
    PowerOff(u32),
    /// All cores and devices go back to their state at power-on.
    Reset,
    /// Cores execute nothing more until a reset, and [`crate::Device::power_down`] is called for all devices.
    PowerDown,
}

/// Lines, inputs and event tokens of the child with index `i` start at this multiple of `i + 1`.
pub const CHILD: u32 = 0x1_0000;

/// Passed to every call of a model: who it is, what time it is, and what it may do.
pub struct Ctx<'a> {
    device: DeviceId,
    base: u32,
    now: Time,
    services: &'a mut Services,
}

impl<'a> Ctx<'a> {
    /// For a call of `device` at `now`.
    pub fn new(device: DeviceId, now: Time, services: &'a mut Services) -> Ctx<'a> {
        Ctx { device, base: 0, now, services }
    }

    /// For the call of child `index` of this device (an I2C or SPI target): its lines and tokens are apart.
    pub fn child(&mut self, index: usize) -> Ctx<'_> {
        let base = CHILD.wrapping_mul(index as u32 + 1);
        Ctx { device: self.device, base, now: self.now, services: self.services }
    }

    /// Virtual time of the call.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Guest memory: what a device reaches by DMA.
    pub fn memory(&self) -> &GuestMemory {
        &self.services.memory
    }

    /// The platform counter.
    pub fn counter(&self) -> Counter {
        self.services.counter
    }

    /// Moves the platform counter, so that it reads `value` now.
    pub fn set_counter(&mut self, value: u64) {
        let counter = &mut self.services.counter;
        counter.offset = value.wrapping_sub(self.now.ticks(counter.hz));
        self.services.attention = true;
    }

    /// Sets an interrupt line or pin (see [`crate::pin`]).
    pub fn set_line(&mut self, output: u32, level: bool) {
        self.services.set_line(self.device, self.base.wrapping_add(output), level);
    }

    /// The level this device last gave `output`.
    pub fn line_level(&self, output: u32) -> bool {
        self.services.wires.level(self.device, self.base.wrapping_add(output))
    }

    /// Asks for [`crate::Device::event`] with `token` at `at`, instead of when it was due before.
    /// A time in the past means as soon as the current instruction is done; [`Time::NEVER`] cancels.
    pub fn schedule(&mut self, token: u32, at: Time) {
        self.services.schedule(self.device, self.base.wrapping_add(token), at.max(self.now));
    }

    /// Asks for [`crate::Device::event`] after `span`.
    pub fn schedule_in(&mut self, token: u32, span: Time) {
        self.schedule(token, self.now.saturating_add(span));
    }

    /// Forgets an event.
    pub fn cancel(&mut self, token: u32) {
        self.services.events.cancel(self.device, self.base.wrapping_add(token));
    }

    /// Forgets all events of the device itself: it loses its power. Those of chips on its bus stay.
    pub fn cancel_all(&mut self) {
        self.services.events.cancel_up_to(self.device, CHILD - 1);
    }

    /// When an event is due.
    pub fn due(&self, token: u32) -> Option<Time> {
        self.services.events.due(self.device, self.base.wrapping_add(token))
    }

    /// Tells the devices that listen ([`crate::Device::published`]) that the event register at this bus address
    /// fired, now.
    pub fn publish(&mut self, address: u32) {
        self.services.messages.push_back((self.device, Message::Published(address)));
    }

    /// Writes 32 bits to another device's register, now: after the current call, at the same virtual time.
    pub fn bus_write(&mut self, address: u32, value: u32) {
        self.services.messages.push_back((self.device, Message::Write(address, value)));
    }

    /// Leaves something for the host.
    pub fn output(&mut self, output: HostOutput) {
        // Serial bytes come one at a time: they grow one chunk.
        if let HostOutput::Serial(bytes) = &output
            && let Some((device, HostOutput::Serial(before))) = self.services.output.last_mut()
            && *device == self.device
        {
            before.extend_from_slice(bytes);
            return;
        }
        self.services.output.push((self.device, output));
    }

    /// Asks the machine for something.
    pub fn request(&mut self, request: Request) {
        self.services.requests.push(request);
        self.services.attention = true;
    }

    /// Makes the running core return after the current instruction: the memory map changed, say.
    pub fn attention(&mut self) {
        self.services.attention = true;
    }

    /// Answers the access that is being served with a bus fault.
    pub fn bus_fault(&mut self) {
        self.services.bus_fault = true;
    }

    /// Lets cores neither read nor fetch from these ranges of memory, of whole pages, until it says otherwise: an
    /// attempt is a bus fault. Only one device of a machine may do so.
    pub fn set_unreadable(&mut self, ranges: Vec<(u64, u64)>) {
        self.services.unreadable = Some(ranges);
        self.services.attention = true;
    }

    /// Counts an access to something that the hardware has and this model does not; `what` names it.
    pub fn unimplemented(&mut self, offset: u64, write: bool, what: &str) {
        let count = self.services.unimplemented.entry((self.device, offset, write)).or_default();
        *count += 1;
        if *count == 1 {
            let what = what.to_string();
            self.services.fresh_unimplemented.push(Unimplemented {
                device: self.device,
                offset,
                write,
                what,
            });
            self.services.attention = true;
        }
    }

    /// Tells the user that the guest did something that the hardware's document forbids.
    pub fn complain(&mut self, what: impl Into<String>) {
        // A guest that misbehaves in a loop must not fill the host's memory.
        if self.services.complaints.len() < 64 {
            self.services.complaints.push((self.device, what.into()));
        }
    }
}
