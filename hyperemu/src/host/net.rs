//! The network behind a machine's network cards.

use cpu_core::Time;
use devices_core::{DeviceId, HostInput};
use std::str::FromStr;

/// `--net`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum NetSpec {
    /// A small private network with address translation to the host's.
    User,
    /// No card.
    None,
}

impl FromStr for NetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<NetSpec, String> {
        match text {
            "user" => Ok(NetSpec::User),
            "none" => Ok(NetSpec::None),
            _ => Err(format!("expected user or none, found {text:?}")),
        }
    }
}

/// All networks of a machine.
#[derive(Default)]
pub struct Network {}

impl Network {
    /// A frame from the guest.
    pub fn send(&mut self, _device: DeviceId, _now: Time, _frame: Vec<u8>) {}

    /// Frames for the guest.
    pub fn receive(&mut self, _now: Time) -> Vec<(DeviceId, HostInput)> {
        Vec::new()
    }

    /// Whether an answer from the host is due, so that idle virtual time should not run away.
    pub fn waiting(&self) -> bool {
        false
    }
}
