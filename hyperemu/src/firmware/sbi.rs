//! The RISC-V Supervisor Binary Interface, answered by the emulator instead of firmware in M-mode.
//!
//! Follows the RISC-V SBI specification 2.0: Base, TIME, IPI, RFENCE, HSM, SRST, PMU, DBCN, and the legacy
//! extensions 0 to 8. Left out: SUSP, CPPC, NACL and STA; non-retentive hart suspend; PMU firmware events and shared
//! snapshot memory.

use crate::machine::{Cpu, Machine};
use cpu_core::{MemoryKind, Time, Width};
use cpu_riscv::Hart;
use cpu_riscv::csr;
use devices_core::{At, DeviceId, HostOutput, Request};
use serde::{Deserialize, Serialize};

/// State of the built-in firmware.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sbi {
    /// The 16550 whose line the debug console shares.
    pub console: Option<DeviceId>,
    /// Per hart: its count of instructions when it suspended itself. It is suspended while it executes no more.
    suspended: Vec<Option<u64>>,
    /// Per hart: what the PMU counters count.
    pmu: Vec<[Option<Counting>; COUNTERS]>,
}

/// A PMU counter in use.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Counting {
    event: u64,
    started: bool,
}

/// cycle, time (never handed out), instret.
const COUNTERS: usize = 3;

/// The CSR numbers of the counters that the PMU hands out.
const COUNTER_CSR: [u64; COUNTERS] = [0xc00, 0xc01, 0xc02];

mod error {
    pub const FAILED: i64 = -1;
    pub const NOT_SUPPORTED: i64 = -2;
    pub const INVALID_PARAM: i64 = -3;
    pub const INVALID_ADDRESS: i64 = -5;
    pub const ALREADY_AVAILABLE: i64 = -6;
    pub const ALREADY_STARTED: i64 = -7;
    pub const ALREADY_STOPPED: i64 = -8;
}

mod extension {
    pub const BASE: u64 = 0x10;
    pub const TIME: u64 = 0x5449_4d45;
    pub const IPI: u64 = 0x73_5049;
    pub const RFENCE: u64 = 0x5246_4e43;
    pub const HSM: u64 = 0x48_534d;
    pub const SRST: u64 = 0x5352_5354;
    pub const PMU: u64 = 0x50_4d55;
    pub const DBCN: u64 = 0x4442_434e;
    pub const ALL: [u64; 8] = [BASE, TIME, IPI, RFENCE, HSM, SRST, PMU, DBCN];
    pub const LAST_LEGACY: u64 = 8;
}

/// A value, or an error code.
type Answer = Result<u64, i64>;

impl Sbi {
    /// For `harts` harts, with the debug console on this UART.
    pub fn new(harts: usize, console: Option<DeviceId>) -> Sbi {
        Sbi { console, suspended: vec![None; harts], pmu: vec![Default::default(); harts] }
    }
}

/// Answers the call that core `index` just made.
pub fn call(machine: &mut Machine, index: usize) {
    let Some(mut sbi) = machine.sbi.take() else { return };
    let hart = hart(machine, index);
    let args: [u64; 6] = std::array::from_fn(|i| hart.x(10 + i as u8));
    let (function, id) = (hart.x(16) & 0xffff_ffff, hart.x(17) & 0xffff_ffff);
    let mut call = Call { machine, sbi: &mut sbi, index, args };
    if id <= extension::LAST_LEGACY {
        let value = call.legacy(id);
        call.hart().set_x(10, value as u64);
    } else {
        match call.extension(id, function) {
            Outcome::Return(answer) => {
                let (error, value) = answer.map_or_else(|error| (error, 0), |value| (0, value));
                let hart = call.hart();
                hart.set_x(10, error as u64);
                hart.set_x(11, value);
            }
            Outcome::NoReturn => {}
        }
    }
    machine.sbi = Some(sbi);
}

fn hart(machine: &mut Machine, index: usize) -> &mut Hart {
    match &mut machine.cores[index] {
        Cpu::RiscV(hart) => hart,
        Cpu::Arm(_) => unreachable!("only harts call an SBI"),
    }
}

enum Outcome {
    Return(Answer),
    NoReturn,
}

struct Call<'a> {
    machine: &'a mut Machine,
    sbi: &'a mut Sbi,
    index: usize,
    args: [u64; 6],
}

