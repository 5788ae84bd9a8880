//! A machine: cores, bus, devices, and the schedule that runs them.

pub mod boot;
pub mod build;
pub mod bus;
pub mod jit;
pub mod node;
#[cfg(test)]
mod nordic_tests;
mod pins;
mod power;
pub mod scheduler;
pub mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod vectors;

use crate::firmware::sbi::Sbi;
use crate::host::log::Log;
use bus::SystemBus;
use cpu_armm::ArmCore;
use cpu_core::{Core, RegisterGroup, Time};
use cpu_riscv::Hart;
use devices_core::{
    ControlError, ControlSpec, ControlValue, Ctx, DeviceId, HostInput, HostOutput, Port, Request,
};
use scheduler::Schedule;

/// A core of some instruction set.
pub enum Cpu {
    /// RV32 or RV64.
    RiscV(Box<Hart>),
    /// Arm M-profile.
    Arm(Box<ArmCore>),
}

impl Cpu {
    /// As any core.
    pub fn core(&mut self) -> &mut dyn Core {
        match self {
            Cpu::RiscV(hart) => hart.as_mut(),
            Cpu::Arm(core) => core.as_mut(),
        }
    }

    /// As any core, to look at.
    pub fn view(&self) -> &dyn Core {
        match self {
            Cpu::RiscV(hart) => hart.as_ref(),
            Cpu::Arm(core) => core.as_ref(),
        }
    }

    /// Where a core that can not go on stands and why, in lines for a human.
    pub fn post_mortem(&self) -> String {
        let core = self.view();
        let mut text = core.describe();
        let show = |(name, value): (&str, u128)| format!("{name} {value:#010x}");
        if let Cpu::Arm(arm) = self {
            let faults = arm.fault_status().map(|(name, value)| show((name, value.into())));
            text += &format!("\n  {}", faults.join("  "));
        }
        let general = core.registers().iter().enumerate();
        let general = general.filter(|(_, register)| register.group == RegisterGroup::General);
        let values: Vec<String> = general
            .filter_map(|(index, register)| Some(show((register.name, core.register(index)?))))
            .collect();
        for line in values.chunks(6) {
            text += &format!("\n  {}", line.join("  "));
        }
        text
    }
}

/// Why [`Machine::round`] returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A round ended: the host may exchange input and output.
    Boundary,
    /// [`scheduler::Limit::instructions`] is reached.
    Instructions,
    /// A core stands before a breakpoint.
    Breakpoint(usize),
    /// The guest switched the power off, with this status.
    PowerOff(u32),
    /// The guest asked for a reset; [`Machine::reset`] does it.
    Reset,
    /// A core can not go on.
    Lockup(usize),
    /// A core executed the semihosting sequence.
    Semihosting(usize),
    /// Something that is not modelled was used, and the policy is to stop.
    Unimplemented(String),
}

/// What to do when a guest uses something that is not modelled.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum UnimplementedPolicy {
    /// Say so once for each place.
    #[default]
    Warn,
    /// Stop the machine.
    Error,
    /// Only count.
    Ignore,
}

/// A machine.
pub struct Machine {
    /// The board's name.
    pub name: String,
    /// Its cores.
    pub cores: Vec<Cpu>,
    /// Everything else.
    pub bus: SystemBus,
    /// Where in virtual time it is.
    pub schedule: Schedule,
    /// The serial port that the board calls its console.
    pub stdout: Option<DeviceId>,
    /// The channel for the text of cores' ITMs.
    pub itm: Option<DeviceId>,
    /// What memory and cores hold at power-on.
    pub plan: boot::BootPlan,
    /// The built-in SBI's state; `None` where firmware of the guest runs in M-mode.
    pub sbi: Option<Sbi>,
    /// What to do about what is not modelled.
    pub policy: UnimplementedPolicy,
    /// Messages for the user.
    pub log: Log,
    /// What the run's randomness comes from.
    pub seed: u64,
    /// How often it was reset.
    pub resets: u64,
    /// Set by firmware when another core became runnable: the round ends.
    pub(crate) wake_others: bool,
    unimplemented_error: Option<String>,
}

impl Machine {
    /// Virtual time: no core is behind it.
    pub fn now(&self) -> Time {
        self.schedule.now
    }

    /// Instructions executed by all cores since power-on.
    pub fn instructions(&self) -> u64 {
        self.cores.iter().map(|cpu| cpu.view().instructions()).sum()
    }

    /// Gives a device something from outside. Only between rounds: at [`Stop::Boundary`].
    pub fn inject(&mut self, device: DeviceId, input: &HostInput) {
        self.bus.host_input(device, self.schedule.now, input);
    }

