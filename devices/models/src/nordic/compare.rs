//! What TIMER and RTC share: their capture and compare registers.

use devices_core::{BuildArgs, BuildError};

/// Offset of the first.
pub const FIRST_CC: u64 = 0x540;

/// The one of `registers` at `offset`.
pub fn at(registers: &mut [u32], offset: u64) -> Option<&mut u32> {
    let index = offset.checked_sub(FIRST_CC)? / 4;
    registers.get_mut(index as usize).filter(|_| offset.is_multiple_of(4))
}

/// How many the node has, of at most `max`.
pub fn count(args: &BuildArgs, max: usize) -> Result<usize, BuildError> {
    match args.node.u32("cc-num").unwrap_or(4) {
        count if count > 0 && count as usize <= max => Ok(count as usize),
        count => {
            Err(BuildError::property("cc-num", format!("{count} CC registers; 1 to {max} are possible")))
        }
    }
}
