//! `--gdb`: a run with a debugger beside it.
//!
//! The machine goes on by [`Runner::step`] as without a debugger, so that console, network and timeouts work, and where
//! it stops and starts has no influence on what it does.

mod monitor;

use crate::cli::run::status;
use crate::error::UsageError;
use crate::host::runner::{Ending, Runner, Step};
use crate::machine::Cpu;
use crate::machine::scheduler::Limit;
use cpu_core::{Core, GuestMemory};
use debugger::{Answer, Architecture, End, Event, Session, Target};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How often a running machine looks for a client, or for what it says.
const LOOK: Duration = Duration::from_millis(1);

/// How long a stopped machine waits for its client before it looks at the rest of the outside.
const WAIT: Duration = Duration::from_millis(10);

/// How long a client may take to read.
const PATIENCE: Duration = Duration::from_secs(10);

/// A run as the debugger sees it.
struct Debugged<'r, 'a> {
    runner: &'r mut Runner<'a>,
    /// Why the run is over, once it is.
    ending: Option<Ending>,
    /// Controls that the user has set, for the end of the round.
    assignments: Vec<(String, String)>,
}

impl Debugged<'_, '_> {
    /// Whether the machine is between two rounds, when the outside may reach it.
    fn at_boundary(&self) -> bool {
        let schedule = &self.runner.machine.schedule;
        schedule.now == schedule.end
    }

    fn assign(&mut self) {
        for (name, value) in std::mem::take(&mut self.assignments) {
            if let Err(error) = self.runner.machine.set_control(&name, &value) {
                let now = self.runner.machine.now();
                self.runner.machine.log.warn(now, error.to_string());
            }
        }
    }

    /// The exit status of a run that is over.
    fn status(&self, ending: &Ending) -> u8 {
        status(ending, self.runner).0
    }
}

impl Target for Debugged<'_, '_> {
    fn architecture(&self) -> Architecture {
        match self.runner.machine.cores.first() {
            Some(Cpu::RiscV(hart)) if hart.config().xlen == 32 => Architecture::Riscv32,
            Some(Cpu::RiscV(_)) | None => Architecture::Riscv64,
            Some(Cpu::Arm(_)) => Architecture::ArmM,
        }
    }

    fn cores(&self) -> usize {
        self.runner.machine.cores.len()
    }

    fn core(&self, index: usize) -> Option<&dyn Core> {
        self.runner.machine.cores.get(index).map(Cpu::view)
    }

    fn core_mut(&mut self, index: usize) -> Option<&mut dyn Core> {
        self.runner.machine.cores.get_mut(index).map(Cpu::core)
    }

    fn memory(&self) -> &GuestMemory {
        &self.runner.machine.bus.services.memory
    }

    fn run(&mut self, limit: Option<(usize, u64)>) -> Event {
        if let Some(ending) = &self.ending {
            return Event::Ended(self.status(ending));
        }
        if self.at_boundary() {
            self.assign();
        }
        let ending = match self.runner.step(Limit { instructions: limit, time: None }) {
            None | Some(Step::Reset | Step::Semihosting(_)) => return Event::Running,
            Some(Step::Instructions) => return Event::Limit,
            Some(Step::Breakpoint(core)) => return Event::Breakpoint(core),
            Some(Step::End(ending)) => ending,
        };
        // The user will want to see how it came to this.
        let event = match &ending {
            Ending::Lockup(core) => {
                let why = self.runner.machine.cores.get(*core).map(Cpu::post_mortem).unwrap_or_default();
                Event::Fault(*core, format!("core {core} locked up: {why}"))
            }
            Ending::Unimplemented(what) => {
                let core = self.runner.machine.bus.last_access.map_or(0, |access| access.core);
                Event::Fault(core, what.clone())
            }
            _ => Event::Ended(self.status(&ending)),
        };
        self.ending = Some(ending);
        event
    }

    fn monitor(&mut self, command: &str) -> Answer {
        monitor::run(self, command)
    }
}

