//! The compiler's back end for x86-64.
//!
//! [`X64`] is the [`Backend`]: it turns a block of [`cpu_jit::ir`] nodes into host code and runs it. The host has to have
//! BMI2, FMA, AVX2 and LZCNT (x86-64-v3): [`X64::new`] says if it does not.
//!
//! * `asm`: host instructions. `sink`: where their bytes go.
//! * `places`: which slots are in which registers. `trampoline`: the shared ways in, out, and to helpers.
//! * `emit`: a block's nodes to instructions.
//! * `faults`: accesses that the host refuses.
//! * `memory`: where code is kept. `dump`: code as text (with the feature `dump`).
//!
//! Ten integer and twelve floating-point slots are in host registers, the same ones in all code; the others are
//! memory operands in the frame. Loads and stores look the TLB up inline, neighbours by one base once; those
//! that step through memory round a loop keep the page of the round before, and loads that follow pointers round one look into
//! the TLB's mirror. Single and double precision at round to nearest even run on
//! SSE and FMA, with the sticky bits of MXCSR as the guest's flags. What seldom runs (TLB misses, NaN results, ways
//! out) is apart from what does.
//!
//! A guest's call is a call of the host's, with the address to return to beside the host's own; a return compares, and is one of
//! the host's, too, where that is where the guest goes. Whatever leaves compiled code forgets them all.
//!
//! What is called, not inlined: atomics, half precision, other rounding modes, minimum and maximum, some conversions,
//! CSR accesses. No page is ever writable and executable by one mapping.

mod asm;
#[cfg(feature = "dump")]
mod dump;
mod emit;
mod faults;
mod memory;
mod places;
mod sink;
#[cfg(test)]
mod tests;
mod trampoline;

use std::fmt;

use cpu_core::Frame;
use cpu_jit::Slot;
use cpu_jit::backend::{Backend, Code, Compiled, Exit, HostLine, Layout, Notes, Refused, Site, Unit};
use cpu_jit::helpers::Helpers;

use emit::{Emitter, Scratch};
use faults::Faults;
use memory::CodeMemory;
use places::Places;
use sink::{At, Bytes, Sink};
use trampoline::{REASONS, Trampolines};

/// Compiles for x86-64.
pub struct X64 {
    memory: CodeMemory,
    places: Option<Places>,
    shared: Trampolines,
    /// Bytes of shared code.
    shared_size: usize,
    /// The free part of the memory: hot code grows from below, cold code from above.
    free: (usize, usize),
    sink: Sink,
    scratch: Scratch,
    faults: Faults,
}

/// There is no back end on this host.
#[derive(Debug)]
pub enum Unavailable {
    /// The processor lacks what is named.
    Processor(&'static str),
    /// The host gave no memory for code.
    Memory(rustix::io::Errno),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Processor(what) => write!(f, "the compiler needs a processor with {what}"),
            Unavailable::Memory(error) => write!(f, "the host gave no memory for compiled code: {error}"),
        }
    }
}

impl std::error::Error for Unavailable {}

/// What the host's processor lacks.
#[cfg(target_arch = "x86_64")]
fn missing() -> Option<&'static str> {
    [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
        ("LZCNT", std::arch::is_x86_feature_detected!("lzcnt")),
        ("POPCNT", std::arch::is_x86_feature_detected!("popcnt")),
        ("BMI1", std::arch::is_x86_feature_detected!("bmi1")),
    ]
    .into_iter()
    .find_map(|(name, there)| (!there).then_some(name))
}

/// All of it.
#[cfg(not(target_arch = "x86_64"))]
fn missing() -> Option<&'static str> {
    Some("the x86-64 instruction set")
}

impl X64 {
    /// A back end with `bytes` of code memory, at least 64 KiB.
    pub fn new(bytes: usize) -> Result<X64, Unavailable> {
        if let Some(what) = missing() {
            return Err(Unavailable::Processor(what));
        }
        let memory = CodeMemory::new(bytes.max(1 << 16)).map_err(Unavailable::Memory)?;
        let free = (0, memory.size());
        Ok(X64 {
            memory,
            places: None,
            shared: Trampolines::default(),
            shared_size: 0,
            free,
            sink: Sink::default(),
            scratch: Scratch::default(),
            faults: Faults::default(),
        })
    }
}

impl Backend for X64 {
    fn install(&mut self, layout: Layout, helpers: Helpers) {
        let places = Places::new(layout);
        let mut bytes = Bytes::default();
        self.shared = trampoline::emit(&mut bytes, &places, &helpers, self.memory.address(0));
        self.memory.write(0, &bytes.0);
        self.shared_size = bytes.0.len().next_multiple_of(64);
        self.places = Some(places);
        self.clear();
    }

