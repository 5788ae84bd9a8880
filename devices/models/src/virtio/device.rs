//! What a virtio device is, behind any transport.

use super::queue::{Broken, Chain, Queue};
use devices_core::{Component, Ctx, Display, GuestMemory, HostInput, Port};

/// Feature bits that any device may have (virtio 1.2, section 6).
pub mod feature {
    /// A chain may go through a table of descriptors elsewhere.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// Notifications are suppressed by index.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// Not a legacy device.
    pub const VERSION_1: u64 = 1 << 32;
    /// One queue can be reset alone.
    pub const RING_RESET: u64 = 1 << 40;
    /// What the transport adds to the features of every device.
    pub const TRANSPORT: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1 | RING_RESET;
}

/// What a device may do while it is called.
pub struct Io<'a, 'b> {
    /// Time, events, output.
    pub ctx: &'a mut Ctx<'b>,
    /// Guest memory, where the buffers are.
    pub memory: GuestMemory,
    pub(super) queues: &'a mut [Queue],
    pub(super) features: u64,
    /// The driver is ready, and nothing is broken.
    pub(super) live: bool,
    pub(super) broken: Option<Broken>,
    pub(super) config_changed: bool,
    pub(super) popped: u32,
}

/// Most requests served in one call, in lengths of the queue. While the guest waits for the device, no more than
/// one length can come, unless its buffers lie over its ring.
const LENGTHS_PER_CALL: u32 = 4;

impl Io<'_, '_> {
    /// Whether all these features were negotiated.
    pub fn has(&self, features: u64) -> bool {
        self.features & features == features
    }

    /// Whether the driver has set the device up.
    pub fn ready(&self) -> bool {
        self.live
    }

    /// The next request in a queue.
    pub fn pop(&mut self, queue: usize) -> Option<Chain> {
        if !self.live {
            return None;
        }
        let queue = self.queues.get_mut(queue)?;
        self.popped += 1;
        if self.popped > LENGTHS_PER_CALL * u32::from(queue.max()) {
            self.fail("a ring was overwritten by what the device answered");
            return None;
        }
        match queue.pop(&self.memory) {
            Ok(chain) => chain,
            Err(broken) => {
                self.fail(broken.0);
                None
            }
        }
    }

    /// Gives the last `count` requests of a queue back, to pop them again later.
    pub fn unpop(&mut self, queue: usize, count: u16) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.unpop(count);
        }
    }

    /// Returns a request after `written` bytes were written to its writable part, without a gap.
    pub fn push(&mut self, queue: usize, head: u16, written: u64) {
        let Some(queue) = self.queues.get_mut(queue) else { return };
        let written = u32::try_from(written).unwrap_or(u32::MAX);
        if let Err(broken) = queue.push(&self.memory, head, written) {
            self.fail(broken.0);
        }
    }

    /// Returns a request whose writable part was written as a stream.
    pub fn complete(&mut self, queue: usize, chain: &Chain) {
        self.push(queue, chain.head, chain.writable.done());
    }

    /// The driver broke a rule from which there is no way back but a reset.
    pub fn fail(&mut self, why: &'static str) {
        self.live = false;
        self.broken = Some(Broken(why));
    }

    /// The configuration space changed: the driver is told.
    pub fn config_changed(&mut self) {
        self.config_changed = true;
    }
}

/// A virtio device. What [`Component`] saves is what the transport does not: neither queues nor features.
pub trait VirtioDevice: Component {
    /// Device type number (virtio 1.2, section 5).
    fn id(&self) -> u32;

    /// Feature bits of its own.
    fn features(&self) -> u64;

    /// Most descriptors of each queue, powers of two.
    fn queues(&self) -> &'static [u16];

    /// Configuration space; reads past its end give zeroes.
    fn config(&self) -> Vec<u8>;

    /// The driver writes 1, 2 or 4 bytes of the configuration space.
    fn write_config(&mut self, _io: &mut Io, _offset: u64, _bytes: &[u8]) {}

    /// Back to the state before a driver came; with `power`, back to the state at power-on.
    fn reset(&mut self, ctx: &mut Ctx, power: bool);

    /// There is, or may be, something to do in a queue.
    fn notify(&mut self, io: &mut Io, queue: usize);

    /// An event asked for by the device is due.
    fn event(&mut self, _io: &mut Io, _token: u32) {}

    /// What it exchanges with the host.
    fn port(&self) -> Option<Port> {
        None
    }

    /// Something from the host.
    fn host_input(&mut self, _io: &mut Io, _input: &HostInput) {}

    /// The screen, if it is one.
    fn display(&self) -> Option<&dyn Display> {
        None
    }

    /// A control was asked to change; as [`Component::set_control`], with the queues at hand.
    fn control_changed(&mut self, _io: &mut Io) {}
}
