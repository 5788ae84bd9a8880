//! The types of `<stdint.h>` that SoftFloat's interface uses, as x86-64 Linux has them.
#![no_std]
#![allow(non_camel_case_types, missing_docs)]

pub type uint_fast8_t = u8;
pub type int_fast64_t = i64;
pub type uint_fast64_t = u64;
#[cfg(target_env = "musl")]
pub type int_fast32_t = i32;
#[cfg(target_env = "musl")]
pub type uint_fast32_t = u32;
#[cfg(not(target_env = "musl"))]
pub type int_fast32_t = i64;
#[cfg(not(target_env = "musl"))]
pub type uint_fast32_t = u64;
