//! Compiled blocks by physical address, their links, and what makes them void.
//!
//! Links lead from block to block inside one physical page, whatever virtual address it has; everything else goes by
//! the jump cache in the [`Frame`], which is keyed by virtual page and fetch context. A page's code falls as a whole
//! when its content changes: its blocks are retired, so that what the jump cache knows of them leads out again.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::marker::PhantomData;

use cpu_core::blocks::AddressHasher;
use cpu_core::memory::PAGE_SIZE;
use cpu_core::{Frame, GuestMemory};

use crate::backend::{Backend, Code, Compiled, Exit, Layout, Refused, Site, Unit};
use crate::helpers::{Helpers, Quick};
use crate::patience::Patience;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<AddressHasher>>;

/// Where a block is: physical address, and the mode it was decoded under.
pub type Place = (u64, u32);

#[derive(Default)]
struct Page {
    generation: u32,
    code: Map<u32, Code>,
    /// [`Stats::executed`] when the first of it was compiled.
    since: u64,
    /// Jumps to blocks that are not compiled yet, by offset.
    waiting: Map<u32, Vec<Site>>,
}

/// What an engine has done.
#[derive(Copy, Clone, Default, Debug)]
pub struct Stats {
    /// Blocks compiled.
    pub blocks: u64,
    /// Their instructions.
    pub instructions: u64,
    /// Bytes of host code.
    pub bytes: u64,
    /// Pages whose code became void.
    pub invalidated: u64,
    /// Times that all code was dropped for lack of room.
    pub flushed: u64,
    /// Instructions run by compiled code.
    pub executed: u64,
    /// Entries into compiled code.
    pub entered: u64,
    /// Time that compiling took, in nanoseconds of [`Engine::set_clock`]'s clock.
    pub nanoseconds: u64,
}

impl Stats {
    /// Adds another engine's figures.
    pub fn add(&mut self, other: &Stats) {
        self.blocks += other.blocks;
        self.instructions += other.instructions;
        self.bytes += other.bytes;
        self.invalidated += other.invalidated;
        self.flushed += other.flushed;
        self.executed += other.executed;
        self.entered += other.entered;
        self.nanoseconds += other.nanoseconds;
    }
}

/// How many instructions cost how much to compile.
#[derive(Clone, Default, Debug)]
pub struct Costs {
    /// Instructions by nanoseconds for each, in steps of [`Costs::STEP`]; the last takes what costs more.
    instructions: Vec<u64>,
}

impl Costs {
    /// Nanoseconds that are told apart.
    const STEP: u64 = 8;
    const STEPS: usize = 2048;

    /// Adds a block.
    fn note(&mut self, instructions: u32, nanoseconds: u64) {
        self.instructions.resize(Self::STEPS, 0);
        let each = nanoseconds / u64::from(instructions.max(1)) / Self::STEP;
        let at = usize::try_from(each).unwrap_or(usize::MAX).min(Self::STEPS - 1);
        self.instructions[at] += u64::from(instructions);
    }

    /// Adds another engine's.
    pub fn add(&mut self, other: &Costs) {
        self.instructions.resize(self.instructions.len().max(other.instructions.len()), 0);
        self.instructions.iter_mut().zip(&other.instructions).for_each(|(sum, more)| *sum += more);
    }

    /// Nanoseconds that half of the instructions did not exceed; 0 without any.
    pub fn median(&self) -> u64 {
        let half = self.instructions.iter().sum::<u64>().div_ceil(2);
        let mut sum = 0;
        let reaches = |count: &u64| {
            sum += count;
            sum >= half
        };
        self.instructions.iter().position(reaches).map_or(0, |at| (at as u64) * Self::STEP + Self::STEP / 2)
    }
}

/// Compiled code for guests of type `G`.
pub struct Engine<G> {
    backend: Box<dyn Backend>,
    memory: GuestMemory,
    pages: Map<Place, Page>,
    patience: Patience,
    changed_epoch: u64,
    code_flushes: u64,
    /// Changes whenever all code goes.
    generation: u64,
    /// What was done.
    pub stats: Stats,
    /// What compiling cost.
    pub costs: Costs,
    clock: Option<fn() -> u64>,
    /// The block compiled last, if such are to be listed.
    noted: Option<Compiled>,
    annotated: bool,
    guest: PhantomData<fn(&G)>,
}

/// Virtual page and fetch context in one, as the jump cache compares it.
fn key(frame: &Frame, pc: u64) -> u64 {
    pc & !(PAGE_SIZE - 1) | frame.fetch_context.get()
}

impl<G: Quick> Engine<G> {
    /// Nothing compiled.
    pub fn new(mut backend: Box<dyn Backend>, layout: Layout, memory: GuestMemory) -> Self {
        backend.install(layout, Helpers::of::<G>());
        Engine {
            backend,
            changed_epoch: memory.changed_epoch(),
            memory,
            pages: Map::default(),
            patience: Patience::default(),
            code_flushes: 0,
            generation: 1,
            stats: Stats::default(),
            costs: Costs::default(),
            clock: None,
            noted: None,
            annotated: false,
            guest: PhantomData,
        }
    }

    /// Has compiling measured by a clock of the host, in nanoseconds. Nothing but the figures depends on it.
    pub fn set_clock(&mut self, clock: Option<fn() -> u64>) {
        self.clock = clock;
    }

    /// What the clock says; 0 without one.
    pub fn clock(&self) -> u64 {
        self.clock.map_or(0, |clock| clock())
    }

