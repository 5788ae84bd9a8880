//! The gdb server: [`Session`] speaks the remote protocol with one client, on behalf of a [`Target`].
//!
//! A session does no input or output of its own: bytes go in by [`Session::receive`] and come out by
//! [`Session::take_output`], and [`Session::run`] lets the target run while the client waits for a stop.
//!
//! ```text
//! socket <-> Session { framing, gdbstub, adapter } -> Target: run exactly so far, cores, memory, monitor
//! ```
//!
//! What a target runs between two stops is decided by instruction counts and breakpoints alone, so that a debugged run
//! is the same run. Follows "Debugging with GDB", appendix E (remote protocol) and appendix G (target descriptions).
//! Left out: non-stop mode, several processes, watchpoints, reverse execution, file transfer.

mod adapter;
mod arch;
mod description;
mod framing;
mod session;

#[cfg(test)]
mod tests;

use cpu_core::{Core, GuestMemory};

pub use arch::Architecture;
pub use description::{memory_map, target_description};
pub use session::{End, Session};

/// What [`Target::run`] has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Nothing: run on.
    Running,
    /// The core of the limit has executed its instructions, and nothing ran after that.
    Limit,
    /// This core stands before a breakpoint.
    Breakpoint(usize),
    /// This core can not go on, for a reason that the user should read. Running on ends the run.
    Fault(usize, String),
    /// The run is over, with this exit status.
    Ended(u8),
}

/// The answer to a monitor command.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Answer {
    /// For the user.
    pub text: String,
    /// The program ends.
    pub quit: bool,
}

/// What a debugger needs of a machine. It has at least one core.
pub trait Target {
    /// Of all its cores.
    fn architecture(&self) -> Architecture;

    /// How many cores it has.
    fn cores(&self) -> usize;

    /// Core `index`, if there is one.
    fn core(&self, index: usize) -> Option<&dyn Core>;

    /// Core `index`, to be changed.
    fn core_mut(&mut self, index: usize) -> Option<&mut dyn Core>;

    /// RAM and ROM, by physical address.
    fn memory(&self) -> &GuestMemory;

    /// Runs for a short while. With a limit (core, count), stops right after the instruction by which the
    /// core's [`Core::instructions`] reaches the count. Where a run stops has no influence on how it goes on.
    fn run(&mut self, limit: Option<(usize, u64)>) -> Event;

    /// Carries out a command of the user's.
    fn monitor(&mut self, command: &str) -> Answer;
}
