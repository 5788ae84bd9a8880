//! Runs a machine and lets it meet the outside world at the ends of its rounds.

use crate::host::console::Console;
use crate::host::expect::{Expectations, Verdict};
use crate::host::net::Network;
use crate::host::pace::Pace;
use crate::host::radio::Radios;
use crate::host::record::Recording;
use crate::host::semihosting::{Outcome, Semihosting};
use crate::host::terminal::Command;
use crate::machine::scheduler::Limit;
use crate::machine::{Machine, Stop};
use cpu_core::Time;
use devices_core::{DeviceId, HostInput, HostOutput};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Why a run is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The guest switched off, with a status.
    PowerOff(u32),
    /// The guest reset the machine, and that ends the run.
    Reset,
    /// All expectations are met.
    Met,
    /// The console showed something forbidden.
    Forbidden(String),
    /// Virtual time ran out.
    Timeout,
    /// The host's time ran out.
    HostTimeout,
    /// The user had enough, or closed the window.
    Quit,
    /// A core hangs.
    Lockup(usize),
    /// Something is not modelled, and that ends the run.
    Unimplemented(String),
}

/// A value for a control at a virtual time.
pub struct Cue {
    /// When.
    pub at: Time,
    /// Full name of the control.
    pub control: String,
    /// As text.
    pub value: String,
}

/// What a run is given.
pub struct Setup {
    /// Serial lines.
    pub console: Console,
    /// Networks.
    pub network: Network,
    /// Antennas.
    pub radios: Radios,
    /// What the console should say.
    pub expect: Expectations,
    /// End of virtual time.
    pub timeout: Option<Time>,
    /// End of the host's time.
    pub host_timeout: Option<Duration>,
    /// Who answers semihosting, if the user wants it.
    pub semihosting: Option<Semihosting>,
    /// Not faster than real time.
    pub real_time: bool,
    /// A reset ends the run.
    pub no_reboot: bool,
    /// Values to set, by time.
    pub cues: VecDeque<Cue>,
    /// What came from outside so far; kept if asked for.
    pub record: Option<Recording>,
    /// What to repeat instead of listening.
    pub replay: Option<VecDeque<(Time, DeviceId, HostInput)>>,
}

/// Looks at the machine and the host now and then: a window.
pub trait Viewer {
    /// Shows what there is to show; gives what the user did.
    fn update(&mut self, machine: &Machine) -> ViewerInput;
}

/// What the user did in a window.
#[derive(Default)]
pub struct ViewerInput {
    /// Input for devices.
    pub inputs: Vec<(DeviceId, HostInput)>,
    /// The window was closed.
    pub closed: bool,
}

/// A machine with its surroundings.
pub struct Runner<'a> {
    /// The machine.
    pub machine: Machine,
    setup: Setup,
    viewer: Option<Box<dyn Viewer + 'a>>,
    pace: Pace,
    started: Instant,
    looked: Instant,
    instructions: u64,
    /// The network was waiting for the host.
    waiting: bool,
    /// Input that waits for the end of the round.
    held: Vec<(DeviceId, HostInput)>,
}

/// How often the host is looked at, at most.
const LOOK: Duration = Duration::from_millis(2);
/// How far a machine that keeps the host's time may run ahead before it is held: each time costs a wake-up, also of an idle one.
const LEAD: Duration = Duration::from_millis(8);

