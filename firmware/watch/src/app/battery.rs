//! A lithium cell's charge from its voltage.

/// Voltage in mV and what is left at it, in percent: of the PineTime's cell, at the watch's small load.
const CURVE: [(u32, u32); 6] = [(3500, 0), (3616, 3), (3723, 22), (3776, 48), (3979, 79), (4180, 100)];

/// Charge in percent.
#[must_use]
pub fn percent(millivolts: u32) -> u32 {
    let above = CURVE.iter().position(|p| p.0 > millivolts);
    match above {
        Some(0) => 0,
        Some(i) => {
            let ((v0, p0), (v1, p1)) = (CURVE[i - 1], CURVE[i]);
            p0 + ((millivolts - v0) * (p1 - p0) + (v1 - v0) / 2) / (v1 - v0)
        }
        None => 100,
    }
}
