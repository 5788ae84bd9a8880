//! The core as a machine and a debugger see it.

use cpu_core::{Bus, Core, Counter, GuestMemory, Ran, RegisterInfo, RestoreError, Time};

use crate::config::ArmConfig;
use crate::exec::Cpu;
use crate::isa;
use crate::registers::{Place, Registers};
use crate::state::State;
use crate::sys::table::Word;
use crate::{saved, slot};

/// A core of the M profile.
pub struct ArmCore {
    cpu: Box<Cpu>,
    registers: Registers,
}

impl ArmCore {
    /// A core in its reset state: it reads stack pointer and start address when it first runs.
    pub fn new(config: ArmConfig, memory: GuestMemory) -> ArmCore {
        let registers = Registers::new(&config);
        ArmCore { cpu: Box::new(Cpu::new(config, memory)), registers }
    }

    /// What it was made from.
    pub fn config(&self) -> &ArmConfig {
        &self.cpu.state.config
    }

    /// Register `r`, 0 to 14.
    pub fn r(&self, r: u8) -> u32 {
        self.cpu.state.cell(r.min(14) as u16).get() as u32
    }

    /// Sets register `r`, 0 to 14.
    pub fn set_r(&mut self, r: u8, value: u32) {
        self.cpu.state.load_reset_vectors();
        let value = if r == 13 { value & !3 } else { value };
        self.cpu.state.cell(r.min(14) as u16).set(value as u64);
    }

    /// Continues at `pc`, outside of an IT block and in Thumb state.
    pub fn set_pc(&mut self, pc: u32) {
        let state = &self.cpu.state;
        state.load_reset_vectors();
        state.frame.pc.set((pc & !1) as u64);
        state.itstate.set(0);
        state.thumb.set(true);
    }

    /// xPSR.
    pub fn xpsr(&self) -> u32 {
        self.cpu.state.xpsr()
    }

    /// Sets the flags of xPSR.
    pub fn set_apsr(&mut self, value: u32) {
        self.cpu.state.set_apsr(value);
    }

    /// Raw bits of single-precision register `r`, 0 to 31.
    pub fn s(&self, r: u8) -> u32 {
        self.cpu.state.cell(slot::FLOAT + (r & 31) as u16).get() as u32
    }

    /// Sets single-precision register `r`, 0 to 31.
    pub fn set_s(&mut self, r: u8, value: u32) {
        self.cpu.state.cell(slot::FLOAT + (r & 31) as u16).set(value as u64);
    }

    /// FPSCR.
    pub fn fpscr(&self) -> u32 {
        self.cpu.state.read_fpscr()
    }

    /// Sets FPSCR.
    pub fn set_fpscr(&mut self, value: u32) {
        self.cpu.state.write_fpscr(value);
    }

    /// Gives all code access to the FPU, as startup code does (CPACR).
    pub fn enable_fpu(&mut self) {
        self.cpu.state.enable_float();
    }

    /// Whether the guest has asked for a reset (AIRCR.SYSRESETREQ) since the last call. The core stopped behind that instruction
    /// with [`cpu_core::Exit::Attention`].
    pub fn take_reset_request(&mut self) -> bool {
        self.cpu.state.sys.reset_request.take()
    }

    /// The fault status and address registers, for who explains a lockup.
    pub fn fault_status(&self) -> [(&'static str, u32); 4] {
        let sys = &self.cpu.state.sys;
        [("HFSR", Word::Hfsr), ("CFSR", Word::Cfsr), ("MMFAR", Word::Mmfar), ("BFAR", Word::Bfar)]
            .map(|(name, word)| (name, sys.get(word)))
    }

    /// Sets VTOR, as a boot loader does before it starts another image.
    pub fn set_vector_table(&mut self, table: u32) {
        self.cpu.state.load_reset_vectors();
        self.cpu.state.sys.set(Word::Vtor, table);
    }

    /// Keeps this memory, of whole pages, from loads and fetches, which are bus faults then: addresses and sizes. It replaces
    /// what was kept before.
    pub fn set_unreadable(&mut self, ranges: &[(u64, u64)]) {
        self.cpu.state.set_unreadable(ranges);
    }

    /// Executes nothing more until a reset: the chip has switched it off.
    pub fn hold(&mut self) {
        self.cpu.state.sys.held.set(true);
    }

    /// Opens the ITM and all its stimulus ports, as a probe on the trace pin does. A reset closes them.
    pub fn attach_trace(&mut self) {
        self.cpu.state.sys.attach_trace();
    }

    /// What was written to the ITM's stimulus ports since the last call.
    pub fn take_trace(&mut self) -> Vec<crate::sys::trace::Stimulus> {
        self.cpu.state.sys.itm.borrow_mut().take_output()
    }

    /// Runs whole blocks by way of the compiler's representation: slower than plain interpretation, with the same results. It
    /// shows that what is recorded means what is run.
    pub fn set_lifted(&mut self, on: bool) {
        self.cpu.set_lifted(on);
    }

    /// Compiles blocks by `backend` once they have run `hot` times (0: at once); `None`: only interprets. The results are the same.
    pub fn set_backend(&mut self, backend: Option<Box<dyn cpu_jit::Backend>>, hot: u32) {
        self.cpu.set_backend(backend, hot);
    }

    /// The compiler's figures, clock and listing; `None` without one.
    pub fn compiler(&mut self) -> Option<&mut cpu_jit::tier::Tier<State>> {
        self.cpu.compiler.as_mut()
    }

    /// The same, to look at.
    pub fn compiler_view(&self) -> Option<&cpu_jit::tier::Tier<State>> {
        self.cpu.compiler.as_ref()
    }

    /// Instructions predecoded into blocks so far, for statistics.
    pub fn blocks_decoded(&self) -> u64 {
        self.cpu.blocks_decoded()
    }
}

impl Core for ArmCore {
    fn run(&mut self, bus: &mut dyn Bus, start: Time, budget: u64) -> Ran {
        self.cpu.run(bus, start, budget)
    }

