//! Random programs that keep going: mostly valid instructions in blocks, loops and calls, with pointers that lead to
//! memory of every kind, and handlers that return from any trap.

use cpu_riscv::isa::{Features, Id, Operands, decode, encode, flags, random, random_of};

use crate::common::*;
use crate::rng::Rng;

/// A save area of a handler, which the scratch register leads to: offsets of 8 bytes each.
pub mod save {
    /// Traps so far.
    pub const COUNT: i32 = 16;
    /// Status to start afresh with.
    pub const STATUS: i32 = 24;
    /// Four values of `satp`.
    pub const SATP: i32 = 32;
    /// Values of the pointers.
    pub const POINTERS: i32 = 64;
    /// Sixteen places to start afresh from.
    pub const ENTRIES: i32 = 128;
}

/// What a program is made for.
pub struct Plan {
    /// What exists.
    pub features: Features,
    /// 32 or 64.
    pub xlen: u32,
    /// Privilege level that it runs at.
    pub level: u64,
    /// Registers that only pointers are in; the first leads to instruction words, the second to code.
    pub pointers: Vec<u8>,
    /// Registers that count loops.
    pub counters: [u8; 2],
    /// One of the pointers leads to page-table entries.
    pub tables: Option<u8>,
    /// Page-table entries change without a fence.
    pub lazy: bool,
    /// Loops follow pointers, of 64 bits.
    pub chases: bool,
}

enum Item {
    Word(u32),
    /// A branch or jump to another item.
    To(Id, Operands, usize),
    /// `auipc via; jalr rd, via` to another item.
    Far(u8, u8, usize),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Item::Word(word) => {
                if word & 3 == 3 {
                    4
                } else {
                    2
                }
            }
            Item::To(id, ..) => id.len() as usize,
            Item::Far(..) => 8,
        }
    }
}

/// Adds an instruction word.
macro_rules! put {
    ($maker:ident, $word:expr) => {{
        let word: u32 = $word;
        $maker.items.push(Item::Word(word));
    }};
}

/// Makes programs.
pub struct Maker<'a> {
    plan: &'a Plan,
    rng: &'a mut Rng,
    plain: Vec<Id>,
    simple: Vec<Id>,
    memory: Vec<Id>,
    atomic: Vec<Id>,
    branches: Vec<Id>,
    items: Vec<Item>,
}