impl Call<'_> {
    fn hart(&mut self) -> &mut Hart {
        hart(self.machine, self.index)
    }

    /// The largest unsigned number of the hart's width.
    fn all_ones(&mut self) -> u64 {
        u64::MAX >> (64 - self.hart().config().xlen)
    }

    fn now(&self) -> Time {
        self.machine.schedule.local[self.index]
    }

    fn extension(&mut self, id: u64, function: u64) -> Outcome {
        Outcome::Return(match id {
            extension::BASE => self.base(function),
            extension::TIME if function == 0 => {
                self.set_timer();
                Ok(0)
            }
            extension::IPI if function == 0 => self.send_ipi(self.args[0], self.args[1]),
            extension::RFENCE => self.rfence(function),
            extension::HSM => return self.hsm(function),
            extension::SRST if function == 0 => return self.system_reset(),
            extension::PMU => self.pmu(function),
            extension::DBCN if self.sbi.console.is_some() => self.debug_console(function),
            _ => Err(error::NOT_SUPPORTED),
        })
    }

    fn base(&mut self, function: u64) -> Answer {
        match function {
            0 => Ok(2 << 24),
            // The implementation id space is handed out by the specification; this one is not registered.
            1 => Ok(0x6879_7065),
            2 => Ok(1),
            3 => Ok(u64::from(match self.args[0] {
                extension::DBCN | 1 | 2 => self.sbi.console.is_some(),
                id => id <= extension::LAST_LEGACY || extension::ALL.contains(&id),
            })),
            4 => Ok(self.hart().csr(0xf11).unwrap_or(0)),
            5 => Ok(self.hart().csr(0xf12).unwrap_or(0)),
            6 => Ok(self.hart().csr(0xf13).unwrap_or(0)),
            _ => Err(error::NOT_SUPPORTED),
        }
    }

    /// The 64-bit time of TIME and of the legacy call: in one register, or in two.
    fn set_timer(&mut self) {
        let (low, high) = (self.args[0], self.args[1]);
        let hart = self.hart();
        let value = if hart.config().xlen == 32 { low | high << 32 } else { low };
        hart.set_stimecmp(value);
    }

    /// The harts that a mask and its base select, by core index. A base of all ones selects all.
    fn harts(&mut self, mask: u64, base: u64) -> Result<Vec<usize>, i64> {
        let all = self.all_ones();
        let count = self.machine.cores.len();
        if base == all {
            return Ok((0..count).collect());
        }
        let width = u64::from(self.hart().config().xlen);
        let ids: Vec<u64> =
            (0..width).filter(|bit| mask >> bit & 1 != 0).map(|bit| base.wrapping_add(bit)).collect();
        ids.into_iter().map(|id| self.core_of(id).ok_or(error::INVALID_PARAM)).collect()
    }

    fn core_of(&mut self, hartid: u64) -> Option<usize> {
        (0..self.machine.cores.len()).find(|&index| hart(self.machine, index).config().hartid == hartid)
    }

    fn send_ipi(&mut self, mask: u64, base: u64) -> Answer {
        for index in self.harts(mask, base)? {
            hart(self.machine, index).set_supervisor_software_interrupt(true);
            self.machine.wake_others |= index != self.index;
        }
        Ok(0)
    }

    /// Instruction caches are coherent here, and translations are flushed at once.
    fn rfence(&mut self, function: u64) -> Answer {
        let asid = match function {
            0 | 1 => None,
            2 => Some(self.args[4]),
            _ => return Err(error::NOT_SUPPORTED),
        };
        let harts = self.harts(self.args[0], self.args[1])?;
        if function == 0 {
            return Ok(0);
        }
        let (start, size) = (self.args[2], self.args[3]);
        let all = self.all_ones();
        // Page by page up to what a kernel would do so itself; beyond that all at once.
        const PAGE: u64 = 4096;
        let whole = (start == 0 && size == 0) || size == all || size > 64 * PAGE;
        let pages = if whole { 0 } else { (size + start % PAGE).div_ceil(PAGE) };
        for index in harts {
            let hart = hart(self.machine, index);
            if whole {
                hart.fence_translations(None, asid);
            }
            for page in 0..pages {
                hart.fence_translations(Some(start.wrapping_add(page * PAGE)), asid);
            }
        }
        Ok(0)
    }

    fn hsm(&mut self, function: u64) -> Outcome {
        Outcome::Return(match function {
            0 => self.hart_start(),
            1 => {
                self.hart().set_stopped(true);
                return Outcome::NoReturn;
            }
            2 => match self.core_of(self.args[0]) {
                None => Err(error::INVALID_PARAM),
                Some(index) => Ok(self.hart_status(index)),
            },
            // The type is 32 bits wide, and sign-extended by some callers.
            3 => match self.args[0] as u32 {
                // Default retentive suspend is WFI, and WFI keeps everything.
                0 => {
                    self.hart().suspend();
                    let count = self.machine.cores[self.index].view().instructions();
                    self.sbi.suspended[self.index] = Some(count);
                    Ok(0)
                }
                0x8000_0000 => Err(error::NOT_SUPPORTED),
                _ => Err(error::INVALID_PARAM),
            },
            _ => Err(error::NOT_SUPPORTED),
        })
    }

    /// Starting, stopping and suspending take no time, so the states between are never seen.
    fn hart_status(&self, index: usize) -> u64 {
        let core = self.machine.cores[index].view();
        if core.stopped() {
            1
        } else if self.sbi.suspended[index] == Some(core.instructions()) {
            4
        } else {
            0
        }
    }

    fn hart_start(&mut self) -> Answer {
        let [hartid, start, opaque, ..] = self.args;
        let index = self.core_of(hartid).ok_or(error::INVALID_PARAM)?;
        if !self.machine.cores[index].view().stopped() {
            return Err(error::ALREADY_AVAILABLE);
        }
        if self.machine.bus.services.memory.region(start, 4).is_none() {
            return Err(error::INVALID_ADDRESS);
        }
        hart(self.machine, index).start_supervisor(start, hartid, opaque);
        self.machine.wake_others = true;
        Ok(0)
    }

    fn system_reset(&mut self) -> Outcome {
        let request = match (self.args[0] as u32, self.args[1] as u32) {
            (0, 0) => Request::PowerOff(0),
            // The guest says that it failed.
            (0, 1) => Request::PowerOff(4),
            (1 | 2, 0 | 1) => Request::Reset,
            _ => return Outcome::Return(Err(error::INVALID_PARAM)),
        };
        self.machine.bus.services.requests.push(request);
        Outcome::NoReturn
    }

    fn debug_console(&mut self, function: u64) -> Answer {
        let console = self.sbi.console.ok_or(error::FAILED)?;
        let [count, low, high, ..] = self.args;
        let narrow = self.hart().config().xlen == 32;
        let addr = if narrow { low | high << 32 } else { low };
        match function {
            0 | 1 => {
                if !narrow && high != 0 {
                    return Err(error::INVALID_PARAM);
                }
                // A longer write is cut: the caller goes on with the rest, as the specification lets it.
                let count = count.min(4096);
                let region = self.machine.bus.services.memory.region(addr, count);
                let region = region.ok_or(error::INVALID_PARAM)?;
                if function == 1 && region.spec().kind != MemoryKind::Ram {
                    return Err(error::INVALID_PARAM);
                }
                if function == 0 {
                    return self.console_write(console, addr, count);
                }
                self.console_read(console, addr, count)
            }
            2 => {
                self.put(console, self.args[0] as u8);
                Ok(0)
            }
            _ => Err(error::NOT_SUPPORTED),
        }
    }

    fn console_write(&mut self, console: DeviceId, addr: u64, count: u64) -> Answer {
        let mut bytes = vec![0; count as usize];
        self.machine.bus.services.memory.read(addr, &mut bytes).map_err(|_| error::INVALID_PARAM)?;
        for byte in bytes {
            self.put(console, byte);
        }
        Ok(count)
    }

    fn console_read(&mut self, console: DeviceId, addr: u64, count: u64) -> Answer {
        let mut done = 0;
        while done < count {
            let Some(byte) = self.get(console) else { break };
            self.machine.bus.services.memory.write(addr + done, &[byte]).map_err(|_| error::INVALID_PARAM)?;
            done += 1;
        }
        Ok(done)
    }

    /// Straight to the line, whatever the guest's own driver is doing with the registers.
    fn put(&mut self, console: DeviceId, byte: u8) {
        let now = self.now();
        self.machine.bus.call(console, now, |_, ctx| ctx.output(HostOutput::Serial(vec![byte])));
    }

    /// Through the line status and receive buffer registers, as firmware would.
    fn get(&mut self, console: DeviceId) -> Option<u8> {
        let now = self.now();
        self.machine.bus.call(console, now, |device, ctx| {
            let ready = device.read(ctx, At { region: 0, offset: 5 }, Width::B1) & 1 != 0;
            ready.then(|| device.read(ctx, At { region: 0, offset: 0 }, Width::B1) as u8)
        })
    }

    fn pmu(&mut self, function: u64) -> Answer {
        match function {
            0 => Ok(COUNTERS as u64),
            1 => {
                let index = self.args[0] as usize;
                let csr = *COUNTER_CSR.get(index).ok_or(error::INVALID_PARAM)?;
                // Bits 11:0 CSR, bits 17:12 width minus one, type 0: hardware. `time` is not for handing out.
                if index == 1 { Err(error::INVALID_PARAM) } else { Ok(csr | 63 << 12) }
            }
            2 => self.pmu_configure(),
            3 => self.pmu_start(),
            4 => self.pmu_stop(),
            // Firmware counters, of which there are none.
            5 | 6 => Err(error::INVALID_PARAM),
            _ => Err(error::NOT_SUPPORTED),
        }
    }

    /// Counters of `mask` shifted by `base`.
    fn pmu_counters(&self) -> Result<Vec<usize>, i64> {
        let [base, mask, ..] = self.args;
        let bits = (0..64u64).filter(|bit| mask >> bit & 1 != 0);
        let counter = |bit| usize::try_from(base.wrapping_add(bit)).ok().filter(|index| *index < COUNTERS);
        bits.map(|bit| counter(bit).ok_or(error::INVALID_PARAM)).collect()
    }

    fn pmu_configure(&mut self) -> Answer {
        let candidates = self.pmu_counters()?;
        let [_, _, flags, event, ..] = self.args;
        let index = self.index;
        let (wanted, event) = if flags & 1 != 0 {
            // SKIP_MATCH: the caller names a counter that it has already configured.
            let chosen = candidates.first().and_then(|&c| Some((c, self.sbi.pmu[index][c]?.event)));
            chosen.ok_or(error::INVALID_PARAM)?
        } else {
            let wanted = match event {
                1 => 0, // SBI_PMU_HW_CPU_CYCLES
                2 => 2, // SBI_PMU_HW_INSTRUCTIONS
                _ => return Err(error::NOT_SUPPORTED),
            };
            if !candidates.contains(&wanted) {
                return Err(error::NOT_SUPPORTED);
            }
            (wanted, event)
        };
        let started = flags & 4 != 0; // AUTO_START
        self.sbi.pmu[index][wanted] = Some(Counting { event, started });
        if flags & 2 != 0 {
            self.set_counter(wanted, 0); // CLEAR_VALUE
        }
        self.inhibit(wanted, !started);
        Ok(wanted as u64)
    }

    fn pmu_start(&mut self) -> Answer {
        let [_, _, flags, initial, initial_high, _] = self.args;
        for counter in self.pmu_counters()? {
            match &mut self.sbi.pmu[self.index][counter] {
                None => return Err(error::INVALID_PARAM),
                Some(Counting { started: true, .. }) => return Err(error::ALREADY_STARTED),
                Some(counting) => counting.started = true,
            }
            if flags & 1 != 0 {
                let wide = self.hart().config().xlen == 32;
                self.set_counter(counter, if wide { initial | initial_high << 32 } else { initial });
            }
            self.inhibit(counter, false);
        }
        Ok(0)
    }

    fn pmu_stop(&mut self) -> Answer {
        let reset = self.args[2] & 1 != 0;
        for counter in self.pmu_counters()? {
            match &mut self.sbi.pmu[self.index][counter] {
                Some(counting) if counting.started => counting.started = false,
                _ if reset => {}
                _ => return Err(error::ALREADY_STOPPED),
            }
            self.inhibit(counter, true);
            if reset {
                self.sbi.pmu[self.index][counter] = None;
            }
        }
        Ok(0)
    }

    fn inhibit(&mut self, counter: usize, inhibit: bool) {
        let hart = self.hart();
        let before = hart.csr(csr::MCOUNTINHIBIT).unwrap_or(0);
        let bit = 1 << counter;
        hart.set_csr(csr::MCOUNTINHIBIT, if inhibit { before | bit } else { before & !bit });
    }

    fn set_counter(&mut self, counter: usize, value: u64) {
        let hart = self.hart();
        let wide = hart.config().xlen == 32;
        let (low, high) = if counter == 0 { (csr::MCYCLE, 0xb80) } else { (csr::MINSTRET, 0xb82) };
        hart.set_csr(low, value);
        if wide {
            hart.set_csr(high, value >> 32);
        }
    }

    /// Legacy calls return one value: zero, a character, or an error.
    fn legacy(&mut self, id: u64) -> i64 {
        match (id, self.sbi.console) {
            (0, _) => self.set_timer(),
            (1, Some(console)) => self.put(console, self.args[0] as u8),
            (2, Some(console)) => return self.get(console).map_or(-1, i64::from),
            (1 | 2, None) => return error::FAILED,
            (3, _) => {
                const SSIP: u64 = 2;
                let pending = self.hart().csr(csr::SIP).unwrap_or(0) & SSIP != 0;
                self.hart().set_supervisor_software_interrupt(false);
                return pending.into();
            }
            (4..=7, _) => return self.legacy_masked(id),
            _ => self.machine.bus.services.requests.push(Request::PowerOff(0)),
        }
        0
    }

    /// Legacy IPI and fences name their harts by a mask in memory, at a virtual address; zero means all.
    fn legacy_masked(&mut self, id: u64) -> i64 {
        let vaddr = self.args[0];
        let bytes = u64::from(self.hart().config().xlen) / 8;
        let mut mask = 0u64;
        for i in 0..bytes {
            let paddr = self.hart().physical(vaddr.wrapping_add(i));
            match paddr.and_then(|paddr| self.machine.bus.services.memory.read_le(paddr, 1).ok()) {
                _ if vaddr == 0 => mask = u64::MAX,
                Some(byte) => mask |= byte << (8 * i),
                None => return error::INVALID_ADDRESS,
            }
        }
        let (mask, base) = if vaddr == 0 { (0, self.all_ones()) } else { (mask, 0) };
        let [_, start, size, asid, ..] = self.args;
        self.args = [mask, base, start, size, asid, 0];
        let answer = match id {
            4 => self.send_ipi(mask, base),
            5 => self.rfence(0),
            6 => self.rfence(1),
            _ => self.rfence(2),
        };
        answer.err().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::{DATA, Program, machine};

    /// Error and value of a call by core `index`.
    fn ask(machine: &mut Machine, index: usize, id: u64, function: u64, args: &[u64]) -> (i64, u64) {
        for (i, arg) in args.iter().chain([0; 6].iter()).take(6).enumerate() {
            hart(machine, index).set_x(10 + i as u8, *arg);
        }
        hart(machine, index).set_x(16, function);
        hart(machine, index).set_x(17, id);
        call(machine, index);
        let hart = hart(machine, index);
        (hart.x(10) as i64, hart.x(11))
    }

    #[test]
    fn base_tells_what_is_there() {
        let mut m = machine("tv", 2, &Program::default());
        assert_eq!(ask(&mut m, 0, extension::BASE, 0, &[]), (0, 2 << 24));
        for id in extension::ALL.into_iter().chain(0..=8) {
            assert_eq!(ask(&mut m, 0, extension::BASE, 3, &[id]), (0, 1), "{id:#x}");
        }
        for id in [9, 0xf, 0x5355_5350, 0x4341_5054] {
            assert_eq!(ask(&mut m, 0, extension::BASE, 3, &[id]), (0, 0), "{id:#x}");
        }
        assert_eq!(ask(&mut m, 0, extension::BASE, 7, &[]).0, error::NOT_SUPPORTED);
        assert_eq!(ask(&mut m, 0, 0x1234_5678, 0, &[]).0, error::NOT_SUPPORTED);
    }

    #[test]
    fn harts_start_stop_and_suspend() {
        let mut m = machine("tv", 2, &Program::default());
        let status = |m: &mut Machine, id| ask(m, 0, extension::HSM, 2, &[id]);
        assert_eq!((status(&mut m, 0), status(&mut m, 1)), ((0, 0), (0, 1)));
        assert_eq!(status(&mut m, 2).0, error::INVALID_PARAM);
        let start = |m: &mut Machine, id, at| ask(m, 0, extension::HSM, 0, &[id, at, 77]).0;
        assert_eq!(start(&mut m, 2, DATA), error::INVALID_PARAM);
        assert_eq!(start(&mut m, 0, DATA), error::ALREADY_AVAILABLE);
        assert_eq!(start(&mut m, 1, 0x4000_0000), error::INVALID_ADDRESS);
        assert_eq!(start(&mut m, 1, DATA), 0);
        assert_eq!((hart(&mut m, 1).x(10), hart(&mut m, 1).x(11)), (1, 77));
        assert_eq!(status(&mut m, 1), (0, 0));
        let suspend = |m: &mut Machine, kind| ask(m, 1, extension::HSM, 3, &[kind, 0, 0]).0;
        assert_eq!(suspend(&mut m, 0xffff_ffff_8000_0000), error::NOT_SUPPORTED);
        assert_eq!(suspend(&mut m, 0x1000_0000), error::INVALID_PARAM);
        assert_eq!(suspend(&mut m, 0), 0);
        assert_eq!(status(&mut m, 1), (0, 4));
    }

    #[test]
    fn masks_name_harts() {
        let mut m = machine("tv", 2, &Program::default());
        let ssip = |m: &mut Machine, index| hart(m, index).csr(csr::SIP).unwrap() & 2 != 0;
        assert_eq!(ask(&mut m, 0, extension::IPI, 0, &[0b100, 0]).0, error::INVALID_PARAM);
        assert_eq!(ask(&mut m, 0, extension::IPI, 0, &[1, 2]).0, error::INVALID_PARAM);
        assert_eq!(ask(&mut m, 0, extension::IPI, 0, &[1, 0]).0, 0);
        assert!(ssip(&mut m, 0));
        assert_eq!(ask(&mut m, 0, 3, 0, &[5, 6]), (1, 6), "legacy: it was pending, and a1 stays");
        assert_eq!(ask(&mut m, 0, 3, 0, &[]).0, 0);
        assert_eq!(ask(&mut m, 0, extension::IPI, 0, &[0, u64::MAX]).0, 0);
        assert!(ssip(&mut m, 0));
        for (function, expected) in [(0, 0), (1, 0), (2, 0), (3, error::NOT_SUPPORTED)] {
            let args = [3, 0, 0xffff_ffff_ffff_f000, 64 * 4096, 1];
            assert_eq!(ask(&mut m, 0, extension::RFENCE, function, &args).0, expected, "{function}");
        }
    }

    #[test]
    fn the_console_takes_what_is_memory() {
        let mut m = machine("tv", 1, &Program::default());
        m.bus.services.memory.write(DATA, b"hello").unwrap();
        assert_eq!(ask(&mut m, 0, extension::DBCN, 0, &[5, DATA, 0]), (0, 5));
        let (_, output) = m.bus.services.output.pop().unwrap();
        assert_eq!(output, HostOutput::Serial(b"hello".to_vec()));
        for [count, low, high] in [[1, 0x4000_0000, 0], [5, DATA, 1], [2, u64::MAX, 0]] {
            assert_eq!(ask(&mut m, 0, extension::DBCN, 0, &[count, low, high]).0, error::INVALID_PARAM);
        }
        assert_eq!(ask(&mut m, 0, extension::DBCN, 1, &[5, DATA, 0]), (0, 0), "nothing was typed");
        assert_eq!(ask(&mut m, 0, extension::DBCN, 1, &[1, 0x2000_0000, 0]).0, error::INVALID_PARAM);
    }

    #[test]
    fn counters_are_handed_out() {
        let mut m = machine("tv", 1, &Program::default());
        let mut pmu = |function, args: &[u64]| ask(&mut m, 0, extension::PMU, function, args);
        assert_eq!(pmu(0, &[]), (0, 3));
        assert_eq!(pmu(1, &[0]), (0, 0xc00 | 63 << 12));
        assert_eq!((pmu(1, &[1]).0, pmu(1, &[u64::MAX]).0), (error::INVALID_PARAM, error::INVALID_PARAM));
        assert_eq!(pmu(2, &[0, 0b101, 0, 9]).0, error::NOT_SUPPORTED);
        assert_eq!(pmu(3, &[2, 1]).0, error::INVALID_PARAM, "not configured");
        assert_eq!(pmu(2, &[0, 0b101, 2, 2]), (0, 2));
        assert_eq!(pmu(4, &[2, 1]).0, error::ALREADY_STOPPED);
        assert_eq!(pmu(2, &[2, 1, 1 | 4]), (0, 2), "SKIP_MATCH with AUTO_START");
        assert_eq!(pmu(3, &[2, 1]).0, error::ALREADY_STARTED);
        assert_eq!((pmu(4, &[2, 1, 1]).0, pmu(3, &[2, 1]).0), (0, error::INVALID_PARAM));
    }
}
