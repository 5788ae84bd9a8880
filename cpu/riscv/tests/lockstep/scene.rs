//! A random machine: harts, memory with a program, page tables, and what happens to them from outside.

use cpu_core::{Access, Bus, BusFault, Core, Counter, GuestMemory, MemoryKind, Ran, RegionSpec, Time, Width};
use cpu_jit::Backend;
use cpu_riscv::isa::Features;
use cpu_riscv::{Hart, HartConfig, Mmu};

use crate::common::{A, ALL, D, MRET, R, U, V, W, X};
use crate::program::{Maker, Plan, handler, pool, save};
use crate::rng::Rng;

pub const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 0x4_0000;
const M_HANDLER: u64 = RAM;
const START: u64 = RAM + 0xff0;
const S_HANDLER: u64 = RAM + 0x1000;
const M_SAVE: u64 = RAM + 0x2000;
const S_SAVE: u64 = RAM + 0x3000;
pub const CODE: u64 = RAM + 0x4000;
const CODE_PAGES: u64 = 6;
const DATA: u64 = RAM + 0xa000;
const DATA_PAGES: u64 = 4;
const POOL: u64 = RAM + 0xe000;
const TABLES: u64 = RAM + 0x1_0000;
const ROM: u64 = 0x2000_0000;
const DEVICE: u64 = 0x1000_0000;

// Where address spaces have them.
const V_CODE: u64 = 0x40_0000;
const V_ALIAS: u64 = 0x80_0000;
const V_DATA: u64 = 0xc0_0000;
const V_HANDLER: u64 = 0x100_0000;
const V_SAVE: u64 = 0x100_1000;
const V_POOL: u64 = 0x100_2000;
const V_ROM: u64 = 0x140_0000;
const V_DEVICE: u64 = 0x180_0000;
const V_TABLES: u64 = 0x1c0_0000;
const V_HOLE: u64 = 0x200_0000;
/// Distances from `V_DATA` where its pages are again, in another order.
const V_DATA_AGAIN: [u64; 2] = [1 << 26, 1 << 32];

/// Device page, reads and writes of ROM, DMA.
pub struct TestBus {
    memory: GuestMemory,
    pub accesses: u64,
    pub digest: u64,
    attention: bool,
}

