//! A [`Target`] as gdbstub sees one.

use crate::arch::{AnyArch, RegisterBytes, RegisterNumber};
use crate::description::{memory_map, part, target_description};
use crate::{Event, Target};
use cpu_core::RegisterGroup;
use cpu_core::memory::PAGE_SIZE;
use gdbstub::common::{Signal, Tid};
use gdbstub::stub::MultiThreadStopReason;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadRangeStepping, MultiThreadRangeSteppingOps, MultiThreadResume,
    MultiThreadResumeOps, MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep,
    MultiThreadSingleStepOps,
};
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, SwBreakpoint, SwBreakpointOps,
};
use gdbstub::target::ext::memory_map::{MemoryMap, MemoryMapOps};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::target_description_xml_override::{
    TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{TargetError, TargetResult};
use std::ops::Range;

/// Linux's EINVAL and EFAULT, which clients show by number.
const EINVAL: u8 = 22;
const EFAULT: u8 = 14;

/// A core that is to be stepped.
struct Stepping {
    core: usize,
    /// Its instruction count after the step.
    until: u64,
    /// Step on while the program counter is in here.
    range: Option<Range<u64>>,
}

/// A target and what the client wants of it.
pub(crate) struct Adapter<T> {
    pub target: T,
    description: String,
    memory_map: Option<String>,
    /// Addresses of breakpoints, each as often as it was set.
    software: Vec<u64>,
    hardware: Vec<u64>,
    steps: Vec<Stepping>,
    /// The core that the client was last told about, and its program counter then.
    stopped: (usize, Option<u64>),
    /// The program ends.
    pub quit: bool,
    /// What the client should read before it learns of the stop.
    pub message: Option<String>,
}

fn core_of(tid: Tid) -> usize {
    tid.get() - 1
}

fn tid_of(core: usize) -> Tid {
    Tid::MIN.saturating_add(core)
}

impl<T: Target> Adapter<T> {
    pub fn new(target: T) -> Adapter<T> {
        let architecture = target.architecture();
        let mut registers = Vec::new();
        for index in 0..target.cores() {
            for register in target.core(index).map_or(&[][..], |core| core.registers()) {
                if !registers.iter().any(|known: &cpu_core::RegisterInfo| known.number == register.number) {
                    registers.push(register.clone());
                }
            }
        }
        let description = target_description(architecture, &registers);
        // Addresses of a map are what a client uses, and those of memory are physical.
        let map = || memory_map(target.memory().regions().iter().map(|region| region.spec()));
        let memory_map = (!architecture.translates(&registers)).then(map);
        Adapter {
            target,
            description,
            memory_map,
            software: Vec::new(),
            hardware: Vec::new(),
            steps: Vec::new(),
            stopped: (0, None),
            quit: false,
            message: None,
        }
    }

    /// Leaves the target without a trace of the client.
    pub fn into_target(mut self) -> T {
        self.software.clear();
        self.hardware.clear();
        self.apply_breakpoints();
        self.target
    }

    fn apply_breakpoints(&mut self) {
        let addresses: Vec<u64> = self.software.iter().chain(&self.hardware).copied().collect();
        for index in 0..self.target.cores() {
            if let Some(core) = self.target.core_mut(index) {
                core.set_breakpoints(&addresses);
            }
        }
    }

    fn instructions(&self, core: usize) -> u64 {
        self.target.core(core).map_or(0, |core| core.instructions())
    }

    /// Lets the target run for a while, as the client asked. Gives why it stopped, if it did.
    pub fn run(&mut self) -> Option<MultiThreadStopReason<u64>> {
        let limit = self.steps.first().map(|step| (step.core, step.until));
        let reason = match self.target.run(limit) {
            Event::Running | Event::Limit => {
                let core = self.stepped()?;
                MultiThreadStopReason::SignalWithThread { tid: self.stop_at(core), signal: Signal::SIGTRAP }
            }
            Event::Breakpoint(core) => {
                let tid = self.stop_at(core);
                let software = self.stopped.1.is_none_or(|pc| !self.hardware.contains(&pc));
                if software {
                    MultiThreadStopReason::SwBreak(tid)
                } else {
                    MultiThreadStopReason::HwBreak(tid)
                }
            }
            Event::Fault(core, message) => {
                self.message = Some(message);
                MultiThreadStopReason::SignalWithThread { tid: self.stop_at(core), signal: Signal::SIGABRT }
            }
            Event::Ended(status) => MultiThreadStopReason::Exited(status),
        };
        Some(reason)
    }

    /// The stop that a client's interrupt asks for.
    pub fn interrupt(&mut self) -> MultiThreadStopReason<u64> {
        let core = self.steps.first().map_or(self.stopped.0, |step| step.core);
        MultiThreadStopReason::SignalWithThread { tid: self.stop_at(core), signal: Signal::SIGINT }
    }

    fn stop_at(&mut self, core: usize) -> Tid {
        self.stopped = (core, self.target.core(core).map(|core| core.pc()));
        tid_of(core)
    }

    /// The first core that has done its step.
    fn stepped(&mut self) -> Option<usize> {
        for step in &mut self.steps {
            let Some(core) = self.target.core(step.core) else { continue };
            let count = core.instructions();
            if count < step.until {
                continue;
            }
            match &step.range {
                Some(range) if range.contains(&core.pc()) => step.until = count.saturating_add(1),
                _ => return Some(step.core),
            }
        }
        None
    }

    fn step(&mut self, tid: Tid, range: Option<Range<u64>>) -> Result<(), &'static str> {
        let core = core_of(tid);
        // A client steps from a breakpoint, not to the one at which it is.
        self.target.core_mut(core).ok_or("there is no such core")?.step_over_breakpoint();
        let until = self.instructions(core).saturating_add(1);
        self.steps.push(Stepping { core, until, range });
        Ok(())
    }

    fn index_of(&self, core: usize, number: u32) -> Option<usize> {
        self.target.core(core)?.registers().iter().position(|register| register.number == number)
    }

    /// Copies guest memory by virtual address, up to the first byte that is not memory; how much that was.
    fn copy(
        &self,
        core: usize,
        address: u64,
        length: usize,
        mut piece: impl FnMut(u64, Range<usize>) -> bool,
    ) -> usize {
        let Some(core) = self.target.core(core) else { return 0 };
        let mut done = 0;
        while done < length {
            let at = address.wrapping_add(done as u64);
            let room = (PAGE_SIZE - at % PAGE_SIZE) as usize;
            let end = length.min(done + room);
            let Some(physical) = core.translate(at) else { break };
            if !piece(physical, done..end) {
                break;
            }
            done = end;
        }
        done
    }
}

