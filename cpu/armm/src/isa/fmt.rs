//! How operands look in assembly text, and what their fields stand for where the tables say `via`.

use std::fmt::Write;

/// What the text depends on besides the operands.
#[derive(Copy, Clone, Debug)]
pub struct Context {
    /// Address of the instruction.
    pub pc: u64,
}

/// Names of the core registers, as objdump prints them.
pub const R_NAMES: [&str; 16] =
    ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "sl", "fp", "ip", "sp", "lr", "pc"];

/// Conditions.
pub const CONDITIONS: [&str; 16] =
    ["eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "<und>"];

/// Core register.
pub fn r(out: &mut String, v: i64, _: &Context) {
    out.push_str(R_NAMES[(v & 15) as usize]);
}

/// An immediate.
pub fn imm(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "#{v}");
}

/// An immediate of 32 bits.
pub fn word(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "#{}", v as u32);
}

/// An immediate without `#`.
pub fn plain(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "{v}");
}

/// Four hexadecimal digits.
pub fn number4(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "{v:#06x}");
}

/// A right shift's amount, where 0 stands for 32.
pub fn shift32(out: &mut String, v: i64, cx: &Context) {
    imm(out, if v == 0 { 32 } else { v }, cx);
}

/// Absolute address of a branch.
pub fn target(out: &mut String, v: i64, cx: &Context) {
    let _ = write!(out, "{:#x}", cx.pc.wrapping_add(v as u64) & 0xffff_ffff);
}

/// A list of registers.
pub fn list(out: &mut String, v: i64, _: &Context) {
    let names: Vec<&str> = (0..16).filter(|r| v >> r & 1 != 0).map(|r| R_NAMES[r]).collect();
    let _ = write!(out, "{{{}}}", names.join(", "));
}

/// What CPS changes.
pub fn effect(out: &mut String, v: i64, _: &Context) {
    out.push_str(["", "f", "i", "if"][(v & 3) as usize]);
}

/// The letters behind `it`.
pub fn it_mask(out: &mut String, v: i64, _: &Context) {
    let last = (v & 15).trailing_zeros();
    for bit in (last + 1..4).rev() {
        out.push(if v >> bit & 1 == v >> 4 & 1 { 't' } else { 'e' });
    }
}

/// The condition of an IT instruction.
pub fn it_cond(out: &mut String, v: i64, _: &Context) {
    out.push_str(CONDITIONS[(v >> 4 & 15) as usize]);
}

/// A special register.
pub fn special(out: &mut String, v: i64, _: &Context) {
    let name = match v {
        0 => "CPSR",
        1 => "IAPSR",
        2 => "EAPSR",
        3 => "PSR",
        5 => "IPSR",
        6 => "EPSR",
        7 => "IEPSR",
        8 => "MSP",
        9 => "PSP",
        16 => "PRIMASK",
        17 => "BASEPRI",
        18 => "BASEPRI_MAX",
        19 => "FAULTMASK",
        20 => "CONTROL",
        _ => {
            let _ = write!(out, "<spec_reg {v}>");
            return;
        }
    };
    out.push_str(name);
}

/// A special register and, from bit 32 up, which parts of it MSR writes.
pub fn masked(out: &mut String, v: i64, cx: &Context) {
    special(out, v & 0xff, cx);
    if v & 0xff < 4 {
        out.push_str(["", "_s", "_f", "_fs"][(v >> 32 & 3) as usize]);
    }
}

/// What a barrier waits for.
pub fn barrier(out: &mut String, v: i64, _: &Context) {
    let name = match v {
        1 => "oshld",
        2 => "oshst",
        3 => "osh",
        5 => "nshld",
        6 => "unst",
        7 => "un",
        9 => "ishld",
        10 => "ishst",
        11 => "ish",
        13 => "ld",
        14 => "st",
        15 => "sy",
        _ => {
            let _ = write!(out, "#{v}");
            return;
        }
    };
    out.push_str(name);
}

/// The option of ISB, of which one has a name.
pub fn isb_option(out: &mut String, v: i64, cx: &Context) {
    if v == 15 { barrier(out, v, cx) } else { imm(out, v, cx) }
}

