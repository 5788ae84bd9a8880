//! The platform-level interrupt controller (RISC-V PLIC Specification 1.0), one context of it.

use core::sync::atomic::{AtomicU64, Ordering};

use mmio::Regs;

/// Sources that were claimed while something else was waited for, and await their service.
static DEFERRED: AtomicU64 = AtomicU64::new(0);

const PRIORITY: usize = 0;
const ENABLE: usize = 0x2000;
const ENABLE_STRIDE: usize = 0x80;
const CONTEXT: usize = 0x20_0000;
const CONTEXT_STRIDE: usize = 0x1000;
const THRESHOLD: usize = 0;
const CLAIM: usize = 4;

#[derive(Clone, Copy)]
pub struct Plic {
    regs: Regs,
    context: usize,
}

impl Plic {
    /// The controller at `base`, seen from `context`, with every source let through once it is enabled.
    #[allow(unsafe_code, reason = "an address becomes registers")]
    pub fn new(base: usize, context: usize) -> Self {
        // SAFETY: the devicetree names this address a PLIC.
        let plic = Self { regs: unsafe { Regs::new(base) }, context };
        plic.regs.write32(plic.own(THRESHOLD), 0);
        plic
    }

    fn own(&self, register: usize) -> usize {
        CONTEXT + self.context * CONTEXT_STRIDE + register
    }

    pub fn enable(&self, source: u32) {
        let source = source as usize;
        self.regs.write32(PRIORITY + source * 4, 1);
        let word = ENABLE + self.context * ENABLE_STRIDE + source / 32 * 4;
        self.regs.write32(word, self.regs.read32(word) | 1 << (source % 32));
    }

    /// The next source to serve; call [`Self::complete`] once its device is quiet.
    pub fn next(&self) -> Option<u32> {
        let deferred = DEFERRED.load(Ordering::Relaxed);
        if deferred == 0 {
            return self.claim();
        }
        let source = deferred.trailing_zeros();
        DEFERRED.store(deferred & !(1 << source), Ordering::Relaxed);
        Some(source)
    }

    /// Whether [`Self::next`] has a source that rings no more, so that nobody may sleep.
    pub fn has_deferred(&self) -> bool {
        DEFERRED.load(Ordering::Relaxed) != 0
    }

    /// Keeps a claimed source for [`Self::next`]; it stays quiet until it is completed.
    pub fn defer(&self, source: u32) {
        DEFERRED.fetch_or(1u64.checked_shl(source).unwrap_or(0), Ordering::Relaxed);
    }

    /// The pending source of highest priority, now ours until [`Self::complete`].
    pub fn claim(&self) -> Option<u32> {
        match self.regs.read32(self.own(CLAIM)) {
            0 => None,
            source => Some(source),
        }
    }

    pub fn complete(&self, source: u32) {
        self.regs.write32(self.own(CLAIM), source);
    }
}
