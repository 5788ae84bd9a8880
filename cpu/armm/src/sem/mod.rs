//! The meaning of every instruction: one generic function each, with the operands in the order of the tables. A literal 0 or 1
//! called `set` tells whether the flags are set.

mod branch;
mod float;
mod int;
mod memory;
mod shift;
mod system;

pub use branch::*;
pub use float::*;
pub use int::*;
pub use memory::*;
pub use shift::*;
pub use system::*;
