//! Loads and stores. DDI 0403E, A4.6, A4.7 and A3.2.

use cpu_core::{Flow, SemanticsExt, Width};

use super::int::literal;
use crate::cause;
use crate::semantics::Arm;

/// Raises where `addr` is not a multiple of `bytes`.
#[inline(always)]
pub(crate) fn check_aligned<S: Arm>(s: &S, addr: S::Value, bytes: u64) -> Result<(), S::Stop> {
    s.raise_if(s.and_imm(addr, bytes - 1), cause::UNALIGNED, addr)
}

/// Loads with the extension of `signed`; unaligned where the core allows it.
#[inline(always)]
pub(crate) fn load<S: Arm>(s: &S, addr: S::Value, width: Width, signed: bool) -> Result<S::Value, S::Stop> {
    if width != Width::B1 && s.strict() {
        check_aligned(s, addr, width.bytes())?;
    }
    let value = s.load(addr, width, signed)?;
    Ok(if signed { s.zext32(value) } else { value })
}

/// Stores; unaligned where the core allows it.
#[inline(always)]
pub(crate) fn store<S: Arm>(s: &S, addr: S::Value, width: Width, value: S::Value) -> Result<(), S::Stop> {
    if width != Width::B1 && s.strict() {
        check_aligned(s, addr, width.bytes())?;
    }
    s.store(addr, width, value)
}

/// `rn + imm`.
#[inline(always)]
pub(crate) fn offset<S: Arm>(s: &S, rn: u8, imm: i64) -> S::Value {
    s.zext32(s.add_imm(s.r(rn), imm))
}

/// `rn + (rm << imm)`.
#[inline(always)]
fn indexed<S: Arm>(s: &S, rn: u8, rm: u8, imm: i64) -> S::Value {
    s.zext32(s.add(s.r(rn), s.shl(s.r(rm), s.imm(imm as u64))))
}

/// Loads: at an offset, at an index, from a literal, before the base moves to its address (`pre`), at the base before that moves
/// (`post`), and as an unprivileged access. `rd` is not PC.
macro_rules! loads {
    ($($set:ident $width:ident $signed:literal: $imm:ident $reg:ident $lit:ident $pre:ident $post:ident $unprivileged:ident;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let value = load(s, offset(s, rn, imm), Width::$width, $signed)?;
            s.$set(rd, value);
            s.fall()
        }

        #[inline(always)]
        pub fn $reg<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            let value = load(s, indexed(s, rn, rm, imm), Width::$width, $signed)?;
            s.$set(rd, value);
            s.fall()
        }

        #[inline(always)]
        pub fn $lit<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
            let value = load(s, literal(s, imm), Width::$width, $signed)?;
            s.$set(rd, value);
            s.fall()
        }

        #[inline(always)]
        pub fn $pre<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let addr = offset(s, rn, imm);
            let value = load(s, addr, Width::$width, $signed)?;
            s.set_r_or_sp(rn, addr);
            s.$set(rd, value);
            s.fall()
        }

        #[inline(always)]
        pub fn $post<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let value = load(s, s.r(rn), Width::$width, $signed)?;
            s.set_r_or_sp(rn, offset(s, rn, imm));
            s.$set(rd, value);
            s.fall()
        }

        #[inline(always)]
        pub fn $unprivileged<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let addr = offset(s, rn, imm);
            if Width::$width != Width::B1 && s.strict() {
                check_aligned(s, addr, Width::$width.bytes())?;
            }
            let value = s.load_unprivileged(addr, Width::$width, $signed)?;
            s.set_r(rd, s.zext32(value));
            s.fall()
        }
    )*};
}

loads! {
    set_r_or_sp B4 false: ldr_imm ldr_reg ldr_lit ldr_pre ldr_post ldrt;
    set_r B2 false: ldrh_imm ldrh_reg ldrh_lit ldrh_pre ldrh_post ldrht;
    set_r B1 false: ldrb_imm ldrb_reg ldrb_lit ldrb_pre ldrb_post ldrbt;
    set_r B2 true: ldrsh_imm ldrsh_reg ldrsh_lit ldrsh_pre ldrsh_post ldrsht;
    set_r B1 true: ldrsb_imm ldrsb_reg ldrsb_lit ldrsb_pre ldrsb_post ldrsbt;
}

