//! The compiled tier of a core: which blocks are compiled, and running them.

use cpu_core::memory::PAGE_SIZE;
use cpu_core::{Block as Predecoded, BlockCache, GuestMemory};

use crate::Isa;
use crate::backend::{Backend, Code, Exit, Layout, Unit};
use crate::engine::{Engine, Place};
use crate::helpers::Quick;
use crate::ir::{Block, Node, Slot};
use crate::lift::{Lifter, Space};
use crate::listing::{GuestLine, Listing};
use crate::passes::{self, Scratch};
use crate::trace::{Chooser, Piece};

/// Executions after which a block is compiled, unless told otherwise.
pub const HOT: u32 = 24;

/// A block is compiled together with one before it if it has run this part of the times that make a block hot.
const WARM: u32 = 3;

/// What a tier has to know of a core: how its predecoded blocks become nodes.
pub trait Source: Quick {
    /// A predecoded instruction.
    type Op;
    /// Its instruction set.
    type Isa: Isa;
    /// How a core of this kind looks to compiled code.
    fn layout() -> Layout;
    /// What decoded code depends on now, beside its address.
    fn mode(&self) -> u32;
    /// Whether data addresses are physical and unrestricted in that mode ([`Unit::flat`]).
    fn is_flat(&self, mode: u32) -> bool;
    /// A recorder for blocks of that mode.
    fn lifter(&self, space: &mut Space) -> Lifter<Self::Isa>;
    /// Records the block behind what was recorded; false, without recording anything, if it is one that is not compiled.
    fn record(&self, lifter: &Lifter<Self::Isa>, block: &Predecoded<Self::Op>) -> bool;
    /// Records the instructions in the first `bytes` of the block; false if it is one that is not compiled, or if none ends there.
    fn record_part(&self, lifter: &Lifter<Self::Isa>, block: &Predecoded<Self::Op>, bytes: u32) -> bool;
    /// The number by which compiled code calls an operation; `None` for what the interpreter runs.
    fn number(call: &<Self::Isa as Isa>::Call) -> Option<u64>;
    /// The block's instructions, for a listing. It starts at virtual address `start`.
    fn guest_lines(&self, block: &Predecoded<Self::Op>, start: u64) -> Vec<GuestLine>;
    /// What a slot is called in a listing.
    fn slot_name(slot: Slot) -> String;
}

/// What [`Tier::run`] did.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// Instructions executed.
    pub executed: u64,
    /// The instruction at the program counter is one for the interpreter.
    pub interpret: bool,
}

/// Blocks of a core as host code.
pub struct Tier<G> {
    /// The code.
    pub engine: Engine<G>,
    /// What is to be listed.
    pub listing: Option<Listing>,
    /// Executions of a block before it is compiled.
    hot: u32,
    /// The jump cache has missed: what is found next belongs into it.
    missed: bool,
    /// The next instruction is one for the interpreter.
    interpret: bool,
    /// Page offsets at which compiled code must not run past.
    stops: Vec<u32>,
    calls: Vec<Option<u64>>,
    scratch: Scratch,
    space: Space,
}

impl<G: Source> Tier<G> {
    /// Compiles blocks by `backend` once they have run `hot` times; 0: at once.
    pub fn new(backend: Box<dyn Backend>, memory: GuestMemory, hot: u32) -> Self {
        Tier {
            engine: Engine::new(backend, Layout { words: G::Isa::WORDS, ..G::layout() }, memory),
            listing: None,
            hot,
            missed: false,
            interpret: false,
            stops: Vec::new(),
            calls: Vec::new(),
            scratch: Scratch::default(),
            space: Space::default(),
        }
    }

    /// Keeps blocks with these addresses uncompiled.
    pub fn set_breakpoints(&mut self, guest: &G, addresses: &[u64]) {
        self.stops = addresses.iter().map(|address| (address & 0xfff) as u32).collect();
        self.engine.clear(guest.frame());
    }

    /// Lists blocks as they are compiled. Gives which registers of the host hold which of the guest's.
    pub fn set_listing(&mut self, listing: Option<Listing>) -> String {
        self.engine.annotate(listing.is_some());
        self.listing = listing;
        crate::listing::pins(self.engine.backend(), &G::slot_name)
    }

    /// What was going on has been overtaken by an interrupt or the like.
    pub fn start(&mut self) {
        self.missed = false;
        self.interpret = false;
    }

    /// Runs the block at the program counter and what follows it, as far as they are compiled, up to `room` instructions.
    /// `None` if nothing was run: the interpreter has to run the block, which is one of `blocks`.
    #[inline]
    pub fn run(
        &mut self,
        guest: &G,
        blocks: &BlockCache<G::Op>,
        block: &Predecoded<G::Op>,
        room: u64,
    ) -> Option<Done> {
        if std::mem::take(&mut self.interpret) || room < block.ops.len() as u64 {
            self.missed = false;
            return None;
        }
        let frame = guest.frame();
        self.engine.sync(frame);
        let Some(code) = self.code(guest, blocks, block) else {
            self.missed = false;
            return None;
        };
        if std::mem::take(&mut self.missed) {
            self.engine.remember(frame, frame.pc.get(), code);
        }
        // More than any machine runs at once would not fit.
        let room = room.min(i64::MAX as u64 / 2);
        frame.remaining.set(room as i64);
        match self.engine.run(guest, code) {
            // More is compiled as one than may still run.
            Exit::Budget if frame.remaining.get() == room as i64 => return None,
            Exit::Follow | Exit::Budget => {}
            Exit::Lookup => self.missed = true,
            Exit::Interpret => self.interpret = true,
        }
        Some(Done { executed: room - frame.remaining.get() as u64, interpret: self.interpret })
    }