/// The shift of a register: type (from bit 5 up) and amount; nothing for none.
pub fn shift(out: &mut String, v: i64, _: &Context) {
    let name = ["lsl", "lsr", "asr", "ror"][(v >> 5 & 3) as usize];
    let _ = match (v >> 5 & 3, v & 31) {
        (0, 0) => Ok(()),
        (3, 0) => write!(out, ", rrx"),
        (_, 0) => write!(out, ", {name} #32"),
        (_, n) => write!(out, ", {name} #{n}"),
    };
}

/// A left shift of an index.
pub fn lsl(out: &mut String, v: i64, _: &Context) {
    if v != 0 {
        let _ = write!(out, ", lsl #{v}");
    }
}

/// A rotation before an extension.
pub fn rotation(out: &mut String, v: i64, _: &Context) {
    if v != 0 {
        let _ = write!(out, ", ror #{v}");
    }
}

/// An offset, which is left out where it is 0.
pub fn offset(out: &mut String, v: i64, _: &Context) {
    if v != 0 {
        let _ = write!(out, ", #{v}");
    }
}

/// The width of a bit field, from its lowest bit and its highest one.
pub fn width(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "#{}", (v >> 32) - (v & 31) + 1);
}

/// The `!` of a load of several registers, whose base is written unless it is loaded: the list, and the base from bit 32 up.
pub fn unless_loaded(out: &mut String, v: i64, _: &Context) {
    if v >> (v >> 32 & 15) & 1 == 0 {
        out.push('!');
    }
}

/// The `!` of a base that is written where the operand is 1.
pub fn bang(out: &mut String, v: i64, _: &Context) {
    if v != 0 {
        out.push('!');
    }
}

/// Single-precision register.
pub fn s(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "s{v}");
}

/// Double-precision register.
pub fn d(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "d{v}");
}

/// A single-precision register as half of a double-precision one.
pub fn half_of_d(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "d{}[{}]", v >> 1, v & 1);
}

/// A single-precision register and the one behind it.
pub fn pair(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "s{v}, s{}", v + 1);
}

/// Single-precision registers: the first, and 8 bits of how many.
pub fn singles(out: &mut String, v: i64, _: &Context) {
    float_list(out, 's', v >> 8, v & 0xff);
}

/// Double-precision registers: the first, and 7 bits of how many.
pub fn doubles(out: &mut String, v: i64, _: &Context) {
    float_list(out, 'd', v >> 7, v & 0x7f);
}

fn float_list(out: &mut String, letter: char, first: i64, count: i64) {
    let _ = match count {
        1 => write!(out, "{{{letter}{first}}}"),
        _ => write!(out, "{{{letter}{first}-{letter}{}}}", first + count - 1),
    };
}

/// An offset behind a base that is subtracted.
pub fn minus(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, ", #-{v}");
}

/// PUSH: LR is the ninth bit.
pub fn push_list(raw: u32) -> i32 {
    (raw & 0xff | (raw >> 8 & 1) << 14) as i32
}

/// The inverse of [`push_list`].
pub fn push_list_raw(value: i32) -> Option<u32> {
    let raw = (value & 0xff) as u32 | (value as u32 >> 14 & 1) << 8;
    (push_list(raw) == value).then_some(raw)
}

/// POP with PC.
pub fn pop_pc(raw: u32) -> i32 {
    (raw & 0xff | 1 << 15) as i32
}

/// The inverse of [`pop_pc`].
pub fn pop_pc_raw(value: i32) -> Option<u32> {
    let raw = value as u32 & 0xff;
    (pop_pc(raw) == value).then_some(raw)
}

/// A branch of S:J1:J2:imm10:imm11 (times 2), relative to the instruction.
pub fn branch24(raw: u32) -> i32 {
    // I1 = NOT(J1 EOR S), and I2 likewise.
    let flip = if raw >> 24 & 1 == 0 { 0x00c0_0000 } else { 0 };
    ((((raw ^ flip) << 7) as i32) >> 7) + 4
}

