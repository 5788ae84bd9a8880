//! The interpreter: predecoded blocks, run up to an exact instruction.
//!
//! An instruction of an IT block carries its condition, and the interpreter tests it: one that is skipped counts as executed.
//! What an IT block makes of the instructions behind it is decided when they are decoded: ITSTATE at its start is a part
//! of a block's key.

use std::collections::HashMap;

use cpu_core::{Block, BlockCache, Bus, Counter, Exit, Flow, GuestMemory, Next, Ran, Semantics, Time};
use cpu_jit::lift::Space;
use cpu_jit::tier::Source;
use cpu_jit::{Backend, Lifter};

use crate::access::Fault;
use crate::cause;
use crate::compile::Compiler;
use crate::config::ArmConfig;
use crate::isa::dispatch::{Handler, handler};
use crate::isa::{self, Features, Id, Operands, flags};
use crate::lift::{Call, Instruction, Thumb};
use crate::slot;
use crate::state::{State, mode};

/// The longest block, but for the rest of an IT block. Short, so that a budget rarely cuts one.
const MAX_OPS: usize = 64;

/// The condition that always holds.
pub(crate) const ALWAYS: u8 = 14;

/// A predecoded instruction.
pub struct Op {
    run: Handler<State>,
    pub operands: Operands,
    pub len: u8,
    /// Under which condition it runs; [`ALWAYS`] outside of IT blocks.
    pub cond: u8,
    /// ITSTATE before it, and behind it.
    pub it: u8,
    pub after: u8,
    /// `None` for an undefined instruction, and for one that waits for the FPU: it raises the cause in the immediate.
    pub id: Option<Id>,
}

/// ITSTATE of the instruction behind one with `it` (A7.3.3).
pub(crate) fn advance(it: u8) -> u8 {
    if it & 7 == 0 { 0 } else { it & 0xe0 | it << 1 & 0x1f }
}

/// Blocks recorded in the compiler's representation, by number, with the serial of what they were made from. `None`: the block
/// is interpreted.
#[derive(Default)]
pub(crate) struct Lifted {
    blocks: HashMap<u32, (u64, Option<cpu_jit::Block<Call>>)>,
    values: Vec<u64>,
}

/// A core's state and its decoded code.
pub(crate) struct Cpu {
    pub state: State,
    blocks: BlockCache<Op>,
    breakpoints: Vec<u64>,
    step_over: bool,
    lifted: Option<Lifted>,
    pub compiler: Option<Compiler>,
}

impl Cpu {
    pub fn new(config: ArmConfig, memory: GuestMemory) -> Self {
        let state = State::new(config, memory.clone());
        Cpu {
            state,
            blocks: BlockCache::new(memory),
            breakpoints: Vec::new(),
            step_over: false,
            lifted: None,
            compiler: None,
        }
    }

    /// Back to power-on; interrupt lines stay as the wires are, and the instruction count goes on.
    pub fn reset(&mut self) {
        self.state.power_on();
        self.blocks.clear();
    }

    /// Forgets decoded code.
    pub fn forget(&mut self) -> &State {
        self.blocks.clear();
        &self.state
    }

    pub fn set_breakpoints(&mut self, addresses: &[u64]) {
        self.breakpoints = addresses.to_vec();
        self.breakpoints.sort_unstable();
        self.breakpoints.dedup();
        if let Some(compiler) = &mut self.compiler {
            compiler.set_breakpoints(&self.state, &self.breakpoints);
        }
    }

    /// Compiles blocks that have run `hot` times.
    pub fn set_backend(&mut self, backend: Option<Box<dyn Backend>>, hot: u32) {
        let state = &self.state;
        let windowed = backend.as_ref().is_some_and(|backend| backend.can_fault());
        state.windowed.set(state.frame.tlb.window.is_open() && windowed);
        // What was decoded or named before depends on it.
        state.flush_all();
        self.compiler = backend.map(|backend| Compiler::new(backend, state.memory.clone(), hot));
        if let Some(compiler) = &mut self.compiler {
            compiler.set_breakpoints(state, &self.breakpoints);
        }
    }

    pub fn step_over_breakpoint(&mut self) {
        self.step_over = true;
    }

    pub fn set_lifted(&mut self, on: bool) {
        self.lifted = on.then(Lifted::default);
    }

    pub fn blocks_decoded(&self) -> u64 {
        self.blocks.decoded
    }

    pub fn runnable(&mut self, now: Time, counter: Counter) -> bool {
        let state = &self.state;
        if state.sys.held.get() {
            return false;
        }
        if state.sys.asleep.get() {
            state.set_time(now, counter);
            state.poll_timers();
            if state.wakes() {
                state.sys.asleep.set(false);
            }
        }
        !state.sys.asleep.get()
    }

