//! Chores: `cargo xtask`.

mod apt;
mod bench;
mod cpio;
mod files;
mod guests;
mod initramfs;
mod manifest;
mod process;
mod setup;
mod soak;
mod tests;

use std::process::ExitCode;

/// What every chore returns: the message of an error says what failed, on what, and what to do.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo xtask <chore>

  test                          everything that must pass, with what it needs: setup, guests, checks, tests
  setup                         install the programs that the tests run (Debian, Ubuntu)
  guests [--list] [--refresh]   fetch the guest images that whole-machine tests boot
  bench [--help] [OPTION...]    speed beside QEMU and native code: kernels in a Linux guest, and its boot
  soak [--help] [OPTION...]     a busy Linux guest with a small code cache: does anything grow, or differ from interpreted?
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["guests", rest @ ..] => guests::main(rest),
        ["bench", rest @ ..] => bench::main(rest),
        ["soak", rest @ ..] => soak::main(rest),
        ["setup"] => setup::main(),
        ["test" | "ci", rest @ ..] => tests::main(rest),
        [] | ["help" | "-h" | "--help"] => {
            print!("{USAGE}");
            Ok(())
        }
        [other, ..] => {
            eprint!("error: no chore named `{other}`\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
