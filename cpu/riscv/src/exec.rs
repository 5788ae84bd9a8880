//! The interpreter: predecoded blocks, run up to an exact instruction.

use std::collections::HashMap;

use cpu_core::{
    AccessKind, Block, BlockCache, Bus, Counter, Exit, Flow, GuestMemory, Next, Ran, Semantics, Time,
};

use cpu_jit::lift::Space;
use cpu_jit::{Backend, Lifter};

use crate::compile::Compiler;
use crate::config::HartConfig;
use crate::isa::dispatch::{Handler, handler};
use crate::isa::{self, Decoded, Features, Id, Operands, flags};
use crate::lift::{Call, Rv};
use crate::semantics::Riscv;
use crate::state::{State, mode};
use crate::sys::{Sys, access_fault, cause};

/// The longest block. Short, so that a budget rarely cuts one.
const MAX_OPS: usize = 64;
/// Loads from a page before it is mapped in the mirror, for each run of a block before it is compiled.
const LOADS_PER_RUN: u64 = 43;

/// A predecoded instruction.
pub struct Op<const XLEN: u32> {
    run: Handler<State<XLEN>>,
    operands: Operands,
    len: u8,
    /// `None` for an illegal instruction, whose bits are the immediate operand.
    id: Option<Id>,
}

