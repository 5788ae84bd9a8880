//! The RISC-V platform-level interrupt controller.
//!
//! Follows the RISC-V Platform-Level Interrupt Controller Specification 1.0.0 and the devicetree binding
//! `sifive,plic-1.0.0.yaml`. Priorities are 0 to 7, as on SiFive's chips.
//!
//! A context is an entry of the node's `interrupts-extended`, and drives the output line of the same number. Every
//! source has a gateway for level-triggered interrupts: a high level makes one request, which stays pending even if
//! the level falls, and the next request is made only after the last one was completed.
//!
//! Left out: edge-triggered gateways (`thead,c900-plic` and `andestech,nceplic100` have them; no board here does).

use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Width, Widths, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["sifive,plic-1.0.0", "riscv,plic0"],
    summary: "platform-level interrupt controller",
    rom: &[],
    ram: &[],
    build,
};

/// Sources that the register map has room for; source 0 does not exist.
const MAX_SOURCES: u32 = 1023;
/// Contexts that the register map has room for.
const MAX_CONTEXTS: usize = 15872;
const PRIORITY_MASK: u32 = 7;

/// What an offset means.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Register {
    Priority(usize),
    Pending(usize),
    Enable(usize, usize),
    Threshold(usize),
    Claim(usize),
}

impl Register {
    /// The map of chapter 3 of the specification, whether or not the source or context exists.
    fn at(offset: u64) -> Option<Register> {
        let word = (offset / 4) as usize;
        Some(match offset {
            0..0x1000 => Register::Priority(word),
            0x1000..0x1080 => Register::Pending(word - 0x1000 / 4),
            0x2000..0x1f_2000 => {
                let word = word - 0x2000 / 4;
                Register::Enable(word / 32, word % 32)
            }
            0x20_0000..0x400_0000 => {
                let context = ((offset - 0x20_0000) / 0x1000) as usize;
                match offset % 0x1000 {
                    0 => Register::Threshold(context),
                    4 => Register::Claim(context),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

/// One bit per source, 32 a word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Bits(Vec<u32>);

impl Bits {
    fn get(&self, source: usize) -> bool {
        self.word(source / 32) >> (source % 32) & 1 != 0
    }

    fn set(&mut self, source: usize, value: bool) {
        if let Some(word) = self.0.get_mut(source / 32) {
            let bit = 1 << (source % 32);
            *word = if value { *word | bit } else { *word & !bit };
        }
    }

    fn word(&self, index: usize) -> u32 {
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// Who wants which interrupts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Context {
    enable: Bits,
    threshold: u32,
}

/// The controller without its lines.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plic {
    /// By source; the first one does not exist and stays zero.
    priority: Vec<u32>,
    level: Bits,
    pending: Bits,
    /// Claimed and not yet completed: the gateway is shut.
    claimed: Bits,
    contexts: Vec<Context>,
}

impl Plic {
    /// With sources 1 to `sources` and this many contexts.
    pub fn new(sources: u32, contexts: usize) -> Plic {
        let sources = sources.min(MAX_SOURCES) as usize;
        let bits = Bits(vec![0; sources / 32 + 1]);
        Plic {
            priority: vec![0; sources + 1],
            level: bits.clone(),
            pending: bits.clone(),
            claimed: bits.clone(),
            contexts: vec![Context { enable: bits, threshold: 0 }; contexts.min(MAX_CONTEXTS)],
        }
    }

    fn exists(&self, source: usize) -> bool {
        source != 0 && source < self.priority.len()
    }

    /// The gateway: a high level is a request unless the last one is still being served.
    fn request(&mut self, source: usize) {
        if self.level.get(source) && !self.claimed.get(source) {
            self.pending.set(source, true);
        }
    }

    /// The level of a source changes.
    pub fn set_level(&mut self, source: usize, level: bool) {
        if self.exists(source) {
            self.level.set(source, level);
            self.request(source);
        }
    }

    /// Source and priority of what is served first in a context: the highest priority, then the lowest number.
    fn best(&self, context: &Context) -> Option<(usize, u32)> {
        let mut best = None;
        for (index, (pending, enable)) in self.pending.0.iter().zip(&context.enable.0).enumerate() {
            let mut word = pending & enable;
            while word != 0 {
                let source = index * 32 + word.trailing_zeros() as usize;
                word &= word - 1;
                let priority = self.priority.get(source).copied().unwrap_or(0);
                if priority > best.map_or(0, |(_, highest)| highest) {
                    best = Some((source, priority));
                }
            }
        }
        best
    }

    /// Whether a context is told of an interrupt.
    pub fn notifies(&self, context: usize) -> bool {
        let Some(context) = self.contexts.get(context) else { return false };
        self.best(context).is_some_and(|(_, priority)| priority > context.threshold)
    }

    /// Takes the best interrupt; the threshold does not matter. Zero if there is none.
    pub fn claim(&mut self, context: usize) -> usize {
        let Some((source, _)) = self.contexts.get(context).and_then(|context| self.best(context)) else {
            return 0;
        };
        self.pending.set(source, false);
        self.claimed.set(source, true);
        source
    }

    /// Ends the service of an interrupt. Ignored if the context does not enable it.
    pub fn complete(&mut self, context: usize, source: usize) {
        let enabled = self.contexts.get(context).is_some_and(|context| context.enable.get(source));
        if enabled && self.exists(source) {
            self.claimed.set(source, false);
            self.request(source);
        }
    }

    fn read(&mut self, register: Register) -> u32 {
        match register {
            Register::Priority(source) => self.priority.get(source).copied().unwrap_or(0),
            Register::Pending(index) => self.pending.word(index),
            Register::Enable(context, index) => {
                self.contexts.get(context).map_or(0, |context| context.enable.word(index))
            }
            Register::Threshold(context) => self.contexts.get(context).map_or(0, |context| context.threshold),
            Register::Claim(context) => self.claim(context) as u32,
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        let sources = self.priority.len();
        match register {
            Register::Priority(source) if self.exists(source) => {
                self.priority[source] = value & PRIORITY_MASK
            }
            Register::Priority(_) | Register::Pending(_) => {}
            Register::Enable(context, index) => {
                let context = self.contexts.get_mut(context);
                if let Some(word) = context.and_then(|context| context.enable.0.get_mut(index)) {
                    // Sources that do not exist stay off: number 0, and what is past the last one.
                    let last = sources - 1 - index * 32;
                    let there = if last >= 31 { u32::MAX } else { (1 << (last + 1)) - 1 };
                    *word = value & there & if index == 0 { !1 } else { u32::MAX };
                }
            }
            Register::Threshold(context) => {
                if let Some(context) = self.contexts.get_mut(context) {
                    context.threshold = value & PRIORITY_MASK;
                }
            }
            Register::Claim(context) => self.complete(context, value as usize),
        }
    }

    /// Whether a state of this shape can replace this one.
    fn same_shape(&self, other: &Plic) -> bool {
        let bits = |bits: &Bits| bits.0.len() == self.level.0.len();
        other.priority.len() == self.priority.len()
            && other.contexts.len() == self.contexts.len()
            && [&other.level, &other.pending, &other.claimed].into_iter().all(bits)
            && other.contexts.iter().all(|context| bits(&context.enable))
    }
}

/// A PLIC on the bus.
pub struct PlicDevice {
    plic: Plic,
}

const TOKEN_RESET_DONE: u32 = 0;

impl PlicDevice {
    /// See [`Plic::new`].
    pub fn new(sources: u32, contexts: usize) -> PlicDevice {
        PlicDevice { plic: Plic::new(sources, contexts) }
    }

    fn update(&self, ctx: &mut Ctx) {
        for context in 0..self.plic.contexts.len() {
            ctx.set_line(context as u32, self.plic.notifies(context));
        }
    }

    fn decode(&self, ctx: &mut Ctx, at: At, write: bool) -> Option<Register> {
        let register = Register::at(at.offset);
        let missing = match register {
            None => true,
            Some(Register::Enable(context, _) | Register::Threshold(context) | Register::Claim(context)) => {
                context >= self.plic.contexts.len()
            }
            Some(_) => false,
        };
        if missing {
            ctx.unimplemented(at.offset, write, "no such context or register");
        }
        register
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let Some(sources) = args.node.u32("riscv,ndev") else {
        return Err(BuildError::node(
            "the interrupt controller needs `riscv,ndev`, the number of its sources",
        ));
    };
    if !(1..=MAX_SOURCES).contains(&sources) {
        let message = format!("riscv,ndev is {sources}; 1 to {MAX_SOURCES} are possible");
        return Err(BuildError::property("riscv,ndev", message));
    }
    let contexts = args.node.interrupts();
    if contexts > MAX_CONTEXTS {
        let message = format!("{contexts} contexts; at most {MAX_CONTEXTS} are possible");
        return Err(BuildError::property("interrupts-extended", message));
    }
    Ok(Box::new(PlicDevice::new(sources, contexts)))
}

impl Component for PlicDevice {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.plic)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let plic: Plic = state::decode(bytes)?;
        if !self.plic.same_shape(&plic) {
            return Err(RestoreError("an interrupt controller with other sources or contexts".to_string()));
        }
        self.plic = plic;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        let plic = &self.plic;
        for source in 1..plic.priority.len() {
            let flags = [(&plic.level, "high"), (&plic.pending, "pending"), (&plic.claimed, "claimed")];
            let priority = plic.priority[source];
            let mut value = format!("priority {priority}");
            for (bits, name) in flags {
                if bits.get(source) {
                    value += ", ";
                    value += name;
                }
            }
            if value != "priority 0" {
                fields.push(Field { name: format!("source {source}"), value });
            }
        }
        for (index, context) in plic.contexts.iter().enumerate() {
            let enabled: Vec<String> = (1..plic.priority.len())
                .filter(|&source| context.enable.get(source))
                .map(|s| s.to_string())
                .collect();
            let value = format!("threshold {}, enabled {}", context.threshold, enabled.join(" "));
            fields.push(Field { name: format!("context {index}"), value });
        }
        fields
    }
}

impl Device for PlicDevice {
    fn reset(&mut self, ctx: &mut Ctx) {
        // The levels are the other devices'; they are told anew only when they change. What is still high once all of
        // them are reset, too, is a request.
        let level = self.plic.level.clone();
        self.plic = Plic::new(self.plic.priority.len() as u32 - 1, self.plic.contexts.len());
        self.plic.level = level;
        ctx.schedule(TOKEN_RESET_DONE, ctx.now());
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        Widths::B4
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        let Some(register) = self.decode(ctx, at, false) else { return 0 };
        let value = self.plic.read(register);
        if matches!(register, Register::Claim(_)) {
            self.update(ctx);
        }
        value.into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        if let Some(register) = self.decode(ctx, at, true) {
            self.plic.write(register, value as u32);
            self.update(ctx);
        }
    }

    fn event(&mut self, ctx: &mut Ctx, _token: u32) {
        for source in 1..self.plic.priority.len() {
            self.plic.request(source);
        }
        self.update(ctx);
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        self.plic.set_level(input as usize, level);
        self.update(ctx);
    }

    fn interrupt_input(&self, cells: &[u32]) -> Option<u32> {
        let source = cells.first().copied()?;
        self.plic.exists(source as usize).then_some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::Bench;

    const ENABLE: u64 = 0x2000;
    const THRESHOLD: u64 = 0x20_0000;
    const CLAIM: u64 = 0x20_0004;

    /// 95 sources, two contexts; sources 1, 2, 10 and 64 enabled in context 0 with priorities 1, 3, 3 and 7.
    fn bench() -> Bench<PlicDevice> {
        let mut bench = Bench::new(PlicDevice::new(95, 2));
        for (source, priority) in [(1, 1), (2, 3), (10, 3), (64, 7)] {
            bench.write32(4 * source, priority);
        }
        bench.write32(ENABLE, 1 << 1 | 1 << 2 | 1 << 10);
        bench.write32(ENABLE + 8, 1);
        bench
    }

    fn raise(bench: &mut Bench<PlicDevice>, source: u32, level: bool) {
        bench.call(|device, ctx| device.line(ctx, source, level));
    }

    #[test]
    fn the_map() {
        assert_eq!(Register::at(0xffc), Some(Register::Priority(1023)));
        assert_eq!(Register::at(0x107c), Some(Register::Pending(31)));
        assert_eq!(Register::at(0x1080), None);
        assert_eq!(Register::at(0x2084), Some(Register::Enable(1, 1)));
        assert_eq!(Register::at(0x1f_1ffc), Some(Register::Enable(15871, 31)));
        assert_eq!(Register::at(0x20_1000), Some(Register::Threshold(1)));
        assert_eq!(Register::at(0x3ff_f004), Some(Register::Claim(15871)));
        assert_eq!(Register::at(0x20_0008), None);
    }

    #[test]
    fn registers_hold_only_what_exists() {
        let mut bench = Bench::new(PlicDevice::new(37, 1));
        for offset in [0, 4, 4 * 37, 4 * 38, ENABLE, ENABLE + 4, ENABLE + 8, THRESHOLD, 0x1000] {
            bench.write32(offset, u32::MAX);
        }
        let read = |bench: &mut Bench<PlicDevice>, offset| bench.read32(offset);
        assert_eq!([0, 4, 4 * 37, 4 * 38].map(|offset| read(&mut bench, offset)), [0, 7, 7, 0]);
        assert_eq!([0, 4, 8].map(|offset| read(&mut bench, ENABLE + offset)), [!1, 0x3f, 0]);
        assert_eq!([THRESHOLD, 0x1000].map(|offset| read(&mut bench, offset)), [7, 0]);
        assert!(bench.services.unimplemented.is_empty());
        bench.read32(CLAIM + 0x1000);
        assert_eq!(bench.services.unimplemented.len(), 1);
    }

    #[test]
    fn highest_priority_then_lowest_number() {
        let mut bench = bench();
        for source in [10, 1, 64, 2] {
            raise(&mut bench, source, true);
        }
        assert!(bench.line(0) && !bench.line(1));
        let claims: Vec<u32> = (0..5).map(|_| bench.read32(CLAIM)).collect();
        assert_eq!(claims, [64, 2, 10, 1, 0]);
        assert!(!bench.line(0));
    }

    #[test]
    fn threshold_masks_the_line_but_not_the_claim() {
        let mut bench = bench();
        raise(&mut bench, 2, true);
        bench.write32(THRESHOLD, 3);
        assert!(!bench.line(0));
        bench.write32(THRESHOLD, 2);
        assert!(bench.line(0));
        bench.write32(THRESHOLD, 7);
        assert_eq!(bench.read32(CLAIM), 2);
    }

    #[test]
    fn priority_zero_never_interrupts() {
        let mut bench = bench();
        bench.write32(4 * 2, 0);
        raise(&mut bench, 2, true);
        assert_eq!((bench.line(0), bench.read32(CLAIM), bench.read32(0x1000)), (false, 0, 4));
    }

    #[test]
    fn the_gateway_asks_again_only_after_completion() {
        let mut bench = bench();
        raise(&mut bench, 10, true);
        assert_eq!(bench.read32(CLAIM), 10);
        raise(&mut bench, 10, false);
        raise(&mut bench, 10, true);
        assert_eq!((bench.line(0), bench.read32(0x1000)), (false, 0));
        bench.write32(CLAIM, 10);
        assert!(bench.line(0), "still high: a new request");
        raise(&mut bench, 10, false);
        assert!(bench.line(0), "a request is not taken back");
        assert_eq!(bench.read32(CLAIM), 10);
        bench.write32(CLAIM, 10);
        assert!(!bench.line(0));
    }

    #[test]
    fn completion_of_what_is_not_enabled_is_ignored() {
        let mut bench = bench();
        raise(&mut bench, 10, true);
        assert_eq!(bench.read32(CLAIM), 10);
        bench.write32(CLAIM + 0x1000, 10);
        bench.write32(ENABLE, 0);
        bench.write32(CLAIM, 10);
        bench.write32(CLAIM, 5000);
        bench.write32(ENABLE, 1 << 10);
        assert!(!bench.line(0));
        bench.write32(CLAIM, 10);
        assert!(bench.line(0));
    }

    #[test]
    fn contexts_share_the_requests() {
        let mut bench = bench();
        bench.write32(ENABLE + 0x80, 1 << 2);
        raise(&mut bench, 2, true);
        assert!(bench.line(0) && bench.line(1));
        assert_eq!(bench.read32(CLAIM + 0x1000), 2);
        assert!(!bench.line(0) && !bench.line(1));
        assert_eq!(bench.read32(CLAIM), 0);
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench();
        raise(&mut bench, 2, true);
        raise(&mut bench, 64, true);
        bench.read32(CLAIM);
        bench.check_save_restore();
        assert!(PlicDevice::new(95, 3).restore(&bench.device.save()).is_err());
        assert!(PlicDevice::new(31, 2).restore(&bench.device.save()).is_err());
        bench.call(|device, ctx| device.reset(ctx));
        assert!(!bench.line(0));
        assert_eq!((bench.read32(8), bench.read32(ENABLE)), (0, 0));
        raise(&mut bench, 64, false);
        bench.advance(devices_core::Time::ZERO);
        let pending = [bench.read32(0x1000), bench.read32(0x1008)];
        assert_eq!(pending, [4, 0], "one level is still high, the other device was reset, too");
    }

    #[test]
    fn only_sources_that_exist_are_inputs() {
        let device = PlicDevice::new(53, 1);
        assert_eq!(
            [&[0][..], &[53], &[54], &[]].map(|cells| device.interrupt_input(cells)),
            [None, Some(53), None, None]
        );
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = Bench::new(PlicDevice::new(u.int_in_range(1..=127)?, 2));
            // Past 64 KiB of offsets lie thresholds and claims only.
            for (index, chunk) in bytes.chunks(33).enumerate() {
                bench.torture(chunk, 0x2100);
                bench.write32(THRESHOLD + 0x1000 * (index as u64 % 3), index as u32);
                let claim = CLAIM + 0x1000 * (index as u64 % 2);
                let claimed = bench.read32(claim);
                assert!((claimed as usize) < bench.device.plic.priority.len());
                bench.write32(claim, claimed ^ (index as u32 & 1));
            }
            for context in 0..2 {
                assert_eq!(bench.line(context), bench.device.plic.notifies(context as usize));
            }
            bench.check_save_restore();
            Ok(())
        });
    }
}
