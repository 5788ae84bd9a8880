//! What compiled code calls: the guest's own functions behind plain addresses.
#![allow(unsafe_code)]

use cpu_core::tlb::Stamp;
use cpu_core::{FloatFormat, FloatOp, Frame, Rmw, Rounding, Width};
use cpu_fp::Round;

use crate::site::Site;

/// A guest as compiled code needs it. Nothing here may raise an exception, change code that may be running, or, but for
/// [`Quick::device_load`] and [`Quick::device_store`], reach a device: what would is answered by `None` (or false), without effect, and
/// the interpreter runs the instruction.
pub trait Quick {
    /// Where its registers are.
    fn frame(&self) -> &Frame;
    /// Loads from memory, zero-extended.
    fn quick_load(&self, addr: u64, width: Width) -> Option<u64>;
    /// Stores to memory.
    fn quick_store(&self, addr: u64, width: Width, value: u64) -> bool;
    /// Loads from a device, after `done` instructions since compiled code was entered; [`Frame::pc`] is set. `None` without effect,
    /// or with the access done where the interpreter, which runs the instruction next, finds it ([`cpu_core::BusScope::read_ahead`]).
    fn device_load(&self, addr: u64, width: Width, done: u64) -> Option<u64>;
    /// Stores to a device, as [`Quick::device_load`].
    fn device_store(&self, addr: u64, width: Width, value: u64, done: u64) -> bool;
    /// Reads, changes and writes memory; gives the old value, sign-extended.
    fn quick_rmw(&self, op: Rmw, addr: u64, width: Width, value: u64) -> Option<u64>;
    /// Compares and swaps; gives the old value, sign-extended.
    fn quick_compare_exchange(&self, addr: u64, width: Width, expected: u64, new: u64) -> Option<u64>;
    /// Runs an operation of the instruction set by its number.
    fn quick_call(&self, number: u64, args: [u64; 2]) -> Option<u64>;
    /// A floating-point operation, with its flags.
    fn quick_float(&self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [u64; 3]) -> u64;
    /// Adds floating-point flags (as `cpu_fp::Flags`).
    fn raise_float_flags(&self, flags: u8);
}

/// A value, and whether there is one.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub struct Answer {
    /// The value.
    pub value: u64,
    /// Not zero if it is one.
    pub ok: u64,
}

const FLOAT_OPS: [FloatOp; 33] = [
    FloatOp::Add,
    FloatOp::Sub,
    FloatOp::Mul,
    FloatOp::Div,
    FloatOp::Sqrt,
    FloatOp::MulAdd,
    FloatOp::MinNum,
    FloatOp::MaxNum,
    FloatOp::Minimum,
    FloatOp::Maximum,
    FloatOp::Eq,
    FloatOp::Lt,
    FloatOp::Le,
    FloatOp::LtQuiet,
    FloatOp::LeQuiet,
    FloatOp::Classify,
    FloatOp::ToI16,
    FloatOp::ToU16,
    FloatOp::ToI32,
    FloatOp::ToU32,
    FloatOp::ToI64,
    FloatOp::ToU64,
    FloatOp::ToI32Modular,
    FloatOp::FromI32,
    FloatOp::FromU32,
    FloatOp::FromI64,
    FloatOp::FromU64,
    FloatOp::Round { signal_inexact: false },
    FloatOp::Round { signal_inexact: true },
    FloatOp::Convert(FloatFormat::F16),
    FloatOp::Convert(FloatFormat::Bf16),
    FloatOp::Convert(FloatFormat::F32),
    FloatOp::Convert(FloatFormat::F64),
];
const FORMATS: [FloatFormat; 4] = [FloatFormat::F16, FloatFormat::Bf16, FloatFormat::F32, FloatFormat::F64];
const ROUNDINGS: [Rounding; 7] = [
    Rounding::Dynamic,
    Rounding::Static(Round::NearestEven),
    Rounding::Static(Round::TowardZero),
    Rounding::Static(Round::Down),
    Rounding::Static(Round::Up),
    Rounding::Static(Round::NearestAway),
    Rounding::Static(Round::Odd),
];

fn position<T: PartialEq>(list: &[T], item: T) -> u64 {
    list.iter().position(|known| *known == item).unwrap_or(0) as u64
}

/// The number of a floating-point operation.
pub fn float_code(op: FloatOp, format: FloatFormat, rounding: Rounding) -> u64 {
    position(&FLOAT_OPS, op) | position(&FORMATS, format) << 8 | position(&ROUNDINGS, rounding) << 16
}

fn float_of(code: u64) -> (FloatOp, FloatFormat, Rounding) {
    let at = |shift: u32| (code >> shift & 0xff) as usize;
    (
        FLOAT_OPS.get(at(0)).copied().unwrap_or(FloatOp::Add),
        FORMATS.get(at(8)).copied().unwrap_or(FloatFormat::F64),
        ROUNDINGS.get(at(16)).copied().unwrap_or(Rounding::Dynamic),
    )
}

