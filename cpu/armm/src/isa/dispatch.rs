//! From instruction ids to the semantic functions.

#[allow(clippy::all, unused_parens)]
mod generated {
    use crate::isa::{Id, Operands};
    include!(concat!(env!("OUT_DIR"), "/dispatch.rs"));
}

pub use generated::*;
