//! What all peripherals of the nRF51 and nRF52 series have in common: tasks, events, shorts, interrupt enables.
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 15 (Peripheral interface), and the nRF51 Series Reference
//! Manual v3.0, chapter 10. Writing one to a task register (0x000 to 0x0fc) triggers the task. An event register (0x100
//! to 0x17c) reads one once its event was generated, until software writes zero. The event with index `n` has bit `n`
//! in INTEN (0x300), INTENSET (0x304) and INTENCLR (0x308); the interrupt line is high while an enabled event is set.
//! Every generated event is published by its bus address, for the PPI. SHORTS (0x200) connects events to tasks of the
//! same peripheral; these run at once, before anything that the PPI does.
//!
//! [`Nordic`] makes a device of a [`Peripheral`]; it also serves the register POWER (0xffc), which resets a peripheral
//! that is switched off. On the nRF52 that register is undocumented, but errata work-arounds use it.
//!
//! ```
//! devices_models::nordic_layout! {
//!     tasks { START = 0x000, STOP = 0x004 }
//!     events { STOPPED = 0x104, DONE = 0x108 }
//!     shorts { 3: DONE => STOP }
//! }
//! assert_eq!(LAYOUT.events[1], ("DONE", event::DONE));
//! assert_eq!(LAYOUT.shorts[0].task, task::STOP);
//! ```

use devices_core::{
    At, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Display, Field, HostInput, Port,
    RestoreError, Width, Widths, state,
};
use serde::{Deserialize, Serialize};

const SHORTS: u32 = 0x200;
const INTEN: u32 = 0x300;
const INTENSET: u32 = 0x304;
const INTENCLR: u32 = 0x308;
const POWER: u32 = 0xffc;

/// A connection that software can close from an event to a task.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Short {
    /// Bit in SHORTS.
    pub bit: u32,
    /// Offset of the event register.
    pub event: u32,
    /// Offset of the task register.
    pub task: u32,
}

/// Tasks and events of a peripheral by name and offset, and its shorts. See
/// [`nordic_layout!`](crate::nordic_layout).
#[derive(Debug)]
pub struct Layout {
    /// From 0x000 to 0x0fc.
    pub tasks: &'static [(&'static str, u32)],
    /// From 0x100 to 0x17c.
    pub events: &'static [(&'static str, u32)],
    /// By any order.
    pub shorts: &'static [Short],
}

/// Declares the tasks, events and shorts of a peripheral: modules `task` and `event` of constants, and a `LAYOUT`.
#[macro_export]
macro_rules! nordic_layout {
    (
        tasks { $($task:ident = $task_at:expr),* $(,)? }
        events { $($event:ident = $event_at:expr),* $(,)? }
        shorts { $($bit:literal : $from:ident => $to:ident),* $(,)? }
    ) => {
        /// Offsets of the task registers.
        #[allow(missing_docs, dead_code)]
        pub mod task { $( pub const $task: u32 = $task_at; )* }
        /// Offsets of the event registers.
        #[allow(missing_docs, dead_code)]
        pub mod event { $( pub const $event: u32 = $event_at; )* }
        /// Tasks, events and shorts.
        pub static LAYOUT: $crate::nordic::block::Layout = $crate::nordic::block::Layout {
            tasks: &[ $( (stringify!($task), $task_at) ),* ],
            events: &[ $( (stringify!($event), $event_at) ),* ],
            shorts: &[ $( $crate::nordic::block::Short {
                bit: $bit, event: event::$from, task: task::$to,
            } ),* ],
        };
    };
}

/// The state of the common registers.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    /// Bit `n`: the event register at 0x100 + 4 `n`.
    events: u32,
    inten: u32,
    shorts: u32,
}

/// What a write to a [`Block`] means for the model.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// Nothing.
    Common,
    /// Software, or the PPI, triggers the task at this offset.
    Task(u32),
    /// Software clears the event at this offset.
    Cleared(u32),
    /// INTEN changed.
    Enabled,
    /// It is for a register of the model's own.
    Other,
}

