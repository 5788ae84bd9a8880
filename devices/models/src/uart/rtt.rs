//! SEGGER RTT: a debug probe that reads what a program leaves in memory for it, and answers there.
//!
//! Follows the layout of SEGGER's RTT (UM08001 J-Link User Guide, chapter 16, and `SEGGER_RTT.h` of its target sources). The
//! control block is found as probes do it: by a search of RAM for its identifier, 256 KiB each time, at multiples of 10 ms of
//! virtual time at first and of up to 1.28 s later, so that a program without one runs undisturbed. Then up-buffer 0 is emptied and down-buffer 0 filled at multiples of 1 ms.
//!
//! Left out: the other channels, and the virtual terminals inside channel 0, whose switches pass as they are.

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, GuestMemory, HostInput, HostOutput, MemoryKind,
    Model, Port, RestoreError, Time, Width, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["segger,rtt"],
    summary: "SEGGER RTT channel 0 in the program's memory",
    rom: &[],
    ram: &[],
    build,
};

const ID: &[u8; 16] = b"SEGGER RTT\0\0\0\0\0\0";
const HEADER: u64 = 24;
const DESCRIPTOR: u64 = 24;
const MAX_BUFFERS: u32 = 64;
/// Buffers are small; more would be no control block.
const MAX_SIZE: u32 = 1 << 20;
const SEARCH: Time = Time::from_ms(10);
/// After so many searches in vain, the time between two doubles; so often at most.
const PATIENCE: u32 = 8;
const DOUBLINGS: u32 = 7;
const POLL: Time = Time::from_ms(1);
const SEARCHED: u64 = 256 << 10;
const TOKEN: u32 = 0;

#[derive(Default, Serialize, Deserialize)]
struct State {
    /// Where the control block is, once found.
    block: Option<u64>,
    /// Where the search goes on: a RAM region and an offset.
    region: usize,
    offset: u64,
    /// How often it has found nothing.
    searches: u32,
    /// From the host, not yet in the program's buffer.
    backlog: VecDeque<u8>,
}

/// The probe.
#[derive(Default)]
struct Rtt {
    state: State,
}

/// A ring buffer in memory.
struct Ring {
    descriptor: u64,
    buffer: u64,
    size: u32,
    write: u32,
    read: u32,
}

impl Ring {
    const WRITE: u64 = 12;
    const READ: u64 = 16;

    /// The buffer that a descriptor tells, unless it is not set up.
    fn at(memory: &GuestMemory, descriptor: u64) -> Option<Ring> {
        let word = |offset: u64| memory.read_le(descriptor + offset, 4).ok().map(|word| word as u32);
        let (buffer, size) = (word(4)?, word(8)?);
        let (write, read) = (word(Ring::WRITE)?, word(Ring::READ)?);
        let ring = Ring { descriptor, buffer: buffer.into(), size, write, read };
        let valid = (2..=MAX_SIZE).contains(&size) && write < size && read < size;
        (valid && memory.region(ring.buffer, size.into()).is_some()).then_some(ring)
    }

    /// Takes everything out.
    fn drain(&self, memory: &GuestMemory) -> Vec<u8> {
        let mut bytes = Vec::new();
        let spans = match self.read <= self.write {
            true => [(self.read, self.write), (0, 0)],
            false => [(self.read, self.size), (0, self.write)],
        };
        for (from, to) in spans {
            let mut part = vec![0; (to - from) as usize];
            if memory.read(self.buffer + u64::from(from), &mut part).is_ok() {
                bytes.extend(part);
            }
        }
        if !bytes.is_empty() {
            let _ = memory.write(self.descriptor + Ring::READ, &self.write.to_le_bytes());
        }
        bytes
    }

