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

/// What a barrier waits for.
pub fn barrier(out: &mut String, v: i64, _: &Context) {
    match v {
        15 => out.push_str("sy"),
        _ => {
            let _ = write!(out, "#{v}");
        }
    }
}

/// The `!` of a load of several registers: its base is written unless it is loaded. Printed by the line itself.
pub fn writeback(_: &mut String, _: i64, _: &Context) {}

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

/// An offset behind a base, where 0 is not worth a word.
pub fn plus(out: &mut String, v: i64, _: &Context) {
    if v != 0 {
        let _ = write!(out, ", #{v}");
    }
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
    let sign = raw >> 24 & 1;
    // I1 = NOT(J1 EOR S), and I2 likewise.
    let flip = if sign == 0 { 0x00c0_0000 } else { 0 };
    ((raw ^ flip) << 7) as i32 >> 7
}

/// The inverse of [`branch24`].
pub fn branch24_raw(value: i32) -> Option<u32> {
    let flip = if value >= 0 { 0x00c0_0000 } else { 0 };
    let raw = (value as u32 & 0x01ff_ffff) ^ flip;
    (branch24(raw) == value && value & 1 == 0).then_some(raw)
}
