//! Whole-machine tests with real guests: a harness that runs the program as its users do, by its command line.
//!
//! The tests need the guest images of `cargo xtask guests` and a release build of the program
//! (`cargo build --release -p hyperemu`, or `HYPEREMU_BIN`); `cargo xtask test` makes both.

mod display;
mod emulator;
pub mod golden;
mod screen;
mod server;

pub use display::Display;
pub use emulator::{Emulator, Outcome, Session};
pub use screen::Screen;
pub use server::serve;

use std::path::{Path, PathBuf};

/// A guest image by its path in the cache, as `linux-riscv64/Image`.
///
/// # Panics
///
/// Where the image is missing: a test without its guest must not pass.
pub fn guest(path: &str) -> PathBuf {
    let from = |name: &str, rest: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some(Path::new(&value).join(rest))
    };
    let root = from("HYPEREMU_GUESTS", "")
        .or_else(|| from("XDG_CACHE_HOME", "hyperemu/guests"))
        .or_else(|| from("HOME", ".cache/hyperemu/guests"))
        .expect("HYPEREMU_GUESTS, XDG_CACHE_HOME or HOME is set");
    let image = root.join(path);
    assert!(image.exists(), "{} is missing: run `cargo xtask guests`", image.display());
    image
}