/// A function that compiled code calls: guest, then operands.
pub type Helper = unsafe extern "C" fn(*const (), u64, u64, u64) -> Answer;

/// The functions for one type of guest.
#[derive(Copy, Clone, Debug)]
pub struct Helpers {
    /// Operands: address, -, width in bytes.
    pub load: Helper,
    /// Operands: address, value, width.
    pub store: Helper,
    /// Operands: address, value, width with the operation's number (see [`rmw_code`]) in bits 8 and up.
    pub rmw: Helper,
    /// Operands: address, expected, width; the new value is in [`Frame::exit`]\[3\].
    pub compare_exchange: Helper,
    /// Operands: two arguments, number; floating-point flags (as `cpu_fp::Flags`) that were raised and that the guest does
    /// not have yet are in [`Frame::exit`]\[3\].
    pub call: Helper,
    /// Operands: two arguments, [`float_code`]; the third argument is in [`Frame::exit`]\[3\].
    pub float: Helper,
    /// Operands: two arguments, address of a `fn(u64, u64) -> u64`. The same for all guests.
    pub pure: Helper,
}

const RMW: [Rmw; 9] =
    [Rmw::Swap, Rmw::Add, Rmw::Xor, Rmw::And, Rmw::Or, Rmw::Min, Rmw::Max, Rmw::Minu, Rmw::Maxu];

/// The number of an operation.
pub fn rmw_code(op: Rmw) -> u64 {
    position(&RMW, op)
}

impl Helpers {
    /// The functions for guests of type `G`.
    pub fn of<G: Quick>() -> Helpers {
        Helpers {
            load: load::<G>,
            store: store::<G>,
            rmw: rmw::<G>,
            compare_exchange: compare_exchange::<G>,
            call: call::<G>,
            float: float::<G>,
            pure: pure::<G>,
        }
    }
}

fn answer(value: Option<u64>) -> Answer {
    Answer { value: value.unwrap_or(0), ok: value.is_some() as u64 }
}

/// # Safety
///
/// `guest` is the pointer that [`crate::Engine::run`] made of a `&G` that is still borrowed.
unsafe fn guest<'a, G>(guest: *const ()) -> &'a G {
    // SAFETY: the caller's promise; `Helpers::of::<G>` and the engine for `G` keep the types together.
    unsafe { &*guest.cast::<G>() }
}

fn width(code: u64) -> Width {
    Width::from_bytes(code & 0xff).unwrap_or(Width::B8)
}

/// How many instructions have run before one that may access a device, if it may; `stamp` is from before it began.
fn done_at_device<G: Quick>(g: &G, stamp: Stamp) -> Option<u64> {
    let frame = g.frame();
    let site = Site::caller(frame);
    if !site.sole || stamp != frame.tlb.stamp() {
        return None;
    }
    frame.pc.set(frame.page.get() + site.offset as u64);
    Some(site.done(frame))
}

macro_rules! helper {
    ($($name:ident($guest:ident, $a:ident, $b:ident, $code:ident) = $value:expr;)*) => {$(
        unsafe extern "C" fn $name<G: Quick>(pointer: *const (), $a: u64, $b: u64, $code: u64) -> Answer {
            // SAFETY: compiled code passes on the pointer that it was entered with.
            let $guest = unsafe { guest::<G>(pointer) };
            $value
        }
    )*};
}

helper! {
    load(g, addr, _b, code) = {
        let stamp = g.frame().tlb.stamp();
        let value = g.quick_load(addr, width(code));
        let value = value.or_else(|| g.device_load(addr, width(code), done_at_device(g, stamp)?));
        g.frame().tlb.warm(addr);
        answer(value)
    };
    store(g, addr, value, code) = {
        let stamp = g.frame().tlb.stamp();
        let stores = g.quick_store(addr, width(code), value)
            || done_at_device(g, stamp).is_some_and(|done| g.device_store(addr, width(code), value, done));
        Answer { value: 0, ok: stores as u64 }
    };
    rmw(g, addr, value, code) = {
        let op = RMW.get((code >> 8) as usize).copied().unwrap_or(Rmw::Swap);
        answer(g.quick_rmw(op, addr, width(code), value))
    };
    compare_exchange(g, addr, expected, code) = {
        let new = g.frame().exit[3].get();
        answer(g.quick_compare_exchange(addr, width(code), expected, new))
    };
    call(g, a, b, number) = {
        g.raise_float_flags(g.frame().exit[3].get() as u8);
        answer(g.quick_call(number, [a, b]))
    };
    float(g, a, b, what) = {
        let c = g.frame().exit[3].get();
        let (op, format, rounding) = float_of(what);
        Answer { value: g.quick_float(op, format, rounding, [a, b, c]), ok: 1 }
    };
    pure(_g, a, b, function) = {
        // SAFETY: the back end passes what `Node::Pure` holds.
        let function = unsafe { std::mem::transmute::<usize, fn(u64, u64) -> u64>(function as usize) };
        Answer { value: function(a, b), ok: 1 }
    };
}
