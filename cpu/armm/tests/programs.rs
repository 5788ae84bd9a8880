//! Small programs: IT blocks cut anywhere, code that changes, restarts, alignment, bit bands, the monitor, branches that change
//! state.

use cpu_armm::{ArmConfig, ArmCore};
use cpu_core::{
    Access, Bus, BusFault, Core, Counter, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time, Width,
};

const CODE: u64 = 0x1000;
const RAM: u64 = 0x2000_0000;
const STACK: u32 = 0x2000_1f00;

fn machine(config: ArmConfig, code: &[u16]) -> (ArmCore, GuestMemory) {
    let region = |name: &str, base, size| RegionSpec { name: name.into(), base, size, kind: MemoryKind::Ram };
    let memory = GuestMemory::new(vec![region("code", 0, 0x4000), region("ram", RAM, 0x2000)]).unwrap();
    let mut vectors = vec![STACK, CODE as u32 + 1];
    // HardFault and the others: a branch to itself.
    vectors.resize(16, 0x801);
    let bytes: Vec<u8> = vectors.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory.write(0, &bytes).unwrap();
    memory.write(0x800, &[0xfe, 0xe7]).unwrap();
    place(&memory, CODE, code);
    (ArmCore::new(config, memory.clone()), memory)
}

fn place(memory: &GuestMemory, at: u64, code: &[u16]) {
    let bytes: Vec<u8> = code.iter().flat_map(|half| half.to_le_bytes()).collect();
    memory.write(at, &bytes).unwrap();
}

fn run(core: &mut ArmCore, budget: u64) -> Exit {
    let now = Time(core.instructions() * core.period().0);
    let ran = core.run(&mut EmptyBus, now, budget);
    assert!(ran.executed <= budget);
    ran.exit
}

/// `r0 = sum`, by conditional instructions of both lengths.
const CONDITIONS: [u16; 15] = [
    0x2000, // movs r0, #0
    0x210a, // movs r1, #10
    0x2905, // 1: cmp r1, #5
    0xbfc7, // ittee gt
    0x1840, // addgt r0, r0, r1
    0xf500, 0x7080, // addgt.w r0, r0, #256
    0x1a40, // suble r0, r0, r1
    0xf500, 0x5080, // addle.w r0, r0, #4096
    0xbf08, // it eq
    0x4607, // moveq r7, r0
    0x3901, // subs r1, #1
    0xd1f3, // bne 1b
    0xe7fe, // b .
];

