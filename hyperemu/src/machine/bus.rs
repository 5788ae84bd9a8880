//! The bus: which device answers where, and how signals get from one to another.

use cpu_core::{Access, Bus, BusFault, Counter, GuestMemory, Time, Width};
use devices_core::services::{Message, Services};
use devices_core::wires::Signal;
use devices_core::{At, Ctx, Device, DeviceId, HostInput, Target};
use std::cell::Cell;

/// A device in its place.
pub struct Slot {
    /// Unique in the machine.
    pub name: String,
    /// Path of its devicetree node.
    pub path: String,
    /// What kind of model it is, in a line.
    pub summary: &'static str,
    /// The model.
    pub device: Box<dyn Device>,
}

#[derive(Copy, Clone)]
struct Mapping {
    base: u64,
    size: u64,
    device: DeviceId,
    region: usize,
}

/// An access that no device answered.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Unmapped {
    /// Physical address.
    pub paddr: u64,
    /// Written, or read.
    pub write: bool,
    /// By whom, when, from where.
    pub who: (usize, Time, u64),
}

/// All devices of a machine, with the lines between them.
pub struct SystemBus {
    /// The devices, by [`DeviceId`].
    pub slots: Vec<Slot>,
    /// What they share.
    pub services: Services,
    map: Vec<Mapping>,
    /// Where in `map` was found last: most often, it is the same again.
    recent: Cell<usize>,
    /// Devices that want to know what others publish.
    listeners: Vec<DeviceId>,
    core_signals: Vec<(usize, u32, bool)>,
    /// The latest access by a core, for messages.
    pub last_access: Option<Access>,
    /// Accesses nobody answered, since the machine last looked; the first few only.
    pub unmapped: Vec<Unmapped>,
    /// How many accesses nobody answered.
    pub unmapped_count: u64,
}

/// A signal that keeps toggling inside one access is a wiring loop.
const SIGNAL_LIMIT: usize = 100_000;

/// A device programmed to a period of nothing must not stop time.
const EVENT_LIMIT: usize = 100_000;

impl SystemBus {
    /// An empty bus.
    pub fn new(memory: GuestMemory, counter_hz: u64) -> SystemBus {
        SystemBus {
            slots: Vec::new(),
            services: Services::new(memory, counter_hz),
            map: Vec::new(),
            recent: Cell::new(0),
            listeners: Vec::new(),
            core_signals: Vec::new(),
            last_access: None,
            unmapped: Vec::new(),
            unmapped_count: 0,
        }
    }

    /// Adds a device.
    pub fn add(&mut self, slot: Slot) -> DeviceId {
        let id = self.slots.len();
        if slot.device.listens() {
            self.listeners.push(id);
        }
        self.slots.push(slot);
        id
    }

    /// Lets a device answer at `base..base+size` with its region `region`.
    pub fn map(&mut self, base: u64, size: u64, device: DeviceId, region: usize) {
        let at = self.map.partition_point(|mapping| mapping.base < base);
        self.map.insert(at, Mapping { base, size, device, region });
    }

    /// Calls a device at `now`, then delivers the signals that came of it.
    pub fn call<R>(&mut self, id: DeviceId, now: Time, f: impl FnOnce(&mut dyn Device, &mut Ctx) -> R) -> R {
        let result = f(self.slots[id].device.as_mut(), &mut Ctx::new(id, now, &mut self.services));
        self.deliver(now);
        result
    }

    /// Delivers signals and messages between devices; those for cores wait for [`SystemBus::take_core_signals`].
    fn deliver(&mut self, now: Time) {
        for _ in 0..SIGNAL_LIMIT {
            match self.services.wires.take() {
                None => match self.services.messages.pop_front() {
                    None => return,
                    Some((from, message)) => self.pass_on(from, message, now),
                },
                Some(Signal { to: Target::Core(core), input, level }) => {
                    self.core_signals.push((core, input, level));
                }
                Some(Signal { to: Target::Device(id), input, level }) => {
                    if let Some(slot) = self.slots.get_mut(id) {
                        slot.device.line(&mut Ctx::new(id, now, &mut self.services), input, level);
                    }
                }
            }
        }
        // The rest is dropped: the lines of a loop have no right level.
        while self.services.wires.take().is_some() {}
        self.services.messages.clear();
        self.services.complaints.push((0, "a loop of signals between devices does not settle".into()));
    }

