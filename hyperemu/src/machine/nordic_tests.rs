//! nRF chips under a program that does step by step what a table in flash says.

use super::jit::JitMode;
use super::testing::run_until;
use super::{Machine, Stop, UnimplementedPolicy, boot};
use crate::cli::BoardArgs;
use crate::host::resources::HostResources;
use crate::load::Segment;
use crate::machine::boot::{BootPlan, Power, Start};
use crate::machine::build::{self, Options};
use cpu_core::{Access, Bus, Time, Width};

/// Takes steps of three words from 0x100 on: 1, store the third at the second; 2, load from the second and append it to the
/// results, or the third where that faulted; 3, call the second; 4, end if there are bits of the third at the second;
/// 0, end. It ends in WFI. Its fault handler counts, and goes on behind the store, load or call.
#[rustfmt::skip]
const PROGRAM: [u16; 50] = [
    0x1000, 0x2000, 0x0011, 0x0000, 0x0000, 0x0000, 0x0041, 0x0000, 0x4d11, 0x4c12, 0xcc07, 0x2801,
    0xd007, 0x2802, 0xd007, 0x2803, 0xd008, 0x2804, 0xd008, 0xbf30, 0xe7fd, 0x600a, 0xe7f2, 0x680a,
    0xc504, 0xe7ef, 0x4788, 0xe7ed, 0x680b, 0x4213, 0xd0ea, 0xe7f2, 0x4b07, 0x6818, 0x3001, 0x6018,
    0x9806, 0x3002, 0x0a03, 0xd001, 0x9805, 0x3801, 0x9006, 0x4770, 0x0100, 0x2000, 0x0100, 0x0000,
    0x0000, 0x2000,
];

const STEPS: u64 = 0x100;
const FAULTS: u64 = 0x2000_0000;
const RESULTS: u64 = 0x2000_0100;
/// The result of a load that faulted.
const FAULTED: u32 = 0xbad0_bad0;
/// `bx lr`, twice.
const RETURN: u32 = 0x4770_4770;

const RESETREAS: u32 = 0x4000_0400;

enum Step {
    Write(u32, u32),
    Read(u32),
    Call(u32),
    EndIf(u32, u32),
}

use Step::*;

fn image(steps: &[Step]) -> Vec<Segment> {
    let program = PROGRAM.iter().flat_map(|half| half.to_le_bytes()).collect();
    let words = steps.iter().flat_map(|step| match *step {
        Write(address, value) => [1, address, value],
        Read(address) => [2, address, FAULTED],
        Call(address) => [3, address | 1, 0],
        EndIf(address, bits) => [4, address, bits],
    });
    let table = words.chain([0; 3]).flat_map(u32::to_le_bytes).collect();
    [(0, program), (STEPS, table)].map(|(addr, bytes)| Segment { addr, bytes, zeroes: 0 }).into()
}

/// A board with the steps and further words of flash.
fn machine(board: &str, mode: JitMode, steps: &[Step], flash: &[(u32, u32)]) -> Machine {
    let board = BoardArgs::default().compile(board).unwrap();
    let mut resources = HostResources::default();
    let policy = UnimplementedPolicy::Warn;
    let options =
        Options { seed: 1, policy, builtin_sbi: false, semihosting: false, resources: &mut resources };
    let mut machine = build::build(&board, options).unwrap();
    machine.set_jit(mode, 1 << 20).unwrap();
    let mut segments = image(steps);
    let word = |&(addr, word): &(u32, u32)| (u64::from(addr), word.to_le_bytes().to_vec());
    segments.extend(flash.iter().map(word).map(|(addr, bytes)| Segment { addr, bytes, zeroes: 0 }));
    machine.plan = BootPlan { segments, start: Start::Vectors { table: 0 } };
    boot::apply(&mut machine, Power::On);
    machine
}

fn word(machine: &Machine, addr: u64) -> u32 {
    machine.bus.services.memory.read_le(addr, 4).unwrap() as u32
}