/// The inverse of [`branch24`].
pub fn branch24_raw(value: i32) -> Option<u32> {
    let offset = value.checked_sub(4)?;
    let flip = if offset >= 0 { 0x00c0_0000 } else { 0 };
    let raw = (offset as u32 & 0x01ff_ffff) ^ flip;
    (branch24(raw) == value && value & 1 == 0).then_some(raw)
}

/// A modified immediate constant (ThumbExpandImm, A5.3.2).
pub fn expand(raw: u32) -> i32 {
    let byte = raw & 0xff;
    let value = match raw >> 8 & 15 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte * 0x0101_0101,
        _ => (raw & 0x7f | 0x80).rotate_right(raw >> 7 & 31),
    };
    value as i32
}

/// The inverse of [`expand`], by the first of the forms that gives the value.
pub fn expand_raw(value: i32) -> Option<u32> {
    let word = value as u32;
    let byte = word & 0xff;
    let high = word >> 8 & 0xff;
    let rotated = (8..32).map(|by| by << 7 | word.rotate_left(by) & 0x7f);
    [byte, 0x100 | byte, 0x200 | high, 0x300 | byte]
        .into_iter()
        .chain(rotated)
        .find(|raw| expand(*raw) == value)
}

/// A magnitude of `bits` bits below a bit that says that it is added.
fn signed(raw: u32, bits: u32) -> i32 {
    let magnitude = (raw & ((1 << bits) - 1)) as i32;
    if raw >> bits & 1 != 0 { magnitude } else { -magnitude }
}

fn signed_raw(value: i32, bits: u32) -> Option<u32> {
    let raw = value.unsigned_abs() | ((value >= 0) as u32) << bits;
    (signed(raw, bits) == value && raw >> bits <= 1).then_some(raw)
}

/// The offset of a literal.
pub fn signed12(raw: u32) -> i32 {
    signed(raw, 12)
}

/// The inverse of [`signed12`].
pub fn signed12_raw(value: i32) -> Option<u32> {
    signed_raw(value, 12)
}

/// The offset of a load or store that changes its base.
pub fn signed8(raw: u32) -> i32 {
    signed(raw, 8)
}

/// The inverse of [`signed8`].
pub fn signed8_raw(value: i32) -> Option<u32> {
    signed_raw(value, 8)
}

/// The offset of a load or store of two words, or of a floating-point register.
pub fn signed10(raw: u32) -> i32 {
    signed(raw, 10)
}

/// The inverse of [`signed10`].
pub fn signed10_raw(value: i32) -> Option<u32> {
    signed_raw(value, 10).filter(|raw| raw & 3 == 0)
}

/// An offset that is subtracted.
pub fn negative8(raw: u32) -> i32 {
    -(raw as i32 & 0xff)
}

/// The inverse of [`negative8`].
pub fn negative8_raw(value: i32) -> Option<u32> {
    (-255..=0).contains(&value).then_some(value.unsigned_abs())
}

/// The shift of a saturation: LSL or ASR, as a type (from bit 5 up) and an amount.
pub fn sat_shift(raw: u32) -> i32 {
    (raw & 31 | (raw >> 5 & 1) << 6) as i32
}

/// The inverse of [`sat_shift`].
pub fn sat_shift_raw(value: i32) -> Option<u32> {
    let raw = value as u32 & 31 | (value as u32 >> 6 & 1) << 5;
    (sat_shift(raw) == value).then_some(raw)
}

/// A list of 13 registers and LR.
pub fn list_lr(raw: u32) -> i32 {
    (raw & 0x1fff | (raw >> 13 & 1) << 14) as i32
}

/// The inverse of [`list_lr`].
pub fn list_lr_raw(value: i32) -> Option<u32> {
    let raw = value as u32 & 0x1fff | (value as u32 >> 14 & 1) << 13;
    (list_lr(raw) == value).then_some(raw)
}

/// A list of 13 registers, and PC.
pub fn list_pc(raw: u32) -> i32 {
    (raw & 0x1fff | 1 << 15) as i32
}

/// The inverse of [`list_pc`].
pub fn list_pc_raw(value: i32) -> Option<u32> {
    let raw = value as u32 & 0x1fff;
    (list_pc(raw) == value).then_some(raw)
}
