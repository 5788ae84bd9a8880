//! Registers as data.
//!
//! [`register_bank!`](crate::register_bank) declares the registers of a block: offset, name, access, the bits that
//! software can write, the value after reset, and the fields. [`Bank`] keeps their values and gives decoding, masked
//! access, reset, inspection and save/restore. A model handles the registers with side effects by name and leaves the
//! others to the bank.
//!
//! ```
//! use devices_core::{register_bank, regs::Bank};
//!
//! register_bank! {
//!     /// A timer.
//!     pub enum Timer {
//!         /// Ticks until the alarm.
//!         Load   = 0x00, rw(0x0000_ffff), reset 0xffff;
//!         /// Ticks now.
//!         Value  = 0x04, ro, reset 0xffff;
//!         /// The alarm went off; write one to clear.
//!         Status = 0x08, w1c(0x1), reset 0, { alarm: 0 };
//!         Control = 0x0c, rw(0x3), reset 0, { enable: 0, mode: 1 .. 2 };
//!     }
//! }
//!
//! let mut bank = Bank::<Timer>::default();
//! assert_eq!(bank.at(0x0c), Some(Timer::Control));
//! bank.write(Timer::Load, 0xffff_1234);
//! assert_eq!(bank[Timer::Load], 0x1234);
//! bank[Timer::Status] = 1;
//! bank.write(Timer::Status, 1);
//! assert_eq!(bank.read(Timer::Status), 0);
//! ```

use crate::device::Field;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// What software can do to a register.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Read; written in the bits of the mask.
    ReadWrite,
    /// Writes are ignored.
    ReadOnly,
    /// Reads as zero.
    WriteOnly,
    /// Writing one to a bit of the mask clears it.
    WriteOneToClear,
    /// Writing one to a bit of the mask sets it.
    WriteOneToSet,
}

/// A field of a register.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FieldInfo {
    /// Its name in the document.
    pub name: &'static str,
    /// Lowest bit.
    pub low: u32,
    /// One past the highest bit.
    pub end: u32,
}

/// A register.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RegisterInfo {
    /// Its name in the document.
    pub name: &'static str,
    /// Bytes from the start of the block.
    pub offset: u64,
    /// Access.
    pub mode: Mode,
    /// The bits that a write changes.
    pub mask: u32,
    /// After reset.
    pub reset: u32,
    /// Its fields.
    pub fields: &'static [FieldInfo],
}

/// Implemented by [`register_bank!`](crate::register_bank).
pub trait Registers: Copy + 'static {
    /// All registers, by offset.
    const INFO: &'static [RegisterInfo];
    /// All registers, in the order of `INFO`.
    const ALL: &'static [Self];
    /// Position in `INFO`.
    fn index(self) -> usize;
}

/// The values of the registers of a block, 32 bits each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bank<R> {
    values: Box<[u32]>,
    registers: PhantomData<R>,
}

impl<R: Registers> Default for Bank<R> {
    fn default() -> Self {
        Bank { values: R::INFO.iter().map(|info| info.reset).collect(), registers: PhantomData }
    }
}

impl<R: Registers> Bank<R> {
    /// The register at `offset`, if there is one.
    pub fn at(&self, offset: u64) -> Option<R> {
        R::INFO.binary_search_by_key(&offset, |info| info.offset).ok().map(|index| R::ALL[index])
    }

    /// What software reads.
    pub fn read(&self, register: R) -> u32 {
        match R::INFO[register.index()].mode {
            Mode::WriteOnly => 0,
            _ => self[register],
        }
    }

    /// What a write by software does to the value; returns the value before.
    pub fn write(&mut self, register: R, value: u32) -> u32 {
        let info = &R::INFO[register.index()];
        let before = self[register];
        self[register] = match info.mode {
            Mode::ReadOnly => before,
            Mode::ReadWrite | Mode::WriteOnly => before & !info.mask | value & info.mask,
            Mode::WriteOneToClear => before & !(value & info.mask),
            Mode::WriteOneToSet => before | value & info.mask,
        };
        before
    }

    /// All registers with their fields, for a human.
    pub fn inspect(&self) -> Vec<Field> {
        let show = |(info, value): (&RegisterInfo, &u32)| {
            let mut text = format!("{value:#010x}");
            for field in info.fields {
                let bits = (u64::from(*value) >> field.low) & ((1u64 << (field.end - field.low)) - 1);
                text += &format!(" {}={bits:#x}", field.name);
            }
            Field { name: info.name.to_string(), value: text }
        };
        R::INFO.iter().zip(self.values.iter()).map(show).collect()
    }
}

