//! Running other programs.

use crate::Result;
use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A command with the administrator's folders on its path: depmod, mkfs.ext4 and debugfs live there, and an
/// ordinary user's PATH often lacks them.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(OsString::from(":/usr/sbin:/sbin"));
    command.env("PATH", path).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a command with its output shown.
pub fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|e| missing(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", line(command)).into()) }
}

/// Runs a command and returns its standard output; its standard error becomes the message of a failure.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let out = command.stdin(Stdio::null()).output().map_err(|e| missing(command, &e))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let stderr = String::from_utf8_lossy(&out.stderr);
    Err(format!("`{}` failed ({})\n{}", line(command), out.status, stderr.trim_end()).into())
}

/// As [`output`], as text.
pub fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(output(command)?)?)
}

/// Whether a program is on the path.
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// Tries up to three times, with a pause between: registries answer badly for a moment now and then.
pub fn retry<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for pause in [3, 15] {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => eprintln!("{what}: {error}\n{what}: trying again in {pause} s"),
        }
        std::thread::sleep(Duration::from_secs(pause));
    }
    attempt()
}

fn missing(command: &Command, error: &std::io::Error) -> Box<dyn std::error::Error> {
    format!("cannot run `{}`: {error}; `cargo xtask setup` installs what the chores need", line(command))
        .into()
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