impl TestBus {
    fn note(&mut self, who: &Access, paddr: u64, width: Width, value: u64) {
        self.accesses += 1;
        for part in [paddr, value, width as u64, who.now.0, who.pc, who.core as u64] {
            self.digest = (self.digest.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

impl Bus for TestBus {
    fn read(&mut self, who: &Access, paddr: u64, width: Width) -> Result<u64, BusFault> {
        self.note(who, paddr, width, 1 << 63);
        match paddr & !0xfff {
            DEVICE if paddr & 0xf00 != 0xf00 => Ok(self.digest >> (paddr & 31)),
            _ => Err(BusFault { paddr }),
        }
    }

    fn write(&mut self, who: &Access, paddr: u64, width: Width, value: u64) -> Result<(), BusFault> {
        self.note(who, paddr, width, value);
        match (paddr & !0xfff, paddr & 0xff0) {
            (DEVICE, 0xf00..) => return Err(BusFault { paddr }),
            (DEVICE, 0x800) => self.attention = true,
            (DEVICE, 0x810) => {
                // DMA from the pool into code or data.
                let mut bytes = [0; 16];
                let _ = self.memory.read(POOL + (value & 0xff0), &mut bytes);
                let _ = self.memory.write((CODE + value % (12 * 4096 - 16)) & !3, &bytes);
            }
            (DEVICE, 0x820) => self.memory.set_direct(ROM, value & 3 != 0),
            (DEVICE, _) => {}
            (ROM.., _) if paddr & 8 == 0 && paddr < ROM + 0x2000 => {}
            _ => return Err(BusFault { paddr }),
        }
        Ok(())
    }

    fn attention(&self) -> bool {
        self.attention
    }

    fn counter(&self) -> Counter {
        Counter { hz: 10_000_000, offset: 0 }
    }
}

/// One way of running a scene.
pub struct Side {
    pub harts: Vec<Hart>,
    pub memory: GuestMemory,
    pub bus: TestBus,
    pub now: Vec<Time>,
}

impl Side {
    pub fn run(&mut self, hart: usize, budget: u64) -> Ran {
        self.bus.attention = false;
        let ran = self.harts[hart].run(&mut self.bus, self.now[hart], budget);
        self.now[hart].0 += ran.executed * self.harts[hart].period().0;
        ran
    }

    /// All of memory.
    pub fn content(&self) -> Vec<u8> {
        let mut all = vec![0; RAM_SIZE as usize];
        self.memory.read(RAM, &mut all).unwrap();
        all
    }
}

/// What is the same for all sides.
pub struct Scene {
    pub plan: Plan,
    config: HartConfig,
    pub harts: usize,
    /// With translation.
    paged: bool,
    ram: Vec<u8>,
    rom: Vec<u8>,
    values: Vec<([u64; 32], [u64; 32])>,
    csrs: Vec<(u16, u64)>,
    pub code: u64,
    pub what: String,
}

fn value(rng: &mut Rng) -> u64 {
    match rng.below(6) {
        0 => rng.next(),
        1 => rng.next() as i32 as u64,
        2 => rng.pick(&[
            0,
            1,
            2,
            31,
            63,
            u64::MAX,
            1 << 63,
            0x8000_0000,
            0x7fff_ffff,
            0xffff_ffff_8000_0000,
            i64::MAX as u64,
            0x8080,
        ]),
        3 => rng.next() >> rng.below(64),
        4 => RAM + rng.below(RAM_SIZE),
        _ => float(rng),
    }
}

/// Of some format, mostly boxed, with many corners.
fn float(rng: &mut Rng) -> u64 {
    let make = |rng: &mut Rng, exponent: u32, fraction: u32| {
        let (bias, top) = ((1u64 << (exponent - 1)) - 1, (1u64 << exponent) - 1);
        let e = match rng.below(6) {
            0 => 0,
            1 => top,
            2 => bias + rng.below(70) % bias,
            3 => bias - rng.below(fraction as u64 + 3) % bias,
            4 => rng.pick(&[1, 2, top - 1, top - 2, bias]),
            _ => rng.below(top + 1),
        };
        let ones = (1u64 << fraction) - 1;
        let f = match rng.below(5) {
            0 => 0,
            1 => ones,
            2 => 1 << rng.below(fraction as u64),
            3 => ones << rng.below(fraction as u64) & ones,
            _ => rng.next() & ones,
        };
        rng.below(2) << (exponent + fraction) | e << fraction | f
    };
    match rng.below(8) {
        0..=3 => make(rng, 11, 52),
        4 | 5 => make(rng, 8, 23) | 0xffff_ffff << 32,
        6 => make(rng, 5, 10) | !0xffff,
        _ => make(rng, 8, 23) << 32 | make(rng, 8, 23),
    }
}

impl Scene {
    pub fn new(seed: u64) -> Scene {
        let mut rng = Rng::new(seed);
        let lazy = seed % 3 != 1;
        let rng = &mut rng;
        let xlen = if rng.below(3) == 0 { 32 } else { 64 };
        let drop: &[&str] = match rng.below(8) {
            0 => &["c", "zcb", "zcmop"],
            1 => &["d"],
            _ => &[],
        };
        let extensions: Vec<&str> = ALL.into_iter().filter(|name| !drop.contains(name)).collect();
        let extensions: Vec<&str> =
            if drop == ["d"] { extensions.into_iter().filter(|e| *e != "zcd").collect() } else { extensions };
        let mmu = if xlen == 32 { Mmu::Sv32 } else { Mmu::Sv48 };
        let base = if xlen == 32 { "rv32i" } else { "rv64i" };
        let mut config = HartConfig::new(0, base, extensions.iter().copied(), mmu).unwrap();
        config.reset_pc = START;
        let level = rng.pick(&[3, 3, 1, 1, 1, 0, 0]);
        let paged = level != 3 && rng.below(4) != 0;
        let split = level != 3 && rng.below(5) == 0;
        let harts = if rng.below(4) == 0 { 2 + rng.below(3) as usize } else { 1 };
        let mut free: Vec<u8> = (1..32).filter(|r| ![5, 6, 7].contains(r)).collect();
        let mut take = |rng: &mut Rng| free.swap_remove(rng.below(free.len() as u64) as usize);
        let pointers: Vec<u8> = (0..5).map(|_| take(rng)).collect();
        let counters = [take(rng), take(rng)];
        let tables = (paged && rng.below(2) == 0).then(|| take(rng));
        let features: Features = config.extensions;
        let chases = seed % 2 == 1 && xlen == 64;
        let plan = Plan { features, xlen, level, pointers, counters, tables, lazy, chases };
        let size = rng.pick(&[0x300, 0x1000, 0x2000, CODE_PAGES * 4096]) as usize;
        let (code, offsets) = Maker::new(&plan, rng).make(size);
        let pool = pool(&features, rng);
        let (v_code, data, device, rom, hole, tab) = if paged {
            (V_CODE, V_DATA, V_DEVICE, V_ROM, V_HOLE, V_TABLES)
        } else {
            (CODE, DATA, DEVICE, ROM, 0x7000_0000, TABLES)
        };
        let alias = if paged { V_ALIAS } else { CODE };
        let v_pool = if paged { V_POOL } else { POOL };

        let mut ram = vec![0u8; RAM_SIZE as usize];
        let put = |ram: &mut [u8], at: u64, bytes: &[u8]| {
            let at = (at - RAM) as usize;
            ram[at..at + bytes.len()].copy_from_slice(bytes);
        };
        for at in (0..DATA_PAGES * 4096).step_by(8) {
            put(&mut ram, DATA + at, &value(rng).to_le_bytes());
        }
        if chases {
            // Most words lead to others. Some do so by addresses that agree in what tables are looked up by.
            let rng = &mut Rng::new(seed ^ 0x7777);
            for at in (0..DATA_PAGES * 4096).step_by(8).filter(|_| rng.below(4) != 0).collect::<Vec<_>>() {
                let to = rng.below(DATA_PAGES * 4096 - 8) & rng.pick(&[!7, !7, !7, !7, !7, !7, !7, !3, !0]);
                let base = match rng.below(64) {
                    0 => rng.pick(&[device, hole, rom]),
                    1..16 if paged => data + rng.pick(&V_DATA_AGAIN),
                    _ => data,
                };
                put(&mut ram, DATA + at, &(base + to).to_le_bytes());
            }
        }
        put(&mut ram, CODE, &code);
        put(&mut ram, POOL, &pool);
        for (at, level) in [(M_HANDLER, 3), (S_HANDLER, 1)] {
            let words = handler(&plan, level, rng, paged);
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            put(&mut ram, at, &bytes);
        }
        put(&mut ram, START, &MRET.to_le_bytes());
        let rom_content: Vec<u8> =
            code.iter().copied().chain(pool.iter().copied()).cycle().take(0x2000).collect();

        // Address spaces: 0 and 1 have the code's pages in different order, 2 is 0 under another number.
        let mut satps = [0u64; 4];
        if paged {
            let mut next = TABLES;
            let user = if level == 0 { U } else { 0 };
            let mut roots = Vec::new();
            for space in 0..2u64 {
                let mut tables = Tables { ram: &mut ram, xlen, root: next, next: next + 0x1000 };
                let ad = |rng: &mut Rng| rng.pick(&[A | D, A | D, A, 0, A | D]);
                for page in 0..CODE_PAGES {
                    let swapped = if space == 1 { page ^ 1 } else { page };
                    let extra = ad(rng);
                    let rights = rng.pick(&[R | W | X, R | W | X, R | X, X, R | W | X]);
                    tables.map(V_CODE + page * 4096, CODE + swapped * 4096, V | rights | user | extra);
                    let other = (page + 2) % CODE_PAGES;
                    tables.map(V_ALIAS + page * 4096, CODE + other * 4096, V | R | W | X | user | A | D);
                }
                for page in 0..DATA_PAGES {
                    let rights = rng.pick(&[R | W, R | W, R | W | X, R, R | W]);
                    let extra = ad(rng);
                    tables.map(
                        V_DATA + page * 4096,
                        DATA + (page ^ space) * 4096,
                        V | rights | rng.pick(&[user, user, user, U]) | extra,
                    );
                }
                for (turn, again) in (1..).zip(V_DATA_AGAIN).filter(|_| chases) {
                    for page in 0..DATA_PAGES {
                        let to = DATA + (page + turn) % DATA_PAGES * 4096;
                        tables.map(V_DATA + again + page * 4096, to, V | R | W | user | A | D);
                    }
                }
                tables.map(V_HANDLER, S_HANDLER, V | R | X | A | D);
                tables.map(V_SAVE, S_SAVE, V | R | W | A | D);
                tables.map(V_POOL, POOL, V | R | W | A | user);
                tables.map(V_ROM, ROM, V | R | W | X | A | D | user);
                tables.map(V_ROM + 4096, ROM + 4096, V | R | W | X | A | D | user);
                tables.map(V_DEVICE, DEVICE, V | R | W | A | D | user);
                let leaf = [tables.entry(V_CODE), tables.entry(V_DATA)];
                for (i, leaf) in (0..).zip(leaf) {
                    tables.map(V_TABLES + i * 4096, leaf & !0xfff, V | R | W | A | D | user);
                }
                next = tables.next;
                roots.push(tables.root);
            }
            assert!(next <= RAM + RAM_SIZE, "{next:#x}");
            let satp = |root: u64, asid: u64| {
                if xlen == 32 { 1 << 31 | asid << 22 | root >> 12 } else { 8 << 60 | asid << 44 | root >> 12 }
            };
            satps = [satp(roots[0], 1), satp(roots[1], 2), satp(roots[0], 1), satp(roots[0], 3)];
            if rng.below(3) == 0 {
                satps[1] = satps[0];
            }
        }
        // Save areas.
        let entries: Vec<u64> = (0..16).map(|_| v_code + rng.pick(&offsets)).collect();
        let leaf_offset =
            |vaddr: u64| if xlen == 32 { (vaddr >> 12 & 1023) * 4 } else { (vaddr >> 12 & 511) * 8 };
        for hart in 0..harts as u64 {
            for (base, m) in [(M_SAVE, true), (S_SAVE, false)] {
                let base = base + hart * 0x400;
                let mut field = |at: i32, value: u64| put(&mut ram, base + at as u64, &value.to_le_bytes());
                let status = if m { level << 11 | 0x80 | 0x6000 } else { (level & 1) << 8 | 0x20 | 0x6000 };
                field(save::STATUS, status | rng.pick(&[0, 1 << 18, 1 << 18, 1 << 19, 3 << 18]));
                (0..).zip(satps).for_each(|(i, satp)| field(save::SATP + 8 * i, satp));
                (0..).zip(&entries).for_each(|(i, entry)| field(save::ENTRIES + 8 * i, *entry));
                let targets = [
                    v_pool,
                    rng.pick(&[v_code, alias, v_code]) + rng.below(CODE_PAGES) * 4096 + 0x7f8,
                    data + 0x800 + rng.below(3) * 4096,
                    data + 0x1000 + rng.below(2) * 4096 + rng.pick(&[0, 0, 8, 1]),
                    rng.pick(&[
                        device + 0x7f0,
                        device + 0x810,
                        rom + 0x800,
                        rom + 0xff8,
                        hole,
                        v_code + 0x1000,
                        data + 0xff0,
                        data,
                    ]),
                ];
                (0..).zip(targets).for_each(|(i, target)| field(save::POINTERS + 8 * i, target));
                if plan.tables.is_some() {
                    let target = if lazy && rng.below(2) == 0 {
                        tab + leaf_offset(V_CODE)
                    } else {
                        tab + 4096 + leaf_offset(V_DATA)
                    };
                    field(save::POINTERS + 40, target);
                }
            }
        }
        let values = (0..harts)
            .map(|_| (std::array::from_fn(|_| value(rng)), std::array::from_fn(|_| float(rng))))
            .collect();
        let mut csrs = vec![
            (0x305, M_HANDLER),
            (0x105, if paged { V_HANDLER } else { S_HANDLER }),
            (0x304, 0xaaa),
            (0x302, rng.pick(&[0, 0, 0xb1f3, 0xf1ff, 0x1004])),
            (0x303, rng.pick(&[0, 0x222])),
            (0x306, 7),
            (0x106, rng.pick(&[0, 7])),
            (0x180, satps[0]),
            (0x341, entries[0]),
            (0x300, level << 11 | 0x80 | 0x6000 | rng.pick(&[0, 1 << 18])),
            (3, rng.below(5) << 5),
        ];
        let adue = if rng.below(3) != 0 { 1u64 << 61 } else { 0 };
        if xlen == 32 {
            csrs.push((0x30a, 0xf0));
            csrs.push((0x31a, adue >> 32));
        } else {
            csrs.push((0x30a, adue | 0xf0));
        }
        let open = if xlen == 32 { 0xffff_ffff } else { u64::MAX };
        if split {
            // Eight bytes of a page of code and of one of data are closed, or a part is read-only.
            let at = |addr: u64, size: u64| addr >> 2 | ((size >> 3) - 1);
            csrs.push((0x3b0, at(CODE + 0x1000 + rng.below(15) * 256, 256)));
            csrs.push((0x3b1, at(DATA + 0x1000 + rng.below(15) * 256, 256)));
            csrs.push((0x3b2, open));
            let closed = rng.pick(&[0x18, 0x19, 0x1c, 0x1b]);
            csrs.push((0x3a0, 0x1f << 16 | rng.pick(&[0x18, 0x19]) << 8 | closed));
        } else {
            csrs.push((0x3b0, open));
            csrs.push((0x3a0, 0x1f));
        }
        let what = format!(
            "rv{xlen}, level {level}, {}{}{} bytes of code, {harts} harts, without {drop:?}, adue {}, pointers {:?}, tables {:?}",
            if paged { "paged, " } else { "" },
            if split { "split, " } else { "" },
            code.len(),
            adue != 0,
            plan.pointers,
            plan.tables,
        );
        Scene { plan, config, harts, paged, ram, rom: rom_content, values, csrs, code: v_code, what }
    }

    /// A machine at the start.
    pub fn side(&self, mut backend: impl FnMut() -> Option<Box<dyn Backend>>, hot: u32) -> Side {
        let region = |name: &str, base, size, kind| RegionSpec { name: name.into(), base, size, kind };
        let memory = GuestMemory::new(vec![
            region("ram", RAM, RAM_SIZE, MemoryKind::Ram),
            region("rom", ROM, 0x2000, MemoryKind::Rom),
        ])
        .unwrap();
        memory.write(RAM, &self.ram).unwrap();
        memory.write_any(ROM, &self.rom).unwrap();
        let mut harts = Vec::new();
        for number in 0..self.harts {
            let mut config = self.config.clone();
            config.hartid = number as u64;
            let mut hart = Hart::new(config, memory.clone());
            hart.set_backend(backend(), hot);
            self.arrange(&mut hart, number);
            harts.push(hart);
        }
        let bus = TestBus { memory: memory.clone(), accesses: 0, digest: 1, attention: false };
        Side { now: vec![Time::ZERO; self.harts], harts, memory, bus }
    }

    /// Registers as at the start.
    fn arrange(&self, hart: &mut Hart, number: usize) {
        for (csr, value) in &self.csrs {
            hart.set_csr(*csr, *value);
        }
        hart.set_csr(0x340, M_SAVE + 0x400 * number as u64);
        hart.set_csr(0x140, if self.paged { V_SAVE } else { S_SAVE } + 0x400 * number as u64);
        let (x, f) = &self.values[number];
        for r in 1..32 {
            hart.set_x(r, x[r as usize]);
        }
        for r in 0..32 {
            hart.set_f(r, f[r as usize]);
        }
        let base = M_SAVE + 0x400 * number as u64 + save::POINTERS as u64;
        for (i, r) in (0..).zip(self.plan.pointers.iter().chain(&self.plan.tables)) {
            let at = (base + 8 * i - RAM) as usize;
            hart.set_x(*r, u64::from_le_bytes(self.ram[at..at + 8].try_into().unwrap()));
        }
        hart.set_pc(START);
    }

    /// Back to order, where a program has spoilt it: code, tables, handlers, and the harts in M-mode at the start.
    pub fn repair(&self, side: &mut Side, code: bool) {
        let (from, to) = if code { (0, self.ram.len()) } else { (0, (CODE - RAM) as usize) };
        for at in (from..to).step_by(4096) {
            let addr = RAM + at as u64;
            let mut held = [0; 4096];
            side.memory.read(addr, &mut held).unwrap();
            if held != self.ram[at..at + 4096] {
                side.memory.write(addr, &self.ram[at..at + 4096]).unwrap();
            }
        }
        let tables = (TABLES - RAM) as usize;
        side.memory.write(TABLES, &self.ram[tables..]).unwrap();
        side.memory.set_direct(ROM, true);
        for (number, hart) in side.harts.iter_mut().enumerate() {
            hart.reset();
            self.arrange(hart, number);
        }
    }

    /// Makes the next trap of a hart start afresh, and asks for one.
    pub fn divert(&self, side: &mut Side, hart: usize, on: bool) {
        if on {
            for base in [M_SAVE, S_SAVE] {
                let at = base + 0x400 * hart as u64 + save::COUNT as u64;
                let count = side.memory.read_le(at, 4).unwrap() | 7;
                side.memory.write(at, &(count as u32).to_le_bytes()).unwrap();
            }
            let hart = &mut side.harts[hart];
            let status = hart.csr(0x300).unwrap();
            hart.set_csr(0x300, status | 8);
            hart.set_csr(0x304, 0xaaa);
        }
        side.harts[hart].set_line(11, on);
    }

    /// Somewhere in the code, physically.
    pub fn somewhere(&self, rng: &mut Rng) -> u64 {
        (CODE + rng.below(CODE_PAGES * 4096)) & !1
    }

    /// Copies words of the pool into code from outside.
    pub fn dma(&self, side: &Side, from: u64, to: u64, words: u64) {
        let mut bytes = vec![0; words as usize * 4];
        side.memory.read((POOL + from % 0x800 * 2) & !3, &mut bytes).unwrap();
        side.memory.write(to, &bytes).unwrap();
    }
}

/// Page tables while they are made.
struct Tables<'a> {
    ram: &'a mut [u8],
    xlen: u32,
    root: u64,
    next: u64,
}

impl Tables<'_> {
    fn entry(&mut self, vaddr: u64) -> u64 {
        let (levels, bits, size) = if self.xlen == 32 { (2, 10, 4) } else { (3, 9, 8) };
        let mut table = self.root;
        for level in (1..levels).rev() {
            let at = table + (vaddr >> (12 + level * bits) & ((1 << bits) - 1)) * size;
            let place = (at - RAM) as usize;
            let held = u32::from_le_bytes(self.ram[place..place + 4].try_into().unwrap()) as u64;
            table = if held & 1 != 0 {
                held >> 10 << 12
            } else {
                let new = self.next;
                self.next += 0x1000;
                self.ram[place..place + 4].copy_from_slice(&((new >> 2 | 1) as u32).to_le_bytes());
                new
            };
        }
        table + (vaddr >> 12 & ((1 << bits) - 1)) * size
    }

    fn map(&mut self, vaddr: u64, paddr: u64, flags: u64) {
        let place = (self.entry(vaddr) - RAM) as usize;
        self.ram[place..place + 4].copy_from_slice(&((paddr >> 2 | flags) as u32).to_le_bytes());
    }
}