    pub fn run(&mut self, bus: &mut dyn Bus, start: Time, budget: u64) -> Ran {
        if !self.runnable(start, bus.counter()) {
            return Ran { executed: 0, exit: Exit::Wait };
        }
        self.state.enter(start, bus.counter());
        let Cpu { state, blocks, breakpoints, step_over, lifted, compiler } = self;
        let exit =
            state.bus.enter(bus, || run(state, blocks, breakpoints, step_over, lifted, compiler, budget));
        let executed = state.executed.replace(0);
        state.total.set(state.total.get().wrapping_add(executed));
        Ran { executed, exit }
    }
}

impl State {
    fn set_time(&self, now: Time, counter: Counter) {
        self.start.set(now);
        self.counter.set(counter);
        self.executed.set(0);
        self.index.set(0);
    }

    /// Prepares for a run that starts at `start`.
    fn enter(&self, start: Time, counter: Counter) {
        self.set_time(start, counter);
        self.exit.set(None);
        self.pending_hint.set(true);
        self.timer_dirty.set(true);
        self.frame.tlb.sync();
        self.load_reset_vectors();
        self.update_contexts();
    }

    /// After a reset, shows what the core would start with now. The image may still come.
    pub(crate) fn show_reset_vectors(&self) {
        if self.sys.in_reset.get() {
            self.read_reset_vectors();
        }
    }

    /// After a reset, loads stack pointer and start address, once.
    pub(crate) fn load_reset_vectors(&self) {
        if self.sys.in_reset.replace(false) {
            self.read_reset_vectors();
        }
    }

    /// Ends the instruction that raised the recorded exception; `behind` is the address behind it.
    #[cold]
    fn take_exception(&self, op: &Op, behind: u64) {
        let (cause, value) = self.trap.get();
        self.pending_hint.set(true);
        match cause {
            cause::CLEAR_THUMB => {
                self.itstate.set(0);
                self.thumb.set(false);
                self.frame.pc.set(value & 0xffff_fffe);
            }
            cause::EXCHANGE => {
                self.itstate.set(0);
                self.exchange(value as u32);
            }
            cause::PREPARE_FLOAT => {
                self.itstate.set(op.it);
                match self.prepare_float() {
                    // It has not run yet.
                    Ok(()) => self.executed.set(self.executed.get().wrapping_sub(1)),
                    Err((cause, value)) => self.fault(cause, value),
                }
                self.update_contexts();
            }
            cause::SUPERVISOR_CALL => {
                self.itstate.set(op.after);
                self.frame.pc.set(behind & 0xffff_ffff);
                self.fault(cause, value);
            }
            _ => {
                self.itstate.set(op.it);
                self.fault(cause, value);
            }
        }
    }

    /// A branch whose target may be an EXC_RETURN value, or may clear EPSR.T (A2.3.1, BXWritePC).
    fn exchange(&self, value: u32) {
        if self.sys.exception.get() != 0 && value >> 28 == 15 {
            self.exception_return(value);
        } else {
            self.thumb.set(value & 1 != 0);
            self.frame.pc.set((value & !1) as u64);
        }
    }

    /// Whether condition `cond` holds (A7.3).
    #[inline(always)]
    pub(crate) fn passes(&self, cond: u8) -> bool {
        crate::sem::condition(self, cond) != 0
    }

    /// An exception that the fetch at `pc` raised; it counts as an instruction.
    #[cold]
    fn fetch_fault(&self, (cause, value): Fault) {
        self.pending_hint.set(true);
        self.fault(cause, value);
        self.executed.set(self.executed.get() + 1);
    }
}

