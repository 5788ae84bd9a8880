//! The compiled tier of a core: which blocks are compiled, and running them.

use std::fmt::Debug;

use cpu_core::{Block as Predecoded, GuestMemory};

use crate::backend::{Backend, Code, Exit, Layout, Unit};
use crate::engine::{Engine, Place};
use crate::helpers::Quick;
use crate::ir::{Block, Node, Slot};
use crate::listing::{GuestLine, Listing};

/// Executions after which a block is compiled, unless told otherwise.
pub const HOT: u32 = 24;

/// What a tier has to know of a core: how its predecoded blocks become nodes.
pub trait Source: Quick {
    /// A predecoded instruction.
    type Op;
    /// An operation that is called, not lifted.
    type Call: Copy + Debug;
    /// How a core of this kind looks to compiled code.
    fn layout() -> Layout;
    /// What decoded code depends on now, beside its address.
    fn mode(&self) -> u32;
    /// Whether data addresses are physical and unrestricted in that mode ([`Unit::flat`]).
    fn is_flat(mode: u32) -> bool;
    /// The block as nodes; `None` if it is one that is not compiled.
    fn lift(&self, block: &Predecoded<Self::Op>) -> Option<Block<Self::Call>>;
    /// The number by which compiled code calls an operation; `None` for what the interpreter runs.
    fn number(call: &Self::Call) -> Option<u64>;
    /// The block's instructions, for a listing. It starts at the program counter.
    fn guest_lines(&self, block: &Predecoded<Self::Op>) -> Vec<GuestLine>;
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
}

impl<G: Source> Tier<G> {
    /// Compiles blocks by `backend` once they have run `hot` times; 0: at once.
    pub fn new(backend: Box<dyn Backend>, memory: GuestMemory, hot: u32) -> Self {
        Tier {
            engine: Engine::new(backend, G::layout(), memory),
            listing: None,
            hot,
            missed: false,
            interpret: false,
            stops: Vec::new(),
            calls: Vec::new(),
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
    /// `None` if nothing was run: the interpreter has to run the block.
    #[inline]
    pub fn run(&mut self, guest: &G, block: &Predecoded<G::Op>, room: u64) -> Option<Done> {
        if std::mem::take(&mut self.interpret) || room < block.ops.len() as u64 {
            self.missed = false;
            return None;
        }
        let frame = guest.frame();
        self.engine.sync(frame);
        let Some(code) = self.code(guest, block) else {
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
            Exit::Follow | Exit::Budget => {}
            Exit::Lookup => self.missed = true,
            Exit::Interpret => self.interpret = true,
        }
        Some(Done { executed: room - frame.remaining.get() as u64, interpret: self.interpret })
    }

    fn code(&mut self, guest: &G, block: &Predecoded<G::Op>) -> Option<Code> {
        let (generation, code) = block.code.get();
        if generation == self.engine.generation() {
            return (code != 0).then_some(Code(code));
        }
        if block.second.is_some() || !block.whole_page {
            return None;
        }
        let heat = block.heat.get().saturating_add(1);
        block.heat.set(heat);
        if heat < self.hot {
            return None;
        }
        let place = (block.paddr, guest.mode());
        let code = self.engine.lookup(place).or_else(|| self.compile(guest, block, place));
        // What can not be compiled will not do better next time.
        block.code.set((self.engine.generation(), code.map_or(0, |code| code.0)));
        code
    }

    #[cold]
    fn compile(&mut self, guest: &G, block: &Predecoded<G::Op>, place: Place) -> Option<Code> {
        let offset = (block.paddr & 0xfff) as u32;
        if self.stops.iter().any(|stop| (offset..offset + block.bytes).contains(stop)) {
            return None;
        }
        let begin = self.engine.clock();
        let lifted = guest.lift(block)?;
        self.calls.clear();
        self.calls.extend(lifted.calls.iter().map(G::number));
        let unit = Unit {
            nodes: &lifted.nodes,
            calls: &self.calls,
            instructions: lifted.instructions,
            bytes: lifted.bytes,
            offset,
            flat: G::is_flat(place.1),
        };
        if unit
            .nodes
            .iter()
            .find(|node| node.has_effect() && !matches!(node, Node::Start { .. }))
            .is_some_and(leaves)
        {
            return None;
        }
        let code = self.engine.compile(place, guest.frame(), &unit);
        self.engine.note_cost(begin, lifted.instructions);
        self.list(guest, block, &lifted);
        code
    }

    /// Lists the block that was just compiled, if it is wanted.
    fn list(&mut self, guest: &G, block: &Predecoded<G::Op>, lifted: &Block<G::Call>) {
        let Some(listing) = &mut self.listing else { return };
        let compiled = self.engine.take_noted();
        let start = guest.frame().pc.get();
        if !listing.wants(start, block.bytes) {
            return;
        }
        match compiled {
            Some(compiled) => {
                let lines = guest.guest_lines(block);
                listing.show(&lines, lifted, self.engine.backend(), &compiled, &G::slot_name);
            }
            None => listing.refused(start, lifted.instructions),
        }
    }
}

/// Whether all that compiled code could do is to leave.
fn leaves(node: &Node) -> bool {
    matches!(node, Node::Leave(..) | Node::Raise(..))
}