impl<'a> Runner<'a> {
    /// Nothing runs yet.
    pub fn new(machine: Machine, setup: Setup, viewer: Option<Box<dyn Viewer + 'a>>) -> Runner<'a> {
        let pace = Pace::new(machine.now());
        let looked = Instant::now().checked_sub(LOOK).unwrap_or_else(Instant::now);
        Runner {
            machine,
            setup,
            viewer,
            pace,
            started: Instant::now(),
            looked,
            instructions: 0,
            waiting: false,
            held: Vec::new(),
        }
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Ending {
        loop {
            if let Some(Step::End(ending)) = self.step(Limit::default()) {
                return ending;
            }
        }
    }

    /// Runs one round and lets the outside in. `None` when there is nothing to say.
    pub fn step(&mut self, limit: Limit) -> Option<Step> {
        if self.machine.schedule.now == self.machine.schedule.end
            && let Some(ending) = self.exchange()
        {
            return Some(Step::End(ending));
        }
        let limit = Limit { time: self.next_boundary(), ..limit };
        let mut stop = self.machine.round(limit);
        if let (Stop::Semihosting(core), Some(host)) = (&stop, &mut self.setup.semihosting)
            && let Outcome::Exit(code) = host.call(&mut self.machine, *core)
        {
            stop = Stop::PowerOff(code);
        }
        // A debugger's stop inside a round is no time of the outside's.
        let verdict = match stop {
            Stop::Instructions | Stop::Breakpoint(_) => Verdict::Open,
            _ => self.send_output(),
        };
        for message in self.machine.log.take() {
            eprintln!("hyperemu: {message}");
        }
        match verdict {
            Verdict::Open => {}
            Verdict::Met => return Some(Step::End(Ending::Met)),
            Verdict::Failed(regex) => return Some(Step::End(Ending::Forbidden(regex))),
        }
        match stop {
            Stop::Boundary => None,
            Stop::PowerOff(code) => Some(Step::End(Ending::PowerOff(code))),
            Stop::Reset if self.setup.no_reboot => Some(Step::End(Ending::Reset)),
            Stop::Reset => {
                self.machine.reset();
                Some(Step::Reset)
            }
            Stop::Lockup(core) => Some(Step::End(Ending::Lockup(core))),
            Stop::Unimplemented(message) => Some(Step::End(Ending::Unimplemented(message))),
            Stop::Instructions => Some(Step::Instructions),
            Stop::Breakpoint(core) => Some(Step::Breakpoint(core)),
            Stop::Semihosting(core) => Some(Step::Semihosting(core)),
        }
    }

    /// The first time at which something from outside is already known to happen.
    fn next_boundary(&self) -> Option<Time> {
        let replay = self.setup.replay.as_ref().and_then(|inputs| inputs.front()).map(|input| input.0);
        let cue = self.setup.cues.front().map(|cue| cue.at);
        let frame = self.setup.network.next_due();
        [replay, cue, frame, self.setup.timeout].into_iter().flatten().min()
    }

    /// Between rounds: input, cues, timeouts, pacing.
    fn exchange(&mut self) -> Option<Ending> {
        let now = self.machine.now();
        if self.setup.timeout.is_some_and(|timeout| now >= timeout) {
            return Some(Ending::Timeout);
        }
        while self.setup.cues.front().is_some_and(|cue| cue.at <= now) {
            if let Some(cue) = self.setup.cues.pop_front()
                && let Err(error) = self.machine.set_control(&cue.control, &cue.value)
            {
                self.machine.log.warn(now, error.to_string());
            }
        }
        if let Some(replay) = &mut self.setup.replay {
            while replay.front().is_some_and(|input| input.0 <= now) {
                if let Some((_, device, input)) = replay.pop_front() {
                    self.machine.inject(device, &input);
                }
            }
        }
        for (device, input) in self.setup.network.receive(now) {
            self.inject(device, input);
        }
        for (device, input) in self.setup.radios.receive() {
            self.inject(device, input);
        }
        let instructions = self.machine.instructions();
        let idle = instructions == self.instructions;
        self.instructions = instructions;
        let waiting = self.setup.network.waiting();
        if waiting && !self.waiting && !self.setup.real_time {
            // Virtual time may have run far ahead before the host had a part in it.
            self.pace = Pace::new(now);
        }
        self.waiting = waiting;
        if self.setup.real_time || (idle && waiting) {
            let ahead = self.pace.ahead(now);
            if ahead > if waiting { LOOK } else { LEAD } {
                let longest = if waiting { LOOK } else { Duration::from_millis(10) };
                self.setup.console.wait(ahead.min(longest));
                self.looked = self.looked.checked_sub(LOOK).unwrap_or(self.looked);
            }
        }
        if self.looked.elapsed() < LOOK {
            return None;
        }
        if let Some(ending) = self.look() {
            return Some(ending);
        }
        self.setup.network.look(now);
        let inputs = std::mem::take(&mut self.held);
        if self.setup.replay.is_some() {
            return None;
        }
        for (device, input) in inputs {
            self.inject(device, input);
        }
        None
    }

    /// While the machine stands still, perhaps inside a round: shows it, and keeps what the outside has for later.
    pub fn pause(&mut self) -> Option<Ending> {
        if self.looked.elapsed() < LOOK { None } else { self.look() }
    }

    /// Takes what the outside has for the machine, and tells if it has had enough.
    fn look(&mut self) -> Option<Ending> {
        self.looked = Instant::now();
        if self.setup.host_timeout.is_some_and(|limit| self.started.elapsed() >= limit) {
            return Some(Ending::HostTimeout);
        }
        let (inputs, commands) = self.setup.console.take();
        self.held.extend(inputs);
        if commands.contains(&Command::Quit) {
            return Some(Ending::Quit);
        }
        if let Some(viewer) = &mut self.viewer {
            let input = viewer.update(&self.machine);
            if input.closed {
                return Some(Ending::Quit);
            }
            self.held.extend(input.inputs);
        }
        None
    }

    fn inject(&mut self, device: DeviceId, input: HostInput) {
        if let (Some(host), HostInput::Serial(bytes)) = (&mut self.setup.semihosting, &input)
            && Some(device) == self.setup.console.main_device()
        {
            host.typed.extend(bytes);
        }
        self.machine.inject(device, &input);
        if let Some(record) = &mut self.setup.record {
            record.inputs.push((self.machine.now(), device, input));
        }
    }

    /// Hands out what the machine left for outside.
    fn send_output(&mut self) -> Verdict {
        let mut verdict = Verdict::Open;
        if self.machine.bus.services.output.is_empty() {
            return verdict;
        }
        for (device, output) in std::mem::take(&mut self.machine.bus.services.output) {
            match output {
                HostOutput::Serial(bytes) => {
                    self.setup.console.write(device, &bytes);
                    if Some(device) == self.setup.console.main_device() && verdict == Verdict::Open {
                        verdict = self.setup.expect.feed(&bytes);
                    }
                }
                HostOutput::Packet(frame) => self.setup.network.send(device, self.machine.now(), frame),
                HostOutput::Radio(frame) => self.setup.radios.send(device, *frame),
            }
        }
        self.setup.radios.told(self.machine.now());
        verdict
    }

    /// What was still expected when the run ended.
    pub fn missing(&self) -> Option<&str> {
        self.setup.expect.missing()
    }

    /// Whether anything was expected.
    pub fn expects(&self) -> bool {
        self.setup.expect.any()
    }

    /// Ends the capture of the radios. Errors name the file.
    pub fn finish_capture(&mut self) -> Result<(), String> {
        self.setup.radios.finish()
    }

    /// The recording, at the end.
    pub fn take_record(&mut self) -> Option<Recording> {
        self.setup.record.take()
    }
}

/// What [`Runner::step`] may have to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The run is over.
    End(Ending),
    /// The machine was reset.
    Reset,
    /// The limit's instructions are executed.
    Instructions,
    /// A core stands before a breakpoint.
    Breakpoint(usize),
    /// A core executed the semihosting sequence.
    Semihosting(usize),
}
