//! IEEE 754 arithmetic with exact results and flags for every rounding mode.
//!
//! Every operation is a free function, generic over a [`Format`] ([`F16`], [`Bf16`], [`F32`], [`F64`]), that takes
//! and returns raw bit patterns (`u16`, `u32`, `u64`) and an [`Env`]: the rounding direction, the [`Rules`] of
//! the guest architecture, and the sticky [`Flags`], into which the operation ors what it raises.
//!
//! ```
//! use cpu_fp::{Env, F64, Flags, Round};
//! let mut env = Env::riscv(Round::NearestEven, Flags::empty());
//! let third = cpu_fp::div::<F64>(&mut env, 1f64.to_bits(), 3f64.to_bits());
//! assert_eq!((third, env.flags), ((1f64 / 3.0).to_bits(), Flags::NX));
//! ```
//!
//! The model of computation is the usual one: unpack to sign, exponent and a 64-bit normalised significand, compute
//! with a sticky last bit, round once ([`soft`]). In front of it stands a fast path on the host's own
//! floating-point operations for the common case; it decides from operands and result alone that the
//! answer and the flags are the ones that the software would give, so that which path ran is never visible. It relies on
//! the host's default environment (nearest-even, no flush to zero), which is what Rust guarantees to find: code that
//! changes it (compiled guest code, say) restores it before it calls in here.
//!
//! Follows IEEE 754-2019; the RISC-V rules are those of the unprivileged specification's chapters F, D, Zfh and Zfa,
//! the ARM rules those of the FP pseudocode of the ARM ARM (`FPUnpack`, `FPProcessNaNs`, `FPRound`).
//! Left out: decimal formats, binary128, traps, remainder.

#![cfg_attr(not(feature = "std"), no_std)]

mod compare;
mod convert;
mod env;
mod format;
mod host;
mod integer;
mod ops;
mod round;
pub mod soft;
mod zfa;

pub use compare::{classify, eq, eq_signaling, le, le_quiet, lt, lt_quiet};
pub use compare::{max_num, maximum, min_num, minimum};
pub use convert::convert;
pub use env::{Env, Flags, NanRule, NanToInt, Round, Rules, Tininess};
pub use format::{Bf16, F16, F32, F64, Format};
pub use integer::{from_i32, from_i64, from_u32, from_u64};
pub use integer::{round_to_integral, to_i16, to_i32, to_i32_modular, to_i64, to_u16, to_u32, to_u64};
pub use ops::{add, div, mul, mul_add, sqrt, sub};
pub use zfa::fli;
