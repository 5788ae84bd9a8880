//! The code that all blocks share: the way in, the ways out, and calls of helpers.
//!
//! Where a helper fails, the block is left with the state as it is before the instruction. Every place that may do so
//! says which instruction that is by a number in [`places::WHY`]: [`cpu_jit::site`].

use dynasm::dynasm;
use dynasmrt::DynasmApi;

use cpu_jit::helpers::{Helper, Helpers};
use cpu_jit::site::SOLE;

use crate::asm::{BIAS, Op, reg};
use crate::places::{self, ARG0, ARG1, PAGE, PC, Place, Places, WHY};
use crate::sink::{Bytes, Cc};

/// What the bits of MXCSR are without any flag: all exceptions masked, round to nearest even.
pub const MXCSR: i32 = 0x1f80;

/// How far down the host's stack guest calls may go; then the addresses to return to are forgotten.
const DEPTH: i32 = 64 << 10;

/// Reasons to leave, as [`places::WHY`] has them at the end.
pub const REASONS: [cpu_jit::Exit; 4] =
    [cpu_jit::Exit::Follow, cpu_jit::Exit::Lookup, cpu_jit::Exit::Interpret, cpu_jit::Exit::Budget];

/// Offsets of the shared code.
#[derive(Copy, Clone, Default, Debug)]
pub struct Trampolines {
    /// `extern "C" fn(frame + BIAS, guest, code)`.
    pub enter: usize,
    /// `eax`: offset in the page.
    pub follow: usize,
    /// `rcx`: the address.
    pub lookup: usize,
    /// `eax`: the number of a [`Site`](cpu_jit::site::Site).
    pub interpret: usize,
    /// `eax`: offset in the page.
    pub budget: usize,
    /// By width: 1, 2, 4, 8 bytes.
    pub load: [usize; 4],
    /// By width.
    pub store: [usize; 4],
    /// The others take their operation's number in [`places::CODE`].
    pub rmw: usize,
    /// See `rmw`.
    pub compare_exchange: usize,
    /// See `rmw`.
    pub call: usize,
    /// See `rmw`.
    pub float: usize,
    /// See `rmw`.
    pub pure: usize,
    /// Constants by [`Pool`].
    pub pool: [usize; 5],
}

/// Constants that code loads, 16 bytes each.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Pool {
    Nan64,
    Nan32,
    Sign64,
    Magnitude64,
    Box32,
}

/// The names of [`Pool`] in listings, in its order.
#[cfg(feature = "dump")]
pub const POOL_NAMES: [&str; 5] = ["nan64", "nan32", "sign64", "magnitude64", "box32"];
/// The values of [`Pool`], in its order.
const POOL: [u64; 5] = [0x7ff8 << 48, 0x7fc0_0000, 1 << 63, u64::MAX >> 1, 0xffff_ffff << 32];

/// Stores or loads what is pinned.
fn pins(b: &mut Bytes, places: &Places, load: bool) {
    for (slot, place) in places.pinned() {
        let home = places::home(slot);
        match (place, load) {
            (Place::Reg(r), true) => b.mov(r, Op::Home(home)),
            (Place::Reg(r), false) => b.mov_home(home, Op::Reg(r)),
            (Place::X(x), true) => b.load_x_home(x, home),
            (Place::X(x), false) => b.store_x_home(home, x),
            (Place::Memory, _) => {}
        }
    }
}

/// Leads the displacement at `field` to `target`.
fn lead(b: &mut Bytes, field: usize, target: usize) {
    let displacement = (target as i64 - (field as i64 + 4)) as i32;
    if let Some(bytes) = b.0.get_mut(field..field + 4) {
        bytes.copy_from_slice(&displacement.to_le_bytes());
    }
}

fn jmp(b: &mut Bytes, target: usize) {
    b.0.push(0xe9);
    b.push_i32(0);
    lead(b, b.0.len() - 4, target);
}

