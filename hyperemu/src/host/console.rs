//! The serial ports of a machine and where they lead.

use crate::host::serial::{Arrival, Endpoint, SerialPort, SerialSpec};
use crate::host::terminal::{Command, HELP, Keys, RawMode};
use crate::machine::Machine;
use devices_core::{DeviceId, HostInput, Port};
use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

struct Line {
    device: DeviceId,
    port: SerialPort,
}

/// All serial lines, opened.
pub struct Console {
    lines: Vec<Line>,
    arrivals: Receiver<Arrival>,
    /// The line on standard input, with its keys.
    terminal: Option<(usize, Keys, RawMode)>,
    waiting: Vec<Arrival>,
    /// Somebody may type.
    pub interactive: bool,
}

impl Console {
    /// Connects the ports: those that `specs` name, then the others in devicetree order. What is left over goes to
    /// standard input and output for the first port, if nobody else has them, and nowhere for the rest.
    pub fn open(machine: &Machine, specs: &[SerialSpec]) -> Result<Console, String> {
        let mut devices = machine.ports(Port::Serial);
        // The board's console comes first; the others stay in the order of the devicetree.
        devices.sort_by_key(|device| Some(*device) != machine.stdout);
        let name = |device: DeviceId| machine.bus.slots[device].name.as_str();
        let mut endpoints: Vec<Option<Endpoint>> = vec![None; devices.len()];
        // Those with a name first: the others take what is left.
        let (named, unnamed): (Vec<_>, Vec<_>) = specs.iter().partition(|spec| spec.name.is_some());
        for spec in named.into_iter().chain(unnamed) {
            let slot = match &spec.name {
                Some(wanted) => devices.iter().position(|device| name(*device) == wanted),
                None => endpoints.iter().position(Option::is_none),
            };
            let Some(slot) = slot else {
                let names: Vec<&str> = devices.iter().map(|device| name(*device)).collect();
                return Err(format!("--serial: no such port; this board has {}", names.join(", ")));
            };
            if endpoints[slot].replace(spec.endpoint.clone()).is_some() {
                return Err(format!("--serial: {} is given twice", name(devices[slot])));
            }
        }
        if specs.iter().filter(|spec| spec.endpoint == Endpoint::Stdio).count() > 1 {
            return Err("--serial: only one port can have stdio".into());
        }
        let taken = endpoints.iter().flatten().any(|endpoint| *endpoint == Endpoint::Stdio);
        if let Some(first @ None) = endpoints.first_mut() {
            *first = Some(if taken { Endpoint::Null } else { Endpoint::Stdio });
        }
        let (sender, arrivals) = mpsc::channel();
        let mut console =
            Console { lines: Vec::new(), arrivals, terminal: None, waiting: Vec::new(), interactive: false };
        for (number, (&device, endpoint)) in devices.iter().zip(&endpoints).enumerate() {
            let endpoint = endpoint.as_ref().unwrap_or(&Endpoint::Null);
            if *endpoint == Endpoint::Stdio {
                console.take_file_input(number)?;
                console.terminal = RawMode::enter().map(|raw| (number, Keys::default(), raw));
                console.interactive |= console.terminal.is_some();
            }
            console.interactive |= !matches!(endpoint, Endpoint::Stdio | Endpoint::Null | Endpoint::File(_));
            let port = SerialPort::open(endpoint, number, sender.clone())?;
            if let Some(note) = &port.note {
                eprintln!("hyperemu: {note}");
            }
            console.lines.push(Line { device, port });
        }
        Ok(console)
    }

    /// A file on standard input is there from the start, so that such a run repeats exactly.
    fn take_file_input(&mut self, number: usize) -> Result<(), String> {
        let stdin = std::io::stdin();
        let is_file = rustix::fs::fstat(&stdin).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
        });
        if is_file {
            let mut bytes = Vec::new();
            let read = stdin.lock().take(1 << 24).read_to_end(&mut bytes);
            read.map_err(|error| format!("can not read standard input: {error}"))?;
            self.waiting.push((number, bytes));
        }
        Ok(())
    }

    /// Sends what the guest sent.
    pub fn write(&self, device: DeviceId, bytes: &[u8]) {
        if let Some(line) = self.lines.iter().find(|line| line.device == device) {
            line.port.write(bytes);
        }
    }

    /// The device whose output expectations look at.
    pub fn main_device(&self) -> Option<DeviceId> {
        self.lines.first().map(|line| line.device)
    }

    /// Waits for input for at most so long; true if there is some.
    pub fn wait(&mut self, span: Duration) -> bool {
        match self.arrivals.recv_timeout(span) {
            Ok(arrival) => {
                self.waiting.push(arrival);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            // All readers have ended: there is nothing to wait for but time.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(span);
                false
            }
        }
    }

    /// What has arrived: input for devices, and commands for the program.
    pub fn take(&mut self) -> (Vec<(DeviceId, HostInput)>, Vec<Command>) {
        self.waiting.extend(self.arrivals.try_iter());
        let (mut inputs, mut commands) = (Vec::new(), Vec::new());
        for (number, mut bytes) in self.waiting.drain(..) {
            if let Some((_, keys, _)) = self.terminal.as_mut().filter(|(line, ..)| *line == number) {
                let (guest, wanted) = keys.split(&bytes);
                if wanted.contains(&Command::Help) {
                    eprint!("{HELP}");
                }
                commands.extend(wanted);
                bytes = guest;
            }
            if let Some(line) = self.lines.get(number).filter(|_| !bytes.is_empty()) {
                inputs.push((line.device, HostInput::Serial(bytes)));
            }
        }
        (inputs, commands)
    }
}
