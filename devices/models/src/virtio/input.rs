//! The input device: virtio 1.2, section 5.8, with the event codes of Linux's `input-event-codes.h` and its
//! multi-touch protocol B.
//!
//! A keyboard (also a remote control's keys), a tablet (absolute pointer, three buttons, wheel) and a touch screen.
//! Left out: force feedback and sound.
//!
//! Events are always the difference between what the driver was told and what is so. Where the driver lags
//! behind by more than `BACKLOG` events, short changes are lost, but no key stays down for ever.

use super::device::{Io, VirtioDevice};
use devices_core::{
    Component, ControlKind, ControlSpec, ControlValue, Ctx, Field, HostInput, Port, RestoreError, state,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;

const EVENTS: usize = 0;
const STATUS: usize = 1;

/// Events that wait for the driver's buffers.
const BACKLOG: usize = 512;

/// Largest value of an axis of position.
const MAX_POSITION: u16 = 32767;
const MAX_CONTACTS: usize = 10;
const MAX_TRACKING_ID: u16 = 0xffff;

const EV_SYN: u16 = 0x00;
const EV_KEY: u16 = 0x01;
const EV_REL: u16 = 0x02;
const EV_ABS: u16 = 0x03;
const EV_LED: u16 = 0x11;
const EV_REP: u16 = 0x14;

const REL_WHEEL: u16 = 0x08;
const ABS_X: u16 = 0x00;
const ABS_Y: u16 = 0x01;
const ABS_MT_SLOT: u16 = 0x2f;
const ABS_MT_POSITION_X: u16 = 0x35;
const ABS_MT_POSITION_Y: u16 = 0x36;
const ABS_MT_TRACKING_ID: u16 = 0x39;
const BTN_LEFT: u16 = 0x110;
const BTN_TOUCH: u16 = 0x14a;
const PROP_DIRECT: u16 = 1;

/// The LEDs, by their numbers: names of their controls.
const LEDS: [&str; 3] = ["num-lock", "caps-lock", "scroll-lock"];

/// What sets one input device apart from another.
pub struct Kind {
    name: &'static str,
    product: u16,
    port: Port,
    keys: &'static [RangeInclusive<u16>],
    relative: &'static [u16],
    /// Axis and its largest value.
    axes: &'static [(u16, u16)],
    leds: bool,
    properties: &'static [u16],
}

/// All keys of a keyboard, and those of a television's remote control (OK, menu, channels, colours).
pub static KEYBOARD: Kind = Kind {
    name: "hyperemu keyboard",
    product: 1,
    port: Port::Keyboard,
    keys: &[1..=248, 0x160..=0x1ba],
    relative: &[],
    axes: &[],
    leds: true,
    properties: &[],
};

/// An absolute pointer.
pub static TABLET: Kind = Kind {
    name: "hyperemu tablet",
    product: 2,
    port: Port::Pointer,
    keys: &[BTN_LEFT..=BTN_LEFT + 2],
    relative: &[REL_WHEEL],
    axes: &[(ABS_X, MAX_POSITION), (ABS_Y, MAX_POSITION)],
    leds: false,
    properties: &[],
};

/// A touch screen.
pub static TOUCH: Kind = Kind {
    name: "hyperemu touch screen",
    product: 3,
    port: Port::Touch,
    keys: &[BTN_TOUCH..=BTN_TOUCH],
    relative: &[],
    axes: &[
        (ABS_X, MAX_POSITION),
        (ABS_Y, MAX_POSITION),
        (ABS_MT_SLOT, MAX_CONTACTS as u16 - 1),
        (ABS_MT_POSITION_X, MAX_POSITION),
        (ABS_MT_POSITION_Y, MAX_POSITION),
        (ABS_MT_TRACKING_ID, MAX_TRACKING_ID),
    ],
    leds: false,
    properties: &[PROP_DIRECT],
};

/// Type, code, value.
type Event = (u16, u16, i32);

/// A finger.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Contact {
    id: u16,
    x: u16,
    y: u16,
}

