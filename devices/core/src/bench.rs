//! Drives one model in a test: accesses, time, lines, without a machine.

use crate::ctx::{Ctx, Request};
use crate::device::{At, Device};
use crate::host::{HostInput, HostOutput};
use crate::services::{Message, Services};
use cpu_core::{GuestMemory, MemoryKind, RegionSpec, Time, Width};

/// A model alone on a bus, with 1 MiB of RAM at 0x8000_0000 and a platform counter of 10 MHz.
pub struct Bench<D> {
    /// The model.
    pub device: D,
    /// What the machine would hold.
    pub services: Services,
    /// Virtual time; [`Bench::advance`] moves it.
    pub now: Time,
}

/// Base of the bench's RAM.
pub const RAM: u64 = 0x8000_0000;

impl<D: Device> Bench<D> {
    /// Resets the model and returns it on its bench. Panics if the host has no memory.
    pub fn new(device: D) -> Self {
        Bench::with_memory(device, &bench_memory())
    }

    /// As [`Bench::new`] with memory that the model was built on.
    pub fn with_memory(device: D, memory: &GuestMemory) -> Self {
        let mut bench =
            Bench { device, services: Services::new(memory.clone(), 10_000_000), now: Time::ZERO };
        bench.services.slice_end = Time::NEVER;
        bench.call(|device, ctx| device.reset(ctx));
        bench
    }

    /// Calls the model.
    pub fn call<R>(&mut self, f: impl FnOnce(&mut D, &mut Ctx) -> R) -> R {
        f(&mut self.device, &mut Ctx::new(0, self.now, &mut self.services))
    }

    /// Reads `width` at `offset` of region 0.
    pub fn read(&mut self, offset: u64, width: Width) -> u64 {
        self.call(|device, ctx| device.read(ctx, At { region: 0, offset }, width))
    }

    /// Writes `width` at `offset` of region 0.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) {
        self.call(|device, ctx| device.write(ctx, At { region: 0, offset }, width, value));
    }

    /// Reads 32 bits of region 0.
    pub fn read32(&mut self, offset: u64) -> u32 {
        self.read(offset, Width::B4) as u32
    }

    /// Writes 32 bits of region 0.
    pub fn write32(&mut self, offset: u64, value: u32) {
        self.write(offset, Width::B4, value.into());
    }

    /// Lets `span` pass, delivering the events that fall into it.
    pub fn advance(&mut self, span: Time) {
        let end = self.now.saturating_add(span);
        while let Some((at, device, token)) = self.services.events.pop(end) {
            self.now = at.max(self.now);
            assert_eq!(device, 0);
            self.call(|device, ctx| device.event(ctx, token));
        }
        self.now = end;
    }

    /// Level of an output line.
    pub fn line(&self, output: u32) -> bool {
        self.services.wires.level(0, output)
    }

    /// Sends something from the host.
    pub fn input(&mut self, input: HostInput) {
        self.call(|device, ctx| device.host_input(ctx, &input));
    }

    /// Takes the serial bytes that were sent since the last call.
    pub fn serial(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.services.output.retain(|(_, output)| match output {
            HostOutput::Serial(part) => {
                bytes.extend_from_slice(part);
                false
            }
            _ => true,
        });
        bytes
    }

    /// Takes what the model told other devices since the last call.
    pub fn messages(&mut self) -> Vec<Message> {
        self.services.messages.drain(..).map(|(_, message)| message).collect()
    }

    /// Takes what was asked of the machine since the last call.
    pub fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.services.requests)
    }

    /// Saves the model, spoils nothing, restores it and checks that its state is the same. Panics if not.
    pub fn check_save_restore(&mut self) {
        let before = self.device.save();
        self.device.restore(&before).expect("a model restores what it saved");
        assert_eq!(self.device.save(), before, "a restored state saves to the same bytes");
        assert!(self.device.restore(&before[..before.len().saturating_sub(1)]).is_err() || before.is_empty());
        self.device.restore(&before).expect("a refused state changes nothing that matters");
    }

    /// Does what arbitrary bytes say: accesses of all sizes, time, host input. For fuzzing; the model must not panic.
    pub fn torture(&mut self, bytes: &[u8], window: u64) {
        for op in bytes.chunks_exact(11) {
            let offset = u64::from(u16::from_le_bytes([op[1], op[2]])) % window.max(8);
            let value = u64::from_le_bytes(op[3..11].try_into().unwrap_or_default());
            let widths = self.device.widths(0);
            let width = [Width::B1, Width::B2, Width::B4, Width::B8][usize::from(op[0] & 3)]
                .clamp(widths.min, widths.max);
            let offset = offset & !(width.bytes() - 1);
            match op[0] >> 2 & 7 {
                0..=2 => self.write(offset, width, value),
                3..=4 => drop(self.read(offset, width)),
                5 => self.advance(Time::from_us(value & 0xffff)),
                6 => self.input(HostInput::Serial(op[3..11].to_vec())),
                _ => {
                    let (level, input) = (value & 1 != 0, (value >> 1 & 0x7f) as u32);
                    self.call(|device, ctx| device.line(ctx, input, level));
                }
            }
            self.services.output.clear();
            self.services.messages.clear();
        }
    }
}

/// The memory of a bench, for models that are built on it.
pub fn bench_memory() -> GuestMemory {
    let spec = RegionSpec { name: "bench".into(), base: RAM, size: 0x10_0000, kind: MemoryKind::Ram };
    GuestMemory::new(vec![spec]).expect("the host has 1 MiB of memory")
}