    /// Delivers one message.
    fn pass_on(&mut self, from: DeviceId, message: Message, now: Time) {
        // A write by a device has nobody to tell of a fault.
        let fault = self.services.bus_fault;
        match message {
            Message::Published(address) => {
                for &id in &self.listeners {
                    let ctx = &mut Ctx::new(id, now, &mut self.services);
                    self.slots[id].device.published(ctx, address);
                }
            }
            Message::Write(address, value) => match self.find_range(address.into(), 4) {
                Some((id, at))
                    if at.offset % 4 == 0 && self.slots[id].device.widths(at.region).max >= Width::B4 =>
                {
                    let ctx = &mut Ctx::new(id, now, &mut self.services);
                    self.slots[id].device.write(ctx, at, Width::B4, value.into());
                }
                _ => {
                    let what = format!("it triggers {address:#x}, where there is no register");
                    Ctx::new(from, now, &mut self.services).complain(what);
                }
            },
        }
        self.services.bus_fault = fault;
    }

    /// Runs the events that are due at `now`; those beyond `EVENT_LIMIT` wait for the next round.
    pub fn run_events(&mut self, now: Time) {
        for _ in 0..EVENT_LIMIT {
            let Some((_, id, token)) = self.services.events.pop(now) else { return };
            self.call(id, now, |device, ctx| device.event(ctx, token));
        }
    }

    /// Hands something from outside to a device.
    pub fn host_input(&mut self, id: DeviceId, now: Time, input: &HostInput) {
        if id < self.slots.len() {
            self.call(id, now, |device, ctx| device.host_input(ctx, input));
        }
    }

    /// Resets all devices: their events go, their lines fall, then each says anew what it wants.
    pub fn reset(&mut self, now: Time) {
        for id in 0..self.slots.len() {
            self.services.events.cancel_all(id);
        }
        for id in 0..self.slots.len() {
            self.call(id, now, |device, ctx| device.reset(ctx));
        }
    }

    /// The interrupt inputs of cores that changed since the last call, oldest first.
    pub fn take_core_signals(&mut self) -> Vec<(usize, u32, bool)> {
        std::mem::take(&mut self.core_signals)
    }

    /// The device at `paddr`, and the offset into its region.
    pub fn find(&self, paddr: u64) -> Option<(DeviceId, At)> {
        self.find_range(paddr, 1)
    }

    /// As [`SystemBus::find`], for `bytes` bytes that all belong to the device.
    fn find_range(&self, paddr: u64, bytes: u64) -> Option<(DeviceId, At)> {
        let starts = |at: usize| self.map.get(at).is_some_and(|mapping| mapping.base <= paddr);
        if !starts(self.recent.get()) || starts(self.recent.get() + 1) {
            let after = self.map.partition_point(|mapping| mapping.base <= paddr);
            self.recent.set(after.checked_sub(1)?);
        }
        let mapping = self.map.get(self.recent.get())?;
        let offset = paddr - mapping.base;
        (offset < mapping.size && bytes <= mapping.size - offset)
            .then_some((mapping.device, At { region: mapping.region, offset }))
    }

    /// Address ranges with their devices, by address: (base, size, device, region).
    pub fn mappings(&self) -> impl Iterator<Item = (u64, u64, DeviceId, usize)> + '_ {
        self.map.iter().map(|m| (m.base, m.size, m.device, m.region))
    }

    /// Whether the device answered the access to `paddr` with a fault.
    fn refused(&mut self, paddr: u64) -> Result<(), BusFault> {
        if std::mem::take(&mut self.services.bus_fault) { Err(BusFault { paddr }) } else { Ok(()) }
    }

    fn fault(&mut self, who: &Access, paddr: u64, write: bool) -> BusFault {
        self.unmapped_count += 1;
        if self.unmapped.len() < 16 {
            self.unmapped.push(Unmapped { paddr, write, who: (who.core, who.now, who.pc) });
            self.services.attention = true;
        }
        BusFault { paddr }
    }
}

impl Bus for SystemBus {
    fn read(&mut self, who: &Access, paddr: u64, width: Width) -> Result<u64, BusFault> {
        self.last_access = Some(*who);
        let aligned = paddr.is_multiple_of(width.bytes());
        let Some((id, at)) = self.find_range(paddr, width.bytes()).filter(|_| aligned) else {
            return Err(self.fault(who, paddr, false));
        };
        let widths = self.slots[id].device.widths(at.region);
        if width < widths.min {
            let whole = At { offset: at.offset & !(widths.min.bytes() - 1), ..at };
            let value = self.call(id, who.now, |device, ctx| device.read(ctx, whole, widths.min));
            self.refused(paddr)?;
            return Ok(value >> ((at.offset - whole.offset) * 8) & width.mask());
        }
        let part = width.min(widths.max);
        let mut value = 0;
        for offset in (0..width.bytes()).step_by(part.bytes() as usize) {
            let at = At { offset: at.offset + offset, ..at };
            let bits = self.call(id, who.now, |device, ctx| device.read(ctx, at, part)) & part.mask();
            value |= bits << (offset * 8);
            self.refused(paddr)?;
        }
        Ok(value)
    }

