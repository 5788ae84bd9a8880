//! The board's screen in a window, by minifb: its skin around it, keys, pointer and touch into it.

use crate::host::keys::linux_code;
use crate::host::runner::{Viewer, ViewerInput};
use crate::host::skin::{self, Skin};
use crate::machine::Machine;
use devices_core::{ControlValue, DeviceId, Frame, HostInput, Port};
use machine_configs::Board;
use minifb::{InputCallback, Key, MouseButton, MouseMode, ScaleMode, WindowOptions};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// 60 times a second.
const REFRESH: Duration = Duration::from_micros(16_667);

/// Key changes since the last look: also those that are shorter than a refresh.
#[derive(Clone, Default)]
struct KeyChanges(Rc<RefCell<Vec<(Key, bool)>>>);

impl InputCallback for KeyChanges {
    fn add_char(&mut self, _: u32) {}

    fn set_key_state(&mut self, key: Key, down: bool) {
        self.0.borrow_mut().push((key, down));
    }
}

/// A window on a machine.
pub struct Window {
    window: minifb::Window,
    keys: KeyChanges,
    held: Vec<u16>,
    skin: Skin,
    remote: bool,
    display: DeviceId,
    keyboards: Vec<DeviceId>,
    pointers: Vec<DeviceId>,
    touches: Vec<DeviceId>,
    /// The control of a vibration motor, and whether it turns.
    motor: Option<String>,
    /// The key of the skin that the pointer holds.
    pressed: Option<u16>,
    shown: Option<(u64, (usize, usize), bool)>,
    refreshed: Instant,
    screen: Frame,
    whole: Frame,
    buffer: Vec<u32>,
    /// Where the skin's picture lies in the window: left, top, width, height.
    picture: (usize, usize, usize, usize),
    pointer: Option<(u16, u16, u8)>,
}

impl Window {
    /// Opens a window for the board's first screen. `scale` is window pixels for a screen pixel; without it the window
    /// fits a common desktop. Errors where the host has no display, or the board no screen.
    pub fn open(board: &Board, machine: &Machine, scale: Option<f64>) -> Result<Window, String> {
        let display = machine.ports(Port::Display).first().copied().ok_or("this board has no screen")?;
        let screen = machine.bus.slots[display].device.display().map_or((640, 480), |display| display.size());
        let skin_name = board.description.window.skin.as_deref();
        let skin = Skin::named(skin_name);
        let (width, height) = skin.size(screen);
        let fitting = (1200.0 / f64::from(width)).min(760.0 / f64::from(height)).min(2.0);
        let scale = scale.unwrap_or(if fitting >= 1.0 { fitting.floor() } else { fitting });
        if !(0.05..=8.0).contains(&scale) {
            return Err(format!("--scale {scale}: expected 0.05 to 8"));
        }
        let scaled = |size: u32| (f64::from(size) * scale).round().max(1.0) as usize;
        let options =
            WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let title = &board.description.window.title;
        let mut window = minifb::Window::new(title, scaled(width), scaled(height), options)
            .map_err(|error| format!("can not open a window: {error}"))?;
        let keys = KeyChanges::default();
        window.set_input_callback(Box::new(keys.clone()));
        Ok(Window {
            window,
            keys,
            held: Vec::new(),
            skin,
            remote: skin_name == Some("tv"),
            display,
            keyboards: machine.ports(Port::Keyboard),
            pointers: machine.ports(Port::Pointer),
            touches: machine.ports(Port::Touch),
            motor: machine
                .controls()
                .into_iter()
                .map(|(_, spec)| spec.name)
                .find(|name| name.ends_with("motor.level")),
            pressed: None,
            shown: None,
            refreshed: Instant::now().checked_sub(REFRESH).unwrap_or_else(Instant::now),
            screen: Frame::default(),
            whole: Frame::default(),
            buffer: Vec::new(),
            picture: (0, 0, 1, 1),
            pointer: None,
        })
    }

    fn draw(&mut self, machine: &Machine) {
        let size = self.window.get_size();
        let Some(display) = machine.bus.slots[self.display].device.display() else { return };
        let level = self.motor.as_ref().and_then(|name| machine.control(name).ok());
        let motor = matches!(level, Some(ControlValue::Number(level)) if level > 0.0);
        let version = (display.generation(), size, motor);
        if self.shown != Some(version) {
            display.copy(&mut self.screen);
            self.skin.compose(&self.screen, &mut self.whole);
            self.skin.show_motor(motor, &mut self.whole);
            self.picture = skin::fit(&self.whole, size.0, size.1, &mut self.buffer);
            self.shown = Some(version);
            // A window that can not be drawn to is about to close; the next look sees that.
            let _ = self.window.update_with_buffer(&self.buffer, size.0, size.1);
        } else {
            self.window.update();
        }
    }

