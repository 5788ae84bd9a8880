//! The core-local interruptor: software and timer interrupts of RISC-V harts.
//!
//! Follows chapter 9 of the SiFive FE310-G002 Manual v1p5, the RISC-V ACLINT Specification 1.0-rc4 (whose MSWI and
//! MTIMER devices together are a CLINT) and the devicetree bindings `sifive,clint.yaml` and `riscv,aclint-*`.
//!
//! `mtime` is the platform counter: reading it costs the guest a bus access, writing it moves the counter for
//! everybody (`time` CSR, Sstc). Output lines stand in the order of `interrupts-extended`: software and timer
//! interrupt of each hart in turn. Reset sets `mtime` to zero and every `mtimecmp` to its greatest value; the
//! documents leave the latter open.
//!
//! Left out: the supervisor software interrupts (SSWI) of the ACLINT.

use devices_core::{
    At, BuildArgs, BuildError, Component, Counter, Ctx, Device, Field, Model, RestoreError, Time, Width,
    Widths, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry of the CLINT.
pub const MODEL: Model = Model {
    compatible: &["sifive,clint0", "riscv,clint0"],
    summary: "core-local interruptor",
    rom: &[],
    ram: &[],
    build: build_clint,
};

/// Registry entry of the machine-level software interrupt device.
pub const ACLINT_MSWI: Model = Model {
    compatible: &["riscv,aclint-mswi"],
    summary: "machine software interrupts",
    rom: &[],
    ram: &[],
    build: build_mswi,
};

/// Registry entry of the machine-level timer device. Its first region is `mtime`, its second `mtimecmp`.
pub const ACLINT_MTIMER: Model = Model {
    compatible: &["riscv,aclint-mtimer"],
    summary: "machine timer",
    rom: &[],
    ram: &[],
    build: build_mtimer,
};

/// Harts that the register map has room for.
const MAX_HARTS: usize = 4095;

/// A 32-bit half of what stands at an offset.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Register {
    Msip(usize),
    Mtimecmp(usize, Half),
    Mtime(Half),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Half {
    Low,
    High,
}

impl Half {
    fn of(offset: u64) -> Half {
        if offset & 4 == 0 { Half::Low } else { Half::High }
    }

    fn get(self, value: u64) -> u32 {
        match self {
            Half::Low => value as u32,
            Half::High => (value >> 32) as u32,
        }
    }

    fn put(self, value: u64, half: u32) -> u64 {
        match self {
            Half::Low => value & !0xffff_ffff | u64::from(half),
            Half::High => value & 0xffff_ffff | u64::from(half) << 32,
        }
    }
}

/// Which parts of a CLINT this is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Kind {
    Clint,
    Mswi,
    Mtimer,
}

impl Kind {
    fn decode(self, at: At) -> Option<Register> {
        let half = Half::of(at.offset);
        let index = |base: u64, size: u64| ((at.offset - base) / size) as usize;
        Some(match (self, at.region, at.offset) {
            (Kind::Clint | Kind::Mswi, 0, 0..0x3ffc) => Register::Msip(index(0, 4)),
            (Kind::Clint, 0, 0x4000..0xbff8) => Register::Mtimecmp(index(0x4000, 8), half),
            (Kind::Clint, 0, 0xbff8..0xc000) => Register::Mtime(half),
            (Kind::Mtimer, 0, 0..8) => Register::Mtime(half),
            (Kind::Mtimer, 1, 0..0x7ff8) => Register::Mtimecmp(index(0, 8), half),
            _ => return None,
        })
    }

    /// Output lines a hart has.
    fn lines(self) -> u32 {
        if self == Kind::Clint { 2 } else { 1 }
    }
}

/// What software sets for a hart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Hart {
    msip: bool,
    mtimecmp: u64,
}

impl Hart {
    const RESET: Hart = Hart { msip: false, mtimecmp: u64::MAX };
}

/// A CLINT or a part of one on the bus.
pub struct Clint {
    harts: Vec<Hart>,
    kind: Kind,
}

impl Clint {
    /// A whole CLINT.
    pub fn new(harts: usize) -> Clint {
        Clint::of_kind(Kind::Clint, harts)
    }

    fn of_kind(kind: Kind, harts: usize) -> Clint {
        Clint { harts: vec![Hart::RESET; harts.min(MAX_HARTS)], kind }
    }

    fn update_timer(&self, ctx: &mut Ctx, index: usize) {
        let Some(hart) = self.harts.get(index) else { return };
        let (counter, now) = (ctx.counter(), ctx.now());
        let due = due(counter, hart.mtimecmp, now);
        ctx.schedule(index as u32, due.unwrap_or(Time::NEVER));
        let line = if self.kind == Kind::Clint { 2 * index as u32 + 1 } else { index as u32 };
        ctx.set_line(line, due.is_none());
    }

