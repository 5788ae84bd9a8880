//! What surrounds an operation: rounding direction, the architecture's rules, the sticky flags.

use bitflags::bitflags;

bitflags! {
    /// Exceptions, in the layout of RISC-V's `fflags`, with ARM's input-denormal flag above it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u8 {
        /// Inexact.
        const NX = 1;
        /// Underflow: tiny and inexact (or, flushed to zero).
        const UF = 2;
        /// Overflow.
        const OF = 4;
        /// Division by zero.
        const DZ = 8;
        /// Invalid operation.
        const NV = 16;
        /// A subnormal operand was flushed to zero (ARM's IDC); never raised on RISC-V.
        const ID = 32;
    }
}

/// Rounding direction. The first five have RISC-V's `frm` numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Round {
    /// To nearest, ties to even (RNE).
    #[default]
    NearestEven = 0,
    /// Toward zero (RTZ).
    TowardZero = 1,
    /// Toward minus infinity (RDN).
    Down = 2,
    /// Toward plus infinity (RUP).
    Up = 3,
    /// To nearest, ties away from zero (RMM).
    NearestAway = 4,
    /// Toward zero, then the last bit is set if that was inexact: a result that may be rounded again to a
    /// format two bits shorter without harm (RISC-V's `vfncvt.rod`, ARM's `FCVTXN`).
    Odd = 5,
}

impl Round {
    /// Decodes RISC-V's `frm` or a static `rm` field: `None` for the reserved 5 and 6, and for 7 (dynamic).
    #[inline]
    pub const fn from_riscv(rm: u32) -> Option<Round> {
        match rm {
            0 => Some(Round::NearestEven),
            1 => Some(Round::TowardZero),
            2 => Some(Round::Down),
            3 => Some(Round::Up),
            4 => Some(Round::NearestAway),
            _ => None,
        }
    }

    /// Decodes ARM's `FPSCR.RMode` (modulo 4).
    #[inline]
    pub const fn from_arm(rmode: u32) -> Round {
        match rmode % 4 {
            0 => Round::NearestEven,
            1 => Round::Up,
            2 => Round::Down,
            _ => Round::TowardZero,
        }
    }
}

impl Flags {
    /// These flags where ARM's FPSCR (FPSR) has them: IOC, DZC, OFC, UFC, IXC in bits 0 to 4, IDC in bit 7.
    #[inline]
    pub const fn to_fpscr(self) -> u32 {
        let bits = self.bits() as u32;
        // The first five stand in the opposite order.
        (bits & 31).reverse_bits() >> 27 | (bits & 32) << 2
    }

    /// The flags in a value of ARM's FPSCR (FPSR).
    #[inline]
    pub const fn from_fpscr(fpscr: u32) -> Flags {
        Flags::from_bits_truncate(((fpscr & 31).reverse_bits() >> 27 | (fpscr >> 2 & 32)) as u8)
    }
}

/// Which NaN an operation returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NanRule {
    /// Always [`Format::DEFAULT_NAN`](crate::Format::DEFAULT_NAN) (RISC-V; ARM with FPCR.DN = 1).
    #[default]
    Default,
    /// ARM with FPCR.DN = 0: the first signalling operand, quieted; else the first quiet one. A fused multiply-add
    /// looks at the addend first.
    FirstSignalling,
}

/// When a result counts as tiny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tininess {
    /// After rounding as if the exponent were unbounded (RISC-V, x86).
    #[default]
    AfterRounding,
    /// The exact result lies below the smallest normal number (ARM).
    BeforeRounding,
}

/// What a conversion to an integer makes of a NaN; it raises NV either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NanToInt {
    /// The largest integer (RISC-V).
    #[default]
    Max,
    /// Zero (ARM).
    Zero,
}

