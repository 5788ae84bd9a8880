//! A core's state as bytes.

use cpu_core::RestoreError;
use serde::{Deserialize, Serialize};

use crate::exec::Cpu;
use crate::slot;
use crate::state::State;
use crate::sys::System;

/// All that instructions, interrupts and debuggers can tell apart. TLB and decoded code are not: they follow memory.
#[derive(Serialize, Deserialize)]
struct Saved {
    pc: u64,
    r: [u32; 15],
    apsr: u32,
    s: [u32; 32],
    fpscr: u32,
    itstate: u8,
    thumb: bool,
    strict: bool,
    divide_trap: bool,
    monitor: Option<(u32, u8)>,
    sys: System,
    executed: u64,
}

/// Serialises.
pub(crate) fn save(state: &State) -> Vec<u8> {
    let get = |number: u16| state.cell(number).get() as u32;
    let saved = Saved {
        pc: state.frame.pc.get(),
        r: std::array::from_fn(|r| get(r as u16)),
        apsr: state.apsr(),
        s: std::array::from_fn(|r| get(slot::FLOAT + r as u16)),
        fpscr: state.read_fpscr(),
        itstate: state.itstate.get(),
        thumb: state.thumb.get(),
        strict: state.strict.get(),
        divide_trap: get(slot::DIVIDE_TRAP) != 0,
        monitor: state.monitor.get(),
        sys: state.sys.clone(),
        executed: state.total.get(),
    };
    postcard::to_stdvec(&saved).unwrap_or_default()
}

/// Replaces the state.
pub(crate) fn restore(cpu: &mut Cpu, bytes: &[u8]) -> Result<(), RestoreError> {
    let saved: Saved = postcard::from_bytes(bytes).map_err(|e| RestoreError(format!("Arm core: {e}")))?;
    let Saved { pc, r, apsr, s, fpscr, itstate, thumb, strict, divide_trap, monitor, sys, executed } = saved;
    if !cpu.state.sys.fits(&sys) {
        return Err(RestoreError(
            "Arm core: it has other interrupts, priorities, MPU regions or clocks".into(),
        ));
    }
    cpu.state.sys = sys;
    let state = cpu.forget();
    let set = |number: u16, value: u32| state.cell(number).set(value as u64);
    state.frame.pc.set(pc & 0xffff_fffe);
    for (number, value) in (0..).zip(r) {
        set(number, value);
    }
    for (number, value) in (slot::FLOAT..).zip(s) {
        set(number, value);
    }
    set(slot::DIVIDE_TRAP, divide_trap as u32);
    state.set_apsr(apsr);
    state.write_fpscr(fpscr);
    state.itstate.set(itstate);
    state.thumb.set(thumb);
    state.strict.set(strict);
    state.monitor.set(monitor);
    state.total.set(executed);
    state.flush_all();
    Ok(())
}
