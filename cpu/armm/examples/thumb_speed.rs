//! How fast the interpreter runs an integer loop: `cargo run --release -p cpu-armm --example thumb_speed`.

use cpu_armm::{ArmConfig, ArmCore};
use cpu_core::{Core, EmptyBus, GuestMemory, MemoryKind, RegionSpec, Time};

/// Processor time of this process, which other load does not stretch.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A checksum over a word: load, shifts, an IT block, store, a branch back.
const LOOP: [u16; 15] = [
    0x6803, // ldr r3, [r0]
    0x035c, // lsls r4, r3, #13
    0x4063, // eors r3, r4
    0xea83, 0x13d3, // eor.w r3, r3, r3, lsr #7
    0x18c9, // adds r1, r1, r3
    0xf013, 0x0f01, // tst.w r3, #1
    0xbf18, // it ne
    0x3203, // addne r2, #3
    0x6041, // str r1, [r0, #4]
    0x3501, // adds r5, #1
    0x42b5, // cmp r5, r6
    0xd1f1, // bne LOOP
    0xe7f0, // b LOOP
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let region = |name: &str, base, kind| RegionSpec { name: name.into(), base, size: 0x1_0000, kind };
    let memory = GuestMemory::new(vec![
        region("flash", 0, MemoryKind::Rom),
        region("ram", 0x2000_0000, MemoryKind::Ram),
    ])?;
    let code: Vec<u8> = LOOP.iter().flat_map(|half| half.to_le_bytes()).collect();
    memory.write_any(0x1000, &code)?;
    let mut core = ArmCore::new(ArmConfig::cortex_m4f(), memory);
    core.set_pc(0x1000);
    core.set_r(0, 0x2000_0000);
    let mut total = 0;
    for round in 0..5 {
        let (budget, begin) = (100_000_000, cpu_seconds());
        let ran = core.run(&mut EmptyBus, Time(total * core.period().0), budget);
        total += ran.executed;
        let seconds = cpu_seconds() - begin;
        println!(
            "round {round}: {:?}, {:.0} million instructions a second, at {:#x}",
            ran.exit,
            ran.executed as f64 / seconds / 1e6,
            core.pc()
        );
    }
    Ok(())
}
