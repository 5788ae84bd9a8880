//! What every core, the bus and the machine agree on.
//!
//! * [`time`]: virtual time, in picoseconds since reset.
//! * [`memory`]: guest RAM and ROM as host mappings, with code-page tracking. The only `unsafe` of the
//!   interpreter's path lives there and in [`tlb`].
//! * [`bus`]: how a core reaches devices.
//! * [`cpu`]: how a machine drives a core: run exactly N instructions, save, restore, registers.
//!
//! Nothing here knows an instruction set, a device or a host architecture.

pub mod bus;
pub mod cpu;
pub mod memory;
pub mod time;

pub use bus::{Access, Bus, BusFault, Counter, Width};
pub use cpu::{Core, Exit, Ran, RegisterGroup, RegisterInfo, RestoreError};
pub use memory::{GuestMemory, MemoryError, MemoryKind, RegionSpec};
pub use time::Time;