impl<'a> Maker<'a> {
    pub fn new(plan: &'a Plan, rng: &'a mut Rng) -> Maker<'a> {
        let f = &plan.features;
        let all: Vec<Id> = Id::ALL.into_iter().filter(|id| id.available(f)).collect();
        let special = flags::SYSTEM
            | flags::CSR
            | flags::BRANCH
            | flags::JUMP
            | flags::LOAD
            | flags::STORE
            | flags::ATOMIC;
        let plain: Vec<Id> = all.iter().copied().filter(|id| id.flags() & special == 0).collect();
        let base = Features::I
            | Features::M
            | Features::C
            | if plan.xlen == 64 { Features::RV64 } else { Features::RV32 };
        let simple = plain.iter().copied().filter(|id| id.available(&base)).collect();
        let with = |flag: u32, not: u32| {
            all.iter()
                .copied()
                .filter(|id| id.flags() & flag != 0 && id.flags() & not == 0)
                .collect::<Vec<_>>()
        };
        let (memory, atomic) = (with(flags::LOAD | flags::STORE, flags::ATOMIC), with(flags::ATOMIC, 0));
        let branches = with(flags::BRANCH, 0);
        Maker { plan, rng, plain, simple, memory, atomic, branches, items: Vec::new() }
    }

    fn reserved(&self, r: u8) -> bool {
        r != 0
            && (self.plan.pointers.contains(&r)
                || self.plan.counters.contains(&r)
                || self.plan.tables == Some(r))
    }

    /// A register to spoil.
    fn free(&mut self) -> u8 {
        loop {
            let r = 1 + self.rng.below(31) as u8;
            if !self.reserved(r) {
                return r;
            }
        }
    }

    fn pointer(&mut self) -> u8 {
        self.rng.pick(&self.plan.pointers)
    }

    /// Whether what an instruction writes is free for it.
    fn harmless(&self, id: Id, word: u32) -> bool {
        let Some(decoded) = decode(word, &self.plan.features) else { return false };
        let implied = match id {
            Id::CAddi16sp => 2,
            Id::CJal | Id::CJalr => 1,
            _ => 0,
        };
        let pair = if matches!(id, Id::AmocasDRv32 | Id::AmocasQ) { decoded.ops.rd | 1 } else { 0 };
        ![decoded.ops.rd, pair, implied].into_iter().any(|r| self.reserved(r))
    }

    fn any(&mut self, ids: &[Id]) -> Option<(Id, u32)> {
        if ids.is_empty() {
            return None;
        }
        let id = self.rng.pick(ids);
        let word = random_of(id, &mut || self.rng.next(), &self.plan.features)?;
        self.harmless(id, word).then_some((id, word))
    }

    fn encode(&mut self, id: Id, ops: Operands) -> bool {
        let word = encode(id, &ops).filter(|word| self.harmless(id, *word));
        word.map(|word| put!(self, word)).is_some()
    }

    /// A load or store by a pointer.
    fn access(&mut self) {
        let ids = std::mem::take(&mut self.memory);
        if let Some((id, word)) = self.any(&ids) {
            let ops = decode(word, &self.plan.features).map_or(Operands::ZERO, |decoded| decoded.ops);
            let mask = !self.rng.pick(&[0, 1, 3, 7, 7, 7, 15]);
            for _ in 0..6 {
                let range = self.rng.pick(&[16, 64, 4096]);
                let imm = (self.rng.below(range) as i32 - (range / 2) as i32) & mask;
                let rs1 = self.pointer();
                if self.encode(id, Operands { rs1, imm, ..ops }) {
                    break;
                }
            }
        }
        self.memory = ids;
    }

    fn atomics(&mut self) {
        let ids = std::mem::take(&mut self.atomic);
        if let Some((id, word)) = self.any(&ids) {
            let ops = decode(word, &self.plan.features).map_or(Operands::ZERO, |decoded| decoded.ops);
            let via = if self.rng.below(2) == 0 {
                self.pointer()
            } else {
                let via = self.free();
                let (pointer, at) =
                    (self.pointer(), self.rng.below(32) as i32 * self.rng.pick(&[8, 8, 8, 4, 1]));
                put!(self, addi(via as u32, pointer as u32, at));
                via
            };
            let again = matches!(id, Id::LrW | Id::LrD);
            if self.encode(id, Operands { rs1: via, ..ops }) && again && self.rng.below(4) != 0 {
                let conditional = if id == Id::LrW { Id::ScW } else { Id::ScD };
                let ops =
                    Operands { rd: self.free(), rs1: via, rs2: self.rng.below(32) as u8, ..Operands::ZERO };
                if ops.rd != via || self.rng.below(3) == 0 {
                    self.encode(conditional, ops);
                }
            }
        }
        self.atomic = ids;
    }

    fn branch(&mut self) {
        let near = self.items.len() as u64 + 1 + self.rng.below(10);
        let to = match self.rng.below(12) {
            0 => self.rng.below(self.items.len() as u64 + 1),
            1 => near.saturating_sub(self.rng.below(40)),
            _ => near,
        };
        let ids = std::mem::take(&mut self.branches);
        if let Some((id, word)) = self.any(&ids) {
            let ops = decode(word, &self.plan.features).map_or(Operands::ZERO, |decoded| decoded.ops);
            self.items.push(Item::To(id, ops, to as usize));
        }
        self.branches = ids;
    }

    fn jump(&mut self, total: usize) {
        let len = self.items.len();
        let near = len + 1 + self.rng.below(30) as usize;
        let to = if self.rng.below(3) == 0 { self.rng.below(total as u64) as usize } else { near };
        let link = self.rng.pick(&[0, 1, 1, 5]);
        let link = if self.reserved(link) { 0 } else { link };
        match self.rng.below(5) {
            0 if !self.reserved(1) => {
                // Now and then, to an address that has lost its high half.
                if self.plan.xlen == 64 && self.rng.below(4) == 0 {
                    put!(self, itype(0x1b, 0, 1, 1, 0));
                }
                put!(self, jalr(0, 1, 0));
            }
            0 | 1 => {
                let via = self.free();
                self.items.push(Item::Far(link, via, to));
            }
            2 if self.plan.features.contains(Features::C) => {
                self.items.push(Item::To(Id::CJ, Operands::ZERO, to.min(near)));
            }
            _ => self.items.push(Item::To(Id::Jal, Operands { rd: link, ..Operands::ZERO }, to)),
        }
    }

    /// A register shifted both ways, by amounts that make a rotation of a word.
    fn shifts(&mut self) {
        let (of, high, low) = (self.rng.below(32) as u32, self.free() as u32, self.free() as u32);
        let by = 1 + self.rng.below(31) as i32;
        let words = if self.plan.xlen == 64 { [0x1b, 0x1b, 0x13] } else { [0x13; 3] };
        put!(self, itype(self.rng.pick(&words), 1, high, of, by));
        put!(self, itype(self.rng.pick(&words), 5, low, of, 32 - by));
        let to = self.free() as u32;
        put!(self, 0x33 | to << 7 | self.rng.pick(&[0, 4, 6]) << 12 | high << 15 | low << 20);
    }

    /// A value that goes through one register from operation to operation, so that nobody else sees the steps between.
    fn chain(&mut self) {
        let r = self.free();
        let ids = std::mem::take(&mut self.simple);
        for step in 0..2 + self.rng.below(4) {
            let Some((id, word)) = self.any(&ids) else { continue };
            let mut ops = decode(word, &self.plan.features).map_or(Operands::ZERO, |decoded| decoded.ops);
            ops.rd = r;
            match self.rng.below(3) {
                _ if step == 0 => {}
                0 => ops.rs2 = r,
                _ => ops.rs1 = r,
            }
            if self.rng.below(2) == 0 {
                ops.imm = self.rng.pick(&[0, 1, 31, 31, 32, 63, -1]);
            }
            self.encode(id, ops);
        }
        self.simple = ids;
        let (id, other) = (self.rng.pick(&[Id::Bne, Id::Beq, Id::Blt, Id::Bge]), self.rng.below(32) as u8);
        if self.plan.features.contains(Features::ZICOND) && self.rng.below(2) == 0 {
            let choose = self.rng.pick(&[Id::CzeroEqz, Id::CzeroNez]);
            self.encode(choose, Operands { rd: r, rs1: other, rs2: r, ..Operands::ZERO });
            return;
        }
        let rs2 = self.rng.pick(&[0, 0, other]);
        self.items.push(Item::To(id, Operands { rs1: r, rs2, ..Operands::ZERO }, self.items.len() + 3));
        put!(self, addi(r as u32, 0, 1));
    }

    fn csr(&mut self) {
        let t = self.free();
        let status = if self.plan.level == 3 { 0x300 } else { 0x100 };
        let number = self.rng.pick(&[1, 2, 2, 3]);
        match self.rng.below(12) {
            // Floating-point control, with invalid rounding modes for a while.
            0..=3 => put!(self, csrrwi(0, 2, self.rng.pick(&[0, 0, 0, 1, 2, 3, 4, 5, 6, 7]))),
            4 | 5 => {
                let (source, set) = (self.rng.below(32) as u32, self.rng.below(2));
                put!(self, if set == 0 { csrrs(t as u32, number, 0) } else { csrrw(t as u32, 1, source) });
            }
            6 | 7 => {
                // FS on, or off for a while.
                let off = self.rng.below(4) == 0;
                put!(self, 0x37 | (t as u32) << 7 | 0x6 << 12);
                put!(
                    self,
                    if off { csrrs(0, status, t as u32) | 0x1000 } else { csrrs(0, status, t as u32) }
                );
            }
            8 => {
                // MPRV, SUM, MXR.
                let bits = self.rng.pick(&[0x20, 0x40, 0x80, 0x80, 0x40]);
                let clear = self.rng.below(3) << 12 & 0x1000;
                put!(self, 0x37 | (t as u32) << 7 | bits << 12);
                put!(self, csrrs(0, status, t as u32) | clear as u32);
            }
            9 => put!(self, csrrs(t as u32, self.rng.pick(&[0xc00, 0xc01, 0xc02]), 0)),
            10 => put!(self, csrrs(0, status, 0) | 0x4000 | self.rng.pick(&[2, 8]) << 15),
            _ => put!(
                self,
                csrrs(t as u32, self.rng.pick(&[0x141, 0x142, 0x100, 0x144, 0x341, 0x342, 0x300, 3]), 0)
            ),
        }
    }

    fn system(&mut self) {
        let t = self.free();
        match self.rng.below(10) {
            0 => put!(self, ECALL),
            1 => put!(self, EBREAK),
            2 | 3 => put!(self, FENCE_I),
            4 | 5 => {
                let (address, space) = (
                    self.rng.pick(&[0, self.plan.pointers[0], self.plan.pointers[1], t]),
                    self.rng.pick(&[0, 0, t]),
                );
                put!(self, sfence(address as u32, space as u32));
            }
            6 => {
                let word = self.rng.next() as u32;
                if decode(word, &self.plan.features).is_none() {
                    put!(self, word);
                }
            }
            7 => {
                // An access anywhere.
                let word = random(&mut || self.rng.next(), &self.plan.features);
                if let Some(word) = word.filter(|word| {
                    decode(*word, &self.plan.features).is_some_and(|d| {
                        d.id.flags() & (flags::SYSTEM | flags::CSR) == 0 && self.harmless(d.id, *word)
                    })
                }) {
                    put!(self, word);
                }
            }
            _ => {
                // `mret`, `sret`: seldom lead anywhere good, and come back.
                put!(self, if self.rng.below(8) == 0 { self.rng.pick(&[MRET, SRET]) } else { 0x0ff0_000f });
            }
        }
    }

    /// A loop that follows pointers, with other accesses by them.
    fn chase(&mut self, counter: u8) {
        let (c, t, other) = (counter as u32, self.free() as u32, self.free() as u32);
        put!(self, addi(c, 0, 1 + self.rng.below(14) as i32));
        put!(self, addi(t, self.pointer() as u32, 0));
        let head = self.items.len();
        for _ in 0..1 + self.rng.below(4) {
            let imm = self.rng.pick(&[0, 0, 0, 8, 8, -8, 16, 64, -2048, 2040, 4, 1]);
            match (self.rng.below(8), self.plan.tables) {
                (4, Some(tables)) => self.remap(tables),
                (0, _) => put!(self, ld(other, t, imm)),
                (1, _) => put!(self, sd(t, other, imm)),
                (2, _) => put!(self, addi(t, t, imm)),
                (3, _) => put!(self, itype(0x13, 7, t, t, -8)),
                _ => put!(self, ld(t, t, imm)),
            }
        }
        put!(self, ld(t, t, 0));
        put!(self, addi(c, c, -1));
        put!(self, itype(0x13, 7, c, c, 15));
        self.items.push(Item::To(Id::Bne, Operands { rs1: counter, rs2: 0, ..Operands::ZERO }, head));
    }

    /// A loop whose accesses move on by little, while others by addresses that agree in what tables are looked up by, and changes of
    /// these tables, come between.
    fn walk(&mut self, counter: u8) {
        let c = counter as u32;
        let [t, far, other] = std::array::from_fn(|_| self.free() as u32);
        put!(self, addi(c, 0, 1 + self.rng.below(14) as i32));
        put!(self, addi(t, self.pointer() as u32, 0));
        // lui far, 1 << 26; add far, far, t
        put!(self, 0x37 | far << 7 | 1 << 26);
        put!(self, 0x33 | far << 7 | far << 15 | t << 20);
        let head = self.items.len();
        for _ in 0..1 + self.rng.below(5) {
            let imm = self.rng.pick(&[0, 0, 8, -8, 16, 64, 4, 1]);
            match (self.rng.below(8), self.plan.tables) {
                (0 | 1, Some(tables)) => self.remap(tables),
                (2, _) => put!(self, sd(t, other, imm)),
                (3, _) => put!(self, ld(other, far, imm)),
                (4, _) => put!(self, sd(far, other, imm)),
                _ => put!(self, ld(other, t, imm)),
            }
        }
        let step = self.rng.pick(&[0, 8, 8, -8, 64, 256, 2040]);
        put!(self, addi(t, t, step));
        put!(self, addi(far, far, step));
        put!(self, addi(c, c, -1));
        put!(self, itype(0x13, 7, c, c, 15));
        self.items.push(Item::To(Id::Bne, Operands { rs1: counter, rs2: 0, ..Operands::ZERO }, head));
    }

    /// Takes an instruction word from the pool and puts it into code.
    fn patch(&mut self) {
        let t = self.free();
        let (pool, code) = (self.plan.pointers[0] as u32, self.plan.pointers[1] as u32);
        let (from, to) = (self.rng.below(400) as i32 * 4, self.rng.below(1000) as i32 * 4 - 2000);
        put!(self, lw(t as u32, pool, from));
        let funct3 = self.rng.pick(&[0, 1, 2, 2, 2, if self.plan.xlen == 64 { 3 } else { 2 }]);
        put!(self, stype(funct3, code, t as u32, to));
        if self.rng.below(2) == 0 {
            put!(self, FENCE_I);
        }
    }

    /// Flips a bit of a page-table entry.
    fn remap(&mut self, pointer: u8) {
        let t = self.free();
        let entries = if self.plan.chases { 4 } else { 8 };
        let at = self.rng.below(entries) as i32 * if self.plan.xlen == 64 { 8 } else { 4 };
        put!(self, lw(t as u32, pointer as u32, at));
        let mut bit = self.rng.pick(&[A, A, A, D, D, D, A | D, W, R | W, X, V]) as i32;
        if self.plan.chases && self.rng.below(3) == 0 {
            // The page beside.
            bit = 1 << 10;
        }
        put!(
            self,
            itype(
                0x13,
                if self.rng.below(2) == 0 { 4 } else { 7 },
                t as u32,
                t as u32,
                if self.rng.below(2) == 0 { bit } else { !(bit as u64 & (A | D)) as i32 }
            )
        );
        put!(self, sw(pointer as u32, t as u32, at));
        if self.plan.chases {
            // Of data, an access sees a change or does not by what came before, and by nothing else.
            match self.rng.below(3) {
                0 => put!(self, sfence(0, 0)),
                1 => put!(self, sfence(self.plan.pointers[2] as u32, 0)),
                _ => {}
            }
        } else if !self.plan.lazy {
            put!(self, sfence(0, 0));
        }
    }

    /// Code of about `bytes` bytes, and where to start: offsets.
    pub fn make(mut self, bytes: usize) -> (Vec<u8>, Vec<u64>) {
        let total = bytes * 10 / 34;
        let mut loops: Vec<(usize, usize, u8)> = Vec::new();
        while self.items.len() < total {
            if let Some(&(end, head, counter)) = loops.last()
                && self.items.len() >= end
            {
                loops.pop();
                let c = counter as u32;
                put!(self, addi(c, c, -1));
                put!(self, itype(0x13, 7, c, c, 15));
                let ops = Operands { rs1: counter, rs2: 0, ..Operands::ZERO };
                self.items.push(Item::To(Id::Bne, ops, head));
                continue;
            }
            if self.plan.chases && loops.len() < 2 && self.rng.below(24) == 0 {
                let counter = self.plan.counters[loops.len()];
                if self.rng.below(2) == 0 {
                    self.chase(counter)
                } else {
                    self.walk(counter)
                }
                continue;
            }
            match self.rng.below(100) {
                0 => self.shifts(),
                1..4 => self.chain(),
                4..25 => {
                    let ids = std::mem::take(&mut self.simple);
                    if let Some((_, word)) = self.any(&ids) {
                        put!(self, word);
                    }
                    self.simple = ids;
                }
                25..55 => {
                    let ids = std::mem::take(&mut self.plain);
                    if let Some((_, word)) = self.any(&ids) {
                        put!(self, word);
                    }
                    self.plain = ids;
                }
                55..73 => self.access(),
                73..77 => self.atomics(),
                77..87 => self.branch(),
                87..90 => self.jump(total),
                90..93 if loops.len() < 2 => {
                    let counter = self.plan.counters[loops.len()];
                    put!(self, addi(counter as u32, 0, 1 + self.rng.below(14) as i32));
                    let len = self.items.len();
                    loops.push((len + 1 + self.rng.below(20) as usize, len, counter));
                }
                93..95 => {
                    let (p, by) =
                        (self.pointer() as u32, self.rng.pick(&[1, -1, 2, 8, -8, 16, 64, -64, 256]));
                    put!(self, addi(p, p, by));
                }
                95..97 => self.csr(),
                97 => self.patch(),
                98 => self.system(),
                _ => match self.plan.tables {
                    Some(pointer) if self.rng.below(3) == 0 => self.remap(pointer),
                    _ => self.access(),
                },
            }
        }
        put!(self, ECALL);
        self.place(bytes)
    }

    fn place(self, bytes: usize) -> (Vec<u8>, Vec<u64>) {
        let mut starts = vec![0usize];
        for item in &self.items {
            starts.push(starts[starts.len() - 1] + item.len());
        }
        let mut code = Vec::with_capacity(bytes);
        for (i, item) in self.items.iter().enumerate() {
            let by = |to: usize| starts[to.min(self.items.len())] as i32 - starts[i] as i32;
            let mut put = |word: u32, len: usize| code.extend_from_slice(&word.to_le_bytes()[..len]);
            match *item {
                Item::Word(word) => put(word, item.len()),
                Item::To(id, ops, to) => {
                    let nop = if item.len() == 2 { 1 } else { NOP };
                    put(encode(id, &Operands { imm: by(to), ..ops }).unwrap_or(nop), item.len());
                }
                Item::Far(rd, via, to) => {
                    let offset = by(to);
                    let high = offset.wrapping_add(0x800) as u32 & 0xffff_f000;
                    put(0x17 | (via as u32) << 7 | high, 4);
                    put(jalr(rd as u32, via as u32, offset - high as i32), 4);
                }
            }
        }
        code.truncate(bytes);
        let limit = code.len();
        let entries =
            starts.into_iter().map(|start| start as u64).filter(|start| *start + 64 < limit as u64).collect();
        (code, entries)
    }
}

