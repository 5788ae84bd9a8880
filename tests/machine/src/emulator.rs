//! The program under test, run as a process.

use regex::bytes::Regex;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far more than any test needs on a slow machine, and less than the test runner's own limit.
const LIMIT: Duration = Duration::from_secs(540);

/// A command line being put together.
pub struct Emulator {
    args: Vec<OsString>,
    folder: TempDir,
    display: Option<String>,
}

impl Emulator {
    /// The program with these arguments and no others.
    pub fn plain<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { args: Vec::new(), folder, display: None }.args(args)
    }

    /// A machine without a window (but see [`Emulator::window`]), its first serial port on our pipes, with
    /// statistics.
    pub fn new(machine: &str) -> Self {
        let emulator = Self::plain(["--machine", machine, "--serial", "stdio"]);
        let stats = emulator.path("stats.json");
        emulator.arg("--stats").arg(stats)
    }

    /// The tv booting Debian's kernel on this many harts, with these groups of drivers (`disk`, `net`, `share`,
    /// `input`, `screen`; none: no modules at all), and with commands to run at the end of the boot.
    pub fn linux(drivers: &str, harts: u32, commands: &str) -> Self {
        Self::linux_with(drivers, harts, "", commands)
    }

    /// As [`Emulator::linux`], with more parameters for the kernel.
    pub fn linux_with(drivers: &str, harts: u32, parameters: &str, commands: &str) -> Self {
        let initramfs = if drivers.is_empty() { "bare" } else { "full" };
        // The console comes last: it is the one that init gets. Ciphers need no self-test here.
        let append = format!(
            "cryptomgr.notests {parameters} console=ttyS0 DRIVERS=\"base {drivers}\" RUN=\"{commands}\""
        );
        Self::new("tv")
            .args(["--cpus", &harts.to_string(), "--memory", "512M"])
            .arg("--kernel")
            .arg(super::guest("linux-riscv64/Image"))
            .arg("--initrd")
            .arg(super::guest(&format!("initramfs/riscv64-{initramfs}.cpio.gz")))
            .args(["--append", &append])
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Shows the machine in a window on this display.
    pub fn window(mut self, display: &super::Display) -> Self {
        self.display = Some(display.name().to_owned());
        self
    }

    /// A path in a folder that lasts as long as the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs to the end, with nothing on standard input.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Starts, to be talked with.
    pub fn start(self) -> Session {
        let program = program();
        let mut command = Command::new(&program);
        command.args(&self.args).env("CI", "true").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        if let Some(display) = &self.display {
            command.env("DISPLAY", display);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {}: {e}", program.display()));
        let input = child.stdin.take();
        let stdout = Stream::read(child.stdout.take().expect("standard output is a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("standard error is a pipe"));
        let deadline = Instant::now() + LIMIT;
        Session { child: Running(child), input, stdout, stderr, cursor: 0, deadline, emulator: self }
    }
}

/// The program: `HYPEREMU_BIN`, else the workspace's release build.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("HYPEREMU_BIN") {
        return program.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(target).join("release/hyperemu");
    assert!(program.exists(), "{} is missing: run `cargo build --release -p hyperemu`", program.display());
    program
}

/// A process that ends with the test, also with one that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running program.
pub struct Session {
    child: Running,
    input: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
    cursor: usize,
    deadline: Instant,
    emulator: Emulator,
}

impl Session {
    /// Waits for a pattern on the serial port, past what was waited for before, and returns its match.
    ///
    /// # Panics
    ///
    /// When the program ends or the time is up first.
    pub fn expect(&mut self, pattern: &str) -> String {
        let regex = Regex::new(pattern).expect("the pattern is valid");
        match self.stdout.wait(&regex, self.cursor, self.deadline) {
            Ok((end, found)) => {
                self.cursor = end;
                found
            }
            Err(why) => {
                // Its memory ends with it.
                let _ = self.child.0.kill();
                let (serial, stderr) = (self.stdout.text(), self.stderr.text());
                panic!("`{pattern}` did not come: {why}\n--- serial\n{serial}\n--- stderr\n{stderr}");
            }
        }
    }

    /// Waits for a pattern among the program's own messages, and returns its match.
    ///
    /// # Panics
    ///
    /// When the program ends or the time is up first.
    pub fn message(&mut self, pattern: &str) -> String {
        let regex = Regex::new(pattern).expect("the pattern is valid");
        let found = self.stderr.wait(&regex, 0, self.deadline);
        found.unwrap_or_else(|why| panic!("`{pattern}` did not come: {why}\n{}", self.stderr.text())).1
    }

    /// Types on the serial port.
    pub fn send(&mut self, text: &str) {
        let input = self.input.as_mut().expect("standard input is a pipe");
        // When the program has ended, what comes next says so better than a broken pipe.
        let _ = input.write_all(text.as_bytes()).and_then(|()| input.flush());
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }

    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// When the time is up first, or a signal ended the program.
    pub fn finish(mut self) -> Outcome {
        drop(self.input.take());
        let status = loop {
            if let Some(status) = self.child.0.try_wait().expect("the program can be waited for") {
                break status;
            }
            if Instant::now() > self.deadline {
                let _ = self.child.0.kill();
                let (serial, stderr) = (self.stdout.text(), self.stderr.text());
                panic!("the run took over {LIMIT:?}\n--- serial\n{serial}\n--- stderr\n{stderr}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let (serial, stderr) = (self.stdout.finish(), self.stderr.finish());
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let code = status.code();
        let status =
            code.unwrap_or_else(|| panic!("a signal ended the program: {status}\n--- stderr\n{stderr}"));
        let stats = std::fs::read(self.emulator.path("stats.json")).ok();
        let stats = stats.map(|text| serde_json::from_slice(&text).expect("the statistics are JSON"));
        Outcome { status, serial, stderr, stats, emulator: self.emulator }
    }
}

/// What a run left.
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Every byte of the serial port.
    pub serial: Vec<u8>,
    /// The program's own messages.
    pub stderr: String,
    stats: Option<serde_json::Value>,
    emulator: Emulator,
}

impl Outcome {
    /// The serial port as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.serial).into_owned()
    }

    /// One value of the statistics.
    pub fn stat(&self, name: &str) -> &serde_json::Value {
        let stats = self.stats.as_ref().unwrap_or_else(|| panic!("no statistics were written\n{self}"));
        stats.get(name).unwrap_or_else(|| panic!("the statistics have no {name}: {stats}"))
    }

    /// A path in the run's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.emulator.path(name)
    }

    /// Checks the exit status, and returns the run for more checks.
    #[track_caller]
    pub fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "exit status\n{self}");
        self
    }

    /// Checks that the serial port showed a pattern; `^` and `$` match at lines.
    #[track_caller]
    pub fn shows(self, pattern: &str) -> Self {
        let regex =
            regex::RegexBuilder::new(pattern).multi_line(true).crlf(true).build().expect("a valid pattern");
        assert!(regex.is_match(&self.text()), "`{pattern}` is not there\n{self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--- status {}\n--- serial\n{}\n--- stderr\n{}", self.status, self.text(), self.stderr)
    }
}