    /// Puts in as much as fits.
    fn fill(&self, memory: &GuestMemory, bytes: &mut VecDeque<u8>) {
        let mut write = self.write;
        loop {
            let next = if write + 1 == self.size { 0 } else { write + 1 };
            if next == self.read {
                break;
            }
            let Some(byte) = bytes.pop_front() else { break };
            let _ = memory.write(self.buffer + u64::from(write), &[byte]);
            write = next;
        }
        if write != self.write {
            let _ = memory.write(self.descriptor + Ring::WRITE, &write.to_le_bytes());
        }
    }
}

/// How many up- and down-buffers the control block at `addr` has, if there is one.
fn counts(memory: &GuestMemory, addr: u64) -> Option<(u32, u32)> {
    let mut id = [0; ID.len()];
    memory.read(addr, &mut id).ok().filter(|()| id == *ID)?;
    let word = |offset: u64| memory.read_le(addr + offset, 4).ok().map(|word| word as u32);
    let (up, down) = (word(16)?, word(20)?);
    let all = u64::from(up.checked_add(down)?) * DESCRIPTOR;
    let valid = (1..=MAX_BUFFERS).contains(&up) && down <= MAX_BUFFERS;
    (valid && memory.region(addr, HEADER + all).is_some()).then_some((up, down))
}

impl State {
    /// Looks through the next part of RAM.
    fn search(&mut self, memory: &GuestMemory) -> Option<u64> {
        let ram: Vec<(u64, u64)> = memory
            .regions()
            .iter()
            .map(|region| region.spec())
            .filter(|spec| spec.kind == MemoryKind::Ram)
            .map(|spec| (spec.base, spec.size))
            .collect();
        let mut left = SEARCHED;
        let mut buffer = vec![0; 4096];
        let total: u64 = ram.iter().map(|(_, size)| size).sum();
        left = left.min(total);
        while left > 0 {
            let Some(&(base, size)) = ram.get(self.region) else {
                (self.region, self.offset) = (0, 0);
                continue;
            };
            if self.offset >= size {
                self.region += 1;
                self.offset = 0;
                continue;
            }
            let addr = base + self.offset;
            let zeros = (memory.next_data(addr) - addr).min(left);
            if zeros > 0 {
                self.offset += zeros;
                left -= zeros;
                continue;
            }
            let part = (buffer.len() as u64).min(size - self.offset);
            self.offset += part;
            left = left.saturating_sub(part);
            let part = buffer.get_mut(..part as usize)?;
            memory.read(addr, part).ok()?;
            // Without an end before the last word, this is done many words at a time.
            if !part.chunks_exact(4).fold(false, |any, word| any | (word == &ID[..4])) {
                continue;
            }
            // The block is aligned as the pointers in it are.
            let starts = part.chunks_exact(4).enumerate().filter(|(_, word)| *word == &ID[..4]);
            let found =
                starts.map(|(index, _)| addr + 4 * index as u64).find(|addr| counts(memory, *addr).is_some());
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Exchanges what there is; returns what the program said.
    fn exchange(&mut self, memory: &GuestMemory) -> Vec<u8> {
        let Some((block, (up, down))) = self.block.and_then(|block| Some((block, counts(memory, block)?)))
        else {
            self.block = None;
            return Vec::new();
        };
        let first_down = block + HEADER + u64::from(up) * DESCRIPTOR;
        if down > 0
            && !self.backlog.is_empty()
            && let Some(ring) = Ring::at(memory, first_down)
        {
            ring.fill(memory, &mut self.backlog);
        }
        Ring::at(memory, block + HEADER).map_or(Vec::new(), |ring| ring.drain(memory))
    }
}

fn build(_args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Rtt::default()))
}

impl Rtt {
    /// Asks to be called at the next multiple of its period.
    fn schedule(&self, ctx: &mut Ctx) {
        let doublings = (self.state.searches / PATIENCE).min(DOUBLINGS);
        let period = if self.state.block.is_some() { POLL } else { Time(SEARCH.0 << doublings) };
        ctx.schedule(TOKEN, Time((ctx.now().0 / period.0 + 1).saturating_mul(period.0)));
    }
}