impl<R: Registers> Index<R> for Bank<R> {
    type Output = u32;
    fn index(&self, register: R) -> &u32 {
        &self.values[register.index()]
    }
}

impl<R: Registers> IndexMut<R> for Bank<R> {
    fn index_mut(&mut self, register: R) -> &mut u32 {
        &mut self.values[register.index()]
    }
}

impl<R: Registers> Serialize for Bank<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

impl<'de, R: Registers> Deserialize<'de> for Bank<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Box::<[u32]>::deserialize(deserializer)?;
        if values.len() != R::INFO.len() {
            return Err(D::Error::custom(format!("{} registers, not {}", values.len(), R::INFO.len())));
        }
        Ok(Bank { values, registers: PhantomData })
    }
}

/// Declares the registers of a block; see [`crate::regs`]. Registers stand by ascending offset (checked at compile
/// time). Access is `rw(mask)`, `ro`, `wo(mask)`, `w1c(mask)` or `w1s(mask)`; a field is `name: bit` or
/// `name: low .. end`.
#[macro_export]
macro_rules! register_bank {
    (
        $(#[$meta:meta])*
        $vis:vis enum $bank:ident {
            $( $(#[$doc:meta])* $name:ident = $offset:expr, $mode:ident $(($mask:expr))?, reset $reset:expr
               $(, { $($field:ident : $low:literal $(.. $end:literal)?),* $(,)? })? ; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        $vis enum $bank { $( $(#[$doc])* #[allow(missing_docs)] $name ),* }

        impl $crate::regs::Registers for $bank {
            const INFO: &'static [$crate::regs::RegisterInfo] = &[ $( $crate::regs::RegisterInfo {
                name: stringify!($name),
                offset: $offset,
                mode: $crate::register_bank!(@mode $mode),
                mask: 0 $(| $mask)?,
                reset: $reset,
                fields: &[ $($( $crate::regs::FieldInfo {
                    name: stringify!($field), low: $low, end: $crate::register_bank!(@end $low $($end)?),
                } ),*)? ],
            } ),* ];
            const ALL: &'static [$bank] = &[ $( $bank::$name ),* ];
            fn index(self) -> usize { self as usize }
        }

        const _: () = {
            let info = <$bank as $crate::regs::Registers>::INFO;
            let mut i = 1;
            while i < info.len() {
                assert!(info[i - 1].offset < info[i].offset, "registers must stand by ascending offset");
                i += 1;
            }
        };
    };
    (@mode rw) => { $crate::regs::Mode::ReadWrite };
    (@mode ro) => { $crate::regs::Mode::ReadOnly };
    (@mode wo) => { $crate::regs::Mode::WriteOnly };
    (@mode w1c) => { $crate::regs::Mode::WriteOneToClear };
    (@mode w1s) => { $crate::regs::Mode::WriteOneToSet };
    (@end $low:literal) => { $low + 1 };
    (@end $low:literal $end:literal) => { $end };
}

#[cfg(test)]
mod tests {
    use super::*;

    register_bank! {
        enum Block {
            A = 0x0, rw(0xff), reset 0x12, { low: 0 .. 4, high: 4 .. 8 };
            B = 0x8, wo(u32::MAX), reset 0;
            C = 0x10, w1s(0xf0), reset 0;
        }
    }

    #[test]
    fn access_follows_the_declaration() {
        let mut bank = Bank::<Block>::default();
        assert_eq!(bank.at(4), None);
        assert_eq!(bank.write(Block::A, 0xabc), 0x12);
        assert_eq!(bank.read(Block::A), 0xbc);
        bank.write(Block::B, 7);
        assert_eq!((bank.read(Block::B), bank[Block::B]), (0, 7));
        bank.write(Block::C, 0x11);
        bank.write(Block::C, 0x20);
        assert_eq!(bank.read(Block::C), 0x30);
        assert_eq!(bank.inspect()[0].value, "0x000000bc low=0xc high=0xb");
    }

    #[test]
    fn state_of_another_shape_is_refused() {
        let bytes = crate::state::encode(&Bank::<Block>::default());
        assert!(crate::state::decode::<Bank<Block>>(&bytes).is_ok());
        assert!(crate::state::decode::<Bank<Block>>(&crate::state::encode(&vec![1u32])).is_err());
    }
}
