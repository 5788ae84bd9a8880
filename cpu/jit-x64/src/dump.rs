//! Host code as text, with names for what it reaches: slots and other parts of the frame, shared code, constants, other
//! blocks.

use std::collections::BTreeSet;

use cpu_jit::Slot;
use cpu_jit::backend::{Compiled, HostLine, Notes};
use iced_x86::{
    Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, OpKind, Register, SymbolResolver,
    SymbolResult,
};

use crate::memory::CodeMemory;
use crate::places;
use crate::trampoline::{POOL_NAMES, Trampolines};

/// What addresses and distances are called.
struct Names {
    base: u64,
    shared: Trampolines,
    /// Where the block starts.
    start: u64,
    slots: Vec<String>,
    functions: Vec<u64>,
    /// Jumps to other blocks: address of the displacement, offset of the target in the page.
    links: Vec<(u64, u32)>,
    /// Targets of jumps inside the block, but for its start.
    targets: BTreeSet<u64>,
}

/// The words of the frame that are not in an array of their own.
const WORDS: [(i32, &str); 15] = [
    (places::WHY, "why"),
    (places::ARG0, "arg0"),
    (places::ARG1, "arg1"),
    (places::ARG2, "arg2"),
    (places::PC, "pc"),
    (places::PAGE, "page"),
    (places::REMAINING, "remaining"),
    (places::DATA_CONTEXT, "data context"),
    (places::FETCH_CONTEXT, "fetch context"),
    (places::STACK, "stack"),
    (places::STACK_END, "stack end"),
    (places::JUMPS, "jumps.key"),
    (places::JUMPS + 8, "jumps.code"),
    (places::TLB_READ, "tlb.read.tag"),
    (places::TLB_READ + 8, "tlb.read.host"),
];

impl Names {
    /// What is at a distance from the frame's pointer.
    fn frame(&self, distance: i32) -> String {
        let inside = distance.rem_euclid(8);
        match (self.word(distance - inside), inside) {
            (Some(name), 0) => name,
            (Some(name), _) => format!("{name}+{inside}"),
            (None, _) => match distance - places::WINDOW {
                0 => "window".into(),
                offset if offset.unsigned_abs() < cpu_core::Window::MARGIN as u32 => {
                    format!("window{}{:#x}", if offset < 0 { '-' } else { '+' }, offset.unsigned_abs())
                }
                _ => format!("frame{distance:+#x}"),
            },
        }
    }

    fn word(&self, distance: i32) -> Option<String> {
        let known = WORDS.iter().find(|(at, _)| *at == distance);
        let within = |start: i32, count: usize| {
            let bytes = distance.checked_sub(start).filter(|bytes| bytes % 8 == 0)?;
            usize::try_from(bytes / 8).ok().filter(|number| *number < count)
        };
        match distance {
            _ if known.is_some() => known.map(|(_, name)| name.to_string()),
            places::TLB_WRITE => Some("tlb.write.tag".into()),
            places::TLB_NEAR => Some("tlb.near.tag".into()),
            _ if distance == places::TLB_WRITE + 8 => Some("tlb.write.host".into()),
            _ => match (within(places::home(0), cpu_core::frame::SLOTS), within(places::spill(0), 64)) {
                (Some(slot), _) => self.slots.get(slot).cloned(),
                (_, Some(number)) if number == places::CODE as usize => Some("code".into()),
                (_, Some(number)) => Some(format!("spill{number}")),
                _ => None,
            },
        }
    }

    fn shared(&self, address: u64) -> Option<String> {
        let offset = usize::try_from(address.wrapping_sub(self.base)).ok()?;
        let t = &self.shared;
        let named = [
            (t.follow, "follow"),
            (t.lookup, "lookup"),
            (t.interpret, "interpret"),
            (t.budget, "budget"),
            (t.rmw, "rmw"),
            (t.compare_exchange, "compare_exchange"),
            (t.call, "call"),
            (t.float, "float"),
            (t.pure, "pure"),
        ];
        if let Some((_, name)) = named.iter().find(|(at, _)| *at == offset) {
            return Some(name.to_string());
        }
        for (list, verb) in [(t.load, "load"), (t.store, "store")] {
            if let Some(width) = list.iter().position(|at| *at == offset) {
                return Some(format!("{verb}{}", 1 << width));
            }
        }
        let constant = t.pool.iter().position(|at| *at == offset)?;
        POOL_NAMES.get(constant).map(|name| name.to_string())
    }