    fn update(&self, ctx: &mut Ctx) {
        for (index, hart) in self.harts.iter().enumerate() {
            if self.kind != Kind::Mtimer {
                ctx.set_line(self.kind.lines() * index as u32, hart.msip);
            }
            if self.kind != Kind::Mswi {
                self.update_timer(ctx, index);
            }
        }
    }

    fn read_word(&self, ctx: &mut Ctx, at: At) -> u32 {
        let hart = |index: usize| self.harts.get(index);
        match self.kind.decode(at) {
            Some(Register::Mtime(half)) => half.get(ctx.counter().at(ctx.now())),
            Some(Register::Msip(index)) => hart(index).map_or(0, |hart| hart.msip.into()),
            Some(Register::Mtimecmp(index, half)) => hart(index).map_or(0, |hart| half.get(hart.mtimecmp)),
            None => {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            }
        }
    }

    fn write_word(&mut self, ctx: &mut Ctx, at: At, value: u32) {
        match self.kind.decode(at) {
            Some(Register::Mtime(half)) => {
                ctx.set_counter(half.put(ctx.counter().at(ctx.now()), value));
                self.update(ctx);
            }
            Some(Register::Msip(index)) => {
                if let Some(hart) = self.harts.get_mut(index) {
                    hart.msip = value & 1 != 0;
                    ctx.set_line(self.kind.lines() * index as u32, hart.msip);
                }
            }
            Some(Register::Mtimecmp(index, half)) => {
                if let Some(hart) = self.harts.get_mut(index) {
                    hart.mtimecmp = half.put(hart.mtimecmp, value);
                    self.update_timer(ctx, index);
                }
            }
            None => ctx.unimplemented(at.offset, true, "no such register"),
        }
    }
}

/// When the counter gets to `compare`; `None` if it is there.
fn due(counter: Counter, compare: u64, now: Time) -> Option<Time> {
    (counter.at(now) < compare).then(|| counter.reaches(compare, now))
}

fn build(args: &mut BuildArgs, kind: Kind) -> Result<Box<dyn Device>, BuildError> {
    let lines = args.node.interrupts();
    let per_hart = kind.lines() as usize;
    if lines == 0 || !lines.is_multiple_of(per_hart) || lines / per_hart > MAX_HARTS {
        let message =
            format!("{lines} interrupts; {per_hart} for each of 1 to {MAX_HARTS} harts are expected");
        return Err(BuildError::property("interrupts-extended", message));
    }
    if kind == Kind::Mtimer && args.node.regs().len() != 2 {
        return Err(BuildError::property("reg", "two regions are expected: mtime and mtimecmp"));
    }
    Ok(Box::new(Clint::of_kind(kind, lines / per_hart)))
}

fn build_clint(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    build(args, Kind::Clint)
}

fn build_mswi(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    build(args, Kind::Mswi)
}

fn build_mtimer(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    build(args, Kind::Mtimer)
}

impl Component for Clint {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.harts)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let harts: Vec<Hart> = state::decode(bytes)?;
        if harts.len() != self.harts.len() {
            return Err(RestoreError(format!("a CLINT of {} harts, not {}", harts.len(), self.harts.len())));
        }
        self.harts = harts;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        for (index, hart) in self.harts.iter().enumerate() {
            if self.kind != Kind::Mtimer {
                fields.push(Field { name: format!("msip{index}"), value: u8::from(hart.msip).to_string() });
            }
            if self.kind != Kind::Mswi {
                fields.push(Field {
                    name: format!("mtimecmp{index}"),
                    value: format!("{:#018x}", hart.mtimecmp),
                });
            }
        }
        fields
    }
}