/// The freedoms of IEEE 754, as an architecture uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Which NaN a result is.
    pub nan: NanRule,
    /// When underflow is detected.
    pub tininess: Tininess,
    /// What a NaN converts to.
    pub nan_to_int: NanToInt,
    /// Subnormal operands count as zero, with [`Flags::ID`] except in binary16 (ARM's FZ and FZ16).
    pub flush_inputs: bool,
    /// Results that are tiny before rounding become zero, with [`Flags::UF`] and without [`Flags::NX`].
    pub flush_outputs: bool,
    /// Conversions take and make ARM's alternative half precision in place of binary16: the largest exponent is one
    /// like the others, so that there are neither infinities nor NaNs.
    pub alternative_half: bool,
}

impl Rules {
    /// RISC-V F, D, Zfh, Zfa.
    pub const RISCV: Rules = Rules {
        nan: NanRule::Default,
        tininess: Tininess::AfterRounding,
        nan_to_int: NanToInt::Max,
        flush_inputs: false,
        flush_outputs: false,
        alternative_half: false,
    };
    /// ARM with FPCR.{AH, DN, FZ} = 0.
    pub const ARM: Rules = Rules {
        nan: NanRule::FirstSignalling,
        tininess: Tininess::BeforeRounding,
        nan_to_int: NanToInt::Zero,
        flush_inputs: false,
        flush_outputs: false,
        alternative_half: false,
    };
    /// ARM's "standard FPSCR": default NaN and flush to zero, as AArch32 Advanced SIMD always has.
    pub const ARM_STANDARD: Rules =
        Rules { nan: NanRule::Default, flush_inputs: true, flush_outputs: true, ..Rules::ARM };

    /// ARM as FPSCR (FPCR) has it in AHP, DN and FZ, bits 26 to 24. Not for arithmetic on binary16, which has a bit
    /// of its own for flushing.
    #[inline]
    pub const fn arm(fpscr: u32) -> Rules {
        let flush = fpscr >> 24 & 1 != 0;
        Rules {
            nan: if fpscr >> 25 & 1 != 0 { NanRule::Default } else { NanRule::FirstSignalling },
            flush_inputs: flush,
            flush_outputs: flush,
            alternative_half: fpscr >> 26 & 1 != 0,
            ..Rules::ARM
        }
    }
}

/// Rounding, rules and flags. Operations read the first two and add to the third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Env {
    /// Rounding direction.
    pub round: Round,
    /// Sticky flags: give the guest's current ones, since a set [`Flags::NX`] makes operations faster.
    pub flags: Flags,
    /// The architecture's rules.
    pub rules: Rules,
}

impl Env {
    /// RISC-V rules with this rounding direction and these flags to add to.
    #[inline]
    pub const fn riscv(round: Round, flags: Flags) -> Env {
        Env { round, flags, rules: Rules::RISCV }
    }

    /// ARM's rules and rounding direction (bits 22 and 23) in FPSCR (FPCR), and these flags to add to.
    #[inline]
    pub const fn arm(fpscr: u32, flags: Flags) -> Env {
        Env { round: Round::from_arm(fpscr >> 22), flags, rules: Rules::arm(fpscr) }
    }

    #[inline]
    pub(crate) fn raise(&mut self, flags: Flags) {
        self.flags = self.flags.union(flags);
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Round};

    #[test]
    fn fpscr_has_the_flags_in_its_order() {
        let order = [Flags::NV, Flags::DZ, Flags::OF, Flags::UF, Flags::NX];
        for (bit, flag) in order.into_iter().enumerate().chain([(7, Flags::ID)]) {
            assert_eq!((flag.to_fpscr(), Flags::from_fpscr(1 << bit)), (1 << bit, flag));
        }
        assert_eq!(Flags::from_fpscr(!0x9f), Flags::empty());
    }

    #[test]
    fn riscv_rounding_modes() {
        for rm in 0..5 {
            assert_eq!(Round::from_riscv(rm).map(|r| r as u32), Some(rm));
        }
        assert!((5..9).all(|rm| Round::from_riscv(rm).is_none()));
    }
}
