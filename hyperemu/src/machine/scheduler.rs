//! Virtual time: which core runs when, and for how long.
//!
//! Time passes in **rounds**. A round starts with the events that are due, then each runnable core in turn runs from
//! its own local time to the end of the round. A round ends at the next event, at the next multiple of [`POLL`], at a
//! timer of a core that sleeps, or, where there is more than one core, after [`QUANTUM`]. An access that schedules an
//! earlier event or changes another core's interrupt line ends the round there, at that instruction; a core that sleeps
//! until then wakes at that instruction, not before it.
//!
//! All of this is state of the machine: stopping in the middle (a breakpoint, a single step) and going on is the same
//! as not stopping.

use crate::firmware::sbi;
use crate::machine::{Cpu, Machine, Stop};
use cpu_core::{Exit, Time};
use devices_core::Request;
use serde::{Deserialize, Serialize};

/// Host input enters, and output leaves, at multiples of this.
pub const POLL: Time = Time::from_ms(1);

/// The most that cores of one machine run apart.
pub const QUANTUM: Time = Time::from_us(20);

/// Where in a round the machine is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// All events up to here have happened.
    pub now: Time,
    /// The end of the round; equal to `now` between rounds.
    pub end: Time,
    /// The core whose turn it is.
    pub turn: usize,
    /// Each core's own time: at least `now` while it runs.
    pub local: Vec<Time>,
}

/// When [`Machine::round`] stops before the round ends.
#[derive(Copy, Clone, Default, Debug)]
pub struct Limit {
    /// After so many instructions of one core: (core, its [`cpu_core::Core::instructions`]).
    pub instructions: Option<(usize, u64)>,
    /// At this virtual time, which then ends a round.
    pub time: Option<Time>,
}

impl Schedule {
    /// At reset.
    pub fn new(cores: usize) -> Schedule {
        Schedule { now: Time::ZERO, end: Time::ZERO, turn: 0, local: vec![Time::ZERO; cores] }
    }
}

impl Machine {
    /// Runs to the end of the current round ([`Stop::Boundary`]), or to whatever stops the machine before it.
    pub fn round(&mut self, limit: Limit) -> Stop {
        if self.schedule.turn == 0 && self.schedule.now == self.schedule.end {
            self.start_round(limit);
            if let Some(stop) = self.requested() {
                return stop;
            }
        }
        while self.schedule.turn < self.cores.len() {
            if let Some(stop) = self.take_turn(limit) {
                return stop;
            }
            self.schedule.turn += 1;
        }
        let end = self.schedule.end;
        for local in &mut self.schedule.local {
            *local = (*local).max(end);
        }
        self.schedule.now = end;
        self.schedule.turn = 0;
        Stop::Boundary
    }

    fn start_round(&mut self, limit: Limit) {
        let now = self.schedule.now;
        self.bus.run_events(now);
        self.power_down(now);
        self.deliver_signals();
        let counter = self.bus.services.counter;
        let mut end = Time((now.0 / POLL.0 + 1).saturating_mul(POLL.0));
        end = end.min(self.bus.services.events.next().unwrap_or(Time::NEVER));
        if let Some(time) = limit.time.filter(|time| *time > now) {
            end = end.min(time);
        }
        let mut running = 0;
        for (core, local) in self.cores.iter_mut().zip(&self.schedule.local) {
            let core = core.core();
            if core.runnable(*local, counter) {
                running += 1;
            } else if !core.stopped() {
                end = end.min(core.deadline(*local, counter).max(*local));
            }
        }
        if running > 0 && self.cores.len() > 1 {
            end = end.min(now.saturating_add(QUANTUM));
        }
        // Events in the past of a core that ran ahead are due at once, but time never stands still.
        self.schedule.end = end.max(Time(now.0.saturating_add(1)));
    }

