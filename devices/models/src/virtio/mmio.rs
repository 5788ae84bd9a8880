//! The MMIO transport: virtio 1.2, section 4.2, register layout version 2.
//!
//! Left out: the legacy layout (version 1) and shared memory regions (every one reads as absent).
//! A slot without a device reads a device ID of zero and ignores the driver.

use super::device::{Io, VirtioDevice, feature};
use super::input::{self, Input};
use super::queue::{Queue, valid_size};
use super::{blk, console, gpu, net, p9, rng};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Display,
    Field, HostInput, Port, RestoreError, Width, Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};

register_bank! {
    /// Registers of the transport. Those of the selected queue live in the queue.
    pub enum Reg {
        /// "virt".
        MagicValue = 0x000, ro, reset 0x7472_6976;
        /// Of the layout.
        Version = 0x004, ro, reset 2;
        /// Zero: none.
        DeviceId = 0x008, ro, reset 0;
        /// "HYPE".
        VendorId = 0x00c, ro, reset 0x4550_5948;
        /// 32 feature bits of the device.
        DeviceFeatures = 0x010, ro, reset 0;
        /// Which 32.
        DeviceFeaturesSel = 0x014, wo(u32::MAX), reset 0;
        /// 32 feature bits that the driver wants.
        DriverFeatures = 0x020, wo(u32::MAX), reset 0;
        /// Which 32.
        DriverFeaturesSel = 0x024, wo(u32::MAX), reset 0;
        /// The queue that the registers with Queue in their name mean.
        QueueSel = 0x030, wo(u32::MAX), reset 0;
        /// Most descriptors; zero: no such queue.
        QueueSizeMax = 0x034, ro, reset 0;
        /// Number of descriptors.
        QueueSize = 0x038, wo(0), reset 0;
        /// In use.
        QueueReady = 0x044, rw(0), reset 0;
        /// Number of the queue to look at.
        QueueNotify = 0x050, wo(0), reset 0;
        /// Why the interrupt is asserted.
        InterruptStatus = 0x060, ro, reset 0, { used: 0, config: 1 };
        /// Clears bits of the above.
        InterruptAck = 0x064, wo(0), reset 0;
        /// Progress of the driver.
        Status = 0x070, rw(0), reset 0, {
            acknowledge: 0, driver: 1, driver_ok: 2, features_ok: 3, needs_reset: 6, failed: 7
        };
        /// Descriptor table.
        QueueDescLow = 0x080, wo(0), reset 0;
        /// Descriptor table.
        QueueDescHigh = 0x084, wo(0), reset 0;
        /// Available ring.
        QueueDriverLow = 0x090, wo(0), reset 0;
        /// Available ring.
        QueueDriverHigh = 0x094, wo(0), reset 0;
        /// Used ring.
        QueueDeviceLow = 0x0a0, wo(0), reset 0;
        /// Used ring.
        QueueDeviceHigh = 0x0a4, wo(0), reset 0;
        /// Which shared memory region.
        ShmSel = 0x0ac, wo(0), reset 0;
        /// All ones: there is none.
        ShmLenLow = 0x0b0, ro, reset 0xffff_ffff;
        /// All ones: there is none.
        ShmLenHigh = 0x0b4, ro, reset 0xffff_ffff;
        /// All ones: there is none.
        ShmBaseLow = 0x0b8, ro, reset 0xffff_ffff;
        /// All ones: there is none.
        ShmBaseHigh = 0x0bc, ro, reset 0xffff_ffff;
        /// Resets the selected queue.
        QueueReset = 0x0c0, rw(0), reset 0;
        /// Changes with the configuration space.
        ConfigGeneration = 0x0fc, ro, reset 0;
    }
}

/// Start of the configuration space.
const CONFIG: u64 = 0x100;

const DRIVER_OK: u32 = 1 << 2;
const FEATURES_OK: u32 = 1 << 3;
const NEEDS_RESET: u32 = 1 << 6;
const USED: u32 = 1 << 0;
const CHANGED: u32 = 1 << 1;

/// A slot for a virtio device.
pub struct Mmio {
    device: Option<Box<dyn VirtioDevice>>,
    state: State,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    bank: Bank<Reg>,
    driver_features: u64,
    queues: Vec<Queue>,
}

