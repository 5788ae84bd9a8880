//! Recorded meanings against interpreted ones, on every instruction with random operands and surroundings: the same state and
//! memory behind each run, faults and their status registers included. `LOCKSTEP_ROUNDS` says how often each is tried,
//! `LOCKSTEP_SEED` with what.

#[path = "../../../tests/diff/src/rng.rs"]
mod rng;

use cpu_armm::isa::{self, Id, flags};
use cpu_armm::{ArmConfig, ArmCore};
use cpu_core::{Core, EmptyBus, GuestMemory, MemoryKind, RegionSpec, Time};
use cpu_jit_x64::X64;
use rng::Rng;

const CODE: u64 = 0x1000;
const RAM: u64 = 0x2000_0000;
const RAM_SIZE: u64 = 0x4000;

/// Instructions of one scene.
const LENGTH: usize = 12;

/// What runs the instructions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Tier {
    Interpreted,
    Recorded,
    Compiled,
}

struct Side {
    core: ArmCore,
    memory: GuestMemory,
}

impl Side {
    fn new(config: ArmConfig, tier: Tier) -> Side {
        let region =
            |name: &str, base, size| RegionSpec { name: name.into(), base, size, kind: MemoryKind::Ram };
        let memory = GuestMemory::new(vec![region("code", 0, 0x2000), region("ram", RAM, RAM_SIZE)]).unwrap();
        let mut core = ArmCore::new(config, memory.clone());
        core.set_lifted(tier == Tier::Recorded);
        if tier == Tier::Compiled {
            core.set_backend(Some(Box::new(X64::new(4 << 20).unwrap())), 0);
        }
        Side { core, memory }
    }

    /// Registers and memory as the seed says.
    fn prepare(&mut self, code: &[u8], seed: u64) {
        let mut rng = Rng::new(seed);
        self.core.reset();
        let mut vectors = Vec::new();
        for n in 0..16u32 {
            let word = if n == 0 { RAM as u32 + RAM_SIZE as u32 - 64 } else { CODE as u32 + 0x801 };
            vectors.extend(word.to_le_bytes());
        }
        self.memory.write(0, &vectors).unwrap();
        let data: Vec<u8> = (0..RAM_SIZE / 8).flat_map(|_| rng.next().to_le_bytes()).collect();
        self.memory.write(RAM, &data).unwrap();
        self.memory.write(CODE, code).unwrap();
        // Handlers: WFI for ever.
        self.memory.write(CODE + 0x800, &[0x30, 0xbf, 0xfd, 0xe7]).unwrap();
        for r in 0..13 {
            let value = match rng.below(4) {
                0 => rng.next() as u32,
                1 => rng.below(64) as u32,
                _ => (RAM as u32 + rng.below(RAM_SIZE) as u32) & !3,
            };
            self.core.set_r(r, value);
        }
        self.core.set_r(14, CODE as u32 + 0x801);
        self.core.set_pc(CODE as u32);
        self.core.set_apsr(rng.next() as u32);
        if self.core.config().fpu {
            self.core.enable_fpu();
            for s in 0..32 {
                self.core.set_s(s, rng.next() as u32);
            }
        }
    }

    fn contents(&self) -> Vec<u8> {
        let mut data = vec![0; RAM_SIZE as usize];
        self.memory.read(RAM, &mut data).unwrap();
        data
    }
}

/// The bytes of an instruction in memory.
fn bytes(id: Id, word: u32) -> Vec<u8> {
    match id.len() {
        2 => (word as u16).to_le_bytes().to_vec(),
        _ => [(word >> 16) as u16, word as u16].iter().flat_map(|half| half.to_le_bytes()).collect(),
    }
}

fn all_instructions(config: ArmConfig) {
    let rounds = Rng::from_env("LOCKSTEP_ROUNDS", 12);
    let mut sides =
        [Tier::Interpreted, Tier::Recorded, Tier::Compiled].map(|tier| Side::new(config.clone(), tier));
    let features = config.features();
    let mut rng = Rng::new(Rng::from_env("LOCKSTEP_SEED", 1));
    let straight: Vec<Id> = Id::ALL
        .into_iter()
        .filter(|id| id.available(&features))
        .filter(|id| id.flags() & (flags::JUMP | flags::BRANCH | flags::SYSTEM | flags::IF_THEN) == 0)
        .collect();
    let conditional: Vec<Id> = Id::ALL
        .into_iter()
        .filter(|id| id.available(&features) && id.flags() & flags::IF_THEN != 0)
        .collect();
    for id in Id::ALL.into_iter().filter(|id| id.available(&features)) {
        for round in 0..rounds {
            let mut code = Vec::new();
            let mut texts = Vec::new();
            let place = rng.below(LENGTH as u64) as usize;
            for i in 0..LENGTH {
                let id = match rng.below(8) {
                    _ if i == place => id,
                    0 if !conditional.is_empty() => rng.pick(&conditional),
                    _ => rng.pick(&straight),
                };
                let word = isa::random_of(id, &mut || rng.next(), &features).unwrap();
                texts.push(format!("{} {word:#x}", id.name()));
                code.extend(bytes(id, word));
            }
            code.extend([0xfe, 0xe7]);
            let seed = rng.next();
            for side in &mut sides {
                side.prepare(&code, seed);
            }
            for step in 0..3 {
                let ran = sides
                    .each_mut()
                    .map(|side| side.core.run(&mut EmptyBus, Time(step * 1_000_000), 2 * LENGTH as u64));
                let why = || format!("{} round {round} step {step}: {texts:#?}", id.name());
                let [reference, others @ ..] = &sides;
                for (other, tier) in others.iter().zip(["recorded", "compiled"]) {
                    let show = |side: &Side| {
                        let registers: Vec<_> = (0..15).map(|r| side.core.r(r)).collect();
                        format!("{registers:x?} pc {:#x} xpsr {:#x}", side.core.pc(), side.core.xpsr())
                    };
                    assert!(
                        ran.iter().all(|other| *other == ran[0])
                            && reference.core.save() == other.core.save()
                            && reference.contents() == other.contents(),
                        "{tier}: {}\n{ran:?}\n{}\n{}",
                        why(),
                        show(reference),
                        show(other),
                    );
                }
            }
        }
    }
}

#[test]
fn recorded_and_interpreted_agree_on_every_instruction_of_a_cortex_m4() {
    all_instructions(ArmConfig::cortex_m4f());
}

#[test]
fn recorded_and_interpreted_agree_on_every_instruction_of_a_cortex_m0() {
    all_instructions(ArmConfig::cortex_m0());
}
