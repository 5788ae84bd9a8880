//! What every core, the bus and the machine agree on.
//!
//! * [`time`]: virtual time, in picoseconds since reset.
//! * [`memory`]: guest RAM and ROM as host mappings, with code-page tracking. The only `unsafe` of the
//!   interpreter's path lives there, in [`tlb`], `mirror`, [`window`] and [`scope`].
//! * [`bus`]: how a core reaches devices.
//! * [`semantics`]: how instruction meanings are written, once, for interpreter and compiler.
//! * [`float`]: floating-point operations as data.
//! * [`tlb`]: from virtual pages straight to host memory.
//! * [`frame`]: what compiled code reaches by one pointer, registers and TLB among it.
//! * [`window`]: guest memory beside the frame, for compiled code whose addresses are physical.
//! * `mirror`: pages beside the frame, for compiled code that follows pointers.
//! * [`blocks`]: predecoded code, found by physical and by virtual address.
//! * [`scope`]: the bus, lent to a core for one run.
//! * [`cpu`]: how a machine drives a core: run exactly N instructions, save, restore, registers.
//!
//! Nothing here knows an instruction set, a device or a host architecture.

pub mod blocks;
pub mod bus;
pub mod cpu;
mod fetch_map;
pub mod float;
pub mod frame;
pub mod memory;
mod mirror;
pub mod scope;
pub mod semantics;
pub mod time;
pub mod tlb;
pub mod window;

pub use blocks::{Block, BlockCache};
pub use bus::{Access, Bus, BusFault, Counter, EmptyBus, Width};
pub use cpu::{Core, Exit, Ran, RegisterGroup, RegisterInfo, RestoreError};
pub use float::{FloatFormat, FloatOp, Rounding};
pub use frame::{Frame, Jump};
pub use memory::{GuestMemory, MemoryError, MemoryKind, RegionSpec};
pub use scope::BusScope;
pub use semantics::{Binary, Flow, Next, Rmw, Semantics, SemanticsExt, Unary};
pub use time::Time;
pub use tlb::{AccessKind, ContextKey, Tlb};
pub use window::{Behind, FrameBox, Window};
