//! A lithium cell's charge from its voltage.

/// Open-circuit voltage in mV and what it leaves, in percent: typical of a small 3.7 V cell at rest.
const CURVE: [(u32, u32); 8] =
    [(3450, 0), (3600, 4), (3700, 18), (3770, 45), (3850, 60), (3980, 80), (4080, 92), (4180, 100)];

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
