//! The console device: virtio 1.2, section 5.3.
//!
//! One port, with its size and emergency write; further ports (`VIRTIO_CONSOLE_F_MULTIPORT`) are left out.

use super::device::{Io, VirtioDevice};
use devices_core::{
    Component, ControlError, ControlKind, ControlSpec, ControlValue, Ctx, Field, HostInput, HostOutput, Port,
    RestoreError, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const SIZE: u64 = 1 << 0;
const EMERGENCY_WRITE: u64 = 1 << 2;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// Bytes from the host that wait for the driver; more are lost, as on a serial line.
const BACKLOG: usize = 64 << 10;

/// Bytes that one notification may move before the guest runs on.
const BUDGET: u64 = 1 << 20;

/// A console.
#[derive(Clone, Serialize, Deserialize)]
pub struct Console {
    columns: u16,
    rows: u16,
    resized: bool,
    backlog: VecDeque<u8>,
}

impl Default for Console {
    fn default() -> Self {
        Console { columns: 80, rows: 24, resized: false, backlog: VecDeque::new() }
    }
}

impl Console {
    fn receive(&mut self, io: &mut Io) {
        while !self.backlog.is_empty()
            && let Some(mut chain) = io.pop(RECEIVE)
        {
            let count = chain.writable.remaining().min(self.backlog.len() as u64) as usize;
            let bytes: Vec<u8> = self.backlog.drain(..count).collect();
            chain.writable.write(&io.memory, &bytes);
            io.complete(RECEIVE, &chain);
        }
    }

    fn transmit(&mut self, io: &mut Io) {
        let mut budget = BUDGET;
        while let Some(mut chain) = io.pop(TRANSMIT) {
            let bytes = chain.readable.take(&io.memory, BUDGET as usize);
            if chain.readable.remaining() > 0 {
                io.ctx.complain("virtio console: the end of a write of more than 1 MiB is lost");
            }
            budget = budget.saturating_sub(bytes.len() as u64);
            io.ctx.output(HostOutput::Serial(bytes));
            io.complete(TRANSMIT, &chain);
            if budget == 0 {
                io.ctx.schedule(0, io.ctx.now());
                return;
            }
        }
    }
}

impl Component for Console {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        let size = |name: &str, help| ControlSpec {
            name: name.into(),
            unit: "",
            kind: ControlKind::Number { min: 1.0, max: 9999.0 },
            settable: true,
            help,
        };
        vec![size("columns", "width of the terminal"), size("rows", "height of the terminal")]
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        match name {
            "columns" => Some(ControlValue::Number(self.columns.into())),
            "rows" => Some(ControlValue::Number(self.rows.into())),
            _ => None,
        }
    }

    fn set_control(&mut self, _ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        let target = match name {
            "columns" => &mut self.columns,
            "rows" => &mut self.rows,
            _ => return Err(ControlError::Unknown(name.to_string())),
        };
        if let ControlValue::Number(number) = value {
            *target = *number as u16;
            self.resized = true;
        }
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        vec![
            Field { name: "size".into(), value: format!("{}x{}", self.columns, self.rows) },
            Field { name: "backlog".into(), value: self.backlog.len().to_string() },
        ]
    }
}

impl VirtioDevice for Console {
    fn id(&self) -> u32 {
        3
    }

    fn features(&self) -> u64 {
        SIZE | EMERGENCY_WRITE
    }

    fn queues(&self) -> &'static [u16] {
        &[256, 256]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = vec![0; 12];
        config[..2].copy_from_slice(&self.columns.to_le_bytes());
        config[2..4].copy_from_slice(&self.rows.to_le_bytes());
        config[4] = 1; // max_nr_ports
        config
    }

    fn write_config(&mut self, io: &mut Io, offset: u64, bytes: &[u8]) {
        if offset == 8 {
            io.ctx.output(HostOutput::Serial(bytes[..1].to_vec()));
        }
    }

    fn reset(&mut self, _ctx: &mut Ctx, power: bool) {
        if power {
            *self = Console { columns: self.columns, rows: self.rows, ..Console::default() };
        }
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        match queue {
            RECEIVE => self.receive(io),
            _ => self.transmit(io),
        }
    }

    fn event(&mut self, io: &mut Io, _token: u32) {
        self.transmit(io);
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, io: &mut Io, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            let room = BACKLOG - self.backlog.len().min(BACKLOG);
            self.backlog.extend(bytes.iter().take(room));
            self.receive(io);
        }
    }

    fn control_changed(&mut self, io: &mut Io) {
        if std::mem::take(&mut self.resized) {
            io.config_changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, torture};
    use super::*;

    #[test]
    fn bytes_pass_both_ways() {
        let mut driver = Driver::new(Console::default(), SIZE);
        assert_eq!(driver.ask(TRANSMIT, b"hello", 0), Some(vec![]));
        assert_eq!(driver.bench.serial(), b"hello");
        let first = driver.add_room(RECEIVE, 0, 4);
        driver.kick(RECEIVE);
        driver.interrupt();
        driver.bench.input(HostInput::Serial(b"abcdef".to_vec()));
        assert_eq!(driver.take(RECEIVE), Some((0, 4)));
        assert_eq!(driver.peek(first, 4), b"abcd");
        assert_eq!(driver.interrupt(), 1);
        let second = driver.add_room(RECEIVE, 1, 8);
        assert_eq!(driver.take(RECEIVE), None);
        driver.kick(RECEIVE);
        assert_eq!(driver.take(RECEIVE), Some((1, 2)));
        assert_eq!(driver.peek(second, 2), b"ef");
    }

    #[test]
    fn what_came_before_the_driver_waits_and_is_bounded() {
        let mut driver = Driver::new(Console::default(), 0);
        driver.bench.input(HostInput::Serial(vec![b'x'; 2 * BACKLOG]));
        driver.bench.check_save_restore();
        let mut total = 0;
        for head in 0..8 {
            driver.add_room(RECEIVE, head, 0x4000);
            driver.kick(RECEIVE);
            total += driver.take(RECEIVE).map_or(0, |taken| taken.1);
        }
        assert_eq!(total as usize, BACKLOG);
    }

    #[test]
    fn a_new_size_is_told() {
        let mut driver = Driver::new(Console::default(), SIZE);
        assert_eq!(driver.config(0, 8), [80, 0, 24, 0, 1, 0, 0, 0]);
        let generation = driver.bench.read32(0xfc);
        driver.bench.call(|device, ctx| {
            device.set_control(ctx, "columns", &ControlValue::Number(132.0)).unwrap();
            assert!(device.set_control(ctx, "depth", &ControlValue::Number(1.0)).is_err());
        });
        assert_eq!(driver.interrupt(), 2);
        assert_eq!(driver.config(0, 4), [132, 0, 24, 0]);
        assert_ne!(driver.bench.read32(0xfc), generation);
    }

    #[test]
    fn emergency_writes_need_no_driver() {
        let mut driver = Driver::boxed(Box::new(Console::default()));
        driver.bench.write32(0x108, u32::from(b'!'));
        assert_eq!(driver.bench.serial(), b"!");
    }

    #[test]
    fn survives_anything() {
        torture(|| Box::new(Console::default()), SIZE | EMERGENCY_WRITE);
    }
}
