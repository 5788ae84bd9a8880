//! What holds for any program: nothing panics, the way a run is cut is invisible, and a saved hart goes on the same.

mod common;

use common::*;
use cpu_core::{Core, Exit, GuestMemory, Time};
use cpu_riscv::isa::{self, Features};
use cpu_riscv::{Hart, Mmu};

/// xorshift64*: any seed but zero.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A register value that is often an address or a corner.
    fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.next(),
            1 => self.next() as i32 as u64,
            2 => [0, 1, u64::MAX, 1 << 63, 0x8000_0000, 0x7fff_ffff][self.below(6) as usize],
            3 => DEVICE + self.below(0x1000),
            4 => CODE + self.below(0x800),
            _ => DATA + self.below(0x2000),
        }
    }
}

/// Every CSR that a hart here has, from asking.
fn csr_numbers(rig: &Rig) -> Vec<u16> {
    (0..0x1000).filter(|number| rig.hart.csr(*number).is_some()).collect()
}

/// A rig with random code, registers and CSRs.
fn scene(seed: u64, rv32: bool) -> Rig {
    let mut rng = Rng(seed * 2 + 1);
    rng.next();
    let mut rig = if rv32 { Rig::rv32() } else { Rig::rv64() };
    let features = rig.hart.config().extensions;
    // The code page and the handlers: mostly valid instructions, some noise.
    for (from, to) in [(RAM + 0x100, RAM + 0x280), (CODE, CODE + 0x900)] {
        let mut at = from;
        while at < to {
            let word = match rng.below(16) {
                0 => Some(rng.next() as u32),
                _ => isa::random(&mut || rng.next(), &features),
            };
            let word = word.unwrap_or(NOP);
            let len = if word & 3 == 3 { 4 } else { 2 };
            rig.memory.write(at, &word.to_le_bytes()[..len as usize]).unwrap();
            at += len;
        }
    }
    // Identity gigapage, a user page and a read-only one.
    if rv32 {
        rig.map(RAM, RAM, V | R | W | X | A | D, 1);
    } else {
        rig.map(RAM, RAM, V | R | W | X | A | D, 2);
    }
    rig.map(0x40_0000, DATA, V | R | W | X | U | A, 0);
    rig.map(0x40_1000, DATA + 0x1000, V | R | U, 0);
    let numbers = csr_numbers(&rig);
    for _ in 0..rng.below(20) {
        let number = numbers[rng.below(numbers.len() as u64) as usize];
        let value = rng.value();
        rig.hart.set_csr(number, value);
    }
    if rng.below(2) == 0 {
        let satp = rig.satp();
        rig.hart.set_csr(0x180, satp);
        rig.hart.set_csr(0x30a, rng.next());
    }
    if rng.below(4) != 0 {
        // A chance to get anywhere.
        rig.hart.set_csr(0x305, M_HANDLER | rng.below(2));
        rig.hart.set_csr(0x105, S_HANDLER | rng.below(2));
        rig.hart.set_csr(0x3a0, 0x1f);
        rig.hart.set_csr(0x3b0, u64::MAX);
        let status = rig.csr(0x300) & !(3 << 11 | 1 << 17) | rng.below(4) << 11 | 3 << 13;
        rig.hart.set_csr(0x300, status);
        rig.code(RAM + 0x300, &[MRET]);
        rig.hart.set_csr(0x341, CODE + 2 * rng.below(16));
        rig.hart.set_pc(RAM + 0x300);
    }
    for r in 1..32 {
        let value = rng.value();
        rig.hart.set_x(r, value);
        let value = rng.value();
        rig.hart.set_f(r, value);
    }
    rig
}

/// Runs `n` instructions in pieces of what `cut` gives, until sleep or lock-up. Lines change at fixed counts.
fn run(rig: &mut Rig, from: u64, n: u64, mut cut: impl FnMut() -> u64) -> u64 {
    let mut done = from;
    while done < n {
        let next_event = (done / 50 + 1) * 50;
        let ran = rig.run(cut().clamp(1, next_event.min(n) - done));
        assert!(ran.executed > 0 || ran.exit != Exit::Budget);
        done += ran.executed;
        rig.bus.attention = false;
        if done.is_multiple_of(50) && done > 0 {
            rig.hart.set_line([1, 3, 5, 7, 9, 11][(done / 50 % 6) as usize], (done / 300).is_multiple_of(2));
        }
        match ran.exit {
            Exit::Wait | Exit::Lockup => break,
            _ => {}
        }
    }
    done
}

