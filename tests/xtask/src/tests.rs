//! `cargo xtask test`: everything that must pass, from a clean checkout to the test runner's summary.

use crate::process::{self, command};
use crate::{Result, files, guests, setup};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Runs the chore. The first section that fails ends it; within the tests, all of them run.
pub fn main(args: &[&str]) -> Result {
    if let Some(other) = args.first() {
        return Err(format!("test: no option `{other}`; it takes none").into());
    }
    let images = guests::root()?;
    section("setup", setup::main)?;
    section("guests", || guests::ensure(&images, false))?;
    section("fmt", || process::run(cargo("fmt").args(["--all", "--check"])))?;
    section("clippy", || {
        process::run(cargo("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    section("doc", || {
        let mut doc = cargo("doc");
        process::run(doc.args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    section("firmware", firmware)?;
    section("build", || process::run(cargo("build").args(["--release", "--package", "hyperemu"])))?;
    let ready = |mut command: Command| {
        command.env("HYPEREMU_BIN", target().join("release/hyperemu")).env("HYPEREMU_GUESTS", &images);
        command
    };
    if process::output(cargo("nextest").arg("--version")).is_err() {
        // The plain runner takes the documentation's examples along.
        let mut test = ready(cargo("test"));
        return section("test", || process::run(test.args(["--workspace", "--no-fail-fast"])));
    }
    section("doc test", || {
        process::run(ready(cargo("test")).args(["--workspace", "--doc", "--no-fail-fast"]))
    })?;
    // Last, so that its summary ends the output.
    println!("== test");
    process::run(ready(cargo("nextest")).args(["run", "--workspace", "--no-fail-fast"]))
}

/// Checks the guest images that are committed: those embedded in the program, and those of the tests.
fn firmware() -> Result {
    ["firmware", "firmware/armm-tests"].into_iter().try_for_each(|folder| images(&workspace().join(folder)))
}

/// Rebuilds the images of a folder where this host has the compiler that built them; only that gives the same bytes.
fn images(folder: &Path) -> Result {
    let built_with = files::read(&folder.join("images/TOOLCHAIN"))?;
    let found = process::output(command("./build").arg("--toolchain").current_dir(folder));
    if found.is_ok_and(|found| found == built_with) {
        return process::run(command("./check").current_dir(folder));
    }
    println!(
        "the images of {} were built with another compiler than this host's: only their hashes are checked",
        folder.display()
    );
    process::run(
        command("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(folder.join("images")),
    )
}

/// Runs one section under a heading, and says how long it took.
fn section(name: &str, body: impl FnOnce() -> Result) -> Result {
    println!("== {name}");
    let start = Instant::now();
    body().map_err(|error| format!("{name}: {error}"))?;
    println!("== {name}: passed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn target() -> PathBuf {
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn cargo(subcommand: &str) -> Command {
    let mut cargo = command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.arg(subcommand).current_dir(workspace());
    cargo
}
