//! Random RISC-V instruction streams that stay inside their own code and a scratch area.
//!
//! A chunk is a few dozen instructions with an initial state. Loads, stores and atomics use pointer
//! registers that nothing overwrites; branches and jumps go forward inside the chunk. Left out: what traps
//! or depends on the host (ecall, ebreak, privileged instructions, counters, invalid rounding modes) and
//! store-conditionals whose outcome the architecture leaves open.

use cpu_riscv::isa::{Features, Id, Operands, decode, encode, flags, random_of};

use crate::rng::Rng;

/// Bytes of the scratch area.
pub const SCRATCH: u64 = 512;

/// Registers and memory at the start of a chunk. Register `x0` is present and zero.
#[derive(Clone, Debug)]
pub struct State {
    /// Integer registers; the low half counts on RV32.
    pub x: [u64; 32],
    /// Floating-point registers.
    pub f: [u64; 32],
    /// Rounding mode and flags.
    pub fcsr: u64,
    /// The scratch area.
    pub scratch: Vec<u8>,
}

/// A stretch of random code.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Instruction words in order of address; compressed ones in the low half.
    pub words: Vec<u32>,
    /// Where execution starts from.
    pub init: State,
    /// A register that holds an address in the scratch area throughout, and its offset from the start of
    /// the area.
    pub pointer: (u8, u64),
}

/// What a stream is made of.
#[derive(Clone, Debug)]
pub struct Mix {
    /// For messages.
    pub name: &'static str,
    /// The features of the machine.
    pub ext: Features,
    /// The instructions that the mix is about.
    pub ids: Vec<Id>,
}

/// Bytes of an instruction word.
pub fn len(word: u32) -> u64 {
    if word & 3 == 3 { 4 } else { 2 }
}

/// Instructions that a stream can hold under these features.
pub fn eligible(ext: &Features) -> Vec<Id> {
    let harmless = [Id::FenceI, Id::WrsSto];
    let privileged = |id: &Id| id.flags() & flags::SYSTEM != 0 && !harmless.contains(id);
    Id::ALL.into_iter().filter(|id| id.available(ext) && !privileged(id)).collect()
}

enum Item {
    Plain(u32),
    /// Offset from itself to the start of the item `skip` items later.
    Direct {
        id: Id,
        ops: Operands,
        skip: usize,
    },
    /// `auipc via, 0`, then `jalr` with an offset from it.
    Register {
        ops: Operands,
        via: u8,
        skip: usize,
    },
    /// `auipc via, 0; addi via, via, offset`, then a jump that has no offset.
    Compressed {
        id: Id,
        via: u8,
        skip: usize,
    },
}

impl Item {
    fn len(&self) -> u64 {
        match self {
            Item::Plain(word) => len(*word),
            Item::Direct { id, .. } => u64::from(id.len()),
            Item::Register { .. } => 8,
            Item::Compressed { .. } => 10,
        }
    }
}

/// Pointer registers of a chunk with their offsets into the scratch area.
struct Pointers {
    list: Vec<(u8, u64)>,
}

impl Pointers {
    fn holds(&self, r: u8) -> bool {
        self.list.iter().any(|p| p.0 == r)
    }
}

/// Makes a chunk of about `n` instructions that is to run with its scratch area at `scratch`.
pub fn chunk(rng: &mut Rng, mix: &Mix, base: &[Id], n: usize, scratch: u64) -> Chunk {
    // Each pointer in a cache block of its own, so that reservations do not meet.
    let mut blocks: Vec<u64> = (1..7).collect();
    let mut block = |rng: &mut Rng| blocks.swap_remove(rng.below(blocks.len() as u64) as usize) * 64;
    let mut list = vec![(8 + rng.below(8) as u8, block(rng)), (16 + rng.below(16) as u8, block(rng))];
    if rng.below(2) == 0 {
        list.push((2, 0));
    }
    let pointers = Pointers { list };
    let mut items = Vec::new();
    while items.len() < n {
        let id = if rng.below(4) == 0 { rng.pick(base) } else { rng.pick(&mix.ids) };
        if let Some(new) = item(rng, id, &mix.ext, &pointers) {
            items.extend(new);
        }
    }
    let mut init = state(rng);
    for (r, offset) in &pointers.list {
        init.x[usize::from(*r)] = scratch + offset;
    }
    Chunk { words: place(&items), init, pointer: pointers.list[0] }
}

