//! Programs that tests compare with.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first of these programs on the path. A test that lacks its peer proves nothing, so it fails.
///
/// # Panics
/// When none is there; the message tells the Debian package.
pub fn require_tool(names: &[&str], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names.iter().find_map(|name| {
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|candidate| candidate.is_file())
    });
    found.unwrap_or_else(|| {
        panic!(
            "this test compares with `{}`: run `cargo xtask setup` or `apt-get install {package}`",
            names[0]
        )
    })
}

/// Output of a program that must succeed.
///
/// # Panics
/// When it cannot be started or fails, with what it wrote to its error output.
pub fn output(command: &mut Command) -> Vec<u8> {
    let out = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub struct ScratchFile(pub PathBuf);

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A temporary file with this content; `purpose` is the end of its name.
pub fn scratch_file(purpose: &str, content: &[u8]) -> ScratchFile {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("hyperemu-{}-{number}-{purpose}", std::process::id()));
    std::fs::write(&file, content).expect("a temporary file");
    ScratchFile(file)
}