/// A trap handler at `level` 3 or 1: goes on behind the instruction, or, now and then, afresh.
pub fn handler(plan: &Plan, level: u64, rng: &mut Rng, switch: bool) -> Vec<u32> {
    let wide = plan.xlen == 64;
    let load = |rd: u32, rs1: u32, imm: i32| if wide { ld(rd, rs1, imm) } else { lw(rd, rs1, imm) };
    let store = |rs1: u32, rs2: u32, imm: i32| if wide { sd(rs1, rs2, imm) } else { sw(rs1, rs2, imm) };
    let csr = |number: u32| if level == 3 { number + 0x300 } else { number + 0x100 };
    let (status, scratch, epc, cause, satp) = (csr(0), csr(0x40), csr(0x41), csr(0x42), 0x180);
    let mut w = vec![
        csrrw(5, scratch, 5),
        store(5, 6, 0),
        store(5, 7, 8),
        load(6, 5, save::COUNT),
        addi(6, 6, 1),
        store(5, 6, save::COUNT),
        itype(0x13, 7, 7, 6, 7),
    ];
    let mut afresh = vec![load(7, 5, save::STATUS), csrrw(0, status, 7)];
    // The entry, by bits of the count.
    afresh.extend([
        itype(0x13, 7, 7, 6, 0x78),
        0x33 | 7 << 7 | 7 << 15 | 5 << 20,
        load(7, 7, save::ENTRIES),
        csrrw(0, epc, 7),
    ]);
    if switch {
        afresh.extend([itype(0x13, 5, 7, 6, 3), itype(0x13, 7, 7, 7, 3), itype(0x13, 1, 7, 7, 3)]);
        afresh.extend([0x33 | 7 << 7 | 7 << 15 | 5 << 20, load(7, 7, save::SATP), csrrw(0, satp, 7)]);
        match rng.below(4) {
            0 => afresh.push(sfence(0, 0)),
            1 => afresh.push(sfence(0, 7)),
            2 => afresh.push(sfence(6, 0)),
            _ => {}
        }
    }
    let all = plan.pointers.iter().chain(&plan.tables);
    afresh.extend((0..).zip(all).map(|(i, r)| load(*r as u32, 5, save::POINTERS + 8 * i)));
    let mut interrupt = vec![
        // Interrupts stay off for a while.
        addi(7, 0, if level == 3 { 0x80 } else { 0x20 }),
        csrrs(0, status, 7) | 0x1000,
    ];
    let mut on = vec![
        csrrs(7, epc, 0),
        addi(7, 7, if plan.features.contains(Features::C) { rng.pick(&[2, 4]) } else { 4 }),
        csrrw(0, epc, 7),
    ];
    let out = [load(7, 5, 8), load(6, 5, 0), csrrw(5, scratch, 5), if level == 3 { MRET } else { SRET }];
    interrupt.push(jal(0, (on.len() as i32 + 1 + afresh.len() as i32 + 1) * 4));
    on.push(jal(0, (afresh.len() as i32 + 1) * 4));
    // Where to: afresh, or by the cause.
    w.push(branch(0, 7, 0, (3 + interrupt.len() + on.len()) as i32 * 4));
    w.push(csrrs(7, cause, 0));
    w.push(branch(5, 7, 0, (1 + interrupt.len()) as i32 * 4));
    w.extend(interrupt);
    w.extend(on);
    w.extend(afresh);
    w.extend(out);
    w
}

/// Instruction words for programs to write into themselves.
pub fn pool(features: &Features, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < 4096 {
        let word = random(&mut || rng.next(), features).unwrap_or(NOP);
        let id = decode(word, features).map(|d| d.id.flags());
        // Jumps and privileged instructions would soon lead astray.
        if id.is_none_or(|f| {
            f & (flags::SYSTEM | flags::CSR) != 0 || (f & flags::JUMP != 0 && rng.below(8) != 0)
        }) {
            continue;
        }
        if word & 3 == 3 {
            bytes.extend(word.to_le_bytes());
        } else {
            bytes.extend([word.to_le_bytes()[0], word.to_le_bytes()[1], 1, 0]);
        }
    }
    bytes.truncate(4096);
    bytes
}