/// The common registers of one peripheral.
#[derive(Clone, Debug)]
pub struct Block {
    base: u32,
    layout: &'static Layout,
    state: State,
    /// Tasks that shorts triggered and that did not run yet.
    due: Vec<u32>,
}

/// More tasks than this in one go is shorts in a circle.
const SHORT_LIMIT: usize = 64;

impl Block {
    /// For a peripheral at the bus address `base`.
    pub fn new(base: u32, layout: &'static Layout) -> Block {
        Block { base, layout, state: State::default(), due: Vec::new() }
    }

    /// The bus address of a register.
    pub fn address(&self, offset: u32) -> u32 {
        self.base.wrapping_add(offset)
    }

    /// Back to the state at power-on.
    pub fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        self.due.clear();
        self.update(ctx);
    }

    /// Generates the event with the register at `event`: sets it, publishes it, and lets it trigger what SHORTS says
    /// (see [`Block::next_task`]).
    pub fn raise(&mut self, ctx: &mut Ctx, event: u32) {
        self.set(ctx, event);
        ctx.publish(self.address(event));
    }

    /// As [`Block::raise`], but the PPI does not see it.
    pub fn set(&mut self, ctx: &mut Ctx, event: u32) {
        self.state.events |= bit(event);
        for short in self.layout.shorts {
            if short.event == event && self.state.shorts >> (short.bit & 31) & 1 != 0 {
                self.due.push(short.task);
            }
        }
        self.update(ctx);
    }

    /// Whether an event is set.
    pub fn is_set(&self, event: u32) -> bool {
        self.state.events & bit(event) != 0
    }

    /// Clears an event, as software would.
    pub fn clear(&mut self, ctx: &mut Ctx, event: u32) {
        self.state.events &= !bit(event);
        self.update(ctx);
    }

    /// Whether the interrupt of an event is enabled.
    pub fn interrupt_enabled(&self, event: u32) -> bool {
        self.state.inten & bit(event) != 0
    }

    /// SHORTS.
    pub fn shorts(&self) -> u32 {
        self.state.shorts
    }

    /// The next task that a short triggered: the model runs these after everything that may have raised an event.
    pub fn next_task(&mut self) -> Option<u32> {
        (!self.due.is_empty()).then(|| self.due.remove(0))
    }

    /// A read of a common register; `None` where it is one of the model's own.
    pub fn read(&self, offset: u32) -> Option<u32> {
        match offset {
            0x000..0x100 if self.names(self.layout.tasks, offset) => Some(0),
            0x100..0x180 if self.names(self.layout.events, offset) => Some(self.is_set(offset).into()),
            SHORTS if !self.layout.shorts.is_empty() => Some(self.state.shorts),
            INTEN | INTENSET | INTENCLR => Some(self.state.inten),
            _ => None,
        }
    }

    /// A write of a common register, or what it means for the model.
    pub fn write(&mut self, ctx: &mut Ctx, offset: u32, value: u32) -> Written {
        match offset {
            0x000..0x100 if self.names(self.layout.tasks, offset) => {
                return if value & 1 != 0 { Written::Task(offset) } else { Written::Common };
            }
            0x100..0x180 if self.names(self.layout.events, offset) => {
                // Software may also set an event, for its interrupt; that generates nothing.
                self.state.events =
                    self.state.events & !bit(offset) | if value & 1 != 0 { bit(offset) } else { 0 };
                self.update(ctx);
                return if value & 1 != 0 { Written::Common } else { Written::Cleared(offset) };
            }
            SHORTS if !self.layout.shorts.is_empty() => {
                let known = self.layout.shorts.iter().fold(0, |all, short| all | 1 << (short.bit & 31));
                self.state.shorts = value & known;
            }
            INTEN => self.state.inten = value & self.all_events(),
            INTENSET => self.state.inten |= value & self.all_events(),
            INTENCLR => self.state.inten &= !value,
            _ => return Written::Other,
        }
        self.update(ctx);
        if offset == SHORTS { Written::Common } else { Written::Enabled }
    }

    fn names(&self, table: &[(&str, u32)], offset: u32) -> bool {
        table.iter().any(|(_, at)| *at == offset)
    }

    fn all_events(&self) -> u32 {
        self.layout.events.iter().fold(0, |all, (_, at)| all | bit(*at))
    }

    fn update(&self, ctx: &mut Ctx) {
        ctx.set_line(0, self.state.events & self.state.inten != 0);
    }

    fn inspect(&self) -> Vec<Field> {
        let named = |bits: u32| {
            let set = self.layout.events.iter().filter(|(_, at)| bits & bit(*at) != 0);
            set.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
        };
        [
            ("events", named(self.state.events)),
            ("INTEN", named(self.state.inten)),
            ("SHORTS", format!("{:#010x}", self.state.shorts)),
        ]
        .map(|(name, value)| Field { name: name.to_string(), value })
        .into()
    }
}

