//! Reset, and sleep that only a reset ends.

use crate::firmware::sbi::Sbi;
use crate::machine::scheduler::Schedule;
use crate::machine::{Cpu, Machine, boot};
use cpu_core::Time;
use devices_core::Request;

impl Machine {
    /// Devices and cores go back to power-on, and so does RAM, but for that of a microcontroller (M profile), which no
    /// reset touches: there, only what was loaded into it is loaded again. Flash keeps its content. Virtual time and
    /// instruction counts go on.
    pub fn reset(&mut self) {
        let now = self.schedule.local.iter().copied().max().unwrap_or_default().max(self.schedule.now);
        if !self.cores.iter().any(|cpu| matches!(cpu, Cpu::Arm(_))) {
            self.bus.services.memory.clear();
        }
        self.bus.services.requests.clear();
        self.schedule = Schedule { now, end: now, turn: 0, local: vec![now; self.cores.len()] };
        for cpu in &mut self.cores {
            cpu.core().reset();
        }
        self.bus.reset(now);
        self.tell_unreadable();
        for (core, line, level) in self.bus.take_core_signals() {
            if let Some(cpu) = self.cores.get_mut(core) {
                cpu.core().set_line(line, level);
            }
        }
        self.wake_others = false;
        if let Some(sbi) = &mut self.sbi {
            *sbi = Sbi::new(self.cores.len(), sbi.console);
        }
        boot::apply(self, boot::Power::Reset);
        self.resets += 1;
    }

    /// If a device has asked for it, the chip goes to its deepest sleep at `now`.
    pub(super) fn power_down(&mut self, now: Time) {
        let requests = &mut self.bus.services.requests;
        let before = requests.len();
        requests.retain(|request| *request != Request::PowerDown);
        if requests.len() == before {
            return;
        }
        for cpu in &mut self.cores {
            if let Cpu::Arm(core) = cpu {
                core.hold();
            }
        }
        for id in 0..self.bus.slots.len() {
            self.bus.call(id, now, |device, ctx| device.power_down(ctx));
        }
    }
}