/// Makes the device that `hyperemu,device` names, or an empty slot.
pub fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    const NAMES: &str = "9p, blk, console, gpu, keyboard, net, rng, tablet, touch";
    let node = args.node;
    let device: Option<Box<dyn VirtioDevice>> = match node.string("hyperemu,device") {
        None => None,
        Some("blk") => args.resources.disk(node).map(|disk| Box::new(blk::Blk::new(disk, args.name)) as _),
        Some("console") => Some(Box::new(console::Console::default())),
        Some("rng") => Some(Box::new(rng::Entropy::new(args.seed, args.name))),
        Some("gpu") => Some(Box::new(gpu::Gpu::from_node(node)?)),
        Some("keyboard") => Some(Box::new(Input::new(&input::KEYBOARD))),
        Some("tablet") => Some(Box::new(Input::new(&input::TABLET))),
        Some("touch") => Some(Box::new(Input::new(&input::TOUCH))),
        Some("net") => match args.resources.network(node) {
            true => Some(Box::new(net::Net::from_node(node, args.seed, args.name)?)),
            false => None,
        },
        Some("9p") => match args.resources.share(node) {
            Some(root) => {
                let failed = |error| BuildError::node(format!("the share {}: {error}", root.display()));
                Some(Box::new(p9::Share::new(&root, "share").map_err(failed)?))
            }
            None => None,
        },
        Some(other) => {
            let message = format!("there is no virtio device {other:?}; expected one of {NAMES}");
            return Err(BuildError::property("hyperemu,device", message));
        }
    };
    Ok(Box::new(Mmio::new(device)))
}

impl Mmio {
    /// A slot with this device in it.
    pub fn new(device: Option<Box<dyn VirtioDevice>>) -> Mmio {
        let mut slot = Mmio { device, state: State::default() };
        slot.state = slot.fresh();
        slot
    }

    fn fresh(&self) -> State {
        let mut fresh = State::default();
        if let Some(device) = &self.device {
            fresh.bank[Reg::DeviceId] = device.id();
            fresh.queues = device.queues().iter().map(|max| Queue::new(*max)).collect();
        }
        fresh
    }

    fn offered(&self) -> u64 {
        self.device.as_ref().map_or(0, |device| device.features() | feature::TRANSPORT)
    }

    fn queue(&mut self) -> Option<&mut Queue> {
        let index = self.state.bank[Reg::QueueSel] as usize;
        self.state.queues.get_mut(index)
    }

    /// Back to the state before a driver came.
    fn reset_by_driver(&mut self, ctx: &mut Ctx) {
        let generation = self.state.bank[Reg::ConfigGeneration];
        self.state = self.fresh();
        self.state.bank[Reg::ConfigGeneration] = generation;
        if let Some(device) = &mut self.device {
            device.reset(ctx, false);
        }
    }

    /// Calls the device, then tells the driver what came of it.
    fn with<R>(&mut self, ctx: &mut Ctx, f: impl FnOnce(&mut dyn VirtioDevice, &mut Io) -> R) -> Option<R> {
        let device = self.device.as_deref_mut()?;
        let State { bank, driver_features, queues } = &mut self.state;
        let status = bank[Reg::Status];
        let live = status & DRIVER_OK != 0 && status & NEEDS_RESET == 0;
        let memory = ctx.memory().clone();
        let features = *driver_features;
        let mut io =
            Io { ctx, memory, queues, features, live, broken: None, config_changed: false, popped: 0 };
        let result = f(device, &mut io);
        let Io { memory, mut broken, config_changed, .. } = io;
        for queue in queues.iter_mut() {
            match queue.interrupts(&memory) {
                Ok(true) => bank[Reg::InterruptStatus] |= USED,
                Ok(false) => {}
                Err(error) => broken = broken.or(Some(error)),
            }
        }
        if config_changed {
            bank[Reg::ConfigGeneration] = bank[Reg::ConfigGeneration].wrapping_add(1);
        }
        if let Some(broken) = broken {
            ctx.complain(format!("virtio: {}", broken.0));
            bank[Reg::Status] |= NEEDS_RESET;
        }
        if (config_changed || broken.is_some()) && status & DRIVER_OK != 0 {
            bank[Reg::InterruptStatus] |= CHANGED;
        }
        self.update_line(ctx);
        Some(result)
    }

    fn update_line(&self, ctx: &mut Ctx) {
        ctx.set_line(0, self.state.bank[Reg::InterruptStatus] != 0);
    }