fn run(
    state: &State,
    blocks: &mut BlockCache<Op>,
    breakpoints: &[u64],
    step_over: &mut bool,
    lifted: &mut Option<Lifted>,
    compiler: &mut Option<Compiler>,
    budget: u64,
) -> Exit {
    loop {
        if let Some(exit) = state.exit.take() {
            return exit;
        }
        if state.executed.get() >= budget {
            return Exit::Budget;
        }
        if state.timer_dirty.take() || state.executed.get() >= state.timer_at.get() {
            state.poll_timers();
        }
        // One that is taken may be overtaken by another before its first instruction.
        if state.pending_hint.take() && state.take_pending() {
            state.pending_hint.set(true);
            continue;
        }
        if state.exit.get().is_some() {
            continue;
        }
        if !state.thumb.get() {
            state.fetch_fault((cause::INVALID_STATE, 0));
            continue;
        }
        let limit = budget.min(state.timer_at.get());
        if let Some(compiler) = compiler {
            compiler.start();
        }
        while state.executed.get() < limit {
            let pc = state.frame.pc.get();
            let Some(index) = find(state, blocks, pc) else { break };
            let Some(block) = blocks.get(index) else { break };
            if let Some(compiler) = compiler
                && !*step_over
                && crate::compile::run(compiler, state, blocks, block, limit - state.executed.get())
            {
                if let Some(bits) = state.bus.left_at() {
                    run_again(state, bits);
                    compiler.start();
                    if state.pending_hint.get() || state.exit.get().is_some() {
                        break;
                    }
                }
                continue;
            }
            let mut n = (block.ops.len() as u64).min(limit - state.executed.get()) as usize;
            if !breakpoints.is_empty() {
                if std::mem::take(step_over) {
                    n = 1;
                } else {
                    n = block.before_breakpoint(breakpoints, pc, n, |op| op.len as u64);
                    if n == 0 {
                        return Exit::Breakpoint;
                    }
                }
            }
            *step_over = false;
            match lifted {
                // A block that the budget cuts is interpreted, as it would be beside compiled code.
                Some(lifted) if n == block.ops.len() => run_lifted(state, block, index, lifted),
                _ => run_block(state, block, n),
            }
            if state.pending_hint.get() || state.exit.get().is_some() {
                break;
            }
        }
    }
}

/// Ends an instruction whose access compiled code has made.
#[cold]
fn run_again(state: &State, bits: u32) {
    let float = state.mode() & mode::FLOAT != 0;
    let (op, _) = predecode(bits, &state.config.features(), state.itstate.get(), float);
    let bytes = op.len as u32;
    run_ops(state, &[op], bytes);
    debug_assert!(state.bus.left_at().is_none(), "{bits:#x} makes no access");
    state.bus.take_ahead();
}

/// Runs the first `n` instructions of a block, or as many as control lets it.
#[inline(always)]
fn run_block(state: &State, block: &Block<Op>, n: usize) {
    run_ops(state, block.ops.get(..n).unwrap_or(&block.ops), block.bytes);
}

/// Runs instructions that belong to a block of so many bytes.
#[inline(always)]
fn run_ops(state: &State, ops: &[Op], bytes: u32) {
    let mut pc = state.frame.pc.get();
    state.block_end.set(pc.wrapping_add(bytes as u64) & 0xffff_ffff);
    state.leave.set(false);
    let mut done = 0;
    let mut it = 0;
    for op in ops {
        state.frame.pc.set(pc);
        state.index.set(done);
        done += 1;
        let behind = pc.wrapping_add(op.len as u64);
        it = op.after;
        if op.cond != ALWAYS && !state.passes(op.cond) {
            pc = behind;
            continue;
        }
        let flow = (op.run)(state, &op.operands);
        if let Ok(Next::Fall) = flow {
            pc = behind;
            if state.leave.get() {
                break;
            }
            continue;
        }
        if flow.is_err() {
            state.take_exception(op, behind);
            state.finish(done);
            return;
        }
        pc = state.after(flow, behind, &mut it);
        break;
    }
    state.itstate.set(it);
    state.frame.pc.set(pc & 0xffff_ffff);
    state.finish(done);
}

/// Runs a block in the compiler's representation, made on first use.
fn run_lifted(state: &State, block: &Block<Op>, index: u32, lifted: &mut Lifted) {
    let Lifted { blocks, values } = lifted;
    let entry = blocks.entry(index).or_insert_with(|| (u64::MAX, None));
    if entry.0 != block.serial {
        *entry = (block.serial, lift(state, block));
    }
    let Some(lifted) = &entry.1 else { return run_block(state, block, block.ops.len()) };
    let start = state.frame.pc.get();
    state.block_end.set(start.wrapping_add(block.bytes as u64) & 0xffff_ffff);
    state.leave.set(false);
    let (done, flow) = cpu_jit::run(lifted, state, start, values);
    // What it says is what the instruction itself says.
    state.cell(slot::ITSTATE).set(0);
    let bytes: u64 = block.ops.iter().take(done as usize).map(|op| op.len as u64).sum();
    let behind = start.wrapping_add(bytes);
    let Some(last) = block.ops.get((done as usize).wrapping_sub(1)) else { return };
    // As behind compiled code, the interpreter runs an instruction that stopped, and raises what there is to raise: but for one
    // that has reached a device, which compiled code does not.
    let again = !state.leave.get() || state.trap.get().0 == cause::INTERPRET;
    let flow = flow.or_else(|stop| if again { (last.run)(state, &last.operands) } else { Err(stop) });
    if flow.is_err() {
        state.take_exception(last, behind);
    } else {
        let mut it = last.after;
        let pc = state.after(flow, behind, &mut it);
        state.itstate.set(it);
        state.frame.pc.set(pc & 0xffff_ffff);
    }
    state.finish(done);
}

