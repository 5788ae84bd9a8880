//! Whole programs on a core: those of `firmware/armm-tests`, and short ones whose instructions are counted.

use std::path::{Path, PathBuf};

use cpu_core::{
    Access, Bus, BusFault, Core, Counter, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time, Width,
};

use cpu_jit_x64::X64;

use crate::{ArmConfig, ArmCore};

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/armm-tests/images")
}

/// The MPS2's first UART, as far as it takes characters.
#[derive(Default)]
struct Uart(Vec<u8>);

impl Bus for Uart {
    fn read(&mut self, _: &Access, paddr: u64, _: Width) -> Result<u64, BusFault> {
        if paddr >> 12 == 0x4_0004 { Ok(0) } else { Err(BusFault { paddr }) }
    }

    fn write(&mut self, _: &Access, paddr: u64, _: Width, value: u64) -> Result<(), BusFault> {
        if paddr == 0x4000_4000 {
            self.0.push(value as u8);
        }
        if paddr >> 12 == 0x4_0004 { Ok(()) } else { Err(BusFault { paddr }) }
    }

    fn attention(&self) -> bool {
        false
    }

    fn counter(&self) -> Counter {
        EmptyBus.counter()
    }
}

/// Loads the segments of a 32-bit ELF file.
fn load(memory: &GuestMemory, elf: &[u8]) {
    let word = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap()) as usize;
    let half = |at: usize| u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()) as usize;
    for i in 0..half(44) {
        let header = word(28) + i * half(42);
        let (kind, offset, to, len) = (word(header), word(header + 4), word(header + 12), word(header + 16));
        if kind == 1 {
            memory.write_any(to as u64, &elf[offset..offset + len]).unwrap();
        }
    }
}

#[derive(Copy, Clone, PartialEq, Debug)]
enum How {
    Interpreted,
    /// By way of the compiler's representation.
    Recorded,
    /// Every block at once.
    Compiled,
    /// Each piece on a core of its own, restored from the one before.
    Renewed,
}

/// Runs an image to its semihosting call, in pieces of `piece` instructions, through sleeps; gives what it printed.
fn run(name: &str, piece: u64, how: How) -> String {
    let region = |name: &str, base, size| RegionSpec { name: name.into(), base, size, kind: MemoryKind::Ram };
    let regions = vec![region("code", 0, 0x40_0000), region("ram", 0x2000_0000, 0x40_0000)];
    let memory = GuestMemory::new(regions).unwrap();
    load(&memory, &std::fs::read(images().join(name)).unwrap());
    let core = if name.starts_with("v6m") { ArmConfig::cortex_m0() } else { ArmConfig::cortex_m4f() };
    let config = ArmConfig { irqs: 32, semihosting: true, period: Time(40_000), ..core };
    let mut core = ArmCore::new(config.clone(), memory.clone());
    core.set_lifted(how == How::Recorded);
    if how == How::Compiled {
        core.set_backend(Some(Box::new(X64::new(4 << 20).unwrap())), 0);
    }
    let (mut uart, mut now) = (Uart::default(), Time::ZERO);
    while now < Time::from_ms(1000) {
        if how == How::Renewed {
            let saved = core.save();
            core = ArmCore::new(config.clone(), memory.clone());
            core.restore(&saved).unwrap();
            assert_eq!(core.save(), saved);
        }
        let ran = core.run(&mut uart, now, piece);
        now = now.saturating_add(Time(ran.executed * core.period().0));
        match ran.exit {
            Exit::Budget | Exit::Attention => {}
            Exit::Wait if core.runnable(now, uart.counter()) => {}
            Exit::Wait => now = core.deadline(now, uart.counter()).max(now),
            // SYS_WRITEC
            Exit::Semihosting if core.r(0) == 3 => {
                uart.0.push(memory.read_le(core.r(1) as u64, 1).unwrap() as u8)
            }
            Exit::Semihosting => break,
            other => panic!("{other:?}\n{}", String::from_utf8_lossy(&uart.0)),
        }
    }
    String::from_utf8(uart.0).unwrap()
}