impl<T: Target> gdbstub::target::Target for Adapter<T> {
    type Arch = AnyArch;
    type Error = &'static str;

    fn base_ops(&mut self) -> BaseOps<'_, AnyArch, &'static str> {
        BaseOps::MultiThread(self)
    }

    fn use_lldb_register_info(&self) -> bool {
        false
    }

    fn use_fork_stop_reason(&self) -> bool {
        false
    }

    fn use_vfork_stop_reason(&self) -> bool {
        false
    }

    fn use_vforkdone_stop_reason(&self) -> bool {
        false
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_memory_map(&mut self) -> Option<MemoryMapOps<'_, Self>> {
        if self.memory_map.is_some() { Some(self) } else { None }
    }

    fn support_target_description_xml_override(
        &mut self,
    ) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        Some(self)
    }
}

impl<T: Target> MultiThreadBase for Adapter<T> {
    fn read_registers(&mut self, registers: &mut RegisterBytes, tid: Tid) -> TargetResult<(), Self> {
        let core = self.target.core(core_of(tid)).ok_or(TargetError::Errno(EINVAL))?;
        for (index, info) in core.registers().iter().enumerate() {
            if info.group == RegisterGroup::General {
                let value = core.register(index).map(u128::to_le_bytes);
                let bytes =
                    (0..info.bits as usize / 8).map(|i| value.and_then(|value| value.get(i).copied()));
                registers.0.extend(bytes);
            }
        }
        Ok(())
    }

