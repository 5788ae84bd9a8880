//! The user's terminal as the machine's console: raw mode, and the keys after Ctrl-A.

use std::io::{IsTerminal, Write};

/// What the user wants of the program, not of the guest.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Ctrl-A X.
    Quit,
    /// Ctrl-A H or ?.
    Help,
}

/// Picks the program's own keys out of what the user types.
#[derive(Default, Debug)]
pub struct Keys {
    escaped: bool,
}

const CTRL_A: u8 = 1;

/// Shown by Ctrl-A H.
pub const HELP: &str =
    "\r\nCtrl-A X  quit\r\nCtrl-A H  this help\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

impl Keys {
    /// Splits typed bytes into what the guest gets and what the program does.
    pub fn split(&mut self, typed: &[u8]) -> (Vec<u8>, Vec<Command>) {
        let (mut guest, mut commands) = (Vec::new(), Vec::new());
        for &byte in typed {
            if !std::mem::take(&mut self.escaped) {
                match byte {
                    CTRL_A => self.escaped = true,
                    _ => guest.push(byte),
                }
                continue;
            }
            match byte {
                b'x' | b'X' => commands.push(Command::Quit),
                b'h' | b'H' | b'?' => commands.push(Command::Help),
                CTRL_A | b'a' => guest.push(CTRL_A),
                _ => {}
            }
        }
        (guest, commands)
    }
}

/// Raw mode while it lives, where standard input is a terminal.
pub struct RawMode(());

impl RawMode {
    /// `None` where standard input is no terminal.
    pub fn enter() -> Option<RawMode> {
        let ready = std::io::stdin().is_terminal() && crossterm::terminal::enable_raw_mode().is_ok();
        ready.then_some(RawMode(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
        let _ = std::io::stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_after_ctrl_a_are_ours() {
        let mut keys = Keys::default();
        assert_eq!(keys.split(b"ls\r\x01"), (b"ls\r".to_vec(), vec![]));
        assert_eq!(keys.split(b"h\x01\x01a\x01x"), (vec![1, b'a'], vec![Command::Help, Command::Quit]));
        assert_eq!(keys.split(b"\x01zq"), (b"q".to_vec(), vec![]));
    }
}
