//! What a run should, and should not, say on its console.

use regex::bytes::Regex;

/// How a run stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is decided.
    Open,
    /// Everything expected has been said.
    Met,
    /// Something forbidden has been said: the expression.
    Failed(String),
}

/// Expressions to find one after another, and expressions not to find at all, in an append-only log.
#[derive(Default, Debug)]
pub struct Expectations {
    expect: Vec<Regex>,
    fail_on: Vec<Regex>,
    met: usize,
    /// The log from the end of the last match on.
    tail: Vec<u8>,
    /// What [`Expectations::fail_on`] has not seen yet, with some context before it.
    recent: Vec<u8>,
}

/// A match is not longer than this, so that a run of hours stays cheap.
const CONTEXT: usize = 8192;

impl Expectations {
    /// Expects all of `expect`, in this order, and none of `fail_on`.
    pub fn new(expect: Vec<Regex>, fail_on: Vec<Regex>) -> Expectations {
        Expectations { expect, fail_on, ..Expectations::default() }
    }

    /// Whether there is anything to wait for.
    pub fn any(&self) -> bool {
        !self.expect.is_empty()
    }

    /// The first expression that has not been found.
    pub fn missing(&self) -> Option<&str> {
        self.expect.get(self.met).map(Regex::as_str)
    }

    /// Appends to the log and looks.
    pub fn feed(&mut self, bytes: &[u8]) -> Verdict {
        if !self.fail_on.is_empty() {
            self.recent.extend_from_slice(bytes);
            if let Some(regex) = self.fail_on.iter().find(|regex| regex.is_match(&self.recent)) {
                return Verdict::Failed(regex.as_str().to_string());
            }
            cut(&mut self.recent);
        }
        if self.met == self.expect.len() {
            return Verdict::Open;
        }
        self.tail.extend_from_slice(bytes);
        while let Some(found) = self.expect.get(self.met).and_then(|regex| regex.find(&self.tail)) {
            let end = found.end();
            self.tail.drain(..end);
            self.met += 1;
        }
        cut(&mut self.tail);
        if self.met == self.expect.len() { Verdict::Met } else { Verdict::Open }
    }
}

fn cut(log: &mut Vec<u8>) {
    if log.len() > 2 * CONTEXT {
        log.drain(..log.len() - CONTEXT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::regex;

    #[test]
    fn expressions_are_found_in_order_across_pieces() {
        let mut expect = Expectations::new(vec![regex("^login:").unwrap(), regex("# $").unwrap()], vec![]);
        assert_eq!(expect.feed(b"# \nlog"), Verdict::Open);
        assert_eq!(expect.feed(b"in: root\r\n"), Verdict::Open);
        assert_eq!(expect.missing(), Some("# $"));
        assert_eq!(expect.feed(b"~ # "), Verdict::Met);
    }

    #[test]
    fn forbidden_ones_win() {
        let mut expect = Expectations::new(vec![regex("ok").unwrap()], vec![regex("panic").unwrap()]);
        assert_eq!(expect.feed(b"ok, Kernel pan"), Verdict::Met);
        assert_eq!(expect.feed(b"ic"), Verdict::Failed("panic".into()));
    }
}