    /// Lets the core whose turn it is run to the end of the round. `None` when it got there or sleeps.
    fn take_turn(&mut self, limit: Limit) -> Option<Stop> {
        let index = self.schedule.turn;
        loop {
            let counter = self.bus.services.counter;
            let local = self.schedule.local[index];
            let end = self.schedule.end;
            let core = self.cores[index].core();
            if local >= end {
                return None;
            }
            let deadline = core.deadline(local, counter);
            if !core.runnable(local, counter) {
                // It fell asleep in this round, and its own timer may wake it in this round.
                if core.stopped() || deadline >= end {
                    return None;
                }
                self.schedule.local[index] = deadline;
                continue;
            }
            let until = end.min(deadline);
            let period = core.period();
            let mut budget = until.saturating_sub(local).0.div_ceil(period.0.max(1)).max(1);
            if let Some((_, count)) = limit.instructions.filter(|(core, _)| *core == index) {
                budget = budget.min(count.saturating_sub(core.instructions()));
                if budget == 0 {
                    return Some(Stop::Instructions);
                }
            }
            self.bus.services.attention = false;
            // Not `until`: what falls due between a core's own timer and the end of the round ends the round, too.
            self.bus.services.slice_end = end;
            let ran = core.run(&mut self.bus, local, budget);
            let local = Time(local.0.saturating_add(ran.executed.saturating_mul(period.0)));
            self.schedule.local[index] = local;
            self.collect(index, local);
            let call = ran.exit == Exit::FirmwareCall;
            let attention = self.bus.services.attention || call;
            let sleepers = if attention { self.sleepers(index) } else { Vec::new() };
            if call {
                sbi::call(self, index);
            }
            let stop = match ran.exit {
                Exit::Breakpoint => Some(Stop::Breakpoint(index)),
                Exit::Lockup => Some(Stop::Lockup(index)),
                Exit::Semihosting => Some(Stop::Semihosting(index)),
                Exit::Budget | Exit::Wait | Exit::Attention | Exit::FirmwareCall => None,
            };
            self.power_down(local);
            if attention {
                self.attend(index, local);
                self.catch_up(&sleepers, local);
            }
            if let Some(stop) = self.requested().or(stop) {
                return Some(stop);
            }
            // Right after the instruction, even if it ends the turn: before another core runs.
            if let Some((_, count)) = limit.instructions.filter(|(core, _)| *core == index)
                && self.cores[index].view().instructions() >= count
            {
                return Some(Stop::Instructions);
            }
        }
    }

    /// Something happened at `local` in the turn of core `index`: signals reach cores, the round may end earlier.
    fn attend(&mut self, index: usize, local: Time) {
        self.bus.services.attention = false;
        self.tell_unreadable();
        let mut end = self.schedule.end;
        if let Some(next) = self.bus.services.events.next() {
            end = end.min(next);
        }
        let others = self.deliver_signals();
        if others.iter().any(|core| *core != index) || self.wake_others {
            end = end.min(local);
        }
        self.wake_others = false;
        self.schedule.end = end.max(Time(self.schedule.now.0.saturating_add(1)));
    }

    /// The cores behind `index` that have nothing to run in this round so far.
    fn sleepers(&mut self, index: usize) -> Vec<usize> {
        let counter = self.bus.services.counter;
        let local = &self.schedule.local;
        let rest = self.cores.iter_mut().enumerate().skip(index + 1);
        rest.filter_map(|(i, cpu)| (!cpu.core().runnable(local[i], counter)).then_some(i)).collect()
    }

    /// What core `index` did at `local` may have woken cores whose turn is yet to come: they have slept until then.
    fn catch_up(&mut self, sleepers: &[usize], local: Time) {
        let counter = self.bus.services.counter;
        for &i in sleepers {
            let own = &mut self.schedule.local[i];
            *own = (*own).max(local.min(self.cores[i].core().deadline(*own, counter)));
        }
    }

    /// Tells cores which memory a device keeps from them.
    pub(super) fn tell_unreadable(&mut self) {
        let Some(ranges) = self.bus.services.unreadable.take() else { return };
        for cpu in &mut self.cores {
            if let Cpu::Arm(core) = cpu {
                core.set_unreadable(&ranges);
            }
        }
    }

    /// Sets the interrupt inputs of cores; returns which cores.
    fn deliver_signals(&mut self) -> Vec<usize> {
        let signals = self.bus.take_core_signals();
        let mut touched = Vec::new();
        for (core, line, level) in signals {
            if let Some(cpu) = self.cores.get_mut(core) {
                cpu.core().set_line(line, level);
                touched.push(core);
            }
        }
        touched
    }

    /// Turns what models asked of the machine into a stop.
    fn requested(&mut self) -> Option<Stop> {
        self.report();
        if let Some(message) = self.unimplemented_error.take() {
            return Some(Stop::Unimplemented(message));
        }
        // The first request wins; the others belong to a machine that is gone.
        let request = self.bus.services.requests.first().cloned()?;
        self.bus.services.requests.clear();
        Some(match request {
            Request::PowerOff(code) => Stop::PowerOff(code),
            Request::Reset => Stop::Reset,
            // It is over before anybody asks.
            Request::PowerDown => return None,
        })
    }
}