    fn write_registers(&mut self, registers: &RegisterBytes, tid: Tid) -> TargetResult<(), Self> {
        let core = self.target.core_mut(core_of(tid)).ok_or(TargetError::Errno(EINVAL))?;
        let general = |info: &cpu_core::RegisterInfo| info.group == RegisterGroup::General;
        let sizes: Vec<(usize, usize)> = core
            .registers()
            .iter()
            .enumerate()
            .filter(|(_, info)| general(info))
            .map(|(index, info)| (index, info.bits as usize / 8))
            .collect();
        let mut rest = registers.0.as_slice();
        for (index, size) in sizes {
            let (bytes, after) = rest.split_at_checked(size).ok_or(TargetError::Errno(EINVAL))?;
            rest = after;
            let bytes: Option<Vec<u8>> = bytes.iter().copied().collect();
            // The zero register among others can not be written; a client writes all of them back.
            if let Some(value) = bytes.and_then(|bytes| value_of(&bytes))
                && core.register(index) != Some(value)
            {
                core.set_register(index, value);
            }
        }
        Ok(())
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let memory = self.target.memory();
        let length = data.len();
        let count = self.copy(core_of(tid), start, length, |physical, range| {
            data.get_mut(range).is_some_and(|into| memory.read(physical, into).is_ok())
        });
        if count == 0 && length > 0 { Err(TargetError::Errno(EFAULT)) } else { Ok(count) }
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let memory = self.target.memory();
        // All or nothing.
        let mut pieces = Vec::new();
        let count = self.copy(core_of(tid), start, data.len(), |physical, range| {
            let there = memory.region(physical, range.len() as u64).is_some();
            pieces.push((physical, range));
            there
        });
        if count < data.len() {
            return Err(TargetError::Errno(EFAULT));
        }
        for (physical, range) in pieces {
            let from = data.get(range).unwrap_or_default();
            memory.write_any(physical, from).map_err(|_| TargetError::Errno(EFAULT))?;
        }
        Ok(())
    }

    fn list_active_threads(&mut self, register: &mut dyn FnMut(Tid)) -> Result<(), &'static str> {
        (0..self.target.cores()).map(tid_of).for_each(register);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

fn value_of(bytes: &[u8]) -> Option<u128> {
    let mut value = [0; 16];
    value.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u128::from_le_bytes(value))
}

impl<T: Target> SingleRegisterAccess<Tid> for Adapter<T> {
    fn read_register(
        &mut self,
        tid: Tid,
        id: RegisterNumber,
        buffer: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let index = self.index_of(core_of(tid), id.0).ok_or(TargetError::Errno(EINVAL))?;
        let core = self.target.core(core_of(tid)).ok_or(TargetError::Errno(EINVAL))?;
        let size = core.registers().get(index).map_or(0, |info| info.bits as usize / 8);
        let value = core.register(index).ok_or(TargetError::Errno(EFAULT))?.to_le_bytes();
        let (into, from) = buffer.get_mut(..size).zip(value.get(..size)).ok_or(TargetError::Errno(EINVAL))?;
        into.copy_from_slice(from);
        Ok(size)
    }

    fn write_register(&mut self, tid: Tid, id: RegisterNumber, bytes: &[u8]) -> TargetResult<(), Self> {
        let index = self.index_of(core_of(tid), id.0).ok_or(TargetError::Errno(EINVAL))?;
        let core = self.target.core_mut(core_of(tid)).ok_or(TargetError::Errno(EINVAL))?;
        let size = core.registers().get(index).map_or(0, |info| info.bits as usize / 8);
        let value = value_of(bytes).filter(|_| bytes.len() == size).ok_or(TargetError::Errno(EINVAL))?;
        if core.set_register(index, value) { Ok(()) } else { Err(TargetError::Errno(EINVAL)) }
    }
}

