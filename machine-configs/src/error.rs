//! Errors that point into a board's source.

use std::{fmt, sync::Arc};

use crate::source::{Position, SourceMap, Span};

/// What is wrong with a board: one or more diagnostics, each with a position and a remedy.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    /// At least one, in the order in which they were found.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.diagnostics.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}

/// One mistake. The text and span are enough to draw the source line with a pointer under it.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The file as it was named; `<builtin>/...` for files inside the program.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The whole text of the file.
    pub source_text: Arc<str>,
    /// Byte range of the mistake in `source_text`.
    pub span: std::ops::Range<usize>,
    /// Other places that matter: the including file, the macro's definition, the first of two.
    pub related: Vec<(Position, String)>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        for (position, note) in &self.related {
            write!(f, "\n  {position}: {note}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl Diagnostic {
    /// A mistake at `span`.
    pub fn new(map: &SourceMap, span: Span, message: impl Into<String>) -> Self {
        let position = map.position(span);
        let file = map.file(span);
        let source_text = file.map_or_else(|| Arc::from(""), |f| f.text.clone());
        let len = source_text.len();
        let start = (span.start as usize).min(len);
        let mut related = Vec::new();
        if let Some(definition) = map.macro_at(span) {
            related.push((map.position(definition), "from this macro".into()));
        }
        let mut from = file.and_then(|f| f.included_from);
        while let Some(span) = from
            && related.len() < 9
        {
            related.push((map.position(span), "included from here".into()));
            from = map.file(span).and_then(|f| f.included_from);
        }
        Diagnostic {
            file: position.file,
            line: position.line,
            column: position.column,
            message: message.into(),
            help: None,
            source_text,
            span: start..(span.end as usize).clamp(start, len),
            related,
        }
    }

    /// Adds the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place that matters.
    pub fn note(mut self, map: &SourceMap, span: Span, note: impl Into<String>) -> Self {
        self.related.push((map.position(span), note.into()));
        self
    }
}

impl From<Diagnostic> for Error {
    fn from(d: Diagnostic) -> Self {
        Error { diagnostics: vec![d] }
    }
}

impl Error {
    /// One mistake at `span`.
    pub fn new(map: &SourceMap, span: Span, message: impl Into<String>) -> Self {
        Diagnostic::new(map, span, message).into()
    }

    /// Adds the remedy to the last diagnostic.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        if let Some(d) = self.diagnostics.last_mut() {
            d.help = Some(help.into());
        }
        self
    }

    /// Adds another place that matters to the last diagnostic.
    pub fn note(mut self, map: &SourceMap, span: Span, note: impl Into<String>) -> Self {
        if let Some(d) = self.diagnostics.last_mut() {
            d.related.push((map.position(span), note.into()));
        }
        self
    }

    /// A failure that has no position in a source, such as a file that cannot be read.
    pub(crate) fn bare(file: &str, message: impl Into<String>) -> Self {
        Diagnostic {
            file: file.into(),
            line: 1,
            column: 1,
            message: message.into(),
            help: None,
            source_text: Arc::from(""),
            span: 0..0,
            related: Vec::new(),
        }
        .into()
    }
}

/// A mistake before it is known which files there are: the form used inside the compiler.
#[derive(Debug)]
pub(crate) struct Fault {
    span: Span,
    message: String,
    help: Option<String>,
    notes: Vec<(Span, String)>,
}

pub(crate) type Res<T> = Result<T, Box<Fault>>;

pub(crate) fn fault(span: Span, message: impl Into<String>) -> Box<Fault> {
    Box::new(Fault { span, message: message.into(), help: None, notes: Vec::new() })
}

impl Fault {
    pub(crate) fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn note(mut self: Box<Self>, span: Span, note: impl Into<String>) -> Box<Self> {
        self.notes.push((span, note.into()));
        self
    }

    pub(crate) fn diagnostic(self, map: &SourceMap) -> Diagnostic {
        let mut d = Diagnostic::new(map, self.span, self.message);
        d.help = self.help;
        for (i, (span, note)) in self.notes.into_iter().enumerate() {
            d.related.insert(i, (map.position(span), note));
        }
        d
    }

    pub(crate) fn into_error(self, map: &SourceMap) -> Error {
        self.diagnostic(map).into()
    }
}