impl Component for Rtt {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let block = self.state.block.map_or("not found".to_string(), |addr| format!("{addr:#010x}"));
        vec![
            Field { name: "control block".into(), value: block },
            Field { name: "waiting".into(), value: self.state.backlog.len().to_string() },
        ]
    }
}

impl Device for Rtt {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.state = State::default();
        self.schedule(ctx);
    }

    fn read(&mut self, _ctx: &mut Ctx, _at: At, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, _ctx: &mut Ctx, _at: At, _width: Width, _value: u64) {}

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        let memory = ctx.memory().clone();
        if self.state.block.is_none() {
            self.state.block = self.state.search(&memory);
            self.state.searches =
                if self.state.block.is_some() { 0 } else { self.state.searches.saturating_add(1) };
        }
        let said = self.state.exchange(&memory);
        if !said.is_empty() {
            ctx.output(HostOutput::Serial(said));
        }
        self.schedule(ctx);
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, _ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            self.state.backlog.extend(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    const BLOCK: u64 = RAM + 0x4_1234;
    const UP: u64 = RAM + 0x100;
    const DOWN: u64 = RAM + 0x200;

    fn set(bench: &Bench<Rtt>, addr: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bench.services.memory.write(addr, &bytes).unwrap();
    }

    /// With a control block as a program makes it.
    fn bench() -> Bench<Rtt> {
        let bench = Bench::new(Rtt::default());
        set(&bench, BLOCK + 16, &[1, 1, 0, UP as u32, 8, 6, 6, 0, 0, DOWN as u32, 4, 0, 0, 0]);
        bench.services.memory.write(BLOCK, ID).unwrap();
        bench
    }

    #[test]
    fn carries_both_ways_around_the_end_of_the_buffers() {
        let mut bench = bench();
        bench.services.memory.write(UP, b"cd....ab").unwrap();
        set(&bench, BLOCK + 24 + 12, &[2]);
        bench.input(HostInput::Serial(b"1234".to_vec()));
        bench.advance(Time::from_ms(10));
        assert_eq!(bench.serial(), b"", "the search takes its parts in turn");
        bench.advance(Time::from_ms(10));
        assert_eq!(bench.serial(), b"abcd");
        let word = |bench: &Bench<Rtt>, addr| bench.services.memory.read_le(addr, 4).unwrap();
        assert_eq!(word(&bench, BLOCK + 24 + 16), 2, "all is read");
        let mut down = [0; 3];
        bench.services.memory.read(DOWN, &mut down).unwrap();
        assert_eq!((&down, word(&bench, BLOCK + 48 + 12)), (b"123", 3));
        set(&bench, BLOCK + 48 + 16, &[3]);
        bench.advance(Time::from_ms(1));
        assert_eq!(word(&bench, BLOCK + 48 + 12), 0);
        bench.check_save_restore();
    }

    #[test]
    fn a_damaged_block_is_let_go() {
        let mut bench = bench();
        bench.advance(Time::from_ms(20));
        assert_eq!(bench.device.state.block, Some(BLOCK));
        set(&bench, BLOCK + 24 + 4, &[0xffff_fff0, 0xffff_ffff, 9, 9]);
        bench.advance(Time::from_ms(5));
        assert_eq!((bench.serial(), bench.device.state.block), (vec![], Some(BLOCK)));
        set(&bench, BLOCK, &[0]);
        bench.advance(Time::from_ms(5));
        assert_eq!(bench.device.state.block, None);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let mut bench = bench();
            bench.advance(Time::from_ms(20));
            for (at, word) in u.arbitrary::<Vec<(u8, u32)>>()? {
                set(&bench, BLOCK + 16 + u64::from(at % 14) * 4, &[word]);
                bench.input(HostInput::Serial(b"x".to_vec()));
                bench.advance(Time::from_ms(1));
            }
            bench.check_save_restore();
            Ok(())
        });
    }
}
