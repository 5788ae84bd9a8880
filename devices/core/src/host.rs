//! What passes between a machine and the world outside it.
//!
//! A model only ever sees [`HostInput`] values, at virtual times that the machine logs, and only ever leaves
//! [`HostOutput`] values behind.

use devices_radio::{Arrival, Transmission};
use std::io;

/// What a device offers to, or wants from, the host.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Port {
    /// A serial line: takes [`HostInput::Serial`], gives [`HostOutput::Serial`].
    Serial,
    /// Takes [`HostInput::Key`].
    Keyboard,
    /// Takes [`HostInput::Pointer`].
    Pointer,
    /// Takes [`HostInput::Touch`].
    Touch,
    /// Takes [`HostInput::Packet`], gives [`HostOutput::Packet`].
    Network,
    /// [`crate::Device::display`] is there.
    Display,
    /// An antenna: takes [`HostInput::Radio`], gives [`HostOutput::Radio`].
    Radio,
}

impl Port {
    /// Whether it is what `input` is for.
    pub fn takes(self, input: &HostInput) -> bool {
        match input {
            HostInput::Serial(_) => self == Port::Serial,
            HostInput::Key { .. } => self == Port::Keyboard,
            HostInput::Pointer { .. } => self == Port::Pointer,
            HostInput::Touch { .. } => self == Port::Touch,
            HostInput::Packet(_) => self == Port::Network,
            HostInput::Radio(_) => self == Port::Radio,
        }
    }
}

/// Something from outside.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum HostInput {
    /// Bytes on a serial line.
    Serial(Vec<u8>),
    /// A key by its Linux input code (`KEY_*`), pressed or released.
    Key {
        /// Linux input code.
        code: u16,
        /// Pressed.
        down: bool,
    },
    /// An absolute pointer.
    Pointer {
        /// 0 (left) to 32767 (right).
        x: u16,
        /// 0 (top) to 32767 (bottom).
        y: u16,
        /// Bit 0 left, 1 right, 2 middle.
        buttons: u8,
        /// Wheel steps, away from the user positive.
        wheel: i8,
    },
    /// A finger on a touch screen.
    Touch {
        /// Which finger.
        slot: u8,
        /// 0 to 32767 on both axes; `None` when it is lifted.
        at: Option<(u16, u16)>,
    },
    /// An Ethernet frame without its checksum.
    Packet(Vec<u8>),
    /// A frame that starts to reach the antenna, or news about one.
    Radio(Box<Arrival>),
}

/// Something for outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostOutput {
    /// Bytes on a serial line.
    Serial(Vec<u8>),
    /// An Ethernet frame without its checksum.
    Packet(Vec<u8>),
    /// A frame that starts to leave the antenna, or stops early. The host names the node.
    Radio(Box<Transmission>),
}

/// A picture. Pixels are `0x00RRGGBB`, row by row from the top left.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Frame {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `width * height` of them.
    pub pixels: Vec<u32>,
}

impl Frame {
    /// Makes it `width` by `height`, black.
    pub fn resize(&mut self, width: u32, height: u32) {
        self.width = width;
        self.height = height;
        self.pixels.clear();
        self.pixels.resize(width as usize * height as usize, 0);
    }
}

/// A screen that a host can show.
pub trait Display {
    /// Width and height in pixels, as the guest has set it up.
    fn size(&self) -> (u32, u32);

    /// Changes whenever the picture may have.
    fn generation(&self) -> u64;

    /// Copies the picture; black where nothing is shown.
    fn copy(&self, into: &mut Frame);
}

/// The storage behind a disk or a flash chip. Offsets and lengths are in bytes.
pub trait BlockBackend: Send {
    /// Size in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writes are refused.
    fn read_only(&self) -> bool;

    /// Fills `into`; errors past the end.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes `from`; errors past the end, or if read-only.
    fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()>;

    /// Makes `len` bytes zero; may give space back to the host.
    fn write_zeroes(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let zeroes = [0; 4096];
        let mut done = 0;
        while done < len {
            let part = (len - done).min(zeroes.len() as u64);
            self.write_at(offset + done, &zeroes[..part as usize])?;
            done += part;
        }
        Ok(())
    }

    /// Returns when everything written is durable.
    fn flush(&mut self) -> io::Result<()>;
}
