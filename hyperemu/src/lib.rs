//! The program as a library: [`machine`] builds a machine from a board and runs it in virtual time, [`machine::jit`]
//! gives its cores their compiler, [`host`] is the world outside it, [`load`] reads image files, [`firmware`] answers in
//! place of M-mode firmware, and [`cli`] is the command line.
//!
//! ```text
//! board.dts -> machine_configs::Board -> machine::build -> Machine { cores, bus, schedule }
//!                                                             |  round by round
//!                              host::runner::Runner: console, network, window, expectations, recording
//! ```

pub mod cli;
pub mod debug;
pub mod error;
pub mod firmware;
pub mod host;
pub mod images;
pub mod load;
pub mod machine;