/// What a pipe gave so far, read by a thread so that the program never waits for us.
struct Stream {
    shared: Arc<(Mutex<Received>, Condvar)>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Received::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let count = pipe.read(&mut chunk).unwrap_or(0);
                let (received, news) = &*theirs;
                let mut received = received.lock().expect("no holder panics");
                received.bytes.extend_from_slice(&chunk[..count]);
                received.ended = count == 0;
                news.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self { shared, reader }
    }

    /// The end of the first match past `from`, and the match.
    fn wait(&self, regex: &Regex, from: usize, deadline: Instant) -> Result<(usize, String), &'static str> {
        let (received, news) = &*self.shared;
        let mut received = received.lock().expect("no holder panics");
        loop {
            if let Some(found) = regex.find_at(&received.bytes, from) {
                return Ok((found.end(), String::from_utf8_lossy(found.as_bytes()).into_owned()));
            }
            if received.ended {
                return Err("the program ended");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("the time was up");
            }
            received = news.wait_timeout(received, left).expect("no holder panics").0;
        }
    }

    fn text(&self) -> String {
        let received = self.shared.0.lock().expect("no holder panics");
        String::from_utf8_lossy(&received.bytes).into_owned()
    }

    /// Everything, once the pipe is closed.
    fn finish(self) -> Vec<u8> {
        self.reader.join().expect("the reader does not panic");
        std::mem::take(&mut self.shared.0.lock().expect("no holder panics").bytes)
    }
}
