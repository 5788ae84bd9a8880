//! How fast the interpreter runs an integer loop with translation on: `cargo run --release -p cpu-riscv --example speed`.

use cpu_core::{Core, EmptyBus, GuestMemory, MemoryKind, RegionSpec, Time};
use cpu_riscv::isa::{Id, Operands, encode};
use cpu_riscv::{Hart, HartConfig, Mmu, csr};

const RAM: u64 = 0x8000_0000;
const CODE: u64 = RAM + 0x10_0000;

/// Processor time of this process, which other load does not stretch.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ram = RegionSpec { name: "ram".into(), base: RAM, size: 0x40_0000, kind: MemoryKind::Ram };
    let memory = GuestMemory::new(vec![ram])?;
    let mut config = HartConfig::new(0, "rv64i", ["g", "c", "sstc", "svadu"], Mmu::Sv39)?;
    config.firmware_calls = true;
    // A one-gigabyte leaf, as the kernel maps memory.
    let base = 0xffff_ffd6_0000_0000u64;
    memory.write(RAM + 8 * (base >> 30 & 511), &(RAM >> 2 | 0xcf).to_le_bytes())?;
    let code = base + (CODE - RAM);
    let o = |rd, rs1, rs2, imm| Operands { rd, rs1, rs2, imm, ..Operands::ZERO };
    // A checksum over an array: load, shift, xor, add, store, a branch inside, a call every round.
    let program = [
        (Id::Ld, o(5, 10, 0, 0)),
        (Id::Slli, o(6, 5, 0, 13)),
        (Id::Xor, o(5, 5, 6, 0)),
        (Id::Srli, o(6, 5, 0, 7)),
        (Id::Xor, o(5, 5, 6, 0)),
        (Id::Add, o(11, 11, 5, 0)),
        (Id::Andi, o(7, 5, 0, 1)),
        (Id::Beq, o(0, 7, 0, 8)),
        (Id::Addi, o(12, 12, 0, 3)),
        (Id::Sd, o(0, 10, 11, 8)),
        (Id::Addi, o(13, 13, 0, 1)),
        (Id::Bne, o(0, 13, 14, -44)),
        (Id::Jal, o(0, 0, 0, -48)),
    ];
    let mut at = CODE;
    for (id, operands) in program {
        memory.write(at, &encode(id, &operands).ok_or("does not encode")?.to_le_bytes())?;
        at += 4;
    }
    let mut hart = Hart::new(config, memory);
    hart.start_supervisor(code, base + 0x20_0000, 1);
    hart.set_csr(csr::SATP, 8 << 60 | RAM >> 12);
    hart.set_x(14, 1 << 40);
    let mut total = 0;
    for round in 0..5 {
        let (budget, begin) = (100_000_000, cpu_seconds());
        let ran = hart.run(&mut EmptyBus, Time(total * hart.period().0), budget);
        total += ran.executed;
        let seconds = cpu_seconds() - begin;
        println!(
            "round {round}: {:?}, {:.0} million instructions a second, at {:#x}",
            ran.exit,
            ran.executed as f64 / seconds / 1e6,
            hart.pc()
        );
    }
    Ok(())
}
