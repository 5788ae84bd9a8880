//! The flattened devicetree, version 17: writer and reader.

mod read;
mod write;

pub use read::{ReadError, read};
pub use write::write;

pub(crate) const MAGIC: u32 = 0xd00d_feed;
pub(crate) const HEADER: usize = 40;
pub(crate) const BEGIN_NODE: u32 = 1;
pub(crate) const END_NODE: u32 = 2;
pub(crate) const PROP: u32 = 3;
pub(crate) const NOP: u32 = 4;
pub(crate) const END: u32 = 9;