/// Stores, in the forms of the loads.
macro_rules! stores {
    ($($width:ident: $imm:ident $reg:ident $pre:ident $post:ident $unprivileged:ident;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            store(s, offset(s, rn, imm), Width::$width, s.r(rd))?;
            s.fall()
        }

        #[inline(always)]
        pub fn $reg<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            store(s, indexed(s, rn, rm, imm), Width::$width, s.r(rd))?;
            s.fall()
        }

        #[inline(always)]
        pub fn $pre<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let addr = offset(s, rn, imm);
            store(s, addr, Width::$width, s.r(rd))?;
            s.set_r_or_sp(rn, addr);
            s.fall()
        }

        #[inline(always)]
        pub fn $post<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            store(s, s.r(rn), Width::$width, s.r(rd))?;
            s.set_r_or_sp(rn, offset(s, rn, imm));
            s.fall()
        }

        #[inline(always)]
        pub fn $unprivileged<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let addr = offset(s, rn, imm);
            if Width::$width != Width::B1 && s.strict() {
                check_aligned(s, addr, Width::$width.bytes())?;
            }
            s.store_unprivileged(addr, Width::$width, s.r(rd))?;
            s.fall()
        }
    )*};
}

stores! {
    B4: str_imm str_reg str_pre str_post strt;
    B2: strh_imm strh_reg strh_pre strh_post strht;
    B1: strb_imm strb_reg strb_pre strb_post strbt;
}

/// Loads where to branch to.
#[inline(always)]
fn load_target<S: Arm>(s: &S, addr: S::Value) -> Result<S::Value, S::Stop> {
    let target = load_aligned(s, addr)?;
    s.may_exchange(target)?;
    Ok(target)
}

/// Loads a word from an aligned address.
#[inline(always)]
fn load_aligned<S: Arm>(s: &S, addr: S::Value) -> Result<S::Value, S::Stop> {
    check_aligned(s, addr, 4)?;
    s.load(addr, Width::B4, false)
}

/// LDR of PC at an offset.
#[inline(always)]
pub fn ldr_imm_pc<S: Arm>(s: &S, rn: u8, imm: i64) -> Flow<S> {
    let target = load_target(s, offset(s, rn, imm))?;
    s.exchange(target, false)
}

/// LDR of PC at an index.
#[inline(always)]
pub fn ldr_reg_pc<S: Arm>(s: &S, rn: u8, rm: u8, imm: i64) -> Flow<S> {
    let target = load_target(s, indexed(s, rn, rm, imm))?;
    s.exchange(target, false)
}

/// LDR of PC from a literal.
#[inline(always)]
pub fn ldr_lit_pc<S: Arm>(s: &S, imm: i64) -> Flow<S> {
    let target = load_target(s, literal(s, imm))?;
    s.exchange(target, false)
}

/// LDR of PC, after the base moved.
#[inline(always)]
pub fn ldr_pre_pc<S: Arm>(s: &S, rn: u8, imm: i64) -> Flow<S> {
    let addr = offset(s, rn, imm);
    let target = load_target(s, addr)?;
    s.set_r_or_sp(rn, addr);
    s.exchange(target, false)
}

/// LDR of PC, before the base moves.
#[inline(always)]
pub fn ldr_post_pc<S: Arm>(s: &S, rn: u8, imm: i64) -> Flow<S> {
    let target = load_target(s, s.r(rn))?;
    s.set_r_or_sp(rn, offset(s, rn, imm));
    s.exchange(target, false)
}

/// Loads two words.
#[inline(always)]
fn load_two<S: Arm>(s: &S, rd: u8, ra: u8, addr: S::Value) -> Result<(), S::Stop> {
    let first = load_aligned(s, addr)?;
    let second = s.load(s.zext32(s.add_imm(addr, 4)), Width::B4, false)?;
    s.set_r(rd, first);
    s.set_r(ra, second);
    Ok(())
}

/// Stores two words.
#[inline(always)]
fn store_two<S: Arm>(s: &S, rd: u8, ra: u8, addr: S::Value) -> Result<(), S::Stop> {
    check_aligned(s, addr, 4)?;
    s.store(addr, Width::B4, s.r(rd))?;
    s.store(s.zext32(s.add_imm(addr, 4)), Width::B4, s.r(ra))
}