impl Device for Clint {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.harts.fill(Hart::RESET);
        if self.kind != Kind::Mswi {
            ctx.set_counter(0);
        }
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4_B8
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64 {
        let mut value = self.read_word(ctx, at).into();
        if width == Width::B8 {
            let high = self.read_word(ctx, At { offset: at.offset.wrapping_add(4), ..at });
            value |= u64::from(high) << 32;
        }
        value
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, width: Width, value: u64) {
        match self.kind.decode(at) {
            // At once, so that no half-written time is ever compared.
            Some(Register::Mtime(_)) if width == Width::B8 => {
                ctx.set_counter(value);
                self.update(ctx);
            }
            Some(Register::Mtimecmp(index, _)) if width == Width::B8 => {
                if let Some(hart) = self.harts.get_mut(index) {
                    hart.mtimecmp = value;
                    self.update_timer(ctx, index);
                }
            }
            _ => {
                self.write_word(ctx, at, value as u32);
                if width == Width::B8 {
                    let high = At { offset: at.offset.wrapping_add(4), ..at };
                    self.write_word(ctx, high, (value >> 32) as u32);
                }
            }
        }
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        self.update_timer(ctx, token as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    const MTIMECMP: u64 = 0x4000;
    const MTIME: u64 = 0xbff8;

    /// The bench's counter ticks every 100 ns.
    fn bench() -> Bench<Clint> {
        Bench::new(Clint::new(4))
    }

    #[test]
    fn software_interrupts() {
        let mut bench = bench();
        bench.write32(4 * 2, 0xffff_ffff);
        assert_eq!(bench.read32(4 * 2), 1);
        assert_eq!(
            (0..8).map(|line| bench.line(line)).collect::<Vec<_>>(),
            [false, false, false, false, true, false, false, false]
        );
        bench.write32(4 * 2, 0xffff_fffe);
        assert!(!bench.line(4));
        bench.write(8, Width::B8, 0x0000_0001_0000_0000);
        assert!(!bench.line(4) && bench.line(6));
        bench.write32(4 * 4, 1);
        assert_eq!(bench.read32(4 * 4), 0, "no fifth hart");
    }

    #[test]
    fn the_timer_interrupt_comes_at_its_tick_and_goes_with_a_later_compare() {
        let mut bench = bench();
        bench.write(MTIMECMP + 8, Width::B8, 1000);
        bench.advance(Time(Time::from_us(100).0 - 1));
        assert_eq!((bench.read(MTIME, Width::B8), bench.line(3)), (999, false));
        bench.advance(Time(1));
        assert_eq!((bench.read(MTIME, Width::B8), bench.line(3)), (1000, true));
        bench.advance(Time::from_ms(1));
        assert!(bench.line(3));
        bench.write(MTIMECMP + 8, Width::B8, 1_000_000);
        assert!(!bench.line(3));
        bench.write(MTIMECMP + 8, Width::B8, 3);
        assert!(bench.line(3) && !bench.line(1));
    }

    #[test]
    fn halves() {
        let mut bench = bench();
        // As an RV32 core sets it: no low value may be reached in between.
        bench.write32(MTIMECMP, 0xffff_ffff);
        bench.write32(MTIMECMP + 4, 0x12);
        bench.write32(MTIMECMP, 0x3456_789a);
        assert_eq!(bench.read(MTIMECMP, Width::B8), 0x12_3456_789a);
        assert_eq!((bench.read32(MTIMECMP), bench.read32(MTIMECMP + 4)), (0x3456_789a, 0x12));
        bench.write32(MTIME + 4, 0x12);
        assert_eq!((bench.read32(MTIME), bench.read32(MTIME + 4), bench.line(1)), (0, 0x12, false));
        bench.write32(MTIME, 0x3456_7899);
        assert!(!bench.line(1));
        bench.advance(Time::from_ns(100));
        assert!(bench.line(1));
    }

    #[test]
    fn moving_the_counter_moves_every_timer() {
        let mut bench = bench();
        bench.write(MTIMECMP, Width::B8, 5000);
        bench.write(MTIMECMP + 8, Width::B8, 50);
        bench.advance(Time::from_us(10));
        assert!(bench.line(3));
        bench.write(MTIME, Width::B8, 0);
        assert!(!bench.line(3));
        bench.write(MTIME, Width::B8, 4990);
        assert!(bench.line(3) && !bench.line(1));
        bench.advance(Time::from_us(1));
        assert!(bench.line(1));
        assert_eq!(bench.services.counter.at(bench.now), 5000);
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench();
        bench.write(MTIMECMP, Width::B8, 7);
        bench.write32(4, 1);
        bench.advance(Time::from_us(1));
        bench.check_save_restore();
        assert!(Clint::new(3).restore(&bench.device.save()).is_err());
        bench.call(|device, ctx| device.reset(ctx));
        assert!((0..8).all(|line| !bench.line(line)));
        assert_eq!((bench.read(MTIMECMP, Width::B8), bench.read(MTIME, Width::B8)), (u64::MAX, 0));
    }

    #[test]
    fn the_parts_of_an_aclint() {
        let mut bench = Bench::new(Clint::of_kind(Kind::Mtimer, 2));
        let compare = At { region: 1, offset: 8 };
        bench.call(|device, ctx| device.write(ctx, compare, Width::B8, 10));
        bench.advance(Time::from_us(1));
        assert_eq!((bench.read(0, Width::B8), bench.line(0), bench.line(1)), (10, false, true));
        let mut bench = Bench::new(Clint::of_kind(Kind::Mswi, 2));
        bench.write32(4, 1);
        assert!(!bench.line(0) && bench.line(1));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = Bench::new(Clint::new(2));
            for chunk in bytes.chunks(34) {
                bench.torture(&chunk[1..], [0x10, 0xc100][usize::from(chunk[0] & 1)]);
                let value = bench.now.0.wrapping_mul(chunk[0].into());
                bench.write([MTIME, MTIMECMP, MTIMECMP + 8][usize::from(chunk[0] % 3)], Width::B8, value);
                let mtime = bench.read(MTIME, Width::B8);
                for (hart, line) in [(0, 1), (1, 3)] {
                    let mtimecmp = bench.device.harts[hart].mtimecmp;
                    assert_eq!(bench.line(line), mtime >= mtimecmp, "hart {hart}");
                }
            }
            bench.check_save_restore();
            Ok(())
        });
    }
}