/// Records a block; `None` if it begins or ends inside of an IT block, whose ITSTATE would have to go along, or if it has floating
/// point by other rules than those at reset.
fn lift(state: &State, block: &Block<Op>) -> Option<cpu_jit::Block<Call>> {
    let lifter = Source::lifter(state, &mut Space::default());
    if !record(state, &lifter, &block.ops) {
        return None;
    }
    let mut lifted = lifter.finish();
    cpu_jit::passes::simplify(&mut lifted, &mut cpu_jit::passes::Scratch::default());
    debug_assert_eq!(lifted.verify(), Ok(()), "{lifted}");
    Some(lifted)
}

/// The same behind what was recorded; false, without recording anything, if it is not to be.
pub(crate) fn record(state: &State, lifter: &Lifter<Thumb>, ops: &[Op]) -> bool {
    if ops.first().is_none_or(|first| first.it != 0) || ops.last().is_none_or(|last| last.after != 0) {
        return false;
    }
    let is_float = |op: &Op| op.id.is_some_and(|id| id.flags() & flags::FLOAT != 0);
    if state.mode() & mode::PLAIN_FLOAT == 0 && ops.iter().any(is_float) {
        return false;
    }
    let instruction = |op| {
        let &Op { id, ref operands, len, cond, it, .. } = op;
        Instruction { id, operands, len, cond, it }
    };
    crate::lift::record(lifter, ops.iter().map(instruction));
    true
}

impl State {
    /// Where control goes after an instruction that did not simply fall through; `behind` is the address behind it.
    fn after(&self, flow: Flow<Self>, behind: u64, it: &mut u8) -> u64 {
        match flow {
            Ok(Next::Jump) => {
                *it = 0;
                self.target.get()
            }
            Ok(Next::Leave) => {
                self.pending_hint.set(true);
                behind
            }
            _ => behind,
        }
    }

    /// Ends a block after `done` instructions.
    #[inline(always)]
    fn finish(&self, done: u32) {
        self.index.set(0);
        self.executed.set(self.executed.get().wrapping_add(done as u64));
    }
}

/// The block at `pc`; `None` if its fetch faulted, which counts as an instruction.
#[inline(always)]
fn find(state: &State, blocks: &mut BlockCache<Op>, pc: u64) -> Option<u32> {
    let context = state.frame.fetch_context.get();
    if state.itstate.get() == 0
        && let Some(index) = blocks.by_vaddr(pc, context, state.frame.tlb.flushes())
    {
        return Some(index);
    }
    match fetch(state, blocks, pc, context) {
        Ok(index) => Some(index),
        Err(fault) => {
            state.fetch_fault(fault);
            None
        }
    }
}

/// Finds or decodes the block at `pc`.
#[cold]
#[inline(never)]
fn fetch(state: &State, blocks: &mut BlockCache<Op>, pc: u64, context: u64) -> Result<u32, Fault> {
    let whole_page = state.fetch_address(pc)?;
    let it = state.itstate.get();
    // Where protection splits the page, each instruction is a block and is checked each time.
    let split = if whole_page { 0 } else { cpu_core::blocks::SPLIT_PAGE };
    let key = state.mode() | (it as u32 & mode::ITSTATE) | split;
    let next_page = (pc | 0xfff).wrapping_add(1) & 0xffff_ffff;
    if !whole_page && isa::is_wide(halfword(state, pc)?) {
        state.fetch_address(pc.wrapping_add(2) & 0xffff_ffff)?;
    }
    // What a block that reaches into the next page needs of it is checked whenever the block is looked up.
    let mut second_fault = None;
    let known = blocks.by_paddr(pc, key, || match state.fetch_address(next_page) {
        Ok(_) => Some(next_page),
        Err(fault) => {
            second_fault = Some(fault);
            None
        }
    });
    if let Some(fault) = second_fault {
        return Err(fault);
    }
    let index = match known {
        Some(index) => index,
        None => {
            let (ops, bytes, second) = decode(state, pc, it, whole_page, next_page)?;
            let index = blocks.add(pc, key, second, bytes, ops).ok_or((cause::FETCH_BUS, pc))?;
            state.frame.tlb.sync();
            index
        }
    };
    if whole_page && it == 0 {
        // A flush that the fetch itself caused voids `context`: then the next lookup misses, no more.
        blocks.remember(pc, context, index);
    }
    Ok(index)
}

