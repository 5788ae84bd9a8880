//! Programmable peripheral interconnect (PPI).
//!
//! Follows the nRF52832 Product Specification v1.4, chapter 20, and the nRF51 Series Reference Manual v3.0, chapter 15.
//! A channel that is enabled triggers, when the event whose register is at EEP fires, the tasks at TEP and FORK.TEP;
//! channels 20 to 31 are fixed. What an event triggers happens at the same virtual time, by ascending channel; channels
//! that a task of this block switches take effect for the next event. The nRF51 lacks forks and the last two groups.
//!
//! Nothing is left out.

use super::base_address;
use super::block::{Block, Nordic, Peripheral};
use devices_core::{At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, state};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-ppi"],
    summary: "nRF peripheral interconnect",
    rom: &[],
    ram: &[],
    build,
};

const CHANNELS: usize = 32;
const PROGRAMMABLE: usize = 20;
const GROUPS: usize = 6;

/// EEP and TEP of channels 20 to 31.
const FIXED: [(u32, u32); CHANNELS - PROGRAMMABLE] = [
    (0x4000_8140, 0x4000_1000), // TIMER0 COMPARE0 to RADIO TXEN
    (0x4000_8140, 0x4000_1004), // TIMER0 COMPARE0 to RADIO RXEN
    (0x4000_8144, 0x4000_1010), // TIMER0 COMPARE1 to RADIO DISABLE
    (0x4000_1128, 0x4000_f000), // RADIO BCMATCH to AAR START
    (0x4000_1100, 0x4000_f000), // RADIO READY to CCM KSGEN
    (0x4000_1104, 0x4000_f004), // RADIO ADDRESS to CCM CRYPT
    (0x4000_1104, 0x4000_8044), // RADIO ADDRESS to TIMER0 CAPTURE1
    (0x4000_110c, 0x4000_8048), // RADIO END to TIMER0 CAPTURE2
    (0x4000_b140, 0x4000_1000), // RTC0 COMPARE0 to RADIO TXEN
    (0x4000_b140, 0x4000_1004), // RTC0 COMPARE0 to RADIO RXEN
    (0x4000_b140, 0x4000_800c), // RTC0 COMPARE0 to TIMER0 CLEAR
    (0x4000_b140, 0x4000_8000), // RTC0 COMPARE0 to TIMER0 START
];

crate::nordic_layout! {
    tasks {
        CHG0_EN = 0x000, CHG0_DIS = 0x004, CHG1_EN = 0x008, CHG1_DIS = 0x00c, CHG2_EN = 0x010, CHG2_DIS = 0x014,
        CHG3_EN = 0x018, CHG3_DIS = 0x01c, CHG4_EN = 0x020, CHG4_DIS = 0x024, CHG5_EN = 0x028, CHG5_DIS = 0x02c,
    }
    events {}
    shorts {}
}

/// The programmable ends of a channel: addresses of registers, zero for none.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Channel {
    event: u32,
    task: u32,
    fork: u32,
}

/// The block without its common registers.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ppi {
    enabled: u32,
    channels: [Channel; CHANNELS],
    groups: [u32; GROUPS],
}

impl Ppi {
    fn ends(&self, index: usize) -> Channel {
        let own = self.channels[index];
        match index.checked_sub(PROGRAMMABLE).and_then(|fixed| FIXED.get(fixed)) {
            Some(&(event, task)) => Channel { event, task, ..own },
            None => own,
        }
    }

    /// The register of a channel or group at `offset`.
    fn slot(&mut self, offset: u32) -> Option<&mut u32> {
        match offset {
            0x510..0x5b0 => {
                let channel = &mut self.channels[(offset as usize - 0x510) / 8];
                Some(if offset & 4 == 0 { &mut channel.event } else { &mut channel.task })
            }
            0x800..0x818 => Some(&mut self.groups[(offset as usize - 0x800) / 4]),
            0x910..0x990 => Some(&mut self.channels[(offset as usize - 0x910) / 4].fork),
            _ => None,
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Ppi::default())))
}

impl Component for Ppi {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let show = |index: usize| {
            let Channel { event, task, fork } = self.ends(index);
            Field { name: format!("channel {index}"), value: format!("{event:#x} to {task:#x}, {fork:#x}") }
        };
        (0..CHANNELS).filter(|index| self.enabled >> index & 1 != 0).map(show).collect()
    }
}

impl Peripheral for Ppi {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        *self = Ppi::default();
    }

    fn task(&mut self, _block: &mut Block, _ctx: &mut Ctx, task: u32) {
        let group = self.groups[(task / 8) as usize % GROUPS];
        if task & 4 == 0 {
            self.enabled |= group;
        } else {
            self.enabled &= !group;
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        match at.offset {
            0x500 | 0x504 | 0x508 => Some(self.enabled),
            _ => self.slot(at.offset as u32).copied(),
        }
    }

    fn write(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            0x500 => self.enabled = value,
            0x504 => self.enabled |= value,
            0x508 => self.enabled &= !value,
            _ => *self.slot(at.offset as u32)? = value,
        }
        Some(())
    }

    fn listens(&self) -> bool {
        true
    }

    fn published(&mut self, _block: &mut Block, ctx: &mut Ctx, address: u32) {
        let mut left = self.enabled;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let Channel { event, task, fork } = self.ends(index);
            if event == address {
                for target in [task, fork].into_iter().filter(|target| *target != 0) {
                    ctx.bus_write(target, 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::services::Message;

    fn bench() -> Bench<Nordic<Ppi>> {
        Bench::new(Nordic::new(0x4001_f000, &LAYOUT, Ppi::default()))
    }

    fn fire(bench: &mut Bench<Nordic<Ppi>>, address: u32) -> Vec<Message> {
        bench.call(|device, ctx| device.published(ctx, address));
        bench.messages()
    }

    #[test]
    fn channels_forks_and_fixed_channels() {
        let mut bench = bench();
        bench.write32(0x518, 0x4000_b148);
        bench.write32(0x51c, 0x4000_8000);
        bench.write32(0x914, 0x4000_9000);
        assert_eq!(fire(&mut bench, 0x4000_b148), []);
        bench.write32(0x504, 1 << 1 | 1 << 22 | 1 << 24);
        let tasks = [Message::Write(0x4000_8000, 1), Message::Write(0x4000_9000, 1)];
        assert_eq!(fire(&mut bench, 0x4000_b148), tasks);
        assert_eq!(fire(&mut bench, 0x4000_8144), [Message::Write(0x4000_1010, 1)]);
        assert_eq!(fire(&mut bench, 0x4000_8148), []);
        bench.write32(0x508, 1 << 22);
        assert_eq!((fire(&mut bench, 0x4000_8144), bench.read32(0x500)), (vec![], 1 << 1 | 1 << 24));
        bench.check_save_restore();
    }

    #[test]
    fn groups_switch_channels() {
        let mut bench = bench();
        bench.write32(0x804, 0xf0);
        bench.write32(0x500, 0x18);
        bench.write32(0x008, 1);
        assert_eq!(bench.read32(0x508), 0xf8);
        bench.write32(0x00c, 1);
        assert_eq!((bench.read32(0x504), bench.read32(0x804)), (0x08, 0xf0));
    }
}
