//! Running the kernels, and reading what each cost.
//!
//! A guest's time is virtual, so the processor time of the whole emulator is read from outside, at the moments when
//! the guest's lines arrive that mark a kernel's start and end; the guest lets each line out before it goes on.

use super::kernels::Kernel;
use crate::Result;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a kernel cost, and what it computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Processor seconds, user and system.
    pub seconds: f64,
    /// Its checksum, as printed.
    pub checksum: String,
}

/// Longer than any run takes, also on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(1800);

/// The program's arguments: which kernels, how often.
pub fn arguments(kernels: &[&Kernel], quick: bool) -> Vec<String> {
    kernels.iter().map(|kernel| format!("{}:{}", kernel.name, kernel.iterations(quick))).collect()
}

/// Runs the kernels on this machine. The program measures itself there: its time is real, and it sees its children.
pub fn native(program: &Path, kernels: &[&Kernel], quick: bool) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut command = crate::process::command(&program.to_string_lossy());
    follow(command.args(arguments(kernels, quick)), |line, _| {
        if let Some(Line::End { checksum, own_ns, .. }) = parse(line) {
            figures.push(Figure { seconds: own_ns as f64 / 1e9, checksum: checksum.to_owned() });
        }
    })?;
    complete(figures, kernels, "native")
}

/// Runs the kernels in a guest that `command` boots.
pub fn guest(mut command: Command, kernels: &[&Kernel]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut started = None;
    let log = follow(&mut command, |line, cpu| match parse(line) {
        Some(Line::Start { name }) => started = Some((name.to_owned(), cpu)),
        Some(Line::End { name, checksum, .. }) => {
            if let Some((_, before)) = started.take().filter(|(started, _)| started == name) {
                figures.push(Figure { seconds: cpu - before, checksum: checksum.to_owned() });
            }
        }
        None => {}
    })?;
    let name = command.get_program().to_string_lossy().into_owned();
    complete(figures, kernels, &name).map_err(|error| format!("{error}\n{log}").into())
}

fn complete(figures: Vec<Figure>, kernels: &[&Kernel], whose: &str) -> Result<Vec<Figure>> {
    if figures.len() == kernels.len() {
        return Ok(figures);
    }
    let missing = kernels.get(figures.len()).map_or("?", |kernel| kernel.name);
    Err(format!("{whose}: no figure for {missing}").into())
}

/// Processor seconds of a command that must succeed, to its end.
pub fn whole(command: &mut Command) -> Result<f64> {
    let before = children_ticks()?;
    follow(command, |_, _| ())?;
    // Linux reports in ticks of 1/100 s, whatever its own.
    Ok((children_ticks()? - before) as f64 / 100.0)
}

/// Runs a command that must succeed, and shows each line of its output to `see` with the processor seconds that the
/// process had used when the line came. Returns the end of its output, for messages.
fn follow(command: &mut Command, mut see: impl FnMut(&str, f64)) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot run {name}: {error}"))?;
    let clock = clock_getcpuclockid(Pid::from_raw(child.id() as i32))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let messages = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.map(|mut pipe| pipe.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let guard = Guard::new(child);
    let mut last = std::collections::VecDeque::new();
    let mut output = BufReader::new(stdout.ok_or("no pipe")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        see(text, cpu_seconds(clock));
        if last.len() == 20 {
            last.pop_front();
        }
        last.push_back(text.to_owned());
        line.clear();
    }
    let status = guard.wait()?;
    let log = last.into_iter().collect::<Vec<_>>().join("\n");
    let messages = messages.join().unwrap_or_default();
    if status.success() {
        return Ok(log);
    }
    Err(format!("{name} failed ({status})\n{log}\n{}", messages.trim_end()).into())
}

/// 0 when the process has just ended; then no kernel is running.
fn cpu_seconds(clock: ClockId) -> f64 {
    clock_gettime(clock).map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// A process that does not outlive us, nor the time limit.
struct Guard {
    child: Arc<Mutex<Child>>,
    _ended: std::sync::mpsc::Sender<()>,
}

impl Guard {
    fn new(child: Child) -> Self {
        let child = Arc::new(Mutex::new(child));
        let theirs = Arc::clone(&child);
        let (ended, wait) = channel::<()>();
        std::thread::spawn(move || {
            if wait.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = theirs.lock().unwrap_or_else(PoisonError::into_inner).kill();
            }
        });
        Self { child, _ended: ended }
    }

    /// Waits for the end; its output has ended already.
    fn wait(&self) -> Result<std::process::ExitStatus> {
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
    Start { name: &'a str },
    End { name: &'a str, checksum: &'a str, own_ns: u64 },
}

/// Reads a line of the program; others may stand before it on the console.
fn parse(line: &str) -> Option<Line<'_>> {
    let mut words = line.get(line.find('@')?..)?.split_whitespace();
    match words.next()? {
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
    use super::*;

    #[test]
    fn lines_of_the_program_are_found() {
        assert_eq!(parse("@start fib"), Some(Line::Start { name: "fib" }));
        let end = Line::End { name: "fib", checksum: "00ff", own_ns: 12 };
        assert_eq!(parse("guest# @end fib 00ff 12"), Some(end));
        assert_eq!(parse("@end fib 00ff"), None);
        assert_eq!(parse("[    0.1] printk"), None);
    }

    #[test]
    fn a_process_is_followed_to_its_end() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo a; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo b; sleep 0.02"]);
        follow(&mut command, |line, cpu| lines.push((line.to_owned(), cpu))).unwrap();
        assert_eq!([&*lines[0].0, &*lines[1].0], ["a", "b"]);
        assert!(lines[1].1 > lines[0].1, "the loop costs: {lines:?}");
        let error = follow(Command::new("sh").args(["-c", "echo x; exit 3"]), |_, _| ()).unwrap_err();
        assert!(error.to_string().contains('x'), "{error}");
    }
}