/// Resolves the jumps.
fn place(items: &[Item]) -> Vec<u32> {
    let mut starts = vec![0];
    for item in items {
        starts.push(starts[starts.len() - 1] + item.len());
    }
    let mut words = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let offset = |skip: &usize| (starts[(i + skip).min(items.len())] - starts[i]) as i32;
        let must = |id: Id, ops: Operands| {
            encode(id, &ops).unwrap_or_else(|| panic!("{} cannot hold {ops:?}", id.name()))
        };
        let auipc = |via: u8| must(Id::Auipc, Operands { rd: via, ..Operands::ZERO });
        match item {
            Item::Plain(word) => words.push(*word),
            Item::Direct { id, ops, skip } => words.push(must(*id, Operands { imm: offset(skip), ..*ops })),
            Item::Register { ops, via, skip } => {
                words.push(auipc(*via));
                words.push(must(Id::Jalr, Operands { rs1: *via, imm: offset(skip), ..*ops }));
            }
            Item::Compressed { id, via, skip } => {
                words.push(auipc(*via));
                words.push(must(
                    Id::Addi,
                    Operands { rd: *via, rs1: *via, imm: offset(skip), ..Operands::ZERO },
                ));
                words.push(must(*id, Operands { rs1: *via, ..Operands::ZERO }));
            }
        }
    }
    words
}

/// One instruction, or a few that belong together, made safe; `None` when this attempt cannot be.
fn item(rng: &mut Rng, id: Id, ext: &Features, pointers: &Pointers) -> Option<Vec<Item>> {
    let word = random_of(id, &mut || rng.next(), ext)?;
    let mut ops = decode(word, ext)?.ops;
    // Registers that it may write: `rd`, its pair, and those that compressed forms imply.
    let implied = match id {
        Id::CAddi16sp => 2,
        Id::CJal | Id::CJalr => 1,
        _ => 0,
    };
    let pair = if matches!(id, Id::AmocasDRv32 | Id::AmocasQ) { ops.rd | 1 } else { 0 };
    if [ops.rd, pair, implied].into_iter().any(|r| pointers.holds(r)) {
        return None;
    }
    let kind = id.flags();
    let skip = 1 + rng.below(5) as usize;
    if matches!(id, Id::CJr | Id::CJalr | Id::Jalr) {
        let via = 1 + rng.below(31) as u8;
        if pointers.holds(via) {
            return None;
        }
        return Some(vec![match id {
            Id::Jalr => Item::Register { ops, via, skip },
            _ => Item::Compressed { id, via, skip },
        }]);
    }
    if kind & (flags::BRANCH | flags::JUMP) != 0 {
        return Some(vec![Item::Direct { id, ops, skip }]);
    }
    if kind & flags::CSR != 0 {
        return csr(rng, id, ops).map(|w| vec![Item::Plain(w)]);
    }
    if kind & flags::ATOMIC != 0 {
        ops.rs1 = rng.pick(&pointers.list).0;
        return atomic(rng, id, ops, pointers);
    }
    if kind & (flags::LOAD | flags::STORE) != 0 {
        return memory(rng, id, ops, pointers).map(|w| vec![Item::Plain(w)]);
    }
    Some(vec![Item::Plain(word)])
}

/// Reads and writes of the floating-point CSRs that leave `frm` valid.
fn csr(rng: &mut Rng, id: Id, mut ops: Operands) -> Option<u32> {
    let (fflags, frm, fcsr) = (1, 2, 3);
    ops.imm = rng.pick(&[fflags, frm, fcsr]);
    match (id, ops.imm) {
        (_, 1) | (Id::Csrrc | Id::Csrrci, _) | (Id::Csrrwi | Id::Csrrsi, 3) => {}
        (Id::Csrrwi, 2) => ops.rs1 %= 5,
        // As a read.
        (Id::Csrrs | Id::Csrrsi, _) => ops.rs1 = 0,
        _ => return None,
    }
    encode(id, &ops)
}