/// LDRD and STRD: at an offset, after the base moved, before the base moves.
macro_rules! two {
    ($($two:ident: $imm:ident $pre:ident $post:ident;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>(s: &S, rd: u8, ra: u8, rn: u8, imm: i64) -> Flow<S> {
            $two(s, rd, ra, offset(s, rn, imm))?;
            s.fall()
        }

        #[inline(always)]
        pub fn $pre<S: Arm>(s: &S, rd: u8, ra: u8, rn: u8, imm: i64) -> Flow<S> {
            let addr = offset(s, rn, imm);
            $two(s, rd, ra, addr)?;
            s.set_r_or_sp(rn, addr);
            s.fall()
        }

        #[inline(always)]
        pub fn $post<S: Arm>(s: &S, rd: u8, ra: u8, rn: u8, imm: i64) -> Flow<S> {
            $two(s, rd, ra, s.r(rn))?;
            s.set_r_or_sp(rn, offset(s, rn, imm));
            s.fall()
        }
    )*};
}

two! {
    load_two: ldrd ldrd_pre ldrd_post;
    store_two: strd strd_pre strd_post;
}

/// LDRD from a literal.
#[inline(always)]
pub fn ldrd_lit<S: Arm>(s: &S, rd: u8, ra: u8, imm: i64) -> Flow<S> {
    load_two(s, rd, ra, literal(s, imm))?;
    s.fall()
}

/// Loads and claims the monitor.
#[inline(always)]
fn exclusive_load<S: Arm>(s: &S, rd: u8, addr: S::Value, width: Width) -> Flow<S> {
    check_aligned(s, addr, width.bytes())?;
    let value = s.load_exclusive(addr, width)?;
    s.set_r(rd, value);
    s.fall()
}

/// Stores if the monitor is claimed; `ra` takes the status.
#[inline(always)]
fn exclusive_store<S: Arm>(s: &S, rd: u8, ra: u8, addr: S::Value, width: Width) -> Flow<S> {
    check_aligned(s, addr, width.bytes())?;
    let status = s.store_exclusive(addr, width, s.r(rd))?;
    s.set_r(ra, status);
    s.fall()
}

/// LDREX.
pub fn ldrex<S: Arm>(s: &S, rd: u8, rn: u8, imm: i64) -> Flow<S> {
    exclusive_load(s, rd, offset(s, rn, imm), Width::B4)
}

/// LDREXB.
pub fn ldrexb<S: Arm>(s: &S, rd: u8, rn: u8) -> Flow<S> {
    exclusive_load(s, rd, s.r(rn), Width::B1)
}

/// LDREXH.
pub fn ldrexh<S: Arm>(s: &S, rd: u8, rn: u8) -> Flow<S> {
    exclusive_load(s, rd, s.r(rn), Width::B2)
}

/// STREX.
pub fn strex<S: Arm>(s: &S, rd: u8, ra: u8, rn: u8, imm: i64) -> Flow<S> {
    exclusive_store(s, rd, ra, offset(s, rn, imm), Width::B4)
}

/// STREXB.
pub fn strexb<S: Arm>(s: &S, rd: u8, ra: u8, rn: u8) -> Flow<S> {
    exclusive_store(s, rd, ra, s.r(rn), Width::B1)
}

/// STREXH.
pub fn strexh<S: Arm>(s: &S, rd: u8, ra: u8, rn: u8) -> Flow<S> {
    exclusive_store(s, rd, ra, s.r(rn), Width::B2)
}

/// CLREX.
pub fn clrex<S: Arm>(s: &S) -> Flow<S> {
    s.clear_exclusive();
    s.fall()
}

/// Branches by twice a table's entry.
#[inline(always)]
fn table_branch<S: Arm>(s: &S, addr: S::Value, width: Width) -> Flow<S> {
    let entry = load(s, s.zext32(addr), width, false)?;
    s.jump(s.zext32(s.add(s.r_or_pc(15), s.add(entry, entry))))
}

/// TBB.
#[inline(always)]
pub fn tbb<S: Arm>(s: &S, rn: u8, rm: u8) -> Flow<S> {
    table_branch(s, s.add(s.r_or_pc(rn), s.r(rm)), Width::B1)
}

/// TBH.
#[inline(always)]
pub fn tbh<S: Arm>(s: &S, rn: u8, rm: u8) -> Flow<S> {
    let index = s.r(rm);
    table_branch(s, s.add(s.r_or_pc(rn), s.add(index, index)), Width::B2)
}