    fn key_input(&mut self, inputs: &mut Vec<(DeviceId, HostInput)>) {
        let changes = std::mem::take(&mut *self.keys.0.borrow_mut());
        for (key, down) in changes {
            let Some(code) = linux_code(key, self.remote) else { continue };
            // The host's own key repeat is not for the guest: it has its own.
            if down == self.held.contains(&code) {
                continue;
            }
            if down {
                self.held.push(code);
            } else {
                self.held.retain(|held| *held != code);
            }
            inputs.extend(self.keyboards.iter().map(|&device| (device, HostInput::Key { code, down })));
        }
    }

    fn pointer_input(&mut self, inputs: &mut Vec<(DeviceId, HostInput)>) {
        let Some(mouse) = self.window.get_mouse_pos(MouseMode::Pass) else { return };
        let buttons = [MouseButton::Left, MouseButton::Right, MouseButton::Middle]
            .iter()
            .enumerate()
            .map(|(bit, button)| u8::from(self.window.get_mouse_down(*button)) << bit)
            .sum::<u8>();
        let wheel = self.window.get_scroll_wheel().map_or(0, |(_, y)| y.clamp(-100.0, 100.0).round() as i8);
        if self.skin_input(mouse, buttons & 1 != 0, inputs) {
            return;
        }
        // A finger that slides off the glass is at its edge.
        let was_down = self.pointer.is_some_and(|before| before.2 & 1 != 0);
        let Some((x, y)) = self.to_screen(mouse, was_down) else { return };
        let before = self.pointer.replace((x, y, buttons));
        // Where the pointer happens to be when the window opens is nothing that the user did.
        let moved =
            before.is_some_and(|before| before != (x, y, buttons)) || buttons != 0 && before.is_none();
        if !moved && wheel == 0 {
            return;
        }
        let pointer = HostInput::Pointer { x, y, buttons, wheel };
        inputs.extend(self.pointers.iter().map(|&device| (device, pointer.clone())));
        let was_down = before.is_some_and(|before| before.2 & 1 != 0);
        let is_down = buttons & 1 != 0;
        if is_down || was_down {
            let touch = HostInput::Touch { slot: 0, at: is_down.then_some((x, y)) };
            inputs.extend(self.touches.iter().map(|&device| (device, touch.clone())));
        }
    }

    /// The buttons that are part of the skin; whether the pointer is busy with one.
    fn skin_input(
        &mut self,
        (x, y): (f32, f32),
        down: bool,
        inputs: &mut Vec<(DeviceId, HostInput)>,
    ) -> bool {
        let held = self.pointer.is_some_and(|before| before.2 & 1 != 0);
        if self.pressed.is_none() && down && !held {
            let (left, top, width, height) = self.picture;
            let scaled = |at: f32, start: usize, length: usize, whole: u32| {
                (f64::from(at) - start as f64) * f64::from(whole) / length.max(1) as f64
            };
            let place = (scaled(x, left, width, self.whole.width), scaled(y, top, height, self.whole.height));
            self.pressed = self.skin.key_at(place, (self.whole.width, self.whole.height));
            if let Some(code) = self.pressed {
                let key = HostInput::Key { code, down: true };
                inputs.extend(self.keyboards.iter().map(|&device| (device, key.clone())));
            }
        }
        let Some(code) = self.pressed else { return false };
        if !down {
            self.pressed = None;
            let key = HostInput::Key { code, down: false };
            inputs.extend(self.keyboards.iter().map(|&device| (device, key.clone())));
        }
        true
    }

    /// From window pixels to 0..=32767 on the screen; `None` far outside of it, unless `anywhere` counts.
    fn to_screen(&self, (x, y): (f32, f32), anywhere: bool) -> Option<(u16, u16)> {
        let (left, top, width, height) = self.picture;
        let (ox, oy) = self.skin.origin();
        let axis = |at: f32, start: usize, length: usize, whole: u32, origin: u32, screen: u32| {
            let in_whole = (f64::from(at) - start as f64) * f64::from(whole) / length.max(1) as f64;
            let part = (in_whole - f64::from(origin)) / f64::from(screen.max(1));
            (anywhere || (-0.1..=1.1).contains(&part))
                .then(|| (part.clamp(0.0, 1.0) * 32767.0).round() as u16)
        };
        let x = axis(x, left, width, self.whole.width, ox, self.screen.width)?;
        let y = axis(y, top, height, self.whole.height, oy, self.screen.height)?;
        Some((x, y))
    }
}

impl Viewer for Window {
    fn update(&mut self, machine: &Machine) -> ViewerInput {
        let mut input = ViewerInput::default();
        if self.refreshed.elapsed() < REFRESH {
            return input;
        }
        self.refreshed = Instant::now();
        self.draw(machine);
        input.closed = !self.window.is_open();
        self.key_input(&mut input.inputs);
        self.pointer_input(&mut input.inputs);
        input
    }
}