fn atomic(rng: &mut Rng, id: Id, ops: Operands, pointers: &Pointers) -> Option<Vec<Item>> {
    let conditional = match id {
        Id::LrW => Id::ScW,
        Id::LrD => Id::ScD,
        // Always in a pair with a load, see below.
        Id::ScW | Id::ScD => return None,
        _ => return Some(vec![Item::Plain(encode(id, &ops)?)]),
    };
    // The same address or one in another block: what happens in between is up to the implementation.
    let rs1 = if rng.below(4) == 0 { rng.pick(&pointers.list).0 } else { ops.rs1 };
    let rd = rng.below(32) as u8;
    if pointers.holds(rd) {
        return None;
    }
    let store = Operands { rd, rs1, rs2: rng.below(32) as u8, rm: rng.below(4) as u8, ..Operands::ZERO };
    Some(vec![Item::Plain(encode(id, &ops)?), Item::Plain(encode(conditional, &store)?)])
}

/// A load or store at a pointer, or at `sp` for the forms that imply it.
fn memory(rng: &mut Rng, id: Id, ops: Operands, pointers: &Pointers) -> Option<u32> {
    let implies_sp = id.name().starts_with("c.") && id.name().ends_with("sp");
    for _ in 0..40 {
        let (r, at) = rng.pick(&pointers.list);
        if implies_sp && r != 2 {
            continue;
        }
        // Mostly aligned, and 16 bytes are the widest access.
        let mask = !(rng.pick(&[0u64, 1, 3, 7, 7, 15]));
        let target = rng.below(SCRATCH - 15) & mask;
        let new = Operands { rs1: r, imm: target as i32 - at as i32, ..ops };
        if let Some(word) = encode(id, &new) {
            return Some(word);
        }
    }
    None
}

/// Registers and memory with values at which implementations differ.
fn state(rng: &mut Rng) -> State {
    let mut state = State { x: [0; 32], f: [0; 32], fcsr: 0, scratch: Vec::new() };
    state.x[1..].iter_mut().for_each(|x| *x = integer(rng));
    state.f.iter_mut().for_each(|f| *f = float(rng));
    state.fcsr = rng.below(5) << 5 | rng.below(32);
    while state.scratch.len() < SCRATCH as usize {
        let value = if rng.below(2) == 0 { integer(rng) } else { float(rng) };
        state.scratch.extend(value.to_le_bytes());
    }
    state
}

fn integer(rng: &mut Rng) -> u64 {
    const CORNERS: [u64; 14] = [
        0,
        1,
        u64::MAX,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0xffff_ffff_8000_0000,
        i64::MAX as u64,
        i64::MIN as u64,
        0x8000,
        0xff,
        0x0123_4567_89ab_cdef,
        0x8080_8080_8080_8080,
        31,
    ];
    match rng.below(4) {
        0 => rng.pick(&CORNERS),
        1 => rng.next() >> rng.below(64),
        2 => float(rng),
        _ => rng.next(),
    }
}

/// A value of some format, mostly boxed as it must be.
fn float(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0..=3 => float_of(rng, 11, 52),
        4..=6 => float_of(rng, 8, 23) | 0xffff_ffff << 32,
        7..=8 => float_of(rng, 5, 10) | !0xffff,
        _ => rng.next(),
    }
}

/// A value of the format with fields of these widths: corners, neighbours of one, ends of the range.
pub fn float_of(rng: &mut Rng, exponent: u32, fraction: u32) -> u64 {
    let bias = (1u64 << (exponent - 1)) - 1;
    let top = (1u64 << exponent) - 1;
    let e = match rng.below(8) {
        0 => 0,
        1 => top,
        2 => bias + rng.below(80) % (bias + 1),
        3 => bias - rng.below(u64::from(fraction) + 3) % bias,
        4 => bias + rng.below(4),
        5 => rng.pick(&[1, 2, top - 1, top - 2]),
        _ => rng.below(top + 1),
    };
    let ones = (1u64 << fraction) - 1;
    let f = match rng.below(6) {
        0 => 0,
        1 => ones,
        2 => 1 << rng.below(u64::from(fraction)),
        3 => ones << rng.below(u64::from(fraction)) & ones,
        _ => rng.next() & ones,
    };
    rng.below(2) << (exponent + fraction) | e << fraction | f
}
