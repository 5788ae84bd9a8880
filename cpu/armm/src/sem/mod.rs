//! The meaning of every instruction: one generic function each, with the operands in the order of the tables. A literal 0 or 1
//! called `set` tells whether the flags are set.

mod branch;
mod dsp;
mod float;
mod int;
mod memory;
mod mul;
mod shift;
mod system;

pub use branch::*;
pub use dsp::*;
pub use float::*;
pub use int::*;
pub use memory::*;
pub use mul::*;
pub use shift::*;
pub use system::*;