/// The bit of an event in INTEN.
fn bit(event: u32) -> u32 {
    1 << ((event.wrapping_sub(0x100) / 4) & 31)
}

/// A peripheral apart from its common registers. [`Nordic`] runs what shorts trigger after every call.
pub trait Peripheral: Component {
    /// Back to the state at power-on; what was scheduled has been cancelled.
    fn reset(&mut self, block: &mut Block, ctx: &mut Ctx);

    /// It was switched off by its register POWER: as a reset, but what is outside of the chip stays as it is.
    fn switched_off(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.reset(block, ctx);
    }

    /// The chip enters System OFF: without power, unless it says otherwise.
    fn power_down(&mut self, block: &mut Block, ctx: &mut Ctx) {
        ctx.cancel_all();
        block.reset(ctx);
        self.switched_off(block, ctx);
    }

    /// All that it exchanges with the host, where that is more than [`Peripheral::port`].
    fn ports(&self) -> Vec<Port> {
        self.port().into_iter().collect()
    }

    /// The task with the register at `task` is triggered.
    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32);

    /// A read of a register of its own, at `at` (region 0 unless the node has more); `None` if there is none.
    fn read(&mut self, block: &mut Block, ctx: &mut Ctx, at: At) -> Option<u32>;

    /// A write of a register of its own; `None` if there is none.
    fn write(&mut self, block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()>;

    /// Software cleared an event.
    fn cleared(&mut self, _block: &mut Block, _ctx: &mut Ctx, _event: u32) {}

    /// Software changed INTEN.
    fn enabled_changed(&mut self, _block: &mut Block, _ctx: &mut Ctx) {}

    /// See [`Device::event`].
    fn event(&mut self, _block: &mut Block, _ctx: &mut Ctx, _token: u32) {}

    /// See [`Device::line`].
    fn line(&mut self, _block: &mut Block, _ctx: &mut Ctx, _input: u32, _level: bool) {}

    /// See [`Device::listens`].
    fn listens(&self) -> bool {
        false
    }

    /// See [`Device::published`].
    fn published(&mut self, _block: &mut Block, _ctx: &mut Ctx, _address: u32) {}

    /// See [`Device::interrupt_input`].
    fn interrupt_input(&self, cells: &[u32]) -> Option<u32> {
        cells.first().copied()
    }

    /// See [`Device::port`].
    fn port(&self) -> Option<Port> {
        None
    }

    /// See [`Device::host_input`].
    fn host_input(&mut self, _block: &mut Block, _ctx: &mut Ctx, _input: &HostInput) {}

    /// See [`Device::display`].
    fn display(&self) -> Option<&dyn Display> {
        None
    }
}

/// A peripheral with its common registers, on the bus.
pub struct Nordic<P> {
    /// The common registers.
    pub block: Block,
    /// The peripheral.
    pub model: P,
    /// Register POWER: everything else reads as zero while it is off.
    on: bool,
}

