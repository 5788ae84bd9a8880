//! Random Thumb instruction streams that stay inside their own code and a scratch area.
//!
//! A chunk is a few dozen items with an initial state. An item is an instruction with what has to stand around it: a base
//! register that is made to point into the scratch area before a load or store, an IT instruction before conditional ones, a
//! table behind TBB, and behind what moves the stack pointer two instructions that put it back. Branches go forward, to the start
//! of an item or to a place inside their own. One register holds an address in the scratch area throughout.

mod memory;
mod values;

use cpu_armm::isa::{self, Features, Id, Operands, decode, flags};

use self::values::state;
use crate::rng::Rng;

/// Bytes of the scratch area.
pub const SCRATCH: u32 = 512;
/// Offset of the stack pointer in the scratch area; pushes of all registers fit below it, pops above it.
const STACK: u32 = 256;
const SP: u8 = 13;
const NOP: (u32, u8) = (0xbf00_0000, 2);

/// Registers and memory at the start of a chunk.
#[derive(Clone, Debug)]
pub struct State {
    /// r0 to r14.
    pub r: [u32; 15],
    /// s0 to s31.
    pub s: [u32; 32],
    /// N, Z, C, V, Q and GE.
    pub apsr: u32,
    /// Modes and flags.
    pub fpscr: u32,
    /// The scratch area.
    pub scratch: Vec<u8>,
}

/// Bits and length in bytes; of a 32-bit instruction the first half-word is the upper half, a 16-bit one stands there alone.
pub type Word = (u32, u8);

/// [`isa::encode`], with a 16-bit instruction in the upper half.
fn encode(id: Id, ops: &Operands) -> Option<u32> {
    isa::encode(id, ops).map(|word| placed(id, word))
}

/// A word of an instruction as it is decoded.
pub fn placed(id: Id, word: u32) -> u32 {
    if id.len() == 2 { word << 16 } else { word }
}

/// A stretch of random code.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Words in order of address, by items.
    pub items: Vec<Vec<Word>>,
    /// The instructions that it was made for.
    pub ids: Vec<Id>,
    /// Where execution starts from.
    pub init: State,
    /// The register that holds an address in the scratch area throughout, and its offset from the start of the area.
    pub pointer: (u8, u32),
}

impl Chunk {
    /// Its code.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (word, len) in self.items.iter().flatten() {
            bytes.extend(((word >> 16) as u16).to_le_bytes());
            if *len == 4 {
                bytes.extend((*word as u16).to_le_bytes());
            }
        }
        bytes
    }

    /// The same with nops of the same length behind the first `keep` items.
    pub fn shortened(&self, keep: usize) -> Chunk {
        let mut cut = self.clone();
        for item in &mut cut.items[keep..] {
            let len: u8 = item.iter().map(|(_, len)| len).sum();
            *item = vec![NOP; usize::from(len / 2)];
        }
        cut
    }
}

/// What a stream is made of.
#[derive(Clone, Debug)]
pub struct Mix {
    /// For messages.
    pub name: &'static str,
    /// The instructions that the mix is about.
    pub ids: Vec<Id>,
}

/// What the core has.
pub fn features() -> Features {
    Features::V6M | Features::V7M | Features::DSP | Features::FP
}

/// Instructions that a stream can hold. Left out are those that need a system around them, and:
///
/// - BX SP: the stack pointer has no bit 0, so that it always leaves Thumb state;
/// - hints where LDRH would load PC, which ARMv7-M executes as NOP (A5.3.9): QEMU has PLDW there, only from another
///   architecture on, and loads PC.
pub fn eligible() -> Vec<Id> {
    let outside = |id: &Id| {
        matches!(id.function(), "svc" | "bkpt" | "udf" | "wfi" | "wfe")
            || id.name() == "bx.sp"
            || id.mnemonic() == "pldw"
    };
    let exists = |id: &Id| id.available(&features()) || id.available(&features().with(Features::IT));
    Id::ALL.into_iter().filter(|id| exists(id) && !outside(id)).collect()
}

