//! Random code with random surroundings, among it what no compiler makes: nothing panics or hangs, and the state does not depend
//! on how a run is cut, on breakpoints or saving, nor on whether instructions are interpreted, recorded or compiled. `SOUP_SEED`
//! and `SOUP_SCENES` choose what is tried.
#![cfg(target_arch = "x86_64")]

#[path = "../../../tests/diff/src/rng.rs"]
mod rng;

use cpu_armm::isa::{self, Id, flags};
use cpu_armm::{ArmConfig, ArmCore};
use cpu_core::{
    Access, Bus, BusFault, Core, Counter, Exit, GuestMemory, MemoryKind, RegionSpec, Time, Width,
};
use cpu_jit_x64::X64;
use rng::Rng;

const CODE_SIZE: u64 = 0x4000;
const RAM: u64 = 0x2000_0000;
const RAM_SIZE: u64 = 0x2000;

/// Answers below 0x40001000, by address and time.
struct Device {
    written: u64,
    /// It wants the core to return: a sixteenth of all accesses do.
    wants: bool,
    memory: GuestMemory,
}

impl Device {
    fn note(&mut self, what: u64) {
        self.written = self.written.rotate_left(7) ^ what;
        self.wants |= what.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0;
    }
}

impl Bus for Device {
    fn read(&mut self, who: &Access, paddr: u64, width: Width) -> Result<u64, BusFault> {
        if paddr >> 12 != 0x4_0000 {
            return Err(BusFault { paddr });
        }
        self.note(paddr ^ who.now.0 ^ who.pc << 32);
        Ok((paddr ^ who.now.0 ^ self.written).wrapping_mul(0x9e37_79b9) & width.mask())
    }

    fn write(&mut self, who: &Access, paddr: u64, _: Width, value: u64) -> Result<(), BusFault> {
        if paddr >> 12 != 0x4_0000 {
            return Err(BusFault { paddr });
        }
        self.note(paddr ^ value << 20 ^ who.now.0 ^ who.pc << 32);
        if paddr & 0xf00 == 0x800 {
            // Into code, most often that of the very instruction.
            let at = if value & 3 != 0 { who.pc } else { (value % CODE_SIZE) & !1 };
            let _ = self.memory.write(at, &(value as u16).to_le_bytes());
        }
        Ok(())
    }

    fn attention(&self) -> bool {
        self.wants
    }

    fn counter(&self) -> Counter {
        Counter { hz: 1_000_000, offset: 0 }
    }
}

/// What runs the instructions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Tier {
    Interpreted,
    Recorded,
    /// Once they have run so often.
    Compiled {
        hot: u32,
    },
}

struct Side {
    core: ArmCore,
    memory: GuestMemory,
    bus: Device,
    now: Time,
    /// The longest run; 0 for any.
    cut: u64,
    cuts: Rng,
}

impl Side {
    fn new(config: ArmConfig, cut: u64, tier: Tier) -> Side {
        let region =
            |name: &str, base, size| RegionSpec { name: name.into(), base, size, kind: MemoryKind::Ram };
        let memory =
            GuestMemory::new(vec![region("code", 0, CODE_SIZE), region("ram", RAM, RAM_SIZE)]).unwrap();
        let mut core = ArmCore::new(config, memory.clone());
        core.set_lifted(tier == Tier::Recorded);
        if let Tier::Compiled { hot } = tier {
            core.set_backend(Some(Box::new(X64::new(4 << 20).unwrap())), hot);
        }
        let bus = Device { written: 0, wants: false, memory: memory.clone() };
        Side { core, memory, bus, now: Time::ZERO, cut, cuts: Rng::new(cut) }
    }

    fn prepare(&mut self, contents: &[(u64, Vec<u8>)], seed: u64) {
        for (at, bytes) in contents {
            self.memory.write(*at, bytes).unwrap();
        }
        self.core.reset();
        self.bus.written = 0;
        self.now = Time::ZERO;
        let mut rng = Rng::new(seed);
        for r in 0..13 {
            let value = match rng.below(8) {
                0 => rng.next() as u32,
                1 => rng.below(64) as u32,
                2 => 0xe000_e000 + rng.below(0x1000) as u32,
                3 => 0x4000_0000 + rng.below(0x1008) as u32,
                4 => rng.below(CODE_SIZE) as u32,
                5 => 0x2200_0000 + rng.below(0x4_0000) as u32,
                _ => (RAM + rng.below(RAM_SIZE)) as u32 & !3,
            };
            self.core.set_r(r, value);
        }
        self.core.set_apsr(rng.next() as u32);
        if self.core.config().fpu && rng.below(2) == 0 {
            self.core.enable_fpu();
        }
    }

