//! Power in dBm and path loss, by operations that give the same on every host.

/// 10 to the (n / 10).
const TENTHS: [f64; 10] = [
    1.0,
    1.258_925_411_794_167_2,
    1.584_893_192_461_113_5,
    1.995_262_314_968_879_5,
    2.511_886_431_509_58,
    3.162_277_660_168_379_5,
    3.981_071_705_534_972_5,
    5.011_872_336_272_722,
    6.309_573_444_801_932,
    7.943_282_347_242_815,
];

/// The ratio of `db` decibels.
pub fn ratio(db: i32) -> f64 {
    let db = db.clamp(-1000, 1000);
    let mut ratio = TENTHS[db.rem_euclid(10) as usize];
    for _ in 0..db.div_euclid(10).abs() {
        ratio = if db < 0 { ratio / 10.0 } else { ratio * 10.0 };
    }
    ratio
}

/// The decibels of a ratio, rounded down; at least -300.
pub fn decibels(ratio: f64) -> i32 {
    if ratio.is_nan() || ratio <= 1e-30 {
        return -300;
    }
    let (mut rest, mut db) = (ratio.min(1e30), 0);
    while rest >= 10.0 {
        (rest, db) = (rest / 10.0, db + 10);
    }
    while rest < 1.0 {
        (rest, db) = (rest * 10.0, db - 10);
    }
    db + TENTHS.iter().rposition(|tenth| *tenth <= rest).unwrap_or(0) as i32
}

/// Loss in decibels between two places (in millimetres) in free space at 2.4 GHz: 40 dB at a metre, 20 dB for every
/// ten times of that, none below 10 mm.
pub fn path_loss(a: [i32; 3], b: [i32; 3]) -> i32 {
    let square: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(b)).map(|d| d * d).sum();
    40 + decibels(square.max(100.0) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_and_ratios_are_inverse() {
        for db in -200..200 {
            assert_eq!(decibels(ratio(db) * 1.000_001), db);
            assert!((ratio(db) - 10f64.powf(f64::from(db) / 10.0)).abs() < ratio(db) * 1e-12);
        }
        assert_eq!((decibels(0.0), decibels(f64::NAN), decibels(f64::INFINITY)), (-300, -300, 300));
    }

    #[test]
    fn loss_in_free_space() {
        let loss = |mm| path_loss([0; 3], [mm, 0, 0]);
        assert_eq!([0, 10, 1000, 10_000, 20_000].map(loss), [0, 0, 40, 60, 66]);
        path_loss([i32::MIN; 3], [i32::MAX; 3]);
    }
}