    fn notify(&mut self, ctx: &mut Ctx, queue: usize) {
        if self.state.bank[Reg::Status] & DRIVER_OK != 0 && queue < self.state.queues.len() {
            self.with(ctx, |device, io| device.notify(io, queue));
        }
    }

    fn write_status(&mut self, ctx: &mut Ctx, value: u32) {
        if value == 0 {
            self.reset_by_driver(ctx);
            return;
        }
        let before = self.state.bank[Reg::Status];
        // The driver only ever adds bits, and NEEDS_RESET is not its own.
        let mut status = before | value & 0x8f;
        if status & !before & FEATURES_OK != 0 {
            let wanted = self.state.driver_features;
            if wanted & !self.offered() != 0 || wanted & feature::VERSION_1 == 0 {
                ctx.complain(format!("virtio: features {wanted:#x} are not offered, or lack VERSION_1"));
                status &= !FEATURES_OK;
            }
        }
        if status & DRIVER_OK != 0 && status & FEATURES_OK == 0 {
            ctx.complain("virtio: DRIVER_OK before FEATURES_OK");
            status &= !DRIVER_OK;
        }
        self.state.bank[Reg::Status] = status;
        if status & !before & DRIVER_OK != 0 {
            // A notification may have come before.
            for queue in 0..self.state.queues.len() {
                self.notify(ctx, queue);
            }
        }
    }

    fn write_queue(&mut self, ctx: &mut Ctx, register: Reg, value: u32) {
        let (low, high) = (u64::from(value), u64::from(value) << 32);
        let (features, status) = (self.state.driver_features, self.state.bank[Reg::Status]);
        let Some(queue) = self.queue() else { return };
        match register {
            Reg::QueueReset => {
                if value == 1 && features & feature::RING_RESET != 0 {
                    queue.reset();
                }
                return;
            }
            Reg::QueueReady if value & 1 == 0 => {
                queue.reset();
                return;
            }
            _ if queue.ready => {
                ctx.complain("virtio: a queue in use was changed");
                return;
            }
            _ => {}
        }
        match register {
            Reg::QueueSize if valid_size(value as u16, queue.max()) && value <= 0xffff => {
                queue.size = value as u16;
            }
            Reg::QueueSize => ctx.complain(format!("virtio: a queue of size {value}")),
            Reg::QueueReady if status & FEATURES_OK == 0 => {
                ctx.complain("virtio: a queue was set up before FEATURES_OK");
            }
            Reg::QueueReady => {
                let has = |bit| features & bit != 0;
                if let Err(error) = queue.enable(has(feature::EVENT_IDX), has(feature::INDIRECT_DESC)) {
                    ctx.complain(format!("virtio: {}", error.0));
                }
            }
            Reg::QueueDescLow => queue.desc = queue.desc & !0xffff_ffff | low,
            Reg::QueueDescHigh => queue.desc = queue.desc & 0xffff_ffff | high,
            Reg::QueueDriverLow => queue.avail = queue.avail & !0xffff_ffff | low,
            Reg::QueueDriverHigh => queue.avail = queue.avail & 0xffff_ffff | high,
            Reg::QueueDeviceLow => queue.used = queue.used & !0xffff_ffff | low,
            Reg::QueueDeviceHigh => queue.used = queue.used & 0xffff_ffff | high,
            _ => {}
        }
    }
}

impl Component for Mmio {
    fn save(&self) -> Vec<u8> {
        let device = self.device.as_ref().map(|device| device.save());
        state::encode(&(&self.state, device))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (saved, saved_device): (State, Option<Vec<u8>>) = state::decode(bytes)?;
        let other = || RestoreError("another virtio device".into());
        if saved.bank[Reg::DeviceId] != self.state.bank[Reg::DeviceId]
            || saved.queues.len() != self.state.queues.len()
        {
            return Err(other());
        }
        self.state.queues.iter().zip(&saved.queues).try_for_each(|(queue, saved)| queue.check(saved))?;
        match (&mut self.device, saved_device) {
            (Some(device), Some(bytes)) => device.restore(&bytes)?,
            (None, None) => {}
            _ => return Err(other()),
        }
        self.state = saved;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        self.device.as_ref().map_or(Vec::new(), |device| device.controls())
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.device.as_ref()?.control(name)
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let set = self.with(ctx, |device, io| {
            device.set_control(io.ctx, name, value)?;
            device.control_changed(io);
            Ok(())
        });
        set.unwrap_or_else(|| Err(ControlError::Unknown(name.to_string())))
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.state.bank.inspect();
        let value = format!("{:#x}", self.state.driver_features);
        fields.push(Field { name: "DriverFeatures (all)".into(), value });
        for (index, queue) in self.state.queues.iter().enumerate() {
            fields.push(Field { name: format!("Queue{index}"), value: format!("{queue:x?}") });
        }
        fields.extend(self.device.iter().flat_map(|device| device.inspect()));
        fields
    }
}

