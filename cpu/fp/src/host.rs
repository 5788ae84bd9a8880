//! The fast path: the host's own operation, where result and flags provably equal the software's.

use crate::Env;
use crate::format::{Bf16, F16, F32, F64};

/// Host operations on a format; `None` sends the caller to software. Arguments and results are patterns of the format.
pub trait Host {
    #[doc(hidden)]
    #[inline]
    fn host_add(_: &mut Env, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[doc(hidden)]
    #[inline]
    fn host_mul(_: &mut Env, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[doc(hidden)]
    #[inline]
    fn host_mul_add(_: &mut Env, _: u64, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[doc(hidden)]
    #[inline]
    fn host_div(_: &mut Env, _: u64, _: u64) -> Option<u64> {
        None
    }
    #[doc(hidden)]
    #[inline]
    fn host_sqrt(_: &mut Env, _: u64) -> Option<u64> {
        None
    }
}

impl Host for F16 {}
impl Host for Bf16 {}
impl Host for F32 {}
impl Host for F64 {}
