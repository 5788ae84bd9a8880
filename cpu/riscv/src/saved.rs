//! A hart's state as bytes.

use cpu_core::RestoreError;
use serde::{Deserialize, Serialize};

use crate::exec::Cpu;
use crate::semantics::Riscv;
use crate::state::State;
use crate::sys::Sys;

/// All that instructions, interrupts and debuggers can tell apart. TLB and decoded code are not: they follow memory.
#[derive(Serialize, Deserialize)]
struct Saved {
    xlen: u32,
    pc: u64,
    x: [u64; 32],
    f: [u64; 32],
    fcsr: u8,
    frm: u8,
    sys: Sys,
    executed: u64,
}

/// Serialises.
pub(crate) fn save<const XLEN: u32>(state: &State<XLEN>) -> Vec<u8> {
    let sys = state.sys.clone();
    sys.fs.set(state.fs());
    let saved = Saved {
        xlen: XLEN,
        pc: state.frame.pc.get(),
        x: std::array::from_fn(|r| state.x(r as u8)),
        f: std::array::from_fn(|r| state.f(r as u8)),
        fcsr: state.fflags(),
        frm: state.frm.get(),
        sys,
        executed: state.total.get(),
    };
    postcard::to_stdvec(&saved).unwrap_or_default()
}

/// Replaces the state.
pub(crate) fn restore<const XLEN: u32>(cpu: &mut Cpu<XLEN>, bytes: &[u8]) -> Result<(), RestoreError> {
    let error = |what: String| RestoreError(what);
    let saved: Saved = postcard::from_bytes(bytes).map_err(|e| error(format!("hart: {e}")))?;
    let Saved { xlen, pc, x, f, fcsr, frm, sys, executed } = saved;
    if xlen != XLEN {
        return Err(error(format!("it is of an RV{xlen} hart, and this is an RV{XLEN} one")));
    }
    let state = cpu.replace_sys(sys);
    state.frame.pc.set(State::<XLEN>::mask_address(pc) & !1);
    for (r, value) in (0..).zip(x) {
        state.set_x(r, state.extend(value));
    }
    for (r, value) in (0..).zip(f) {
        state.set_f_raw(r, value);
    }
    state.set_fflags(fcsr);
    state.frm.set(frm & 7);
    state.set_fs(state.sys.fs.get());
    state.total.set(executed);
    state.flush_all();
    Ok(())
}