/// A register, as the core would read it.
fn register(machine: &mut Machine, addr: u32) -> u32 {
    let who = Access { core: 0, now: machine.now(), pc: 0 };
    machine.bus.read(&who, addr.into(), Width::B4).unwrap() as u32
}

fn results<const N: usize>(machine: &Machine) -> [u32; N] {
    std::array::from_fn(|n| word(machine, RESULTS + 4 * n as u64))
}

fn run(machine: &mut Machine, span: Time) {
    let end = machine.now().saturating_add(span);
    assert_eq!(run_until(machine, end), Stop::Boundary);
}

/// Runs `steps` interpreted and compiled, which is the same.
fn finished(board: &str, steps: &[Step], flash: &[(u32, u32)]) -> Machine {
    let [interpreted, compiled] = [JitMode::Off, JitMode::Sync].map(|mode| {
        let mut machine = machine(board, mode, steps, flash);
        run(&mut machine, Time::from_ms(2));
        machine
    });
    assert_eq!(interpreted.state_hash(), compiled.state_hash());
    compiled
}

const NVMC_CONFIG: u32 = 0x4001_e504;
const ERASE_PAGE: u32 = 0x4001_e508;
const ERASE_ALL: u32 = 0x4001_e50c;

#[test]
fn a_protected_block_is_neither_written_nor_erased() {
    let steps = [
        Write(0x4000_0600, 1 << 8),
        Write(0x4000_0600, 0),
        Write(NVMC_CONFIG, 1),
        Write(0x8ffc, 0),
        Write(0x9000, 0x1234),
        Write(0x7ffc, 0x5678),
        Write(NVMC_CONFIG, 2),
        Write(ERASE_PAGE, 0x8000),
        Write(ERASE_ALL, 1),
        Write(ERASE_PAGE, 0x9000),
        Read(0x4000_0600),
        Read(0x8ffc),
        Read(0x9000),
        Read(0x7ffc),
        Read(0x4000_0640),
    ];
    let machine = finished("nrf52dk", &steps, &[(0x8000, 77)]);
    assert_eq!(results(&machine), [1 << 8, u32::MAX, u32::MAX, 0x5678, 0]);
    assert_eq!((word(&machine, 0x8000), word(&machine, FAULTS)), (77, 3));
}

/// ADDR, SIZE and PERM of an entry of the ACL.
fn entry(n: u32, values: [u32; 3]) -> impl Iterator<Item = Step> {
    (0..).zip(values).map(move |(register, value)| Write(0x4001_e800 + 16 * n + 4 * register, value))
}

#[test]
fn what_the_acl_guards_can_not_be_read_run_or_written() {
    let mut steps = vec![Read(0x1_0000), Call(0x1_0000), Call(0x1_1000), EndIf(RESETREAS, u32::MAX)];
    steps.extend(entry(0, [0x1_0000, 0x1000, 4]));
    steps.extend(entry(0, [0x2_0000, 0x1000, 2]));
    steps.extend(entry(1, [0x1_2000, 0x1000, 2]));
    // What was read and run before is neither any more; a word across the border is not read either.
    steps.extend([Read(0x1_0000), Call(0x1_0000), Read(0x1_0ffe), Read(0x1_1000), Call(0x1_1000)]);
    steps.extend([Read(0x4001_e800), Read(0x4001_e808), Write(NVMC_CONFIG, 1)]);
    steps.extend([Write(0x1_0004, 0), Write(0x1_2000, 0), Read(0x1_2000)]);
    let flash = [(0x1_0000, RETURN), (0x1_1000, RETURN), (0x1_2000, 9)];
    let mut machine = finished("nrf52840dk", &steps, &flash);
    assert_eq!(results(&machine), [RETURN, FAULTED, FAULTED, RETURN, 0x1_0000, 4, 9]);
    assert_eq!((word(&machine, 0x1_0004), word(&machine, FAULTS)), (0, 4));
    machine.reset();
    let faults = word(&machine, FAULTS);
    run(&mut machine, Time::from_ms(2));
    assert_eq!((results(&machine), word(&machine, FAULTS)), ([RETURN], faults), "open again");
}

