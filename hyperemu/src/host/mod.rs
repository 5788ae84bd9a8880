//! The outside world: everything that meets the machine at the ends of rounds.

pub mod console;
pub mod disk;
pub mod expect;
pub mod keys;
pub mod log;
pub mod net;
pub mod pace;
pub mod radio;
pub mod record;
pub mod resources;
pub mod runner;
pub mod screenshot;
pub mod semihosting;
pub mod serial;
pub mod skin;
pub mod stats;
pub mod terminal;
pub mod window;
