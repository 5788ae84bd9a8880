//! Whole programs on a core: those of `firmware/armm-tests`, and short ones whose instructions are counted.

use std::path::{Path, PathBuf};

use cpu_core::{
    Access, Bus, BusFault, Core, Counter, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time, Width,
};

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

/// Runs an image to its semihosting call, in pieces of `piece` instructions, through sleeps; gives what it printed.
fn run(name: &str, piece: u64) -> String {
    let region = |name: &str, base, size| RegionSpec { name: name.into(), base, size, kind: MemoryKind::Ram };
    let regions = vec![region("code", 0, 0x40_0000), region("ram", 0x2000_0000, 0x40_0000)];
    let memory = GuestMemory::new(regions).unwrap();
    load(&memory, &std::fs::read(images().join(name)).unwrap());
    let config = ArmConfig { irqs: 32, semihosting: true, period: Time(40_000), ..ArmConfig::cortex_m4f() };
    let mut core = ArmCore::new(config, memory);
    let (mut uart, mut now) = (Uart::default(), Time::ZERO);
    while now < Time::from_ms(1000) {
        let ran = core.run(&mut uart, now, piece);
        now = now.saturating_add(Time(ran.executed * core.period().0));
        match ran.exit {
            Exit::Budget | Exit::Attention => {}
            Exit::Wait => now = core.deadline(now, uart.counter()).max(now),
            Exit::Semihosting => break,
            other => panic!("{other:?}\n{}", String::from_utf8_lossy(&uart.0)),
        }
    }
    String::from_utf8(uart.0).unwrap()
}

#[test]
fn exceptions_are_taken_as_the_committed_logs_say() {
    for name in ["exceptions", "manual"] {
        let expected = std::fs::read_to_string(images().join(name).with_extension("log")).unwrap();
        for piece in [1_000_000, 7] {
            let found = run(&format!("{name}.elf"), piece);
            let differs = expected.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b);
            assert_eq!(differs, None, "{name} in pieces of {piece}");
            assert_eq!(found.len(), expected.len(), "{name} in pieces of {piece}");
        }
    }
}