/// Emits the shared code, which will stand at `base`.
pub fn emit(b: &mut Bytes, places: &Places, helpers: &Helpers, base: u64) -> Trampolines {
    // Flags by the exception bits of MXCSR, at the very start: code inside of blocks looks them up too.
    debug_assert!(b.0.is_empty());
    let flags = base + b.0.len() as u64;
    b.0.extend((0..64).map(float_flags));
    // Where a guest goes that returns to -1, which stands on the host's stack where there is no address to return to.
    let nowhere = base + b.0.len() as u64;
    b.set(reg::RCX, if places.layout.address_bits == 32 { 0xffff_fffe } else { u64::MAX - 1 });
    jmp(b, 0);
    let nowhere_on = b.0.len() - 4;
    let mut t = Trampolines { enter: b.0.len(), ..Trampolines::default() };
    dynasm!(b ; .arch x64
        ; push rbp ; push rbx ; push r12 ; push r13 ; push r14 ; push r15
        ; sub rsp, BYTE 40
        ; mov rbp, rdi
        ; stmxcsr [rsp + 16]
        ; mov DWORD [rsp + 20], DWORD MXCSR
        ; ldmxcsr [rsp + 20]
        ; mov QWORD [rsp + 8], -1
        ; mov [DWORD rbp + places::STACK], rsp
        ; lea rax, [rsp - DEPTH]
        ; mov [DWORD rbp + places::STACK_END], rax
        ; mov [DWORD rbp + places::GUEST], rsi
    );
    b.set(reg::RAX, nowhere);
    dynasm!(b ; .arch x64 ; mov [rsp], rax);
    b.mov(reg::R15, Op::Home(places::REMAINING));
    pins(b, places, true);
    // As behind a jump by the cache: what was retired leads to `lookup`.
    b.mov(reg::RCX, Op::Home(PC));
    dynasm!(b ; .arch x64 ; jmp rdx);

    // The common way out, with pinned registers to store, and behind that.
    let exit = b.0.len();
    pins(b, places, false);
    let exit_stored = b.0.len();
    b.mov_home(places::REMAINING, Op::Reg(reg::R15));
    dynasm!(b ; .arch x64
        ; mov rsp, [DWORD rbp + places::STACK]
        ; stmxcsr [rsp + 20]
        ; mov eax, [rsp + 20]
        ; and eax, BYTE 0x3f
        ; ldmxcsr [rsp + 16]
        ; add rsp, BYTE 40
        ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbx ; pop rbp
        ; ret
    );

    let to_page = |b: &mut Bytes| {
        b.add(crate::asm::Size::Q, reg::RAX, Op::Home(PAGE));
        if places.layout.address_bits == 32 {
            b.mov32(reg::RAX, Op::Reg(reg::RAX));
        }
        b.mov_home(PC, Op::Reg(reg::RAX));
    };
    let because = |b: &mut Bytes, why: cpu_jit::Exit| {
        let number = REASONS.iter().position(|reason| *reason == why).unwrap_or(0);
        b.set_home32(WHY, number as u32);
    };
    t.follow = b.0.len();
    to_page(b);
    because(b, cpu_jit::Exit::Follow);
    jmp(b, exit);
    t.lookup = b.0.len();
    lead(b, nowhere_on, t.lookup);
    b.mov_home(PC, Op::Reg(reg::RCX));
    because(b, cpu_jit::Exit::Lookup);
    jmp(b, exit);
    t.budget = b.0.len();
    to_page(b);
    because(b, cpu_jit::Exit::Budget);
    jmp(b, exit);
    let described = |b: &mut Bytes, exit: usize| {
        dynasm!(b ; .arch x64 ; mov ecx, eax ; and ecx, DWORD 0xff ;
            add r15, rcx ; shr eax, BYTE 8 ; and eax, DWORD (SOLE >> 8) as i32 - 1);
        to_page(b);
        because(b, cpu_jit::Exit::Interpret);
        jmp(b, exit);
    };
    t.interpret = b.0.len();
    described(b, exit);
    let failed = b.0.len();
    b.mov32(reg::RAX, Op::Home(WHY));
    described(b, exit_stored);

    for (i, bytes) in [1, 2, 4, 8].into_iter().enumerate() {
        t.load[i] = call(b, places, failed, helpers.load, Some(bytes), Flags::Kept);
        t.store[i] = call(b, places, failed, helpers.store, Some(bytes), Flags::Kept);
    }
    t.rmw = call(b, places, failed, helpers.rmw, None, Flags::Untouched);
    t.compare_exchange = call(b, places, failed, helpers.compare_exchange, None, Flags::Untouched);
    t.call = call(b, places, failed, helpers.call, None, Flags::Given { table: flags });
    t.float = call(b, places, failed, helpers.float, None, Flags::Kept);
    t.pure = call(b, places, failed, helpers.pure, None, Flags::Kept);
    b.align(16, 0xcc);
    for (place, value) in t.pool.iter_mut().zip(POOL) {
        *place = b.0.len();
        b.push_i64(value as i64);
        b.push_i64(0);
    }
    t
}

