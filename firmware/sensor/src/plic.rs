//! The PLIC (RISC-V PLIC Specification 1.0), machine context of the only hart.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::board::PLIC;

const ENABLE: usize = 0x2000;
const THRESHOLD: usize = 0x20_0000;
const CLAIM: usize = 0x20_0004;

/// Sources that were claimed while something else was waited for: a bit each, 52 exist.
static DEFERRED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

pub fn enable(source: u32) {
    PLIC.write32(THRESHOLD, 0);
    PLIC.write32(source as usize * 4, 1);
    let word = ENABLE + source as usize / 32 * 4;
    PLIC.write32(word, PLIC.read32(word) | 1 << (source % 32));
}

/// The pending source of highest priority, ours until [`complete`].
pub fn claim() -> Option<u32> {
    match PLIC.read32(CLAIM) {
        0 => None,
        source => Some(source),
    }
}

/// Keeps a claimed source for [`next`].
pub fn defer(source: u32) {
    if let Some(word) = DEFERRED.get(source as usize / 32) {
        word.fetch_or(1 << (source % 32), Ordering::Relaxed);
    }
}

/// Whether [`next`] has a source that rings no more, so that nobody may sleep.
pub fn has_deferred() -> bool {
    DEFERRED.iter().any(|w| w.load(Ordering::Relaxed) != 0)
}

/// The next source to serve; [`complete`] it once its device is quiet.
pub fn next() -> Option<u32> {
    for (i, word) in (0..).zip(&DEFERRED) {
        let bits = word.load(Ordering::Relaxed);
        if bits != 0 {
            word.store(bits & (bits - 1), Ordering::Relaxed);
            return Some(i * 32 + bits.trailing_zeros());
        }
    }
    claim()
}

pub fn complete(source: u32) {
    PLIC.write32(CLAIM, source);
}
