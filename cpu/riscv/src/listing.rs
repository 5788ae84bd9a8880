//! Listings of compiled blocks: what they say of RISC-V.

use cpu_jit::Slot;

use crate::isa::fmt::{F_NAMES, X_NAMES};
use crate::state::slot;

/// What a slot is called.
pub(crate) fn slot_name(Slot(number): Slot) -> String {
    let float = number.wrapping_sub(slot::FLOAT) as usize;
    match (X_NAMES.get(number as usize), F_NAMES.get(float)) {
        (Some(name), _) | (None, Some(name)) => name.to_string(),
        _ => match number {
            slot::FLOAT_DIRTY => "fs_dirty".into(),
            slot::FLOAT_FLAGS => "fflags".into(),
            _ => format!("slot{number}"),
        },
    }
}