    /// Runs `n` instructions, or until the core stops.
    fn run(&mut self, n: u64) -> (u64, Exit) {
        let mut left = n;
        loop {
            let budget = match self.cut {
                0 => 1 + self.cuts.below(40),
                cut => cut,
            };
            let budget = budget.min(left);
            self.bus.wants = false;
            let ran = self.core.run(&mut self.bus, self.now, budget);
            assert!(ran.executed <= budget);
            left -= ran.executed;
            self.now = Time(self.now.0 + ran.executed * self.core.period().0);
            match ran.exit {
                Exit::Breakpoint => self.core.step_over_breakpoint(),
                // Where it stopped for attention is the same in every tier.
                Exit::Attention => self.bus.written ^= self.now.0,
                Exit::Budget if left > 0 => {
                    assert!(ran.executed > 0, "a run has to get on");
                }
                exit => return (n - left, exit),
            }
        }
    }

    fn contents(&self) -> Vec<u8> {
        let mut data = vec![0; (CODE_SIZE + RAM_SIZE) as usize];
        let (code, ram) = data.split_at_mut(CODE_SIZE as usize);
        self.memory.read(0, code).unwrap();
        self.memory.read(RAM, ram).unwrap();
        data
    }
}

/// Vectors that lead into the code, code, and data.
fn contents(rng: &mut Rng, config: &ArmConfig) -> Vec<(u64, Vec<u8>)> {
    let features = config.features();
    let available: Vec<Id> = Id::ALL.into_iter().filter(|id| id.available(&features)).collect();
    let mut code: Vec<u8> = Vec::new();
    let stack = RAM as u32 + 0x1000;
    code.extend(stack.to_le_bytes());
    code.extend(0x101u32.to_le_bytes());
    for _ in 2..48 {
        let odd = (rng.below(20) != 0) as u32;
        code.extend((0x100 + 2 * rng.below(0x600) as u32 + odd).to_le_bytes());
    }
    code.resize(0x100, 0);
    // Enables the faults and interrupts 16 to 18: ldr r0, =SHCSR; ldr r1, =0x70000; str r1, [r0]; ldr r0, =NVIC_ISER0;
    // str r1, [r0]; b behind the literals.
    for half in [0x4802u16, 0x4903, 0x6001, 0x4803, 0x6001, 0xe009] {
        code.extend(half.to_le_bytes());
    }
    for word in [0xe000_ed24u32, 0x0007_0000, 0xe000_e100] {
        code.extend(word.to_le_bytes());
    }
    code.resize(0x120, 0);
    while code.len() < CODE_SIZE as usize - 8 {
        let mut id = rng.pick(&available);
        // Most addresses fault.
        for _ in 0..3 {
            if id.flags() & (flags::LOAD | flags::STORE) != 0 {
                id = rng.pick(&available);
            }
        }
        if config.is_v7m() && rng.below(16) == 0 {
            // A register shifted both ways: lsl.w rd, rm, #by; orr.w or eor.w rd, rd, rm, lsr #(32 - by).
            let (rd, rm, by) = (rng.below(8) as u16, rng.below(8) as u16, 1 + rng.below(31) as u16);
            let operands = |by: u16, kind: u16| (by >> 2) << 12 | rd << 8 | (by & 3) << 6 | kind << 4 | rm;
            let both = rng.pick(&[0xea40, 0xea80]) | rd;
            for half in [0xea4f, operands(by, 0), both, operands(32 - by, 1)] {
                code.extend(half.to_le_bytes());
            }
            continue;
        }
        if config.is_v7m() && rng.below(16) == 0 {
            // A register made in one way or the other, with 16-bit instructions: ite or itt, then lsrs, adds or mvns of it.
            let (r, cond) = (rng.below(8) as u16, rng.below(14) as u16);
            let other = if rng.below(4) == 0 { cond & 1 } else { !cond & 1 };
            code.extend((0xbf04 | cond << 4 | other << 3).to_le_bytes());
            for _ in 0..2 {
                let from = if rng.below(3) == 0 { rng.below(8) as u16 } else { r };
                let by = rng.below(32) as u16;
                let half = rng.pick(&[0x0800 | by << 6, 0x1800 | (by & 7) << 6, 0x43c0]) | from << 3 | r;
                code.extend(half.to_le_bytes());
            }
            continue;
        }
        let word = match rng.below(12) {
            // IT, so that there is enough of it.
            0 if config.is_v7m() => 0xbf01 + rng.below(0xdf) as u32,
            1 => rng.next() as u32 & 0xffff,
            // Calls and returns, so that exceptions nest and end.
            2 | 3 => 0x4770,
            _ => isa::random_of(id, &mut || rng.next(), &features).unwrap_or(0xbf00),
        };
        if word >> 16 != 0 {
            code.extend(((word >> 16) as u16).to_le_bytes());
        }
        code.extend((word as u16).to_le_bytes());
    }
    code.resize(CODE_SIZE as usize, 0);
    let data = (0..RAM_SIZE / 8).flat_map(|_| rng.next().to_le_bytes()).collect();
    vec![(0, code), (RAM, data)]
}