/// How keys, pointer and fingers are.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Posture {
    keys: BTreeSet<u16>,
    x: u16,
    y: u16,
    contacts: [Option<Contact>; MAX_CONTACTS],
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    select: u8,
    subselect: u8,
    /// How it is.
    now: Posture,
    /// Wheel steps that were not told yet.
    wheel: i32,
    next_id: u16,
    /// How it is after the backlog.
    told: Posture,
    told_slot: u16,
    backlog: VecDeque<Event>,
    leds: u8,
}

/// An input device.
pub struct Input {
    kind: &'static Kind,
    state: State,
}

impl Input {
    /// A device of this kind.
    pub fn new(kind: &'static Kind) -> Input {
        Input { kind, state: State::default() }
    }

    fn is_key(&self, code: u16) -> bool {
        self.kind.keys.iter().any(|range| range.contains(&code))
    }

    fn bits(&self, event_type: u16) -> Vec<u8> {
        let codes: Vec<u16> = match event_type {
            EV_KEY => self.kind.keys.iter().cloned().flatten().collect(),
            EV_REL => self.kind.relative.to_vec(),
            EV_ABS => self.kind.axes.iter().map(|axis| axis.0).collect(),
            EV_LED if self.kind.leds => vec![0, 1, 2],
            EV_REP if self.kind.leds => vec![0, 1],
            _ => Vec::new(),
        };
        bitmap(&codes)
    }

    /// What the selected part of the configuration holds.
    fn selected(&self) -> Vec<u8> {
        let kind = self.kind;
        match self.state.select {
            0x01 => kind.name.as_bytes().to_vec(),
            0x02 => b"0".to_vec(),
            0x03 => {
                // Bus (virtual), vendor, product, version.
                [0x06, 0x4859, kind.product, 1].iter().flat_map(|id: &u16| id.to_le_bytes()).collect()
            }
            0x10 => bitmap(kind.properties),
            0x11 => self.bits(self.state.subselect.into()),
            0x12 => {
                let axis = kind.axes.iter().find(|axis| axis.0 == u16::from(self.state.subselect));
                // Smallest, largest, fuzz, flat, resolution.
                let info = |max: u16| [0, u32::from(max), 0, 0, 0];
                axis.map_or(Vec::new(), |axis| info(axis.1).iter().flat_map(|x| x.to_le_bytes()).collect())
            }
            _ => Vec::new(),
        }
    }

    /// Queues events for what changed since the driver was told last, all of it or nothing.
    fn tell(&mut self) {
        let State { now, told, wheel, told_slot, backlog, .. } = &mut self.state;
        let mut events = Vec::new();
        for (slot, (now, told)) in now.contacts.iter().zip(&told.contacts).enumerate() {
            if now == told {
                continue;
            }
            if *told_slot != slot as u16 {
                *told_slot = slot as u16;
                events.push((EV_ABS, ABS_MT_SLOT, slot as i32));
            }
            let same = now.map(|contact| contact.id) == told.map(|contact| contact.id);
            if !same {
                events.push((EV_ABS, ABS_MT_TRACKING_ID, now.map_or(-1, |contact| contact.id.into())));
            }
            if let Some(contact) = now {
                let before = told.filter(|_| same);
                if before.is_none_or(|before| before.x != contact.x) {
                    events.push((EV_ABS, ABS_MT_POSITION_X, contact.x.into()));
                }
                if before.is_none_or(|before| before.y != contact.y) {
                    events.push((EV_ABS, ABS_MT_POSITION_Y, contact.y.into()));
                }
            }
        }
        for (code, now, told) in [(ABS_X, now.x, told.x), (ABS_Y, now.y, told.y)] {
            if now != told {
                events.push((EV_ABS, code, now.into()));
            }
        }
        for released in told.keys.difference(&now.keys) {
            events.push((EV_KEY, *released, 0));
        }
        for pressed in now.keys.difference(&told.keys) {
            events.push((EV_KEY, *pressed, 1));
        }
        if *wheel != 0 {
            events.push((EV_REL, REL_WHEEL, *wheel));
        }
        if events.is_empty() {
            return;
        }
        events.push((EV_SYN, 0, 0));
        backlog.extend(events);
        *told = now.clone();
        *wheel = 0;
    }

