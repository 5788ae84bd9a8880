//! What is on the air: frames of short-range radios in virtual time, who hears them, and captures of them.
//!
//! A radio's model publishes a [`Transmission`] when it starts to send, before the first bit has left the antenna, and
//! once more if it stops early. A [`Medium`] hands every other node an [`Arrival`] of it at once, so that the receiver
//! knows ahead of time when each bit will reach it; it works out its own events from that, and decides about
//! interference at the end of a frame, from everything that it has [`Heard`].
//!
//! * [`bits`]: bits in the order of the air, cyclic redundancy checks, whitening.
//! * [`frame`]: a frame with its timing.
//! * [`ble`]: channels and packets of Bluetooth Low Energy.
//! * [`medium`]: the interface, and the medium where nobody else is.
//! * [`air`]: the medium of several radios in one process.
//! * [`heard`]: a receiver's view: energy, interference, damage.
//! * [`mod@pcapng`]: captures in that format.

pub mod air;
pub mod bits;
pub mod ble;
pub mod frame;
pub mod heard;
pub mod medium;
pub mod pcapng;
pub mod power;

pub use air::Air;
pub use bits::{Bits, Crc};
pub use frame::{Key, Phy, Transmission};
pub use heard::Heard;
pub use medium::{Arrival, Medium, Silence};