fn soup(config: ArmConfig) {
    let mut sides = [
        Side::new(config.clone(), 1, Tier::Interpreted),
        Side::new(config.clone(), 0, Tier::Interpreted),
        Side::new(config.clone(), 1000, Tier::Recorded),
        Side::new(config.clone(), 1000, Tier::Compiled { hot: 0 }),
        Side::new(config.clone(), 0, Tier::Compiled { hot: 3 }),
    ];
    let seed = Rng::from_env("SOUP_SEED", 1);
    for scene in 0..Rng::from_env("SOUP_SCENES", 300) {
        let mut rng = Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(scene));
        let contents = contents(&mut rng, &config);
        let registers = rng.next();
        for side in &mut sides {
            side.prepare(&contents, registers);
        }
        let stops: Vec<u64> = (0..200).map(|_| 0x100 + 2 * rng.below(0x600)).collect();
        sides[1].core.set_breakpoints(&stops);
        sides[4].core.set_breakpoints(&stops);
        for step in 0..24 {
            let n = 1 + rng.below(60);
            let what = format!("{:?} seed {seed} scene {scene} step {step}", config.architecture);
            let ran = sides.each_mut().map(|side| side.run(n));
            assert!(ran.iter().all(|other| *other == ran[0]), "{what}: {ran:?}");
            let saved = sides.each_ref().map(|side| side.core.save());
            if !saved.iter().all(|state| *state == saved[0]) {
                let show = |side: &Side| {
                    let registers: Vec<u32> = (0..15).map(|r| side.core.r(r)).collect();
                    format!("{registers:x?} pc {:#x} xpsr {:#x}", side.core.pc(), side.core.xpsr())
                };
                panic!("{what}\n{}", sides.each_ref().map(show).join("\n"));
            }
            assert!(sides.iter().all(|side| side.bus.written == sides[0].bus.written), "{what}");
            let memory = sides[0].contents();
            assert!(sides.iter().all(|side| side.contents() == memory), "{what}");
            match ran[0].1 {
                Exit::Lockup => break,
                Exit::Wait => {
                    let now = sides[0].now;
                    let next = sides[0].core.deadline(now, sides[0].bus.counter());
                    let later = Time(now.0 + 1_000_000).min(next.max(Time(now.0 + 1)));
                    sides.iter_mut().for_each(|side| side.now = later);
                }
                _ => {}
            }
            for side in [1, 4] {
                sides[side].core.restore(&saved[0]).unwrap();
            }
            let (line, level) = (14 + rng.below(6) as u32, rng.below(2) == 0);
            sides.iter_mut().for_each(|side| side.core.set_line(line, level));
        }
    }
}

#[test]
fn random_code_means_the_same_however_it_is_run_on_a_cortex_m4() {
    soup(ArmConfig { bit_band: true, ..ArmConfig::cortex_m4f() });
}

#[test]
fn random_code_means_the_same_however_it_is_run_on_a_cortex_m0() {
    soup(ArmConfig::cortex_m0());
}
