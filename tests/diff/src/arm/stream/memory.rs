//! Instructions that access memory: their addresses are made to fall where memory is.

use super::*;

impl Maker<'_> {
    pub(super) fn memory(&mut self, id: Id, mut ops: Operands, item: &mut Item) -> Option<()> {
        let function = id.function();
        let list = function.contains("ldm") || function.contains("stm");
        if function.starts_with("ldrex") || function.starts_with("strex") {
            return self.exclusive(id, ops, item);
        }
        if function.contains("_lit") || (function.starts_with("vldr") && ops.rn == 15) {
            return self.literal(id, ops, item);
        }
        let loads = id.flags() & flags::LOAD != 0;
        let float = id.flags() & flags::FLOAT != 0;
        if loads && !float && !list {
            item.writes |= 1 << ops.rd;
        }
        if loads && function.starts_with("ldrd") {
            item.writes |= 1 << ops.ra;
        }
        if loads && !float && list {
            item.writes |= ops.imm as u16 & 0x7fff;
        }
        // Words of a list: singles, doubles with or without the word that FLDMX adds, core registers.
        let words = match (list, float) {
            (false, _) => 0,
            (true, false) => (ops.imm as u32 & 0xffff).count_ones(),
            (true, true) => {
                let imm = ops.imm as u32;
                let double = !id.name().ends_with(".s");
                let (first, count) = if double { (imm >> 7, imm & 0x7f) } else { (imm >> 8, imm & 0xff) };
                if count == 0 || first + count > if double { 16 } else { 32 } {
                    return None;
                }
                if double { 2 * count + u32::from(id.name().ends_with('x')) } else { count }
            }
        };
        if id.name().ends_with(".sp") {
            item.needs |= 1 << SP;
            let room = if ops.imm < 0 { STACK } else { SCRATCH - STACK };
            ops.imm &= !3;
            if ops.imm.unsigned_abs() + 4 > room {
                ops.imm = self.rng.below(u64::from(room / 4)) as i32 * 4;
            }
            item.main.push(Part::Word((encode(id, &ops)?, id.len())));
            return Some(());
        }
        if matches!(id.mnemonic(), "push" | "pop" | "vpush" | "vpop") {
            item.writes |= 1 << SP;
            item.needs |= 1 << SP;
            if id.flags() & flags::JUMP != 0 {
                let at = 4 * (words - 1);
                return self.loaded_pc(item, |_, temp| store(temp, SP, at), encode(id, &ops)?, id.len());
            }
            item.main.push(Part::Word((encode(id, &ops)?, id.len())));
            return Some(());
        }
        let pc = id.flags() & flags::JUMP != 0;
        let moves = function.contains("_pre") || function.contains("_post") || list;
        if id.len() == 4 && !pc && !function.contains("_reg") && self.rng.below(8) == 0 {
            // Around the stack pointer there is room for any list and for short offsets.
            ops.rn = SP;
            if !list {
                ops.imm = (ops.imm % 64) & !3;
            }
            item.needs |= 1 << SP;
            item.writes |= if moves { 1 << SP } else { 0 };
            item.main.push(Part::Word((encode(id, &ops)?, 4)));
            return Some(());
        }
        let rn = if id.len() == 2 { self.own(8) } else { self.own(15) };
        ops.rn = rn;
        let down = function.contains("db") || id.name().contains("db");
        let (span, align, offset) = if list {
            (4 * words, 4, if down { -4 * i64::from(words) } else { 0 })
        } else if float {
            let sign = if id.name().ends_with(".sub") { -1 } else { 1 };
            (8, 4, sign * i64::from(ops.imm))
        } else {
            let (span, unaligned) = access(function);
            let align = if unaligned && self.rng.below(4) == 0 { 1 } else { span.min(4) };
            // A target in PC is a word's.
            let align = if pc { 4 } else { align };
            (
                span,
                align,
                if function.contains("_post") || function.contains("_reg") { 0 } else { i64::from(ops.imm) },
            )
        };
        self.base(item, rn, offset, span, align)?;
        if function.contains("_reg") {
            // The base was made for no index; now subtract one.
            let rm = if id.len() == 2 { self.own(8) } else { self.own(15) };
            ops.rm = rm;
            let index = self.rng.below(64) as u32;
            let scaled = i64::from(index) << ops.imm;
            item.before.push(add(rn, rn, -scaled)?);
            item.before.push(Part::Word(movw(rm, index)));
            item.needs |= 1 << rm;
        }
        if moves {
            item.writes |= 1 << rn;
        }
        let word = encode(id, &ops)?;
        // A base in the list, or one that is written and stored: what UNPREDICTABLE cases the encoder let pass.
        if list && !float && ops.imm >> rn & 1 != 0 && writes_back(id) && !(loads && id.len() == 2) {
            return None;
        }
        if decode(word, &features())?.id != id && decode(word, &features().with(Features::IT))?.id != id {
            return None;
        }
        if pc {
            let at = if list { 4 * (words - 1) } else { 0 };
            // The word that is loaded: through a copy of the base.
            let index = if function.contains("_reg") { Some((ops.rm, ops.imm)) } else { None };
            return self.loaded_pc_at(item, rn, offset + i64::from(at), index, word, id.len());
        }
        item.main.push(Part::Word((word, id.len())));
        Some(())
    }

    /// An instruction that loads PC from a place that `store` writes, given the maker and a register with the value.
    pub(super) fn loaded_pc(
        &mut self,
        item: &mut Item,
        store: impl FnOnce(&mut Self, u8) -> Part,
        word: u32,
        len: u8,
    ) -> Option<()> {
        let temp = self.own(13);
        let stored = store(self, temp);
        let first = item.before.len();
        // Behind: the address, the store, the instruction, what is skipped.
        item.before.push(Part::Address { rd: temp, target: Target::Part(first + 4), thumb: true });
        item.before.push(stored);
        item.main.push(Part::Word((word, len)));
        item.main.push(Part::Word(movw(temp, 0xdead)));
        item.main.push(mov(temp, temp));
        Some(())
    }

    /// [`Maker::loaded_pc`] from an offset to base and index.
    pub(super) fn loaded_pc_at(
        &mut self,
        item: &mut Item,
        rn: u8,
        offset: i64,
        index: Option<(u8, i32)>,
        word: u32,
        len: u8,
    ) -> Option<()> {
        let copy = self.own(13);
        item.before.push(add(copy, rn, offset)?);
        if let Some((rm, shift)) = index {
            // ADD.W copy, copy, rm, LSL #shift.
            let word = 0xeb00_0000
                | u32::from(copy) << 16
                | u32::from(copy) << 8
                | (shift as u32) << 6
                | u32::from(rm);
            item.before.push(Part::Word((word, 4)));
        }
        self.loaded_pc(item, |_, temp| store(temp, copy, 0), word, len)
    }

    /// Near its own address. PC is loaded from behind it.
    pub(super) fn literal(&mut self, id: Id, mut ops: Operands, item: &mut Item) -> Option<()> {
        if id.flags() & flags::JUMP != 0 {
            item.main.push(Part::Literal(id, ops, Target::Part(2)));
            item.main.push(Part::Align);
            item.main.push(Part::Pointer(Target::Part(3)));
            item.main.push(Part::Word(NOP));
            return Some(());
        }
        let aligned = id.function().starts_with("ldrd") || id.flags() & flags::FLOAT != 0 || id.len() == 2;
        ops.imm = self.rng.below(60) as i32 & if aligned { !3 } else { !0 };
        if self.rng.below(2) == 0 && id.len() == 4 && id.flags() & flags::FLOAT == 0 {
            ops.imm = -ops.imm;
        }
        if id.flags() & flags::FLOAT == 0 {
            item.writes |= 1 << ops.rd | if id.function().starts_with("ldrd") { 1 << ops.ra } else { 0 };
        }
        item.main.push(Part::Word((encode(id, &ops)?, id.len())));
        Some(())
    }

    /// A load and a store of the same place and size, at times with a CLREX between, or the store alone.
    pub(super) fn exclusive(&mut self, id: Id, ops: Operands, item: &mut Item) -> Option<()> {
        let size = &id.function()[5..];
        let find = |function: String| Id::ALL.into_iter().find(|id| id.function() == function);
        let (load, store) = (find(format!("ldrex{size}"))?, find(format!("strex{size}"))?);
        let rn = self.own(15);
        self.base(item, rn, i64::from(ops.imm), 4, 4)?;
        let partner = if load == id { store } else { load };
        let word = isa::random_of(partner, &mut || self.rng.next(), &features())?;
        let mut other = decode(word, &features())?.ops;
        (other.rn, other.imm) = (rn, ops.imm);
        let own = Operands { rn, ..ops };
        let (l, s) = if load == id { (own, other) } else { (other, own) };
        if l.rd == rn {
            return None;
        }
        let clear = find("clrex".into())?;
        let alone = self.rng.below(8) == 0;
        if !alone {
            item.main.push(Part::Word((encode(load, &l)?, 4)));
            item.ids.push(load);
        } else {
            item.main.push(Part::Word((encode(clear, &Operands::ZERO)?, 4)));
        }
        if self.rng.below(8) == 0 {
            item.main.push(Part::Word((encode(clear, &Operands::ZERO)?, 4)));
        }
        item.main.push(Part::Word((encode(store, &s)?, 4)));
        item.ids.push(store);
        item.writes = 1 << s.ra | if alone { 0 } else { 1 << l.rd };
        Some(())
    }
}