impl<P: Peripheral> Nordic<P> {
    /// A peripheral at the bus address `base`.
    pub fn new(base: u32, layout: &'static Layout, model: P) -> Nordic<P> {
        Nordic { block: Block::new(base, layout), model, on: true }
    }

    fn call<R>(&mut self, ctx: &mut Ctx, f: impl FnOnce(&mut P, &mut Block, &mut Ctx) -> R) -> R {
        let result = f(&mut self.model, &mut self.block, ctx);
        self.settle(ctx);
        result
    }

    /// Runs the tasks that shorts trigger.
    fn settle(&mut self, ctx: &mut Ctx) {
        for _ in 0..SHORT_LIMIT {
            let Some(task) = self.block.next_task() else { return };
            self.model.task(&mut self.block, ctx, task);
        }
        self.block.due.clear();
        ctx.complain("its shorts trigger each other in a circle");
    }
}

impl<P: Peripheral> Component for Nordic<P> {
    fn save(&self) -> Vec<u8> {
        state::encode(&(&self.block.state, self.on, self.model.save()))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (block, on, model): (State, bool, Vec<u8>) = state::decode(bytes)?;
        self.model.restore(&model)?;
        self.block.state = block;
        self.on = on;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        self.model.controls()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.model.control(name)
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let result = self.model.set_control(ctx, name, value);
        self.settle(ctx);
        result
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.block.inspect();
        fields.extend(self.model.inspect());
        fields
    }
}