fn content(memory: &GuestMemory) -> Vec<u8> {
    let mut all = vec![0; RAM_SIZE as usize];
    memory.read(RAM, &mut all).unwrap();
    all
}

fn digest(rig: &Rig) -> (Vec<u8>, Vec<(u64, u64, Time)>) {
    (rig.hart.save(), rig.bus.log.clone())
}

#[test]
fn nothing_panics_and_cuts_are_invisible() {
    for seed in 0..150 {
        let rv32 = seed % 3 == 0;
        let mut whole = scene(seed, rv32);
        let mut cut = scene(seed, rv32);
        let n = 600;
        let one = run(&mut whole, 0, n, || u64::MAX);
        let mut rng = Rng(seed + 7);
        let two = run(&mut cut, 0, n, || 1 + rng.below(9));
        assert_eq!(one, two, "seed {seed}: instructions");
        assert_eq!(whole.hart.pc(), cut.hart.pc(), "seed {seed}: pc");
        assert_eq!(digest(&whole), digest(&cut), "seed {seed}: state");
        assert!(content(&whole.memory) == content(&cut.memory), "seed {seed}: memory");
    }
}

/// Each instruction of the tables, between others, with register values that let it do something.
#[test]
fn every_instruction_lifts_to_what_it_does() {
    for rv32 in [false, true] {
        let mut rigs = [(); 2].map(|()| if rv32 { Rig::rv32() } else { Rig::rv64() });
        rigs[1].hart.set_lifted(true);
        let features = rigs[0].hart.config().extensions;
        let mut rng = Rng(77);
        let (mut tried, mut straight) = (0, 0);
        for id in isa::Id::ALL {
            for _ in 0..6 {
                let words: Vec<u32> = [None, None, Some(id), None, Some(id)]
                    .into_iter()
                    .filter_map(|id| match id {
                        Some(id) => isa::random_of(id, &mut || rng.next(), &features),
                        None => isa::random(&mut || rng.next(), &features),
                    })
                    .collect();
                if words.len() != 5 {
                    break;
                }
                let mut code = Vec::new();
                for word in words {
                    code.extend_from_slice(&word.to_le_bytes()[..if word & 3 == 3 { 4 } else { 2 }]);
                }
                let values: Vec<u64> = (0..64)
                    .map(|i| match rng.below(3) {
                        0 if i >= 32 => u64::MAX << 32 | rng.next() & 0xffff_ffff,
                        0 => rng.value(),
                        1 => (DATA + 0x800 + rng.below(64) * 8) & !7,
                        _ => rng.next(),
                    })
                    .collect();
                for rig in &mut rigs {
                    rig.memory.write(CODE, &code).unwrap();
                    rig.hart.reset();
                    for (csr, value) in [(0x305, M_HANDLER), (0x300, 3 << 13 | 3 << 11), (2, values[3] & 3)] {
                        rig.hart.set_csr(csr, value);
                    }
                    for r in 0..32 {
                        rig.hart.set_x(r, values[r as usize]);
                        rig.hart.set_f(r, values[32 + r as usize]);
                    }
                    rig.run(5);
                    rig.bus.attention = false;
                }
                let [plain, lifted] = &rigs;
                tried += 1;
                straight += (plain.hart.pc() >= CODE && plain.hart.pc() < CODE + 0x100) as u32;
                assert_eq!(plain.hart.pc(), lifted.hart.pc(), "{} in {code:02x?}", id.name());
                assert_eq!(digest(plain), digest(lifted), "{} in {code:02x?}", id.name());
                let data = |rig: &Rig| {
                    let mut bytes = vec![0; 0x2000];
                    rig.memory.read(DATA, &mut bytes).unwrap();
                    bytes
                };
                assert!(data(plain) == data(lifted), "{} in {code:02x?}: memory", id.name());
            }
        }
        assert!(tried > 1000 && straight > tried / 4, "{straight} of {tried} ran straight");
    }
}

