//! The antennas of a machine: the medium between them and everyone else, and the capture of what they send.

use crate::machine::Machine;
use cpu_core::Time;
use devices_core::{DeviceId, HostInput, Port};
use devices_radio::pcapng::PcapNg;
use devices_radio::{Key, Medium, Silence, Transmission};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// All antennas of a machine, numbered as nodes in the order of the devicetree.
pub struct Radios {
    devices: Vec<DeviceId>,
    medium: Option<Box<dyn Medium>>,
    capture: Option<(PathBuf, Capture<BufWriter<File>>)>,
}

impl Radios {
    /// The antennas, alone in the world; `listen` unless a recording says what they hear. Errors name the file.
    pub fn open(machine: &Machine, listen: bool, pcap: Option<&Path>) -> Result<Radios, String> {
        let create = |path: &Path| {
            let capture = File::create(path).and_then(|file| Capture::new(BufWriter::new(file)));
            let capture = capture.map_err(|error| could_not_write(path, &error))?;
            Ok::<_, String>((path.to_owned(), capture))
        };
        Ok(Radios {
            devices: machine.ports(Port::Radio),
            medium: listen.then(|| Box::new(Silence) as Box<dyn Medium>),
            capture: pcap.map(create).transpose()?,
        })
    }

    /// A frame from a device, that starts to leave its antenna or that stopped early.
    pub fn send(&mut self, device: DeviceId, mut frame: Transmission) {
        let Some(node) = self.devices.iter().position(|id| *id == device) else { return };
        frame.key.node = node as u32;
        if let Some((_, capture)) = &mut self.capture {
            capture.add(frame.clone());
        }
        if let Some(medium) = &mut self.medium {
            medium.publish(frame);
        }
    }

    /// Everything that was sent before `now` has been told.
    pub fn told(&mut self, now: Time) {
        if let Some((_, capture)) = &mut self.capture {
            capture.write_ended(now);
        }
    }

    /// What reaches the antennas.
    pub fn receive(&mut self) -> Vec<(DeviceId, HostInput)> {
        let mut inputs = Vec::new();
        if let Some(medium) = &mut self.medium {
            for (node, device) in self.devices.iter().enumerate() {
                while let Some(arrival) = medium.receive(node as u32) {
                    inputs.push((*device, HostInput::Radio(Box::new(arrival))));
                }
            }
        }
        inputs
    }

    /// Writes what is left of the capture.
    pub fn finish(&mut self) -> Result<(), String> {
        let Some((path, capture)) = self.capture.take() else { return Ok(()) };
        capture.finish().map(drop).map_err(|error| could_not_write(&path, &error))
    }
}

fn could_not_write(path: &Path, error: &io::Error) -> String {
    format!("can not write {}: {error}", path.display())
}

/// Keeps frames until their ends, because they may stop early, and writes them by their starts.
struct Capture<W: Write> {
    file: PcapNg<W>,
    waiting: BTreeMap<(Time, Key), Transmission>,
    failure: Option<io::Error>,
}

impl<W: Write> Capture<W> {
    fn new(out: W) -> io::Result<Capture<W>> {
        Ok(Capture { file: PcapNg::new(out)?, waiting: BTreeMap::new(), failure: None })
    }

    fn add(&mut self, frame: Transmission) {
        self.waiting.insert((frame.start, frame.key), frame);
    }

    /// Writes what ended before `now`: frames that are still to be added start later.
    fn write_ended(&mut self, now: Time) {
        while let Some(first) = self.waiting.first_entry()
            && first.get().end() < now
        {
            let frame = first.remove();
            self.write(&frame);
        }
    }

    fn write(&mut self, frame: &Transmission) {
        if self.failure.is_none() {
            self.failure = self.file.frame(frame).err();
        }
    }

    /// Gives what it was written to.
    fn finish(mut self) -> io::Result<W> {
        for frame in std::mem::take(&mut self.waiting).into_values() {
            self.write(&frame);
        }
        match self.failure {
            Some(error) => Err(error),
            None => {
                self.file.flush()?;
                Ok(self.file.into_inner())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_radio::{Bits, Crc, Phy};

    fn frame(node: u32, start: u64, aborted: Option<u64>) -> Transmission {
        Transmission {
            key: Key { node, seq: start },
            start: Time::from_us(start),
            frequency: 2402,
            phy: Phy::Ble1M,
            preamble: Phy::Ble1M.preamble(),
            sync: 0x8e89_bed6,
            sync_bits: 32,
            data: Bits::from_bytes(&[node as u8; 5]),
            crc: Crc::default(),
            whitening: None,
            high_first: false,
            power: 0,
            position: [0; 3],
            aborted: aborted.map(Time::from_us),
        }
    }

    #[test]
    fn frames_are_written_by_start_as_they_ended() {
        let run = |frames: &[Transmission]| {
            let mut capture = Capture::new(Vec::new()).expect("memory takes everything");
            for frame in frames {
                capture.add(frame.clone());
                capture.write_ended(frame.start);
            }
            capture.finish().expect("memory takes everything")
        };
        let in_order = run(&[frame(0, 10, None), frame(1, 20, Some(30)), frame(0, 500, None)]);
        let as_published =
            run(&[frame(0, 10, None), frame(1, 20, None), frame(1, 20, Some(30)), frame(0, 500, None)]);
        assert_eq!(in_order, as_published);
        assert!(in_order.windows(9).any(|part| part == b"cut short"));
    }
}