    /// Counts what compiling a block has cost since the clock said `begin`.
    pub fn note_cost(&mut self, begin: u64, instructions: u32) {
        if self.clock.is_some() {
            let nanoseconds = self.clock().saturating_sub(begin);
            self.stats.nanoseconds += nanoseconds;
            self.costs.note(instructions, nanoseconds);
        }
    }

    /// Whether [`Engine::take_noted`] gives what was compiled.
    pub fn annotate(&mut self, on: bool) {
        self.annotated = on;
        self.backend.annotate(on);
    }

    /// The block compiled last, with its notes.
    pub fn take_noted(&mut self) -> Option<Compiled> {
        self.noted.take()
    }

    /// Changes whenever code given out before is void.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Drops what memory's epochs and the TLB's flushes say is stale. To be called before [`Engine::run`] whenever anything
    /// but compiled code has run.
    #[inline]
    pub fn sync(&mut self, frame: &Frame) {
        if self.changed_epoch != self.memory.changed_epoch() {
            self.drop_changed();
        }
        if self.code_flushes != frame.tlb.code_flushes() {
            self.code_flushes = frame.tlb.code_flushes();
            frame.forget_jumps();
        }
    }

    #[cold]
    fn drop_changed(&mut self) {
        self.changed_epoch = self.memory.changed_epoch();
        let Engine { backend, memory, pages, patience, stats, .. } = self;
        let before = pages.len();
        pages.retain(|(paddr, _), page| {
            let valid = memory.generation(*paddr) == Some(page.generation);
            if !valid {
                page.code.values().for_each(|code| backend.retire(*code));
                patience.note(*paddr, stats.executed - page.since);
            }
            valid
        });
        let gone = (before - pages.len()) as u64;
        stats.invalidated += gone;
        if gone > 0 {
            self.generation += 1;
        }
    }

    /// How often a block at `paddr` has to run before it is compiled: `hot` times, or more where its page is rewritten often.
    pub fn heat(&self, paddr: u64, hot: u32) -> u32 {
        self.patience.heat(paddr, hot)
    }

    /// The code of the block at a place.
    pub fn lookup(&self, (paddr, mode): Place) -> Option<Code> {
        let page = self.pages.get(&(paddr & !(PAGE_SIZE - 1), mode))?;
        page.code.get(&((paddr % PAGE_SIZE) as u32)).copied()
    }

    /// Compiles the block at a place, decoded from what memory holds now, and links it. `frame`'s jump cache is emptied where
    /// all code had to go.
    pub fn compile(&mut self, place: Place, frame: &Frame, unit: &Unit) -> Option<Code> {
        let generation = self.memory.generation(place.0)?;
        let compiled = match self.backend.compile(unit) {
            Ok(compiled) => compiled,
            Err(Refused::TooComplex) => return None,
            Err(Refused::Full) => {
                self.clear(frame);
                self.stats.flushed += 1;
                self.backend.compile(unit).ok()?
            }
        };
        self.stats.blocks += 1;
        self.stats.instructions += unit.instructions as u64;
        self.stats.bytes += compiled.size as u64;
        if self.annotated {
            self.noted = Some(compiled.clone());
        }
        let Compiled { code, links, .. } = compiled;
        let page = self.pages.entry((place.0 & !(PAGE_SIZE - 1), place.1)).or_default();
        if page.generation != generation && !page.code.is_empty() {
            page.code.values().for_each(|code| self.backend.retire(*code));
            *page = Page::default();
            self.generation += 1;
        }
        if page.code.is_empty() {
            page.since = self.stats.executed;
        }
        page.generation = generation;
        page.code.insert(unit.offset, code);
        for site in page.waiting.remove(&unit.offset).unwrap_or_default() {
            self.backend.link(site, code);
        }
        for (target, site) in links {
            match page.code.get(&target) {
                Some(code) => self.backend.link(site, *code),
                None => page.waiting.entry(target).or_default().push(site),
            }
        }
        Some(code)
    }

    /// Drops all code.
    pub fn clear(&mut self, frame: &Frame) {
        self.pages.clear();
        self.backend.clear();
        self.generation += 1;
        frame.forget_jumps();
    }

    /// Remembers in the jump cache that `pc` leads to `code`.
    pub fn remember(&self, frame: &Frame, pc: u64, code: Code) {
        frame.tlb.note_code(pc);
        let jump = &frame.jumps[Frame::jump_index(pc)];
        jump.key.set(key(frame, pc));
        jump.code.set(code.0);
    }

    /// Runs `code`, which is for the instruction at [`Frame::pc`], for at most [`Frame::remaining`] instructions.
    #[inline]
    pub fn run(&mut self, guest: &G, code: Code) -> Exit {
        let frame = guest.frame();
        frame.page.set(frame.pc.get() & !(PAGE_SIZE - 1));
        let before = frame.remaining.get();
        frame.room.set(before);
        // SAFETY: codes come from `compile` and are void after `clear` and `drop_changed`, by `generation`; the helpers are
        // those of `G`.
        let (exit, flags) = unsafe { self.backend.enter(frame, (guest as *const G).cast(), code) };
        if flags != 0 {
            guest.raise_float_flags(flags);
        }
        self.stats.entered += 1;
        self.stats.executed += (before - frame.remaining.get()) as u64;
        exit
    }

    /// The back end.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }
}

#[cfg(test)]
mod tests;