    fn period(&self) -> Time {
        self.config().period
    }

    /// External interrupt `line`.
    fn set_line(&mut self, line: u32, level: bool) {
        self.cpu.state.set_irq(line, level);
    }

    fn runnable(&mut self, now: Time, counter: Counter) -> bool {
        self.cpu.runnable(now, counter)
    }

    fn deadline(&self, now: Time, _: Counter) -> Time {
        self.cpu.state.next_timer(now)
    }

    fn instructions(&self) -> u64 {
        self.cpu.state.total.get()
    }

    fn pc(&self) -> u64 {
        self.cpu.state.show_reset_vectors();
        self.cpu.state.frame.pc.get()
    }

    fn reset(&mut self) {
        self.cpu.reset();
    }

    fn stopped(&self) -> bool {
        self.cpu.state.sys.held.get()
    }

    fn set_breakpoints(&mut self, addresses: &[u64]) {
        self.cpu.set_breakpoints(addresses);
    }

    fn step_over_breakpoint(&mut self) {
        self.cpu.step_over_breakpoint();
    }

    fn registers(&self) -> &[RegisterInfo] {
        &self.registers.infos
    }

    fn register(&self, index: usize) -> Option<u128> {
        let state = &self.cpu.state;
        state.show_reset_vectors();
        let value = match *self.registers.places.get(index)? {
            Place::R(r) => self.r(r) as u64,
            Place::Pc => state.frame.pc.get(),
            Place::Xpsr => state.xpsr() as u64,
            Place::Msp => state.msp() as u64,
            Place::Psp => state.psp() as u64,
            Place::Primask => state.sys.primask.get() as u64,
            Place::Basepri => state.sys.basepri.get() as u64,
            Place::Faultmask => state.sys.faultmask.get() as u64,
            Place::Control => state.sys.control.get() as u64,
            Place::D(d) => self.s(2 * d) as u64 | (self.s(2 * d + 1) as u64) << 32,
            Place::Fpscr => state.read_fpscr() as u64,
        };
        Some(value as u128)
    }

    fn set_register(&mut self, index: usize, value: u128) -> bool {
        let Some(&place) = self.registers.places.get(index) else { return false };
        let word = value as u32;
        self.cpu.state.load_reset_vectors();
        let state = &self.cpu.state;
        match place {
            Place::R(r) => self.set_r(r, word),
            Place::Pc => self.set_pc(word),
            Place::Xpsr => {
                // The exception number is not a debugger's to change.
                state.set_xpsr(word);
            }
            Place::Msp => state.set_msp(word),
            Place::Psp => state.set_psp(word),
            Place::Primask => state.sys.primask.set(word & 1),
            Place::Basepri => state.sys.basepri.set(word & state.priority_mask()),
            Place::Faultmask => state.sys.faultmask.set(word & 1),
            Place::Control => state.set_control(word),
            Place::D(d) => {
                self.set_s(2 * d, word);
                self.set_s(2 * d + 1, (value >> 32) as u32);
            }
            Place::Fpscr => state.write_fpscr(word),
        }
        self.cpu.state.pending_hint.set(true);
        true
    }

    fn translate(&self, vaddr: u64) -> Option<u64> {
        (vaddr >> 32 == 0).then_some(vaddr)
    }

    fn describe(&self) -> String {
        let state = &self.cpu.state;
        let mode = match state.sys.exception.get() {
            0 if state.privileged() => "privileged thread".to_string(),
            0 => "unprivileged thread".to_string(),
            number => format!("exception {number}"),
        };
        let sleep = match (state.sys.held.get(), state.sys.asleep.get()) {
            (true, _) => ", off",
            (false, true) => ", asleep",
            (false, false) => "",
        };
        let stack = if state.sys.on_psp.get() { "psp" } else { "msp" };
        format!("core {} at {:#x}, {mode} on {stack}{sleep}", self.config().index, self.pc())
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.cpu.state)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        saved::restore(&mut self.cpu, state)
    }

    fn disassemble(&self, pc: u64, bytes: &[u8]) -> Option<(String, usize)> {
        let first = u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]) as u32;
        let (word, len) = if isa::is_wide(first) {
            (first << 16 | u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?]) as u32, 4)
        } else {
            (first << 16, 2)
        };
        Some((isa::disassemble(word, pc, &self.config().features()), len))
    }
}

// Kept here so that a machine may live on any thread.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<ArmCore>();
};
