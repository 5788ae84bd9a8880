//! Running the kernels, and reading what each cost.
//!
//! A guest's time is virtual, so the processor time of the whole emulator is read from outside, at the moments when
//! the guest's lines arrive that mark a kernel's start and end; the guest lets each line out before it goes on. The
//! guest waits for a line of ours before each kernel, and its emulator is stopped meanwhile: so the same kernel runs in
//! one after the other, within seconds. A shared processor's speed changes over seconds, and by a factor of two.

use super::kernels::Kernel;
use crate::Result;
use crate::process::{command, exists};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a kernel cost, and what it computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Processor seconds, user and system, as read from outside.
    pub seconds: f64,
    /// The same as the program itself saw it, children included: right where its time is real.
    pub own_seconds: f64,
    /// Its checksum, as printed.
    pub checksum: String,
}

/// Longer than any run takes, also on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(3600);

/// Lines of output that a failure shows.
const SHOWN: usize = 20;

/// Processor seconds of a command that must succeed, to its end.
pub fn whole(command: &Command) -> Result<f64> {
    let before = children_ticks()?;
    Session::start(command)?.finish()?;
    // Linux reports in ticks of 1/100 s, whatever its own.
    Ok((children_ticks()? - before) as f64 / 100.0)
}

/// The program, running here or in a guest.
pub struct Session {
    name: String,
    process: Guard,
    clock: ClockId,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    messages: Option<JoinHandle<String>>,
    last: VecDeque<String>,
}

impl Session {
    /// Starts the command.
    pub fn start(command: &Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = with_us(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {name}: {error}"))?;
        let pid = Pid::from_raw(child.id().try_into()?);
        let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Guard::new(child, pid);
        let messages = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.map(|mut pipe| pipe.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self {
            name,
            process,
            clock: clock_getcpuclockid(pid)?,
            input,
            output: BufReader::new(stdout.ok_or("no pipe")?),
            messages: Some(messages),
            last: VecDeque::new(),
        })
    }

    /// Waits until the program takes lines, and stops the process.
    pub fn ready(&mut self) -> Result {
        self.wait("its start", |line| (line == Line::Ready).then_some(()))?;
        self.process.signal(Signal::SIGSTOP)
    }

    /// Lets the next kernel run, which must be this one, and stops the process again.
    pub fn measure(&mut self, kernel: &Kernel, quick: bool) -> Result<Figure> {
        self.process.signal(Signal::SIGCONT)?;
        if let Some(input) = &mut self.input {
            // When the process has ended, what comes next says so better than a broken pipe.
            let _ = writeln!(input, "{}", kernel.iterations(quick)).and_then(|()| input.flush());
        }
        let name = kernel.program();
        let ((), before) = self.wait(name, |line| (line == Line::Start { name }).then_some(()))?;
        let ((checksum, own_seconds), after) = self.wait(name, |line| match line {
            Line::End { name: ended, checksum, own_ns } if ended == name => {
                Some((checksum.to_owned(), own_ns as f64 / 1e9))
            }
            _ => None,
        })?;
        self.process.signal(Signal::SIGSTOP)?;
        Ok(Figure { seconds: after - before, own_seconds, checksum })
    }

    /// Lets the process run to its end, which must be a good one.
    pub fn finish(mut self) -> Result {
        self.process.signal(Signal::SIGCONT)?;
        self.input = None;
        while self.line()?.is_some() {}
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(self.failure(&status.to_string())) }
    }

    /// The next line of the program that `wanted` wants, and the processor seconds up to its arrival.
    fn wait<T>(&mut self, what: &str, wanted: impl Fn(Line) -> Option<T>) -> Result<(T, f64)> {
        while let Some((line, seconds)) = self.line()? {
            if let Some(found) = parse(&line).and_then(&wanted) {
                return Ok((found, seconds));
            }
        }
        let status = self.process.wait()?;
        Err(self.failure(&format!("ended before {what} did: {status}")))
    }

    /// The next line of output, and the processor seconds up to its arrival.
    fn line(&mut self) -> Result<Option<(String, f64)>> {
        let mut line = Vec::new();
        if self.output.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        // The clock of a process that has just ended cannot be read; no kernel runs in it.
        let seconds =
            clock_gettime(self.clock).map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9);
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        Ok(Some((line, seconds)))
    }

    /// The message for a process that has ended.
    fn failure(&mut self, how: &str) -> Box<dyn std::error::Error> {
        let messages = self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let lines = self.last.make_contiguous().join("\n");
        format!("{}: {how}\n{lines}\n{}", self.name, messages.trim_end()).into()
    }
}