    /// The name of a place in the block itself.
    fn label(&self, address: u64) -> Option<String> {
        if address == self.start {
            return Some("start".into());
        }
        let number = self.targets.iter().position(|at| *at == address)?;
        Some(format!("L{}", number + 1))
    }

    fn link(&self, instruction: &Instruction) -> Option<String> {
        let field = instruction.next_ip().wrapping_sub(4);
        let (_, target) = self.links.iter().find(|(at, _)| *at == field)?;
        Some(format!("block {target:#x}"))
    }
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _: u32,
        operand: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let name = match instruction.op_kind(operand?) {
            OpKind::NearBranch64 => self
                .link(instruction)
                .or_else(|| self.label(address))
                .or_else(|| self.shared(address))
                .or_else(|| Some("elsewhere".into())),
            OpKind::Memory if instruction.memory_base() == Register::RBP => Some(self.frame(address as i32)),
            OpKind::Memory if instruction.memory_base() == Register::RIP => self.shared(address),
            OpKind::Immediate64 => self.functions.contains(&address).then(|| "function".into()),
            _ => None,
        }?;
        Some(SymbolResult::with_string(address, name))
    }
}

fn decode(memory: &CodeMemory, (address, len): (u64, usize)) -> Vec<Instruction> {
    let bytes = memory.read(memory.offset(address), len);
    Decoder::with_ip(64, &bytes, address, DecoderOptions::NONE).into_iter().collect()
}

/// The instructions of a block, as its notes assign them.
pub fn list(
    memory: &CodeMemory,
    shared: &Trampolines,
    compiled: &Compiled,
    notes: &Notes,
    name: &dyn Fn(Slot) -> String,
) -> Vec<HostLine> {
    let parts = notes.parts.map(|part| decode(memory, part));
    let inside = |address: u64| {
        notes.parts.iter().any(|(start, len)| (*start..*start + *len as u64).contains(&address))
    };
    let mut names = Names {
        base: memory.address(0),
        shared: *shared,
        start: compiled.code.0,
        slots: (0..cpu_core::frame::SLOTS).map(|slot| name(Slot(slot as u16))).collect(),
        functions: notes.functions.clone(),
        links: compiled.links.iter().map(|(to, site)| (memory.address(site.0 as usize), *to)).collect(),
        targets: BTreeSet::new(),
    };
    // Where a link leads may change; it is named by the target's offset instead.
    names.targets = parts
        .iter()
        .flatten()
        .filter(|i| i.op0_kind() == OpKind::NearBranch64 && names.link(i).is_none())
        .map(Instruction::near_branch64)
        .filter(|address| inside(*address) && *address != names.start)
        .collect();
    let mut lines = Vec::new();
    for (part, cold) in parts.iter().zip([false, true]) {
        let start = part.first().map_or(0, Instruction::ip);
        for instruction in part {
            let (address, offset) = (instruction.ip(), (instruction.ip() - start) as u32);
            let begun = notes.marks.partition_point(|mark| if cold { mark.cold } else { mark.hot } <= offset);
            let mark = begun.checked_sub(1).and_then(|last| notes.marks.get(last));
            lines.push(HostLine {
                instruction: mark.map(|mark| mark.instruction),
                cold,
                address,
                label: names.label(address).unwrap_or_default(),
                text: String::new(),
            });
        }
    }
    let mut formatter = IntelFormatter::with_options(Some(Box::new(names)), None);
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    options.set_small_hex_numbers_in_decimal(true);
    options.set_signed_immediate_operands(true);
    options.set_signed_memory_displacements(true);
    options.set_show_branch_size(false);
    options.set_rip_relative_addresses(false);
    for (line, instruction) in lines.iter_mut().zip(parts.iter().flatten()) {
        formatter.format(instruction, &mut line.text);
        // Whatever is in the frame has a name.
        line.text = line.text.replace("[rbp+", "[");
    }
    lines
}
