//! Messages about a run, in virtual time, for the user's stderr.

use cpu_core::Time;

/// Messages that have not been shown yet.
#[derive(Default, Debug)]
pub struct Log {
    pending: Vec<String>,
    dropped: u64,
}

/// More than this between two boundaries is noise.
const LIMIT: usize = 200;

impl Log {
    /// Something the user should know.
    pub fn warn(&mut self, now: Time, message: String) {
        if self.pending.len() < LIMIT {
            self.pending.push(format!("[{:.6}] warning: {message}", now.as_secs_f64()));
        } else {
            self.dropped += 1;
        }
    }

    /// Takes the messages.
    pub fn take(&mut self) -> Vec<String> {
        let mut messages = std::mem::take(&mut self.pending);
        if self.dropped > 0 {
            messages.push(format!("{} more warnings", std::mem::take(&mut self.dropped)));
        }
        messages
    }
}