/// A place to branch to.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// The start of the item so many items later.
    Item(usize),
    /// A part of the same item.
    Part(usize),
}

/// What is placed, in order of address.
#[derive(Clone, Debug)]
enum Part {
    Word(Word),
    /// An instruction whose immediate is the distance from itself.
    Branch(Id, Operands, Target),
    /// A load whose immediate is the distance from its literal base.
    Literal(Id, Operands, Target),
    /// ADR: the target's address, plus 1 for Thumb state.
    Address {
        rd: u8,
        target: Target,
        thumb: bool,
    },
    /// MOVW: the distance from 4 bytes behind the start of another part to the target.
    Distance {
        rd: u8,
        from: usize,
        target: Target,
    },
    /// Half-distances from 4 bytes behind the start of another part, each of so many bytes.
    Table {
        from: usize,
        bytes: u32,
        targets: Vec<Target>,
    },
    /// A nop where the address is not a multiple of 4.
    Align,
    /// The target's address plus 1.
    Pointer(Target),
}

/// An instruction with what it needs.
#[derive(Clone, Debug, Default)]
struct Item {
    before: Vec<Part>,
    /// The instruction. Parts of `before` come first, also in the count of [`Target::Part`].
    main: Vec<Part>,
    after: Vec<Part>,
    /// Registers that `before` sets, and those that `main` may write.
    needs: u16,
    writes: u16,
    jumps: bool,
    ids: Vec<Id>,
}

struct Maker<'a> {
    rng: &'a mut Rng,
    /// The pointer register, and its offset.
    pointer: (u8, u32),
    /// Registers that an item may no longer take for its own purposes.
    taken: u16,
}

/// Makes a chunk of about `n` items whose code is to run at `base` with the scratch area at `scratch`.
pub fn chunk(rng: &mut Rng, mix: &Mix, common: &[Id], n: usize, base: u32, scratch: u32) -> Chunk {
    let pointer = (4 + rng.below(8) as u8, 4 * rng.below(u64::from(SCRATCH / 4)) as u32);
    let mut maker = Maker { rng, pointer, taken: 0 };
    let mut items = Vec::new();
    while items.len() < n {
        let id = if maker.rng.below(4) == 0 { maker.rng.pick(common) } else { maker.rng.pick(&mix.ids) };
        maker.taken = 1 << pointer.0 | 1 << SP;
        let item = if id.available(&features()) && id.flags() & flags::IF_THEN == 0 {
            maker.item(id, &features())
        } else {
            maker.conditional(id, mix)
        };
        items.extend(item);
    }
    let mut init = state(rng);
    init.r[usize::from(pointer.0)] = scratch + pointer.1;
    init.r[usize::from(SP)] = scratch + STACK;
    let ids = items.iter().flat_map(|item| item.ids.iter().copied()).collect();
    Chunk { items: place(base, items), ids, init, pointer }
}

/// ADD or SUB rd, rn, #12 bits.
fn add(rd: u8, rn: u8, delta: i64) -> Option<Part> {
    let (opcode, size) = if delta < 0 { (0xf2a0_0000u32, -delta) } else { (0xf200_0000, delta) };
    let imm = u32::try_from(size).ok().filter(|imm| *imm < 4096)?;
    let imm = (imm >> 11) << 26 | (imm >> 8 & 7) << 12 | imm & 0xff;
    Some(Part::Word((opcode | u32::from(rn) << 16 | u32::from(rd) << 8 | imm, 4)))
}

/// MOVW rd, #value.
fn movw(rd: u8, value: u32) -> Word {
    let imm = (value >> 12 & 15) << 16 | (value >> 11 & 1) << 26 | (value >> 8 & 7) << 12 | value & 0xff;
    (0xf240_0000 | imm | u32::from(rd) << 8, 4)
}

/// MOV rd, rm of any two registers.
fn mov(rd: u8, rm: u8) -> Part {
    let (rd, rm) = (u32::from(rd), u32::from(rm));
    Part::Word(((0x4600 | (rd & 8) << 4 | rm << 3 | rd & 7) << 16, 2))
}