const GPREGRET: u32 = 0x4000_051c;
const SYSTEM_OFF: u32 = 0x4000_0500;

#[test]
fn system_off_stops_the_chip_until_a_pin_wakes_it() {
    let steps = [
        EndIf(RESETREAS, u32::MAX),
        Write(0x2000_8000, 0x11),
        Write(0x2000_9000, 0x22),
        // RAM4.POWERSET: retain its first section.
        Write(0x4000_0944, 1 << 16),
        Write(GPREGRET, 0x5a),
        // A watchdog of 3 ms, an RTC, and button 1, which is low while pressed.
        Write(0x4001_0504, 100),
        Write(0x4001_0000, 1),
        Write(0x4000_0008, 1),
        Write(0x4000_b000, 1),
        Write(0x5000_0734, 3 << 16 | 3 << 2),
        Write(SYSTEM_OFF, 1),
        Write(0x2000_8004, 0x33),
    ];
    let mut machine = finished("nrf52dk", &steps, &[]);
    let (executed, saved) = (machine.instructions(), machine.cores[0].core().save());
    run(&mut machine, Time::from_ms(50));
    assert_eq!(machine.instructions(), executed);
    let ram = [0x2000_8000, 0x2000_8004, 0x2000_9000];
    assert_eq!(ram.map(|addr| word(&machine, addr)), [0x11, 0, 0]);
    let mut other = self::machine("nrf52dk", JitMode::Off, &[], &[]);
    other.cores[0].core().restore(&saved).unwrap();
    run(&mut other, Time::from_ms(1));
    assert_eq!(other.instructions(), executed, "it is off, too");
    machine.set_control("keys.button1", "on").unwrap();
    let end = machine.now().saturating_add(Time::from_ms(2));
    assert_eq!(run_until(&mut machine, end), Stop::Reset);
    machine.reset();
    run(&mut machine, Time::from_ms(50));
    assert!(machine.instructions() > executed);
    let registers = [RESETREAS, GPREGRET, 0x5000_0734, 0x5000_0520];
    let kept = registers.map(|at| register(&mut machine, at));
    assert_eq!(kept, [1 << 16, 0x5a, 3 << 16 | 3 << 2, 1 << 13]);
    assert_eq!(word(&machine, 0x2000_8000), 0x11);
}

#[test]
fn ram_outlives_resets_and_gpregret_those_by_software() {
    let by_software = Write(0xe000_ed0c, 0x05fa_0004);
    let by_watchdog = Write(0x4001_0000, 1);
    for (reset, reason, gpregret) in [(by_software, 4, 9), (by_watchdog, 2, 0)] {
        let first = [EndIf(RESETREAS, u32::MAX), Write(0x2000_4000, 7), Write(GPREGRET, 9)];
        let steps: Vec<Step> = first.into_iter().chain([Write(0x4001_0504, 100), reset]).collect();
        let mut machine = machine("nrf52dk", JitMode::On, &steps, &[]);
        assert_eq!(run_until(&mut machine, Time::from_ms(10)), Stop::Reset);
        machine.reset();
        run(&mut machine, Time::from_ms(10));
        let registers = [RESETREAS, GPREGRET].map(|at| register(&mut machine, at));
        assert_eq!((registers, word(&machine, 0x2000_4000)), ([reason, gpregret], 7));
    }
}

#[test]
fn the_reset_pin_resets_where_it_is_one() {
    let pselreset = [(0x1000_1200, 21), (0x1000_1204, 21)];
    for (board, flash, resets) in
        [("microbit", &[][..], true), ("nrf52dk", &pselreset, true), ("nrf52dk", &pselreset[1..], false)]
    {
        let mut machine = machine(board, JitMode::Off, &[], flash);
        run(&mut machine, Time::from_ms(1));
        machine.set_control("power.reset", "on").unwrap();
        let stop = run_until(&mut machine, Time::from_ms(3));
        assert_eq!(stop == Stop::Reset, resets, "{board}");
        if resets {
            machine.reset();
            assert_eq!(register(&mut machine, RESETREAS), 1);
        }
    }
}