    fn code(&mut self, guest: &G, blocks: &BlockCache<G::Op>, block: &Predecoded<G::Op>) -> Option<Code> {
        let (generation, code) = block.code.get();
        if generation == self.engine.generation() {
            return (code != 0).then_some(Code(code));
        }
        if block.second.is_some() || !block.whole_page {
            return None;
        }
        let heat = block.heat.get().saturating_add(1);
        block.heat.set(heat);
        if heat < self.hot || heat < self.engine.heat(block.paddr, self.hot) {
            return None;
        }
        let place = (block.paddr, guest.mode());
        let code = self.engine.lookup(place).or_else(|| self.compile(guest, blocks, block, place));
        // What can not be compiled will not do better next time.
        block.code.set((self.engine.generation(), code.map_or(0, |code| code.0)));
        code
    }

    #[cold]
    fn compile(
        &mut self,
        guest: &G,
        blocks: &BlockCache<G::Op>,
        block: &Predecoded<G::Op>,
        place: Place,
    ) -> Option<Code> {
        if self.stops_in(block) {
            return None;
        }
        // What is too much with all that follows may do alone.
        self.compile_up_to(usize::MAX, guest, blocks, block, place)
            .or_else(|| self.compile_up_to(1, guest, blocks, block, place))
    }

    fn stops_in(&self, block: &Predecoded<G::Op>) -> bool {
        let offset = (block.paddr & 0xfff) as u32;
        self.stops.iter().any(|stop| (offset..offset + block.bytes).contains(stop))
    }

    /// Compiles the block and up to `limit - 1` that follow it.
    fn compile_up_to(
        &mut self,
        limit: usize,
        guest: &G,
        blocks: &BlockCache<G::Op>,
        block: &Predecoded<G::Op>,
        place: Place,
    ) -> Option<Code> {
        let begin = self.engine.clock();
        let lifter = guest.lifter(&mut self.space);
        let chooser = Chooser { guest, blocks, start: place.0, mode: place.1, heat: self.hot / WARM, limit };
        let trace = chooser.record(&lifter, block, |next| {
            self.engine.lookup((next.paddr, place.1)).is_none() && !self.stops_in(next)
        });
        let mut lifted = lifter.finish_within(&mut self.space);
        passes::simplify(&mut lifted, &mut self.scratch);
        debug_assert_eq!(lifted.verify(), Ok(()), "{lifted}");
        if trace.is_empty() || leaves_at_once(&lifted.nodes) {
            self.space.reclaim(lifted);
            return None;
        }
        self.calls.clear();
        self.calls.extend(lifted.calls.iter().map(G::number));
        let offset = (block.paddr & 0xfff) as u32;
        let unit = Unit {
            nodes: &lifted.nodes,
            calls: &self.calls,
            instructions: lifted.instructions,
            offset,
            behind: offset as i64 + lifted.behind as i64,
            flat: guest.is_flat(place.1),
            mirror: guest.frame().tlb.has_mirror(),
        };
        let flushed = self.engine.stats.flushed;
        let code = self.engine.compile(place, guest.frame(), &unit);
        if self.engine.stats.flushed != flushed {
            // All code went for lack of room: only what is hot still, not all that ever was, is worth compiling again.
            blocks.cool();
        }
        self.engine.note_cost(begin, lifted.instructions);
        self.list(guest, &trace, &lifted);
        self.space.reclaim(lifted);
        code
    }

    /// Lists what was just compiled, if it is wanted.
    fn list(&mut self, guest: &G, trace: &[Piece<G>], lifted: &Block<<G::Isa as Isa>::Call>) {
        let Some(listing) = &mut self.listing else { return };
        let compiled = self.engine.take_noted();
        let page = guest.frame().pc.get() & !(PAGE_SIZE - 1);
        let start = |block: &Predecoded<G::Op>| page | block.paddr & (PAGE_SIZE - 1);
        if !trace.iter().any(|(block, bytes)| listing.wants(start(block), *bytes)) {
            return;
        }
        match compiled {
            Some(compiled) => {
                let lines = trace.iter().flat_map(|(block, bytes)| {
                    let end = start(block) + *bytes as u64;
                    guest.guest_lines(block, start(block)).into_iter().filter(move |line| line.address < end)
                });
                let lines: Vec<GuestLine> = lines.collect();
                listing.show(&lines, lifted, self.engine.backend(), &compiled, &G::slot_name);
            }
            None => listing.refused(guest.frame().pc.get(), lifted.instructions),
        }
    }
}

/// The operations that fill the first `bytes`, if an operation ends there.
pub fn ops_in<Op>(ops: &[Op], bytes: u32, len: impl Fn(&Op) -> u32) -> Option<&[Op]> {
    let mut at = 0;
    let count = ops.iter().take_while(|op| {
        at += len(op);
        at <= bytes
    });
    let part = ops.get(..count.count())?;
    (part.iter().map(len).sum::<u32>() == bytes).then_some(part)
}

/// Whether all that compiled code could do is to leave.
fn leaves_at_once(nodes: &[Node]) -> bool {
    let effect = nodes.iter().find(|node| node.has_effect() && !matches!(node, Node::Start { .. }));
    effect.is_some_and(|node| matches!(node, Node::Leave(..) | Node::Raise(..)))
}