    /// Moves events into the driver's buffers.
    fn pump(&mut self, io: &mut Io) {
        if !io.ready() {
            return;
        }
        loop {
            // More than any posture takes has to fit, since a change is told as a whole.
            if self.state.backlog.len() < BACKLOG {
                self.tell();
            }
            let Some(&(event_type, code, value)) = self.state.backlog.front() else { return };
            let Some(mut chain) = io.pop(EVENTS) else { return };
            let mut event = [0; 8];
            event[..2].copy_from_slice(&event_type.to_le_bytes());
            event[2..4].copy_from_slice(&code.to_le_bytes());
            event[4..].copy_from_slice(&value.to_le_bytes());
            if chain.writable.write(&io.memory, &event) < event.len() {
                io.fail("a buffer of the event queue has no room for an event");
                return;
            }
            self.state.backlog.pop_front();
            io.complete(EVENTS, &chain);
        }
    }

    fn touch(&mut self, slot: u8, at: Option<(u16, u16)>) {
        let State { now, next_id, .. } = &mut self.state;
        let Some(contact) = now.contacts.get_mut(usize::from(slot)) else { return };
        let id = contact.map(|contact| contact.id);
        *contact = at.map(|(x, y)| {
            let id = id.unwrap_or_else(|| {
                *next_id = next_id.wrapping_add(1);
                *next_id
            });
            Contact { id, x: x.min(MAX_POSITION), y: y.min(MAX_POSITION) }
        });
        // A pointer follows the first finger, for guests without multi-touch.
        match now.contacts.iter().flatten().next() {
            Some(first) => {
                (now.x, now.y) = (first.x, first.y);
                now.keys.insert(BTN_TOUCH);
            }
            None => now.keys.clear(),
        }
    }
}

fn bitmap(codes: &[u16]) -> Vec<u8> {
    let mut bits = vec![0; codes.iter().max().map_or(0, |max| usize::from(*max) / 8 + 1)];
    for code in codes {
        bits[usize::from(*code) / 8] |= 1 << (code % 8);
    }
    bits
}

impl Component for Input {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let led = |name: &&str| ControlSpec {
            name: name.to_string(),
            unit: "",
            kind: ControlKind::Switch,
            settable: false,
            help: "LED of the keyboard",
        };
        if self.kind.leds { LEDS.iter().map(led).collect() } else { Vec::new() }
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        let led = LEDS.iter().position(|led| *led == name && self.kind.leds)?;
        Some(ControlValue::Switch(self.state.leds >> led & 1 != 0))
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.into(), value };
        vec![
            field("kind", self.kind.name.to_string()),
            field("state", format!("{:?}", self.state.now)),
            field("backlog", self.state.backlog.len().to_string()),
        ]
    }
}

impl VirtioDevice for Input {
    fn id(&self) -> u32 {
        18
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> &'static [u16] {
        &[64, 64]
    }

    fn config(&self) -> Vec<u8> {
        let part = self.selected();
        let mut config = vec![self.state.select, self.state.subselect, part.len() as u8, 0, 0, 0, 0, 0];
        config.extend_from_slice(&part);
        config
    }