#[test]
fn an_it_block_can_be_cut_at_every_instruction() {
    let expected: u32 = (6..=10).map(|n| n + 256).sum::<u32>() + (1..=5).map(|n: u32| 4096 - n).sum::<u32>();
    let whole = 2 + 10 * 10;
    let mut states = Vec::new();
    for cut in 1..=14 {
        let (mut core, _) = machine(ArmConfig::cortex_m4f(), &CONDITIONS);
        let mut left = whole;
        while left > 0 {
            let n = cut.min(left);
            assert_eq!(run(&mut core, n), Exit::Budget);
            left -= n;
        }
        assert_eq!((core.r(0), core.pc()), (expected, CODE + 28), "cut {cut}");
        assert_eq!(core.r(7), (6..=10).map(|n| n + 256).sum::<u32>() + 4091);
        states.push(core.save());
    }
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn an_it_block_goes_on_behind_a_page_and_a_saved_state() {
    let (mut core, memory) = machine(ArmConfig::cortex_m4f(), &[]);
    // it ne; movne.w r0, #1 across the end of the page; then with other flags.
    place(&memory, 0x1ffc, &[0xbf18, 0xf04f, 0x0001, 0xe7fe]);
    for (flags, expected) in [(0, 1), (1 << 30, 7)] {
        core.set_r(0, 7);
        core.set_pc(0x1ffc);
        core.set_apsr(flags);
        run(&mut core, 1);
        assert_eq!(core.xpsr() & 0x0600_fc00, 0x1800 & 0xfc00);
        let saved = core.save();
        let (mut other, memory) = machine(ArmConfig::cortex_m4f(), &[]);
        place(&memory, 0x1ffc, &[0xbf18, 0xf04f, 0x0001, 0xe7fe]);
        other.restore(&saved).unwrap();
        for core in [&mut core, &mut other] {
            run(core, 1);
            assert_eq!((core.r(0), core.pc(), core.xpsr() & 0x0600_fc00), (expected, 0x2002, 0));
        }
    }
}

#[test]
fn code_may_change_the_instruction_that_follows() {
    let code = [
        0xa002, // adr r0, 1f
        0x2205, // movs r2, #5
        0x7002, // strb r2, [r0]
        0xbf00, // nop
        0xbf00, // nop
        0xbf00, // nop
        0x2301, // 1: movs r3, #1
        0xe7fe, // b .
    ];
    let (mut core, _) = machine(ArmConfig::cortex_m4f(), &code);
    for _ in 0..2 {
        core.set_pc(CODE as u32);
        run(&mut core, 8);
        assert_eq!(core.r(3), 5);
    }
}

#[test]
fn a_load_of_several_registers_that_faults_changes_none() {
    // ldmia r0!, {r1, r2, r3} with the third word behind the end of memory.
    let (mut core, _) = machine(ArmConfig::cortex_m4f(), &[0xc80e]);
    core.set_r(0, 0x2000_1ff8);
    for r in 1..4 {
        core.set_r(r, r as u32);
    }
    run(&mut core, 1);
    assert_eq!([0, 1, 2, 3].map(|r| core.r(r)), [0x2000_1ff8, 1, 2, 3]);
    assert_eq!((core.pc(), core.xpsr() & 0x1ff), (0x800, 3));
}

#[test]
fn unaligned_words_are_for_armv7m_and_single_accesses() {
    // str r1, [r0]; ldr r2, [r0]; ldrh r3, [r0]
    let code = [0x6001, 0x6802, 0x8803, 0xe7fe];
    let (mut core, _) = machine(ArmConfig::cortex_m4f(), &code);
    core.set_r(0, 0x2000_0fff);
    core.set_r(1, 0x1234_5678);
    run(&mut core, 4);
    assert_eq!((core.r(2), core.r(3), core.pc()), (0x1234_5678, 0x5678, CODE + 6));
    let (mut core, _) = machine(ArmConfig::cortex_m0(), &code);
    core.set_r(0, 0x2000_0ffd);
    run(&mut core, 1);
    assert_eq!((core.pc(), core.xpsr() & 0x1ff), (0x800, 3));
    // ldrd r2, r3, [r0]
    let (mut core, _) = machine(ArmConfig::cortex_m4f(), &[0xe9d0, 0x2300]);
    core.set_r(0, 0x2000_0ffd);
    run(&mut core, 1);
    assert_eq!((core.pc(), core.xpsr() & 0x1ff), (0x800, 3));
}

#[test]
fn a_bit_band_alias_is_a_bit() {
    let (mut core, memory) = machine(
        ArmConfig { bit_band: true, ..ArmConfig::cortex_m3() },
        &[0x6001, 0x6802, 0x7003, 0xe7fe], // str r1, [r0]; ldr r2, [r0]; strb r3, [r0]
    );
    memory.write(RAM + 0x11, &[0x84]).unwrap();
    core.set_r(0, 0x2200_0000 + 0x11 * 32 + 5 * 4);
    core.set_r(1, 0xffff_ffff);
    core.set_r(3, 0xfe);
    run(&mut core, 2);
    assert_eq!((core.r(2), memory.read_le(RAM + 0x10, 4).unwrap()), (1, 0xa400));
    run(&mut core, 1);
    assert_eq!(memory.read_le(RAM + 0x10, 4).unwrap(), 0x8400);
    let (mut core, _) = machine(ArmConfig::cortex_m4f(), &[0x6001]);
    core.set_r(0, 0x2200_0000);
    run(&mut core, 1);
    assert_eq!(core.xpsr() & 0x1ff, 3, "there is none");
}

#[test]
fn the_monitor_is_for_one_address_and_one_store() {
    // ldrex r1, [r0]; strex r2, r1, [r3]; strex r4, r1, [r3]
    let code = [0xe850, 0x1f00, 0xe843, 0x1200, 0xe843, 0x1400, 0xe7fe];
    let (mut core, memory) = machine(ArmConfig::cortex_m3(), &code);
    memory.write(RAM, &[1, 2, 3, 4]).unwrap();
    core.set_r(0, RAM as u32);
    core.set_r(3, RAM as u32);
    run(&mut core, 3);
    assert_eq!((core.r(1), core.r(2), core.r(4)), (0x0403_0201, 0, 1));
    core.set_pc(CODE as u32);
    core.set_r(3, RAM as u32 + 8);
    run(&mut core, 3);
    assert_eq!((core.r(2), core.r(4), memory.read_le(RAM + 8, 4).unwrap()), (1, 1, 0));
}

#[test]
fn a_branch_to_an_even_address_faults_at_its_target() {
    for code in [[0x4700, 0xbf00], [0x4780, 0xbf00]] {
        // bx r0, blx r0
        let (mut core, _) = machine(ArmConfig::cortex_m3(), &code);
        core.set_r(0, 0x1080);
        run(&mut core, 1);
        assert_eq!((core.pc(), core.xpsr() & 0x0100_01ff), (0x1080, 0));
        run(&mut core, 1);
        assert_eq!((core.pc(), core.xpsr() & 0x0100_01ff), (0x800, 0x0100_0003));
    }
    // In Thread mode 0xfffffff9 is an address, of which nothing may be executed.
    let (mut core, memory) = machine(ArmConfig::cortex_m3(), &[0x4700]);
    core.set_r(0, 0xffff_fff9);
    run(&mut core, 2);
    let frame = core.r(13) as u64;
    assert_eq!((core.xpsr() & 0x1ff, memory.read_le(frame + 24, 4).unwrap()), (3, 0xffff_fff8));
}

#[test]
fn semihosting_stops_behind_its_breakpoint_where_it_is_wanted() {
    let config = ArmConfig { semihosting: true, ..ArmConfig::cortex_m3() };
    let (mut core, _) = machine(config, &[0xbf08, 0xbeab, 0x2001]); // it eq; bkpt 0xab (always runs); movs r0, #1
    core.set_apsr(0);
    assert_eq!(run(&mut core, 10), Exit::Semihosting);
    assert_eq!((core.pc(), core.instructions()), (CODE + 4, 2));
}

/// Counts accesses, and raises attention on writes.
#[derive(Default)]
struct Device {
    reads: u32,
    written: Option<(u64, u64)>,
}

impl Bus for Device {
    fn read(&mut self, who: &Access, paddr: u64, _: Width) -> Result<u64, BusFault> {
        self.reads += 1;
        if paddr & 4 != 0 { Err(BusFault { paddr }) } else { Ok(who.now.0) }
    }

    fn write(&mut self, _: &Access, paddr: u64, _: Width, value: u64) -> Result<(), BusFault> {
        self.written = Some((paddr, value));
        Ok(())
    }

    fn attention(&self) -> bool {
        self.written.is_some()
    }

    fn counter(&self) -> Counter {
        Counter { hz: 1, offset: 0 }
    }
}

#[test]
fn devices_see_time_and_stop_the_core_behind_the_instruction() {
    // nop; ldr r1, [r0]; strb r2, [r0]; nop; ldr r3, [r0, #4]
    let (mut core, _) = machine(ArmConfig::cortex_m3(), &[0xbf00, 0x6801, 0x7002, 0xbf00, 0x6843]);
    core.set_r(0, 0x4000_0000);
    core.set_r(2, 0x1ab);
    let mut bus = Device::default();
    let ran = core.run(&mut bus, Time(5_000), 10);
    assert_eq!((ran.executed, ran.exit), (3, Exit::Attention));
    assert_eq!((core.r(1), bus.written.take()), (5_000 + 15_625, Some((0x4000_0000, 0xab))));
    let ran = core.run(&mut bus, Time(100_000), 2);
    assert_eq!((ran.executed, core.pc(), bus.reads), (2, 0x800, 2));
}

#[test]
fn looking_at_a_core_in_reset_does_not_start_it() {
    let (mut core, memory) = machine(ArmConfig::cortex_m3(), &[]);
    assert_eq!(core.pc(), CODE);
    memory.write(4, &0x2001u32.to_le_bytes()).unwrap();
    place(&memory, 0x2000, &[0x2001]);
    assert_eq!((core.pc(), core.register(13)), (0x2000, Some(STACK as u128)));
    run(&mut core, 1);
    assert_eq!((core.pc(), core.r(0)), (0x2002, 1));
    core.reset();
    assert_eq!((core.pc(), core.instructions()), (0x2000, 1));
}

/// Runs `code` to its end, a branch to itself, compiled as it comes.
#[cfg(target_arch = "x86_64")]
fn compiled(config: ArmConfig, code: &[u16], prepare: impl Fn(&mut ArmCore)) -> ArmCore {
    let (mut core, _) = machine(config, code);
    core.set_backend(Some(Box::new(cpu_jit_x64::X64::new(1 << 20).unwrap())), 0);
    prepare(&mut core);
    run(&mut core, 60);
    core
}

#[test]
#[cfg(target_arch = "x86_64")]
fn an_address_that_wraps_stays_in_the_guest() {
    // movs r2, #5; 1: ldrb r1, [r0, #8]; subs r2, #1; bne 1b; b .
    let code = [0x2205, 0x7a01, 0x3a01, 0xd1fc, 0xe7fe];
    let core = compiled(ArmConfig::cortex_m0(), &code, |core| core.set_r(0, 0xffff_fff9));
    assert_eq!((core.r(1), core.r(2), core.pc()), (0x1f, 0, CODE + 8));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_only_the_interpreter_runs_may_have_a_condition() {
    // movs r2, #5; 1: ite vs; ldrtvs r1, [r0]; movvc r1, #7; adds r3, r3, r1; subs r2, #1; bne 1b; b .
    let code = [0x2205, 0xbf6c, 0xf850, 0x1e00, 0x2107, 0x185b, 0x3a01, 0xd1f8, 0xe7fe];
    for (flags, expected) in [(0, 5 * 7), (1 << 28, 4 * 7)] {
        let core = compiled(ArmConfig::cortex_m4f(), &code, |core| {
            core.set_r(0, CODE as u32 + 0x100);
            core.set_r(3, 0);
            core.set_apsr(flags);
        });
        // `adds` clears V behind the first round, in which a zero was loaded.
        assert_eq!((core.r(3), core.r(2), core.pc()), (expected, 0, CODE + 16));
    }
}