/// STR rt, [rn, #offset].
fn store(rt: u8, rn: u8, offset: u32) -> Part {
    Part::Word((0xf8c0_0000 | u32::from(rn) << 16 | u32::from(rt) << 12 | offset, 4))
}

/// Bytes of an access of a load or store function, and whether it may be unaligned.
fn access(function: &str) -> (u32, bool) {
    let kind = function.trim_start_matches("ldr").trim_start_matches("str").trim_start_matches('s');
    match kind.chars().next() {
        Some('b') => (1, true),
        Some('h') => (2, true),
        Some('d' | 'e') => (8, false),
        _ => (4, true),
    }
}

impl Maker<'_> {
    fn free(&self, r: u8) -> bool {
        self.taken >> r & 1 == 0
    }

    /// A register that the item may set, from now on its own.
    fn own(&mut self, below: u64) -> u8 {
        loop {
            let r = self.rng.below(below) as u8;
            if r != SP && self.free(r) {
                self.taken |= 1 << r;
                return r;
            }
        }
    }

    fn skip(&mut self) -> Target {
        Target::Item(1 + self.rng.below(5) as usize)
    }

    /// One instruction, made safe; `None` when this attempt cannot be.
    fn item(&mut self, id: Id, features: &Features) -> Option<Item> {
        let word = placed(id, isa::random_of(id, &mut || self.rng.next(), features)?);
        let ops = decode(word, features)?.ops;
        let kind = id.flags();
        let mut item =
            Item { ids: vec![id], jumps: kind & (flags::JUMP | flags::BRANCH) != 0, ..Item::default() };
        if kind & (flags::LOAD | flags::STORE) != 0 {
            self.memory(id, ops, &mut item)?;
        } else if item.jumps {
            self.branch(id, ops, &mut item)?;
        } else {
            if !defined(id, &ops) {
                return None;
            }
            // The numbers of most floating-point instructions are of other registers.
            let core = kind & flags::FLOAT == 0 || matches!(id.mnemonic(), "vmov" | "vmov.32" | "vmrs");
            item.writes = if core { 1 << (ops.rd & 15) | 1 << ops.ra } else { 0 };
            if matches!(
                id.function(),
                "mov_to_sp" | "add_to_sp_reg" | "sub_from_sp_reg" | "add_to_sp_imm" | "sub_from_sp_imm"
            ) {
                item.writes |= 1 << SP;
            }
            item.main.push(Part::Word((word, id.len())));
        }
        if item.writes >> self.pointer.0 & 1 != 0 {
            return None;
        }
        if item.writes >> SP & 1 != 0 {
            // Keep what it became, then put it back.
            let (copy, temp) = (self.own(13), self.own(13));
            item.after.push(mov(copy, SP));
            item.after.push(add(temp, self.pointer.0, i64::from(STACK) - i64::from(self.pointer.1))?);
            item.after.push(mov(SP, temp));
        }
        Some(item)
    }

    /// A base register for an access of `span` bytes at `base + offset`, that the item's `before` makes point to the scratch
    /// area.
    fn base(&mut self, item: &mut Item, rn: u8, offset: i64, span: u32, align: u32) -> Option<()> {
        let room = SCRATCH.checked_sub(span)?;
        let target = (self.rng.below(u64::from(room) + 1) as u32) & !(align - 1);
        let delta = i64::from(target) - offset - i64::from(self.pointer.1);
        item.before.push(add(rn, self.pointer.0, delta)?);
        item.needs |= 1 << rn;
        Some(())
    }

    fn branch(&mut self, id: Id, mut ops: Operands, item: &mut Item) -> Option<()> {
        let skip = self.skip();
        match id.function() {
            "b" | "b_cond" => item.main.push(Part::Branch(id, ops, skip)),
            "bl" => {
                item.writes = 1 << 14;
                item.main.push(Part::Branch(id, ops, skip));
            }
            "cbz" | "cbnz" => {
                item.main.push(Part::Branch(id, ops, skip));
                item.main.push(Part::Word(NOP));
            }
            "bx" | "blx" | "mov_to_pc" => {
                ops.rm = self.own(15);
                let thumb = id.function() != "mov_to_pc" || self.rng.below(2) == 0;
                item.before.push(Part::Address { rd: ops.rm, target: skip, thumb });
                item.needs = 1 << ops.rm;
                item.writes = if id.function() == "blx" { 1 << 14 } else { 0 };
                item.main.push(Part::Word((encode(id, &ops)?, id.len())));
            }
            "add_to_pc" => {
                ops.rm = self.own(15);
                item.before.push(Part::Distance { rd: ops.rm, from: 1, target: skip });
                item.needs = 1 << ops.rm;
                item.main.push(Part::Word((encode(id, &ops)?, id.len())));
                // No distance is negative.
                item.after.push(Part::Word(NOP));
            }
            "tbb" | "tbh" => {
                let bytes = if id.function() == "tbb" { 1 } else { 2 };
                ops.rm = self.own(13);
                let index = self.rng.below(4) as u32;
                item.before.push(Part::Word(movw(ops.rm, index)));
                if !id.name().ends_with(".pc") {
                    ops.rn = self.own(13);
                    item.before.push(Part::Address { rd: ops.rn, target: Target::Part(3), thumb: false });
                }
                let from = item.before.len();
                item.main.push(Part::Word((encode(id, &ops)?, id.len())));
                let targets = (0..4).map(|_| self.skip()).collect();
                item.main.push(Part::Table { from, bytes, targets });
            }
            other => panic!("no stream can hold `{other}` yet"),
        }
        Some(())
    }

    /// An IT block that holds `id`, or any of the mix where that is an IT instruction.
    fn conditional(&mut self, id: Id, mix: &Mix) -> Option<Item> {
        let features = features().with(Features::IT);
        let it = Id::ALL.into_iter().find(|id| id.function() == "it")?;
        let n = 1 + self.rng.below(4) as usize;
        let mut block: Vec<Item> = Vec::new();
        let mut item = Item { ids: vec![it], ..Item::default() };
        while block.len() < n {
            let id = match block.is_empty() && id != it {
                true => id,
                false => self.rng.pick(&mix.ids),
            };
            if !id.available(&features) || id.flags() & (flags::IF_THEN | flags::UNCONDITIONAL) != 0 {
                if block.is_empty() && id.flags() & flags::IF_THEN == 0 {
                    return None;
                }
                continue;
            }
            let part = self.item(id, &features)?;
            let before: u16 = block.iter().fold(0, |set, item| set | item.writes);
            // One instruction each; what an earlier one writes a later one does not rely on.
            let counts_parts = part.before.iter().any(|part| matches!(part, Part::Distance { .. }));
            if part.main.len() != 1 || counts_parts || part.needs & before != 0 {
                return None;
            }
            // What jumps is the last, and nothing is put right behind it.
            if part.jumps && (block.len() + 1 < n || block.iter().any(|item| !item.after.is_empty())) {
                return None;
            }
            block.push(part);
        }
        let always = self.rng.below(16) == 0;
        let cond = if always { 14 } else { self.rng.below(14) as u32 };
        let mut mask = 1u32 << (4 - n);
        for bit in 5 - n..4 {
            let same = always || self.rng.below(2) == 0;
            mask |= u32::from(same == (cond & 1 != 0)) << bit;
        }
        let ops = Operands { imm: (cond << 4 | mask) as i32, ..Operands::ZERO };
        item.main.push(Part::Word((encode(it, &ops)?, 2)));
        for part in block {
            item.before.extend(part.before);
            item.main.extend(part.main);
            item.after.extend(part.after);
            item.ids.extend(part.ids);
        }
        Some(item)
    }
}

