//! Loads and stores by way of the TLB, and calls of helpers.
//!
//! One comparison with the tag of the entry in the address's place checks page, context and alignment: numbers of
//! contexts are multiples of 8, so that an address whose low bits are left in equals no tag. What fails goes the slow
//! way in the cold part, which comes back with the value.

use cpu_core::{Tlb, Width};
use cpu_jit::ir::Ref;

use super::{Emitter, Loc};
use crate::asm::Size::{D, Q};
use crate::asm::{Op, reg};
use crate::places::{self, ARG0, ARG1, ARG2, Place, WHY};
use crate::sink::Cc;

/// log2 of the bytes of a TLB entry.
const ENTRY_SHIFT: u32 = 4;

impl Emitter<'_> {
    /// Finds the host's address of `addr` minus `addr`; gives the register with it, and the number of the jump that is
    /// taken where the TLB does not know.
    fn translate(&mut self, addr: u8, width: Width, table: i32) -> (u8, usize) {
        let (t, u) = (self.scratch(), self.scratch());
        let hot = &mut self.sink.hot;
        hot.rorx(t, addr, 12 - ENTRY_SHIFT as u8);
        hot.and(D, t, Op::Imm(((Tlb::ENTRIES - 1) << ENTRY_SHIFT) as i32));
        hot.mov(u, Op::Reg(addr));
        hot.and(Q, u, Op::Imm(-4096 | (width.bytes() as i32 - 1)));
        hot.or(Q, u, Op::Home(places::DATA_CONTEXT));
        hot.cmp_table(u, t, table);
        let cold = self.sink.here_cold();
        let slow = self.sink.jcc(Cc::NE, cold);
        self.sink.hot.load_table(t, t, table + 8);
        // The other one is free again.
        self.unlock(u);
        (t, slow)
    }

    fn unlock(&mut self, r: u8) {
        self.locked &= !(1 << r);
        if self.temps[r as usize] == super::Owner::Scratch {
            self.temps[r as usize] = super::Owner::Free;
        }
    }

    fn trampoline(list: [usize; 4], width: Width) -> usize {
        list[width.bytes().trailing_zeros() as usize & 3]
    }

    pub(super) fn load(&mut self, addr: Ref, width: Width, signed: bool) {
        let slot = self.next_slot().map(|slot| (slot, self.places.of(slot)));
        if let Some((slot, Place::Reg(_) | Place::X(_))) = slot {
            self.evacuate(slot, None);
        }
        let a = self.reg(addr);
        let (t, slow) = self.translate(a, width, places::TLB_READ);
        let why = self.here();
        self.sink.land_cold(slow);
        let cold = &mut self.sink.cold;
        cold.mov_home(ARG0, Op::Reg(a));
        cold.set_home32(WHY, why);
        let trampoline = self.fixed(Self::trampoline(self.shared.load, width));
        self.sink.call_cold(trampoline);
        match slot {
            Some((slot, Place::X(x))) if width == Width::B8 => {
                self.sink.hot.load_x(x, t, a);
                self.sink.cold.load_x_home(x, ARG0);
                self.alias(self.at, slot);
            }
            _ => {
                let d = match slot {
                    Some((_, Place::Reg(pin))) => pin,
                    _ => t,
                };
                self.sink.hot.load(d, t, a, width.bytes(), signed);
                self.sink.cold.widen(d, Op::Home(ARG0), width.bits(), signed);
                match slot {
                    Some((slot, Place::Reg(_))) => self.alias(self.at, slot),
                    _ => self.bind(t),
                }
            }
        }
        let back = self.sink.here();
        self.sink.jmp_cold(back);
    }

    pub(super) fn store(&mut self, addr: Ref, width: Width, value: Ref) {
        // Addresses and waiting comparisons are made first.
        if matches!(self.loc(value), Loc::Deferred | Loc::Page(_)) {
            let r = self.scratch();
            self.move_to(r, value);
            self.sink.hot.mov_home(places::spill(places::CODE), Op::Reg(r));
            self.unlock(r);
            self.store_operand(addr, width, Op::Home(places::spill(places::CODE)), None);
            return;
        }
        let x = match self.loc(value) {
            Loc::Slot(slot) => match self.places.of(slot) {
                Place::X(x) if width.bytes() >= 4 => Some(x),
                _ => None,
            },
            _ => None,
        };
        let operand = match self.constant(value) {
            Some(number) if width != Width::B8 => Op::Imm(number as i32),
            _ if x.is_some() => Op::Imm(0),
            Some(_) => {
                let operand = self.op(value);
                if let Op::Reg(r) = operand {
                    self.sink.hot.mov_home(places::spill(places::CODE), Op::Reg(r));
                    self.unlock(r);
                    Op::Home(places::spill(places::CODE))
                } else {
                    operand
                }
            }
            None => {
                // The address and its check may need all temporaries.
                let address_in_temp = !matches!(self.loc(addr), Loc::Slot(slot) if matches!(self.places.of(slot), Place::Reg(_)));
                if address_in_temp {
                    self.put_in_frame(value);
                }
                self.op(value)
            }
        };
        self.store_operand(addr, width, operand, x);
    }

    fn store_operand(&mut self, addr: Ref, width: Width, value: Op, x: Option<u8>) {
        let a = self.reg(addr);
        let (t, slow) = self.translate(a, width, places::TLB_WRITE);
        let why = self.here();
        self.sink.land_cold(slow);
        self.sink.cold.mov_home(ARG0, Op::Reg(a));
        let value = match value {
            Op::Home(disp) if x.is_none() => {
                let v = self.scratch();
                self.sink.hot.mov(v, Op::Home(disp));
                self.sink.cold.mov(v, Op::Home(disp));
                Op::Reg(v)
            }
            value => value,
        };
        match x {
            Some(x) => {
                self.sink.hot.store_x(t, a, x, width.bytes());
                self.sink.cold.store_x_home(ARG1, x);
            }
            None => {
                self.sink.hot.store(t, a, value, width.bytes());
                self.sink.cold.mov_home(ARG1, value);
            }
        }
        self.sink.cold.set_home32(WHY, why);
        let trampoline = self.fixed(Self::trampoline(self.shared.store, width));
        self.sink.call_cold(trampoline);
        let back = self.sink.here();
        self.sink.jmp_cold(back);
    }

    /// Calls a helper in the hot part; this node's value is what it gives.
    pub(super) fn call_helper(&mut self, trampoline: usize, code: u64, args: [Option<Ref>; 3]) {
        for (arg, disp) in args.into_iter().zip([ARG0, ARG1, ARG2]) {
            let Some(arg) = arg else { continue };
            match self.op(arg) {
                Op::Home(from) => {
                    let r = self.scratch();
                    self.sink.hot.mov(r, Op::Home(from));
                    self.sink.hot.mov_home(disp, Op::Reg(r));
                }
                operand => self.sink.hot.mov_home(disp, operand),
            }
            // Operands are in the frame now.
            for r in [reg::RAX, reg::RCX, reg::RDX] {
                self.unlock(r);
            }
        }
        let place = places::spill(places::CODE);
        match i32::try_from(code) {
            Ok(code) => self.sink.hot.mov_home(place, Op::Imm(code)),
            Err(_) => {
                let r = self.scratch();
                self.sink.hot.set(r, code);
                self.sink.hot.mov_home(place, Op::Reg(r));
                self.unlock(r);
            }
        }
        let why = self.here();
        self.sink.hot.set_home32(WHY, why);
        let target = self.fixed(trampoline);
        self.sink.call(target);
        let d = self.define();
        self.sink.hot.mov(d, Op::Home(ARG0));
        self.defined(d);
    }

    pub(super) fn call_pure(&mut self, f: fn(u64, u64) -> u64, a: Ref, b: Ref) {
        self.sink.name_function(f as usize as u64);
        self.call_helper(self.shared.pure, f as usize as u64, [Some(a), Some(b), None]);
    }
}
