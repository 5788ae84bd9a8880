//! Messages about a run, in virtual time, for the user's stderr.

use cpu_core::Time;
use std::collections::BTreeSet;

/// Messages that have not been shown yet.
#[derive(Default, Debug)]
pub struct Log {
    pending: Vec<String>,
    /// What was said, without its time.
    said: BTreeSet<String>,
}

/// Who has more than this to complain about does not read on.
const LIMIT: usize = 1000;

impl Log {
    /// Something the user should know; the same message again says nothing new.
    pub fn warn(&mut self, now: Time, message: String) {
        if self.said.len() > LIMIT || self.said.contains(&message) {
            return;
        }
        let more = if self.said.len() == LIMIT { " (further warnings are not shown)" } else { "" };
        self.pending.push(format!("[{:.6}] warning: {message}{more}", now.as_secs_f64()));
        self.said.insert(message);
    }

    /// Takes the messages.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.pending)
    }
}