#[test]
fn what_is_lifted_means_what_is_run() {
    for seed in 2000..2250 {
        let rv32 = seed % 2 == 0;
        let mut plain = scene(seed, rv32);
        let mut lifted = scene(seed, rv32);
        lifted.hart.set_lifted(true);
        for n in [20, 40, 150, 400] {
            let done = |rig: &Rig| rig.hart.instructions();
            let (one, two) = (done(&plain), done(&lifted));
            let one = run(&mut plain, one, n, || u64::MAX);
            let two = run(&mut lifted, two, n, || u64::MAX);
            assert_eq!((one, plain.hart.pc()), (two, lifted.hart.pc()), "seed {seed}, {n} instructions");
            for r in 0..32 {
                assert_eq!(plain.hart.x(r), lifted.hart.x(r), "seed {seed}, {n} instructions: x{r}");
                assert_eq!(plain.hart.f(r), lifted.hart.f(r), "seed {seed}, {n} instructions: f{r}");
            }
            assert_eq!(digest(&plain), digest(&lifted), "seed {seed}, {n} instructions");
            if one < n {
                break;
            }
        }
        assert!(content(&plain.memory) == content(&lifted.memory), "seed {seed}: memory");
    }
}

#[test]
fn a_saved_hart_goes_on_the_same() {
    for seed in 1000..1080 {
        let rv32 = seed % 3 == 0;
        let mut straight = scene(seed, rv32);
        let half = run(&mut straight, 0, 300, || u64::MAX);
        let saved = straight.hart.save();
        let mut other = scene(seed + 1, rv32);
        other.memory.write(RAM, &content(&straight.memory)).unwrap();
        other.hart.restore(&saved).unwrap();
        other.now = straight.now;
        other.bus.log = straight.bus.log.clone();
        assert_eq!(other.hart.save(), saved);
        if half == 300 {
            let one = run(&mut straight, half, 600, || u64::MAX);
            let two = run(&mut other, half, 600, || 13);
            assert_eq!((one, digest(&straight)), (two, digest(&other)), "seed {seed}");
            assert!(content(&straight.memory) == content(&other.memory), "seed {seed}: memory");
        }
    }
}

#[test]
fn a_damaged_state_is_refused_or_harmless() {
    let rig = scene(5, false);
    let saved = rig.hart.save();
    assert!(scene(5, true).hart.restore(&saved).is_err(), "another width");
    let mut rng = Rng(99);
    for _ in 0..300 {
        let mut bytes = saved.clone();
        let place = rng.below(bytes.len() as u64) as usize;
        bytes[place] ^= rng.next() as u8;
        bytes.truncate(bytes.len() - rng.below(3) as usize);
        let mut other = scene(5, false);
        if other.hart.restore(&bytes).is_ok() {
            run(&mut other, 0, 20, || u64::MAX);
        }
    }
}

#[test]
fn raw_noise_runs() {
    for seed in 0..120 {
        let mut rng = Rng(seed + 1);
        let extensions: Vec<&str> =
            ALL.into_iter().filter(|_| rng.below(4) != 0).chain(["i", "a", "f", "zicsr", "c"]).collect();
        let mmu = [Mmu::None, Mmu::Bare, Mmu::Sv39, Mmu::Sv57][rng.below(4) as usize];
        let base = ["rv32i", "rv64i"][rng.below(2) as usize];
        let mut rig = Rig::new(config(base, &extensions, mmu));
        let noise: Vec<u8> = (0..0x1000).map(|_| rng.next() as u8).collect();
        for place in [RAM, CODE, DATA] {
            rig.memory.write(place, &noise).unwrap();
        }
        for number in 0..0x1000 {
            if rng.below(3) == 0 {
                let value = rng.value();
                rig.hart.set_csr(number, value);
            }
        }
        run(&mut rig, 0, 400, || 400);
        let Hart { .. } = &rig.hart;
        assert!(!rig.hart.describe().is_empty());
        assert!(rig.hart.config().extensions.contains(Features::I));
        for index in 0..rig.hart.registers().len() {
            let value = rig.hart.register(index);
            rig.hart.set_register(index, value.unwrap_or(0) ^ rng.next() as u128);
        }
        rig.hart.reset();
        assert_eq!(rig.hart.pc(), CODE);
    }
}
