//! Whole machines with tiny programs: time, cuts, several cores, reset.

use super::scheduler::Limit;
use super::testing::*;
use super::{Machine, Stop};
use cpu_core::Time;
use cpu_riscv::isa::Id;
use devices_core::{HostOutput, Rng};

const TIMER: u64 = 0x5449_4d45;
const IPI: u64 = 0x73_5049;
const HSM: u64 = 0x48_534d;
const RESET: u64 = 0x5352_5354;
const CONSOLE: u64 = 0x4442_434e;

/// Every hart, started by the first: waits for its timer or an interrupt from another, mixes what it sees into a word
/// of its own, counts in a common word, writes to the serial port, and interrupts the next hart.
fn crowd(harts: i64) -> Program {
    let mut p = Program::default();
    p.addi(S0, A0, 0).addi(S1, 0, 1);
    let body = 24 * 4;
    let here = p.here();
    p.op(Id::Bne, [0, S0, 0], body - here);
    p.addi(T0, 0, harts);
    let here = p.here();
    p.op(Id::Bge, [0, S1, T0], body - here);
    p.addi(A0, S1, 0).li(A1, CODE + body as u64).addi(A2, 0, 0);
    p.sbi(HSM, 0).addi(S1, S1, 1).jump(3 * 4);
    while p.here() < body {
        p.addi(0, 0, 0);
    }
    // s1: the hart's own word; t1: the common one
    p.li(T1, DATA).op(Id::Slli, [S1, S0, 0], 3).op(Id::Add, [S1, S1, T1], 0);
    p.addi(T0, 0, 0x22).op(Id::Csrrw, [0, T0, 0], SIE);
    let again = p.here();
    p.read(A0, TIME).addi(A0, A0, 7).op(Id::Add, [A0, A0, S0], 0).sbi(TIMER, 0);
    p.op(Id::Wfi, [0; 3], 0).read(A0, TIME).read(A1, SIP);
    p.op(Id::Ld, [T0, S1, 0], 8).op(Id::Slli, [A2, T0, 0], 5).op(Id::Sub, [T0, A2, T0], 0);
    p.op(Id::Add, [T0, T0, A0], 0).op(Id::Add, [T0, T0, A1], 0).op(Id::Sd, [0, S1, T0], 8);
    p.addi(T0, 0, 2).op(Id::Csrrc, [0, T0, 0], SIP);
    p.addi(T0, 0, 1).op(Id::AmoaddD, [T0, T1, T0], 0);
    p.li(A0, 0x1000_0000).op(Id::Sb, [0, A0, T0], 0);
    p.addi(A1, S0, 1).addi(T0, 0, harts).op(Id::Blt, [0, A1, T0], 8).addi(A1, 0, 0);
    p.addi(A0, 0, 1).op(Id::Sll, [A0, A0, A1], 0).addi(A1, 0, 0).sbi(IPI, 0);
    p.jump(again);
    p
}

fn result(machine: &Machine) -> (u128, u64, Time) {
    (machine.state_hash(), machine.instructions(), machine.now())
}

#[test]
fn cuts_change_nothing() {
    for harts in [1, 4] {
        let program = crowd(harts);
        let end = Time::from_us(500);
        let mut whole = machine("tv", harts as u32, &program);
        assert_eq!(run_until(&mut whole, end), Stop::Boundary);
        assert!(word(&whole, DATA) > 200, "{} turns", word(&whole, DATA));
        let mut rng = Rng::new(harts as u64, "cuts");
        let mut cut = machine("tv", harts as u32, &program);
        let mut cuts = 0;
        while cut.now() < end {
            let core = rng.next_u64() as usize % harts as usize;
            let count = cut.cores[core].view().instructions() + 1 + rng.next_u64() % 100;
            match cut.round(Limit { instructions: Some((core, count)), time: Some(end) }) {
                Stop::Instructions => {
                    cuts += 1;
                    assert_eq!(cut.cores[core].view().instructions(), count, "exactly there");
                }
                stop => assert_eq!(stop, Stop::Boundary),
            }
        }
        assert!(cuts > 100, "{cuts} cuts");
        assert_eq!(result(&whole), result(&cut), "{harts} harts");
    }
}

#[test]
fn the_timer_interrupts_the_exact_instruction() {
    let mut p = Program::default();
    let handler = 0x100;
    p.li(T0, CODE + handler).op(Id::Csrrw, [0, T0, 0], 0x105);
    p.addi(A0, 0, 100).sbi(TIMER, 0);
    p.addi(T0, 0, 0x20).op(Id::Csrrw, [0, T0, 0], SIE).addi(T0, 0, 2).op(Id::Csrrs, [0, T0, 0], 0x100);
    p.addi(S0, S0, 1).back(1);
    while p.here() < handler as i64 {
        p.addi(0, 0, 0);
    }
    p.back(0);
    let mut machine = machine("tv", 1, &p);
    // 100 ticks of 10 MHz are 10 000 instructions of 1 ns.
    let limit = |count| Limit { instructions: Some((0, count)), time: None };
    assert_eq!(machine.round(limit(10_000)), Stop::Instructions);
    assert!(machine.cores[0].view().pc() < CODE + handler);
    assert_eq!(machine.round(limit(10_001)), Stop::Instructions);
    assert_eq!(machine.cores[0].view().pc(), CODE + handler);
    assert_eq!(machine.cores[0].view().instructions(), 10_001);
}