    /// The devices with such a port, in the order of their nodes.
    pub fn ports(&self, port: Port) -> Vec<DeviceId> {
        let has = |id: &DeviceId| self.bus.slots[*id].device.ports().contains(&port);
        (0..self.bus.slots.len()).filter(has).collect()
    }

    /// All controls, by full name.
    pub fn controls(&self) -> Vec<(DeviceId, ControlSpec)> {
        let of_slot = |(id, slot): (usize, &bus::Slot)| {
            let prefix = slot.name.clone();
            slot.device.controls().into_iter().map(move |mut spec| {
                // A chip on a bus brings its own name; the controller's would only be noise.
                if !spec.name.contains('.') {
                    spec.name = format!("{prefix}.{}", spec.name);
                }
                (id, spec)
            })
        };
        self.bus.slots.iter().enumerate().flat_map(of_slot).collect()
    }

    /// Sets a control from text, as a user writes it. Errors where the name or the value is unknown.
    pub fn set_control(&mut self, name: &str, text: &str) -> Result<(), ControlError> {
        let (id, spec) = self.find_control(name)?;
        if !spec.settable {
            return Err(ControlError::ReadOnly(name.to_string()));
        }
        let value = spec.parse(text)?;
        let local = self.local_name(id, name);
        let now = self.schedule.now;
        self.bus.call(id, now, |device, ctx: &mut Ctx| device.set_control(ctx, &local, &value))
    }

    /// The value of a control.
    pub fn control(&self, name: &str) -> Result<ControlValue, ControlError> {
        let (id, _) = self.find_control(name)?;
        let unknown = || ControlError::Unknown(name.to_string());
        self.bus.slots[id].device.control(&self.local_name(id, name)).ok_or_else(unknown)
    }

    fn find_control(&self, name: &str) -> Result<(DeviceId, ControlSpec), ControlError> {
        let unknown = || ControlError::Unknown(name.to_string());
        self.controls().into_iter().find(|(_, spec)| spec.name == name).ok_or_else(unknown)
    }

    /// The name by which the device itself knows a control.
    fn local_name(&self, id: DeviceId, name: &str) -> String {
        let own = name.strip_prefix(&self.bus.slots[id].name).and_then(|rest| rest.strip_prefix('.'));
        own.unwrap_or(name).to_string()
    }

    /// Takes what an Arm core left for others at `local`: text of its ITM, and its wish to be reset.
    fn collect(&mut self, index: usize, local: Time) {
        let Some(Cpu::Arm(core)) = self.cores.get_mut(index) else { return };
        if core.take_reset_request() {
            self.bus.services.requests.push(Request::Reset);
        }
        let Some(itm) = self.itm else { return };
        let trace = core.take_trace();
        let text: Vec<u8> = trace
            .iter()
            .filter(|stimulus| stimulus.port == 0)
            .flat_map(|stimulus| stimulus.bytes())
            .collect();
        if !text.is_empty() {
            self.bus.call(itm, local, |_, ctx| ctx.output(HostOutput::Serial(text)));
        }
    }

    /// Tells the user what models and bus noticed since the last time.
    fn report(&mut self) {
        let pc = self.bus.last_access.map_or(0, |access| access.pc);
        for fresh in std::mem::take(&mut self.bus.services.fresh_unimplemented) {
            let verb = if fresh.write { "write to" } else { "read of" };
            let name = &self.bus.slots[fresh.device].name;
            let what = if fresh.what.is_empty() { "an unmodelled register" } else { &fresh.what };
            let message = format!("{verb} {name} + {:#x} ({what}) is not modelled; pc {pc:#x}", fresh.offset);
            self.unmodelled(message);
        }
        for access in std::mem::take(&mut self.bus.unmapped) {
            let verb = if access.write { "write to" } else { "read of" };
            let (core, _, pc) = access.who;
            self.unmodelled(format!(
                "{verb} {:#x}, where there is nothing; core {core}, pc {pc:#x}",
                access.paddr
            ));
        }
        for (device, complaint) in std::mem::take(&mut self.bus.services.complaints) {
            let name = self.bus.slots.get(device).map_or("bus", |slot| slot.name.as_str());
            self.log.warn(self.schedule.now, format!("{name}: {complaint}"));
        }
    }

    fn unmodelled(&mut self, message: String) {
        match self.policy {
            UnimplementedPolicy::Ignore => {}
            UnimplementedPolicy::Warn => self.log.warn(self.schedule.now, message),
            UnimplementedPolicy::Error => {
                self.unimplemented_error.get_or_insert(message);
            }
        }
    }
}