impl State {
    /// The instruction at `pc`, which compiled code runs, as [`predecode`] takes it.
    pub(crate) fn fetch_bits(&self, pc: u64) -> Option<u32> {
        let first = halfword(self, pc).ok()?;
        match isa::is_wide(first) {
            true => Some(first << 16 | halfword(self, pc + 2).ok()?),
            false => Some(first << 16),
        }
    }
}

fn halfword(state: &State, addr: u64) -> Result<u32, Fault> {
    state.memory.read_le(addr, 2).map(|value| value as u32).map_err(|_| (cause::FETCH_BUS, addr))
}

/// Operations, their bytes, and the page that the last reaches into.
type Predecoded = (Box<[Op]>, u32, Option<u64>);

fn decode(state: &State, pc: u64, it: u8, whole_page: bool, next_page: u64) -> Result<Predecoded, Fault> {
    let room = BlockCache::<Op>::room(pc);
    let features = state.config.features();
    let float = state.mode() & mode::FLOAT != 0;
    let max = if whole_page { MAX_OPS } else { 1 };
    let mut ops: Vec<Op> = Vec::with_capacity(16);
    let (mut at, mut second, mut it) = (0, None, it);
    while (ops.len() < max || (whole_page && it != 0)) && at < room {
        let first = halfword(state, pc + at)?;
        let mut bits = first << 16;
        if isa::is_wide(first) {
            if at + 4 <= room {
                bits |= halfword(state, pc + at + 2)?;
            } else if at == 0 {
                // It reaches into the next page: a block of its own.
                state.fetch_address(next_page)?;
                bits |= halfword(state, next_page)?;
                second = Some(next_page);
            } else {
                break;
            }
        }
        let (op, ends) = match predecode(bits, &features, it, float) {
            (op, _) if state.is_breakpoint(pc + at) => (breakpoint(op), true),
            decoded => decoded,
        };
        // The FPU is made ready before a block that begins with this instruction.
        if op.id.is_none() && op.operands.imm == cause::PREPARE_FLOAT as i32 && !ops.is_empty() {
            break;
        }
        at += op.len as u64;
        it = op.after;
        ops.push(op);
        if ends || second.is_some() {
            break;
        }
    }
    Ok((ops.into_boxed_slice(), at as u32, second))
}

/// What a breakpoint of the guest's makes of an instruction.
fn breakpoint(op: Op) -> Op {
    let run: Handler<State> = |state, _| Err(state.raise(cause::BREAKPOINT, 0));
    let operands = Operands { imm: cause::BREAKPOINT as i32, ..Operands::ZERO };
    Op { run, operands, cond: ALWAYS, id: None, ..op }
}

/// The operation for an instruction word, whose first halfword is the high half, and whether a block ends behind it.
fn predecode(bits: u32, features: &Features, it: u8, float: bool) -> (Op, bool) {
    let features = if it != 0 { features.with(Features::IT) } else { *features };
    let cond = if it == 0 || it >> 5 == 7 { ALWAYS } else { it >> 4 };
    let len = if isa::is_wide(bits >> 16) { 4 } else { 2 };
    let raises = |cause: u64| {
        let run: Handler<State> = |state, operands| Err(state.raise(operands.imm as u64, 0));
        let operands = Operands { imm: cause as i32, ..Operands::ZERO };
        (Op { run, operands, len, cond, it, after: advance(it), id: None }, true)
    };
    let Some(decoded) = isa::decode(bits, &features) else {
        let coprocessor = bits >> 26 & 0x3b == 0x3b && features.contains(Features::V7M);
        // Of an FPU that is there, what does not exist is undefined.
        let fpu = features.contains(Features::FP) && bits >> 9 & 7 == 5;
        return raises(if coprocessor && !fpu { cause::NO_COPROCESSOR } else { cause::UNDEFINED });
    };
    let (id, operands) = (decoded.id, decoded.ops);
    let kind = id.flags();
    if kind & flags::FLOAT != 0 && !float {
        return raises(cause::PREPARE_FLOAT);
    }
    let ends = kind & (flags::JUMP | flags::BRANCH | flags::SYSTEM) != 0;
    let cond = if kind & flags::UNCONDITIONAL != 0 { ALWAYS } else { cond };
    let after = if kind & flags::IF_THEN != 0 { operands.imm as u8 } else { advance(it) };
    (Op { run: handler::<State>(id), operands, len, cond, it, after, id: Some(id) }, ends)
}