/// The registers of a list, lowest first.
fn members(list: i64) -> impl Iterator<Item = u8> {
    (0..16).filter(move |r| list >> r & 1 != 0)
}

/// Stores a list of registers from `addr` up.
#[inline(always)]
fn store_list<S: Arm>(s: &S, addr: S::Value, list: i64) -> Result<(), S::Stop> {
    check_aligned(s, addr, 4)?;
    for (i, r) in (0..).zip(members(list)) {
        s.store(s.zext32(s.add_imm(addr, 4 * i)), Width::B4, s.r(r))?;
    }
    Ok(())
}

/// Loads a list of registers from `addr` up. All loads come before any register changes, so that the instruction can be restarted.
/// Gives what is for PC.
#[inline(always)]
fn load_list<S: Arm>(s: &S, addr: S::Value, list: i64) -> Result<S::Value, S::Stop> {
    check_aligned(s, addr, 4)?;
    let mut values = [s.imm(0); 16];
    for (i, r) in (0..).zip(members(list)) {
        values[r as usize & 15] = s.load(s.zext32(s.add_imm(addr, 4 * i)), Width::B4, false)?;
    }
    if list >> 15 & 1 != 0 {
        s.may_exchange(values[15])?;
    }
    for r in members(list & 0x7fff) {
        s.set_r_or_sp(r, values[r as usize & 15]);
    }
    Ok(values[15])
}

/// Bytes of a list.
fn size(list: i64) -> i64 {
    4 * (list & 0xffff).count_ones() as i64
}

/// STM, from the base up.
#[inline(always)]
pub fn stmia<S: Arm>(s: &S, rn: u8, list: i64, writeback: u8) -> Flow<S> {
    store_list(s, s.r(rn), list)?;
    if writeback != 0 {
        s.set_r_or_sp(rn, offset(s, rn, size(list)));
    }
    s.fall()
}

/// STMDB and PUSH: up to below the base.
#[inline(always)]
pub fn stmdb<S: Arm>(s: &S, rn: u8, list: i64, writeback: u8) -> Flow<S> {
    let addr = offset(s, rn, -size(list));
    store_list(s, addr, list)?;
    if writeback != 0 {
        s.set_r_or_sp(rn, addr);
    }
    s.fall()
}

/// The base before the load, as it is behind the instruction: a base in the list keeps what is loaded.
#[inline(always)]
fn load_many<S: Arm>(
    s: &S,
    rn: u8,
    from: S::Value,
    to: S::Value,
    list: i64,
    writeback: u8,
) -> Result<S::Value, S::Stop> {
    let target = load_list(s, from, list)?;
    if writeback != 0 && list >> rn & 1 == 0 {
        s.set_r_or_sp(rn, to);
    }
    Ok(target)
}

/// LDM, from the base up, and POP; without PC.
#[inline(always)]
pub fn ldm<S: Arm>(s: &S, rn: u8, list: i64, writeback: u8) -> Flow<S> {
    load_many(s, rn, s.r(rn), offset(s, rn, size(list)), list, writeback)?;
    s.fall()
}

/// LDM of 16 bits: writes its base unless that is loaded.
#[inline(always)]
pub fn ldm_lo<S: Arm>(s: &S, rn: u8, list: i64) -> Flow<S> {
    ldm(s, rn, list, 1)
}

/// LDM with PC.
#[inline(always)]
pub fn ldm_pc<S: Arm>(s: &S, rn: u8, list: i64, writeback: u8) -> Flow<S> {
    let target = load_many(s, rn, s.r(rn), offset(s, rn, size(list)), list, writeback)?;
    s.exchange(target, false)
}

/// LDMDB without PC.
#[inline(always)]
pub fn ldmdb<S: Arm>(s: &S, rn: u8, list: i64, writeback: u8) -> Flow<S> {
    let addr = offset(s, rn, -size(list));
    load_many(s, rn, addr, addr, list, writeback)?;
    s.fall()
}

/// LDMDB with PC.
#[inline(always)]
pub fn ldmdb_pc<S: Arm>(s: &S, rn: u8, list: i64, writeback: u8) -> Flow<S> {
    let addr = offset(s, rn, -size(list));
    let target = load_many(s, rn, addr, addr, list, writeback)?;
    s.exchange(target, false)
}