#[test]
fn exceptions_are_taken_as_the_committed_logs_say() {
    for name in ["exceptions", "manual", "random", "v6m"] {
        let expected = std::fs::read_to_string(images().join(name).with_extension("log")).unwrap();
        // A new core costs more than many instructions.
        let (short, long) = if name == "random" { (61, 49_999) } else { (7, 211) };
        let ways = [
            (1_000_000, How::Interpreted),
            (short, How::Interpreted),
            (long, How::Renewed),
            (1_000_000, How::Recorded),
            (1_000_000, How::Compiled),
            (short, How::Compiled),
        ];
        for (piece, how) in ways {
            let found = run(&format!("{name}.elf"), piece, how);
            let differs = expected.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b);
            assert_eq!(differs, None, "{name} in pieces of {piece}, {how:?}");
            assert_eq!(found.len(), expected.len(), "{name} in pieces of {piece}, {how:?}");
        }
    }
}

/// A core that runs these halfwords from 0x100, with `r0` to `r3`, over memory at 0 and at 0x20000000. All vectors lead to 0x200.
fn program(config: ArmConfig, code: &[u16], r: [u32; 4]) -> (ArmCore, GuestMemory) {
    let region =
        |name: &str, base| RegionSpec { name: name.into(), base, size: 0x1000, kind: MemoryKind::Ram };
    let memory = GuestMemory::new(vec![region("code", 0), region("ram", 0x2000_0000)]).unwrap();
    let vectors = [0x2000_1000u32, 0x101].into_iter().chain([0x201; 46]);
    memory.write(0, &vectors.flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    memory.write(0x100, &code.iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    // At 0x200: b .
    memory.write(0x200, &[0xfe, 0xe7]).unwrap();
    let mut core = ArmCore::new(config, memory.clone());
    (0..).zip(r).for_each(|(number, value)| core.set_r(number, value));
    (core, memory)
}

#[test]
fn stimulus_ports_reach_the_host() {
    // strb r1, [r0]; str r1, [r0, #4]
    let (mut core, _) = program(ArmConfig::cortex_m4f(), &[0x7001, 0x6041], [0xe000_0000, 0x6d65_7449, 0, 0]);
    core.attach_trace();
    core.run(&mut EmptyBus, Time::ZERO, 2);
    let trace = core.take_trace();
    assert_eq!(trace.iter().map(|stimulus| stimulus.port).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(trace.iter().flat_map(|stimulus| stimulus.bytes()).collect::<Vec<_>>(), b"IItem");
    assert!(core.take_trace().is_empty());
}

#[test]
fn a_reset_request_stops_the_core_once() {
    // str r1, [r0]; nop
    let (mut core, _) = program(ArmConfig::cortex_m0(), &[0x6001, 0xbf00], [0xe000_ed0c, 0x05fa_0004, 0, 0]);
    let ran = core.run(&mut EmptyBus, Time::ZERO, 100);
    assert_eq!((ran.executed, ran.exit), (1, Exit::Attention));
    assert!(core.take_reset_request() && !core.take_reset_request());
    core.set_line(3, true);
    core.reset();
    assert_eq!((core.pc(), core.r(13)), (0x100, 0x2000_1000));
}

#[test]
fn systick_is_taken_before_the_exact_instruction() {
    // str r1, [r0, #4]; str r2, [r0, #8]; str r3, [r0]; nops
    let mut code = vec![0x6041, 0x6082, 0x6003];
    code.resize(100, 0xbf00);
    for piece in [1, 3, 1000] {
        let (mut core, memory) = program(ArmConfig::cortex_m4f(), &code, [0xe000_e010, 20, 0, 7]);
        let mut done = 0;
        while done < 30 {
            done += core.run(&mut EmptyBus, Time(done * core.period().0), piece.min(30 - done)).executed;
        }
        // Enabled by the third instruction: reloaded in the cycle behind it, zero 20 cycles later.
        let stacked = memory.read_le(core.r(13) as u64 + 0x18, 4).unwrap();
        assert_eq!((core.pc(), stacked), (0x200, 0x104 + 2 * 21), "pieces of {piece}");
    }
}