#[test]
fn a_core_that_falls_asleep_wakes_at_its_timer() {
    let mut p = Program::default();
    p.addi(T0, 0, 0x20).op(Id::Csrrw, [0, T0, 0], SIE).addi(A0, 0, 25).sbi(TIMER, 0);
    p.op(Id::Wfi, [0; 3], 0).read(A0, TIME).li(T1, DATA).op(Id::Sd, [0, T1, A0], 0);
    p.back(0);
    let mut machine = machine("tv", 1, &p);
    run_until(&mut machine, Time::from_us(10));
    assert_eq!(word(&machine, DATA), 25);
}

#[test]
fn an_event_behind_the_own_timer_ends_the_round() {
    let mut p = Program::default();
    // stimecmp at 0.1 ms, then the CLINT's mtimecmp at 0.5 ms
    p.li(A0, 1000).sbi(TIMER, 0).li(T1, 0x200_4000).li(T0, 5000).op(Id::Sd, [0, T1, T0], 0);
    p.back(0);
    let mut machine = machine("tv", 1, &p);
    let mut ends = Vec::new();
    while machine.now() < Time::from_ms(1) {
        assert_eq!(machine.round(Limit::default()), Stop::Boundary);
        ends.push(machine.now());
    }
    assert_eq!(ends, [Time::from_us(500), Time::from_ms(1)]);
}

#[test]
fn a_woken_core_has_slept_until_the_interrupt() {
    let mut p = Program::default();
    let other = 0x100;
    p.addi(A0, 0, 1).li(A1, CODE + other).sbi(HSM, 0);
    // long enough for the other to be asleep, and then into the middle of a round
    p.li(T0, 27_777).addi(T0, T0, -1).op(Id::Bne, [0, T0, 0], -4);
    p.read(S0, TIME).li(T1, DATA).op(Id::Sd, [0, T1, S0], 0);
    p.addi(A0, 0, 2).addi(A1, 0, 0).sbi(IPI, 0).back(0);
    while p.here() < other as i64 {
        p.addi(0, 0, 0);
    }
    p.addi(T0, 0, 2).op(Id::Csrrw, [0, T0, 0], SIE).op(Id::Wfi, [0; 3], 0);
    p.read(S0, TIME).li(T1, DATA).op(Id::Sd, [0, T1, S0], 8).back(0);
    let mut machine = machine("tv", 2, &p);
    run_until(&mut machine, Time::from_us(200));
    let (sent, seen) = (word(&machine, DATA), word(&machine, DATA + 8));
    assert!(sent > 500, "{sent}");
    assert!(seen == sent || seen == sent + 1, "sent at {sent}, seen at {seen}");
}

#[test]
fn a_reset_starts_the_same_run_again() {
    let mut p = Program::default();
    // Says how often it ran according to RAM, which forgets.
    p.li(T1, DATA).op(Id::Ld, [A0, T1, 0], 0).addi(A0, A0, 0x41).op(Id::Sd, [0, T1, A0], 0);
    p.sbi(CONSOLE, 2).addi(A0, 0, 1).addi(A1, 0, 0).sbi(RESET, 0);
    let mut machine = machine("tv", 2, &p);
    const FLASH: u64 = 0x2000_0000;
    let flash = crate::load::Segment { addr: FLASH, bytes: b"old".to_vec(), zeroes: 0 };
    machine.plan.segments.push(flash);
    super::boot::apply(&mut machine, super::boot::Power::On);
    for _ in 0..3 {
        let before = machine.instructions();
        assert_eq!(run_until(&mut machine, Time::from_ms(100)), Stop::Reset);
        assert_eq!(machine.instructions() - before, (p.here() / 4) as u64);
        machine.bus.services.memory.write_any(FLASH, b"new").unwrap();
        machine.reset();
        assert_eq!(word(&machine, DATA), 0);
        assert_eq!(
            machine.bus.services.memory.read_le(FLASH, 3).unwrap(),
            0x77_656e,
            "flash keeps its content"
        );
    }
    let console = machine.sbi.as_ref().unwrap().console.unwrap();
    assert_eq!(machine.bus.services.output, [(console, HostOutput::Serial(b"AAA".to_vec()))]);
}

#[test]
fn what_nobody_answers_is_told_once() {
    let mut p = Program::default();
    // The load faults, and the handler returns to it.
    p.li(T0, CODE + 0x40).op(Id::Csrrw, [0, T0, 0], 0x105).li(T1, 0x4000_0000);
    p.op(Id::Lw, [T0, T1, 0], 0);
    while p.here() < 0x40 {
        p.addi(0, 0, 0);
    }
    p.op(Id::Sret, [0; 3], 0);
    let mut machine = machine("tv", 1, &p);
    run_until(&mut machine, Time::from_ms(2));
    assert!(machine.bus.unmapped_count > 1000);
    let messages = machine.log.take();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("0x40000000"), "{messages:?}");
}
