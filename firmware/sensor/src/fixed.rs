//! Decimal numbers without floating point.

use core::fmt;

/// `value` in units of ten to the power of minus `decimals`.
pub struct Fixed {
    pub value: i32,
    pub decimals: u32,
}

/// Shorthand for [`Fixed`].
pub const fn fixed(value: i32, decimals: u32) -> Fixed {
    Fixed { value, decimals }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let unit = 10u32.pow(self.decimals);
        let size = self.value.unsigned_abs();
        let sign = if self.value < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:0width$}", size / unit, size % unit, width = self.decimals as usize)
    }
}