/// What becomes of the exception bits in MXCSR at a call.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Flags {
    /// The helper has no floating-point arithmetic.
    Untouched,
    /// They are kept from the helper's own arithmetic, or a device's.
    Kept,
    /// They are handed to the helper, and are clear afterwards.
    Given {
        /// Where the table from exception bits to flags stands.
        table: u64,
    },
}

/// MXCSR's exception bits as `cpu_fp::Flags`.
pub fn float_flags(mxcsr: u32) -> u8 {
    let mut flags = 0;
    for (host, guest) in [(1, 16), (4, 8), (8, 4), (16, 2), (32, 1)] {
        if mxcsr & host != 0 {
            flags |= guest;
        }
    }
    flags
}

/// A call of a helper that changes no register; operands and result are in the frame.
fn call(
    b: &mut Bytes,
    places: &Places,
    failed: usize,
    helper: Helper,
    code: Option<i32>,
    flags: Flags,
) -> usize {
    b.align(16, 0xcc);
    let start = b.0.len();
    let temporaries = [reg::RAX, reg::RCX, reg::RDX];
    for (r, saved) in temporaries.into_iter().zip(places::SAVED) {
        b.mov_home(places::spill(saved), Op::Reg(r));
    }
    for (x, saved) in (0..).zip(places::SAVED_X) {
        b.store_x_home(places::spill(saved), x);
    }
    pins(b, places, false);
    b.mov_home(places::REMAINING, Op::Reg(reg::R15));
    dynasm!(b ; .arch x64 ; sub rsp, BYTE 8);
    if flags != Flags::Untouched {
        dynasm!(b ; .arch x64 ; stmxcsr [rsp]);
    }
    if let Flags::Given { table } = flags {
        dynasm!(b ; .arch x64 ; mov eax, [rsp] ; and eax, BYTE 0x3f);
        b.set(reg::RCX, table);
        dynasm!(b ; .arch x64 ; movzx eax, BYTE [rcx + rax] ; mov DWORD [rsp], DWORD MXCSR);
        b.mov_home(places::ARG2, Op::Reg(reg::RAX));
    }
    dynasm!(b ; .arch x64 ; mov rdi, [DWORD rbp + places::GUEST]);
    b.mov(reg::RSI, Op::Home(ARG0));
    b.mov(reg::RDX, Op::Home(ARG1));
    match code {
        Some(code) => b.set(reg::RCX, code as u64),
        None => b.mov(reg::RCX, Op::Home(places::spill(places::CODE))),
    }
    b.set(reg::RAX, helper as usize as u64);
    dynasm!(b ; .arch x64 ; call rax);
    if flags != Flags::Untouched {
        dynasm!(b ; .arch x64 ; ldmxcsr [rsp]);
    }
    dynasm!(b ; .arch x64 ; add rsp, BYTE 8 ; test edx, edx);
    b.0.extend([0x0f, 0x80 | Cc::E as u8]);
    b.push_i32(0);
    let field = b.0.len() - 4;
    lead(b, field, failed);
    b.mov_home(ARG0, Op::Reg(reg::RAX));
    pins(b, places, true);
    for (r, saved) in temporaries.into_iter().zip(places::SAVED) {
        b.mov(r, Op::Home(places::spill(saved)));
    }
    for (x, saved) in (0..).zip(places::SAVED_X) {
        b.load_x_home(x, places::spill(saved));
    }
    dynasm!(b ; .arch x64 ; ret);
    start
}

/// The address that [`Trampolines::enter`] takes for a frame.
pub fn biased(frame: &cpu_core::Frame) -> *const u8 {
    std::ptr::from_ref(frame).cast::<u8>().wrapping_add(BIAS)
}