/// Whether a list instruction changes its base.
fn writes_back(id: Id) -> bool {
    id.len() == 2 || id.name().contains("wb")
}

/// Whether the manual defines what happens, and an unprivileged program sees it as ours does: of the special registers APSR, and
/// what reads as zero.
fn defined(id: Id, ops: &Operands) -> bool {
    match id.function() {
        "msr" => ops.imm <= 3,
        "mrs" => ops.imm <= 7 && ops.imm != 4,
        "sbfx" | "ubfx" => ops.imm + i32::from(ops.wid) <= 32,
        _ => true,
    }
}

/// Resolves distances.
fn place(base: u32, items: Vec<Item>) -> Vec<Vec<Word>> {
    let items: Vec<Vec<Part>> =
        items.into_iter().map(|item| [item.before, item.main, item.after].concat()).collect();
    let mut at = base;
    // The start of every part, and behind the last.
    let mut starts: Vec<Vec<u32>> = Vec::new();
    for item in &items {
        let mut list = vec![at];
        for part in item {
            at += match part {
                Part::Word((_, len)) => u32::from(*len),
                Part::Branch(id, ..) | Part::Literal(id, ..) => u32::from(id.len()),
                Part::Address { .. } | Part::Distance { .. } | Part::Pointer(_) => 4,
                Part::Table { bytes, targets, .. } => (bytes * targets.len() as u32).next_multiple_of(2),
                Part::Align => at & 2,
            };
            list.push(at);
        }
        starts.push(list);
    }
    let mut words = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let own = &starts[i];
        let resolve = |target: Target| match target {
            Target::Item(skip) => starts.get(i + skip).map_or(at, |list| list[0]),
            Target::Part(n) => own[n],
        };
        let nearest = |target: Target| match target {
            Target::Item(_) => Target::Item(1),
            part => part,
        };
        let mut list = Vec::new();
        for (n, part) in item.iter().enumerate() {
            let pc = own[n];
            match part {
                Part::Word(word) => list.push(*word),
                Part::Branch(id, ops, target) => {
                    let with = |target| encode(*id, &Operands { imm: (resolve(target) - pc) as i32, ..*ops });
                    let word = with(*target).or_else(|| with(nearest(*target)));
                    list.push((word.unwrap_or_else(|| panic!("{} cannot reach", id.name())), id.len()));
                }
                Part::Literal(id, ops, target) => {
                    let imm = resolve(*target).wrapping_sub((pc + 4) & !3) as i32;
                    let word = encode(*id, &Operands { imm, ..*ops });
                    list.push((word.unwrap_or_else(|| panic!("{} cannot reach", id.name())), id.len()));
                }
                Part::Address { rd, target, thumb } => {
                    let offset = resolve(*target).wrapping_add(u32::from(*thumb)).wrapping_sub((pc + 4) & !3);
                    match add(*rd, 15, i64::from(offset as i32)) {
                        Some(Part::Word(word)) => list.push(word),
                        _ => panic!("an address {offset:#x} bytes away"),
                    }
                }
                Part::Distance { rd, from, target } => {
                    list.push(movw(*rd, resolve(*target).wrapping_sub(own[*from] + 4)));
                }
                Part::Table { from, bytes, targets } => {
                    let mut data = Vec::new();
                    for target in targets {
                        let half = |target| (resolve(target) - own[*from] - 4) / 2;
                        let entry = if *bytes == 1 && half(*target) > 255 {
                            half(nearest(*target))
                        } else {
                            half(*target)
                        };
                        data.extend(&entry.to_le_bytes()[..*bytes as usize]);
                    }
                    for pair in data.chunks(2) {
                        list.push((u32::from(u16::from_le_bytes([pair[0], pair[1]])) << 16, 2));
                    }
                }
                Part::Align if pc & 2 != 0 => list.push(NOP),
                Part::Align => {}
                Part::Pointer(target) => {
                    let address = resolve(*target) | 1;
                    list.extend([(address << 16, 2), (address & 0xffff_0000, 2)]);
                }
            }
        }
        words.push(list);
    }
    words
}
