//! Where compiled code is tempted to do something else than the interpreter: each program runs both ways, with the same outcome.
#![cfg(target_arch = "x86_64")]

mod common;

use common::*;
use cpu_core::{Access, Bus, BusFault, Core, Counter, GuestMemory, Time, Width};

/// A device that writes to the code that accesses it when 0 is stored.
struct Dma {
    memory: GuestMemory,
    /// Address, value if it is a store, time and program counter of each access.
    log: Vec<(u64, u64, u64, u64)>,
    patch: u32,
    attention: bool,
    quiet: bool,
}

impl Bus for Dma {
    fn read(&mut self, who: &Access, paddr: u64, _: Width) -> Result<u64, BusFault> {
        self.log.push((paddr, u64::MAX, who.now.0, who.pc));
        Ok(paddr & 0xff)
    }
    fn write(&mut self, who: &Access, paddr: u64, _: Width, value: u64) -> Result<(), BusFault> {
        self.log.push((paddr, value, who.now.0, who.pc));
        if value == 0 {
            self.memory.write_any(who.pc, &self.patch.to_le_bytes()).unwrap();
            self.attention = !self.quiet;
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

/// A loop counts down by stores to a device, which, at 0, changes the very instruction. Gives the last accesses, where it stopped, and
/// registers.
fn changed(compiled: bool, quiet: bool) -> impl PartialEq + std::fmt::Debug {
    let patch = addi(10, 10, 5);
    let mut rig = Rig::rv64();
    if compiled {
        rig.hart.set_backend(Some(Box::new(cpu_jit_x64::X64::new(1 << 20).unwrap())), 1);
    }
    rig.code(
        CODE,
        &[
            addi(5, 5, -1),
            sw(6, 5, 0),
            branch(1, 5, 0, -8),
            addi(7, 7, 1),
            lw(8, 6, 0x20),
            addi(9, 9, 1),
            jal(0, 0),
        ],
    );
    rig.hart.set_pc(CODE);
    rig.hart.set_x(5, 40);
    rig.hart.set_x(6, DEVICE);
    let mut bus = Dma { memory: rig.memory.clone(), log: vec![], patch, attention: false, quiet };
    let ran = rig.hart.run(&mut bus, Time::ZERO, 400);
    let x: Vec<u64> = (5..12).map(|r| rig.hart.x(r)).collect();
    let log = bus.log.split_off(38);
    (log, rig.hart.pc() - CODE, x, format!("{ran:?}"))
}

#[test]
fn a_store_that_changes_its_own_instruction_is_done_once_and_to_its_end() {
    for quiet in [false, true] {
        assert_eq!(changed(false, quiet), changed(true, quiet), "quiet: {quiet}");
    }
}

const MENVCFG: u16 = 0x30a;
const SATP: u16 = 0x180;
const ADUE: u64 = 1 << 61;

/// A device in a large page, and a fence of an address in that page: what else is forgotten is the same.
#[test]
fn a_fence_beside_a_device_in_a_large_page() {
    const BIG: u64 = 0x4000_0000;
    const HERE: u64 = 0x40_0000;
    let run = |compiled: bool| {
        let mut rig = Rig::rv64();
        rig.hart.set_csr(MENVCFG, ADUE);
        rig.map(CODE, CODE, V | R | W | X | A | D, 0);
        rig.hart.set_csr(SATP, rig.satp());
        let entry = rig.map(HERE, DATA, V | R | W, 0);
        rig.map(BIG, DEVICE, V | R | W | A | D, 1);
        if compiled {
            rig.hart.set_backend(Some(Box::new(cpu_jit_x64::X64::new(1 << 20).unwrap())), 1);
        }
        rig.code(
            CODE,
            &[ld(7, 5, 0), lw(8, 6, 0), jal(0, 4), addi(1, 1, 1), jal(0, 4), ld(7, 5, 8), jal(0, 0)],
        );
        rig.enter(1, 0);
        rig.hart.set_x(5, HERE);
        rig.hart.set_x(6, BIG);
        rig.run(400);
        let held = rig.memory.read_le(entry, 8).unwrap();
        assert!(held & A != 0);
        rig.memory.write(entry, &(held & !A).to_le_bytes()).unwrap();
        rig.hart.fence_translations(Some(BIG + 0x1000), None);
        rig.hart.set_pc(CODE + 20);
        rig.run(1);
        rig.memory.read_le(entry, 8).unwrap() & A
    };
    assert_eq!(run(false), run(true));
}

/// A call of the instruction behind it closes a loop; a return goes to its head, too.
#[test]
fn a_return_to_the_head_of_a_loop() {
    const P: u64 = 0x40_0000;
    const Q: u64 = 0x50_0000;
    let run = |compiled: bool| {
        let mut rig = Rig::rv64();
        rig.map(CODE, CODE, V | R | W | X | A | D, 0);
        rig.map(P, DATA, V | R | W | A | D, 0);
        rig.map(Q, DATA + 0x1000, V | R | A | D, 0);
        rig.hart.set_csr(SATP, rig.satp());
        if compiled {
            rig.hart.set_backend(Some(Box::new(cpu_jit_x64::X64::new(1 << 20).unwrap())), 8);
        }
        rig.code(M_HANDLER, &[jal(0, 0)]);
        let head = CODE + 4;
        rig.code(
            CODE,
            &[
                jal(1, 4),
                sd(5, 6, 0),
                addi(5, 5, 8),
                addi(12, 12, -1),
                branch(1, 12, 0, -16),
                // The other loop.
                ld(7, 8, 0),
                addi(8, 8, 8),
                addi(13, 13, -1),
                branch(1, 13, 0, -12),
                addi(14, 14, -1),
                branch(0, 14, 0, 16),
                addi(5, 9, 0),
                addi(12, 0, 2),
                jalr(0, 1, 0),
                jal(0, 0),
            ],
        );
        rig.enter(1, 0);
        let pass = |rig: &mut Rig, to: u64| {
            for (r, value) in [(5, P), (6, 0xdead), (8, Q), (9, to), (12, 30), (13, 30), (14, 2)] {
                rig.hart.set_x(r, value);
            }
            rig.hart.set_pc(head);
            rig.run(2000);
        };
        for _ in 0..10 {
            pass(&mut rig, P + 0x800);
        }
        pass(&mut rig, Q + 0x800);
        let held = rig.memory.read_le(DATA + 0x1800, 8).unwrap();
        (held, rig.csr(0x342), rig.csr(0x341).wrapping_sub(CODE), rig.hart.pc())
    };
    assert_eq!(run(false), run(true));
}
