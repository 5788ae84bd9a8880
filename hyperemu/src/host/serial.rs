//! Serial ports on the host: where their bytes go to and come from.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a serial port is connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Standard input and output.
    Stdio,
    /// Output to a file; no input.
    File(PathBuf),
    /// A TCP connection, made or awaited.
    Tcp {
        /// `HOST:PORT`.
        address: String,
        /// Wait for a client.
        server: bool,
    },
    /// A UNIX socket, made or awaited.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Wait for a client.
        server: bool,
    },
    /// A new pseudo-terminal, whose path is printed.
    Pty,
    /// Nothing.
    Null,
}

/// `--serial`: an endpoint, for the next port or for the one with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialSpec {
    /// The port's name, or the next in devicetree order.
    pub name: Option<String>,
    /// Where it leads.
    pub endpoint: Endpoint,
}

impl FromStr for SerialSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<SerialSpec, String> {
        let (name, spec) = match text.split_once('=') {
            Some((name, spec)) if !name.contains(':') => (Some(name.to_string()), spec),
            _ => (None, text),
        };
        let (kind, rest) = spec.split_once(':').unwrap_or((spec, ""));
        let (place, server) = match rest.strip_suffix(",server") {
            Some(place) => (place, true),
            None => (rest, false),
        };
        let endpoint = match kind {
            "stdio" if rest.is_empty() => Endpoint::Stdio,
            "pty" if rest.is_empty() => Endpoint::Pty,
            "null" if rest.is_empty() => Endpoint::Null,
            "file" if !rest.is_empty() => Endpoint::File(rest.into()),
            "tcp" if place.contains(':') => Endpoint::Tcp { address: place.to_string(), server },
            "unix" if !place.is_empty() => Endpoint::Unix { path: place.into(), server },
            _ => {
                return Err(format!(
                    "expected stdio, file:F, tcp:HOST:PORT[,server], unix:F[,server], pty or null, found {spec:?}"
                ));
            }
        };
        Ok(SerialSpec { name, endpoint })
    }
}

/// How long a client may not read before its connection is closed: until then the machine waits, as with flow control.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something arrived from outside; the number is the caller's for the port.
pub type Arrival = (usize, Vec<u8>);

/// Where output goes; shared with the thread that accepts connections.
type Sink = Arc<Mutex<Option<Box<dyn Write + Send>>>>;

/// An open endpoint. Input arrives on the channel given to [`SerialPort::open`], from a thread of its own.
pub struct SerialPort {
    sink: Sink,
    /// What to tell the user, such as the path of a new pseudo-terminal.
    pub note: Option<String>,
}