impl Device for Mmio {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = self.fresh();
        if let Some(device) = &mut self.device {
            device.reset(ctx, true);
        }
        self.update_line(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::UP_TO_B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64 {
        let Some(device) = &self.device else {
            let shown = [Reg::MagicValue, Reg::Version, Reg::DeviceId, Reg::VendorId];
            let register = self.state.bank.at(at.offset).filter(|register| shown.contains(register));
            return register.map_or(0, |register| self.state.bank.read(register).into());
        };
        if let Some(offset) = at.offset.checked_sub(CONFIG) {
            let config = device.config();
            let byte = |i| usize::try_from(offset + i).ok().and_then(|i| config.get(i)).copied().unwrap_or(0);
            return (0..width.bytes()).fold(0, |value, i| value | u64::from(byte(i)) << (8 * i));
        }
        let Some(register) = self.state.bank.at(at.offset).filter(|_| width == Width::B4) else {
            ctx.unimplemented(at.offset, false, "no register of virtio-mmio version 2, or not 32 bits of it");
            return 0;
        };
        match register {
            Reg::DeviceFeatures => match self.state.bank[Reg::DeviceFeaturesSel] {
                0 => self.offered() & 0xffff_ffff,
                1 => self.offered() >> 32,
                _ => 0,
            },
            Reg::QueueSizeMax => self.queue().map_or(0, |queue| queue.max().into()),
            Reg::QueueReady => self.queue().is_some_and(|queue| queue.ready).into(),
            _ => self.state.bank.read(register).into(),
        }
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64) {
        if self.device.is_none() {
            return;
        }
        if let Some(offset) = at.offset.checked_sub(CONFIG) {
            let bytes = value.to_le_bytes();
            let bytes = &bytes[..width.bytes() as usize];
            self.with(ctx, |device, io| device.write_config(io, offset, bytes));
            return;
        }
        let Some(register) = self.state.bank.at(at.offset).filter(|_| width == Width::B4) else {
            ctx.unimplemented(at.offset, true, "no register of virtio-mmio version 2, or not 32 bits of it");
            return;
        };
        let value = value as u32;
        match register {
            Reg::DriverFeatures if self.state.bank[Reg::Status] & FEATURES_OK != 0 => {
                ctx.complain("virtio: features changed after FEATURES_OK");
            }
            Reg::DriverFeatures => {
                let wanted = &mut self.state.driver_features;
                match self.state.bank[Reg::DriverFeaturesSel] {
                    0 => *wanted = *wanted & !0xffff_ffff | u64::from(value),
                    1 => *wanted = *wanted & 0xffff_ffff | u64::from(value) << 32,
                    _ if value != 0 => ctx.complain("virtio: features above bit 63"),
                    _ => {}
                }
            }
            Reg::QueueNotify => self.notify(ctx, value as usize),
            Reg::InterruptAck => self.state.bank[Reg::InterruptStatus] &= !value,
            Reg::Status => self.write_status(ctx, value),
            Reg::QueueSize
            | Reg::QueueReady
            | Reg::QueueReset
            | Reg::QueueDescLow
            | Reg::QueueDescHigh
            | Reg::QueueDriverLow
            | Reg::QueueDriverHigh
            | Reg::QueueDeviceLow
            | Reg::QueueDeviceHigh => self.write_queue(ctx, register, value),
            _ => {
                self.state.bank.write(register, value);
            }
        }
        self.update_line(ctx);
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        self.with(ctx, |device, io| device.event(io, token));
    }

    fn port(&self) -> Option<Port> {
        self.device.as_ref()?.port()
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        self.with(ctx, |device, io| device.host_input(io, input));
    }

    fn display(&self) -> Option<&dyn Display> {
        self.device.as_ref()?.display()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Driver;
    use super::*;
    use devices_core::bench::{Bench, RAM};

    fn entropy(features: u64) -> Driver {
        Driver::new(rng::Entropy::new(1, "rng"), features)
    }

    #[test]
    fn an_empty_slot_is_quiet() {
        let mut bench = Bench::new(Mmio::new(None));
        let head: Vec<u32> = (0..4).map(|i| bench.read32(4 * i)).collect();
        assert_eq!(head, [0x7472_6976, 2, 0, 0x4550_5948]);
        bench.write32(0x70, 15);
        bench.write32(0x50, 0);
        assert_eq!((bench.read32(0x70), bench.read32(0x34), bench.read32(0x100)), (0, 0, 0));
        bench.check_save_restore();
        assert!(bench.services.complaints.is_empty() && bench.services.unimplemented.is_empty());
    }

    #[test]
    fn features_must_be_offered_and_modern() {
        let mut driver = entropy(0);
        for (low, high) in [(0, 0), (1, 1), (0, 3)] {
            driver.bench.write32(0x70, 0);
            for (half, bits) in [(0, low), (1, high)] {
                driver.bench.write32(0x24, half);
                driver.bench.write32(0x20, bits);
            }
            driver.bench.write32(0x70, 11);
            assert_eq!(driver.bench.read32(0x70), 3, "{low:#x} {high:#x}");
            driver.bench.write32(0x70, 15);
            assert_eq!(driver.bench.read32(0x70), 3);
        }
        driver.bench.write32(0x14, 1);
        assert_eq!(driver.bench.read32(0x10), 0x101);
        driver.bench.write32(0x14, 2);
        assert_eq!(driver.bench.read32(0x10), 0);
    }

    #[test]
    fn a_queue_is_checked_when_it_is_set_up() {
        let mut driver = entropy(0);
        let bench = &mut driver.bench;
        bench.write32(0x38, 8);
        assert_eq!(bench.services.complaints.len(), 1, "in use");
        bench.write32(0x44, 0);
        assert_eq!((bench.read32(0x44), bench.read32(0x34)), (0, 64));
        for size in [0, 3, 128, 0x1_0001] {
            bench.services.complaints.clear();
            bench.write32(0x38, size);
            assert_eq!(bench.services.complaints.len(), 1, "{size}");
        }
        bench.write32(0x80, RAM as u32 + 8);
        bench.write32(0x44, 1);
        assert_eq!(bench.read32(0x44), 0, "not aligned");
        bench.write32(0x30, 1);
        assert_eq!((bench.read32(0x34), bench.read32(0x44)), (0, 0));
        bench.write32(0x44, 1);
        assert_eq!(bench.read32(0x44), 0);
    }

    #[test]
    fn a_ring_that_lies_outside_memory_needs_a_reset() {
        let mut driver = entropy(0);
        driver.bench.write32(0x44, 0);
        driver.bench.write32(0x90, 0x1000);
        driver.bench.write32(0x44, 1);
        driver.kick(0);
        assert_eq!(driver.status(), 79);
        assert_eq!(driver.interrupt(), 2);
        driver.bench.write32(0x70, 0);
        assert_eq!(driver.status(), 0);
    }

    #[test]
    fn registers_take_32_bits_only() {
        let mut driver = entropy(0);
        driver.bench.write(0x70, Width::B1, 0);
        assert_eq!(driver.status(), 15);
        assert_eq!(driver.bench.read(0x70, Width::B2), 0);
        assert_eq!(driver.bench.read32(0x40), 0);
        assert_eq!(driver.bench.services.unimplemented.len(), 3);
    }

    #[test]
    fn one_queue_can_be_reset() {
        let mut driver = entropy(feature::RING_RESET);
        driver.bench.write32(0xc0, 1);
        assert_eq!((driver.bench.read32(0xc0), driver.bench.read32(0x44), driver.status()), (0, 0, 15));
        let mut driver = entropy(0);
        driver.bench.write32(0xc0, 1);
        assert_eq!(driver.bench.read32(0x44), 1, "not negotiated");
    }

    #[test]
    fn another_device_is_not_restored() {
        let entropy = entropy(0);
        let mut console = Driver::new(console::Console::default(), 0);
        assert!(console.bench.device.restore(&entropy.bench.device.save()).is_err());
        assert!(Mmio::new(None).restore(&entropy.bench.device.save()).is_err());
    }
}