impl<T: Target> ThreadExtraInfo for Adapter<T> {
    fn thread_extra_info(&self, tid: Tid, buffer: &mut [u8]) -> Result<usize, &'static str> {
        let core = self.target.core(core_of(tid)).ok_or("there is no such core")?;
        Ok(part(&core.describe(), 0, usize::MAX, buffer))
    }
}

impl<T: Target> MultiThreadResume for Adapter<T> {
    fn resume(&mut self) -> Result<(), &'static str> {
        // The client knows that this core is at a breakpoint; others that came to one will still tell.
        let (stopped, pc) = self.stopped;
        if let Some(core) = self.target.core_mut(stopped)
            && Some(core.pc()) == pc
        {
            core.step_over_breakpoint();
        }
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), &'static str> {
        self.steps.clear();
        Ok(())
    }

    fn set_resume_action_continue(&mut self, _tid: Tid, _signal: Option<Signal>) -> Result<(), &'static str> {
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<MultiThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl<T: Target> MultiThreadSingleStep for Adapter<T> {
    fn set_resume_action_step(&mut self, tid: Tid, _signal: Option<Signal>) -> Result<(), &'static str> {
        self.step(tid, None)
    }
}

impl<T: Target> MultiThreadRangeStepping for Adapter<T> {
    fn set_resume_action_range_step(&mut self, tid: Tid, start: u64, end: u64) -> Result<(), &'static str> {
        self.step(tid, Some(start..end))
    }
}

impl<T: Target> MultiThreadSchedulerLocking for Adapter<T> {
    /// The schedule is the machine's: holding a core back would make it another run. Nothing else runs between two
    /// instructions of a core within its turn, so that a step past a breakpoint is not disturbed.
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl<T: Target> Breakpoints for Adapter<T> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }
}

fn remove(list: &mut Vec<u64>, address: u64) -> bool {
    let found = list.iter().position(|known| *known == address);
    found.map(|index| list.swap_remove(index)).is_some()
}

/// More breakpoints than any client sets.
const MAX_BREAKPOINTS: usize = 1 << 16;

impl<T: Target> SwBreakpoint for Adapter<T> {
    fn add_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        // Setting one again has no effect.
        if self.software.len() < MAX_BREAKPOINTS && !self.software.contains(&address) {
            self.software.push(address);
            self.apply_breakpoints();
        }
        Ok(self.software.contains(&address))
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        let removed = remove(&mut self.software, address);
        self.apply_breakpoints();
        Ok(removed)
    }
}

impl<T: Target> HwBreakpoint for Adapter<T> {
    fn add_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        if self.hardware.len() < MAX_BREAKPOINTS && !self.hardware.contains(&address) {
            self.hardware.push(address);
            self.apply_breakpoints();
        }
        Ok(self.hardware.contains(&address))
    }

    fn remove_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        let removed = remove(&mut self.hardware, address);
        self.apply_breakpoints();
        Ok(removed)
    }
}

impl<T: Target> MonitorCmd for Adapter<T> {
    fn handle_monitor_cmd(
        &mut self,
        command: &[u8],
        mut output: ConsoleOutput<'_>,
    ) -> Result<(), &'static str> {
        let answer = self.target.monitor(String::from_utf8_lossy(command).trim());
        self.quit |= answer.quit;
        // Hexadecimal doubles it; keep each packet of it well inside what any client takes.
        for piece in answer.text.as_bytes().chunks(512) {
            output.write_raw(piece);
            output.flush();
        }
        Ok(())
    }
}

impl<T: Target> TargetDescriptionXmlOverride for Adapter<T> {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buffer: &mut [u8],
    ) -> TargetResult<usize, Self> {
        if annex != b"target.xml" {
            return Err(TargetError::NonFatal);
        }
        Ok(part(&self.description, offset, length, buffer))
    }
}

impl<T: Target> MemoryMap for Adapter<T> {
    fn memory_map_xml(&self, offset: u64, length: usize, buffer: &mut [u8]) -> TargetResult<usize, Self> {
        let map = self.memory_map.as_deref().ok_or(TargetError::NonFatal)?;
        Ok(part(map, offset, length, buffer))
    }
}