/// Runs to the end, with gdb at `address` (`[HOST:]PORT`; port 0 takes a free one). With `wait`, the first instruction
/// waits for a client; otherwise one may come at any time, and another after it has left.
pub fn serve(runner: &mut Runner, address: &str, wait: bool) -> Result<Ending, UsageError> {
    let listener = listen(address)?;
    let mut target = Debugged { runner, ending: None, assignments: Vec::new() };
    let mut wait = wait;
    loop {
        let client = match until_client(&mut target, &listener, wait) {
            Ok(client) => client,
            Err(ending) => return Ok(ending),
        };
        wait = false;
        let mut session = Session::new(target);
        let over = converse(&mut session, &client);
        close(client);
        let end = session.end();
        target = session.into_target();
        match (over, end) {
            (Some(ending), _) => return Ok(ending),
            (None, Some(End::Killed)) => return Ok(Ending::Quit),
            (None, Some(End::Exited)) => return Ok(target.ending.take().unwrap_or(Ending::Quit)),
            (None, Some(End::Detached) | None) => {}
        }
    }
}

fn listen(address: &str) -> Result<TcpListener, UsageError> {
    let full = match address.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None if address.contains(':') => address.to_string(),
        None => format!("127.0.0.1:{address}"),
    };
    let listener = TcpListener::bind(&full).map_err(|error| {
        UsageError::new(format!("--gdb={address}: can not listen: {error}"))
            .help("write --gdb=[HOST:]PORT; port 0 takes a free one")
    })?;
    let local = listener.local_addr().map_err(|error| format!("--gdb={address}: {error}"))?;
    eprintln!("hyperemu: gdb: listening on {local}");
    Ok(listener)
}

/// Whether there is something to read (a client to accept), after at most so long.
fn readable(source: &impl AsFd, wait: Duration) -> bool {
    let mut list = [PollFd::new(source, PollFlags::IN)];
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    poll(&mut list, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Runs, or waits, until there is a client or the run is over.
fn until_client(target: &mut Debugged, listener: &TcpListener, wait: bool) -> Result<TcpStream, Ending> {
    let mut looked = Instant::now().checked_sub(LOOK).unwrap_or_else(Instant::now);
    loop {
        if wait {
            target.runner.pause().map_or(Ok(()), Err)?;
        } else if let Event::Ended(_) | Event::Fault(..) = target.run(None) {
            return Err(target.ending.take().unwrap_or(Ending::Quit));
        }
        if looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        if readable(listener, if wait { WAIT } else { Duration::ZERO })
            && let Ok((client, _)) = listener.accept()
            && client.set_nonblocking(false).is_ok()
            && client.set_nodelay(true).is_ok()
            && client.set_write_timeout(Some(PATIENCE)).is_ok()
        {
            return Ok(client);
        }
    }
}

/// Serves a client until it leaves or the run is over, which it may be for reasons of its own.
fn converse(session: &mut Session<Debugged>, client: &TcpStream) -> Option<Ending> {
    let mut client = client;
    let mut buffer = [0; 4096];
    let mut looked = Instant::now();
    loop {
        let output = session.take_output();
        if client.write_all(&output).is_err() || session.end().is_some() {
            return None;
        }
        if session.is_running() {
            session.run();
            if session.is_running() && looked.elapsed() < LOOK {
                continue;
            }
        } else if let Some(ending) = session.target_mut().runner.pause() {
            return Some(ending);
        }
        looked = Instant::now();
        if readable(client, if session.is_running() { Duration::ZERO } else { WAIT }) {
            match client.read(&mut buffer) {
                // It is gone without a word: the machine goes on.
                Ok(0) | Err(_) => return None,
                Ok(count) => session.receive(buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// Closes a connection so that the client gets the last packet: what it sent and nobody read would take it away.
fn close(mut client: TcpStream) {
    let until = Instant::now() + Duration::from_millis(200);
    let mut buffer = [0; 256];
    if client.shutdown(Shutdown::Write).is_err() {
        return;
    }
    while Instant::now() < until {
        if readable(&client, WAIT) && !client.read(&mut buffer).is_ok_and(|count| count > 0) {
            return;
        }
    }
}
