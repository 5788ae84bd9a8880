//! Errors as the user sees them: each one clear message, with the place in the source where there is one.

use miette::{Diagnostic, LabeledSpan, NamedSource, Report, SourceCode};
use std::fmt;

/// A mistake of the user's: exit status 2.
#[derive(Debug)]
pub struct UsageError {
    message: String,
    help: Option<String>,
    // On the heap: nearly everything returns this type and seldom fails.
    place: Option<Box<(NamedSource<String>, std::ops::Range<usize>)>>,
}

impl UsageError {
    /// Without a place.
    pub fn new(message: impl Into<String>) -> UsageError {
        UsageError { message: message.into(), help: None, place: None }
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> UsageError {
        self.help = Some(help.into());
        self
    }

    /// Prints it to stderr, in colour where stderr is a terminal.
    pub fn print(self) {
        if self.place.is_none() {
            eprintln!("hyperemu: error: {}", self.message);
            if let Some(help) = self.help {
                eprintln!("  help: {help}");
            }
            return;
        }
        eprintln!("{:?}", Report::new(self));
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

impl Diagnostic for UsageError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.0 as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.place.as_deref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".into()), span.clone()))))
    }
}

impl From<machine_configs::Error> for UsageError {
    fn from(error: machine_configs::Error) -> UsageError {
        let count = error.diagnostics.len();
        let Some(first) = error.diagnostics.into_iter().next() else {
            return UsageError::new("the board has a mistake");
        };
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        let place = (!first.source_text.is_empty())
            .then(|| Box::new((NamedSource::new(&first.file, first.source_text.to_string()), first.span)));
        let position = if place.is_some() {
            format!("{}:{}:{}: ", first.file, first.line, first.column)
        } else {
            String::new()
        };
        UsageError { message: format!("{position}{}{more}", first.message), help: first.help, place }
    }
}

impl From<String> for UsageError {
    fn from(message: String) -> UsageError {
        UsageError::new(message)
    }
}

impl From<crate::machine::boot::BootError> for UsageError {
    fn from(error: crate::machine::boot::BootError) -> UsageError {
        UsageError::new(error.to_string())
    }
}

impl From<crate::load::LoadError> for UsageError {
    fn from(error: crate::load::LoadError) -> UsageError {
        UsageError::new(error.to_string())
    }
}

impl From<crate::machine::build::BuildError> for UsageError {
    fn from(error: crate::machine::build::BuildError) -> UsageError {
        match error {
            crate::machine::build::BuildError::Board(error) => error.into(),
            crate::machine::build::BuildError::Memory(error) => UsageError::new(error.to_string()),
        }
    }
}