    fn write_config(&mut self, _io: &mut Io, offset: u64, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            match at {
                0 => self.state.select = *byte,
                1 => self.state.subselect = *byte,
                _ => {}
            }
        }
    }

    fn reset(&mut self, _ctx: &mut Ctx, power: bool) {
        // The next driver knows of no key that is down; it is told when it is ready.
        let now = if power { Posture::default() } else { std::mem::take(&mut self.state.now) };
        self.state = State { now, next_id: self.state.next_id, ..State::default() };
        if power {
            self.state.next_id = 0;
        }
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        if queue == EVENTS {
            return self.pump(io);
        }
        while let Some(mut chain) = io.pop(STATUS) {
            while let Some(event) = chain.readable.array::<8>(&io.memory) {
                let event = u64::from_le_bytes(event);
                let (event_type, code, on) = (event as u16, (event >> 16) as u16, event >> 32 != 0);
                if event_type == EV_LED && usize::from(code) < LEDS.len() {
                    self.state.leds = self.state.leds & !(1 << code) | u8::from(on) << code;
                }
            }
            io.complete(STATUS, &chain);
        }
    }

    fn port(&self) -> Option<Port> {
        Some(self.kind.port)
    }

    fn host_input(&mut self, io: &mut Io, input: &HostInput) {
        match *input {
            HostInput::Key { code, down } if self.is_key(code) && self.kind.port == Port::Keyboard => {
                let keys = &mut self.state.now.keys;
                if down {
                    keys.insert(code)
                } else {
                    keys.remove(&code)
                };
            }
            HostInput::Pointer { x, y, buttons, wheel } if self.kind.port == Port::Pointer => {
                let now = &mut self.state.now;
                (now.x, now.y) = (x.min(MAX_POSITION), y.min(MAX_POSITION));
                now.keys = (0..3).filter(|bit| buttons >> bit & 1 != 0).map(|bit| BTN_LEFT + bit).collect();
                self.state.wheel = self.state.wheel.saturating_add(wheel.into());
            }
            HostInput::Touch { slot, at } if self.kind.port == Port::Touch => self.touch(slot, at),
            _ => return,
        }
        self.pump(io);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, torture};
    use super::*;
    use devices_core::Width;

    /// Gives the device 16 buffers and returns what it had to tell.
    fn events(driver: &mut Driver) -> Vec<Event> {
        for head in 0..16 {
            driver.add_room(EVENTS, head, 8);
        }
        driver.kick(EVENTS);
        let events = taken(driver);
        // Takes the unused buffers back.
        driver.restart();
        events
    }

    fn taken(driver: &mut Driver) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((head, len)) = driver.take(EVENTS) {
            assert_eq!(len, 8);
            let addr = driver.memory.read_le(driver.table(EVENTS) + 16 * u64::from(head), 8).unwrap();
            let bytes = driver.memory.read_le(addr, 8).unwrap();
            events.push((bytes as u16, (bytes >> 16) as u16, (bytes >> 32) as i32));
        }
        events
    }

    fn input(driver: &mut Driver, input: HostInput) -> Vec<Event> {
        driver.bench.input(input);
        events(driver)
    }

    const SYN: Event = (0, 0, 0);

    #[test]
    fn keys_are_told_once() {
        let mut driver = Driver::new(Input::new(&KEYBOARD), 0);
        let key = |code, down| HostInput::Key { code, down };
        assert_eq!(input(&mut driver, key(30, true)), [(EV_KEY, 30, 1), SYN]);
        assert_eq!(input(&mut driver, key(30, true)), [], "still down");
        assert_eq!(input(&mut driver, key(0x160, true)), [(EV_KEY, 0x160, 1), SYN], "OK of the remote");
        assert_eq!(input(&mut driver, key(30, false)), [(EV_KEY, 30, 0), SYN]);
        assert_eq!(input(&mut driver, key(BTN_LEFT, true)), [], "not a key of a keyboard");
        driver.bench.check_save_restore();
    }

    #[test]
    fn a_new_driver_hears_what_is_down() {
        let mut driver = Driver::new(Input::new(&KEYBOARD), 0);
        driver.bench.input(HostInput::Key { code: 42, down: true });
        driver.start(0);
        assert_eq!(events(&mut driver), [(EV_KEY, 42, 1), SYN]);
    }

    #[test]
    fn a_driver_that_lags_loses_taps_but_no_release() {
        let mut driver = Driver::new(Input::new(&KEYBOARD), 0);
        for i in 0..5_000 {
            driver.bench.input(HostInput::Key { code: 2 + i / 2 % 100, down: i % 2 == 0 });
        }
        driver.bench.input(HostInput::Key { code: 200, down: true });
        let mut down = BTreeSet::new();
        let mut count = 0;
        loop {
            let some = events(&mut driver);
            if some.is_empty() {
                break;
            }
            count += some.len();
            for (_, code, value) in some.iter().filter(|event| event.0 == EV_KEY) {
                assert!(if *value == 1 { down.insert(*code) } else { down.remove(code) });
            }
        }
        assert!((BACKLOG..BACKLOG + 20).contains(&count), "{count}");
        assert_eq!(down, BTreeSet::from([200]));
    }

    #[test]
    fn a_tablet_tells_position_buttons_and_wheel() {
        let mut driver = Driver::new(Input::new(&TABLET), 0);
        let pointer = |x, y, buttons, wheel| HostInput::Pointer { x, y, buttons, wheel };
        let told = input(&mut driver, pointer(100, 40_000, 5, 0));
        let expected = [(3, 0, 100), (3, 1, 32767), (1, 0x110, 1), (1, 0x112, 1), SYN];
        assert_eq!(told, expected);
        assert_eq!(input(&mut driver, pointer(100, 40_000, 4, -2)), [(1, 0x110, 0), (2, 8, -2), SYN]);
    }

    #[test]
    fn touches_follow_protocol_b() {
        let mut driver = Driver::new(Input::new(&TOUCH), 0);
        let mut touch = |slot, at| input(&mut driver, HostInput::Touch { slot, at });
        let first = [(3, 0x39, 1), (3, 0x35, 10), (3, 0x36, 20), (3, 0, 10), (3, 1, 20), (1, 0x14a, 1), SYN];
        assert_eq!(touch(0, Some((10, 20))), first);
        assert_eq!(touch(1, Some((7, 8))), [(3, 0x2f, 1), (3, 0x39, 2), (3, 0x35, 7), (3, 0x36, 8), SYN]);
        assert_eq!(touch(0, Some((10, 21))), [(3, 0x2f, 0), (3, 0x36, 21), (3, 1, 21), SYN]);
        assert_eq!(
            touch(0, None),
            [(3, 0x39, -1), (3, 0, 7), (3, 1, 8), SYN],
            "the pointer goes to the next"
        );
        assert_eq!(touch(1, None), [(3, 0x2f, 1), (3, 0x39, -1), (1, 0x14a, 0), SYN]);
        assert_eq!(touch(10, Some((1, 1))), [], "no such finger");
    }

    #[test]
    fn the_configuration_tells_what_there_is() {
        let mut driver = Driver::new(Input::new(&TOUCH), 0);
        let mut select = |select: u8, subselect: u8| {
            driver.bench.write(0x100, Width::B1, select.into());
            driver.bench.write(0x101, Width::B1, subselect.into());
            let size = driver.config(2, 1)[0];
            driver.config(8, size.into())
        };
        assert_eq!(select(1, 0), b"hyperemu touch screen");
        assert_eq!(select(3, 0), [6, 0, 0x59, 0x48, 3, 0, 1, 0]);
        assert_eq!(select(0x10, 0), [2]);
        assert_eq!(select(0x11, 3), [3, 0, 0, 0, 0, 0x80, 0x60, 0x02]);
        assert_eq!(select(0x11, 1).len(), 0x14a / 8 + 1);
        assert_eq!(select(0x11, 2), []);
        assert_eq!(select(0x12, 0x2f)[4..8], [9, 0, 0, 0]);
        assert_eq!(select(0x12, 0x35).len(), 20);
        assert_eq!(select(0x12, 2), []);
        assert_eq!(select(0, 0), []);
    }

    #[test]
    fn leds_are_controls() {
        let mut driver = Driver::new(Input::new(&KEYBOARD), 0);
        assert_eq!(driver.ask(STATUS, &[0x11, 0, 1, 0, 1, 0, 0, 0], 0), Some(vec![]));
        let led = |driver: &Driver, name| driver.bench.device.control(name);
        assert_eq!(led(&driver, "caps-lock"), Some(ControlValue::Switch(true)));
        assert_eq!(led(&driver, "num-lock"), Some(ControlValue::Switch(false)));
        driver.ask(STATUS, &[0x11, 0, 9, 0, 1, 0, 0, 0], 0).unwrap();
        assert_eq!(driver.bench.device.controls().len(), 3);
    }

    #[test]
    fn survives_anything() {
        for kind in [&KEYBOARD, &TABLET, &TOUCH] {
            torture(|| Box::new(Input::new(kind)), 0);
        }
    }
}