impl<const XLEN: u32> Op<XLEN> {
    /// Bytes of the instruction.
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

/// Blocks recorded in the compiler's representation, by number, with the serial of what they were made from.
#[derive(Default)]
pub(crate) struct Lifted {
    blocks: HashMap<u32, (u64, cpu_jit::Block<Call>)>,
    values: Vec<u64>,
}

/// A hart of one width: state and decoded code.
pub(crate) struct Cpu<const XLEN: u32> {
    pub state: State<XLEN>,
    blocks: BlockCache<Op<XLEN>>,
    breakpoints: Vec<u64>,
    step_over: bool,
    lifted: Option<Lifted>,
    pub compiler: Option<Compiler<XLEN>>,
}

impl<const XLEN: u32> Cpu<XLEN> {
    pub fn new(config: HartConfig, memory: GuestMemory) -> Self {
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

    /// Compiles blocks that have run `hot` times.
    pub fn set_backend(&mut self, backend: Option<Box<dyn Backend>>, hot: u32) {
        let memory = self.state.memory.clone();
        // What was decoded or named before depends on it.
        self.state.windowed.set(
            self.state.frame.tlb.window.is_open()
                && backend.as_ref().is_some_and(|backend| backend.can_fault()),
        );
        self.state.frame.tlb.flush();
        self.state.frame.tlb.set_patience(hot as u64 * LOADS_PER_RUN);
        self.state.update_contexts();
        self.compiler = backend.map(|backend| Compiler::new(backend, memory, hot));
        if let Some(compiler) = &mut self.compiler {
            compiler.set_breakpoints(&self.state, &self.breakpoints);
        }
    }

    pub fn set_lifted(&mut self, on: bool) {
        self.lifted = on.then(Lifted::default);
    }

    pub fn blocks_decoded(&self) -> u64 {
        self.blocks.decoded
    }

    /// Back to power-on; interrupt lines stay as the wires are, and the instruction count goes on.
    pub fn reset(&mut self) {
        let sys = Sys::default();
        sys.lines.set(self.state.sys.lines.get());
        let state = self.replace_sys(sys);
        for r in 0..32 {
            state.set_x(r, 0);
            state.set_f_raw(r, 0);
        }
        state.set_fflags(0);
        state.frm.set(0);
        state.set_fs(0);
        state.frame.pc.set(State::<XLEN>::mask_address(state.config.reset_pc));
        state.flush_all();
    }

    /// Replaces the privileged state; the caller sets the rest and flushes.
    pub fn replace_sys(&mut self, sys: Sys) -> &State<XLEN> {
        self.state.sys = sys;
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

    pub fn step_over_breakpoint(&mut self) {
        self.step_over = true;
    }

    pub fn runnable(&mut self, now: Time, counter: Counter) -> bool {
        let sys = &self.state.sys;
        if sys.stopped.get() {
            return false;
        }
        if sys.asleep.get() {
            self.state.set_time(now, counter);
            self.state.poll_timer();
            if self.state.wakes() {
                self.state.sys.asleep.set(false);
            }
        }
        !self.state.sys.asleep.get()
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

impl<const XLEN: u32> State<XLEN> {
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
        self.recheck.set(true);
        self.timer_dirty.set(true);
        self.frame.tlb.sync();
        self.update_contexts();
    }

    /// Counts the instruction that raised the recorded exception, and enters its handler.
    fn take_exception(&self) {
        let (cause, tval) = self.trap.get();
        // It is executed, but does not retire.
        if self.sys.mcountinhibit.get() & 4 == 0 {
            self.sys.instret.set(self.sys.instret.get().wrapping_sub(1));
        }
        self.enter_trap(cause, false, self.frame.pc.get(), tval);
        self.recheck.set(true);
    }
}

fn run<const XLEN: u32>(
    state: &State<XLEN>,
    blocks: &mut BlockCache<Op<XLEN>>,
    breakpoints: &[u64],
    step_over: &mut bool,
    lifted: &mut Option<Lifted>,
    compiler: &mut Option<Compiler<XLEN>>,
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
            state.poll_timer();
        }
        state.recheck.set(false);
        if let Some(number) = state.interrupt() {
            state.enter_trap(number, true, state.frame.pc.get(), 0);
        }
        let limit = budget.min(state.timer_at.get());
        if let Some(compiler) = compiler {
            compiler.start();
        }
        while state.executed.get() < limit {
            let pc = state.frame.pc.get();
            let Some(index) = find(state, blocks, pc) else {
                // The fetch failed, and its trap was taken.
                if state.exit.get().is_some() || state.recheck.get() {
                    break;
                }
                continue;
            };
            let Some(block) = blocks.get(index) else { break };
            if let Some(compiler) = compiler
                && !*step_over
                && let Some(done) = compiler.run(state, blocks, block, limit - state.executed.get())
            {
                state.executed.set(state.executed.get() + done.executed);
                if let Some(bits) = state.bus.left_at() {
                    run_again(state, bits);
                    compiler.start();
                    if state.recheck.get() || state.exit.get().is_some() {
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
            if state.recheck.get() || state.exit.get().is_some() {
                break;
            }
        }
    }
}

/// Ends an instruction whose access compiled code has made.
#[cold]
fn run_again<const XLEN: u32>(state: &State<XLEN>, bits: u32) {
    let (op, _) = predecode(bits, &features(state));
    let bytes = op.len as u32;
    run_ops(state, &[op], bytes);
    debug_assert!(state.bus.left_at().is_none(), "{bits:#x} makes no access");
    state.bus.take_ahead();
}

/// Runs the first `n` instructions of a block, or as many as control lets it.
#[inline(always)]
fn run_block<const XLEN: u32>(state: &State<XLEN>, block: &Block<Op<XLEN>>, n: usize) {
    run_ops(state, block.ops.get(..n).unwrap_or(&block.ops), block.bytes);
}

/// Runs instructions that belong to a block of so many bytes.
#[inline(always)]
fn run_ops<const XLEN: u32>(state: &State<XLEN>, ops: &[Op<XLEN>], bytes: u32) {
    let mut pc = state.frame.pc.get();
    state.block_end.set(State::<XLEN>::mask_address(pc.wrapping_add(bytes as u64)));
    state.leave.set(false);
    let mut done = 0;
    for op in ops {
        state.frame.pc.set(pc);
        state.index.set(done);
        done += 1;
        let flow = (op.run)(state, &op.operands);
        if let Ok(Next::Fall) = flow {
            pc = pc.wrapping_add(op.len as u64);
            if state.leave.get() {
                break;
            }
            continue;
        }
        pc = state.after(flow, pc.wrapping_add(op.len as u64));
        break;
    }
    state.finish(pc, done);
}

/// Runs a block in the compiler's representation, made on first use.
fn run_lifted<const XLEN: u32>(
    state: &State<XLEN>,
    block: &Block<Op<XLEN>>,
    index: u32,
    lifted: &mut Lifted,
) {
    let Lifted { blocks, values } = lifted;
    let entry = blocks.entry(index).or_insert_with(|| (u64::MAX, lift(state, block)));
    if entry.0 != block.serial {
        *entry = (block.serial, lift(state, block));
    }
    let start = state.frame.pc.get();
    state.block_end.set(State::<XLEN>::mask_address(start.wrapping_add(block.bytes as u64)));
    state.leave.set(false);
    let (done, flow) = cpu_jit::run(&entry.1, state, start, values);
    let bytes: u64 = block.ops.iter().take(done as usize).map(|op| op.len as u64).sum();
    let behind = start.wrapping_add(bytes);
    let pc = if flow == Ok(Next::Fall) { behind } else { state.after(flow, behind) };
    state.finish(pc, done);
}

fn lift<const XLEN: u32>(state: &State<XLEN>, block: &Block<Op<XLEN>>) -> cpu_jit::Block<Call> {
    let lifter = lifter(state, &mut Space::default());
    record(&lifter, &block.ops);
    let mut lifted = lifter.finish();
    cpu_jit::passes::simplify(&mut lifted, &mut cpu_jit::passes::Scratch::default());
    debug_assert_eq!(lifted.verify(), Ok(()));
    lifted
}

/// A recorder for blocks that are decoded now.
pub(crate) fn lifter<const XLEN: u32>(state: &State<XLEN>, space: &mut Space) -> Lifter<Rv<XLEN>> {
    let isa = Rv {
        compressed: state.compressed(),
        rounds_to_nearest: state.frm.get() == 0,
        float: state.mode() & mode::FLOAT != 0 && state.config.extensions.contains(Features::F),
    };
    Lifter::within(isa, space)
}

/// Records instructions behind what was recorded.
pub(crate) fn record<const XLEN: u32>(lifter: &Lifter<Rv<XLEN>>, ops: &[Op<XLEN>]) {
    let instructions = ops.iter().map(|op| match op.id {
        Some(id) => Ok(Decoded { id, len: op.len, ops: op.operands }),
        None => Err((op.operands.imm as u32, op.len)),
    });
    crate::lift::record(lifter, instructions);
}

impl<const XLEN: u32> State<XLEN> {
    /// Where control goes after an instruction that did not simply fall through; `behind` is the address behind it.
    fn after(&self, flow: Flow<Self>, behind: u64) -> u64 {
        match flow {
            Ok(Next::Fall) => behind,
            Ok(Next::Jump) => self.target.get(),
            Ok(Next::Leave) => {
                self.recheck.set(true);
                behind
            }
            Err(_) => {
                self.take_exception();
                self.frame.pc.get()
            }
        }
    }

    /// Ends a block after `done` instructions.
    #[inline(always)]
    fn finish(&self, pc: u64, done: u32) {
        self.frame.pc.set(Self::mask_address(pc));
        self.index.set(0);
        self.executed.set(self.executed.get() + done as u64);
    }
}

/// The block at `pc`; `None` if its fetch trapped, which counts as an instruction.
#[inline(always)]
fn find<const XLEN: u32>(state: &State<XLEN>, blocks: &mut BlockCache<Op<XLEN>>, pc: u64) -> Option<u32> {
    let context = state.frame.fetch_context.get();
    match blocks.by_vaddr(pc, context, state.frame.tlb.flushes()) {
        Some(index) => Some(index),
        None => find_slow(state, blocks, pc, context),
    }
}

#[cold]
#[inline(never)]
fn find_slow<const XLEN: u32>(
    state: &State<XLEN>,
    blocks: &mut BlockCache<Op<XLEN>>,
    pc: u64,
    context: u64,
) -> Option<u32> {
    match fetch(state, blocks, pc, context) {
        Ok(index) => Some(index),
        Err((cause, tval)) => {
            if cause == access_fault(AccessKind::Fetch) && state.handler_faults(pc) {
                state.exit.set(Some(Exit::Lockup));
            }
            state.raise(cause, tval);
            state.take_exception();
            state.executed.set(state.executed.get() + 1);
            None
        }
    }
}

impl<const XLEN: u32> State<XLEN> {
    /// Whether the first instruction of M-mode's own handler can not be fetched: then nothing can go on.
    fn handler_faults(&self, pc: u64) -> bool {
        self.sys.privilege.get() == crate::sys::Privilege::Machine
            && Self::mask_address(self.sys.mtvec.get() & !3) == pc
    }

    /// The instruction at `pc`, which compiled code runs: its page was fetched from before.
    pub(crate) fn fetch_bits(&self, pc: u64) -> Option<u32> {
        let (paddr, _) = self.fetch_address(pc).ok()?;
        let low = self.memory.read_le(paddr, 2).ok()? as u32;
        match low & 3 {
            3 => Some(low | (self.memory.read_le(paddr + 2, 2).ok()? as u32) << 16),
            _ => Some(low),
        }
    }

    /// Physical address to fetch from, and whether the whole page may be used.
    fn fetch_address(&self, pc: u64) -> Result<(u64, bool), u64> {
        let context = self.frame.fetch_context.get();
        if let Some(paddr) = self.frame.tlb.fetch(context, pc) {
            return Ok((paddr, true));
        }
        let found = self.translate(pc, AccessKind::Fetch, 2, true)?;
        if self.memory.page(found.paddr).is_none() {
            return Err(access_fault(AccessKind::Fetch));
        }
        if found.whole_page {
            self.frame.tlb.insert(context, AccessKind::Fetch, pc, found.paddr, found.size);
        }
        Ok((found.paddr, found.whole_page))
    }
}

/// Finds or decodes the block at `pc`. Errors are cause and trap value.
fn fetch<const XLEN: u32>(
    state: &State<XLEN>,
    blocks: &mut BlockCache<Op<XLEN>>,
    pc: u64,
    context: u64,
) -> Result<u32, (u64, u64)> {
    let (paddr, whole_page) = state.fetch_address(pc).map_err(|cause| (cause, pc))?;
    // Where protection splits the page, each instruction is a block and is checked each time.
    let mode = state.mode() | if whole_page { 0 } else { cpu_core::blocks::SPLIT_PAGE };
    let next_page = State::<XLEN>::mask_address((pc | 0xfff).wrapping_add(1));
    if !whole_page {
        let second = State::<XLEN>::mask_address(pc.wrapping_add(2));
        let low = state.memory.read_le(paddr, 2).map_err(|_| (cause::INSTRUCTION_ACCESS, pc))?;
        if low & 3 == 3 {
            state.fetch_address(second).map_err(|cause| (cause, second))?;
        }
    }
    // What a block that reaches into the next page needs of it is checked whenever the block is looked up.
    let mut second_fault = None;
    let known = blocks.by_paddr(paddr, mode, || match state.fetch_address(next_page) {
        Ok((paddr, _)) => Some(paddr),
        Err(cause) => {
            second_fault = Some(cause);
            None
        }
    });
    if let Some(cause) = second_fault {
        return Err((cause, next_page));
    }
    let index = match known {
        Some(index) => index,
        None => {
            let (ops, bytes, second) = decode(state, paddr, whole_page, next_page)?;
            let index = blocks.add(paddr, mode, second, bytes, ops).ok_or((cause::INSTRUCTION_ACCESS, pc))?;
            state.frame.tlb.sync();
            index
        }
    };
    let second = blocks.get(index).is_some_and(|block| block.second.is_some());
    if whole_page && (!second || state.frame.tlb.fetch(context, next_page).is_some()) {
        // A flush that the fetch itself caused voids the entry: then the next lookup misses, no more.
        blocks.remember(pc, context, index);
    }
    Ok(index)
}

/// Operations, their bytes, and the page that the last reaches into.
type Predecoded<const XLEN: u32> = (Box<[Op<XLEN>]>, u32, Option<u64>);

fn decode<const XLEN: u32>(
    state: &State<XLEN>,
    paddr: u64,
    whole_page: bool,
    next_page: u64,
) -> Result<Predecoded<XLEN>, (u64, u64)> {
    let room = BlockCache::<Op<XLEN>>::room(paddr) as usize;
    let mut code = [0u8; 4 * MAX_OPS];
    let available = room.min(code.len());
    let slice = code.get_mut(..available).unwrap_or_default();
    let fault = |_| (cause::INSTRUCTION_ACCESS, state.frame.pc.get());
    state.memory.read(paddr, slice).map_err(fault)?;
    let half = |at: usize| match (code.get(at), code.get(at + 1)) {
        (Some(&low), Some(&high)) => u16::from_le_bytes([low, high]) as u32,
        _ => 0,
    };
    let features = features(state);
    let max = if whole_page { MAX_OPS } else { 1 };
    let mut ops = Vec::with_capacity(16);
    let (mut at, mut second) = (0, None);
    while ops.len() < max && at < available {
        let mut bits = half(at);
        if bits & 3 == 3 {
            if at + 4 <= available {
                bits |= half(at + 2) << 16;
            } else if available < room {
                break;
            } else if at == 0 {
                // It reaches into the next page: a block of its own.
                let (page, _) = state.fetch_address(next_page).map_err(|cause| (cause, next_page))?;
                let high = state.memory.read_le(page, 2).map_err(fault)?;
                bits |= (high as u32) << 16;
                second = Some(page);
            } else {
                break;
            }
        }
        let (op, ends) = predecode(bits, &features);
        at += op.len as usize;
        ops.push(op);
        if ends || second.is_some() {
            break;
        }
    }
    Ok((ops.into_boxed_slice(), at as u32, second))
}

/// What there is in the hart's state.
fn features<const XLEN: u32>(state: &State<XLEN>) -> Features {
    if state.mode() & mode::FLOAT != 0 {
        return state.config.extensions;
    }
    // With FS off, all floating-point instructions are illegal.
    const FP: Features =
        Features::F.with(Features::D).with(Features::ZFH).with(Features::ZFHMIN).with(Features::ZFA);
    state.config.extensions.without(FP)
}

/// The operation for an instruction word, and whether a block ends behind it.
fn predecode<const XLEN: u32>(bits: u32, features: &Features) -> (Op<XLEN>, bool) {
    match isa::decode(bits, features) {
        Some(decoded) => {
            let ends = decoded.id.flags() & (flags::JUMP | flags::BRANCH | flags::SYSTEM | flags::CSR) != 0;
            let run = handler::<State<XLEN>>(decoded.id);
            (Op { run, operands: decoded.ops, len: decoded.len, id: Some(decoded.id) }, ends)
        }
        None => {
            let run: Handler<State<XLEN>> = |state, operands| {
                // Its bits are the operand.
                Err(state.raise(cause::ILLEGAL_INSTRUCTION, operands.imm as u32 as u64))
            };
            let (len, value) = if bits & 3 == 3 { (4, bits) } else { (2, bits & 0xffff) };
            (Op { run, operands: Operands { imm: value as i32, ..Operands::ZERO }, len, id: None }, true)
        }
    }
}
