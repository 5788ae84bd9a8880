//! Which blocks are compiled as one: a block that has become hot, and those that most often follow it.
//!
//! A trace goes on in the direction that ran more often, through jumps, calls and returns, as long as it stays in its page. It
//! stops before what is compiled already, and where it comes back to a block of its own; back to its first one it is a loop. Where
//! control goes another way than the trace, it leaves.

use cpu_core::Block as Predecoded;
use cpu_core::BlockCache;

use crate::backend::MAX_INSTRUCTIONS;
use crate::lift::{Lifter, Ways};
use crate::tier::Source;

/// Instructions behind which no further block is added.
const LENGTH: u32 = 96;
/// Bytes of the instructions that a jump may skip to become a choice.
const SHORT: i32 = 12;
/// Blocks of a trace.
const BLOCKS: usize = 16;

/// A block, and how many of its bytes are in a trace.
pub(crate) type Piece<'a, G> = (&'a Predecoded<<G as Source>::Op>, u32);

/// What a trace is chosen by.
pub(crate) struct Chooser<'a, G: Source> {
    pub guest: &'a G,
    /// The blocks that have been decoded.
    pub blocks: &'a BlockCache<G::Op>,
    /// Physical address of the first instruction.
    pub start: u64,
    pub mode: u32,
    /// Executions that make a block worth following.
    pub heat: u32,
    /// Blocks at most.
    pub limit: usize,
}

impl<'a, G: Source> Chooser<'a, G> {
    /// Records `first` and what follows it. Gives the blocks, in order, with how many bytes of each; none if the first is one that is
    /// not compiled. `may_follow` says whether a block may be part of a trace that begins elsewhere.
    pub fn record(
        &self,
        lifter: &Lifter<G::Isa>,
        first: &'a Predecoded<G::Op>,
        may_follow: impl Fn(&Predecoded<G::Op>) -> bool,
    ) -> Vec<Piece<'a, G>> {
        let mut trace = Vec::with_capacity(4);
        if !self.guest.record(lifter, first) {
            return trace;
        }
        trace.push((first, first.bytes));
        while trace.len() < self.limit.min(BLOCKS) && lifter.instructions() < LENGTH {
            let Ways { taken, behind } = lifter.ways();
            // A loop that closes here is left behind it.
            if [taken, behind].contains(&Some(0)) {
                break;
            }
            let known = |offset: Option<i32>| self.at(offset?);
            let (jump, fall) = (known(taken), known(behind));
            if let (Some(join), Some(skipped), Some(part)) = (taken, behind, fall)
                && let Some((before, _)) = trace.last()
                && self.choose(lifter, before, join - skipped, join, part, &may_follow)
            {
                trace.push((part, (join - skipped) as u32));
                continue;
            }
            // The way that ran more often is followed or none.
            let heat = |block: Option<&Predecoded<G::Op>>| block.map_or(0, |block| block.heat.get());
            let jumps = heat(jump) > heat(fall);
            let room = (MAX_INSTRUCTIONS - lifter.instructions()) as usize;
            let next = if jumps { jump } else { fall };
            let Some(next) = next.filter(|block| {
                block.ops.len() <= room
                    && block.heat.get() >= self.heat
                    && trace.iter().all(|(other, _)| other.paddr != block.paddr)
                    && may_follow(block)
            }) else {
                break;
            };
            lifter.follow(jumps);
            if !self.guest.record(lifter, next) {
                break;
            }
            trace.push((next, next.bytes));
        }
        trace
    }

    /// Records what a short jump forward skips now and then as chosen or not: the host's processor need not guess. `part` begins with
    /// it, `bytes` long, and behind it is offset `join`.
    fn choose(
        &self,
        lifter: &Lifter<G::Isa>,
        before: &Predecoded<G::Op>,
        bytes: i32,
        join: i32,
        part: &Predecoded<G::Op>,
        may_follow: impl Fn(&Predecoded<G::Op>) -> bool,
    ) -> bool {
        if !(1..=SHORT).contains(&bytes) || (part.bytes as i32) < bytes || !may_follow(part) {
            return false;
        }
        // Not what runs nearly always, or nearly never.
        let (inside, all) = (part.heat.get(), before.heat.get().max(1));
        if inside < all / 8 || inside > all - all / 8 {
            return false;
        }
        lifter.choose(join, || self.guest.record_part(lifter, part, bytes as u32))
    }

    /// The decoded block at an offset from the start, in the same page.
    fn at(&self, offset: i32) -> Option<&'a Predecoded<G::Op>> {
        let paddr = self.start.wrapping_add_signed(offset as i64);
        if (paddr ^ self.start) & !(cpu_core::memory::PAGE_SIZE - 1) != 0 {
            return None;
        }
        // One that reaches into the next page depends on that one, too.
        let index = self.blocks.by_paddr(paddr, self.mode, || None)?;
        self.blocks.get(index)
    }
}
