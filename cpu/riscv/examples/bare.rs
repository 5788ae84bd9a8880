//! Runs bare-metal test programs that report by the `tohost` word, such as those of riscv-tests:
//! `cargo run --release -p cpu-riscv --example bare -- rv64i IMAGE.bin TOHOST ...` (raw images for 0x80000000, the word's
//! address in hexadecimal); `--lifted` in front runs them by way of the compiler's representation. Prints each failure and
//! exits with their number.

use cpu_core::{Core, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time};
use cpu_riscv::{Hart, HartConfig, Mmu};

const RAM: u64 = 0x8000_0000;
const EXTENSIONS: [&str; 26] = [
    "g", "c", "zicntr", "zihpm", "zba", "zbb", "zbc", "zbs", "zbkb", "zbkx", "zknd", "zkne", "zknh", "zfa",
    "zfh", "zicond", "zicbom", "zicboz", "sstc", "svpbmt", "svnapot", "svinval", "zcb", "zacas", "zabha",
    "zawrs",
];

fn run(lifted: bool, base: &str, image: &str, tohost: u64) -> Result<String, Box<dyn std::error::Error>> {
    let ram = RegionSpec { name: "ram".into(), base: RAM, size: 0x400_0000, kind: MemoryKind::Ram };
    let memory = GuestMemory::new(vec![ram])?;
    memory.write(RAM, &std::fs::read(image)?)?;
    let mmu = if base == "rv32i" { Mmu::Sv32 } else { Mmu::Sv57 };
    let mut config = HartConfig::new(0, base, EXTENSIONS, mmu)?;
    config.reset_pc = RAM;
    let mut hart = Hart::new(config, memory.clone());
    hart.set_lifted(lifted);
    for _ in 0..20_000 {
        let now = Time(hart.instructions() * hart.period().0);
        let ran = hart.run(&mut EmptyBus, now, 97);
        match memory.read_le(tohost, 4)? {
            0 => {}
            1 => return Ok("pass".into()),
            value => return Ok(format!("test {}", value >> 1)),
        }
        if ran.exit != Exit::Budget {
            return Ok(format!("{:?}: {}", ran.exit, hart.describe()));
        }
    }
    Ok(format!("no end: {}", hart.describe()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let lifted = args.first().is_some_and(|arg| arg == "--lifted");
    args.drain(..lifted as usize);
    let base = args.first().ok_or("expected rv32i or rv64i")?;
    let mut failures = 0;
    for pair in args[1..].chunks(2) {
        let tohost = u64::from_str_radix(pair.get(1).ok_or("expected the address of tohost")?, 16)?;
        let outcome = run(lifted, base, &pair[0], tohost)?;
        if outcome != "pass" {
            println!("{}: {outcome}", pair[0]);
            failures += 1;
        }
    }
    println!("{} run, {failures} failed", args.len() / 2);
    std::process::exit(failures.min(255));
}