impl<P: Peripheral> Device for Nordic<P> {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.on = true;
        self.block.reset(ctx);
        self.call(ctx, |model, block, ctx| model.reset(block, ctx));
    }

    fn power_down(&mut self, ctx: &mut Ctx) {
        self.call(ctx, |model, block, ctx| model.power_down(block, ctx));
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let offset = at.offset as u32;
        if at.region == 0 {
            if offset == POWER {
                return self.on.into();
            }
            if !self.on {
                return 0;
            }
            if let Some(value) = self.block.read(offset) {
                return value.into();
            }
        }
        let value = self.call(ctx, |model, block, ctx| model.read(block, ctx, at));
        if value.is_none() {
            ctx.unimplemented(at.offset, false, "no such register");
        }
        value.unwrap_or(0).into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let (offset, value) = (at.offset as u32, value as u32);
        if at.region == 0 && offset == POWER {
            let on = value & 1 != 0;
            if self.on && !on {
                ctx.cancel_all();
                self.block.reset(ctx);
                self.call(ctx, |model, block, ctx| model.switched_off(block, ctx));
            }
            self.on = on;
            return;
        }
        if !self.on {
            return;
        }
        let written = if at.region == 0 { self.block.write(ctx, offset, value) } else { Written::Other };
        let known = self.call(ctx, |model, block, ctx| {
            match written {
                Written::Common => {}
                Written::Task(task) => model.task(block, ctx, task),
                Written::Cleared(event) => model.cleared(block, ctx, event),
                Written::Enabled => model.enabled_changed(block, ctx),
                Written::Other => return model.write(block, ctx, at, value),
            }
            Some(())
        });
        if known.is_none() {
            ctx.unimplemented(at.offset, true, "no such register");
        }
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        self.call(ctx, |model, block, ctx| model.line(block, ctx, input, level));
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        self.call(ctx, |model, block, ctx| model.event(block, ctx, token));
    }

    fn listens(&self) -> bool {
        self.model.listens()
    }

    fn published(&mut self, ctx: &mut Ctx, address: u32) {
        self.call(ctx, |model, block, ctx| model.published(block, ctx, address));
    }

    fn interrupt_input(&self, cells: &[u32]) -> Option<u32> {
        self.model.interrupt_input(cells)
    }

    fn port(&self) -> Option<Port> {
        self.model.port()
    }

    fn ports(&self) -> Vec<Port> {
        self.model.ports()
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        self.call(ctx, |model, block, ctx| model.host_input(block, ctx, input));
    }

    fn display(&self) -> Option<&dyn Display> {
        self.model.display()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::services::Message;

    nordic_layout! {
        tasks { START = 0x000, STOP = 0x004, AGAIN = 0x008 }
        events { STOPPED = 0x104, DONE = 0x17c }
        shorts { 0: DONE => STOP, 5: STOPPED => AGAIN, 6: DONE => AGAIN }
    }

    /// Counts its tasks.
    #[derive(Default)]
    struct Probe {
        tasks: Vec<u32>,
    }

    impl Component for Probe {
        fn save(&self) -> Vec<u8> {
            state::encode(&self.tasks)
        }
        fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
            self.tasks = state::decode(bytes)?;
            Ok(())
        }
    }

    impl Peripheral for Probe {
        fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
            self.tasks.clear();
        }
        fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
            self.tasks.push(task);
            match task {
                task::START | task::AGAIN => block.raise(ctx, event::DONE),
                _ => block.raise(ctx, event::STOPPED),
            }
        }
        fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
            (at.offset == 0x504).then_some(self.tasks.len() as u32)
        }
        fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, _at: At, _value: u32) -> Option<()> {
            None
        }
    }

    fn bench() -> Bench<Nordic<Probe>> {
        Bench::new(Nordic::new(0x4000_2000, &LAYOUT, Probe::default()))
    }

    fn write32(bench: &mut Bench<Nordic<Probe>>, offset: u32, value: u32) {
        bench.write32(offset.into(), value);
    }

    fn read32(bench: &mut Bench<Nordic<Probe>>, offset: u32) -> u32 {
        bench.read32(offset.into())
    }

    #[test]
    fn events_interrupt_publish_and_take_shortcuts() {
        let mut bench = bench();
        write32(&mut bench, INTENSET, u32::MAX);
        assert_eq!(read32(&mut bench, INTENCLR), 0x8000_0002, "only what there is");
        write32(&mut bench, INTENCLR, 2);
        write32(&mut bench, SHORTS, 0xffff_ff01 & !0x60);
        assert_eq!(read32(&mut bench, SHORTS), 1);
        write32(&mut bench, task::START, 0);
        assert_eq!(bench.messages(), []);
        write32(&mut bench, task::START, 1);
        let published = [event::DONE, event::STOPPED].map(|event| Message::Published(0x4000_2000 + event));
        assert_eq!(bench.messages(), published);
        assert_eq!(bench.device.model.tasks, [task::START, task::STOP]);
        assert!(bench.line(0));
        write32(&mut bench, event::DONE, 0);
        assert!(!bench.line(0) && read32(&mut bench, event::STOPPED) == 1);
        write32(&mut bench, INTENSET, 2);
        assert!(bench.line(0));
        bench.check_save_restore();
    }

    #[test]
    fn shorts_in_a_circle_end() {
        let mut bench = bench();
        write32(&mut bench, SHORTS, 1 << 6);
        write32(&mut bench, task::START, 1);
        assert_eq!(bench.services.complaints.len(), 1);
        write32(&mut bench, SHORTS, 0);
        write32(&mut bench, task::STOP, 1);
        assert_eq!(bench.device.model.tasks.last(), Some(&task::STOP));
    }

    #[test]
    fn switching_off_resets() {
        let mut bench = bench();
        write32(&mut bench, INTENSET, 2);
        write32(&mut bench, task::STOP, 1);
        assert!(bench.line(0));
        write32(&mut bench, POWER, 0);
        write32(&mut bench, INTENSET, 2);
        assert_eq!((bench.line(0), read32(&mut bench, POWER), read32(&mut bench, INTEN)), (false, 0, 0));
        write32(&mut bench, POWER, 1);
        assert_eq!([POWER, INTEN, 0x504].map(|offset| read32(&mut bench, offset)), [1, 0, 0]);
        read32(&mut bench, 0x508);
        write32(&mut bench, 0x508, 0);
        assert_eq!(bench.services.unimplemented.len(), 2);
    }
}