/// The command as one that is killed when we are: a stopped process would stay for ever.
fn with_us(wrapped: &Command) -> Command {
    if !exists("setpriv") {
        let mut plain = command(&wrapped.get_program().to_string_lossy());
        plain.args(wrapped.get_args());
        return plain;
    }
    let mut setpriv = command("setpriv");
    setpriv.args(["--pdeathsig", "KILL"]).arg(wrapped.get_program()).args(wrapped.get_args());
    setpriv
}

/// A process that does not outlive us, nor the time limit.
struct Guard {
    child: Arc<Mutex<Child>>,
    pid: Pid,
    _ended: Sender<()>,
}

impl Guard {
    fn new(child: Child, pid: Pid) -> Self {
        let child = Arc::new(Mutex::new(child));
        let theirs = Arc::clone(&child);
        let (ended, wait) = channel::<()>();
        std::thread::spawn(move || {
            if wait.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = theirs.lock().unwrap_or_else(PoisonError::into_inner).kill();
            }
        });
        Self { child, pid, _ended: ended }
    }

    /// Signals the process, which has not been waited for.
    fn signal(&self, signal: Signal) -> Result {
        Ok(kill(self.pid, signal)?)
    }

    /// Waits for the end; its output has ended already.
    fn wait(&self) -> Result<ExitStatus> {
        Ok(self.child.lock().unwrap_or_else(PoisonError::into_inner).wait()?)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// User and system time of all children that have ended: fields 16 and 17 of proc_pid_stat(5).
fn children_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> = after_name.split_whitespace().skip(13).take(2).flat_map(str::parse).collect();
    match fields[..] {
        [user, system] => Ok(user + system),
        _ => Err("/proc/self/stat does not look as expected".into()),
    }
}

#[derive(Debug, PartialEq)]
enum Line<'a> {
    Ready,
    Start { name: &'a str },
    End { name: &'a str, checksum: &'a str, own_ns: u64 },
}

/// Reads a line of the program; others may stand before it on the console.
fn parse(line: &str) -> Option<Line<'_>> {
    let mut words = line.get(line.find('@')?..)?.split_whitespace();
    match words.next()? {
        "@ready" => Some(Line::Ready),
        "@start" => Some(Line::Start { name: words.next()? }),
        "@end" => {
            let (name, checksum) = (words.next()?, words.next()?);
            Some(Line::End { name, checksum, own_ns: words.next()?.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::KERNELS;
    use super::*;

    #[test]
    fn lines_of_the_program_are_found() {
        assert_eq!(parse("@ready"), Some(Line::Ready));
        assert_eq!(parse("@start fib"), Some(Line::Start { name: "fib" }));
        let end = Line::End { name: "fib", checksum: "00ff", own_ns: 12 };
        assert_eq!(parse("guest# @end fib 00ff 12"), Some(end));
        assert_eq!(parse("@end fib 00ff"), None);
        assert_eq!(parse("[    0.1] printk"), None);
    }

    fn shell(script: &str) -> Session {
        Session::start(command("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_kernel_costs_what_its_process_used_between_its_lines() {
        let name = KERNELS[0].name;
        let mut session = shell(&format!(
            "work() {{ i=0; while [ $i -lt $1 ]; do i=$((i+1)); done; }}
             echo noise; echo @ready; work 50000; read x; work 50000
             echo @start {name}; work 100; echo @end {name} 0f 2000000000; work 50000; read x
             echo @start {name}; work 50000; echo @end {name} 0e 3000000000"
        ));
        session.ready().unwrap();
        let short = session.measure(&KERNELS[0], true).unwrap();
        let long = session.measure(&KERNELS[0], true).unwrap();
        assert_eq!((&*short.checksum, short.own_seconds), ("0f", 2.0));
        assert_eq!((&*long.checksum, long.own_seconds), ("0e", 3.0));
        assert!(long.seconds > 3.0 * short.seconds, "{short:?} {long:?}");
        session.finish().unwrap();
    }

    #[test]
    fn an_early_end_says_what_was_printed() {
        let mut session = shell("echo @ready; read x; echo no such kernel; echo a message >&2; exit 3");
        session.ready().unwrap();
        let error = session.measure(&KERNELS[0], true).unwrap_err().to_string();
        for part in ["no such kernel", "a message", "exit status: 3"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(shell("exit 3").finish().is_err());
    }
}