impl SerialPort {
    /// Opens an endpoint. Errors name it.
    pub fn open(endpoint: &Endpoint, number: usize, arrivals: Sender<Arrival>) -> Result<SerialPort, String> {
        let sink: Sink = Arc::new(Mutex::new(None));
        let mut note = None;
        let set = |writer: Box<dyn Write + Send>| {
            if let Ok(mut sink) = sink.lock() {
                *sink = Some(writer);
            }
        };
        match endpoint {
            Endpoint::Null => {}
            Endpoint::Stdio => {
                set(Box::new(io::stdout()));
                thread::spawn(move || pump(io::stdin(), number, &arrivals));
            }
            Endpoint::File(path) => {
                let file = File::create(path);
                set(Box::new(file.map_err(|error| format!("can not write {}: {error}", path.display()))?));
            }
            Endpoint::Tcp { address, server: false } => {
                let stream = TcpStream::connect(address).and_then(|stream| {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    Ok((stream.try_clone()?, stream))
                });
                let (reader, writer) =
                    stream.map_err(|error| format!("can not connect to {address}: {error}"))?;
                set(Box::new(writer));
                thread::spawn(move || pump(reader, number, &arrivals));
            }
            Endpoint::Tcp { address, server: true } => {
                let listener = TcpListener::bind(address)
                    .map_err(|error| format!("can not listen on {address}: {error}"))?;
                note = listener
                    .local_addr()
                    .ok()
                    .map(|address| format!("serial port {number} listens on {address}"));
                let sink = sink.clone();
                thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        let _ = stream.set_nodelay(true);
                        let _ = stream.set_write_timeout(Some(PATIENCE));
                        serve(stream.try_clone(), stream, &sink, number, &arrivals);
                    }
                });
            }
            Endpoint::Unix { path, server: false } => {
                let stream = UnixStream::connect(path).and_then(|stream| Ok((stream.try_clone()?, stream)));
                let (reader, writer) =
                    stream.map_err(|error| format!("can not connect to {}: {error}", path.display()))?;
                set(Box::new(writer));
                thread::spawn(move || pump(reader, number, &arrivals));
            }
            Endpoint::Unix { path, server: true } => {
                let listener = UnixListener::bind(path)
                    .map_err(|error| format!("can not listen on {}: {error}", path.display()))?;
                let sink = sink.clone();
                thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        serve(stream.try_clone(), stream, &sink, number, &arrivals);
                    }
                });
            }
            Endpoint::Pty => {
                let (file, path) =
                    open_pty().map_err(|error| format!("can not open a pseudo-terminal: {error}"))?;
                note = Some(format!("serial port {number} is {path}"));
                let writer = file.try_clone().map_err(|error| format!("can not use {path}: {error}"))?;
                set(Box::new(writer));
                thread::spawn(move || pump(file, number, &arrivals));
            }
        }
        Ok(SerialPort { sink, note })
    }

    /// Sends what the guest sent. A closed connection swallows it, as an unplugged cable does.
    pub fn write(&self, bytes: &[u8]) {
        let Ok(mut sink) = self.sink.lock() else { return };
        if let Some(writer) = sink.as_mut()
            && writer.write_all(bytes).and_then(|()| writer.flush()).is_err()
        {
            *sink = None;
        }
    }
}

/// One client at a time: its input until it leaves, its output meanwhile.
fn serve<S: Read, W: Write + Send + 'static>(
    reader: io::Result<S>,
    writer: W,
    sink: &Sink,
    number: usize,
    arrivals: &Sender<Arrival>,
) {
    let Ok(reader) = reader else { return };
    if let Ok(mut sink) = sink.lock() {
        *sink = Some(Box::new(writer));
    }
    pump(reader, number, arrivals);
    if let Ok(mut sink) = sink.lock() {
        *sink = None;
    }
}

fn pump(mut reader: impl Read, number: usize, arrivals: &Sender<Arrival>) {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                if arrivals.send((number, buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn open_pty() -> io::Result<(File, String)> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    // While nobody has the other end open, reads fail; holding it open ourselves keeps the pump alive.
    let other = File::options().read(true).write(true).open(&path)?;
    let mut settings = rustix::termios::tcgetattr(&other)?;
    settings.make_raw();
    rustix::termios::tcsetattr(&other, rustix::termios::OptionalActions::Now, &settings)?;
    std::mem::forget(other);
    Ok((File::from(master), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn specs() {
        let parse = |text: &str| text.parse::<SerialSpec>();
        assert_eq!(parse("stdio").unwrap(), SerialSpec { name: None, endpoint: Endpoint::Stdio });
        let tcp = Endpoint::Tcp { address: "127.0.0.1:0".into(), server: true };
        assert_eq!(
            parse("uart1=tcp:127.0.0.1:0,server").unwrap(),
            SerialSpec { name: Some("uart1".into()), endpoint: tcp }
        );
        for bad in ["", "tty", "file:", "tcp:1234", "stdio:x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socket_carries_both_ways() {
        let dir = std::env::temp_dir().join(format!("hyperemu-serial-{}", std::process::id()));
        let _ = std::fs::remove_file(&dir);
        let (sender, arrivals) = mpsc::channel();
        let endpoint = Endpoint::Unix { path: dir.clone(), server: true };
        let port = SerialPort::open(&endpoint, 3, sender).unwrap();
        let mut client = UnixStream::connect(&dir).unwrap();
        client.write_all(b"in").unwrap();
        assert_eq!(arrivals.recv_timeout(Duration::from_secs(10)).unwrap(), (3, b"in".to_vec()));
        port.write(b"out");
        let mut buffer = [0; 3];
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"out");
        std::fs::remove_file(&dir).unwrap();
    }
}
