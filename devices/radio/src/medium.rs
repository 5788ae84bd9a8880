//! What is between antennas.

use crate::frame::Transmission;
use serde::{Deserialize, Serialize};

/// A frame as it reaches one receiver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// The frame. It takes no time to get there.
    pub frame: Transmission,
    /// Its power at the receiver's antenna, in dBm.
    pub power: i32,
    /// It faded: the receiver does not synchronise to it, though its energy is there.
    pub lost: bool,
}

/// Carries frames from one node to the others.
pub trait Medium {
    /// A frame starts; or, with the key of an earlier one, that one stops before its end. Frames come in the order of
    /// the time at which they are published.
    fn publish(&mut self, frame: Transmission);

    /// The next frame, or the next news about one, that `node` has not got yet.
    fn receive(&mut self, node: u32) -> Option<Arrival>;
}

/// The medium where nobody else is.
#[derive(Copy, Clone, Default, Debug)]
pub struct Silence;

impl Medium for Silence {
    fn publish(&mut self, _frame: Transmission) {}

    fn receive(&mut self, _node: u32) -> Option<Arrival> {
        None
    }
}