    fn compile(&mut self, unit: &Unit) -> Result<Compiled, Refused> {
        let places = self.places.as_ref().ok_or(Refused::TooComplex)?;
        self.sink.clear();
        let base = self.memory.address(0);
        let mut emitter = Emitter::new(&mut self.sink, places, &self.shared, base, unit, &mut self.scratch);
        let done = emitter.run();
        let links = std::mem::take(&mut emitter.links);
        if !done {
            return Err(Refused::TooComplex);
        }
        let (hot, cold) = (self.sink.hot.0.len(), self.sink.cold.0.len());
        let start = self.free.0.next_multiple_of(16);
        let end = start + hot;
        if end + cold > self.free.1 {
            return Err(Refused::Full);
        }
        let cold_start = self.free.1 - cold;
        self.free = (end, cold_start);
        self.sink.resolve(self.memory.address(start), self.memory.address(cold_start));
        self.memory.write(start, &self.sink.hot.0);
        self.memory.write(cold_start, &self.sink.cold.0);
        for &(hot, cold) in &self.sink.faults {
            self.faults.add(start + hot as usize, cold_start + cold as usize);
        }
        let site = |fixup: usize| match self.sink.fixups.get(fixup)?.field {
            At::Hot(offset) => Some(Site(start as u32 + offset)),
            At::Cold(offset) => Some(Site(cold_start as u32 + offset)),
            At::Fixed(_) => None,
        };
        let links = links.into_iter().filter_map(|(offset, fixup)| Some((offset, site(fixup)?))).collect();
        let notes = self.sink.notes.as_ref().map(|notes| {
            let parts = [(self.memory.address(start), hot), (self.memory.address(cold_start), cold)];
            Box::new(Notes { parts, ..notes.clone() })
        });
        Ok(Compiled { code: Code(self.memory.address(start)), size: hot + cold, links, notes })
    }

    fn link(&mut self, site: Site, code: Code) {
        let behind = self.memory.address(site.0 as usize + 4);
        let displacement = code.0.wrapping_sub(behind) as i32;
        self.memory.write(site.0 as usize, &displacement.to_le_bytes());
    }

    fn retire(&mut self, code: Code) {
        let target = self.memory.address(self.shared.lookup);
        let displacement = target.wrapping_sub(code.0 + 5) as i32;
        let mut jump = [0xe9, 0, 0, 0, 0];
        jump[1..].copy_from_slice(&displacement.to_le_bytes());
        self.memory.write(self.memory.offset(code.0), &jump);
    }

    fn clear(&mut self) {
        self.free = (self.shared_size, self.memory.size());
        self.faults.clear();
    }

    #[allow(unsafe_code)]
    #[inline]
    unsafe fn enter(&self, frame: &Frame, guest: *const (), code: Code) -> (Exit, u8) {
        type Enter = unsafe extern "C" fn(*const u8, *const (), u64) -> u32;
        // SAFETY: `install` put a function of this type there.
        let enter = unsafe { std::mem::transmute::<u64, Enter>(self.memory.address(self.shared.enter)) };
        // SAFETY: the caller's promises are those of compiled code.
        let enter = || unsafe { enter(trampoline::biased(frame), guest, code.0) };
        let flags = self.faults.guard(&self.memory, enter);
        let why = frame.exit[0].get() as u32 as usize;
        (REASONS.get(why).copied().unwrap_or(Exit::Interpret), trampoline::float_flags(flags))
    }

    fn can_fault(&self) -> bool {
        faults::install()
    }

    fn annotate(&mut self, on: bool) {
        self.sink.notes = on.then(Notes::default);
    }

    #[cfg(feature = "dump")]
    fn list(&self, compiled: &Compiled, name: &dyn Fn(Slot) -> String) -> Option<Vec<HostLine>> {
        Some(dump::list(&self.memory, &self.shared, compiled, compiled.notes.as_deref()?, name))
    }

    #[cfg(not(feature = "dump"))]
    fn list(&self, _: &Compiled, _: &dyn Fn(Slot) -> String) -> Option<Vec<HostLine>> {
        None
    }

    fn pinned(&self) -> Vec<(String, Slot)> {
        self.places.iter().flat_map(Places::pinned).map(|(slot, place)| (place.name(), Slot(slot))).collect()
    }

    fn usage(&self) -> (usize, usize) {
        (self.memory.size() - (self.free.1 - self.free.0), self.memory.size())
    }
}
