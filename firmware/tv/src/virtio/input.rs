//! Keyboards, remotes, pointers and touch screens by virtio-input (virtio 1.2, section 5.8; codes as in Linux' evdev).

use alloc::string::String;

use super::{
    Error, Transport,
    queue::{Buffer, Queue, SIZE},
};
use crate::dma::Dma;

const CONFIG_SELECT: usize = 0;
const CONFIG_SUBSELECT: usize = 1;
const CONFIG_SIZE: usize = 2;
const CONFIG_DATA: usize = 8;
const ID_NAME: u8 = 0x01;
const ABS_INFO: u8 = 0x12;

/// Bytes of an event: type and code of 16 bits, a value of 32.
const EVENT: usize = 8;

/// An evdev event.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub kind: u16,
    pub code: u16,
    pub value: i32,
}

/// Event types.
pub const EV_SYN: u16 = 0;
pub const EV_KEY: u16 = 1;
pub const EV_ABS: u16 = 3;
/// Axes of a tablet, and of the first finger on a touch screen.
pub const ABS_X: u16 = 0x00;
pub const ABS_Y: u16 = 0x01;
pub const ABS_MT_X: u16 = 0x35;
pub const ABS_MT_Y: u16 = 0x36;

pub struct Input {
    pub transport: Transport,
    pub name: String,
    /// Highest value of the horizontal and the vertical axis; 0 where there is none.
    pub range: (u32, u32),
    events: Queue,
    memory: Dma,
}

impl Input {
    pub fn new(transport: Transport) -> Result<Self, Error> {
        transport.begin(0)?;
        let mut events = Queue::new(transport, 0)?;
        let memory = Dma::new(usize::from(SIZE) * EVENT);
        for slot in 0..SIZE {
            events.post(slot, &[buffer(&memory, slot)]);
        }
        transport.finish();
        events.notify();
        let length = select(&transport, ID_NAME, 0).min(128);
        let name = (0..length)
            .map(|i| char::from(transport.config8(CONFIG_DATA + i)))
            .filter(|c| *c != '\0')
            .collect();
        let axis = |code: u16| {
            // The answer is minimum, maximum, fuzz, flat and resolution.
            if select(&transport, ABS_INFO, code as u8) < 8 { 0 } else { transport.config32(CONFIG_DATA + 4) }
        };
        let either = |a, b| Some(axis(a)).filter(|&r| r > 0).unwrap_or_else(|| axis(b));
        let range = (either(ABS_X, ABS_MT_X), either(ABS_Y, ABS_MT_Y));
        Ok(Self { transport, name, range, events, memory })
    }

    /// The next event that has arrived; its buffer goes back to the device.
    pub fn next(&mut self) -> Option<Event> {
        let (slot, _) = self.events.take()?;
        let slot = slot % SIZE;
        let at = usize::from(slot) * EVENT;
        let event = Event {
            kind: self.memory.read(at),
            code: self.memory.read(at + 2),
            value: self.memory.read::<u32>(at + 4) as i32,
        };
        self.events.post(slot, &[buffer(&self.memory, slot)]);
        self.events.notify();
        Some(event)
    }
}

fn buffer(memory: &Dma, slot: u16) -> Buffer {
    Buffer {
        address: memory.address() + u64::from(slot) * EVENT as u64,
        length: EVENT as u32,
        device_writes: true,
    }
}

/// Asks for a piece of configuration; returns how many bytes it has.
fn select(transport: &Transport, what: u8, which: u8) -> usize {
    transport.write_config8(CONFIG_SELECT, what);
    transport.write_config8(CONFIG_SUBSELECT, which);
    usize::from(transport.config8(CONFIG_SIZE))
}
