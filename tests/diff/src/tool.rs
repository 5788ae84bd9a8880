//! Programs that tests compare with.

use std::path::PathBuf;
use std::process::Command;

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
