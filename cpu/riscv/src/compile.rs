//! The compiled tier: which blocks are compiled, and running them.
//!
//! Known exception to the two tiers being equal: a guest that changes the page-table entry of code that it runs, without
//! a fence, may see the change (or the A bit set) at different instructions. What is remembered of where code is outlives the fetch
//! TLB's entry, which the architecture allows, but not for the same time in both tiers.

use cpu_core::{Block, GuestMemory};
use cpu_jit::{Backend, Code, Engine, Exit, Listing, Node, Unit};

use crate::exec::Op;
use crate::quick::layout;
use crate::state::{State, mode};

/// Executions after which a block is compiled, unless told otherwise.
pub const HOT: u32 = 24;

/// Blocks of a hart as host code.
pub(crate) struct Compiler<const XLEN: u32> {
    pub engine: Engine<State<XLEN>>,
    /// Executions of a block before it is compiled.
    hot: u32,
    /// The jump cache has missed: what is found next belongs into it.
    missed: bool,
    /// The next instruction is one for the interpreter.
    interpret: bool,
    /// Page offsets at which compiled code must not run past.
    stops: Vec<u32>,
    calls: Vec<Option<u64>>,
    /// What is to be listed.
    pub listing: Option<Listing>,
}

impl<const XLEN: u32> Compiler<XLEN> {
    pub fn new(backend: Box<dyn Backend>, memory: GuestMemory, hot: u32) -> Self {
        Compiler {
            engine: Engine::new(backend, layout::<XLEN>(), memory),
            hot,
            missed: false,
            interpret: false,
            stops: Vec::new(),
            calls: Vec::new(),
            listing: None,
        }
    }

    /// Keeps blocks with these addresses uncompiled.
    pub fn set_breakpoints(&mut self, state: &State<XLEN>, addresses: &[u64]) {
        self.stops = addresses.iter().map(|address| (address & 0xfff) as u32).collect();
        self.engine.clear(&state.frame);
    }

    /// What was going on has been overtaken by an interrupt or the like.
    pub fn start(&mut self) {
        self.missed = false;
        self.interpret = false;
    }

    /// Runs the block at `pc` and what follows it, as far as they are compiled, up to `limit` instructions of this run. False
    /// if nothing was run: the interpreter has to run the block.
    #[inline]
    pub fn run(&mut self, state: &State<XLEN>, block: &Block<Op<XLEN>>, limit: u64) -> bool {
        let room = limit - state.executed.get();
        if std::mem::take(&mut self.interpret) || room < block.ops.len() as u64 {
            self.missed = false;
            return false;
        }
        self.engine.sync(&state.frame);
        let Some(code) = self.code(state, block) else {
            self.missed = false;
            return false;
        };
        if std::mem::take(&mut self.missed) {
            self.engine.remember(&state.frame, state.frame.pc.get(), code);
        }
        // More than any machine runs at once would not fit.
        let room = room.min(i64::MAX as u64 / 2);
        state.frame.remaining.set(room as i64);
        match self.engine.run(state, code) {
            Exit::Follow | Exit::Budget => {}
            Exit::Lookup => self.missed = true,
            Exit::Interpret => self.interpret = true,
        }
        let done = room - state.frame.remaining.get() as u64;
        state.executed.set(state.executed.get() + done);
        true
    }

    fn code(&mut self, state: &State<XLEN>, block: &Block<Op<XLEN>>) -> Option<Code> {
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
        let place = (block.paddr, state.mode());
        let code = self.engine.lookup(place).or_else(|| self.compile(state, block, place));
        // What can not be compiled will not do better next time.
        block.code.set((self.engine.generation(), code.map_or(0, |code| code.0)));
        code
    }

    #[cold]
    fn compile(&mut self, state: &State<XLEN>, block: &Block<Op<XLEN>>, place: (u64, u32)) -> Option<Code> {
        let offset = (block.paddr & 0xfff) as u32;
        if self.stops.iter().any(|stop| (offset..offset + block.bytes).contains(stop)) {
            return None;
        }
        let begin = self.engine.clock();
        let lifted = crate::exec::lift(state, block);
        self.calls.clear();
        self.calls.extend(lifted.calls.iter().map(|call| call.number()));
        let unit = Unit {
            nodes: &lifted.nodes,
            calls: &self.calls,
            instructions: lifted.instructions,
            bytes: lifted.bytes,
            offset,
            flat: place.1 & mode::FLAT != 0,
        };
        if unit
            .nodes
            .iter()
            .find(|node| node.has_effect() && !matches!(node, Node::Start { .. }))
            .is_some_and(leaves)
        {
            return None;
        }
        let code = self.engine.compile(place, &state.frame, &unit);
        self.engine.note_cost(begin, lifted.instructions);
        self.list(state, block, &lifted);
        code
    }
}

/// Whether all that compiled code could do is to leave.
fn leaves(node: &Node) -> bool {
    matches!(node, Node::Leave(..) | Node::Raise(..))
}