#[test]
fn a_section_of_ram_that_is_switched_off_forgets() {
    let steps = [
        Write(0x2000_b000, 1),
        Write(0x2000_c000, 2),
        // The nRF52840's RAM5.POWERCLR of the second section; RAM8.POWER with all on but the last.
        Write(0x2003_8000, 3),
        Write(0x4000_0958, 2),
        Write(0x4000_0980, 0x1f),
    ];
    let machine = finished("nrf52840dk", &steps, &[]);
    let words = [0x2000_b000, 0x2000_c000, 0x2003_8000].map(|addr| word(&machine, addr));
    assert_eq!(words, [0, 2, 0]);
}

/// A vector table at 0x400 with a debug monitor that counts at 0x20000010 and switches the FPB off, and a function.
const MONITOR: [(u32, u32); 10] = [
    (0x40c, 0x41),
    (0x430, 0x501),
    (0x500, 0x6801_4803),
    (0x504, 0x6001_3101),
    (0x508, 0x2102_4802),
    (0x50c, 0x4770_6001),
    (0x510, 0x2000_0010),
    (0x514, 0xe000_2000),
    (0x600, 0x3701_2701),
    (0x604, 0x4770_3701),
];
const MONITORED: u64 = 0x2000_0010;
const VTOR: u32 = 0xe000_ed08;
const DEMCR: u32 = 0xe000_edfc;
const DFSR: u32 = 0xe000_ed30;
const MON_EN: u32 = 1 << 16;
const TRCENA: u32 = 1 << 24;

#[test]
fn a_debug_monitor_sees_breakpoints() {
    let steps = [
        Write(VTOR, 0x400),
        Write(DEMCR, MON_EN),
        Call(0x600),
        Read(DFSR),
        // At the second instruction; it is there until the monitor switches it off.
        Write(0xe000_2008, 2 << 30 | 0x600 | 1),
        Call(0x600),
        Read(0xe000_2000),
        Write(0xe000_2000, 3),
        Call(0x600),
        Read(DFSR),
        Read(0xe000_2000),
        Call(0x600),
        // Nobody takes it: a HardFault, whose handler returns to the caller.
        Write(DEMCR, 0),
        Write(0xe000_2000, 3),
        Call(0x600),
        Read(0xe000_ed2c),
    ];
    let machine = finished("nrf52dk", &steps, &MONITOR);
    assert_eq!(results(&machine), [0, 0x60, 2, 0x60, 1 << 31]);
    assert_eq!((word(&machine, MONITORED), word(&machine, FAULTS)), (1, 1));
}

#[test]
fn a_debug_monitor_sees_accesses_to_what_it_watches() {
    const WATCHED: u32 = 0x2000_0040;
    let function = 0xe000_1038;
    let steps = [
        Write(VTOR, 0x400),
        Write(WATCHED, 1),
        Write(0xe000_1030, WATCHED),
        Write(0xe000_1034, 2),
        Write(function, 6),
        // Not before both bits of DEMCR are set.
        Write(WATCHED, 2),
        Write(DEMCR, TRCENA),
        Write(WATCHED, 3),
        Read(DFSR),
        Read(function),
        Write(DEMCR, TRCENA | MON_EN),
        Write(WATCHED + 4, 4),
        Read(WATCHED),
        Read(function),
        Write(WATCHED, 5),
        Read(DFSR),
        Read(function),
        Read(function),
        Write(function, 5),
        Read(WATCHED),
        Write(WATCHED, 6),
        Write(function, 0),
        Read(WATCHED),
    ];
    let machine = finished("nrf52dk", &steps, &MONITOR);
    assert_eq!(results(&machine), [0, 0x0100_0006, 3, 6, 4, 0x0100_0006, 6, 5, 6]);
    assert_eq!((word(&machine, MONITORED), word(&machine, FAULTS)), (2, 0));
}
