//! Figures about a run, as JSON.

use crate::machine::Machine;
use serde_json::{Value, json};

/// CPU time that this process has used, in nanoseconds.
pub fn host_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The figures. `cpu_ns` is the host's CPU time for the run alone.
pub fn stats(machine: &Machine, cpu_ns: u64, exit: i32) -> Value {
    let instructions = machine.instructions();
    let slots = &machine.bus.slots;
    let unimplemented: Vec<Value> = machine
        .bus
        .services
        .unimplemented
        .iter()
        .map(|((device, offset, write), count)| {
            json!({ "device": slots[*device].name, "offset": offset, "write": write, "count": count })
        })
        .collect();
    let (jit, costs, accesses) = (machine.jit_stats(), machine.jit_costs(), machine.slow_accesses());
    json!({
        "machine": machine.name,
        "seed": machine.seed,
        "instructions": instructions,
        "virtual_ns": machine.now().as_ns(),
        "host_cpu_ns": cpu_ns,
        "state_hash": format!("{:032x}", machine.state_hash()),
        "mips": instructions as f64 * 1e3 / cpu_ns.max(1) as f64,
        "jit": {
            "regions": jit.blocks,
            "instructions": jit.instructions,
            "bytes": jit.bytes,
            "compile_ns": jit.nanoseconds,
            "compile_ns_per_instruction": {
                "mean": jit.nanoseconds as f64 / jit.instructions.max(1) as f64,
                "median": costs.median(),
            },
            "invalidations": jit.invalidated,
            "flushes": jit.flushed,
            "executed": jit.executed,
            "interpreted": instructions.saturating_sub(jit.executed),
            "entered": jit.entered,
            "slow_accesses": accesses.slow,
        },
        "tlb_misses": accesses.tlb_misses,
        "resets": machine.resets,
        "unimplemented": unimplemented,
        "unmapped": machine.bus.unmapped_count,
        "exit": exit,
    })
}
