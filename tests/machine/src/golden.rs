//! Pictures that were looked at once, and are to stay as they were.

use crate::Screen;
use std::path::Path;

/// Checks that a screenshot is the picture `NAME.png` in `folder`, pixel by pixel.
///
/// With `UPDATE_GOLDEN` set, it becomes that picture. Otherwise one that is missing or differs is left beside it as
/// `NAME.actual.png`, with `NAME.diff.png`: where they differ in red, over the expected picture in grey.
///
/// # Panics
///
/// When the picture is missing or differs.
#[track_caller]
pub fn check(folder: &Path, name: &str, screenshot: &Path) {
    let beside = |kind: &str| folder.join(format!("{name}{kind}.png"));
    let (golden, actual) = (beside(""), beside(".actual"));
    let copy = |to: &Path| {
        std::fs::copy(screenshot, to).unwrap_or_else(|e| panic!("cannot write {}: {e}", to.display()));
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return copy(&golden);
    }
    if !golden.exists() {
        copy(&actual);
        panic!("{} is missing; look at {}", golden.display(), actual.display());
    }
    let (expected, found) = (Screen::read(&golden), Screen::read(screenshot));
    if (expected.width, expected.height) != (found.width, found.height) {
        copy(&actual);
        panic!("{name} is {} by {} pixels, not those of {}", found.width, found.height, golden.display());
    }
    let different = expected.pixels.iter().zip(&found.pixels).filter(|(a, b)| a != b).count();
    if different != 0 {
        copy(&actual);
        let mark = |(a, b): (&[u8; 3], &[u8; 3])| if a == b { [a[1] / 2; 3] } else { [255, 0, 0] };
        let pixels = expected.pixels.iter().zip(&found.pixels).map(mark).collect();
        Screen { width: expected.width, height: expected.height, pixels }.write(&beside(".diff"));
        panic!("{different} pixels differ from {}; see the pictures beside it", golden.display());
    }
}