    fn write(&mut self, who: &Access, paddr: u64, width: Width, value: u64) -> Result<(), BusFault> {
        self.last_access = Some(*who);
        let aligned = paddr.is_multiple_of(width.bytes());
        let Some((id, at)) = self.find_range(paddr, width.bytes()).filter(|_| aligned) else {
            return Err(self.fault(who, paddr, true));
        };
        let widths = self.slots[id].device.widths(at.region);
        if width < widths.min {
            return Err(self.fault(who, paddr, true));
        }
        let part = width.min(widths.max);
        for offset in (0..width.bytes()).step_by(part.bytes() as usize) {
            let at = At { offset: at.offset + offset, ..at };
            let bits = value >> (offset * 8) & part.mask();
            self.call(id, who.now, |device, ctx| device.write(ctx, at, part, bits));
            self.refused(paddr)?;
        }
        Ok(())
    }

    fn attention(&self) -> bool {
        self.services.attention
    }

    fn counter(&self) -> Counter {
        self.services.counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpu_core::{MemoryKind, RegionSpec};
    use devices_models::nordic::block::Nordic;
    use devices_models::nordic::{egu, ppi, timer};

    const EGU: u64 = 0x4001_4000;
    const TIMER: u64 = 0x4000_8000;
    const PPI: u64 = 0x4001_f000;

    fn bus() -> SystemBus {
        let spec = RegionSpec { name: "ram".into(), base: 0x2000_0000, size: 0x1000, kind: MemoryKind::Ram };
        let mut bus = SystemBus::new(GuestMemory::new(vec![spec]).expect("a page"), 1_000_000);
        let devices: [(u64, Box<dyn Device>); 3] = [
            (EGU, Box::new(Nordic::new(EGU as u32, &egu::LAYOUT, egu::Egu))),
            (TIMER, Box::new(Nordic::new(TIMER as u32, &timer::LAYOUT, timer::TimerModel::new(4, 32)))),
            (PPI, Box::new(Nordic::new(PPI as u32, &ppi::LAYOUT, ppi::Ppi::default()))),
        ];
        for (base, device) in devices {
            let id = bus.add(Slot { name: String::new(), path: String::new(), summary: "", device });
            bus.map(base, 0x1000, id, 0);
        }
        bus.reset(Time::ZERO);
        bus
    }

    fn write(bus: &mut SystemBus, now: Time, address: u64, value: u64) {
        let who = Access { core: 0, now, pc: 0 };
        bus.write(&who, address, Width::B4, value).expect("a register");
    }

    fn read(bus: &mut SystemBus, now: Time, address: u64) -> u64 {
        let who = Access { core: 0, now, pc: 0 };
        bus.read(&who, address, Width::B4).expect("a register")
    }

    #[test]
    fn what_a_device_publishes_triggers_others_at_the_same_time() {
        let mut bus = bus();
        // EGU TRIGGERED0 starts the timer and fires EGU again, whose TRIGGERED1 captures the timer.
        let channels = [
            (0, EGU + 0x100, TIMER),
            (1, EGU + 0x100, EGU + 0x004),
            (2, EGU + 0x104, TIMER + 0x044),
            (3, TIMER + 0x140, EGU + 0x004),
        ];
        for (channel, event, task) in channels {
            write(&mut bus, Time::ZERO, PPI + 0x510 + 8 * channel, event);
            write(&mut bus, Time::ZERO, PPI + 0x514 + 8 * channel, task);
        }
        write(&mut bus, Time::ZERO, PPI + 0x504, 0xf);
        write(&mut bus, Time::ZERO, TIMER + 0x540, 7);
        let start = Time::from_us(5);
        write(&mut bus, start, EGU, 1);
        assert_eq!([EGU + 0x100, EGU + 0x104].map(|event| read(&mut bus, start, event)), [1, 1]);
        assert_eq!(read(&mut bus, start, TIMER + 0x544), 0);
        let due = bus.services.events.next().expect("the timer runs");
        assert_eq!(due, Time::from_us(12));
        bus.run_events(due);
        assert_eq!(read(&mut bus, due, TIMER + 0x544), 7, "captured as it compared");
    }

    #[test]
    fn a_loop_of_events_ends() {
        let mut bus = bus();
        write(&mut bus, Time::ZERO, PPI + 0x510, EGU + 0x100);
        write(&mut bus, Time::ZERO, PPI + 0x514, EGU);
        write(&mut bus, Time::ZERO, PPI + 0x504, 1);
        write(&mut bus, Time::ZERO, EGU, 1);
        assert_eq!((bus.services.complaints.len(), bus.services.messages.len()), (1, 0));
        write(&mut bus, Time::ZERO, PPI + 0x518, EGU + 0x104);
        write(&mut bus, Time::ZERO, PPI + 0x51c, 0x3000_0000);
        write(&mut bus, Time::ZERO, PPI + 0x504, 2);
        write(&mut bus, Time::ZERO, EGU + 0x004, 1);
        assert_eq!(bus.services.complaints.len(), 2, "there is no such task");
    }
}
