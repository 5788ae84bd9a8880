//! Boards as devicetrees: the compiler, the validator and the boards themselves.

mod board;
mod builtin;
pub mod dtb;
pub mod dts;
mod error;
pub mod source;
pub mod tree;

pub use board::*;
pub use error::{Diagnostic, Error};
